"""Metrics against closed forms, brute force and independent libraries; their floors and their blind spots."""

import itertools

import numpy as np
import ot
import pytest
from scipy.stats import wasserstein_distance

from engine import zdc
from engine.metrics import base
from engine.schema import NotFound, WrongInput

RNG = np.random.default_rng(0)
OF_SHOWERS = [name for name in base.names() if "showers" in base.get(name).INFO.kinds]
QUICK = [name for name in OF_SHOWERS if not base.get(name).INFO.slow]


def made(channels, replicas=3, shuffle=False):
    """A sample of these channels, which stand replica by replica: (P·R, 5). Rows come one replica of each first."""
    channels = np.asarray(channels, dtype=float)
    primary = np.repeat(np.arange(len(channels) // replicas), replicas)
    blocks = np.arange(len(channels)).reshape(-1, replicas)
    order = (np.random.default_rng(5).permutation(blocks) if shuffle else blocks).T.ravel()
    empty = np.zeros((len(channels), 2, 2))
    return base.Sample(empty, channels[order], primary[order], np.zeros((len(channels), 9)))


def replicas_of(primaries=400, replicas=3, seed=0, scale=1.0):
    """Channels of primaries whose light differs widely, and of replicas that differ a little: (P·R, 5)."""
    means = np.repeat(np.random.default_rng(7).gamma(2.0, 50.0, (primaries, 5)), replicas, axis=0)
    return means + scale * np.random.default_rng(seed).normal(0, 8, means.shape)


def pictured(primaries=120, replicas=3, seed=1, light=1.0):
    """A sample of spots on ZN: where they are and how bright is the primary's, the rest differs between replicas."""
    rng, own = np.random.default_rng(7), np.random.default_rng(seed)
    x, y = rng.uniform(8, 36, (2, primaries)).repeat(replicas, axis=1) + own.normal(0, 0.5, (2, primaries * replicas))
    bright = light * rng.gamma(1.5, 100, primaries).repeat(replicas) * own.gamma(20, 0.05, primaries * replicas)
    fibre = np.arange(44)
    spots = (
        np.exp(-0.5 * ((fibre - x[:, None]) / 3) ** 2)[:, :, None]
        * np.exp(-0.5 * ((fibre - y[:, None]) / 3) ** 2)[:, None]
    )
    photons = own.poisson(bright[:, None, None] * spots / (2 * np.pi * 9)).astype(np.uint16)
    return base.sample(photons, np.zeros((len(photons), 9)), np.repeat(np.arange(primaries), replicas), "zn")


def read(name, reference, generated):
    return base.evaluate(reference, generated, [name])[name]


# ---------------------------------------------------------------------------------------------------- brute force
def test_mae_is_the_mean_over_particles_channels_and_pairs_of_replicas():
    a, b = RNG.normal(size=(12, 5)), RNG.normal(size=(8, 5))
    brute = np.mean([np.abs(a[3 * p + r] - b[2 * p + s]).mean() for p in range(4) for r in range(3) for s in range(2)])
    value = read("mae", made(a), made(b, replicas=2))
    assert value.value == pytest.approx(brute)
    pairs = list(itertools.permutations(range(3), 2))
    floor = np.mean([np.abs(a[3 * p + r] - a[3 * p + s]).mean() for p in range(4) for r, s in pairs])
    assert value.floor == pytest.approx(floor)


def test_wasserstein_agrees_with_pot_and_scipy():
    a, b = RNG.gamma(2, 50, (60, 5)), RNG.gamma(3, 40, (60, 5))
    value = read("wasserstein", made(a, 1), made(b, 1)).value
    assert value == pytest.approx(np.mean([wasserstein_distance(a[:, c], b[:, c]) for c in range(5)]))
    assert value == pytest.approx(np.mean([ot.wasserstein_1d(a[:, c], b[:, c]) for c in range(5)]))


def test_wasserstein_compares_one_replica_of_each_primary_with_one():
    a, b = replicas_of(seed=1), replicas_of(seed=2)
    brute = np.mean(
        [wasserstein_distance(a[r::3, c], b[s::3, c]) for r, s, c in itertools.product(range(3), range(3), range(5))]
    )
    assert read("wasserstein", made(a), made(b)).value == pytest.approx(brute)


def test_a_shift_of_all_showers_is_the_wasserstein_distance():
    a = replicas_of()
    assert read("wasserstein", made(a, 1), made(a + 4, 1)).value == pytest.approx(4)


def test_spread_reads_the_factor_by_which_replicas_scatter_more():
    wide = read("spread", made(replicas_of(seed=1)), made(replicas_of(seed=1, scale=1.7)))
    assert wide.value == pytest.approx(1.7)


def test_f_div_sums_the_fibres_standard_deviations_over_replicas():
    rng = np.random.default_rng(3)
    rows = np.zeros((12, 9))
    primary = np.repeat(np.arange(4), 3)
    a, b = rng.poisson(5.0, (12, 44, 44)), rng.poisson(20.0, (12, 44, 44))
    brute = [np.mean([np.std(x[3 * p : 3 * p + 3], axis=0, ddof=1).sum() for p in range(4)]) for x in (a, b)]
    found = read("f_div", base.sample(a, rows, primary, "zn"), base.sample(b, rows, primary, "zn")).value
    assert found == pytest.approx(brute[1] / brute[0])
    assert found == pytest.approx(2, abs=0.05)  # the spread of a Poisson number goes as the root of its mean
    mean = a.reshape(4, 3, 44, 44).mean(axis=1).repeat(3, axis=0)
    assert read("f_div", base.sample(a, rows, primary, "zn"), base.sample(mean, rows, primary, "zn")).value == 0


def test_dispersion_of_a_generator_without_scatter():
    a = replicas_of(seed=1)
    deviation = np.median(np.abs(a.reshape(-1, 3, 5) - np.median(a.reshape(-1, 3, 5), axis=1, keepdims=True)), axis=1)
    still = read("dispersion", made(a), made(replicas_of(seed=1, scale=0.0)))
    assert still.value == pytest.approx((deviation / (deviation + 1)).mean())


def test_empty_rate_is_the_difference_of_shares_in_percent():
    a, b = np.ones((40, 5)), np.ones((40, 5))
    a[:6], b[:2] = 0, 0
    assert read("empty_rate", made(a, 2), made(b, 2)).value == pytest.approx(10)


# ------------------------------------------------------------------------------------------------ floors and traps
@pytest.mark.parametrize("name", QUICK)
def test_a_sample_against_itself_reads_its_ideal(name):
    replicas = 3 if getattr(base.get(name), "NEEDS_REPLICAS", False) else 1
    one = pictured(120, replicas)
    ideal = 0.0 if base.get(name).INFO.direction == "lower" else 1.0
    assert read(name, one, one).value == pytest.approx(ideal, abs=1e-9)


@pytest.mark.parametrize("name", ["mae", "wasserstein", "spread"])
def test_an_independent_simulation_reads_the_floor(name):
    value = read(name, made(replicas_of(1000, seed=1)), made(replicas_of(1000, seed=2)))
    assert value.floor is not None
    assert value.value == pytest.approx(value.floor, rel=0.05)


def test_the_mean_of_two_siblings_beats_the_floor_of_mae_and_is_found_out_by_its_spread():
    """Why no MAE counts without its spread (SPEC §9)."""
    reference = made(replicas_of(1000, seed=1))
    siblings = [replicas_of(1000, seed=s).reshape(-1, 3, 5) for s in (2, 3)]
    averaged = made(((siblings[0] + siblings[1]) / 2).reshape(-1, 5))
    mae = read("mae", reference, averaged)
    assert mae.floor is not None
    assert mae.value < 0.92 * mae.floor
    assert read("spread", reference, averaged).value == pytest.approx(0.5**0.5, abs=0.03)
    point = made(np.repeat(siblings[0].mean(axis=1), 3, axis=0))
    assert read("spread", reference, point).value == 0


def test_the_floor_of_wasserstein_falls_with_the_number_of_primaries():
    few, many = (read("wasserstein", made(replicas_of(n)), made(replicas_of(n, seed=2))).floor for n in (50, 2000))
    assert few is not None
    assert many is not None
    assert many < 0.6 * few


def test_error_of_mae_is_the_standard_error_over_primaries():
    a, b = replicas_of(2000, 1, seed=1), replicas_of(2000, 1, seed=2)
    expected = np.abs(a - b).mean(axis=1).std() / 2000**0.5
    assert read("mae", made(a, 1), made(b, 1)).error == pytest.approx(expected, rel=0.3)


# ---------------------------------------------------------------------------------------------------------- sample
@pytest.mark.parametrize("name", QUICK)
def test_the_order_of_primaries_does_not_matter(name):
    a, b = pictured(120, 2, seed=1), pictured(120, 2, seed=2, light=1.3)
    order = np.random.default_rng(5).permutation(np.arange(240).reshape(-1, 2)).T.ravel()
    mixed = base.sample(b.showers[order], b.conditions[order], b.primary[order], "zn")
    assert read(name, a, mixed).value == pytest.approx(read(name, a, b).value)


def test_surplus_replicas_are_left_out_so_that_primaries_weigh_the_same():
    channels = np.arange(25.0).reshape(5, 5)
    sample = base.Sample(np.zeros((5, 2, 2)), channels, np.array([7, 3, 7, 3, 7]), np.zeros((5, 9)))
    np.testing.assert_array_equal(sample.ids, [3, 7])
    np.testing.assert_array_equal(sample.grouped, [[channels[1], channels[3]], [channels[0], channels[2]]])


def test_sample_takes_the_channels_of_its_read_out():
    showers = RNG.poisson(1.0, (4, 44, 44))
    for convention in zdc.CONVENTIONS:
        sample = base.sample(showers, np.zeros((4, 9)), np.arange(4), "zn", convention)
        np.testing.assert_array_equal(sample.channels, zdc.channels(showers, "zn", convention))


def test_without_replicas_there_is_no_floor_and_no_spread():
    one = made(replicas_of(replicas=1), 1)
    values = base.evaluate(one, one)
    assert values["mae"].floor is None
    assert "spread" not in values
    with pytest.raises(WrongInput, match="at least twice"):
        base.evaluate(one, one, ["spread"])


def test_the_same_seed_gives_the_same_report():
    a, b = made(replicas_of(50, seed=1)), made(replicas_of(50, seed=2))
    assert base.evaluate(a, b, seed=3) == base.evaluate(a, b, seed=3)


def test_wrong_input_is_refused_in_one_line():
    a = made(replicas_of(10))
    with pytest.raises(WrongInput, match="different primaries"):
        base.evaluate(a, made(replicas_of(11)))
    with pytest.raises(NotFound, match="mae"):
        base.evaluate(a, a, ["beauty"])
    with pytest.raises(WrongInput, match="lengths"):
        base.Sample(np.zeros((2, 2, 2)), np.zeros((3, 5)), np.zeros(3, int), np.zeros((3, 9)))


@pytest.mark.parametrize("name", base.names())
def test_every_metric_says_what_it_is(name):
    info = base.get(name).INFO
    assert info.name == name
    assert info.title
    assert info.formula

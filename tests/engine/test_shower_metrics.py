"""Metrics of channels and of shape against closed forms and brute force, and what no generator may break."""

import itertools

import numpy as np
import ot
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from test_metrics import OF_SHOWERS, QUICK, made, pictured, read, replicas_of

from engine import observables, zdc
from engine.metrics import base, centre, jaccard, mae_cond, response_rate, separation
from engine.schema import WrongInput

RNG = np.random.default_rng(0)


def of_pictures(showers, replicas=1, detector="zn"):
    showers = np.asarray(showers)
    primary = np.repeat(np.arange(len(showers) // replicas), replicas)
    return base.sample(showers, np.zeros((len(showers), 9)), primary, detector)


# ----------------------------------------------------------------------------------------------- channels: MAE_cond
def test_mae_of_means_weighs_particles_by_the_logarithm_of_their_light():
    a, b = RNG.gamma(2, 50, (8, 5)), RNG.gamma(2, 50, (8, 5))
    weight = np.log1p(a.sum(axis=1))
    expected = (weight * np.abs(a - b).mean(axis=1)).sum() / weight.sum()
    assert read("mae_cond", made(a, 1), made(b, 1)).value == pytest.approx(expected)


def test_mae_of_means_and_its_floor_compare_groups_of_the_same_sizes():
    """Of three replicas the mean of two with the third, on either side."""
    a, b = RNG.gamma(2, 50, (4, 3, 5)), RNG.gamma(2, 50, (4, 3, 5))
    weight = np.log1p(a.sum(axis=2).mean(axis=1))

    def mean_apart(first, second, groups):
        apart = [np.abs(first[:, i].mean(axis=1) - second[:, j].mean(axis=1)).mean(axis=1) for i, j in groups]
        return (weight * np.mean(apart, axis=0)).sum() / weight.sum()

    twos = [list(pair) for pair in itertools.combinations(range(3), 2)]
    forth = [(two, [one]) for two in twos for one in range(3)]
    back = [(one, two) for two, one in forth]
    value = read("mae_cond", made(a.reshape(-1, 5)), made(b.reshape(-1, 5)))
    assert value.value == pytest.approx(mean_apart(a, b, forth + back))
    apart = [(two, [3 - sum(two)]) for two in twos]
    assert value.floor == pytest.approx(mean_apart(a, a, apart))


@pytest.mark.parametrize("replicas", [2, 3, 4, 7])
def test_a_simulation_made_again_reads_the_floor_of_mae_of_means_whatever_the_replicas(replicas):
    value = read(
        "mae_cond", made(replicas_of(800, replicas, 1), replicas), made(replicas_of(800, replicas, 2), replicas)
    )
    assert value.value == pytest.approx(value.floor, rel=0.03)


def test_mae_of_means_falls_with_the_replicas_and_stays_defined_without_light():
    few, many = (read("mae_cond", made(replicas_of(300, r, 1), r), made(replicas_of(300, r, 2), r)) for r in (2, 8))
    assert many.value < 0.6 * few.value
    assert mae_cond.sizes(1) == (1, 1)
    dark, lit = made(np.zeros((20, 5)), 2), made(np.full((20, 5), 3.0), 2)
    assert read("mae_cond", dark, lit).value == 3


# ------------------------------------------------------------------------------------ channels: light and histograms
def test_separation_is_0_for_equal_and_1_for_disjoint_histograms():
    h1, h2 = RNG.dirichlet(np.ones(12), 2)
    brute = 0.5 * sum((p - q) ** 2 / (p + q) for p, q in zip(h1, h2, strict=True))
    assert separation.separation(h1, h2) == pytest.approx(brute)
    assert separation.separation(h1, h1) == 0
    assert separation.separation(np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.2, 0.8])) == pytest.approx(1)
    dim, bright = made(np.ones((40, 5)), 1), made(np.full((40, 5), 50.0), 1)
    assert read("separation", dim, bright).value == pytest.approx(1)


def test_separation_is_the_mean_over_photon_sum_and_channels():
    a, b = RNG.gamma(1, 30, (300, 5)), RNG.gamma(1.3, 30, (300, 5))
    edges = [-np.inf, *separation.EDGES, np.inf]

    def power(one, other):
        return separation.separation(*(np.histogram(v, edges)[0] / len(v) for v in (one, other)))

    brute = [power(a.sum(axis=1), b.sum(axis=1)), *(power(a[:, c], b[:, c]) for c in range(5))]
    assert read("separation", made(a, 1), made(b, 1)).value == pytest.approx(np.mean(brute))


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_separation_lies_between_0_and_1_and_does_not_depend_on_the_side(first, second):
    h1, h2 = (np.array(h) / max(sum(h), 1e-9) for h in (first, second))
    found = separation.separation(h1, h2)
    assert 0 <= found <= 1 + 1e-9
    assert separation.separation(h2, h1) == pytest.approx(found)


def test_photon_sum_agrees_with_pot_and_scipy():
    a, b = RNG.gamma(2, 50, (80, 5)), RNG.gamma(3, 40, (80, 5))
    value = read("photon_sum", made(a, 1), made(b, 1)).value
    assert value == pytest.approx(wasserstein_distance(a.sum(axis=1), b.sum(axis=1)))
    assert value == pytest.approx(ot.wasserstein_1d(a.sum(axis=1), b.sum(axis=1)))


def test_response_rates_are_shares_above_1_5_10_and_18_photons():
    a, b = np.zeros((100, 5)), np.zeros((100, 5))
    a[:, 0], b[:, 0] = np.repeat([0, 1, 5, 10, 18], 20), np.repeat([0, 0, 5, 9, 18], 20)
    found = read("response_rate", made(a, 1), made(b, 1))
    assert found.value == pytest.approx((20 + 0 + 20 + 0) / 4)
    rates = response_rate.rates(made(a, 1), np.random.default_rng(0))
    assert {t: v.value for t, v in rates.items()} == pytest.approx({1: 80, 5: 60, 10: 40, 18: 20})
    assert rates[5].error == pytest.approx(100 * (0.6 * 0.4 / 100) ** 0.5, rel=0.3)


def test_correlation_is_that_of_numpy():
    a, b = RNG.normal(size=(200, 5)), RNG.normal(size=(200, 5)) @ RNG.normal(size=(5, 5))
    brute = np.abs(np.corrcoef(a.T) - np.corrcoef(b.T))[np.triu_indices(5, 1)].mean()
    assert read("correlation", made(a, 1), made(b, 1)).value == pytest.approx(brute)
    b[:, 2] = 1e6 + 0.1  # what never changes goes with nothing
    with np.errstate(invalid="ignore"):
        r = np.nan_to_num(np.corrcoef(b[:, [0, 1, 3, 4]].T))
    whole = np.eye(5)
    whole[np.ix_([0, 1, 3, 4], [0, 1, 3, 4])] = r
    brute = np.abs(np.corrcoef(a.T) - whole)[np.triu_indices(5, 1)].mean()
    assert read("correlation", made(a, 1), made(b, 1)).value == pytest.approx(brute)


def test_jaccard_counts_showers_with_light_in_both_over_those_with_light_in_either():
    a, b = RNG.gamma(0.5, 10, (150, 5)), RNG.gamma(0.8, 10, (150, 5))

    def index(channels, i, j):
        on = channels >= jaccard.ACTIVE
        return (on[:, i] & on[:, j]).sum() / (on[:, i] | on[:, j]).sum()

    pairs = list(itertools.combinations(range(5), 2))  # the read-out is not known: all are neighbours
    brute = np.mean([abs(index(a, i, j) - index(b, i, j)) for i, j in pairs])
    assert read("jaccard", made(a, 1), made(b, 1)).value == pytest.approx(brute)


def test_neighbours_are_towers_that_share_an_edge_and_the_common_channel():
    square = [(0, 1), (0, 2), (1, 3), (2, 3)]
    for convention in ("paper", "moe", "o2-debug"):
        assert zdc.neighbours("zn", convention) == sorted(square + [(k, 4) for k in range(4)])
    slabs = [(1, 2), (2, 3), (3, 4)]
    assert zdc.neighbours("zp", "o2") == sorted(slabs + [(0, k) for k in range(1, 5)])
    assert len(pictured(5).neighbours) == 8


# ------------------------------------------------------------------------------------------------------------- shape
def test_centre_reads_the_distance_by_which_showers_are_moved():
    sample = pictured(60, 1)
    showers = np.zeros_like(sample.showers)
    showers[:, 3:, 4:] = sample.showers[:, :-3, :-4]
    inside = np.isclose(showers.sum(axis=(1, 2)), sample.showers.sum(axis=(1, 2)))
    one, other = (of_pictures(pictures[inside]) for pictures in (sample.showers, showers))
    assert read("centre", one, other).value == pytest.approx(5 * 1.6)


def test_a_mirror_is_seen_by_the_centre_and_not_by_the_light():
    sample = pictured(200)
    mirrored = of_pictures(sample.showers[:, ::-1], 3)
    found = base.evaluate(sample, mirrored, ["centre", "photon_sum", "radial_profile"])
    assert found["centre"].value > 5 * found["centre"].floor
    assert found["photon_sum"].value <= found["photon_sum"].floor
    assert found["radial_profile"].value <= found["radial_profile"].floor


def test_radial_profile_is_the_wasserstein_distance_of_photons_from_their_centre():
    a, b = (of_pictures(RNG.poisson(rate, (20, 44, 44))) for rate in (0.1, np.linspace(0, 0.3, 44)))
    radii = np.arange(observables.RINGS) * 1.6
    weights = [sample.observables.rings.sum(axis=0) for sample in (a, b)]
    brute = wasserstein_distance(radii, radii, *weights)
    assert read("radial_profile", a, b).value == pytest.approx(brute)


# ----------------------------------------------------------------------------------------- what no generator may break
@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("who", ["generated", "simulated", "both"])
def test_showers_without_light_give_every_metric_a_defined_value(name, who):
    lit = pictured(120)
    dark = of_pictures(np.zeros_like(lit.showers), 3)
    pair = {"generated": (lit, dark), "simulated": (dark, lit), "both": (dark, dark)}[who]
    found = read(name, *pair)
    assert np.isfinite([found.value, found.error]).all()
    if found.floor is not None:
        assert np.isfinite([found.floor, found.floor_error]).all()


@pytest.mark.parametrize("name", QUICK)
def test_expected_light_of_zp_is_judged_as_whole_photons_are(name):
    showers = np.random.default_rng(3).gamma(0.2, 1, (300, 56, 30)).astype(np.float32)
    found = read(name, of_pictures(showers, 3, "zp"), of_pictures(1.1 * showers, 3, "zp"))
    assert np.isfinite([found.value, found.error]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_light_that_cannot_be_is_refused_with_the_shower_that_has_it(bad):
    showers = np.ones((5, 44, 44), np.float32)
    showers[3, 2, 1] = bad
    with pytest.raises(WrongInput, match="shower 4 holds"):
        of_pictures(showers)


def test_a_channel_can_be_judged_by_itself():
    a, b = pictured(60, seed=1), pictured(60, seed=2)
    one, other = (
        base.Sample(sample.showers, sample.channels[:, [2]], sample.primary, sample.conditions) for sample in (a, b)
    )
    alone = base.evaluate(one, other)
    assert {"mae", "wasserstein", "spread", "empty_rate", "mae_cond", "dispersion", "separation"} <= alone.keys()
    assert {"correlation", "jaccard"}.isdisjoint(alone)
    first, second = a.grouped[:, :, 2], b.grouped[:, :, 2]
    brute = np.mean([np.abs(first[:, r] - second[:, s]) for r in range(3) for s in range(3)])
    assert alone["mae"].value == pytest.approx(brute)
    with pytest.raises(WrongInput, match="2 channels"):
        base.evaluate(one, other, ["correlation"])
    with pytest.raises(WrongInput, match="read both out alike"):
        base.evaluate(one, b, ["mae"])


def test_taking_some_primaries_keeps_their_replicas_and_their_read_out():
    sample = pictured(20)
    part = sample.take(np.array([3, 17, 99]))
    np.testing.assert_array_equal(part.ids, [3, 17])
    np.testing.assert_array_equal(part.showers, sample.showers[np.isin(sample.primary, [3, 17])])
    assert part.neighbours == sample.neighbours
    with pytest.raises(WrongInput, match="at least one"):
        sample.take(np.array([99]))


def test_few_primaries_leave_out_what_needs_many_and_say_so_when_asked():
    few = pictured(10)
    found = base.available(few, few)
    assert "mae" in found
    assert {"fpd", "precision", "recall", "density", "coverage"}.isdisjoint(found)
    with pytest.raises(WrongInput, match="100 primaries"):
        base.evaluate(few, few, ["fpd"])


def test_slow_metrics_are_left_out_unless_they_are_asked_for_and_progress_counts_all():
    sample = pictured(100)
    slow = {name for name in OF_SHOWERS if base.get(name).INFO.slow}
    assert slow.isdisjoint(base.available(sample, sample))
    assert slow <= set(base.available(sample, sample, slow=True))
    told = []
    found = base.evaluate(sample, sample, ["mae", "centre"], progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert list(found) == ["mae", "centre"]


def test_centre_of_replicas_is_their_mean_distance():
    a, b = pictured(20, 2, seed=1), pictured(20, 3, seed=2)
    ours, theirs = (sample.by_primary(sample.observables.centre) for sample in (a, b))
    brute = np.mean([np.linalg.norm(ours[:, r] - theirs[:, s], axis=1) for r in range(2) for s in range(3)])
    assert centre.compute(a, b, np.random.default_rng(0)).value == pytest.approx(brute)

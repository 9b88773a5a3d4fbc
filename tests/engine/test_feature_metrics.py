"""Shower observables, and distances between distributions of them, against closed forms, brute force and the packages
of the field."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from test_metrics import pictured, read

from engine import manifold, observables, zdc
from engine.metrics import base, fpd, kpd

RNG = np.random.default_rng(0)
FEATURES = ("fpd", "kpd", "precision", "recall", "density", "coverage")


def of_pictures(showers, replicas=1, detector="zn"):
    showers = np.asarray(showers)
    primary = np.repeat(np.arange(len(showers) // replicas), replicas)
    return base.sample(showers, np.zeros((len(showers), 9)), primary, detector)


# ------------------------------------------------------------------------------------------------------ observables
def test_observables_of_a_shower_of_two_fibres_are_those_of_a_lever():
    shower = np.zeros((1, 44, 44))
    shower[0, 21, 10], shower[0, 25, 10] = 30, 10
    found = observables.of(shower)
    read_off = dict(zip(observables.NAMES, found.table[0], strict=True))
    assert read_off["light"] == 40
    assert (read_off["brightest"], read_off["lit"]) == (30, 2)
    assert read_off["centre_x"] == pytest.approx(1.6 * (22 - 21.5))
    assert read_off["centre_y"] == pytest.approx(1.6 * (10 - 21.5))
    assert read_off["width_x"] == pytest.approx(1.6 * 3**0.5)  # ¾·1² + ¼·3²
    assert read_off["width_y"] == 0
    assert [read_off[f"within_{r}"] for r in (1, 2, 4, 8)] == [0.75, 0.75, 1, 1]
    assert found.rings[0, :4].tolist() == [0, 30, 0, 10]


@pytest.mark.parametrize("detector", ["zn", "zp"])
def test_observables_agree_with_moments_taken_shower_by_shower(detector):
    shape, pitch = zdc.DETECTORS[detector].shape, 10 * zdc.DETECTORS[detector].pitch_cm
    showers = RNG.poisson(0.1, (7, *shape)).astype(np.float32) * RNG.uniform(0.6, 3, (7, 1, 1))
    found = observables.of(showers)
    x, y = np.indices(shape)
    for k, picture in enumerate(showers):
        weight = picture / picture.sum()
        cx, cy = (weight * x).sum(), (weight * y).sum()
        radius = np.hypot(x - cx, y - cy)
        row = [picture.sum(), picture.max(), (picture >= 0.5).sum()]
        row += [pitch * (cx - (shape[0] - 1) / 2), pitch * (cy - (shape[1] - 1) / 2)]
        row += [pitch * (weight * (axis - c) ** 2).sum() ** 0.5 for axis, c in ((x, cx), (y, cy))]
        row += [weight[radius <= r].sum() for r in (1, 2, 4, 8)]
        np.testing.assert_allclose(found.table[k], row, rtol=1e-6)
    np.testing.assert_allclose(found.rings.sum(axis=1), showers.sum(axis=(1, 2)), rtol=1e-6)


def test_an_empty_shower_has_no_light_no_width_and_its_centre_in_the_middle():
    found = observables.of(np.zeros((3, 56, 30), np.uint16))
    assert not found.table.any()
    assert not found.rings.any()
    assert observables.of(np.zeros((0, 44, 44))).table.shape == (0, len(observables.NAMES))


def test_observables_do_not_depend_on_the_blocks_they_are_read_in(monkeypatch):
    showers = RNG.poisson(0.05, (50, 44, 44))
    whole = observables.of(showers)
    monkeypatch.setattr(observables, "BLOCK", 7)
    np.testing.assert_array_equal(observables.of(showers).table, whole.table)


def test_features_hold_logarithms_of_counts_and_of_channels():
    sample = pictured(5)
    features = sample.observables.features(sample.channels)
    assert features.shape == (15, 16)
    np.testing.assert_allclose(np.expm1(features[:, 0]), sample.showers.sum(axis=(1, 2)))
    np.testing.assert_allclose(np.expm1(features[:, 3:8]), sample.channels)


# ---------------------------------------------------------------------------------------------------------- features
def test_fpd_of_shifted_and_stretched_clouds_is_the_closed_form_and_agrees_with_jetnet():
    """JetNet 0.2.5 reads 0.0644 ± 0.0010 on 60 000 pairs of this distribution."""
    rng = np.random.default_rng(12)
    x = rng.normal(size=(20_000, 1, 5))
    y = rng.normal(size=(20_000, 1, 5)) * [1, 1.2, 0.9, 1, 1] + [0.1, 0, 0, 0.05, 0]
    found = fpd._mean(x, y, False, rng)
    assert found.value == pytest.approx(0.0625, abs=4 * found.error)
    assert found.value == pytest.approx(0.0644, abs=4 * found.error)
    assert 0.001 < found.error < 0.006


def test_fpd_of_equal_distributions_is_0_within_its_error_where_the_plain_distance_is_not():
    rng = np.random.default_rng(3)
    found, plain = [], []
    for _ in range(12):
        x, y = rng.normal(size=(2, 400, 1, 8))
        found.append(fpd._mean(x, y, False, rng))
        plain.append(fpd.frechet(*((cloud[:, 0].mean(0), np.cov(cloud[:, 0].T)) for cloud in (x, y))))
    values, errors = np.array([(one.value, one.error) for one in found]).T
    assert abs(values.mean()) < 0.3 * np.mean(plain)
    assert 0.5 < errors.mean() / values.std(ddof=1) < 2


def test_kpd_is_the_unbiased_mmd_of_all_others_by_brute_force():
    x, y = RNG.normal(size=(2, 12, 1, 3))
    total = 0.0
    for i, j in itertools.permutations(range(12), 2):
        k = [(1 + a @ b / 3) ** 4 for a, b in ((x[i, 0], x[j, 0]), (y[i, 0], y[j, 0]), (x[i, 0], y[j, 0]))]
        total += k[0] + k[1] - 2 * k[2]
    assert kpd._mean(x, y, False, np.random.default_rng(0)).value == pytest.approx(total / (12 * 11))


def test_kpd_agrees_with_jetnet_and_does_not_depend_on_batches_on_average(monkeypatch):
    """JetNet 0.2.5 reads 0.097 ± 0.015 on this distribution, median of 20 batches of 5000."""
    rng = np.random.default_rng(12)
    x = rng.normal(size=(10_000, 1, 5))
    y = rng.normal(size=(10_000, 1, 5)) * [1, 1.2, 0.9, 1, 1] + [0.1, 0, 0, 0.05, 0]
    found = kpd._mean(x, y, False, rng)
    assert found.value == pytest.approx(0.097, abs=3 * np.hypot(0.015, found.error))
    monkeypatch.setattr(kpd, "BATCH", 200)
    assert kpd._mean(x, y, False, rng).value == pytest.approx(found.value, abs=3 * found.error)


def test_the_floor_of_kpd_is_its_reading_between_two_replicas():
    sample = pictured(60, 2)
    first, second = (of_pictures(sample.showers[r::2]) for r in range(2))
    whole = base.features(sample, sample)[0]
    one, other = whole[:, :1], whole[:, 1:]
    expected = kpd._mean(one, other, False, np.random.default_rng(0))
    assert kpd.floor(sample, np.random.default_rng(0)).value == pytest.approx(expected.value)
    assert first.replicas == second.replicas == 1


def reference_prdc(real, fake, k):
    """The formulas of the package prdc, written out."""
    near_real = np.sort(cdist(real, real), axis=1)[:, k]
    near_fake = np.sort(cdist(fake, fake), axis=1)[:, k]
    apart = cdist(real, fake)
    precision = (apart < near_real[:, None]).any(axis=0).mean()
    recall = (apart < near_fake[None]).any(axis=1).mean()
    density = (apart < near_real[:, None]).sum(axis=0).mean() / k
    coverage = (apart.min(axis=1) < near_real).mean()
    return precision, recall, density, coverage


def test_precision_recall_density_and_coverage_are_those_of_the_package_prdc(monkeypatch):
    rng = np.random.default_rng(11)
    real = rng.normal(size=(400, 6))
    fake = np.concatenate([rng.normal(0.3, 0.7, (300, 6)), rng.normal(2, 1, (50, 6))])
    monkeypatch.setattr(manifold, "ROWS", 130)
    found = manifold.compare(real, fake, 5)
    means = [column.mean() for column in (found.precision, found.recall, found.density, found.coverage)]
    np.testing.assert_allclose(means, reference_prdc(real, fake, 5))
    # what prdc 0.2 prints for these points
    np.testing.assert_allclose(means, [0.8714285714285714, 0.665, 1.142857142857143, 0.8325])


def test_a_generator_that_leaves_out_half_loses_coverage_and_recall_and_keeps_its_precision():
    sample = pictured(300)
    bright = np.argsort(sample.showers.sum(axis=(1, 2)).reshape(-1, 3).mean(axis=1))[150:]
    rows = np.repeat(np.resize(bright, 300), 3) * 3 + np.tile(np.arange(3), 300)
    lazy = of_pictures(sample.showers[rows], 3)
    found = base.evaluate(sample, lazy, ["precision", "recall", "coverage"])
    assert found["coverage"].value < found["coverage"].floor - 0.2
    assert found["recall"].value < found["recall"].floor - 0.2
    assert found["precision"].value > 0.9


def test_showers_that_coincide_keep_a_ball_each():
    still = manifold.moved_apart(np.zeros((50, 4)), np.random.default_rng(0))
    assert len(np.unique(still, axis=0)) == 50
    assert np.abs(still).max() < 1e-3
    alone = RNG.normal(size=(50, 4))
    np.testing.assert_array_equal(manifold.moved_apart(alone, RNG), alone)


@pytest.mark.parametrize("name", FEATURES)
def test_a_simulation_made_again_reads_the_floor_and_brighter_light_does_not(name):
    reference, again, bright = pictured(400, seed=1), pictured(400, seed=2), pictured(400, seed=3, light=2.5)
    same, other = read(name, reference, again), read(name, reference, bright)
    assert abs(same.value - same.floor) < 3 * np.hypot(same.error, same.floor_error)
    if name in {"fpd", "kpd"}:
        assert other.value - other.floor > 3 * np.hypot(other.error, other.floor_error)


def test_distances_that_four_metrics_share_are_taken_once(monkeypatch):
    calls = []
    compare = manifold.compare
    monkeypatch.setattr(manifold, "compare", lambda *given: calls.append(1) or compare(*given))
    reference, generated = pictured(60, seed=1), pictured(60, seed=2)
    base.evaluate(reference, generated, ["precision", "recall", "density", "coverage"])
    assert len(calls) == 3 + 3  # pairs of replicas, and of the floor

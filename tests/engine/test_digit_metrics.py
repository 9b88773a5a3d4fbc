"""Metrics of digits against closed forms, converged transport and each other; the LeNet that they look through."""

import json

import numpy as np
import ot
import pytest
import torch

from engine import judge, lenet
from engine.bench import fit_lenet
from engine.datasets import mnist
from engine.metrics import accuracy, base, fid, sinkhorn_features
from engine.schema import EngineError, WrongInput

RNG = np.random.default_rng(0)


def rotation(d, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def sample(n=80, seed=0, noise=0.0, twin=None, classes=10):
    """Squares that are so many rows high as their class says."""
    rng = np.random.default_rng(seed)
    digits = np.arange(n) % classes
    pictures = np.zeros((n, 28, 28))
    for picture, digit in zip(pictures, digits, strict=True):
        x, y = rng.integers(4, 8, 2)
        picture[y : y + 2 * digit + 2, x : x + 14] = rng.integers(150, 256)
    pictures += rng.normal(0, noise, pictures.shape)
    return base.examples(pictures.clip(0, 255), digits[:, None].astype(float), np.arange(n), "images", twin)


# ----------------------------------------------------------------------------------------------------------- Fréchet
def test_frechet_distance_of_diagonal_normals_is_the_closed_form():
    mean_1, mean_2 = RNG.normal(size=(2, 6))
    std_1, std_2 = RNG.uniform(0.1, 3, (2, 6))
    expected = np.square(mean_1 - mean_2).sum() + np.square(std_1 - std_2).sum()
    found = fid.frechet((mean_1, np.diag(std_1**2)), (mean_2, np.diag(std_2**2)))
    assert found == pytest.approx(expected, rel=1e-12)


def test_frechet_distance_of_rotated_normals_agrees_with_an_independent_library():
    turns = rotation(6, 1), rotation(6, 2)
    means = RNG.normal(size=(2, 6))
    covariances = [turn @ np.diag(RNG.uniform(0.1, 3, 6)) @ turn.T for turn in turns]
    # POT's distance is its root
    expected = ot.gaussian.bures_wasserstein_distance(*means, *covariances) ** 2
    assert fid.frechet(*zip(means, covariances, strict=True)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("n", [2, 50, 3000])
def test_a_cloud_is_at_no_frechet_distance_of_itself_and_a_shift_counts_its_square(n):
    cloud = RNG.normal(size=(n, 84)) * np.geomspace(1e-3, 30, 84)
    one = fid.moments(cloud)
    scale = np.trace(one[1])
    assert fid.frechet(one, one) == pytest.approx(0, abs=1e-6 * scale)
    shift = np.full(84, 2.0)
    assert fid.frechet(one, fid.moments(cloud + shift)) == pytest.approx(4 * 84, abs=1e-6 * scale)


def test_frechet_distance_does_not_depend_on_order_side_or_rotation():
    a, b = RNG.normal(size=(200, 12)), RNG.gamma(2, 1, (150, 12))
    whole = fid.frechet(fid.moments(a), fid.moments(b))
    assert whole > 1
    assert fid.frechet(fid.moments(b), fid.moments(a)) == pytest.approx(whole)
    assert fid.frechet(fid.moments(a[::-1]), fid.moments(RNG.permutation(b))) == pytest.approx(whole)
    turn = rotation(12)
    assert fid.frechet(fid.moments(a @ turn), fid.moments(b @ turn)) == pytest.approx(whole)


def test_constant_features_have_the_distance_of_their_means():
    constant = np.ones((30, 5))
    assert fid.frechet(fid.moments(constant), fid.moments(3 * constant)) == pytest.approx(20)
    cloud = RNG.normal(size=(30, 5))
    expected = np.square(cloud.mean(0) - 1).sum() + np.trace(np.cov(cloud.T))
    assert fid.frechet(fid.moments(constant), fid.moments(cloud)) == pytest.approx(expected)


def test_one_picture_has_no_covariance():
    with pytest.raises(WrongInput, match="two pictures"):
        base.evaluate(sample(40), sample(1), ["fid"])


# ---------------------------------------------------------------------------------------------------------- Sinkhorn
def converged(a, b, blur):
    """Debiased Sinkhorn divergence by POT, iterated to the end; its entropy is relative to the product measure."""

    def entropic(x, y):
        cost, weights = 0.5 * ot.dist(x, y), [np.full(len(cloud), 1 / len(cloud)) for cloud in (x, y)]
        told = {"method": "sinkhorn_log", "numItermax": 20_000, "stopThr": 1e-10}
        plan = ot.sinkhorn(*weights, cost, blur**2, **told)
        product = np.outer(*weights)
        return (plan * cost).sum() + blur**2 * (plan * np.log(np.maximum(plan, 1e-300) / product)).sum()

    return entropic(a, b) - 0.5 * (entropic(a, a) + entropic(b, b))


def test_sinkhorn_divergence_of_features_is_the_converged_one():
    a, b = RNG.normal(0, 3, (60, 84)), RNG.normal(0.5, 3, (50, 84))
    assert sinkhorn_features.divergence(a, b) == pytest.approx(converged(a, b, sinkhorn_features.BLUR), rel=0.02)


def test_a_cloud_is_at_no_sinkhorn_divergence_of_itself_and_a_shift_counts_half_its_square():
    cloud = RNG.normal(0, 3, (100, 84))
    assert sinkhorn_features.divergence(cloud, cloud) == pytest.approx(0, abs=1e-9)
    assert sinkhorn_features.divergence(cloud, cloud + 1) == pytest.approx(42, rel=0.02)


def test_sinkhorn_takes_the_sizes_that_there_are(monkeypatch):
    monkeypatch.setattr(sinkhorn_features, "SIZE", 30)
    found = base.evaluate(sample(80, 1), sample(100, 2), ["sinkhorn_features"])["sinkhorn_features"]
    assert found.error > 0
    assert found.floor is None
    few = base.evaluate(sample(20, 1), sample(100, 2), ["sinkhorn_features"])["sinkhorn_features"]
    assert few.value > 0
    assert few.error == 0
    with pytest.raises(WrongInput, match="two pictures"):
        base.evaluate(sample(1), sample(100), ["sinkhorn_features"])


# ---------------------------------------------------------------------------------------------------------- accuracy
def test_accuracy_is_the_share_that_is_read_as_asked_for(monkeypatch):
    real, made = sample(100), sample(100, 1)
    said = real.conditions[:, 0].astype(int)
    wrong = said.copy()
    wrong[:25] = (wrong[:25] + 1) % 10
    answers = {id(real.showers): said, id(made.showers): wrong}
    monkeypatch.setattr(lenet, "read", lambda pictures: (np.zeros((len(pictures), 84)), answers[id(pictures)]))
    found = base.evaluate(real, made, ["accuracy"])["accuracy"]
    assert (found.value, found.floor, found.floor_error) == (0.75, 1.0, 0.0)
    assert found.error == pytest.approx((0.75 * 0.25 / 100) ** 0.5)


def test_accuracy_needs_classes():
    points = base.examples(np.zeros((4, 28, 28)), np.zeros((4, 2)), np.arange(4), "images")
    with pytest.raises(WrongInput, match="class"):
        accuracy.share(points)


# --------------------------------------------------------------------------------------------------------- together
@pytest.mark.parametrize("name", ["fid", "sinkhorn_features", "accuracy"])
def test_a_metric_of_digits_has_its_floor_from_other_real_ones_and_sees_noise(name):
    real = sample(200, 1, twin=sample(200, 2))
    clean, noisy = (base.evaluate(real, sample(200, 3, noise), [name])[name] for noise in (0.0, 60.0))
    assert clean.floor is not None
    if name == "accuracy":  # squares are no digits
        assert clean.floor == accuracy.share(real).value
    else:
        assert clean.value == pytest.approx(clean.floor, rel=0.5)
        assert noisy.value > 3 * clean.value


def test_the_order_of_digits_does_not_matter():
    real, made = sample(100, 1), sample(100, 2)
    order = np.random.default_rng(1).permutation(100)
    mixed = base.examples(made.showers[order], made.conditions[order], made.primary[order], "images")
    for name in ("fid", "accuracy"):
        one, other = (base.evaluate(real, generated, [name])[name].value for generated in (made, mixed))
        assert one == pytest.approx(other)


def test_pictures_that_are_no_digits_have_no_metrics_of_digits():
    faces = base.examples(np.zeros((3, 64, 64)), np.zeros((3, 0)), np.arange(3), "images")
    assert {"fid", "accuracy", "sinkhorn_features"}.isdisjoint(base.available(faces, faces))
    with pytest.raises(WrongInput, match="28×28"):
        base.evaluate(faces, faces, ["fid"])


def test_the_floor_of_a_reference_comes_from_training_digits_of_the_same_classes():
    data = mnist.load()
    real = judge.reference(data, data.rows("test"))
    assert real.twin is not None
    assert set(real.twin.primary) <= set(data.rows("train"))
    np.testing.assert_array_equal(np.sort(real.twin.conditions[:, 0]), np.sort(real.conditions[:, 0]))
    found = base.evaluate(real, real)
    assert found.keys() == {"fid", "sinkhorn_features", "accuracy"}
    assert found["fid"].value == pytest.approx(0, abs=1e-6)
    assert found["accuracy"].value == found["accuracy"].floor


# ------------------------------------------------------------------------------------------------------------- LeNet
def test_lenet_is_small_and_its_record_stands_beside_it():
    net = lenet.load()
    record = json.loads(fit_lenet.RECORD.read_text(encoding="utf-8"))
    assert sum(p.numel() for p in net.parameters()) == record["parameters"] < 100_000
    assert record["test_accuracy"] >= 0.988
    assert record["test_digits"] == 10_000
    assert max(record["validation_accuracy"]) == record["validation_accuracy"][record["kept_epoch"] - 1]


def test_lenet_reads_the_same_in_any_batch(monkeypatch):
    pictures = sample(50).showers
    whole = lenet.read(pictures)
    monkeypatch.setattr(lenet, "BATCH", 7)
    parts = lenet.read(pictures)
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-4)
    np.testing.assert_array_equal(parts[1], whole[1])
    assert lenet.features(np.zeros((0, 28, 28))).shape == (0, 84)


def test_lenet_refuses_what_it_cannot_read(tmp_path):
    with pytest.raises(WrongInput, match="28×28"):
        lenet.classes(np.zeros((2, 27, 28)))
    with pytest.raises(WrongInput, match="finite"):
        lenet.features(np.full((2, 28, 28), np.nan))
    with pytest.raises(EngineError, match="fit_lenet"):
        lenet.load(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"abc")
    with pytest.raises(EngineError, match="fit_lenet"):
        lenet.load(tmp_path / "broken.safetensors")


def test_digits_are_moved_by_a_pixel_at_most():
    picture = torch.zeros(200, 28, 28)
    picture[:, 10, 12] = 1
    moved = fit_lenet.shifted(picture, torch.Generator().manual_seed(0))
    places = {(int(y), int(x)) for _, y, x in moved.nonzero()}
    assert places == {(10 + i, 12 + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    assert moved.sum() == 200


@pytest.mark.slow
def test_the_same_seed_trains_the_same_lenet():
    data = mnist.load()
    nets = [fit_lenet.fit(data, epochs=1, seed=3)[0].state_dict() for _ in range(2)]
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])

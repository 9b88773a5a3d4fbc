"""The classifiers that tell generated from simulated showers: what they read of distributions that are known, that they
never see a primary twice, and their control."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from test_metrics import pictured, read

from engine import classifier
from engine.classifier import Side
from engine.metrics import auc, base
from engine.schema import WrongInput

SLOW = ("auc", "auc_features", "auc_conditions", "jsd")
RNG = np.random.default_rng(0)


def with_conditions(sample, conditions):
    return base.sample(sample.showers, conditions, sample.primary, "zn")


def test_area_under_the_curve_is_that_of_scikit_learn_and_a_draw_counts_half():
    real, made = RNG.integers(0, 9, (40, 3)).astype(float), RNG.integers(2, 11, (40, 2)).astype(float)
    label = np.r_[np.zeros(120), np.ones(80)]
    expected = roc_auc_score(label, np.r_[real.ravel(), made.ravel()])
    assert classifier.auc(real, made) == pytest.approx(expected)
    assert classifier.auc(made, real) == pytest.approx(1 - expected)
    assert classifier.auc(real, real) == 0.5


def test_cross_entropy_is_log_2_for_who_cannot_tell_and_0_for_who_always_can():
    nothing, sure = np.zeros((5, 2)), np.full((5, 2), 50.0)
    assert classifier.entropy(nothing, nothing) == pytest.approx(np.log(2))
    assert classifier.entropy(-sure, sure) == pytest.approx(0, abs=1e-12)


def test_two_normals_are_told_apart_as_well_as_can_be():
    """The best classifier of N(0, 1) and N(1, 1) has AUC Φ(1/√2) and reaches their Jensen–Shannon divergence."""
    rng = np.random.default_rng(1)
    real, made = rng.normal(0, 1, (2500, 2, 1)), rng.normal(1, 1, (2500, 2, 1))
    found = classifier.tell_apart(Side(real), Side(made), seed=0)
    assert found.real.shape == (750, 2)
    assert classifier.auc(found.real, found.made) == pytest.approx(norm.cdf(0.5**0.5), abs=0.02)

    def share(x):
        p, q = norm.pdf(x), norm.pdf(x - 1)
        return 0.5 * (p * np.log2(2 * p / (p + q)) + q * np.log2(2 * q / (p + q)))

    divergence = 1 - classifier.entropy(found.real, found.made) / np.log(2)
    assert divergence == pytest.approx(quad(share, -9, 10)[0], abs=0.02)


def test_what_can_only_be_learned_by_heart_is_not_told_apart():
    """Replicas of a primary share a code here: a network that had seen one would know the other."""
    real, made = (np.repeat(RNG.normal(size=(300, 1, 12)), 3, axis=1) for _ in range(2))
    found = classifier.tell_apart(Side(real), Side(made), seed=0)
    assert classifier.auc(found.real, found.made) == pytest.approx(0.5, abs=0.1)


def test_the_same_seed_gives_the_same_scores_and_leaves_torchs_generator_alone(monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 50)
    pictures = RNG.poisson(0.3, (2, 60, 2, 12, 10)).astype(np.uint16)
    sides = [Side(np.zeros((60, 2, 1)), one) for one in pictures]
    before = torch.random.get_rng_state()
    one, other = (classifier.tell_apart(*sides, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.made, other.made)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.slow
def test_light_that_is_moved_is_seen_by_the_classifier_of_fibres(monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 200)
    sample = pictured(200)
    mirrored = base.sample(sample.showers[:, ::-1], sample.conditions, sample.primary, "zn")
    where = np.zeros((600, 9))
    where[:, 5] = sample.observables["centre_x"].reshape(-1, 3).mean(axis=1).repeat(3)
    told, moved = (with_conditions(one, where) for one in (sample, mirrored))
    assert read("auc", told, moved).value > 0.8
    assert read("auc_features", told, moved).value > 0.8


# ------------------------------------------------------------------------------------------------------------ control
def test_the_control_reads_one_half_for_equal_particles_and_finds_other_ones(monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 300)
    sample, again = pictured(300, seed=1), pictured(300, seed=2)
    conditions = np.repeat(RNG.normal(size=(300, 4)), 3, axis=0)
    value = read("auc_conditions", with_conditions(sample, conditions), with_conditions(again, conditions))
    assert value.value == pytest.approx(0.5, abs=0.02)
    assert value.floor == pytest.approx(0.5, abs=0.02)
    other = with_conditions(again, conditions + 0.8)
    assert read("auc_conditions", with_conditions(sample, conditions), other).value > 0.6


@pytest.mark.parametrize("name", SLOW)
def test_a_sample_against_itself_cannot_be_told_apart(name, monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 50)
    sample = pictured(60)
    assert read(name, sample, sample).value == pytest.approx(0.0 if name == "jsd" else 0.5, abs=0.02)


@pytest.mark.parametrize("name", SLOW)
def test_showers_without_light_give_the_classifiers_a_defined_value(name, monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 50)
    lit = pictured(60)
    dark = base.sample(np.zeros_like(lit.showers), lit.conditions, lit.primary, "zn")
    for pair in ((lit, dark), (dark, lit), (dark, dark)):
        found = read(name, *pair)
        assert np.isfinite([found.value, found.error, found.floor, found.floor_error]).all()


def test_metrics_of_one_classifier_train_it_once(monkeypatch):
    fits = []
    fit = classifier._fit
    monkeypatch.setattr(classifier, "STEPS", 50)
    monkeypatch.setattr(classifier, "_fit", lambda *given, **told: fits.append(1) or fit(*given, **told))
    base.evaluate(pictured(60, seed=1), pictured(60, seed=2), ["auc", "jsd"])
    assert len(fits) == 2  # the showers, and the floor


def test_a_network_is_shown_the_impact_point_of_a_particle():
    conditions = np.array([[500.0, 0, 0, 0, 0.1, -0.05, 500, 0, 0], [500.0, 0, 0, 0, 0, 0, 0, 0, 0]])
    found = auc.condition_columns(conditions)
    np.testing.assert_allclose(found[0, 9:], [2.252, -1.126, np.log(501)])
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(auc.condition_columns(conditions[:, :3]), conditions[:, :3])


def test_a_classifier_needs_particles_to_learn_from():
    few = pictured(20)
    with pytest.raises(WrongInput, match="50 primaries"):
        base.evaluate(few, few, ["auc"])

"""The benchmark of maps: what it judges by is what the literature means, and what it prints holds together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.manifold import trustworthiness

from engine.bench import maps


@settings(deadline=None, max_examples=25)
@given(st.integers(20, 120), st.integers(1, 9), st.integers(0, 100))
def test_trustworthiness_at_all_points_is_scikit_learn_s(n, k, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 5))
    xy = features[:, :2] + rng.normal(size=(n, 2))
    found = maps.trustworthiness(features, xy, k, np.arange(n))
    assert found == pytest.approx(trustworthiness(features, xy, n_neighbors=k), abs=1e-12)


def test_trustworthiness_at_some_points_is_about_that_at_all():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 5))
    xy = features[:, :2]
    some = maps.trustworthiness(features, xy, 10, rng.permutation(600)[:200])
    assert some == pytest.approx(trustworthiness(features, xy, n_neighbors=10), abs=0.02)
    assert maps.trustworthiness(features[:, :2], xy, 10, np.arange(600)) == 1


@pytest.mark.slow
def test_a_first_map_of_a_fresh_home_is_timed_stage_by_stage(monkeypatch):
    monkeypatch.setattr(maps, "SIZES", (120,))
    monkeypatch.setattr(maps, "SHOWERS", 90)
    found = maps.run(quick=True)
    first, whole, engine = found["figures"]
    assert [one["name"] for one in found["figures"]] == ["first picture of 120", "map of 120", "start of the engine"]
    assert list(whole["stages_s"]) == ["points", "start", "neighbours", "affinities", "optimisation"]
    assert 0 < whole["stages_s"]["points"] <= first["value"] < whole["value"]
    assert sum(whole["stages_s"].values()) <= whole["value"]
    assert 0.5 < whole["trustworthiness"] <= 1
    assert engine["value"] > 0
    assert (first["at_most"], "at_most" in whole) == (maps.FIRST_S, False)

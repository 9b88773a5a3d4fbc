"""Metrics catch the generators that are broken on purpose, each those that it should and the honest one none."""

import json

import numpy as np
import pytest

from engine import benchmarks
from engine.bench import broken
from engine.datasets import zdc_fast
from engine.metrics import base
from engine.schema import MetricValue, WrongInput

RECORD = benchmarks.REFERENCE / "broken.json"
PRIMARIES = 800
MUST = {
    "brighter": {"photon_sum", "wasserstein", "mae", "mae_cond", "fpd"},
    "dropped": {"coverage", "recall", "mae", "fpd", "kpd", "radial_profile"},
    "faint": {"precision", "fpd", "kpd"},
    "mirrored": {"mae", "centre"},
    "shuffled": {"mae", "mae_cond", "centre"},
    "collapsed": {"spread", "f_div", "dispersion"},
}
MUST_NOT = {
    "mirrored": {"photon_sum", "radial_profile", "spread"},
    "shuffled": {"wasserstein", "photon_sum", "separation", "spread", "f_div"},
    "collapsed": {"mae", "mae_cond", "centre"},
    "brighter": {"centre"},
}
BY_CLASSIFIERS = {"auc", "auc_features", "jsd"}


@pytest.fixture(scope="module")
def world():
    """A set whose primaries are simulated six times: three replicas are judged by, three are broken."""
    made = zdc_fast.generate(PRIMARIES, 6, seed=5)
    photons = made["showers"].reshape(PRIMARIES, 6, 44, 44)
    conditions, pdg = made["conditions"][::6], made["pdg"][::6]
    owner = np.repeat(np.arange(PRIMARIES), 3)
    reference = base.sample(photons[:, :3].reshape(-1, 44, 44), np.repeat(conditions, 3, axis=0), owner, "zn")
    return reference, broken.Showers(photons[:, 3:], conditions, pdg)


@pytest.fixture(scope="module")
def judged(world):
    reference, showers = world
    return {row["name"]: row for row in broken.judge(reference, showers, names=base.available(reference, reference))}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUST)
def test_a_broken_generator_is_caught_by_the_metrics_that_are_there_for_it(judged, name):
    assert MUST[name] <= set(judged[name]["caught_by"])


@pytest.mark.slow
@pytest.mark.parametrize("name", MUST_NOT)
def test_metrics_that_are_blind_to_a_break_do_not_claim_to_see_it(judged, name):
    assert MUST_NOT[name].isdisjoint(judged[name]["caught_by"])


@pytest.mark.slow
def test_an_honest_generator_is_caught_by_none(judged):
    assert judged["unbroken"]["caught_by"] == []


@pytest.mark.slow
def test_a_generator_of_means_has_an_mae_below_the_floor(judged):
    for name in ("mae", "mae_cond"):
        reading = judged["collapsed"]["metrics"][name]
        assert reading["value"] < 0.95 * reading["floor"]


@pytest.mark.slow
def test_a_network_that_sees_conditions_catches_showers_of_other_particles(world):
    reference, showers = world
    chosen = [one for one in broken.GENERATORS if one.name == "shuffled"]
    honest, shuffled = broken.judge(reference, showers, chosen, ["auc_features", "auc_conditions"])
    assert honest["caught_by"] == []
    assert shuffled["caught_by"] == ["auc_features"]


# ----------------------------------------------------------------------------------------------------------- breaking
def test_each_break_does_what_it_says():
    rng = np.random.default_rng(0)
    photons = rng.poisson(5.0, (6, 3, 44, 44)).astype(np.uint16)
    conditions = np.tile([500.0, 0, 0, 0, 0, 0, 500, 0, 0], (6, 1))
    conditions[:, 0] = [500, 100, 510, 90, 300, 2000]
    showers = broken.Showers(photons, conditions, np.array([2112, 2112, 22, 22, 130, 22]))
    made = {one.name: one.make(showers, np.random.default_rng(1)) for one in broken.GENERATORS}
    assert all(one.shape == photons.shape for one in made.values())
    assert made["brighter"].mean() == pytest.approx(1.2 * photons.mean(), rel=0.01)
    np.testing.assert_array_equal(made["dropped"], photons[[2, 3, 2, 3, 4, 5]])
    np.testing.assert_array_equal(made["mirrored"][:, :, 0], photons[:, :, 43])
    assert all(not np.array_equal(one, other) for one, other in zip(made["shuffled"], photons, strict=True))
    np.testing.assert_allclose(made["collapsed"][:, 1], photons.mean(axis=1))
    assert made["faint"].sum() == photons.sum() - (photons == 1).sum()


def test_caught_is_worse_than_the_floor_by_three_standard_deviations_in_the_bad_direction():
    reading = MetricValue(value=10.0, error=3.0, unit="")
    assert not broken.caught(reading, 0.0, 4.0, "lower")  # 2 σ
    assert broken.caught(reading, -6.0, 4.0, "lower")
    assert not broken.caught(reading, 30.0, 4.0, "lower")
    assert broken.caught(reading, 30.0, 4.0, "higher")
    assert broken.caught(reading, 30.0, 4.0, "one")


def test_a_generator_that_there_is_not_is_refused():
    with pytest.raises(WrongInput, match="mirrored"):
        broken.run(quick=True, rows=["haunted"])


@pytest.mark.slow
def test_the_benchmark_leaves_a_record_that_explains_itself(home):
    said = []
    found = broken.run(quick=True, rows=["mirrored"], say=said.append)
    assert [row["name"] for row in found["generators"]] == ["unbroken", "mirrored"]
    assert found["primaries"] == 15  # all that the small set has
    assert "centre" in said[1]
    assert "| Mirrored |" in found["table"]
    json.dumps(found)


# ------------------------------------------------------------------------------------------------------------- record
def test_the_record_says_what_was_done_and_every_metric_of_showers_is_in_it():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    of_showers = {name for name in base.names() if "showers" in base.get(name).INFO.kinds}
    assert record["metrics"].keys() == of_showers
    assert record["commit"]
    assert "dirty" not in record["commit"]
    assert record["command"] == "showerscope bench broken"
    rows = {row["name"]: row for row in record["generators"]}
    assert list(rows) == [one.name for one in broken.GENERATORS]
    assert rows["unbroken"]["caught_by"] == []
    for name, row in rows.items():
        assert row["done"]
        assert MUST.get(name, set()) <= set(row["caught_by"])
        assert MUST_NOT.get(name, set()).isdisjoint(row["caught_by"])
        assert set(row["caught_by"]) == {metric for metric, one in row["metrics"].items() if one["caught"]}
        if name != "unbroken":
            assert set(row["caught_by"]) >= BY_CLASSIFIERS
        assert abs(row["metrics"]["auc_conditions"]["value"] - 0.5) <= 0.02

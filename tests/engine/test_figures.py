"""Figures of speed: medians, targets and exponents hold what they say, and no reader takes them for models."""

import json
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import benchmarks
from engine.bench import figures


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=40))
def test_a_median_lies_within_its_quartiles(seconds: list[float]):
    value, (low, high) = figures.middle(seconds)
    assert low <= value <= high
    assert value == pytest.approx(np.median(seconds))


def test_ratios_are_of_neighbours_not_of_medians():
    value, _ = figures.ratio([(1.0, 2.0), (10.0, 20.0), (3.0, 4.0)])
    assert value == 0.5


@given(st.floats(0.1, 3.0), st.floats(1e-6, 10.0))
def test_the_exponent_of_a_power_law_is_found(power: float, factor: float):
    sizes = [100, 300, 1000, 3000]
    slope, error = figures.exponent(sizes, [factor * n**power for n in sizes])
    assert slope == pytest.approx(power)
    assert error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("bounds", "met"), [({"most": 1.0}, True), ({"most": 0.9}, False), ({"least": 1.0}, True), ({"least": 1.1}, False)]
)
def test_a_target_is_met_at_its_bound_and_named_where_it_is_missed(bounds, met, capsys):
    found = figures.record("train", [figures.figure("a ratio", 1.0, "", **bounds), figures.figure("time", 2.0, "ms")])
    assert found["figures"][0]["met"] is met
    assert "met" not in found["figures"][1]
    assert found["missed"] == ([] if met else ["a ratio"])
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith("met" if met else "MISSED")
    assert said[1] == "time: 2 ms"


def test_the_first_call_of_each_is_not_counted():
    called = []
    found = figures.pairs(lambda: called.append("a"), lambda: called.append("b"), 3, lambda work: work() or 1.0)
    assert called == ["a", "b"] * 4
    assert len(found) == 3


def test_records_of_speed_stay_out_of_the_tables_of_models(tmp_path, caplog):
    path = tmp_path / "train.json"
    path.write_text(json.dumps(figures.record("train", [figures.figure("time", 2.0, "ms")])))
    with caplog.at_level(logging.WARNING):
        assert benchmarks.read_all(path) == []
    assert not caplog.records

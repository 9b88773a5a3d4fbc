"""Benchmarks of speed: what they print holds together; no time decides."""

import math

import pytest

from engine.bench import sinkhorn


def test_solvers_are_compared_on_the_same_clouds_with_errors_and_a_floor(monkeypatch):
    monkeypatch.setattr(sinkhorn, "SIZES", {"cpu": (40,)})
    monkeypatch.setattr(sinkhorn.torch.cuda, "is_available", lambda: False)
    found = sinkhorn.run(quick=True)
    assert [(row["points"], row["of"]) for row in found["rows"]] == [(40, "whole"), (40, "classes")]
    for row in found["rows"]:
        low, high = row["quartiles"]
        assert 0 < low <= row["ratio"] <= high
    whole = found["rows"][0]
    assert whole["value_error"] < 1e-5
    assert whole["gradient_error"] < 1e-3
    assert 0 < whole["floor_ms"] < math.inf
    assert whole["share_of_floor"] == pytest.approx(whole["floor_ms"] / whole["ms"])


def test_a_target_holds_at_its_size_alone_and_is_not_met_by_more(monkeypatch):
    monkeypatch.setattr(sinkhorn, "SIZES", {"cpu": (100, 1000)})
    monkeypatch.setattr(sinkhorn.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sinkhorn, "compared", lambda n, device, of, repetitions: {"points": n, "of": of, "ratio": 0.1})
    found = sinkhorn.run()
    assert [(row["target"], row["met"]) for row in found["rows"]] == [
        (None, True), (None, True), (0.2, True), (0.03, False),
    ]  # fmt: skip
    assert found["met"] is False

"""The benchmark of scaling: crossings and bias by closed forms, files that can be imported, and figures that hold
together; no time decides."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.bench import scaling
from engine.imports.intake import import_file


@given(st.floats(0.2, 3), st.floats(0.1, 2), st.floats(20, 20_000))
def test_power_laws_cross_where_they_are_equal_between_sizes_and_beyond(slope, lead, at):
    sizes = [100, 300, 1000, 3000]
    other = [n**slope for n in sizes]
    one = [at ** (-lead) * n ** (slope + lead) for n in sizes]
    assert scaling.crossing(sizes, one, other) == pytest.approx(at, rel=1e-6)


def test_what_grows_no_faster_never_overtakes():
    assert scaling.crossing([1, 2, 4], [1.0, 1.5, 2.25], [2.0, 4.0, 8.0]) == math.inf


def test_a_block_of_one_point_is_nearest_to_its_mean_and_the_whole_cloud_to_its_twin():
    """A point alone is drawn to the middle of all that it may meet: half its square distance is S."""
    x, y = (torch.randn(400, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    apart, spread = scaling.nearest(x, y, 1)
    assert apart == pytest.approx(3, rel=0.15)  # ½ E‖x − y‖² of independent normal points is d
    assert spread == pytest.approx(0, abs=0.15)
    apart, spread = scaling.nearest(x, x.clone(), 400)
    assert apart == pytest.approx(0, abs=1e-5)
    assert spread == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", ["showers", "particles"])
def test_files_to_import_hold_their_rows_and_none_twice(kind, tmp_path):
    report = import_file(scaling.write(kind, 60, tmp_path), "made", tmp_path)
    assert (report.kind, report.rows_kept, report.refused_total, report.duplicates) == (kind, 60, 0, 0)


@pytest.mark.slow
def test_every_exponent_stands_with_its_error_and_the_sizes_that_it_was_fitted_to(monkeypatch):
    monkeypatch.setattr(scaling, "BATCHES", (16, 32, 64, 128, 256))
    monkeypatch.setattr(scaling, "BLOCK", 24)
    monkeypatch.setattr(scaling, "TRAININGS", {"": {}, " in blocks": {"transport_block": 24}})
    monkeypatch.setattr(scaling, "POINTS", (100, 200, 300, 400, 500))
    monkeypatch.setattr(scaling, "ROWS", {"showers": (20, 40, 80, 160, 320), "particles": (20, 40, 80, 160, 320)})
    monkeypatch.setattr(scaling.torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    found = {one["name"]: one for one in scaling.run(quick=True)["figures"]}
    assert torch.get_num_threads() == threads
    fits = [one for name, one in found.items() if name.startswith("exponent")]
    assert len(fits) == 6 + 3 + 2
    assert all(np.isfinite([one["value"], one["error"], *one["seconds"]]).all() for one in fits)
    assert found["exponent of transport"]["sizes"] == [16, 32, 64]
    assert found["exponent of transport in blocks"]["sizes"] == [32, 64]
    assert 0 < found["share of transport in a step, batch 64"]["value"] < 1
    assert len(found["exponent of an import of showers against rows"]["memory_mb"]) == 3
    bias = [one for name, one in found.items() if name.startswith("two samples")]
    assert [one["value"] for one in bias] == sorted((one["value"] for one in bias), reverse=True)
    assert [one["spread_of_nearest"] for one in bias] == sorted(one["spread_of_nearest"] for one in bias)

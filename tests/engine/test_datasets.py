"""One suite over every registered data set, and the facts of the bundled one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import zdc
from engine.datasets import base as datasets
from engine.schema import NotFound, WrongInput
from engine.spaces import ZDC_COLUMNS


@pytest.fixture(params=datasets.names(), scope="module")
def data(request):
    return datasets.load(request.param)


def test_arrays_agree_and_are_frozen(data):
    if data.kind == "showers":
        assert data.showers.shape[1:] == zdc.DETECTORS[data.detector].shape
        assert data.columns == ZDC_COLUMNS
    else:
        assert data.detector == ""
    assert data.conditions.shape == (len(data.showers), len(data.columns))
    assert np.isfinite(data.conditions).all()
    with pytest.raises(ValueError, match="read-only"):
        data.showers[0, 0, 0] = 1


def test_no_primary_is_on_both_sides_of_a_split(data):
    sides = [set(data.primary_id[data.rows(split)].tolist()) for split in datasets.SPLITS]
    assert all(sides)
    assert len(set.union(*sides)) == sum(len(side) for side in sides)
    assert sum(len(data.rows(split)) for split in datasets.SPLITS) == len(data.showers)


def test_info_counts_what_the_arrays_hold(data):
    info = data.info()
    assert info.showers == sum(info.splits.values()) == len(data.showers)
    assert info.primaries == len(np.unique(data.primary_id))
    for condition in info.conditions:
        assert condition.minimum <= condition.quantiles[0] <= condition.quantiles[-1] <= condition.maximum
    assert info.label
    assert info.provenance


@pytest.mark.parametrize("name", datasets.names())
def test_a_set_is_ready_once_loaded_or_says_before_what_it_will_be(name, tmp_path, monkeypatch):
    data = datasets.load(name)
    assert datasets.ready(name)
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(tmp_path))
    if not datasets.ready(name):
        promised, found = datasets.describe(name), data.info()
        assert (promised.ready, found.ready) == (False, True)
        for field in ("name", "title", "label", "detector", "shape", "showers", "primaries"):
            assert getattr(promised, field) == getattr(found, field)
        assert set(found.pdg) <= set(promised.pdg)


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(NotFound, match=r"there are .*zdc_geant4"):
        datasets.load("../../etc/passwd")
    with pytest.raises(WrongInput, match="train, validation, test"):
        datasets.load("zdc_geant4").rows("all")


def test_geant4_figures_stand_as_published_with_the_data():
    """assets/data/zn_geant4.md: mean pixel 0.213, largest 1 021, quartiles 112/253/529, 2.6 % empty, floor 12.06."""
    data = datasets.load("zdc_geant4")
    assert data.showers.mean() == pytest.approx(0.213, abs=5e-4)
    assert data.showers.max() == 1021
    np.testing.assert_allclose(np.quantile(data.photon_sum, [0.25, 0.5, 0.75]), [112, 253, 529], atol=1)
    assert (data.photon_sum == 0).mean() == pytest.approx(0.026, abs=5e-4)
    rows = np.lexsort((data.replica, data.primary_id))
    channels = data.channels("paper")[rows].reshape(-1, 3, 5)
    pairs = [np.abs(channels[:, a] - channels[:, b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert np.mean(pairs) == pytest.approx(12.06, abs=0.3)


@given(
    ids=st.lists(st.integers(0, 40), min_size=30, max_size=200),
    seed=st.integers(0, 1000),
)
def test_split_is_a_function_of_the_primary(ids, seed):
    ids = np.array(ids)
    side = datasets.split_by_primary(ids, seed)
    assert all(len(set(side[ids == i].tolist())) == 1 for i in set(ids.tolist()))
    np.testing.assert_array_equal(side, datasets.split_by_primary(ids, seed))

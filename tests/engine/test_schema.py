"""The wire format survives a round trip and refuses what is broken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from engine.schema import Arrays, GenerateRequest, Particle, TrainSpec, WrongInput, read_metadata

some_arrays = arrays.arrays(
    st.sampled_from([np.float32, np.float64, np.uint16, np.int64]), arrays.array_shapes(max_dims=3, max_side=5)
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), some_arrays, min_size=1, max_size=4), st.text())
def test_arrays_come_back_bit_by_bit(values, note):
    values.pop("__metadata__", None)
    if not values:
        return
    back = Arrays.from_bytes(Arrays(values, {"note": note, "seed": 3}).to_bytes())
    assert back.meta == {"note": note, "seed": 3}
    assert set(back.arrays) == set(values)
    for name, value in values.items():
        assert back[name].dtype == value.dtype
        assert back[name].tobytes() == value.tobytes()


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(WrongInput):
        Arrays.from_bytes(data)


@given(st.integers(1, 200))
def test_cut_off_bytes_are_refused(cut):
    whole = Arrays({"x": np.arange(50)}, {"a": 1}).to_bytes()
    with pytest.raises(WrongInput):
        Arrays.from_bytes(whole[:-cut])


def test_arrays_that_are_not_contiguous_keep_their_order():
    view = np.arange(12.0).reshape(3, 4).T
    np.testing.assert_array_equal(Arrays.from_bytes(Arrays({"v": view}).to_bytes())["v"], view)


def test_a_missing_or_broken_file_is_refused(tmp_path):
    with pytest.raises(WrongInput, match="cannot be read"):
        read_metadata(str(tmp_path / "none.safetensors"))
    (tmp_path / "half.safetensors").write_bytes(b"\x10\x00")
    with pytest.raises(WrongInput, match="cannot be read"):
        read_metadata(str(tmp_path / "half.safetensors"))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Particle, {"energy_gev": float("nan")}),
        (Particle, {"energy_gev": float("inf")}),
        (Particle, {"side": 0}),
        (GenerateRequest, {"run": "r", "n": 0}),
        (GenerateRequest, {"run": "r", "n": 10**8}),
        (GenerateRequest, {"run": "r", "seed": -1}),
        (TrainSpec, {"model": "e2e_sae", "modle": "x"}),
    ],
)
def test_requests_outside_their_range_are_refused(kind, values):
    with pytest.raises(ValidationError):
        kind(**values)

"""Pickled numpy arrays, read so that nothing else can come out: every global a pickle may name is listed here.

Unpickling calls whatever the file names. Here the names of numpy's array reconstruction lead to stand-ins that check
what they are given, and any other name is refused with its name, before it is imported.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.imports.base import Images, Part, Table, check_rows, is_pictures, line, pieces
from engine.schema import WrongInput

_ARRAY = "numpy.ndarray"
"""Stands for the class `numpy.ndarray`, which itself could be called with any size."""
BROKEN = (pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, AttributeError, IndexError, KeyError)
"""What a damaged pickle makes the unpickler raise."""
TYPES = frozenset(f"{kind}{size}" for kind in "iuf" for size in (1, 2, 4, 8)) | {"b1"}


def matches(path: Path) -> bool:
    return path.suffix.lower() in {".pkl", ".pickle", ".p"}


class _Number:
    """A plain numpy type, in numpy's place while the file is read."""

    def __init__(self, spec: str, align: bool = False, copy: bool = True) -> None:
        if not isinstance(spec, str) or spec.lstrip("<>|=") not in TYPES:
            raise WrongInput(f"numpy type {spec!r} in the pickle is no plain number")
        self.spec, self.order = spec.lstrip("<>|="), "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in {"<", ">", "|", "="}:
            raise WrongInput(f"byte order {state[1]!r} in the pickle is none")
        self.order = state[1]

    def dtype(self) -> np.dtype:
        return np.dtype(self.order + self.spec)


class _Array:
    """An array in the making: the file's state is checked here instead of being handed to numpy's own code."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, number, fortran, data = state
        if not isinstance(number, _Number) or isinstance(data, list):
            raise WrongInput("an array in the pickle holds Python objects, which are not read")
        if isinstance(data, str):  # written by Python 2
            data = data.encode("latin1")
        self.array = _frombuffer(data, number, shape, "F" if fortran else "C")


def _reconstruct(kind: str, shape: tuple[int, ...], code: bytes) -> _Array:
    if kind != _ARRAY or shape != (0,):
        raise WrongInput("the pickle builds something other than a numpy array")
    return _Array()


def _frombuffer(buffer: Any, number: _Number, shape: tuple[int, ...], order: str) -> NDArray:
    if math.prod(shape) * number.dtype().itemsize != len(buffer):
        raise ValueError(f"{len(buffer)} bytes do not hold an array of {shape}")
    return np.frombuffer(buffer, dtype=number.dtype()).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Protocol 2 and older write bytes as text to be encoded."""
    if encoding != "latin1":
        raise WrongInput(f"the pickle asks for the encoding {encoding!r}")
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Callable[..., Any] | str] = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _Number,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows numpy arrays of plain numbers and Python's own containers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            asked = f"{module}.{name}".encode("unicode_escape").decode()[:80]
            raise WrongInput(f"the pickle asks for {asked}; only numpy arrays are read, it was not called")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise WrongInput("the pickle refers to objects outside itself; only numpy arrays are read")


def read(path: Path) -> Part:
    """Read the arrays of a pickle. The file is held in memory once; the arrays share its bytes.

    Raises `WrongInput` for anything but numpy arrays (or a dict, list or tuple of them), naming what it met.
    """
    try:
        with path.open("rb") as file:
            found = ArrayUnpickler(file, encoding="latin1").load()
    except WrongInput as error:
        mend = ""
        if "pandas" in str(error):
            mend = ": a pandas table is read from parquet, frame.to_parquet(...)"
        raise WrongInput(f"{path}: {error}{mend}") from error
    except (*BROKEN, MemoryError, OverflowError) as error:
        raise WrongInput(f"{path}: not a whole pickle of numpy arrays ({line(error)})") from error
    if isinstance(found, list | tuple):
        found = {f"arr_{i}": value for i, value in enumerate(found)}
    elif not isinstance(found, dict):
        found = {"arr_0": found}
    part = Part(format="pickle", files=[path])
    named: dict[str, NDArray] = {}
    matrix = None
    for name, value in found.items():
        place = f"{path}, {name!s:.80}"
        if isinstance(value, _Array):
            value = getattr(value, "array", None)
        if not isinstance(value, np.ndarray):
            raise WrongInput(f"{place}: a {type(value).__name__}, not a numpy array")
        if is_pictures(str(name), value.shape):
            if part.images is not None:
                raise WrongInput(f"{place}: a second array of pictures beside {part.images.place}: keep one")
            part.images = _images(place, value)
        elif value.ndim == 2 and (matrix is None or name == "conditions"):
            check_rows(place, len(value))
            matrix = value
        elif value.ndim == 1:
            named[str(name)] = value
    if matrix is not None or named:
        part.table = Table(f"{path}", named=named, matrix=matrix)
    return part


def _images(place: str, array: NDArray) -> Images:
    return Images(place, len(array), array.shape[1:], array.dtype, lambda: pieces(array))

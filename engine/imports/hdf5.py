"""HDF5: data sets named as in the project's npz (`showers`, `conditions`, …), or one column a data set.

Links to other files, external storage and virtual data sets are refused: a file from a stranger must not reach for
others on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.imports.base import (
    BLOCK_ROWS,
    Facts,
    Images,
    Part,
    Table,
    check_declared,
    check_rows,
    is_pictures,
    line,
    pieces,
)
from engine.schema import EngineError, WrongInput

BROKEN = (OSError, KeyError, ValueError, RuntimeError, TypeError, MemoryError, OverflowError)
MAX_OBJECTS = 1000


def matches(path: Path) -> bool:
    return path.suffix.lower() in {".h5", ".hdf5", ".hdf"}


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise EngineError("reading HDF5 needs h5py: pip install 'showerscope[hdf5]'") from error
    return h5py


def read(path: Path) -> Part:
    """Find the data sets of the file; only the small ones are read now. Raises `WrongInput` for a broken file."""
    h5py = _h5py()
    part = Part(format="hdf5", files=[path])
    named: dict[str, NDArray] = {}
    matrix = None
    try:
        with h5py.File(path, "r") as file:
            declared = {k: str(v) for k, v in file.attrs.items() if k in {"detector", "axes", "photons"}}
            for name, data in _datasets(h5py, file, path):
                place = f"{path}, {name}"
                short = name.rsplit("/", 1)[-1]
                if data.dtype.hasobject:
                    raise WrongInput(f"{place}: holds {data.dtype}, not numbers")
                check_declared(place, data.size * data.dtype.itemsize, data.id.get_storage_size())
                if data.dtype.names:
                    named.update({n: data[n] for n in data.dtype.names})
                elif is_pictures(short, data.shape):
                    if part.images is not None:
                        raise WrongInput(f"{place}: pictures a second time beside {part.images.place}: keep one")
                    part.images = _images(h5py, path, name, place, data)
                elif data.ndim == 2 and (matrix is None or short == "conditions"):
                    check_rows(place, data.shape[0])
                    matrix = data[()]
                elif data.ndim == 1:
                    named[short] = data[()]
        part.declared = Facts.model_validate(declared)
    except BROKEN as error:
        raise WrongInput(f"{path}: cannot be read as HDF5 ({line(error)})") from error
    if matrix is not None or named:
        part.table = Table(str(path), named=named, matrix=matrix)
    return part


def _datasets(h5py: Any, group: Any, path: Path, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every data set of the file itself, two groups deep."""
    if len(group) > MAX_OBJECTS:
        raise WrongInput(f"{path}: {len(group)} objects in one group, more than {MAX_OBJECTS}")
    for key in group:
        name = prefix + key
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise WrongInput(f"{path}, {name}: a link elsewhere, which is not followed: store the data in the file")
        item = group[key]
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise WrongInput(f"{path}, {name}: its data lie in another file, which is not followed")
            yield name, item
        elif isinstance(item, h5py.Group) and depth < 2:
            yield from _datasets(h5py, item, path, f"{name}/", depth + 1)


def _images(h5py: Any, path: Path, name: str, place: str, data: Any) -> Images:
    shape = data.shape
    chunk = data.chunks[0] if data.chunks else BLOCK_ROWS
    step = -(-BLOCK_ROWS // chunk) * chunk  # a chunk is unpacked once, however large

    def blocks() -> Iterator[NDArray]:
        try:
            with h5py.File(path, "r") as file:
                for start in range(0, shape[0], step):
                    yield from pieces(file[name][start : start + step])
        except BROKEN as error:
            raise WrongInput(f"{place}: cannot be read to its end ({line(error)})") from error

    return Images(place, shape[0], shape[1:], np.dtype(data.dtype), blocks)

"""npz and npy: the project's own files, and `data_nonrandom_{responses,particles}.npz` with one array `arr_0`.

The pictures are read from the compressed stream block by block; the size that the zip directory declares must be the
size that the array's header declares, and neither is believed beyond reason. Nothing is unpickled.
"""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.imports.base import Images, Part, Table, check_declared, check_rows, is_pictures, line, pieces, slices
from engine.schema import CONDITIONS, WrongInput

BROKEN = (
    OSError,
    EOFError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    OverflowError,
    tokenize.TokenError,
    SyntaxError,
    TypeError,
)
"""What zipfile and numpy raise on a file that is cut off, encrypted or not theirs."""
MAX_ENTRIES = 256
WHOLE_BYTES = 2**30
"""A Fortran-ordered array cannot be streamed by rows: up to this size it is read whole."""


def matches(path: Path) -> bool:
    return path.suffix.lower() in {".npz", ".npy"}


def read(path: Path) -> Part:
    """Find the arrays of the file; only the small ones are read now. Raises `WrongInput` for a broken file."""
    part = Part(format="npz", files=[path])
    try:
        if path.suffix.lower() == ".npy":
            arrays = {"arr_0": (path.name, path.stat().st_size)}
        else:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise WrongInput(f"{path}: {len(entries)} arrays in one file, more than {MAX_ENTRIES}")
            for entry in entries:
                check_declared(f"{path}, {entry.filename}", entry.file_size, entry.compress_size)
            arrays = {e.filename.removesuffix(".npy"): (e.filename, e.file_size) for e in entries}
        named: dict[str, NDArray] = {}
        matrix = None
        for name, (entry, size) in arrays.items():
            place = f"{path}, {name}"
            shape, fortran, dtype, offset = _header(path, entry, place)
            if dtype.hasobject:
                raise WrongInput(f"{place}: holds Python objects, which are never read: store numbers")
            if size != offset + math.prod(shape) * dtype.itemsize:
                raise WrongInput(f"{place}: {size} bytes do not hold {shape} numbers of {dtype}: the file is cut off")
            if not shape:
                continue
            if is_pictures(name, shape):
                if part.images is not None:
                    raise WrongInput(f"{place}: a second array of pictures beside {part.images.place}: keep one")
                part.images = _images(path, entry, place, shape, dtype, fortran)
            elif name == "columns":
                columns = tuple(str(c) for c in _whole(path, entry))
                if columns[: len(CONDITIONS)] != CONDITIONS:
                    raise WrongInput(f"{place}: columns are {', '.join(columns)}: expected {', '.join(CONDITIONS)}")
            elif len(shape) == 2 and (matrix is None or name == "conditions"):
                check_rows(place, shape[0])
                matrix = _whole(path, entry)
            elif len(shape) == 1:
                named[name] = _whole(path, entry)
    except BROKEN as error:
        raise WrongInput(
            f"{path}: cannot be read as npz ({line(error)}): the file is cut off or of another kind"
        ) from error
    if matrix is not None:
        part.table = Table(f"{path}", named=named, matrix=matrix)
    elif set(named) & set(CONDITIONS) or part.images is None:
        part.table = Table(f"{path}", named=named)
    return part


def _open(path: Path, entry: str) -> IO[bytes]:
    if path.suffix.lower() == ".npy":
        return path.open("rb")
    return zipfile.ZipFile(path).open(entry)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(file)
    if version == (1, 0):
        return npy.read_array_header_1_0(file)
    if version == (2, 0):
        return npy.read_array_header_2_0(file)
    raise ValueError(f"npy version {version} is not known")


def _header(path: Path, entry: str, place: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    with _open(path, entry) as file:
        shape, fortran, dtype = _read_header(file)
        return shape, fortran, dtype, file.tell()


def _whole(path: Path, entry: str) -> NDArray:
    with _open(path, entry) as file:
        return npy.read_array(file, allow_pickle=False)


def _images(path: Path, entry: str, place: str, shape: tuple[int, ...], dtype: np.dtype, fortran: bool) -> Images:
    if fortran and math.prod(shape) * dtype.itemsize > WHOLE_BYTES:
        raise WrongInput(f"{place}: stored column by column, so rows cannot be streamed: np.ascontiguousarray first")
    row_bytes = math.prod(shape[1:]) * dtype.itemsize

    def blocks() -> Iterator[NDArray]:
        try:
            if fortran:
                yield from pieces(_whole(path, entry))
                return
            with _open(path, entry) as file:
                _read_header(file)
                for rows in slices(shape[0]):
                    count = rows.stop - rows.start
                    data = file.read(count * row_bytes)
                    if len(data) != count * row_bytes:
                        raise WrongInput(
                            f"{place}, row {rows.start + len(data) // row_bytes + 1}: the file is cut off here "
                            f"({shape[0]} rows are declared)"
                        )
                    yield np.frombuffer(data, dtype).reshape(count, *shape[1:])
        except BROKEN as error:
            raise WrongInput(f"{place}: cannot be read to its end ({line(error)}): the file is damaged") from error

    return Images(place, shape[0], shape[1:], dtype, blocks)

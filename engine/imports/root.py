"""ROOT: the first tree with a branch of pictures (or of conditions), read by uproot in blocks."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from numpy.typing import NDArray
from uproot.deserialization import DeserializationError

from engine.imports.base import (
    BLOCK_ROWS,
    SHOWERS,
    Images,
    Part,
    Table,
    check_declared,
    check_rows,
    is_pictures,
    line,
    pieces,
)
from engine.schema import WrongInput

BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    RuntimeError,
    AssertionError,
    AttributeError,
    NotImplementedError,
    MemoryError,
    OverflowError,
    RecursionError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
    DeserializationError,
)
"""What uproot lets through on a damaged file."""


def matches(path: Path) -> bool:
    return path.suffix.lower() == ".root"


def _open(path: Path) -> Any:
    return uproot.open(path)


def read(path: Path) -> Part:
    """Find the tree; only plain branches are read now. Raises `WrongInput` for a broken file or one without a tree."""
    try:
        with _open(path) as file:
            trees = [file[key] for key in file.keys(filter_classname="TTree", recursive=True)]
            if not trees:
                raise WrongInput(f"{path}: no tree in this file: write the showers as a TTree")
            tree = next((t for t in trees if any(b.name.lower() in SHOWERS for b in t.branches)), trees[0])
            return _tree(path, tree)
    except BROKEN as error:
        raise WrongInput(f"{path}: cannot be read as ROOT, cut off or of another kind ({line(error)})") from error


def _tree(path: Path, tree: Any) -> Part:
    rows = int(tree.num_entries)
    place = f"{path}, tree {tree.name}"
    check_rows(place, rows)
    part = Part(format="root", files=[path])
    named: dict[str, NDArray] = {}
    matrix = None
    for branch in tree.branches:
        spot = f"{place}, branch {branch.name}"
        check_declared(spot, int(branch.uncompressed_bytes), int(branch.compressed_bytes))
        kind = getattr(branch.interpretation, "numpy_dtype", np.dtype(object))
        base, shape = kind.subdtype or (kind, ())
        if branch.name.lower() in SHOWERS and base.hasobject:
            base, shape = _jagged(branch, spot)
        if base.hasobject:
            part.notes.append(f"branch {branch.name} of type {branch.typename} is no plain number: left out")
        elif is_pictures(branch.name, (rows, *shape)):
            if part.images is not None:
                raise WrongInput(f"{spot}: pictures a second time beside {part.images.place}: keep one")
            part.images = _images(path, tree.object_path, branch.name, spot, rows, tuple(shape), base)
        elif len(shape) == 1 and (matrix is None or branch.name == "conditions"):
            matrix = branch.array(library="np")
        elif not shape:
            named[branch.name] = branch.array(library="np")
    if matrix is not None or named:
        part.table = Table(place, named=named, matrix=matrix)
    return part


def _jagged(branch: Any, place: str) -> tuple[np.dtype, tuple[int, ...]]:
    """Type and shape of a picture stored as a vector of numbers, read off the first entry."""
    first = np.asarray(branch.array(library="np", entry_stop=1)[0])
    if first.dtype.kind not in "iuf":
        raise WrongInput(f"{place}: type {branch.typename} is not a photon count: store numbers")
    return first.dtype, first.shape


def _images(
    path: Path, tree: str, branch: str, place: str, rows: int, shape: tuple[int, ...], dtype: np.dtype
) -> Images:
    def blocks() -> Iterator[NDArray]:
        try:
            with _open(path) as file:
                source = file[tree.partition(":")[2].lstrip("/") if ":" in tree else tree.lstrip("/")][branch]
                start = 0
                for stop in _stops(source.entry_offsets, rows):
                    block = source.array(library="np", entry_start=start, entry_stop=stop)
                    if block.dtype == object:
                        block = _stack(block, shape, place, start)
                    yield from pieces(block)
                    start = stop
        except BROKEN as error:
            raise WrongInput(f"{place}: cannot be read to its end ({line(error)})") from error

    return Images(place, rows, shape, dtype, blocks)


def _stops(offsets: list[int], rows: int) -> Iterator[int]:
    """Where to cut: at the ends of baskets, so that each is unpacked once, a block or more apart."""
    start = 0
    for end in offsets[1:]:
        if start + BLOCK_ROWS <= end < rows:
            yield end
            start = end
    yield rows


def _stack(block: NDArray, shape: tuple[int, ...], place: str, start: int) -> NDArray:
    rows = [np.asarray(row) for row in block]
    for number, row in enumerate(rows, start + 1):
        if row.shape != shape:
            raise WrongInput(f"{place}, row {number}: a picture of shape {row.shape}, expected {shape}")
    return np.stack(rows)

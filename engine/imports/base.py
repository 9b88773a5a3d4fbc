"""What a reader hands over, what an import may be told and what it reports. One module beside this a format.

A reader module has `matches(path) -> bool` and `read(path) -> Part`; it opens lazily and streams, so that a file of
any size is imported in blocks. Files come from strangers: declared sizes are checked before anything is allocated.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import engine.imports
from engine.schema import Facts, WrongInput

BLOCK_ROWS = 2048
"""Showers read at once: 2048 × 1936 fibres × 8 bytes = 32 MB."""
MAX_ROWS = 50_000_000
MAX_RATIO = 500
"""Largest believable compression of showers; Geant4's reach 27 as uint16 and about 110 as float64 [measured]."""
SMALL_BYTES = 64 * 2**20
"""Below this a declared size can do no harm, whatever its compression."""
SHOWERS = ("showers", "shower", "responses", "response", "images", "image", "photons")
"""Names under which pictures are found."""


@dataclass(frozen=True)
class Images:
    """Pictures of a file, not yet read: `blocks()` yields arrays `(n, *shape)` in the file's order."""

    place: str
    rows: int
    shape: tuple[int, ...]
    dtype: np.dtype
    blocks: Callable[[], Iterator[NDArray]]


@dataclass(frozen=True)
class Table:
    """Conditions of a file: columns by name, or a matrix whose columns have none."""

    place: str
    named: dict[str, NDArray] = field(default_factory=dict)
    matrix: NDArray | None = None
    unit: str = "row"
    """What a row is called in this file."""
    first: int = 1
    """Number of the first row."""


@dataclass
class Part:
    """What one file holds: pictures, a table, both, or read-out channels `(N, 5)` [photons]."""

    format: str
    files: list[Path]
    images: Images | None = None
    table: Table | None = None
    channels: NDArray[np.int64] | None = None
    convention: str = ""
    declared: Facts = field(default_factory=Facts)
    notes: list[str] = field(default_factory=list)


def readers() -> list[str]:
    """Names of the formats: the reader modules of this folder."""
    found = (m.name for m in pkgutil.iter_modules(engine.imports.__path__))
    return sorted(n for n in found if n not in {"base", "conditions", "intake", "pictures", "store"})


def read(path: Path) -> Part:
    """Open a file with the reader that knows it. Raises `WrongInput` when none does or the file is broken."""
    if not path.exists():
        raise WrongInput(f"{path}: no such file")
    for name in readers():
        module = importlib.import_module(f"engine.imports.{name}")
        if module.matches(path):
            part = module.read(path)
            if part.images is not None:
                check_images(part.images)
            return part
    raise WrongInput(f"{path}: no reader for this kind of file: there are {', '.join(readers())}")


def check_images(images: Images) -> None:
    """Refuse what cannot be photon counts before a byte of it is read."""
    if images.dtype.kind not in "iuf":
        raise WrongInput(f"{images.place}: type {images.dtype} is not a photon count: store integers or floats")
    check_rows(images.place, images.rows)


def check_rows(place: str, rows: int) -> None:
    if rows == 0:
        raise WrongInput(f"{place}: 0 rows: nothing to import")
    if rows > MAX_ROWS:
        raise WrongInput(f"{place}: declares {rows} rows, more than the {MAX_ROWS} that are believed: split the file")


def check_declared(place: str, declared: int, stored: int) -> None:
    """Refuse a declared size [bytes] out of all proportion to the bytes that are stored for it (a zip bomb)."""
    if declared > SMALL_BYTES and declared > MAX_RATIO * max(stored, 1):
        raise WrongInput(
            f"{place}: declares {declared / 1e6:.0f} MB in {stored / 1e6:.3g} MB, a compression that no showers "
            f"reach (at most {MAX_RATIO}): not read"
        )


def is_pictures(name: str, shape: tuple[int, ...]) -> bool:
    """Whether an array of this name and shape holds pictures rather than conditions."""
    return name.lower() in SHOWERS or len(shape) >= 3 or (len(shape) == 2 and shape[1] > 64)


def line(error: BaseException) -> str:
    """The first line of what a library says of a broken file."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def pieces(array: NDArray) -> Iterator[NDArray]:
    """An array that is already read, block by block."""
    for rows in slices(len(array)):
        yield array[rows]


def slices(rows: int) -> Iterator[slice]:
    """Row ranges of a block each."""
    for start in range(0, rows, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, rows))

"""What a reader hands over, what an import may be told and what it reports. One module beside this a format.

A reader module has `matches(path) -> bool` and `read(path) -> Part`; it opens lazily and streams, so that a file of
any size is imported in blocks. Files come from strangers: declared sizes are checked before anything is allocated.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import engine.imports
from engine.schema import WrongInput

BLOCK_ROWS = 2048
"""Showers read at once: 2048 × 1936 fibres × 8 bytes = 32 MB."""
MAX_ROWS = 50_000_000
MAX_RATIO = 500
"""Largest believable compression of showers; Geant4's reach 27 as uint16 and about 110 as float64 [measured]."""
SMALL_BYTES = 64 * 2**20
"""Below this a declared size can do no harm, whatever its compression."""
SHOWERS = ("showers", "shower", "responses", "response", "images", "image", "photons")
"""Names under which pictures are found."""


class Facts(BaseModel):
    """What a file may declare about itself, and what a user may override; None: find out."""

    model_config = ConfigDict(extra="forbid")
    detector: Literal["zn", "zp"] | None = None
    axes: Literal["x-first", "y-first", "auto"] | None = None
    """Order of a picture's axes. None refuses swapped axes with a word, `auto` turns them by the evidence."""
    energy_unit: Literal["GeV", "MeV"] | None = None
    """Of energy and momenta."""
    mass_unit: Literal["GeV", "MeV"] | None = None
    charge_unit: Literal["e", "e/3"] | None = None
    photons: Literal["whole", "log1p", "round"] | None = None
    """Whole photons, log(1 + photons), or expectations to be rounded."""
    columns: list[str] | None = None
    """Names of a table's columns that has none."""


class Overrides(Facts):
    """What the user says about an import."""

    skip_bad_rows: bool = False
    """Leave refused rows out and list them, instead of refusing the file."""
    title: str = Field(default="", max_length=120)

    @classmethod
    def of(cls, given: Overrides | Mapping[str, Any] | None) -> Overrides:
        """Overrides from what a command line or a form sends. Raises `WrongInput` naming the field at fault."""
        if isinstance(given, Overrides):
            return given
        try:
            return cls.model_validate(dict(given or {}))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            known = ", ".join(cls.model_fields)
            raise WrongInput(f"import option {name!r}: {first['msg'].lower()} (options: {known})") from error


class Finding(BaseModel):
    """Something the import had to find out: what, why, and how to say otherwise."""

    value: str
    why: str
    override: str = ""


class RefusedRow(BaseModel):
    row: int
    """Counted from 1, as the file has them."""
    reason: str


class ImportReport(BaseModel):
    """What an import found and did; kept in the manifest of the imported set."""

    name: str
    kind: Literal["showers", "channels", "particles"]
    format: str
    files: list[str]
    rows_read: int
    rows_kept: int
    primaries: int = 0
    findings: dict[str, Finding] = {}
    """detector, axes, energy_unit, mass_unit, charge_unit, photons, truncated, pdg, primary_id, convention."""
    duplicates: int = 0
    """Showers that repeat an earlier one of the same primary photon by photon; they are kept."""
    duplicate_rows: list[int] = []
    """The first hundred of them, counted from 1."""
    refused: list[RefusedRow] = []
    """The first thousand."""
    refused_total: int = 0
    warnings: list[str] = []
    photons_per_shower: dict[str, float] = {}
    """min, q1, median, q3, max [photons] and the share of empty showers, after import."""
    bytes_written: int = 0
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """The report as a terminal shows it."""
        left_out = f", {self.refused_total} refused" if self.refused_total else ""
        said = [f"{self.name}: {self.rows_kept} of {self.rows_read} rows{left_out}, {self.primaries} primaries"]
        for key, found in self.findings.items():
            override = f" [{found.override}]" if found.override else ""
            said.append(f"{key.replace('_', ' ')}: {found.value}, {found.why}{override}")
        if self.duplicates:
            said.append(f"duplicates: {self.duplicates}, first at row {self.duplicate_rows[0]}")
        said += [f"row {r.row} refused: {r.reason}" for r in self.refused[:20]]
        return said + [f"warning: {w}" for w in self.warnings]


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

"""What examples are made of: showers, images or points, with the conditions beside them. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.schema import CONDITIONS, UNITS, DataKind, WrongInput

MOST_ROWS = 1_000_000


class Column(NamedTuple):
    """A condition: its name, its unit, and the names of its classes where it is categorical."""

    name: str
    unit: str = ""
    classes: tuple[str, ...] = ()


ZDC_COLUMNS = tuple(Column(name, unit) for name, unit in zip(CONDITIONS, UNITS, strict=True))


@dataclass(frozen=True)
class Space:
    """What a model is built for: examples of a `kind` and `shape`, (H, W) of pictures or (d,) of points, and `columns`
    of conditions beside each, of which `classes` > 0 says that there is one, the number of a class."""

    shape: tuple[int, ...] = (44, 44)
    kind: DataKind = "showers"
    columns: int = len(CONDITIONS)
    classes: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(values: dict[str, Any]) -> Space:
        """The space of a saved `as_dict()`. Raises `TypeError` for other keys."""
        return Space(**{**values, "shape": tuple(values["shape"])})


def check_rows(rows: list[list[float]] | NDArray, columns: tuple[Column, ...]) -> NDArray[np.float64]:
    """Condition rows (N, C) of a data set. Raises `WrongInput` naming row and column for a wrong width, a number that
    is not finite, a class that there is not, or no physics."""
    if columns == ZDC_COLUMNS:
        return zdc.check_conditions(rows)
    if not 1 <= len(rows) <= MOST_ROWS:
        raise WrongInput(f"{len(rows)} condition rows: give 1 to {MOST_ROWS}")
    names = ", ".join(column.name for column in columns) or "none"
    for number, row in enumerate(rows):
        if len(row) != len(columns):
            raise WrongInput(f"row {number + 1} has {len(row)} numbers: {len(columns)} are needed ({names})")
    table = np.asarray(rows, dtype=np.float64).reshape(len(rows), len(columns))
    for values, column in zip(table.T, columns, strict=True):
        wrong = ~np.isfinite(values)
        if column.classes:
            with np.errstate(invalid="ignore"):
                wrong |= (values != np.round(values)) | (values < 0) | (values >= len(column.classes))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            wanted = f"a whole number from 0 to {len(column.classes) - 1}" if column.classes else "a finite number"
            raise WrongInput(f"row {row + 1}, {column.name} is {values[row]:g}: {wanted} is needed")
    return table

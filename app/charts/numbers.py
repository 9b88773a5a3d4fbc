"""The numbers of a page as a table that another program reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

HEAD = (
    "quantity", "unit", "reference_mean", "reference_mean_error", "reference_sigma", "generated_mean",
    "generated_mean_error", "generated_sigma", "ratio", "ratio_error",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One quantity of the reference and of the model; ratio: generated over reference."""

    quantity: str
    unit: str
    reference: tuple[float, float, float]
    """Mean, its error, and σ of the showers."""
    generated: tuple[float, float, float]

    def ratio(self) -> tuple[float, float]:
        """Relative errors in quadrature; nan where the reference is dark."""
        (a, da, _), (b, db, _) = self.reference, self.generated
        return (b / a, float(np.hypot(db / a, b * da / a**2))) if a else (float("nan"), float("nan"))


def moments(values: np.ndarray) -> tuple[float, float, float]:
    """Mean, error of the mean, σ; nan for the last two of a single value."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return (float(values.mean()) if len(values) else float("nan")), float("nan"), float("nan")
    sigma = float(values.std(ddof=1))
    return float(values.mean()), sigma / float(np.sqrt(len(values))), sigma


def rows_of(names: Sequence[str], unit: str, reference: np.ndarray, generated: np.ndarray) -> list[Row]:
    """A row a column of both tables, (n, len(names)) and (m, len(names))."""
    pairs = zip(names, np.asarray(reference).T, np.asarray(generated).T, strict=True)
    return [Row(name, unit, moments(ours), moments(theirs)) for name, ours, theirs in pairs]


def table(about: Mapping[str, object], rows: Sequence[Row]) -> str:
    """CSV; what it is about stands above as comments that begin with #."""
    text = io.StringIO()
    for name, value in about.items():
        text.write(f"# {name}: {value}\n".replace("\n", " ").rstrip() + "\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for row in rows:
        numbers = (*row.reference, *row.generated, *row.ratio())
        writer.writerow([row.quantity, row.unit, *(f"{v:.6g}" for v in numbers)])
    return text.getvalue()

"""What may be said of rows of a benchmark beside each other: which is best beyond errors, which cannot be, multiples of
the floor, and which published row belongs to which of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import hypot

from engine.schema import Benchmark, BenchmarkRow, Catalogue, MetricInfo, MetricValue, PublishedRow

SPREAD, SOUND = "spread", (0.85, 1.15)
"""Spread of replicas over the simulation's within which a row may be called best: a model that always answers the mean
has the lowest MAE of all and a spread of 0."""
CLEAR = 2.0
"""A floor is a measure where it is so many of its errors above 0."""
FLOOR = "simulation against simulation"
FLOOR_OF_DATA = "data against data"
"""Of records that no simulation stands behind."""


@dataclass(frozen=True)
class Column:
    """A metric of a record as tables and charts head it. direction: empty where the catalogue does not know it."""

    name: str
    title: str
    short: str
    unit: str
    direction: str

    @property
    def head(self) -> str:
        return f"{self.short} [{self.unit}]" if self.unit else self.short


# ------------------------------------------------------------------------------------------------------------ columns
def columns(record: Benchmark, book: Catalogue) -> list[Column]:
    """The metrics of a record: those of the published table first, then the spread, other ratios, the rest."""
    present = {name: value.unit for row in record.rows for name, value in row.metrics.items()}
    infos = {info.name: info for info in book.metrics}
    printed = list(dict.fromkeys(name for row in published(record, book) for name in row.figures()))
    known = list(infos)

    def place(name: str) -> tuple[int, bool, bool, int]:
        info = infos.get(name)
        return (
            printed.index(name) if name in printed else len(printed),
            name != SPREAD,
            info is None or info.direction != "one",
            known.index(name) if name in known else len(known),
        )

    return [_column(name, present[name], infos.get(name)) for name in sorted(present, key=place)]


def _column(name: str, unit: str, info: MetricInfo | None) -> Column:
    if info is None:
        return Column(name, name, name, unit, "")
    return Column(name, info.title, info.short or info.title, info.unit, info.direction)


# --------------------------------------------------------------------------------------------------------- judgements
def fault(row: BenchmarkRow) -> str:
    """Why a row cannot be best: `collapsed`, `too wide`, or nothing. Without a spread nothing is held against it."""
    spread = row.metrics.get(SPREAD)
    if spread is None or SOUND[0] <= spread.value <= SOUND[1]:
        return ""
    return "collapsed" if spread.value < SOUND[0] else "too wide"


def best(values: Sequence[MetricValue | None], direction: str, sound: Sequence[bool]) -> list[bool]:
    """Which values are best: those that no other sound one beats by more than √(e₁² + e₂²). None is where nothing
    is beaten, since then the rows do not differ beyond their errors."""
    able = [k for k, (value, good) in enumerate(zip(values, sound, strict=True)) if value is not None and good]
    if direction not in ("lower", "higher", "one"):
        return [False] * len(values)
    beaten = {k for k in able if any(_beats(values[other], values[k], direction) for other in able)}
    marked = set(able) - beaten if beaten else set()
    return [k in marked for k in range(len(values))]


def _beats(one: MetricValue | None, other: MetricValue | None, direction: str) -> bool:
    if one is None or other is None:
        return False
    ahead = {
        "lower": other.value - one.value,
        "higher": one.value - other.value,
        "one": abs(other.value - 1) - abs(one.value - 1),
    }
    return ahead[direction] > hypot(one.error, other.error)


# -------------------------------------------------------------------------------------------------------------- floors
def floor(record: Benchmark, name: str) -> MetricValue | None:
    """Simulation against simulation; the same for all rows, which are judged alike."""
    for row in record.rows:
        found = row.metrics.get(name)
        if found is not None and found.floor is not None:
            return MetricValue(value=found.floor, error=found.floor_error or 0.0, unit=found.unit)
    return record.again.get(name)


def floor_title(record: Benchmark) -> str:
    return FLOOR if record.convention else FLOOR_OF_DATA


def measures(record: Benchmark, column: Column) -> bool:
    """Whether values are worth giving as multiples of the floor: it is what they approach, and clear of 0."""
    values = [row.metrics.get(column.name) for row in record.rows]
    if not any(value is not None and value.floor is not None for value in values):
        return False
    found = floor(record, column.name)
    return column.direction == "lower" and found is not None and found.value > max(0.0, CLEAR * found.error)


def multiple(value: MetricValue | None) -> tuple[float, float] | None:
    """Value and error in floors. The floor's own error is left out: it moves all rows together."""
    if value is None or not value.floor or value.floor <= 0:
        return None
    return value.value / value.floor, value.error / value.floor


# ----------------------------------------------------------------------------------------------------------- published
def published(record: Benchmark, book: Catalogue) -> list[PublishedRow]:
    """The published rows that stand beside this record: those with figures of metrics that it has."""
    present = {name for row in record.rows for name in row.metrics}
    return [row for row in book.published if row.bench == record.bench and present & row.figures().keys()]


def plain_name(name: str) -> str:
    """`conditional VAE` and `cond. VAE` are one name."""
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).split()
    return " ".join("cond" if word == "conditional" else word for word in words)


def pairs(record: Benchmark, rows: Iterable[PublishedRow]) -> list[tuple[PublishedRow, BenchmarkRow | None]]:
    """Each published model with every row of ours that repeats it; None where there is none. Floors have no partner."""
    found: list[tuple[PublishedRow, BenchmarkRow | None]] = []
    for row in rows:
        ours = [r for r in record.rows if r.published and plain_name(r.published) == plain_name(row.model)]
        found += [(row, mine) for mine in (ours if ours and not row.floor else [None])]
    return found


def their_multiple(row: PublishedRow, name: str, rows: Iterable[PublishedRow]) -> float | None:
    """A published figure over the same table's original data."""
    base = next((r.figures().get(name) for r in rows if r.floor and r.source == row.source), None)
    value = row.figures().get(name)
    return value / base if value is not None and base else None


# -------------------------------------------------------------------------------------------------------------- charts
def family(model: str) -> str:
    """The kin of a model, by its registry or printed name: what charts give one shape."""
    name = plain_name(model).replace(" ", "_")
    if "flow" in name or "ddpm" in name or "diffusion" in name:
        return "flow"
    if "e2e_sae" in name:
        return "e2e SAE"
    if "wae" in name or "sae" in name:
        return "WAE, SAE"
    if "gan" in name:
        return "GAN"
    return "VAE" if "vae" in name else "other"


def pareto(x: Sequence[float], y: Sequence[float]) -> list[int]:
    """Indices, by rising x, of points that no other betters in both; lower is better."""
    front: list[int] = []
    for k in sorted(range(len(x)), key=lambda k: (x[k], y[k])):
        if not front or y[k] < y[front[-1]]:
            front.append(k)
    return front

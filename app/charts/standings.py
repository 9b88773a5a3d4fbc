"""Tables of a benchmark: numbers as they are downloaded, and as they read with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from app.charts.ranking import (
    SPREAD,
    Column,
    best,
    fault,
    floor,
    floor_title,
    measures,
    multiple,
    pairs,
    their_multiple,
)
from engine.schema import Benchmark, BenchmarkRow, MetricValue, PublishedRow

STAR = "★"
REMARKS = {"": "", "collapsed": "▼ collapsed", "too wide": "▲ too wide"}
OTHERS = "other subsets"
"""Remark of published rows."""
TIME, EACH, WEIGHTS = "training [s]", "ms each", "parameters"


def both(value: MetricValue | None) -> str:
    """A value with its error, to the error's second digit; without an error to three digits."""
    if value is None:
        return "–"
    if not value.error > 0:
        return f"{value.value:.3g}"
    digits = max(0, 1 - int(f"{value.error:e}".split("e")[1]))
    return f"{value.value:,.{digits}f} ± {value.error:,.{digits}f}"


def pixels(texts: Sequence[str], head: str) -> int:
    """How wide a column must be for these."""
    return 20 + round(7.0 * max(len(text) for text in (*texts, head)))


def floor_row(record: Benchmark, columns: Sequence[Column]) -> BenchmarkRow:
    """Simulation against simulation as a row."""
    found = {c.name: floor(record, c.name) for c in columns}
    metrics = {
        name: MetricValue(value=v.value, error=v.error, unit=v.unit, floor=v.value, floor_error=v.error)
        for name, v in found.items()
        if v is not None
    }
    return BenchmarkRow(title=floor_title(record), model="", metrics=metrics)


def printed(rows: Sequence[PublishedRow]) -> list[BenchmarkRow]:
    """Published rows among ours; what they print has no error."""
    return [
        BenchmarkRow(
            title=row.model,
            model="",
            metrics={name: MetricValue(value=v, error=0.0, unit="") for name, v in row.figures().items()},
            ms_per_shower=row.others.get("ms_per_shower"),
        )
        for row in rows
    ]


def numbers(record: Benchmark, columns: Sequence[Column], others: Sequence[PublishedRow] = ()) -> pd.DataFrame:
    """Every number of the record, a row a model, the floor first: what a CSV holds. others: stand below."""
    rows = [floor_row(record, columns), *record.rows, *printed(others)]
    frame = pd.DataFrame(
        {
            "row": [r.title for r in rows],
            "model": [r.model for r in rows],
            "published as": [r.published for r in rows],
            "remark": [fault(r) for r in rows],
        }
    )
    for column in columns:
        values = [r.metrics.get(column.name) for r in rows]
        frame[column.head] = [None if v is None else v.value for v in values]
        frame[f"{column.short} error"] = [None if v is None else v.error for v in values]
        if measures(record, column):
            found = [multiple(v) for v in values]
            frame[f"{column.short} × floor"] = [None if m is None else m[0] for m in found]
    frame[TIME] = [r.train_seconds for r in rows]
    frame[EACH] = [r.ms_per_shower for r in rows]
    frame[WEIGHTS] = pd.array([r.parameters for r in rows], dtype="Int64")
    frame["epochs"] = pd.array([r.epochs for r in rows], dtype="Int64")
    frame["seeds"] = [" ".join(map(str, r.seeds)) for r in rows]
    return frame


def marks(record: Benchmark, columns: Sequence[Column]) -> dict[str, list[bool]]:
    """Which rows are best in each metric, by its name."""
    sound = [not fault(row) for row in record.rows]
    return {c.name: best([r.metrics.get(c.name) for r in record.rows], c.direction, sound) for c in columns}


def shown(record: Benchmark, columns: Sequence[Column], dark: bool, others: Sequence[PublishedRow] = ()) -> Any:
    """The table as a pandas Styler: cells hold numbers, so that they sort, and show them with their errors. others:
    published rows, pale and never ranked."""
    full, rows = numbers(record, columns, others), [floor_row(record, columns), *record.rows, *printed(others)]
    ours = 1 + len(record.rows)
    stars = {name: [False, *found, *[False] * len(others)] for name, found in marks(record, columns).items()}
    keep = ["row"] + ["remark"] * (bool(others) or any(SPREAD in r.metrics for r in rows))
    for column in columns:
        keep += [column.head] + [f"{column.short} × floor"] * measures(record, column)
    costs = [name for name in (TIME, EACH, WEIGHTS) if len(full[name].dropna())]
    table = full[[*keep, *costs]].copy()
    if "remark" in table:
        table["remark"] = [REMARKS[fault(row)] for row in rows[:ours]] + [OTHERS] * len(others)
    style = table.style
    style.format(precision=2, na_rep="–")
    for name in costs:
        style.format("{:.3g}" if name == EACH else "{:,.0f}", subset=[name], na_rep="–")
    colours: dict[str, list[str]] = {}
    for column in columns:
        texts = [
            f"{STAR} {both(r.metrics.get(column.name))}" if star else both(r.metrics.get(column.name))
            for r, star in zip(rows[:ours], stars[column.name], strict=False)
        ] + [_figure(row, column.name) for row in others]
        for k, text in enumerate(texts):
            style.format(lambda _, text=text: text, subset=(k, [column.head]))
        colours[column.head] = ["background-color: rgba(0, 158, 115, 0.22)" * s for s in stars[column.name]]
    faded, tinted = ("#98A1AC", "#1C2128") if dark else ("#6B7280", "#F1F2F3")

    def paint(series: pd.Series) -> list[str]:
        if series.name == "row":  # pinned, hence pale already
            return [f"background-color: {tinted}"] + [""] * (len(rows) - 1)
        css = colours.get(str(series.name), [""] * len(series))
        pale = [k >= ours or bool(fault(r)) for k, r in enumerate(rows)]
        plain = [f"background-color: {tinted}"] + [f"color: {faded}" * p for p in pale[1:]]
        return [a or b for a, b in zip(css, plain, strict=True)]

    return style.apply(paint, axis=0)


def beside(record: Benchmark, columns: Sequence[Column], rows: Sequence[PublishedRow]) -> pd.DataFrame:
    """The published table beside ours: each published model with every row of ours that repeats it, the floors last.
    Multiples are of each table's own floor."""
    mine = floor_row(record, columns)
    found = sorted(pairs(record, rows), key=lambda pair: pair[0].floor)
    found = [(theirs, mine if theirs.floor else ours) for theirs, ours in found]
    frame = pd.DataFrame({"published": [theirs.model for theirs, _ in found]})
    printed = [c for c in columns if any(c.name in theirs.figures() for theirs, _ in found)]
    for c in printed:
        frame[f"{c.short} theirs"] = [_figure(theirs, c.name) for theirs, _ in found]
        if any(their_multiple(theirs, c.name, rows) for theirs, _ in found):
            frame[f"{c.short} × their floor"] = [their_multiple(theirs, c.name, rows) for theirs, _ in found]
    frame["ours"] = ["–" if ours is None else ours.title for _, ours in found]
    for c in printed:
        values = [None if ours is None else ours.metrics.get(c.name) for _, ours in found]
        frame[f"{c.short} ours"] = [both(v) for v in values]
        if measures(record, c):
            frame[f"{c.short} × our floor"] = [(multiple(v) or (None,))[0] for v in values]
    frame["remark"] = [REMARKS[fault(ours)] if ours else "" for _, ours in found]
    return frame


def _figure(row: PublishedRow, name: str) -> str:
    value = row.figures().get(name)
    spread = row.mae_std if name == "mae" else None
    if value is None:
        return "–"
    return f"{value:.2f}" if spread is None else f"{value:.2f} (σ {spread:.2f})"

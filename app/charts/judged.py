"""Reports of judged models as records, tables and files."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from app.charts.ranking import SPREAD, Column
from engine.schema import Benchmark, BenchmarkRow, Catalogue, DataKind, MetricValue, Report

MAIN = ("mae", SPREAD, "wasserstein", "dispersion", "fpd")
WITH_SPREAD = ("mae", "mae_cond")
"""Never without the spread beside them: a model that always answers the mean has the lowest."""
GROUPS = ("channels", "replicas", "shape", "features", "classifiers", "pictures")
FIRST, ALL = "main", "all"
MOST_MAIN = 5


def record_of(reports: Sequence[Report], titles: Sequence[str], kind: DataKind, batch: int) -> Benchmark:
    """Reports of the same primaries as a record, a row a model; times are those of a shower in batches of `batch`."""
    rows = [
        BenchmarkRow(
            title=title, model=r.model, seeds=[r.seed], metrics=r.metrics, ms_per_shower=time_at(r, batch),
            parameters=r.parameters or None, showers=r.showers,
        )
        for r, title in zip(reports, titles, strict=True)
    ]  # fmt: skip
    first = reports[0]
    return Benchmark(
        name="models", bench="table1" if kind == "showers" else first.data, title="Models side by side",
        data=first.data, label=first.label, seeds=[first.seed],
        convention=first.convention if kind == "showers" else "", rows=rows,
    )  # fmt: skip


def time_at(report: Report, batch: int) -> float | None:
    return next((t.ms for t in report.timing if t.batch == batch), None)


def batches(reports: Sequence[Report]) -> list[int]:
    return sorted({t.batch for r in reports for t in r.timing})


def same_primaries(reports: Sequence[Report]) -> list[bool]:
    """Which reports judge what the first one judges."""

    def what(r: Report) -> tuple[object, ...]:
        return r.data, r.split, r.primaries, r.convention, r.reading, r.threshold

    return [what(r) == what(reports[0]) for r in reports]


# ------------------------------------------------------------------------------------------------------------ columns
def groups_of(columns: Sequence[Column], book: Catalogue) -> dict[str, list[Column]]:
    """Columns by what they look at; the main ones first, all last."""
    by_name = {c.name: c for c in columns}
    known = {m.name: m for m in book.metrics}
    main = [by_name[name] for name in MAIN if name in by_name] or list(columns[:MOST_MAIN])
    order = [m.name for m in sorted(book.metrics, key=lambda m: GROUPS.index(m.group)) if m.name in by_name]
    order += [c.name for c in columns if c.name not in known]
    groups: dict[str, list[Column]] = {FIRST: main}
    for name in order:
        info = known.get(name)
        groups.setdefault(info.group if info else "others", []).append(by_name[name])
    if len(groups) <= 2 and len(main) == len(columns):
        return {FIRST: main}
    return {name: beside_spread(found, by_name) for name, found in groups.items()} | {ALL: list(columns)}


def beside_spread(columns: list[Column], by_name: dict[str, Column]) -> list[Column]:
    """The same with the spread after an MAE."""
    held = next((k for k, c in enumerate(columns) if c.name in WITH_SPREAD), None)
    if held is None or SPREAD not in by_name:
        return columns
    rest = [c for c in columns if c.name != SPREAD]
    held = next(k for k, c in enumerate(rest) if c.name in WITH_SPREAD)
    return [*rest[: held + 1], by_name[SPREAD], *rest[held + 1 :]]


# -------------------------------------------------------------------------------------------------------------- files
def numbers(reports: Sequence[Report], titles: Sequence[str]) -> pd.DataFrame:
    """Every number of the reports, a row a number: what a CSV holds."""
    rows: list[dict[str, object]] = []
    for r, title in zip(reports, titles, strict=True):
        head = {
            "model": title, "run": r.run_id, "step": r.step, "data": r.data, "split": r.split,
            "convention": r.convention, "reading": r.reading, "threshold": r.threshold, "seed": r.seed,
        }  # fmt: skip

        def add(by: str, part: str, primaries: int | None, name: str, v: MetricValue, head: dict = head) -> None:
            rows.append(
                {**head, "by": by, "part": part, "primaries": primaries, "number": name, "value": v.value,
                 "error": v.error, "unit": v.unit, "floor": v.floor, "floor_error": v.floor_error}
            )  # fmt: skip

        for name, v in r.metrics.items():
            add("all", "", r.primaries, name, v)
        for part in r.parts:
            for name, v in part.metrics.items():
                add(part.by, part.title, part.primaries, name, v)
        for t in r.timing:
            add("batch", str(t.batch), None, "ms_per_shower", MetricValue(value=t.ms, error=t.error, unit="ms"))
        if r.calibration:
            c = r.calibration
            factor = MetricValue(value=c.factor, error=c.error, unit="")
            add("calibration", f"fitted on {c.split}", None, "factor", factor)
            for part, found in (("before", c.before), ("after", c.after)):
                for name, v in found.items():
                    add("calibration", part, r.primaries, name, v)
    return pd.DataFrame(rows)

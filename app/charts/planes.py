"""Where the rows of a benchmark stand in its charts: metric against metric, and quality against speed."""

from __future__ import annotations

from collections.abc import Sequence

from app.charts.benchmark import Axis, Point
from app.charts.ranking import Column, family, fault, floor, measures, multiple, their_multiple
from app.charts.standings import both
from engine.schema import Benchmark, BenchmarkRow, PublishedRow

Plane = tuple[list[Point], Axis, Axis]


def axis_of(record: Benchmark, column: Column) -> Axis:
    """Multiples of the floor where they mean something, else the metric in its unit."""
    base = floor(record, column.name)
    if base and measures(record, column):
        return Axis(f"{column.short} × floor", True, base.error / base.value)
    return Axis(column.head)


def at(row: BenchmarkRow, column: Column, axis: Axis) -> tuple[float, float] | None:
    """Where a row stands on an axis, with its error."""
    value = row.metrics.get(column.name)
    if value is None or axis.floors:
        return multiple(value)
    return value.value, value.error


def thing(record: Benchmark) -> str:
    """What a model of this record draws."""
    return "shower" if record.convention else "picture"


def words(row: BenchmarkRow, columns: Sequence[Column]) -> str:
    """A row as a tooltip says it."""
    values = [f"{c.short} {both(row.metrics.get(c.name))} {c.unit}".rstrip() for c in columns]
    each = [] if row.ms_per_shower is None else [f"{row.ms_per_shower:.3g} ms each"]
    remark = fault(row)
    return f"{row.title}: " + ", ".join(values + each) + (f" ({remark})" if remark else "")


def quality(record: Benchmark, columns: Sequence[Column], published: Sequence[PublishedRow]) -> Plane | None:
    """The second metric against the first, with what was published where both count floors; None without two."""
    if len(columns) < 2:
        return None
    first, second = columns[:2]
    x, y = axis_of(record, first), axis_of(record, second)
    points: list[Point] = []
    for row in record.rows:
        here, there = at(row, first, x), at(row, second, y)
        if here and there:
            told, sound = words(row, columns), not fault(row)
            points.append(Point(row.title, family(row.model), here[0], there[0], here[1], there[1], told, sound))
    for row in published if x.floors and y.floors else ():
        here, there = their_multiple(row, first.name, published), their_multiple(row, second.name, published)
        if here and there and not row.floor:
            told = f"{row.model}, published: {first.short} {here:.2f}, {second.short} {there:.2f} × their floor"
            points.append(Point(row.model, family(row.model), here, there, words=told, open_=True))
    return (points, x, y) if points else None


def speed(record: Benchmark, columns: Sequence[Column]) -> Plane | None:
    """The first metric against the time of a shower; None where no row has both."""
    if not columns:
        return None
    y = axis_of(record, columns[0])
    points: list[Point] = []
    for row in record.rows:
        here = at(row, columns[0], y)
        if here and row.ms_per_shower:
            told, sound = words(row, columns), not fault(row)
            points.append(Point(row.title, family(row.model), row.ms_per_shower, here[0], 0, here[1], told, sound))
    return (points, Axis(f"ms per {thing(record)}"), y) if points else None

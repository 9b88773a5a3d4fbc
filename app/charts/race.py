"""Models that learn the same set, against the training points that they have seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from app.charts import sketch
from app.charts.colour import faint
from app.charts.looks import Look

HEIGHT = 330
SIZE = 7
THOUSAND = 1000


class Course(NamedTuple):
    """A model's way. seen: training points; w1: distance to the target, off: share off the manifold."""

    look: Look
    seen: Sequence[float]
    w1: Sequence[float]
    off: Sequence[float]


def octaves(values: Sequence[float]) -> tuple[float, float]:
    """Powers of two around positive values, apart from each other."""
    low, high = 2.0 ** math.floor(math.log2(min(values))), 2.0 ** math.ceil(math.log2(max(values)))
    return low, high if high > low else 2 * low


def curves(
    courses: Sequence[Course], floor: float, spread: float, off_floor: float, most: float, dark: bool
) -> dict[str, Any]:  # fmt: skip
    """W₁, log y, and share off the manifold, each with the floor of exact points. most: training points at the end."""
    w1 = [v for c in courses for v in c.w1 if v > 0]
    low, high = octaves([*w1, floor, max(floor - spread, floor / 2)])
    x = sketch.Axis("training points seen [10³]", 0.0, most / THOUSAND)
    panes = [
        sketch.Pane(x, sketch.Axis("W₁ to exact points", low, high, log=True)),
        sketch.Pane(x, sketch.Axis("off the manifold [%]", 0.0, ceiling([v for c in courses for v in c.off]))),
    ]
    series = [
        series | {"symbol": c.look.symbol, "symbolSize": SIZE, "showSymbol": True}
        for c in courses
        for series in (
            sketch.line(0, c.look.title, np.array(c.seen) / THOUSAND, np.array(c.w1), c.look.colour, c.look.dash, 1.8),
            sketch.line(
                1, c.look.title, np.array(c.seen) / THOUSAND, 100 * np.array(c.off), c.look.colour, c.look.dash, 1.8
            ),
        )
    ]  # fmt: skip
    band = {"itemStyle": {"color": faint(dark), "opacity": 0.55}, "silent": True}
    lowest = max(floor - spread, low)
    series += [
        sketch.level(0, "floor", floor, 0.0, most / THOUSAND, faint(dark), "solid")
        | {"markArea": {**band, "data": [[{"yAxis": lowest}, {"yAxis": floor + spread}]]}, "z": 1},
        sketch.level(1, "floor", 100 * off_floor, 0.0, most / THOUSAND, faint(dark), "solid") | {"z": 1},
    ]
    spec = sketch.sketch(panes, series, dark, height=HEIGHT)
    spec["yAxis"][0]["logBase"] = 2  # so that labels stand at 0.25, 0.5, 1 and not at decades alone
    return spec


def ceiling(shares: Sequence[float]) -> float:
    """Upper end of an axis in per cent: the next of 1, 2, 5, 10, 20, 50, 100."""
    top = 100 * max(shares, default=0.0)
    return next((float(end) for end in (1, 2, 5, 10, 20, 50) if top <= end), 100.0)

"""Rows of a benchmark as ECharts specs: two metrics against each other, quality against speed, training time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.charts.colour import DATA, GENERATED, GREEN, PURPLE, data_blue, faint, ink
from app.charts.histogram import bars
from app.charts.ranking import FLOOR, pareto

PLUS = "path://M-3.4 -10 H3.4 V-3.4 H10 V3.4 H3.4 V10 H-3.4 V3.4 H-10 V-3.4 H-3.4 Z"
STAR = "path://M0 -10 L3 -3 L10 -3 L4.5 2 L6.5 10 L0 5.5 L-6.5 10 L-4.5 2 L-10 -3 L-3 -3 Z"
LOOKS = {
    "e2e SAE": ("diamond", GENERATED),
    "WAE, SAE": ("rect", GREEN),
    "VAE": ("circle", DATA),
    "GAN": ("triangle", PURPLE),
    "flow": (PLUS, "#56B4E9"),
    "other": ("roundRect", "#999999"),
}
"""Shape and colour of a family."""
PUBLISHED, STAR_NAME, LINE = OTHERS = "published", "floor", "Pareto line"
LABEL = {"show": True, "position": "right", "fontSize": 10, "distance": 4, "minMargin": 3}
NARROW, WIDE = 3.0, 200.0
"""Ranges, largest over smallest value: below, an axis is linear; above, it has ticks at powers of ten."""
ROOM = 0.78
"""Share of an axis beyond which a label stands left of its point."""
ROW, ENDS = 19, 50
"""Pixels of a bar, and of what stands above and below the bars."""


@dataclass(frozen=True)
class Point:
    """A row in a chart. words: for its tooltip. sound: False where its spread takes it out of any ranking. open_: of a
    published table."""

    title: str
    family: str
    x: float
    y: float
    x_error: float = 0.0
    y_error: float = 0.0
    words: str = ""
    sound: bool = True
    open_: bool = False


@dataclass(frozen=True)
class Axis:
    """floors: the axis counts multiples of the floor, with the floor's own error in floors."""

    name: str
    floors: bool = False
    floor_error: float = 0.0


def plane(
    points: Sequence[Point], x: Axis, y: Axis, dark: bool, front: bool = False,
    looks: dict[str, tuple[str, str]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Points with error bars; the floor at 1 where an axis counts floors. front: with the line of rows that no sound
    row betters on both axes. looks: shape and colour of each family, where they are not those of `LOOKS`."""
    known = looks or {name: (symbol, colour_of(name, dark)) for name, (symbol, _) in LOOKS.items()}
    scales = [_scale([p.x for p in points], x), _scale([p.y for p in points], y)]
    series = [*_families(points, scales[0], known), *_errors(points, scales, dark), *_floor(x, y, dark)]
    if front:
        series += _front(points, dark)
    return {
        "animation": False,
        "tooltip": {"trigger": "item", "formatter": "{b}", "confine": True},
        "legend": {
            "type": "scroll", "top": 0, "left": 0, "right": 0, "itemHeight": 10, "itemWidth": 16,
            "data": sorted({s["name"]: 0 for s in series if s.get("name")}, key=[*known, *OTHERS].index),
        },
        "grid": {"left": 58, "right": 24, "top": 34, "bottom": 46, "outerBoundsMode": "none"},
        "xAxis": {**scales[0], "name": x.name, "nameLocation": "middle", "nameGap": 27},
        "yAxis": {**scales[1], "name": y.name, "nameLocation": "middle", "nameGap": 40},
        "series": series,
    }  # fmt: skip


def colour_of(family: str, dark: bool) -> str:
    colour = LOOKS[family][1]
    return data_blue(dark) if colour == DATA else colour


def _scale(values: Sequence[float], axis: Axis) -> dict[str, Any]:
    """A logarithmic axis a little wider than its points, the floor inside; a linear one where a value is not above 0 or
    all lie so close that no tick would stand between them. Multiples have ticks at powers of two."""
    common = {"splitLine": {"show": False}, "axisLine": {"show": True, "onZero": False}, "axisTick": {"show": True}}
    if not values or min(values) <= 0 or max(values) < NARROW * min(values):
        return {"type": "value", "scale": True, **common}
    low, high = min([*values, 1.0] if axis.floors else values), max([*values, 1.0] if axis.floors else values)
    air = 1.06 * (high / low) ** 0.06
    wide = high / low > WIDE
    return {
        "type": "log", "logBase": 10 if wide and not axis.floors else 2, "min": low / air, "max": high * air,
        "axisLabel": {"showMinLabel": False, "showMaxLabel": False, "hideOverlap": True}, **common,
    }  # fmt: skip


def _families(
    points: Sequence[Point], scale: dict[str, Any], looks: dict[str, tuple[str, str]]
) -> list[dict[str, Any]]:
    """A series a family, filled; published points open, those that cannot be ranked pale."""
    series: list[dict[str, Any]] = []
    span = min((p.x for p in points), default=0.0), max((p.x for p in points), default=1.0)
    for name, (symbol, colour) in looks.items():
        for open_ in (False, True):
            mine = [p for p in points if p.family == name and p.open_ == open_]
            if mine:
                series.append(
                    {
                        "type": "scatter", "name": PUBLISHED if open_ else name, "symbol": symbol,
                        "symbolSize": 12, "z": 3 if open_ else 4, "data": [_item(p, scale, span) for p in mine],
                        "itemStyle": _open(colour) if open_ else {"color": colour},
                        "labelLayout": {"hideOverlap": True},
                    }
                )  # fmt: skip
    return series


def _open(colour: str) -> dict[str, Any]:
    return {"color": "rgba(0,0,0,0)", "borderColor": colour, "borderWidth": 1.6}


def _item(p: Point, scale: dict[str, Any], span: tuple[float, float]) -> dict[str, Any]:
    label = {**LABEL, "formatter": p.title.replace("{", "(")}
    if scale["type"] == "log" and np.log(p.x / scale["min"]) > ROOM * np.log(scale["max"] / scale["min"]):
        label["position"] = "left"
    if scale["type"] == "value" and p.x - span[0] > ROOM * (span[1] - span[0]) > 0:
        label["position"] = "left"
    item: dict[str, Any] = {"value": [p.x, p.y], "name": p.words or p.title, "label": label}
    if not p.sound:  # smaller too: where labels overlap, the larger marker's stays
        item["symbolSize"] = 9
        item["itemStyle"] = {"opacity": 0.6}
        item["label"]["opacity"] = 0.75
    return item


def _errors(points: Sequence[Point], scales: Sequence[dict[str, Any]], dark: bool) -> list[dict[str, Any]]:
    """One standard error either way; on a logarithmic axis a bar ends at the axis, never at 0."""
    least = [scale.get("min", -np.inf) for scale in scales]
    x, y = np.array([p.x for p in points]), np.array([p.y for p in points])
    dx, dy = np.array([p.x_error for p in points]), np.array([p.y_error for p in points])
    up = bars(x, np.maximum(y - dy, least[1]), y + dy)
    across = [[b, a] for a, b in bars(y, np.maximum(x - dx, least[0]), x + dx)]
    drawn = [data for data, error in ((up, dy), (across, dx)) if error.any()]
    return [_quiet(data, faint(dark) if dark else "#8A9099") for data in drawn]


def _quiet(data: Sequence[Sequence[float | None]], colour: str) -> dict[str, Any]:
    return {
        "type": "line", "data": data, "symbol": "none", "silent": True, "tooltip": {"show": False}, "z": 2,
        "lineStyle": {"width": 1, "color": colour}, "connectNulls": False,
    }  # fmt: skip


def _floor(x: Axis, y: Axis, dark: bool) -> list[dict[str, Any]]:
    """Dashed lines at 1, and where both axes count floors the floor itself with its error."""
    lines = [{side: 1} for side, axis in (("xAxis", x), ("yAxis", y)) if axis.floors]
    if not lines:
        return []
    mark = {
        "silent": True, "symbol": "none", "label": {"show": False}, "data": lines,
        "lineStyle": {"color": ink(dark), "type": "dashed", "width": 1, "opacity": 0.6},
    }  # fmt: skip
    if len(lines) == 1:
        return [{"type": "scatter", "data": [], "markLine": mark}]
    one = np.ones(1)
    up = bars(one, one - y.floor_error, one + y.floor_error)
    across = [[b, a] for a, b in bars(one, one - x.floor_error, one + x.floor_error)]
    star = {
        "type": "scatter", "name": STAR_NAME, "symbol": STAR, "symbolSize": 13, "z": 5, "markLine": mark,
        "itemStyle": {"color": ink(dark)}, "data": [{"value": [1, 1], "name": f"{FLOOR}: 1 by definition"}],
    }  # fmt: skip
    return [star, _quiet(up, ink(dark)), _quiet(across, ink(dark))]


def _front(points: Sequence[Point], dark: bool) -> list[dict[str, Any]]:
    """Sound rows that none betters on both axes, as a stair that shuts in what they better."""
    mine = [p for p in points if p.sound and not p.open_]
    front = [mine[k] for k in pareto([p.x for p in mine], [p.y for p in mine])]
    if not front:
        return []
    steps = [
        [front[0].x, max(p.y for p in points)],
        *([p.x, p.y] for p in front),
        [max(p.x for p in points), front[-1].y],
    ]
    line = _quiet(steps, ink(dark))
    line["lineStyle"] |= {"width": 1.5, "type": "dotted"}
    return [{**line, "name": LINE, "step": "end", "itemStyle": {"color": ink(dark)}}]


def times(titles: Sequence[str], families: Sequence[str], seconds: Sequence[float], dark: bool) -> dict[str, Any]:
    """Training time of each row, the longest below."""
    order = sorted(range(len(titles)), key=lambda k: seconds[k])
    rounded = [round(float(s), 1) if s < 10 else round(float(s)) for s in seconds]
    drawn = [{"value": rounded[k], "itemStyle": {"color": colour_of(families[k], dark)}} for k in order]
    return {
        "animation": False,
        "tooltip": {"trigger": "item", "valueFormatter": "%.0f s"},
        "grid": {"left": 216, "right": 52, "top": 6, "height": ROW * len(titles), "outerBoundsMode": "none"},
        "xAxis": {
            "type": "value", "min": 0, "name": "training time [s]", "nameLocation": "middle", "nameGap": 25,
            "splitLine": {"show": False}, "axisLine": {"show": True},
        },
        "yAxis": {
            "type": "category", "data": [titles[k] for k in order], "inverse": True, "name": "",
            "axisTick": {"show": False}, "axisLabel": {"fontSize": 11, "interval": 0, "width": 206},
        },
        "series": [
            {
                "type": "bar", "name": "training time", "barWidth": "62%",
                "data": drawn,
                "label": {"show": True, "position": "right", "fontSize": 10, "formatter": "{c}"},
            }
        ],
    }  # fmt: skip

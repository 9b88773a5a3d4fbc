"""Points in the plane on equal axes: as an ECharts spec, and small as an SVG picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from app.charts.colour import CLASSES, GENERATED, data_blue, ink

MOST_POINTS = 6000
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 30, 44
"""Pixels around the square."""
AIR = 0.04
SYMBOLS = ("circle", "triangle", "rect", "diamond")


class Cloud(NamedTuple):
    """Points (n, 2) drawn alike."""

    title: str
    xy: np.ndarray
    colour: str
    symbol: str = "circle"
    radius: float = 0.0
    """In small pictures, where it differs from the others'."""


def real_and_generated(real: np.ndarray, generated: np.ndarray, dark: bool) -> list[Cloud]:
    """The two layers of every comparison, told apart by colour and shape."""
    return [Cloud("real", real, data_blue(dark)), Cloud("generated", generated, GENERATED, "diamond")]


def by_class(xy: np.ndarray, classes: np.ndarray, names: dict[int, str], title: str = "") -> list[Cloud]:
    """A cloud a class; neighbours in the legend differ in shape too."""
    return [
        Cloud(f"{title} {name}".strip(), xy[classes == k], CLASSES[k % len(CLASSES)], SYMBOLS[k % len(SYMBOLS)])
        for k, name in names.items()
    ]


def thin(xy: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """At most so many points, evenly over the array."""
    return xy[np.linspace(0, len(xy) - 1, min(len(xy), most)).astype(int)] if len(xy) else xy


def span_of(parts: Sequence[np.ndarray]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ranges of both axes: equally long, around all points but stray ones, which a model may throw anywhere."""
    xy = np.concatenate([np.asarray(p, float)[:, :2] for p in parts]) if parts else np.zeros((0, 2))
    xy = xy[np.isfinite(xy).all(1)]
    if not len(xy):
        return (-1.0, 1.0), (-1.0, 1.0)
    low, high = np.quantile(xy, [0.001, 0.999], axis=0)
    half = (0.5 + AIR) * max(float((high - low).max()), 1e-6)
    middle = (low + high) / 2
    return tuple((float(m - half), float(m + half)) for m in middle)  # pyright: ignore[reportReturnType]


def size_of(side: int) -> tuple[int, int]:
    """Width and height of the chart whose square has this side, in pixels."""
    return LEFT + side + RIGHT, TOP + side + BOTTOM


def plane(
    clouds: Sequence[Cloud], side: int = 460, size: int = 4,
    span: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """An ECharts spec for a chart of `size_of(side)`; the grid's own pixels keep the axes equal."""
    ranges = span or span_of([c.xy for c in clouds])
    each = MOST_POINTS // max(1, len(clouds))
    axes = [_axis(f"x{k + 1}", low, high, 24 if k == 0 else 30) for k, (low, high) in enumerate(ranges)]
    sources = [pd.DataFrame(thin(c.xy, each)[:, :2], columns=["x1", "x2"]) for c in clouds]
    return {
        "animation": False,
        "legend": {"type": "scroll", "top": 0, "left": LEFT - 6, "right": 10, "itemHeight": 10},
        "tooltip": {"trigger": "item", "valueFormatter": "%.3f"},
        "grid": {"left": LEFT, "top": TOP, "width": side, "height": side, "outerBoundsMode": "none"},
        "xAxis": axes[0],
        "yAxis": axes[1],
        "dataset": [{"source": source} for source in sources],
        "series": [
            {
                "type": "scatter", "name": c.title, "datasetIndex": k, "symbol": c.symbol, "large": False,
                "symbolSize": size + (c.symbol != "circle"), "clip": True,
                "itemStyle": {"color": c.colour, "opacity": 0.7}, "encode": {"x": "x1", "y": "x2"},
            }
            for k, c in enumerate(clouds)
        ],
    }  # fmt: skip


def _axis(name: str, low: float, high: float, gap: int) -> dict[str, Any]:
    return {
        "type": "value", "min": low, "max": high, "name": name, "nameLocation": "middle", "nameGap": gap,
        "splitLine": {"show": False}, "axisLine": {"show": True, "onZero": False}, "axisTick": {"show": True},
        "axisLabel": {"showMinLabel": False, "showMaxLabel": False, "fontSize": 10}, "splitNumber": 4,
    }  # fmt: skip


def cloud_url(
    clouds: Sequence[Cloud], span: tuple[tuple[float, float], tuple[float, float]], side: int, dark: bool,
    radius: float = 1.6,
) -> str:  # fmt: skip
    """The clouds as an SVG data URL of `side` × `side`, for strips and galleries; zero is marked by faint lines."""
    (x0, x1), (y0, y1) = span
    shapes = []
    for axis, (low, high) in enumerate(span):
        if low < 0 < high:
            at = side * (-low / (high - low) if axis == 0 else high / (high - low))
            shapes.append(f"M{at:.1f} 0v{side}" if axis == 0 else f"M0 {at:.1f}h{side}")
    lines = f'<path d="{"".join(shapes)}" stroke="{ink(dark)}" stroke-opacity="0.18" fill="none"/>'
    drawn = []
    for cloud in clouds:
        xy = thin(np.asarray(cloud.xy, float)[:, :2], MOST_POINTS // 3)
        xy = xy[np.isfinite(xy).all(1)]
        px = np.clip(side * (xy[:, 0] - x0) / (x1 - x0), 0, side)
        py = np.clip(side * (y1 - xy[:, 1]) / (y1 - y0), 0, side)
        r = cloud.radius or radius
        if cloud.symbol == "diamond":
            path = "".join(f"M{a:.1f} {b - r:.1f}l{r} {r}l-{r} {r}l-{r} -{r}z" for a, b in zip(px, py, strict=True))
        else:
            path = "".join(
                f"M{a - r:.1f} {b:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 -{2 * r} 0"
                for a, b in zip(px, py, strict=True)
            )
        drawn.append(f'<path d="{path}" fill="{cloud.colour}" fill-opacity="0.75"/>')
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" viewBox="0 0 {side} {side}">'
        f"{lines}{''.join(drawn)}</svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


def edges_of(real: np.ndarray, bins: int = 24) -> np.ndarray:
    """Equal bins of a coordinate over the real points; what lies outside goes into the first and last bin."""
    low, high = (float(v) for v in np.quantile(real, [0.001, 0.999])) if len(real) else (-1.0, 1.0)
    digits = 1 - int(np.floor(np.log10(max(high - low, 1e-6))))  # so that the ends of the axis are short numbers
    step = 10.0**-digits
    first, last = round(float(np.floor(low / step)) * step, digits), round(float(np.ceil(high / step)) * step, digits)
    return np.linspace(first, last if last > first else first + step, bins + 1)


def nearest_distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Euclidean distance (n,) of each example (n, …) to the nearest of the others (m, …); none
    where either is empty."""
    if not len(one) or not len(other):
        return np.zeros(0)
    a, b = (np.asarray(x, np.float32).reshape(len(x), -1) for x in (one, other))
    square = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(square.min(1), 0))

"""The map: data and generated points on one t-SNE plane, as an ECharts spec with a lasso."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from app.charts.colour import ink
from app.charts.groups import LAYERS, Group, classes_of, groups_of, ramp_of, values_of
from engine.schema import Arrays

AIR = 0.04  # around the points, as a share of the map
MARK = "#D81B60"  # around a chosen point, in no palette of points
MANY = 3000
"""Points of a map from which on each series is drawn in one go."""


def spread(index: np.ndarray, most: int) -> np.ndarray:
    """At most so many of a selection, evenly over it."""
    return index[np.linspace(0, len(index) - 1, min(len(index), most)).astype(int)]


def size_for(n: int) -> float:
    """Diameter of a point where there are so many; below 4 pixels a batch loses its shapes."""
    return 7 if n <= 1200 else 6 if n <= 5000 else 5


def latent_map(
    points: Arrays,
    colour_by: str = "layer",
    names: dict[int, str] | None = None,
    *,
    lasso: bool = True,
    size: float | None = None,
    layers: Sequence[str] = LAYERS,
    chosen: np.ndarray | None = None,
    outlines: Sequence[np.ndarray] = (),
    marks: dict[str, int] | None = None,
    dark: bool = False,
    title: str = "",
) -> dict[str, Any]:
    """Circles are data, diamonds generated points, whatever the colour says; the axes have no unit. chosen: numbers of
    the selected points. outlines: polygons (m, 2) around a selection. marks: numbers of single points by their letter.
    """
    xy = np.asarray(points["xy"], np.float32)
    names = names or {}
    groups = groups_of(points, colour_by, names, layers, chosen, dark)
    told = told_of(points, names)
    many = len(xy) > MANY
    size = size or size_for(len(xy))
    columns = {"x": xy[:, 0], "y": xy[:, 1], **told}
    option: dict[str, Any] = {
        "animation": False,
        "legend": _legend(groups, colour_by, dark),
        "tooltip": {"trigger": "item", "confine": True, "valueFormatter": "%.4g"},
        "grid": {"left": 26, "right": 12, "top": 34, "bottom": 26, "outerBoundsMode": "none"},
        "xAxis": _axis(xy[:, 0], "t-SNE 1 (no unit)"),
        "yAxis": _axis(xy[:, 1], "t-SNE 2 (no unit)"),
        "dataset": [{"source": pd.DataFrame({k: v[g.index] for k, v in columns.items()})} for g in groups],
        "series": [_series(group, k, size, list(told), many, lasso) for k, group in enumerate(groups)],
    }  # fmt: skip
    if title:
        option["title"] = {"text": title, "right": 90, "top": 2, "textStyle": {"fontSize": 12, "fontWeight": 600}}
    if colour_by not in ("layer", "species", "class"):
        _scale(option, points, colour_by, dark)
    option["series"] += [_outline(polygon, dark) for polygon in outlines if len(polygon) > 2]
    if marks:
        option["series"] += _marks(xy, marks, dark)
    if lasso:
        tools = ["polygon", "rect", "clear"]
        option["toolbox"] = {"right": 0, "top": 0, "feature": {"brush": {"type": tools}}}
        option["brush"] = {
            "toolbox": tools, "xAxisIndex": "all", "yAxisIndex": "all", "throttleType": "debounce",
            "throttleDelay": 10, "outOfBrush": {"colorAlpha": 1}, "transformable": False,
            "brushStyle": {"borderWidth": 1, "color": "rgba(128,128,128,0.10)", "borderColor": "rgba(128,128,128,0.7)"},
        }  # fmt: skip
    return option


def told_of(points: Arrays, names: dict[int, str]) -> dict[str, np.ndarray]:
    """What a point says of itself on hovering: its number, and a shower's particle and light or another's class."""
    number = {"point": np.arange(len(points["layer"]), dtype=np.int32)}
    if "energy" in points:
        symbols = np.array([names.get(k, str(k)) for k in np.asarray(points["pdg"]).tolist()])
        return {
            **number,
            "energy [GeV]": np.asarray(points["energy"], np.float32),
            "photon sum": np.asarray(points["photon_sum"], np.float32),
            "species": pd.Categorical(symbols) if len(symbols) > MANY else symbols,  # pyright: ignore[reportReturnType]
        }
    if "conditions" not in points or not np.asarray(points["conditions"]).shape[1]:
        return number
    return {**number, "class": np.array([names.get(k, str(k)) for k in classes_of(points).tolist()])}


def _legend(groups: Sequence[Group], colour_by: str, dark: bool) -> dict[str, Any]:
    """Layers by shape; species and classes by colour. Layers are switched by the page, which counts along."""
    titles: dict[str, dict[str, Any]] = {}
    ramp = colour_by not in ("layer", "species", "class")
    for group in groups:
        if not group.quiet and group.title not in titles:
            titles[group.title] = {"name": group.title, "icon": "circle" if colour_by != "layer" else group.symbol}
            if ramp:
                titles[group.title] |= {"icon": group.symbol, "itemStyle": {"color": ink(dark), "opacity": 0.7}}
    return {
        "type": "scroll", "top": 0, "left": 0, "right": 110, "itemHeight": 10, "itemWidth": 12,
        "selectedMode": False, "data": list(titles.values()),
    }  # fmt: skip


def _axis(values: np.ndarray, name: str) -> dict[str, Any]:
    low, high = (float(values.min()), float(values.max())) if len(values) else (-1.0, 1.0)
    air = AIR * max(high - low, 1e-6)
    return {
        "type": "value", "min": low - air, "max": high + air, "name": name, "nameLocation": "middle", "nameGap": 8,
        "axisLabel": {"show": False}, "axisTick": {"show": False}, "splitLine": {"show": False},
        "axisLine": {"show": True, "onZero": False}, "nameTextStyle": {"fontSize": 11},
    }  # fmt: skip


def _series(group: Group, k: int, size: float, told: list[str], many: bool, click: bool) -> dict[str, Any]:
    chosen = {"selectedMode": "single", "select": {"itemStyle": {"color": group.colour, "borderWidth": 0}}}
    return {
        "type": "scatter", "name": group.title, "datasetIndex": k, "symbol": group.symbol, "z": 1 if group.quiet else 2,
        "symbolSize": size + (group.symbol == "diamond"), "large": many, "largeThreshold": 0, "progressive": 0,
        "itemStyle": {"color": group.colour, "opacity": 0.4 if group.quiet else 0.75},
        "encode": {"x": "x", "y": "y", "tooltip": told},
        **(chosen if click else {}),  # without a look of its own: the page marks what is chosen
    }  # fmt: skip


def _scale(option: dict[str, Any], points: Arrays, colour_by: str, dark: bool) -> None:
    """The colour bar, of a series without points: the others are coloured already."""
    ramp = ramp_of(values_of(points, colour_by), colour_by, dark)
    option["grid"]["right"] = 92
    option["series"].append({"type": "scatter", "name": "", "data": [], "silent": True})
    ends = [f"{v:+.1f}" if ramp.unit == "log" else f"{v:,.3g}" if abs(v) < 1000 else f"{v:,.0f}" for v in ramp[:2]]
    option["visualMap"] = {
        "type": "continuous", "seriesIndex": len(option["series"]) - 1, "min": ramp.low, "max": ramp.high, "right": 0,
        "top": 40, "text": [f"{ends[1]} {ramp.unit}".rstrip(), ends[0]], "inRange": {"color": ramp.colours},
        "itemHeight": 140, "calculable": False, "hoverLink": False, "textStyle": {"fontSize": 11, "color": ink(dark)},
    }  # fmt: skip


def _outline(polygon: np.ndarray, dark: bool) -> dict[str, Any]:
    closed = [*polygon.tolist(), polygon[0].tolist()]
    return {
        "type": "line", "data": closed, "symbol": "none", "silent": True, "tooltip": {"show": False}, "z": 5,
        "lineStyle": {"color": ink(dark), "width": 1.2, "type": "dashed"},
    }  # fmt: skip


def _marks(xy: np.ndarray, marks: dict[str, int], dark: bool) -> list[dict[str, Any]]:
    """Rings with their letter, and a line from one to the next."""
    there = {letter: xy[number].tolist() for letter, number in marks.items() if 0 <= number < len(xy)}
    rings: dict[str, Any] = {
        "type": "scatter", "symbol": "circle", "symbolSize": 15, "silent": True, "z": 7, "tooltip": {"show": False},
        "itemStyle": {"color": "rgba(0,0,0,0)", "borderColor": MARK, "borderWidth": 2.5},
        "label": {
            "show": True, "position": "top", "formatter": "{b}", "fontWeight": 700, "color": ink(dark),
            "textBorderColor": "#12151A" if dark else "#FCFCFB", "textBorderWidth": 3, "fontSize": 13,
        },
        "data": [{"name": letter, "value": at} for letter, at in there.items()],
    }  # fmt: skip
    line = {
        "type": "line", "data": list(there.values()), "symbol": "none", "silent": True, "z": 6,
        "tooltip": {"show": False}, "lineStyle": {"color": MARK, "width": 1.5, "type": "dotted"},
    }  # fmt: skip
    return [rings, line] if there else []


def clicked(groups: Sequence[Group], parts: Sequence[dict[str, Any]]) -> set[int]:
    """Numbers of the points that a selection names by series and place."""
    found: set[int] = set()
    for part in parts:
        where = part.get("series_index", -1)
        if 0 <= where < len(groups):
            index = np.array(part.get("data_indices", []), int)
            mine = groups[where].index
            found |= set(mine[index[(index >= 0) & (index < len(mine))]].tolist())
    return found

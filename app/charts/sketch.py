"""Small charts that explain one thing: panes beside or above each other with lines, points and fills, as ECharts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from app.charts.colour import faint, ink
from app.charts.histogram import pairs

HEIGHT = 380
"""Of every chart here, in pixels, so that nothing below it jumps from one to the next."""
TOP, BOTTOM, LEFT, GAP = 44, 44, 56, 84
"""Pixels above a pane (legend, title), below it (axis), left of it, and between a square pane and the next."""
BETWEEN = 62
"""Pixels between panes above each other."""


class Axis(NamedTuple):
    """A range with its name, which holds the unit. step: between labels. names: of categories, in place of a range."""

    name: str
    low: float = 0.0
    high: float = 1.0
    step: float = 0.0
    log: bool = False
    names: tuple[str, ...] = ()


class Pane(NamedTuple):
    """A coordinate system. square: its sides are equally long."""

    x: Axis
    y: Axis
    title: str = ""
    square: bool = False


def sketch(
    panes: Sequence[Pane], series: Sequence[dict[str, Any]], dark: bool, stacked: bool = False, height: int = HEIGHT,
    tooltip: str = "axis",
) -> dict[str, Any]:  # fmt: skip
    """An ECharts spec for a chart of this height. stacked: panes stand above each other. Series name their pane by
    number; those without a name are not in the legend."""
    names = list(dict.fromkeys(s["name"] for s in series if s.get("name")))
    boxes = [_box(k, panes, stacked, height) for k in range(len(panes))]
    return {
        "animation": False,
        "legend": {"data": names, "top": 0, "left": 0, "itemHeight": 10, "itemWidth": 24, "selectedMode": False},
        "tooltip": {"trigger": tooltip, "confine": True, "valueFormatter": "%.3g"},
        "title": [_title(pane, box, dark) for pane, box in zip(panes, boxes, strict=True) if pane.title],
        "grid": [{**box, "outerBoundsMode": "none"} for box in boxes],
        "xAxis": [_axis(pane.x, k, 26) for k, pane in enumerate(panes)],
        "yAxis": [_axis(pane.y, k, 40) for k, pane in enumerate(panes)],
        "series": list(series),
    }  # fmt: skip


def _box(k: int, panes: Sequence[Pane], stacked: bool, height: int) -> dict[str, Any]:
    """Where a pane stands: above each other, or at most two beside each other, of which a square first one takes
    pixels and the second the rest."""
    inner = height - TOP - BOTTOM
    if stacked:
        each = (inner - BETWEEN * (len(panes) - 1)) / len(panes)
        return {"left": LEFT, "right": 18, "top": TOP + k * (each + BETWEEN), "height": each}
    tall = {"top": TOP, "height": inner}
    if panes[0].square:
        return {"left": LEFT, "width": inner, **tall} if k == 0 else {"left": LEFT + inner + GAP, "right": 18, **tall}
    if len(panes) == 1:
        return {"left": LEFT, "right": 18, **tall}
    return {"left": LEFT, "right": "54%", **tall} if k == 0 else {"left": "56%", "right": 18, **tall}


def _title(pane: Pane, box: dict[str, Any], dark: bool) -> dict[str, Any]:
    style = {"fontSize": 12, "fontWeight": 600, "color": ink(dark)}
    return {"text": pane.title, "left": box["left"], "top": box["top"] - 20, "padding": 0, "textStyle": style}


def _axis(axis: Axis, k: int, gap: int) -> dict[str, Any]:
    common = {"gridIndex": k, "name": axis.name, "nameLocation": "middle", "nameGap": gap}
    line = {"show": True, "onZero": False}
    if axis.names:
        tick = {"show": False}
        return {"type": "category", "data": list(axis.names), **common, "axisLine": line, "axisTick": tick}
    option = {
        "type": "log" if axis.log else "value", "min": axis.low, "max": axis.high, **common, "axisLine": line,
        "splitLine": {"show": False}, "axisLabel": {"hideOverlap": True},
    }  # fmt: skip
    if axis.step:
        odd = abs(axis.high / axis.step - round(axis.high / axis.step)) > 1e-6
        option |= {"interval": axis.step, "axisLabel": {"hideOverlap": True, "showMaxLabel": not odd}}
    return option


def line(
    pane: int, name: str, x: np.ndarray, y: np.ndarray, colour: str, dash: str | list[int] = "solid",
    width: float = 2, fill: float = 0.0,
) -> dict[str, Any]:  # fmt: skip
    """A curve; fill: opacity of the area below it."""
    option = {
        "type": "line", "name": name, "xAxisIndex": pane, "yAxisIndex": pane, "symbol": "none", "clip": True,
        "data": pairs(*(_short(v) for v in (x, y))), "itemStyle": {"color": colour},
        "lineStyle": {"color": colour, "width": width, "type": dash},
    }  # fmt: skip
    if fill:
        option["areaStyle"] = {"color": colour, "opacity": fill}
    return option


def _short(values: Any) -> np.ndarray:
    """Five digits, which no screen can tell from more, so that a curve is a third as long on the wire."""
    values = np.asarray(values, float)
    size = 10.0 ** (4 - np.floor(np.log10(np.where(values == 0, 1, np.abs(values)))))
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(values), np.round(values * size) / size, values)


def dots(
    pane: int, name: str, x: np.ndarray | Sequence[float], y: np.ndarray | Sequence[float], colour: str,
    symbol: str = "circle", size: float = 8, hollow: bool = False, texts: Sequence[str] = (), place: str = "top",
    dark: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Points; hollow: only their border. texts: written beside each, where given."""
    style: dict[str, Any] = {"color": colour}
    if hollow:
        style = {"color": "rgba(0,0,0,0)", "borderColor": colour, "borderWidth": 1.8}
    data: list[dict[str, Any]] = [{"value": p} for p in pairs(np.asarray(x, float), np.asarray(y, float))]
    for point, text in zip(data, texts, strict=False):
        point["label"] = {
            "show": bool(text), "formatter": text, "position": place, "fontSize": 12, "color": ink(dark),
        }  # fmt: skip
    return {
        "type": "scatter", "name": name, "xAxisIndex": pane, "yAxisIndex": pane, "symbol": symbol, "symbolSize": size,
        "data": data, "itemStyle": style, "clip": False, "z": 5, "tooltip": {"show": bool(name)},
    }  # fmt: skip


def upright(pane: int, x: float, low: float, high: float, dark: bool) -> dict[str, Any]:
    """A thin line across a pane at the place that is spoken of."""
    option = line(pane, "", np.array([x, x]), np.array([low, high]), faint(dark), "solid", 1.5)
    return option | {"silent": True, "tooltip": {"show": False}, "z": 1}


def level(
    pane: int, name: str, y: float, low: float, high: float, colour: str, dash: str | list[int] = "dashed"
) -> dict[str, Any]:  # fmt: skip
    """A horizontal line over a pane."""
    return line(pane, name, np.array([low, high]), np.array([y, y]), colour, dash, 1.5)


def heat(
    pane: int, table: np.ndarray, colours: Sequence[str], low: float, high: float, series: int
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """A table (nx, ny) on category axes, and its colour scale. series: its number among the chart's series."""
    rows = [[i, j, float(f"{v:.4g}")] for i, row in enumerate(table.tolist()) for j, v in enumerate(row)]
    plotted = {
        "type": "heatmap", "name": "", "xAxisIndex": pane, "yAxisIndex": pane, "data": rows, "progressive": 0,
        "silent": True,
    }  # fmt: skip
    scale = {
        "type": "continuous", "seriesIndex": series, "min": low, "max": high, "show": False, "dimension": 2,
        "inRange": {"color": list(colours)},
    }  # fmt: skip
    return plotted, scale

"""Distributions of several models over the simulation's, each with its ratio below, as one ECharts spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.charts.colour import faint, ink
from app.charts.histogram import bars, count, garwood, pairs, step_line
from app.charts.looks import Look

LARGEST = 2.0
"""Ratios end here."""
QUANTILE = 0.99
SIMULATION = "simulation"
SILENT = {"silent": True, "symbol": "none", "tooltip": {"show": False}}


@dataclass(frozen=True)
class Panel:
    """edges (n+1,); simulated with the ends of its interval and every model's heights (n,), on one scale."""

    title: str
    x_label: str
    y_label: str
    edges: np.ndarray
    simulated: np.ndarray
    low: np.ndarray
    high: np.ndarray
    models: list[np.ndarray] = field(default_factory=list)

    def least(self) -> float:
        """Where a logarithmic axis begins."""
        values = np.concatenate([self.simulated, *self.models])
        values = values[values > 0]
        return float(values.min()) / 2 if len(values) else 0.5


def counted(title: str, unit: str, simulated: np.ndarray, models: Sequence[np.ndarray], bins: int = 20) -> Panel:
    """Counts in equal bins up to the simulation's 99 % quantile, the rest in the last bin; models scaled to the number
    of simulated showers. Photons are whole: so are the widths of their bins."""
    top = float(np.quantile(simulated, QUANTILE)) if len(simulated) else 1.0
    step = max(1.0, float(np.ceil(top / bins)))
    edges = np.arange(0.0, bins * step + 0.5 * step, step)[: max(2, int(np.ceil(top / step)) + 1)] - 0.5
    heights = count(simulated, edges)
    low, high = garwood(heights)
    scaled = [count(m, edges) * (len(simulated) / max(1, len(m))) for m in models]
    return Panel(title, f"{title} [{unit}]", "showers per bin", edges, heights, low, high, scaled)


def measured(
    title: str, x_label: str, y_label: str, edges: np.ndarray, simulated: np.ndarray, error: np.ndarray,
    models: Sequence[np.ndarray],
) -> Panel:  # fmt: skip
    """Values with symmetric errors."""
    value, off = np.asarray(simulated, float), np.asarray(error, float)
    return Panel(
        title, x_label, y_label, np.asarray(edges, float), value, np.maximum(value - off, 0), value + off,
        [np.asarray(m, float) for m in models],
    )  # fmt: skip


def draw(panels: Sequence[Panel], looks: Sequence[Look], dark: bool, across: int, each: int, log_y: bool) -> dict:
    """Panels in rows of `across`, `each` pixels high; simulation as points, models as step lines."""
    option: dict[str, Any] = {
        "animation": False, "grid": [], "xAxis": [], "yAxis": [], "series": [], "title": [],
        "legend": {
            "type": "scroll", "top": 0, "left": 0, "itemHeight": 12, "itemWidth": 30,
            "data": [SIMULATION, *(look.title for look in looks)],
        },
        "tooltip": {"trigger": "axis", "valueFormatter": "%.3g"},
    }  # fmt: skip
    for k, panel in enumerate(panels):
        _frame(option, panel, k, across, each, dark, log_y)
        _fill(option, panel, k, looks, dark, log_y)
    return option


def height_of(n: int, across: int, each: int) -> int:
    return 26 + each * -(-n // across)


def _frame(option: dict[str, Any], panel: Panel, k: int, across: int, each: int, dark: bool, log_y: bool) -> None:
    column, row = k % across, k // across
    width = 100 / across
    top = 26 + row * each
    middle = top + int(0.66 * each)
    side = {"left": f"{column * width + 0.13 * width:.2f}%", "width": f"{0.85 * width:.2f}%", "outerBoundsMode": "none"}
    at = len(option["grid"])
    option["title"].append(
        {"text": panel.title, "left": side["left"], "top": top + 2, "padding": 0,
         "textStyle": {"fontSize": 12, "fontWeight": 600, "color": ink(dark)}}
    )  # fmt: skip
    option["grid"] += [
        {**side, "top": top + 22, "height": middle - top - 22},
        {**side, "top": middle + 9, "height": top + each - middle - 52},
    ]
    lines = {"splitLine": {"show": False}, "axisLine": {"show": True, "onZero": False}, "axisTick": {"show": True}}
    small = {"fontSize": 10, "hideOverlap": True}
    named = {"nameLocation": "middle", "nameTextStyle": {"fontSize": 11}}
    shared = {
        "type": "value", "min": float(panel.edges[0]), "max": float(panel.edges[-1]), "splitNumber": 4, **lines,
    }  # fmt: skip
    option["xAxis"] += [
        {**shared, "gridIndex": at, "axisLabel": {"show": False}},
        {
            **shared, "gridIndex": at + 1, "name": panel.x_label, "nameGap": 22, **named,
            "axisLabel": {**small, "showMinLabel": False, "showMaxLabel": False},
        },
    ]  # fmt: skip
    upper: dict[str, Any] = {"type": "log", "min": panel.least()} if log_y else {"type": "value", "min": 0}
    first = column == 0
    option["yAxis"] += [
        {
            **upper, "gridIndex": at, "splitNumber": 3, **lines, "nameGap": 38, **named,
            "name": panel.y_label if first else "", "axisLabel": {**small, "showMinLabel": not log_y},
        },
        {
            "type": "value", "gridIndex": at + 1, "min": 0, "max": LARGEST, "interval": 1, **lines, "nameGap": 38,
            "name": "ratio" if first else "", "axisLabel": {"fontSize": 10}, **named,
        },
    ]  # fmt: skip


def _fill(
    option: dict[str, Any], panel: Panel, k: int, looks: Sequence[Look], dark: bool, log_y: bool
) -> None:  # fmt: skip
    up, low = {"xAxisIndex": 2 * k, "yAxisIndex": 2 * k}, {"xAxisIndex": 2 * k + 1, "yAxisIndex": 2 * k + 1}
    point = ink(dark)
    least = panel.least() if log_y else 0.0
    x, there = (panel.edges[1:] + panel.edges[:-1]) / 2, panel.simulated > 0
    reference = np.where(there, panel.simulated, 1.0)
    under = np.clip(np.where(there, panel.low / reference, 1.0), 0, LARGEST)
    over = np.clip(np.where(there, panel.high / reference, 1.0), 0, LARGEST)
    band = {**SILENT, **low, "type": "line", "step": "end", "stack": f"band {k}", "stackStrategy": "all", "z": 1}
    option["series"] += [
        {**band, "data": step_line(panel.edges, under), "lineStyle": {"width": 0}},
        {
            **band, "data": step_line(panel.edges, over - under), "lineStyle": {"width": 0},
            "areaStyle": {"color": faint(dark), "opacity": 0.75},
            "markLine": {
                "silent": True, "symbol": "none", "label": {"show": False}, "data": [{"yAxis": 1}],
                "lineStyle": {"color": point, "width": 1, "type": "dashed"},
            },
        },
    ]  # fmt: skip
    for look, heights in zip(looks, panel.models, strict=True):
        line = {"width": 2, "color": look.colour, "type": look.dash}
        style = {"lineStyle": line, "itemStyle": {"color": look.colour}, "symbol": "none", "step": "end"}
        ratio = np.where(there, heights / reference, np.nan)
        option["series"] += [
            {
                "type": "line", "name": look.title, **up, **style, "z": 3,
                "data": step_line(panel.edges, np.maximum(heights, least)),
            },
            {
                "type": "line", "name": look.title, **low, **style, "z": 3, "clip": True,
                "data": step_line(panel.edges, np.clip(ratio, 0, LARGEST)), "lineStyle": {**line, "width": 1.6},
            },
        ]  # fmt: skip
    option["series"] += [
        {
            **SILENT, **up, "type": "line", "z": 4, "lineStyle": {"width": 1, "color": point},
            "data": bars(x[there], np.maximum(panel.low, least)[there], panel.high[there]),
        },
        {
            "type": "scatter", "name": SIMULATION, **up, "symbolSize": 5, "z": 5, "itemStyle": {"color": point},
            "data": pairs(x[there], panel.simulated[there]),
        },
    ]  # fmt: skip

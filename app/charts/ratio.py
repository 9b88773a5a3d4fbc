"""Two distributions over each other with their ratio below: reference as points, the other as a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.charts.colour import data_blue, faint, ink
from app.charts.histogram import bars, pairs, step_line

LARGEST_RATIO = 2.0


@dataclass(frozen=True)
class Overlay:
    """One panel. edges: (n+1,) of the bins. reference, value and their errors: (n,), on the same scale."""

    title: str
    x_label: str
    y_label: str
    edges: np.ndarray
    reference: np.ndarray
    reference_error: np.ndarray
    value: np.ndarray
    value_error: np.ndarray
    log_x: bool = True
    log_y: bool = True


@dataclass(frozen=True)
class Ratio:
    """value / reference with its error; where the reference is empty there is none."""

    x: np.ndarray
    ratio: np.ndarray
    error: np.ndarray


def ratio_of(panel: Overlay) -> Ratio:
    """Relative errors added in quadrature, σ_r² = (σ_v / reference)² + (r σ_ref / reference)²."""
    there = panel.reference > 0
    x = centres(panel.edges, panel.log_x)[there]
    reference, value = panel.reference[there], panel.value[there]
    ratio = value / reference
    error = np.hypot(panel.value_error[there], ratio * panel.reference_error[there]) / reference
    return Ratio(x, ratio, error)


def centres(edges: np.ndarray, log: bool) -> np.ndarray:
    return np.sqrt(edges[1:] * edges[:-1]) if log else (edges[1:] + edges[:-1]) / 2


def value_edges(parts: Sequence[np.ndarray], bins: int = 24) -> np.ndarray:
    """Bins equal in the logarithm over all positive values."""
    values = np.concatenate([np.asarray(p, float) for p in parts]) if parts else np.zeros(0)
    values = values[values > 0]
    low, high = (float(values.min()), float(values.max())) if len(values) else (1.0, 10.0)
    return np.geomspace(low, max(high, 1.01 * low) * 1.0001, bins + 1)


def histograms(
    title: str, unit: str, reference: np.ndarray, value: np.ndarray, edges: np.ndarray, bins_of: str = "showers"
) -> Overlay:
    """Counts of both, the value's scaled to the number of showers of the reference; errors √N, of one where there is
    none, scaled alike."""
    first, second = (np.histogram(v, edges)[0].astype(float) for v in (reference, value))
    scale = len(reference) / max(1, len(value))
    return Overlay(
        title, f"{title} [{unit}]", f"{bins_of} per bin", edges,
        first, np.sqrt(first), scale * second, scale * np.sqrt(np.maximum(second, 1)),
    )  # fmt: skip


def curve(
    title: str, x_label: str, y_label: str, x: Sequence[float], reference: Sequence[float],
    reference_error: Sequence[float], value: Sequence[float],
) -> Overlay:  # fmt: skip
    """A distribution given by numbers; `x` holds bin edges or, one fewer, bin centres."""
    at, counts = np.asarray(x, float), np.asarray(reference, float)
    wide = bool(len(at) > 1 and (at > 0).all() and at.max() > 30 * at.min())
    edges = at if len(at) == len(counts) + 1 else around(at, wide)
    other = np.asarray(value, float)
    positive = np.concatenate([counts, other])
    positive = positive[positive > 0]
    steep = bool(len(positive) and positive.max() > 300 * positive.min())
    return Overlay(
        title, x_label, y_label, edges, counts, np.asarray(reference_error, float), other, np.zeros(len(other)),
        wide, steep,
    )  # fmt: skip


def around(x: np.ndarray, log: bool) -> np.ndarray:
    """Edges half-way between points."""
    t = np.log(x) if log else x
    if len(t) < 2:
        return np.array([0.5, 1.5]) * (x[0] if len(x) and x[0] else 1.0)
    middle = (t[1:] + t[:-1]) / 2
    edges = np.concatenate([[2 * t[0] - middle[0]], middle, [2 * t[-1] - middle[-1]]])
    return np.exp(edges) if log else edges


def overlay(
    panel: Overlay, labels: tuple[str, str], dark: bool, height: int = 310, ratio: str = "ratio",
    colour: str = "", legend: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """An ECharts spec. labels: of the reference (points) and of the other (line, `colour` or the data's blue)."""
    option: dict[str, Any] = {
        "animation": False,
        "tooltip": {"trigger": "axis", "valueFormatter": "%.3g"},
        **_frame(panel, height, ratio, 26 if legend else 4, ink(dark)),
        "series": _series(panel, labels, dark, colour or data_blue(dark)),
    }  # fmt: skip
    if legend:
        option["legend"] = {"type": "scroll", "data": list(labels), "top": 0, "left": 0, "itemHeight": 9}
    return option


def _frame(panel: Overlay, height: int, ratio: str, top: int, black: str) -> dict[str, Any]:
    middle = int(0.66 * height)
    grid = {"left": 54, "right": 14, "outerBoundsMode": "none"}
    lines = {"splitLine": {"show": False}, "axisLine": {"show": True}, "axisTick": {"show": True}}
    named = {"nameLocation": "middle", "nameTextStyle": {"fontSize": 11}}
    small = {"fontSize": 10, "hideOverlap": True, "showMinLabel": False, "showMaxLabel": False}
    shared = {
        "type": "log" if panel.log_x else "value", "min": float(panel.edges[0]), "max": float(panel.edges[-1]),
        "splitNumber": 3, **lines,
    }  # fmt: skip
    upper = {"type": "log", "min": floor_of(panel)} if panel.log_y else {"type": "value", "min": 0}
    return {
        # what is counted stands beside the title: it is too long for so low an axis
        "title": {
            "text": f"{{name|{panel.title}}}  {{unit|{panel.y_label}}}", "left": 48, "top": top, "padding": [2, 5],
            "textStyle": {
                "color": black, "lineHeight": 14,
                "rich": {
                    "name": {"fontSize": 12, "fontWeight": 600, "color": black},
                    "unit": {"fontSize": 11, "color": black},
                },
            },
        },
        "grid": [
            {**grid, "top": top + 24, "height": middle - top - 24},
            {**grid, "top": middle + 10, "height": height - middle - 52},
        ],
        "xAxis": [
            {**shared, "gridIndex": 0, "axisLabel": {"show": False}},
            {**shared, "gridIndex": 1, "name": panel.x_label, "nameGap": 22, "axisLabel": small, **named},
        ],
        "yAxis": [
            {
                **upper, "gridIndex": 0, "splitNumber": 3, "name": "",
                "axisLabel": small | {"showMinLabel": not panel.log_y}, **lines,
            },
            {
                "type": "value", "gridIndex": 1, "min": 0, "max": LARGEST_RATIO, "interval": 1,
                "axisLabel": {"fontSize": 10}, "name": ratio, "nameGap": 28, **lines, **named,
            },
        ],
    }  # fmt: skip


def floor_of(panel: Overlay) -> float:
    """Where a logarithmic axis begins: half of the smallest count that is drawn."""
    both = np.concatenate([panel.reference, panel.value])
    both = both[both > 0]
    return float(both.min()) / 2 if len(both) else 0.5


def _series(panel: Overlay, labels: tuple[str, str], dark: bool, colour: str) -> list[dict[str, Any]]:
    point = ink(dark)
    up, low = {"xAxisIndex": 0, "yAxisIndex": 0}, {"xAxisIndex": 1, "yAxisIndex": 1}
    least = floor_of(panel) if panel.log_y else 0.0
    x, there = centres(panel.edges, panel.log_x), panel.reference > 0
    down = np.maximum(panel.reference - panel.reference_error, least)[there]
    top = (panel.reference + panel.reference_error)[there]
    quiet = {"silent": True, "symbol": "none", "tooltip": {"show": False}}
    found = ratio_of(panel)
    under = np.clip(found.ratio - found.error, 0, LARGEST_RATIO)
    over = np.clip(found.ratio + found.error, 0, LARGEST_RATIO)
    return [
        {
            "type": "line", "name": labels[1], **up, "symbol": "none", "step": "end",
            "data": step_line(panel.edges, np.maximum(panel.value, least)),
            "lineStyle": {"width": 2, "color": colour}, "itemStyle": {"color": colour},
        },
        {"type": "line", **up, **quiet, "data": bars(x[there], down, top), "lineStyle": {"width": 1, "color": point}},
        {
            "type": "scatter", "name": labels[0], **up, "symbolSize": 5, "itemStyle": {"color": point},
            "data": pairs(x[there], panel.reference[there]), "z": 4,
        },
        {
            "type": "line", **low, **quiet, "data": bars(found.x, under, over),
            "lineStyle": {"width": 1, "color": colour},
            "markLine": {
                "silent": True, "symbol": "none", "label": {"show": False}, "data": [{"yAxis": 1}],
                "lineStyle": {"color": faint(dark), "width": 1.5, "type": "dashed"},
            },
        },
        {
            "type": "scatter", **low, "name": "ratio", "symbolSize": 5, "itemStyle": {"color": colour}, "z": 4,
            "data": [_ratio_point(a, b) for a, b in zip(found.x, found.ratio, strict=True)],
        },
    ]  # fmt: skip


def _ratio_point(x: float, ratio: float) -> dict[str, Any]:
    """A point; one beyond the axis stands at its end as an arrowhead."""
    if ratio > LARGEST_RATIO:
        return {"value": [float(x), LARGEST_RATIO], "symbol": "triangle", "symbolSize": 8}
    return {"value": [float(x), float(ratio)]}

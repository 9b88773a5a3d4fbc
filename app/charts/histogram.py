"""Histograms as physicists draw them: data as points with Poisson intervals, models as step lines, ratio below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import gammaincinv

from app.charts.colour import DATA, GENERATED, faint, ink

TAIL = 0.158655  # one side of a 68.27 % interval


def edges_of(parts: Sequence[np.ndarray], bins: int = 14) -> np.ndarray:
    """Common equal bins from 0 to the 98 % quantile of all parts; what lies above goes into the last bin."""
    values = np.concatenate([np.asarray(p, float).ravel() for p in parts]) if parts else np.zeros(0)
    values = values[np.isfinite(values)]
    top = float(np.quantile(values, 0.98)) if len(values) else 1.0
    return np.linspace(0.0, max(top, 1.0), bins + 1)


def count(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Counts per bin, under- and overflow in the first and last bin."""
    inside = np.clip(np.asarray(values, float), edges[0], edges[-1])
    return np.histogram(inside, edges)[0].astype(float)


def garwood(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Central 68.27 % intervals of Poisson means given the counts (F. Garwood, Biometrika 28 (1936) 437)."""
    counts = np.asarray(counts, float)
    low = np.where(counts > 0, gammaincinv(np.maximum(counts, 1e-9), TAIL), 0.0)
    return low, gammaincinv(counts + 1, 1 - TAIL)


@dataclass(frozen=True)
class Panel:
    """Reference and model over the same bins. edges: (n+1,). reference with its interval low to high, and value: (n,).
    name stands above, unit below; error: of the value, where it is not that of counts. log: the upper axis."""

    name: str
    unit: str
    edges: np.ndarray
    reference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    value: np.ndarray
    error: np.ndarray | None = None
    log: bool = False

    def floor(self) -> float:
        """Where a logarithmic axis begins: half of the smallest height above 0."""
        heights = np.concatenate([self.reference, self.value])
        heights = heights[np.isfinite(heights) & (heights > 0)]
        return float(heights.min()) / 2 if len(heights) else 0.5


def interval_of(counts: np.ndarray, kind: Literal["garwood", "sqrt"]) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the bars of counts: Garwood's 68.27 % interval, or N ± √N."""
    if kind == "garwood":
        return garwood(counts)
    return counts - np.sqrt(counts), counts + np.sqrt(counts)


def panels(
    names: Sequence[str],
    simulated: Sequence[np.ndarray],
    generated: Sequence[np.ndarray],
    dark: bool,
    units: Sequence[str] | str = "photons",
    bins: int = 12,
    ratio: str = "gen / sim",
    labels: tuple[str, str] = ("simulated", "generated"),
    colours: tuple[str, str] | None = None,
    height: int = 330,
    counted: str = "showers",
    edges: Sequence[np.ndarray | None] = (),
    interval: Literal["garwood", "sqrt"] = "garwood",
    log: bool = False,
    more: Sequence[Panel] = (),
) -> dict[str, Any]:
    """An ECharts spec: one panel a name, the generated counts scaled to the number of simulated showers.

    counted: what they are counts of. edges: bins of each panel, where `edges_of` does not suit. interval: of the
    simulated counts. log: the axis of counts. more: panels that stand behind. Raises `ValueError` when the lists are
    not equally long.
    """
    drawn = []
    for k, (name, sim, gen) in enumerate(zip(names, simulated, generated, strict=True)):
        given = edges[k] if edges else None
        own = edges_of([sim, gen], bins) if given is None else given
        seen = count(sim, own)
        scaled = count(gen, own) * (len(sim) / max(1, len(gen)))
        unit = units if isinstance(units, str) else units[k]
        drawn.append(Panel(name, unit, own, seen, *interval_of(seen, interval), scaled, log=log))
    return compose([*drawn, *more], dark, ratio, labels, colours, height, counted)


def compose(
    drawn: Sequence[Panel], dark: bool, ratio: str, labels: tuple[str, str], colours: tuple[str, str] | None,
    height: int, counted: str,
) -> dict[str, Any]:  # fmt: skip
    """Panels beside each other, each with its ratio below."""
    point, line = colours or (ink(dark), GENERATED)
    option: dict[str, Any] = {
        "animation": False,
        "grid": [], "xAxis": [], "yAxis": [], "series": [], "title": [],
        "legend": {"data": list(labels), "top": 0, "left": 0, "itemHeight": 9},
        "tooltip": {"trigger": "axis", "valueFormatter": "%.3g"},
    }  # fmt: skip
    for k, panel in enumerate(drawn):
        width, before = 100 / len(drawn), 0.22 if len(drawn) < 7 else 0.27  # room for labels
        grid = {"left": f"{(k + before) * width:.2f}%", "width": f"{(0.96 - before) * width:.2f}%"}
        _frame(option, grid, panel, height, ratio if k == 0 else "", counted)
        _fill(option, k, panel, labels, point, line, dark)
    return option


def _frame(
    option: dict[str, Any], grid: dict[str, str], panel: Panel, height: int, ratio: str, counted: str
) -> None:  # fmt: skip
    upper = len(option["grid"])
    middle = int(0.68 * height)
    option["title"].append(
        {"text": panel.name, "left": grid["left"], "top": 24, "textStyle": {"fontSize": 12, "fontWeight": 600}}
    )
    option["grid"] += [
        {**grid, "top": 46, "height": middle - 46, "outerBoundsMode": "none"},
        {**grid, "top": middle + 10, "height": height - middle - 52, "outerBoundsMode": "none"},
    ]
    split = {"splitLine": {"show": False}, "axisLine": {"show": True}, "axisTick": {"show": True}}
    shared = {
        "type": "value", "min": float(panel.edges[0]), "max": float(panel.edges[-1]), "splitNumber": 3, **split
    }  # fmt: skip
    ends = {"showMinLabel": True, "showMaxLabel": False, "hideOverlap": True, "fontSize": 10}
    option["xAxis"] += [
        {**shared, "gridIndex": upper, "axisLabel": {"show": False}},
        {
            **shared, "gridIndex": upper + 1, "name": panel.unit, "nameLocation": "middle", "nameGap": 22,
            "axisLabel": ends, "nameTextStyle": {"fontSize": 11},
        },
    ]  # fmt: skip
    height_axis = {"type": "log", "min": panel.floor()} if panel.log else {"type": "value", "min": 0}
    option["yAxis"] += [
        {
            **height_axis, "gridIndex": upper, "splitNumber": 3, **split,
            "axisLabel": {"fontSize": 10, "showMinLabel": not panel.log, "hideOverlap": True},
            "name": counted if ratio else "", "nameLocation": "middle",
            "nameGap": 30, "nameTextStyle": {"fontSize": 11},
        },
        {
            "type": "value", "gridIndex": upper + 1, "min": 0, "max": 2, "interval": 1, **split,
            "axisLabel": {"fontSize": 10}, "name": ratio, "nameLocation": "middle",
            "nameGap": 30, "nameTextStyle": {"fontSize": 11},
        },
    ]  # fmt: skip


def _fill(
    option: dict[str, Any], k: int, panel: Panel, labels: tuple[str, str], point: str, line: str, dark: bool
) -> None:
    up, low = {"xAxisIndex": 2 * k, "yAxisIndex": 2 * k}, {"xAxisIndex": 2 * k + 1, "yAxisIndex": 2 * k + 1}
    counted, least = panel.reference, panel.floor() if panel.log else 0.0
    centre = (panel.edges[1:] + panel.edges[:-1]) / 2
    filled = counted > 0
    ratio = np.divide(panel.value, counted, out=np.full_like(panel.value, np.nan), where=filled)
    above = np.divide(panel.high, counted, out=np.ones_like(counted), where=filled)
    below = np.divide(panel.low, counted, out=np.ones_like(counted), where=filled)
    shown = filled if panel.log else np.full(len(counted), True)
    quiet = {"silent": True, "symbol": "none", "tooltip": {"show": False}}
    thin = {"width": 1, "color": line}
    option["series"] += [
        {
            "type": "line", "name": labels[1], **up, "data": step_line(panel.edges, np.maximum(panel.value, least)),
            "symbol": "none", "step": "end", "lineStyle": {"width": 2, "color": line}, "itemStyle": {"color": line},
        },
        {
            "type": "line", **up, **quiet, "lineStyle": {"width": 1, "color": point},
            "data": bars(centre[shown], np.maximum(panel.low, least)[shown], panel.high[shown]),
        },
        {
            "type": "scatter", "name": labels[0], **up, "symbolSize": 5, "itemStyle": {"color": point},
            "data": pairs(centre[filled], counted[filled]),
        },
        {
            "type": "line", **low, **quiet,
            "data": bars(centre[filled], np.clip(below[filled], 0, 2), np.clip(above[filled], 0, 2)),
            "lineStyle": {"width": 5, "color": faint(dark), "cap": "butt"}, "z": 1,
            "markLine": {
                "silent": True, "symbol": "none", "label": {"show": False}, "data": [{"yAxis": 1}],
                "lineStyle": {"color": point, "width": 1, "type": "dashed"},
            },
        },
        {
            "type": "line", **low, **quiet, "data": step_line(panel.edges, np.clip(ratio, 0, 2)), "step": "end",
            "lineStyle": {"width": 1.5, "color": line}, "z": 3,
        },
    ]  # fmt: skip
    if panel.error is not None:
        ends = np.maximum(panel.value - panel.error, least), panel.value + panel.error
        option["series"].append({"type": "line", **up, **quiet, "lineStyle": thin, "data": bars(centre, *ends)})


def pairs(x: np.ndarray, y: np.ndarray) -> list[list[float | None]]:
    """JSON-able points; what is not finite becomes a gap."""
    return [
        [float(a), float(b) if np.isfinite(b) else None]
        for a, b in zip(np.asarray(x, float), np.asarray(y, float), strict=True)
    ]


def step_line(edges: np.ndarray, heights: np.ndarray) -> list[list[float | None]]:
    """Points of a step histogram: each height from its edge on, the last one to the end."""
    return pairs(edges, np.append(heights, heights[-1]))


def bars(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[list[float | None]]:
    """Vertical bars as one broken line: ECharts has no error bars without JavaScript."""
    points: list[list[float | None]] = []
    for at, a, b in zip(x, low, high, strict=True):
        points += [[float(at), float(a)], [float(at), float(b)], [None, None]]
    return points


def whole_counts(parts: Sequence[np.ndarray], bins: int = 24) -> np.ndarray:
    """Bins of whole photons, about equal in the logarithm, from one photon up; none lies between two counts."""
    top = max((float(p.max()) for p in parts if len(p)), default=1.0)
    return np.unique(np.round(np.geomspace(1, max(top, 2.0) + 1, bins + 1))) - 0.5


def spectrum(
    layers: dict[str, np.ndarray], title: str, unit: str, log_x: bool, dark: bool, bins: int = 40,
    counted: str = "showers",
) -> dict[str, Any]:  # fmt: skip
    """Step histograms of one quantity, log y; on a log axis zeros go into the first bin. One layer a name."""
    values = np.concatenate([np.asarray(v, float) for v in layers.values()]) if layers else np.zeros(0)
    edges = whole_counts([values], bins) if log_x and unit == "photons" else _spectrum_edges(values, log_x, bins)
    top, series, colours = 1.0, [], (ink(dark), DATA, GENERATED, "#009E73", "#CC79A7")
    for k, (name, layer) in enumerate(layers.items()):
        heights = count(layer, edges)
        top = max(top, float(heights.max(initial=1)))
        colour = colours[k % len(colours)]
        series.append(
            {
                "type": "line", "name": name, "step": "end", "symbol": "none", "itemStyle": {"color": colour},
                "data": step_line(edges, np.where(heights > 0, heights, np.nan)),
                "lineStyle": {"width": 1.5, "color": colour, "type": ("solid", "dashed", "dotted")[k % 3]},
            }
        )  # fmt: skip
    gap = 12 + 6 * len(f"{10 ** np.ceil(np.log10(top)):,.0f}")  # beside the widest label
    return {
        "animation": False,
        "legend": {"top": 0, "right": 0, "itemHeight": 9},
        "tooltip": {"trigger": "axis", "valueFormatter": "%.3g"},
        "grid": {"left": gap + 18, "right": 16, "top": 30, "bottom": 44, "outerBoundsMode": "none"},
        "xAxis": {
            "type": "log" if log_x else "value", "min": float(edges[0]), "max": float(edges[-1]),
            "name": f"{title} [{unit}]" if unit else title, "nameLocation": "middle", "nameGap": 26,
            "splitLine": {"show": False}, "axisLabel": {"showMinLabel": False, "showMaxLabel": False},
        },
        "yAxis": {
            "type": "log", "min": 0.8, "name": f"{counted} per bin", "nameLocation": "middle", "nameGap": gap,
            "axisLabel": {"showMinLabel": False},
        },
        "series": series,
    }  # fmt: skip


def _spectrum_edges(values: np.ndarray, log_x: bool, bins: int) -> np.ndarray:
    values = values[np.isfinite(values)]
    if log_x:
        positive = values[values > 0]
        low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 10.0)
        return np.geomspace(low, max(high, 1.01 * low) * 1.0001, bins + 1)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1, bins + 1)

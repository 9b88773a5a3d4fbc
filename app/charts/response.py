"""What the detector answers to a condition: points and their profile, as an ECharts spec."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from app.charts.colour import data_blue, ink
from app.charts.histogram import bars, pairs

MOST_POINTS = 4000
MANY = 20_000
"""Above this showers are drawn as bands of quantiles, not as points."""
BANDS = ((0.05, 0.95, "90 % of showers", 0.16), (0.16, 0.84, "68 % of showers", 0.3))


def profile(x: np.ndarray, y: np.ndarray, log_x: bool, bins: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of y and its standard error in bins of equal population of x."""
    order = np.argsort(x, kind="stable")
    parts = [p for p in np.array_split(order, bins) if len(p) > 1]
    centre = np.array([np.median(x[p]) for p in parts])
    mean = np.array([y[p].mean() for p in parts])
    error = np.array([y[p].std(ddof=1) / np.sqrt(len(p)) for p in parts])
    good = centre > 0 if log_x else np.full(len(centre), True)
    return centre[good], mean[good], error[good]


def quantile_bands(
    x: np.ndarray, y: np.ndarray, log_x: bool, bins: int = 40
) -> tuple[np.ndarray, dict[float, np.ndarray]]:
    """Quantiles of y in bins of equal population of x: medians of x, and a row a quantile of `BANDS`."""
    order = np.argsort(x, kind="stable")
    parts = [p for p in np.array_split(order, bins) if len(p) > 1 and (not log_x or np.median(x[p]) > 0)]
    centre = np.array([np.median(x[p]) for p in parts])
    wanted = sorted({q for low, high, *_ in BANDS for q in (low, high)})
    rows = np.array([np.quantile(y[p], wanted) for p in parts]).reshape(len(parts), len(wanted))
    return centre, {q: rows[:, k] for k, q in enumerate(wanted)}


def response(x: np.ndarray, y: np.ndarray, name: str, unit: str, log_x: bool, dark: bool) -> dict[str, Any]:
    """Photon sum against one condition: each shower faint, or bands of quantiles where there are many, and the mean
    with its error on top."""
    centre, mean, error = profile(x, y, log_x)
    many = len(x) > MANY
    showers = _bands(x, y, log_x, data_blue(dark)) if many else [_points(name, dark)]
    span = x[x > 0] if log_x else x
    ends = {"min": float(span.min()), "max": float(span.max())} if log_x and len(span) else {}
    option = {
        "animation": False,
        "legend": {"top": 0, "right": 0, "itemHeight": 9},
        "tooltip": {"trigger": "item", "valueFormatter": "%.4g"},
        "grid": {"left": 62, "right": 34, "top": 30, "bottom": 44, "outerBoundsMode": "none"},
        "xAxis": {
            "type": "log" if log_x else "value", "name": f"{name} [{unit}]", "nameLocation": "middle", "nameGap": 26,
            "scale": True, "splitLine": {"show": False}, "axisLabel": {"showMinLabel": False, "showMaxLabel": False},
            **ends,
        },
        "yAxis": {"type": "value", "name": "photon sum [photons]", "nameLocation": "middle", "nameGap": 44},
        "series": [*showers, *_means(centre, mean, error, ink(dark))],
    }  # fmt: skip
    if not many:
        thin = slice(None, None, max(1, len(x) // MOST_POINTS))
        keep = x[thin] > 0 if log_x else np.full(len(x[thin]), True)
        option["dataset"] = {"source": pd.DataFrame({name: x[thin][keep], "photon sum": y[thin][keep]})}
    return option


def _points(name: str, dark: bool) -> dict[str, Any]:
    return {
        "type": "scatter", "name": "showers", "symbolSize": 3, "large": False,
        "itemStyle": {"color": data_blue(dark), "opacity": 0.5 if dark else 0.3},
        "encode": {"x": name, "y": "photon sum"},
    }  # fmt: skip


def _bands(x: np.ndarray, y: np.ndarray, log_x: bool, blue: str) -> list[dict[str, Any]]:
    """Each band is its lower edge, not drawn, with the width stacked on it."""
    centre, found = quantile_bands(x, y, log_x)
    quiet = {"type": "line", "symbol": "none", "silent": True, "tooltip": {"show": False}}
    series: list[dict[str, Any]] = []
    for low, high, name, opacity in BANDS:
        edge = {"lineStyle": {"width": 0}, "stack": name, "stackStrategy": "all"}
        series += [
            {**quiet, **edge, "data": pairs(centre, found[low])},
            {
                **quiet, **edge, "name": name, "data": pairs(centre, found[high] - found[low]),
                "itemStyle": {"color": blue, "opacity": 2 * opacity}, "areaStyle": {"color": blue, "opacity": opacity},
            },
        ]  # fmt: skip
    return series


def _means(centre: np.ndarray, mean: np.ndarray, error: np.ndarray, black: str) -> list[dict[str, Any]]:
    return [
        {
            "type": "line", "data": bars(centre, mean - error, mean + error), "symbol": "none", "silent": True,
            "lineStyle": {"color": black, "width": 1.5}, "tooltip": {"show": False}, "z": 4,
        },
        {
            "type": "scatter", "name": "mean, equal-population bins", "data": pairs(centre, mean), "symbolSize": 6,
            "itemStyle": {"color": black}, "z": 5,
        },
    ]  # fmt: skip

"""What the detector answers to a condition: points and their profile, as an ECharts spec."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from app.charts.colour import DATA, ink
from app.charts.histogram import bars, pairs

MOST_POINTS = 4000


def profile(x: np.ndarray, y: np.ndarray, log_x: bool, bins: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of y and its standard error in bins of equal population of x."""
    order = np.argsort(x, kind="stable")
    parts = [p for p in np.array_split(order, bins) if len(p) > 1]
    centre = np.array([np.median(x[p]) for p in parts])
    mean = np.array([y[p].mean() for p in parts])
    error = np.array([y[p].std(ddof=1) / np.sqrt(len(p)) for p in parts])
    good = centre > 0 if log_x else np.full(len(centre), True)
    return centre[good], mean[good], error[good]


def response(x: np.ndarray, y: np.ndarray, name: str, unit: str, log_x: bool, dark: bool) -> dict[str, Any]:
    """Photon sum against one condition: each shower faint, the mean with its error on top."""
    centre, mean, error = profile(x, y, log_x)
    thin = slice(None, None, max(1, len(x) // MOST_POINTS))
    keep = x[thin] > 0 if log_x else np.full(len(x[thin]), True)
    frame = pd.DataFrame({name: x[thin][keep], "photon sum": y[thin][keep]})
    black = ink(dark)
    return {
        "animation": False,
        "legend": {"top": 0, "right": 0, "itemHeight": 9},
        "tooltip": {"trigger": "item", "valueFormatter": "%.4g"},
        "grid": {"left": 62, "right": 34, "top": 30, "bottom": 44, "outerBoundsMode": "none"},
        "dataset": {"source": frame},
        "xAxis": {
            "type": "log" if log_x else "value", "name": f"{name} [{unit}]", "nameLocation": "middle", "nameGap": 26,
            "scale": True, "splitLine": {"show": False},
        },
        "yAxis": {"type": "value", "name": "photon sum [photons]", "nameLocation": "middle", "nameGap": 44},
        "series": [
            {
                "type": "scatter", "name": "showers", "symbolSize": 3, "large": False,
                "itemStyle": {"color": DATA, "opacity": 0.6 if dark else 0.3}, "encode": {"x": name, "y": "photon sum"},
            },
            {
                "type": "line", "data": bars(centre, mean - error, mean + error), "symbol": "none", "silent": True,
                "lineStyle": {"color": black, "width": 1.5}, "tooltip": {"show": False}, "z": 4,
            },
            {
                "type": "scatter", "name": "mean, equal-population bins", "data": pairs(centre, mean), "symbolSize": 6,
                "itemStyle": {"color": black}, "z": 5,
            },
        ],
    }  # fmt: skip

"""How far each statistic of a set is from the reference, in units of the reference's own scatter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.charts.colour import GREEN, ink

BEYOND = "#D55E00"
FARTHEST = 10.0
HEAD, ROW, FOOT = 32, 31, 44
"""Pixels: above the first row, a row, below the last; a table beside it can keep the same rows."""


def ratios(names: Sequence[str], values: Sequence[float | None], target: float, dark: bool) -> dict[str, Any]:
    """Horizontal chart: circles within the target, diamonds beyond. A ratio that is None (its floor is 0) has no mark;
    one outside the axis stands at its end."""
    known = [v for v in values if v is not None and np.isfinite(v)]
    high = float(np.clip(np.ceil(1.05 * max(known, default=1.0)), target + 1, FARTHEST))
    inside: list[list[Any]] = []
    beyond: list[list[Any]] = []
    for k, value in enumerate(values):
        if value is not None:
            (inside if value <= target else beyond).append([float(min(value, high)), k])
    groups = ((f"within {target:g}×", inside, GREEN, "circle"), (f"beyond {target:g}×", beyond, BEYOND, "diamond"))
    return {
        "animation": False,
        "legend": {"top": 0, "left": 0, "itemHeight": 10, "data": [name for name, *_ in groups]},
        "tooltip": {"trigger": "item", "valueFormatter": "%.3g"},
        "grid": {"left": 236, "right": 18, "top": HEAD, "height": ROW * len(names), "outerBoundsMode": "none"},
        "xAxis": {
            "type": "value", "min": 0, "max": high, "interval": 1, "name": "distance / floor",
            "nameLocation": "middle", "nameGap": 24, "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "category", "data": list(names), "inverse": True, "name": "", "axisTick": {"show": False},
            "axisLabel": {"fontSize": 11, "interval": 0}, "splitLine": {"show": True},
        },
        "series": [
            {
                "type": "scatter", "name": name, "data": points, "symbol": symbol, "symbolSize": 10,
                "itemStyle": {"color": colour}, **(_lines(target, dark) if k == 0 else {}),
            }
            for k, (name, points, colour, symbol) in enumerate(groups)
        ],
    }  # fmt: skip


def _lines(target: float, dark: bool) -> dict[str, Any]:
    """At 1, as good as Geant4 against itself, and at the target."""
    return {
        "markLine": {
            "silent": True, "symbol": "none", "label": {"show": False},
            "data": [
                {"xAxis": 1, "lineStyle": {"color": ink(dark), "type": "dashed", "width": 1}},
                {"xAxis": target, "lineStyle": {"color": ink(dark), "type": "solid", "width": 1}},
            ],
        }
    }  # fmt: skip

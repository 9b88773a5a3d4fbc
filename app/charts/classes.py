"""Classes of examples: how many of each there are, and which a selection prefers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.charts.colour import GENERATED, GREEN, data_blue, ink
from app.charts.histogram import bars, pairs

HATCHES = (
    None,
    {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 4], "rotation": 0.785, "color": "rgba(255,255,255,.55)"},
    {"symbol": "circle", "symbolSize": 0.6, "dashArrayX": [[4, 4]], "dashArrayY": [4, 4], "color": "rgba(0,0,0,.4)"},
)
"""A second channel beside the colour."""


def tally(values: np.ndarray, names: dict[int, str]) -> np.ndarray:
    """How often each class stands in `values`."""
    return np.array([int((np.asarray(values) == k).sum()) for k in names])


def counts(names: Sequence[str], layers: dict[str, np.ndarray], column: str, noun: str, dark: bool) -> dict[str, Any]:
    """Bars of a class, one a layer (the splits), side by side."""
    colours = (data_blue(dark), GENERATED, GREEN)
    largest = max((float(np.max(v, initial=0)) for v in layers.values()), default=1.0)
    return {
        "animation": False,
        "legend": {"top": 0, "right": 0, "itemHeight": 9},
        "tooltip": {"trigger": "axis", "valueFormatter": "%,d"},
        "grid": {
            "left": 26 + 7 * len(f"{largest:,.0f}"), "right": 10, "top": 30, "bottom": 42, "outerBoundsMode": "none",
        },
        "xAxis": _categories(names, column),
        "yAxis": {
            "type": "value", "min": 0, "name": noun, "nameLocation": "middle", "splitNumber": 4,
            "nameGap": 12 + 7 * len(f"{largest:,.0f}"),
        },
        "series": [
            {
                "type": "bar", "name": name, "data": [int(v) for v in values], "barGap": "5%",
                "itemStyle": {"color": colours[k % 3], **({"decal": HATCHES[k % 3]} if HATCHES[k % 3] else {})},
            }
            for k, (name, values) in enumerate(layers.items())
        ],
    }  # fmt: skip


def shares(
    names: Sequence[str], selection: np.ndarray, rest: np.ndarray, labels: tuple[str, str], column: str, dark: bool
) -> dict[str, Any]:
    """Which share each class has of the selection (bars) and of the rest (points), with binomial errors."""
    mine, mine_error = share_of(selection)
    other, other_error = share_of(rest)
    at = np.arange(len(names), dtype=float)
    quiet = {"type": "line", "symbol": "none", "silent": True, "tooltip": {"show": False}, "z": 4}
    black = ink(dark)
    return {
        "animation": False,
        "legend": {"data": list(labels), "top": 0, "left": 0, "itemHeight": 9},
        "tooltip": {"trigger": "axis", "valueFormatter": "%.1f"},
        "grid": {"left": 52, "right": 14, "top": 30, "bottom": 42, "outerBoundsMode": "none"},
        "xAxis": _categories(names, column),
        "yAxis": {"type": "value", "min": 0, "name": "share [%]", "nameLocation": "middle", "nameGap": 34},
        "series": [
            {
                "type": "bar", "name": labels[0], "data": [float(v) for v in mine], "barWidth": "50%",
                "itemStyle": {"color": GENERATED, "opacity": 0.75},
            },
            {
                **quiet, "data": bars(at, np.maximum(mine - mine_error, 0), mine + mine_error),
                "lineStyle": {"width": 2, "color": GENERATED},
            },
            {
                **quiet, "data": bars(at + 0.0, np.maximum(other - other_error, 0), other + other_error),
                "lineStyle": {"width": 1.2, "color": black},
            },
            {
                "type": "scatter", "name": labels[1], "data": pairs(at, other), "symbolSize": 7, "z": 5,
                "itemStyle": {"color": black},
            },
        ],
    }  # fmt: skip


def share_of(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares in % with their binomial errors, √(p (1 − p) / n); zero of nothing."""
    n = max(1.0, float(np.sum(count)))
    share = np.asarray(count, float) / n
    return 100 * share, 100 * np.sqrt(share * (1 - share) / n)


def _categories(names: Sequence[str], column: str) -> dict[str, Any]:
    return {
        "type": "category", "data": list(names), "name": column, "nameLocation": "middle", "nameGap": 25,
        "axisTick": {"show": False}, "axisLabel": {"interval": 0 if len(names) <= 20 else "auto"},
    }  # fmt: skip

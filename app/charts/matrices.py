"""Correlations of channels: the simulation's, and how each model's differ, as ECharts heat maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.charts.colour import DIVERGING, hex_of, ink

SIDE, GAP, TOP, LEFT = 164, 30, 26, 34
LEAST = 0.1
"""The scale of the differences is at least so wide."""


def size_of(n: int) -> tuple[int, int]:
    """Width and height in pixels of `n` matrices in a row, with the scales at the right."""
    return LEFT + n * (SIDE + GAP) + 130, TOP + SIDE + 30


def draw(simulated: np.ndarray, models: dict[str, np.ndarray], dark: bool) -> dict[str, Any]:
    """simulated and each model's: (n, n). Numbers stand in every cell."""
    base = np.nan_to_num(np.asarray(simulated, float))
    off = {title: np.nan_to_num(np.asarray(m, float)) - base for title, m in models.items()}
    far = max([LEAST, *(float(np.abs(m).max()) for m in off.values())])
    names = [str(k + 1) for k in range(len(base))]
    option: dict[str, Any] = {
        "animation": False, "grid": [], "xAxis": [], "yAxis": [], "series": [], "title": [],
        "tooltip": {"trigger": "item", "formatter": "{b}"},
        "visualMap": [
            _scale(1.0, [0], "", TOP - 4, 1 + len(off)),
            _scale(far, list(range(1, 1 + len(off))), " difference", TOP + 88, 1 + len(off)),
        ],
    }  # fmt: skip
    bare = {"axisTick": {"show": False}, "axisLine": {"show": False}, "nameLocation": "middle", "nameGap": 20}
    for k, (title, matrix) in enumerate([("simulation", base), *off.items()]):
        left = LEFT + k * (SIDE + GAP)
        text = {"fontSize": 12, "fontWeight": 600, "color": ink(dark), "width": SIDE + GAP - 8, "overflow": "truncate"}
        option["title"].append({"text": title, "left": left, "top": 4, "padding": 0, "textStyle": text})
        option["grid"].append({"left": left, "top": TOP, "width": SIDE, "height": SIDE, "outerBoundsMode": "none"})
        axis = {"type": "category", "data": names, "gridIndex": k, **bare}
        option["xAxis"].append(axis | {"name": "channel"})
        option["yAxis"].append(axis | {"inverse": True, "name": "channel" * (k == 0)})
        bright = 1.0 if k == 0 else far
        option["series"].append(
            {
                "type": "heatmap", "xAxisIndex": k, "yAxisIndex": k,
                "data": [
                    _cell(i, j, float(matrix[i, j]), k > 0, bright, title)
                    for i in range(len(base)) for j in range(len(base)) if k == 0 or i != j
                ],
                "label": {"show": True, "fontSize": 10},
            }
        )  # fmt: skip
    return option


def _cell(i: int, j: int, value: float, signed: bool, bright: float, title: str) -> dict[str, Any]:
    text = "0" if round(abs(value), 2) == 0 else f"{value:+.2f}" if signed else f"{value:.2f}"
    text = text.replace("-", "−")
    return {
        "value": [j, i, value], "name": f"{title}, channels {i + 1} and {j + 1}: {text}",
        "label": {"formatter": text, "color": "#FFFFFF" if abs(value) > 0.62 * bright else "#1B1F24"},
    }  # fmt: skip


def _scale(top: float, series: list[int], text: str, at: int, n: int) -> dict[str, Any]:
    return {
        "type": "continuous", "min": -top, "max": top, "seriesIndex": series, "dimension": 2, "top": at,
        "left": LEFT + n * (SIDE + GAP) - 8,
        "text": [f"{top:+.2g}{text}", f"{-top:+.2g}"], "inRange": {"color": hex_of(DIVERGING, 11)}, "itemHeight": 48,
        "itemWidth": 10, "calculable": False, "textStyle": {"fontSize": 10}, "textGap": 5,
    }  # fmt: skip

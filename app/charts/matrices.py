"""Correlations of channels: the simulation's, and how each model's differ, as ECharts heat maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.charts.colour import DIVERGING, hex_of, ink

SIDE, GAP, TOP, LEFT = 164, 30, 34, 34
LEAST = 0.1
"""The scale of the differences is at least so wide."""
HEIGHT = TOP + SIDE + 40


def farthest(simulated: np.ndarray, models: dict[str, np.ndarray]) -> float:
    """The largest difference of all, for colours that several charts share."""
    return max(
        [LEAST, *(float(np.abs(np.nan_to_num(np.asarray(m, float) - simulated)).max()) for m in models.values())]
    )


def draw(
    simulated: np.ndarray, models: dict[str, np.ndarray], dark: bool, far: float, first: bool = True
) -> dict[str, Any]:
    """simulated and each model's: (n, n). Numbers stand in every cell. far: difference at the ends of the colours.
    first: whether the simulation's own comes before."""
    base = np.nan_to_num(np.asarray(simulated, float))
    shown = {"simulation": base} if first else {}
    shown |= {title: np.nan_to_num(np.asarray(m, float)) - base for title, m in models.items()}
    own = [0] if first else []
    scales = [
        _scale(1.0, own, "", TOP - 4, len(shown)),
        _scale(far, list(range(len(own), len(shown))), " difference", TOP + 88, len(shown)),
    ]
    names = [str(k + 1) for k in range(len(base))]
    option: dict[str, Any] = {
        "animation": False, "grid": [], "xAxis": [], "yAxis": [], "series": [], "title": [],
        "tooltip": {"trigger": "item", "formatter": "{b}"},
        "visualMap": scales if first else scales[1:],
    }  # fmt: skip
    bare = {"axisTick": {"show": False}, "axisLine": {"show": False}, "nameLocation": "middle", "nameGap": 20}
    for k, (title, matrix) in enumerate(shown.items()):
        signed = k >= len(own)
        left = LEFT + k * (SIDE + GAP)
        text = {"fontSize": 12, "fontWeight": 600, "color": ink(dark), "width": SIDE + GAP - 8, "overflow": "truncate"}
        option["title"].append({"text": title, "left": left, "top": 12, "padding": 0, "textStyle": text})
        option["grid"].append({"left": left, "top": TOP, "width": SIDE, "height": SIDE, "outerBoundsMode": "none"})
        axis = {"type": "category", "data": names, "gridIndex": k, **bare}
        option["xAxis"].append(axis | {"name": "channel"})
        option["yAxis"].append(axis | {"inverse": True, "name": "channel" * (k == 0)})
        bright = far if signed else 1.0
        option["series"].append(
            {
                "type": "heatmap", "xAxisIndex": k, "yAxisIndex": k,
                "data": [
                    _cell(i, j, float(matrix[i, j]), signed, bright, title)
                    for i in range(len(base)) for j in range(len(base))
                ],
                "label": {"show": True, "fontSize": 10},
            }
        )  # fmt: skip
    return option


def _cell(i: int, j: int, value: float, signed: bool, bright: float, title: str) -> dict[str, Any]:
    text = "0" if round(abs(value), 2) == 0 else f"{value:+.2f}" if signed else f"{value:.2f}"
    text = "" if signed and i == j else text.replace("-", "−")
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

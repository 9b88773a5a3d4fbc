"""A metric of several models, part by part: points with errors over the floor's band, as an ECharts spec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.charts.colour import faint, ink
from app.charts.histogram import bars
from app.charts.looks import Look
from app.charts.standings import both
from engine.schema import MetricValue

FLOOR = "floor, simulation again"


def draw(
    parts: Sequence[str], models: Sequence[tuple[Look, Sequence[MetricValue | None]]], axis: str, metric: str,
    ideal: bool, dark: bool,
) -> dict[str, Any]:  # fmt: skip
    """parts: names along the axis, whose title is `axis`. models: a value a part. ideal: a line at 1."""
    n = len(parts)
    series: list[dict[str, Any]] = [_floor(models, dark)]
    for k, (look, values) in enumerate(models):
        shift = 0.62 * ((k + 0.5) / len(models) - 0.5)
        series += _points(look, values, shift, parts)
    if ideal:
        series[0]["markLine"] = {
            "silent": True, "symbol": "none", "label": {"show": False}, "data": [{"yAxis": 1}],
            "lineStyle": {"color": ink(dark), "width": 1, "type": "dashed"},
        }  # fmt: skip
    hidden = {"show": False, "type": "value", "min": 0, "max": n}
    named = {"nameLocation": "middle", "nameTextStyle": {"fontSize": 11}}
    return {
        "animation": False,
        "tooltip": {"trigger": "item", "formatter": "{b}", "confine": True},
        "legend": {
            "type": "scroll", "top": 0, "left": 0, "itemHeight": 12, "itemWidth": 13,
            "data": [*(look.title for look, _ in models), {"name": FLOOR, "icon": "rect"}],
        },
        "grid": {"left": 58, "right": 10, "top": 32, "bottom": 58, "outerBoundsMode": "none"},
        "xAxis": [
            {
                "type": "category", "data": list(parts), "axisTick": {"show": False}, "name": axis, "nameGap": 36,
                "axisLabel": {"interval": 0, "fontSize": 10, "lineHeight": 13}, **named,
            },
            hidden,
        ],
        "yAxis": {
            "type": "value", "name": metric, "nameGap": 40, "min": 0 if _above_zero(models) else None,
            "splitLine": {"show": False}, "axisLine": {"show": True, "onZero": False}, "axisTick": {"show": True},
            **named,
        },
        "series": series,
    }  # fmt: skip


def _above_zero(models: Sequence[tuple[Look, Sequence[MetricValue | None]]]) -> bool:
    return all(v.value - v.error >= 0 for _, values in models for v in values if v is not None)


def _points(look: Look, values: Sequence[MetricValue | None], shift: float, parts: Sequence[str]) -> list[dict]:
    there = [(k + 0.5 + shift, v) for k, v in enumerate(values) if v is not None]
    x = np.array([at for at, _ in there])
    low, high = (np.array([v.value + sign * v.error for _, v in there]) for sign in (-1, 1))
    names = [parts[k] for k, v in enumerate(values) if v is not None]
    return [
        {
            "type": "line", "data": bars(x, low, high), "xAxisIndex": 1, "symbol": "none", "silent": True, "z": 3,
            "tooltip": {"show": False}, "lineStyle": {"width": 1.5, "color": look.colour},
        },
        {
            "type": "scatter", "name": look.title, "xAxisIndex": 1, "symbol": look.symbol, "symbolSize": 9, "z": 4,
            "itemStyle": {"color": look.colour},
            "data": [
                {"value": [at, v.value], "name": f"{look.title}, {name}: {both(v)} {v.unit}".rstrip()}
                for (at, v), name in zip(there, names, strict=True)
            ],
        },
    ]  # fmt: skip


def _floor(models: Sequence[tuple[Look, Sequence[MetricValue | None]]], dark: bool) -> dict[str, Any]:
    """A band over each part, from the first model that has one; judged alike, all have the same."""
    areas = []
    for k in range(len(models[0][1]) if models else 0):
        found = next((v[k] for _, v in models if v[k] is not None and v[k].floor is not None), None)  # pyright: ignore[reportOptionalMemberAccess]
        if found is not None and found.floor is not None:
            low, high = (found.floor + sign * (found.floor_error or 0.0) for sign in (-1, 1))
            areas.append([{"coord": [k + 0.08, low]}, {"coord": [k + 0.92, high]}])
    return {
        "type": "line", "name": FLOOR, "xAxisIndex": 1, "data": [], "itemStyle": {"color": faint(dark)},
        "markArea": {"silent": True, "data": areas, "itemStyle": {"color": faint(dark), "opacity": 0.9}},
    }  # fmt: skip

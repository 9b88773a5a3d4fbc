"""Loss and validation curves of runs, as ECharts specs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.charts.colour import DASHES, SEQUENCE, faint
from app.charts.histogram import pairs
from engine.schema import History, Series

MOST_POINTS = 500
TITLES = {"loss": "Loss terms", "validation": "Validation", "latent": "Latent space", "system": "System"}


def smooth(values: np.ndarray, weight: float) -> np.ndarray:
    """Exponential mean with its start corrected; `weight` 0 keeps the values."""
    if weight <= 0 or not len(values):
        return np.asarray(values, float)
    out, mean, mass = np.empty(len(values)), 0.0, 0.0
    for k, value in enumerate(values):
        if np.isfinite(value):
            mean, mass = weight * mean + (1 - weight) * value, weight * mass + (1 - weight)
        out[k] = mean / mass if mass else np.nan
    return out


def decimate(step: np.ndarray, value: np.ndarray, most: int = MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` points, the lowest and highest of each bucket kept, so that no spike is lost."""
    if len(step) <= most:
        return step, value
    keep: set[int] = {0, len(step) - 1}
    for bucket in np.array_split(np.arange(len(step)), most // 2 - 1):
        here = np.nan_to_num(value[bucket])
        keep |= {int(bucket[here.argmin()]), int(bucket[here.argmax()])}
    index = np.array(sorted(keep))[:most]
    return step[index], value[index]


def terms_of(histories: Sequence[History], group: str) -> list[str]:
    """The series of a group, the total first, in the order in which runs log them."""
    names = dict.fromkeys(n for h in histories for n in h.series if n.startswith(group + "/"))
    return sorted(names, key=lambda n: not n.endswith("/total"))


def curves(
    histories: Sequence[History],
    names: Sequence[str],
    group: str,
    axes: str = "log y",
    weight: float = 0.0,
    dark: bool = False,
    mark: int | None = None,
) -> dict[str, Any]:
    """The series of one group of several runs: colour says the term, dash the run. `mark` draws a line at a step."""
    series: list[dict[str, Any]] = []
    for k, term in enumerate(terms_of(histories, group)):
        for r, (history, run) in enumerate(zip(histories, names, strict=True)):
            if term in history.series:
                title = term.split("/", 1)[1] + (f" · {run}" if len(histories) > 1 else "")
                colour, dash = SEQUENCE[k % len(SEQUENCE)], DASHES[r % len(DASHES)]
                series += _lines(title, history.series[term], colour, dash, axes, weight)
    if mark is not None and series:
        series[0]["markLine"] = {
            "symbol": "none", "silent": True, "label": {"show": False}, "data": [{"xAxis": mark}],
            "lineStyle": {"color": faint(dark), "type": "solid"},
        }  # fmt: skip
    # labels of small numbers are wide: without room for them the name of the axis leaves the chart
    least = min((y for s in series for _, y in s["data"] if y is not None and y > 0), default=1.0)
    room = 14 if axes != "linear" and least < 1e-3 else 0
    return {
        "animation": False,
        "legend": {"type": "scroll", "top": 0, "left": 0, "itemHeight": 14},
        "tooltip": {"trigger": "axis", "valueFormatter": "%.4g"},
        "grid": {"left": 58 + room, "right": 16, "top": 30, "bottom": 42, "outerBoundsMode": "none"},
        "xAxis": {
            "type": "log" if axes == "log-log" else "value", "name": "optimisation step", "nameLocation": "middle",
            "nameGap": 25, "min": 1 if axes == "log-log" else 0, "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value" if axes == "linear" else "log", "name": TITLES.get(group, group).lower(),
            "nameLocation": "middle", "nameGap": 42 + room, "scale": True,
        },
        "series": series,
    }  # fmt: skip


def _lines(title: str, series: Series, colour: str, dash: str, axes: str, weight: float) -> list[dict[str, Any]]:
    step, value = np.asarray(series.step, float), np.asarray(series.value, float)
    if axes != "linear":
        value = np.where(value > 0, value, np.nan)
    if axes == "log-log":
        step, value = step[step > 0], value[step > 0]
    raw = {"type": "line", "symbol": "none", "itemStyle": {"color": colour}, "connectNulls": False}
    if len(step) < 30:  # few points, such as validation: show where they are
        raw |= {"symbol": "circle", "symbolSize": 5}
    if weight <= 0:
        line = {"width": 1.5, "color": colour, "type": dash}
        return [{**raw, "name": title, "data": pairs(*decimate(step, value)), "lineStyle": line}]
    shown = pairs(*decimate(step, smooth(value, weight)))
    return [
        {**raw, "name": title, "data": shown, "lineStyle": {"width": 2, "color": colour, "type": dash}},
        {
            **raw, "name": f"{title} (raw)", "data": pairs(*decimate(step, value)), "silent": True, "z": 1,
            "symbol": "none", "tooltip": {"show": False}, "lineStyle": {"width": 1, "color": colour, "opacity": 0.25},
        },
    ]  # fmt: skip

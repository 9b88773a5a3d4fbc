"""The latent map: encoded data and generated noise on one t-SNE plane, as an ECharts spec with a lasso."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from app.charts.colour import CLASSES, DATA, GENERATED, SEQUENCE, VIRIDIS, hex_of
from engine.schema import Arrays

LAYERS = ((0, "encoded data", DATA, "circle"), (1, "generated noise", GENERATED, "diamond"))
AIR = 0.04  # around the points, as a share of the map
CHOSEN = "#D81B60"  # around a clicked point, in no palette of points
RAMPS = {"energy": ("energy [GeV]", "GeV"), "photon sum": ("photon sum", "photons")}


class Group(NamedTuple):
    """Points drawn as one ECharts series."""

    title: str
    index: np.ndarray
    symbol: str
    colour: str | None


def classes_of(points: Arrays) -> np.ndarray:
    """The class number of each point, where its one condition is a class."""
    return np.asarray(points["conditions"])[:, 0].astype(int)


def kept(points: Arrays, gate: np.ndarray, layer: str | None, lassoed: np.ndarray) -> np.ndarray:
    """Numbers of the points that gate, layer (`data`, `noise` or both) and lasso all keep; nothing when none is set."""
    gate = gate.copy()
    if layer in ("data", "noise"):
        gate &= np.asarray(points["layer"]) == (layer == "noise")
    if len(lassoed):
        inside = np.zeros(len(gate), bool)
        inside[lassoed] = True
        gate &= inside
    elif gate.all():
        return np.zeros(0, int)
    return np.flatnonzero(gate)


def spread(index: np.ndarray, most: int) -> np.ndarray:
    """At most so many of a selection, evenly over it."""
    return index[np.linspace(0, len(index) - 1, min(len(index), most)).astype(int)]


def groups_of(points: Arrays, colour_by: str, names: dict[int, str]) -> list[Group]:
    """How a colouring splits the points into series; their order is the order of ECharts' series indices. names: of
    species, or of classes where points have these."""
    layers = np.asarray(points["layer"])
    groups = []
    for layer, title, colour, symbol in LAYERS:
        here = np.flatnonzero(layers == layer)
        if colour_by == "class":
            # both layers under one name: one entry of the legend shows or hides both
            own = classes_of(points)[here]
            groups += [
                Group(name, here[own == k], symbol, CLASSES[k % len(CLASSES)]) for k, name in names.items()
            ]  # fmt: skip
        elif colour_by == "species":
            pdg = np.asarray(points["pdg"])
            order = [*names, *sorted(set(pdg.tolist()) - set(names))]
            for k, kind in enumerate(order):
                mine = here[pdg[here] == kind]
                if len(mine):
                    paint = SEQUENCE[k % len(SEQUENCE)]
                    groups.append(Group(f"{names.get(kind, kind)}, {title}", mine, symbol, paint))
        else:
            groups.append(Group(title, here, symbol, colour if colour_by == "layer" else None))
    return groups


def latent_map(
    points: Arrays,
    colour_by: str = "layer",
    names: dict[int, str] | None = None,
    lasso: bool = True,
    size: int = 6,
    click: bool = False,
) -> dict[str, Any]:
    """Circles are encoded data, diamonds generated noise, whatever the colour says. The axes have no unit. click: a
    point can be chosen by itself."""
    xy = np.asarray(points["xy"], float)
    told = told_of(points, names or {})
    columns = {"x": xy[:, 0], "y": xy[:, 1], **told}
    groups = groups_of(points, colour_by, names or {})
    option: dict[str, Any] = {
        "animationDurationUpdate": 700,
        "legend": {"type": "scroll", "top": 0, "left": 0, "right": 150, "itemHeight": 14},
        "tooltip": {"trigger": "item"},
        "grid": {"left": 26, "right": 10, "top": 34, "bottom": 26, "outerBoundsMode": "none"},
        "xAxis": _axis(columns["x"], "t-SNE 1 (no unit)"),
        "yAxis": _axis(columns["y"], "t-SNE 2 (no unit)"),
        "dataset": [{"source": pd.DataFrame({k: v[g.index] for k, v in columns.items()})} for g in groups],
        "series": [_series(group, k, size, list(told), click) for k, group in enumerate(groups)],
    }
    if colour_by in RAMPS:
        option["visualMap"] = _ramp(columns[RAMPS[colour_by][0]], *RAMPS[colour_by])
        option["grid"]["right"] = 92
    if lasso:
        tools = ["polygon", "rect", "clear"]
        option["toolbox"] = {"right": 44, "top": 0, "feature": {"brush": {"type": tools}}}
        option["brush"] = {
            "toolbox": tools, "xAxisIndex": "all", "yAxisIndex": "all",
            "throttleType": "debounce", "throttleDelay": 60, "outOfBrush": {"colorAlpha": 0.25},
        }  # fmt: skip
    return option


def told_of(points: Arrays, names: dict[int, str]) -> dict[str, np.ndarray]:
    """What a point says of itself on hovering: a shower its particle and light, another example its class."""
    if "energy" in points:
        return {
            "energy [GeV]": np.asarray(points["energy"], float),
            "photon sum": np.asarray(points["photon_sum"], float),
            "pdg": np.asarray(points["pdg"], int),
        }
    if "conditions" not in points or not np.asarray(points["conditions"]).shape[1]:
        return {}
    return {"class": np.array([names.get(k, str(k)) for k in classes_of(points).tolist()])}


def _axis(values: np.ndarray, name: str) -> dict[str, Any]:
    low, high = (float(values.min()), float(values.max())) if len(values) else (-1.0, 1.0)
    air = AIR * max(high - low, 1e-6)
    return {
        "type": "value", "min": low - air, "max": high + air, "name": name, "nameLocation": "middle", "nameGap": 8,
        "axisLabel": {"show": False}, "axisTick": {"show": False}, "splitLine": {"show": False},
        "axisLine": {"show": True, "onZero": False},
    }  # fmt: skip


def _series(group: Group, k: int, size: int, told: list[str], click: bool) -> dict[str, Any]:
    style: dict[str, Any] = {"opacity": 0.75}
    if group.colour:
        style["color"] = group.colour
    chosen = {
        "selectedMode": "single",
        "select": {"itemStyle": {"borderWidth": 3, "borderColor": CHOSEN, "opacity": 1}},
    }
    return {
        "type": "scatter", "name": group.title, "datasetIndex": k, "symbol": group.symbol,
        "symbolSize": size + (group.symbol == "diamond"), "itemStyle": style,
        "encode": {"x": "x", "y": "y", "tooltip": told}, **(chosen if click else {}),
    }  # fmt: skip


def _ramp(values: np.ndarray, column: str, unit: str) -> dict[str, Any]:
    low, high = (float(v) for v in np.quantile(values, [0.02, 0.98])) if len(values) else (0.0, 1.0)
    return {
        "type": "continuous", "dimension": column, "min": low, "max": max(high, low + 1e-6), "right": 0, "top": 40,
        "text": [f"{high:.0f} {unit}", f"{low:.0f}"], "inRange": {"color": hex_of(VIRIDIS, 8)},
        "itemHeight": 140, "calculable": False,
    }  # fmt: skip


def selected_points(points: Arrays, colour_by: str, selection: Any, names: dict[int, str] | None = None) -> np.ndarray:
    """Indices into the engine's arrays of what a lasso caught; empty where it caught nothing or is outdated."""
    groups = groups_of(points, colour_by, names or {})
    caught: list[np.ndarray] = []
    for part in selection.get("selected", []) if selection else []:
        where = part.get("series_index", -1)
        if 0 <= where < len(groups):
            mine, index = groups[where].index, np.array(part.get("data_indices", []), int)
            caught.append(mine[index[(index >= 0) & (index < len(mine))]])
    return np.unique(np.concatenate(caught)) if caught else np.zeros(0, int)

"""Where a model is weak: its MAE over the simulation's own, in cells of energy and place of impact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.charts.colour import VIRIDIS, faint, hex_of, ink
from engine.schema import CONDITIONS, Arrays

ENERGY, FACE = "energy × distance", "impact x × y"
AXES = (ENERGY, FACE)
FEW = 5
"""Cells with fewer primaries are not judged."""
EACH = 12
"""Primaries that a cell should hold."""
MOST_BINS, LEAST_BINS = 8, 3
CHOSEN = "#D81B60"


@dataclass(frozen=True)
class Cell:
    """title: no other's of its grid. members: indices of its primaries."""

    title: str
    column: int
    row: int
    members: np.ndarray
    ratio: float
    mae: float
    mae_error: float
    floor: float

    @property
    def judged(self) -> bool:
        return len(self.members) >= FEW and np.isfinite(self.ratio)


@dataclass(frozen=True)
class Grid:
    """names: of the bins along both axes."""

    x_label: str
    y_label: str
    x_names: list[str]
    y_names: list[str]
    cells: list[Cell]

    def worst(self) -> list[Cell]:
        """Judged cells, the weakest first."""
        return sorted((c for c in self.cells if c.judged), key=lambda c: -c.ratio)

    def at(self, title: str | None) -> Cell | None:
        return next((c for c in self.cells if c.title == title), None)


def grid_of(arrays: Arrays, over: str | None) -> Grid:
    """Cells of about `EACH` primaries."""
    impact = np.asarray(arrays["impact_mm"], float)
    bins = int(np.clip(np.sqrt(len(impact) / EACH), LEAST_BINS, MOST_BINS))
    if over == FACE:
        x, y = impact[:, 0], impact[:, 1]
        x_edges, y_edges, labels = _equal(x, bins), _equal(y, bins), ("impact x [mm]", "impact y [mm]")
    else:
        x = np.asarray(arrays["conditions"], float)[:, CONDITIONS.index("Energy")]
        y = np.hypot(impact[:, 0], impact[:, 1])
        x_edges, y_edges = _populated(x, bins), _populated(y, bins)
        labels = ("energy [GeV]", "impact, from the centre [mm]")
    columns, rows = (np.digitize(v, e[1:-1]) for v, e in ((x, x_edges), (y, y_edges)))
    x_names, y_names = _names(x_edges), _names(y_edges)
    units = ("GeV", "mm") if over != FACE else ("mm", "mm")
    mae, floor = np.asarray(arrays["mae"], float), np.asarray(arrays["mae_floor"], float)
    cells = []
    for j in range(len(y_names)):
        for i in range(len(x_names)):
            members = np.flatnonzero((columns == i) & (rows == j))
            head = "x " if over == FACE else ""
            title = f"{head}{x_names[i]} {units[0]}, {'y ' if head else ''}{y_names[j]} {units[1]}"
            cells.append(_cell(title, i, j, members, mae[members], floor[members]))
    return Grid(*labels, x_names, y_names, cells)


def _cell(title: str, i: int, j: int, members: np.ndarray, mae: np.ndarray, floor: np.ndarray) -> Cell:
    if not len(members):
        return Cell(title, i, j, members, float("nan"), float("nan"), 0.0, float("nan"))
    below = float(floor.mean())
    error = float(mae.std(ddof=1) / np.sqrt(len(mae))) if len(mae) > 1 else 0.0
    ratio = float(mae.mean()) / below if below > 0 else float("nan")
    return Cell(title, i, j, members, ratio, float(mae.mean()), error, below)


def _populated(values: np.ndarray, bins: int) -> np.ndarray:
    """Edges of bins of equal population, as short numbers."""
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)) if len(values) else np.array([0.0, 1.0])
    inner = [float(f"{e:.2g}") for e in edges[1:-1]]
    low, high = float(np.floor(edges[0])), float(np.ceil(edges[-1]))
    return _rising([low, *inner, high])


def _equal(values: np.ndarray, bins: int) -> np.ndarray:
    """Equal bins around all but stray values, which belong to the outer ones."""
    low, high = np.quantile(values, [0.02, 0.98]) if len(values) else (-1.0, 1.0)
    return _rising((np.round(np.linspace(low, high, bins + 1)) + 0.0).tolist())


def _rising(edges: Sequence[float]) -> np.ndarray:
    found = np.unique(np.asarray(edges, float))
    return found if len(found) > 1 else np.array([found[0], found[0] + 1])


def _names(edges: np.ndarray) -> list[str]:
    found = zip(edges[:-1], edges[1:], strict=True)
    return [f"{low:g}{' to ' if low < 0 else '–'}{high:g}".replace("-", "−") for low, high in found]


def members_of(arrays: Arrays, over: str | None, title: str | None) -> np.ndarray:
    """The primaries of a cell, of the weakest where none of that title is; all where no cell is judged."""
    grid = grid_of(arrays, over)
    cell = grid.at(title) or next(iter(grid.worst()), None)
    return cell.members if cell is not None else np.arange(len(arrays["primary_id"]))


def draw(grid: Grid, chosen: str | None, dark: bool) -> dict[str, Any]:
    """An ECharts heat map with the multiple and the number of primaries in every cell."""
    ratios = [c.ratio for c in grid.cells if c.judged]
    low, high = min([1.0, *ratios]), max([1.5, *ratios])
    axis = {"type": "category", "axisTick": {"show": False}, "nameLocation": "middle"}
    small = {"axisLabel": {"fontSize": 10, "interval": 0}, "nameTextStyle": {"fontSize": 11}}
    return {
        "animation": False,
        "tooltip": {"trigger": "item", "formatter": "{b}", "confine": True},
        "grid": {"left": 84, "right": 96, "top": 10, "bottom": 46, "outerBoundsMode": "none"},
        "xAxis": {**axis, **small, "data": grid.x_names, "name": grid.x_label, "nameGap": 26},
        "yAxis": {**axis, **small, "data": grid.y_names, "name": grid.y_label, "nameGap": 68},
        "visualMap": {
            "type": "continuous", "min": low, "max": high, "dimension": 2, "right": 0, "top": "middle",
            "text": [f"{high:.1f} × floor", f"{low:.1f}"], "inRange": {"color": hex_of(VIRIDIS, 9)},
            "itemHeight": 150, "itemWidth": 12, "calculable": False, "textStyle": {"fontSize": 10},
        },
        "series": [
            {
                "type": "heatmap", "data": [_item(c, low, high, c.title == chosen, dark) for c in grid.cells],
                "label": {"show": True, "fontSize": 11, "lineHeight": 14}, "selectedMode": "single",
                "select": {"itemStyle": {"borderColor": CHOSEN, "borderWidth": 3}},
                "emphasis": {"itemStyle": {"borderColor": ink(dark), "borderWidth": 1.5}},
            }
        ],
    }  # fmt: skip


def _item(cell: Cell, low: float, high: float, chosen: bool, dark: bool) -> dict[str, Any]:
    n = len(cell.members)
    border = {"borderColor": CHOSEN, "borderWidth": 3} if chosen else {"borderColor": faint(dark), "borderWidth": 0.5}
    if not cell.judged:
        hatch = {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [1, 6], "rotation": 0.785, "color": faint(dark)}
        return {
            "value": [cell.column, cell.row, low], "visualMap": False,
            "name": f"{cell.title}: {n} primaries, too few to judge",
            "itemStyle": {"color": "rgba(128,128,128,0.12)", "decal": hatch, **border},
            "label": {"formatter": f"n {n}" if n else "", "color": ink(dark), "opacity": 0.6},
        }  # fmt: skip
    bright = (cell.ratio - low) / max(1e-9, high - low) > 0.6
    return {
        "value": [cell.column, cell.row, cell.ratio],
        "name": f"{cell.title}: MAE {cell.mae:.1f} photons, floor {cell.floor:.1f}, {n} primaries",
        "itemStyle": border,
        "label": {"formatter": f"{cell.ratio:.2f}×\nn {n}", "color": "#1B1F24" if bright else "#FFFFFF"},
    }  # fmt: skip

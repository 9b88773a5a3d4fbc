"""What of a map is selected, as numbers: gates, a lasso, a hole. A selection is text first, so that a link, a file and
the page say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.charts.groups import LAYERS, UNITS, classes_of, values_of
from engine.schema import Arrays

Span = tuple[float | None, float | None]
RANGES = ("energy", "photon sum", "impact radius", "density ratio")
"""Quantities with a gate from and to, both inclusive."""
FINE = 0.003
"""How far a lasso may be straightened, as a share of its map."""
LONGEST = 1200
"""Letters of a lasso that still go into a link."""


@dataclass(frozen=True)
class Gates:
    """Empty ones let everything pass."""

    spans: dict[str, Span] = field(default_factory=dict)
    kinds: tuple[int, ...] = ()
    """PDG codes, or numbers of classes."""
    layer: str = ""

    @property
    def open(self) -> bool:
        return not self.kinds and not self.layer and not any(_set(span) for span in self.spans.values())

    def passes(self, points: Arrays) -> np.ndarray:
        """Which points pass all gates (2n,)."""
        kept = np.ones(len(points["layer"]), bool)
        for name, (low, high) in self.spans.items():
            if _set((low, high)):
                values = values_of(points, name)
                kept &= (values >= (-np.inf if low is None else low)) & (values <= (np.inf if high is None else high))
        if self.kinds:
            kept &= np.isin(points["pdg"] if "pdg" in points else classes_of(points), self.kinds)
        if self.layer:
            kept &= np.asarray(points["layer"]) == LAYERS.index(self.layer)
        return kept

    def words(self, names: dict[int, str], what: str) -> list[str]:
        """The conditions one by one. what: species, or what a class is called."""
        said = [span_words(name, span) for name, span in self.spans.items() if _set(span)]
        if self.kinds:
            said.append(f"{what} {' or '.join(names.get(k, str(k)) for k in self.kinds)}")
        return [*said, *([f"layer {self.layer}"] if self.layer else [])]


def _set(span: Span) -> bool:
    return span[0] is not None or span[1] is not None


def span_words(name: str, span: Span) -> str:
    low, high = span
    unit = f" {UNITS[name]}" if name in UNITS else ""
    title = "log density ratio" if name == "density ratio" else name
    if low is not None and high is not None:
        return f"{low:g} ≤ {title} ≤ {high:g}{unit}"
    return f"{title} ≥ {low:g}{unit}" if low is not None else f"{title} ≤ {high:g}{unit}"


# --------------------------------------------------------------------------------------------------------------- lasso
def straightened(polygon: np.ndarray, within: float) -> np.ndarray:
    """A polygon (m, 2) with fewer corners, none of the left out farther than `within` from its edges (Douglas and
    Peucker, Cartographica 10 (1973) 112)."""
    if len(polygon) < 4:
        return polygon
    far = int(((polygon - polygon[0]) ** 2).sum(1).argmax())
    first, second = _thin(polygon[: far + 1], within), _thin(np.concatenate([polygon[far:], polygon[:1]]), within)
    return np.concatenate([first[:-1], second[:-1]])


def _thin(line: np.ndarray, within: float) -> np.ndarray:
    start, along = line[0], line[-1] - line[0]
    length = float(np.hypot(*along))
    apart = line - start
    off = np.hypot(*apart.T) if length == 0 else np.abs(along[0] * apart[:, 1] - along[1] * apart[:, 0]) / length
    k = int(off.argmax())
    if off[k] <= within:
        return line[[0, -1]]
    return np.concatenate([_thin(line[: k + 1], within)[:-1], _thin(line[k:], within)])


def lasso_text(area: dict[str, Any], xy: np.ndarray) -> str:
    """A brushed area as `x,y_x,y_…`, rounded to three digits of the map; empty where it is no polygon or rectangle."""
    corners = area.get("coord_range") or []
    if area.get("brush_type") == "rect" and len(corners) == 2:
        (x0, x1), (y0, y1) = corners
        corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    elif area.get("brush_type") != "polygon":
        return ""
    polygon = np.array(corners, float).reshape(-1, 2)
    if len(polygon) > 1 and np.allclose(polygon[0], polygon[-1]):
        polygon = polygon[:-1]
    if len(polygon) < 3 or not np.isfinite(polygon).all():
        return ""
    size = float(np.ptp(xy, axis=0).max()) if len(xy) else 1.0
    digits = max(0, 3 - int(np.floor(np.log10(max(size, 1e-9)))))
    return "_".join(f"{x:.{digits}f},{y:.{digits}f}" for x, y in straightened(polygon, FINE * size))


def polygon_of(text: str) -> np.ndarray:
    """The polygon (m, 2) that `lasso_text` wrote; empty where the text is none."""
    try:
        polygon = np.array([[float(v) for v in corner.split(",")] for corner in text.split("_")], float)
    except ValueError:
        return np.zeros((0, 2))
    fits = polygon.ndim == 2 and polygon.shape[1] == 2 and len(polygon) > 2 and np.isfinite(polygon).all()
    return polygon if fits else np.zeros((0, 2))


def inside(xy: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Which points (n, 2) a polygon holds, by the even-odd rule."""
    x, y = np.asarray(xy, float).T
    found = np.zeros(len(x), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        if y0 != y1:
            found ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return found


# ----------------------------------------------------------------------------------------------------------- selection
@dataclass(frozen=True)
class Selection:
    """What is selected and by what. index: numbers of points; empty where nothing is asked for."""

    index: np.ndarray
    words: list[str]
    """What all of them fulfil; empty: nothing is asked for."""
    lasso: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    @property
    def asked(self) -> bool:
        return bool(self.words)

    @property
    def said(self) -> str:
        return " and ".join(self.words)


def counts(points: Arrays, index: np.ndarray) -> list[tuple[int, int]]:
    """n and N of both layers."""
    layer = np.asarray(points["layer"])
    return [(int((layer[index] == k).sum()), int((layer == k).sum())) for k in range(2)]


def table(points: Arrays, index: np.ndarray, names: dict[int, str], what: str = "class") -> dict[str, np.ndarray]:
    """The selected points as columns."""
    layer = np.asarray(points["layer"])[index]
    columns: dict[str, np.ndarray] = {
        "point": index, "layer": np.array(LAYERS)[layer], "row": np.asarray(points["row"])[index]
    }  # fmt: skip
    if "pdg" in points:
        pdg = np.asarray(points["pdg"])[index]
        columns["species"] = np.array([names.get(k, str(k)) for k in pdg.tolist()], dtype=str)
        columns["pdg"] = pdg
    elif names:
        own = classes_of(points)[index]
        columns[what] = np.array([names.get(k, str(k)) for k in own.tolist()], dtype=str)
    for name, unit in (*UNITS.items(), ("density ratio", "log")):
        needs = {"energy": "energy", "photon sum": "photon_sum", "density ratio": "density"}.get(name, "impact_mm")
        if needs in points:
            columns[f"{name} [{unit}]"] = values_of(points, name)[index].astype(np.float32)
    xy = np.asarray(points["xy"])[index]
    return {**columns, "map x": xy[:, 0], "map y": xy[:, 1]}


def record(
    selection: Selection, gates: Gates, points: Arrays, request: dict[str, Any], region: dict[str, Any] | None
) -> dict[str, Any]:
    """The selection as JSON: in words, in numbers, and the points that it holds."""
    index = selection.index
    n = counts(points, index)
    return {
        "selection": selection.said,
        "map": request | {"step": points.meta.get("step"), "space": points.meta.get("space")},
        "gates": {
            **{name: list(span) for name, span in gates.spans.items() if _set(span)},
            **({"kinds": list(gates.kinds)} if gates.kinds else {}),
            **({"layer": gates.layer} if gates.layer else {}),
        },
        "lasso": selection.lasso.tolist(),
        "region": region,
        "counts": {LAYERS[k]: {"n": n[k][0], "N": n[k][1]} for k in range(2)},
        "points": index.tolist(),
        "rows": np.asarray(points["row"])[index].tolist(),
        "layers": np.asarray(points["layer"])[index].tolist(),
    }  # fmt: skip


def within(index: Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    """Which of n points these are."""
    found = np.zeros(n, bool)
    number = np.asarray(index, int)
    found[number[(number >= 0) & (number < n)]] = True
    return found

"""How the points of a map are coloured: which are drawn alike, as one series each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.charts.colour import CLASSES, DATA, GENERATED, SEQUENCE, VIRIDIS, data_blue, faint, hex_of
from engine.schema import Arrays

LAYERS = ("data", "generated")
SYMBOLS = ("circle", "diamond")
COLOURS = (
    "layer", "species", "class", "energy", "impact x", "impact y", "impact radius", "photon sum", "density ratio",
)  # fmt: skip
"""What points can be coloured by, where they carry it."""
UNITS = {"energy": "GeV", "impact x": "mm", "impact y": "mm", "impact radius": "mm", "photon sum": "photons"}
STEPS = 9
"""Colours of a ramp; odd, so that a diverging one has a middle."""
PIECE = 1000
"""Points of a series."""
LEAST = 0.7
"""Smallest end of the density ratio's scale: about a factor of two."""


class Group(NamedTuple):
    """Points drawn as one series. quiet: the context of a selection."""

    title: str
    index: np.ndarray
    symbol: str
    colour: str
    quiet: bool = False


class Ramp(NamedTuple):
    """A scale of colours over values."""

    low: float
    high: float
    colours: list[str]
    unit: str


def classes_of(points: Arrays) -> np.ndarray:
    """The class number of each point, where its one condition is a class."""
    return np.asarray(points["conditions"])[:, 0].astype(int)


def colours_for(points: Arrays, classes: bool) -> list[str]:
    """What these points can be coloured by. classes: whether their condition is one."""
    return [name for name in COLOURS if _there(points, name, classes)]


def _there(points: Arrays, name: str, classes: bool) -> bool:
    if name == "layer":
        return True
    if name == "class":
        return classes
    needs = {"species": "pdg", "energy": "energy", "photon sum": "photon_sum", "density ratio": "density"}
    return needs.get(name, "impact_mm") in points


def values_of(points: Arrays, name: str) -> np.ndarray:
    """The quantity of each point (2n,)."""
    if name.startswith("impact"):
        impact = np.asarray(points["impact_mm"], float)
        return np.hypot(*impact.T) if name.endswith("radius") else impact[:, int(name.endswith("y"))]
    return np.asarray(points[{"photon sum": "photon_sum", "density ratio": "density"}.get(name, name)], float)


def ramp_of(values: np.ndarray, name: str, dark: bool) -> Ramp:
    """Viridis over all but the outermost values; of the density ratio blue to orange, centred at 0."""
    finite = values[np.isfinite(values)]
    low, high = (float(v) for v in np.quantile(finite, [0.02, 0.98])) if len(finite) else (0.0, 1.0)
    if name == "density ratio":
        top = max(abs(low), abs(high), LEAST)
        return Ramp(-top, top, diverging(dark), "log")
    colours = hex_of(VIRIDIS, STEPS + 1)[1:] if dark else hex_of(VIRIDIS, STEPS + 1)[:-1]  # ends that the page has too
    return Ramp(low, max(high, low + 1e-6), colours, UNITS.get(name, ""))


def diverging(dark: bool) -> list[str]:
    """Blue where data stand alone, orange where generated points do, grey between: safe for the colour-blind."""
    ends = [data_blue(dark), "#5B6470" if dark else "#C9CDD2", GENERATED]
    rgb = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in ends], float)
    at = np.linspace(0, 2, STEPS)
    mixed = np.stack([np.interp(at, [0, 1, 2], rgb[:, k]) for k in range(3)], 1).round().astype(int)
    return ["#" + bytes(row.tolist()).hex() for row in mixed]


def groups_of(
    points: Arrays, colour_by: str, names: dict[int, str], layers: Sequence[str] = LAYERS,
    chosen: np.ndarray | None = None, dark: bool = False,
) -> list[Group]:  # fmt: skip
    """The series of a map, those behind first. names: of species, or of classes where points have these. chosen: what
    is selected; the rest is grey then."""
    layer = np.asarray(points["layer"])
    some = chosen is not None and len(chosen) > 0
    picked = np.zeros(len(layer), bool)
    picked[chosen if some else slice(None)] = True
    groups: list[Group] = []
    if some:
        groups += [
            Group(f"other {LAYERS[k]}", np.flatnonzero((layer == k) & ~picked), SYMBOLS[k], faint(dark), True)
            for k in range(2)
            if LAYERS[k] in layers
        ]
    for k in range(2):
        if LAYERS[k] in layers:
            of_layer = int((layer == k).sum())
            here = np.flatnonzero((layer == k) & picked)
            groups += _coloured(points, colour_by, names, k, here, of_layer, dark)
    return [part for group in groups for part in _pieces(group)]


def _pieces(group: Group) -> list[Group]:
    """At most `PIECE` points each: a browser fills many small paths faster than a large one."""
    cuts = range(0, len(group.index), PIECE)
    return [group._replace(index=group.index[k : k + PIECE]) for k in cuts]


def _coloured(
    points: Arrays, colour_by: str, names: dict[int, str], layer: int, here: np.ndarray, of: int, dark: bool
) -> list[Group]:
    symbol = SYMBOLS[layer]
    title = f"{LAYERS[layer]} {len(here):,}" + (f"/{of:,}" if len(here) != of else "")
    if colour_by == "layer":
        return [Group(title, here, symbol, (data_blue(dark) if dark else DATA, GENERATED)[layer])]
    if colour_by == "class":
        own = classes_of(points)[here]
        return [Group(name, here[own == k], symbol, CLASSES[k % len(CLASSES)]) for k, name in names.items()]
    if colour_by == "species":
        pdg = np.asarray(points["pdg"])
        order = [kind for kind in names if (pdg == kind).any()]
        order += sorted(set(pdg.tolist()) - set(names))
        return [
            Group(f"{names.get(kind, kind)}", here[pdg[here] == kind], symbol, SEQUENCE[k % len(SEQUENCE)])
            for k, kind in enumerate(order)
        ]
    values = values_of(points, colour_by)
    ramp = ramp_of(values, colour_by, dark)
    share = (values[here] - ramp.low) / (ramp.high - ramp.low)
    step = np.clip(np.nan_to_num(share * STEPS), 0, STEPS - 1).astype(int)
    return [Group(title, here[step == s], symbol, ramp.colours[s]) for s in range(STEPS)]

"""How far a set of simulated showers agrees with Geant4's at the same primaries: the table of `showerscope data check`.

Each row is the distance between one statistic of two sets that hold every primary once (twice, where replicas are
compared), averaged over random choices of the replicas. Its floor is the same distance between Geant4 and Geant4, so 1
is as good as another run of Geant4 and the target is 2. Where replicas are compared, the two Geant4 pairs share one of
three showers, which makes the floor lower than it should be, never higher.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.datasets import zdc_fast, zdc_geant4
from engine.datasets.base import Dataset
from engine.metrics.wasserstein import w1
from engine.schema import WrongInput

Floats = NDArray[np.float64]
Progress = Callable[[float], None]
TARGET = 2.0
SHUFFLES = 200
INSIDE_CM = 1.0
"""Photons per GeV are judged this far from the edge."""
RADII_CM = (0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2, 3, 5, np.inf)
PHOTONS = (1, 2, 3, 4, 5, 7, 10, 15, 25, 40, 60, 100, 200, 1e9)
SYMBOLS = {22: "γ", 2112: "n", 130: "K⁰L", -2112: "n̄"}
CURVE_ENERGIES_GEV = (0.0, 60.0, 120.0, 250.0, 450.0, 800.0, np.inf)
POINTS = 6
"""Most points of a species' light against energy, each of as many primaries."""
CURVE_LIGHT = tuple(round(0.1 * k, 1) for k in range(18))
"""Bin edges of photons per GeV."""
DRAWS = 200
"""Bootstrap draws of primaries for a curve's error."""


@dataclass(frozen=True)
class Row:
    """One statistic. value, reference: of the judged set and of Geant4, None for a distance between distributions.
    distance, floor: in `unit`; ratio: distance over floor, None where the floor is 0; within: ratio ≤ 2."""

    name: str
    unit: str
    value: float | None
    reference: float | None
    distance: float
    floor: float
    ratio: float | None
    within: bool


@dataclass(frozen=True)
class Curve:
    """A line to draw over Geant4's. x: bin centres, or the mean of what falls in a bin. reference, value: Geant4's and
    the judged set's, all replicas together. error: of the reference, a bootstrap over primaries."""

    name: str
    x_label: str
    y_label: str
    x: list[float]
    reference: list[float]
    value: list[float]
    error: list[float]


class Features:
    """What the statistics need of a set, by primary and replica, (P, R, ...)."""

    def __init__(self, data: Dataset, rows: NDArray[np.int64], replicas: int) -> None:
        shape = (len(rows) // replicas, replicas)
        detector = zdc.DETECTORS[data.detector]
        images = data.showers[rows].astype(np.float64)
        x, y = ((np.arange(n) - (n - 1) / 2) * detector.pitch_cm for n in detector.shape)
        impact = data.impact_cm[rows]
        radius = np.hypot(x[None, :, None] - impact[:, :1, None], y[None, None, :] - impact[:, 1:, None])
        ring = np.digitize(radius, RADII_CM) - 1
        rings = [(images * (ring == k)).sum((1, 2)) for k in range(len(RADII_CM) - 1)]
        fibres = [(ring[::replicas] == k).sum((1, 2)) for k in range(len(RADII_CM) - 1)]
        steps = zip(PHOTONS, PHOTONS[1:], strict=False)
        levels = [((images >= low) & (images < high)).sum((1, 2)) for low, high in steps]
        self.images = images.reshape(*shape, -1)
        self.rings = np.stack(rings, 1).reshape(*shape, -1)
        self.fibres = np.stack(fibres, 1).astype(float)
        self.levels = np.stack(levels, 1).astype(float).reshape(*shape, -1)
        self.channels = zdc.channels(data.showers[rows], data.detector).reshape(*shape, 5)
        self.total = images.sum((1, 2)).reshape(shape)
        first = rows[::replicas]
        self.energy, self.pdg = data.conditions[first, zdc.ENERGY], data.pdg[first]
        self.inside = (np.abs(data.impact_cm[first]) < np.array(detector.half_cm) - INSIDE_CM).all(1)


@dataclass(frozen=True)
class Statistic:
    """of: features and replica numbers (P, 1 or 2) to a scalar or an array. distance: of two such; without it the
    difference's magnitude."""

    name: str
    unit: str
    of: Callable[[Features, NDArray[np.int64]], Any]
    replicas: int = 1
    distance: Callable[[Any, Any], float] | None = None


def compare(
    data: Dataset, reference: Dataset, split: str = "test", seed: int = 0, progress: Progress | None = None
) -> list[Row]:
    """The table of `data` against `reference`, sets of the same primaries in the same order.

    Raises `WrongInput` when the primaries differ or have fewer than three replicas, or the set has no pictures of
    that detector.
    """
    return _table(*_features(data, reference, split), seed, progress)


def curves(data: Dataset, reference: Dataset, split: str = "test", seed: int = 0) -> list[Curve]:
    """Profile, spectra, light and f_div of `data` over those of `reference`. Raises `WrongInput` as `compare` does."""
    return _curves(*_features(data, reference, split), np.random.default_rng(seed))


def check(name: str, split: str = "test", seed: int = 2006, progress: Progress | None = None) -> dict[str, Any]:
    """The table of `zdc_fast`, simulated at the conditions of held-out Geant4 primaries: {data, reference, split,
    showers, primaries, target, within, of, rows, curves, seconds}. progress: called with the share done, 0 to 1.

    Raises `WrongInput` for a set that cannot be simulated there."""
    if name != "zdc_fast":
        raise WrongInput(f"{name!r} cannot be simulated at Geant4's conditions: zdc_fast can")
    start, said = time.monotonic(), progress or (lambda share: None)
    reference = zdc_geant4.load()
    said(0.0)
    data = at_conditions(reference, seed, lambda share: said(0.3 * share))
    judged, known = _features(data, reference, split)
    table = _table(judged, known, 0, lambda share: said(0.35 + 0.6 * share))
    lines = _curves(judged, known, np.random.default_rng(0))
    said(1.0)
    return {
        "data": data.label,
        "reference": reference.label,
        "split": split,
        "showers": known.total.size,
        "primaries": len(known.total),
        "target": TARGET,
        "within": sum(row.within for row in table),
        "of": len(table),
        "rows": [vars(row) for row in table],
        "curves": [vars(line) for line in lines],
        "seconds": round(time.monotonic() - start, 2),
    }


def at_conditions(reference: Dataset, seed: int = 2006, progress: Progress | None = None) -> Dataset:
    """`zdc_fast` showers at the conditions of each row of a set, in its order."""
    made, done = np.empty(reference.showers.shape, np.uint16), 0
    for block in zdc_fast.blocks(reference.conditions, reference.pdg, 1, reference.detector, seed):
        made[done : done + len(block)] = block
        done += len(block)
        if progress is not None:
            progress(done / len(made))
    return replace(
        reference,
        name="zdc_fast",
        title="zdc_fast at Geant4's conditions",
        label=zdc_fast.LABEL,
        showers=made,
    )


# ------------------------------------------------------------------------------------------------------- statistics
def _statistics(known: Features) -> list[Statistic]:
    rows = [_light(code, symbol) for code, symbol in SYMBOLS.items() if (known.inside & (known.pdg == code)).any()]
    rows += [
        Statistic("channels (paper), Wasserstein", "photons", lambda f, r: _pick(f.channels, r), 1, _wasserstein),
        Statistic("channels (paper), MAE at equal conditions", "photons", lambda f, r: _pick(f.channels, r), 1, _mae),
        Statistic("radial profile", "share of light", lambda f, r: _shares(f.rings, r), 1, _variation),
        Statistic("pixel spectrum", "share of pixels", lambda f, r: _shares(f.levels, r), 1, _variation),
        Statistic("empty pixels", "%", lambda f, r: 100 - 100 * _occupied(f, r)),
        Statistic("empty showers", "%", lambda f, r: 100 * float((_pick(f.total, r) == 0).mean())),
        Statistic("MAE between replicas", "photons", _replica_mae, 2),
    ]
    for title, low, high, bins in zdc.energy_ranges(known.energy):
        if bins.any():
            where = title if np.isfinite(high) else f"above {low:g} GeV"
            rows += [_diversity(bins, where), _spread(bins, where)]
    return rows


def _light(code: int, symbol: str) -> Statistic:
    def of(f: Features, r: NDArray[np.int64]) -> float:
        some = f.inside & (f.pdg == code)
        return float(_pick(f.total, r)[some].sum() / f.energy[some].sum())

    return Statistic(f"light of {symbol}", "photons/GeV", of)


def _diversity(bins: NDArray[np.bool_], where: str) -> Statistic:
    """f_div: sum over pixels of the standard deviation over a primary's replicas, here two (SDI-GAN)."""

    def of(f: Features, r: NDArray[np.int64]) -> float:
        return float(np.abs(np.diff(_two(f.images, r)[bins], axis=1)).sum(-1).mean() / 2)

    return Statistic(f"f_div, {where}", "photons", of, 2)


def _spread(bins: NDArray[np.bool_], where: str) -> Statistic:
    def of(f: Features, r: NDArray[np.int64]) -> float:
        light = _two(f.total, r)[bins]
        return 100 * float(np.abs(np.diff(light, axis=1)).mean() / max(light.mean(), 1e-12))

    return Statistic(f"replica spread of light, {where}", "%", of, 2)


def _replica_mae(f: Features, r: NDArray[np.int64]) -> float:
    return float(np.abs(np.diff(_two(f.channels, r), axis=1)).mean())


def _pick(values: NDArray, r: NDArray[np.int64]) -> NDArray:
    return values[np.arange(len(values)), r[:, 0]]


def _two(values: NDArray, r: NDArray[np.int64]) -> NDArray:
    return values[np.arange(len(values))[:, None], r]


def _shares(values: Floats, r: NDArray[np.int64]) -> Floats:
    total = _pick(values, r).sum(0)
    return total / max(total.sum(), 1e-12)


def _occupied(f: Features, r: NDArray[np.int64]) -> float:
    return float(_pick(f.levels, r).sum() / f.images[:, 0].size)


def _wasserstein(a: Floats, b: Floats) -> float:
    return float(w1(a, b).mean())


def _mae(a: Floats, b: Floats) -> float:
    return float(np.abs(a - b).mean())


def _variation(a: Floats, b: Floats) -> float:
    """Total variation, ½ Σ |a − b|."""
    return float(np.abs(a - b).sum() / 2)


# -------------------------------------------------------------------------------------------------------------- rows
def _row(statistic: Statistic, judged: Features, known: Features, rng: np.random.Generator) -> Row:
    scalar = statistic.distance is None
    apart = statistic.distance or (lambda a, b: abs(a - b))
    size, replicas = known.total.shape
    values, references, distances, floors = [], [], [], []
    for _ in range(SHUFFLES):
        drawn = rng.permuted(np.tile(np.arange(replicas), (size, 1)), axis=1)
        # of three replicas, two pairs share one
        first, second = drawn[:, : statistic.replicas], drawn[:, -statistic.replicas :]
        reference, again = statistic.of(known, first), statistic.of(known, second)
        value = statistic.of(judged, second)
        distances.append(apart(value, reference))
        floors.append(apart(again, reference))
        values.append(value)
        references.append(reference)
    distance, floor = float(np.mean(distances)), float(np.mean(floors))
    ratio = distance / floor if floor > 0 else None
    return Row(
        statistic.name,
        statistic.unit,
        float(np.mean(values)) if scalar else None,
        float(np.mean(references)) if scalar else None,
        distance,
        floor,
        ratio,
        distance <= TARGET * floor,
    )


def _table(judged: Features, known: Features, seed: int, progress: Progress | None) -> list[Row]:
    table, statistics = [], _statistics(known)
    for statistic in statistics:
        table.append(_row(statistic, judged, known, np.random.default_rng(seed)))
        if progress is not None:
            progress(len(table) / len(statistics))
    return table


def _features(data: Dataset, reference: Dataset, split: str) -> tuple[Features, Features]:
    rows, replicas = _rows(data, reference, split)
    return Features(data, rows, replicas), Features(reference, rows, replicas)


def _rows(data: Dataset, reference: Dataset, split: str) -> tuple[NDArray[np.int64], int]:
    if data.showers.shape != reference.showers.shape or data.detector != reference.detector:
        raise WrongInput(
            f"{data.name} holds {data.showers.shape} showers, {reference.name} {reference.showers.shape}: "
            "simulate the same primaries"
        )
    if not np.array_equal(data.conditions, reference.conditions):
        row = int(np.argmax((data.conditions != reference.conditions).any(axis=1)))
        raise WrongInput(f"row {row + 1} of {data.name} has other conditions than {reference.name}'s")
    rows = reference.rows(split)
    counts = np.unique(np.unique(reference.primary_id[rows], return_counts=True)[1])
    if len(counts) != 1 or counts[0] < 3:
        raise WrongInput(f"primaries of {reference.name} have {counts.tolist()} replicas: all need the same, 3 or more")
    return rows, int(counts[0])


# ------------------------------------------------------------------------------------------------------------ curves
def _curves(judged: Features, known: Features, rng: np.random.Generator) -> list[Curve]:
    """Each point is a sum over primaries divided by another, so that primaries can be drawn again."""
    size = len(known.energy)
    weights = rng.multinomial(size, np.full(size, 1 / size), DRAWS).astype(float)

    def line(
        name: str, x_label: str, y_label: str, x: Floats, of: Callable[[Features], tuple[Floats, Floats]]
    ) -> Curve:
        above, below = of(known)
        some = (below > 0).sum(0) > 1
        above, below = above[:, some], below[:, some]
        drawn = weights @ above / np.maximum(weights @ below, 1e-12)
        # a draw without one of the primaries of a point says nothing about it
        error = np.where(weights @ below > 0, drawn, np.nan)
        judged_above, judged_below = (part[:, some] for part in of(judged))
        return Curve(
            name, x_label, y_label, x[some].tolist(), (above.sum(0) / below.sum(0)).tolist(),
            (judged_above.sum(0) / judged_below.sum(0)).tolist(), np.nanstd(error, axis=0).tolist(),
        )  # fmt: skip

    edges = 10 * np.array(RADII_CM[:-1], float)
    steps = np.array(PHOTONS, float)
    bins = np.digitize(known.energy, CURVE_ENERGIES_GEV) - 1
    member = np.eye(len(CURVE_ENERGIES_GEV) - 1)[bins]

    def centres(where: Floats) -> Floats:
        return (known.energy[:, None] * where).sum(0) / np.maximum(where.sum(0), 1)

    made = [
        line("radial profile", "distance from the impact point / mm", "photons per fibre and shower",
             (edges[1:] + edges[:-1]) / 2, lambda f: (f.rings.mean(1)[:, :-1], f.fibres[:, :-1])),
        line("pixel spectrum", "photons in a fibre", "share of fibres per photon",
             np.sqrt(steps[:-2] * (steps[1:-1] - 1)),
             lambda f: (f.levels.mean(1)[:, :-1] / np.diff(steps[:-1]),
                        np.full((size, len(steps) - 2), float(f.images.shape[-1])))),
        line("f_div", "energy / GeV", "photons", centres(member), lambda f: (_half_gap(f)[:, None] * member, member)),
    ]  # fmt: skip
    for code, symbol in SYMBOLS.items():
        some = np.flatnonzero(known.inside & (known.pdg == code))
        if len(some) < 2:
            continue
        where = np.zeros((size, POINTS))
        for k, part in enumerate(np.array_split(some[np.argsort(known.energy[some])], min(POINTS, 1 + len(some) // 8))):
            where[part, k] = 1
        made.append(
            line(
                f"light of {symbol}",
                "energy / GeV",
                "photons per GeV",
                centres(where),
                lambda f, where=where: (f.total.mean(1)[:, None] * where, f.energy[:, None] * where),
            )
        )
    light = np.array(CURVE_LIGHT)
    for name, hadron in (("γ", False), ("hadrons", True)):
        where = (known.inside & ((known.pdg != 22) == hadron)).astype(float)[:, None]
        made.append(
            line(f"photon sum of {name}", "photons per GeV", "share of showers per photon per GeV",
                 (light[1:] + light[:-1]) / 2,
                 lambda f, where=where: (_spectrum(f, light) * where, where * np.ones(len(light) - 1)))
        )  # fmt: skip
    return made


def _half_gap(f: Features) -> Floats:
    """f_div of each primary, averaged over its pairs of replicas, (P,)."""
    replicas = f.images.shape[1]
    pairs = [(i, j) for i in range(replicas) for j in range(i)]
    return np.mean([np.abs(f.images[:, i] - f.images[:, j]).sum(1) / 2 for i, j in pairs], axis=0)


def _spectrum(f: Features, edges: Floats) -> Floats:
    """Density of a primary's showers in photons per GeV, (P, bins)."""
    bins = np.digitize(f.total / f.energy[:, None], edges) - 1
    return (bins[:, :, None] == np.arange(len(edges) - 1)).mean(1) / np.diff(edges)

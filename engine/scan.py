"""Light against energy: a model's showers, the simulated ones that hit nearest to the same point, and showers generated
at the very conditions of those."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.conditions import along, conditions_of
from engine.datasets.base import Dataset
from engine.generation import Generator
from engine.host import Host, batches
from engine.schema import Arrays, Particle, ScanRequest, WrongInput

MOST_SHOWERS = 200_000
"""Generated in one answer."""
RADII_MM = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0)
"""How far from the particle's impact point simulated ones may hit: the first that fills `RANGES`."""
RANGES = 6
DECADE = 10
"""Steps of energy in a decade, of which ranges are made."""
WIDEST = 4
"""Steps of a range at most: in a wider one the relative resolution changes."""
SHOWERS, PRIMARIES = 25, 8
"""Least of a range."""
FAR_MM = 12.0

Floats = NDArray[np.float64]


class Light(NamedTuple):
    """Mean and standard deviation (K, 6) of the photon sum and the five channels, with their errors [photons]."""

    mean: Floats
    mean_error: Floats
    sigma: Floats
    sigma_error: Floats

    def named(self, prefix: str = "") -> dict[str, Floats]:
        return {f"{prefix}{name}": values for name, values in self._asdict().items()}


class Range(NamedTuple):
    """An energy range [GeV] and the rows (n,) in it."""

    low: float
    high: float
    rows: NDArray[np.int64]


def scan(host: Host, source: Generator, request: ScanRequest) -> Arrays:
    """`engine.schema.Engine.scan`."""
    data = source.data
    data.needs_showers("energies")
    begin = time.perf_counter()
    if not request.energies_gev and not request.simulated:
        raise WrongInput("no energies: give some to scan, or ask for simulated showers")
    if len(request.energies_gev) * request.n > MOST_SHOWERS:
        raise WrongInput(f"{len(request.energies_gev)} energies × {request.n} showers: at most {MOST_SHOWERS} at once")
    conditions = along(request.particle, request.energies_gev)
    meta = source.said(conditions, request.convention, "poisson", request.seed)
    rng = host.rng(request.seed)

    def generated(rows: Floats) -> Floats:
        drawn = host.draw(source.model, batches(rows), rng, "poisson")
        return np.concatenate([np.zeros((0, 6)), *(_light(part, data, request.convention) for part in drawn)])

    light = generated(np.repeat(conditions, request.n, axis=0)).reshape(-1, request.n, 6)
    arrays = {"energy_gev": conditions[:, zdc.ENERGY], **independent(light).named()}
    meta |= {"radius_mm": 0.0, "showers": 0}
    if request.simulated:
        found, radius_mm = nearest(data, request.particle)
        rows = np.concatenate([np.zeros(0, np.int64), *(one.rows for one in found)])
        simulated, matched = _light(data.showers[rows], data, request.convention), generated(data.conditions[rows])
        arrays |= _by_range(data, found, simulated, matched)
        meta |= {"radius_mm": radius_mm, "showers": len(rows)}
        meta["warnings"] = [*meta["warnings"], *_warnings(len(found), radius_mm, request.particle)]
    return Arrays(arrays, meta | {"ms": 1000 * (time.perf_counter() - begin)})


def _light(showers: NDArray, data: Dataset, convention: str) -> Floats:
    """Photon sum and channels (n, 6) [photons]."""
    channels = zdc.channels(showers, data.detector, convention)
    return np.column_stack([channels.sum(axis=1), channels])


# -------------------------------------------------------------------------------------------------------- statistics
def independent(light: Floats) -> Light:
    """Of n independent showers at each of K energies, (K, n, 6). The error of σ follows from the fourth moment, for
    light is not normal: Var s² = (μ₄ − σ⁴ (n − 3)/(n − 1))/n."""
    k, n = light.shape[:2]
    if not k:
        return Light(*(np.zeros((0, 6)) for _ in range(4)))
    mean, variance = light.mean(axis=1), light.var(axis=1, ddof=1)
    fourth = ((light - mean[:, None]) ** 4).mean(axis=1)
    spread = np.sqrt(((fourth - variance**2 * (n - 3) / (n - 1)) / n).clip(min=0))
    sigma = np.sqrt(variance)
    sigma_error = np.divide(spread, 2 * sigma, out=np.zeros_like(sigma), where=sigma > 0)
    return Light(mean, sigma / np.sqrt(n), sigma, sigma_error)


def clustered(light: Floats, primary: NDArray[np.int64]) -> Light:
    """Of showers (n, 6) whose replicas share a primary's conditions: the errors are a jackknife's over primaries. One
    row (1, 6)."""
    _, owner = np.unique(primary, return_inverse=True)
    light = light - (shift := light.mean(axis=0))  # squares of what is left lose no digits
    count = np.bincount(owner).astype(float)[:, None]
    sums, squares = np.zeros((2, len(count), light.shape[1]))
    np.add.at(sums, owner, light)
    np.add.at(squares, owner, light**2)

    def moments(n: Floats, total: Floats, square: Floats) -> tuple[Floats, Floats]:
        mean = total / n
        return mean, np.sqrt(((square - n * mean**2) / (n - 1)).clip(min=0))

    whole = moments(count.sum(0, keepdims=True), sums.sum(0, keepdims=True), squares.sum(0, keepdims=True))
    left = moments(count.sum(0) - count, sums.sum(0) - sums, squares.sum(0) - squares)
    share = (len(count) - 1) / len(count)
    mean_error, sigma_error = (
        np.sqrt(share * ((one - one.mean(axis=0)) ** 2).sum(axis=0, keepdims=True)) for one in left
    )
    return Light(whole[0] + shift, mean_error, whole[1], sigma_error)


def scaled(light: Floats, energy_gev: Floats) -> Floats:
    """Light (n, 6) of showers at energies (n,), each as if at their mean energy were it proportional to it."""
    return light * (energy_gev.mean() / energy_gev)[:, None]


def _by_range(data: Dataset, found: list[Range], simulated: Floats, matched: Floats) -> dict[str, Floats]:
    arrays: dict[str, NDArray] = {
        "simulated_low_gev": np.array([one.low for one in found], float),
        "simulated_high_gev": np.array([one.high for one in found], float),
        "simulated_n": np.array([len(one.rows) for one in found], np.int64),
    }
    energies = [data.conditions[one.rows, zdc.ENERGY] for one in found]
    arrays["simulated_energy_gev"] = np.array([energy.mean() for energy in energies], float)
    stops = np.cumsum(arrays["simulated_n"])[:-1]
    for prefix, light in (("simulated_", simulated), ("matched_", matched)):
        parts = [
            clustered(scaled(part, energy), data.primary_id[one.rows])
            for part, energy, one in zip(np.split(light, stops), energies, found, strict=False)
        ]
        columns = zip(*parts, strict=True) if parts else [[np.zeros((0, 6))]] * 4
        arrays |= Light(*(np.concatenate(column) for column in columns)).named(prefix)
    return arrays


# ------------------------------------------------------------------------------------------------------ neighbours
def nearest(data: Dataset, particle: Particle) -> tuple[list[Range], float]:
    """Ranges of energy of the simulated showers of a particle's species that hit nearest to its impact point, of all
    splits, and the radius [mm] within which they do; none where the data have none."""
    row = conditions_of(particle)
    same = data.pdg == particle.pdg
    if not same.any():  # data that do not tell a particle from its antiparticle
        unsaid = data.pdg == 0
        columns = [zdc.MASS, zdc.CHARGE]
        same = unsaid & (np.abs(data.conditions[:, columns] - row[:, columns]) < 0.5).all(axis=1)
    rows = np.flatnonzero(same)
    impact = zdc.impact_cm(row, zdc.DETECTORS[data.detector].z_cm)
    apart_mm = 10 * np.linalg.norm(data.impact_cm[rows] - impact, axis=1)
    best: list[Range] = []
    radius_mm = 0.0
    for radius in RADII_MM:
        within = rows[apart_mm <= radius]
        found = list(ranges(data, within))
        if len(found) > len(best):
            best = found
            radius_mm = float(apart_mm[np.isin(rows, np.concatenate([one.rows for one in found]))].max())
        if len(best) >= RANGES:
            break
    return best, radius_mm


def ranges(data: Dataset, rows: NDArray[np.int64]) -> Iterator[Range]:
    """Rows by neighbouring steps of log energy, as many steps a range as give it enough showers of enough primaries;
    where `WIDEST` do not, there is none."""
    if not len(rows):
        return
    step = np.floor(DECADE * np.log10(data.conditions[rows, zdc.ENERGY])).astype(int)
    first, last = int(step.min()), int(step.max())
    while first <= last:
        for stop in range(first + 1, first + WIDEST + 1):
            inside = rows[(step >= first) & (step < stop)]
            if len(inside) >= SHOWERS and len(np.unique(data.primary_id[inside])) >= PRIMARIES:
                yield Range(10 ** (first / DECADE), 10 ** (stop / DECADE), inside)
                first = stop
                break
        else:
            first += 1


def _warnings(ranges: int, radius_mm: float, particle: Particle) -> list[str]:
    """What to tell of the simulated showers."""
    if not ranges:
        species = zdc.symbol(particle.pdg)
        return [f"The data hold too few showers of {species} within {RADII_MM[-1]:.0f} mm of this impact point."]
    if radius_mm > FAR_MM:
        return [f"The simulated showers hit up to {radius_mm:.0f} mm from this particle's impact point."]
    return []

"""How light falls off about the middle of a shower."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Floats, Sample, Value, bootstrap, observed, replica_pairs
from engine.schema import MetricInfo

INFO = MetricInfo(
    name="radial_profile",
    title="Radial profile",
    short="radial",
    unit="mm",
    direction="lower",
    formula="∫ |F_gen(r) − F_sim(r)| dr, F = share of all light within r of its shower's centre, in rings of one pitch",
    source="own; a W₁ distance",
    group="shape",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """W₁ [mm] between the distances of photons from their shower's centre, over all light: bright showers say most.
    Mean over pairs of a simulated with a generated replica. No light at all is farther than any."""
    first, second = observed(reference, generated, lambda one: one.rings)
    return _mean(first, second, reference.observables.pitch, False, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another."""
    if reference.replicas < 2:
        return None
    rings = reference.by_primary(reference.observables.rings)
    return _mean(rings, rings, reference.observables.pitch, True, rng)


def _mean(first: Floats, second: Floats, pitch: float, distinct: bool, rng: np.random.Generator) -> Value:
    pairs = replica_pairs(first.shape[1], second.shape[1], distinct)

    def cumulative(rings: Floats, weight: Floats) -> Floats:
        light = np.tensordot(weight, rings, axes=1)
        return light.cumsum(axis=1) / np.maximum(light.sum(axis=1, keepdims=True), 1e-12)

    def statistic(rows: NDArray[np.int64]) -> float:
        # how often a primary was drawn, which is faster than to draw its rings
        weight = np.bincount(rows, minlength=len(first)).astype(np.float64)
        one, other = cumulative(first, weight), cumulative(second, weight)
        return pitch * float(np.mean([np.abs(one[r] - other[s]).sum() for r, s in pairs]))

    return bootstrap(statistic, len(first), rng)

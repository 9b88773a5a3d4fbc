"""Whether neighbouring channels light up together as often as they do in simulation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Floats, Sample, Value, bootstrap, pair, replica_pairs
from engine.schema import MetricInfo

CHANNELS = 2
ACTIVE = 5.0
"""Photons from which a channel counts as active: single photons of far showers are in all of them."""
INFO = MetricInfo(
    name="jaccard",
    title="Co-activation of neighbouring channels",
    short="JaccErr",
    unit="",
    direction="lower",
    formula=f"mean over neighbouring channels of |J_gen − J_sim|, J = showers with ≥ {ACTIVE:g} photons in both ÷ in "
    "either; neighbours are towers that share an edge, and the common channel is everybody's",
    source="Majerz et al. 2026",
    group="channels",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Mean over pairs of a simulated with a generated replica. A pair of channels that is never active has J = 0."""
    first, second = pair(reference, generated)
    return _mean(_active(first, reference), _active(second, reference), False, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another."""
    if reference.replicas < 2:
        return None
    active = _active(reference.grouped, reference)
    return _mean(active, active, True, rng)


def _active(channels: Floats, sample: Sample) -> Floats:
    """Whether both of a pair are active, and whether either is, (P, R, pairs, 2)."""
    on = channels >= ACTIVE
    one, other = np.array(sample.neighbours).T
    return np.stack([on[..., one] & on[..., other], on[..., one] | on[..., other]], axis=-1).astype(np.float64)


def _mean(first: Floats, second: Floats, distinct: bool, rng: np.random.Generator) -> Value:
    pairs = replica_pairs(first.shape[1], second.shape[1], distinct)

    def index(active: Floats, rows: NDArray[np.int64]) -> Floats:
        both, either = np.moveaxis(active[rows].sum(axis=0), -1, 0)
        return both / np.maximum(either, 1)

    def statistic(rows: NDArray[np.int64]) -> float:
        one, other = index(first, rows), index(second, rows)
        return float(np.mean([np.abs(one[r] - other[s]).mean() for r, s in pairs]))

    return bootstrap(statistic, len(first), rng)

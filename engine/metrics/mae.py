"""Mean absolute error of the channel sums at equal conditions."""

from __future__ import annotations

import numpy as np

from engine.metrics.base import Floats, Sample, Value, bootstrap, pair, replica_pairs
from engine.schema import MetricInfo

INFO = MetricInfo(
    name="mae",
    title="MAE of channels",
    short="MAE",
    unit="photons",
    direction="lower",
    formula="mean over particles and channels of |ch_sim − ch_gen|",
    source="arXiv:2006.06704 Table 1",
    group="channels",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Mean over particles, channels and all pairs of a simulated with a generated replica."""
    return _mean(*pair(reference, generated), distinct=False, rng=rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of a particle against another, all pairs of replicas."""
    if reference.replicas < 2:
        return None
    return _mean(reference.grouped, reference.grouped, distinct=True, rng=rng)


def distance(first: Floats, second: Floats, distinct: bool) -> Floats:
    """Mean |difference| of each primary over channels and pairs of replicas, (P,)."""
    pairs = replica_pairs(first.shape[1], second.shape[1], distinct)
    return np.mean([np.abs(first[:, r] - second[:, s]).mean(axis=1) for r, s in pairs], axis=0)


def _mean(first: Floats, second: Floats, distinct: bool, rng: np.random.Generator) -> Value:
    apart = distance(first, second, distinct)
    return bootstrap(lambda rows: float(apart[rows].mean()), len(apart), rng)

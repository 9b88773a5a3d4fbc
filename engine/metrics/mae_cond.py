"""Mean absolute error of what a particle leaves on average, weighted by its light."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Floats, Sample, Value, bootstrap, pair
from engine.schema import MetricInfo

INFO = MetricInfo(
    name="mae_cond",
    title="MAE of mean channels",
    short="MAE_cond",
    unit="photons",
    direction="lower",
    formula="Σ_k p_k · mean over channels of |w̄_k − ŵ̄_k| / Σ p_k over particles k, p_k = log(1 + n_k), means over half "
    "of the replicas, n_k = simulated photons",
    source="Majerz et al. 2026",
    group="channels",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Means of as many replicas as the floor has: of R simulated ones ⌊R/2⌋ stand on one side and the rest on the
    other, so that 3 compare a mean of two with a single one, and the mean over all such choices, on either side, is
    taken. The paper's means over all replicas are smaller, and no floor can be made of them: with more replicas this
    number goes down to theirs."""
    simulated, made = pair(reference, generated)
    small, large = sizes(simulated.shape[1])
    apart = [_apart(simulated, made, a, b) for a, b in {(small, large), (large, small)}]
    return _weighted(simulated, np.mean(apart, axis=0), rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """The replicas of a particle in two disjoint groups, as equal as can be, mean over all such groups."""
    if reference.replicas < 2:
        return None
    ours = reference.grouped
    every = range(ours.shape[1])
    groups = [(one, tuple(r for r in every if r not in one)) for one in _choices(len(every), sizes(len(every))[0])]
    apart = [np.abs(_mean(ours, one) - _mean(ours, other)).mean(axis=1) for one, other in groups]
    return _weighted(ours, np.mean(apart, axis=0), rng)


def sizes(replicas: int) -> tuple[int, int]:
    """Replicas on either side of the floor; one each where there is only one."""
    return (1, 1) if replicas < 2 else (replicas // 2, replicas - replicas // 2)


def _apart(simulated: Floats, made: Floats, a: int, b: int) -> Floats:
    """|difference of means| of each particle over channels, (P,), mean over choices of `a` simulated and `b` generated
    replicas, fewer where there are fewer."""
    ours = [_mean(simulated, choice) for choice in _choices(simulated.shape[1], a)]
    theirs = [_mean(made, choice) for choice in _choices(made.shape[1], b)]
    return np.mean([np.abs(one - other).mean(axis=1) for one in ours for other in theirs], axis=0)


def _choices(replicas: int, size: int) -> list[tuple[int, ...]]:
    """Groups of replicas; with many of them there are thousands, of which the neighbouring ones are enough."""
    size = min(size, replicas)
    if replicas <= 5:
        return list(combinations(range(replicas), size))
    return [tuple(sorted((start + k) % replicas for k in range(size))) for start in range(replicas)]


def _mean(channels: Floats, replicas: tuple[int, ...]) -> Floats:
    return channels[:, list(replicas)].mean(axis=1)


def _weighted(simulated: Floats, apart: Floats, rng: np.random.Generator) -> Value:
    weight = np.log1p(simulated.sum(axis=2).mean(axis=1).clip(min=0))
    if not weight.any():  # all dark: each counts the same
        weight = np.ones_like(weight)

    def statistic(rows: NDArray[np.int64]) -> float:
        return float((weight[rows] * apart[rows]).sum() / max(weight[rows].sum(), 1e-12))

    return bootstrap(statistic, len(apart), rng)

"""Wasserstein distance between the distributions of each channel, whatever the particle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Floats, Sample, Value, bootstrap, pair, replica_pairs
from engine.schema import MetricInfo

INFO = MetricInfo(
    name="wasserstein",
    title="Wasserstein distance of channels",
    short="W₁",
    unit="photons",
    direction="lower",
    formula="mean over channels of W₁(ch_sim, ch_gen), one replica of each primary on either side",
    source="arXiv:2006.06704 Table 1",
    group="channels",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Mean over channels and all pairs of a simulated with a generated replica: both sides hold each primary once,
    since the distance of finite samples falls with their size."""
    return mean(*pair(reference, generated), distinct=False, rng=rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another, equally large."""
    if reference.replicas < 2:
        return None
    return mean(reference.grouped, reference.grouped, distinct=True, rng=rng)


def w1(first: NDArray, second: NDArray) -> Floats:
    """W₁ along the first axis between equally large samples: mean distance of sorted values."""
    return np.abs(np.sort(first, axis=0) - np.sort(second, axis=0)).mean(axis=0)


def mean(first: Floats, second: Floats, distinct: bool, rng: np.random.Generator) -> Value:
    """Of (P, R, C) and (P, R', C) over channels and pairs of replicas."""
    pairs = replica_pairs(first.shape[1], second.shape[1], distinct)

    def statistic(rows: NDArray[np.int64]) -> float:
        a = np.sort(first[rows], axis=0)
        b = np.sort(second[rows], axis=0)
        return float(np.mean([np.abs(a[:, r] - b[:, s]).mean() for r, s in pairs]))

    return bootstrap(statistic, len(first), rng)

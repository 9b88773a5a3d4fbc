"""Separation power between histograms of generated and simulated light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Floats, Sample, Value, bootstrap, pair, replica_pairs
from engine.schema import MetricInfo

EDGES = np.unique(np.round(2.0 ** (np.arange(49) / 3)))
"""Of bins, thirds of an octave at whole photons: 1, 2, 3, 4, 5, 6, 8, 10, 13, … 65 536, the same for all samples. What
is below or above them has a bin of its own."""
INFO = MetricInfo(
    name="separation",
    title="Separation power",
    short="⟨S²⟩",
    unit="",
    direction="lower",
    formula="½ Σ (h₁ − h₂)² / (h₁ + h₂), unit-sum histograms in thirds of an octave, mean of photon sum and channels, "
    "one replica of each primary on either side",
    source="CaloChallenge, arXiv:2410.21611",
    group="channels",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """0 for equal histograms, 1 for disjoint ones; mean over pairs of a simulated with a generated replica, since
    histograms of fewer showers are farther apart."""
    return _mean(*(_bins(channels) for channels in pair(reference, generated)), distinct=False, rng=rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another, equally large."""
    if reference.replicas < 2:
        return None
    bins = _bins(reference.grouped)
    return _mean(bins, bins, distinct=True, rng=rng)


def separation(first: Floats, second: Floats) -> Floats:
    """½ Σ (h₁ − h₂)² / (h₁ + h₂) over the last axis; bins that are empty in both count nothing."""
    both = first + second
    return 0.5 * (np.square(first - second) / np.where(both > 0, both, 1.0)).sum(axis=-1)


def _bins(channels: Floats) -> NDArray[np.int64]:
    """The bin of the photon sum and of each channel, (P, R, 1 + channels); of the sum alone where it is the only
    one."""
    whole = channels.sum(axis=2, keepdims=True)
    light = whole if channels.shape[2] < 2 else np.concatenate([whole, channels], axis=2)
    return np.digitize(light, EDGES)


def _mean(first: NDArray[np.int64], second: NDArray[np.int64], distinct: bool, rng: np.random.Generator) -> Value:
    pairs = replica_pairs(first.shape[1], second.shape[1], distinct)
    offset = np.arange(first.shape[2]) * (len(EDGES) + 1)

    def histograms(bins: NDArray[np.int64], rows: NDArray[np.int64]) -> Floats:
        """Of each replica, (R, 1 + channels, bins)."""
        shape = (first.shape[2], len(EDGES) + 1)
        counts = [
            np.bincount((bins[rows, r] + offset).ravel(), minlength=shape[0] * shape[1]) for r in range(bins.shape[1])
        ]
        return np.reshape(counts, (-1, *shape)) / len(rows)

    def statistic(rows: NDArray[np.int64]) -> float:
        one, other = histograms(first, rows), histograms(second, rows)
        return float(np.mean([separation(one[r], other[s]).mean() for r, s in pairs]))

    return bootstrap(statistic, len(first), rng)

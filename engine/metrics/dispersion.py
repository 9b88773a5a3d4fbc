"""Dispersion δ: whether generated channels scatter about their median as widely as simulated ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Sample, Value, bootstrap, pair
from engine.schema import MetricInfo

NEEDS_REPLICAS = True
INFO = MetricInfo(
    name="dispersion",
    title="Dispersion error δ",
    short="δ",
    unit="",
    direction="lower",
    formula="|M_gen − M_sim| / (M_gen + M_sim + τ), M = median over replicas of |ch − median|, τ = 1 photon, mean",
    source="Majerz et al. 2026",
    group="replicas",
)
TAU = 1.0


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Mean over primaries and channels, 0 to 1."""
    simulated, made = pair(reference, generated)
    size = min(simulated.shape[1], made.shape[1])
    # the median deviation of few replicas depends on how many they are
    return _mean(simulated[:, :size], made[:, :size], rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """Half of the replicas against the other half; needs four to have two on either side."""
    if reference.replicas < 4:
        return None
    half = reference.replicas // 2
    return _mean(reference.grouped[:, :half], reference.grouped[:, half : 2 * half], rng)


def _mean(first: NDArray[np.float64], second: NDArray[np.float64], rng: np.random.Generator) -> Value:
    a, b = _deviation(first), _deviation(second)
    delta = (np.abs(a - b) / (a + b + TAU)).mean(axis=1)
    return bootstrap(lambda rows: float(delta[rows].mean()), len(delta), rng)


def _deviation(channels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median absolute deviation over the replicas of each primary, (P, 5)."""
    return np.median(np.abs(channels - np.median(channels, axis=1, keepdims=True)), axis=1)

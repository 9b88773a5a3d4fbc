"""Diversity f_div: how much the fibres of a particle's replicas differ, generated over simulated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Sample, Value, bootstrap, pair
from engine.schema import MetricInfo, WrongInput

NEEDS_REPLICAS = True
INFO = MetricInfo(
    name="f_div",
    title="Diversity f_div",
    short="f_div",
    unit="",
    direction="one",
    formula="f_div = Σ over fibres of the standard deviation over replicas of a particle, mean, generated ÷ simulated",
    source="Bedkowski et al., SDI-GAN",
    group="replicas",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Raises `WrongInput` when a primary has but one shower on either side."""
    size = min(reference.replicas, generated.replicas)
    if size < 2:
        raise WrongInput("f_div compares replicas: simulate and generate each primary at least twice")
    pair(reference, generated)
    # the standard deviation of few replicas depends on how many they are
    below, above = (diversity(sample, size) for sample in (reference, generated))

    def statistic(rows: NDArray[np.int64]) -> float:
        return float(above[rows].mean() / max(below[rows].mean(), 1e-12))

    return bootstrap(statistic, len(above), rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """Simulation over simulation is 1 by definition."""
    return Value(1.0, 0.0) if reference.replicas >= 2 else None


def diversity(sample: Sample, size: int) -> NDArray[np.float64]:
    """f_div of each primary from its first `size` replicas, (P,) [photons]."""
    images = sample.by_primary(sample.showers)[:, :size]
    return np.array([primary.astype(np.float64).std(axis=0, ddof=1).sum() for primary in images])

"""How far replicas of a particle lie apart, generated over simulated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Sample, Value, bootstrap, pair
from engine.metrics.mae import distance
from engine.schema import MetricInfo, WrongInput

NEEDS_REPLICAS = True
INFO = MetricInfo(
    name="spread",
    title="Spread of replicas",
    short="spread",
    unit="",
    direction="one",
    formula="mean |ch_r − ch_r′| over replicas of a particle, generated ÷ simulated",
    source="own; the mean of all answers wins the MAE and reads 0 here",
    group="replicas",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Raises `WrongInput` when a primary has but one shower on either side."""
    if min(reference.replicas, generated.replicas) < 2:
        raise WrongInput("spread compares replicas: simulate and generate each primary at least twice")
    simulated, made = pair(reference, generated)
    above, below = distance(made, made, distinct=True), distance(simulated, simulated, distinct=True)

    def statistic(rows: NDArray[np.int64]) -> float:
        return float(above[rows].mean() / max(below[rows].mean(), 1e-12))

    return bootstrap(statistic, len(above), rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """Simulation over simulation is 1 by definition."""
    return Value(1.0, 0.0) if reference.replicas >= 2 else None

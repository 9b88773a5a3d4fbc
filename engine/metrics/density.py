"""Density: how often generated showers lie where simulated ones are dense."""

from __future__ import annotations

import numpy as np

from engine.metrics.base import Sample, Value
from engine.metrics.precision import LEAST, K, read
from engine.schema import MetricInfo

PRIMARIES = LEAST
INFO = MetricInfo(
    name="density",
    title="Density",
    unit="",
    direction="one",
    formula=f"mean number of simulated showers within whose {K}th neighbour's distance a generated one lies, ÷ {K}",
    source="arXiv:2002.09797",
    group="features",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """As `precision`, which one outlier with a large ball can please: here each ball counts. About 1 for equal
    distributions; above it where the generator keeps to the commonest showers."""
    return read("density", reference, generated, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another."""
    return read("density", reference, None, rng) if reference.replicas >= 2 else None

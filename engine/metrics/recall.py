"""Recall: how much of what simulation makes the generator makes too."""

from __future__ import annotations

import numpy as np

from engine.metrics.base import Sample, Value
from engine.metrics.precision import LEAST, K, read
from engine.schema import MetricInfo

PRIMARIES = LEAST
INFO = MetricInfo(
    name="recall",
    title="Recall",
    unit="",
    direction="higher",
    formula=f"share of simulated showers within the {K}th neighbour's distance of a generated one, in standardised "
    "observables, those of FPD",
    source="arXiv:1904.06991",
    group="features",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """As `precision`, the sides exchanged. A generator that leaves out a kind of shower loses here."""
    return read("recall", reference, generated, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another."""
    return read("recall", reference, None, rng) if reference.replicas >= 2 else None

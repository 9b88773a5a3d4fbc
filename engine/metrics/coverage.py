"""Coverage: how many simulated showers have a generated one near them."""

from __future__ import annotations

import numpy as np

from engine.metrics.base import Sample, Value
from engine.metrics.precision import LEAST, K, read
from engine.schema import MetricInfo

PRIMARIES = LEAST
INFO = MetricInfo(
    name="coverage",
    title="Coverage",
    unit="",
    direction="higher",
    formula=f"share of simulated showers that have a generated one within their {K}th neighbour's distance",
    source="arXiv:2002.09797",
    group="features",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """As `recall`, with the balls of simulated showers, so that a generated outlier gains nothing. Independent showers
    of one distribution read about 1 − 2⁻ᴷ; those of the same primaries are nearer to each other."""
    return read("coverage", reference, generated, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another."""
    return read("coverage", reference, None, rng) if reference.replicas >= 2 else None

"""Whether a network that sees shower observables can tell generated showers from simulated ones."""

from __future__ import annotations

import numpy as np

from engine.metrics.auc import LEAST, area
from engine.metrics.base import Sample, Value
from engine.schema import MetricInfo

PRIMARIES = LEAST
INFO = MetricInfo(
    name="auc_features",
    title="Classifier on observables (AUC)",
    short="AUC obs.",
    unit="",
    direction="lower",
    formula="area under the curve of a network that is shown light, centre, widths, shares within radii, channels and "
    "the conditions, on primaries that it did not learn from",
    source="arXiv:1610.06545, arXiv:2106.05285",
    group="classifiers",
    slow=True,
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """As `auc`, on the observables of FPD: blind to single fibres, and keener where little was simulated."""
    return area("features", reference, generated, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """The same between disjoint replicas of the reference."""
    return area("features", reference, None, rng) if reference.replicas >= 2 else None

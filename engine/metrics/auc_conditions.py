"""The control of the classifiers: who sees the conditions alone must not be able to tell."""

from __future__ import annotations

import numpy as np

from engine.metrics.auc import LEAST, area
from engine.metrics.base import Sample, Value
from engine.schema import MetricInfo

PRIMARIES = LEAST
INFO = MetricInfo(
    name="auc_conditions",
    title="Classifier on conditions alone (control)",
    short="AUC cond.",
    unit="",
    direction="lower",
    formula="area under the curve of a network that is shown the conditions alone; must read 0.5 ± 0.02, else the two "
    "samples are of different particles and no other classifier counts",
    source="own; a control",
    group="classifiers",
    slow=True,
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Exactly 0.5 where both samples hold the same particles equally often: each test particle is scored alike on both
    sides, and draws count half. Anything else says that generated showers carry other conditions."""
    return area("conditions", reference, generated, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """The same between disjoint replicas of the reference."""
    return area("conditions", reference, None, rng) if reference.replicas >= 2 else None

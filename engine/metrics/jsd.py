"""Jensen–Shannon divergence between generated and simulated showers, as far as a network can tell them apart."""

from __future__ import annotations

import numpy as np

from engine.metrics.auc import LEAST, scores
from engine.metrics.base import Sample, Value, bootstrap
from engine.schema import MetricInfo

PRIMARIES = LEAST
INFO = MetricInfo(
    name="jsd",
    title="Jensen–Shannon divergence (classifier)",
    short="JSD/ln 2",
    unit="",
    direction="lower",
    formula="1 − H / ln 2, H = cross-entropy of the classifier on fibres on primaries that it did not learn from: "
    "JSD / ln 2 for a perfect one, less for any other",
    source="arXiv:2106.05285",
    group="classifiers",
    slow=True,
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """From the very network of `auc`, whose log-odds are scaled on the primaries that tell when to stop. A lower bound
    of the divergence, 0 to 1; a reading below 0 is a network that believed too much."""
    return _divergence(reference, generated, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """The same between disjoint replicas of the reference."""
    return _divergence(reference, None, rng) if reference.replicas >= 2 else None


def _divergence(reference: Sample, generated: Sample | None, rng: np.random.Generator) -> Value:
    from engine import classifier  # torch takes seconds, and the list of metrics needs none of it

    found = scores("pictures", reference, generated, rng)

    def statistic(rows: np.ndarray) -> float:
        return 1 - classifier.entropy(found.real[rows], found.made[rows]) / np.log(2)

    return bootstrap(statistic, len(found.real), rng)

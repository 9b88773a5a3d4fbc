"""How many showers pass the thresholds at which a response counts, generated over simulated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Floats, Sample, Value, bootstrap, pair, replica_pairs
from engine.schema import MetricInfo

THRESHOLDS = (1, 5, 10, 18)
"""Photons; published tables cut at one of these."""
INFO = MetricInfo(
    name="response_rate",
    title="Responses above thresholds",
    short="response",
    unit="%",
    direction="lower",
    formula="|share of showers with ≥ t photons, generated − simulated|, mean over t = 1, 5, 10, 18",
    source="own; thresholds of the published tables",
    group="channels",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Mean over thresholds and pairs of a simulated with a generated replica [%]."""
    return _mean(*(_passed(channels) for channels in pair(reference, generated)), distinct=False, rng=rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another [%]."""
    if reference.replicas < 2:
        return None
    passed = _passed(reference.grouped)
    return _mean(passed, passed, distinct=True, rng=rng)


def rates(sample: Sample, rng: np.random.Generator) -> dict[int, Value]:
    """The share of showers that pass each threshold [%], for a table."""
    passed = 100 * _passed(sample.grouped).mean(axis=1)
    return {
        t: bootstrap(lambda rows, k=k: float(passed[rows, k].mean()), len(passed), rng)
        for k, t in enumerate(THRESHOLDS)
    }


def _passed(channels: Floats) -> Floats:
    """Whether a shower passes each threshold, (P, R, 4). Expected light rounds to whole photons before."""
    return (np.round(channels.sum(axis=2))[..., None] >= np.array(THRESHOLDS)).astype(np.float64)


def _mean(first: Floats, second: Floats, distinct: bool, rng: np.random.Generator) -> Value:
    pairs = replica_pairs(first.shape[1], second.shape[1], distinct)

    def statistic(rows: NDArray[np.int64]) -> float:
        one, other = first[rows].mean(axis=0), second[rows].mean(axis=0)
        return 100 * float(np.mean([np.abs(one[r] - other[s]).mean() for r, s in pairs]))

    return bootstrap(statistic, len(first), rng)

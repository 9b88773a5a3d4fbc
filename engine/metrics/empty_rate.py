"""How often a shower leaves no light at all, generated over simulated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Sample, Value, bootstrap, pair
from engine.schema import MetricInfo

INFO = MetricInfo(
    name="empty_rate",
    title="Empty showers",
    short="empty",
    unit="%",
    direction="lower",
    formula="|share of showers without a photon, generated − simulated|",
    source="own",
    group="channels",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Difference of the shares over all replicas of the same primaries [%]."""
    simulated, made = pair(reference, generated)
    below, above = _share(simulated), _share(made)

    def statistic(rows: NDArray[np.int64]) -> float:
        return 100 * abs(float(above[rows].mean() - below[rows].mean()))

    return bootstrap(statistic, len(above), rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another, mean over pairs of replicas [%]."""
    if reference.replicas < 2:
        return None
    empty = reference.grouped.sum(axis=2) == 0

    def statistic(rows: NDArray[np.int64]) -> float:
        shares = empty[rows].mean(axis=0)
        first, second = np.triu_indices(len(shares), 1)
        return 100 * float(np.abs(shares[first] - shares[second]).mean())

    return bootstrap(statistic, len(empty), rng)


def _share(channels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of empty showers of each primary."""
    return (channels.sum(axis=2) == 0).mean(axis=1)

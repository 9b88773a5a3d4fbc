"""Whether channels rise and fall together as they do in simulation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Floats, Sample, Value, bootstrap, pair, replica_pairs
from engine.schema import MetricInfo

CHANNELS = 2
INFO = MetricInfo(
    name="correlation",
    title="Correlation of channels",
    short="Δr",
    unit="",
    direction="lower",
    formula="mean over pairs of channels of |r_gen − r_sim|, r = Pearson's correlation over particles",
    source="own",
    group="channels",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """0 to 2, mean over pairs of a simulated with a generated replica. A channel that never changes has r = 0."""
    return _mean(*pair(reference, generated), distinct=False, rng=rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another."""
    if reference.replicas < 2:
        return None
    return _mean(reference.grouped, reference.grouped, distinct=True, rng=rng)


def pearson(channels: Floats) -> Floats:
    """Correlations of each replica's channels over particles: (P, R, C) to (R, C, C)."""
    centred = channels - channels.mean(axis=0)
    covariance = np.einsum("pri,prj->rij", centred, centred, optimize=True)
    std = np.sqrt(np.einsum("rii->ri", covariance).clip(min=0))
    scale = std[:, :, None] * std[:, None, :]
    # rounding leaves a constant channel a variance of 1e-16 of its square
    flat = std <= 1e-7 * np.sqrt(np.square(channels).sum(axis=0))
    still = flat[:, :, None] | flat[:, None, :]
    return np.where(still, 0.0, covariance / np.where(still, 1.0, scale))


def _mean(first: Floats, second: Floats, distinct: bool, rng: np.random.Generator) -> Value:
    pairs = replica_pairs(first.shape[1], second.shape[1], distinct)
    upper = np.triu_indices(first.shape[2], 1)

    def statistic(rows: NDArray[np.int64]) -> float:
        one, other = (pearson(channels[rows])[:, *upper] for channels in (first, second))
        return float(np.mean([np.abs(one[r] - other[s]).mean() for r, s in pairs]))

    return bootstrap(statistic, len(first), rng)

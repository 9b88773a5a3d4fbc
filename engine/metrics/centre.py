"""How far the middle of the light is from where simulation has it, particle by particle."""

from __future__ import annotations

import numpy as np

from engine.metrics.base import Floats, Sample, Value, bootstrap, observed, replica_pairs
from engine.schema import MetricInfo

INFO = MetricInfo(
    name="centre",
    title="Centre of the response",
    short="centre",
    unit="mm",
    direction="lower",
    formula="mean over particles and pairs of replicas of the distance between the centres of light",
    source="own; arXiv:2006.06704 shows these centres",
    group="shape",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Distance [mm] at equal conditions. The centre of a shower without light is the middle of the face."""
    return _mean(*observed(reference, generated, lambda one: one.centre), distinct=False, rng=rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of a particle against another, all pairs of replicas."""
    if reference.replicas < 2:
        return None
    centre = reference.by_primary(reference.observables.centre)
    return _mean(centre, centre, distinct=True, rng=rng)


def _mean(first: Floats, second: Floats, distinct: bool, rng: np.random.Generator) -> Value:
    pairs = replica_pairs(first.shape[1], second.shape[1], distinct)
    apart = np.mean([np.linalg.norm(first[:, r] - second[:, s], axis=1) for r, s in pairs], axis=0)
    return bootstrap(lambda rows: float(apart[rows].mean()), len(apart), rng)

"""Wasserstein distance between the spectra of all light in a shower."""

from __future__ import annotations

import numpy as np

from engine.metrics import wasserstein
from engine.metrics.base import Sample, Value, pair
from engine.schema import MetricInfo

INFO = MetricInfo(
    name="photon_sum",
    title="Photon-sum spectrum",
    short="W₁ Σ",
    unit="photons",
    direction="lower",
    formula="W₁ between the distributions of a shower's photon sum, one replica of each primary on either side",
    source="own; every ZDC paper shows this spectrum",
    group="channels",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Mean over all pairs of a simulated with a generated replica, as `wasserstein`."""
    simulated, made = (channels.sum(axis=2, keepdims=True) for channels in pair(reference, generated))
    return wasserstein.mean(simulated, made, distinct=False, rng=rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another, equally large."""
    if reference.replicas < 2:
        return None
    light = reference.grouped.sum(axis=2, keepdims=True)
    return wasserstein.mean(light, light, distinct=True, rng=rng)

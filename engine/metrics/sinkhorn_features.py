"""Sinkhorn divergence between generated and original digits in LeNet's features."""

from __future__ import annotations

import numpy as np
import torch

from engine import losses
from engine.metrics.base import Floats, Sample, Value
from engine.schema import MetricInfo, WrongInput

BLUR, SCALING = 10.0, 0.9
"""√ε in units of the features, where two digits are about 25 apart, and the descent of GeomLoss towards it. So it comes
within 1 % of the converged divergence; at a blur of 2 within 20 % only, and most of that is the finite number of
digits. The paper names neither, so its numbers are on another scale."""
SIZE, TIMES = 2000, 5
"""Pictures of either side in one transport problem, whose cost grows as their square, and the number of problems."""

SHAPE = (28, 28)
"""Of the pictures that LeNet reads."""
INFO = MetricInfo(
    name="sinkhorn_features",
    title="Sinkhorn divergence (LeNet)",
    unit="",
    kinds=["images"],
    direction="lower",
    formula=f"S_ε of 84 LeNet features, cost ½|x − y|², ε = {BLUR:g}², mean over {TIMES} × {SIZE} pictures each",
    source="arXiv:2006.06704 §4, GeomLoss",
    group="pictures",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Mean over disjoint draws of `SIZE` original and generated pictures; error of that mean. Two draws of one
    distribution are apart by this distance's floor, which falls slowly with `SIZE`."""
    return _between(reference.read[0], generated.read[0], rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """Between these pictures and as many others of the same origin."""
    if reference.twin is None:
        return None
    return _between(reference.read[0], reference.twin.read[0], rng)


def divergence(first: Floats, second: Floats) -> float:
    """Debiased Sinkhorn divergence of two clouds (N, d) and (M, d) of equal weights, Eqs. (3, 4) of the paper."""
    clouds = (torch.from_numpy(np.ascontiguousarray(cloud, np.float64)) for cloud in (first, second))
    return float(losses.sinkhorn_divergence(*clouds, blur=BLUR, scaling=SCALING))


def _between(first: Floats, second: Floats, rng: np.random.Generator) -> Value:
    least = min(len(first), len(second))
    if least < 2:
        raise WrongInput(f"a transport between clouds needs two pictures at least, not {least}: generate more")
    size = min(SIZE, least)
    times = min(TIMES, least // size)
    rows = [rng.permutation(len(cloud))[: times * size].reshape(times, size) for cloud in (first, second)]
    values = [divergence(first[a], second[b]) for a, b in zip(*rows, strict=True)]
    return Value(float(np.mean(values)), float(np.std(values, ddof=1) / times**0.5) if times > 1 else 0.0)

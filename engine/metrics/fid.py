"""Fréchet distance between generated and original digits in LeNet's features."""

from __future__ import annotations

import numpy as np

from engine.metrics.base import Floats, Sample, Value
from engine.schema import MetricInfo, WrongInput

SHAPE = (28, 28)
"""Of the pictures that LeNet reads."""
INFO = MetricInfo(
    name="fid",
    title="Fréchet distance (LeNet)",
    unit="",
    kinds=["images"],
    direction="lower",
    formula="|μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) of 84 LeNet features",
    source="arXiv:2006.06704 §4, arXiv:1706.08500",
    group="pictures",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Between original and generated pictures; error by drawing the pictures of both again. The distance falls with
    the number of pictures: compare numbers of equal sizes only."""
    return _between(reference.read[0], generated.read[0], rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """Between these pictures and as many others of the same origin; the paper's row "original data"."""
    if reference.twin is None:
        return None
    return _between(reference.read[0], reference.twin.read[0], rng)


def frechet(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> float:
    """Squared Fréchet distance of two normal distributions (mean (d,), covariance (d, d)); ≥ 0, and 0 for equal ones.

    (Σ₁Σ₂)^½ has the trace of (Σ₁^½ Σ₂ Σ₁^½)^½, which is symmetric and non-negative: its eigenvalues are real, and those
    that rounding makes negative are 0. Singular covariances, of constant features or few pictures, do no harm.
    """
    (mean_1, covariance_1), (mean_2, covariance_2) = first, second
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ covariance_2 @ root).clip(min=0)
    apart = np.square(mean_1 - mean_2).sum()
    return max(0.0, float(apart + np.trace(covariance_1) + np.trace(covariance_2) - 2 * np.sqrt(shared).sum()))


def moments(features: Floats) -> tuple[Floats, Floats]:
    """Mean (d,) and covariance (d, d) of features (N, d). Raises `WrongInput` below two rows."""
    if len(features) < 2:
        raise WrongInput(f"a covariance needs two pictures at least, not {len(features)}: generate more")
    return features.mean(axis=0), np.cov(features, rowvar=False).reshape(features.shape[1], -1)


def _between(first: Floats, second: Floats, rng: np.random.Generator) -> Value:
    whole = frechet(moments(first), moments(second))
    repeats = 20

    def again(features: Floats) -> Floats:
        return features[rng.integers(0, len(features), len(features))]

    drawn = [frechet(moments(again(first)), moments(again(second))) for _ in range(repeats)]
    return Value(whole, float(np.std(drawn)))

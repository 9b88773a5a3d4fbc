"""Precision: how many generated showers are such as simulation could have made."""

from __future__ import annotations

from typing import Literal

import numpy as np

from engine import manifold
from engine.metrics.base import Floats, Sample, Value, bootstrap, features, once
from engine.schema import MetricInfo

K = 5
"""Neighbours to which a ball reaches."""
PRIMARIES = LEAST = 4 * K
LIMIT = 10_000
"""Most primaries: the cost grows as their square. The four numbers change slowly with how many there are."""
INFO = MetricInfo(
    name="precision",
    title="Precision",
    unit="",
    direction="higher",
    formula=f"share of generated showers within the {K}th neighbour's distance of a simulated one, in standardised "
    "observables, those of FPD",
    source="arXiv:1904.06991",
    group="features",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """One replica of each primary on either side, mean over as many pairs as there are replicas. What is drawn again
    for the error is whether each shower is inside, not the balls; the same holds for recall, density and coverage,
    which come of the same distances. Showers that coincide, as empty ones do, are moved apart by 10⁻⁴ of a standard
    deviation: the ball of a point with K copies would have no size."""
    return read("precision", reference, generated, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another."""
    return read("precision", reference, None, rng) if reference.replicas >= 2 else None


def read(
    which: Literal["precision", "recall", "density", "coverage"],
    reference: Sample,
    generated: Sample | None,
    rng: np.random.Generator,
) -> Value:
    """One of the four, of generated showers, or of one simulation against another where there are none."""
    seed = int(rng.integers(2**31))
    what = ("manifold", seed, generated is None)
    other = reference if generated is None else generated
    verdicts = once(reference, other, what, lambda: _verdicts(reference, generated, seed))
    points = np.mean([getattr(verdict, which) for verdict in verdicts], axis=0)
    return bootstrap(lambda rows: float(points[rows].mean()), len(points), rng)


def _verdicts(reference: Sample, generated: Sample | None, seed: int) -> list[manifold.Verdict]:
    rows = np.sort(np.random.default_rng(seed).permutation(len(reference.ids))[:LIMIT])
    ours = once(reference, reference, ("balls", seed), lambda: _balls(features(reference, reference)[0][rows], seed))
    if generated is None:
        pairs = [(ours[r], ours[(r + 1) % len(ours)]) for r in range(len(ours))]
    else:
        theirs = _balls(features(reference, generated)[1][rows], seed + 1)
        pairs = list(zip(ours, theirs, strict=False))  # as many as the rarer side has
    return [manifold.compare(real, made, K, (reach, made_reach)) for (real, reach), (made, made_reach) in pairs]


def _balls(clouds: Floats, seed: int) -> list[tuple[Floats, Floats]]:
    """Points and radii of each replica of (P, R, d)."""
    rng = np.random.default_rng(seed)
    points = [manifold.moved_apart(clouds[:, r], rng) for r in range(clouds.shape[1])]
    return [(cloud, manifold.radii(cloud, K)) for cloud in points]

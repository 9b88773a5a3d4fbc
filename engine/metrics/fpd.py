"""Fréchet physics distance: how far mean and covariance of shower observables are from the simulation's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.base import Floats, Sample, Value, features, replica_pairs
from engine.metrics.fid import frechet
from engine.schema import MetricInfo

PRIMARIES = 100
CELLS = 12
"""Primaries are dealt into so many parts, of which halves, thirds and quarters can be made."""
PARTS = (1, 2, 3, 4)
"""The distance is taken between all primaries, halves, thirds and quarters: at sizes that are regular in 1/N."""
LEFT_OUT = 20
"""Groups of primaries that are left out in turn, for the error."""
INFO = MetricInfo(
    name="fpd",
    title="Fréchet physics distance",
    short="FPD",
    unit="",
    direction="lower",
    formula="|μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) of standardised observables (light, brightest fibre, lit fibres, "
    "centre, widths, shares within radii, channels; counts as logarithms), extrapolated to N → ∞ by a line in 1/N",
    source="arXiv:2211.10295, JetNet",
    group="features",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Mean over pairs of a simulated with a generated replica, so that both sides hold each primary once.

    The distance of finite samples is too large by about a constant over N. As JetNet does, it is taken at several N and
    the line in 1/N is followed to 0; parts are disjoint here, not drawn again, and both sides of a part hold the same
    primaries. Of equal distributions it is 0 on average, and may be negative within its error, which is a jackknife
    over groups of primaries. Numbers depend on the observables: compare them with one another only."""
    return _mean(*features(reference, generated), distinct=False, rng=rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another."""
    if reference.replicas < 2:
        return None
    return _mean(*features(reference, reference), distinct=True, rng=rng)


def _mean(first: Floats, second: Floats, distinct: bool, rng: np.random.Generator) -> Value:
    count = len(first)
    cell, group = (rng.permutation(np.arange(count) % n) for n in (CELLS, LEFT_OUT))
    label = cell * LEFT_OUT + group
    order = np.argsort(label, kind="stable")
    size = np.bincount(label, minlength=CELLS * LEFT_OUT).reshape(CELLS, LEFT_OUT)
    ours, theirs = (
        [_sums(clouds[order, r], label[order]) for r in range(clouds.shape[1])] for clouds in (first, second)
    )
    pairs = [(r, s) for r, s in replica_pairs(len(ours), len(theirs), distinct) if not distinct or r < s]

    def extrapolated(kept: NDArray) -> float:
        """The intercept, from the groups that are kept (1) and left out (0)."""
        weight = size @ kept
        points = []
        for parts in PARTS:
            cells = np.arange(CELLS).reshape(parts, -1)
            found = [
                frechet(_moments(ours[r], rows, kept, weight), _moments(theirs[s], rows, kept, weight))
                for rows in cells
                for r, s in pairs
            ]
            points.append(np.mean(found))
        return float(np.polyfit(PARTS, points, 1)[1])

    without = np.array([extrapolated(np.arange(LEFT_OUT) != g) for g in range(LEFT_OUT)])
    scatter = (LEFT_OUT - 1) / LEFT_OUT * np.square(without - without.mean()).sum()
    return Value(extrapolated(np.ones(LEFT_OUT)), float(np.sqrt(scatter)))


def _sums(cloud: Floats, label: NDArray) -> tuple[Floats, Floats]:
    """Sums of rows (cells, groups, d) and of their outer products (cells, groups, d, d) by label; rows ascend in it."""
    edges = np.searchsorted(label, np.arange(CELLS * LEFT_OUT + 1))
    parts = [cloud[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    d = cloud.shape[1]
    total = np.reshape([part.sum(axis=0) for part in parts], (CELLS, LEFT_OUT, d))
    return total, np.reshape([part.T @ part for part in parts], (CELLS, LEFT_OUT, d, d))


def _moments(sums: tuple[Floats, Floats], cells: NDArray, kept: NDArray, size: NDArray) -> tuple[Floats, Floats]:
    """Mean (d,) and covariance (d, d) of the rows in these cells and the groups that are kept."""
    count = size[cells].sum()
    total = np.tensordot(kept, sums[0][cells].sum(axis=0), axes=1)
    outer = np.tensordot(kept, sums[1][cells].sum(axis=0), axes=1)
    mean = total / count
    return mean, (outer - count * np.outer(mean, mean)) / (count - 1)

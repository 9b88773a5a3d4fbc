"""Where a distribution is, told by balls about its points that reach to their k-th neighbours.

T. Kynkäänniemi et al., Improved precision and recall metric for assessing generative models, arXiv:1904.06991;
M. Naeem et al., Reliable fidelity and diversity metrics for generative models, arXiv:2002.09797.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROWS = 1000
"""Points whose distances are held at once."""
JITTER = 1e-4
"""Of features in standard deviations: moves apart points that coincide, as all empty showers do."""
NEIGHBOURS, FEWEST = 50, 15
"""Among how many a point's generated neighbours are counted: a tenth of a layer, within these."""


@dataclass(frozen=True)
class Verdict:
    """Of each point. precision: whether a generated one lies in a ball of a real one. recall: whether a real one lies
    in a ball of a generated one. density: how many balls of real ones a generated one lies in, over k. coverage:
    whether the ball of a real one holds a generated one. All (N,), and their means are the four metrics."""

    precision: Floats
    recall: Floats
    density: Floats
    coverage: Floats


def moved_apart(points: Floats, rng: np.random.Generator) -> Floats:
    """Points (N, d), those that coincide a little apart: else their k-th neighbour is at distance 0, and balls without
    a size hold nothing. Points that are alone stay where they are."""
    _, group, count = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    twins = count[group.ravel()] > 1
    moved = points.copy()
    moved[twins] += rng.normal(0, JITTER, (int(twins.sum()), points.shape[1]))
    return moved


def squared(first: Floats, second: Floats) -> Floats:
    """Squared distances (N, M) ≥ 0."""
    found = first @ second.T
    found *= -2
    found += np.square(first).sum(axis=1)[:, None]
    found += np.square(second).sum(axis=1)
    return np.maximum(found, 0, out=found)


def radii(points: Floats, k: int) -> Floats:
    """Squared distance (N,) of each point's k-th neighbour among the others."""
    found = np.empty(len(points))
    for start in range(0, len(points), ROWS):
        block = squared(points[start : start + ROWS], points)
        own = np.arange(len(block))
        block[own, start + own] = -1  # itself comes first, whatever rounding says
        found[start : start + ROWS] = np.partition(block, k, axis=1)[:, k]
    return found


def nearest(points: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """Numbers and distances, both (N, k), of each point's k nearest others, the nearest first; exact."""
    from sklearn.neighbors import NearestNeighbors  # a second to import

    search = NearestNeighbors(n_neighbors=k, algorithm="brute", n_jobs=1)
    apart, near = search.fit(np.ascontiguousarray(points, np.float64)).kneighbors()
    return near.astype(np.int64), apart


def about(n: int) -> int:
    """Among how many of its neighbours a point's generated ones are counted, of n real and n generated."""
    return min(NEIGHBOURS, max(FEWEST, n // 10), 2 * n - 1)


def log_ratio(near: NDArray[np.int64], n: int) -> NDArray[np.float32]:
    """Logarithm (2n,) of generated over real points among each one's neighbours `near` (2n, K), where the first n are
    real; half a point is added to either, so that it is never infinite."""
    made = (near >= n).sum(axis=1)
    return np.log((made + 0.5) / (near.shape[1] - made + 0.5)).astype(np.float32)


def compare(real: Floats, made: Floats, k: int, reach: tuple[Floats, Floats] | None = None) -> Verdict:
    """Points (N, d) and (M, d) against each other; `reach`: their `radii`, where they are known."""
    real_reach, made_reach = reach or (radii(real, k), radii(made, k))
    density, recall, coverage = np.zeros(len(made)), np.zeros(len(real)), np.zeros(len(real))
    for start in range(0, len(real), ROWS):
        rows = slice(start, start + ROWS)
        apart = squared(real[rows], made)
        within = apart < real_reach[rows, None]
        density += within.sum(axis=0)
        coverage[rows] = within.any(axis=1)
        recall[rows] = (apart < made_reach).any(axis=1)
    return Verdict((density > 0).astype(np.float64), recall, density / k, coverage)

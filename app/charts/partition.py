"""The plane by clusters, coloured so that regions that touch never look alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PALE = ("#A9CBE4", "#F3D19B", "#9FD6BF", "#E3BDD3", "#E6E29A", "#C9CCD2")
"""Okabe and Ito's colours, pale, for light pages."""
DEEP = ("#1F4A69", "#6B4E16", "#155A45", "#693E57", "#5F5C1A", "#4A5058")
"""The same, deep, for dark pages."""


def touching(cluster: NDArray[np.integer], clusters: int) -> NDArray[np.bool_]:
    """Whether any cell of one cluster has a side in common with one of another: (K, K), symmetric, nothing with itself.
    cluster: (ny, nx), numbers from 0 to K − 1."""
    found = np.zeros((clusters, clusters), bool)
    for a, b in ((cluster[:, :-1], cluster[:, 1:]), (cluster[:-1], cluster[1:])):
        found[a.ravel(), b.ravel()] = True
    found |= found.T
    np.fill_diagonal(found, False)
    return found


def tones(cluster: NDArray[np.integer], clusters: int) -> NDArray[np.int64]:
    """A number (K,) for each cluster, other than those of all that it touches; greedy.

    Last comes what touches fewest of those that are left (D. W. Matula, L. L. Beck, Smallest-last ordering and
    clustering and graph coloring algorithms, J. ACM 30, 1983). On a map of connected regions some region always
    touches at most five others, so six tones are enough; clusters in several parts may take more.
    """
    near = touching(cluster, clusters)
    left, degree, order = np.ones(clusters, bool), near.sum(axis=1), []
    for _ in range(clusters):
        k = int(np.where(left, degree, clusters).argmin())
        order.append(k)
        left[k] = False
        degree = degree - near[k]
    tone = np.full(clusters, -1)
    for k in reversed(order):
        taken = set(tone[near[k]].tolist())
        tone[k] = next(t for t in range(clusters) if t not in taken)
    return tone


def colours(tone: Sequence[int] | NDArray[np.int64], dark: bool) -> list[str]:
    """A colour a cluster. Beyond six tones colours come again, and the line between regions has to tell them apart."""
    palette = DEEP if dark else PALE
    return [palette[int(t) % len(palette)] for t in tone]

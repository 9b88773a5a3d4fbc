"""Holes and islands: data that generated examples do not reach, and generated examples where there are no data.

A point whose nearest neighbours hold fewer of the other layer than chance lets them is one of a hole, or of an island;
how many such points are false is held down, neighbouring ones make a region, and a region is named by the conditions
and observables in which it differs from the other data. Y. Benjamini, Y. Hochberg, Controlling the false discovery
rate, J. R. Stat. Soc. B 57 (1995) 289.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import binom

from engine import manifold, zdc
from engine.datasets.base import Dataset
from engine.points import Points
from engine.schema import Distinction, Region

Floats = NDArray[np.float64]
SCALES = (1, 4)
"""Times as many neighbours as a map counts: few see a small hole, many one with blurred edges. The chance of a point is
that of its better scale, times their number."""
MISSING = 0.5
"""Of the neighbours that were to be of the other layer, at the first scale, so many at most are there: fewer than ought
to be, but not by half, is no hole."""
FALSE = 0.01
"""Expected share of points that are taken for those of a hole, or of an island, by chance."""
LEAST = 10
"""Points of a region."""
MOST = 10
"""Regions of either kind."""
LINKED = 10
"""Neighbours among the points of holes, or of islands, by which they make regions."""
ROUNDS = 5
"""In which outer points may join a region."""
CHANCE, DRAWS = 1.63, 200
"""A difference is told that chance makes once in a hundred times: by Kolmogorov's distribution, or among regions of as
many points drawn at random."""
STRONG, SPOKEN = 0.3, 3
"""Distance from which a difference is worth a word, and how many words there are."""


def find(points: Points, data: Dataset, rng: np.random.Generator) -> list[Region]:
    """Holes and islands, those with the largest share first."""
    n = len(points.rows)
    k = manifold.about(n)
    scales = [min(k * times, n) for times in SCALES]
    near = manifold.nearest(points.features, max(scales))[0]
    found: list[Region] = []
    for layer, kind in enumerate(("hole", "island")):
        own = np.arange(n) + layer * n
        others = [((near[own, :scale] < n) == (layer == 1)).sum(axis=1) for scale in scales]
        expected = k * n / (2 * n - 1)
        lonely = own[lonely_points(others, scales, n) & (others[0] <= MISSING * expected)]
        groups = sorted(clusters(lonely, points.features), key=lambda members: -len(members))[:MOST]
        for members in groups:
            here = np.isin(own, members)
            distinctions = sorted(differences(points, data, layer, here, rng), key=lambda one: -one.statistic)
            found.append(
                Region(
                    kind=kind,
                    share=len(members) / n,
                    points=members.tolist(),
                    expected=expected,
                    found=float(others[0][here].mean()),
                    words=words(distinctions),
                    distinctions=distinctions,
                )
            )
    return sorted(found, key=lambda region: -region.share)


def lonely_points(others: list[NDArray[np.int64]], scales: list[int], n: int) -> NDArray[np.bool_]:
    """Whether each of n points has significantly few neighbours of the other layer, `others` (n,) among its nearest by
    each scale: a binomial of n in 2n − 1, at the false discovery rate `FALSE`.

    As generated and simulated examples answer the same rows, swapping the two of a row changes nothing where the model
    is perfect: neighbours are then as even as a binomial, or more so, and the rate is an upper bound."""
    chances = [binom.cdf(other, k, n / (2 * n - 1)) for other, k in zip(others, scales, strict=True)]
    chance = len(scales) * np.min(chances, axis=0)
    order = np.sort(chance)
    below = np.flatnonzero(order <= FALSE * np.arange(1, len(order) + 1) / len(order))
    return chance <= (order[below[-1]] if len(below) else -1)


def clusters(members: NDArray[np.int64], features: Floats) -> list[NDArray[np.int64]]:
    """Groups of `LEAST` members at least, by their features among all (N, d). The inner ones, which are no farther from
    their neighbours than these are from theirs, hang together where each is among the other's neighbours, so that a few
    points between two groups do not make them one; the outer ones belong where most of their neighbours do."""
    if len(members) <= LINKED:
        return [members] if len(members) >= LEAST else []
    own = features[members]
    near, apart = manifold.nearest(own, LINKED)
    reach = apart[:, -1]
    inner = np.flatnonzero(reach <= reach[near].mean(axis=1))
    group = np.full(len(members), -1)
    if len(inner) > LINKED:
        links = _links(manifold.nearest(own[inner], LINKED)[0])
        group[inner] = connected_components(links.multiply(links.T), directed=False)[1]
    count = np.bincount(group[group >= 0], minlength=1)
    group[(group >= 0) & (count[group] < LEAST)] = -1
    links = _links(near)
    for _ in range(ROUNDS):
        sure, left = np.flatnonzero(group >= 0), np.flatnonzero(group < 0)
        votes = links @ csr_array((np.ones(len(sure)), (sure, group[sure])), shape=(len(members), len(count)))
        joining = left[votes[left].sum(axis=1) > 0]
        group[joining] = votes[joining].argmax(axis=1)
    rest = np.flatnonzero(group < 0)
    found = [members[group == g] for g in np.unique(group[group >= 0])]
    # what has no inner points, or few of them, may still be a region by itself
    alone = connected_components(links[rest][:, rest], directed=False)[1] if len(rest) else rest
    found += [members[rest[alone == g]] for g in np.unique(alone)]
    return [one for one in found if len(one) >= LEAST]


def _links(near: NDArray[np.int64]) -> csr_array:
    """1 from each point to its neighbours (N, k)."""
    start = np.repeat(np.arange(len(near)), near.shape[1])
    return csr_array((np.ones(near.size), (start, near.ravel())), shape=(len(near), len(near)))


# ------------------------------------------------------------------------------------------------------------- names
def differences(
    points: Points, data: Dataset, layer: int, here: NDArray[np.bool_], rng: np.random.Generator
) -> Iterator[Distinction]:
    """In what the points `here` (n,) of a layer differ from its others, more than by chance."""
    if here.all():
        return
    inside, outside = int(here.sum()), int((~here).sum())
    for name, unit, values in columns(points, data, layer):
        if values.dtype.kind == "f":
            statistic = kolmogorov(values[here], values[~here])
            if statistic > CHANCE * np.sqrt(1 / inside + 1 / outside):
                low, high = np.quantile(values[here], (0.05, 0.95))
                yield Distinction(name=name, unit=unit, statistic=statistic, low=float(low), high=float(high))
            continue
        kinds, place = np.unique(values, return_inverse=True)
        whole, count = (np.bincount(some, minlength=len(kinds)) for some in (place, place[here]))
        statistic = variation(count, whole - count)
        drawn = rng.multivariate_hypergeometric(whole, inside, DRAWS, method="marginals")
        if statistic > np.quantile([variation(one, whole - one) for one in drawn], 0.99):
            title = title_of(name, int(kinds[count.argmax()]), data)
            share = 100 * count.max() / inside
            yield Distinction(name=name, unit=unit, statistic=statistic, value=f"{title} ({share:.0f} %)")


def columns(points: Points, data: Dataset, layer: int) -> Iterator[tuple[str, str, NDArray]]:
    """What is known of a layer's points: name, unit, and values (n,), whole numbers for species and classes."""
    rows, n = points.rows, len(points.rows)
    if data.kind == "showers":
        if data.pdg[rows].any():
            yield "species", "", data.pdg[rows]
        yield "energy", "GeV", data.conditions[rows, zdc.ENERGY]
        x, y = 10 * data.impact_cm[rows].T
        if np.isfinite(x).all() and np.isfinite(y).all():
            yield "impact x", "mm", x
            yield "impact y", "mm", y
            yield "impact radius", "mm", np.hypot(x, y)
        yield "photon sum", "photons", points.light[layer * n : (layer + 1) * n]
    elif data.space.classes:
        yield "class", "", data.conditions[rows, 0].astype(np.int64)


def kolmogorov(first: Floats, second: Floats) -> float:
    """Largest difference between two empirical distributions, 0–1."""
    both = np.concatenate([first, second])
    places = np.unique(both)
    shares = [np.searchsorted(np.sort(one), places, side="right") / len(one) for one in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


def variation(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Total variation distance between two tables of how often each kind is there, 0–1."""
    return float(0.5 * np.abs(first / first.sum() - second / second.sum()).sum())


def title_of(name: str, kind: int, data: Dataset) -> str:
    if name == "class":
        return data.columns[0].classes[kind]
    return zdc.symbol(kind)


def words(distinctions: list[Distinction]) -> str:
    """The strongest differences as one says them: `mostly n (92 %), 420–910 GeV, impact x 12–18 mm`."""
    chosen: list[Distinction] = []
    for one in distinctions:
        # where on the face it is, is said once
        again = {"impact radius": ("impact x", "impact y")}.get(one.name, ("impact radius",))
        repeats = one.name.startswith("impact") and any(other.name in again for other in chosen)
        if one.statistic >= STRONG and not repeats:
            chosen.append(one)
    return ", ".join(_say(one) for one in chosen[:SPOKEN]) or "like the others in all that is known of them"


def _say(one: Distinction) -> str:
    if one.low is None or one.high is None:
        value = one.value if one.name == "species" else f"{one.name} {one.value}"
        share = int(one.value.rpartition("(")[2].split()[0])
        if share == 100:
            return f"all {value.rpartition(' (')[0]}"
        return f"{'mostly' if share >= 50 else 'most often'} {value}"
    low, high = _number(one.low), _number(one.high)
    between = " to " if one.low < 0 else "–"
    span = low if low == high else f"{low}{between}{high}"
    name = f"{one.name} " if one.name.startswith("impact") else ""
    return f"{name}{span} {one.unit}"


def _number(value: float) -> str:
    """Two digits, or as many as it has before the point; hundredths are nothing."""
    plain = f"{value:.0f}" if abs(value) >= 10 else f"{0.0 if abs(value) < 0.05 else value:.2g}"
    return plain.replace("-", "−")

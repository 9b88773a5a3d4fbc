"""What generated examples cover of the data, at the points of a map and in its feature space.

Half of the data are held against the generated examples that answer the other half's rows, and the other way round; the
floor is one half of the data against the other. So both compare as many points of different primaries, and a perfect
model reads the floor.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from engine import manifold, regions, sinkhorn, zdc
from engine.datasets.base import Dataset
from engine.metrics.precision import K
from engine.points import Points
from engine.schema import Coverage, CoveragePart, MapRequest, MetricValue, WrongInput

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[float, float], None]
Way = Literal["species", "energy", "class"]
FEWEST = 20
"""Points in a half."""
LEAST = 10
"""Points without which a part has no numbers, and primaries without which a species is not told apart."""
REPEATS = 100
"""Draws of a bootstrap."""
BLUR, SCALING, CLOUD = 0.4, 0.8, 2000
"""√ε in units of the root mean square distance of two points of data, the descent towards it, and the most points of
either side in a transport problem."""
FOLDS = 5
BALLS, TRANSPORT, REGIONS = 0.4, 0.6, 0.9
"""How much is done after each of the stages."""
FOUR = ("density", "coverage", "precision", "recall")


@dataclass(frozen=True, eq=False)
class Halves:
    """Numbers (m,) among the n rows of two halves that share no primary."""

    first: Ints
    second: Ints


def judge(points: Points, data: Dataset, request: MapRequest, tell: Progress = lambda done, total: None) -> Coverage:
    """Metrics with errors and floors, parts, holes and islands, separability. tell: called with the share that is
    done, and 1. Raises `WrongInput` for too few points."""
    begin = time.perf_counter()
    n, primary = len(points.rows), data.primary_id[points.rows]
    rng = np.random.default_rng(request.seed)
    halves = halve(primary, rng)
    real, made = points.features[:n], points.features[n:]
    scale = max(float(np.sqrt(real.var(axis=0).mean())), 1e-12)
    real, made = real / scale, made / scale
    verdicts, floors = balls(real, made, halves, lambda share: tell(BALLS * share, 1.0))
    chosen = np.ones(n, bool)
    metrics = {name: summed(verdicts[name], floors[name], primary, chosen, rng) for name in FOUR}
    metrics["sinkhorn"] = transport(
        real, made, halves, primary, rng, lambda share: tell(BALLS + (TRANSPORT - BALLS) * share, 1.0)
    )
    parts = []
    for by, title, chosen in groups(data, points.rows):
        part = CoveragePart(by=by, title=title, n=int(chosen.sum()))
        if min(np.isfinite(verdicts[name][chosen]).sum() for name in FOUR) >= LEAST:
            part.metrics = {name: summed(verdicts[name], floors[name], primary, chosen, rng) for name in FOUR}
        parts.append(part)
    found = regions.find(points, data, rng)
    tell(REGIONS, 1.0)
    separates, labels = kinds(data, points.rows)
    separability = separate(real, labels, primary, rng) if separates else None
    tell(1.0, 1.0)
    return Coverage(
        run_id=request.run,
        step=request.step or 0,
        space=points.space,
        n=n,
        k=K,
        metrics=metrics,
        parts=parts,
        regions=found,
        separability=separability,
        separates=separates if separability else "",
        seconds=time.perf_counter() - begin,
    )


def halve(primary: Ints, rng: np.random.Generator) -> Halves:
    """Two halves of equally many points, no primary in both. Raises `WrongInput` where there are too few."""
    ids, owner, count = np.unique(primary, return_inverse=True, return_counts=True)
    order = rng.permutation(len(ids))
    order = order[np.argsort(-count[order], kind="stable")]  # large ones first, so that small ones can even them out
    side, held = np.zeros(len(ids), np.int64), [0, 0]
    for one in order:
        side[one] = int(held[1] < held[0])
        held[side[one]] += int(count[one])
    size = min(held)
    if size < FEWEST:
        raise WrongInput(f"halves of {size} points say nothing of coverage: ask for a larger map")
    mine = side[owner]
    return Halves(*(rng.permutation(np.flatnonzero(mine == s))[:size] for s in (0, 1)))


# ------------------------------------------------------------------------------------------------------------- balls
def balls(
    real: Floats, made: Floats, halves: Halves, tell: Callable[[float], None]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """density, coverage, precision and recall of each point (n,), of data or of generated examples as the metric asks,
    and the same of one half of the data against the other; NaN for points of no half."""
    found, floor = ({name: np.full(len(real), np.nan) for name in FOUR} for _ in range(2))
    clouds = {(layer, half): cloud[rows] for layer, cloud in enumerate((real, made))
              for half, rows in enumerate((halves.first, halves.second))}  # fmt: skip
    reach = {key: manifold.radii(cloud, K) for key, cloud in clouds.items()}
    tell(0.5)
    rows = halves.first, halves.second
    for half in (0, 1):
        for layer, into in ((1, found), (0, floor)):
            one, other = (0, half), (layer, 1 - half)
            verdict = manifold.compare(clouds[one], clouds[other], K, (reach[one], reach[other]))
            for name in FOUR:
                into[name][rows[half] if name in ("coverage", "recall") else rows[1 - half]] = getattr(verdict, name)
        tell(0.75 + 0.25 * half)
    return found, floor


def summed(
    values: Floats, floor: Floats, primary: Ints, chosen: NDArray[np.bool_], rng: np.random.Generator
) -> MetricValue:
    """The mean over chosen points with its error, and its floor with that one's."""
    (value, error), (low, low_error) = (average(one, primary, chosen, rng) for one in (values, floor))
    return MetricValue(value=value, error=error, unit="", floor=low, floor_error=low_error)


def average(values: Floats, primary: Ints, chosen: NDArray[np.bool_], rng: np.random.Generator) -> tuple[float, float]:
    """The mean of the chosen values (n,) that are not NaN, and its standard deviation when primaries are drawn again;
    what is drawn again is what each point says, not the balls."""
    chosen = chosen & np.isfinite(values)
    _, owner = np.unique(primary[chosen], return_inverse=True)
    sums, counts = np.bincount(owner, values[chosen]), np.bincount(owner)
    times = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), REPEATS)
    drawn = (times @ sums) / (times @ counts)
    return float(sums.sum() / counts.sum()), float(drawn.std())


# --------------------------------------------------------------------------------------------------------- transport
def transport(
    real: Floats, made: Floats, halves: Halves, primary: Ints, rng: np.random.Generator, tell: Callable[[float], None]
) -> MetricValue:
    """Debiased Sinkhorn divergence, of points whose mean variance is 1 in each direction, mean of the two pairs of
    halves; the error draws primaries again at fixed potentials."""
    blur = BLUR * float(np.sqrt(2 * real.var(axis=0).sum()))
    rows = [half[:CLOUD] for half in (halves.first, halves.second)]
    pairs = [(real[rows[0]], made[rows[1]]), (real[rows[1]], made[rows[0]]), (real[rows[0]], real[rows[1]])]
    owners = [(rows[0], rows[1]), (rows[1], rows[0]), (rows[0], rows[1])]
    found: list[tuple[Floats, Ints]] = []
    for done, ((x, y), (of_x, of_y)) in enumerate(zip(pairs, owners, strict=True), 1):
        of_points = divergence(x, y, blur)
        found.append((np.concatenate(of_points), primary[np.concatenate([of_x, of_y])]))
        tell(done / len(pairs))
    both = tuple(np.concatenate(parts) for parts in zip(*found[:2], strict=True))
    (value, error), (floor, floor_error) = (
        average(values, owner, np.ones(len(values), bool), rng) for values, owner in (both, found[2])
    )
    # each side is half of the points, and its means add up
    return MetricValue(value=2 * value, error=2 * error, unit="σ²", floor=2 * floor, floor_error=2 * floor_error)


def divergence(x: Floats, y: Floats, blur: float) -> tuple[Floats, Floats]:
    """What each point of two clouds (N, d) of one size adds to their Sinkhorn divergence: the sum of the two means, by
    cost ½‖x − y‖² and ε = blur²."""
    first, second = torch.from_numpy(x), torch.from_numpy(y)
    centre, reach = sinkhorn.box(first, second)
    descent = sinkhorn.blurs(blur, SCALING, max(reach, blur))
    of_x, of_y = sinkhorn.by_point(first - centre, second - centre, descent)
    return of_x.numpy(), of_y.numpy()


# ------------------------------------------------------------------------------------------------------------- parts
def groups(data: Dataset, rows: Ints) -> Iterator[tuple[Way, str, NDArray[np.bool_]]]:
    """Parts of the rows by what is known of them, all of them in each way to part: which way, title, which rows."""
    if data.kind == "showers":
        pdg, energy = data.pdg[rows], data.conditions[rows, zdc.ENERGY]
        for species in np.unique(pdg):
            yield "species", zdc.symbol(int(species)), pdg == species
        for title, _, _, chosen in zdc.energy_ranges(energy):
            if chosen.any():
                yield "energy", title, chosen
    elif data.space.classes:
        own = data.conditions[rows, 0].astype(np.int64)
        for one in np.unique(own):
            yield "class", data.columns[0].classes[one], own == one


# ------------------------------------------------------------------------------------------------------ separability
def kinds(data: Dataset, rows: Ints) -> tuple[str, Ints]:
    """What separability tells apart, `species` or `class`, and that of each row; nothing where there is none."""
    if data.kind == "showers" and data.pdg[rows].any():
        return "species", data.pdg[rows]
    if data.kind != "showers" and data.space.classes:
        return "class", data.conditions[rows, 0].astype(np.int64)
    return "", np.zeros(len(rows), np.int64)


def separate(codes: Floats, labels: Ints, primary: Ints, rng: np.random.Generator) -> MetricValue | None:
    """Accuracy of a logistic regression of labels (n,) on standardised codes (n, d), each judged by one that learned
    from other primaries; labels of fewer than `LEAST` primaries are left out. None where fewer than two are left."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    owners = {label: len(np.unique(primary[labels == label])) for label in np.unique(labels)}
    kept = np.isin(labels, [label for label, count in owners.items() if count >= LEAST])
    codes, labels, primary = codes[kept], labels[kept], primary[kept]
    if len(np.unique(labels)) < 2:
        return None
    right = np.zeros(len(labels))
    for learned, tested in GroupKFold(FOLDS, shuffle=True, random_state=int(rng.integers(2**31))).split(
        codes, labels, primary
    ):
        mean, std = codes[learned].mean(axis=0), codes[learned].std(axis=0)
        seen = (codes - mean) / np.where(std > 1e-9, std, 1.0)
        if len(np.unique(labels[learned])) < 2:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # as good as it gets in so many steps
            fitted = LogisticRegression(max_iter=200).fit(seen[learned], labels[learned])
        right[tested] = fitted.predict(seen[tested]) == labels[tested]
    found, count = np.unique(labels, return_counts=True)
    always = (labels == found[count.argmax()]).astype(np.float64)
    return summed(right, always, primary, np.ones(len(labels), bool), rng)

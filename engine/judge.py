"""A model judged: examples drawn at the conditions of held-out ones, and every metric between the two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.datasets.base import Dataset
from engine.host import BATCH, Host
from engine.metrics import base as metrics
from engine.metrics.base import Sample
from engine.models.base import Model
from engine.schema import MetricValue, Reading, WrongInput

REPLICAS = 3
"""Showers generated for each primary; of other data, as many as there are."""
TWIN_SEED = 2006
LIGHT = {"drawn": "poisson", "raw": "expected", "truncated": "expected"}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Verdict:
    """What came out: `examples` of `primaries` on the real side, `ms` for each generated one."""

    metrics: dict[str, MetricValue]
    examples: int
    primaries: int
    ms: float


def held_out(data: Dataset, split: str, threshold: int = 0, primaries: int | None = None) -> NDArray[np.int64]:
    """Rows of a split: of its first so many primaries, and of those whose replicas hold `threshold` photons on average.
    Raises `WrongInput` where nothing is left."""
    rows = data.rows(split)
    if threshold:
        ids, place, count = np.unique(data.primary_id[rows], return_inverse=True, return_counts=True)
        bright = np.bincount(place, data.photon_sum[rows], len(ids)) >= threshold * count
        rows = rows[bright[place]]
    if primaries:
        rows = rows[np.isin(data.primary_id[rows], np.unique(data.primary_id[rows])[:primaries])]
    if not len(rows):
        least = f" of {threshold} photons and more" if threshold else ""
        raise WrongInput(f"the {split} split of {data.name} has no examples{least}: choose another split or threshold")
    return rows


def reference(data: Dataset, rows: NDArray[np.int64], convention: str = "paper") -> Sample:
    """The real side. Without replicas the floor comes from as many training examples, of the same classes."""
    conditions, primary = data.conditions[rows], data.primary_id[rows]
    if data.kind == "showers":
        return metrics.sample(data.showers[rows], conditions, primary, data.detector, convention)
    pool = np.random.default_rng(TWIN_SEED).permutation(data.rows("train"))
    if data.space.classes:
        classes, wanted = np.unique(conditions[:, 0], return_counts=True)
        chosen = np.concatenate([pool[data.conditions[pool, 0] == c][:n] for c, n in zip(classes, wanted, strict=True)])
    else:
        chosen = pool[: len(rows)]
    twin = metrics.examples(data.showers[chosen], data.conditions[chosen], data.primary_id[chosen], data.kind)
    return metrics.examples(data.showers[rows], conditions, primary, data.kind, twin)


def draw(
    host: Host,
    model: Model,
    data: Dataset,
    real: Sample,
    seed: int,
    reading: Reading = "drawn",
    convention: str = "paper",
    tell: Progress | None = None,
) -> tuple[Sample, float]:
    """Examples generated at the conditions of the real ones' primaries, and milliseconds for each. Raises `WrongInput`
    for a model of other data."""
    if data.space != model.space:
        raise WrongInput(f"the model is of {model.space.kind} {model.space.shape}: {data.name} holds something else")
    if reading == "truncated":
        data.needs_showers("photons to cut off")
    ids, first = np.unique(real.primary, return_index=True)
    replicas = REPLICAS if data.kind == "showers" else 1
    conditions, owner = np.repeat(real.conditions[first], replicas, axis=0), np.repeat(ids, replicas)
    light = LIGHT[reading]
    host.sample(model, conditions[:BATCH], seed, light)  # what the first batch sets up is no part of the time
    begin = host.clock()
    made = host.sample(model, conditions, seed, light, tell)
    ms = 1000 * (host.clock() - begin) / len(made)
    if reading == "truncated":
        np.floor(made, out=made)
    if data.kind == "showers":
        return metrics.sample(made, conditions, owner, data.detector, convention), ms
    return metrics.examples(made, conditions, owner, data.kind), ms


def judge(
    host: Host,
    model: Model,
    data: Dataset,
    rows: NDArray[np.int64],
    names: Sequence[str] | None = None,
    convention: str = "paper",
    seed: int = 0,
) -> Verdict:
    """Draw at the conditions of these rows' primaries and evaluate. Raises `WrongInput` for a model of other data."""
    real = reference(data, rows, convention)
    made, ms = draw(host, model, data, real, seed, convention=convention)
    return Verdict(metrics.evaluate(real, made, names, seed), len(rows), len(real.ids), ms)

"""A model judged: examples drawn at the conditions of held-out ones, and every metric between the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.datasets.base import Dataset
from engine.host import BATCH, Host
from engine.metrics import base as metrics
from engine.metrics.base import Sample
from engine.models.base import Model
from engine.schema import MetricValue, WrongInput

REPLICAS = 3
"""Showers generated for each primary; of other data, as many as there are."""
TWIN_SEED = 2006


@dataclass(frozen=True)
class Verdict:
    """What came out: `examples` of `primaries` on the real side, `ms` for each generated one."""

    metrics: dict[str, MetricValue]
    examples: int
    primaries: int
    ms: float


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
    if data.space != model.space:
        raise WrongInput(f"the model is of {model.space.kind} {model.space.shape}: {data.name} holds something else")
    real = reference(data, rows, convention)
    ids, first = np.unique(real.primary, return_index=True)
    replicas = REPLICAS if data.kind == "showers" else 1
    conditions, owner = np.repeat(real.conditions[first], replicas, axis=0), np.repeat(ids, replicas)
    host.sample(model, conditions[:BATCH], seed, "poisson")  # what the first batch sets up is no part of the time
    begin = host.clock()
    made = host.sample(model, conditions, seed, "poisson")
    ms = 1000 * (host.clock() - begin) / len(made)
    if data.kind == "showers":
        generated = metrics.sample(made, conditions, owner, data.detector, convention)
    else:
        generated = metrics.examples(made, conditions, owner, data.kind)
    return Verdict(metrics.evaluate(real, generated, names, seed), len(rows), len(ids), ms)

"""What a metric is: a number with its error that compares generated showers with simulated ones at the same particles.

One module beside this a metric, with `INFO`, `compute` and `floor`; its file name is its registry name. The floor is
the same number between independent simulations of the same primaries: nothing honest reads better on average.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

import engine.metrics
from engine import zdc
from engine.schema import DataKind, MetricInfo, MetricValue, NotFound, WrongInput

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Showers of some primaries. showers: (N, H, W) photons. channels: (N, 5) photons at one read-out convention.
    primary: (N,) ids, equal for replicas. conditions: (N, C). Rows may come in any order.

    Of other kinds of data `showers` holds the examples and `channels` is (N, 0); `twin` is then a sample of as many
    other real examples, from which a metric takes its floor."""

    showers: NDArray
    channels: Floats
    primary: NDArray[np.int64]
    conditions: Floats
    kind: DataKind = "showers"
    twin: Sample | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.showers), len(self.channels), len(self.primary), len(self.conditions)}
        if len(lengths) > 1:
            raise WrongInput(f"a sample's arrays have different lengths: {sorted(lengths)}")
        if len(self.primary) == 0:
            raise WrongInput("a sample without showers cannot be judged: give at least one")

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """The primaries of this sample, ascending: the first axis of `by_primary`."""
        return np.unique(self.primary)

    @cached_property
    def replicas(self) -> int:
        """Showers of each primary that count: as many as the rarest primary has."""
        return int(np.unique(self.primary, return_counts=True)[1].min())

    def take(self, ids: NDArray[np.int64]) -> Sample:
        """The showers of some primaries."""
        chosen = np.isin(self.primary, ids)
        return replace(
            self,
            showers=self.showers[chosen],
            channels=self.channels[chosen],
            primary=self.primary[chosen],
            conditions=self.conditions[chosen],
        )

    def by_primary(self, values: NDArray) -> NDArray:
        """Values (N, ...) as (primaries, replicas, ...); surplus replicas are left out."""
        order = np.argsort(self.primary, kind="stable")
        starts = np.searchsorted(self.primary[order], self.ids)
        return values[order[starts[:, None] + np.arange(self.replicas)]]

    @cached_property
    def read(self) -> tuple[Floats, NDArray[np.int64]]:
        """LeNet's features (N, 84) of pictures, and the digits (N,) that it reads in them."""
        from engine import lenet  # torch takes seconds, and the list of metrics needs none of it

        return lenet.read(self.showers)

    @cached_property
    def grouped(self) -> Floats:
        """Channels by primary, (primaries, replicas, 5) [photons]."""
        return self.by_primary(self.channels)


def sample(
    showers: NDArray, conditions: NDArray, primary: NDArray[np.int64], detector: str, convention: str = "paper"
) -> Sample:
    """A sample with the channel sums of a read-out convention."""
    channels = zdc.channels(showers, detector, convention)
    return Sample(showers, channels, np.asarray(primary), np.asarray(conditions, dtype=np.float64))


def examples(
    showers: NDArray, conditions: NDArray, primary: NDArray[np.int64], kind: DataKind, twin: Sample | None = None
) -> Sample:
    """A sample of images or points."""
    return Sample(
        showers, np.zeros((len(showers), 0)), np.asarray(primary), np.asarray(conditions, np.float64), kind, twin
    )


@dataclass(frozen=True)
class Value:
    """A metric's reading and one standard deviation of it over primaries."""

    value: float
    error: float


# ------------------------------------------------------------------------------------------------------------ tools
def pair(reference: Sample, generated: Sample) -> tuple[Floats, Floats]:
    """Channels (P, R, 5) and (P, R', 5) of both. Raises `WrongInput` unless they hold the same primaries."""
    if not np.array_equal(reference.ids, generated.ids):
        raise WrongInput(
            f"simulated and generated showers are of different primaries ({len(reference.ids)} and "
            f"{len(generated.ids)} of them): generate at the conditions of the simulated ones"
        )
    return reference.grouped, generated.grouped


def replica_pairs(first: int, second: int, distinct: bool) -> list[tuple[int, int]]:
    """Which replica to compare with which; `distinct` where both are of one sample."""
    return [(r, s) for r in range(first) for s in range(second) if not (distinct and r == s)]


def bootstrap(statistic: Callable[[NDArray[np.int64]], float], primaries: int, rng: np.random.Generator) -> Value:
    """`statistic` of all primaries, and its standard deviation when they are drawn again with replacement."""
    repeats = 100 if primaries <= 5000 else 20
    again = [statistic(rng.integers(0, primaries, primaries)) for _ in range(repeats)]
    return Value(float(statistic(np.arange(primaries))), float(np.std(again)))


# --------------------------------------------------------------------------------------------------------- registry
def names() -> list[str]:
    """Registered metrics: the modules of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(engine.metrics.__path__) if m.name != "base")


def get(name: str) -> ModuleType:
    """The metric's module: `INFO`, `compute(reference, generated, rng)`, `floor(reference, rng)`, which is None where
    the reference has no second replica. Raises `NotFound` with the names there are."""
    if name not in names():
        raise NotFound(f"unknown metric {name!r}: there are {', '.join(names())}")
    return importlib.import_module(f"engine.metrics.{name}")


def info() -> list[MetricInfo]:
    return [get(name).INFO for name in names()]


def evaluate(
    reference: Sample,
    generated: Sample,
    names: Sequence[str] | None = None,
    seed: int = 0,
    slow: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, MetricValue]:
    """Each metric with its floor; without `names`, all that the samples can answer. Raises `WrongInput` for one that
    is of other data."""
    chosen = available(reference, generated, slow) if names is None else list(names)
    answer = {}
    for done, name in enumerate(chosen):
        if progress:
            progress(done, len(chosen))
        metric = get(name)
        if reference.kind not in metric.INFO.kinds:
            raise WrongInput(f"{name} is of {', '.join(metric.INFO.kinds)}, not of {reference.kind}")
        # a generator each, so that a metric reads the same whatever stands beside it
        value: Value = metric.compute(reference, generated, np.random.default_rng(seed))
        floor: Value | None = metric.floor(reference, np.random.default_rng(seed))
        answer[name] = MetricValue(
            value=value.value,
            error=value.error,
            unit=metric.INFO.unit,
            floor=floor.value if floor else None,
            floor_error=floor.error if floor else None,
        )
    return answer


def available(reference: Sample, generated: Sample, slow: bool = False) -> list[str]:
    """Metrics that these samples can answer: those of their kind; over replicas, with two of each primary."""
    several = min(reference.replicas, generated.replicas) >= 2
    shape = reference.showers.shape[1:]
    of_kind = [
        name
        for name in names()
        if reference.kind in get(name).INFO.kinds and getattr(get(name), "SHAPE", shape) == shape
    ]
    return [name for name in of_kind if several or not getattr(get(name), "NEEDS_REPLICAS", False)]

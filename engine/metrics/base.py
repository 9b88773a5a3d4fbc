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
from typing import Any

import numpy as np
from numpy.typing import NDArray

import engine.metrics
from engine import observables, zdc
from engine.observables import Observables
from engine.schema import DataKind, MetricInfo, MetricValue, NotFound, WrongInput

Floats = NDArray[np.float64]
BLOCK = 4096
"""Showers checked at once."""
FARTHEST = 5.0
"""Standard deviations."""
REPEATS = 100
"""Draws of a bootstrap."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Showers of some primaries. showers: (N, H, W) photons, finite and not negative. channels: (N, 5) photons at one
    read-out convention, or (N, 1) where one channel is judged by itself. primary: (N,) ids, equal for replicas.
    conditions: (N, C). Rows may come in any order. `detector` and `convention` say which channels are neighbours.

    Of other kinds of data `showers` holds the examples and `channels` is (N, 0); `twin` is then a sample of as many
    other real examples, from which a metric takes its floor."""

    showers: NDArray
    channels: Floats
    primary: NDArray[np.int64]
    conditions: Floats
    kind: DataKind = "showers"
    twin: Sample | None = None
    detector: str = ""
    convention: str = ""

    def __post_init__(self) -> None:
        lengths = {len(self.showers), len(self.channels), len(self.primary), len(self.conditions)}
        if len(lengths) > 1:
            raise WrongInput(f"a sample's arrays have different lengths: {sorted(lengths)}")
        if len(self.primary) == 0:
            raise WrongInput("a sample without showers cannot be judged: give at least one")
        if self.kind == "showers":
            _check(self.showers, self.channels)

    def take(self, ids: NDArray[np.int64]) -> Sample:
        """All replicas of these primaries; ids that it does not hold are passed over. Raises `WrongInput` where none is
        left."""
        rows = np.flatnonzero(np.isin(self.primary, ids))
        parts = {name: getattr(self, name)[rows] for name in ("showers", "channels", "primary", "conditions")}
        return replace(self, **parts)

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """The primaries of this sample, ascending: the first axis of `by_primary`."""
        return np.unique(self.primary)

    @cached_property
    def replicas(self) -> int:
        """Showers of each primary that count: as many as the rarest primary has."""
        return int(np.unique(self.primary, return_counts=True)[1].min())

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

    @cached_property
    def observables(self) -> Observables:
        """What the pictures show: light, centre, widths, lit fibres."""
        return observables.of(self.showers)

    @cached_property
    def neighbours(self) -> list[tuple[int, int]]:
        """Pairs of channels whose fibres lie side by side; all pairs where the read-out is not known."""
        count = self.channels.shape[1]
        if self.detector and self.convention and count == 5:
            return zdc.neighbours(self.detector, self.convention)
        return [(i, j) for i in range(count) for j in range(i + 1, count)]

    @cached_property
    def kept(self) -> dict[Any, Any]:
        """See `once`."""
        return {}


def _check(showers: NDArray, channels: Floats) -> None:
    if showers.ndim != 3:
        raise WrongInput(f"showers have shape {showers.shape}: give (showers, fibres along x, fibres along y)")
    whole = showers.dtype.kind in "ub"
    for start in range(0, 0 if whole else len(showers), BLOCK):
        block = np.asarray(showers[start : start + BLOCK])
        if not np.isfinite(block).all():
            row = start + int(np.argmin(np.isfinite(block).all(axis=(1, 2))))
            raise WrongInput(f"shower {row + 1} holds light that is not finite: such showers cannot be judged")
        if block.size and block.min() < 0:
            row = start + int(np.argmax((block < 0).any(axis=(1, 2))))
            raise WrongInput(f"shower {row + 1} holds negative light ({block.min():g}): photons cannot be fewer than 0")
    if not np.isfinite(channels).all():
        raise WrongInput("channel sums are not finite: the showers hold NaN or infinite light")


def sample(
    showers: NDArray, conditions: NDArray, primary: NDArray[np.int64], detector: str, convention: str = "paper"
) -> Sample:
    """A sample with the channel sums of a read-out convention."""
    with np.errstate(invalid="ignore"):  # infinite light is refused below, in words
        channels = zdc.channels(showers, detector, convention)
    columns = np.asarray(conditions, dtype=np.float64)
    return Sample(showers, channels, np.asarray(primary), columns, detector=detector, convention=convention)


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
    same_primaries(reference, generated)
    if reference.channels.shape[1] != generated.channels.shape[1]:
        counts = f"{reference.channels.shape[1]} and {generated.channels.shape[1]}"
        raise WrongInput(f"simulated and generated showers have {counts} channels: read both out alike")
    return reference.grouped, generated.grouped


def same_primaries(reference: Sample, generated: Sample) -> None:
    """Raises `WrongInput` unless both hold the same primaries."""
    if not np.array_equal(reference.ids, generated.ids):
        raise WrongInput(
            f"simulated and generated showers are of different primaries ({len(reference.ids)} and "
            f"{len(generated.ids)} of them): generate at the conditions of the simulated ones"
        )


def observed(reference: Sample, generated: Sample, read: Callable[[Observables], NDArray]) -> tuple[Floats, Floats]:
    """An observable of both, (P, R, ...) and (P, R', ...). Raises `WrongInput` unless they hold the same primaries."""
    same_primaries(reference, generated)
    return reference.by_primary(read(reference.observables)), generated.by_primary(read(generated.observables))


def features(reference: Sample, generated: Sample) -> tuple[Floats, Floats]:
    """Observables and channels of both, (P, R, d) and (P, R', d), in units of the simulated ones' standard deviation
    from their mean: what distances between showers are taken in. Columns that never change there stay as they are. What
    is farther than `FARTHEST` counts as that far, or a handful of showers would be all of a fourth power."""
    same_primaries(reference, generated)
    scale = reference.observables.features(reference.channels)
    both = (sample.by_primary(sample.observables.features(sample.channels)) for sample in (reference, generated))
    first, second = standardised(scale, *both)
    return first, second


def standardised(scale: Floats, *columns: Floats) -> tuple[Floats, ...]:
    """Columns (..., d) in standard deviations of `scale` (N, d) from its mean, none farther than `FARTHEST`."""
    mean, std = scale.mean(axis=0), scale.std(axis=0)
    std = np.where(std > 1e-9 * (1 + np.abs(mean)), std, 1.0)
    return tuple(((one - mean) / std).clip(-FARTHEST, FARTHEST) for one in columns)


def once(reference: Sample, generated: Sample, what: object, make: Callable[[], Any]) -> Any:
    """What several metrics need of the same two samples: made by the first that asks, and gone with the samples."""
    key = (what, id(reference))
    if key not in generated.kept:
        # the other sample too, so that its id is nobody else's
        generated.kept[key] = (None if reference is generated else reference, make())
    return generated.kept[key][1]


def replica_pairs(first: int, second: int, distinct: bool) -> list[tuple[int, int]]:
    """Which replica to compare with which; `distinct` where both are of one sample."""
    return [(r, s) for r in range(first) for s in range(second) if not (distinct and r == s)]


def bootstrap(statistic: Callable[[NDArray[np.int64]], float], primaries: int, rng: np.random.Generator) -> Value:
    """`statistic` of all primaries, and its standard deviation when they are drawn again with replacement."""
    again = [statistic(rng.integers(0, primaries, primaries)) for _ in range(REPEATS)]
    return Value(float(statistic(np.arange(primaries))), float(np.std(again)))


# --------------------------------------------------------------------------------------------------------- registry
def names() -> list[str]:
    """Registered metrics: the modules of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(engine.metrics.__path__) if m.name != "base")


def get(name: str) -> ModuleType:
    """The metric's module: `INFO`, `compute(reference, generated, rng)`, `floor(reference, rng)`, which is None where
    the reference has no second replica. What it cannot do without it says by `SHAPE` of the examples, `NEEDS_REPLICAS`
    on either side, and the least number of `PRIMARIES` and of `CHANNELS`. Raises `NotFound` with the names there
    are."""
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
    """Each metric with its floor; without `names`, all that the samples can answer, the slow ones where they are asked
    for. progress: called with metrics done and in total. Raises `WrongInput` for one that is of other data."""
    chosen = available(reference, generated, slow) if names is None else list(names)
    answer = {}
    for done, name in enumerate(chosen, 1):
        metric = get(name)
        if reference.kind not in metric.INFO.kinds:
            raise WrongInput(f"{name} is of {', '.join(metric.INFO.kinds)}, not of {reference.kind}")
        for what, least, held in _needs(metric, reference):
            if held < least:
                raise WrongInput(f"{name} needs {least} {what} at least, not {held}: leave it out, or judge more")
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
        if progress:
            progress(done, len(chosen))
    return answer


def available(reference: Sample, generated: Sample, slow: bool = False) -> list[str]:
    """Metrics that these samples can answer: those of their kind; over replicas, with two of each primary; and those
    of many primaries where there are so many."""
    several = min(reference.replicas, generated.replicas) >= 2
    shape = reference.showers.shape[1:]
    found = []
    for name in names():
        metric = get(name)
        fits = reference.kind in metric.INFO.kinds and getattr(metric, "SHAPE", shape) == shape
        enough = all(held >= least for _, least, held in _needs(metric, reference))
        if fits and enough and (several or not getattr(metric, "NEEDS_REPLICAS", False)):
            found += [name] * (slow or not metric.INFO.slow)
    return found


def _needs(metric: ModuleType, reference: Sample) -> list[tuple[str, int, int]]:
    """Of what, how many the metric needs, and how many there are."""
    return [
        ("primaries", getattr(metric, "PRIMARIES", 1), len(reference.ids)),
        ("channels", getattr(metric, "CHANNELS", 0), reference.channels.shape[1]),
    ]

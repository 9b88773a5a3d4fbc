"""Whether a network that sees the fibres can tell generated showers from simulated ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.metrics.base import Floats, Sample, Value, bootstrap, once, same_primaries
from engine.schema import CONDITIONS, MetricInfo

if TYPE_CHECKING:
    from engine.classifier import Scores, Side

What = Literal["pictures", "features", "conditions"]
PRIMARIES = LEAST = 50
LIMIT = 10_000
"""Most primaries that are learned from and tested on."""
INFO = MetricInfo(
    name="auc",
    title="Classifier on fibres (AUC)",
    short="AUC",
    unit="",
    direction="lower",
    formula="area under the curve of a convolutional network that is shown photons of all fibres and the conditions, "
    "on primaries that it did not learn from; 0.5 cannot tell, 1 always can",
    source="arXiv:1610.06545, arXiv:2106.05285",
    group="classifiers",
    slow=True,
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """60 % of the primaries train it, 10 % tell when to stop, the rest is the test. As many replicas of each on either
    side. The error is a bootstrap over test primaries; another training would read a little else."""
    return area("pictures", reference, generated, rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """The same between disjoint replicas of the reference: 0.5 but for the finite test, however many there are."""
    return area("pictures", reference, None, rng) if reference.replicas >= 2 else None


def area(what: What, reference: Sample, generated: Sample | None, rng: np.random.Generator) -> Value:
    """AUC of a classifier that is shown `what`, of generated showers, or between replicas where there are none."""
    from engine import classifier  # torch takes seconds, and the list of metrics needs none of it

    found = scores(what, reference, generated, rng)
    return bootstrap(lambda rows: classifier.auc(found.real[rows], found.made[rows]), len(found.real), rng)


def scores(what: What, reference: Sample, generated: Sample | None, rng: np.random.Generator) -> Scores:
    """What the classifier says of test primaries; trained once for all metrics that ask."""
    from engine import classifier

    seed = int(rng.integers(2**31))

    def make() -> Scores:
        return classifier.tell_apart(*_sides(what, reference, generated, seed), seed=seed)

    other = reference if generated is None else generated
    return once(reference, other, ("classifier", what, seed, generated is None), make)


def _sides(what: What, reference: Sample, generated: Sample | None, seed: int) -> tuple[Side, Side]:
    from engine.classifier import Side

    if generated is None:
        half = reference.replicas // 2
        first, second = (reference, slice(0, half)), (reference, slice(half, 2 * half))
    else:
        same_primaries(reference, generated)
        size = min(reference.replicas, generated.replicas)
        first, second = (reference, slice(0, size)), (generated, slice(0, size))
    chosen = np.random.default_rng(seed).permutation(len(reference.ids))[:LIMIT]

    def side(sample: Sample, replicas: slice) -> Side:
        def of(values: NDArray) -> NDArray:
            return sample.by_primary(values)[chosen][:, replicas]

        columns = condition_columns(sample.conditions)
        if what == "features":
            columns = np.concatenate([columns, sample.observables.features(sample.channels)], axis=1)
        return Side(of(columns), of(sample.showers) if what == "pictures" else None)

    return side(*first), side(*second)


def condition_columns(conditions: Floats) -> Floats:
    """Conditions (N, C), and of those of ZDC's particles also the impact point and log energy, so that a network sees
    at once where light should be, and how much."""
    if conditions.shape[1] != len(CONDITIONS):
        return conditions
    impact = np.nan_to_num(zdc.impact_cm(conditions)).clip(-10, 10)
    return np.concatenate([conditions, impact, np.log1p(conditions[:, :1].clip(min=0))], axis=1)

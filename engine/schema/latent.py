"""The latent space: maps of data and noise, what noise covers of the data, and where it does not."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.schema.evaluation import MetricValue

FeatureSpace = Literal["latent", "observables", "features", "pixels"]
"""What a point is: a code; light, channels and shape of a shower; LeNet's features of a digit; a whole picture, or the
coordinates of a point. Models without an encoder have no `latent`."""


class MapRequest(BaseModel):
    """A joint t-SNE of validation data and generated examples (SPEC §7): codes and noise, or features of showers."""

    model_config = ConfigDict(extra="forbid")
    run: str
    step: int | None = None
    n: Annotated[int, Field(ge=50, le=20_000)] = 1000
    """Points of each layer."""
    perplexity: Annotated[float, Field(ge=2, le=200)] = 30.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    space: FeatureSpace | None = None
    """None: `latent` where the model encodes, else `observables`, `features` or `pixels`, as the data are."""


class Distinction(BaseModel):
    """A condition or observable in which some points differ from the other data."""

    name: str
    """`species`, `energy`, `impact x`, `impact y`, `impact radius`, `photon sum`, `class`."""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    """5 and 95 % quantile of the points; None for species and classes."""
    value: str = ""
    """The prevailing species or class with its share."""
    statistic: float
    """Kolmogorov–Smirnov distance to the other data, for species and classes the total variation distance, 0–1."""


class Region(BaseModel):
    """A hole: data that no noise covers; or an island: noise where no data are. Found in the feature space, never on
    the map."""

    kind: Literal["hole", "island"]
    share: float
    """Of the layer's points."""
    points: list[int]
    """Their numbers on the map of the same request."""
    expected: float
    """Points of the other layer that were to be among their neighbours, were both layers alike; `found` there are."""
    found: float
    words: str
    """What distinguishes them, as one says it: `mostly n, 420–910 GeV, impact x 12–18 mm`."""
    distinctions: list[Distinction] = []
    """The strongest first."""


class CoveragePart(BaseModel):
    """Coverage of a species, a class or a range of energies."""

    by: Literal["species", "energy", "class"]
    title: str
    n: int
    metrics: dict[str, MetricValue] = {}


class Coverage(BaseModel):
    """What generated examples cover of the data, with errors by drawing the data again, at the points of a map. The
    floor is one half of the data against the other."""

    run_id: str
    step: int
    space: FeatureSpace
    n: int
    k: int
    """Neighbours that density, coverage, precision and recall look at."""
    metrics: dict[str, MetricValue] = {}
    """density, coverage, precision, recall, sinkhorn (debiased divergence, cost ½‖x − y‖²)."""
    parts: list[CoveragePart] = []
    regions: list[Region] = []
    """Holes and islands, those with the largest share first."""
    separability: MetricValue | None = None
    """Accuracy of a logistic regression of species or classes on the codes of data, on codes that it did not learn
    from; the floor is that of always saying the most frequent one."""
    separates: str = ""
    """What it tells apart: `species` or `class`."""
    seconds: float = 0.0

"""Evaluation: how a model is judged on held-out primaries, and what comes out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.schema.runs import Split

Reading = Literal["drawn", "raw", "truncated"]
"""How generated light is read. `drawn`: whole photons drawn about the model's expectation, what a detector counts;
`raw`: the expectation itself; `truncated`: its whole part fibre by fibre, as AliceO2's fast simulation keeps it."""


class EvaluateRequest(BaseModel):
    """What to judge, on which held-out primaries, and how their light is read."""

    model_config = ConfigDict(extra="forbid")
    run: str
    step: int | None = None
    """A checkpoint; None: the newest."""
    data: str | None = None
    """None: the set that the run learned from."""
    split: Split = "test"
    metrics: list[str] | None = None
    """None: all that the samples can answer, but the slow ones."""
    slow: bool = False
    """The slow ones too (classifiers), where `metrics` names none."""
    convention: str = "paper"
    reading: Reading = "drawn"
    threshold: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Only primaries whose simulated replicas hold at least so many photons on average."""
    primaries: Annotated[int, Field(ge=2)] | None = None
    """At most so many, the first of the split; None: all."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class MetricValue(BaseModel):
    value: float
    error: float
    unit: str
    floor: float | None = None
    """The same metric of one simulation against another, same primaries, same size."""
    floor_error: float | None = None


class Part(BaseModel):
    """A part of what was judged, judged by itself: a species, a range of energies, a channel."""

    by: Literal["species", "energy", "channel"]
    title: str
    """`n`, `100–250 GeV`, `channel 3`."""
    pdg: int | None = None
    low: float | None = None
    high: float | None = None
    """Of an energy range [GeV]; None: open."""
    primaries: int
    metrics: dict[str, MetricValue] = {}


class Timing(BaseModel):
    """Time of a shower where `batch` are generated at once [ms], with its standard deviation over repeats."""

    batch: int
    ms: float
    error: float
    repeats: int


class Calibration(BaseModel):
    """One factor for all generated light, the ratio of simulated to generated light on validation primaries, and what
    it changes on the judged ones."""

    factor: float
    error: float
    split: Split = "validation"
    before: dict[str, MetricValue]
    after: dict[str, MetricValue]


class Report(BaseModel):
    """A model judged. Arrays that pages draw beside it: see `Engine.task_arrays`."""

    run_id: str
    data: str
    label: str
    split: str
    convention: str
    showers: int
    primaries: int
    seconds: float
    metrics: dict[str, MetricValue]
    step: int = 0
    name: str = ""
    """Of the run."""
    model: str = ""
    reading: Reading = "drawn"
    threshold: int = 0
    seed: int = 0
    replicas: int = 0
    """Showers generated for each primary."""
    parameters: int = 0
    device: str = ""
    threads: int = 0
    """That computed the times."""
    parts: list[Part] = []
    timing: list[Timing] = []
    calibration: Calibration | None = None

"""What a benchmark leaves behind: rows of models that were trained alike and judged alike."""

from __future__ import annotations

from pydantic import BaseModel

from engine.schema.evaluation import MetricValue


class BenchmarkRow(BaseModel):
    """A model with the settings that make it this row; its numbers are means over `seeds`."""

    title: str
    model: str
    config: dict[str, float | int | bool | str] = {}
    """Settings that were given; the others are the model's defaults of that commit."""
    published: str = ""
    """Its name in the published table, empty where it has no counterpart there."""
    seeds: list[int] = []
    metrics: dict[str, MetricValue] = {}
    train_seconds: float | None = None
    ms_per_shower: float | None = None
    parameters: int | None = None
    showers: int | None = None
    """Judged."""
    epochs: int | None = None


class Benchmark(BaseModel):
    """A record of `showerscope bench`."""

    name: str
    """Of the file; no two records share it."""
    bench: str
    title: str
    data: str = ""
    """Registered name of the set, for `--data`."""
    label: str = ""
    """How its pictures are called wherever they are shown."""
    budget: dict[str, float | int | bool | str] = {}
    seeds: list[int] = []
    convention: str = ""
    """Read-out convention of the channels; empty where there are none."""
    commit: str = ""
    command: str = ""
    quick: bool = False
    """A trial of the benchmark: no verdict."""
    made: str = ""
    """UTC, ISO 8601; empty where the record does not say."""
    versions: dict[str, str] = {}
    house: bool = False
    """Comes with Showerscope."""
    again: dict[str, MetricValue] = {}
    """What an independent simulation of the judged primaries reads, where the set can be simulated again: the floor of
    metrics that have no other."""
    missing: list[str] = []
    """Titles of rows that did not end well."""
    rows: list[BenchmarkRow]


class Catch(BaseModel):
    """What a metric reads of a broken generator, and whether that is worse than its floor beyond errors."""

    value: float
    error: float
    unit: str = ""
    floor: float
    floor_error: float
    caught: bool


class BrokenGenerator(BaseModel):
    """Simulated showers that were broken on purpose, and which metrics see it (`showerscope bench broken`)."""

    name: str
    title: str
    done: str
    """What was done to the showers."""
    metrics: dict[str, Catch]

"""What there is: models with their forms, metrics, detectors, particles, data sets, and the engine itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

CONDITIONS = ("Energy", "Vx", "Vy", "Vz", "Px", "Py", "Pz", "mass", "charge")
"""Columns of a condition row, in the order of ALICE's ZDC tables (SPEC §3)."""
UNITS = ("GeV", "cm", "cm", "cm", "GeV", "GeV", "GeV", "MeV", "e")


DataKind = Literal["showers", "images", "points"]
"""What the examples of a data set are: photons a fibre, grey values a pixel, or coordinates."""


class FormField(BaseModel):
    """One entry of a model's form: everything that the Train page needs to draw and check it."""

    name: str
    kind: Literal["float", "int", "bool", "choice", "text"]
    default: float | int | bool | str
    minimum: float | None = None
    maximum: float | None = None
    choices: list[str] = []
    unit: str = ""
    help: str = ""
    source: str = ""
    group: str = "Model"
    kinds: list[DataKind] = []
    """The data that it is for; empty: all."""


class ModelInfo(BaseModel):
    name: str
    title: str
    summary: str
    paper: str = ""
    conditional: bool = True
    has_latent: bool = True
    fields: list[FormField] = []
    presets: dict[DataKind, dict[str, float | int | bool | str]] = {}
    """Defaults that differ from the form's where the data are of this kind."""

    def fields_for(self, kind: DataKind) -> list[FormField]:
        """The form for data of a kind, with the defaults that hold there."""
        fields = [field for field in self.fields if not field.kinds or kind in field.kinds]
        own = self.presets.get(kind, {})
        return [field.model_copy(update={"default": own.get(field.name, field.default)}) for field in fields]


class MetricInfo(BaseModel):
    name: str
    title: str
    unit: str
    short: str = ""
    """For heads of tables and axes; empty: the title."""
    direction: Literal["lower", "higher", "one"]
    """`one`: a ratio whose ideal is 1."""
    formula: str
    source: str = ""
    kinds: list[DataKind] = ["showers"]
    group: Literal["channels", "replicas", "shape", "features", "classifiers", "pictures"] = "channels"
    """What it looks at: for headings."""
    slow: bool = False
    """Minutes: only where it is asked for."""


class ParticleInfo(BaseModel):
    pdg: int
    name: str
    symbol: str
    mass_mev: float
    charge_e: float


class Convention(BaseModel):
    """A named read-out convention: which channel (0–4) each fibre belongs to, axis 0 = x, axis 1 = y."""

    name: str
    help: str
    channel: list[list[int]]


class DetectorInfo(BaseModel):
    name: str
    title: str
    shape: tuple[int, int]
    pitch_mm: float
    z_cm: float
    conventions: list[Convention]


class ConditionInfo(BaseModel):
    name: str
    unit: str
    minimum: float
    maximum: float
    quantiles: list[float]
    """1, 5, 25, 50, 75, 95 and 99 % quantiles of the training split."""
    help: str = ""
    classes: list[str] = []
    """Of a categorical condition, whose values are the numbers of these: 0, 1, …"""


class DatasetInfo(BaseModel):
    name: str
    title: str
    label: str
    """How to call these showers wherever they are shown."""
    detector: str
    """Empty where the data are not of a calorimeter."""
    shape: tuple[int, ...]
    """Of one example: (H, W) of pictures, (d,) of points."""
    showers: int
    primaries: int
    splits: dict[str, int]
    """Showers per split; replicas of a primary are never on both sides."""
    pdg: list[int]
    conditions: list[ConditionInfo]
    provenance: str
    facts: dict[str, str] = {}
    kind: DataKind = "showers"
    imported: bool = False
    ready: bool = True
    """False: made on first use; then only name, title, label, detector and sizes are known."""
    making: str = ""
    """What making it costs, while it is not ready."""


class PublishedRow(BaseModel):
    """A row of a published table, with the figures that it prints."""

    model: str
    mae: float | None = None
    mae_std: float | None = None
    """Over particles, not the error of the mean."""
    wasserstein: float | None = None
    source: str
    bench: str = "table1"
    """The benchmark of ours that it stands beside."""
    others: dict[str, float] = {}
    """Further figures, by the name of the metric."""
    floor: bool = False
    """Original data against original data, not a model."""

    def figures(self) -> dict[str, float]:
        """Everything that this row prints, by the name of the metric."""
        printed = {"mae": self.mae, "wasserstein": self.wasserstein}
        return {name: value for name, value in printed.items() if value is not None} | self.others


class Geant4Info(BaseModel):
    """Whether Geant4 answers here, and what it costs."""

    installed: bool = False
    mend: str = ""
    """What to do where it is not installed."""
    start_s: float = 0.0
    ms_per_gev: dict[str, float] = {}
    """CPU time of one core, by detector."""


class Catalogue(BaseModel):
    models: list[ModelInfo]
    metrics: list[MetricInfo]
    detectors: list[DetectorInfo]
    particles: list[ParticleInfo]
    published: list[PublishedRow] = []
    versions: dict[str, str] = {}
    geant4: Geant4Info = Geant4Info()


class Health(BaseModel):
    status: Literal["ready", "loading"] = "ready"
    version: str
    device: str
    threads: int
    running: int = 0
    queued: int = 0
    training_allowed: bool = True
    loaded: list[str] = []
    memory_mb: float = 0.0


def flat_config(fields: list[FormField]) -> Mapping[str, float | int | bool | str]:
    """Default configuration of a form."""
    return {f.name: f.default for f in fields}

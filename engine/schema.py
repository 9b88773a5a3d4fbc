"""The seam between app and engine: the types that both sides speak, and the `Engine` protocol.

Nothing here imports torch, so the app's process stays light. Small answers are pydantic models (JSON on the
wire); answers with pictures are `Arrays` (safetensors on the wire, so that a byte from outside is never executed).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

CONDITIONS = ("Energy", "Vx", "Vy", "Vz", "Px", "Py", "Pz", "mass", "charge")
"""Columns of a condition row, in the order of ALICE's ZDC tables (SPEC §3)."""
UNITS = ("GeV", "cm", "cm", "cm", "GeV", "GeV", "GeV", "MeV", "e")

Split = Literal["train", "validation", "test"]
State = Literal["queued", "running", "paused", "finished", "cancelled", "failed", "interrupted"]


# --------------------------------------------------------------------------------------------------------- errors
class EngineError(Exception):
    """Anything the engine cannot do, said in one plain sentence with the mend."""


class WrongInput(EngineError):
    """The request is at fault: unknown name, value outside physics, broken file. Exit status 2, HTTP 422."""


class NotFound(WrongInput):
    """The named run, model, data set or checkpoint does not exist. HTTP 404."""


class EngineDown(EngineError):
    """No engine answers at the address the app was given."""


# --------------------------------------------------------------------------------------------------------- arrays
@dataclass(frozen=True)
class Arrays:
    """Named arrays with JSON-able `meta`; the one container for everything that holds pictures or points."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    def to_bytes(self) -> bytes:
        """The wire format: safetensors, `meta` as JSON in its header."""
        arrays = {name: np.ascontiguousarray(value) for name, value in self.arrays.items()}
        return save_safetensors(arrays, metadata={"meta": json.dumps(self.meta)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Arrays:
        """Read `to_bytes`. Raises `WrongInput` when the bytes are cut off or not safetensors."""
        try:
            size = int.from_bytes(data[:8], "little")
            meta = json.loads(data[8 : 8 + size])["__metadata__"]["meta"]
            return cls(load_safetensors(data), json.loads(meta))
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise WrongInput(f"these bytes are not an array answer of the engine: {error}") from error


def read_metadata(path: str) -> dict[str, str]:
    """The header metadata of a safetensors file. Raises `WrongInput` when the file is broken or missing."""
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WrongInput(f"{path} cannot be read as safetensors: {error}") from error


# ------------------------------------------------------------------------------------------------------ catalogue
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


class ModelInfo(BaseModel):
    name: str
    title: str
    summary: str
    paper: str = ""
    conditional: bool = True
    has_latent: bool = True
    fields: list[FormField] = []


class MetricInfo(BaseModel):
    name: str
    title: str
    unit: str
    direction: Literal["lower", "higher", "one"]
    """`one`: a ratio whose ideal is 1."""
    formula: str
    source: str = ""


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


class DatasetInfo(BaseModel):
    name: str
    title: str
    label: str
    """How to call these showers wherever they are shown."""
    detector: str
    shape: tuple[int, int]
    showers: int
    primaries: int
    splits: dict[str, int]
    """Showers per split; replicas of a primary are never on both sides."""
    pdg: list[int]
    conditions: list[ConditionInfo]
    provenance: str
    facts: dict[str, str] = {}


class PublishedRow(BaseModel):
    model: str
    mae: float | None = None
    mae_std: float | None = None
    wasserstein: float | None = None
    source: str


class Catalogue(BaseModel):
    models: list[ModelInfo]
    metrics: list[MetricInfo]
    detectors: list[DetectorInfo]
    particles: list[ParticleInfo]
    published: list[PublishedRow] = []
    versions: dict[str, str] = {}


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


# ------------------------------------------------------------------------------------------------------------ runs
class TrainSpec(BaseModel):
    """What to train. `config` holds the model's own fields; unknown names or values outside their range are refused."""

    model_config = ConfigDict(extra="forbid")
    data: str = "zdc_geant4"
    model: str = "e2e_sae"
    config: dict[str, float | int | bool | str] = {}
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    name: Annotated[str, Field(max_length=80)] = ""


class Checkpoint(BaseModel):
    step: int
    epoch: int


class RunInfo(BaseModel):
    run_id: str
    name: str
    data: str
    model: str
    config: dict[str, Any] = {}
    seed: int = 0
    state: State = "queued"
    bundled: bool = False
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    samples_per_s: float | None = None
    eta_s: float | None = None
    queue_place: int | None = None
    """1 = next to start; only while queued."""
    error: str = ""
    created: float = 0.0
    """Unix time, s."""
    seconds: float = 0.0
    """Time spent training, s."""
    device: str = ""
    checkpoints: list[Checkpoint] = []
    parameters: int = 0
    provenance: dict[str, str] = {}
    metrics: dict[str, float] = {}
    """Last value of each logged series."""


class Series(BaseModel):
    step: list[int] = []
    value: list[float] = []


class History(BaseModel):
    """Logged series of a run, decimated to at most ~1 000 points each, extremes kept. Names are `group/term`:
    `loss/…` (training terms, unweighted, and `loss/total`), `validation/…`, `latent/…`, `system/…`."""

    run_id: str
    last_step: int = -1
    series: dict[str, Series] = {}


# ------------------------------------------------------------------------------------------------------ generation
class Particle(BaseModel):
    """A primary as the sliders set it; energy, mass and transverse momentum fix |pz| (on shell)."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    pdg: int = 2112
    energy_gev: float = 500.0
    px_gev: float = 0.0
    py_gev: float = 0.0
    vx_cm: float = 0.0
    vy_cm: float = 0.0
    vz_cm: float = 0.0
    side: Literal[-1, 1] = 1
    """Sign of pz: +1 towards z > 0."""

    def conditions(self, mass_mev: float, charge_e: float) -> list[float]:
        """The nine conditions of this particle, `CONDITIONS` order and units.

        Raises `WrongInput` when the energy does not carry the mass and the transverse momentum.
        """
        mass_gev = mass_mev / 1000
        square = self.energy_gev**2 - mass_gev**2 - self.px_gev**2 - self.py_gev**2
        if self.energy_gev <= mass_gev or self.energy_gev <= 0:
            raise WrongInput(
                f"energy {self.energy_gev:g} GeV is not above the mass {mass_gev:g} GeV of PDG {self.pdg}: "
                "raise the energy"
            )
        if square <= 0:
            raise WrongInput(
                f"px {self.px_gev:g} and py {self.py_gev:g} GeV need more than the energy {self.energy_gev:g} GeV: "
                "lower them or raise the energy"
            )
        pz = self.side * math.sqrt(square)
        vertex = [self.vx_cm, self.vy_cm, self.vz_cm]
        return [self.energy_gev, *vertex, self.px_gev, self.py_gev, pz, mass_mev, charge_e]


class GenerateRequest(BaseModel):
    """Showers for one particle or for a table of condition rows, `n` per row, one stream of noise per `seed`.

    `light`: `poisson` draws whole photons (what a detector counts), `expected` returns the decoder's mean.
    """

    model_config = ConfigDict(extra="forbid")
    run: str
    step: int | None = None
    particle: Particle | None = None
    conditions: list[list[float]] | None = None
    n: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    light: Literal["poisson", "expected"] = "poisson"
    convention: str = "paper"


class MapRequest(BaseModel):
    """A joint t-SNE of encoded validation data and generated noise (SPEC §7)."""

    model_config = ConfigDict(extra="forbid")
    run: str
    step: int | None = None
    n: Annotated[int, Field(ge=50, le=20_000)] = 1000
    perplexity: Annotated[float, Field(ge=2, le=200)] = 30.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class EvaluateRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    run: str
    data: str | None = None
    split: Split = "test"
    metrics: list[str] | None = None
    convention: str = "paper"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class MetricValue(BaseModel):
    value: float
    error: float
    unit: str
    floor: float | None = None
    """The same metric of one simulation against another, same primaries, same size."""
    floor_error: float | None = None


class Report(BaseModel):
    run_id: str
    data: str
    label: str
    split: str
    convention: str
    showers: int
    primaries: int
    seconds: float
    metrics: dict[str, MetricValue]


# ---------------------------------------------------------------------------------------------------------- engine
class Engine(Protocol):
    """What the app can ask. The in-process service, the HTTP client and the tests' fake all satisfy one suite."""

    def health(self) -> Health: ...
    def catalogue(self) -> Catalogue: ...
    def datasets(self) -> list[DatasetInfo]: ...

    def columns(self, data: str, convention: str = "paper") -> Arrays:
        """Per shower, without pictures: conditions (N,9), pdg, primary_id, replica, split (0 train, 1 validation,
        2 test), photon_sum, channels (N,5) [photons], impact_mm (N,2), largest_pixel."""
        ...

    def showers(self, data: str, rows: list[int]) -> Arrays:
        """Pictures of the given rows (at most 5 000): showers (n,H,W) [photons], conditions (n,9), pdg, row."""
        ...

    def nearest(self, data: str, particle: Particle, k: int = 8) -> Arrays:
        """The k simulated showers nearest in normalised conditions, nearest first; replicas of one primary stand
        together: showers, conditions, pdg, primary_id, row, distance, split."""
        ...

    def runs(self) -> list[RunInfo]: ...
    def status(self, run: str) -> RunInfo: ...
    def submit(self, spec: TrainSpec) -> str: ...
    def history(self, run: str, since: int = -1) -> History: ...
    def cancel(self, run: str) -> None:
        """Stop at the next step, keeping a checkpoint to resume from; takes a queued run out of the queue."""
        ...

    def pause(self, run: str) -> None: ...
    def step(self, run: str) -> None:
        """One optimisation step of a paused run."""
        ...

    def resume(self, run: str) -> None:
        """Go on: of a paused run at once, of an ended one from its last checkpoint."""
        ...

    def remove(self, run: str) -> None: ...

    def generate(self, request: GenerateRequest) -> Arrays:
        """showers (N,H,W) float32 [photons], conditions (N,9), channels (N,5), impact_mm (N,2). meta: `ms` in
        total, `model`, `data`, `label`, `convention`, `seed`, `ood` (share of training particles nearer to their
        neighbours than this one is to its own; 1 = further out than all), `warnings`."""
        ...

    def samples(self, run: str, step: int | None = None) -> Arrays:
        """The strip: eight validation particles at fixed noise, from a checkpoint: simulated, generated (8,H,W),
        reconstructed where the model encodes, conditions, pdg."""
        ...

    def encode(self, run: str, data: str, rows: list[int], step: int | None = None) -> Arrays:
        """Latent codes of given showers: latent (n,d)."""
        ...

    def decode(self, run: str, latent: list[list[float]], step: int | None = None) -> Arrays:
        """Expected showers of given latent codes: showers (n,H,W)."""
        ...

    def map(self, request: MapRequest) -> Arrays:
        """The map, computed once in the background and kept with the run. Returns at once with what there is:
        xy (2n,2), layer (2n; 0 encoded data, 1 generated noise), row (data-set row whose conditions it has),
        latent (2n,d), pdg, energy, photon_sum. meta: `state` (`queued`, `running`, `done`, `failed`), `progress`
        0–1, `step`, `epoch`, `eta_s`, `error`."""
        ...

    def evaluate(self, request: EvaluateRequest) -> Report: ...

    def export(self, request: GenerateRequest, format: Literal["npz", "parquet", "root", "csv"]) -> bytes:
        """The showers of `generate` as a file (csv: conditions, channels and photon sum, no pictures)."""
        ...


def flat_config(fields: list[FormField]) -> Mapping[str, float | int | bool | str]:
    """Default configuration of a form."""
    return {f.name: f.default for f in fields}

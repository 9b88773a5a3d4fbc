"""Runs and what is asked of them: training, generation, maps, evaluation."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.schema.wire import WrongInput

Split = Literal["train", "validation", "test"]
Coordinate = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
BEAM_GEV = 7000.0
State = Literal["queued", "running", "paused", "finished", "cancelled", "failed", "interrupted"]


class TrainSpec(BaseModel):
    """What to train. `config` holds the model's own fields; unknown names or values outside their range are refused."""

    model_config = ConfigDict(extra="forbid")
    data: str = "zdc_geant4"
    model: str = "e2e_sae"
    config: dict[str, float | int | bool | str] = {}
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    name: Annotated[str, Field(max_length=80)] = ""
    start: str = ""
    """A run, or `bundled:NAME`, whose last weights and scalers the training starts from; settings of its networks that
    `config` does not name are that run's."""


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
    `loss/…` (training terms, unweighted, and `loss/total`), `validation/…`, `latent/…`, `system/…`. Models of several
    phases name them: `loss/critic/…`, `validation/critic/…`."""

    run_id: str
    last_step: int = -1
    series: dict[str, Series] = {}


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
        if max(self.energy_gev, abs(self.px_gev), abs(self.py_gev)) > BEAM_GEV:
            raise WrongInput(
                f"energy {self.energy_gev:g} GeV or a momentum is above the beam's {BEAM_GEV:g} GeV: lower it"
            )
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


PARTICLE_OPTIONS = {
    "pdg": "pdg", "energy": "energy_gev", "px": "px_gev", "py": "py_gev", "vx": "vx_cm", "vy": "vy_cm", "vz": "vz_cm",
    "side": "side",
}  # fmt: skip
"""Options of `showerscope generate`, and the fields of `Particle` that they set."""


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
    walk: tuple[Coordinate, Coordinate] | None = None
    """Where the noise stands along the two directions of noise space that change the model's showers most, in standard
    deviations of the noise; the rest of it is the seed's. None: all of it is."""
    moments: bool = False
    """Answer with mean and standard deviation over the `n` of each row instead of the showers themselves."""


class ScanRequest(BaseModel):
    """Response and resolution of a run against energy, for a particle that keeps its species, vertex and direction (so
    that it hits the face at the same point) at each of `energies_gev`, `n` showers each."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    run: str
    step: int | None = None
    particle: Particle
    energies_gev: Annotated[list[float], Field(max_length=64)] = []
    n: Annotated[int, Field(ge=2, le=10_000)] = 200
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    convention: str = "paper"
    simulated: bool = False
    """Answer also with the simulated showers of the run's data that hit nearest to the same point."""


class Spectrum(BaseModel):
    """Particles drawn at random. `data`: primaries of the run's training split, with replacement. `power`: one
    species, vertex and direction, energies by dN/dE ∝ E^−index between two bounds; index 0 is uniform, 1 uniform in
    log E."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    law: Literal["data", "power"] = "data"
    particle: Particle | None = None
    """Of `power`: gives all but the energy."""
    minimum_gev: Annotated[float, Field(gt=0)] = 10.0
    maximum_gev: Annotated[float, Field(gt=0)] = 5000.0
    index: Annotated[float, Field(ge=-10, le=10)] = 1.0


class BulkRequest(BaseModel):
    """Showers by the million, into a file: whole photons as 16-bit numbers, expected light as 32-bit floats. Their
    conditions: the rows of an uploaded table (`n` of each), or a drawn spectrum (`n` in all); at most 100 million in
    all."""

    model_config = ConfigDict(extra="forbid")
    run: str
    step: int | None = None
    upload: Annotated[str, Field(max_length=300)] = ""
    """What `Engine.upload` answered for a table of conditions (npz, parquet, csv); empty: `spectrum`."""
    spectrum: Spectrum | None = None
    n: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    light: Literal["poisson", "expected"] = "poisson"
    convention: str = "paper"
    format: Literal["parquet", "root"] = "parquet"

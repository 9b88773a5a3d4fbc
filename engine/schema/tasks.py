"""Work on data that takes longer than an answer: imports, simulations, validations; what they need and report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.schema.evaluation import EvaluateRequest, Report
from engine.schema.latent import Coverage, MapRequest
from engine.schema.runs import BulkRequest, Particle, Split, State
from engine.schema.wire import WrongInput

DetectorName = Literal["zn", "zp"]
FileFormat = Literal["npz", "parquet", "root", "csv"]


# --------------------------------------------------------------------------------------------------------- imports
class Facts(BaseModel):
    """What a file may declare about itself, and what a user may override; None: find out."""

    model_config = ConfigDict(extra="forbid")
    detector: DetectorName | None = None
    axes: Literal["x-first", "y-first", "auto"] | None = None
    """Order of a picture's axes. None refuses swapped axes with a word, `auto` turns them by the evidence."""
    energy_unit: Literal["GeV", "MeV"] | None = None
    """Of energy and momenta."""
    mass_unit: Literal["GeV", "MeV"] | None = None
    charge_unit: Literal["e", "e/3"] | None = None
    photons: Literal["whole", "log1p", "round"] | None = None
    """Whole photons, log(1 + photons), or expectations to be rounded."""
    columns: list[str] | None = None
    """Names of a table's columns that has none."""


class Overrides(Facts):
    """What the user says about an import."""

    skip_bad_rows: bool = False
    """Leave refused rows out and list them, instead of refusing the file."""
    title: str = Field(default="", max_length=120)

    @classmethod
    def of(cls, given: Overrides | Mapping[str, Any] | None) -> Overrides:
        """Overrides from what a command line or a form sends. Raises `WrongInput` naming the field at fault."""
        if isinstance(given, Overrides):
            return given
        try:
            return cls.model_validate(dict(given or {}))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            known = ", ".join(cls.model_fields)
            raise WrongInput(f"import option {name!r}: {first['msg'].lower()} (options: {known})") from error


class Finding(BaseModel):
    """Something the import had to find out: what, why, and how to say otherwise."""

    value: str
    why: str
    override: str = ""


class RefusedRow(BaseModel):
    row: int
    """Counted from 1, as the file has them."""
    reason: str


class ImportReport(BaseModel):
    """What an import found and did; kept in the manifest of the imported set."""

    name: str
    kind: Literal["showers", "channels", "particles"]
    format: str
    files: list[str]
    rows_read: int
    rows_kept: int
    primaries: int = 0
    findings: dict[str, Finding] = {}
    """detector, axes, energy_unit, mass_unit, charge_unit, photons, truncated, pdg, primary_id, convention."""
    duplicates: int = 0
    """Showers that repeat an earlier one of the same primary photon by photon; they are kept."""
    duplicate_rows: list[int] = []
    """The first hundred of them, counted from 1."""
    refused: list[RefusedRow] = []
    """The first thousand."""
    refused_total: int = 0
    warnings: list[str] = []
    photons_per_shower: dict[str, float] = {}
    """min, q1, median, q3, max [photons] and the share of empty showers, after import."""
    bytes_written: int = 0
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """The report as a terminal shows it."""
        left_out = f", {self.refused_total} refused" if self.refused_total else ""
        said = [f"{self.name}: {self.rows_kept} of {self.rows_read} rows{left_out}, {self.primaries} primaries"]
        for key, found in self.findings.items():
            override = f" [{found.override}]" if found.override else ""
            said.append(f"{key.replace('_', ' ')}: {found.value}, {found.why}{override}")
        if self.duplicates:
            said.append(f"duplicates: {self.duplicates}, first at row {self.duplicate_rows[0]}")
        said += [f"row {r.row} refused: {r.reason}" for r in self.refused[:20]]
        return said + [f"warning: {w}" for w in self.warnings]


# ------------------------------------------------------------------------------------------------------ validation
class ValidationRow(BaseModel):
    """One statistic of a set against the reference's. value, reference: None for a distance between distributions.
    distance, floor: in `unit`; ratio: distance over floor, None where the floor is 0."""

    name: str
    unit: str
    value: float | None = None
    reference: float | None = None
    distance: float
    floor: float
    ratio: float | None
    within: bool


class ValidationCurve(BaseModel):
    """A distribution of both sets to lay over each other; `error` is the statistical one of the reference."""

    name: str
    x_label: str
    y_label: str
    x: list[float]
    reference: list[float]
    value: list[float]
    error: list[float]


class Validation(BaseModel):
    """How far a set agrees with Geant4 at the same primaries (`showerscope data check`)."""

    data: str
    reference: str
    split: Split
    showers: int
    primaries: int
    target: float
    """A row is within target when its ratio is at most this."""
    within: int
    of: int
    rows: list[ValidationRow]
    curves: list[ValidationCurve] = []
    seconds: float = 0.0


# ----------------------------------------------------------------------------------------------------------- tasks
class PrepareTask(BaseModel):
    """Simulate a data set that is made on first use."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["prepare"] = "prepare"
    data: str


class ImportTask(BaseModel):
    """Import uploaded files as the set `data`."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["import"] = "import"
    data: Annotated[str, Field(max_length=64)]
    uploads: Annotated[list[str], Field(min_length=1, max_length=2)]
    """What `Engine.upload` answered."""
    options: Overrides = Overrides()


class SimulateTask(BaseModel):
    """Real showers of one particle by Geant4, where it is installed."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["simulate"] = "simulate"
    particle: Particle
    n: Annotated[int, Field(ge=1, le=1000)] = 1
    detector: DetectorName = "zn"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    time_limit_s: Annotated[float, Field(gt=0, le=3600)] = 120.0


class CheckTask(BaseModel):
    """Validate a simulated set against Geant4's."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["check"] = "check"
    data: str
    split: Split = "test"


class EvaluateTask(BaseModel):
    """Judge a run: its metrics, broken down, with times and calibration, and the arrays that pages draw."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["evaluate"] = "evaluate"
    request: EvaluateRequest


class CoverageTask(BaseModel):
    """Find what a model's noise covers of the data, at the points of a map."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["coverage"] = "coverage"
    request: MapRequest


class BulkTask(BaseModel):
    """Generate showers into a file, piece by piece. What a cancelled or killed one has written is kept: started again,
    it goes on from there, and the file is the same as if nothing had happened."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["bulk"] = "bulk"
    request: BulkRequest


class Bulk(BaseModel):
    """The file of a finished bulk; `GET /v1/file/TASK_ID` sends it."""

    file: str
    """Its name, as a download is called."""
    path: str
    """Where it stands on the engine's machine."""
    bytes: int
    showers: int
    seconds: float
    """Of generating and writing, pauses left out."""
    format: str
    memory_mb: float = 0.0
    """What the process held more at its height than when the model was loaded."""


Task = Annotated[
    PrepareTask | ImportTask | SimulateTask | CheckTask | EvaluateTask | CoverageTask | BulkTask,
    Field(discriminator="kind"),
]


class TaskInfo(BaseModel):
    """Where a task stands, and what came out of it."""

    task_id: str
    kind: Literal["prepare", "import", "simulate", "check", "evaluate", "coverage", "bulk"]
    state: State = "queued"
    done: float = 0.0
    total: float = 0.0
    """In `unit`; 0 while unknown."""
    unit: str = ""
    seconds: float = 0.0
    eta_s: float | None = None
    error: str = ""
    report: ImportReport | None = None
    """Of a finished import."""
    validation: Validation | None = None
    """Of a finished check."""
    evaluation: Report | None = None
    """Of a finished evaluation."""
    coverage: Coverage | None = None
    """Of a finished look at what noise covers."""
    bulk: Bulk | None = None
    """Of a finished bulk."""

    @property
    def ended(self) -> bool:
        return self.state in ("finished", "cancelled", "failed", "interrupted")

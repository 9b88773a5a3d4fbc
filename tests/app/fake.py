"""A small engine for the app's tests: the `Engine` protocol with numpy only, on the real Geant4 showers.

`FakeEngine` answers at once; `FakeEngine(empty=True)` has no run; `DownEngine` raises `EngineDown` from everything.
Its "trained model" returns simulated showers near the asked conditions, scaled to the asked energy.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import fake_generate
import numpy as np
from fake_benchmarks import MNIST, MNIST_METRICS, PUBLISHED, QUICK, ZDC_METRICS
from fake_judged import judge, page_of
from fake_latent import coverage, density, features, layers, missed

from engine.schema import (
    CONDITIONS,
    UNITS,
    Arrays,
    Benchmark,
    BrokenGenerator,
    BulkTask,
    Catalogue,
    Checkpoint,
    CheckTask,
    CloudRequest,
    ConditionInfo,
    Convention,
    Coverage,
    CoverageTask,
    DatasetInfo,
    DetectorInfo,
    EngineDown,
    EngineError,
    EvaluateRequest,
    EvaluateTask,
    FileFormat,
    Finding,
    FormField,
    Geant4Info,
    GenerateRequest,
    Health,
    History,
    ImportReport,
    ImportTask,
    MapRequest,
    ModelInfo,
    NotFound,
    Particle,
    ParticleInfo,
    PartitionRequest,
    PrepareTask,
    RefusedRow,
    Report,
    RunInfo,
    ScanRequest,
    Series,
    SimulateTask,
    Task,
    TaskInfo,
    TrainSpec,
    Validation,
    ValidationCurve,
    ValidationRow,
    WrongInput,
)

FILE = Path(__file__).parents[2] / "assets" / "data" / "zn_geant4.npz"
LABEL = "Geant4 11.4.1 FTFP_BERT, approximate cross-section tables, light scaled to 0.70 photons/GeV for neutrons"
PARTICLES = [
    ParticleInfo(pdg=22, name="photon", symbol="γ", mass_mev=0.0, charge_e=0.0),
    ParticleInfo(pdg=2112, name="neutron", symbol="n", mass_mev=939.565, charge_e=0.0),
    ParticleInfo(pdg=-2112, name="antineutron", symbol="n̄", mass_mev=939.565, charge_e=0.0),
    ParticleInfo(pdg=130, name="K0L", symbol="K⁰", mass_mev=497.611, charge_e=0.0),
    ParticleInfo(pdg=2212, name="proton", symbol="p", mass_mev=938.272, charge_e=1.0),
]
_RADII = np.linspace(0.1, 3.0, 12)
VALIDATION = Validation(
    data="parametrised Monte Carlo fitted to Geant4 11.4.1 showers (zdc_fast)", reference=LABEL, split="test",
    showers=546, primaries=182, target=2.0, within=3, of=5, seconds=4.2,
    rows=[
        ValidationRow(name="light of n", unit="photons/GeV", value=0.71, reference=0.70, distance=0.012, floor=0.011,
                      ratio=1.09, within=True),
        ValidationRow(name="light of γ", unit="photons/GeV", value=1.30, reference=1.02, distance=0.28, floor=0.05,
                      ratio=5.6, within=False),
        ValidationRow(name="radial profile", unit="share of light", distance=0.012, floor=0.008, ratio=1.5,
                      within=True),
        ValidationRow(name="empty showers", unit="%", value=2.4, reference=2.6, distance=0.2, floor=0.3, ratio=0.67,
                      within=True),
        ValidationRow(name="no floor", unit="%", value=1.0, reference=0.0, distance=1.0, floor=0.0, ratio=None,
                      within=False),
    ],
    curves=[
        ValidationCurve(
            name=name, x_label="r [cm]", y_label="share of light", x=_RADII.tolist(),
            reference=np.exp(-_RADII).tolist(), value=(1.05 * np.exp(-1.02 * _RADII)).tolist(),
            error=(0.05 * np.exp(-_RADII / 2)).tolist(),
        )
        for name in ("radial profile", "pixel spectrum", "photon sum", "channel 5")
    ],
)  # fmt: skip
BUNDLED = "bundled:e2e_sae"
STEPS = 1200


def channel_map(name: str, shape: tuple[int, int] = (44, 44)) -> list[list[int]]:
    i, j = np.indices(shape)
    right, top = i >= shape[0] // 2, j >= shape[1] // 2
    quadrant = 2 * right + top
    if name == "o2":
        tower = 1 + right + 2 * top if shape == (44, 44) else 1 + 4 * i // shape[0]
        return np.where((i + j) % 2 == 0, 0, tower).tolist()
    if name == "moe":
        return np.where((i + j) % 2 == 0, 4, (quadrant + 2) % 4).tolist()
    return np.where((i + j) % 2 == 1, 4, quadrant).tolist()


def channel_sums(showers: np.ndarray, convention: str) -> np.ndarray:
    channel = np.array(channel_map(convention)).ravel()
    onehot = (channel[:, None] == np.arange(5)).astype(np.float32)
    return showers.reshape(len(showers), -1).astype(np.float32) @ onehot


@dataclass(frozen=True)
class Showers:
    """A data set as the fake holds it."""

    title: str
    label: str
    pictures: np.ndarray
    conditions: np.ndarray
    pdg: np.ndarray
    primary_id: np.ndarray
    replica: np.ndarray
    imported: bool = False


@dataclass
class Began:
    """A task under way."""

    task: Task
    at: float
    ended: str = ""
    error: str = ""
    report: ImportReport | None = None
    evaluation: Report | None = None
    coverage: Coverage | None = None
    arrays: Arrays | None = None
    passed: float = 0.0
    """Seconds of work when it was cancelled."""


class FakeEngine:
    """Everything that the app can ask, from one file. `steps_per_s` is how fast a submitted training advances,
    `task_s` how long a task takes, `copies` how often the set holds each shower."""

    def __init__(self, empty: bool = False, steps_per_s: float = 120.0, task_s: float = 1.0, copies: int = 1) -> None:
        with np.load(FILE, allow_pickle=False) as found:
            file = {name: np.concatenate([found[name]] * copies) for name in found.files if found[name].ndim}
            file["primary_id"] = np.arange(copies).repeat(len(found["pdg"])) * 10_000 + file["primary_id"]
            self.pictures = file["showers"]
            self.conditions = file["conditions"]
            self.pdg = file["pdg"]
            self.primary_id = file["primary_id"]
            self.replica = file["replica"]
            self.impact_mm = file["impact_cm"] * 10
        self.sums = self.pictures.reshape(len(self.pictures), -1).sum(1).astype(np.float32)
        self.sets = {
            "zdc_geant4": Showers(
                "ZN, Geant4", LABEL, self.pictures, self.conditions, self.pdg, self.primary_id, self.replica
            )
        }
        self.task_s, self.geant4 = task_s, True
        self.begun: dict[str, Began] = {}
        self.files: dict[str, bytes] = {}
        self.reports: dict[str, ImportReport] = {}
        self.steps_per_s = steps_per_s
        self.faults: dict[str, str] = {}
        self.records = [] if empty else [QUICK, MNIST]
        self.calls: list[str] = []
        self.decoded: list[list[float]] | None = None
        self.asked_maps: dict[tuple[str, str], float] = {}
        self.maps: dict[str, dict[str, np.ndarray]] = {}
        self.map_s, self.map_faults = 1.5, dict[str, str]()
        self.store: dict[str, dict[str, Any]] = {}
        if not empty:
            self.store[BUNDLED] = {"start": 0.0, "at": STEPS, "state": "finished", "seed": 0, "bundled": True}

    # ----------------------------------------------------------------------------------------------------- facts
    def health(self) -> Health:
        running = sum(self.status(run).state == "running" for run in self.store)
        return Health(version="0.1.0", device="cpu", threads=1, running=running, loaded=list(self.store)[:1])

    def catalogue(self) -> Catalogue:
        helps = {
            "paper": "Common channel on odd i+j, quadrants on even (Deja et al.).",
            "moe": "Common channel on even i+j (Będkowski et al.).",
            "o2": "AliceO2 hits: common channel first.",
        }
        conventions = [Convention(name=n, help=h, channel=channel_map(n)) for n, h in helps.items()]
        fields = [
            FormField(
                name="epochs", kind="int", default=60, minimum=1, maximum=1000, group="Training",
                help="Passes over the training split.", source="arXiv 2006.06704",
            ),
            FormField(
                name="learning_rate", kind="float", default=3e-4, minimum=1e-6, maximum=0.1, group="Training",
                help="Adam's step size, with cosine decay.",
            ),
            FormField(name="batch", kind="int", default=256, minimum=8, maximum=4096, unit="showers", group="Training"),
            FormField(name="beta", kind="float", default=0.003, minimum=0, maximum=10, help="Weight of S_ε.",
                      source="Eq. (7)"),
            FormField(name="likelihood", kind="choice", default="poisson", choices=["poisson", "log_mse_lap1"]),
            FormField(name="derived", kind="bool", default=True, help="Derived conditions instead of raw ones."),
        ]  # fmt: skip
        return Catalogue(
            models=[
                ModelInfo(
                    name="e2e_sae", title="End-to-end Sinkhorn autoencoder", paper="arXiv 2006.06704", fields=fields,
                    summary="Encoder, decoder and a deterministic noise generator, optimised together.",
                ),
                ModelInfo(
                    name="vae", title="Variational autoencoder", summary="Encoder and decoder with an evidence bound.",
                    fields=fields[:3],
                ),
            ],
            metrics=[*ZDC_METRICS, *MNIST_METRICS],
            detectors=[
                DetectorInfo(
                    name="zn", title="ZN, neutron calorimeter", shape=(44, 44), pitch_mm=1.6, z_cm=11260,
                    conventions=conventions,
                ),
                DetectorInfo(
                    name="zp", title="ZP, proton calorimeter", shape=(56, 30), pitch_mm=4.0, z_cm=11260,
                    conventions=[
                        Convention(name=n, help=h, channel=channel_map(n, (56, 30))) for n, h in helps.items()
                    ],
                ),
            ],
            particles=PARTICLES,
            published=PUBLISHED,
            versions={"showerscope": "0.1.0", "numpy": np.__version__},
            geant4=Geant4Info(
                installed=self.geant4, start_s=0.7, ms_per_gev={"zn": 4.4, "zp": 3.1},
                mend="" if self.geant4 else "Geant4 is not installed: pip install 'showerscope[geant4]'",
            ),
        )  # fmt: skip

    def datasets(self) -> list[DatasetInfo]:
        found = [self._info(name) for name in self.sets]
        if "zdc_fast" not in self.sets:
            found.insert(0, DatasetInfo(
                name="zdc_fast", title="ZN, parametrised Monte Carlo", label="parametrised Monte Carlo",
                detector="zn", shape=(44, 44), showers=117_819, primaries=39_273, splits={}, pdg=[], conditions=[],
                provenance="Fitted to Geant4.", ready=False, making="117,819 showers, 459 MB, about a minute",
            ))  # fmt: skip
        return found

    def _info(self, name: str) -> DatasetInfo:
        data = self.sets[name]
        quantiles = np.quantile(data.conditions, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99], axis=0)
        n = len(data.pdg)
        return DatasetInfo(
            name=name,
            title=data.title,
            label=data.label,
            detector="zn",
            shape=(44, 44),
            showers=n,
            primaries=len(np.unique(data.primary_id)),
            splits={"train": n - 2 * (n // 5), "validation": n // 5, "test": n // 5},
            pdg=list(dict.fromkeys(data.pdg.tolist())),
            conditions=[
                ConditionInfo(
                    name=condition, unit=UNITS[k], minimum=data.conditions[:, k].min(),
                    maximum=data.conditions[:, k].max(), quantiles=quantiles[:, k].tolist(),
                )
                for k, condition in enumerate(CONDITIONS)
            ],
            provenance="Simulated with Geant4 11.4.1 (FTFP_BERT); absolute light ±25 %.",
            facts={"mean pixel": "0.213 photons", "empty showers": "2.6 %"},
            imported=data.imported,
        )  # fmt: skip

    def _data(self, data: str) -> Showers:
        if data not in self.sets:
            raise NotFound(f"there is no data set {data}: choose zdc_geant4")
        return self.sets[data]

    def columns(self, data: str, convention: str = "paper") -> Arrays:
        d = self._data(data)
        if convention not in ("paper", "moe", "o2"):
            raise NotFound(f"there is no convention {convention}")
        flat = d.pictures.reshape(len(d.pdg), -1)
        impact = 10 * (d.conditions[:, 1:3] + d.conditions[:, 4:6] / np.abs(d.conditions[:, 6:7]) * 11260)
        return Arrays(
            {
                "conditions": d.conditions,
                "pdg": d.pdg,
                "primary_id": d.primary_id,
                "replica": d.replica,
                "split": (d.primary_id % 5 >= 3).astype(np.int8) + (d.primary_id % 5 == 4).astype(np.int8),
                "photon_sum": flat.sum(1).astype(np.float32),
                "channels": channel_sums(d.pictures, convention),
                "impact_mm": impact.astype(np.float32),
                "largest_pixel": flat.max(1).astype(np.float32),
            }
        )

    def showers(self, data: str, rows: list[int]) -> Arrays:
        d = self._data(data)
        if rows and not 0 <= min(rows) <= max(rows) < len(d.pdg):
            raise WrongInput(f"rows must be between 0 and {len(d.pdg) - 1}")
        index = np.array(rows, dtype=np.int64)
        return Arrays(
            {
                "showers": d.pictures[index].astype(np.float32),
                "conditions": d.conditions[index],
                "pdg": d.pdg[index],
                "row": index,
            }
        )

    def save_rows(self, data: str, rows: list[int], format: FileFormat) -> bytes:
        if len(rows) > 20_000 and format != "csv":
            raise WrongInput(f"{len(rows)} rows: ask for 1 to 20000 showers")
        return packed(self.showers(data, rows), format)

    # ---------------------------------------------------------------------------------------- imports and other tasks
    def imports(self) -> list[ImportReport]:
        return list(self.reports.values())

    def upload(self, file_name: str, content: bytes) -> str:
        ticket = f"{len(self.files):016x}/{PurePath(file_name).name}"
        self.files[ticket] = content
        return ticket

    def remove_data(self, data: str) -> None:
        if data not in self.reports:
            raise WrongInput(f"{data} comes with Showerscope: only imported sets can be removed")
        del self.reports[data]
        self.sets.pop(data, None)

    def start_task(self, task: Task) -> TaskInfo:
        if isinstance(task, PrepareTask) and task.data != "zdc_fast":
            raise NotFound(f"no data set {task.data!r} is made here")
        if isinstance(task, CheckTask) and task.data != "zdc_fast":
            raise WrongInput(f"{task.data} cannot be simulated at Geant4's conditions: zdc_fast can")
        if isinstance(task, SimulateTask) and not self.geant4:
            raise WrongInput("Geant4 is not installed: pip install 'showerscope[geant4]'")
        if isinstance(task, ImportTask):
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", task.data) or task.data in {*self.sets, *self.reports}:
                raise WrongInput(f"name {task.data!r} is taken by an earlier import: choose another or remove it")
            if missing := [ticket for ticket in task.uploads if ticket not in self.files]:
                raise NotFound(f"the uploaded file {missing[0]} is gone: upload it again")
        if isinstance(task, EvaluateTask | CoverageTask):
            self._entry(task.request.run)
        if isinstance(task, BulkTask):
            fake_generate.accept(self, task)
        name = f"{task.kind}-{hashlib.sha256(task.model_dump_json().encode()).hexdigest()[:16]}"
        old = self.begun.get(name)
        if old is None or self.task(name).state not in ("queued", "running", "finished"):
            before = old.passed if old and isinstance(task, BulkTask) else 0.0  # it goes on from what is kept
            self.begun[name] = Began(task, time.time() - before)
        return self.task(name)

    def task(self, task_id: str) -> TaskInfo:
        if task_id not in self.begun:
            raise NotFound(f"there is no task {task_id!r}: start it again")
        began = self.begun[task_id]
        passed = began.passed or time.time() - began.at
        share = min(1.0, passed / self.task_s) if self.task_s > 0 else 1.0
        if not began.ended and share >= 1:
            began.error = self._finish(began)
            began.ended = "failed" if began.error else "finished"
        total, unit = {
            "prepare": (117_819, "showers"), "import": (1000, "rows"), "check": (20, ""),
            "simulate": (getattr(began.task, "n", 1), "showers"), "evaluate": (182, "primaries"),
            "coverage": (12, "parts"),
            "bulk": (began.task.request.n if isinstance(began.task, BulkTask) else 0, "showers"),
        }[began.task.kind]  # fmt: skip
        good = began.ended == "finished"
        return TaskInfo(
            task_id=task_id,
            kind=began.task.kind,
            state=began.ended or "running",  # pyright: ignore[reportArgumentType]
            done=total * share,
            total=total,
            unit=unit,
            seconds=passed,
            eta_s=None if began.ended else self.task_s - passed,
            error=began.error,
            report=began.report if good else None,
            validation=VALIDATION if good and isinstance(began.task, CheckTask) else None,
            evaluation=began.evaluation if good else None,
            coverage=began.coverage if good else None,
            bulk=fake_generate.bulk_of(began.task, task_id, passed)
            if good and isinstance(began.task, BulkTask)
            else None,
        )

    def _finish(self, began: Began) -> str:
        """What a task leaves behind; its error, empty where it succeeded."""
        task = began.task
        if isinstance(task, PrepareTask):
            rng = np.random.default_rng(0)
            fast = self.sets["zdc_geant4"]
            drawn = rng.poisson(fast.pictures).astype(np.uint16)
            label = "parametrised Monte Carlo fitted to Geant4 11.4.1 showers (zdc_fast)"
            self.sets["zdc_fast"] = replace(fast, title="ZN, parametrised Monte Carlo", label=label, pictures=drawn)
        if isinstance(task, SimulateTask) and task.particle.energy_gev > 5000:
            return "Geant4 passed the time limit of 120 s after 0 of 1 showers: raise it"
        if isinstance(task, ImportTask):
            return self._import(began, task)
        if isinstance(task, EvaluateTask):
            try:
                began.evaluation, began.arrays = self.judge(task.request)
            except EngineError as error:
                return str(error)
        if isinstance(task, CoverageTask):
            if task.request.run in self.faults:
                return self.faults[task.request.run]
            began.coverage = self.cover(task.request)
        return ""

    def _import(self, began: Began, task: ImportTask) -> str:
        names = [PurePath(ticket).name for ticket in task.uploads]
        try:
            with np.load(io.BytesIO(self.files.pop(task.uploads[0])), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            n = len(arrays["conditions"])
        except (OSError, ValueError, KeyError, EOFError):
            return f"{names[0]}: no reader for this kind of file: there are npz, parquet, root"
        kind = "showers" if "showers" in arrays else "particles"
        began.report = ImportReport(
            name=task.data, kind=kind, format="npz", files=names, rows_read=n + 2, rows_kept=n, primaries=n // 3,
            findings={
                "detector": Finding(value="zn", why="pictures of (44, 44) fibres", override="detector=zn or zp"),
                "mass_unit": Finding(value="MeV", why="939.565 is the neutron's", override="mass_unit=GeV or MeV"),
            },
            duplicates=1, duplicate_rows=[7], refused=[RefusedRow(row=3, reason="Energy is nan")], refused_total=2,
            warnings=["no replicas are marked: rows of equal conditions count as one primary"],
            photons_per_shower={"min": 0, "q1": 30, "median": 141, "q3": 402, "max": 3941, "empty": 0.026},
            bytes_written=3_900_000, seconds=0.4,
        )  # fmt: skip
        self.reports[task.data] = began.report
        if kind == "showers":
            ids = np.arange(n) // 3
            self.sets[task.data] = Showers(
                task.options.title or f"ZN, {task.data}", f"imported from {names[0]}", arrays["showers"],
                arrays["conditions"], arrays.get("pdg", np.full(n, 2112)), arrays.get("primary_id", ids),
                arrays.get("replica", np.arange(n) % 3), imported=True,
            )  # fmt: skip
        return ""

    def cancel_task(self, task_id: str) -> None:
        if not (info := self.task(task_id)).ended:
            self.begun[task_id].ended, self.begun[task_id].passed = "cancelled", info.seconds

    def remove_task(self, task_id: str) -> None:
        if not self.task(task_id).ended:
            raise WrongInput(f"task {task_id} is at work: cancel it first")
        del self.begun[task_id]

    def file(self, task_id: str) -> tuple[str, bytes]:
        """Name and bytes of a finished bulk's file; the same few showers however many were asked for."""
        info = self.task(task_id)
        if info.bulk is None:
            raise NotFound(f"task {task_id} has no file: wait for its end")
        return info.bulk.file, packed(self.showers("zdc_geant4", list(range(100))), "npz")

    def task_arrays(self, task_id: str) -> Arrays:
        task = self.begun[task_id].task if self.task(task_id).state == "finished" else None
        if (found := self.begun[task_id].arrays) is not None:
            return found
        if not isinstance(task, SimulateTask):
            raise NotFound(f"task {task_id} has no showers: wait for its end")
        near = self.nearest("zdc_geant4", task.particle, task.n)
        rng = np.random.default_rng(task.seed)
        return Arrays(
            {
                "showers": near["showers"],
                "conditions": near["conditions"],
                "pdg": near["pdg"],
                "replica": np.arange(task.n),
                "cpu_seconds": rng.normal(0.0044 * task.particle.energy_gev, 0.1, task.n),
            },
            {
                "label": LABEL,
                "notes": ["magnets are not simulated: every particle flies straight", "absolute light good to ±25 %"],
                "seconds": 2.9,
            },
        )

    def _near(self, particle: Particle) -> np.ndarray:
        info = next((p for p in PARTICLES if p.pdg == particle.pdg), None)
        if info is None:
            raise WrongInput(f"PDG {particle.pdg} is unknown")
        want = np.array(particle.conditions(info.mass_mev, info.charge_e))
        impact = 10 * (want[1:3] + want[4:6] / abs(want[6]) * 11260)
        return np.sqrt(
            (np.log(self.conditions[:, 0] / want[0]) / 0.9) ** 2
            + (((self.impact_mm - impact) / 15) ** 2).sum(1)
            + 4.0 * (self.pdg != particle.pdg)
        )

    def nearest(self, data: str, particle: Particle, k: int = 8) -> Arrays:
        self._data(data)
        distance = self._near(particle)
        order = np.lexsort((self.replica, self.primary_id, distance))[:k]
        return Arrays(
            {
                **self.showers(data, order.tolist()).arrays,
                "primary_id": self.primary_id[order],
                "distance": distance[order].astype(np.float32),
                "split": np.zeros(k, np.int8),
            },
            {"label": LABEL},
        )

    # ------------------------------------------------------------------------------------------------------ runs
    def _entry(self, run: str) -> dict[str, Any]:
        if run not in self.store:
            raise NotFound(f"there is no run {run}: see `showerscope runs`")
        return self.store[run]

    def _advance(self, run: str) -> dict[str, Any]:
        entry = self._entry(run)
        if entry["state"] == "running":
            now = time.time()
            entry["at"] = min(STEPS, entry["at"] + (now - entry["start"]) * self.steps_per_s)
            entry["start"] = now
            if entry["at"] >= STEPS:
                entry["state"] = "finished"
        return entry

    def runs(self) -> list[RunInfo]:
        return [self.status(run) for run in self.store]

    def status(self, run: str) -> RunInfo:
        entry = self._advance(run)
        step = int(entry["at"])
        return RunInfo(
            run_id=run,
            name=entry.get("name") or ("bundled e2e SAE" if entry.get("bundled") else ""),
            data="zdc_geant4",
            model="e2e_sae",
            seed=entry["seed"],
            state=entry["state"],
            bundled=bool(entry.get("bundled")),
            epoch=step // 20,
            epochs=STEPS // 20,
            step=step,
            steps=STEPS,
            samples_per_s=2400.0 if entry["state"] == "running" else None,
            eta_s=(STEPS - step) / self.steps_per_s if entry["state"] == "running" else None,
            queue_place=1 if entry["state"] == "queued" else None,
            error=entry.get("error", ""),
            seconds=step / self.steps_per_s,
            device="cpu",
            checkpoints=[Checkpoint(step=s, epoch=s // 20) for s in range(0, step + 1, 200)],
            parameters=412_345,
            provenance={"commit": "0000000", "command": "showerscope train", "label": LABEL},
        )

    def submit(self, spec: TrainSpec) -> str:
        if spec.model != "e2e_sae":
            raise NotFound(f"there is no model {spec.model}")
        run = f"run{len(self.store)}"
        self.store[run] = {"start": time.time(), "at": 0.0, "state": "running", "seed": spec.seed, "name": spec.name}
        return run

    def history(self, run: str, since: int = -1) -> History:
        last = self.status(run).step
        steps = np.arange(max(0, since + 1), last + 1)[:: max(1, last // 500)]
        noise = np.random.default_rng(1).normal(1, 0.04, STEPS + 1)[steps]
        curves = {
            "loss/total": (3 * np.exp(-steps / 300) + 0.6) * noise,
            "loss/reconstruction": (2 * np.exp(-steps / 250) + 0.4) * noise,
            "loss/sinkhorn": (0.9 * np.exp(-steps / 400) + 0.05) * noise,
        }
        series = {k: Series(step=steps.tolist(), value=v.tolist()) for k, v in curves.items()}
        coarse = steps[:: max(1, len(steps) // 12)]
        series["validation/reconstruction"] = Series(
            step=coarse.tolist(), value=(2 * np.exp(-coarse / 250) + 0.45).tolist()
        )
        series["latent/coverage"] = Series(step=coarse.tolist(), value=(1 - np.exp(-coarse / 300)).tolist())
        series["system/memory_mb"] = Series(step=coarse.tolist(), value=np.full(len(coarse), 310.0).tolist())
        return History(run_id=run, last_step=last, series=series)

    def _set(self, run: str, state: str) -> None:
        self._advance(run)
        self._entry(run).update(state=state, start=time.time())

    def cancel(self, run: str) -> None:
        self._set(run, "cancelled")

    def pause(self, run: str) -> None:
        self._set(run, "paused")

    def step(self, run: str) -> None:
        self._entry(run)["at"] += 1

    def resume(self, run: str) -> None:
        self._set(run, "running")

    def remove(self, run: str) -> None:
        del self.store[run]

    # ------------------------------------------------------------------------------------------------ generation
    def generate(self, request: GenerateRequest) -> Arrays:
        began = time.perf_counter()
        self._entry(request.run)
        if request.particle is not None:
            info = next(p for p in PARTICLES if p.pdg == request.particle.pdg)
            asked = np.array([request.particle.conditions(info.mass_mev, info.charge_e)])
            distance = self._near(request.particle)
            nearest = [np.argsort(distance)[:12]]
            ood = float(min(1.0, distance.min() / 2))
        elif request.conditions:
            asked, ood = np.array(request.conditions), 0.0
            nearest = [np.argsort(np.abs(self.conditions - row).sum(1))[:3] for row in asked]
        else:
            raise WrongInput("give a particle or condition rows")
        rng = np.random.default_rng(request.seed)
        pick = np.concatenate([pool[rng.integers(0, len(pool), request.n)] for pool in nearest])
        rows = np.repeat(asked, request.n, 0)
        expected = self.pictures[pick] * (rows[:, 0] / self.conditions[pick, 0])[:, None, None]
        if request.walk:
            expected = fake_generate.walked(expected, request.walk)
        light = rng.poisson(np.minimum(expected, 1e9)) if request.light == "poisson" else expected
        showers = light.astype(np.float32)
        impact = 10 * (rows[:, 1:3] + rows[:, 4:6] / np.abs(rows[:, 6:7]) * 11260)
        return Arrays(
            {
                **(fake_generate.moments(showers, len(asked)) if request.moments else {"showers": showers}),
                "conditions": rows,
                "channels": channel_sums(showers, request.convention),
                "impact_mm": impact.astype(np.float32),
            },
            {
                "ms": 1000 * (time.perf_counter() - began),
                "model": "e2e_sae",
                "data": "zdc_geant4",
                "label": LABEL,
                "convention": request.convention,
                "seed": request.seed,
                "ood": ood,
                "warnings": [],
                **({"directions": fake_generate.DIRECTIONS} if request.walk else {}),
            },
        )

    def scan(self, request: ScanRequest) -> Arrays:
        self._entry(request.run)
        info = next(p for p in PARTICLES if p.pdg == request.particle.pdg)
        return fake_generate.scan(self, request, info, channel_sums)

    def samples(self, run: str, step: int | None = None) -> Arrays:
        self._entry(run)
        rows = np.arange(0, 240, 30)
        showers = self.pictures[rows].astype(np.float32)
        rng = np.random.default_rng(3)
        return Arrays(
            {
                "simulated": showers,
                "reconstructed": rng.poisson(showers).astype(np.float32),
                "generated": self.pictures[rows + 2].astype(np.float32),
                "conditions": self.conditions[rows],
                "pdg": self.pdg[rows],
            }
        )

    def encode(self, run: str, data: str, rows: list[int], step: int | None = None) -> Arrays:
        self._entry(run)
        return Arrays({"latent": np.log1p(self.showers(data, rows)["showers"].reshape(len(rows), -1)[:, :20])})

    def decode(
        self,
        run: str,
        latent: list[list[float]],
        step: int | None = None,
        conditions: list[list[float]] | None = None,
    ) -> Arrays:
        self._entry(run)
        self.decoded = conditions
        rows = [int(abs(1000 * sum(code))) % len(self.pdg) for code in latent]
        return Arrays({"showers": self.pictures[rows].astype(np.float32)})

    def map(self, request: MapRequest) -> Arrays:
        """Codes of data and noise; the map is their first two coordinates. `faults`: words with which that of a run
        fails. `map_s`: how long one takes, but of the bundled model."""
        status = self.status(request.run)
        step = status.step if request.step is None else request.step
        asked = self.asked_maps.setdefault((request.run, request.model_dump_json()), time.time())
        progress = 1.0 if status.bundled or not self.map_s else min(1.0, (time.time() - asked) / self.map_s)
        meta = {
            "state": "done" if progress >= 1 else "running", "progress": progress, "step": step, "epoch": step // 20,
            "space": request.space or "latent", "eta_s": self.map_s * (1 - progress), "error": "",
        }  # fmt: skip
        if request.run in self.map_faults:
            return Arrays({}, meta | {"state": "failed", "error": self.map_faults[request.run]})
        key = request.model_dump_json(exclude={"perplexity"}) + str(step)
        if key not in self.maps:
            self.maps[key] = self._map(request, step)
        found = self.maps[key]
        if progress < 1:  # it spreads while it is computed
            found = {**found, "xy": (found["xy"] * (0.4 + 0.6 * progress)).astype(np.float32)}
        if not request.space or request.space == "latent":
            return Arrays(found, meta)
        return Arrays({k: v for k, v in found.items() if k != "latent"}, meta)

    def _map(self, request: MapRequest, step: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(request.seed)
        n, mix = request.n, 0.25 + 0.75 * min(1.0, step / STEPS)
        row = np.tile(rng.choice(len(self.pdg), n, replace=n > len(self.pdg)), 2)
        codes = features(self.conditions[row], self.pdg[row], self.impact_mm[row], self.sums[row])[:n]
        real, made = layers(codes, missed(self.pdg[row[:n]], self.conditions[row[:n], 0]), rng, mix)
        both, layer = np.concatenate([real, made]), (np.arange(2 * n) >= n).astype(np.int8)
        return {
            "xy": (10 * both[:, :2]).astype(np.float32), "layer": layer, "row": row,
            "conditions": self.conditions[row].astype(np.float32), "density": density(both, layer),
            "latent": both.astype(np.float32), "pdg": self.pdg[row],
            "energy": self.conditions[row, 0].astype(np.float32), "photon_sum": self.sums[row],
            "impact_mm": self.impact_mm[row].astype(np.float32),
        }  # fmt: skip

    def map_showers(self, request: MapRequest, points: list[int]) -> Arrays:
        found = self.map(request)
        number = np.array(points, np.int64)
        if not len(number) or number.min() < 0 or number.max() >= len(found["layer"]):
            raise WrongInput(f"points: 1 to 5000 numbers from 0 to {len(found['layer']) - 1} are needed")
        row, layer = found["row"][number], found["layer"][number]
        real = self.showers("zdc_geant4", row.tolist())
        made = real["showers"] * 1.1
        shown = np.where(layer[:, None, None] == 1, made, real["showers"]).astype(np.float32)
        return Arrays({"showers": shown, "conditions": real["conditions"], "row": row, "layer": layer})

    def cover(self, request: MapRequest) -> Coverage:
        """What a look at coverage finds."""
        found = self.map(request)
        about = {
            "species": found["pdg"], "energy": found["energy"], "photon sum": found["photon_sum"],
            "impact radius": np.hypot(*found["impact_mm"].T),
        }  # fmt: skip
        key = request.model_dump_json(exclude={"perplexity"}) + str(found.meta["step"])
        space, codes = found.meta["space"], self.maps[key]["latent"]
        return coverage(request.run, found.meta["step"], space, codes, found["layer"], about)

    def cloud(self, request: CloudRequest) -> Arrays:
        self._entry(request.run)
        raise WrongInput(f"{request.run} learned showers, whose manifold nobody knows: ask for a run of a toy set")

    def partition(self, request: PartitionRequest) -> Arrays:
        self._entry(request.run)
        raise WrongInput(f"{request.run} has no clusters: ask for an SC-GAN of a toy set")

    def judge(self, request: EvaluateRequest) -> tuple[Report, Arrays]:
        """What an evaluation leaves. `faults`: words with which that of a run fails."""
        self._entry(request.run)
        if request.run in self.faults:
            raise EngineError(self.faults[request.run])
        return judge(self, request)

    def evaluate(self, request: EvaluateRequest) -> Report:
        return self.judge(request)[0]

    def report(self, task_ids: list[str]) -> bytes:
        reports = [self.task(task_id).evaluation for task_id in task_ids]
        if any(report is None for report in reports):
            raise NotFound("an evaluation has not ended: wait for its end")
        return page_of([report for report in reports if report is not None])

    def benchmarks(self) -> list[Benchmark]:
        return list(self.records)

    def broken(self) -> list[BrokenGenerator]:
        read = {"value": 1.0, "error": 0.1, "unit": "photons", "floor": 1.0, "floor_error": 0.1, "caught": False}
        seen = {**read, "value": 9.0, "caught": True}
        rows = {"unbroken": read, "brighter": seen}
        return [
            BrokenGenerator(name=name, title=name, done=f"{name} showers", metrics={"mae": mae, "spread": read})
            for name, mae in rows.items()
        ]

    def export(self, request: GenerateRequest, format: FileFormat) -> bytes:
        return packed(self.generate(request), format)


def packed(made: Arrays, format: FileFormat) -> bytes:
    """Showers as a file; every format but csv is an npz here."""
    if format == "csv":
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([*CONDITIONS, "photon_sum"])
        for row, shower in zip(made["conditions"], made["showers"], strict=True):
            writer.writerow([*row.tolist(), float(shower.sum())])
        return text.getvalue().encode()
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **made.arrays)
    return file.getvalue()


class DownEngine:
    """An engine that is not there: every call raises `EngineDown`."""

    def __getattr__(self, name: str) -> Any:
        def raise_down(*args: Any, **kwargs: Any) -> Any:
            raise EngineDown("No engine answers at http://127.0.0.1:8511 (connection refused). Start `showerscope up`.")

        return raise_down

"""A fake engine that also has a set and a run of images and of points: small digits, and two arcs."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from fake import STEPS, FakeEngine
from fake_benchmarks import MNIST_METRICS
from fake_judged import other_metrics, report_of
from fake_latent import coverage, density

from engine.schema import (
    Arrays,
    Catalogue,
    ConditionInfo,
    Coverage,
    DataKind,
    DatasetInfo,
    EvaluateRequest,
    FileFormat,
    FormField,
    GenerateRequest,
    MapRequest,
    Particle,
    PrepareTask,
    Report,
    RunInfo,
    Task,
    TaskInfo,
    TrainSpec,
    WrongInput,
)

DIGITS, ARCS = "mnist", "toy_spirals"
DIGIT_RUN, ARC_RUN = "digits00", "arcs0000"
RUNS = {DIGIT_RUN: ("my digits", DIGITS), ARC_RUN: ("e2e_sae toy_spirals", ARCS)}
EACH = {DIGITS: 60, ARCS: 150}
FEW = "MNIST, 28×28 digits, only 600 of them (fake)"


@dataclass(frozen=True)
class Examples:
    """A set of classes, as the fake holds it; every fifth is of the validation split, every fifth of the test."""

    title: str
    label: str
    kind: DataKind
    column: str
    classes: list[str]
    examples: np.ndarray
    number: np.ndarray

    @property
    def split(self) -> np.ndarray:
        row = np.arange(len(self.number)) // len(self.classes)
        return np.where(row % 5 == 3, 1, np.where(row % 5 == 4, 2, 0)).astype(np.uint8)


def digits(rng: np.random.Generator) -> Examples:
    """Ten bars of different slope, which shall be digits."""
    number = np.arange(10 * EACH[DIGITS]) % 10
    i, j = np.indices((28, 28)) - 13.5
    angle = np.pi * number / 10 + rng.normal(0, 0.05, len(number))
    across = i * np.cos(angle)[:, None, None] + j * np.sin(angle)[:, None, None]
    ink = 255 * np.exp(-((across / 2) ** 2)) * (np.hypot(i, j) < 10)
    return Examples("MNIST", FEW, "images", "digit", list("0123456789"), ink.astype(np.uint8), number)


def arcs(rng: np.random.Generator) -> Examples:
    number = np.arange(2 * EACH[ARCS]) % 2
    angle = np.pi * (rng.uniform(size=len(number)) + number)
    xy = 2 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.05, (len(number), 2))
    return Examples("Two spirals", "Two spirals (fake)", "points", "piece", ["0", "1"], xy.astype(np.float32), number)


class KindsEngine(FakeEngine):
    """`FakeEngine` with digits and arcs. digits_ready: whether the digits are there, or made on first use."""

    def __init__(self, digits_ready: bool = True, **more: Any) -> None:
        super().__init__(**more)
        rng = np.random.default_rng(1)
        self.others = {DIGITS: digits(rng), ARCS: arcs(rng)}
        self.away = set() if digits_ready else {DIGITS}
        self.specs: list[TrainSpec] = []
        for run in RUNS:
            self.store[run] = {"start": 0.0, "at": STEPS, "state": "finished", "seed": 0}
        self.of_run = {run: data for run, (_, data) in RUNS.items()}

    def _of(self, run: str) -> Examples | None:
        return self.others.get(self.of_run.get(run, ""))

    # ----------------------------------------------------------------------------------------------------- facts
    def catalogue(self) -> Catalogue:
        book = super().catalogue()
        first = book.models[0]
        ours = FormField(name="photons", kind="bool", default=True, kinds=["showers"])
        model = first.model_copy(
            update={
                "fields": [*first.fields, ours],
                "presets": {"images": {"epochs": 30, "batch": 1000}, "points": {"epochs": 100}},
            }
        )
        return book.model_copy(update={"models": [model, *book.models[1:]]})

    def datasets(self) -> list[DatasetInfo]:
        found = super().datasets()
        for name, data in self.others.items():
            n = len(data.number)
            ready = name not in self.away
            column = ConditionInfo(
                name=data.column, unit="", minimum=0, maximum=len(data.classes) - 1, classes=data.classes,
                quantiles=np.quantile(data.number, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]).tolist(),
            )  # fmt: skip
            found.append(
                DatasetInfo(
                    name=name, title=data.title, label=data.label, detector="", kind=data.kind,
                    shape=data.examples.shape[1:], showers=n, primaries=n, pdg=[], provenance="Made up.",
                    splits={k: int((data.split == i).sum()) for i, k in enumerate(("train", "validation", "test"))},
                    conditions=[column] if ready else [], ready=ready, making="" if ready else "600 digits, a moment",
                    facts={"examples": f"{n}"} if ready else {},
                )
            )  # fmt: skip
        return found

    def columns(self, data: str, convention: str = "paper") -> Arrays:
        d = self.others.get(data)
        if d is None:
            return super().columns(data, convention)
        n = np.arange(len(d.number))
        return Arrays(
            {
                "conditions": d.number[:, None].astype(float), "pdg": 0 * n, "primary_id": n, "replica": 0 * n,
                "split": d.split,
            }
        )  # fmt: skip

    def showers(self, data: str, rows: list[int]) -> Arrays:
        d = self.others.get(data)
        if d is None:
            return super().showers(data, rows)
        if not 1 <= len(rows) <= 5000:
            raise WrongInput(f"{len(rows)} rows: ask for 1 to 5000 showers")
        index = np.array(rows, np.int64)
        conditions = d.number[index, None].astype(float)
        return Arrays({"showers": d.examples[index].astype(np.float32), "conditions": conditions, "row": index})

    def nearest(self, data: str, particle: Particle, k: int = 8) -> Arrays:
        if data in self.others:
            raise WrongInput(f"{data} holds {self.others[data].kind}, which have no particles")
        return super().nearest(data, particle, k)

    def save_rows(self, data: str, rows: list[int], format: FileFormat) -> bytes:
        return packed(self.showers(data, rows)) if data in self.others else super().save_rows(data, rows, format)

    def start_task(self, task: Task) -> TaskInfo:
        if isinstance(task, PrepareTask) and task.data in self.away:
            self.away.discard(task.data)
            return super().start_task(PrepareTask(data="zdc_fast"))
        return super().start_task(task)

    # ------------------------------------------------------------------------------------------------------ runs
    def status(self, run: str) -> RunInfo:
        info = super().status(run)
        name, _ = RUNS.get(run, (info.name, ""))
        return info.model_copy(update={"name": name, "data": self.of_run.get(run, info.data)})

    def submit(self, spec: TrainSpec) -> str:
        run = super().submit(spec)
        self.specs.append(spec)
        self.of_run[run] = spec.data
        return run

    # ------------------------------------------------------------------------------------------------ generation
    def generate(self, request: GenerateRequest) -> Arrays:
        d = self._of(request.run)
        if d is None:
            return super().generate(request)
        if request.particle is not None or not request.conditions:
            raise WrongInput(f"{request.run} is a model of {d.kind}, which have no particles: give condition rows")
        began, rng = time.perf_counter(), np.random.default_rng(request.seed)
        numbers = np.repeat(np.array(request.conditions)[:, 0], request.n).astype(int)
        if not set(numbers.tolist()) <= set(range(len(d.classes))):
            raise WrongInput(f"row 1, {d.column}: a whole number from 0 to {len(d.classes) - 1} is needed")
        made = d.examples[self._some(d, numbers, rng)].astype(np.float32)
        made = made + rng.normal(0, 0.1 if d.kind == "points" else 12, made.shape).astype(np.float32)
        made = made if d.kind == "points" else np.clip(made, 0, 255)
        meta = {
            "ms": 1000 * (time.perf_counter() - began), "kind": d.kind, "columns": [d.column], "seed": request.seed,
            "data": self.of_run[request.run], "label": d.label, "ood": 0.0, "warnings": [],
        }  # fmt: skip
        return Arrays({"showers": made, "conditions": numbers[:, None].astype(float)}, meta)

    def _some(self, d: Examples, numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A row of each of these classes."""
        count = len(d.classes)
        return numbers + count * rng.integers(0, len(d.number) // count, len(numbers))

    def samples(self, run: str, step: int | None = None) -> Arrays:
        d = self._of(run)
        if d is None:
            return super().samples(run, step)
        rows = np.arange(10) if d.kind == "images" else np.arange(100)
        real = d.examples[rows].astype(np.float32)
        both = {"simulated": real, "reconstructed": 0.9 * real, "generated": real[::-1]}
        return Arrays({**both, "conditions": d.number[rows, None].astype(float)})

    def decode(
        self,
        run: str,
        latent: list[list[float]],
        step: int | None = None,
        conditions: list[list[float]] | None = None,
    ) -> Arrays:
        d = self._of(run)
        if d is None:
            return super().decode(run, latent, step)
        assert conditions is not None, "a decoder may see the class"
        numbers = np.array(conditions)[:, 0].astype(int)
        return Arrays({"showers": d.examples[numbers].astype(np.float32)})

    def map(self, request: MapRequest) -> Arrays:
        d = self._of(request.run)
        if d is None:
            return super().map(request)
        rng = np.random.default_rng(request.seed)
        n = request.n
        row = np.tile(rng.integers(0, len(d.number), n), 2)
        angle = 2 * np.pi * d.number[row] / len(d.classes)
        codes = np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.1, (2 * n, 2))
        layer = (np.arange(2 * n) >= n).astype(np.int8)
        space = request.space or "latent"
        return Arrays(
            {
                "xy": (10 * codes).astype(np.float32), "layer": layer, "row": row, "density": density(codes, layer),
                "conditions": d.number[row, None].astype(np.float32),
                **({"latent": np.tile(codes, 2).astype(np.float32)} if space == "latent" else {}),
            },
            {
                "state": "done", "progress": 1.0, "step": STEPS, "epoch": 60, "eta_s": 0.0, "error": "",
                "space": space,
            },
        )  # fmt: skip

    def map_showers(self, request: MapRequest, points: list[int]) -> Arrays:
        d = self._of(request.run)
        if d is None:
            return super().map_showers(request, points)
        found, number = self.map(request), np.array(points, np.int64)
        row = found["row"][number]
        shown = d.examples[row].astype(np.float32)
        conditions = d.number[row, None].astype(float)
        return Arrays({"showers": shown, "conditions": conditions, "row": row, "layer": found["layer"][number]})

    def cover(self, request: MapRequest) -> Coverage:
        if self._of(request.run) is None:
            return super().cover(request)
        found = self.map(request)
        codes = np.asarray(found["xy"], float) / 10
        about = {"class": np.asarray(found["conditions"])[:, 0]}
        return coverage(request.run, STEPS, found.meta["space"], codes, found["layer"], about)

    def judge(self, request: EvaluateRequest) -> tuple[Report, Arrays]:
        d = self._of(request.run)
        if d is None:
            return super().judge(request)
        row = np.flatnonzero(d.split == 2)
        known = {m.name: m.direction for m in MNIST_METRICS} if d.kind == "images" else {}
        metrics = other_metrics(request.run, known)
        report = report_of(self, request, metrics, len(row), 1, [], d.label)
        return report, Arrays({"primary_id": row, "row": row, "conditions": d.number[row, None].astype(float)})

    def export(self, request: GenerateRequest, format: FileFormat) -> bytes:
        return packed(self.generate(request)) if self._of(request.run) else super().export(request, format)


def packed(made: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **made.arrays)
    return file.getvalue()

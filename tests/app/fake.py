"""A small engine for the app's tests: the `Engine` protocol with numpy only, on the real Geant4 showers.

`FakeEngine` answers at once; `FakeEngine(empty=True)` has no run; `DownEngine` raises `EngineDown` from everything.
Its "trained model" returns simulated showers near the asked conditions, scaled to the asked energy.
"""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.schema import (
    CONDITIONS,
    UNITS,
    Arrays,
    Catalogue,
    Checkpoint,
    ConditionInfo,
    Convention,
    DatasetInfo,
    DetectorInfo,
    EngineDown,
    EvaluateRequest,
    FormField,
    GenerateRequest,
    Health,
    History,
    MapRequest,
    MetricInfo,
    MetricValue,
    ModelInfo,
    NotFound,
    Particle,
    ParticleInfo,
    PublishedRow,
    Report,
    RunInfo,
    Series,
    TrainSpec,
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
BUNDLED = "bundled:e2e_sae"
STEPS = 1200


def channel_map(name: str) -> list[list[int]]:
    i, j = np.indices((44, 44))
    quadrant = 2 * (i >= 22) + (j >= 22)
    if name == "o2":
        return np.where((i + j) % 2 == 0, 0, 1 + (i >= 22) + 2 * (j >= 22)).tolist()
    if name == "moe":
        return np.where((i + j) % 2 == 0, 4, (quadrant + 2) % 4).tolist()
    return np.where((i + j) % 2 == 1, 4, quadrant).tolist()


def channel_sums(showers: np.ndarray, convention: str) -> np.ndarray:
    channel = np.array(channel_map(convention)).ravel()
    onehot = (channel[:, None] == np.arange(5)).astype(np.float32)
    return showers.reshape(len(showers), -1).astype(np.float32) @ onehot


class FakeEngine:
    """Everything that the app can ask, from one file. `runs_per_s` is how fast a submitted training advances."""

    def __init__(self, empty: bool = False, steps_per_s: float = 120.0) -> None:
        with np.load(FILE, allow_pickle=False) as file:
            self.pictures = file["showers"]
            self.conditions = file["conditions"]
            self.pdg = file["pdg"]
            self.primary_id = file["primary_id"]
            self.replica = file["replica"]
            self.impact_mm = file["impact_cm"] * 10
        self.sums = self.pictures.reshape(len(self.pictures), -1).sum(1).astype(np.float32)
        self.steps_per_s = steps_per_s
        self.calls: list[str] = []
        self.asked_maps: dict[tuple[str, int | None], float] = {}
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
                )
            ],
            metrics=[
                MetricInfo(
                    name="mae", title="Channel MAE", unit="photons", direction="lower",
                    formula="mean over particles and channels of |ch_sim − ch_gen|", source="arXiv 2006.06704",
                ),
                MetricInfo(
                    name="wasserstein", title="Channel Wasserstein", unit="photons", direction="lower",
                    formula="W₁ per channel between the two distributions, averaged", source="arXiv 2006.06704",
                ),
                MetricInfo(
                    name="spread", title="Spread of replicas", unit="", direction="one",
                    formula="σ of generated replicas / σ of simulated replicas",
                ),
            ],
            detectors=[
                DetectorInfo(
                    name="zn", title="ZN, neutron calorimeter", shape=(44, 44), pitch_mm=1.6, z_cm=11260,
                    conventions=conventions,
                )
            ],
            particles=PARTICLES,
            published=[
                PublishedRow(model="cond VAE", mae=23.13, mae_std=65.53, wasserstein=14.92, source="arXiv 2006.06704"),
                PublishedRow(model="cond e2e SAE", mae=13.5, mae_std=29.8, wasserstein=7.91, source="arXiv 2006.06704"),
            ],
            versions={"showerscope": "0.1.0", "numpy": np.__version__},
        )  # fmt: skip

    def datasets(self) -> list[DatasetInfo]:
        quantiles = np.quantile(self.conditions, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99], axis=0)
        return [
            DatasetInfo(
                name="zdc_geant4",
                title="ZN, Geant4",
                label=LABEL,
                detector="zn",
                shape=(44, 44),
                showers=len(self.pdg),
                primaries=int(self.primary_id.max()) + 1,
                splits={"train": 2550, "validation": 546, "test": 546},
                pdg=[22, 2112, 130, -2112],
                conditions=[
                    ConditionInfo(
                        name=name, unit=UNITS[k], minimum=self.conditions[:, k].min(),
                        maximum=self.conditions[:, k].max(), quantiles=quantiles[:, k].tolist(),
                    )
                    for k, name in enumerate(CONDITIONS)
                ],
                provenance="Simulated with Geant4 11.4.1 (FTFP_BERT); absolute light ±25 %.",
                facts={"mean pixel": "0.213 photons", "empty showers": "2.6 %"},
            )
        ]  # fmt: skip

    def _data(self, data: str) -> None:
        if data != "zdc_geant4":
            raise NotFound(f"there is no data set {data}: choose zdc_geant4")

    def columns(self, data: str, convention: str = "paper") -> Arrays:
        self._data(data)
        if convention not in ("paper", "moe", "o2"):
            raise NotFound(f"there is no convention {convention}")
        return Arrays(
            {
                "conditions": self.conditions,
                "pdg": self.pdg,
                "primary_id": self.primary_id,
                "replica": self.replica,
                "split": (self.primary_id % 5 >= 3).astype(np.int8) + (self.primary_id % 5 == 4).astype(np.int8),
                "photon_sum": self.sums,
                "channels": channel_sums(self.pictures, convention),
                "impact_mm": self.impact_mm.astype(np.float32),
                "largest_pixel": self.pictures.reshape(len(self.pdg), -1).max(1).astype(np.float32),
            }
        )

    def showers(self, data: str, rows: list[int]) -> Arrays:
        self._data(data)
        if rows and not 0 <= min(rows) <= max(rows) < len(self.pdg):
            raise WrongInput(f"rows must be between 0 and {len(self.pdg) - 1}")
        index = np.array(rows, dtype=np.int64)
        return Arrays(
            {
                "showers": self.pictures[index].astype(np.float32),
                "conditions": self.conditions[index],
                "pdg": self.pdg[index],
                "row": index,
            }
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
        light = rng.poisson(expected) if request.light == "poisson" else expected
        showers = light.astype(np.float32)
        impact = 10 * (rows[:, 1:3] + rows[:, 4:6] / np.abs(rows[:, 6:7]) * 11260)
        return Arrays(
            {
                "showers": showers,
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
            },
        )

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

    def decode(self, run: str, latent: list[list[float]], step: int | None = None) -> Arrays:
        self._entry(run)
        rows = [int(abs(1000 * sum(code))) % len(self.pdg) for code in latent]
        return Arrays({"showers": self.pictures[rows].astype(np.float32)})

    def map(self, request: MapRequest) -> Arrays:
        status = self.status(request.run)
        step = status.step if request.step is None else request.step
        asked = self.asked_maps.setdefault((request.run, request.step), time.time())
        progress = 1.0 if status.bundled else min(1.0, (time.time() - asked) / 1.5)
        rng = np.random.default_rng(request.seed)
        n, mix = request.n, 0.25 + 0.75 * min(1.0, step / STEPS)
        row = rng.integers(0, len(self.pdg), 2 * n)
        angle = np.log(self.conditions[row, 0]) * 2.1 + (self.pdg[row] == 22) * 2.0
        data = np.stack([np.cos(angle), np.sin(angle)], 1) * (3 + self.impact_mm[row, :1] / 12)
        start = rng.normal(0, 1, (2 * n, 2))
        noise = (np.arange(2 * n) >= n)[:, None]
        xy = np.where(noise, mix * data + (1 - mix) * start, data) + rng.normal(0, 0.25, (2 * n, 2))
        meta = {
            "state": "done" if progress >= 1 else "running",
            "progress": progress,
            "step": step,
            "epoch": step // 20,
            "eta_s": 1.5 * (1 - progress),
            "error": "",
        }
        return Arrays(
            {
                "xy": (10 * xy).astype(np.float32),
                "layer": noise[:, 0].astype(np.int8),
                "row": row,
                "latent": rng.normal(0, 1, (2 * n, 20)).astype(np.float32),
                "pdg": self.pdg[row],
                "energy": self.conditions[row, 0].astype(np.float32),
                "photon_sum": self.sums[row],
            },
            meta,
        )

    def evaluate(self, request: EvaluateRequest) -> Report:
        self._entry(request.run)
        return Report(
            run_id=request.run,
            data="zdc_geant4",
            label=LABEL,
            split=request.split,
            convention=request.convention,
            showers=546,
            primaries=182,
            seconds=0.1,
            metrics={"mae": MetricValue(value=19.4, error=0.6, unit="photons", floor=12.1, floor_error=0.3)},
        )

    def export(self, request: GenerateRequest, format: Literal["npz", "parquet", "root", "csv"]) -> bytes:
        made = self.generate(request)
        if format == "csv":
            text = io.StringIO()
            writer = csv.writer(text)
            writer.writerow([*CONDITIONS, "photon_sum"])
            for row, shower in zip(made["conditions"], made["showers"], strict=True):
                writer.writerow([*row.tolist(), float(shower.sum())])
            return text.getvalue().encode()
        file = io.BytesIO()
        np.savez_compressed(file, **made.arrays)
        return file.getvalue()


class DownEngine:
    """An engine that is not there: every call raises `EngineDown`."""

    def __getattr__(self, name: str) -> Any:
        def raise_down(*args: Any, **kwargs: Any) -> Any:
            raise EngineDown("No engine answers at http://127.0.0.1:8511 (connection refused). Start `showerscope up`.")

        return raise_down

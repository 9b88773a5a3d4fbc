"""A fake engine that trains models of the six toy sets within seconds: its clouds are exact points, blurred while it
learns and with some of them moved into the gaps, as many as such a model leaves there."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fake import FakeEngine
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from engine.datasets.toys import SETS, Toy
from engine.schema import (
    Arrays,
    Benchmark,
    BenchmarkRow,
    Catalogue,
    Checkpoint,
    CloudRequest,
    DatasetInfo,
    FormField,
    Health,
    MetricValue,
    ModelInfo,
    NotFound,
    PartitionRequest,
    PublishedRow,
    RunInfo,
    TrainSpec,
    WrongInput,
)

PUBLISHED = Path(__file__).parents[2] / "assets" / "reference" / "published_toys.json"
TITLES = {
    "gan": "Generative adversarial network", "wgan": "Wasserstein GAN", "sc_gan": "SC-GAN",
    "wgan_gp": "Wasserstein GAN, gradient penalty", "flow_matching": "Flow matching",
    "e2e_sae": "End-to-end Sinkhorn autoencoder",
}  # fmt: skip
BRIDGED = {
    "gan": 0.35, "wgan": 0.45, "wgan_gp": 0.12, "flow_matching": 0.04, "e2e_sae": 0.28, "single": 0.4,
    "centres": 0.1, "mapping": 0.01, "real": 0.0,
}  # fmt: skip
"""Share of a trained model's points that lie between pieces."""
TRAINED_K, STEPS_EACH = 64, 40


class ManifoldsEngine(FakeEngine):
    """`FakeEngine` with toy sets, one training at a time. train_s: how long one takes. allowed: whether it trains."""

    def __init__(self, train_s: float = 3.0, allowed: bool = True, **more: Any) -> None:
        super().__init__(**more)
        self.train_s, self.allowed = train_s, allowed
        self.records += [] if more.get("empty") else [record("toy_eight_gaussians")]
        self.toys: dict[str, dict[str, Any]] = {}
        self.asked: list[CloudRequest | PartitionRequest] = []
        self.specs: list[TrainSpec] = []

    # ----------------------------------------------------------------------------------------------------- facts
    def health(self) -> Health:
        return super().health().model_copy(update={"training_allowed": self.allowed})

    def catalogue(self) -> Catalogue:
        book = super().catalogue()
        clusters = FormField(name="clusters", kind="int", default=16, minimum=1, maximum=256, help="K.")
        models = [
            ModelInfo(
                name=name, title=title, summary=title, fields=[clusters] if name == "sc_gan" else [],
                has_latent=name in ("sc_gan", "e2e_sae"), presets={"points": {"clusters": TRAINED_K}},
            )
            for name, title in TITLES.items()
            if name != "e2e_sae"
        ]  # fmt: skip
        table = json.loads(PUBLISHED.read_text(encoding="utf-8"))
        rows = [
            PublishedRow(
                model=row["model"], bench=row["bench"], source=table["source"],
                others={"reconstruction": row["reconstruction"]},
            )
            for row in table["rows"]
        ]  # fmt: skip
        return book.model_copy(
            update={"models": [*book.models, *models], "published": [*book.published, *rows]}
        )  # fmt: skip

    def datasets(self) -> list[DatasetInfo]:
        toys = [
            DatasetInfo(
                name=toy.name, title=toy.title, label=toy.title, detector="", shape=(2,), showers=20_000,
                primaries=20_000, splits={"train": 14_000, "validation": 3000, "test": 3000}, pdg=[], conditions=[],
                provenance=toy.provenance, kind="points",
            )
            for toy in SETS.values()
        ]  # fmt: skip
        return [*super().datasets(), *toys]

    def showers(self, data: str, rows: list[int]) -> Arrays:
        if data not in SETS:
            return super().showers(data, rows)
        return Arrays({"showers": exact(data, 20_000, 2112)[rows].astype(np.float32)})

    # ------------------------------------------------------------------------------------------------------ runs
    def submit(self, spec: TrainSpec) -> str:
        if spec.data not in SETS:
            return super().submit(spec)
        if not self.allowed:
            raise WrongInput("this engine does not train: start it without --no-train")
        self.specs.append(spec)
        run = f"toy{len(self.toys):05d}"
        self.toys[run] = {"spec": spec, "state": "queued", "share": 0.0, "at": 0.0, "created": time.time(), "error": ""}
        self._march()
        return run

    def train(self, model: str, data: str, share: float = 1.0, **config: float | int | bool | str) -> str:
        """A run that stands at this share of its training; one that is at 1 has ended."""
        spec = TrainSpec(data=data, model=model, config={"conditional": False, "epochs": 20, **config})
        run = f"toy{len(self.toys):05d}"
        state = "finished" if share >= 1 else "cancelled"
        self.toys[run] = {
            "spec": spec, "state": state, "share": share, "at": 0.0, "created": time.time() + len(self.toys),
            "error": "",
        }  # fmt: skip
        return run

    def _march(self) -> None:
        """Let the running training go on, and the next one begin when it ends."""
        now = time.time()
        for entry in self.toys.values():
            if entry["state"] == "queued":
                entry.update(state="running", at=now)
            if entry["state"] == "running":
                entry["share"] = min(1.0, (now - entry["at"]) / self.train_s) if self.train_s > 0 else 1.0
                if entry["share"] < 1:
                    return
                entry["state"] = "finished"

    def runs(self) -> list[RunInfo]:
        return [*super().runs(), *(self.status(run) for run in self.toys)]

    def status(self, run: str) -> RunInfo:
        if run not in self.toys:
            return super().status(run)
        self._march()
        entry = self.toys[run]
        spec: TrainSpec = entry["spec"]
        epochs = int(spec.config.get("epochs", 100))
        steps, running = epochs * STEPS_EACH, entry["state"] == "running"
        waiting = [r for r, e in self.toys.items() if e["state"] == "queued"]
        step = int(entry["share"] * steps)
        every = int(spec.config.get("checkpoint_epochs", 1))
        done = range(every, step // STEPS_EACH + 1, every)
        clusters = {"clusters": TRAINED_K} if spec.model == "sc_gan" else {}
        return RunInfo(
            run_id=run, name=spec.name or f"{spec.model} {spec.data}", data=spec.data, model=spec.model,
            config={"encoder_share": 0.3, "mapping_share": 0.3} | clusters | spec.config, seed=spec.seed,
            state=entry["state"], epoch=step // STEPS_EACH, epochs=epochs, step=step, steps=steps,
            eta_s=self.train_s * (1 - entry["share"]) if running else None, created=entry["created"],
            queue_place=waiting.index(run) + 1 if run in waiting else None, error=entry["error"], device="cpu",
            checkpoints=[Checkpoint(step=e * STEPS_EACH, epoch=e) for e in done],
        )  # fmt: skip

    def cancel(self, run: str) -> None:
        if run not in self.toys:
            super().cancel(run)
        else:
            self.toys[run]["state"] = "cancelled"

    # ------------------------------------------------------------------------------------------- what the page asks
    def _checked(self, request: CloudRequest | PartitionRequest) -> tuple[Toy, RunInfo, int]:
        self.asked.append(request)
        if request.run not in self.toys:
            raise NotFound(f"there is no run {request.run} of points: train one")
        info = self.status(request.run)
        step = info.checkpoints[-1].step if request.step is None else request.step
        if step not in [c.step for c in info.checkpoints]:
            raise NotFound(f"run {request.run} has no checkpoint at step {step}")
        return SETS[info.data], info, step

    def cloud(self, request: CloudRequest) -> Arrays:
        toy, info, step = self._checked(request)
        codes = info.model == "sc_gan" or (info.model == "e2e_sae" and request.latents == "real")
        if request.latents != "own" and not codes:
            raise WrongInput(f"{info.model} has no latents {request.latents!r}: ask for own")
        trained = int(info.config.get("clusters", 0))
        if request.latents == "mapping" and request.clusters not in (None, trained):
            raise WrongInput(f"the mapping networks were trained for {trained} clusters: train again for another K")
        kind = request.latents if request.latents != "own" else "mapping" if info.model == "sc_gan" else info.model
        gone, share = BRIDGED[kind], step / info.steps
        if kind == "centres":
            gone *= (trained / (request.clusters or trained)) ** 0.5
        n, rng = request.n, np.random.default_rng([request.seed, len(kind)])
        ends = exact(toy.name, 2 * n, 10_000 + request.seed).reshape(2, n, 2)
        mix = np.where(rng.uniform(size=n) < gone if toy.gaps else np.zeros(n, bool), rng.uniform(0.2, 0.8, n), 0)
        blur = 1.2 * (1 - share) + 0.02 + (0.0 if toy.gaps else 0.3 * gone)
        points = ends[0] + mix[:, None] * (ends[1] - ends[0]) + blur * rng.standard_normal((n, 2))
        distance, off = toy.distance(points), toy.off(points)
        target = exact(toy.name, n, 20_000 + request.seed)
        floor, spread = floor_of(toy.name, n)
        return Arrays(
            {"points": points.astype(np.float32), "distance": distance, "off": off, "target": target},
            {
                "w1": w1(points, target), "w1_floor": floor, "w1_floor_spread": spread, "off": float(off.mean()),
                "off_error": float(np.sqrt(off.mean() * (1 - off.mean()) / n)), "off_floor": 0.001,
                "reach": toy.reach, "gaps": toy.gaps, "clusters": request.clusters or trained, "model": info.model,
                "latents": request.latents, "data": info.data, "label": toy.title, "step": step,
                "epoch": step // STEPS_EACH, "seed": request.seed, "ms": 1.0,
            },
        )  # fmt: skip

    def partition(self, request: PartitionRequest) -> Arrays:
        toy, info, step = self._checked(request)
        if info.model != "sc_gan":
            raise WrongInput(f"{info.model} has no clusters: ask SC-GAN")
        trained = int(info.config["clusters"])
        clusters = request.clusters or trained
        centres = exact(toy.name, clusters, 7)
        x, y = (
            low + (np.arange(request.side) + 0.5) * (high - low) / request.side for low, high in (request.x, request.y)
        )
        plane = np.stack(np.meshgrid(x, y), axis=-1)
        tree = KDTree(centres)
        count = np.bincount(tree.query(exact(toy.name, 4096, 8))[1], minlength=clusters)
        return Arrays(
            {"cluster": tree.query(plane)[1].astype(np.int32), "count": count},
            {"clusters": clusters, "trained": trained, "step": step, "epoch": step // STEPS_EACH},
        )


@cache
def exact(name: str, n: int, seed: int) -> np.ndarray:
    return SETS[name].sample(n, seed)[0]


def w1(points: np.ndarray, target: np.ndarray) -> float:
    """Exact: by the best assignment."""
    apart = cdist(points, target)
    return float(apart[linear_sum_assignment(apart)].mean())


@cache
def floor_of(name: str, n: int) -> tuple[float, float]:
    found = [w1(exact(name, n, 30_000 + k), exact(name, n, 40_000 + k)) for k in range(4)]
    return float(np.mean(found)), float(np.std(found, ddof=1))


def record(data: str, quick: bool = False) -> Benchmark:
    """A record of one set as `showerscope bench toys` leaves it, with round numbers."""

    def value(v: float, error: float, floor: float | None = None) -> MetricValue:
        return MetricValue(value=v, error=error, unit="", floor=floor, floor_error=None if floor is None else error / 2)

    rows = [
        BenchmarkRow(
            title=f"SC-GAN, {title}", model="sc_gan", config={"latents": mode}, published=title, seeds=[0, 1, 2],
            metrics={
                "reconstruction": value(0.0035, 0.0004), "w1": value(w, 0.006, 0.113),
                "off_manifold": value(off, 0.004, 0.001),
            },
        )
        for mode, title, w, off in (
            ("single", "single Gaussian", 0.4145, 0.4758), ("centres", "noisy cluster centres", 0.1971, 0.3997),
            ("mapping", "mapping network", 0.1159, 0.0503), ("real", "real data", 0.1144, 0.011),
        )
    ]  # fmt: skip
    own = BenchmarkRow(
        title="e2e SAE", model="e2e_sae", config={"conditional": False}, seeds=[0, 1, 2],
        metrics={"w1": value(0.21, 0.006, 0.113), "off_manifold": value(0.283, 0.01, 0.001)},
    )  # fmt: skip
    return Benchmark(
        name=f"toys/{data}", bench=data, title=f"SC-GAN's Table 1, {SETS[data].title.lower()}", data=data,
        seeds=[0, 1, 2], quick=quick, commit="64d4d347e51b", command="showerscope bench toys", house=True,
        rows=[*rows, own],
    )  # fmt: skip

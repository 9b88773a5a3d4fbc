"""Generation speed: the bundled model from condition rows to photons, by batch, through torch and ONNX Runtime, beside
Geant4 simulating the same particles.

At batch 1 all is on one core and in its own time; larger batches take all cores, by the clock on the wall.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.bench import figures
from engine.bench.bundled import default
from engine.bench.figures import figure
from engine.datasets import base as datasets
from engine.geant4 import simulation
from engine.models import base as models
from engine.models.e2e_sae import E2ESAE
from engine.schema import EngineError
from engine.threads import one_thread

BATCHES = (1, 100, 10_000)
INPUTS = ("noise", "conditions")
PARTICLES = 60
"""Simulated with Geant4 where it is installed."""


def run(quick: bool = False) -> dict[str, Any]:
    """Milliseconds and showers per second by batch; the speed-up over Geant4 with its error. `quick`: fewer repetitions
    and particles."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, meta = models.load(default(), device)
    assert isinstance(model, E2ESAE)
    data = datasets.load(meta["data"])
    rows = data.rows("test")
    conditions = torch.from_numpy(data.conditions[rows].astype(np.float32))
    repetitions = 20 if quick else 200
    found = [single(model.cpu(), conditions, repetitions), *exported(model.cpu(), conditions, repetitions)]
    model = model.to(device)
    batches = BATCHES if device == "cuda" else BATCHES[1:]
    found += [many(model, conditions, batch, device, repetitions // 10) for batch in batches]
    threads = torch.get_num_threads()
    found += simulated(model.cpu(), data, rows, 12 if quick else PARTICLES)
    return figures.record("generate", found, threads=threads, parameters=sum(p.numel() for p in model.parameters()))


def single(model: E2ESAE, conditions: Tensor, repetitions: int) -> dict[str, Any]:
    """A shower at a time with torch, conditions to photons."""
    (seconds, quartiles), operations = alone(model, conditions, repetitions), multiplications(model, conditions[:1])
    return figure(
        "torch: a shower at batch 1 on one core", 1000 * seconds, "ms", most=2.0,
        quartiles=[1000 * q for q in quartiles], multiplications=operations,
    )  # fmt: skip


def alone(model: E2ESAE, conditions: Tensor, repetitions: int) -> tuple[float, tuple[float, float]]:
    """Seconds of one core for one shower."""
    rng = torch.Generator().manual_seed(0)
    row = iter(torch.arange(repetitions + 1) % len(conditions))

    def shower() -> None:
        with torch.inference_mode():
            model.sample(conditions[next(row)][None], rng)

    return on_one_core(shower, repetitions)


def on_one_core(work: figures.Work, repetitions: int) -> tuple[float, tuple[float, float]]:
    with one_thread():
        return figures.middle(figures.times(work, repetitions, figures.own_time))


def multiplications(model: E2ESAE, conditions: Tensor) -> int:
    """Of the matrix products of a shower: what it cannot be done without."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counted, torch.no_grad():
        model.decode(model.prior(conditions, torch.Generator().manual_seed(0)), conditions)
    return counted.get_total_flops() // 2


def many(model: E2ESAE, conditions: Tensor, batch: int, device: str, repetitions: int) -> dict[str, Any]:
    """Showers per second in batches, conditions to photons."""
    rows = torch.arange(batch) % len(conditions)
    rng, asked = torch.Generator(device).manual_seed(0), conditions[rows].to(device)

    def showers() -> None:
        with torch.inference_mode():
            model.sample(asked, rng)

    seconds, (low, high) = figures.middle(figures.times(showers, max(4, repetitions)))
    least = {"cpu": 5_000.0, "cuda": 2_000_000.0}[device] if batch == BATCHES[-1] else None
    return figure(
        f"torch: showers per second at batch {batch:,}", batch / seconds, "1/s", least=least,
        quartiles=[batch / high, batch / low], ms_per_shower=1000 * seconds / batch,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- ONNX
class Graph(nn.Module):
    """Expected photons (N, H, W) of noise and conditions: the part of generation that draws nothing."""

    def __init__(self, model: E2ESAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, noise: Tensor, conditions: Tensor) -> Tensor:
        return self.model.decode(self.model.carry(noise, conditions), conditions)


def exported(model: E2ESAE, conditions: Tensor, repetitions: int) -> list[dict[str, Any]]:
    """A shower at a time, noise and conditions to expected light, with torch and with ONNX Runtime; nothing where that
    is not installed."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - what torch exports with
    except ImportError:
        print("ONNX Runtime is left out: pip install 'showerscope[speed]'", file=sys.stderr)
        return []
    graph, noise, one = Graph(model).eval(), torch.randn(1, model.noise_width), conditions[:1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it names what else is not installed
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about itself
            torch.onnx.export(graph, (noise, one), path, input_names=list(INPUTS), dynamo=True, verbose=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = dict(zip(INPUTS, (noise.numpy(), one.numpy()), strict=True))

    def with_torch() -> NDArray:
        with torch.inference_mode():
            return graph(noise, one).numpy()

    def with_onnx() -> NDArray:
        return np.asarray(session.run(None, given)[0])

    apart = float(np.abs(with_onnx() - with_torch()).max() / with_torch().max())
    found = []
    works: dict[str, Callable[[], NDArray]] = {"torch": with_torch, "ONNX Runtime": with_onnx}
    for name, work in works.items():
        seconds, quartiles = on_one_core(work, repetitions)
        found.append(
            figure(
                f"{name}: expected light at batch 1 on one core", 1000 * seconds, "ms", most=2.0,
                quartiles=[1000 * q for q in quartiles], apart=apart,
            )
        )  # fmt: skip
    return found


# -------------------------------------------------------------------------------------------------------------- Geant4
def simulated(model: E2ESAE, data: Any, rows: NDArray[np.int64], particles: int) -> list[dict[str, Any]]:
    """Times as fast as Geant4 at the same particles, one core each: mean over primaries with its standard error;
    nothing where Geant4 is not installed."""
    conditions = torch.from_numpy(data.conditions[rows].astype(np.float32))
    own, _ = alone(model, conditions, 100)
    several = conditions[torch.arange(1000) % len(conditions)]
    rng = torch.Generator().manual_seed(0)

    def thousand() -> None:
        with torch.inference_mode():
            model.sample(several, rng)

    batched, _ = on_one_core(thousand, 5)
    _, first = np.unique(data.primary_id[rows], return_index=True)
    chosen = rows[first[:: max(1, len(first) // particles)][:particles]]
    try:
        live = simulation.simulate(data.conditions[chosen], data.pdg[chosen], time_limit_s=3600)
    except EngineError as error:
        print(f"Geant4 is left out: {error}", file=sys.stderr)
        return []
    mean = float(live.cpu_seconds.mean())
    error = float(live.cpu_seconds.std(ddof=1) / np.sqrt(len(chosen)))
    shown = {"geant4_ms": 1000 * mean, "geant4_error_ms": 1000 * error, "showers": len(chosen), "geant4": live.label}
    return [
        figure(f"times as fast as Geant4, {name}", mean / one, "", error=error / one, ms_per_shower=1000 * one, **shown)
        for name, one in (("a shower at a time", own), ("a thousand at a time", batched / 1000))
    ]

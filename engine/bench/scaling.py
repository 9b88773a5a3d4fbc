"""How time grows with size: exponents of a training step against its batch, of maps against points, of imports against
rows; 1 is linear, 2 quadratic. And what transport in blocks saves of a step, and what it costs.

Everything runs on one thread and is measured in its own time, on a GPU in time of the wall. Batches beyond the training
showers of `zdc_geant4` hold some of them again, which changes nothing that is computed.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from engine import latent, losses, manifold
from engine.bench import figures
from engine.bench.bundled import default
from engine.datasets import base as datasets
from engine.models import base as models
from engine.models.e2e_sae import E2ESAE
from engine.schema import CONDITIONS
from engine.threads import one_thread
from engine.train import Training

BATCHES = (125, 250, 500, 1000, 2000, 4000)
LARGEST = 20_000
"""Of the batches that a config allows."""
BLOCK = 500
TRAININGS: dict[str, dict[str, Any]] = {"": {}, f" in blocks of {BLOCK}": {"transport_block": BLOCK}}
"""Of the e2e SAE: the default, and with transport that does not grow as the square of a batch."""
POINTS = (1250, 2500, 5000, 10_000, 20_000)
ROWS = {"showers": (2000, 4000, 8000, 16_000, 32_000), "particles": (5000, 10_000, 20_000, 40_000, 80_000)}
CLOUD, BLOCKS, WIDTH = 4000, (50, 100, 250, 500, 1000, 2000, 4000), 20
"""Points of each of two samples of one distribution, how they are cut, and the coordinates of codes."""
PERPLEXITY = 30.0

Clock = Callable[[figures.Work], float]


def run(quick: bool = False) -> dict[str, Any]:
    """Exponents with standard errors, and the costs and savings of blocks. `quick`: without the largest sizes."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    less = 2 if quick else 0
    with one_thread(), threadpool_limits(1):
        batches, repetitions = fewer(BATCHES, less), 3 if quick else 5
        found = steps(batches, device, repetitions)
        found += savings((batches[-1], 2 * batches[-1]), device, repetitions)
        found += blocks(500 if quick else CLOUD)
        found += maps(fewer(POINTS, less))
        for kind, sizes in ROWS.items():
            found += imports(kind, fewer(sizes, less))
    return figures.record("scaling", found, threads=1, device=device, block=BLOCK)


def fewer(sizes: Sequence[int], less: int) -> Sequence[int]:
    """Sizes without the `less` largest."""
    return sizes[: len(sizes) - less]


def grows(name: str, sizes: Sequence[int], seconds: Sequence[float], **more: Any) -> dict[str, Any]:
    """The exponent of a time, with what it was fitted to."""
    slope, error = figures.exponent(sizes, seconds)
    return figures.figure(name, slope, "", error=error, sizes=list(sizes), seconds=list(seconds), **more)


# -------------------------------------------------------------------------------------------------------------- steps
def steps(sizes: Sequence[int], device: str, repetitions: int) -> list[dict[str, Any]]:
    """A step against its batch, its transport alone and all else; and the batch at which transport is half of a step,
    beyond the measured ones by power laws, where a config allows it."""
    found = []
    for how, config in TRAININGS.items():
        training = Training("e2e_sae", config, datasets.load("zdc_geant4"), 0, device)
        batches = [n for n in sizes if n >= config.get("transport_block", 0)]
        whole, carried = [], []
        for n in batches:
            times = figures.pairs(*step(training, n), repetitions, _clock(device))
            whole.append(median(one for one, _ in times))
            carried.append(median(other for _, other in times))
        rest = [one - other for one, other in zip(whole, carried, strict=True)]
        found.append(grows(f"exponent of a step against its batch{how}", batches, whole))
        found.append(grows(f"exponent of transport{how}", batches, carried))
        found.append(grows(f"exponent of all but transport{how}", batches, rest))
        share = f"share of transport in a step{how}, batch {batches[-1]}"
        found.append(figures.figure(share, carried[-1] / whole[-1], ""))
        half = crossing(batches, carried, rest)
        if half <= LARGEST:
            within = batches[0] <= half <= batches[-1]
            found.append(figures.figure(f"batch with half of a step in transport{how}", half, "", measured=within))
    return found


def step(training: Training, n: int) -> tuple[figures.Work, figures.Work]:
    """One training step at a batch of n; and its transport alone, forward and backward."""
    rows = np.resize(training.train_rows, n)
    batch, model = training.batch(rows), training.model
    assert isinstance(model, E2ESAE)
    with torch.no_grad():
        clouds = model.encode(batch.showers, batch.conditions), model.prior(batch.conditions, training.rng)
    codes, drawn = (cloud.requires_grad_() for cloud in clouds)

    def transport() -> None:
        torch.autograd.grad(model.transport(codes, drawn, batch.conditions, training.rng), (codes, drawn))

    return partial(training.advance, rows), transport


def savings(sizes: tuple[int, int], device: str, repetitions: int) -> list[dict[str, Any]]:
    """Time in blocks over that of the whole batch, of a step and of its transport."""
    both = [
        Training("e2e_sae", {"transport_block": block}, datasets.load("zdc_geant4"), 0, device) for block in (BLOCK, 0)
    ]
    found = []
    for n in sizes:
        works = zip(*(step(training, n) for training in both), strict=True)
        for name, (cut, whole) in zip(("a step", "transport"), works, strict=True):
            value, quartiles = figures.ratio(figures.pairs(cut, whole, repetitions, _clock(device)))
            title = f"{name} in blocks of {BLOCK} over the whole, batch {n}"
            found.append(figures.figure(title, value, "", quartiles=quartiles))
    return found


def _clock(device: str) -> Clock:
    return figures.own_time if device == "cpu" else figures.wall


def crossing(sizes: Sequence[float], one: Sequence[float], other: Sequence[float]) -> float:
    """The size at which one quantity overtakes the other: between two sizes by power laws through both, beyond them by
    those of the nearest two. Infinite where it never does."""
    x, lead = np.log(sizes), np.log(one) - np.log(other)
    over = np.flatnonzero((lead[:-1] < 0) & (lead[1:] >= 0))
    k = int(over[0]) if len(over) else 0 if lead[0] >= 0 else len(x) - 2
    slope = (lead[k + 1] - lead[k]) / (x[k + 1] - x[k])
    return math.exp(x[k] - lead[k] / slope) if slope > 0 else math.inf


# ------------------------------------------------------------------------------------------------------------- blocks
def blocks(n: int) -> list[dict[str, Any]]:
    """What blocks do to two normal samples (n, 20) of one distribution: how far apart they are told, which would be 0
    for clouds without end, and the spread that a cloud takes that comes nearest to the other, which would be 1."""
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, WIDTH, generator=rng) for _ in range(2))
    x, y = (z / z.square().mean().sqrt() for z in (x, y))
    found = []
    for block in (b for b in BLOCKS if b <= n):
        apart, spread = nearest(x, y, block)
        name = f"two samples of one distribution, blocks of {block} of {n}"
        found.append(figures.figure(name, apart, "σ²", spread_of_nearest=spread))
    return found


def nearest(x: Tensor, y: Tensor, block: int, iterations: int = 5) -> tuple[float, float]:
    """S of x and y in blocks, and the factor s at which that of s·x and y is least, by Newton's method: S is all but a
    parabola in s, since a plan of squared distances does not change with it."""
    s, value = torch.ones(()), math.nan
    for k in range(iterations):
        s = s.detach().requires_grad_()
        found = losses.sinkhorn_in_blocks(s * x, y, block, torch.Generator().manual_seed(0))
        value = float(found.detach()) if k == 0 else value
        (slope,) = torch.autograd.grad(found, s)
        s = s - slope / x.square().sum(1).mean()
    return value, float(s.detach())


# --------------------------------------------------------------------------------------------------------------- maps
def maps(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """A map against its points: all, exact neighbours alone, and t-SNE of those."""
    near, drawn = [], []
    latent.tsne(codes(100), None, PERPLEXITY, 0, lambda share, xy: None)  # imports
    for n in sizes:
        points, kept = codes(n), {}
        near.append(figures.own_time(lambda p=points, k=kept: k.update(of=manifold.nearest(p, int(3 * PERPLEXITY)))))
        drawn.append(
            figures.own_time(
                lambda p=points, k=kept: latent.tsne(p, None, PERPLEXITY, 0, lambda share, xy: None, k["of"])
            )
        )
    whole = [one + other for one, other in zip(near, drawn, strict=True)]
    return [
        grows("exponent of a map against its points", sizes, whole),
        grows("exponent of exact neighbours", sizes, near),
        grows("exponent of t-SNE without them", sizes, drawn),
    ]


def codes(n: int) -> NDArray[np.float64]:
    """Codes (n, d) that the bundled model generates."""
    model, meta = models.load(default())
    data = datasets.load(meta["data"])
    rows = np.resize(data.rows("train"), n)
    with torch.inference_mode():
        drawn = model.prior(
            torch.from_numpy(data.conditions[rows].astype(np.float32)), torch.Generator().manual_seed(0)
        )
    return drawn.double().numpy()


# ------------------------------------------------------------------------------------------------------------ imports
def imports(kind: str, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Importing a compressed npz of showers or a csv of particles against its rows, each in a process of its own: time,
    and memory beyond what the process held before."""
    seconds, memory = [], []
    with tempfile.TemporaryDirectory(prefix="showerscope-imports-") as folder:
        first = write(kind, 50, Path(folder))
        for n in sizes:
            path = write(kind, n, Path(folder))
            command = [sys.executable, "-m", "engine.bench.scaling", str(first), str(path)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            seconds.append(found["seconds"])
            memory.append(found["memory_mb"])
            path.unlink()
    return [
        grows(f"exponent of an import of {kind} against rows", sizes, seconds, memory_mb=memory),
        figures.figure(f"import of {sizes[-1]} {kind}", seconds[-1], "s"),
        figures.figure(f"memory of an import of {sizes[-1]} {kind}", memory[-1], "MB"),
    ]


def write(kind: str, n: int, folder: Path) -> Path:
    """A file of n of Geant4's showers, or particles, over again; showers lose a tenth of their light at random, so that
    no two are the same."""
    data, rng = datasets.load("zdc_geant4"), np.random.default_rng(n)
    rows = np.resize(np.arange(len(data.showers)), n)
    if kind == "particles":
        path = folder / f"particles_{n}.csv"
        np.savetxt(path, data.conditions[rows], "%.9g", ",", header=",".join(CONDITIONS), comments="")
        return path
    showers = rng.binomial(data.showers[rows], 0.9).astype(np.uint16)
    path = folder / f"showers_{n}.npz"
    np.savez_compressed(path, showers=showers, conditions=data.conditions[rows], pdg=data.pdg[rows])
    return path


def imported(first: Path, path: Path) -> dict[str, float]:
    """Seconds and MB of an import in this process, thrown away at its end. first: a file to import before, since a
    first import loads what reads it."""
    from engine.bulk import memory_mb, peak_mb
    from engine.imports.intake import import_file

    with tempfile.TemporaryDirectory(dir=path.parent) as home:
        import_file(first, "first", home)
        before = memory_mb()
        seconds = figures.own_time(lambda: import_file(path, "scaling", home))
    return {"seconds": seconds, "memory_mb": max(0.0, peak_mb() - before)}


if __name__ == "__main__":
    print(json.dumps(imported(Path(sys.argv[1]), Path(sys.argv[2]))))

"""Training speed: beside pythae on the same networks, where a step's time goes, and how near it is to its floor.

Whatever stands beside each other was called in turn in one run. The floor of a step is its convolutions: forward, and
backward to their weights and inputs, each alone at the shapes that the network gives them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from engine.bench import figures, peer
from engine.bench.figures import figure
from engine.datasets import base as datasets
from engine.models.e2e_sae import E2ESAE, PAPER_RECIPE
from engine.runs import FIRST_POINTS, Recorder, Store
from engine.schema import RunInfo
from engine.terminal import progress
from engine.train import Training

COMMON: dict[str, Any] = {
    "conditional": False, "pixels": "log_mse", "energy_score_weight": 0.0, "sum_weight": 0.0, "moments": False,
    "grouping": "rows", "augment": False, "schedule": "constant", "batch": 1000, "epochs": 1000,
}  # fmt: skip
"""What both sides of a comparison do: neither has conditions, further terms, or mirrored showers."""
NETWORKS: dict[str, dict[str, Any]] = {
    "default": {},
    "convolutional": {"decoder": "convolutions", "width": 16},
}
SHOWERS = 117_817
"""Of an epoch, as in the paper's training set of ZN."""


def run(quick: bool = False, data: str | None = None) -> dict[str, Any]:
    """Ratios to pythae, the e2e SAE's epoch with its split and floor, what logging costs, and on a GPU what each
    precision and compilation brings. `quick`: fewer repetitions, and an epoch estimated from a part."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = []
    for model in ("vae", "wae_mmd"):
        for networks, settings in NETWORKS.items():
            found.append(beside(model, networks, settings, device, 2 if quick else 5))
    large = datasets.load(data or ("zdc_geant4" if quick else "zdc_fast"), progress("showers"))
    found += epoch("default", {}, large, device, quick)
    found += epoch("paper's recipe", PAPER_RECIPE, large, device, quick)
    found.append(logging(large, device, quick))
    if device == "cuda":
        found += variants(large, device, 5 if quick else 20)
    return figures.record("train", found, threads=torch.get_num_threads(), data=large.name)


# -------------------------------------------------------------------------------------------------------------- pythae
def beside(model: str, networks: str, settings: dict[str, Any], device: str, repetitions: int) -> dict[str, Any]:
    """Our samples per second over pythae's."""
    training = Training(model, COMMON | settings, datasets.load("zdc_geant4"), 0, device)
    done, n = 0, len(training.train_rows)

    def ours() -> None:
        nonlocal done
        for rows in training.batches(done):
            training.advance(rows)
        done += 1

    with tempfile.TemporaryDirectory() as folder:
        theirs = peer.epochs(training, Path(folder))
        seconds = figures.pairs(theirs, ours, repetitions)
    value, quartiles = figures.ratio(seconds)
    (other, own) = (figures.middle(column)[0] for column in zip(*seconds, strict=True))
    return figure(
        f"{model}, {networks} networks: samples/s over pythae's", value, "", least=2.0, quartiles=quartiles,
        samples_per_s=n / own, pythae_samples_per_s=n / other, batch=training.config.batch,
        parameters=sum(p.numel() for p in training.model.parameters()),
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- epoch
def epoch(title: str, settings: dict[str, Any], data: Any, device: str, quick: bool) -> list[dict[str, Any]]:
    """Seconds of an epoch of the e2e SAE, the shares of its parts, and of the floor of convolutions."""
    training = Training("e2e_sae", {**settings, "epochs": 1000}, data, 0, device)
    batches = training.batches(0)
    rows, taken = batches[0], batches[: 5 if quick else len(batches)]
    training.advance(rows)

    def whole() -> None:
        for part in taken:
            training.advance(part)

    seconds = figures.wall(whole) * SHOWERS / sum(map(len, taken))
    batch, model = training.batch(rows), training.model
    assert isinstance(model, E2ESAE)
    with torch.no_grad():
        codes, drawn = model.encode(batch.showers, batch.conditions), model.prior(batch.conditions, training.rng)
    codes, drawn = codes.requires_grad_(), drawn.requires_grad_()
    scored = model.scored()

    def decode() -> None:
        (model.decode(codes, batch.conditions).sum()).backward()
        if scored:  # the decoder's other use
            model.energy_score(drawn, batch, training.rng).backward()

    layers = convolutions(lambda: model.decode(model.encode(batch.showers, batch.conditions), batch.conditions), device)
    parts: dict[str, figures.Work] = {
        "encoder": lambda: model.encode(batch.showers, batch.conditions).sum().backward(),
        "decoder": decode,
        "sinkhorn": lambda: model.transport(codes, drawn, batch.conditions, training.rng).backward(),
        "floor": lambda: [layer() for layer in layers],
    }
    share: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(4 if quick else 16):
        step = figures.wall(lambda: training.advance(rows))
        for name, work in parts.items():
            share[name].append(figures.wall(work) / step)
    middle = {name: figures.middle(found[1:]) for name, found in share.items()}
    floor, quartiles = middle.pop("floor")
    shares = {name: value for name, (value, _) in middle.items()}
    shares["rest"] = 1 - sum(shares.values())
    shown: dict[str, Any] = {"batch": len(rows), "parameters": sum(p.numel() for p in model.parameters())}
    return [
        figure(f"e2e SAE, {title}: epoch of {SHOWERS:,} showers", seconds, "s", showers_timed=sum(map(len, taken)),
               samples_per_s=SHOWERS / seconds, share=shares, **shown),
        figure(f"e2e SAE, {title}: share of the convolutions' floor in a step", floor, "", least=0.5,
               quartiles=quartiles, layers=len(layers)),
    ]  # fmt: skip


class Convolutions(TorchFunctionMode):
    """Notes the convolutions that are asked for under it: what is called with which shapes, and whether its input has a
    gradient."""

    kinds = (torch.conv2d, torch.conv_transpose2d)

    def __init__(self) -> None:
        super().__init__()
        self.made: list[
            tuple[Callable[..., Tensor], torch.Size, torch.Size, bool, tuple[Any, ...], dict[str, Any]]
        ] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.kinds:
            image, kernel, _, *rest = args
            self.made.append((func, image.shape, kernel.shape, image.requires_grad, tuple(rest), kwargs))
        return func(*args, **kwargs)


def convolutions(work: figures.Work, device: str) -> list[figures.Work]:
    """Each convolution of some work, alone: forward and backward on numbers of its own, laid out channels last."""
    with Convolutions() as noted:
        work()
    return [alone(*one, device) for one in noted.made]


def alone(
    func: Callable[..., Tensor], shape: torch.Size, kernel: torch.Size, needed: bool, rest: tuple[Any, ...],
    kwargs: dict[str, Any], device: str,
) -> figures.Work:  # fmt: skip
    """A convolution of images of a `shape`, forward and backward. needed: whether its input has a gradient; rest and
    kwargs: its stride, padding and what else torch asks for."""
    image = torch.rand(shape, device=device).contiguous(memory_format=torch.channels_last).requires_grad_(needed)
    weight = torch.rand(kernel, device=device, requires_grad=True)
    wanted = [image, weight] if needed else [weight]
    grad = torch.ones_like(func(image, weight, None, *rest, **kwargs))
    return lambda: torch.autograd.grad(func(image, weight, None, *rest, **kwargs), wanted, grad)


# ------------------------------------------------------------------------------------------------------------- logging
def logging(data: Any, device: str, quick: bool) -> dict[str, Any]:
    """The share of a training's time that its curves take: every term of every step into the run store. Of the first
    steps all points are kept, so they cost more."""
    training = Training("e2e_sae", {"epochs": 1000}, data, 0, device)
    steps = 100 if quick else 1000
    rows = [rows for epoch in range(steps) for rows in training.batches(epoch)][:steps]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        run_id = store.create(RunInfo(run_id="", name="logging", data=data.name, model="e2e_sae", seed=0))
        recorder = Recorder(store, run_id, training.steps)
        recorder.log(0, training.validate())
        recorder.flush()
        kept, begin, terms, early = 0.0, time.perf_counter(), {}, 0.0
        for part in rows:
            log = training.advance(part)
            terms = log.terms
            kept += figures.wall(lambda log=log: recorder.log(log.step, log.terms))
            if log.step == min(steps, FIRST_POINTS):
                early = kept / (time.perf_counter() - begin)
        kept += figures.wall(recorder.flush)
        whole = time.perf_counter() - begin
    return figure(
        f"logging every term: share of a training of {steps:,} steps", kept / whole, "", most=0.01, terms=len(terms),
        first_steps=min(steps, FIRST_POINTS), share_of_first_steps=early,
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------- GPU
def variants(data: Any, device: str, repetitions: int) -> list[dict[str, Any]]:
    """The loss and its gradient in several precisions, plain and compiled, over plain single precision."""
    training = Training("e2e_sae", {"epochs": 1000}, data, 0, device)
    batch, (phase,), model = training.batch(training.batches(0)[0]), training.phases, training.model

    def plain() -> None:
        torch.autograd.grad(phase.loss(batch, training.rng)["total"], phase.parameters)

    def half() -> None:
        with torch.autocast(device, torch.bfloat16):
            total = phase.loss(batch, training.rng)["total"]
        torch.autograd.grad(total, phase.parameters)

    def fast() -> None:
        torch.set_float32_matmul_precision("high")
        try:
            plain()
        finally:
            torch.set_float32_matmul_precision("highest")

    names = ("encoder", "decoder")
    eager = {name: model.get_submodule(name) for name in names}
    faster = {name: torch.compile(module) for name, module in eager.items()}

    def compiled() -> None:
        try:
            for name in names:
                setattr(model, name, faster[name])
            plain()
        finally:
            for name in names:
                setattr(model, name, eager[name])

    found = []
    for name, work in (("TF32", fast), ("bfloat16", half), ("compiled", compiled)):
        value, quartiles = figures.ratio(figures.pairs(work, plain, repetitions))
        found.append(figure(f"e2e SAE: step in {name} over single precision", value, "", quartiles=quartiles))
    return found

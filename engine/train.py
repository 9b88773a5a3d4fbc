"""The only training loop: a generator of logs. It knows no disk, no server and no cluster.

A step draws one batch for each turn of its phases; each phase of the model takes the gradient of its own loss with
respect to its own parameters, and nothing else, in the share of the training that is its own. Everything random
follows from `seed`: weights, order of the data (seed and epoch alone), noise (one generator, saved with the state), so
a resumed training continues bit by bit on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from engine import zdc
from engine.datasets.base import Dataset
from engine.metrics import base as metrics
from engine.models import base as models
from engine.models.base import Batch, Model, Phase
from engine.schema import EngineError, WrongInput

WATCHED = ("mae", "wasserstein", "spread")
"""Metrics that a run records at each checkpoint."""


class NonFinite(EngineError):
    """A loss or gradient became NaN or infinite: the run ends as failed, its last checkpoint stands."""

    def __init__(self, phase: str, term: str, step: int, value: float) -> None:
        super().__init__(
            f"the loss term {term!r} of phase {phase!r} became {value} at step {step}: "
            "resume from the last checkpoint with a lower learning rate"
        )
        self.phase, self.term, self.step = phase, term, step


@dataclass(frozen=True)
class Log:
    """What happened: after `step` steps, in `epoch`. Terms are named `group/term` as in `engine.schema.History`.
    `checkpoint` says that this is a good moment to save."""

    step: int
    epoch: int
    terms: dict[str, float] = field(default_factory=dict)
    checkpoint: bool = False


class Training:
    """A training in progress: model, optimisers, generator and position, all in `state()`. `start`: the file of a saved
    model that it goes on from, with a fresh optimiser."""

    def __init__(
        self,
        model_name: str,
        config: dict[str, Any],
        data: Dataset,
        seed: int,
        device: str = "cpu",
        start: Path | None = None,
    ) -> None:
        kind = models.get(model_name)
        self.config = models.configure(kind, config, data.kind)
        self.data, self.seed, self.device = data, seed, torch.device(device)
        with torch.random.fork_rng(devices=[]):  # torch draws initial weights from its global generator only
            torch.manual_seed(seed)
            model = kind(self.config, data.space)
        self.train_rows = data.rows("train")
        if len(self.train_rows) < 8:
            raise WrongInput(f"data set {data.name} has {len(self.train_rows)} training showers: at least 8 are needed")
        # counts and grey values are held as they are stored, and made floats batch by batch
        held = np.float32 if data.kind == "points" else np.uint16
        self.showers = torch.from_numpy(data.showers.astype(held)).to(self.device)
        self.conditions = torch.from_numpy(data.conditions.astype(np.float32)).to(self.device)
        self.model: Model = model.to(self.device)
        if start is None:
            self.model.fit(*self.examples())
        else:  # what was learned holds in the units it was learned in
            models.adopt(self.model, start)
        self.phases = self.model.phases()
        self.optimisers = [_optimiser(phase, self.config.learning_rate) for phase in self.phases]
        self.rng = Generator(self.device).manual_seed(seed)
        self.step = 0
        self.steps_per_epoch = len(self.batches(0))
        self.steps = self.config.epochs * self.steps_per_epoch
        self.turns = max(phase.steps for phase in self.phases)

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.step // self.steps_per_epoch

    def batches(self, epoch: int, turn: int = 0) -> list[np.ndarray]:
        """Row numbers of each batch of an epoch, a function of seed and epoch alone. Phases that run several times a
        step walk through the data in an order of their own each `turn`."""
        order = np.random.default_rng((self.seed, epoch, 0, turn) if turn else (self.seed, epoch))
        if self.config.grouping == "rows":
            return _chunks(order.permutation(self.train_rows), self.config.batch)
        primary = self.data.primary_id[self.train_rows]
        starts = np.flatnonzero(np.r_[True, primary[1:] != primary[:-1]])
        groups = np.split(self.train_rows, starts[1:])
        per_batch = max(1, round(self.config.batch * len(groups) / len(self.train_rows)))
        return [
            np.concatenate([groups[i] for i in part]) for part in _chunks(order.permutation(len(groups)), per_batch)
        ]

    def examples(self) -> tuple[Tensor, Tensor]:
        """All training examples and their conditions."""
        rows = torch.from_numpy(self.train_rows).to(self.device)
        return self.showers[rows].float(), self.conditions[rows]

    def batch(self, rows: np.ndarray, turn: int = 0) -> Batch:
        """The showers of these rows, mirrored and transposed at random where the config says so."""
        index = torch.from_numpy(rows).to(self.device)
        _, primary = np.unique(self.data.primary_id[rows], return_inverse=True)
        showers, conditions = self.showers[index].float(), self.conditions[index]
        if self.config.augment and self.model.training and self.data.kind == "showers":
            symmetries = 8 if showers.shape[1] == showers.shape[2] else 4
            draw = np.random.default_rng((self.seed, self.step, 8, turn)).integers(0, symmetries, primary.max() + 1)
            # on the CPU one boolean mask a symmetry is cheaper than a gather of every pixel
            showers, conditions = augment(showers, conditions, torch.from_numpy(draw[primary]).to(self.device))
        return Batch(showers, conditions, torch.from_numpy(primary).to(self.device))

    def run(self) -> Iterator[Log]:
        """Train to the end, yielding a log after each step and each validation. Raises `NonFinite`."""
        if self.step == 0:
            yield Log(0, 0, self.validate(), checkpoint=True)
        while self.step < self.steps:
            batches = zip(*(self.batches(self.epoch, turn) for turn in range(self.turns)), strict=True)
            for rows in list(batches)[self.step % self.steps_per_epoch :]:
                yield self.advance(*rows)
            if self.epoch % self.config.checkpoint_epochs == 0 or self.step == self.steps:
                yield Log(self.step, self.epoch, self.validate(), checkpoint=True)

    def advance(self, rows: np.ndarray, *further: np.ndarray) -> Log:
        """One step of every phase whose span it is: on the batch of `rows`, and on `further` ones where a phase runs
        several times (on `rows` again where none are given)."""
        begin = time.perf_counter()
        self.model.train()
        batches = [self.batch(part, turn) for turn, part in enumerate((rows, *further))]
        terms: dict[str, float] = {}
        for phase, optimiser in zip(self.phases, self.optimisers, strict=True):
            rate = self.learning_rate(self.step, phase)
            if rate is None:
                continue
            if phase.begin is not None and self.step == self.span(phase)[0]:
                phase.begin(*self.examples(), self.rng)
            for group in optimiser.param_groups:
                group["lr"] = rate
            for turn in range(phase.steps):
                losses = phase.loss(batches[turn % len(batches)], self.rng)
                # one transfer from a GPU, which it waits for, instead of one for each term
                values = dict(zip(losses, torch.stack([v.detach() for v in losses.values()]).tolist(), strict=True))
                for name, value in values.items():
                    if not math.isfinite(value):
                        raise NonFinite(phase.name, name, self.step, value)
                gradients = torch.autograd.grad(losses["total"], phase.parameters)
                for parameter, gradient in zip(phase.parameters, gradients, strict=True):
                    # the optimiser takes both as they lie in memory, and convolutions lay gradients out their own way
                    parameter.grad = gradient.contiguous()
                optimiser.step()
                if phase.clip is not None:
                    with torch.no_grad():
                        for parameter in phase.parameters:
                            parameter.clamp_(-phase.clip, phase.clip)
                terms |= {f"{self.prefix('loss', phase)}/{name}": value for name, value in values.items()}
        self.step += 1
        seconds = time.perf_counter() - begin
        return Log(self.step, self.epoch, terms | {"system/samples_per_s": len(rows) / seconds})

    def prefix(self, group: str, phase: Phase) -> str:
        """What the names of a phase's terms begin with."""
        return group if len(self.phases) == 1 else f"{group}/{phase.name}"

    def span(self, phase: Phase) -> tuple[int, int]:
        """The first step of a phase, and the one after its last. Phases that follow each other share no step."""
        return round(phase.span[0] * self.steps), round(phase.span[1] * self.steps)

    def learning_rate(self, step: int, phase: Phase) -> float | None:
        """The rate of a phase at a step, None outside its span; steps beyond the training are of its last phases."""
        first, end = self.span(phase)
        if step < first or end <= min(step, self.steps - 1):
            return None
        start = self.config.learning_rate if phase.learning_rate is None else phase.learning_rate
        if self.config.schedule == "constant":
            return start
        return start * 0.5 * (1 + math.cos(math.pi * (step - first) / (end - first)))

    @torch.no_grad()
    def validate(self, limit: int = 2000) -> dict[str, float]:
        """Loss terms on validation showers in evaluation mode, and the model's readings; noise seeded, so values
        compare between epochs."""
        self.model.eval()
        rows = self.data.rows("validation")[:limit]
        batch = self.batch(rows)
        rng = Generator(self.device).manual_seed(self.seed + 1)
        terms: dict[str, float] = {}
        for phase in self.phases:
            prefix = self.prefix("validation", phase)
            terms |= {f"{prefix}/{name}": float(value.detach()) for name, value in phase.loss(batch, rng).items()}
        watched = rows[: self.model.watched]
        readings = self.model.readings(self.batch(watched), rng)
        return terms | {name: float(value) for name, value in readings.items()} | self.physics(watched)

    def physics(self, rows: np.ndarray) -> dict[str, float]:
        """What the other pages say of a model, on these rows: `validation/NAME` of `WATCHED`, over the floor where
        there is one that is not 1 by definition."""
        if self.data.kind != "showers":
            return {}
        _, count = np.unique(self.data.primary_id[rows], return_counts=True)
        if count.min() < 2:
            return {}
        conditions = self.data.conditions[rows]
        rng = Generator(self.device).manual_seed(self.seed + 2)
        made = self.model.sample(torch.from_numpy(conditions.astype(np.float32)).to(self.device), rng).cpu().numpy()
        if not np.isfinite(made).all():
            return {}  # the loss says so, with phase and step
        owner, detector = self.data.primary_id[rows], self.data.detector
        real = metrics.sample(self.data.showers[rows], conditions, owner, detector)
        found = {}
        for name, value in metrics.evaluate(real, metrics.sample(made, conditions, owner, detector), WATCHED).items():
            if value.floor and value.floor_error:  # a floor without an error is 1 by definition
                found[f"validation/{name}_over_floor"] = value.value / value.floor
            else:
                found[f"validation/{name}"] = value.value
        return found

    # ------------------------------------------------------------------------------------------------------- state
    def state(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Everything that a resumed training needs: tensors, and strings for a safetensors header."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for phase, optimiser in zip(self.phases, self.optimisers, strict=True):
            for index, values in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser.{phase.name}.{index}.{name}": value for name, value in values.items()}
        tensors["rng"] = self.rng.get_state()
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}, {"step": str(self.step)}

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, str]) -> None:
        """Take up a saved `state()`. Raises `WrongInput` when it belongs to another configuration."""
        try:
            self.model.load_state_dict({n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
            for phase, optimiser in zip(self.phases, self.optimisers, strict=True):
                saved: dict[int, dict[str, Tensor]] = {}
                for name, value in tensors.items():
                    if name.startswith(f"optimiser.{phase.name}."):
                        _, _, index, slot = name.split(".")
                        saved.setdefault(int(index), {})[slot] = value
                optimiser.load_state_dict({"state": saved, "param_groups": optimiser.state_dict()["param_groups"]})
            self.rng.set_state(tensors["rng"])
            self.step = int(meta["step"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise WrongInput(f"this training state does not fit: {str(error).splitlines()[0]}") from error


def _optimiser(phase: Phase, learning_rate: float) -> torch.optim.Optimizer:
    if phase.optimiser == "rmsprop":
        return torch.optim.RMSprop(phase.parameters, lr=learning_rate)
    # one pass over memory instead of ten: 2 ms a step less on a CPU
    return torch.optim.Adam(phase.parameters, lr=learning_rate, betas=phase.betas, fused=True)


def augment(showers: Tensor, conditions: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
    """One of the face's symmetries for each shower: bit 0 mirrors x, bit 1 mirrors y, bit 2, of square faces, then
    exchanges x and y. Mirroring x negates Vx and Px; the exchange swaps (Vx, Px) with (Vy, Py)."""
    showers, conditions = showers.clone(), conditions.clone()
    for bit, dims, columns in ((1, [1], [zdc.VX, zdc.PX]), (2, [2], [zdc.VY, zdc.PY])):
        chosen = (draw & bit) > 0
        showers[chosen] = showers[chosen].flip(dims)
        conditions[:, columns] *= torch.where(chosen, -1.0, 1.0)[:, None]
    chosen = (draw & 4) > 0
    if not chosen.any():
        return showers, conditions
    showers[chosen] = showers[chosen].transpose(1, 2)
    swapped = conditions[:, [0, zdc.VY, zdc.VX, zdc.VZ, zdc.PY, zdc.PX, zdc.PZ, zdc.MASS, zdc.CHARGE]]
    return showers, torch.where(chosen[:, None], swapped, conditions)


def _chunks(items: np.ndarray, size: int) -> list[np.ndarray]:
    """Consecutive parts of about `size`, none smaller than half of it (batch statistics need company)."""
    return np.array_split(items, max(1, round(len(items) / size)))

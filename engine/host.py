"""Models held on the device, and showers drawn from them in batches."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Generator, Tensor

from engine import walk
from engine.models import base as models
from engine.models.base import Model
from engine.schema import WrongInput
from engine.threads import choose_threads
from engine.walk import Directions

Progress = Callable[[int, int], None]
T = TypeVar("T")

KEPT = 4
"""Models held at once; the one used longest ago goes first."""
BATCH = 1024
"""Showers drawn at once. Part of what a seed means, so it does not follow the machine; small enough that a dragged
slider waits little for a long generation beside it."""


def choose_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Held:
    """A model on the device with the meta of its file."""

    model: Model
    meta: dict[str, str]


class Host:
    """The device. Safe to use from several threads, which take turns batch by batch."""

    def __init__(self, device: str | None = None, threads: int | None = None) -> None:
        self.device = device or choose_device()
        self.threads = threads or choose_threads()
        torch.set_num_threads(self.threads)
        threadpool_limits(self.threads)  # numpy's as well
        self._models: OrderedDict[tuple[Path, int], Held] = OrderedDict()
        self._known: WeakKeyDictionary[Model, dict[Hashable, Any]] = WeakKeyDictionary()
        self._turn = threading.Lock()

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds: of the calling thread where it computes alone, which are the same beside other work; else of the
        wall."""
        return time.thread_time if self.device == "cpu" and self.threads == 1 else time.perf_counter

    def held(self) -> list[tuple[Path, Held]]:
        """The files and models that stand ready."""
        return [(path, model) for (path, _), model in list(self._models.items())]

    def load(self, path: Path) -> Held:
        """The model of a weights file, read again only when the file changed. Raises `WrongInput` when broken."""
        try:
            key = path, path.stat().st_mtime_ns
        except OSError as error:
            raise WrongInput(f"checkpoint {path} cannot be read: {error.strerror}") from error
        with self._turn:
            if key not in self._models:
                self._models[key] = Held(*models.load(path, self.device))
                while len(self._models) > KEPT:
                    self._models.popitem(last=False)
            self._models.move_to_end(key)
            return self._models[key]

    def sample(
        self, model: Model, conditions: NDArray, seed: int, light: str, tell: Progress | None = None
    ) -> NDArray[np.float32]:
        """Showers (N, H, W) [photons], one a condition row (N, 9); the same for the same seed and rows. tell: called
        with showers done and in total."""
        drawn = self.draw(model, batches(conditions), self.rng(seed), light)
        parts = []
        for part in drawn:
            parts.append(part)
            if tell:
                tell(sum(map(len, parts)), len(conditions))
        return np.concatenate(parts)

    def draw(
        self,
        model: Model,
        conditions: Iterable[NDArray],
        rng: Generator,
        light: str,
        place: Callable[[Tensor], Tensor] | None = None,
        carry: Callable[[Tensor], Tensor] | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """As `sample`, but as they are asked for, in constant memory, of the condition rows (n, C) of each batch.
        place: changes the noise (n, k). carry: makes codes of it, instead of the model's own way. Raises `WrongInput`
        where the model gives no finite light."""
        for rows in conditions:
            with torch.inference_mode(), self._turn:
                q = self._tensor(rows)
                noise = model.noise(q, rng)
                noise = noise if place is None else place(noise)
                expected = model.decode(model.carry(noise, q) if carry is None else carry(noise), q)
                # a draw of photons about what is no number gives 0, as if there were no light
                if not torch.isfinite(expected).all():
                    raise WrongInput("the model has no finite answer to these conditions: give some nearer to the data")
                drawn = (model.observed(expected, rng) if light == "poisson" else expected).float().cpu()
            yield drawn.numpy()

    def directions(self, model: Model, at: Callable[[], NDArray]) -> Directions:
        """Those that a walk through the noise follows, found once for each held model. at: the condition row (1, C)."""
        return self.known(model, "directions", lambda: walk.directions(model, self._tensor(at())))

    def known(self, model: Model, name: Hashable, find: Callable[[], T]) -> T:
        """What follows from a held model alone, found once, in this thread's turn, and kept as long as the model."""
        with self._turn, torch.inference_mode():
            found = self._known.setdefault(model, {})
            if name not in found:
                found[name] = find()
            return found[name]

    def encode(self, model: Model, showers: NDArray, conditions: NDArray) -> NDArray[np.float32]:
        """Latent codes (N, d). Raises `WrongInput` for a model without latent space."""
        self._check_latent(model)
        return self.batched(model.encode, showers, conditions)

    def prior(self, model: Model, conditions: NDArray, seed: int) -> NDArray[np.float32]:
        """Generated latent codes (N, d)."""
        self._check_latent(model)
        rng = self.rng(seed)
        return self.batched(lambda part: model.prior(part, rng), conditions)

    def decode(self, model: Model, latent: NDArray, conditions: NDArray) -> NDArray[np.float32]:
        """Expected showers (N, H, W) [photons]."""
        self._check_latent(model)
        return self.batched(model.decode, latent, conditions)

    def _check_latent(self, model: Model) -> None:
        if not model.has_latent:
            raise WrongInput(f"{model.title} has no latent space: choose another model")

    def rng(self, seed: int) -> Generator:
        """The stream of noise that a seed means."""
        return Generator(self.device).manual_seed(seed)

    def _tensor(self, rows: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(rows, np.float32)).to(self.device)

    def batched(self, work: Callable[..., Tensor], *inputs: NDArray) -> NDArray[np.float32]:
        """What is made on the device of rows, batch by batch."""
        parts: list[Tensor] = []
        with torch.inference_mode():
            for rows in zip(*map(batches, inputs), strict=True):
                with self._turn:
                    parts.append(work(*map(self._tensor, rows)).float().cpu())
        return torch.cat(parts).numpy()


def batches(rows: NDArray) -> Iterator[NDArray]:
    """Rows as they are drawn, `BATCH` at once."""
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]

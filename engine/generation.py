"""Showers of a model at given conditions: themselves, or their moments, and what is said beside them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.conditions import Nearness, middle, requested
from engine.datasets.base import Dataset
from engine.host import Host, batches
from engine.models.base import Model
from engine.schema import Arrays, GenerateRequest, WrongInput
from engine.shelf import MOST_PICTURES, meta_of

MOST_SHOWERS = 1_000_000
"""At once, in memory."""


@dataclass(frozen=True)
class Generator:
    """A model ready to draw, with the data that it learned from. nearness: of showers alone."""

    model: Model
    data: Dataset
    nearness: Nearness | None
    run: str
    step: int
    """Of the checkpoint."""
    kind: str
    """The model's registered name."""

    def channels(self, showers: NDArray, convention: str) -> NDArray[np.float32]:
        """Channel sums (N, 5) [photons]."""
        return zdc.channels(showers, self.data.detector, convention).astype(np.float32)

    def impact_mm(self, conditions: NDArray) -> NDArray[np.float32]:
        """Impact points (N, 2) [mm]."""
        return (10 * zdc.impact_cm(conditions, zdc.DETECTORS[self.data.detector].z_cm)).astype(np.float32)

    def said(
        self, conditions: NDArray[np.float64], convention: str, light: str, seed: int, drawn: bool = False
    ) -> dict[str, Any]:
        """What goes with showers at these condition rows, or ones `drawn` like them: what they are of, and how far to
        trust the model there. Raises `WrongInput` for a read-out convention that there is not."""
        told = {
            "run": self.run,
            "step": self.step,
            "model": self.kind,
            "data": self.data.name,
            "label": self.data.label,
            "convention": convention,
            "light": light,
            "seed": seed,
            "ood": 0.0,
            "warnings": [],
        }
        if self.nearness is None:
            return told | meta_of(self.data)
        zdc.channel_index(self.data.detector, convention)
        if not len(conditions):
            return told
        outness = self.nearness.outness(conditions)
        return told | {"ood": float(outness.max()), "warnings": self.nearness.warnings(conditions, outness, drawn)}


def generate(host: Host, source: Generator, request: GenerateRequest) -> Arrays:
    """`engine.schema.Engine.generate`."""
    conditions = requested(request, source.data)
    begin = time.perf_counter()
    if len(conditions) * request.n > MOST_SHOWERS:
        raise WrongInput(
            f"{len(conditions)} rows × {request.n} showers: at most {MOST_SHOWERS} at once, `showerscope generate` "
            "writes more into a file"
        )
    if request.moments and len(conditions) > MOST_PICTURES:
        raise WrongInput(f"moments of {len(conditions)} rows: at most {MOST_PICTURES} at once")
    meta = source.said(conditions, request.convention, request.light, request.seed)
    rows = np.repeat(conditions, request.n, axis=0)
    place = None
    if request.walk is not None:
        found = host.directions(source.model, partial(middle, source.data))
        place, meta["directions"] = partial(found.placed, at=request.walk), found.how
    drawn = host.draw(source.model, batches(rows), host.rng(request.seed), request.light, place)
    arrays: dict[str, NDArray] = {"conditions": rows}
    sums: list[NDArray[np.float32]] = []
    photons: list[NDArray[np.float32]] = []
    light = source.data.kind == "showers"
    if request.moments:
        found = Moments(len(conditions), request.n, source.data.space.shape)
        for part in drawn:
            found.add(part)
            if light:
                sums.append(source.channels(part, request.convention))
                photons.append(part.sum(axis=(1, 2), dtype=np.float64).astype(np.float32))
        arrays |= {"mean": found.mean, "sigma": found.sigma}
    else:
        arrays["showers"] = np.concatenate(list(drawn))
        if light:
            sums.append(source.channels(arrays["showers"], request.convention))
    if light:
        arrays |= {"channels": np.concatenate(sums), "impact_mm": source.impact_mm(rows)}
    if photons:
        arrays["photon_sum"] = np.concatenate(photons)
    return Arrays(arrays, meta | {"ms": 1000 * (time.perf_counter() - begin)})


class Moments:
    """Mean and standard deviation over the `n` examples of each row, which come one row after the other in pieces of
    any size."""

    def __init__(self, rows: int, n: int, shape: tuple[int, ...]) -> None:
        self.n, self.seen = n, 0
        self.sum = np.zeros((rows, *shape))
        self.squares = np.zeros((rows, *shape))

    def add(self, examples: NDArray) -> None:
        rows, first = np.unique((self.seen + np.arange(len(examples))) // self.n, return_index=True)
        self.sum[rows] += np.add.reduceat(examples, first, axis=0, dtype=np.float64)
        self.squares[rows] += np.add.reduceat(np.square(examples, dtype=np.float64), first, axis=0)
        self.seen += len(examples)

    @property
    def mean(self) -> NDArray[np.float32]:
        return (self.sum / self.n).astype(np.float32)

    @property
    def sigma(self) -> NDArray[np.float32]:
        """Over n, not n − 1, so that one example has 0."""
        variance = self.squares / self.n - np.square(self.sum / self.n)
        return np.sqrt(variance.clip(min=0)).astype(np.float32)

"""Points in the plane with exact samplers, on which a model learns in seconds: eight Gaussians and two spirals.

Each point's condition is the number of the piece that it lies on. Sets of SC-GAN's experiments (SPEC §5) and of many
papers before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.datasets.base import Dataset
from engine.schema import WrongInput
from engine.spaces import Column

POINTS = 20_000
SEED = 2112
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Toy:
    """A set: how it is drawn, `draw(pieces (N,), rng)` to points (N, 2), and of how many pieces it is."""

    name: str
    title: str
    provenance: str
    pieces: int
    draw: Callable[[NDArray[np.int64], np.random.Generator], Floats]

    def sample(self, n: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
        """Points (n, 2) and their pieces (n,), exactly distributed. Raises `WrongInput` unless n > 0."""
        if n < 1:
            raise WrongInput(f"{n} points: ask for at least one")
        rng = np.random.default_rng(seed)
        piece = rng.integers(0, self.pieces, n)
        return self.draw(piece, rng), piece

    @cache  # noqa: B019 - there are as many as there are sets
    def load(self) -> Dataset:
        points, piece = self.sample(POINTS, SEED)
        ids = np.arange(POINTS)
        return Dataset(
            name=self.name,
            title=self.title,
            label=f"{self.title}, {POINTS} points drawn exactly, seed {SEED}",
            detector="",
            provenance=self.provenance,
            showers=points.astype(np.float32),
            conditions=piece[:, None].astype(np.float64),
            pdg=np.zeros(POINTS, np.int64),
            primary_id=ids,
            replica=np.zeros(POINTS, np.int64),
            split=np.digitize(ids, [0.7 * POINTS, 0.85 * POINTS]).astype(np.uint8),
            kind="points",
            columns=(Column("piece", "", tuple(str(k) for k in range(self.pieces))),),
        )


def eight_gaussians(piece: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Normal clouds of width 0.1 about eight points of the circle of radius 2."""
    angle = 2 * np.pi * piece / 8
    return 2 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.1 * rng.standard_normal((len(piece), 2))


def spirals(piece: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Two Archimedean spirals of one and a half turns, uniform in arc length as √u is nearly, with noise of 0.05."""
    angle = 3 * np.pi * np.sqrt(rng.uniform(size=len(piece)))
    radius = 2 * angle / (3 * np.pi) * np.where(piece == 0, 1, -1)
    points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return points + 0.05 * rng.standard_normal((len(piece), 2))


SETS = {
    toy.name: toy
    for toy in (
        Toy("toy_eight_gaussians", "Eight Gaussians", eight_gaussians.__doc__ or "", 8, eight_gaussians),
        Toy("toy_spirals", "Two spirals", spirals.__doc__ or "", 2, spirals),
    )
}
NAMES = tuple(SETS)


def get(name: str) -> Toy:
    """The set of this name, for the registry."""
    return SETS[name]

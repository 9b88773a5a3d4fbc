"""Points in the plane with exact samplers, on which a model learns in seconds, and how far any point is from them.

The six sets of SC-GAN (M. Drozdova et al., Generation of data on discontinuous manifolds, SPEC §5). The paper draws all
six in two dimensions and states neither formulas nor scales. Checkerboard, absolute value and four circles are as in
the public code of neural spline flows (C. Durkan et al., https://arxiv.org/abs/1906.04032, bayesiains/nsf,
data/plane.py), whose names the paper uses. Eight Gaussians and two spirals stood here before, smaller than in public
code by `Toy.larger`. A "sinewaved cube" is in no code that we know: it is read as the sum of that code's cubic and its
sine wave. Each point's condition is the number of the piece that it lies on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from engine.datasets.base import Dataset
from engine.schema import WrongInput
from engine.spaces import Column

POINTS = 20_000
SEED = 2112
REACHED = 0.999
"""Share of exact points that lie within `Toy.reach` of the manifold."""
FRESH = 5000
"""Seeds of fresh draws begin here: no set of ours was drawn with them."""
PAIRS = 8
Floats = NDArray[np.float64]


class Floor(NamedTuple):
    """What exact clouds of a size read: mean and standard deviation of `w1` over pairs, share of points that lie off
    the manifold."""

    w1: float
    spread: float
    off: float


@dataclass(frozen=True)
class Toy:
    """A set: how it is drawn, `draw(pieces (N,), rng)` to points (N, 2), and of how many pieces it is.

    distance: of points (N, 2) to the manifold, which is what is left of the set without its noise, (N,). tolerance:
    least `reach`, for a set without noise. gaps: whether pieces lie apart, so that a continuous map of one cloud must
    leave points between them. larger: size of the set in public code over that here.
    """

    name: str
    title: str
    provenance: str
    pieces: int
    draw: Callable[[NDArray[np.int64], np.random.Generator], Floats]
    distance: Callable[[Floats], Floats]
    gaps: bool = False
    tolerance: float = 0.0
    larger: float = 1.0

    def sample(self, n: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
        """Points (n, 2) and their pieces (n,), exactly distributed. Raises `WrongInput` unless n > 0."""
        if n < 1:
            raise WrongInput(f"{n} points: ask for at least one")
        rng = np.random.default_rng(seed)
        piece = rng.integers(0, self.pieces, n)
        return self.draw(piece, rng), piece

    @cached_property
    def reach(self) -> float:
        """A point farther than this from the manifold is off it: 99.9 % of the set's own points lie nearer."""
        return max(float(np.quantile(self.distance(self.sample(POINTS, SEED)[0]), REACHED)), self.tolerance)

    def off(self, points: Floats) -> NDArray[np.bool_]:
        """Which of the points (N, 2) lie off the manifold."""
        return self.distance(points) > self.reach

    @cache  # noqa: B019 - pages ask for one size
    def floor(self, n: int) -> Floor:
        """Of `PAIRS` pairs of clouds of n points, from the seeds before `FRESH`."""
        clouds = [self.sample(n, FRESH - 1 - k)[0] for k in range(2 * PAIRS)]
        apart = np.array([w1(*pair) for pair in zip(clouds[::2], clouds[1::2], strict=True)])
        return Floor(float(apart.mean()), float(apart.std(ddof=1)), float(self.off(np.concatenate(clouds)).mean()))

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


EIGHT = np.array([(2 * math.cos(k * math.pi / 4), 2 * math.sin(k * math.pi / 4)) for k in range(8)])


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


def checkerboard(piece: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Uniform in eight squares of side 2 of a board of four by four, which touch in their corners; no noise."""
    return SQUARES[piece] + rng.uniform(-1, 1, (len(piece), 2))


SQUARES = np.array([(2.0 * i - 3, 2.0 * j - 3) for i in range(4) for j in range(4) if (i + j) % 2 == 0])


def absolute(piece: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """y = |x| − 1 of normal x, its left and right half the pieces, with noise of e^−1.5 in y."""
    x = np.abs(rng.standard_normal(len(piece))) * np.where(piece == 0, -1, 1)
    return np.column_stack([x, np.abs(x) - 1 + math.exp(-1.5) * rng.standard_normal(len(x))])


def sine_cube(piece: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """y = 0.2·x³ + sin 5x of normal x, its left and right half the pieces, with noise of 0.1 in y."""
    x = np.abs(rng.standard_normal(len(piece))) * np.where(piece == 0, -1, 1)
    return np.column_stack([x, _waved(x) + 0.1 * rng.standard_normal(len(x))])


def _waved(x: Floats) -> Floats:
    return 0.2 * x**3 + np.sin(5 * x)


def four_circles(piece: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Circles of radius 2 about (±1, ±1), which cross each other, with noise of 0.1."""
    angle = rng.uniform(0, 2 * np.pi, len(piece))
    rim = MIDDLES[piece] + 2 * np.column_stack([np.cos(angle), np.sin(angle)])
    return rim + 0.1 * rng.standard_normal((len(piece), 2))


MIDDLES = np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)])


# --------------------------------------------------------------------------------------------------------- distances
def _to_points(points: Floats, centres: Floats) -> Floats:
    """Distances (N, K) of points (N, 2) to centres (K, 2)."""
    return np.linalg.norm(points[:, None] - centres, axis=2)


def _to_spirals(points: Floats) -> Floats:
    # one arm is the other one turned by half a turn
    return np.minimum(ARM.distance(points), ARM.distance(-points))


def _to_squares(points: Floats) -> Floats:
    beyond = (np.abs(points[:, None] - SQUARES) - 1).clip(min=0)
    return np.linalg.norm(beyond, axis=2).min(axis=1)


def _to_rays(points: Floats) -> Floats:
    x, y = np.abs(points[:, 0]), points[:, 1] + 1
    # before the foot of both rays the nearest point is the corner
    return np.where(x + y > 0, np.abs(x - y) / math.sqrt(2), np.hypot(x, y))


def _to_rims(points: Floats) -> Floats:
    return np.abs(_to_points(points, MIDDLES) - 2).min(axis=1)


@dataclass(frozen=True)
class Curve:
    """A plane curve: points (N, 2) `at` parameters (N,) from `low` to `high`, with knots on it that lie closer than it
    bends."""

    at: Callable[[Floats], Floats]
    low: float
    high: float
    knots: int

    @cached_property
    def tree(self) -> KDTree:
        return KDTree(self.at(np.linspace(self.low, self.high, self.knots)))

    def distance(self, points: Floats) -> Floats:
        """Of points (N, 2), (N,): from the nearest knot, by sections to the minimum between its neighbours."""
        grid, step = np.linspace(self.low, self.high, self.knots, retstep=True)
        start = grid[self.tree.query(points)[1]]
        a, b = (np.clip(start + side * step, self.low, self.high) for side in (-1, 1))
        for _ in range(30):  # 2/3 each: to a 200 000th of a step
            left, right = a + (b - a) / 3, b - (b - a) / 3
            nearer = np.linalg.norm(points - self.at(left), axis=1) < np.linalg.norm(points - self.at(right), axis=1)
            a, b = np.where(nearer, a, left), np.where(nearer, right, b)
        return np.linalg.norm(points - self.at((a + b) / 2), axis=1)


def _arm(angle: Floats) -> Floats:
    return (2 * angle / (3 * np.pi))[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


ARM = Curve(_arm, 0.0, 3 * np.pi, 4000)
# 6 standard deviations of x
WAVE = Curve(lambda x: np.column_stack([x, _waved(x)]), -6.0, 6.0, 40_000)


def w1(first: Floats, second: Floats) -> float:
    """Exact Wasserstein distance, Euclidean cost, of two clouds (N, d) of one size: the mean length of the cheapest
    assignment."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    cost = cdist(second, first)
    # what a row or a column has in common with all others changes no choice, and costs the search its time: a cloud
    # that is nearly one point takes three times as long with it
    choice = cost - cost.mean(axis=0)
    return float(cost[linear_sum_assignment(choice - choice.mean(axis=1, keepdims=True))].mean())


# public code has radius 4/√2 where the Gaussians have 2 (FFJORD's), and spirals that end at radius π (Durkan's)
SETS = {
    toy.name: toy
    for toy in (
        Toy("toy_eight_gaussians", "Eight Gaussians", eight_gaussians.__doc__ or "", 8, eight_gaussians,
            lambda points: _to_points(points, EIGHT).min(axis=1), gaps=True, larger=math.sqrt(2)),
        Toy("toy_checkerboard", "Checkerboard", checkerboard.__doc__ or "", 8, checkerboard, _to_squares, gaps=True,
            tolerance=0.1),
        Toy("toy_spirals", "Two spirals", spirals.__doc__ or "", 2, spirals, _to_spirals, gaps=True,
            larger=math.pi / 2),
        Toy("toy_abs", "Absolute value", absolute.__doc__ or "", 2, absolute, _to_rays),
        Toy("toy_sine_cube", "Sinewaved cube", sine_cube.__doc__ or "", 2, sine_cube, WAVE.distance),
        Toy("toy_four_circles", "Four circles", four_circles.__doc__ or "", 4, four_circles, _to_rims),
    )
}  # fmt: skip
NAMES = tuple(SETS)


def get(name: str) -> Toy:
    """The set of this name, for the registry."""
    return SETS[name]

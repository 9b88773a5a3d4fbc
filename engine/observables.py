"""What a calorimetrist reads off a shower: light, where its middle is, how wide it is, how many fibres are lit.

Pure numpy over showers (N, H, W) [photons], axis 0 = x, in blocks, so that a large set costs no second copy. Every
observable of a shower without light is defined: 0, and its centre is the middle of the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import zdc

Floats = NDArray[np.float64]
NAMES = (
    "light", "brightest", "lit", "centre_x", "centre_y", "width_x", "width_y",
    "within_1", "within_2", "within_4", "within_8",
)  # fmt: skip
"""Columns of `Observables.table`: photons in all and in the brightest fibre, fibres that hold one at least, centre and
root mean square widths [mm], shares of the light within 1, 2, 4 and 8 fibres' pitch of the centre."""
COUNTS = 3
"""The first columns are counts, whose logarithm is taken for features."""
WITHIN = (1, 2, 4, 8)
LIT = 0.5
"""Photons from which a fibre counts as lit: whole ones from 1 on, expectations where they round to 1."""
RINGS = 40
"""Rings about the centre, one pitch wide; the last holds all that is farther away."""
BLOCK = 2048


@dataclass(frozen=True)
class Observables:
    """table: (N, 11) by `NAMES`. rings: light in rings about each shower's centre, (N, 40) [photons]. pitch: of the
    fibres [mm]."""

    table: Floats
    rings: Floats
    pitch: float

    def __getitem__(self, name: str) -> Floats:
        return self.table[:, NAMES.index(name)]

    @property
    def centre(self) -> Floats:
        """(N, 2) [mm] from the middle of the face."""
        first = NAMES.index("centre_x")
        return self.table[:, first : first + 2]

    def features(self, channels: Floats) -> Floats:
        """Columns for distances between showers, (N, 11 + channels): logarithms log(1+x) of counts and of channel sums,
        since light spans three decades, and the rest as it is."""
        counts = np.concatenate([self.table[:, :COUNTS], channels], axis=1)
        return np.concatenate([np.log1p(counts.clip(min=0)), self.table[:, COUNTS:]], axis=1)


def pitch_mm(shape: tuple[int, ...]) -> float:
    """Of the detector with this face [mm]; a face of no detector is taken to have the pitch of ZN."""
    faces = (detector for detector in zdc.DETECTORS.values() if detector.shape == tuple(shape))
    return 10 * next(faces, zdc.ZN).pitch_cm


def of(showers: NDArray) -> Observables:
    """Observables of showers (N, H, W) [photons ≥ 0], whole or expected."""
    pitch = pitch_mm(showers.shape[1:])
    table, rings = np.zeros((len(showers), len(NAMES))), np.zeros((len(showers), RINGS))
    for start in range(0, len(showers), BLOCK):
        rows = slice(start, start + BLOCK)
        table[rows], rings[rows] = _block(np.asarray(showers[rows]), pitch)
    return Observables(table, rings, pitch)


def _block(showers: NDArray, pitch: float) -> tuple[Floats, Floats]:
    count, (height, width) = len(showers), showers.shape[1:]
    # few fibres are lit, so that a list of them is shorter than the pictures
    flat = showers.reshape(count, height * width)
    shower, fibre = flat.nonzero()
    light = flat[shower, fibre].astype(np.float64)
    x, y = (fibre // width) - (height - 1) / 2, (fibre % width) - (width - 1) / 2

    def summed(values: Floats) -> Floats:
        return np.bincount(shower, values, count).astype(np.float64)

    total = summed(light)
    safe = np.where(total > 0, total, 1.0)
    centre_x, centre_y = summed(light * x) / safe, summed(light * y) / safe
    from_x, from_y = x - centre_x[shower], y - centre_y[shower]
    square_x, square_y = from_x**2, from_y**2
    widths = [np.sqrt(summed(light * square) / safe) for square in (square_x, square_y)]
    radius = np.sqrt(square_x + square_y)
    within = [summed(light * (radius <= r)) / safe for r in WITHIN]
    brightest = flat.max(axis=1) if flat.shape[1] else total
    lit = summed((light >= LIT).astype(np.float64))
    lengths = [pitch * column for column in (centre_x, centre_y, *widths)]
    ring = np.minimum(radius.astype(np.int64), RINGS - 1)
    rings = np.bincount(shower * RINGS + ring, light, count * RINGS).astype(np.float64)
    return np.stack([total, brightest, lit, *lengths, *within], axis=1), rings.reshape(count, RINGS)

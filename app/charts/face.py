"""A detector's face as small tables for the browser: towers, common fibres, where training particles hit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 40
REACH = 1.3
"""How far the pad shows, in halves of the face: particles may pass beside."""


@dataclass(frozen=True)
class Readout:
    """A convention, made to be drawn. towers: (H, W), the channel of the tower that a fibre stands in, also that of a
    fibre which itself goes to the common channel. common_channel: −1 where there is none."""

    channel: np.ndarray
    towers: np.ndarray
    common: np.ndarray
    common_channel: int

    def corners(self) -> list[tuple[int, tuple[int, int]]]:
        """Each tower with its fibre of smallest x and, of those, largest y: where its number is written."""
        found = []
        for tower in np.unique(self.towers):
            i, j = np.nonzero(self.towers == tower)
            left = i == i.min()
            found.append((int(tower), (int(i.min()), int(j[left].max()))))
        return found


def readout(channel: np.ndarray) -> Readout:
    """Tell towers from the common channel, which is the one that never has two fibres side by side while it stands in
    every tower."""
    channel = np.asarray(channel, int)
    beside = [channel[1:] == channel[:-1], channel[:, 1:] == channel[:, :-1]]
    alone = [
        c for c in np.unique(channel)
        if not (channel[1:][beside[0]] == c).any() and not (channel[:, 1:][beside[1]] == c).any()
    ]  # fmt: skip
    # towers cut by the common fibres have no two fibres side by side either: the common channel is the largest
    sizes = {int(c): int((channel == c).sum()) for c in alone}
    largest = max(sizes, key=lambda c: sizes[c], default=-1)
    if largest < 0 or sizes[largest] < channel.size // 3:
        return Readout(channel, channel, np.zeros(channel.shape, bool), -1)
    common = channel == largest
    return Readout(channel, filled(channel, common), common, largest)


def filled(channel: np.ndarray, common: np.ndarray) -> np.ndarray:
    """The channel that most of a common fibre's four neighbours go to, in its place."""
    padded = np.pad(np.where(common, -1, channel), 1, constant_values=-1)
    near = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    votes = np.stack([(near == c).sum(0) for c in range(int(channel.max()) + 1)])
    return np.where(common, votes.argmax(0), channel)


def impact_density(impact_mm: np.ndarray, half_mm: tuple[float, float], bins: int = BINS) -> np.ndarray:
    """How many particles hit each cell of the pad, (bins, bins) uint8 on a square-root scale, 255 the most.

    impact_mm: (n, 2). half_mm: half of the face along x and y.
    """
    xy = np.asarray(impact_mm, float)
    xy = xy[np.isfinite(xy).all(1)]
    span = [[-REACH * half, REACH * half] for half in half_mm]
    counts = np.histogram2d(xy[:, 0], xy[:, 1], bins=bins, range=span)[0]
    return np.round(255 * np.sqrt(counts / max(1.0, counts.max()))).astype(np.uint8)


def impact_mm(conditions: np.ndarray, z_cm: float) -> np.ndarray:
    """Where straight lines of flight meet the face, (n, 2); nan for particles that fly along it. conditions: (n, 9)."""
    c = np.asarray(conditions, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        path = (z_cm - np.sign(c[:, 6]) * c[:, 3]) / np.abs(np.where(c[:, 6] == 0, np.nan, c[:, 6]))
    return 10 * (c[:, 1:3] + c[:, 4:6] * path[:, None])

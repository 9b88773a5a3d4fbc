"""Clouds of a training, checkpoint by checkpoint: on one clock, and packed for the browser that replays them."""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.charts.bridging import Judged, Share
from app.components.words import measured
from engine.schema import Arrays

Span = tuple[tuple[float, float], tuple[float, float]]
FULL = 32767
"""What the end of an axis is in packed points."""
SAME = 1e-6
"""Shares that differ by less are the same moment."""


class Frame(NamedTuple):
    """Points of a model at a checkpoint. share: of the training until then, 0 to 1."""

    step: int
    share: float
    cloud: Arrays


def stops(shares: Sequence[Sequence[float]]) -> list[float]:
    """The moments at which any panel changes, ascending, each once."""
    found: list[float] = []
    for share in sorted(s for panel in shares for s in panel):
        if not found or share - found[-1] > SAME:
            found.append(share)
    return found


def shown_at(shares: Sequence[float], clock: Sequence[float]) -> list[int]:
    """Which of a panel's frames, whose shares ascend, stands at each moment: its last one until then; −1 before its
    first."""
    return [bisect_right(shares, moment + SAME) - 1 for moment in clock]


def packed(points: NDArray[np.floating], span: Span) -> str:
    """Points (n, 2) as 16-bit whole numbers, base64, low byte first: the ends of each axis are ∓`FULL`, and what lies
    beyond them, or is no number, stands at an end."""
    low, high = np.array(span).T
    scaled = (2 * np.asarray(points, float).reshape(-1, 2) - (low + high)) / (high - low)
    whole = np.rint(FULL * np.clip(np.nan_to_num(scaled, nan=1.0), -1, 1))
    return base64.b64encode(whole.astype("<i2").tobytes()).decode("ascii")


def unpacked(text: str, span: Span) -> NDArray[np.float64]:
    """What the browser makes of `packed`."""
    low, high = np.array(span).T
    whole = np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, 2)
    return (low + high + whole / FULL * (high - low)) / 2


def bytes_of(table: NDArray[np.integer]) -> str:
    """Numbers from 0 to 255 in rows, base64."""
    return base64.b64encode(np.ascontiguousarray(table, np.uint8).tobytes()).decode("ascii")


def words(cloud: Arrays, judged: Judged | None = None) -> list[str]:
    """Three lines below a cloud: its distance to exact points, that of exact points to each other, and what lies off
    the manifold. judged: several such clouds, whose mean stands there then."""
    m = cloud.meta
    floor, spread, off_floor = m["w1_floor"], m["w1_floor_spread"], m["off_floor"]
    w1, error = (judged.w1, judged.w1_error) if judged else (m["w1"], None)
    off = judged.off if judged else Share(m["off"], m["off_error"])
    ratio = f" = {w1 / floor:.2f} × floor" if floor > 0 else ""
    return [
        f"W₁ {measured(w1, error)}{ratio}",
        f"floor {measured(floor, spread)}",
        f"off {off}, floor {100 * off_floor:.2g} %",
    ]


def drawn(frame: Frame, span: Span, judged: Judged | None = None) -> dict[str, Any]:
    """A frame for the browser: points on the manifold first, then those off it."""
    off = np.asarray(frame.cloud["off"], bool)
    points = np.asarray(frame.cloud["points"], float)
    said = words(frame.cloud, judged)
    return {
        "points": packed(np.concatenate([points[~off], points[off]]), span), "on": int((~off).sum()), "words": said,
        "alt": f"{len(points)} generated points, {int(off.sum())} off the manifold; {'; '.join(said)}",
    }  # fmt: skip

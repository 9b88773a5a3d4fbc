"""Does the noise generator bridge the gaps? Shares of points off the manifold with their errors, and what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.components.words import measured
from engine.schema import Arrays

SIGMAS = 2.0
"""Errors by which two shares must differ to be called different."""


class Share(NamedTuple):
    """A share of points, 0 to 1, with its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{measured(100 * self.value, 100 * self.error)} %"


class Judged(NamedTuple):
    """Several clouds of one model, alike but for their seeds. w1: mean, with the error of the mean; floor, spread: of
    exact clouds of the same size."""

    w1: float
    w1_error: float
    floor: float
    spread: float
    off: Share
    off_floor: float
    points: int


def share_of(off: int, n: int) -> Share:
    """`off` of n points. The error is binomial, √(p(1 − p)/n), with p = (off + 1)/(n + 2) in it: none, or all, of a
    finite number of points says no more than that either is rare."""
    p = (off + 1) / (n + 2)
    return Share(off / n, math.sqrt(p * (1 - p) / n))


def judge(clouds: Sequence[Arrays]) -> Judged:
    """At least two clouds together."""
    w1 = np.array([c.meta["w1"] for c in clouds])
    off = np.concatenate([np.asarray(c["off"], bool) for c in clouds])
    first = clouds[0].meta
    return Judged(
        w1=float(w1.mean()), w1_error=float(w1.std(ddof=1) / math.sqrt(len(w1))), floor=first["w1_floor"],
        spread=first["w1_floor_spread"], off=share_of(int(off.sum()), len(off)), off_floor=first["off_floor"],
        points=len(off),
    )  # fmt: skip


def apart(a: Share, b: Share) -> Share:
    """a − b."""
    return Share(a.value - b.value, math.hypot(a.error, b.error))


def differs(difference: Share) -> int:
    """Its sign where it is beyond `SIGMAS` errors, else 0."""
    if abs(difference.value) <= SIGMAS * difference.error:
        return 0
    return 1 if difference.value > 0 else -1


def verdict(own: Share, real: Share | None, floor: float, gaps: bool) -> str:
    """What the e2e SAE's shares say. own: of points from its noise generator; real: of decoded codes of real examples,
    where they are known; floor: of exact points. A share is the decoder's doing as far as it stands above the floor in
    `real`, and the noise generator's as far as `own` stands above `real`."""
    exact = Share(floor, 0.0)
    if real is None:
        if not differs(apart(own, exact)):
            return f"**No:** {own} of the e2e SAE's points lie off the manifold, as of exact ones within errors."
        return (
            f"**{own} of the e2e SAE's points lie off the manifold**, but no record says how many of decoded real "
            "codes do: whether the noise or the decoder puts them there shows when both models are trained here."
        )
    added, alone = apart(own, real), apart(real, exact)
    told = f"{own} of the e2e SAE's points lie off the manifold, against {real} of decoded real codes"
    way = differs(added)
    if not gaps:
        said = {
            1: f"The noise generator still puts points beside the set: {told}, {added} more.",
            0: f"And noise adds nothing beyond errors: {told}.",
            -1: f"And fewer points stray with noise than without: {told}.",
        }[way]
        return f"**There are no gaps to bridge:** the pieces of this set touch. {said}"
    if way > 0 and differs(alone) > 0 and alone.value > added.value:
        return f"**In part:** {told}. The noise adds {added}, but the decoder alone does more of it."
    if way > 0:
        return f"**Yes:** {told}, so it is the noise generator that bridges."
    if differs(alone) > 0:
        less = "fewer from noise than without it" if way < 0 else "noise adds nothing beyond errors"
        return f"**No, the decoder does:** {told}; {less}."
    return f"**No:** {told}; noise adds nothing beyond errors, and the decoder leaves no more off than exact points."


def against(own: Share, mapping: Share, single: Share | None) -> str:
    """SC-GAN beside the e2e SAE's own share."""
    word = {1: "fewer", 0: "as many within errors", -1: "more"}[differs(apart(own, mapping))]
    said = f"SC-GAN's mapping networks leave {word}: {mapping}."
    if single is None:
        return said
    worse = {1: "more", 0: "no different beyond errors", -1: "fewer"}[differs(apart(single, mapping))]
    return f"{said} One Gaussian in their place leaves {worse}: {single}."

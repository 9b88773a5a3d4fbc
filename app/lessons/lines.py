"""Two parallel lines: divergences jump, the Wasserstein distance walks."""

from __future__ import annotations

import math

import numpy as np

from app.charts.colour import GENERATED, GREEN, PURPLE, data_blue, ink
from app.charts.sketch import Axis, Pane, dots, line, sketch, upright
from app.lessons.base import Lesson, Sheet, Slider, below, tex

REACH = 1.0
INFINITE = 1.25
"""Where ∞ is drawn."""


def kullback(theta: float) -> float:
    """KL(P, Q) of the uniform distributions on {0} × [0, 1] and {θ} × [0, 1]: no mass of P has a density by Q, unless
    the lines are one."""
    return math.inf if theta else 0.0


def shannon(theta: float) -> float:
    """Jensen–Shannon divergence: the mixture has half of each density where that is, ½ log 2 + ½ log 2."""
    return math.log(2) if theta else 0.0


def earth_mover(theta: float) -> float:
    """W1: every point moves straight across."""
    return abs(theta)


def sheet(dark: bool, theta: float) -> Sheet:
    """theta: distance of the lines, with its sign."""
    far, near, walk = kullback(theta), shannon(theta), earth_mover(theta)
    blue, jump = data_blue(dark), math.log(2)
    ends = np.array([-REACH, REACH])
    panes = [
        Pane(Axis("x₁", -1.5, 1.5, 0.5), Axis("x₂", 0, 1.25, 0.5)),
        Pane(Axis("θ", -REACH, REACH, 0.5), Axis("divergence [nats], distance", 0, 1.4, 0.5)),
    ]
    height = np.array([0.0, 1.0])
    series = [
        line(0, "data P", np.zeros(2), height, blue, "solid", 4),
        line(0, "generated Q", np.full(2, theta), height, GENERATED, "dashed", 4),
        line(1, "KL = ∞", ends, np.full(2, INFINITE), ink(dark), [2, 3], 2),
        line(1, "JSD", ends, np.full(2, jump), PURPLE, [7, 3], 2.5),
        line(1, "W₁ = |θ|", np.array([-REACH, 0, REACH]), np.array([REACH, 0, REACH]), GREEN, "solid", 2.5),
        upright(1, theta, 0, 1.4, dark),
        dots(1, "", [-0.7], [INFINITE], ink(dark), "circle", 1, texts=["∞, off the scale"], place="top", dark=dark),
        dots(1, "", [0, 0], [INFINITE, jump], ink(dark), "circle", 9, hollow=True),
        dots(1, "", [0], [0], PURPLE, "circle", 9),
        dots(1, "", [theta], [min(far, INFINITE)], ink(dark), "triangle", 10),
        dots(1, "", [theta], [near], PURPLE, "diamond", 12),
        dots(1, "", [theta], [walk], GREEN, "rect", 9),
    ]
    shown, flat, slope = r"\log 2 = 0.693", "0", str(int(math.copysign(1, theta)))
    if not theta:
        shown, flat, slope = "0", r"\text{undefined: it jumps}", r"\pm1"
    formula = below(
        rf"\theta = {tex(theta)}:\qquad \mathrm{{KL}}(P\,\|\,Q) = {tex(far)},\qquad "
        rf"\mathrm{{JSD}}(P,Q) = {shown},\qquad W_1(P,Q) = |\theta| = {tex(walk)}",
        rf"\frac{{\mathrm{{d}}}}{{\mathrm{{d}}\theta}}\mathrm{{JSD}} = {flat},\qquad "
        rf"\frac{{\mathrm{{d}}}}{{\mathrm{{d}}\theta}}W_1 = {slope}",
    )
    alt = (
        f"Left, two parallel lines of unit length {abs(theta):g} apart. Right, against θ: KL is infinite and JSD log 2 "
        f"everywhere but at θ = 0, where both jump to 0; W1 is |θ|, here {walk:g}."
    )
    return Sheet(formula, sketch(panes, series, dark), alt)


LESSON = Lesson(
    place=3,
    title="Two lines",
    question="How far apart are two lines that do not touch?",
    words="KL and JSD only see that the lines share no point: they say the same at every distance and jump when the "
    "lines meet, so their slope leads nowhere. The Wasserstein distance says how far there is to go, and its slope "
    "points the way.",
    source="Arjovsky, Chintala, Bottou, arXiv:1701.07875, Example 1.",
    controls=(Slider("theta", "θ, where the second line stands", -REACH, REACH, 0.5, 0.05, 2),),
    sheet=sheet,
)

"""The game x · y: steps that spiral out, circle, and come in."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from app.charts.colour import GREEN, PURPLE, ink
from app.charts.sketch import Axis, Pane, dots, line, sketch
from app.lessons.base import Lesson, Sheet, Slider, below, tex

STEPS = 60
START = (1.0, 0.0)
REACH = 3.0
NEAREST, FARTHEST = 0.01, 100.0
"""Radii that the chart shows."""


def simultaneous(x: float, y: float, eta: float) -> tuple[float, float]:
    """Both players step from where both stood: x goes down the slope y of x·y, y up the slope x."""
    return x - eta * y, y + eta * x


def alternating(x: float, y: float, eta: float) -> tuple[float, float]:
    """y answers the x that has just stepped."""
    x = x - eta * y
    return x, y + eta * x


def extragradient(x: float, y: float, eta: float) -> tuple[float, float]:
    """Look one step ahead, and step by the slopes seen there (Korpelevich 1976)."""
    ahead = simultaneous(x, y, eta)
    return x - eta * ahead[1], y + eta * ahead[0]


class Way(NamedTuple):
    """A rule of steps with its look. title: as the legend has it."""

    title: str
    colour: str
    dash: str | list[int]
    symbol: str


RULES = {"simultaneous": simultaneous, "alternating": alternating, "extragradient": extragradient}


def ways(dark: bool) -> dict[str, Way]:
    return {
        "simultaneous": Way("simultaneous steps", PURPLE, "solid", "diamond"),
        "alternating": Way("alternating steps", ink(dark), [2, 3], "circle"),
        "extragradient": Way("extragradient", GREEN, [7, 3], "triangle"),
    }


def path(rule: str, eta: float, steps: int = STEPS) -> np.ndarray:
    """Where the players stand, (steps + 1, 2)."""
    points = [START]
    for _ in range(steps):
        points.append(RULES[rule](*points[-1], eta))
    return np.array(points)


def factor(rule: str, eta: float) -> float:
    """By how much the radius grows a step: |1 + iη| for simultaneous steps, |1 − η² + iη| for the extragradient;
    1 on average for alternating ones, whose matrix has determinant 1 (bounded while η < 2)."""
    if rule == "simultaneous":
        return math.sqrt(1 + eta**2)
    if rule == "extragradient":
        return math.sqrt(1 - eta**2 + eta**4)
    return 1.0


def kept(points: np.ndarray, eta: float) -> np.ndarray:
    """x² + y² − η x y, which alternating steps never change: they go around this ellipse."""
    x, y = points[..., 0], points[..., 1]
    return x**2 + y**2 - eta * x * y


def sheet(dark: bool, eta: float) -> Sheet:
    """eta: step length of both players."""
    panes = [
        Pane(Axis("x, who lowers x·y", -REACH, REACH, 1), Axis("y, who raises it", -REACH, REACH, 1), square=True),
        Pane(Axis("step n", 0, STEPS, 10), Axis("distance to the equilibrium (0, 0)", NEAREST, FARTHEST, log=True)),
    ]
    series, n = [], np.arange(STEPS + 1)
    radii = {}
    for rule, way in ways(dark).items():
        points = path(rule, eta)
        radius = np.hypot(*points.T)
        radii[rule] = float(radius[-1])
        inside = np.where((np.abs(points) <= REACH).all(1), 1.0, np.nan)
        series.append(line(0, way.title, points[:, 0], points[:, 1] * inside, way.colour, way.dash, 1.5))
        end = np.flatnonzero(np.isfinite(inside))[-1]
        series.append(dots(0, "", [points[end, 0]], [points[end, 1]], way.colour, way.symbol, 10))
        series.append(line(1, way.title, n, np.where(radius <= FARTHEST, radius, np.nan), way.colour, way.dash, 2))
        every = n[:: STEPS // 6]
        seen = every[(radius[every] >= NEAREST) & (radius[every] <= FARTHEST)]
        series.append(dots(1, "", seen, radius[seen], way.colour, way.symbol, 8))
    series.append(dots(0, "", [0], [0], ink(dark), "rect", 8, hollow=True))
    series.append(dots(0, "", [START[0]], [START[1]], ink(dark), "circle", 7, hollow=True))
    grows = factor("simultaneous", eta)
    formula = below(
        rf"\text{{simultaneous: }} r_n = \sqrt{{1+\eta^2}}^{{\,n}},\quad r_{{{STEPS}}} = "
        rf"{tex(grows, 5)}^{{{STEPS}}} = {tex(grows**STEPS)}",
        rf"\text{{extragradient: }} r_n = \sqrt{{1-\eta^2+\eta^4}}^{{\,n}},\quad r_{{{STEPS}}} = "
        rf"{tex(factor('extragradient', eta), 5)}^{{{STEPS}}} = {tex(factor('extragradient', eta) ** STEPS)},\qquad "
        rf"\text{{alternating: }} x^2+y^2-\eta\,xy = 1",
    )
    alt = (
        f"Left, {STEPS} steps of length {eta:g} from (1, 0): simultaneous steps spiral outwards, alternating ones go "
        f"around an ellipse, the extragradient {'spirals in' if eta < 1 else 'does not come in'}. Right, the distance "
        "to the equilibrium against the step: " + ", ".join(f"{k} {v:.3g}" for k, v in radii.items()) + " at the end."
    )
    return Sheet(formula, sketch(panes, series, dark), alt)


LESSON = Lesson(
    place=7,
    title="Nash oscillation",
    question="Why do two players who only follow their slopes not meet?",
    words="Generator and discriminator each follow their own slope, and in the game x·y these slopes turn around the "
    "equilibrium instead of leading to it: together they spiral away at any step length, in turns they circle for "
    "ever. A look one step ahead is enough to come in, as long as η stays below 1.",
    source="Korpelevich 1976 (extragradient); Mescheder et al., arXiv:1801.04406, on why GANs oscillate.",
    controls=(Slider("eta", "Step length η", 0.02, 1.2, 0.2, 0.02, 2),),
    sheet=sheet,
)

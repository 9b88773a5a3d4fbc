"""Vanishing gradients: what a perfect discriminator and a Wasserstein critic tell the generated points."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from app.charts.colour import GENERATED, GREEN, PURPLE, data_blue, ink
from app.charts.sketch import Axis, Pane, dots, line, sketch, upright
from app.lessons.base import Lesson, Sheet, Slider, below, tex
from app.lessons.discriminator import X, density, logit

FARTHEST = 8.0
LOW, HIGH = 1e-4, 10.0
SEEN = np.linspace(-4, 12, 321)
CRITIC = 1.0
"""|d f / d x| of the critic of two Gaussians of equal width: f = −x, and W1 is the distance of the means."""


def minimax(x: np.ndarray | float, apart: float) -> np.ndarray:
    """|d/dx log(1 − D*)| = D* · d: nothing where D* is sure."""
    return apart * expit(logit(x, apart))


def saturating_not(x: np.ndarray | float, apart: float) -> np.ndarray:
    """|d/dx (−log D*)| = (1 − D*) · d: never small there, but it grows with the distance without bound."""
    return apart * expit(-logit(x, apart))


def mean_slope(rule: Any, apart: float) -> float:
    """Over the generated points, N(d, 1). Of `minimax` it is d/dd 2 JSD, of `saturating_not` d/dd (KL(q‖p) − 2 JSD)
    (Arjovsky and Bottou, arXiv:1701.04862, Theorem 2.5)."""
    return float(np.trapezoid(density(X, apart) * rule(X, apart), X))


def sheet(dark: bool, distance: float) -> Sheet:
    """distance: of the generated cloud from the data, in σ."""
    blue = data_blue(dark)
    ways = np.linspace(0.1, FARTHEST, 60)
    slopes = (
        ("log(1 − D*), minimax", PURPLE, [7, 3], "diamond", minimax),
        ("−log D*, non-saturating", ink(dark), [2, 3], "circle", saturating_not),
    )
    panes = [
        Pane(Axis("x [σ]", -4, 12, 4), Axis("slope of the loss [1/σ]", 0, 8.5, 2)),
        Pane(
            Axis("distance of the clouds [σ]", 0, FARTHEST, 1),
            Axis("mean slope at generated points [1/σ]", LOW, HIGH, log=True),
        ),
    ]
    series = [
        line(0, "data p (× 5)", SEEN, 5 * density(SEEN, 0), blue, "solid", 1, fill=0.2),
        line(0, "generated q (× 5)", SEEN, 5 * density(SEEN, distance), GENERATED, "dashed", 1, fill=0.15),
    ]
    felt: dict[str, float] = {}
    for title, colour, dash, symbol, rule in slopes:
        felt[title] = mean_slope(rule, distance)
        series.append(line(0, title, SEEN, rule(SEEN, distance), colour, dash, 2))
        series.append(line(1, title, ways, np.array([mean_slope(rule, d) for d in ways]), colour, dash, 2))
        series.append(dots(1, "", [distance], [felt[title]], colour, symbol, 10))
    series += [
        line(0, "Wasserstein critic", SEEN, np.full(len(SEEN), CRITIC), GREEN, "solid", 2.5),
        line(1, "Wasserstein critic", ways, np.full(len(ways), CRITIC), GREEN, "solid", 2.5),
        dots(1, "", [distance], [CRITIC], GREEN, "rect", 9),
        upright(1, distance, LOW, HIGH, dark),
    ]
    at = float(minimax(distance, distance))
    other = float(saturating_not(distance, distance))
    small, large = (felt[title] for title, *_ in slopes)
    formula = below(
        rf"\left|\tfrac{{\mathrm d}}{{\mathrm dx}}\log(1-D^*)\right|_{{x=d}} = \frac{{d}}{{1+e^{{d^2/2}}}} = "
        rf"\frac{{{tex(distance)}}}{{1+e^{{{tex(distance**2 / 2, 4)}}}}} = {tex(at)},\qquad "
        rf"\left|\tfrac{{\mathrm d}}{{\mathrm dx}}(-\log D^*)\right|_{{x=d}} = "
        rf"\frac{{d}}{{1+e^{{-d^2/2}}}} = {tex(other)}",
        rf"\text{{mean over generated points: }} {tex(small)} \text{{ (minimax)}},\quad {tex(large)} "
        r"\text{ (non-saturating)},\quad |f'| = 1 \text{ (critic)}",
    )
    alt = (
        f"Left, data and generated densities {distance:g} σ apart with the slopes of three losses. Right, on a "
        f"logarithmic axis, the mean slope at generated points against the distance: minimax falls to {small:.2g} "
        f"here, non-saturating grows to {large:.2g}, the Wasserstein critic stays at 1."
    )
    return Sheet(formula, sketch(panes, series, dark), alt)


LESSON = Lesson(
    place=8,
    title="Vanishing gradients",
    question="What does a generated point feel when the discriminator is perfect?",
    words="As the clouds part, a perfect discriminator is sure of every generated point and its minimax loss turns "
    "flat there; the non-saturating form stays steep but pulls without measure, the harder the further. The "
    "Wasserstein critic slopes by 1 everywhere, so a point far off is led home as well as one nearby.",
    source="Goodfellow et al., arXiv:1406.2661, Section 3; Arjovsky and Bottou, arXiv:1701.04862.",
    controls=(Slider("distance", "Distance of the generated cloud [σ]", 0.5, FARTHEST, 3, 0.1, 1),),
    sheet=sheet,
)

"""The optimal discriminator of two Gaussians, and the divergence that its game reads."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, log_expit

from app.charts.colour import GENERATED, GREEN, PURPLE, data_blue
from app.charts.sketch import Axis, Pane, dots, level, line, sketch
from app.lessons.base import Lesson, Sheet, Slider, below, tex

FARTHEST = 6.0
X = np.linspace(-9, 17, 1301)
"""Where integrals are summed: for Gaussians the trapezoidal rule is exact to rounding."""
SEEN = np.linspace(-4, 10, 281)


def density(x: np.ndarray, mean: float) -> np.ndarray:
    """N(mean, 1)."""
    return np.exp(-((np.asarray(x, float) - mean) ** 2) / 2) / math.sqrt(2 * math.pi)


def logit(x: np.ndarray | float, apart: float) -> np.ndarray:
    """log p − log q = d²/2 − d x of p = N(0, 1) and q = N(d, 1)."""
    return apart**2 / 2 - apart * np.asarray(x, float)


def best(x: np.ndarray | float, apart: float) -> np.ndarray:
    """D* = p / (p + q), the discriminator that no other beats (Goodfellow et al., arXiv:1406.2661, Proposition 1)."""
    return expit(logit(x, apart))


def value(apart: float) -> float:
    """V(D*) = E_p log D* + E_q log(1 − D*)."""
    score = logit(X, apart)
    inside = density(X, 0) * log_expit(score) + density(X, apart) * log_expit(-score)
    return float(np.trapezoid(inside, X))


def shannon(apart: float) -> float:
    """Jensen–Shannon divergence of the two, from its definition with the mixture m: ½ KL(p, m) + ½ KL(q, m), nats."""
    p, q = density(X, 0), density(X, apart)
    mixture = (p + q) / 2
    inside = 0.5 * p * np.log(np.maximum(p, 1e-300) / mixture) + 0.5 * q * np.log(np.maximum(q, 1e-300) / mixture)
    return float(np.trapezoid(inside, X))


def sheet(dark: bool, apart: float) -> Sheet:
    """apart: distance of the two means in σ."""
    read, divergence = value(apart), shannon(apart)
    blue, x = data_blue(dark), SEEN
    lowest = -2 * math.log(2)
    ways = np.linspace(0, FARTHEST, 49)
    panes = [
        Pane(Axis("x [σ]", -4, 10, 2), Axis("density [1/σ] and D*", 0, 1, 0.2)),
        Pane(Axis("distance of the means [σ]", 0, FARTHEST, 1), Axis("value of the game", -1.6, 0.1, 0.4)),
    ]
    series = [
        line(0, "data p", x, density(x, 0), blue, fill=0.2),
        line(0, "generated q", x, density(x, apart), GENERATED, "dashed", fill=0.15),
        line(0, "D* = p / (p + q)", x, best(x, apart), GREEN, [2, 3], 2.5),
        line(1, "V(D*)", ways, np.array([value(d) for d in ways]), PURPLE),
        level(1, "", lowest, 0, FARTHEST, PURPLE, [2, 3]),
        level(1, "", 0, 0, FARTHEST, PURPLE, [2, 3]),
        dots(
            1, "", [0.1], [lowest], PURPLE, "circle", 1, texts=["−2 log 2: nothing to tell apart"],
            place="right", dark=dark,
        ),
        dots(
            1, "", [apart], [read], PURPLE, "circle", 10, texts=[f"{read:.3f}".replace("-", "−")],
            place="right" if apart < FARTHEST - 1 else "left", dark=dark,
        ),
    ]  # fmt: skip
    series[-2]["data"][0]["label"] |= {"offset": [0, 10], "fontSize": 11}
    series[-1]["data"][0]["label"]["offset"] = [0, 10]  # off the line that runs level there
    middle = apart / 2
    formula = below(
        r"D^*(x) = \frac{p(x)}{p(x)+q(x)} = \frac{1}{1+e^{\,d\,x-d^2/2}},\qquad "
        rf"D^*(0) = {tex(float(best(0.0, apart)))},\quad D^*({tex(middle)}) = 0.5,\quad "
        rf"D^*({tex(apart)}) = {tex(float(best(apart, apart)))}",
        rf"V(D^*) = 2\,\mathrm{{JSD}}(p\,\|\,q) - 2\log 2 = 2\cdot{divergence:.4f} - 1.3863 = {read:.4f}",
    )
    alt = (
        f"Left, two normal densities {apart:g} σ apart and the optimal discriminator, which falls from 1 to 0 and is "
        f"0.5 half way. Right, the value of the game against the distance, from −1.386 up to 0; here {read:.3f}."
    )
    return Sheet(formula, sketch(panes, series, dark), alt)


LESSON = Lesson(
    place=2,
    title="Optimal discriminator",
    question="What does the best possible discriminator measure?",
    words="At each place the best answer is the share of data among what lies there, so D* needs no training here. "
    "Played with it, the game reads the Jensen–Shannon divergence; that is already flat when the clouds stand a few σ "
    "apart, which the last lesson comes back to.",
    source="Goodfellow et al., arXiv:1406.2661, Proposition 1 and Theorem 1.",
    controls=(Slider("apart", "Distance of the two means [σ]", 0, FARTHEST, 2, 0.1, 1),),
    sheet=sheet,
)

"""Mean collapse: what squared error wants of a model whose replicas have two modes."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erf

from app.charts.colour import GENERATED, GREEN, PURPLE, data_blue
from app.charts.sketch import Axis, Pane, dots, level, line, sketch, upright
from app.lessons.base import Lesson, Sheet, Slider, below, signed, tex

DIM, BRIGHT, SIGMA = 30.0, 90.0, 8.0
"""Photons of the two modes and their width: a shower that starts late, and one that starts early."""
MODES = np.array([DIM, BRIGHT])
TOP = 120.0
X = np.linspace(0, TOP, 241)


def density(y: np.ndarray) -> np.ndarray:
    """Of replicas of one particle, ½ N(30, 8²) + ½ N(90, 8²), per photon."""
    z = (np.asarray(y, float)[..., None] - MODES) / SIGMA
    return (np.exp(-(z**2) / 2) / (SIGMA * math.sqrt(2 * math.pi))).mean(-1)


def moments() -> tuple[float, float]:
    """Mean and variance of the replicas."""
    return float(MODES.mean()), float(SIGMA**2 + MODES.var())


def squared(y: np.ndarray | float) -> np.ndarray:
    """E (Y − y)² = Var Y + (ȳ − y)²: the bias-variance identity."""
    mean, variance = moments()
    return variance + (mean - np.asarray(y, float)) ** 2


def absolute(y: np.ndarray | float) -> np.ndarray:
    """E |Y − y|, of a folded normal distribution for each mode (Leone et al., Technometrics 3 (1961) 543). It is also
    W1 between the replicas and the point mass at y."""
    d = np.asarray(y, float)[..., None] - MODES
    folded = SIGMA * math.sqrt(2 / math.pi) * np.exp(-(d**2) / (2 * SIGMA**2)) + d * erf(d / (SIGMA * math.sqrt(2)))
    return folded.mean(-1)


def replica_error() -> float:
    """E |Y − Y'| of two replicas: the mean absolute error of a generator that is right."""
    apart, wide = BRIGHT - DIM, 2 * SIGMA  # the difference of two modes has the width √2 σ
    other = wide / math.sqrt(math.pi) * math.exp(-((apart / wide) ** 2)) + apart * float(erf(apart / wide))
    return (wide / math.sqrt(math.pi) + other) / 2


def sheet(dark: bool, answer: float) -> Sheet:
    """answer: photons that a model gives for every replica."""
    mean, variance = moments()
    loss, mae, honest = float(squared(answer)), float(absolute(answer)), replica_error()
    blue = data_blue(dark)
    panes = [
        Pane(Axis("", 0, TOP, 20), Axis("density [1/photon]", 0, 0.035, 0.01)),
        Pane(Axis("light in one channel [photons]", 0, TOP, 20), Axis("error [photons]", 0, 80, 20)),
    ]
    peak = 0.033
    series = [
        line(0, "replicas of one particle", X, density(X), blue, fill=0.2),
        line(0, "the model's one answer", np.array([answer, answer]), np.array([0, peak]), GENERATED, "dashed", 2.5),
        dots(0, "", [answer], [peak], GENERATED, "diamond", 11),
        line(1, "root of squared error", X, np.sqrt(squared(X)), PURPLE),
        line(1, "mean absolute error", X, absolute(X), GREEN, [7, 3]),
        level(1, "absolute error of a real replica", honest, 0, TOP, blue, [2, 3]),
        upright(1, answer, 0, 80, dark),
        dots(1, "", [answer], [math.sqrt(loss)], PURPLE, "circle", 9, texts=[f"{math.sqrt(loss):.1f}"], dark=dark),
        dots(1, "", [answer], [mae], GREEN, "rect", 9, texts=[f"{mae:.1f}"], place="bottom", dark=dark),
    ]
    formula = below(
        rf"\mathbb{{E}}\,(Y-y)^2 = \operatorname{{Var}}Y + (\bar y - y)^2 = {tex(variance)} "
        rf"+ ({tex(mean)} {signed(-answer)})^2 = {tex(loss, 4)}\ \text{{photons}}^2",
        rf"W_1(p,\delta_y) = \mathbb{{E}}\,|Y-y| = {mae:.1f}\ \text{{photons}},\qquad "
        rf"\mathbb{{E}}\,|Y-Y'| = {honest:.1f}\ \text{{photons, although }} W_1(p,p) = 0",
    )
    alt = (
        f"Above, the density of replicas with peaks at {DIM:g} and {BRIGHT:g} photons and the model's answer at "
        f"{answer:g}. Below, its root of squared error {math.sqrt(loss):.1f} and its mean absolute error {mae:.1f} "
        f"photons; that of a real replica is {honest:.1f}. The smallest errors are at {mean:g}, where no replica is."
    )
    return Sheet(formula, sketch(panes, series, dark, stacked=True), alt)


LESSON = Lesson(
    place=1,
    title="Mean collapse",
    question="Which single answer has the smallest error?",
    words="Pull the answer to where the error is smallest: you land between the modes, on a shower that no particle "
    "ever makes. This average still beats every real replica in mean absolute error, so an error taken object by "
    "object rewards collapse; a generator has to be judged by its distribution.",
    source="Bias-variance identity; why MAE never stands without the spread of replicas in this program.",
    controls=(Slider("answer", "The model's one answer [photons]", 0, TOP, DIM, 1, 0),),
    sheet=sheet,
)

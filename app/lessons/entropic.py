"""Entropic transport: plans that blur as ε grows, and what debiasing takes back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from app.charts.colour import GENERATED, GREEN, PURPLE, VIRIDIS, data_blue, hex_of, ink
from app.charts.sketch import Axis, Pane, dots, heat, level, line, sketch
from app.lessons.base import Lesson, Rungs, Sheet, Switch, below, tex
from app.lessons.piles import monotone

X = np.linspace(-3.2, 3.2, 41)
LADDER = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
RUNGS = (0.0, *LADDER, math.inf)
TOLERANCE, MOST_ROUNDS = 1e-9, 4000
COST = (X[:, None] - X[None]) ** 2 / 2
"""c = ½ (x − y)², as in the paper of the e2e SAE."""


def cloud(*peaks: tuple[float, float, float]) -> np.ndarray:
    """Weights on the grid `X` that sum to 1, of (share, mean, σ)."""
    weights = sum(share / s * np.exp(-((X - m) ** 2) / (2 * s**2)) for share, m, s in peaks)
    return np.asarray(weights / np.sum(weights))


P = cloud((0.6, -1.2, 0.35), (0.4, 1.5, 0.3))
Q = cloud((1.0, 0.5, 0.9))


@dataclass(frozen=True)
class Blurred:
    """plan (n, m). moved: ⟨Γ, c⟩. blur: KL(Γ, P ⊗ Q). total: moved + ε · blur. f, g: the potentials."""

    plan: np.ndarray
    moved: float
    blur: float
    total: float
    f: np.ndarray
    g: np.ndarray


def soft_minimum(values: np.ndarray, weights: np.ndarray, epsilon: float) -> np.ndarray:
    """−ε log Σ_j w_j exp(−v_ij / ε), over the last axis, without overflow."""
    least = values.min(-1)
    return least - epsilon * np.log(np.exp((least[..., None] - values) / epsilon) @ weights)


def sinkhorn(
    p: np.ndarray, q: np.ndarray, cost: np.ndarray, epsilon: float, start: np.ndarray | None = None
) -> Blurred:
    """min ⟨Γ, c⟩ + ε KL(Γ, P ⊗ Q) by alternating soft minima in the log domain (Cuturi, arXiv:1306.0895; Feydy et al.,
    arXiv:1810.08278), until no marginal is off by more than `TOLERANCE`. start: potential g."""
    g = np.zeros(len(q)) if start is None else start
    f = soft_minimum(cost - g, q, epsilon)
    for _ in range(MOST_ROUNDS):
        g = soft_minimum((cost - f[:, None]).T, p, epsilon)
        new = soft_minimum(cost - g, q, epsilon)
        # after the update of g the columns are right; e^((f − f')/ε) is by how much the rows are not
        off = float(np.abs(p * np.expm1((f - new) / epsilon)).sum())
        if off < TOLERANCE:
            break
        f = new
    plan = p[:, None] * q * np.exp((f[:, None] + g - cost) / epsilon)
    return measured(plan, p, q, cost, epsilon, f, g)


def sinkhorn_itself(p: np.ndarray, cost: np.ndarray, epsilon: float, start: np.ndarray | None = None) -> Blurred:
    """As `sinkhorn` of a cloud with itself, whose potentials are equal: their mean with the update settles in a few
    rounds, where updates in turn would take thousands (Feydy et al.)."""
    f = np.zeros(len(p)) if start is None else start
    for _ in range(MOST_ROUNDS):
        new = soft_minimum(cost - f, p, epsilon)
        off = float(np.abs(p * np.expm1((f - new) / epsilon)).sum())
        f = (f + new) / 2
        if off < TOLERANCE:
            break
    plan = p[:, None] * p * np.exp((f[:, None] + f - cost) / epsilon)
    return measured(plan, p, p, cost, epsilon, f, f)


def measured(
    plan: np.ndarray, p: np.ndarray, q: np.ndarray, cost: np.ndarray, epsilon: float, f: np.ndarray, g: np.ndarray
) -> Blurred:
    """A plan with its cost and its blur."""
    ratio = plan / (p[:, None] * q)
    blur = float((plan * np.log(np.where(ratio > 0, ratio, 1))).sum())
    moved = float((plan * cost).sum())
    return Blurred(plan, moved, blur, moved + (epsilon * blur if math.isfinite(epsilon) else 0.0), f, g)


CLOUDS = {"P": P, "Q": Q}


@cache
def between(one: str, other: str, epsilon: float) -> Blurred:
    """Two of the clouds at a rung; each starts from the potential of the rung above. ε = 0: the exact plan, in order on
    a line; ε = ∞: the product plan."""
    p, q = CLOUDS[one], CLOUDS[other]
    nothing = np.zeros(len(X))
    if epsilon == 0:
        return measured(monotone(p.tolist(), q.tolist()), p, q, COST, 0.0, nothing, nothing)
    if math.isinf(epsilon):
        return measured(p[:, None] * q, p, q, COST, math.inf, nothing, nothing)
    above = RUNGS[RUNGS.index(epsilon) + 1]
    start = between(one, other, above).g
    return sinkhorn_itself(p, COST, epsilon, start) if one == other else sinkhorn(p, q, COST, epsilon, start)


def divergence(epsilon: float) -> float:
    """S_ε(P, Q) = S̃(P, Q) − ½ (S̃(P, P) + S̃(Q, Q))."""
    own = between("P", "P", epsilon).total + between("Q", "Q", epsilon).total
    return between("P", "Q", epsilon).total - own / 2


@cache
def curves() -> tuple[np.ndarray, np.ndarray]:
    """Entropic cost and divergence at every rung of the ladder."""
    falling = LADDER[::-1]  # from above, so that each rung finds the potential it starts from
    cost = np.array([between("P", "Q", e).total for e in falling])[::-1]
    return cost, np.array([divergence(e) for e in falling])[::-1]


def picture(epsilon: float, debiased: bool, dark: bool) -> dict[str, Any]:
    """The plan between its marginals, and both costs against ε."""
    found, (cost, clean) = between("P", "Q", epsilon), curves()
    ends = np.array([LADDER[0], LADDER[-1]])
    at = float(np.clip(epsilon, *ends))
    blue = data_blue(dark)
    names = tuple(f"{x:.1f}".replace("-", "−") for x in X)
    panes = [
        Pane(Axis("x, where it comes from (data)", names=names), Axis("y, where it goes (generated)", names=names)),
        Pane(Axis("", names=names), Axis("", 0, 0.09)),
        Pane(Axis("", 0, 0.09), Axis("", names=names)),
        Pane(Axis("ε", *ends, log=True), Axis("cost [unit of x²]", 0, 1.65, 0.5)),
    ]
    plotted, scale = heat(0, found.plan / found.plan.max(), hex_of(VIRIDIS, 24), 0, 1, 0)
    shown = divergence(epsilon) if debiased else found.total
    colour = GREEN if debiased else PURPLE
    series = [
        plotted,
        _bars(1, "data P", P, blue),
        _bars(2, "generated Q", Q, GENERATED),
        line(3, "entropic cost", np.array(LADDER), cost, PURPLE, "solid", 1 if debiased else 2.5),
        line(3, "debiased", np.array(LADDER), clean, GREEN, [7, 3], 2.5 if debiased else 1),
        level(3, "exact cost, ε = 0", between("P", "Q", 0.0).total, LADDER[0], LADDER[-1], ink(dark), [2, 3]),
        dots(
            3, "", [at], [shown], colour, "diamond" if debiased else "circle", 11, texts=[f"{shown:.3f}"],
            place="bottom" if debiased else "top", dark=dark,
        ),
    ]  # fmt: skip
    option = sketch(panes, series, dark, tooltip="item")
    side, thin, left, under = 236, 50, 60, 100
    option["visualMap"] = scale
    option["grid"] = [
        {"left": left, "top": under, "width": side, "height": side, "outerBoundsMode": "none"},
        {"left": left, "top": under - thin - 6, "width": side, "height": thin, "outerBoundsMode": "none"},
        {"left": left + side + 6, "top": under, "width": thin, "height": side, "outerBoundsMode": "none"},
        {"left": left + side + thin + 80, "top": 44, "right": 18, "height": 292, "outerBoundsMode": "none"},
    ]
    every = {"interval": 9, "fontSize": 10}
    option["xAxis"][0] |= {"axisLabel": every}
    option["yAxis"][0] |= {"axisLabel": every}
    for hidden in (option["xAxis"][1], option["yAxis"][1], option["xAxis"][2], option["yAxis"][2]):
        hidden["show"] = False
    return option


def _bars(pane: int, name: str, weights: np.ndarray, colour: str) -> dict[str, Any]:
    return {
        "type": "bar", "name": name, "xAxisIndex": pane, "yAxisIndex": pane, "barCategoryGap": "12%",
        "data": [float(f"{w:.4g}") for w in weights], "itemStyle": {"color": colour}, "silent": True,
        "tooltip": {"show": False},
    }  # fmt: skip


def sheet(dark: bool, epsilon: float, debiased: bool) -> Sheet:
    """epsilon: one of `RUNGS`. debiased: whether the costs of each cloud with itself are taken off."""
    found = between("P", "Q", epsilon)
    own = between("P", "P", epsilon).total, between("Q", "Q", epsilon).total
    name = r"\infty" if math.isinf(epsilon) else tex(epsilon)
    if math.isinf(epsilon):
        cost = rf"\tilde S_{{\infty}}(P,Q) = \langle P\otimes Q,\,c\rangle = {found.total:.4f}"
    else:
        cost = (
            rf"\tilde S_{{{name}}}(P,Q) = \langle\Gamma,c\rangle + \varepsilon\,\mathrm{{KL}}(\Gamma, P\otimes Q) = "
            rf"{found.moved:.4f} + {name}\cdot{found.blur:.4f} = {found.total:.4f}"
        )
    if debiased:
        second = (
            rf"S_{{{name}}}(P,Q) = {found.total:.4f} - \tfrac12({own[0]:.4f} + {own[1]:.4f}) = "
            rf"{divergence(epsilon):.4f},\qquad S_{{{name}}}(P,P) = 0"
        )
    else:
        verdict = "= 0" if own[0] < 1e-9 else r"\neq 0"
        second = (
            rf"\tilde S_{{{name}}}(P,P) = {own[0]:.4f} {verdict},\qquad "
            rf"\tilde S_{{{name}}}(Q,Q) = {own[1]:.4f} {verdict}"
        )
    alt = (
        f"A heat map of the plan between a cloud with two peaks and one with a single peak at ε = "
        f"{'∞' if math.isinf(epsilon) else f'{epsilon:g}'}, with their weights along its sides; right, against ε, the "
        f"entropic cost, here {found.total:.3f}, and the debiased divergence, here {divergence(epsilon):.3f}; the "
        f"exact cost is {between('P', 'Q', 0.0).total:.3f}."
    )
    return Sheet(below(cost, second), picture(epsilon, debiased, dark), alt)


LESSON = Lesson(
    place=6,
    title="Entropic plans",
    question="What does a transport plan lose when it is blurred?",
    words="At ε = 0 each grain has one goal; with ε the plan blurs until, at ∞, everything goes everywhere in "
    "proportion, and even a cloud has a cost to itself. Taking off half of both self-costs mends that: the divergence "
    "is 0 for equal clouds again, and at large ε only the distance of the means, ½ (x̄ − ȳ)², is left of it.",
    source="Feydy et al., arXiv:1810.08278; Eqs. (3) and (4) of arXiv:2006.06704, whose end-to-end Sinkhorn "
    "autoencoder this program trains.",
    controls=(
        Rungs("epsilon", "Blur ε", RUNGS, 0.1, "0 is the exact plan, ∞ the product of both clouds."),
        Switch("debiased", "Debiased", False, "Take off half of the cost of each cloud with itself."),
    ),
    sheet=sheet,
)

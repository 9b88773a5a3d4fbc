"""Bakeries and cafés: the cheapest deliveries, and the prices of a haulier who offers the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import linprog

from app.charts.colour import GREEN, faint, ink
from app.charts.sketch import Axis, Pane, dots, sketch
from app.lessons.base import Board, Lesson, Place, Sheet, below

EXTENT = 10.0
BAKERIES = (Place("Bakery 1", True, 50), Place("Bakery 2", True, 40), Place("Bakery 3", True, 30))
CAFES = (
    Place("Café A", False, 36), Place("Café B", False, 33), Place("Café C", False, 28), Place("Café D", False, 23),
)  # fmt: skip
"""No group of bakeries bakes what a group of cafés sells: so one network of deliveries holds all together, and the
prices are unique but for a constant."""
START = ((3.0, 7.4), (3.0, 2.5), (8.0, 4.0), (4.5, 9.2), (5.0, 5.6), (8.5, 8.0), (6.0, 1.0))
LEAST = 1e-7
"""Deliveries below this are rounding."""


@dataclass(frozen=True)
class Solution:
    """plan (n, m) loaves. buys (n,), sells (m,): prices in km a loaf, the lowest 0. cost, revenue: loaves × km."""

    plan: np.ndarray
    cost: float
    buys: np.ndarray
    sells: np.ndarray
    revenue: float


def distances(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Straight ways (n, m) between points (n, 2) and (m, 2)."""
    return np.linalg.norm(np.asarray(sources)[:, None] - np.asarray(targets)[None], axis=-1)


def solve(made: np.ndarray, sold: np.ndarray, cost: np.ndarray) -> Solution:
    """Both linear programmes, each by itself with HiGHS' simplex:

    primal  min Σ γ_ij c_ij  with Σ_j γ_ij = made_i, Σ_i γ_ij = sold_j, γ ≥ 0;
    dual    max Σ sold_j g_j − Σ made_i f_i  with g_j − f_i ≤ c_ij  (Kantorovich; Villani, Optimal Transport, Th. 5.10).

    Raises `ValueError` where not as much is made as sold.
    """
    made, sold = np.asarray(made, float), np.asarray(sold, float)
    if not np.isclose(made.sum(), sold.sum()):
        raise ValueError(f"{made.sum():g} are made and {sold.sum():g} sold")
    n, m = cost.shape
    leaves, arrives = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    primal = linprog(
        cost.ravel(), A_eq=np.vstack([leaves, arrives]), b_eq=np.concatenate([made, sold]), method="highs-ds"
    )  # fmt: skip
    # the first bakery's price is held at 0: without it prices could drift together for ever
    bounds = [(0.0, 0.0)] + [(None, None)] * (n + m - 1)
    dual = linprog(
        np.concatenate([made, -sold]), A_ub=np.hstack([-leaves.T, arrives.T]), b_ub=cost.ravel(), bounds=bounds,
        method="highs-ds",
    )  # fmt: skip
    if not (primal.success and dual.success):
        raise ValueError(primal.message if not primal.success else dual.message)
    buys, sells = dual.x[:n], dual.x[n:]
    least = float(buys.min())
    return Solution(primal.x.reshape(n, m), float(primal.fun), buys - least, sells - least, -float(dual.fun))


@lru_cache(256)
def solved(at: tuple[tuple[float, float], ...]) -> Solution:
    """The town with its places there."""
    spots = np.array(at)
    cost = distances(spots[: len(BAKERIES)], spots[len(BAKERIES) :])
    return solve(np.array([p.mass for p in BAKERIES]), np.array([p.mass for p in CAFES]), cost)


def routes() -> list[tuple[int, int, str]]:
    """Every way from a bakery to a café, with its short name."""
    return [
        (i, j, f"{a.name[-1]}→{b.name[-1]}") for i, a in enumerate(BAKERIES) for j, b in enumerate(CAFES)
    ]  # fmt: skip


def chart(cost: np.ndarray, found: Solution, dark: bool) -> dict[str, Any]:
    """Each way's length, and what the haulier takes for it: nowhere more, and as much wherever something is driven."""
    ways = routes()
    x = np.arange(len(ways), dtype=float)
    length = np.array([cost[i, j] for i, j, _ in ways])
    margin = np.array([found.sells[j] - found.buys[i] for i, j, _ in ways])
    driven = np.array([found.plan[i, j] > LEAST for i, j, _ in ways])
    low = 2 * min(0.0, float(np.floor(margin.min() / 2)))
    top = 2 * float(np.ceil(max(length.max(), 8) / 2))
    panes = [Pane(Axis("way", names=tuple(name for *_, name in ways)), Axis("length, price a loaf [km]", low, top, 2))]
    bars = [
        {"value": float(f"{v:.4g}"), "itemStyle": {"color": GREEN if used else faint(dark)}}
        for v, used in zip(length, driven, strict=True)
    ]
    series = [
        {
            "type": "bar", "name": "length of a way", "data": bars, "barWidth": "56%", "itemStyle": {"color": GREEN},
            "xAxisIndex": 0, "yAxisIndex": 0,
        },
        dots(0, "price g − f, driven", x[driven], margin[driven], ink(dark), "diamond", 11),
        dots(0, "price g − f, not driven", x[~driven], margin[~driven], ink(dark), "diamond", 9, hollow=True),
    ]  # fmt: skip
    option = sketch(panes, series, dark)
    option["grid"][0] |= {"left": 48, "width": "auto", "right": 12, "top": 44, "height": 280}
    option["xAxis"][0]["axisLabel"] = {"interval": 0, "fontSize": 10, "rotate": 45}
    option["xAxis"][0] |= {"axisLine": {"onZero": True}, "nameGap": 34}
    option["yAxis"][0]["nameGap"] = 26
    option["legend"]["itemWidth"] = 12
    return option


def sheet(dark: bool, places: Sequence[Sequence[float]]) -> Sheet:
    """places: (x, y) in km of the bakeries, then of the cafés."""
    at = tuple((float(x), float(y)) for x, y in places)
    found = solved(at)
    spots = np.array(at)
    cost = distances(spots[: len(BAKERIES)], spots[len(BAKERIES) :])
    n = len(BAKERIES)
    flows = [
        {"from": i, "to": n + j, "amount": round(float(found.plan[i, j]), 3)}
        for i, j, _ in routes() if found.plan[i, j] > LEAST
    ]  # fmt: skip
    prices = [f"buys at {v:.2f}" for v in found.buys] + [f"sells at {v:.2f}" for v in found.sells]
    gap = abs(found.cost - found.revenue)
    formula = below(
        rf"\min_{{\gamma}} \sum_{{ij}} \gamma_{{ij}}\,\|x_i-y_j\| = {found.cost:.3f}\ \text{{loaves}}\times"
        r"\text{km},\qquad \max_{g_j-f_i\le\|x_i-y_j\|} \sum_j q_j g_j - \sum_i p_i f_i = "
        rf"{found.revenue:.3f}",
        rf"\text{{duality gap}} = {found.cost:.3f} - {found.revenue:.3f} = "
        + (r"0\ \text{(to rounding)}" if gap < 1e-9 * max(1.0, found.cost) else f"{gap:.1e}"),
    )
    names = [p.name for p in (*BAKERIES, *CAFES)]
    drives = "; ".join(f"{f['amount']:g} from {names[f['from']]} to {names[f['to']]}" for f in flows)
    alt = (
        f"Bars: the length of each way from a bakery to a café; diamonds: the haulier's price for it, equal to the "
        f"length on the {len(flows)} ways that are driven and below it elsewhere. Deliveries: {drives}."
    )
    return Sheet(formula, chart(cost, found, dark), alt, board={"flows": flows, "prices": prices})


LESSON = Lesson(
    place=5,
    title="Bakeries and cafés",
    question="What do the cheapest deliveries and the best prices have in common?",
    words="A haulier who buys at f and sells at g may nowhere take more than the way costs; the most he can earn is "
    "exactly the least that the town must drive, and his price meets the length wherever a van goes. A Wasserstein "
    "critic is such a list of prices, with a slope of at most 1.",
    source="Kantorovich duality; both programmes are solved exactly and separately (HiGHS).",
    controls=(
        Board(
            "places",
            "Drag bakeries and cafés, or move them by arrow keys",
            (*BAKERIES, *CAFES),
            START,
            EXTENT,
            "km",
            "loaves",
        ),
    ),
    sheet=sheet,
)

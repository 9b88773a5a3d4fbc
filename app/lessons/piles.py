"""Piles of earth: the running difference, the distance, and the plan that does not cross."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.charts.colour import GENERATED, GREEN, data_blue, faint, ink
from app.charts.sketch import HEIGHT, Axis, Pane, sketch
from app.lessons.base import Lesson, Piles, Sheet, below

FIRST, SECOND = (3, 2, 1, 4), (1, 2, 4, 3)
MOST = 9


def running(p: Sequence[int], q: Sequence[int]) -> list[int]:
    """δ of all borders, from left of the first pile (0) to right of the last: δ_{i+1} = δ_i + P_i − Q_i, the earth that
    must cross to the right. The last is 0 where the piles hold the same."""
    return [0, *np.cumsum(np.subtract(p, q)).tolist()]


def distance(p: Sequence[int], q: Sequence[int]) -> int:
    """W = Σ |δ_i|, in shovelfuls × places. Raises `ValueError` where the piles hold different amounts."""
    if sum(p) != sum(q):
        raise ValueError(f"P holds {sum(p)} and Q {sum(q)}: no plan moves all of it")
    return sum(abs(d) for d in running(p, q))


def monotone(p: Sequence[float], q: Sequence[float]) -> np.ndarray:
    """γ (n, m) of the plan that takes everything in order: γ_ij is what the steps i and j of the two cumulative sums
    share. Optimal on a line for every convex cost (Santambrogio, Optimal Transport for Applied Mathematicians,
    Theorem 2.9)."""
    above, right = np.cumsum(p), np.cumsum(q)
    shared = np.minimum.outer(above, right) - np.maximum.outer(above - p, right - q)
    return np.maximum(shared, 0)


def plan(p: Sequence[int], q: Sequence[int]) -> np.ndarray:
    """The optimal plan of whole shovelfuls. Raises `ValueError` as `distance` does."""
    distance(p, q)
    return monotone(p, q)


def picture(p: Sequence[int], q: Sequence[int], moved: np.ndarray | None, dark: bool) -> dict[str, Any]:
    """Both piles at each place, in pieces that say where they go or come from; below, what crosses each border."""
    n = len(p)
    top = max(6, *p, *q) + 0.3
    places = tuple(f"place {i + 1}" for i in range(n))
    borders = tuple(f"{i + 1} | {i + 2}" for i in range(n - 1))
    panes = [
        Pane(
            Axis("", names=places),
            Axis("shovelfuls", 0, top, 1 if top < 7 else 2),
            "At each place P (left, blue) and Q (right, orange)",
        ),
        Pane(Axis("border between places", names=borders), Axis("δ", 0, 1), "What crosses each border"),
    ]
    blue = data_blue(dark)
    series = [
        *_stack(0, "P", [p] if moved is None else moved.T.tolist(), blue, "→ {}", dark),
        *_stack(0, "Q", [q] if moved is None else moved.tolist(), GENERATED, "from {}", dark),
    ]
    crossing = running(p, q)[1:-1]
    reach = max(3, *map(abs, crossing))
    bars = [
        {"value": d, "label": {"position": "top" if d >= 0 else "bottom", "formatter": _crossing(d)}} for d in crossing
    ]
    series.append(
        {
            "type": "bar", "name": "", "xAxisIndex": 1, "yAxisIndex": 1, "data": bars, "barWidth": "34%",
            "itemStyle": {"color": GREEN}, "label": {"show": True, "color": ink(dark), "fontSize": 12},
            "tooltip": {"show": False},
        }
    )  # fmt: skip
    option = sketch(panes, series, dark, stacked=True, tooltip="item")
    upper, lower = 172, 76
    option["grid"][0] |= {"top": 26, "height": upper}
    option["grid"][1] |= {"top": HEIGHT - lower - 48, "height": lower}
    option["title"][0]["top"], option["title"][1]["top"] = 2, HEIGHT - lower - 48 - 26
    option["yAxis"][1] |= {
        "min": -1.6 * reach,
        "max": 1.6 * reach,
        "interval": 1.6 * reach,
        "axisLabel": {"show": False},
    }
    option["xAxis"][1]["axisLine"] = {"show": True, "onZero": True}
    option["xAxis"][1]["axisLabel"] = {"margin": 8}
    return option


def _crossing(d: int) -> str:
    return f"{d} →" if d > 0 else f"← {-d}" if d < 0 else "0"


def _stack(
    pane: int, name: str, layers: Sequence[Sequence[int]], colour: str, text: str, dark: bool
) -> list[dict[str, Any]]:
    """A pile in layers; layer k goes to, or comes from, place k. What stays is pale."""
    drawn = []
    for k, layer in enumerate(layers):
        data = []
        for i, amount in enumerate(layer):
            stays = len(layers) > 1 and i == k
            said = str(amount) if len(layers) == 1 else f"{amount} stay" if stays else f"{amount} {text.format(k + 1)}"
            style = {"color": f"{colour}50" if stays else colour}
            shade = ink(dark) if stays else "#1B1F24" if colour == GENERATED or dark else "#FFFFFF"
            label = {"show": bool(amount), "formatter": said, "color": shade}
            data.append({"value": amount or None, "itemStyle": style, "label": label})
        drawn.append(
            {
                "type": "bar", "name": "", "stack": name, "xAxisIndex": pane, "yAxisIndex": pane, "data": data,
                "barWidth": "38%", "barGap": "6%", "label": {"position": "inside", "fontSize": 11},
                "itemStyle": {"borderColor": faint(dark), "borderWidth": 1}, "tooltip": {"show": False},
            }
        )  # fmt: skip
    return drawn


def sheet(dark: bool, p: Sequence[int], q: Sequence[int]) -> Sheet:
    """p, q: shovelfuls at each place."""
    even = sum(p) == sum(q)
    crossing = running(p, q)
    steps = r",\quad ".join(
        rf"\delta_{{{i + 2}}} = {crossing[i]} + {p[i]} - {q[i]} = {crossing[i + 1]}" for i in range(len(p))
    )
    if even:
        summed = " + ".join(f"|{d}|" for d in crossing[1:])
        said = rf"W = \sum_i|\delta_i| = {summed} = {distance(p, q)}\ \text{{shovelfuls}}\times\text{{places}}"
        notice, moved = "", plan(p, q)
    else:
        short, more = ("P", sum(q) - sum(p)) if sum(p) < sum(q) else ("Q", sum(p) - sum(q))
        said = rf"\textstyle\sum P = {sum(p)} \neq \textstyle\sum Q = {sum(q)}:\quad \text{{no distance}}"
        notice = (
            f"P holds {sum(p)} shovelfuls and Q {sum(q)}, so no plan turns one into the other: earth would be left "
            f"over at the end. Give {short} {more} more, or divide both by their sums and compare shares."
        )
        moved = None
    alt = f"Piles P {', '.join(map(str, p))} and Q {', '.join(map(str, q))}. Across the borders go " + ", ".join(
        map(str, crossing[1:-1])
    )
    alt += f"; the distance is {distance(p, q)}." if even else "; they hold different amounts, so there is no distance."
    return Sheet(below(rf"\delta_1 = 0,\quad {steps}", said), picture(p, q, moved, dark), alt, notice)


LESSON = Lesson(
    place=4,
    title="Earth mover",
    question="How much work turns one row of piles into the other?",
    words="Walk along the row and carry what is over: what crosses each border is forced, so the least work is the sum "
    "of all crossings. On a line the best plan never lets two loads cross; it takes the shovelfuls in order.",
    source="Wasserstein-1 distance in one dimension: the area between the two cumulative distributions.",
    controls=(Piles("p", "P, the piles as they are", FIRST, MOST), Piles("q", "Q, as they should be", SECOND, MOST)),
    sheet=sheet,
)

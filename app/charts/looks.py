"""How models of a comparison look: one colour, dash and symbol each, the same in every chart."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

from app.charts.benchmark import PLUS
from app.charts.colour import DATA, GENERATED, GREEN, PURPLE, data_blue

MOST = 6
COLOURS = (GENERATED, DATA, GREEN, PURPLE, "#56B4E9", "#D55E00")
"""Of Okabe and Ito. The simulation is drawn in ink, so that its blue is free."""
ON_DARK = {DATA: data_blue(True), "#56B4E9": "#F0E442"}
"""A blue that stands out on dark is near their sky blue, whose place their yellow takes."""
DASHES: tuple[str | list[int], ...] = ("solid", [7, 3], [2, 3], [10, 3, 2, 3], [14, 4], [4, 2, 1, 2, 1, 2])
SYMBOLS = ("diamond", "rect", "circle", "triangle", PLUS, "roundRect")


class Look(NamedTuple):
    """Of one model. title: no other's."""

    title: str
    colour: str
    dash: str | list[int]
    symbol: str


def looks(titles: Sequence[str], dark: bool) -> list[Look]:
    """A look a title, in their order."""
    colours = [ON_DARK.get(c, c) if dark else c for c in COLOURS]
    return [
        Look(title, colours[k % MOST], DASHES[k % MOST], SYMBOLS[k % MOST]) for k, title in enumerate(titles)
    ]  # fmt: skip


def line_html(look: Look) -> str:
    """The line of a model as a small picture, for legends outside charts."""
    dash = "" if look.dash == "solid" else f' stroke-dasharray="{" ".join(map(str, look.dash))}"'
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="8">'
        f'<path d="M0 4H30" stroke="{look.colour}" stroke-width="3"{dash}/></svg>'
    )
    url = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
    return f'<img src="{url}" width="30" height="8" alt="" style="vertical-align:middle;margin-right:0.35rem">'

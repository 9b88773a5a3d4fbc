"""Examples of any kind as pictures: a shower, an image of grey values, a point of the plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app import state
from app.charts import grey, picture, points
from app.charts.colour import faint
from app.charts.picture import figure_html
from app.charts.scatter import MARK
from app.components.maps import View


def urls(view: View, made: Sequence[np.ndarray], width: int) -> list[str]:
    """A picture each, showers on one scale."""
    if view.dataset.kind == "images":
        return [grey.image_url(one) for one in made]
    if view.dataset.kind == "points":
        behind = plane(view)
        span = points.span_of([behind])
        under = points.Cloud("", behind, faint(view.dark))
        return [
            points.cloud_url([under, points.Cloud("", one[None], MARK, "circle", 5)], span, width, view.dark, 2)
            for one in made
        ]
    top = max(1.0, max((float(one.max()) for one in made), default=1.0))
    return [picture.shower_url(one, top) for one in made]


def plane(view: View) -> np.ndarray:
    """Real points to set others against."""
    n = view.dataset.showers
    rows = np.linspace(0, n - 1, min(n, 1500)).astype(int).tolist()
    name = view.run.data
    return np.asarray(state.keep(f"plane {name}", lambda: state.engine().showers(name, rows)).value["showers"])


def figures(view: View, made: Sequence[np.ndarray], captions: Sequence[str], width: int) -> list[str]:
    """Large pictures with photon sums where there are photons."""
    found = []
    for one, url, caption in zip(made, urls(view, made, width), captions, strict=True):
        light = f", Σ {float(one.sum()):,.0f} photons" if view.dataset.kind == "showers" else ""
        found.append(figure_html(url, caption + light, "One example, large", width))
    return found


def strip(view: View, made: np.ndarray, heads: Sequence[str], width: int, at: int, alt: str) -> str:
    """Pictures in a row, the one at `at` framed."""
    found = []
    for k, (url, head) in enumerate(zip(urls(view, list(made), width), heads, strict=True)):
        lit = " class='ss-lit'" if k == at else ""
        found.append(
            f"<figure{lit} style='width:{width}px'><figcaption>{head}</figcaption>"
            f"<img src='{url}' width='{width}' alt='{alt}, place {k + 1} of {len(made)}'></figure>"
        )
    return f'<div class="ss-figures ss-way">{"".join(found)}</div>'


def single(view: View, made: np.ndarray, at: int, width: int) -> str:
    """One place of a strip, on the strip's scale."""
    url, place = urls(view, list(made), width)[at], f"<b>Place {at + 1} of {len(made)}</b>"
    return f'<div class="ss-figures">{figure_html(url, place, "The place, large", width)}</div>'

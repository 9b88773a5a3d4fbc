"""Compare, models of images and points: real examples, and what every model draws for the same classes."""

from __future__ import annotations

import html

import numpy as np
import streamlit as st

from app.charts import grey, picture, points
from app.charts.colour import data_blue, faint
from app.components import judging, kinds, notices
from app.components.judging import Judged
from engine.schema import DatasetInfo

IMAGES, ACROSS, POINTS = 40, 10, 600
SHEET, PLANE = 300, 230


@st.fragment
@notices.guarded
def show(done: list[Judged], dataset: DatasetInfo) -> None:
    """A sheet or a plane each."""
    arrays = done[0].arrays
    conditions = np.asarray(arrays["conditions"], float)
    picked = picked_rows(conditions, IMAGES if dataset.kind == "images" else POINTS, bool(kinds.class_names(dataset)))
    rows = tuple(int(row) for row in np.asarray(arrays["row"])[picked])
    real = np.asarray(
        judging.simulated(dataset.name, rows, f"{dataset.showers} {dataset.provenance}")["showers"], float
    )
    asked = conditions[picked].tolist()
    made = {one.title: np.asarray(judging.generated(one, asked)["showers"], float) for one in done}
    st.markdown(f"#### {dataset.kind.capitalize()} side by side")
    layers = {"Real": real, **made}
    draw = sheets if dataset.kind == "images" else planes
    draw(layers, done)
    word = kinds.class_word(dataset)
    st.caption(f"The same {word} at the same place, the same seed for every model. {kinds.CLOSED}")


def picked_rows(conditions: np.ndarray, n: int, classes: bool) -> np.ndarray:
    """The first examples, equally many of each class, a row of all classes after the other."""
    if not classes or not len(conditions):
        return np.arange(min(n, len(conditions)))
    own = conditions[:, 0].astype(int)
    kinds_ = np.unique(own)
    each = max(1, min(n // len(kinds_), int(np.bincount(own)[kinds_].min())))
    return np.stack([np.flatnonzero(own == k)[:each] for k in kinds_], 1).ravel()


def sheets(layers: dict[str, np.ndarray], done: list[Judged]) -> None:
    st.html(
        picture.row_html(
            [
                grey.sheet_html(layer, ACROSS, f"<b>{html.escape(name)}</b>", f"{name}: {len(layer)} images", SHEET)
                for name, layer in layers.items()
            ]
        )
    )


def planes(layers: dict[str, np.ndarray], done: list[Judged]) -> None:
    """Each over the real points, faint."""
    dark = st.context.theme.type == "dark"
    real = layers["Real"]
    span = points.span_of([real])
    colours = {"Real": (data_blue(dark), "circle"), **{one.title: (one.look.colour, "diamond") for one in done}}
    figures = []
    for name, xy in layers.items():
        colour, symbol = colours[name]
        behind = [] if name == "Real" else [points.Cloud("", real, faint(dark))]
        url = points.cloud_url([*behind, points.Cloud(name, xy, colour, symbol)], span, PLANE, dark)
        figures.append(picture.figure_html(url, f"<b>{html.escape(name)}</b>", f"{name}: {len(xy)} points", PLANE))
    st.html(picture.row_html(figures))

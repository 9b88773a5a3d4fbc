"""Points of the plane: generated over real ones, large, in the strip of a training and in a gallery."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.charts import picture, points
from app.charts.colour import GENERATED, data_blue, faint
from engine.schema import Arrays

SIDE, SMALL, SELECTED = 460, 158, 262


def chart(
    clouds: list[points.Cloud], key: str, alt: str, dark: bool, side: int = SIDE,
    span: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> None:  # fmt: skip
    """A scatter on equal axes."""
    width, height = points.size_of(side)
    st.echarts_chart(points.plane(clouds, side, span=span), width=width, height=height, key=key, alt=alt)


def strip(shown: Arrays, dark: bool) -> str:
    """Held-out points, encoded and decoded again, and generated at fixed noise, on the axes of the real ones."""
    real = np.asarray(shown["simulated"], float)
    span = points.span_of([real])
    layers = {
        "Real": (real, data_blue(dark), "circle"),
        "Reconstructed": (shown.arrays.get("reconstructed"), data_blue(dark), "circle"),
        "Generated": (shown["generated"], GENERATED, "diamond"),
    }
    figures = []
    for title, (xy, colour, symbol) in layers.items():
        if xy is not None:
            behind = [] if title == "Real" else [points.Cloud("", real, faint(dark))]
            cloud = points.Cloud(title, np.asarray(xy, float), colour, symbol)
            url = points.cloud_url([*behind, cloud], span, SMALL, dark)
            figures.append(picture.figure_html(url, f"<b>{title}</b>", f"{title}: {len(xy)} points", SMALL))
    return picture.row_html(figures)


def gallery(clouds: list[points.Cloud], everything: np.ndarray, caption: str, dark: bool) -> str:
    """Points of a selection before all others, faint."""
    span = points.span_of([everything])
    behind = points.Cloud("", everything, faint(dark))
    url = points.cloud_url([behind, *clouds], span, SELECTED, dark, 2)
    return picture.figure_html(url, caption, f"{sum(len(c.xy) for c in clouds)} selected points", SELECTED)

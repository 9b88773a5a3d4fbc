"""Latent space, for data of classes: which of them a selection prefers."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.charts import classes, groups
from app.components.maps import View
from engine.schema import Arrays


def selection_shares(view: View, found: Arrays, chosen: np.ndarray) -> None:
    """Which classes the selection prefers, against the rest."""
    names, word = view.names, view.what
    if len(chosen) < 2 or not names:
        return
    own = groups.classes_of(found)
    inside = np.zeros(len(own), bool)
    inside[chosen] = True
    n, rest = int(inside.sum()), int((~inside).sum())
    st.echarts_chart(
        classes.shares(
            list(names.values()), classes.tally(own[inside], names), classes.tally(own[~inside], names),
            (f"selection ({n})", f"rest ({rest})"), word, view.dark,
        ),
        height=280, key="selection_shares", alt=f"Share of each {word} in the selection and in the rest",
    )  # fmt: skip
    st.caption(f"Bars and points with binomial errors. Generated points carry the {word} of the example they answer.")

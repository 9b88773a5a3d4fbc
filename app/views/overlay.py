"""One data set beside another: spectra over each other, normalised, with their ratio."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.charts import histogram, ratio
from app.components import notices
from app.components.filters import Filter
from app.components.words import measured, plain
from engine.schema import Arrays, DatasetInfo

CHANNELS, HEIGHT = 5, 300


def show(
    dataset: DatasetInfo, sets: list[DatasetInfo], columns: Arrays, chosen: Filter, convention: str, dark: bool
) -> None:
    """The chosen set against another ready one, the same filters on both."""
    others = {d.name: d for d in sets if d.ready and d.kind == dataset.kind and d.name != dataset.name}
    if not others:
        notices.empty(
            "There is no other data set to compare with. Simulate `zdc_fast` or import one; both are on this page."
        )
        return
    if st.session_state.get(state.OTHER) not in others:
        st.session_state.pop(state.OTHER, None)
    left, right = st.columns([1, 3], gap="medium", vertical_alignment="bottom")
    name = left.selectbox(
        "Reference", list(others), format_func=lambda n: state.title_of(others[n]), key=state.OTHER, bind="query-params"
    )
    other = others[name or next(iter(others))]
    reference = state.known_columns(other, convention)
    here, there = chosen.rows(columns), chosen.rows(reference)
    if not len(there):
        notices.empty(f"No shower of {plain(other.title)} passes these filters.")
        return
    right.markdown(
        f"**{plain(dataset.title)}** ({len(here):,} showers, line) scaled to the {len(there):,} showers of "
        f"**{plain(other.title)}** (points). The same filters on both; read-out convention **{plain(convention)}**."
    )
    if dataset.detector != other.detector:
        st.warning(
            f"Different detectors: {dataset.detector} against {other.detector}. Their channels do not correspond.",
            icon=":material/warning:",
        )
    labels = f"{other.title} (reference)", dataset.title
    panels = overlays(columns, reference, here, there)
    for across, some in ((2, panels[:2]), (CHANNELS, panels[2:])):
        for place, panel in zip(st.columns(across), some, strict=True):
            with place:
                st.echarts_chart(
                    ratio.overlay(panel, labels, dark, HEIGHT, legend=across == 2), height=HEIGHT,
                    key=f"ratio_{panel.title}", alt=f"{panel.title} of both sets with their ratio",
                )  # fmt: skip
    st.caption(
        "Counts per bin with √N; the ratio is line over points, both errors propagated, dashed at 1; beyond 2 an "
        "arrowhead. Photon bins hold whole counts from 1 up; showers without light in a channel are in the table. "
        "Replicas of a primary share its energy, so √N is too small for the energy; the table's errors count primaries."
    )
    st.table(
        moments(columns, reference, here, there, (other.title, dataset.title)), border="horizontal", hide_index=True,
        alt="Means and empty shares of both sets with their ratio",
    )  # fmt: skip


def quantities(columns: Arrays, rows: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """Name to unit and values (n,) of what is compared."""
    channels = np.asarray(columns["channels"])[rows]
    return {
        "energy": ("GeV", np.asarray(columns["conditions"])[rows, 0]),
        "photon sum": ("photons", np.asarray(columns["photon_sum"], float)[rows]),
        **{f"channel {k + 1}": ("photons", channels[:, k].astype(float)) for k in range(CHANNELS)},
    }


def overlays(columns: Arrays, reference: Arrays, here: np.ndarray, there: np.ndarray) -> list[ratio.Overlay]:
    """A panel a quantity, on common bins."""
    mine, its = quantities(columns, here), quantities(reference, there)
    edges: dict[str, Callable] = {"GeV": ratio.value_edges, "photons": histogram.whole_counts}
    return [
        ratio.histograms(name, unit, its[name][1], values, edges[unit]([its[name][1], values]))
        for name, (unit, values) in mine.items()
    ]


def moments(
    columns: Arrays, reference: Arrays, here: np.ndarray, there: np.ndarray, titles: tuple[str, str]
) -> pd.DataFrame:
    """Mean with its standard error, and the share of showers with none of it, for both sets."""
    mine, its = quantities(columns, here), quantities(reference, there)
    rows = []
    for name, (unit, values) in mine.items():
        other = its[name][1]
        a = mean_of(values, np.asarray(columns["primary_id"])[here])
        b = mean_of(other, np.asarray(reference["primary_id"])[there])
        share = a[0] / b[0] if b[0] else float("nan")
        error = abs(share) * np.hypot(a[1] / a[0], b[1] / b[0]) if a[0] and b[0] else None
        rows.append(
            {
                "quantity": name,
                f"mean, {titles[0]}": measured(*b, unit),
                f"mean, {titles[1]}": measured(*a, unit),
                "ratio of means": measured(share, error) if b[0] else "–",
                f"empty, {titles[0]}": f"{100 * (other <= 0).mean():.2f} %",
                f"empty, {titles[1]}": f"{100 * (values <= 0).mean():.2f} %",
            }
        )
    return pd.DataFrame(rows)


def mean_of(values: np.ndarray, primary: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error. Replicas of a primary are not independent: its residuals are summed first."""
    mean = float(values.mean())
    _, which = np.unique(primary, return_inverse=True)
    sums = np.bincount(which, values - mean)
    return mean, float(np.sqrt((sums**2).sum()) / len(values))

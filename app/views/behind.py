"""Latent space: the examples behind a selection, and in what they differ from the rest."""

from __future__ import annotations

import html

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.charts import gates as gating
from app.charts import groups, histogram, picture, points, scatter
from app.charts.colour import GENERATED, data_blue
from app.charts.gates import Gates, Selection
from app.components import clouds, digits, examples, maps, notices
from app.components.maps import View
from app.components.words import plain
from app.views import classes, selection
from engine.schema import Arrays, Region

GALLERY = {"showers": 30, "images": 40, "points": 600}
"""Examples of each layer shown of a selection."""
ACROSS, TILE = 10, 54
MOST_ROWS = 2000
TITLES = {"showers": ("Simulation", "Generated"), "images": ("Real", "Generated"), "points": ("Real", "Generated")}


def show(view: View, found: Arrays, chosen: Selection, gates: Gates, region: Region | None) -> None:
    """The selection in words and numbers, and its examples; of nothing selected a sample of the whole map."""
    n = gating.counts(found, chosen.index)
    words, save = st.columns([4, 1.25], vertical_alignment="center")
    with words:
        if chosen.asked:
            counted = " · ".join(f"{groups.LAYERS[k]} {n[k][0]:,}/{n[k][1]:,}" for k in range(2))
            said = f"<b>Selected n/N: {counted}</b> · {html.escape(chosen.said)}"
            st.html(f'<div class="ss-said" role="status">{said}</div>')
        else:
            st.caption("Nothing selected: below a sample of the whole map. Draw a lasso, choose a hole, or set a gate.")
    with save:
        selection.downloads(view, found, chosen, gates, region)
    if unlinked():
        st.caption("This lasso has too many corners for a link: download the selection to keep it.")
    if chosen.asked and not len(chosen.index):
        notices.empty("No point fulfils all of that together.")
        st.html('<div id="ss-gallery" data-selected="0"></div>')
        return
    gallery(view, found, chosen)


def unlinked() -> bool:
    text = state.hold(state.LASSO)
    return bool(text) and state.LASSO not in st.query_params


@notices.guarded
def gallery(view: View, found: Arrays, chosen: Selection) -> None:
    """One sheet a layer, from the engine in one question."""
    kind = view.dataset.kind
    layer = np.asarray(found["layer"])
    index = chosen.index if chosen.asked else np.arange(len(layer))
    each = [scatter.spread(index[layer[index] == k], GALLERY[kind]) for k in range(2)]
    n = gating.counts(found, index)
    kept = maps.behind(view, np.concatenate(each).tolist(), "gallery")
    if kept.stale:
        st.caption("The engine does not answer: these are the last good examples, of an earlier selection.")
    made = kept.value
    parts = np.split(np.asarray(made["showers"]), [len(each[0])])
    figures = []
    behind = examples.plane(view) if kind == "points" else None
    for k, part in enumerate(parts):
        if not len(part):
            continue
        title = TITLES[kind][k]
        said = f"<b>{title}</b>, {len(part)} of n/N = {n[k][0]:,}/{n[k][1]:,}"
        figures.append(sheet(kind, part, title, said, k, behind, view.dark))
    column = "" if kind == "points" else " ss-column"
    body = f'<div class="ss-figures{column}">{"".join(figures)}</div>'
    st.html(f'<div id="ss-gallery" data-selected="{len(chosen.index)}">{body}</div>')
    notes = {
        "showers": "Each shower on its own log colour scale; codes decode to expected light, simulation counts whole "
        "photons.",
        "images": "Grey values from 0, black, to 255, white.",
        "points": "In the plane of the data, all axes alike; faint: a sample of the real points.",
    }
    st.caption(notes[kind])


def sheet(kind: str, part: np.ndarray, title: str, said: str, layer: int, behind: np.ndarray | None, dark: bool) -> str:
    if kind == "images":
        return digits.gallery(part, said)
    if kind == "points" and behind is not None:
        look = (data_blue(dark), "circle") if layer == 0 else (GENERATED, "diamond")
        return clouds.gallery([points.Cloud(title, part, *look)], behind, said, dark)
    url = picture.sprite_url(part, ACROSS)
    alt = f"{title}: gallery of {len(part)} showers"
    return picture.figure_html(url, said, html.escape(alt), TILE * min(ACROSS, len(part)))


# ---------------------------------------------------------------------------------------------------------- histograms
@notices.guarded
def against_the_rest(view: View, found: Arrays, chosen: Selection) -> None:
    """Selection against the rest, in what each point carries, and the points themselves."""
    total = len(found["layer"])
    if not 0 < len(chosen.index) < total:
        return
    inside = gating.within(chosen.index, total)
    st.markdown(f"#### Selection against the rest: n/N = {len(chosen.index):,}/{total:,}")
    if view.dataset.kind == "showers" and "energy" in found:
        of_showers(view, found, inside)
    else:
        classes.selection_shares(view, found, chosen.index)
    with st.expander(f"The {len(chosen.index):,} selected points", expanded=False, key="selected_points"):
        table = pd.DataFrame(gating.table(found, chosen.index[:MOST_ROWS], view.names, view.what))
        if len(chosen.index) > MOST_ROWS:
            st.caption(f"The first {MOST_ROWS:,}; the download has all.")
        st.dataframe(table, hide_index=True, height=280, key="selected_table", alt="Table of the selected points")


def of_showers(view: View, found: Arrays, inside: np.ndarray) -> None:
    """Conditions and light of both layers, read-out channels of the simulated showers."""
    names = [name for name in ("energy", "impact x", "impact y", "photon sum") if carried(found, name)]
    columns = [groups.values_of(found, name) for name in names]
    n, rest = int(inside.sum()), int((~inside).sum())
    edges = [
        np.linspace(5 * np.floor(v.min() / 5), 5 * np.ceil(v.max() / 5), 25) if name.startswith("impact") else None
        for name, v in zip(names, columns, strict=True)
    ]
    left, right = st.columns([1, 1.15], gap="medium")
    with left:
        st.echarts_chart(
            histogram.panels(
                names, [v[~inside] for v in columns], [v[inside] for v in columns], view.dark,
                units=[groups.UNITS[name] for name in names], bins=24, ratio="", height=300, edges=edges,
                labels=(f"rest ({rest:,})", f"selection ({n:,}), scaled to the rest"), counted="points",
            ),
            height=300, key="selection_histograms",
            alt=f"Histograms of {', '.join(names)}: {n} selected points against {rest} others, with ratio",
        )  # fmt: skip
    convention = state.current_convention()
    light = np.asarray(state.known_columns(view.dataset, convention)["channels"], float)
    data = np.asarray(found["layer"]) == 0
    here, there = (light[np.asarray(found["row"])[data & side]] for side in (inside, ~inside))
    with right:
        if len(here) and len(there):
            st.echarts_chart(
                histogram.panels(
                    [f"channel {k + 1}" for k in range(light.shape[1])], list(there.T), list(here.T), view.dark,
                    bins=12, ratio="", height=300,
                    labels=(f"rest of the data ({len(there):,})", f"selected data ({len(here):,}), scaled to the rest"),
                ),
                height=300, key="selection_channels",
                alt=f"Histograms of five channels: {len(here)} selected simulated showers against {len(there)} others",
            )  # fmt: skip
        else:
            with st.container(height=300, border=True, key="selection_channels_none"):
                st.caption("Channels are read from simulated showers: the selection, or the rest, holds none.")
    st.caption(
        "Left: both layers; generated points carry the conditions of the shower they answer. Right: simulated "
        f"showers, read-out convention **{plain(convention)}**. Points with Garwood intervals: the rest; line: "
        "selection; below, their ratio."
    )


def carried(found: Arrays, name: str) -> bool:
    return {"energy": "energy", "photon sum": "photon_sum"}.get(name, "impact_mm") in found

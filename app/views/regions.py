"""Compare, models: where a model is weak, and what it draws there."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app import state
from app.charts import picture, regions
from app.charts.regions import Cell, Grid
from app.components import judging, notices, plots
from app.components.judging import Judged
from app.components.words import measured
from app.views import showers
from engine.schema import DatasetInfo

HEIGHT = 400
MOST = 6
MOST_LETTERS = 60
"""Of names side by side; beyond, they stand in a list."""
SEEN = "_cell_seen"


@st.fragment
@notices.guarded
def show(done: list[Judged], dataset: DatasetInfo) -> None:
    """Map and gallery; rerun alone when a cell is chosen."""
    dark = st.context.theme.type == "dark"
    titles = [one.title for one in done]
    if st.session_state.get(state.WEAK) not in titles:
        st.session_state.pop(state.WEAK, None)
    with plots.head("Weak regions"):
        if len("".join(titles)) > MOST_LETTERS:
            chosen = st.selectbox(
                "Model", titles, key=state.WEAK, bind="query-params", label_visibility="collapsed", width=320
            )
        else:
            chosen = st.segmented_control(
                "Model", titles, default=titles[0], key=state.WEAK, bind="query-params", required=True,
                label_visibility="collapsed",
            )  # fmt: skip
        over = st.segmented_control(
            "Cells of", regions.AXES, default=regions.AXES[0], key=state.OVER, bind="query-params", required=True,
            label_visibility="collapsed",
        )  # fmt: skip
    one = next((o for o in done if o.title == chosen), done[0])
    grid = regions.grid_of(one.arrays, over)
    worst = grid.worst()
    if not worst:
        notices.empty(f"No cell holds {regions.FEW} particles: judge on more of them.")
        return
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        heat_map(grid, str(over), dark)
    with right:
        cell = choose(worst)
        gallery(one, cell, dataset)


def heat_map(grid: Grid, over: str, dark: bool) -> None:
    """The map; a click on a cell chooses it."""
    key = f"models_weak_{regions.AXES.index(over) if over in regions.AXES else 0}"
    clicked(grid, key)
    worst = grid.worst()
    now = st.session_state.get(state.CELL)
    now = now if now in {c.title for c in worst} else worst[0].title
    st.echarts_chart(
        regions.draw(grid, now, dark), height=HEIGHT, key=key, on_select="rerun",
        renderer="svg" if st.session_state.get(plots.FORMAT) == "SVG" else "canvas",
        alt=f"MAE over floor in {len(grid.cells)} cells; worst {worst[0].title}: {worst[0].ratio:.2f}",
    )  # fmt: skip
    st.caption(
        "Mean MAE over mean floor of a cell's primaries, and their number n; 1.00× cannot be told from simulation. "
        f"Hatched: fewer than {regions.FEW} primaries. Click a cell, or choose it at the right, worst first."
    )


def clicked(grid: Grid, key: str) -> None:
    """Take over a fresh click; an older one has been answered."""
    event: Any = st.session_state.get(key)
    selection = getattr(event, "selection", None) or {}
    parts = selection.get("selected", []) if isinstance(selection, dict) else []
    found = [i for part in parts for i in part.get("data_indices", [])]
    if found and (key, found[0]) != st.session_state.get(SEEN):
        st.session_state[SEEN] = (key, found[0])
        if 0 <= found[0] < len(grid.cells) and grid.cells[found[0]].judged:
            st.session_state[state.CELL] = grid.cells[found[0]].title


def choose(worst: list[Cell]) -> Cell:
    """The cell by name, for those who use no mouse."""
    by_title = {c.title: c for c in worst}
    if st.session_state.get(state.CELL) not in by_title:
        st.session_state.pop(state.CELL, None)
    title = st.selectbox("Cell, worst first", list(by_title), key=state.CELL, bind="query-params")
    return by_title[title] if title else worst[0]


def gallery(one: Judged, cell: Cell, dataset: DatasetInfo) -> None:
    """The cell's particles that the model misses most: simulated, simulated again, generated."""
    arrays = one.arrays
    excess = np.asarray(arrays["mae"], float) - np.asarray(arrays["mae_floor"], float)
    order = cell.members[np.argsort(-excess[cell.members])][:MOST]
    st.markdown(
        f"**{cell.ratio:.2f} × floor** · MAE {measured(cell.mae, cell.mae_error, 'photons')}, floor "
        f"{cell.floor:.3g} photons · {len(cell.members)} primaries"
    )
    real = [showers.replicas_of(dataset, arrays, int(k)) for k in order]
    made = judging.generated(one, np.asarray(arrays["conditions"], float)[order].tolist())
    layers = {"Simulation": np.stack([r[0] for r in real])}
    if all(len(r) > 1 for r in real):
        layers["Simulation again"] = np.stack([r[1] for r in real])
    layers[one.title] = showers.read(made, one)
    top = max(1.0, float(max(layer.max() for layer in layers.values())))
    width = 92 * len(order)
    figures = []
    for name, layer in layers.items():
        sums = "".join(f"<span>{v:,.0f}</span>" for v in layer.reshape(len(layer), -1).sum(1))
        head = f"<b>{name}</b>, Σ photons<span class='ss-sums' style='--n:{len(layer)}'>{sums}</span>"
        url = picture.sprite_url(layer, len(layer), shared=True, top=top)
        figures.append(picture.figure_html(url, head, f"{name}: {len(layer)} showers of cell {cell.title}", width))
    st.html(picture.column_html(figures))
    st.caption(
        f"The {len(order)} particles of the cell that it misses most. One log colour scale, to {top:,.0f} photons."
    )
    if st.button("Show them large, with all models", icon=":material/vertical_align_top:", key="show_worst"):
        st.session_state[showers.TO_WORST] = True
        st.rerun()

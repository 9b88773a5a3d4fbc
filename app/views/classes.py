"""Latent space, for data of classes: gates, the gallery behind a selection, and which classes it prefers."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import state
from app.charts import classes, points, scatter
from app.charts.colour import GENERATED, data_blue
from app.components import clouds, digits, kinds, notices
from engine.schema import Arrays, DatasetInfo, MapRequest, RunInfo

GALLERY = {"images": 40, "points": 600}
"""Examples shown of a selection."""


def apply_gates(points_: Arrays, lassoed: np.ndarray, dataset: DatasetInfo) -> np.ndarray:
    """What lasso or click and the gates both keep; nothing when neither is set."""
    names = kinds.class_names(dataset)
    with st.expander("Gates", expanded=False):
        wanted = st.multiselect(
            kinds.class_word(dataset).capitalize(), list(names), format_func=lambda k: names[k],
            key=f"gate_class_{dataset.name}", disabled=not names,
        )  # fmt: skip
        layer = st.segmented_control("Layer", ["both", "data", "noise"], default="both", key="gate_layer")
    gate = np.ones(len(points_["layer"]), bool)
    if wanted:
        gate &= np.isin(scatter.classes_of(points_), wanted)
    return scatter.kept(points_, gate, layer, lassoed)


def gallery(
    run: RunInfo, request: MapRequest, points_: Arrays, chosen: np.ndarray, dataset: DatasetInfo, dark: bool,
    lassoed: bool,
) -> None:  # fmt: skip
    """The examples behind the selection: real ones as they are, noise decoded; of a single point its code decoded."""
    layer = np.asarray(points_["layer"])
    every = [np.flatnonzero(layer == k) for k in (0, 1)]
    if not len(chosen) and lassoed:
        notices.empty("No point lies in both the lasso and the gates.")
        return
    data, noise = (chosen[layer[chosen] == k] for k in (0, 1)) if len(chosen) else every
    if not len(chosen):
        st.caption(
            "Nothing selected: below a sample of the whole map. Draw a lasso, click a point, or set a gate above."
        )
    found: list[tuple[str, np.ndarray, str]] = []
    most = GALLERY[dataset.kind]
    if len(data):
        rows = np.asarray(points_["row"])[scatter.spread(data, most)].tolist()
        real = state.engine().showers(run.data, rows)["showers"]
        found.append(("Real", np.asarray(real), f"{len(real)} of n/N = {len(data)}/{len(every[0])}"))
        if len(chosen) == 1:
            code = decoded(run, request, points_, data)
            found.append(("Decoded from its code", code, f"{kinds.class_word(dataset)} {class_of(points_, data)}"))
    if len(noise):
        code = decoded(run, request, points_, scatter.spread(noise, most))
        found.append(("Decoded noise", code, f"{len(code)} of n/N = {len(noise)}/{len(every[1])}"))
    draw(run, dataset, found, len(chosen), dark)


def class_of(points_: Arrays, index: np.ndarray) -> str:
    return f"{np.asarray(points_['conditions'])[index[0], 0]:g}"


def decoded(run: RunInfo, request: MapRequest, points_: Arrays, index: np.ndarray) -> np.ndarray:
    """What the decoder makes of these codes at their own conditions."""
    codes = np.asarray(points_["latent"], float)[index].tolist()
    conditions = np.asarray(points_["conditions"], float)[index].tolist()
    return np.asarray(state.engine().decode(run.run_id, codes, request.step, conditions)["showers"])


def draw(
    run: RunInfo, dataset: DatasetInfo, found: list[tuple[str, np.ndarray, str]], selected: int, dark: bool
) -> None:
    """Sheets of images, or clouds before all validation points."""
    if dataset.kind == "images":
        figures = [digits.gallery(part, f"<b>{title}</b>, {said}") for title, part, said in found]
        note = "Grey values from 0, black, to 255, white; decoded noise is the expected image at its own class."
        column = " ss-column" if selected != 1 else ""
        body = f'<div class="ss-figures{column}">{"".join(figures)}</div>'
    else:
        behind = background(run, dataset)
        colours = {"Real": (data_blue(dark), "circle")}
        figures = [
            clouds.gallery(
                [points.Cloud(title, part, *colours.get(title, (GENERATED, "diamond")))], behind,
                f"<b>{title}</b>, {said}", dark,
            )
            for title, part, said in found
        ]  # fmt: skip
        note = "In the plane of the data, all axes alike; faint: a sample of the real points."
        body = f'<div class="ss-figures">{"".join(figures)}</div>'
    st.html(f'<div id="ss-gallery" data-selected="{selected}">{body}</div>')
    st.caption(note)


def background(run: RunInfo, dataset: DatasetInfo) -> np.ndarray:
    """Real points to set a selection against."""
    rows = np.linspace(0, dataset.showers - 1, min(dataset.showers, 1500)).astype(int).tolist()
    return np.asarray(state.keep(f"plane {run.data}", lambda: state.engine().showers(run.data, rows)).value["showers"])


def selection_shares(points_: Arrays, chosen: np.ndarray, dataset: DatasetInfo) -> None:
    """Which classes the selection prefers, against the rest."""
    names = kinds.class_names(dataset)
    if len(chosen) < 2 or not names:
        return
    own = scatter.classes_of(points_)
    inside = np.zeros(len(own), bool)
    inside[chosen] = True
    n, rest = int(inside.sum()), int((~inside).sum())
    word = kinds.class_word(dataset)
    st.markdown(f"#### Selection against the rest: n/N = {n}/{n + rest}")
    st.echarts_chart(
        classes.shares(
            list(names.values()), classes.tally(own[inside], names), classes.tally(own[~inside], names),
            (f"selection ({n})", f"rest ({rest})"), word, st.context.theme.type == "dark",
        ),
        height=280, key="selection_shares", alt=f"Share of each {word} in the selection and in the rest",
    )  # fmt: skip
    st.caption(f"Bars and points with binomial errors. Noise points carry the {word} of the example they answer.")

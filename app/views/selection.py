"""Latent space: what is selected on the map, by lasso, click, gates and regions, and the examples behind it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.charts import gates as gating
from app.charts import groups, scatter
from app.charts.gates import Gates, Selection
from app.components import maps
from app.components.maps import View
from app.views import interpolation
from engine.schema import Arrays, MapRequest, Region

HEIGHT = 560
SEEN, DRAWN, REVISION, BRUSHED, OF = "_map_seen", "_map_drawn", "_map_revision", "_map_brushed", "_map_of"
KEYS = {"energy": "energy", "photon sum": "light", "impact radius": "radius", "density ratio": "ratio"}
"""How gates are called in links, each with `_from` and `_to`."""
BOTH = "both"


# --------------------------------------------------------------------------------------------------------------- gates
def choose_gates(view: View, points: Arrays) -> Gates:
    """Every gate with numbers; empty ones let everything pass."""
    here = [name for name in gating.RANGES if _carried(points, name)]
    with st.expander("Gates by number", expanded=False, key="gates"):
        spans: dict[str, gating.Span] = {}
        for pair in (here[:2], here[2:]):
            places = st.columns(4, vertical_alignment="bottom") if pair else []
            for k, name in enumerate(pair):
                spans[name] = _span(points, name, places[2 * k], places[2 * k + 1])
        left, right = st.columns([1.4, 1], vertical_alignment="bottom")
        known = sorted(np.unique(points["pdg"]).tolist()) if "pdg" in points else list(view.names)
        if not set(st.session_state.get(state.GATE_KINDS, [])) <= set(known):
            st.session_state.pop(state.GATE_KINDS, None)
        chosen = left.multiselect(
            view.what.capitalize(), known, format_func=lambda k: view.names.get(k, str(k)), key=state.GATE_KINDS,
            bind="query-params", disabled=not known,
        )  # fmt: skip
        layer = right.segmented_control(
            "Layer", [BOTH, *groups.LAYERS], default=BOTH, key=state.GATE_LAYER, bind="query-params", required=True
        )
    return Gates(spans, tuple(chosen), "" if layer in (None, BOTH) else str(layer))


def _carried(points: Arrays, name: str) -> bool:
    return {"energy": "energy", "photon sum": "photon_sum", "density ratio": "density"}.get(name, "impact_mm") in points


def _span(points: Arrays, name: str, left: Any, right: Any) -> gating.Span:
    values = groups.values_of(points, name)
    low, high = (f"{v:,.0f}" if abs(v) >= 100 else f"{v:.2g}" for v in (values.min(), values.max()))
    unit = {"photon sum": "", "density ratio": " (log)"}.get(name, f" [{groups.UNITS.get(name)}]")
    title = f"{name.capitalize()}{unit}"
    first = left.number_input(
        title, value=None, placeholder=f"from {low}", key=f"{KEYS[name]}_from", bind="query-params", format="%g"
    )
    last = right.number_input(
        f"{name.capitalize()} at most", value=None, placeholder=f"to {high}", key=f"{KEYS[name]}_to",
        bind="query-params", format="%g", label_visibility="hidden",
    )  # fmt: skip
    return first, last


# --------------------------------------------------------------------------------------------------------------- lasso
def lasso_of(text: str) -> tuple[int, np.ndarray, int]:
    """On which map a lasso was drawn (0 or 1), its polygon, and the step of that map; `text` as `took` writes it."""
    body, _, step = text.partition("@")
    side = int(body.startswith("2:"))
    return side, gating.polygon_of(body.removeprefix("2:")), int(step) if step.isdigit() else -1


def select(view: View, points: Arrays, side: Arrays | None, region: Region | None, gates: Gates) -> Selection:
    """What region, lasso and gates all keep. A lasso of another epoch keeps its points: they are followed."""
    kept, words = gates.passes(points), gates.words(view.names, view.what)
    polygon = np.zeros((0, 2))
    if region is not None:
        kept &= gating.within(region.points, len(kept))
        words.insert(0, f"{region.kind} ({region.words})")
    if text := state.hold(state.LASSO):
        where, drawn, step = lasso_of(text)
        second = where == 1 and view.beside is not None
        request = view.beside.request if second and view.beside else view.request
        home = side if second else points
        if home is None or (step >= 0 and step != home.meta.get("step")):
            wanted = {"step": step} if step >= 0 else {}
            home = maps.ask(request.model_copy(update=wanted), fresh=False).value
        if len(drawn) and home is not None and maps.drawn(home):
            held = np.flatnonzero(gating.inside(home["xy"], drawn))
            kept &= gating.within(translate(home, points, held), len(kept))
            polygon = drawn
            shown = "the second map" if second else "the map"
            words.insert(
                0, f"inside a lasso of {len(drawn)} corners on {shown} of step {home.meta.get('step', step):,}"
            )
    return Selection(np.flatnonzero(kept) if words else np.zeros(0, int), words, polygon)


def translate(here: Arrays, there: Arrays, index: np.ndarray) -> np.ndarray:
    """Numbers on another map of the points that show the same rows in the same layer."""
    if here is there or np.array_equal(here["row"], there["row"]):
        return index[index < len(there["row"])]
    own, other = (2 * np.asarray(a["row"], np.int64) + np.asarray(a["layer"]) for a in (here, there))
    return np.flatnonzero(np.isin(other, own[index]))


def took(key: str, side: int, points: Arrays, first: Arrays) -> None:
    """A lasso was drawn or taken away, or a point was clicked: what of it is new since the last event. first: the map
    whose numbers name points."""
    event: Any = st.session_state.get(key)
    found = getattr(event, "selection", None) or {}
    areas, parts = list(found.get("areas", [])), list(found.get("selected", []))
    seen = st.session_state.setdefault(SEEN, {})
    before, pairs_before = seen.get(key, ("[]", set()))
    now = json.dumps(areas)
    pairs = {(p.get("series_index", -1), i) for p in parts for i in p.get("data_indices", [])}
    seen[key] = now, pairs
    if now != before:
        text = gating.lasso_text(dict(areas[-1]), np.asarray(points["xy"])) if areas else ""
        if text:
            text = f"{'2:' if side else ''}{text}@{points.meta.get('step', 0)}"
        st.session_state[BRUSHED] = key if text else ""
        state.change(state.LASSO, text, linked=len(text) <= gating.LONGEST)
        return
    fresh = [{"series_index": s, "data_indices": [i]} for s, i in sorted(pairs - pairs_before)]
    drawn = st.session_state.get(DRAWN, {}).get(key, [])
    if numbers := scatter.clicked(drawn, fresh):
        there = translate(points, first, np.array(sorted(numbers)))
        if len(there):
            interpolation.mark(int(there[0]))


def belongs(request: MapRequest, twin: maps.Twin | None) -> None:
    """Drop a lasso and a region that another map left; else have the link hold them again."""
    map_of = request.model_dump_json(exclude={"step"}) + (twin.run.run_id if twin else "")
    if st.session_state.setdefault(OF, map_of) != map_of:
        st.session_state[OF] = map_of
        for key in (state.LASSO, state.MAP_REGION):
            state.change(key, "")
        lift()
        return
    for key in (state.LASSO, state.MAP_REGION):
        held = state.hold(key)
        if held and key not in st.query_params:
            state.change(key, held, linked=len(held) <= gating.LONGEST)


def forget() -> None:
    """Nothing selected any more, and a chart without its brush."""
    for name in KEYS.values():
        for end in ("from", "to"):
            st.session_state[f"{name}_{end}"] = None
    st.session_state[state.GATE_KINDS] = []
    st.session_state[state.GATE_LAYER] = BOTH
    for key in (state.LASSO, state.MAP_REGION):
        state.change(key, "")
    lift()


def lift() -> None:
    """Take the browser's own brush off: the chart starts anew."""
    st.session_state[REVISION] = st.session_state.get(REVISION, 0) + 1
    st.session_state[BRUSHED] = ""


def clear_button() -> None:
    st.button("Clear selection", icon=":material/deselect:", key="clear_selection", on_click=forget, type="tertiary")


# ----------------------------------------------------------------------------------------------------------------- map
def draw_map(
    view: View, points: Arrays, side: int, first: Arrays, colour_by: str, layers: list[str], chosen: Selection,
    marks: dict[str, int], height: int = HEIGHT,
) -> None:  # fmt: skip
    """A map with its lasso. side: 1 for the second model's. first: the map whose numbers `chosen` and `marks` hold."""
    run = view.beside.run if side and view.beside else view.run
    home, polygon, step = lasso_of(state.hold(state.LASSO))
    here = bool(len(polygon)) and home == side and step in (-1, points.meta.get("step"))
    name = hashlib.sha256(f"{run.run_id} {view.space} {view.request.n}".encode()).hexdigest()[:10]
    key = f"latent_map_{side}_{name}_{st.session_state.get(REVISION, 0)}"
    brushed = st.session_state.get(BRUSHED) == key
    if brushed and not here:  # the map moved on, the brush would stay behind
        lift()
        key = f"latent_map_{side}_{name}_{st.session_state[REVISION]}"
        brushed = False
    index = translate(first, points, chosen.index)
    lit = {letter: translate(first, points, np.array([number])) for letter, number in marks.items()}
    shown = index if chosen.asked else None
    drawn = groups.groups_of(points, colour_by, view.names, layers, shown, view.dark)
    others = {k: v for k, v in st.session_state.get(DRAWN, {}).items() if not k.startswith(f"latent_map_{side}_")}
    st.session_state[DRAWN] = {**others, key: drawn}
    n = gating.counts(points, index)
    said = f"; selected {n[0][0]} data and {n[1][0]} generated points" if chosen.asked else ""
    with st.container(key="latent_map_2" if side else "latent_map"):
        st.echarts_chart(
            scatter.latent_map(
                points, colour_by, view.names, layers=layers, chosen=shown, dark=view.dark,
                outlines=[polygon] if here and not brushed else [],
                marks={letter: int(number[0]) for letter, number in lit.items() if len(number)},
            ),
            height=height, key=key, on_select=lambda: took(key, side, points, first),
            alt=f"t-SNE map of {run.name or run.run_id}, coloured by {colour_by}: circles are data, diamonds are "
            f"generated points{said}",
        )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- downloads
def downloads(view: View, points: Arrays, chosen: Selection, gates: Gates, region: Region | None) -> None:
    """The selection as text, as numbers and, of simulated rows, as examples."""
    layer = np.asarray(points["layer"])[chosen.index]
    rows = np.unique(np.asarray(points["row"])[chosen.index][layer == 0]).tolist()
    stem = f"selection_{view.run.run_id.replace(':', '_')[:24]}_{points.meta.get('step', 0)}"

    def as_json() -> bytes:
        named = region.model_dump(exclude={"points"}) if region else None
        asked = view.request.model_dump(mode="json")
        return json.dumps(gating.record(chosen, gates, points, asked, named), indent=1).encode()

    def as_csv() -> bytes:
        table = pd.DataFrame(gating.table(points, chosen.index, view.names, view.what))
        return table.to_csv(index=False, float_format="%.6g").encode()

    with st.popover("Download", icon=":material/download:", key="save_selection", disabled=not len(chosen.index)):
        st.download_button(
            ".json, what selects and the points", data=as_json, file_name=f"{stem}.json", mime="application/json",
            key="save_selection_json", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button(
            ".csv, row numbers and quantities", data=as_csv, file_name=f"{stem}.csv", mime="text/csv",
            key="save_selection_csv", on_click="ignore", width="stretch",
        )  # fmt: skip
        noun = "simulated showers" if view.dataset.kind == "showers" else f"real {view.dataset.kind}"
        st.download_button(
            f".npz, the {len(rows):,} {noun}",
            data=lambda: state.engine().save_rows(view.run.data, rows, "npz"), file_name=f"{stem}.npz",
            mime="application/octet-stream", key="save_selection_npz", on_click="ignore", width="stretch",
            disabled=not rows,
        )  # fmt: skip

"""Latent space: chosen points large beside their partners, and the way from one to the other."""

from __future__ import annotations

import html
import json

import numpy as np
import streamlit as st

from app import state
from app.charts import groups, picture, walks
from app.charts.groups import LAYERS
from app.components import examples, maps, notices
from app.components.maps import View
from app.components.words import plain
from engine.schema import Arrays, GenerateRequest

CODES, CODES_HERE = "codes and conditions", "codes, conditions of A"
ENERGY, ALL, CLASSES = "energy, same noise", "all conditions, same noise", "classes, same noise"
LARGE, SMALL = 200, 86


# -------------------------------------------------------------------------------------------------------------- points
def marked(points: Arrays) -> dict[str, int]:
    """The chosen points by their letter, before their widgets are drawn."""
    found = {}
    for letter, key in (("A", state.POINT_A), ("B", state.POINT_B)):
        value = st.session_state.get(key, st.query_params.get(key))
        if value is not None and str(value).isdigit() and int(value) < len(points["layer"]):
            found[letter] = int(value)
    return found


def mark(number: int) -> None:
    """A clicked point: the first is A, the second B; a third pushes the older one out."""
    a, b = (st.session_state.get(key) for key in (state.POINT_A, state.POINT_B))
    if number in (a, b):
        return
    if a is None:
        st.session_state[state.POINT_A] = number
    elif b is None:
        st.session_state[state.POINT_B] = number
    else:
        st.session_state[state.POINT_A], st.session_state[state.POINT_B] = b, number


def clear() -> None:
    st.session_state[state.POINT_A] = st.session_state[state.POINT_B] = None


@notices.guarded
def show(view: View, points: Arrays) -> None:
    """Pickers, the points with their partners, and the strip between two."""
    st.markdown("#### Single points and the way between them")
    most = len(points["layer"]) - 1
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        for letter, key in (("A", state.POINT_A), ("B", state.POINT_B)):
            if (st.session_state.get(key) or 0) > most:
                st.session_state[key] = None  # of a larger map
            st.number_input(
                f"Point {letter}", 0, most, None, 1, key=key, bind="query-params", width=150, placeholder="number",
                help="Click a point on the map, or type its number: hovering tells it, and the table of a selection.",
            )  # fmt: skip
        st.button("Clear points", key="clear_points", on_click=clear, type="tertiary", icon=":material/close:")
    chosen = marked(points)
    if not chosen:
        st.caption(
            "A click on the map shows a point large beside its partner; a second one opens the way between both."
        )
        return
    layer, row = np.asarray(points["layer"]), np.asarray(points["row"])
    partners = {letter: partner_of(layer, row, number) for letter, number in chosen.items()}
    numbers = [n for letter, number in chosen.items() for n in (number, partners[letter]) if n is not None]
    made = np.asarray(maps.behind(view, numbers, "single points").value["showers"])
    at = dict(zip(numbers, made, strict=False))
    with st.container(key="single_points"):
        for letter, place in zip(chosen, st.columns(2, gap="medium"), strict=False):
            with place:
                one(view, points, letter, chosen[letter], partners[letter], at)
    if len(chosen) == 2:
        way(view, points, chosen["A"], chosen["B"])


def partner_of(layer: np.ndarray, row: np.ndarray, number: int) -> int | None:
    """The point of the other layer at the same conditions."""
    found = np.flatnonzero((row == row[number]) & (layer != layer[number]))
    return int(found[0]) if len(found) else None


def one(view: View, points: Arrays, letter: str, number: int, partner: int | None, at: dict[int, np.ndarray]) -> None:
    """A point and its partner on one scale."""
    layer = int(points["layer"][number])
    words = [f"**{letter}** · point {number:,}, {LAYERS[layer]}, row {int(points['row'][number]):,}"]
    if "pdg" in points:
        words.append(plain(view.names.get(int(points["pdg"][number]), str(int(points["pdg"][number])))))
        words.append(f"{float(points['energy'][number]):,.4g} GeV")
        if "impact_mm" in points:
            x, y = points["impact_mm"][number]
            words.append(f"impact ({x:.1f}, {y:.1f}) mm")
    elif view.names:
        own = int(groups.classes_of(points)[number])
        words.append(f"{view.what} {plain(view.names.get(own, str(own)))}")
    st.markdown(" · ".join(words))
    shown = [(number, LAYERS[layer])] + ([(partner, f"partner, {LAYERS[1 - layer]}")] if partner is not None else [])
    there = [(at[n], f"<b>{html.escape(title)}</b>") for n, title in shown if n in at]
    if layer == 0 and "latent" in points:
        code, row = (np.asarray(points[name][number], float).round(6).tolist() for name in ("latent", "conditions"))
        again = json.dumps({"codes": [code], "conditions": [row]})
        there.insert(1, (walk(view, points, again, f"code {letter}")[0], "<b>code decoded</b>"))
    st.html(picture.row_html(examples.figures(view, [x for x, _ in there], [t for _, t in there], LARGE)))


# ----------------------------------------------------------------------------------------------------------------- way
def ways(view: View, points: Arrays) -> list[str]:
    """Which ways there are: without codes along conditions only."""
    codes = "latent" in points
    if view.dataset.kind == "showers":
        return [*([CODES, CODES_HERE] if codes else []), ENERGY, ALL]
    return [*([CODES, CODES_HERE] if codes else []), *([CLASSES] if view.names else [])]


def way(view: View, points: Arrays, a: int, b: int) -> None:
    """The strip from A to B, and one place of it large."""
    options = ways(view, points)
    if not options:
        return
    if st.session_state.get(state.WALK) not in options:
        st.session_state.pop(state.WALK, None)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        how = st.selectbox("From A to B through", options, key=state.WALK, bind="query-params", width=280)
        rows = rows_of(view, points, a, b, str(how))
        n = len(rows["conditions"])
        places = [*("A" if k == 0 else "B" if k == n - 1 else f"{k}/{n - 1}" for k in range(n))]
        if st.session_state.get(state.WALK_AT) not in places:
            st.session_state.pop(state.WALK_AT, None)
        at = st.select_slider(
            "Place on the way", places, places[n // 2], key=state.WALK_AT, bind="query-params", disabled=n < 2
        ) if n > 1 else places[0]  # fmt: skip
    asked = json.dumps({name: np.round(value, 6).tolist() for name, value in rows.items()})
    made = walk(view, points, asked, "way")
    k = places.index(str(at))
    heads = heads_of(view, rows["conditions"], made)
    strip_html = examples.strip(view, made, heads, SMALL, k, "From A to B")
    st.html(f'<div class="ss-walk">{strip_html}{examples.single(view, made, k, LARGE)}</div>')
    st.caption(said(view, str(how), rows["conditions"]))


def rows_of(view: View, points: Arrays, a: int, b: int, how: str) -> dict[str, np.ndarray]:
    """Codes, where the way goes through them, and condition rows."""
    first, last = (np.asarray(points["conditions"][k], float) for k in (a, b))
    particles = view.dataset.kind == "showers" and len(first) == 9
    if how in (CODES, CODES_HERE):
        codes = walks.straight(points["latent"][a], points["latent"][b])
        if how == CODES_HERE or not len(first):
            rows = np.repeat(first[None], len(codes), 0)
        elif particles:
            rows = walks.conditions(first, last)
        else:
            rows = np.stack([first, last])[(np.arange(len(codes)) >= len(codes) / 2).astype(int)]
        return {"codes": codes, "conditions": rows}
    if how == CLASSES:
        return {"conditions": walks.class_steps(int(first[0]), int(last[0]))}
    return {"conditions": walks.energies(first, last) if how == ENERGY else walks.conditions(first, last)}


def walk(view: View, points: Arrays, asked: str, what: str) -> np.ndarray:
    """The examples of codes or conditions (JSON), the last ones where the engine is gone. what: tells askers apart."""
    request, step = view.request, points.meta.get("step")
    return state.keep(f"{what} {request.run}", lambda: walked(request.run, step, asked, request.seed)).value


@st.cache_resource(show_spinner=False, max_entries=64)
def walked(run: str, step: int | None, asked: str, seed: int) -> np.ndarray:
    """The examples on the way. Without codes each comes from the same noise: each is a request of its own."""
    rows = json.loads(asked)
    if "codes" in rows:
        return np.asarray(state.engine().decode(run, rows["codes"], step, rows["conditions"])["showers"])
    made = [
        state.engine().generate(
            GenerateRequest(run=run, step=step, conditions=[row], n=1, seed=seed, light="expected")
        )["showers"][0]
        for row in rows["conditions"]
    ]  # fmt: skip
    return np.stack(made)


def heads_of(view: View, conditions: np.ndarray, made: np.ndarray) -> list[str]:
    """A word above each place: photon sum and energy, or the class."""
    if view.dataset.kind == "showers":
        light = made.reshape(len(made), -1).sum(1)
        return [f"{row[0]:,.0f} GeV<br>Σ {total:,.0f}" for row, total in zip(conditions, light, strict=True)]
    if not view.names or not conditions.shape[1]:
        return ["" for _ in made]
    return [html.escape(view.names.get(round(row[0]), f"{row[0]:g}")) for row in conditions]


def said(view: View, how: str, conditions: np.ndarray) -> str:
    words = {
        CODES: "Codes on the straight line from A's to B's, decoded at conditions that change along; ",
        CODES_HERE: "Codes on the straight line from A's to B's, decoded at A's conditions; ",
        ENERGY: "A's particle at energies in equal ratios up to B's, pz on the mass shell, every shower from the same "
        f"noise (seed {view.request.seed}); ",
        ALL: f"All conditions from A's to B's, pz on the mass shell, every shower from the same noise (seed "
        f"{view.request.seed}); ",
        CLASSES: f"Classes one after the other, each from the same noise (seed {view.request.seed}).",
    }[how]
    if view.dataset.kind == "showers":
        moved = len(np.unique(conditions[:, walks.MASS])) > 1
        return words + "expected light, one log scale." + (" The species changes in the middle." if moved else "")
    return words.rstrip("; ") + ("." if not words.endswith(".") else "")

"""A map with places to drag: a browser part that asks for the plan while the hand moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.components import v2

from app import state
from app.components.parts import part

Points = tuple[tuple[float, float], ...]


def mount() -> Any:
    """The component's mounting command. Registered again in each process that runs pages."""
    return v2.component(
        "showerscope_board", html=part("board.html"), css=part("board.css"), js=part("board.js")
    )  # fmt: skip


def checked(points: Any, like: Points, extent: float) -> Points | None:
    """As many points as these, inside the map; None for anything else, which a link or a browser may hold."""
    try:
        found = tuple((float(x), float(y)) for x, y in points)
    except (TypeError, ValueError):
        return None
    sound = len(found) == len(like) and all(math.isfinite(v) and 0 <= v <= extent for point in found for v in point)
    return found if sound else None


def text_of(points: Points) -> str:
    """Points as a link holds them."""
    return "_".join(f"{x:g},{y:g}" for x, y in points)


def current(name: str, start: Points, extent: float) -> Points:
    """Where the places stand: as dragged, or as the link says, or at the start. name: in the link."""
    held = state.hold(name)
    if held and name not in st.query_params:
        state.change(name, held)
    return checked([pair.split(",") for pair in held.split("_")], start, extent) or start


def leave(name: str) -> None:
    """Another view: the link no longer speaks of these places, the session keeps them."""
    if name in st.query_params:
        del st.query_params[name]


def show(
    name: str, label: str, places: Sequence[dict[str, Any]], at: Points, start: Points, extent: float, unit: str,
    goods: str, over: dict[str, Any],
) -> None:  # fmt: skip
    """Draw the map. places: name, mass and source of each. over: `flows` (from, to, amount) and `prices` in words."""
    key = f"board_{name}"

    def took() -> None:
        told = checked(getattr(st.session_state[key], "places", None), start, extent)
        if told is not None:
            state.change(name, "" if told == start else text_of(told))

    mount()(
        key=key,
        data={
            "label": label, "places": list(places), "at": [list(p) for p in at], "start": [list(p) for p in start],
            "extent": extent, "unit": unit, "goods": goods, **over,
        },
        on_places_change=took,
    )  # fmt: skip

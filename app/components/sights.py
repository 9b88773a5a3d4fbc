"""How the live pictures are looked at: what is drawn, scale, what lies over it, noise walked; a part of the link."""

from __future__ import annotations

from typing import Annotated, Literal

import streamlit as st
from pydantic import BaseModel, ConfigDict, Field

from app import state

Step = Annotated[float, Field(ge=-3, le=3, allow_inf_nan=False)]


class Sight(BaseModel):
    """What the browser's panel tells when it changes, and what a link says."""

    model_config = ConfigDict(extra="forbid")
    shown: Literal["one", "mean", "sigma"] = "one"
    of: Literal[16, 64, 256] = 64
    """Showers of mean and σ."""
    log: bool = True
    top: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Photons of the brightest colour where the scale is locked."""
    towers: bool = False
    common: bool = False
    held: Literal["energy", "momentum", "kinetic"] = "energy"
    """What the number beside the energy's slider holds."""
    aimed: bool = True
    """The particle keeps its direction, not px and py, when its energy changes."""
    walk: tuple[Step, Step] | None = None


def current() -> Sight:
    """The session's, or the link's."""
    if state.SIGHT not in st.session_state:
        st.session_state[state.SIGHT] = from_link(dict(st.query_params))
    return st.session_state[state.SIGHT]


def from_link(query: dict[str, str]) -> Sight:
    """What a link describes; one that describes nothing possible counts as absent."""
    given: dict[str, object] = {name: query[name] for name in ("shown", "held", "top") if name in query}
    overlay = query.get("overlay", "").split(",")
    try:
        if "mean_of" in query:
            given["of"] = int(query["mean_of"])
        if "noise" in query:
            given["walk"] = [float(part) for part in query["noise"].split(",")]
        more = {"log": query.get("scale") != "linear", "aimed": query.get("keeps") != "momentum"}
        return Sight.model_validate(given | more | {name: name in overlay for name in ("towers", "common")})
    except ValueError:  # pydantic's ValidationError is one
        return Sight()


def link_of(sight: Sight) -> dict[str, str]:
    """Query parameters; what is as on the first page is left out (empty)."""
    first = Sight()
    return {
        "shown": "" if sight.shown == first.shown else sight.shown,
        "mean_of": "" if sight.of == first.of else str(sight.of),
        "scale": "" if sight.log else "linear",
        "top": "" if sight.top is None else f"{sight.top:g}",
        "overlay": ",".join(name for name in ("towers", "common") if getattr(sight, name)),
        "held": "" if sight.held == first.held else sight.held,
        "keeps": "" if sight.aimed else "momentum",
        "noise": "" if sight.walk is None else ",".join(f"{step:g}" for step in sight.walk),
    }


def keep(sight: Sight) -> None:
    """For this session and for the link."""
    st.session_state[state.SIGHT] = sight
    for name, value in link_of(sight).items():
        if value:
            if st.query_params.get(name) != value:
                st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]

"""Latent space: data that no generated example covers and generated examples without data, to choose from."""

from __future__ import annotations

import streamlit as st

from app import state
from app.charts import covered
from app.components import notices
from app.components.maps import View
from app.components.words import plain
from app.views import coverage
from app.views.coverage import Found
from engine.schema import Region

NONE, CHOICE = "none", "region_choice"
MOST, HEIGHT = 20, 236


def choose(view: View, found: Found) -> Region | None:
    """The list, worst first; the chosen one's points are selected."""
    st.markdown("#### Holes and islands" + (f" of {plain(view.title)}" if view.beside else ""))
    done = found.coverage
    if done is None:
        with st.container(height=HEIGHT, border=True, key="regions_wait"):
            st.caption(
                "Holes are data that no generated example covers, islands generated examples where no data are. Both "
                "are looked for in the feature space."
            )
            coverage.wait(found, "Looking for holes", "regions")
            if asked := state.hold(state.MAP_REGION):
                st.caption(f"The link asks for {asked.lower()}.")
        return None
    regions = done.regions[:MOST]
    if not regions:
        notices.empty(f"No holes and no islands among {done.n:,} points a layer: nothing stands alone beyond chance.")
        return None
    titles = covered.names(regions)
    by_title = dict(zip(titles, regions, strict=True))
    asked = state.hold(state.MAP_REGION)
    st.session_state[CHOICE] = asked if asked in by_title else NONE
    with st.container(height=HEIGHT, border=True, key="regions"):
        chosen = st.radio(
            "Region", [NONE, *titles], key=CHOICE, on_change=took, label_visibility="collapsed",
            captions=["", *(r.words for r in regions)],
            format_func=lambda t: f"**{t}** · {covered.summary(by_title[t])}" if t in by_title else "No region chosen",
        )  # fmt: skip
    if asked and asked not in by_title:
        st.caption(f"The link's {asked.lower()} is not among the {len(regions)} regions of this map.")
    region = by_title.get(str(chosen))
    if region is not None:
        own = "data" if region.kind == "hole" else "generated points"
        st.html(covered.distinctions_html(region))
        st.caption(f"How far these {len(region.points):,} points are from the other {own}: 0 alike, 1 apart.")
    return region


def took() -> None:
    chosen = st.session_state.get(CHOICE, NONE)
    state.change(state.MAP_REGION, "" if chosen == NONE else chosen)

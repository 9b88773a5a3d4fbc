"""Latent space: what generated examples cover of the data, in numbers; begun by itself for small maps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import streamlit as st

from app import state
from app.charts import breakdown, covered
from app.charts.colour import GENERATED
from app.charts.looks import Look
from app.components import maps, plots, tasks
from app.components.maps import View
from app.components.words import plain
from engine.schema import (
    Coverage,
    CoverageTask,
    EngineDown,
    EngineError,
    MapRequest,
    MetricValue,
    TaskInfo,
)

SMALL = 2000
"""Points a layer up to which coverage is looked at without being asked."""
BY = {"species": "species", "class": "class", "energy": "energy [GeV]"}
HEIGHT = 290


@dataclass(frozen=True)
class Found:
    """How far the look at a map's coverage is."""

    slot: str
    request: MapRequest
    info: TaskInfo | None

    @property
    def coverage(self) -> Coverage | None:
        return self.info.coverage if self.info else None


def slot_of(request: MapRequest) -> str:
    return f"coverage {hashlib.sha256(request.model_dump_json().encode()).hexdigest()[:16]}"


def find(view: View, request: MapRequest, waits: bool) -> Found:
    """The look at a map's points; begun where it is short and nothing moves. waits: for a map."""
    slot = slot_of(request)
    kept = tasks.look(slot)
    refused = st.session_state.setdefault(tasks.REFUSED, {})
    still = not (waits or maps.playing() or view.live)
    if kept is None and still and slot not in refused and request.n <= SMALL:
        try:
            tasks.slots(slot)[slot] = state.engine().start_task(CoverageTask(request=request)).task_id
        except EngineDown:
            return Found(slot, request, None)
        except EngineError as error:
            refused[slot] = str(error)
        kept = tasks.look(slot)
    return Found(slot, request, kept.value if kept else None)


def wait(found: Found, title: str, key: str) -> None:
    """What stands where there is no coverage yet: progress, what went wrong, or the button that begins."""
    if found.info and not found.info.ended:
        tasks.bar(found.slot, title)
        return
    tasks.outcome(found.slot, found.info)
    again = found.info is not None or found.slot in st.session_state.get(tasks.REFUSED, {})
    st.button(
        "Look again" if again else "Find what the model misses", icon=":material/search:", key=f"cover_{key}",
        on_click=tasks.begin, args=(found.slot, CoverageTask(request=found.request)),
        help="Density, coverage, precision, recall and holes at the points of this map: seconds to minutes.",
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- card
def card(view: View, found: Found) -> None:
    """Every number with its error and floor, by species or class and by energy."""
    done = found.coverage
    if done is None:
        return
    unit = {"latent": "latent space", "pixels": "pixels"}.get(done.space, f"{done.space} space")
    with plots.head("What generated examples cover"):
        names = list(done.metrics)
        if st.session_state.get(state.COVERED) not in names:
            st.session_state.pop(state.COVERED, None)
        first = "coverage" if "coverage" in names else names[0] if names else None
        name = st.segmented_control(
            "Metric part by part", names, default=first, key=state.COVERED, bind="query-params", required=True,
            label_visibility="collapsed",
        )  # fmt: skip
    shown = [by for by in BY if any(p.by == by and name in p.metrics for p in done.parts)]
    left, *places = st.columns([1.15, *[1 + 0.2 * (by == "energy") for by in shown]], gap="medium")
    with left:
        st.html(covered.table_html(done.metrics, str(name)))
    look = Look(view.title, GENERATED, "solid", "diamond")
    for by, place in zip(shown, places, strict=True):
        parts = [p for p in done.parts if p.by == by and name in p.metrics]
        values: list[MetricValue | None] = [p.metrics[str(name)] for p in parts]
        titles = [f"{p.title.removesuffix(' GeV')}\nn {p.n:,}" for p in parts]
        with place:
            axis = view.what if by == "class" else BY[by]
            plots.chart(
                breakdown.draw(titles, [(look, values)], axis, str(name), name in ("density", "coverage"), view.dark),
                f"covered_by_{by}", HEIGHT, f"{name} by {axis}, with its floor: {', '.join(p.title for p in parts)}",
            )  # fmt: skip
    st.caption(
        f"Computed in {unit} from n = {done.n:,} points a layer with k = {done.k} neighbours, step {done.step:,}, "
        f"**never on the map**. ± from drawing the data again; band and floor: one half of the data against the other. "
        f"Sinkhorn: debiased divergence of {plain(unit)}, lower is better; the others are better towards 1."
    )

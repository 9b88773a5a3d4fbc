"""Compare, models: a metric by species, by energy and by channel."""

from __future__ import annotations

import streamlit as st

from app import state
from app.charts import breakdown
from app.components import notices, plots
from app.components.judging import Judged
from engine.schema import Catalogue, MetricValue, Part

BY = {"species": "species", "energy": "energy [GeV]", "channel": "channel"}
HEIGHT = 300


@st.fragment
@notices.guarded
def show(done: list[Judged], book: Catalogue) -> None:
    """Reruns alone when the metric changes."""
    parts = [part for one in done for part in one.report.parts]
    present = {name for part in parts for name in part.metrics}
    if not present:
        return
    infos = {m.name: m for m in book.metrics}
    names = [m for m in infos if m in present] + sorted(present - set(infos))
    names.sort(key=lambda name: name != "mae")
    if st.session_state.get(state.BROKEN) not in names:
        st.session_state.pop(state.BROKEN, None)
    with plots.head("Part by part"):
        name = st.selectbox(
            "Metric", names, format_func=lambda n: infos[n].title if n in infos else n, key=state.BROKEN,
            bind="query-params", label_visibility="collapsed", width=320,
        )  # fmt: skip
    info = infos.get(name or names[0])
    unit = next((p.metrics[name].unit for p in parts if name in p.metrics), "")
    head = (info.short or info.title) if info else str(name)
    axis = f"{head} [{unit}]" if unit else head
    shown = [by for by in BY if any(p.by == by and name in p.metrics for p in parts)]
    dark = st.context.theme.type == "dark"
    for by, place in zip(shown, st.columns(len(shown), gap="medium"), strict=True):
        keys = list(dict.fromkeys(key_of(p) for p in parts if p.by == by and name in p.metrics))
        models = [(one.look, [value_of(one, by, key, str(name)) for key in keys]) for one in done]
        titles = [title_of(next(p for p in parts if p.by == by and key_of(p) == key), book) for key in keys]
        with place:
            plots.chart(
                breakdown.draw(titles, models, BY[by], axis, bool(info and info.direction == "one"), dark),
                f"models_by_{by}", HEIGHT, f"{head} of {len(done)} models by {by}: {', '.join(titles)}",
            )  # fmt: skip
    reads = {"lower": "Lower is better.", "higher": "Higher is better.", "one": "1 is ideal, dashed."}
    st.caption(
        f"Each part judged by itself, bars: its bootstrap error. Band: the floor with its error. "
        f"{reads[info.direction] if info else ''} Rest on a point for its number."
    )


def key_of(part: Part) -> tuple[str, int | None]:
    return part.title, part.pdg


def value_of(one: Judged, by: str, key: tuple[str, int | None], name: str) -> MetricValue | None:
    found = next((p for p in one.report.parts if p.by == by and key_of(p) == key), None)
    return found.metrics.get(name) if found else None


def title_of(part: Part, book: Catalogue) -> str:
    """Short, with the number of primaries below."""
    if part.by == "channel":
        return part.title.removeprefix("channel ")
    name = state.particle_named(part.pdg, book).symbol if part.pdg is not None else part.title.removesuffix(" GeV")
    return f"{name}\nn {part.primaries}"

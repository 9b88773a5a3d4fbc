"""Manifolds: toy sets whose every gap is known. SC-GAN's ways to draw codes, models in a race, and who bridges."""

from __future__ import annotations

import streamlit as st

from app import state
from app.components import notices, trainings
from app.views import bridging, modes, race, toy_table
from engine.schema import DatasetInfo

MODES, RACE = VIEWS = ("Latent modes", "Race")
TOYS = "toy_"


def show() -> None:
    """The page."""
    book = state.keep("catalogue", state.catalogue)
    sets = state.keep("datasets", state.datasets)
    runs = state.keep("runs", lambda: state.engine().runs())
    if book.stale or sets.stale or runs.stale:
        notices.stale()
    # in the order of the published table, which begins with those whose gaps are widest
    order = {row.bench: k for k, row in reversed(list(enumerate(book.value.published)))}
    found = [d for d in sets.value if d.name.startswith(TOYS) and d.kind == "points"]
    toys = {d.title: d for d in sorted(found, key=lambda d: order.get(d.name, len(order)))}
    if not toys:
        notices.empty("The engine offers no toy set: restart it with the version of this page.")
        return
    dark = st.context.theme.type == "dark"
    target, view, length, rest = st.columns([1.1, 1.15, 0.62, 2.6], gap="medium", vertical_alignment="bottom")
    with target:
        dataset = choose(toys)
    with view:
        chosen = st.segmented_control(
            "View", VIEWS, default=MODES, key=state.TOY_VIEW, bind="query-params", required=True
        )  # fmt: skip
    with length:
        epochs = trainings.choose_length()
    if chosen == RACE:
        race.show(rest, dataset, epochs, runs.value, book.value, dark)
    else:
        modes.show(rest, dataset, epochs, runs.value, book.value, dark)
    records = state.keep("benchmarks", lambda: state.engine().benchmarks()).value
    card, table = st.columns([1, 1.7], gap="large")
    with card:
        bridging.show(dataset, runs.value, toy_table.record_of(dataset.name, records))
    with table:
        toy_table.show(dataset, book.value, records)
    toy_table.every(list(toys.values()), book.value, records)


def choose(toys: dict[str, DatasetInfo]) -> DatasetInfo:
    if st.session_state.get(state.TOY) not in toys:
        st.session_state.pop(state.TOY, None)
    title = st.selectbox("Target", list(toys), key=state.TOY, bind="query-params")
    return toys[title or next(iter(toys))]

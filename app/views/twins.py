"""Latent space: a second model beside the first, at the same rows, and how well each one's codes tell species apart."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app import state
from app.charts import covered
from app.components import header, maps
from app.components.maps import Twin, View
from app.components.words import plain
from app.views import coverage
from engine.schema import Arrays, Catalogue, MapRequest, RunInfo

NOBODY = "none"


def pick(run: RunInfo, book: Catalogue, everybody: bool) -> RunInfo | None:
    """A model of the same data set. everybody: those without an encoder too."""
    runs = [r for r in st.session_state.get(state.RUNS, []) if r.checkpoints and r.data == run.data]
    fit = {r.run_id: r for r in runs if r.run_id != run.run_id and (everybody or state.has_latent(r, book))}
    options = [NOBODY, *fit]
    if st.session_state.get(state.MAP_BESIDE) not in options:
        st.session_state.pop(state.MAP_BESIDE, None)
    chosen = st.selectbox(
        "Second model beside it", options, key=state.MAP_BESIDE, bind="query-params", disabled=not fit,
        format_func=lambda r: header.label(fit[r]) if r in fit else NOBODY,
        help="Of the same data set" + ("." if everybody else ", with an encoder.") + " What is selected on one map is "
        "selected on the other.",
    )  # fmt: skip
    return fit.get(str(chosen))


def beside(other: RunInfo, request: MapRequest, step: int | None) -> Twin:
    """The second model at the same checkpoint where it has one, else at its newest."""
    steps = maps.steps_of(other)
    own = step if step in steps else steps[-1]
    return Twin(other, request.model_copy(update={"run": other.run_id, "step": own}))


def of(view: View, side: int) -> View:
    """What the page looks at on one side."""
    if not side or view.beside is None:
        return view
    return replace(view, run=view.beside.run, request=view.beside.request, beside=None)


def separability(view: View, side: int, points: Arrays, waits: bool) -> None:
    """Name, step and accuracy below one of two maps."""
    mine = of(view, side)
    meta = points.meta
    st.markdown(f"**{plain(mine.title)}**, step {meta.get('step', 0):,} (epoch {meta.get('epoch', 0)})")
    found = coverage.find(mine, mine.request, waits)
    done = found.coverage
    if done is None:
        if side:
            coverage.wait(found, "Judging the second model", "second")
        return
    value = done.separability
    if value is None:
        st.caption("Separability is judged on codes only.")
        return
    floor = f", floor {covered.figures(value.floor, value.floor_error)}" if value.floor is not None else ""
    share = done.metrics.get("coverage")
    more = f" · coverage {covered.figures(share.value, share.error)}" if share else ""
    st.markdown(
        f"Separability of {done.separates}: **{covered.figures(value.value, value.error)}**{floor}{more}",
        help="Accuracy of a logistic regression on codes of data that it did not learn from; the floor always says the "
        "most frequent one.",
    )

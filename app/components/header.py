"""The strip on every page: model, checkpoint, seed, read-out convention, device, state of the engine."""

from __future__ import annotations

import streamlit as st

from app import state
from app.components import health
from engine.schema import EngineError, RunInfo


def show() -> None:
    """Draw the strip; its choices stand in the URL and hold on every page."""
    runs, _ = _runs()
    st.session_state[state.RUNS] = runs
    usable = [r for r in runs if r.checkpoints]
    with st.container(key="strip"):
        model, step, seed, convention, engine = st.columns([3, 1.5, 1, 1.1, 2.4], vertical_alignment="bottom")
        with model:
            _choose_run(usable)
        with step:
            _choose_step()
        with seed:
            st.number_input(
                "Seed", 0, 2**31 - 1, 0, step=1, key=state.SEED, bind="query-params",
                help="Seeds the noise of everything generated here. Same seed, same shower.",
            )  # fmt: skip
        with convention:
            st.selectbox(
                "Read-out", _conventions(), key=state.CONVENTION, bind="query-params",
                help="Which of the five channels each fibre belongs to. Conventions in use disagree; "
                "About shows each as a picture.",
            )  # fmt: skip
        with engine:
            health.show()


def _runs() -> tuple[list[RunInfo], bool]:
    try:
        kept = state.keep("runs", lambda: state.engine().runs())
    except EngineError:
        return [], True
    return kept.value, kept.stale


def _conventions() -> list[str]:
    try:
        names = [c.name for d in state.catalogue().detectors for c in d.conventions]
    except EngineError:
        names = []
    return list(dict.fromkeys(names)) or list(state.CONVENTIONS)


def label(run: RunInfo) -> str:
    """How a run is called in lists. It stands in links too, so it holds nothing that changes while a run runs."""
    if run.bundled:
        return run.run_id
    title = run.name or run.model
    data = "" if run.data in title else f" · {run.data}"
    return f"{title}{data} · {run.run_id[:12]}"


def _choose_run(runs: list[RunInfo]) -> None:
    if not runs:
        st.selectbox("Model", ["no model yet"], disabled=True, key="_no_model")
        return
    by_id = {r.run_id: r for r in runs}
    ordered = [r.run_id for r in sorted(runs, key=lambda r: (not r.bundled, -r.created))]
    if st.session_state.get(state.RUN) not in by_id:
        st.session_state.pop(state.RUN, None)
    st.selectbox(
        "Model", ordered, format_func=lambda run: label(by_id[run]), key=state.RUN, bind="query-params",
        help="Which trained model generates. Runs appear here with their first checkpoint.",
    )  # fmt: skip


def _choose_step() -> None:
    run = state.current_run()
    steps = [str(c.step) for c in reversed(run.checkpoints)] if run else []
    epochs = {str(c.step): c.epoch for c in run.checkpoints} if run else {}
    options = [state.LATEST, *steps]
    if st.session_state.get(state.STEP) not in options:
        st.session_state.pop(state.STEP, None)
    st.selectbox(
        "Checkpoint", options, key=state.STEP, bind="query-params", disabled=not steps,
        format_func=lambda s: "newest" if s == state.LATEST else f"step {s} (epoch {epochs.get(s, 0)})",
    )  # fmt: skip

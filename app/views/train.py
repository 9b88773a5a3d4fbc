"""Train: choose data and model, start, and watch every loss, the samples and the latent map while it learns."""

from __future__ import annotations

import streamlit as st

from app import state
from app.components import again, form, header, notices, tasks
from app.components.words import plain
from app.views import progress
from engine.schema import (
    Catalogue,
    DatasetInfo,
    EngineDown,
    EngineError,
    RunInfo,
    TrainSpec,
)


def show() -> None:
    """The page."""
    book = state.keep("catalogue", state.catalogue).value
    sets = state.keep("datasets", state.datasets).value
    kept = state.keep("runs", lambda: state.engine().runs())
    if kept.stale:
        notices.stale()
    left, right = st.columns([1, 2.6], gap="medium")
    with left:
        st.fragment(start_form)(book, sets, kept.value)
    with right:
        chosen = choose_runs(kept.value)
        if not chosen:
            notices.empty("No run yet. Press **Start training**: its curves appear here within seconds.")
            return
        live = any(run.state in progress.LIVE for run in kept.value)
        dark = st.context.theme.type == "dark"
        st.fragment(progress.watch)([run.run_id for run in chosen], live, dark)


@notices.guarded
def start_form(book: Catalogue, sets: list[DatasetInfo], runs: list[RunInfo]) -> None:
    """Data set, model, the model's own fields, start."""
    if not book.models or not sets:
        notices.empty("The engine offers no model or no data set to train on.")
        return
    like = again.asked()
    known = {d.name: d for d in state.in_order(sets)}
    titles = {n: f"{state.title_of(d)} ({d.showers:,} {d.kind})" for n, d in known.items()}
    if st.session_state.get(state.TRAIN_DATA) not in titles:
        st.session_state.pop(state.TRAIN_DATA, None)
    models = {m.name: m for m in book.models}
    data = st.selectbox(
        "Data set", list(titles), format_func=lambda n: titles[n], key=state.TRAIN_DATA, bind="query-params"
    )
    name = st.selectbox(
        "Model", list(models), format_func=lambda n: models[n].title, key=state.TRAIN_MODEL, bind="query-params"
    )
    if data is None or name is None:
        return
    if filled := (like if like and like.model == name else None):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f"Opened with the settings of **{plain(filled.why)}**.")
            st.button("Back to defaults", key="unfill", type="tertiary", on_click=again.forget)
    if not known[data].ready:
        made = "simulated" if known[data].kind == "showers" else "fetched"
        st.caption(f"A model can be trained on this set once it is {made}.")
        tasks.prepare(known[data])
        return
    model = models[name]
    st.caption(model.summary + (f" Paper: {model.paper}." if model.paper else ""))
    kind = known[data].kind
    if foreign := len(model.fields) - len(model.fields_for(kind)):
        st.caption(f"{foreign} settings are left out: they are for other data than {kind}.")
    start = choose_start(name, known[data], known, runs)
    config = form.show(model, filled=filled.config if filled else None, kind=kind, only="Training" if start else "")
    called, seed = st.columns([2, 1])
    title = called.text_input("Name of the run", key="train_name", max_chars=80, placeholder=name, **form.KEPT)
    seeded = filled.seed if filled else 0
    chosen_seed = seed.number_input("Seed", 0, 2**31 - 1, seeded, step=1, key=f"train_seed{seeded or ''}", **form.KEPT)
    allowed = training_allowed()
    pressed = st.button("Start training", type="primary", width="stretch", key="start_training", disabled=not allowed)
    if not allowed:
        st.caption("This engine was started with `--no-train`: it shows and generates, but does not train.")
    if pressed:
        spec = TrainSpec(data=data, model=name, config=config, seed=int(chosen_seed), name=title or "", start=start)
        begin(spec)


def choose_start(model: str, data: DatasetInfo, known: dict[str, DatasetInfo], runs: list[RunInfo]) -> str:
    """The run whose weights a training starts from: one of this model on like data, or none."""
    like = {name for name, d in known.items() if (d.kind, d.shape) == (data.kind, data.shape)}
    titles = {r.run_id: header.label(r) for r in runs if r.model == model and r.data in like and r.checkpoints}
    if not titles:
        return ""
    if st.session_state.get(state.TRAIN_START, "") not in titles:
        st.session_state.pop(state.TRAIN_START, None)
    chosen = st.selectbox(
        "Start from",
        ["", *titles],
        format_func=lambda run: titles.get(run, "new weights"),
        key=state.TRAIN_START,
        bind="query-params",
        help="Go on from the last weights of another run of this model: learn much from fast showers, the rest from "
        "Geant4's. Networks, losses and scalers are that run's; a tenth of its step size is a good beginning.",
    )
    if chosen:
        st.caption("Networks and losses as in that run.")
    return chosen or ""


def training_allowed() -> bool:
    try:
        return state.engine().health().training_allowed
    except EngineDown:
        return False


def begin(spec: TrainSpec) -> None:
    """Hand the spec to the engine and put the new run first among those shown."""
    try:
        run = state.engine().submit(spec)
    except EngineError as error:
        notices.refused(error)
        return
    st.session_state[state.WATCHED] = run
    st.rerun()


def choose_runs(runs: list[RunInfo]) -> list[RunInfo]:
    """The runs to show, the newest or the just started one first."""
    by_id = {r.run_id: r for r in sorted(runs, key=lambda r: -r.created)}
    chosen = [r for r in st.session_state.get(state.TRAIN_RUNS, []) if r in by_id]
    fresh = st.session_state.pop(state.WATCHED, None)
    if fresh in by_id:
        chosen = [fresh]
    if not chosen and by_id:
        chosen = [next(iter(by_id))]
    if state.TRAIN_RUNS not in st.session_state or chosen != st.session_state[state.TRAIN_RUNS]:
        st.session_state[state.TRAIN_RUNS] = chosen
    if by_id:
        st.multiselect(
            "Runs shown (the first is controlled, the others overlaid)", list(by_id), max_selections=3,
            format_func=lambda r: header.label(by_id[r]), key=state.TRAIN_RUNS, bind="query-params",
        )  # fmt: skip
    return [by_id[r] for r in st.session_state.get(state.TRAIN_RUNS, []) if r in by_id]

"""Generate: set a particle, see its shower beside the nearest simulated one, and judge the model there."""

from __future__ import annotations

import html
import time
from typing import Any

import numpy as np
import streamlit as st

from app import state
from app.components import geant4, header, notices, panel, tasks
from app.views import bulk, distributions, response, sampling, takeaway
from engine.schema import Arrays, Catalogue, DatasetInfo, GenerateRequest, Particle, RunInfo

ENSEMBLES = [32, 128, 512, 2048]
MOST_BESIDE = 3


def show() -> None:
    """The page."""
    run = state.current_run()
    if run is None:
        if st.session_state.get(state.RUNS) == []:
            state.engine().health()  # tells an engine that is gone from one that has no model
        notices.no_model()
        return
    book = state.keep("catalogue", state.catalogue)
    sets = state.keep("datasets", state.datasets)
    dataset = state.dataset_named(run.data, sets.value)
    if dataset is not None and not dataset.ready:
        tasks.prepare(dataset)
        return
    if dataset is not None and dataset.kind != "showers":
        sampling.show(run, dataset, book.value)
        return
    if dataset is None or not any(c.name == "Energy" for c in dataset.conditions):
        notices.empty(f"The model {run.name} was trained on {run.data}, which has no particles to set here.")
        return
    instrument(run, dataset, book.value, alike(run, dataset, sets.value))
    response.show(run, dataset, book.value)
    bulk.show(run, dataset, book.value)


def alike(run: RunInfo, dataset: DatasetInfo, sets: list[DatasetInfo]) -> list[RunInfo]:
    """Other runs with weights whose showers are of the same detector."""
    same = {d.name for d in sets if d.kind == "showers" and d.detector == dataset.detector and d.shape == dataset.shape}
    runs: list[RunInfo] = st.session_state.get(state.RUNS, [])
    return [r for r in runs if r.run_id != run.run_id and r.checkpoints and r.data in same]


@st.fragment
@notices.guarded
def instrument(run: RunInfo, dataset: DatasetInfo, book: Catalogue, others: list[RunInfo]) -> None:
    """Panel and everything that follows from the particle; reruns alone when something is let go."""
    began = time.perf_counter()
    dark = st.context.theme.type == "dark"
    live, strip = st.container(), st.container()
    with strip:
        left, middle, right, last = st.columns([0.8, 3.6, 2.4, 1.1], gap="medium", vertical_alignment="bottom")
    n = left.selectbox(
        "Ensemble", ENSEMBLES, index=1, key=state.ENSEMBLE, bind="query-params",
        help="Showers generated at this particle, each with its own noise, all from the seed above: for the numbers "
        "and files below.",
    )  # fmt: skip
    with middle:
        beside = choose_beside(others)
    with live:
        particle, sight = panel.show([run, *beside], dataset, book, dark)
    model = next((m for m in book.models if m.name == run.model), None)
    if model and not run.config.get("conditional", model.conditional):
        notices.empty(f"{model.title} is unconditional: the sliders move the simulated neighbour, not the model.")
    st.markdown("#### Read-out channels, generated against simulated at the same particles")
    choice = distributions.choose()
    # All that the engine is asked is asked here: what is drawn before and after it reaches the browser in a piece each,
    # and each piece makes the browser go through its whole page once more.
    request = ensemble_request(run, particle, int(n))
    made = state.keep("ensemble", lambda: state.engine().generate(request))
    near = state.keep("near", lambda: state.engine().nearest(dataset.name, particle, distributions.NEIGHBOURS))
    compared = distributions.compare(choice.reference, request, made.value, near.value, particle, dataset, book)
    right.html(facts(made.value, near.value))
    if made.stale or near.stale or (compared and compared.stale):
        notices.stale()
    if compared is not None:
        distributions.draw(compared, choice, dataset, dark)
        about = distributions.about(compared, request, particle, dataset)
        with last:
            takeaway.show(request, sight, compared.rows(), about)
    geant4.show(run, dataset, book, particle, made.value, lambda: state.engine().generate(request))
    st.caption(f"Page part drawn in {1000 * (time.perf_counter() - began):.0f} ms after it was let go.")


def choose_beside(others: list[RunInfo]) -> list[RunInfo]:
    """Further models that draw the same particle at the same seed."""
    by_id = {r.run_id: r for r in others}
    held: Any = st.session_state.get(state.ALSO)
    if held and not set(held) <= by_id.keys():
        st.session_state[state.ALSO] = [run for run in held if run in by_id]
    picked = st.multiselect(
        "Other models at the same seed", list(by_id), format_func=lambda run: header.label(by_id[run]),
        key=state.ALSO, bind="query-params", max_selections=MOST_BESIDE, disabled=not by_id,
        placeholder="up to three, drawn below" if by_id else "no other model of this detector",
        help="Each draws the particle above from the same seed with its newest weights, on the same colour scale.",
    )  # fmt: skip
    return [by_id[run] for run in picked]


def ensemble_request(run: RunInfo, particle: Particle, n: int) -> GenerateRequest:
    return GenerateRequest(
        run=run.run_id,
        step=state.current_step(),
        particle=particle,
        n=n,
        seed=state.current_seed(),
        convention=state.current_convention(),
    )


def facts(made: Arrays, near: Arrays) -> str:
    """The ensemble in numbers, as a list."""
    light = np.asarray(made["showers"], float).reshape(len(made["showers"]), -1).sum(1)
    replicas = np.asarray(near["showers"], float)[distributions.same_primary(near)]
    simulated = replicas.reshape(len(replicas), -1).sum(1)
    rows = {
        f"generated Σ of {len(light)}": f"{light.mean():,.0f}, σ {light.std():,.0f} photons",
        "nearest simulated Σ": ", ".join(f"{v:,.0f}" for v in simulated),
        "empty": f"{100 * (light == 0).mean():.1f} % of generated",
        "time": f"{made.meta.get('ms', float('nan')) / len(light):.2g} ms/shower",
    }
    items = "".join(f"<span>{html.escape(k)}</span><b>{html.escape(v)}</b>" for k, v in rows.items())
    return f'<div class="ss-facts ss-close">{items}</div>'

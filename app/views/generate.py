"""Generate: set a particle, see its shower beside the nearest simulated one, and judge the model there."""

from __future__ import annotations

import html
import time

import numpy as np
import streamlit as st

from app import state
from app.charts import histogram, picture
from app.components import files, geant4, notices, panel, tasks
from app.views import sampling
from engine.schema import Arrays, Catalogue, DatasetInfo, GenerateRequest, Particle, RunInfo

ENSEMBLES = [32, 128, 512, 2048]
NEIGHBOURS = 48
MATCHED = 4
"""Generated showers for each simulated neighbour in the histograms."""
SIZE = 196


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
    instrument(run, dataset, book.value)


@st.fragment
@notices.guarded
def instrument(run: RunInfo, dataset: DatasetInfo, book: Catalogue) -> None:
    """Panel and everything that follows from the particle; reruns alone when a slider is let go."""
    began = time.perf_counter()
    dark = st.context.theme.type == "dark"
    particle = panel.show(run, dataset, book, dark)
    model = next((m for m in book.models if m.name == run.model), None)
    if model and not run.config.get("conditional", model.conditional):
        notices.empty(f"{model.title} is unconditional: the sliders move the simulated neighbour, not the model.")
    left, right = st.columns([1, 5.2], gap="medium")
    with left:
        n = st.selectbox(
            "Showers in the ensemble", ENSEMBLES, index=1, key=state.ENSEMBLE, bind="query-params",
            help="Generated at this particle, each with its own noise, all from the seed above.",
        )  # fmt: skip
        request = ensemble_request(run, particle, int(n))
        made = state.keep("ensemble", lambda: state.engine().generate(request))
        near = state.keep("near", lambda: state.engine().nearest(dataset.name, particle, NEIGHBOURS))
        matched = state.keep("matched", lambda: state.engine().generate(matched_request(request, near.value)))
        downloads(request)
    with right:
        if made.stale or near.stale or matched.stale:
            notices.stale()
        figures(made.value, near.value, dataset, state.detector_of(dataset, book).pitch_mm)
    geant4.show(run, dataset, book, particle, made.value, lambda: state.engine().generate(request))
    channels(matched.value, near.value, dataset, book, dark)
    st.caption(f"Page part drawn in {1000 * (time.perf_counter() - began):.0f} ms after the slider was let go.")


def ensemble_request(run: RunInfo, particle: Particle, n: int) -> GenerateRequest:
    return GenerateRequest(
        run=run.run_id,
        step=state.current_step(),
        particle=particle,
        n=n,
        seed=state.current_seed(),
        convention=state.current_convention(),
    )


def matched_request(request: GenerateRequest, near: Arrays) -> GenerateRequest:
    """Showers at the simulated neighbours' own conditions: distributions compare at equal particles only."""
    rows = np.asarray(near["conditions"], float).tolist()
    return request.model_copy(update={"particle": None, "conditions": rows, "n": MATCHED})


def same_primary(near: Arrays) -> np.ndarray:
    """The replicas of the nearest primary: simulations of one and the same particle."""
    return np.flatnonzero(near["primary_id"] == near["primary_id"][0])


def figures(made: Arrays, near: Arrays, dataset: DatasetInfo, pitch_mm: float) -> None:
    """Residual, means and spread as pictures on common scales."""
    showers = np.asarray(made["showers"], float)
    replicas = np.asarray(near["showers"], float)[same_primary(near)]
    mean, sigma, simulated = showers.mean(0), showers.std(0), replicas.mean(0)
    residual = mean - simulated
    top, far = float(max(mean.max(), simulated.max())), float(np.abs(residual).max())
    spread = showers.reshape(len(showers), -1).sum(1)
    st.html(
        picture.row_html(
            [
                picture.figure_html(
                    picture.shower_url(mean, top), f"<b>Generated</b>, mean of {len(showers)}",
                    "Mean generated shower", SIZE,
                ),
                picture.figure_html(
                    picture.shower_url(simulated, top),
                    f"<b>Simulation</b>, mean of {len(replicas)} replica{'s' * (len(replicas) != 1)}",
                    "Mean of the nearest simulated replicas", SIZE,
                ),
                picture.figure_html(
                    picture.residual_url(residual, far), f"<b>Residual</b>, −{far:,.1f} to +{far:,.1f} photons",
                    f"Residual of the means, blue minus {far:.1f}, white 0, red plus {far:.1f} photons", SIZE,
                ),
                picture.figure_html(
                    picture.shower_url(sigma, float(sigma.max())), f"<b>Spread σ</b>, up to {sigma.max():,.1f} photons",
                    "Standard deviation of the generated showers, per fibre", SIZE,
                ),
                f"<div>{picture.bar_html(top, True, 150)}{facts(spread, replicas, made)}</div>",
            ]
        )
    )  # fmt: skip
    side = dataset.shape[0] * pitch_mm
    st.caption(
        f"Each picture is the whole face ({side:.1f} mm along x, x to the right, y up). The two means share the "
        "colour bar, σ has its own; the residual is generated − simulated, blue below zero, red above. "
        f"Simulation: {dataset.label}."
    )


def facts(spread: np.ndarray, replicas: np.ndarray, made: Arrays) -> str:
    """The ensemble in numbers, as a list."""
    light = replicas.reshape(len(replicas), -1).sum(1)
    rows = {
        "generated Σ": f"{spread.mean():,.0f} ± {spread.std():,.0f} photons",
        "simulated Σ": ", ".join(f"{v:,.0f}" for v in light),
        "empty": f"{100 * (spread == 0).mean():.1f} % of generated",
        "time": f"{made.meta.get('ms', float('nan')) / len(spread):.2g} ms per shower",
    }
    items = "".join(f"<span>{k}</span><b>{html.escape(v)}</b>" for k, v in rows.items())
    return f'<div class="ss-facts">{items}</div>'


def channels(made: Arrays, near: Arrays, dataset: DatasetInfo, book: Catalogue, dark: bool) -> None:
    """The five read-out channels and the photon sum of simulated neighbours, and generated at their conditions."""
    convention = state.current_convention()
    simulated = neighbour_channels(near, dataset, book, convention)
    if simulated is None:
        return
    generated = np.asarray(made["channels"], float)
    names = [*(f"channel {k + 1}" for k in range(5)), "photon sum"]
    sums = [np.asarray(a["showers"], float).reshape(len(a["showers"]), -1).sum(1) for a in (near, made)]
    st.markdown("#### Read-out channels, generated against simulated at the same particles")
    st.echarts_chart(
        histogram.panels(
            names,
            [*simulated.T, sums[0]],
            [*generated.T, sums[1]],
            dark,
            labels=(f"{len(sums[0])} simulated neighbours", f"{len(sums[1])} generated at their conditions"),
        ),
        height=330,
        key="channels",
        alt="Histograms of five read-out channels and the photon sum with ratio panels",
    )
    far = float(near["distance"][-1]) if "distance" in near else float("nan")
    st.caption(
        f"Read-out convention **{html.escape(convention)}**. Points: simulated showers nearest in conditions "
        f"(up to distance {far:.2f}), 68 % Garwood intervals; line: {MATCHED} generated at the conditions of each, "
        "scaled to their number. The last bin holds the overflow; ratios stop at 2, the band is the simulation's own "
        "error."
    )


def neighbour_channels(near: Arrays, dataset: DatasetInfo, book: Catalogue, convention: str) -> np.ndarray | None:
    """(k, 5) channel sums of the neighbours, looked up in the data set's table by row."""
    detector = state.detector_of(dataset, book)
    mask = next((c for c in detector.conventions if c.name == convention), None)
    if mask is None:
        return None
    channel = np.asarray(mask.channel).ravel()
    onehot = (channel[:, None] == np.arange(5)).astype(float)
    return np.asarray(near["showers"], float).reshape(len(near["showers"]), -1) @ onehot


def downloads(request: GenerateRequest) -> None:
    """Files of the ensemble, made by the engine when asked for."""
    with st.popover("Download", width="stretch"):
        st.caption("Pictures, conditions and channels; CSV without pictures. For a PNG use the button at the picture.")
        stem = f"showers_{request.run.replace(':', '_')}_seed{request.seed}"
        files.buttons(lambda name: state.engine().export(request, name), stem, "download")

"""Trainings of the Manifolds page: which runs it looks at, where they stand, how they are started and ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from app import state
from app.components.words import clock
from engine.schema import Catalogue, EngineDown, EngineError, RunInfo, TrainSpec

T = TypeVar("T")
LIVE = ("queued", "running")
LENGTHS = (20, 60)
"""Passes over the training points, alike for all, so that all see as many points: in seconds, or as the benchmark."""
PICTURES = 20
"""Checkpoints of a training."""
SC_GAN, E2E_SAE = "sc_gan", "e2e_sae"
NO_TRAIN = "This engine was started with `--no-train`: it shows, but does not train."
REFUSED = "_manifolds_refused"


def choose_length() -> int:
    """How many epochs a training takes."""
    chosen = st.segmented_control(
        "Epochs", LENGTHS, default=LENGTHS[0], key=state.EPOCHS, bind="query-params", required=True,
        help="Of trainings that start here, and of those that race. The record was made with 60; some models are not "
        "done after 20.",
    )  # fmt: skip
    return int(chosen or LENGTHS[0])


def budget(epochs: int) -> dict[str, float | int | bool | str]:
    """What all trainings of a length are told."""
    return {"conditional": False, "epochs": epochs, "checkpoint_epochs": max(1, epochs // PICTURES)}


def trained_clusters(run: RunInfo) -> int:
    """K of a run of SC-GAN."""
    return int(run.config.get("clusters", 0))


def preset_clusters(book: Catalogue) -> int:
    """K that SC-GAN has for points unless told otherwise."""
    fields = [f for m in book.models if m.name == SC_GAN for f in m.fields_for("points") if f.name == "clusters"]
    return int(fields[0].default) if fields else 64


def newest(runs: Sequence[RunInfo], data: str, model: str) -> list[RunInfo]:
    """Runs of a model on a set, the newest first; those that hold pictures, or will, before those that never did."""
    mine = [r for r in runs if r.data == data and r.model == model]
    return sorted(mine, key=lambda r: (r.state not in LIVE and not r.checkpoints, -r.created))


def of_clusters(runs: Sequence[RunInfo], data: str, clusters: int, epochs: int) -> RunInfo | None:
    """The SC-GAN to show: with this K before others, of this length before others, and of these the newest."""
    mine = newest(runs, data, SC_GAN)
    return min(mine, key=lambda r: (trained_clusters(r) != clusters, r.epochs != epochs), default=None)


def allowed() -> bool:
    """Whether this engine trains."""
    try:
        return state.keep("health", lambda: state.engine().health()).value.training_allowed
    except EngineDown:
        return False


def begin(specs: Sequence[TrainSpec]) -> None:
    """Hand trainings to the engine, one after the other; what it refuses is said by `refusal`."""
    _told(state.engine().submit, specs)


def end(runs: Sequence[str]) -> None:
    """Stop trainings; those that wait first, so that none of them begins."""
    _told(state.engine().cancel, runs)


def _told(act: Callable[[T], object], each: Sequence[T]) -> None:
    st.session_state.pop(REFUSED, None)
    try:
        for one in each:
            act(one)
    except EngineError as error:
        st.session_state[REFUSED] = str(error)


def refusal() -> None:
    if words := st.session_state.get(REFUSED):
        st.error(words, icon=":material/error:")


def share_of(run: RunInfo, step: int | None = None) -> float:
    """How much of its training a run has behind it, 0 to 1, at a step or now."""
    return min(1.0, (run.step if step is None else step) / run.steps) if run.steps else 0.0


def standing(run: RunInfo | None) -> str:
    """Where a run stands, in few words."""
    if run is None:
        return "not trained yet"
    if run.state == "queued":
        return f"queued, place {run.queue_place}" if run.queue_place else "queued"
    if run.state == "running":
        left = f", about {clock(run.eta_s)} left" if run.eta_s is not None else ""
        return f"training, {100 * share_of(run):.0f} %{left}"
    return {"finished": "done"}.get(run.state, run.state)

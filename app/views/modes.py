"""Manifolds, latent modes: one SC-GAN, its clusters over the plane, and what four ways to draw codes make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import state
from app.charts import partition, replay
from app.components import checkpoints, frames, notices, trainings
from app.components import replay as player
from app.components.checkpoints import Pace, Source
from app.components.replay import Panel
from app.components.trainings import NO_TRAIN
from app.views import keepsakes
from engine.schema import Catalogue, DatasetInfo, Latents, PartitionRequest, RunInfo, TrainSpec

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Of the slider."""
SIDE = 96
MODES: dict[Latents, tuple[str, str]] = {
    "single": (
        "Single Gaussian",
        "One bell curve is laid over all codes. It covers the empty stretches between clusters too, and a decoder that "
        "is asked there can only answer with points between the pieces.",
    ),
    "centres": (
        "Noisy cluster centres",
        "A cluster's centre is drawn, with noise as wide as the cluster. Gaps between clusters stay empty; round noise "
        "about a bent cluster misses it, the more the fewer clusters there are.",
    ),
    "mapping": (
        "Mapping network",
        "For each cluster a small network bends noise into that cluster's shape. Each stays on its own side, so that "
        "no network is stretched over a gap.",
    ),
    "real": (
        "Real codes",
        "Codes of training points, nothing drawn. What lies off here is the decoder's own doing: no way to draw codes "
        "can be expected to do better.",
    ),
}  # fmt: skip
STAGES = ("the encoder learns", "the mapping networks learn", "the decoder learns")


def show(
    place: DeltaGenerator, dataset: DatasetInfo, epochs: int, runs: list[RunInfo], book: Catalogue, dark: bool
) -> None:  # fmt: skip
    """This view. place: the rest of the row of controls."""
    with place:
        slider, button = st.columns([2.2, 1], gap="medium", vertical_alignment="bottom")
    with slider:
        clusters = choose_clusters(book)
    run = trainings.of_clusters(runs, dataset.name, clusters, epochs)
    with button:
        train(dataset, clusters, epochs, runs)
    trainings.refusal()
    pace = checkpoints.pace(sources_of(run, clusters), asked_plane(dataset, run, clusters))
    st.fragment(run_every=pace.every_s)(watch)(dataset, clusters, epochs, pace, dark)


def choose_clusters(book: Catalogue) -> int:
    first = trainings.preset_clusters(book)
    options = sorted({*STEPS, first})
    if st.session_state.get(state.CLUSTERS) not in options:
        st.session_state.pop(state.CLUSTERS, None)
    return st.select_slider(
        "Clusters K", options, first, key=state.CLUSTERS, bind="query-params",
        help="Regions and noisy centres follow at once: the codes are divided anew. The mapping networks have to be "
        "trained for it.",
    )  # fmt: skip


def train(dataset: DatasetInfo, clusters: int, epochs: int, runs: list[RunInfo]) -> None:
    """The button that starts a training with the slider's K of this length; with another seed where one has been."""
    alike = [r for r in runs if (r.data, r.model) == (dataset.name, trainings.SC_GAN)]
    alike = [r for r in alike if (trainings.trained_clusters(r), r.epochs) == (clusters, epochs)]
    seed = 1 + max((r.seed for r in alike if r.state == "finished"), default=-1)
    live, possible = any(r.state in trainings.LIVE for r in alike), trainings.allowed()
    spec = TrainSpec(
        data=dataset.name, model=trainings.SC_GAN, config={**trainings.budget(epochs), "clusters": clusters},
        seed=seed, name=f"SC-GAN {dataset.title}, K = {clusters}, {epochs} epochs, seed {seed}",
    )  # fmt: skip
    why = (
        NO_TRAIN
        if not possible
        else "Its training is under way."
        if live
        else f"Seed {seed}; {epochs / 2:.0f} seconds or so."
    )
    st.button(
        f"Train{' again' if seed else ''}, K = {clusters}", icon=":material/play_arrow:", type="primary",
        key="modes_train", width="stretch", disabled=not possible or live, on_click=trainings.begin, args=([spec],),
        help=why,
    )  # fmt: skip
    if not possible:
        st.caption(NO_TRAIN)


# ------------------------------------------------------------------------------------------------------------ pictures
def sources_of(run: RunInfo | None, clusters: int) -> list[Source]:
    """The four modes. Noisy centres follow the slider; the mapping networks keep the K that they were trained with."""
    other = clusters if run and trainings.trained_clusters(run) != clusters else None
    return [
        Source(title, run, mode, other if mode == "centres" else None) for mode, (title, _) in MODES.items()
    ]  # fmt: skip


def asked_plane(dataset: DatasetInfo, run: RunInfo | None, clusters: int) -> list[PartitionRequest]:
    """The plane at the last checkpoint, where there is one."""
    if run is None or not run.checkpoints:
        return []
    other = clusters if trainings.trained_clusters(run) != clusters else None
    x, y = checkpoints.span_of(checkpoints.exact(dataset))
    return [PartitionRequest(run=run.run_id, step=run.checkpoints[-1].step, clusters=other, x=x, y=y, side=SIDE)]


@notices.guarded
def watch(dataset: DatasetInfo, clusters: int, epochs: int, pace: Pace, dark: bool) -> None:
    """Everything that moves: where the training stands, and the panels."""
    kept = state.keep("runs", lambda: state.engine().runs())
    run = trainings.of_clusters(kept.value, dataset.name, clusters, epochs)
    sources, plane = sources_of(run, clusters), asked_plane(dataset, run, clusters)
    checkpoints.follow(sources, plane, pace, kept.stale)
    real = checkpoints.exact(dataset)
    span = checkpoints.span_of(real)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        headline(dataset, run, clusters, frames.missing([*plane, *checkpoints.wanted(sources)]))
        keepsakes.show(sources, real, f"{dataset.name}_modes")
    panels = [
        Panel("Target", still=True, exact=True, note=f"{len(real):,} points of the set; faint in every panel."),
        plane_panel(plane, clusters),
        *(mode_panel(source, clusters) for source in sources),
    ]
    clock = replay.stops([[frame.share for frame in panel.frames] for panel in panels])
    data = player.data_of(panels, real, span, [moment(run, share) for share in clock], clock, dataset.name, dark)
    player.show("modes", data)


def headline(dataset: DatasetInfo, run: RunInfo | None, clusters: int, missing: int) -> None:
    """Where the shown run stands."""
    if run is None:
        said = f"No SC-GAN has learned {dataset.title.lower()} here yet."
        st.markdown(f"**{said}** Press *Train*: pictures appear as it learns, within seconds.", width="stretch")
    elif run.state in trainings.LIVE:
        st.progress(trainings.share_of(run), text=f"{run.name} · {trainings.standing(run)}", width="stretch")
        st.button("Stop", icon=":material/stop:", key="modes_stop", on_click=trainings.end, args=([run.run_id],))
    elif run.state in ("failed", "interrupted"):
        at = f" Its last pictures, at step {run.checkpoints[-1].step:,}, are below." if run.checkpoints else ""
        words = run.error or "No reason was written."
        st.error(
            f"**{run.state.capitalize()} at step {run.step:,}.** {words}{at} Train again to have another try.",
            width="stretch",
        )
    else:
        coming = f" · {missing} pictures still come" if missing else ""
        ended = "" if run.state == "finished" else f" · {run.state} at {100 * trainings.share_of(run):.0f} %"
        st.caption(
            f"{run.name} · trained with K = {trainings.trained_clusters(run)} for {run.epoch} epochs{ended}{coming}",
            width="stretch",
        )  # fmt: skip


def plane_panel(plane: list[PartitionRequest], clusters: int) -> Panel:
    found = frames.get(plane[0]) if plane else None
    title = f"Clusters, K = {clusters}"
    if found is None:
        return Panel(title, still=True, empty=waits(plane), note=frames.refusal(plane[0]) if plane else "")
    tone = partition.tones(np.asarray(found["cluster"]), int(found.meta["clusters"]))
    return Panel(
        title, still=True, plane=(found, tone.tolist()),
        note="Which cluster encoder and K-means put each place into, at the last checkpoint. Regions that touch "
        "differ in colour and have a line between them.",
    )  # fmt: skip


def mode_panel(source: Source, clusters: int) -> Panel:
    title, note = MODES[source.latents]
    trained = trainings.trained_clusters(source.run) if source.run else clusters
    if source.latents == "mapping" and trained != clusters:
        title = f"{title}, K = {trained}"
        note = f"These networks were trained for K = {trained}; train SC-GAN with K = {clusters} to see its own. {note}"
    return Panel(
        title, source.course(), source.refusal() or note, judged=source.judged(), empty=waits(source.requests()),
    )  # fmt: skip


def waits(requests: list[Any]) -> str:
    return "on its way" if requests else "no checkpoint yet"


def moment(run: RunInfo | None, share: float) -> str:
    """A moment of the training in words, with the stage that SC-GAN is in."""
    if run is None:
        return ""
    ends = np.cumsum([float(run.config.get(f"{name}_share", 0.3)) for name in ("encoder", "mapping")])
    stage = STAGES[int(np.searchsorted(ends, share - 1e-6))]
    return f"epoch {share * run.epochs:.0f} of {run.epochs} · {100 * share:.0f} % · {stage}"

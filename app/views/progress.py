"""What the Train page shows of runs: where they stand, their curves, their samples, their latent map."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import state
from app.charts import curves, picture, scatter
from app.components import clouds, digits, kinds, notices, pulse
from app.components.trainings import LIVE
from engine.schema import Arrays, DataKind, EngineError, History, MapRequest, RunInfo

RESUMABLE = ("paused", "cancelled", "failed", "interrupted")
AXES = ["log y", "linear", "log-log"]
MAP_POINTS = 300
MOST_KEPT = 6000
STRIPS: dict[DataKind, tuple[str, str]] = {
    "showers": ("#### Fixed particles, fixed noise", "each shower on its own log colour scale, held-out particles."),
    "images": ("#### Fixed classes, fixed noise", "one held-out image of each class; grey values from 0 to 255."),
    "points": ("#### Fixed points, fixed noise", "held-out points, on the axes of the real ones, which stay faint."),
}
"""Heading and words below the strip."""
HISTORIES, MAPS = "_histories", "_live_maps"


@notices.guarded
def watch(names: list[str], live: bool, dark: bool) -> None:
    """Everything that moves: the bar by itself, the rest when it has news. Fixed heights and keys: a tick changes
    numbers and lines, never the layout."""
    kept = state.keep("runs", lambda: state.engine().runs())
    if kept.stale:
        st.warning("**Stale.** The engine does not answer; below is the last good picture.", icon=":material/history:")
    everyone = {r.run_id: r for r in kept.value}
    runs = [everyone[name] for name in names if name in everyone]
    if not runs:
        notices.empty("These runs are gone.")
        return
    if live != any(run.state in LIVE for run in everyone.values()):
        st.rerun()
    bar = st.container()
    try:
        draw(runs, kept.value, dark)
    except EngineError:
        with bar:  # which asks on, until the rest can be drawn
            pulse.show(kept.value, runs, {}, None, again=True)
        raise
    with bar:
        pulse.show(kept.value, runs, ends(runs), map_under_way(runs[0].run_id), again=kept.stale)


def draw(runs: list[RunInfo], everyone: list[RunInfo], dark: bool) -> None:
    """All below the bar. Raises `EngineError` where the engine cannot give a part of it."""
    first = runs[0]
    buttons(first)
    queue(everyone)
    if first.state in ("failed", "interrupted"):
        notices.failed_run(first)
    step = scrubber(first)
    st.fragment(losses, key=pulse.CURVES)(runs, first, step, dark)
    pictures, map_place = st.columns([1.15, 1], gap="medium")
    with pictures:
        strip(first, step, dark)
    with map_place:
        st.fragment(live_map, key=pulse.MAP)(first, step)


def buttons(run: RunInfo) -> None:
    """What the run's state allows."""
    engine = state.engine()
    actions = [
        ("Pause", ":material/pause:", run.state == "running", engine.pause),
        ("One step", ":material/skip_next:", run.state == "paused", engine.step),
        (
            "Resume",
            ":material/play_arrow:",
            run.state in ("paused", "cancelled", "failed", "interrupted"),
            engine.resume,
        ),
        ("Stop", ":material/stop:", run.state in ("queued", "running", "paused"), engine.cancel),
    ]
    with st.container(horizontal=True, gap="small"):
        for label, icon, possible, act in actions:
            disabled = not possible or run.bundled
            if st.button(label, icon=icon, disabled=disabled, key=f"button_{label}"):
                act(run.run_id)
                st.rerun()
        used = st.button(
            "Use in Generate", icon=":material/input:", disabled=not run.checkpoints, key="button_use",
            on_click=use_run, args=(run.run_id,), help="Make this run the model of the strip above.",
        )  # fmt: skip
        if used:
            st.rerun()  # the strip is no part of what is drawn again


def use_run(run: str) -> None:
    st.session_state[state.RUN] = run


def queue(runs: list[RunInfo]) -> None:
    waiting = sorted((r for r in runs if r.state == "queued"), key=lambda r: r.queue_place or 0)
    if waiting:
        st.caption("Queue: " + ", ".join(f"{r.queue_place}. {r.name or r.run_id[:8]}" for r in waiting))


def scrubber(run: RunInfo) -> int | None:
    """The checkpoint that strip, map and curves show; None while the run has none."""
    steps = [c.step for c in run.checkpoints]
    if len(steps) < 2:
        st.caption("Checkpoints appear here as the run writes them; the scrubber needs two.")
        return steps[-1] if steps else None
    epochs = {c.step: c.epoch for c in run.checkpoints}
    options = [*map(str, steps), state.LATEST]
    if st.session_state.get(state.TRAIN_STEP) not in options:
        st.session_state.pop(state.TRAIN_STEP, None)
    chosen = st.select_slider(
        "Checkpoint shown", options, state.LATEST, key=state.TRAIN_STEP, bind="query-params",
        format_func=lambda s: "newest" if s == state.LATEST else f"step {s}, epoch {epochs[int(s)]}",
    )  # fmt: skip
    return steps[-1] if chosen == state.LATEST else int(chosen)


def history_of(run: str) -> History:
    """The run's curves, asking only for what is new since the last tick."""
    store: dict[str, History] = st.session_state.setdefault(HISTORIES, {})
    old = store.get(run)

    def ask() -> History:
        if old is None or sum(len(s.step) for s in old.series.values()) > MOST_KEPT:
            return state.engine().history(run)
        return merge(old, state.engine().history(run, old.last_step))

    store[run] = state.keep(f"history {run}", ask).value
    return store[run]


def ends(runs: list[RunInfo]) -> dict[str, int]:
    """The steps up to which this session has the curves of runs."""
    store: dict[str, History] = st.session_state.get(HISTORIES, {})
    return {run.run_id: store[run.run_id].last_step for run in runs if run.run_id in store}


def merge(old: History, new: History) -> History:
    """Two stretches of one history; a step that both hold is taken once. A resumed run may have gone back."""
    if new.last_step < old.last_step and new.series:
        return new
    joined = {name: series.model_copy(deep=True) for name, series in old.series.items()}
    for name, series in new.series.items():
        kept = joined.setdefault(name, type(series)())
        last = kept.step[-1] if kept.step else -1
        fresh = [k for k, step in enumerate(series.step) if step > last]
        kept.step += [series.step[k] for k in fresh]
        kept.value += [series.value[k] for k in fresh]
    return History(run_id=old.run_id, last_step=max(old.last_step, new.last_step), series=joined)


@notices.guarded
def losses(runs: list[RunInfo], first: RunInfo, step: int | None, dark: bool) -> None:
    """Loss terms, and what is measured on validation showers and in latent space."""
    axes_place, smooth_place = st.columns([1, 1.4], vertical_alignment="bottom")
    axes = axes_place.segmented_control(
        "Axes", AXES, default=AXES[0], required=True, key=state.CURVE_AXES, bind="query-params"
    )
    weight = smooth_place.slider(
        "Smoothing (the raw trace stays, faint)", 0.0, 0.99, 0.0, 0.01, key=state.SMOOTHING, bind="query-params"
    )
    histories = [history_of(run.run_id) for run in runs]
    names = [run.name or run.run_id[:8] for run in runs]
    mark = step if step is not None and first.checkpoints and step != first.checkpoints[-1].step else None
    loss, physics = st.columns([1.15, 1], gap="medium")
    points = max((len(s.step) for n, s in histories[0].series.items() if n.startswith("loss/")), default=0)
    with loss:
        st.markdown("#### Loss terms")
        curve(curves.curves(histories, names, "loss", axes or AXES[0], weight, dark, mark), "loss_curves", 290)
        last = max(0, histories[0].last_step)
        st.caption(f"{points} points on the curves of {names[0]}, up to step {last:,}.")
    with physics:
        st.markdown("#### Validation and latent space")
        both = [joint(history) for history in histories]
        curve(curves.curves(both, names, "validation", axes or AXES[0], 0.0, dark, mark), "validation_curves", 290)


def joint(history: History) -> History:
    """Validation and latent figures under one group, for one chart."""
    series = {n: s for n, s in history.series.items() if n.startswith("validation/")}
    series |= {
        n.replace("latent/", "validation/latent "): s for n, s in history.series.items() if n.startswith("latent/")
    }
    return history.model_copy(update={"series": series})


def curve(spec: dict[str, Any], key: str, height: int) -> None:
    if not spec["series"]:
        with st.container(height=height, border=True, key=f"{key}_empty"):
            st.caption("No curves yet: points come with the first steps. Bundled models come without theirs.")
        return
    names = ", ".join(str(s["name"]) for s in spec["series"][:8])
    st.echarts_chart(spec, height=height, key=key, alt=f"Curves against optimisation step: {names}")


def strip(run: RunInfo, step: int | None, dark: bool) -> None:
    """Held-out examples at fixed noise, as the checkpoint draws them."""
    kind = state.kind_of(run)
    st.markdown(STRIPS[kind][0])
    if step is None:
        with st.container(height=260, border=True, key="strip_empty"):
            st.caption("The first checkpoint draws here.")
        return
    shown = state.keep(f"strip {run.run_id}", lambda: samples_of(run.run_id, step)).value
    if kind == "images":
        st.html(digits.strip(shown, kinds.class_names(state.dataset_of(run))))
    elif kind == "points":
        st.html(clouds.strip(shown, dark))
    else:
        showers_strip(shown)
    st.caption(f"Checkpoint at step {step:,}; {STRIPS[kind][1]}")


def showers_strip(shown: Arrays) -> None:
    """Rows of showers with their photon sums."""
    titles = {"simulated": "Simulation", "reconstructed": "Reconstructed", "generated": "Generated"}
    rows = [picture.strip_html(shown[name], title) for name, title in titles.items() if name in shown]
    st.html(picture.column_html(rows))


@st.cache_resource(show_spinner=False, max_entries=64)
def samples_of(run: str, step: int) -> Arrays:
    """The strip of a checkpoint never changes: asked once."""
    return state.engine().samples(run, step)


@notices.guarded
def live_map(run: RunInfo, step: int | None) -> None:
    """The newest finished map, while the next one is computed behind it."""
    st.markdown("#### Latent map: noise flows onto data")
    if not state.has_latent(run, state.keep("catalogue", state.catalogue).value):
        with st.container(height=330, border=True, key="map_none"):
            st.caption("This model has no encoder, so there is no map of its codes.")
        return
    if step is None:
        with st.container(height=330, border=True, key="map_empty"):
            st.caption("The first checkpoint starts a map.")
        return
    points = next_map(run.run_id, step)
    if points is None or not len(points["xy"]):
        with st.container(height=330, border=True, key="map_wait"):
            st.caption("The first map is being computed.")
        return
    st.echarts_chart(
        scatter.latent_map(points, lasso=False, size=5), height=330, key="live_map",
        alt="Map of encoded data and generated noise of the running training",
    )  # fmt: skip
    st.caption(
        f"t-SNE at step {points.meta.get('step', step):,} (epoch {points.meta.get('epoch', 0)}). "
        f"Circles: encoded validation {state.kind_of(run)}; diamonds: noise at their conditions."
    )


def next_map(run: str, step: int) -> Arrays | None:
    """The map to show now: of the wanted step when there is one, else the last one that this run had.

    One map is computed at a time: a newer checkpoint is asked for only when the one under way has ended.
    """
    maps: dict[str, dict[str, Any]] = st.session_state.setdefault(MAPS, {})
    mine = maps.setdefault(run, {"asked": step, "ended": True, "shown": None})
    while True:
        if mine["ended"]:
            mine["asked"] = step
        answer = state.keep(f"live map {run}", lambda: state.engine().map(asked_map(run, mine["asked"]))).value
        mine["ended"] = answer.meta.get("state") in ("done", "failed")
        mine["progress"] = answer.meta.get("progress", 0.0)
        if "xy" in answer and len(answer["xy"]):
            mine["shown"] = answer
        if not mine["ended"] or mine["asked"] == step:
            break
    return mine["shown"]


def asked_map(run: str, step: int) -> MapRequest:
    return MapRequest(run=run, step=step, n=MAP_POINTS)


def map_under_way(run: str) -> tuple[MapRequest, float] | None:
    """The map that is still being computed, and how far it was when it was drawn."""
    mine = st.session_state.get(MAPS, {}).get(run)
    return None if mine is None or mine["ended"] else (asked_map(run, mine["asked"]), mine["progress"])

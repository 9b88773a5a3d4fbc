"""Maps as the latent page holds them: asked for until they are done, then kept; and the epochs that it walks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import state
from engine.schema import Arrays, DatasetInfo, EngineDown, FeatureSpace, MapRequest, RunInfo

MAPS, LAST, PLAYING, NEXT = "_maps_done", "_maps_last", "_maps_playing", "_maps_next"
MOST = 8
"""Finished maps that a session holds; ten thousand points a layer are 3 MB."""
BUSY = ("queued", "running")
LIVE = ("queued", "running", "paused")
STAND_S = 0.6
"""How long each epoch stands at least while they are walked."""


@dataclass(frozen=True)
class Twin:
    """A second model beside the first, at the same rows."""

    run: RunInfo
    request: MapRequest


@dataclass(frozen=True)
class View:
    """What the latent page looks at."""

    run: RunInfo
    request: MapRequest
    dataset: DatasetInfo
    names: dict[int, str]
    """Of species, or of classes."""
    what: str
    """What these are: species, digit."""
    dark: bool
    live: bool = False
    beside: Twin | None = None

    @property
    def title(self) -> str:
        return self.run.name or self.run.run_id

    @property
    def space(self) -> FeatureSpace:
        """Where neighbours are counted, as far as the request says."""
        return self.request.space or "latent"


def ask(request: MapRequest, fresh: bool = True) -> state.Kept[Arrays]:
    """The map as far as it is. A finished one does not change: then only whether the engine is there is asked, where
    `fresh`."""
    key = request.model_dump_json()
    done: dict[str, Arrays] = st.session_state.setdefault(MAPS, {})
    if key in done:
        stale = False
        if fresh:
            try:
                state.engine().health()
            except EngineDown:
                stale = True
        return state.Kept(done[key], stale)
    kept = state.keep(f"map {key}", lambda: state.engine().map(request))
    if kept.value.meta.get("state") == "done" and drawn(kept.value):
        done[key] = kept.value
        while len(done) > MOST:
            del done[next(iter(done))]
    return kept


def drawn(points: Arrays) -> bool:
    """Whether there is something to show."""
    return "xy" in points and len(points["xy"]) > 0


def busy(points: Arrays) -> bool:
    return points.meta.get("state") in BUSY


def shown(request: MapRequest, points: Arrays) -> Arrays:
    """These points, or the last ones of the same run and size while there is no frame of them yet."""
    key = request.model_dump_json(exclude={"step", "perplexity"})
    last: dict[str, Arrays] = st.session_state.setdefault(LAST, {})
    if drawn(points):
        if len(last) > 3:
            last.clear()
        last[key] = points
        return points
    return last.get(key, points) if busy(points) else points


def behind(view: View, numbers: list[int], what: str) -> state.Kept[Arrays]:
    """The examples behind points, the last ones where the engine is gone. what: tells askers apart."""
    return state.keep(f"{what} {view.run.run_id}", lambda: state.engine().map_showers(view.request, numbers))


# --------------------------------------------------------------------------------------------------------------- epochs
def steps_of(run: RunInfo) -> list[int]:
    return [c.step for c in run.checkpoints]


def live(run: RunInfo, step: int | None) -> bool:
    """Whether the page follows a training: its run goes on, and the newest checkpoint is wanted."""
    return step is None and run.state in LIVE


def playing() -> bool:
    return bool(st.session_state.get(PLAYING))


def play(steps: list[int]) -> None:
    """Walk from the chosen checkpoint on, from the first where it is the last; a second press stops."""
    if playing():
        st.session_state[PLAYING] = False
        return
    st.session_state[PLAYING] = True
    now = st.session_state.get(state.TRAIN_STEP, state.LATEST)
    if now == state.LATEST or int(now) == steps[-1]:
        st.session_state[state.TRAIN_STEP] = str(steps[0])


def onward(steps: list[int], step: int) -> None:
    """Choose the next checkpoint at the next run of the page, or end the walk."""
    later = [s for s in steps if s > step]
    if later:
        st.session_state[NEXT] = str(later[0])
    else:
        st.session_state[PLAYING] = False


def take_next() -> None:
    """Before the scrubber is drawn: what `onward` chose."""
    chosen: Any = st.session_state.pop(NEXT, None)
    if chosen is not None:
        st.session_state[state.TRAIN_STEP] = chosen

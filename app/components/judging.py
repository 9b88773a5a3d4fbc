"""Models judged: begun as soon as they are chosen, watched while they run, and kept by the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app import state
from app.charts.looks import Look
from app.components import tasks
from app.components.words import plain
from engine.schema import (
    Arrays,
    EngineDown,
    EngineError,
    EvaluateRequest,
    EvaluateTask,
    GenerateRequest,
    Report,
    RunInfo,
    TaskInfo,
)


@dataclass(frozen=True)
class Wish:
    """A model to be judged."""

    run: RunInfo
    look: Look
    request: EvaluateRequest


@dataclass(frozen=True)
class Judged:
    """A model that was judged."""

    run: RunInfo
    look: Look
    request: EvaluateRequest
    task_id: str
    report: Report

    @property
    def title(self) -> str:
        return self.look.title

    @property
    def arrays(self) -> Arrays:
        return arrays_of(self.task_id, f"{self.report.step} {self.report.seconds}")


@st.cache_resource(show_spinner=False, max_entries=24)
def arrays_of(task_id: str, stamp: str) -> Arrays:
    """What a finished evaluation left; `stamp` tells it from a later one of its name. Do not write into it."""
    return state.engine().task_arrays(task_id)


@st.cache_resource(show_spinner=False, max_entries=96)
def same_noise(request: str, stamp: str) -> Arrays:
    """What a request (JSON) generates: the same whenever it is asked. `stamp` tells the weights."""
    return state.engine().generate(GenerateRequest.model_validate_json(request))


@st.cache_resource(show_spinner=False, max_entries=96)
def simulated(data: str, rows: tuple[int, ...], stamp: str) -> Arrays:
    """Some examples of a data set."""
    return state.engine().showers(data, list(rows))


def generated(one: Judged, conditions: list[list[float]], n: int = 1) -> Arrays:
    """What a judged model makes of these conditions, read as it was judged."""
    light = "poisson" if one.report.reading == "drawn" else "expected"
    request = GenerateRequest(
        run=one.run.run_id, step=one.report.step, conditions=conditions, n=n, seed=one.report.seed, light=light,
        convention=one.report.convention or state.CONVENTIONS[0],
    )  # fmt: skip
    return same_noise(request.model_dump_json(), one.task_id)


# ------------------------------------------------------------------------------------------------------------- tasks
def slot_of(request: EvaluateRequest) -> str:
    return f"evaluate {hashlib.sha256(request.model_dump_json().encode()).hexdigest()[:16]}"


def ask(request: EvaluateRequest) -> tuple[str, state.Kept[TaskInfo] | None]:
    """The task of a request, begun where this session has not yet; None where the engine refused it."""
    slot = slot_of(request)
    found = tasks.look(slot)
    refused = st.session_state.setdefault(tasks.REFUSED, {})
    if found is None and slot not in refused:
        try:
            info = state.engine().start_task(EvaluateTask(request=request))
        except EngineDown:
            raise
        except EngineError as error:
            refused[slot] = str(error)
            return slot, None
        tasks.slots(slot)[slot] = info.task_id
        found = tasks.look(slot)
    return slot, found


def judge(wishes: Sequence[Wish], slow: bool) -> tuple[list[Judged], bool]:
    """Those that are judged, in order, and whether their numbers are the last good ones of an engine that is gone. What
    is still under way has a line with its progress, what ended badly its words."""
    done: list[Judged] = []
    stale = False
    for wish in wishes:
        found = _one(wish, wish.request, f"Judging {wish.look.title}")
        if slow:
            request = wish.request.model_copy(update={"slow": True})
            found = _one(wish, request, f"Classifiers on {wish.look.title}") or found
        if found:
            done.append(found[0])
            stale |= found[1]
    return done, stale


def _one(wish: Wish, request: EvaluateRequest, title: str) -> tuple[Judged, bool] | None:
    slot, found = ask(request)
    info = found.value if found else None
    if info is not None and info.evaluation is not None:
        return Judged(wish.run, wish.look, request, info.task_id, info.evaluation), bool(found and found.stale)
    if info is not None and not info.ended:
        tasks.bar(slot, title)
        return None
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"line {slot}"):
        st.markdown(f"**{plain(wish.look.title)}**", width="content")
        with st.container(width="stretch"):
            tasks.outcome(slot, info)
        st.button(
            "Judge again", icon=":material/refresh:", key=f"again {slot}",
            on_click=tasks.begin, args=(slot, EvaluateTask(request=request)),
        )  # fmt: skip
    return None


def newer(one: Judged) -> int | None:
    """The step of a checkpoint that came after the judged one, where the newest was asked for."""
    last = max((c.step for c in one.run.checkpoints), default=0)
    return last if one.request.step is None and last > one.report.step else None

"""Work that takes longer than an answer: started here, watched with a bar, ended by a button.

A page knows its task by a slot, a name of its own. What concerns the engine as a whole (a set being simulated, a
check, a bulk) is known to every session of this app, so that a reload or a second window finds it; the rest to its
session alone.
"""

from __future__ import annotations

import streamlit as st

from app import state
from app.components import notices
from app.components.words import clock, plain
from engine.schema import DataKind, DatasetInfo, EngineError, NotFound, PrepareTask, Task, TaskInfo

MINE, TOLD, REFUSED = "_tasks", "_tasks_told", "_tasks_refused"
EVERYBODYS = ("prepare", "check", "bulk")
TICK_S = 0.5
VERBS: dict[DataKind, tuple[str, str]] = {
    "showers": ("Simulate", "Simulating"), "images": ("Fetch", "Fetching"), "points": ("Draw", "Drawing"),
}  # fmt: skip
"""How a set of a kind is made."""


@st.cache_resource(show_spinner=False)
def everybodys() -> dict[str, str]:
    """Task by slot, for all sessions."""
    return {}


def slots(slot: str) -> dict[str, str]:
    return everybodys() if slot.startswith(EVERYBODYS) else st.session_state.setdefault(MINE, {})


def begin(slot: str, task: Task) -> None:
    """Hand a task to the engine; where it says no, `refusal` says its words."""
    st.session_state.setdefault(REFUSED, {}).pop(slot, None)
    try:
        info = state.engine().start_task(task)
    except EngineError as error:
        st.session_state[REFUSED][slot] = str(error)
        return
    slots(slot)[slot] = info.task_id


def end(slot: str, task_id: str) -> None:
    try:
        state.engine().cancel_task(task_id)
    except EngineError as error:
        st.session_state.setdefault(REFUSED, {})[slot] = str(error)


def look(slot: str) -> state.Kept[TaskInfo] | None:
    """The slot's task as it stands, or stood; None where none was started, or the engine has forgotten it."""
    task_id = slots(slot).get(slot)
    if task_id is None:
        return None
    try:
        return state.keep(f"task {slot} {task_id}", lambda: state.engine().task(task_id))
    except NotFound:
        slots(slot).pop(slot, None)
        return None


def find(slot: str) -> TaskInfo | None:
    """`look`, as last heard of."""
    found = look(slot)
    return found.value if found else None


def news(info: TaskInfo) -> bool:
    """Whether this session learns only now that the task has ended."""
    told: set[str] = st.session_state.setdefault(TOLD, set())
    fresh = info.ended and info.task_id not in told
    if fresh:
        told.add(info.task_id)
    return fresh


def forget(slot: str) -> None:
    slots(slot).pop(slot, None)
    st.session_state.get(REFUSED, {}).pop(slot, None)


def how_far(info: TaskInfo, title: str) -> tuple[float, str]:
    """Share done, and the words beside the bar."""
    parts = [title]
    if info.state == "queued":
        parts.append("waits for its turn")
    elif info.total > 1:
        parts.append(f"{info.done:,.0f} of {info.total:,.0f} {info.unit}".rstrip())
    if info.eta_s is not None:
        parts.append(f"about {clock(info.eta_s)} left")
    elif info.seconds >= 1:
        parts.append(f"{clock(info.seconds)} so far")
    return (min(1.0, max(0.0, info.done / info.total)) if info.total else 0.0), " · ".join(parts)


def bar(slot: str, title: str) -> None:
    """The bar of a running task; the page is drawn again when it ends."""
    st.fragment(run_every=TICK_S)(_bar)(slot, title)


@notices.guarded
def _bar(slot: str, title: str) -> None:
    found = look(slot)
    if found is None or found.value.ended:
        st.rerun()
    info = found.value
    share, said = how_far(info, title)
    if found.stale:
        said = f"{title} · the engine does not answer; asking again"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(share, text=said, width="stretch")
        st.button("Cancel", icon=":material/stop:", key=f"cancel {slot}", on_click=end, args=(slot, info.task_id))
    refusal(slot)


def refusal(slot: str) -> bool:
    """The engine's words, where it said no."""
    words = st.session_state.get(REFUSED, {}).get(slot)
    if words:
        st.error(plain(words), icon=":material/error:")
    return bool(words)


def outcome(slot: str, info: TaskInfo | None) -> None:
    """What stands where a task was refused or did not succeed."""
    if refusal(slot):
        return
    if info and info.state in ("failed", "interrupted"):
        st.error(f"**{info.state.capitalize()}.** {plain(info.error)}", icon=":material/error:")
    elif info and info.state == "cancelled":
        st.caption("Cancelled; nothing was kept.")


def prepare(dataset: DatasetInfo) -> None:
    """A set that is not made yet: what making it costs, and the button that makes it."""
    slot = f"prepare {dataset.name}"
    info = find(slot)
    if info and info.ended and news(info):
        state.forget_data()
        st.rerun()
    with st.container(border=True, key="prepare"):
        made, making = ("made", "Making") if dataset.kind == "showers" else ("here", VERBS[dataset.kind][1])
        st.markdown(f"**{plain(dataset.title)} is not {made} yet.** {making} it: {plain(dataset.making.rstrip('.'))}.")
        if info and not info.ended:
            bar(slot, VERBS[dataset.kind][1])
            return
        outcome(slot, info)
        st.button(
            f"{VERBS[dataset.kind][0]} {dataset.showers:,} {dataset.kind}", type="primary",
            icon=":material/play_arrow:", key="start_prepare",
            on_click=begin, args=(slot, PrepareTask(data=dataset.name)),
        )  # fmt: skip

"""Generate: showers by the million into a file, with their cost beforehand; cancelled and resumed at will."""

from __future__ import annotations

import html
from contextlib import suppress
from typing import Literal

import numpy as np
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app import state, tickets
from app.components import geant4, notices, parts, tasks
from app.components.words import clock, plain
from engine.schema import (
    Bulk,
    BulkRequest,
    BulkTask,
    Catalogue,
    DatasetInfo,
    EngineError,
    GenerateRequest,
    NotFound,
    RunInfo,
    Spectrum,
    TaskInfo,
)

SLOT = "bulk"
MOST = 10_000_000
SOURCES = {"data": "as the training data", "power": "this particle, power law", "table": "an uploaded table"}
FORMATS: tuple[Literal["parquet"], Literal["root"]] = ("parquet", "root")
PROBE = 256
"""Showers of the small file that the size is measured on."""


@st.cache_resource(show_spinner=False)
def asked() -> dict[str, BulkTask]:
    """What was last started, for all sessions, as its task is: so that any of them can go on with it."""
    return {}


@st.fragment
@notices.guarded
def show(run: RunInfo, dataset: DatasetInfo, book: Catalogue) -> None:
    """A section that is drawn when it is opened."""
    box = st.expander(
        "Showers in bulk", icon=":material/stacks:", key=state.BULK_OPEN, on_change="rerun", bind="query-params"
    )
    if not box.open:
        return
    with box:
        info = tasks.find(SLOT)
        form(run, dataset, book, info is not None and not info.ended)
        under_way(info)


# -------------------------------------------------------------------------------------------------------------- form
def form(run: RunInfo, dataset: DatasetInfo, book: Catalogue, running: bool) -> None:
    """What to generate, its cost, and the button."""
    left, middle, right = st.columns([2.3, 1.2, 1], gap="medium", vertical_alignment="bottom")
    source = left.segmented_control(
        "Conditions", list(SOURCES), default="data", format_func=lambda name: SOURCES[name], key="bulk_source",
        required=True, help="Primaries drawn from the training data with replacement; this species, vertex and "
        "direction with energies drawn from a power law; or the rows of a table.",
    )  # fmt: skip
    n = middle.number_input(
        "Showers of each row" if source == "table" else "Showers", 1, MOST, 1 if source == "table" else 1_000_000,
        key="bulk_n_table" if source == "table" else "bulk_n",
        help=f"1 to {MOST:,}; more on the command line.",
    )  # fmt: skip
    kind = right.segmented_control(
        "File", FORMATS, default="parquet", format_func=lambda name: "ROOT" if name == "root" else str(name),
        key="bulk_format", required=True,
    )  # fmt: skip
    file, spectrum = None, Spectrum()
    if source == "table":
        file = st.file_uploader(
            "Table of conditions: Energy, Vx, Vy, Vz, Px, Py, Pz, mass, charge by name (GeV, cm, MeV, e)",
            type=["npz", "parquet", "csv"], key="bulk_file",
        )  # fmt: skip
    elif source == "power":
        spectrum = choose_spectrum(dataset)
    request = BulkRequest(
        run=run.run_id, step=state.current_step(), spectrum=None if source == "table" else spectrum, n=int(n),
        seed=state.current_seed(), convention=state.current_convention(), format=FORMATS[kind == "root"],
    )  # fmt: skip
    words, button = st.columns([4, 1.1], gap="medium", vertical_alignment="center")
    wrong = spectrum.law == "power" and spectrum.minimum_gev >= spectrum.maximum_gev
    if wrong:
        words.markdown("The lower energy must lie below the upper one.")
    else:
        words.markdown(cost(request, run, source == "table"))
    button.button(
        "Generate", type="primary", icon=":material/play_arrow:", key="start_bulk", width="stretch",
        disabled=running or wrong or (source == "table" and file is None), on_click=begin, args=(request, file),
    )  # fmt: skip


def choose_spectrum(dataset: DatasetInfo) -> Spectrum:
    condition = state.condition_named("Energy", dataset)
    low, high = (condition.quantiles[0], condition.quantiles[-1]) if condition else (10.0, 5000.0)
    places = st.columns(3, gap="medium")
    least = places[0].number_input("Energy from [GeV]", 0.1, 1e5, float(f"{low:.3g}"), key="bulk_low")
    most = places[1].number_input("Energy to [GeV]", 0.1, 1e5, float(f"{high:.3g}"), key="bulk_high")
    index = places[2].number_input(
        "γ in dN/dE ∝ E^−γ", -10.0, 10.0, 1.0, 0.1, key="bulk_index", help="0: uniform in E; 1: uniform in log E."
    )
    return Spectrum(law="power", minimum_gev=least, maximum_gev=most, index=index)


def cost(request: BulkRequest, run: RunInfo, table: bool) -> str:
    """Time from showers measured in this session, size from a small file of the same kind."""
    ms, size = geant4.model_ms(run.run_id), bytes_each(run.run_id, request.step, request.format)
    each = " a row" if table else ""
    time_said = f"about **{clock(max(1.0, request.n * ms / 1000))}**" if np.isfinite(ms) else "time not known yet"
    size_said = f"about **{size_of(request.n * size)}**" if np.isfinite(size) else "size not known yet"
    detail = f"{ms:.2g} ms and {size:,.0f} bytes a shower, measured here" if np.isfinite(ms + size) else ""
    behind = f" ({detail})" if detail else ""
    return f"{request.n:,} showers{each}: {time_said}, {size_said}{behind}. It goes on when this page is closed."


def bytes_each(run: str, step: int | None, kind: str) -> float:
    """Size of a shower at the present particle in a file; nan where the engine cannot say."""
    try:
        return _bytes_each(run, step, kind)
    except EngineError:
        return float("nan")


@st.cache_resource(show_spinner=False, max_entries=32)
def _bytes_each(run: str, step: int | None, kind: str) -> float:
    request = GenerateRequest(run=run, step=step, particle=state.DEFAULT_PARTICLE, n=PROBE)
    return len(state.engine().export(request, FORMATS[kind == "root"])) / PROBE


def size_of(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.3g} {unit}"
        size /= 1000
    return ""


def begin(request: BulkRequest, file: UploadedFile | None) -> None:
    """Hand the table over, then the task. The particle of a power law is the one that stands above now."""
    if request.spectrum and request.spectrum.law == "power":
        update = {"particle": state.current_particle()}
        request = request.model_copy(update={"spectrum": request.spectrum.model_copy(update=update)})
    if file is not None:
        try:
            request = request.model_copy(update={"upload": state.engine().upload(file.name, file.getvalue())})
        except EngineError as error:
            st.session_state.setdefault(tasks.REFUSED, {})[SLOT] = str(error)
            return
    hand_over(BulkTask(request=request))


def hand_over(task: BulkTask) -> None:
    asked()[SLOT] = task
    tasks.forget(SLOT)
    tasks.begin(SLOT, task)


# ------------------------------------------------------------------------------------------------------------ result
def under_way(info: TaskInfo | None) -> None:
    """The bar, how to go on, or the file."""
    task = asked().get(SLOT)
    if info is not None and not info.ended:
        tasks.bar(SLOT, title_of(task))
        return
    if tasks.refusal(SLOT) or info is None:
        return
    if info.bulk is not None:
        result(info.task_id, info.bulk)
        return
    left, right, last = st.columns([4, 1, 1], vertical_alignment="center")
    kept = f"{info.done:,.0f} of {info.total:,.0f} showers are written and kept."
    if info.state == "cancelled":
        left.caption(f"Cancelled: {title_of(task)}. {kept}")
    else:
        left.error(f"**{info.state.capitalize()}.** {plain(info.error)} {kept}", icon=":material/error:")
    if task is not None:
        right.button(
            "Go on", icon=":material/play_arrow:", key="resume_bulk", width="stretch", on_click=hand_over, args=(task,)
        )
    with last:
        bin_of(info.task_id, "Delete what was written")


def title_of(task: BulkTask | None) -> str:
    if task is None:
        return "Showers in bulk"
    source = "table" if task.request.upload else task.request.spectrum.law if task.request.spectrum else "data"
    return f"{task.request.n:,} showers, {SOURCES[source]}, {task.request.format}"


def bin_of(task_id: str, what: str) -> None:
    """A button that frees the engine's disk again, asked twice."""
    with st.popover("Delete", icon=":material/delete:", width="stretch"):
        st.button(f"{what}, for good", key="remove_bulk", on_click=throw_away, args=(task_id,))


def throw_away(task_id: str) -> None:
    try:
        with suppress(NotFound):  # gone already
            state.engine().remove_task(task_id)
        tasks.forget(SLOT)
    except EngineError as error:
        st.session_state.setdefault(tasks.REFUSED, {})[SLOT] = str(error)


def result(task_id: str, bulk: Bulk) -> None:
    """Where the file stands, what it cost, and the way to get it."""
    rows = {
        "showers": f"{bulk.showers:,} in {clock(max(1.0, bulk.seconds))}: "
        f"{bulk.showers / max(bulk.seconds, 1e-9):,.0f} a second",
        "size": f"{size_of(bulk.bytes)} ({bulk.bytes / max(1, bulk.showers):,.0f} bytes a shower)",
        "memory": f"{bulk.memory_mb:,.0f} MB above the loaded model at most",
        "on the engine's machine": bulk.path,
    }
    items = "".join(f"<span>{k}</span><b>{html.escape(v)}</b>" for k, v in rows.items())
    link = html.escape(tickets.file_link(parts.base_path(), task_id), quote=True)
    left, last = st.columns([5, 1], vertical_alignment="center")
    left.html(
        f'<div class="ss-facts">{items}</div>'
        f'<p class="ss-download"><a href="{link}" download="{html.escape(bulk.file, quote=True)}">'
        f"Download {html.escape(bulk.file)}</a> <span class='ss-muted'>the link holds for an hour</span></p>"
    )
    with last:
        bin_of(task_id, f"Delete {bulk.file} on the engine's machine")

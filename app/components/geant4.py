"""Geant4 for the very particle of the panel: its cost beforehand, its showers, its time beside the model's."""

from __future__ import annotations

import html
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import streamlit as st

from app import state
from app.charts import picture
from app.components import notices, tasks
from app.components.words import clock, measured, plain
from engine.schema import Arrays, Catalogue, DatasetInfo, EngineError, Particle, RunInfo, SimulateTask, TaskInfo

SLOT, ASKED = "simulate", "_geant4_asked"
SPEEDS, WARM = "_geant4_speeds", "_geant4_warm"
REPLICAS = (1, 4, 16)
LONGEST_S = 3600.0
LEAST_SPEEDS, MOST_SPEEDS = 4, 20
LARGEST_REPEATED = 512
COLUMNS = {1: 1, 4: 4, 16: 8}
SIZES = {1: 196, 4: 150, 16: 150}
"""Width of a mean by number of showers; all pictures are equally high."""


def show(
    run: RunInfo, dataset: DatasetInfo, book: Catalogue, particle: Particle, made: Arrays, again: Callable[[], Arrays]
) -> None:
    """The button with its estimate, the bar while it runs, the showers when it is done. again: makes `made` anew."""
    note_speed(run, made)
    with st.container(border=True, key="geant4"):
        words, choice, button = st.columns([3, 1, 1.3], gap="medium", vertical_alignment="center")
        if not book.geant4.installed:
            words.markdown(f"**The same particle in Geant4.** {plain(book.geant4.mend)}")
            button.button("Simulate with Geant4", disabled=True, key="start_geant4", width="stretch")
            return
        detector = "zp" if dataset.detector == "zp" else "zn"
        n = choice.segmented_control(
            "Showers", REPLICAS, default=1, key=state.REPLICAS, bind="query-params", required=True, width="stretch"
        )
        n = int(n or 1)
        cost = estimate(book, detector, particle, n)
        task = SimulateTask(
            particle=particle, n=n, detector=detector, seed=state.current_seed(),
            time_limit_s=min(LONGEST_S, max(120.0, 3 * cost)),
        )  # fmt: skip
        words.markdown(
            f"**The same particle in Geant4**: {n} shower{'s' * (n > 1)}, about {clock(max(1.0, cost))} on one core "
            f"({book.geant4.start_s:g} s to start, {book.geant4.ms_per_gev.get(detector, 0):g} ms per GeV)."
        )
        info = tasks.find(SLOT)
        running = info is not None and not info.ended
        button.button(
            "Simulate with Geant4", icon=":material/grain:", key="start_geant4", width="stretch", disabled=running,
            on_click=ask, args=(task,),
        )  # fmt: skip
        asked: SimulateTask | None = st.session_state.get(ASKED)
        if info is not None and running:
            tasks.bar(SLOT, title_of(asked or task, book))
        elif asked == task:
            tasks.outcome(SLOT, info)
            if info is not None and info.state == "finished":
                result(run, info, made, again)
        elif asked is not None and info is not None and info.state == "finished":
            st.caption(f"Simulated before: {title_of(asked, book)}; shown again at that particle.")


def ask(task: SimulateTask) -> None:
    st.session_state[ASKED] = task
    tasks.forget(SLOT)
    tasks.begin(SLOT, task)


def estimate(book: Catalogue, detector: str, particle: Particle, n: int) -> float:
    """Seconds on one core."""
    return book.geant4.start_s + particle.energy_gev * book.geant4.ms_per_gev.get(detector, 0.0) * n / 1000


def title_of(task: SimulateTask, book: Catalogue) -> str:
    symbol = state.particle_named(task.particle.pdg, book).symbol
    return f"Geant4: {task.n} × {symbol} of {task.particle.energy_gev:g} GeV"


@st.cache_resource(show_spinner=False, max_entries=16)
def showers_of(task_id: str) -> Arrays:
    """What came out never changes."""
    return state.engine().task_arrays(task_id)


def showers_here(particle: Particle, dataset: DatasetInfo) -> Arrays | None:
    """What Geant4 has simulated of this very particle in this session, for this detector; None where it has not."""
    asked: SimulateTask | None = st.session_state.get(ASKED)
    detector = "zp" if dataset.detector == "zp" else "zn"
    if asked is None or asked.particle != particle or asked.detector != detector:
        return None
    info = tasks.find(SLOT)
    if info is None or info.state != "finished":
        return None
    return state.keep("geant4", lambda: showers_of(info.task_id)).value


def result(run: RunInfo, info: TaskInfo, made: Arrays, again: Callable[[], Arrays]) -> None:
    """Pictures on one scale, then light and time in numbers."""
    found = state.keep("geant4", lambda: showers_of(info.task_id))
    if found.stale:
        notices.stale()
    showers = np.asarray(found.value["showers"], float)
    modelled = np.asarray(made["showers"], float)
    time_model(run, len(modelled), again)
    mean, model_mean = showers.mean(0), modelled.mean(0)
    top = max(1.0, float(showers.max(initial=0.0)), float(model_mean.max(initial=0.0)))
    label = html.escape(str(found.value.meta.get("label", "Geant4")))
    n = len(showers)
    columns, size = COLUMNS.get(n, 8), SIZES.get(n, 150)
    width = size if n == 1 else 4 * size
    note = f'<br><span class="ss-label">{label}</span>'
    figures = [
        picture.figure_html(
            picture.sprite_url(showers, columns, shared=True, top=top),
            f"<b>Geant4</b>, {n} shower{'s' * (n > 1)}{note}", f"{n} showers by {label}", width,
        )
    ]  # fmt: skip
    if n > 1:
        figures.append(
            picture.figure_html(
                picture.shower_url(mean, top), f"<b>Geant4</b>, mean of {n}{note}", f"Mean of {n} by {label}", size
            )
        )
    figures.append(
        picture.figure_html(
            picture.shower_url(model_mean, top),
            f"<b>Generated</b>, mean of {len(modelled)}<br><span class='ss-label'>{html.escape(run.name)}</span>",
            "Mean generated shower on the same scale",
            size,
        )
    )  # fmt: skip
    figures.append(f"<div>{picture.bar_html(top, True, 150)}{facts(run, found.value, modelled)}</div>")
    st.html(picture.row_html(figures).replace("ss-figures", "ss-figures ss-bottom", 1))
    notes = [str(n) for n in found.value.meta.get("notes", [])]
    st.caption(
        f"All on one colour scale. {plain(sentences(notes))} Geant4: CPU time of one core; model: the engine's wall "
        f"time in batches of {len(modelled)}."
    )


def sentences(notes: list[str]) -> str:
    return " ".join(note[:1].upper() + note[1:].rstrip(".") + "." for note in notes if note)


# ------------------------------------------------------------------------------------------------------------- time
def note_speed(run: RunInfo, made: Arrays) -> None:
    """Keep the time a shower of each batch that this session saw, so that the model's time has an error. The first
    batch, which warms the model up, gives way to the second."""
    ms = made.meta.get("ms")
    if ms is None:
        return
    kept: dict[tuple[str, int], list[float]] = st.session_state.setdefault(SPEEDS, {})
    n = len(made["showers"])
    times = kept.setdefault((run.run_id, n), [])
    if (each := float(ms) / max(1, n)) not in times:
        warm_up = len(times) == 1 and (run.run_id, n) not in (warm := st.session_state.setdefault(WARM, set()))
        if warm_up:
            times.clear()
            warm.add((run.run_id, n))
        times.append(each)
        del times[:-MOST_SPEEDS]


def time_model(run: RunInfo, n: int, again: Callable[[], Arrays]) -> None:
    """Repeat the batch until its time has an error; large ones are not worth the wait."""
    for _ in range(LEAST_SPEEDS if n <= LARGEST_REPEATED else 0):
        if len(st.session_state[SPEEDS].get((run.run_id, n), [])) >= LEAST_SPEEDS:
            return
        with suppress(EngineError):
            note_speed(run, again())


def model_ms(run_id: str) -> float:
    """Time of a shower in the largest batches seen in this session [ms]; nan before there is one."""
    seen = {n: times for (run, n), times in st.session_state.get(SPEEDS, {}).items() if run == run_id and times}
    return float(np.mean(seen[max(seen)])) if seen else float("nan")


def mean_error(values: np.ndarray) -> tuple[float, float | None]:
    """Mean and standard error; no error of a single value."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), None
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def speed_up(geant4: tuple[float, float | None], model: tuple[float, float | None]) -> tuple[float, float | None]:
    """Ratio of two times and its error, relative errors in quadrature; none where one has none."""
    value = geant4[0] / model[0]
    if geant4[1] is None or model[1] is None:
        return value, None
    return value, value * float(np.hypot(geant4[1] / geant4[0], model[1] / model[0])) if geant4[0] else 0.0


def facts(run: RunInfo, found: Arrays, modelled: np.ndarray) -> str:
    """Light and time of both, as a list."""
    light = np.asarray(found["showers"], float).reshape(len(found["showers"]), -1).sum(1)
    generated = modelled.reshape(len(modelled), -1).sum(1)
    cpu = mean_error(np.asarray(found["cpu_seconds"]))
    times = st.session_state.get(SPEEDS, {}).get((run.run_id, len(modelled)), [])
    rows = {
        "Geant4 Σ": f"{measured(*mean_error(light))} photons",
        "generated Σ": f"{measured(*mean_error(generated))} photons",
        "Geant4 time": f"{measured(*cpu)} s CPU per shower",
    }
    if times:
        model = mean_error(np.array(times))
        rows["model time"] = f"{measured(*model)} ms per shower"
        rows["speed-up"] = f"{measured(*speed_up(cpu, (model[0] / 1000, model[1] and model[1] / 1000)))}×"
    if (seconds := found.meta.get("seconds")) is not None:
        rows["waited"] = f"{float(seconds):.3g} s with the start"
    rows["errors"] = "of the mean" if len(light) > 1 else "one shower gives none"
    items = "".join(f"<span>{k}</span><b>{html.escape(v)}</b>" for k, v in rows.items())
    return f'<div class="ss-facts">{items}</div>'

"""Compare: models of this home side by side, or the records of benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import get_args

import streamlit as st
from streamlit.errors import StreamlitAPIException

from app import state
from app.charts.looks import MOST, looks
from app.components import header, judging, notices, tasks
from app.components.filters import THRESHOLDS
from app.components.judging import Judged, Wish
from app.components.words import plain
from app.views import benchmarks, breakdown, costs, examples, regions, showers, spectra, standing
from engine.schema import Catalogue, DatasetInfo, EvaluateRequest, Reading, RunInfo, Split

MODELS, BENCHMARKS = "Models", "Benchmarks"
SPLITS: tuple[Split, ...] = ("test", "validation")
READINGS: dict[Reading, str] = {"drawn": "whole photons drawn", "raw": "raw expectation", "truncated": "truncated"}
UNKNOWN = "_unknown_models"


def show() -> None:
    """The page."""
    runs = [run for run in st.session_state.get(state.RUNS, []) if run.checkpoints]
    if choose_half(runs) == BENCHMARKS:
        benchmarks.show()
        return
    if not runs:
        state.engine().health()  # tells an engine that is gone from one that has no model
        notices.no_model()
        return
    book = state.keep("catalogue", state.catalogue)
    sets = state.keep("datasets", state.datasets)
    chosen = choose_models(runs)
    if not chosen:
        notices.empty("Choose one to six models above; each is then judged on the same held-out particles.")
        return
    options = sets_for(chosen, sets.value)
    if not options:
        return
    dataset, request, slow = choose_request(options, book.value)
    if not dataset.ready:
        tasks.prepare(dataset)
        return
    done, stale = judging.judge(wishes_of(chosen, request), slow)
    if stale or book.stale or sets.stale:
        notices.stale()
    if done:
        results(done, dataset, book.value)
    else:
        st.caption("The first numbers appear when a model is judged. Results are kept: a link finds them again.")


# ------------------------------------------------------------------------------------------------------------ pickers
def choose_half(runs: Sequence[RunInfo]) -> str:
    """Models first where two can be judged, unless the link speaks of a record."""
    if state.HALF not in st.session_state and state.HALF not in st.query_params:
        linked = {state.RECORD, state.RECORD_ROW} & set(st.query_params)
        asked = {state.COMPARED, state.JUDGED_ON} & set(st.query_params)
        first = MODELS if not linked and (len(runs) > 1 or asked) else BENCHMARKS
        preset(state.HALF, first, first)
    half = st.segmented_control(
        "What is compared", (MODELS, BENCHMARKS), key=state.HALF, bind="query-params", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    return half or BENCHMARKS


def preset(key: str, value: object, link: str | list[str]) -> None:
    """Choose for a widget that has no default, and write it into the link, which a copy shall reopen anywhere."""
    st.session_state[key] = value
    with suppress(StreamlitAPIException):  # already the widget's own
        st.query_params[key] = link


def titles_of(runs: Sequence[RunInfo]) -> list[str]:
    """Short names for charts, no two alike."""
    names = [run.name or run.model for run in runs]
    return [
        f"{name} {run.run_id[:6]}" if names.count(name) > 1 else name for name, run in zip(names, runs, strict=True)
    ]  # fmt: skip


def first_choice(runs: Sequence[RunInfo]) -> list[str]:
    """The strip's model and the newest other one of like data."""
    strip = state.current_run()
    mine = next((r for r in runs if strip and r.run_id == strip.run_id), runs[0])
    others = [r for r in runs if r is not mine and r.data == mine.data]
    others += [r for r in runs if r is not mine and r.data != mine.data and like(r) == like(mine)]
    return [r.run_id for r in (mine, *others[:1])]


def like(run: RunInfo) -> tuple[str, tuple[int, ...] | None]:
    """What must be the same for models to be judged on the same examples."""
    dataset = state.dataset_of(run)
    return state.kind_of(run), dataset.shape if dataset else None


def choose_models(runs: Sequence[RunInfo]) -> list[RunInfo]:
    """One to six models; what a link named and is not here is said."""
    by_id = {run.run_id: run for run in sorted(runs, key=lambda r: (not r.bundled, -r.created))}
    labels = {header.label(run) for run in runs}
    if state.COMPARED not in st.session_state:
        linked = st.query_params.get_all(state.COMPARED)
        st.session_state[UNKNOWN] = [name for name in linked if name and name not in labels]
        if not set(linked) & labels and "" not in linked:
            first = first_choice(list(by_id.values()))
            preset(state.COMPARED, first, [header.label(by_id[run]) for run in first])
    elif any(run not in by_id for run in st.session_state[state.COMPARED]):
        st.session_state[state.COMPARED] = [run for run in st.session_state[state.COMPARED] if run in by_id]
    picked = st.multiselect(
        "Models", list(by_id), max_selections=MOST, format_func=lambda run: header.label(by_id[run]),
        key=state.COMPARED, bind="query-params", on_change=lambda: st.session_state.pop(UNKNOWN, None),
        help="Two to six, of the same kind of data. All are judged on the same particles with the same seed.",
    )  # fmt: skip
    if unknown := st.session_state.get(UNKNOWN):
        st.warning(f"The link names models that are not here: {plain(', '.join(unknown))}.", icon=":material/link_off:")
    if len(runs) == 1:
        train = st.session_state.get(state.PAGES, {}).get("train")
        notices.empty("There is one model here. Train a second one on the Train page to see both side by side.")
        if train:
            st.page_link(train, label="Go to Train", icon=":material/arrow_forward:")
    return alike([by_id[run] for run in picked])


def alike(chosen: list[RunInfo]) -> list[RunInfo]:
    """Those that draw what the first draws; the others are named."""
    if not chosen:
        return []
    kind, shape = like(chosen[0])
    kept, left = [], []
    for run in chosen:
        own, size = like(run)
        (kept if own == kind and (shape is None or size in (None, shape)) else left).append(run)
    if left:
        names = ", ".join(f"{titles_of([run])[0]} ({like(run)[0]})" for run in left)
        st.warning(
            f"Left out, for they draw other data than {plain(titles_of(chosen)[0])} ({kind}): {plain(names)}.",
            icon=":material/difference:",
        )
    return kept


def sets_for(chosen: list[RunInfo], sets: list[DatasetInfo]) -> dict[str, DatasetInfo]:
    """Sets that these models can be judged on, their own first. A set that is gone is named."""
    by_name = {d.name: d for d in sets}
    gone = [run for run in chosen if run.data not in by_name]
    kind, shape = next((like(run) for run in chosen if run.data in by_name), like(chosen[0]))
    own = [by_name[run.data] for run in chosen if run.data in by_name]
    fit = [d for d in state.in_order(sets) if d.ready and d.kind == kind and shape in (None, d.shape)]
    options = {d.name: d for d in [*own, *fit]}
    if gone:
        names = "; ".join(f"{titles_of([run])[0]} learned from {run.data}" for run in gone)
        rest = "Another set is chosen below." if options else "No other set here is of its kind."
        st.warning(f"**A data set is gone.** {plain(names)}, which is no longer here. {rest}", icon=":material/delete:")
    return options


def choose_request(options: dict[str, DatasetInfo], book: Catalogue) -> tuple[DatasetInfo, EvaluateRequest, bool]:
    """Set, split, reading and threshold in a row; a request of no run yet, and whether classifiers are wanted."""
    if st.session_state.get(state.JUDGED_ON) not in options:
        st.session_state.pop(state.JUDGED_ON, None)
    places = st.columns([1.7, 0.8, 1.5, 1.35, 1.2], vertical_alignment="bottom")
    name = places[0].selectbox(
        "Judged on", list(options), format_func=lambda n: state.title_of(options[n]), key=state.JUDGED_ON,
        bind="query-params", help="Only held-out examples of this set: none was seen in training.",
    )  # fmt: skip
    dataset = options[name or next(iter(options))]
    split = places[1].segmented_control(
        "Split", SPLITS, default=SPLITS[0], key=state.JUDGED_OF, bind="query-params", required=True
    )
    reading: Reading | None = "drawn"
    threshold: int | None = 0
    if dataset.kind == "showers":
        reading = places[2].selectbox(
            "Generated light", get_args(Reading), format_func=lambda r: READINGS[r], key=state.READING,
            bind="query-params",
            help="Whole photons drawn about the model's expectation, as a detector counts them; the expectation "
            "itself; or its whole part, fibre by fibre, as AliceO2's fast simulation keeps it.",
        )  # fmt: skip
        threshold = places[3].segmented_control(
            "Simulated photons at least", THRESHOLDS, default=0, key=state.LEAST, bind="query-params", required=True,
            help="Only particles whose simulated replicas hold so many photons on average.",
        )  # fmt: skip
    slow = False
    if any(m.slow and dataset.kind in m.kinds for m in book.metrics):
        slow = places[4].toggle(
            "Classifiers too (minutes)", key=state.SLOW, bind="query-params",
            help="Trains classifiers to tell generated from simulated showers, and a control that must fail.",
        )  # fmt: skip
    request = EvaluateRequest(
        run="", data=dataset.name, split="validation" if split == "validation" else "test",
        convention=state.current_convention(), reading=reading or "drawn", threshold=int(threshold or 0),
        seed=state.current_seed(),
    )  # fmt: skip
    return dataset, request, bool(slow)


def wishes_of(chosen: list[RunInfo], request: EvaluateRequest) -> list[Wish]:
    """A wish a model; the strip's checkpoint holds for the strip's model."""
    found = looks(titles_of(chosen), st.context.theme.type == "dark")
    strip = state.current_run()
    wishes = []
    for run, look in zip(chosen, found, strict=True):
        step = state.current_step() if strip and run.run_id == strip.run_id else None
        wishes.append(Wish(run, look, request.model_copy(update={"run": run.run_id, "step": step})))
    return wishes


# ------------------------------------------------------------------------------------------------------------ results
def results(done: list[Judged], dataset: DatasetInfo, book: Catalogue) -> None:
    """Everything that is known of the models that are judged."""
    dark = st.context.theme.type == "dark"
    done = standing.comparable(done)
    standing.headline(done, dataset, book)
    if dataset.kind == "showers":
        showers.show(done, dataset, book)
    else:
        examples.show(done, dataset)
    standing.table(done, dataset, book)
    if dataset.kind == "showers":
        spectra.show(done)
        breakdown.show(done, book)
        regions.show(done, dataset)
    costs.show(done, dataset, book, dark)

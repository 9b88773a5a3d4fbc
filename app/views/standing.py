"""Compare, models: what was judged, the table of metrics, files, time and calibration."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from app import state
from app.charts import judged, planes, ranking, standings
from app.charts.looks import line_html
from app.charts.ranking import Column
from app.components import judging, notices, plots, tasks
from app.components.judging import Judged
from app.components.words import plain
from app.views.benchmarks import ROW_HEIGHT, caption, heads
from engine.schema import Benchmark, Catalogue, DataKind, DatasetInfo, EvaluateTask, PublishedRow

READ = {
    "drawn": "whole photons drawn", "raw": "raw expectation, no photons drawn",
    "truncated": "expectation truncated fibre by fibre, as AliceO2 keeps it",
}  # fmt: skip
WIDEST = 300
PUBLISHED = {"zn": ("table1", "zn"), "zp": ("zp",)}
"""Published tables by detector."""
CONTENTS = {
    "showers": "the-same-particle-side-by-side", "metrics": "metrics", "channels": "read-out-channels",
    "profile": "radial-profile", "parts": "part-by-part", "weak regions": "weak-regions",
    "time": "quality-against-time", "calibration": "with-the-light-calibrated",
}  # fmt: skip
"""Anchors of the headings."""


def comparable(done: list[Judged]) -> list[Judged]:
    """Those that were judged on the same particles as the first."""
    same = judged.same_primaries([one.report for one in done])
    left = [one.title for one, fits in zip(done, same, strict=True) if not fits]
    if left:
        st.warning(
            f"Judged on other particles, hence left out: {plain(', '.join(left))}.", icon=":material/difference:"
        )
    return [one for one, fits in zip(done, same, strict=True) if fits]


def record(done: Sequence[Judged], kind: DataKind, batch: int | None = None) -> Benchmark:
    reports = [one.report for one in done]
    batches = judged.batches(reports)
    return judged.record_of(reports, [one.title for one in done], kind, batch or (batches[-1] if batches else 0))


def headline(done: Sequence[Judged], dataset: DatasetInfo, book: Catalogue) -> None:
    """On what all were judged, and how the models look in every chart."""
    first = done[0].report
    shown = dataset.kind == "showers"
    words, save = st.columns([5, 1], gap="medium", vertical_alignment="center")
    with words:
        parts = [
            f"**{plain(first.label)}**",
            f"{first.primaries:,} {first.split} primaries, {first.showers:,} generated showers"
            if shown
            else f"{first.primaries:,} {first.split} examples",
            f"read-out convention `{first.convention}`" if shown else "",
            READ[first.reading] if shown else "",
            f"at least {first.threshold} simulated photons" if first.threshold else "",
            f"seed {first.seed}",
        ]
        st.markdown(" · ".join(part for part in parts if part))
        names = "".join(
            f'<span class="ss-model">{line_html(one.look)}<b>{html.escape(one.title)}</b> '
            f'<span class="ss-muted">{html.escape(one.report.model)}, step {one.report.step:,}</span></span>'
            for one in done
        )
        st.html(f'<div style="font-size:0.8rem">{names}</div>')
        if shown:
            st.caption("On this page: " + " · ".join(f"[{name}](#{anchor})" for name, anchor in CONTENTS.items()))
    with save:
        downloads(done, dataset)
    for one in done:
        if (step := judging.newer(one)) is not None:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.caption(f"{plain(one.title)} has learned on to step {step:,} since.", width="content")
                st.button(
                    "Judge the newest", key=f"newest {one.run.run_id}", type="tertiary", on_click=tasks.begin,
                    args=(judging.slot_of(one.request), EvaluateTask(request=one.request)),
                )  # fmt: skip


def downloads(done: Sequence[Judged], dataset: DatasetInfo) -> None:
    """Numbers, reports, the page that stands alone, and how charts are saved."""
    reports, titles = [one.report for one in done], [one.title for one in done]
    stem = f"models_on_{dataset.name}_{reports[0].split}"
    with st.popover("Download", width="stretch", key="save_models"):
        st.download_button(
            "Report, one HTML page", data=lambda: state.engine().report([one.task_id for one in done]),
            file_name=f"{stem}.html", mime="text/html", key="save_models_html", on_click="ignore", width="stretch",
            help="Stands alone: provenance, tables, charts. Opens without Showerscope.",
        )  # fmt: skip
        st.download_button(
            ".csv, every number", data=lambda: judged.numbers(reports, titles).to_csv(index=False).encode(),
            file_name=f"{stem}.csv", mime="text/csv", key="save_models_csv", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button(
            ".json, the reports",
            data=lambda: f"[{','.join(r.model_dump_json(indent=1) for r in reports)}]".encode(),
            file_name=f"{stem}.json", mime="application/json", key="save_models_json", on_click="ignore",
            width="stretch",
        )  # fmt: skip
        plots.choose_format()


# --------------------------------------------------------------------------------------------------------------- table
@st.fragment
@notices.guarded
def table(done: list[Judged], dataset: DatasetInfo, book: Catalogue) -> None:
    """A row a model, the floor first, published rows last; columns by what they look at."""
    dark = st.context.theme.type == "dark"
    found = record(done, dataset.kind)
    groups = judged.groups_of(ranking.columns(found, book), book)
    name = judged.FIRST
    with plots.head("Metrics"):
        if len(groups) > 1:
            if st.session_state.get(state.GROUP) not in groups:
                st.session_state.pop(state.GROUP, None)
            name = st.segmented_control(
                "Which metrics", list(groups), default=judged.FIRST, key=state.GROUP, bind="query-params",
                required=True, label_visibility="collapsed",
            )  # fmt: skip
    columns = groups[name or judged.FIRST]
    if not columns:
        notices.empty(f"No metric of {dataset.kind} is defined: their examples and times are all that can be compared.")
        return
    others = printed_rows(dataset, found, book, columns)
    rows = 1 + len(found.rows) + len(others)
    config = heads(found, columns, {m.name: m.formula for m in book.metrics})
    width = min(WIDEST, standings.pixels([ranking.floor_title(found), *(row.title for row in found.rows)], "model"))
    config["row"] = st.column_config.TextColumn("model", width=width, pinned=True)
    config["remark"] = st.column_config.TextColumn("remark", width=100, help="Why a row cannot be best.")
    if found.rows[0].ms_per_shower is not None:
        config[standings.EACH] = st.column_config.NumberColumn(
            width=66, help=f"Time of one {planes.thing(found)} where many are generated at once."
        )
    st.dataframe(
        standings.shown(found, columns, dark, others), hide_index=True, key="models_table", placeholder="–",
        height=ROW_HEIGHT * (rows + 1) + 2, row_height=ROW_HEIGHT, column_config=config,
        alt=f"{len(found.rows)} models with {', '.join(c.title for c in columns)}; first the floor",
    )  # fmt: skip
    below(found, columns, others)


def printed_rows(
    dataset: DatasetInfo, found: Benchmark, book: Catalogue, columns: Sequence[Column]
) -> list[PublishedRow]:
    """Published rows of this detector, or of these digits, with figures in these columns."""
    benches = PUBLISHED.get(dataset.detector, (found.bench,))
    names = {c.name for c in columns}
    return [row for row in book.published if row.bench in benches and names & row.figures().keys()]


def below(found: Benchmark, columns: Sequence[Column], others: Sequence[PublishedRow]) -> None:
    """What of the table's signs needs a word."""
    low, high = ranking.SOUND
    mae = any(c.name == "mae" for c in columns)
    sound = sum(not ranking.fault(row) for row in found.rows)
    marked = any(any(m) for m in standings.marks(found, columns).values())
    sources = "; ".join(plain(s) for s in dict.fromkeys(row.source for row in others))
    caption(
        {
            "Click a head to sort, rest on it for its definition": True,
            f"± bootstrap error over {'primaries' if found.convention else 'examples'}": True,
            f"× floor: over the same metric of {ranking.floor_title(found)}": any(
                ranking.measures(found, c) for c in columns
            ),
            f"{standings.STAR} beaten by no other model beyond √(e₁² + e₂²)": marked,
            "No ★: no two sound models differ beyond their errors": not marked and sound > 1,
            "No ★: fewer than two models have a sound spread": sound < 2 < 1 + len(found.rows),
            f"▼ ▲ spread of replicas outside {low}–{high}: never best": any(ranking.fault(r) for r in found.rows),
            f"**{standings.OTHERS}**: published elsewhere, never ranked here. {sources}":
                bool(others),
            "σ: over particles, as printed there": mae and any(row.mae_std for row in others),
        }
    )  # fmt: skip

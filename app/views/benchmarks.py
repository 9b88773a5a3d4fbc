"""Compare, benchmarks: what models reach that were trained and judged alike, beside the published table."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import state
from app.charts import benchmark, planes, ranking, standings
from app.charts.ranking import Column
from app.components import notices, plots
from app.components.plots import chart
from app.components.words import clock, plain
from app.views import recipe
from engine.schema import Benchmark, PublishedRow

HEIGHT = 420
ROW_HEIGHT = 31


def show() -> None:
    """This half of the page."""
    kept = state.keep("benchmarks", lambda: state.engine().benchmarks())
    book = state.keep("catalogue", state.catalogue)
    if kept.stale or book.stale:
        notices.stale()
    if not kept.value:
        notices.empty(
            "There is no record of a benchmark yet. `showerscope bench table1 --quick` trains every model of the "
            "family alike, judges all on the same held-out particles and leaves its record here."
        )
        return
    record = choose(kept.value)
    if not record.rows:
        notices.empty("No row of this benchmark ended well: its record holds none.")
        return
    dark = st.context.theme.type == "dark"
    columns = ranking.columns(record, book.value)
    theirs = ranking.published(record, book.value)
    headline(record, columns)
    table(record, columns, dark)
    if theirs:
        published(record, columns, theirs)
    charts(record, columns, theirs, dark)
    timed = any(row.train_seconds is not None for row in record.rows)
    places = st.columns(2, gap="medium") if timed else [st.container()]
    if timed:
        with places[0]:
            training_times(record, dark)
    with places[-1]:
        recipe.show(record, book.value)


# ----------------------------------------------------------------------------------------------------------- headline
def titles_of(records: list[Benchmark]) -> dict[str, str]:
    """How records stand in the picker, and in links: by what does not change, and no two alike."""
    titles: dict[str, str] = {}
    for record in records:
        kind = "quick" if record.quick else "full"
        when = record.made[:16].replace("T", " ") if record.made else record.commit
        parts = [record.title, record.data, kind, when if not record.house else ""]
        title = " · ".join(part for part in parts if part)
        titles[record.name] = f"{title} · {record.name}" if title in titles.values() else title
    return titles


def choose(records: list[Benchmark]) -> Benchmark:
    """The picker, with the downloads beside it."""
    by_name, titles = {r.name: r for r in records}, titles_of(records)
    if st.session_state.get(state.RECORD) not in by_name:
        st.session_state.pop(state.RECORD, None)
    name = st.selectbox(
        "Benchmark", list(by_name), format_func=lambda n: titles[n], key=state.RECORD, bind="query-params", width=560,
        help="Records of `showerscope bench`: those that come with Showerscope, then your own.",
    )  # fmt: skip
    return by_name[name or records[0].name]


def budget_of(record: Benchmark) -> str:
    """What every row was given, as one reads it."""
    budget = {k: v for k, v in record.budget.items() if k != "data"}
    # without a read-out the data are of no calorimeter
    what, tested = ("showers", "primaries") if record.convention else ("examples", "examples")
    said = []
    for name, value in budget.items():
        number = f"{value:,}" if isinstance(value, int | float) else plain(str(value))
        words = {"showers": f"training {what}", "primaries": f"test {tested}"}.get(name, plain(name.replace("_", " ")))
        said.append(f"{number} {words}")
    return ", ".join(said)


def headline(record: Benchmark, columns: list[Column]) -> None:
    """What was compared on what, with which budget, by which code; and that a trial is no verdict."""
    words, save = st.columns([5, 1], gap="medium", vertical_alignment="bottom")
    with words:
        st.markdown(f"### {plain(record.title)}: {plain(record.label or record.data)}")
        seeds = ", ".join(map(str, record.seeds))
        judged = next((r.showers for r in record.rows if r.showers), None)
        parts = [
            f"Every row: {budget_of(record)}" + (f" ({judged:,} showers)" if judged and record.convention else ""),
            f"seed {seeds}" if len(record.seeds) == 1 else f"seeds {seeds}" if seeds else "",
            f"read-out convention `{record.convention}`" if record.convention else "",
            f"commit `{record.commit}`" if record.commit else "",
            *(f"{plain(n)} {plain(v)}" for n, v in record.versions.items()),
            plain(record.made.replace("T", " ")) if record.made else "",
        ]
        st.markdown(" · ".join(part for part in parts if part))
    with save:
        downloads(record, columns)
    if record.quick:
        st.info(
            "**Quick: no verdict.** This record shows that every row trains and is judged, not how good it gets."
            + (" One seed: errors are those of the test sample, not of another training." * (len(record.seeds) == 1)),
            icon=":material/hourglass_top:",
        )
    if record.missing:
        st.warning("Ended badly, hence not in the table: " + plain(", ".join(record.missing)) + ".")


def downloads(record: Benchmark, columns: list[Column]) -> None:
    """The numbers as CSV, the record as JSON, and how charts are saved."""
    stem = record.name.removeprefix("home:")
    with st.popover("Download", width="stretch", key="save_compare"):
        st.download_button(
            ".csv", data=lambda: standings.numbers(record, columns).to_csv(index=False).encode(),
            file_name=f"{stem}.csv", mime="text/csv", key="save_compare_csv", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button(
            ".json", data=lambda: record.model_dump_json(indent=1).encode(), file_name=f"{stem}.json",
            mime="application/json", key="save_compare_json", on_click="ignore", width="stretch",
        )  # fmt: skip
        plots.choose_format()


# -------------------------------------------------------------------------------------------------------------- tables
def table(record: Benchmark, columns: list[Column], dark: bool) -> None:
    """Every row with its errors; the heads sort."""
    st.dataframe(
        standings.shown(record, columns, dark), hide_index=True, key="compare_table", placeholder="–",
        height=ROW_HEIGHT * (len(record.rows) + 2) + 2, row_height=ROW_HEIGHT, column_config=heads(record, columns),
        alt=f"{len(record.rows)} rows of {record.title} with {', '.join(c.title for c in columns)}, training time, "
        "milliseconds each and parameters; first the floor",
    )  # fmt: skip
    low, high = ranking.SOUND
    parts = {
        "Click a head to sort": True,
        "± standard error of the mean over seeds": len(record.seeds) > 1,
        "± standard error of the test sample": len(record.seeds) <= 1,
        f"× floor: over the same metric of {ranking.floor_title(record)}, judged alike": any(
            ranking.measures(record, c) for c in columns
        ),
        f"{standings.STAR} beaten by no other row beyond √(e₁² + e₂²), in columns where any row is beaten": any(
            any(found) for found in standings.marks(record, columns).values()
        ),
        f"▼ ▲ spread of replicas outside {low}–{high}: never best, since an answer that hardly varies has the lowest "
        "MAE of all": any(ranking.fault(row) for row in record.rows),
        "Times are those of the machine that ran it": any(row.train_seconds for row in record.rows),
    }
    caption(parts)


def heads(record: Benchmark, columns: list[Column], formulas: dict[str, str] | None = None) -> dict[str, Any]:
    """Widths, and what each number means. formulas: of metrics by name, to be said too."""
    found: dict[str, Any] = {
        "row": st.column_config.TextColumn("row", width=226, pinned=True),
        "remark": st.column_config.TextColumn(
            "remark", width=84, help="Why a row cannot be best: its replicas vary too little, or too much."
        ),
        standings.TIME: st.column_config.NumberColumn(width=82),
        standings.EACH: st.column_config.NumberColumn(width=66, help="Time of one generated shower or picture."),
        standings.WEIGHTS: st.column_config.NumberColumn(width=84),
    }
    reads = {"lower": "lower is better", "higher": "higher is better", "one": "1 is ideal", "": ""}
    for c in columns:
        tip = ", ".join(part for part in (plain(c.title), reads[c.direction]) if part)
        if formula := (formulas or {}).get(c.name):
            tip += f": {plain(formula)}"
        texts = [f"{standings.STAR}{standings.both(row.metrics.get(c.name))}" for row in record.rows]
        found[c.head] = st.column_config.NumberColumn(width=standings.pixels(texts, c.head), help=tip)
        found[f"{c.short} × floor"] = st.column_config.NumberColumn(
            "× floor", width=68,
            help=f"{plain(c.title)} over that of {ranking.floor_title(record)}; 1 cannot be told from it.",
        )  # fmt: skip
    return found


def published(record: Benchmark, columns: list[Column], rows: list[PublishedRow]) -> None:
    """The paper's table beside ours."""
    st.markdown("#### Published, beside ours")
    frame = standings.beside(record, columns, rows)
    found: dict[str, Any] = {}
    for name in frame.columns:
        if name.endswith(" floor"):
            found[name] = st.column_config.NumberColumn("× floor", format="%.2f", width=68)
        else:
            found[name] = st.column_config.TextColumn(width=standings.pixels(list(frame[name]), name))
    st.dataframe(
        frame, hide_index=True, key="compare_published", height=ROW_HEIGHT * (len(frame) + 1) + 2,
        row_height=ROW_HEIGHT, placeholder="–", column_config=found,
        alt="Published rows, each beside the row of ours that repeats it, with multiples of each table's own floor",
    )  # fmt: skip
    sources = "; ".join(plain(s) for s in dict.fromkeys(row.source for row in rows))
    units = ", ".join(f"{c.short} in {c.unit}" for c in columns if c.unit and f"{c.short} theirs" in frame)
    caption(
        {
            f"**Other subsets, not ranked against ours.** {sources}": True,
            units: bool(units),
            "σ: over particles, as printed there, not an error of the mean": any(row.mae_std for row in rows),
            "× floor: over each table's own original data": any(name.endswith(" floor") for name in frame),
        }
    )


def caption(parts: dict[str, bool]) -> None:
    """What of these words applies."""
    st.caption(". ".join(words for words, so in parts.items() if so) + ".")


# -------------------------------------------------------------------------------------------------------------- charts
def charts(record: Benchmark, columns: list[Column], rows: list[PublishedRow], dark: bool) -> None:
    """Metric against metric, and quality against speed."""
    quality, speed = planes.quality(record, columns, rows), planes.speed(record, columns)
    places = iter(st.columns([1.15, 1], gap="medium") if quality and speed else [st.container()])
    if quality:
        first, second = columns[:2]
        points, x, y = quality
        with next(places):
            st.markdown(f"#### {plain(second.short)} against {plain(first.short)}")
            alt = f"{second.title} against {first.title} of {len(points)} rows, with errors"
            chart(benchmark.plane(*quality, dark), "compare_quality", HEIGHT, alt)
            parts = {
                "Bars: standard errors of a row": True,
                "Star: the floor, with its own": x.floors and y.floors,
                "Open: published, in multiples of their floor, other subsets": any(p.open_ for p in points),
                "Pale: collapsed or too wide": not all(p.sound for p in points),
            }
            caption(parts)
    if speed:
        with next(places):
            st.markdown("#### Quality against speed")
            alt = f"{columns[0].title} against milliseconds each of {len(speed[0])} rows, with their Pareto line"
            chart(benchmark.plane(*speed, dark, front=True), "compare_speed", HEIGHT, alt)
            st.caption("Dotted: what sound rows better in both. Lower left is better.")


def training_times(record: Benchmark, dark: bool) -> None:
    timed = [row for row in record.rows if row.train_seconds is not None]
    seconds = [row.train_seconds or 0.0 for row in timed]
    st.markdown("#### Training time")
    spec = benchmark.times([r.title for r in timed], [ranking.family(r.model) for r in timed], seconds, dark)
    chart(spec, "compare_times", benchmark.ROW * len(timed) + benchmark.ENDS,
          f"Training time of {len(timed)} rows, from {clock(min(seconds))} to {clock(max(seconds))}")  # fmt: skip

"""Compare, models: what a shower costs in time, and what one factor for all light would mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from app import state
from app.charts import benchmark, judged, planes, ranking, standings
from app.components import notices, plots
from app.components.judging import Judged
from app.components.words import measured
from app.views import standing
from app.views.benchmarks import ROW_HEIGHT
from engine.schema import Catalogue, DataKind, DatasetInfo, MetricValue

HEIGHT = 360
ONE: dict[DataKind, str] = {"showers": "shower", "images": "picture", "points": "point"}


@st.fragment
@notices.guarded
def show(done: list[Judged], dataset: DatasetInfo, book: Catalogue, dark: bool) -> None:
    """Quality against time, the times, and the calibration."""
    reports = [one.report for one in done]
    batches = judged.batches(reports)
    calibrated = [one for one in done if one.report.calibration is not None]
    if not batches and not calibrated:
        return
    with_chart = bool(batches) and any(r.metrics for r in reports)
    places = iter(st.columns([1, 1.2], gap="medium") if with_chart else [st.container()])
    if with_chart:
        with next(places):
            speed(done, dataset, book, batches, dark)
    with next(places):
        if batches:
            times(done, batches, ONE[dataset.kind])
        if calibrated:
            calibration(calibrated, book)


def speed(
    done: Sequence[Judged], dataset: DatasetInfo, book: Catalogue, batches: Sequence[int], dark: bool
) -> None:  # fmt: skip
    with plots.head("Quality against time"):
        if st.session_state.get(state.BATCH) not in batches:
            st.session_state.pop(state.BATCH, None)
        batch = st.segmented_control(
            "Generated at once", batches, default=batches[-1], format_func=lambda n: f"{n:,} at once", key=state.BATCH,
            bind="query-params", required=True, label_visibility="collapsed",
        )  # fmt: skip
    found = standing.record(done, dataset.kind, batch)
    columns = judged.groups_of(ranking.columns(found, book), book)[judged.FIRST]
    plane = planes.speed(found, columns)
    if plane is None:
        notices.empty("No model has both a metric and a time at this batch.")
        return
    points = [replace(p, family=p.title) for p in plane[0]]
    looks = {one.title: (one.look.symbol, one.look.colour) for one in done}
    plots.chart(
        benchmark.plane(points, *plane[1:], dark, front=True, looks=looks), "models_speed", HEIGHT,
        f"{columns[0].title} against milliseconds each of {len(plane[0])} models, with their Pareto line",
    )  # fmt: skip
    st.caption("Dotted: what sound models better in both. Lower left is better.")


def times(done: Sequence[Judged], batches: Sequence[int], thing: str) -> None:
    st.markdown(f"#### Time of one {thing} [ms]")
    frame = pd.DataFrame({"model": [one.title for one in done]})
    for batch in batches:
        found = [next((t for t in one.report.timing if t.batch == batch), None) for one in done]
        frame[f"{batch:,} at once"] = ["–" if t is None else measured(t.ms, t.error) for t in found]
    frame["parameters"] = [f"{one.report.parameters:,}" for one in done]
    st.dataframe(
        frame, hide_index=True, key="models_times", height=ROW_HEIGHT * (len(frame) + 1) + 2, row_height=ROW_HEIGHT,
        alt=f"Milliseconds of one {thing} at batches of {', '.join(map(str, batches))} for {len(done)} models",
    )  # fmt: skip
    machines = dict.fromkeys(
        f"{o.report.device or 'device unknown'}, {o.report.threads} thread{'s' * (o.report.threads != 1)}" for o in done
    )
    st.caption(f"± standard deviation over repeats. Measured on: {'; '.join(machines)}.")


def calibration(done: Sequence[Judged], book: Catalogue) -> None:
    """One factor for all light, fitted where nothing is judged."""
    st.markdown("#### With the light calibrated")
    infos = {m.name: m for m in book.metrics}
    frame = pd.DataFrame({"model": [one.title for one in done]})
    found = [one.report.calibration for one in done]
    frame["factor"] = [measured(c.factor, c.error) if c else "–" for c in found]
    for name in dict.fromkeys(name for c in found if c for name in c.before):
        info = infos.get(name)
        head = (info.short or info.title) if info else name
        frame[f"{head} before"] = [number(c.before.get(name)) if c else "–" for c in found]
        frame[f"{head} after"] = [number(c.after.get(name)) if c else "–" for c in found]
    config: dict[str, Any] = {c: st.column_config.TextColumn(width=standings.pixels(list(frame[c]), c)) for c in frame}
    config["model"] = st.column_config.TextColumn(width=min(170, standings.pixels(list(frame["model"]), "model")))
    st.dataframe(
        frame, hide_index=True, key="models_calibration", height=ROW_HEIGHT * (len(frame) + 1) + 2,
        row_height=ROW_HEIGHT, column_config=config,
        alt=f"Calibration factor of {len(done)} models, and their metrics before and after",
    )  # fmt: skip
    st.caption(
        "One factor a model for all its light, simulated over generated on **validation** particles, never on the "
        "ones judged here. What it cannot mend is not the scale of the light. The table above is without it."
    )


def number(value: MetricValue | None) -> str:
    return "–" if value is None else standings.both(value)

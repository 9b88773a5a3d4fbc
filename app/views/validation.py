"""How far a simulated set agrees with Geant4 at the same primaries, statistic by statistic."""

from __future__ import annotations

import re

import pandas as pd
import streamlit as st

from app.charts import checks, ratio
from app.charts.colour import GENERATED
from app.components import tasks
from app.components.words import clock, plain
from engine.schema import CheckTask, DatasetInfo, Split, Validation, ValidationRow

CHECKED = ("zdc_fast",)
"""Sets that the engine can simulate at Geant4's conditions."""
ACROSS, HEIGHT = 3, 290
SPLITS: tuple[Split, ...] = ("test", "validation", "train")


def show(dataset: DatasetInfo) -> None:
    """The button, the bar, or the finished check."""
    split = st.session_state.get("check_split") or SPLITS[0]
    slot = f"check {dataset.name} {split}"
    info = tasks.find(slot)
    running = info is not None and not info.ended
    words, choice, button = st.columns([3.2, 1, 1], gap="medium", vertical_alignment="bottom")
    words.markdown(
        "Simulates this set's showers at the conditions of held-out Geant4 primaries and measures how far each "
        "statistic is from Geant4. The **floor** is the distance between Geant4 and Geant4 again."
    )
    choice.selectbox("Geant4 split", SPLITS, key="check_split", disabled=running)
    button.button(
        "Check against Geant4", type="primary", icon=":material/balance:", key="start_check", width="stretch",
        on_click=tasks.begin, args=(slot, CheckTask(data=dataset.name, split=split)), disabled=running,
    )  # fmt: skip
    if info is not None and not info.ended:
        tasks.bar(slot, f"Checking {dataset.title}")
        return
    tasks.outcome(slot, info)
    if info is not None and info.validation is not None:
        report(info.validation, dataset)


def report(found: Validation, dataset: DatasetInfo) -> None:
    """Headline, table beside chart, distributions."""
    dark = st.context.theme.type == "dark"
    head, save = st.columns([4, 1], vertical_alignment="bottom")
    head.markdown(f"#### {found.within} of {found.of} statistics within {found.target:g}× of Geant4's own scatter")
    with save.popover("Download", width="stretch", key="save_check"):
        stem = f"{found.data if found.data == dataset.name else dataset.name}_against_geant4_{found.split}"
        st.download_button(
            ".json", data=lambda: found.model_dump_json(indent=1).encode(), file_name=f"{stem}.json",
            mime="application/json", key="save_check_json", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button(
            ".csv", data=lambda: csv_of(found), file_name=f"{stem}.csv", mime="text/csv", key="save_check_csv",
            on_click="ignore", width="stretch",
        )  # fmt: skip
    st.caption(
        f"{found.showers:,} showers of {found.primaries:,} primaries, split {found.split}; "
        f"{plain(found.data)}, against {plain(found.reference)}; took {clock(found.seconds)}."
    )
    height = checks.HEAD + checks.ROW * len(found.rows)
    left, right = st.columns([1.35, 1], gap="medium")
    with left:
        table(found.rows, found.target, height)
    with right:
        st.echarts_chart(
            checks.ratios([r.name for r in found.rows], [r.ratio for r in found.rows], found.target, dark),
            height=height + checks.FOOT, key="check_ratios",
            alt=f"Distance over floor of each statistic; lines at 1 and {found.target:g}. "
            f"{found.within} of {found.of} are within {found.target:g}.",
        )  # fmt: skip
    st.caption(
        "Distance, floor: in the statistic's unit, averaged over random choices of the replicas. 1× is as near as "
        f"another run of Geant4 (dashed), {found.target:g}× the target (solid). A distance between distributions has "
        "no single value."
    )
    distributions(found, dark)


def sign(row: ValidationRow, target: float) -> str:
    return f"✓ within {target:g}×" if row.within else f"✗ beyond {target:g}×"


def frame_of(rows: list[ValidationRow], target: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "statistic": [r.name for r in rows],
            "unit": [r.unit for r in rows],
            "this set": [r.value for r in rows],
            "Geant4": [r.reference for r in rows],
            "distance": [r.distance for r in rows],
            "floor": [r.floor for r in rows],
            "ratio": [r.ratio for r in rows],
            "judgement": [sign(r, target) for r in rows],
        }
    )


def csv_of(found: Validation) -> bytes:
    return frame_of(found.rows, found.target).to_csv(index=False).encode()


def table(rows: list[ValidationRow], target: float, height: int) -> None:
    """Rows as high as the chart's beside it."""
    numbers = {
        name: st.column_config.NumberColumn(name, format="%.3g")
        for name in ("this set", "Geant4", "distance", "floor", "ratio")
    }
    widths = {"statistic": st.column_config.TextColumn("statistic", width=245), "unit": st.column_config.TextColumn()}
    st.dataframe(
        frame_of(rows, target), hide_index=True, height=height + 2, row_height=checks.ROW, placeholder="–",
        key="check_table", column_config=numbers | widths,
        alt="Statistics of this set and of Geant4 with distance, floor, ratio and judgement",
    )  # fmt: skip


def bracketed(label: str) -> str:
    """An axis label with its unit as on every other axis here: `r / cm` becomes `r [cm]`."""
    return re.sub(r" / (\S+)$", r" [\1]", label)


def distributions(found: Validation, dark: bool) -> None:
    """The curves behind the table, Geant4 as points, the set as a line."""
    if not found.curves:
        return
    st.markdown("#### Distributions")
    panels = [
        ratio.curve(c.name, bracketed(c.x_label), c.y_label, c.x, c.reference, c.error, c.value)
        for c in found.curves
        if c.x
    ]
    for k in range(0, len(panels), ACROSS):
        for place, panel in zip(st.columns(ACROSS), panels[k : k + ACROSS], strict=False):
            with place:
                st.echarts_chart(
                    ratio.overlay(panel, ("Geant4", "this set"), dark, HEIGHT, "set / G4", GENERATED), height=HEIGHT,
                    key=f"check_curve_{panel.title}", alt=f"{panel.title} of this set and of Geant4 with their ratio",
                )  # fmt: skip
    st.caption("Points: Geant4 with its statistical error; line: this set. Ratio dashed at 1, arrowhead beyond 2.")

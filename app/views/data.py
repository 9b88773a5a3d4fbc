"""Data: what a data set holds, shower by shower and as spectra, beside another set, and where it came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.charts import histogram, picture, response
from app.components import files, filters, kinds, notices, tasks
from app.components.filters import SPLITS
from app.components.words import plain
from app.views import collection, importing, overlay, readout, validation
from engine.schema import CONDITIONS, Arrays, Catalogue, DatasetInfo, FileFormat

PAGE = 50
MOST_SAVED = 20_000
"""Showers with pictures in one download; the engine's limit."""
LOGARITHMIC = ("Energy",)
SHOWERS, RATIO, AGREEMENT, READOUT, IMPORT = "Showers", "Ratio", "Agreement", "Read-out", "Import"
TITLES = {
    SHOWERS: "Showers", RATIO: "Ratio to another set", AGREEMENT: "Agreement with Geant4", READOUT: "Read-out masks",
    IMPORT: "Import",
}  # fmt: skip


def show() -> None:
    """The page."""
    sets = state.keep("datasets", state.datasets)
    book = state.keep("catalogue", state.catalogue)
    if sets.stale or book.stale:
        notices.stale()
    if not sets.value:
        importing.show([])
        return
    known = state.in_order(sets.value)
    dataset = choose(known)
    view = choose_view(dataset)
    if view == IMPORT:
        importing.show(known)
    elif view == AGREEMENT:
        validation.show(dataset)
    elif view == READOUT:
        readout.show(dataset, book.value)
    elif not dataset.ready:
        tasks.prepare(dataset)
    elif dataset.kind != "showers":
        collection.browse(dataset)
    else:
        browse(dataset, known, book.value, state.current_convention(), view)


def choose(sets: list[DatasetInfo]) -> DatasetInfo:
    """The picker with the set's facts beside it."""
    by_name = {d.name: d for d in sets}
    if st.session_state.get(state.SET) not in by_name:
        st.session_state.pop(state.SET, None)
    left, right = st.columns([1, 3], gap="medium")
    with left:
        name = st.selectbox(
            "Data set",
            list(by_name),
            format_func=lambda n: state.title_of(by_name[n]),
            key=state.SET,
            bind="query-params",
        )  # fmt: skip
    dataset = by_name[name or sets[0].name]
    splits = ", ".join(f"{k} {v:,}" for k, v in dataset.splits.items())
    facts = "".join(f" · {k}: {plain(v)}" for k, v in dataset.facts.items() if not dataset.imported)
    by, here = (" by primary", "made") if dataset.kind == "showers" else ("", "here")
    with right:
        st.markdown(
            f"**{plain(dataset.label)}**  \n{amount(dataset)}, {kinds.size_of(dataset)}"
            + (f"; split{by}: {splits}{facts}" if dataset.ready else f"; not {here} yet")
        )
        st.caption(plain(dataset.provenance) if dataset.imported else dataset.provenance)
        if dataset.imported:
            with st.container(horizontal=True, gap="small"):
                st.button(
                    "Import report", icon=":material/description:", key="open_report",
                    on_click=open_report, args=(dataset.name,),
                )  # fmt: skip
                importing.removal(dataset.name, "set")
    return dataset


def amount(dataset: DatasetInfo) -> str:
    """How many examples there are; replicas of a primary are counted as such."""
    of = f" of {dataset.primaries:,} primaries" if dataset.kind == "showers" else ""
    return f"{dataset.showers:,} {dataset.kind}{of}"


def open_report(name: str) -> None:
    st.session_state[state.VIEW] = IMPORT
    st.session_state[state.REPORT] = name


def choose_view(dataset: DatasetInfo) -> str:
    """What of the set is looked at: ratio and read-out of showers only, agreement where the engine can check it."""
    offered = TITLES if dataset.kind == "showers" else (SHOWERS, IMPORT)
    titles = TITLES | {SHOWERS: dataset.kind.capitalize()}
    views = [v for v in offered if v != AGREEMENT or dataset.name in validation.CHECKED]
    if st.session_state.get(state.VIEW) not in views:
        st.session_state.pop(state.VIEW, None)
    default = None if state.VIEW in st.session_state else SHOWERS  # a button may have set it
    view = st.segmented_control(
        "View", views, default=default, format_func=lambda v: titles[v], key=state.VIEW, bind="query-params",
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    return view or SHOWERS


@st.fragment
@notices.guarded
def browse(dataset: DatasetInfo, sets: list[DatasetInfo], book: Catalogue, convention: str, view: str) -> None:
    """Filters and what follows from them; reruns alone when a filter moves."""
    convention = at_home(dataset, book, convention)
    columns = state.known_columns(dataset, convention)
    chosen = filters.choose(dataset, columns, book)
    rows = chosen.rows(columns)
    if not len(rows):
        notices.empty("No shower passes these filters. Widen the energy range or lower the photon threshold.")
        return
    dark = st.context.theme.type == "dark"
    if view == RATIO:
        overlay.show(dataset, sets, columns, chosen, convention, dark)
        return
    table, charts = st.columns([1, 1.1], gap="medium")
    with table:
        thumbnails(dataset, columns, book, rows)
    with charts:
        spectra(columns, rows, dark)
        against(dataset, columns, rows, dark)
    channel_spectra(columns, rows, convention, dark)


def at_home(dataset: DatasetInfo, book: Catalogue, convention: str) -> str:
    """The strip's convention, or the first one where this detector has none of that name."""
    names = [c.name for c in state.detector_of(dataset, book).conventions]
    return convention if convention in names or not names else names[0]


def frame_of(columns: Arrays, rows: np.ndarray) -> pd.DataFrame:
    """The numbers of these rows, as they are downloaded."""
    frame = pd.DataFrame(np.asarray(columns["conditions"])[rows], columns=list(CONDITIONS))
    frame.insert(0, "row", rows)
    for name in ("pdg", "primary_id", "replica", "split", "photon_sum", "largest_pixel"):
        frame[name] = np.asarray(columns[name])[rows]
    for k in range(np.asarray(columns["channels"]).shape[1]):
        frame[f"channel_{k + 1}"] = np.asarray(columns["channels"])[rows, k]
    frame["impact_x_mm"], frame["impact_y_mm"] = np.asarray(columns["impact_mm"])[rows].T
    return frame


def thumbnails(dataset: DatasetInfo, columns: Arrays, book: Catalogue, rows: np.ndarray) -> None:
    """A page of the table with a picture a row, and the download of all kept rows."""
    pages = -(-len(rows) // PAGE)
    count, page_place, save = st.columns([1.6, 1, 1.2], vertical_alignment="bottom")
    count.markdown(f"**{len(rows):,}** of {dataset.showers:,} showers")
    if st.session_state.get("page", 1) > pages:
        st.session_state["page"] = pages
    page = int(page_place.number_input(f"Page of {pages}", 1, pages, 1, key="page")) - 1
    with save:
        downloads(dataset, columns, rows)
    here = rows[page * PAGE : (page + 1) * PAGE]
    shown = state.keep(f"thumbnails {dataset.name}", lambda: state.engine().showers(dataset.name, here.tolist()))
    if shown.stale:
        notices.stale()
    pictures = shown.value["showers"]
    numbers = frame_of(columns, here)
    if len(pictures) == len(numbers):  # otherwise the pictures are the last good ones of other rows
        numbers.insert(0, "shower", [picture.shower_url(s, max(1.0, float(s.max()))) for s in pictures])
    numbers.insert(1, "particle", [state.particle_named(int(p), book).symbol for p in numbers.pop("pdg")])
    numbers["split"] = [SPLITS[int(s)] for s in numbers["split"]]
    st.dataframe(
        numbers,
        hide_index=True,
        height=620,
        row_height=46,
        key="rows",
        alt="Table of showers with thumbnail, conditions and photon sum",
        column_order=[
            "shower", "particle", "Energy", "photon_sum", "impact_x_mm", "impact_y_mm", "largest_pixel", "primary_id",
            "replica", "split",
        ],
        column_config={
            "shower": st.column_config.ImageColumn("shower", width=50),
            "Energy": st.column_config.NumberColumn("E [GeV]", format="%.1f"),
            "photon_sum": st.column_config.NumberColumn("Σ [photons]", format="%d"),
            "impact_x_mm": st.column_config.NumberColumn("x [mm]", format="%.1f"),
            "impact_y_mm": st.column_config.NumberColumn("y [mm]", format="%.1f"),
            "largest_pixel": st.column_config.NumberColumn("largest fibre", format="%d"),
            "primary_id": st.column_config.NumberColumn("primary", format="%d"),
        },
    )  # fmt: skip


def downloads(dataset: DatasetInfo, columns: Arrays, rows: np.ndarray) -> None:
    """Files of the kept rows, with pictures up to a size that a browser bears."""

    def make(name: FileFormat) -> bytes:
        if name == "csv":
            return frame_of(columns, rows).to_csv(index=False).encode()
        return state.engine().save_rows(dataset.name, rows.tolist(), name)

    with st.popover("Download", width="stretch", key="save_rows"):
        many = len(rows) > MOST_SAVED
        st.caption(
            f"The {len(rows):,} showers that pass the filters: pictures, conditions and channels; CSV without pictures."
        )
        files.buttons(make, f"{dataset.name}_{len(rows)}_showers", "save", ("npz", "parquet", "root") if many else ())
        if many:
            st.caption(f"Pictures of at most {MOST_SAVED:,} showers here. The whole set:")
            st.code(f"showerscope data export {dataset.name} --out {dataset.name}.root", language=None, wrap_lines=True)


def chart(spec: dict[str, Any], key: str, height: int, alt: str) -> None:
    st.echarts_chart(spec, height=height, key=key, alt=alt)


def spectra(columns: Arrays, rows: np.ndarray, dark: bool) -> None:
    """Photon sum and energy of the kept showers beside all showers."""
    light, energy = np.asarray(columns["photon_sum"], float), np.asarray(columns["conditions"], float)[:, 0]
    for values, title, unit, place in zip(
        (light, energy), ("photon sum", "energy"), ("photons", "GeV"), st.columns(2), strict=True
    ):
        layers = {"all showers": values} if len(rows) == len(values) else {"selected": values[rows], "all": values}
        with place:
            spec = histogram.spectrum(layers, title, unit, True, dark)
            chart(spec, f"spectrum_{title}", 300, f"Spectrum of {title} in {unit}")


def against(dataset: DatasetInfo, columns: Arrays, rows: np.ndarray, dark: bool) -> None:
    """The response: photon sum against one condition."""
    names = [c.name for c in dataset.conditions if c.maximum > c.minimum]
    if not names:
        return
    name = st.selectbox("Response against", names, key=state.AGAINST, bind="query-params") or names[0]
    condition = state.condition_named(name, dataset)
    x = np.asarray(columns["conditions"], float)[rows, CONDITIONS.index(name)]
    y = np.asarray(columns["photon_sum"], float)[rows]
    spec = response.response(x, y, name, condition.unit if condition else "", name in LOGARITHMIC, dark)
    chart(spec, "response", 290, f"Photon sum against {name}")


def channel_spectra(columns: Arrays, rows: np.ndarray, convention: str, dark: bool) -> None:
    """The five read-out channels at the strip's convention."""
    st.markdown(f"#### Channel spectra, read-out convention `{convention}`")
    channels = np.asarray(columns["channels"], float)[rows]
    for k, place in enumerate(st.columns(5)):
        with place:
            spec = histogram.spectrum({"showers": channels[:, k]}, f"channel {k + 1}", "photons", True, dark, bins=28)
            del spec["legend"]
            chart(spec, f"channel_{k}", 240, f"Spectrum of channel {k + 1} in photons")
    st.caption(
        "Counts per bin; bins are equal in the logarithm, showers without light in that channel stand in the first."
    )

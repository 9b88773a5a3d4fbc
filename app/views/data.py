"""Data: what a data set holds, shower by shower and as spectra, and where it came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.charts import colour, histogram, picture, response
from app.components import notices
from engine.schema import CONDITIONS, Arrays, Catalogue, Convention, DatasetInfo

PAGE = 50
THRESHOLDS = [0, 1, 5, 10, 18]
SPLITS = ("train", "validation", "test")
LOGARITHMIC = ("Energy",)


def show() -> None:
    """The page."""
    sets = state.keep("datasets", state.datasets)
    book = state.keep("catalogue", state.catalogue)
    if sets.stale or book.stale:
        notices.stale()
    if not sets.value:
        notices.empty("The engine knows no data set. Import one with `showerscope data import FILE --name N`.")
        return
    dataset = choose(sets.value)
    convention = state.current_convention()
    columns = state.keep(f"columns {dataset.name} {convention}", lambda: state.columns(dataset.name, convention)).value
    browse(dataset, columns, book.value, convention)
    conventions(dataset, book.value)


def choose(sets: list[DatasetInfo]) -> DatasetInfo:
    """The picker with the set's facts beside it."""
    by_name = {d.name: d for d in sets}
    left, right = st.columns([1, 3], gap="medium")
    with left:
        name = st.selectbox(
            "Data set", list(by_name), format_func=lambda n: by_name[n].title, key=state.SET, bind="query-params"
        )
    dataset = by_name[name or sets[0].name]
    splits = ", ".join(f"{k} {v:,}" for k, v in dataset.splits.items())
    facts = "".join(f" · {k}: {v}" for k, v in dataset.facts.items())
    with right:
        st.markdown(
            f"**{dataset.label}**  \n{dataset.showers:,} showers of {dataset.primaries:,} primaries, "
            f"{dataset.shape[0]}×{dataset.shape[1]} fibres; split by primary: {splits}{facts}"
        )
        st.caption(dataset.provenance)
    return dataset


@st.fragment
@notices.guarded
def browse(dataset: DatasetInfo, columns: Arrays, book: Catalogue, convention: str) -> None:
    """Filters, table, spectra and response of the kept rows; reruns alone when a filter moves."""
    rows = filter_rows(dataset, columns, book)
    if not len(rows):
        notices.empty("No shower passes these filters. Widen the energy range or lower the photon threshold.")
        return
    dark = st.context.theme.type == "dark"
    table, charts = st.columns([1, 1.1], gap="medium")
    with table:
        thumbnails(dataset, columns, book, rows)
    with charts:
        spectra(columns, rows, dark)
        against(dataset, columns, rows, dark)
    channel_spectra(columns, rows, convention, dark)


def filter_rows(dataset: DatasetInfo, columns: Arrays, book: Catalogue) -> np.ndarray:
    """Row numbers that pass species, split, energy and photon threshold."""
    names = {pdg: state.particle_named(pdg, book).symbol for pdg in dataset.pdg}
    species_place, split_place, energy_place, photon_place = st.columns(
        [1.2, 1.2, 1.6, 1.3], vertical_alignment="bottom"
    )
    species = species_place.pills(
        "Species", list(names), selection_mode="multi", format_func=lambda p: names[p], key=state.SPECIES
    )
    split = split_place.pills("Split", SPLITS, selection_mode="multi", key="split")
    least = photon_place.segmented_control(
        "Photon sum at least", THRESHOLDS, default=0, key=state.PHOTONS, bind="query-params", required=True
    )
    kept = np.asarray(columns["photon_sum"]) >= float(least or 0)
    if state.condition_named("Energy", dataset):
        energy = np.asarray(columns["conditions"])[:, CONDITIONS.index("Energy")]
        # of all splits: the data set's own range speaks of training showers only
        low, high = float(np.floor(energy.min())), float(np.ceil(energy.max()))
        a, b = energy_place.slider("Energy [GeV]", low, high, (low, high), format="%d", key=f"energy_{dataset.name}")
        kept &= (energy >= a) & (energy <= b)
    if species:
        kept &= np.isin(columns["pdg"], species)
    if split:
        kept &= np.isin(columns["split"], [SPLITS.index(s) for s in split])
    return np.flatnonzero(kept)


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
    page = int(page_place.number_input(f"Page of {pages}", 1, pages, 1, key="page")) - 1
    save.download_button(
        "Download CSV", data=lambda: frame_of(columns, rows).to_csv(index=False).encode(), mime="text/csv",
        file_name=f"{dataset.name}_{len(rows)}_showers.csv", on_click="ignore", key="save_rows", width="stretch",
        help="Conditions, channels and sums of every shower that passes the filters.",
    )  # fmt: skip
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


def conventions(dataset: DatasetInfo, book: Catalogue) -> None:
    """Each read-out convention as a picture."""
    known = state.detector_of(dataset, book).conventions
    if not known:
        return
    st.markdown("#### Read-out conventions")
    st.html(picture.row_html([mask_figure(c) for c in known]) + channel_legend())
    st.caption("Conventions in use disagree. Each number on these pages says which one it used; **check with ALICE**.")


def mask_figure(convention: Convention, width: int = 220) -> str:
    return picture.figure_html(
        picture.mask_url(np.array(convention.channel), colour.CHANNELS),
        f"<b>{convention.name}</b>",
        f"Which channel each fibre belongs to in convention {convention.name}",
        width,
    )


def channel_legend() -> str:
    """The colours of the masks, named."""
    items = "".join(
        f'<span class="ss-dot" style="border-radius:0;background:{colour.CHANNELS[k]};margin-left:1rem"></span>'
        f"channel {k + 1}"
        for k in range(5)
    )
    return f'<p style="font-size:0.8rem">{items}</p>'

"""Data, for images and points: the examples of a set by class and split, and what they have in common."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import state
from app.charts import classes, grey, histogram, points
from app.charts.colour import data_blue
from app.components import clouds, files, kinds, notices
from app.components.filters import SPLITS
from engine.schema import Arrays, DatasetInfo, FileFormat

ACROSS, DOWN = 14, 8
PAGE = ACROSS * DOWN
MEAN_OF = 200
"""Images of a class that its mean is taken over: all of them would be hundreds of megabytes."""
MOST_SAVED, MOST_SHOWN = 20_000, 5000
MEAN_WIDTH = 560


@st.fragment
@notices.guarded
def browse(dataset: DatasetInfo) -> None:
    """Filters and what follows from them; reruns alone when a filter moves."""
    columns = state.known_columns(dataset, state.CONVENTIONS[0])
    dark = st.context.theme.type == "dark"
    rows = choose(dataset, columns)
    if not len(rows):
        notices.empty(f"No {dataset.kind} are of these classes and splits: choose others.")
        return
    left, right = st.columns([1.1, 1], gap="medium")
    with left:
        if dataset.kind == "images":
            gallery(dataset, columns, rows)
        else:
            cloud(dataset, columns, rows, dark)
    with right:
        class_counts(dataset, columns, dark)
        if dataset.kind == "images":
            means(dataset, columns)
        else:
            coordinates(dataset, rows, dark)
    st.caption(
        f"Photon spectra, ratios, agreement with Geant4 and read-out masks are of showers: {dataset.title} holds "
        f"{dataset.kind}. Choose a set of showers above for them."
    )


def choose(dataset: DatasetInfo, columns: Arrays) -> np.ndarray:
    """Class, split and order in a row; the row numbers that pass, in that order."""
    names = kinds.class_names(dataset)
    class_place, split_place, seed_place, save = st.columns([2.4, 1.4, 0.8, 0.9], vertical_alignment="bottom")
    wanted = class_place.pills(
        kinds.class_word(dataset).capitalize(), list(names), selection_mode="multi", format_func=lambda k: names[k],
        key=f"classes_{dataset.name}", bind="query-params",
    )  # fmt: skip
    split = split_place.pills("Split", SPLITS, selection_mode="multi", key="split")
    seed = 0
    if dataset.kind == "images":  # a cloud has no order
        seed = seed_place.number_input(
            "Order", 0, 2**31 - 1, 0, step=1, key=state.SHUFFLE, bind="query-params",
            help="0: as they stand in the set; any other number draws an order of its own.",
        )  # fmt: skip
    rows = kinds.kept_rows(columns, list(wanted or ()), list(split or ()))
    if seed:
        rows = np.random.default_rng(int(seed)).permutation(rows)
    with save:
        downloads(dataset, rows)
    return rows


def gallery(dataset: DatasetInfo, columns: Arrays, rows: np.ndarray) -> None:
    """A page of images, each with its class."""
    names = kinds.class_names(dataset)
    pages = -(-len(rows) // PAGE)
    if st.session_state.get("page", 1) > pages:
        st.session_state["page"] = pages
    count, place = st.columns([2.4, 1], vertical_alignment="bottom")
    count.markdown(f"**{len(rows):,}** of {dataset.showers:,} {dataset.kind}")
    page = int(place.number_input(f"Page of {pages:,}", 1, pages, 1, key="page")) - 1
    here = rows[page * PAGE : (page + 1) * PAGE]
    shown = state.keep(f"images {dataset.name}", lambda: state.engine().showers(dataset.name, here.tolist()))
    if shown.stale:
        notices.stale()
    index = np.asarray(shown.value["row"])  # those of the answer: it may be the last good one
    labels = [names.get(int(c[0]), "") if names else "" for c in np.asarray(shown.value["conditions"])]
    splits = np.asarray(columns["split"])[index]
    word = kinds.class_word(dataset)
    hints = [
        f"row {row}, {word} {label}, {SPLITS[int(split)]}"
        for row, label, split in zip(index, labels, splits, strict=True)
    ]
    st.html(grey.tiles_html(np.asarray(shown.value["showers"]), labels, hints, ACROSS))
    st.caption(f"Below each image its {word}; hover for its row and split. Grey values from 0, black, to 255, white.")


def cloud(dataset: DatasetInfo, columns: Arrays, rows: np.ndarray, dark: bool) -> None:
    """The points that pass, by class, on equal axes."""
    names = kinds.class_names(dataset)
    st.markdown(f"**{len(rows):,}** of {dataset.showers:,} {dataset.kind}")
    xy = np.asarray(some(dataset, rows)["showers"], float)
    own = np.asarray(columns["conditions"])[spread(rows), 0].astype(int) if names else np.zeros(len(xy), int)
    groups = [c for c in points.by_class(xy, own, names, kinds.class_word(dataset)) if len(c.xy)]
    clouds.chart(
        groups or [points.Cloud("points", xy, data_blue(dark))], "data_points",
        f"{len(xy)} points by {kinds.class_word(dataset)} on equal axes", dark, side=520,
    )  # fmt: skip
    if len(rows) > MOST_SHOWN:
        st.caption(f"{MOST_SHOWN:,} of them are drawn, evenly over the set. Both axes have one scale and no unit.")
    else:
        st.caption("Both axes have one scale and no unit.")


def spread(rows: np.ndarray) -> np.ndarray:
    """At most as many rows as the engine hands out at once, evenly."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_SHOWN)).astype(int)]


def some(dataset: DatasetInfo, rows: np.ndarray) -> Arrays:
    """The examples of these rows, thinned."""
    wanted = spread(rows)
    asked = f"{dataset.name} {len(rows)} {wanted[0]} {wanted[-1]} {int(wanted.sum())}"
    return state.keep(f"some {asked}", lambda: state.engine().showers(dataset.name, wanted.tolist())).value


def class_counts(dataset: DatasetInfo, columns: Arrays, dark: bool) -> None:
    """How many of each class are in each split, of the whole set."""
    names = kinds.class_names(dataset)
    if not names:
        return
    own, split = np.asarray(columns["conditions"])[:, 0].astype(int), np.asarray(columns["split"])
    layers = {title: classes.tally(own[split == k], names) for k, title in enumerate(SPLITS)}
    word = kinds.class_word(dataset)
    st.echarts_chart(
        classes.counts(list(names.values()), layers, word, dataset.kind, dark), height=270, key="class_counts",
        alt=f"{dataset.kind.capitalize()} of each {word} in the splits {', '.join(SPLITS)}",
    )  # fmt: skip


def means(dataset: DatasetInfo, columns: Arrays) -> None:
    """The mean image and the spread of each class, over the first training images."""
    names = kinds.class_names(dataset)
    if not names:
        return
    found = mean_images(dataset.name, dataset.provenance, tuple(names))
    width = min(MEAN_WIDTH, 56 * len(names))
    heads = list(names.values())
    top = float(found[1].max())
    sheets = [
        grey.sheet_html(found[0], len(names), "<b>Mean</b> of each", "Mean image of each class", width, heads),
        grey.sheet_html(
            found[1], len(names), f"<b>Spread σ</b>, up to {top:.0f}", "Standard deviation of each class", width,
            top=top,
        ),
    ]  # fmt: skip
    st.html(f'<div class="ss-figures ss-column">{"".join(sheets)}</div>')
    st.caption(f"Over at most {MEAN_OF} training images of each {kinds.class_word(dataset)}.")


@st.cache_resource(show_spinner=False, max_entries=4)
def mean_images(data: str, provenance: str, numbers: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (classes, H, W). `provenance` tells a set from a later one of its name."""
    columns = state.engine().columns(data)
    rows = [kinds.kept_rows(columns, [k], ["train"])[:MEAN_OF] for k in numbers]
    shown = np.asarray(state.engine().showers(data, np.concatenate(rows).tolist())["showers"], np.float32)
    parts = np.split(shown, np.cumsum([len(r) for r in rows])[:-1])
    blank = np.zeros((1, *shown.shape[1:]), np.float32)
    return tuple(np.stack([f(p if len(p) else blank, axis=0) for p in parts]) for f in (np.mean, np.std))  # pyright: ignore[reportReturnType]


def coordinates(dataset: DatasetInfo, rows: np.ndarray, dark: bool) -> None:
    """The spectrum of each coordinate."""
    xy = np.asarray(some(dataset, rows)["showers"], float)
    for k, place in enumerate(st.columns(min(2, xy.shape[1]))):
        with place:
            spec = histogram.spectrum({"points": xy[:, k]}, f"x{k + 1}", "", False, dark, counted=dataset.kind)
            del spec["legend"]
            st.echarts_chart(spec, height=270, key=f"coordinate_{k}", alt=f"Spectrum of coordinate x{k + 1}")


def downloads(dataset: DatasetInfo, rows: np.ndarray) -> None:
    """Files of the kept rows, with pictures up to a size that a browser bears."""

    def make(name: FileFormat) -> bytes:
        return state.engine().save_rows(dataset.name, rows.tolist(), name)

    with st.popover("Download", width="stretch", key="save_rows"):
        many = len(rows) > MOST_SAVED
        csv = "CSV without pictures" if dataset.kind == "images" else "CSV has all"
        st.caption(f"The {len(rows):,} {dataset.kind} that pass, with their conditions; {csv}.")
        files.buttons(
            make, f"{dataset.name}_{len(rows)}_{dataset.kind}", "save", ("npz", "parquet", "root") if many else ()
        )
        if many:
            st.caption(f"At most {MOST_SAVED:,} here. The whole set:")
            st.code(f"showerscope data export {dataset.name} --out {dataset.name}.npz", language=None, wrap_lines=True)

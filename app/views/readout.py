"""Read-out conventions as pictures, for both calorimeters, and what is not settled about them."""

from __future__ import annotations

import html

import streamlit as st

from app import state
from app.components.masks import channel_legend, mask_figure
from engine.schema import Catalogue, DatasetInfo, DetectorInfo

OPEN_QUESTIONS = (
    "**Which fibres are common.** Conventions in use disagree on whether the common photomultiplier reads the fibres "
    "with odd or with even i+j, and on its place among the five channels; **check with ALICE**.",
    "**Side A and side C.** On side A the common fibres have odd i+j, on side C even. This is derived, not published; "
    "**check with ALICE**. The masks here do not turn with the side.",
    "**Towers of ZP.** `o2` reads four vertical slabs along x, int(4x/56); `paper` and `moe` cut quadrants, as in ZN. "
    "A comparison across conventions compares different towers; **check with ALICE**.",
)


def show(dataset: DatasetInfo, book: Catalogue) -> None:
    """The masks of one detector, beginning with the set's own."""
    by_name = {d.name: d for d in book.detectors}
    if not by_name:
        st.info("The engine knows no detector.")
        return
    own = dataset.detector if dataset.detector in by_name else next(iter(by_name))
    name = st.segmented_control(
        "Detector", list(by_name), default=own, format_func=lambda n: by_name[n].title.split(",")[0],
        key=state.DETECTOR, bind="query-params", required=True,
    )  # fmt: skip
    detector = by_name[name or own]
    nx, ny = detector.shape
    st.markdown(
        f"**{detector.title}**, {nx}×{ny} fibres of {detector.pitch_mm:g} mm pitch, face at z = ±"
        f"{detector.z_cm / 100:g} m. x to the right, y up; i and j count fibres from 0 along x and y."
    )
    st.html(channel_legend() + masks_html(detector))
    for sentence in OPEN_QUESTIONS:
        st.markdown(f"- {sentence}")
    st.caption("Each number on these pages says which convention it was read with.")


def masks_html(detector: DetectorInfo) -> str:
    """A column a convention: its mask, and what it does in words."""
    width = 5 * detector.shape[0]  # whole pixels a fibre
    cells = "".join(
        f'<div style="width:{width}px">{mask_figure(c, width)}<p class="ss-note">{sentence(c.help)}</p></div>'
        for c in detector.conventions
    )
    return f'<div class="ss-figures">{cells}</div>'


def sentence(text: str) -> str:
    """A help text as a sentence of HTML."""
    said = html.escape(text.replace("`", "").rstrip("."))
    return f"{said[:1].upper()}{said[1:]}."

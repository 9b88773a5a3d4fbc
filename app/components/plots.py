"""Charts that are saved as the reader wants them: drawn as pixels or as vectors."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

FORMATS = ("PNG", "SVG")
FORMAT = "compare_format"


def choose_format() -> None:
    """What the bar above each chart saves."""
    st.segmented_control("Charts", FORMATS, default=FORMATS[0], key=FORMAT, required=True)
    st.caption("The bar above each chart, shown on hover and by Tab, saves it so.")


def head(title: str) -> DeltaGenerator:
    """A heading; what is drawn into the answer stands at its right."""
    row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="medium")
    row.markdown(f"#### {title}", width="content")
    return row.container(horizontal=True, width="content", vertical_alignment="center", gap="medium")


def chart(spec: dict[str, Any], key: str, height: int, alt: str) -> None:
    """An ECharts spec of fixed height."""
    renderer = "svg" if st.session_state.get(FORMAT) == "SVG" else "canvas"
    st.echarts_chart(spec, height=height, key=key, alt=alt, renderer=renderer)

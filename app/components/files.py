"""Downloads, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.schema import FileFormat

FORMATS: dict[FileFormat, str] = {
    "npz": "application/octet-stream",
    "parquet": "application/vnd.apache.parquet",
    "root": "application/octet-stream",
    "csv": "text/csv",
}


def buttons(make: Callable[[FileFormat], bytes], stem: str, key: str, without: tuple[FileFormat, ...] = ()) -> None:
    """A button a format; those in `without` cannot be pressed."""
    for name, mime in FORMATS.items():
        st.download_button(
            f".{name}",
            data=lambda name=name: make(name),
            file_name=f"{stem}.{name}",
            mime=mime,
            key=f"{key}_{name}",
            on_click="ignore",
            width="stretch",
            disabled=name in without,
        )

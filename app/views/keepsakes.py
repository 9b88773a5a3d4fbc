"""Manifolds: take away the clouds, their numbers and the pictures as they are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.components import checkpoints, saving
from app.components.checkpoints import Source


def show(sources: Sequence[Source], real: np.ndarray, stem: str) -> None:
    """A popover whose files are made when they are asked for."""
    with st.popover("Take away", icon=":material/download:", key="keepsakes"):
        st.download_button(
            "numbers .csv", lambda: checkpoints.table(sources), f"{stem}.csv", "text/csv", key="keep_csv",
            on_click="ignore", width="stretch", help="W₁, share off the manifold, errors, floors, of all checkpoints.",
        )  # fmt: skip
        st.download_button(
            "clouds .npz", lambda: checkpoints.archive(sources, real), f"{stem}.npz", "application/octet-stream",
            key="keep_npz", on_click="ignore", width="stretch",
            help="Points of every panel and checkpoint, and which of them lie off the manifold.",
        )  # fmt: skip
        st.caption("Pictures as they stand now")
        saving.buttons()

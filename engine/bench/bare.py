"""The least that a page of Streamlit takes here: a slider, a line of words and a part that ticks, served as the app is.

What the app's own pages take stands beside it, so that a slow machine is told from a slow page.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.bench import live
from engine.server import bind
from engine.up import THREADS, finish, page_command, served, start

SCRIPT = """
import time

import streamlit as st

value = st.slider("value", 0, 100, key="value")
st.html(f'<p class="ss-facts ss-close">{value}</p>')


@st.fragment(run_every=1.0)
def tick():
    st.progress(0.5, text=str(time.time()))


tick()
"""
"""Marked as the app's pages are, where the benchmark looks for an answer and for a tick."""


@contextmanager
def page() -> Iterator[str]:
    """The address of the bare page, while it is served. Raises `EngineError` where it does not come up."""
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="showerscope-bare-") as folder:
        script = Path(folder) / "page.py"
        script.write_text(SCRIPT)
        process = start(page_command(script, "127.0.0.1", port), {THREADS: "1"} | os.environ)
        try:
            live.risen(process, lambda: served(f"{address}/_stcore/health"), "the bare page")
            yield address
        finally:
            finish([process])

"""Files that browser parts are made of, and where these find the app."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent


@cache
def part(*names: str) -> str:
    """Files of this folder, joined."""
    return "\n".join(HERE.joinpath(name).read_text(encoding="utf-8") for name in names)


def base_path() -> str:
    """What stands before every address of the app; empty, or `/path`."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""

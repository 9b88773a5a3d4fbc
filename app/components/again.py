"""Training a row of a benchmark again: a link to the Train page whose form opens with that row's settings."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app import state
from engine.schema import Benchmark, BenchmarkRow, EngineError

LIKE, SEEN = "like", "_like_seen"
"""The query parameter, written by hand: record/row. What of it this session has followed."""


@dataclass(frozen=True)
class Settings:
    """What a form opens with instead of a model's defaults. why: whose settings these are."""

    why: str
    data: str
    model: str
    config: dict[str, float | int | bool | str]
    seed: int


def of(record: Benchmark, row: BenchmarkRow) -> Settings:
    """The settings of a row; the budget's epochs are one of them."""
    config = dict(row.config) | ({"epochs": row.epochs} if row.epochs is not None else {})
    return Settings(row.title, record.data, row.model, config, row.seeds[0] if row.seeds else 0)


def link(record: Benchmark, row: BenchmarkRow) -> dict[str, str]:
    """Query parameters of the Train page."""
    return {LIKE: f"{record.name}/{row.title}"}


def asked() -> Settings | None:
    """The settings that the link names; None without one, or where the record is gone. A link that this session has
    not followed yet chooses data set and model as well."""
    name = st.query_params.get(LIKE, "")
    if not name:
        return None
    try:
        records = state.keep("benchmarks", lambda: state.engine().benchmarks()).value
    except EngineError:
        return None
    found = next((of(b, r) for b in records for r in b.rows if link(b, r)[LIKE] == name), None)
    if found and st.session_state.get(SEEN) != name:
        st.session_state[SEEN] = name
        st.session_state[state.TRAIN_DATA], st.session_state[state.TRAIN_MODEL] = found.data, found.model
    return found


def forget() -> None:
    """Back to defaults."""
    st.query_params.pop(LIKE, None)
    st.session_state.pop(SEEN, None)

"""How one row of a benchmark was trained, and how to train it again: by command, or on the Train page."""

from __future__ import annotations

import shlex

import pandas as pd
import streamlit as st

from app import state
from app.components import again
from app.components.words import clock, plain
from engine.schema import Benchmark, BenchmarkRow, Catalogue, EngineError, ModelInfo


def show(record: Benchmark, book: Catalogue) -> None:
    """The picker of a row and what made it."""
    st.markdown("#### How a row was trained")
    titles = [row.title for row in record.rows]
    if st.session_state.get(state.RECORD_ROW) not in titles:
        st.session_state.pop(state.RECORD_ROW, None)
    title = st.selectbox("Row", titles, key=state.RECORD_ROW, bind="query-params")
    row = next((r for r in record.rows if r.title == title), record.rows[0])
    model = next((m for m in book.models if m.name == row.model), None)
    facts(record, row, model)
    settings(row, model)
    st.code(command_of(record, row), language=None, wrap_lines=True)
    open_in_train(record, row, model)


def facts(record: Benchmark, row: BenchmarkRow, model: ModelInfo | None) -> None:
    parts = [
        f"**{plain(model.title if model else row.model)}**",
        f"{row.parameters:,} parameters" if row.parameters is not None else "",
        f"{row.epochs} epoch{'s' * (row.epochs != 1)}" if row.epochs is not None else "",
        f"{clock(row.train_seconds)} of training" if row.train_seconds is not None else "",
        f"seed{'s' * (len(row.seeds) != 1)} {', '.join(map(str, row.seeds))}" if row.seeds else "",
    ]
    st.markdown(" · ".join(part for part in parts if part))


def differing(row: BenchmarkRow, model: ModelInfo | None) -> pd.DataFrame:
    """Settings of a row that are not the model's defaults of today, with those and with what they mean."""
    fields = {f.name: f for f in model.fields} if model else {}
    given = {n: v for n, v in row.config.items() if n not in fields or fields[n].default != v}
    return pd.DataFrame(
        {
            "setting": list(given),
            "here": [str(v) for v in given.values()],
            "default": [str(fields[n].default) if n in fields else "no such setting now" for n in given],
            "what it is": [fields[n].help if n in fields else "" for n in given],
        }
    )


def settings(row: BenchmarkRow, model: ModelInfo | None) -> None:
    frame = differing(row, model)
    if not len(frame):
        st.caption("The model's defaults throughout.")
        return
    many = "settings differ" if len(frame) > 1 else "setting differs"
    with st.expander(f"{len(frame)} {many} from the model's defaults", expanded=len(frame) <= 4):
        st.dataframe(
            frame, hide_index=True, key="compare_settings", alt=f"Settings of {row.title} that differ from defaults",
            height=min(340, 35 * (len(frame) + 1) + 2),
        )  # fmt: skip


def command_of(record: Benchmark, row: BenchmarkRow) -> str:
    """The command that trains this row again, its first seed."""
    words = ["showerscope", "train", "--data", record.data or "zdc_geant4", "--model", row.model]
    found = again.of(record, row)
    for name, value in found.config.items():
        words += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return shlex.join([*words, "--seed", str(found.seed)])


def open_in_train(record: Benchmark, row: BenchmarkRow, model: ModelInfo | None) -> None:
    """A link to the Train page whose form opens with this row's settings."""
    try:
        data = state.dataset_named(record.data, state.keep("datasets", state.datasets).value)
    except EngineError:
        data = None
    if model is None or data is None:
        st.caption(f"This engine has no such {'model' if model is None else 'data set'}: it cannot be trained here.")
    elif train := st.session_state.get(state.PAGES, {}).get("train"):
        st.page_link(
            train, label="Open in Train with these settings", icon=":material/model_training:",
            query_params=again.link(record, row),
        )  # fmt: skip

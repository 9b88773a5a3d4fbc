"""What data of each kind are called, and the widgets for their classes."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import state
from app.components.filters import SPLITS
from engine.schema import Arrays, ConditionInfo, DatasetInfo, RunInfo

ALL = "all"
CLOSED = (
    "Particles, read-out channels and Geant4 belong to calorimeter showers; for them choose a model of showers above."
)
"""Why the instruments of showers are missing, and what to choose."""


def size_of(dataset: DatasetInfo) -> str:
    """What one example is made of."""
    if dataset.kind == "showers":
        return f"{dataset.shape[0]}×{dataset.shape[1]} fibres"
    if dataset.kind == "images":
        return f"{dataset.shape[0]}×{dataset.shape[1]} pixels, grey values 0–255"
    return f"{dataset.shape[0]} coordinates, no unit"


def class_column(dataset: DatasetInfo) -> ConditionInfo | None:
    """The condition that says an example's class; None where there is none, or more beside it."""
    return dataset.conditions[0] if len(dataset.conditions) == 1 and dataset.conditions[0].classes else None


def class_names(dataset: DatasetInfo | None) -> dict[int, str]:
    """The classes by number; empty where there are none."""
    column = class_column(dataset) if dataset else None
    return dict(enumerate(column.classes)) if column else {}


def class_word(dataset: DatasetInfo) -> str:
    """What a class of this set is: a digit, a piece."""
    column = class_column(dataset)
    return column.name if column else "class"


def pick_class(dataset: DatasetInfo) -> int | None:
    """One class, or None for all; a choice that another set left is dropped."""
    names = class_names(dataset)
    if not names:
        return None
    options = [ALL, *names.values()]
    if st.session_state.get(state.CLASS) not in options:
        st.session_state.pop(state.CLASS, None)
    chosen = st.segmented_control(
        class_word(dataset).capitalize(), options, default=ALL, key=state.CLASS, bind="query-params", required=True,
    )  # fmt: skip
    return None if chosen in (None, ALL) else options.index(chosen) - 1


def kept_rows(columns: Arrays, classes: list[int], splits: list[str]) -> np.ndarray:
    """Row numbers of these classes and splits; empty lists let all pass."""
    kept = np.ones(len(columns["split"]), bool)
    if classes:
        kept &= np.isin(np.asarray(columns["conditions"])[:, 0].astype(int), classes)
    if splits:
        kept &= np.isin(columns["split"], [SPLITS.index(s) for s in splits])
    return np.flatnonzero(kept)


def rows_each(columns: Arrays, classes: list[int], each: int, split: str, seed: int) -> np.ndarray:
    """At most so many rows of each class, drawn from a split; from the whole split where there are no classes."""
    rng = np.random.default_rng(seed)
    found = [rng.permutation(kept_rows(columns, [k], [split]))[:each] for k in classes]
    return np.concatenate(found) if found else rng.permutation(kept_rows(columns, [], [split]))[:each]


def unconditional(run: RunInfo, conditional: bool) -> bool:
    """Whether a run's model ignores the class; `conditional`: what its model can."""
    return not run.config.get("conditional", conditional)

"""A model's configuration as a form: the engine says the fields, this draws those of the groups that are open.

Its page draws itself anew once a second while a training runs, and what a browser takes for that grows with the parts
on the page, so a closed group has none. What was set in it stays, for the whole session.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.components.words import plain
from engine.schema import DataKind, FormField, ModelInfo

Value = float | int | bool | str

KEPT: Any = {"on_change": "ignore", "persist_state": "session"}
"""How widgets of a form behave."""


def show(
    model: ModelInfo,
    columns: int = 2,
    filled: Mapping[str, Value] | None = None,
    kind: DataKind = "showers",
    only: str = "",
) -> dict[str, Value]:
    """Draw the fields for data of a kind, group by group, those of closed groups not at all; the values of all as they
    stand. filled: what to open with instead of defaults; only: the group to draw instead of all. A change runs nothing:
    the values are those of the next run."""
    config: dict[str, Value] = {}
    fields = [field for field in model.fields_for(kind) if not only or field.group == only]
    # each kind has defaults of its own, so values set for another must not stay
    owner = model.name if kind == "showers" else f"{model.name}_{kind}"
    # What one changes first stands first: how long, how fast.
    groups = sorted(dict.fromkeys(f.group for f in fields), key=lambda g: g != "Training")
    for k, group in enumerate(groups):
        own = [field for field in fields if field.group == group]
        box = st.expander(group, expanded=k == 0, key=f"group_{group}", on_change="rerun")
        places = box.columns(columns) if box.open else []
        for n, field in enumerate(own):
            if places:
                with places[n % columns]:
                    config[field.name] = draw_field(owner, field, filled)
            else:
                config[field.name] = st.session_state.get(*held(owner, field, filled))
    changed = [field for field in fields if config[field.name] != field.default]
    if changed and not filled:  # closed groups do not show theirs
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption("Changed: " + plain(", ".join(f"{title_of(f)} {config[f.name]}" for f in changed)))
            defaults = {held(owner, field, None)[0]: field.default for field in changed}
            st.button(
                "Back to defaults", key="defaults", type="tertiary", on_click=st.session_state.update, args=(defaults,)
            )
    return config


def title_of(field: FormField) -> str:
    return field.name.replace("_", " ")


def describe(field: FormField) -> str:
    """Help, range and source of a field, for its question mark."""
    parts = [field.help] if field.help else []
    if field.minimum is not None or field.maximum is not None:
        low = "…" if field.minimum is None else f"{field.minimum:g}"
        high = "…" if field.maximum is None else f"{field.maximum:g}"
        parts.append(f"Range {low} to {high}{' ' + field.unit if field.unit else ''}; default {field.default}.")
    if field.source:
        parts.append(f"Source: {field.source}.")
    return "\n\n".join(parts)


def fits(field: FormField, value: Value | None) -> bool:
    """Whether a field of this form can hold a value: settings from elsewhere may be of another version."""
    if field.kind in ("bool", "text", "choice"):
        wanted = bool if field.kind == "bool" else str
        return isinstance(value, wanted) and (field.kind != "choice" or value in field.choices)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    low, high = field.minimum, field.maximum
    inside = (low is None or value >= low) and (high is None or value <= high)
    return inside and (field.kind == "float" or float(value).is_integer())


def held(owner: str, field: FormField, filled: Mapping[str, Value] | None) -> tuple[str, Value]:
    """The key under which a field's value is held, and its value until it is changed. The key carries the owner, so
    that models keep their own values, and a filled form its own."""
    key = f"field_{owner}_{field.name}" + (f"_{hash(frozenset(filled.items())):x}" if filled else "")
    return key, filled[field.name] if filled and fits(field, filled.get(field.name)) else field.default


def draw_field(owner: str, field: FormField, filled: Mapping[str, Value] | None = None) -> Value:
    """One widget for one field."""
    key, default = held(owner, field, filled)
    label = title_of(field) + (f" [{field.unit}]" if field.unit else "")
    tip = describe(field) or None
    if field.kind == "bool":
        return st.checkbox(label, bool(default), key=key, help=tip, **KEPT)
    if field.kind == "choice":
        options = field.choices or [str(field.default)]
        index = options.index(str(default)) if str(default) in options else 0
        return str(st.selectbox(label, options, index, key=key, help=tip, **KEPT))
    if field.kind == "text":
        return st.text_input(label, str(default), key=key, help=tip, **KEPT)
    if field.kind == "int":
        low = None if field.minimum is None else int(field.minimum)
        high = None if field.maximum is None else int(field.maximum)
        return int(st.number_input(label, low, high, int(default), step=1, key=key, help=tip, **KEPT))
    value = float(default)
    # a tenth of the leading digit, so that the buttons move 3e-4 as well as 20
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1) if value else 0.01
    return float(
        st.number_input(label, field.minimum, field.maximum, value, step=step, format="%g", key=key, help=tip, **KEPT)
    )  # fmt: skip

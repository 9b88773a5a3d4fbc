"""Learn: the lecture's demonstrations, each with a control, a picture, its formula in numbers and two sentences."""

from __future__ import annotations

import math
from dataclasses import asdict
from time import perf_counter
from typing import Any

import streamlit as st

from app import state
from app.charts.sketch import HEIGHT
from app.components import board, notices
from app.lessons.base import Board, Control, Lesson, Piles, Rungs, Sheet, Slider, Switch, lessons

BOUND: dict[str, Any] = {"bind": "query-params"}


def show() -> None:
    """The page; it asks the engine for nothing."""
    lecture()


@st.fragment
@notices.guarded
def lecture() -> None:
    """The list and the chosen lesson, which rerun without the strip above."""
    by_title = {lesson.title: lesson for lesson in lessons()}
    listed, stage = st.columns([1, 4.8], gap="medium")
    with listed:
        chosen = by_title[st.radio("Lessons", list(by_title), key=state.LESSON, bind="query-params")]
    for lesson in by_title.values():
        for control in lesson.controls:
            if isinstance(control, Board) and lesson is not chosen:
                board.leave(control.name)
    with stage:
        teach(chosen)


def teach(lesson: Lesson) -> None:
    """One lesson: question, control, picture, formula and words."""
    began = perf_counter()
    st.container(key="lesson_head").markdown(f"### {lesson.question}")
    values = choose(lesson)
    sheet = lesson.sheet(st.context.theme.type == "dark", **values)
    picture(lesson, sheet, values)
    st.latex(sheet.formula)
    st.markdown(lesson.words)
    if sheet.notice:
        notices.empty(sheet.notice)
    st.caption(f"{lesson.source} Drawn in {1000 * (perf_counter() - began):.0f} ms.")


def choose(lesson: Lesson) -> dict[str, Any]:
    """The values of all controls, by name; wide ones share the row."""
    wide = [c for c in lesson.controls if not isinstance(c, Board)]
    values: dict[str, Any] = {
        c.name: board.current(c.name, c.value, c.extent) for c in lesson.controls if isinstance(c, Board)
    }
    if wide:
        places = st.columns([1 if isinstance(c, Switch) else 5 for c in wide], gap="large", vertical_alignment="center")
        for control, place in zip(wide, places, strict=True):
            with place:
                values[control.name] = ask(control)
    return values


def ask(control: Control) -> Any:
    """One control as a widget; its name is its key, and stands in the link."""
    match control:
        case Slider():
            return st.slider(
                control.label, float(control.low), float(control.high), float(control.value), float(control.step),
                key=control.name, format=f"%.{control.digits}f", help=control.help or None, **BOUND,
            )  # fmt: skip
        case Rungs():
            return st.select_slider(
                control.label, control.options, control.value, key=control.name, help=control.help or None,
                format_func=lambda v: "∞" if math.isinf(v) else f"{v:g}", **BOUND,
            )  # fmt: skip
        case Switch():
            return st.toggle(control.label, control.value, key=control.name, help=control.help or None, **BOUND)
        case Piles():
            st.html(f'<div class="ss-said">{control.label}</div>')
            places = st.columns(len(control.value), gap="small")
            return tuple(pile(control, k, place) for k, place in enumerate(places))
        case Board():
            raise TypeError("a board is drawn with its sheet")


def pile(control: Piles, k: int, place: Any) -> int:
    """One number of a row."""
    key = f"{control.name}{k + 1}"
    return int(place.number_input(f"Place {k + 1}", 0, control.high, control.value[k], 1, key=key, **BOUND))


def picture(lesson: Lesson, sheet: Sheet, values: dict[str, Any]) -> None:
    """The chart, beside the map where there is one."""
    maps = [c for c in lesson.controls if isinstance(c, Board)]
    if not maps:
        chart(lesson, sheet)
        return
    left, right = st.columns(2, gap="medium")
    with left:
        for c in maps:
            places = [asdict(p) for p in c.places]
            board.show(
                c.name, c.label, places, values[c.name], c.value, c.extent, c.unit, c.goods, sheet.board
            )  # fmt: skip
    with right:
        chart(lesson, sheet)


def chart(lesson: Lesson, sheet: Sheet) -> None:
    st.echarts_chart(sheet.spec, height=HEIGHT, key=f"lesson_{lesson.place:g}", alt=sheet.alt)

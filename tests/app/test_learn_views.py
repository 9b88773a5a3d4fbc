"""The Learn page: every lesson, its controls and links, with and without an engine."""

from typing import cast

import pytest
from fake import DownEngine, FakeEngine
from streamlit.testing.v1 import AppTest
from test_pages import page, sound, words

from app import state
from app.components import board
from app.lessons import bakeries
from app.lessons.base import Board, Piles, Rungs, Slider, Switch, lessons
from engine.schema import Engine

LESSONS = lessons()
TITLES = [lesson.title for lesson in LESSONS]


def opened(lesson: str = "", **link: str) -> AppTest:
    test = page("learn")
    if lesson:
        test.query_params[state.LESSON] = lesson
    for key, value in link.items():
        test.query_params[key] = value
    return test.run()


def formula(test: AppTest) -> str:
    (found,) = test.latex
    return str(found.value)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.title)
def test_every_lesson_opens_by_its_link_with_question_formula_and_words(fake: FakeEngine, lesson):
    test = opened(lesson.title)
    sound(test)
    assert test.radio(key=state.LESSON).value == lesson.title
    assert f"### {lesson.question}" in words(test)
    assert lesson.words in words(test)
    assert formula(test).strip("$\n ") == lesson.sheet(False, **lesson.first()).formula


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.title)
def test_every_lesson_works_without_an_engine(lesson):
    state.use_engine(lambda: cast(Engine, DownEngine()))
    test = opened(lesson.title)
    sound(test)
    assert lesson.words in words(test)


def test_a_home_without_a_model_learns_too():
    state.use_engine(lambda: FakeEngine(empty=True))
    test = opened()
    sound(test)
    assert test.radio(key=state.LESSON).options == TITLES
    assert "No trained model" not in words(test)


def moved(test: AppTest, control) -> None:
    """Set a control to another value than its first."""
    match control:
        case Slider():
            test.slider(key=control.name).set_value(control.high).run()
        case Rungs():
            test.select_slider(key=control.name).set_value(control.options[-1]).run()
        case Switch():
            test.toggle(key=control.name).set_value(not control.value).run()
        case Piles():
            test.number_input(key=f"{control.name}1").set_value(control.high).run()


CONTROLS = [(lesson, c) for lesson in LESSONS for c in lesson.controls if not isinstance(c, Board)]


@pytest.mark.parametrize(("lesson", "control"), CONTROLS, ids=lambda part: getattr(part, "name", ""))
def test_a_control_changes_the_numbers_of_the_formula(fake: FakeEngine, lesson, control):
    test = opened(lesson.title)
    before = formula(test)
    moved(test, control)
    sound(test)
    assert formula(test) != before


def test_a_link_reopens_a_value(fake: FakeEngine):
    test = opened("Two lines", theta="-0.35")
    sound(test)
    assert r"\theta = -0.35" in formula(test)
    test = opened("Earth mover", p1="4", q1="2")
    assert r"\delta_{2} = 0 + 4 - 2 = 2" in formula(test)
    test = opened("Entropic plans", epsilon="∞", debiased="true")
    assert r"S_{\infty}(P,Q)" in formula(test)


@pytest.mark.parametrize("link", [{"theta": "far"}, {"theta": "7"}, {"lesson": "Alchemy"}])
def test_a_link_that_says_nothing_possible_opens_with_what_there_is(fake: FakeEngine, link: dict[str, str]):
    test = page("learn")
    test.query_params.update({state.LESSON: "Two lines"} | link)
    test.run()
    sound(test)
    assert len(test.latex) == 1


def test_piles_of_different_mass_are_told_how_to_become_equal(fake: FakeEngine):
    test = opened("Earth mover", q4="4")
    sound(test)
    assert "Give P 1 more" in words(test)


def test_a_link_reopens_the_town_and_another_lesson_takes_it_out(fake: FakeEngine):
    town = tuple((float(k), 2.0) for k in range(7))
    test = opened("Bakeries and cafés", places=board.text_of(town))
    sound(test)
    assert f"{bakeries.solved(town).cost:.3f}" in formula(test)
    test.radio(key=state.LESSON).set_value("Two lines").run()
    sound(test)
    assert "places" not in test.query_params
    test.radio(key=state.LESSON).set_value("Bakeries and cafés").run()
    assert test.query_params["places"] == board.text_of(town) or test.query_params["places"] == [board.text_of(town)]


@pytest.mark.parametrize(
    "places", ["", "1,2", "1,2_3,4_5,6_1,1_2,2_3,3_4,99", "a,b_c", "1,2_" * 7, "nan,1" + "_1,1" * 6]
)
def test_a_town_that_is_none_opens_as_it_first_stood(fake: FakeEngine, places: str):
    test = opened("Bakeries and cafés", places=places)
    sound(test)
    assert f"{bakeries.solved(bakeries.START).cost:.3f}" in formula(test)


def test_what_the_browser_sends_is_checked():
    like = bakeries.START
    assert board.checked([[1, 2]] * 7, like, 10.0) == ((1.0, 2.0),) * 7
    for wrong in (None, 3, [[1, 2]] * 6, [[1, 2, 3]] * 7, [[1, 11]] * 7, [["x", 1]] * 7, [[float("nan"), 1]] * 7):
        assert board.checked(wrong, like, 10.0) is None

"""The Learn page in a real browser: a café is dragged and the plan follows, a slider answers; no engine is needed."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from test_main import (  # noqa: F401 - fixtures
    ROOT,
    browser,
    complaints,
    free_port,
    no_traceback,
    page,
    start,
    stop,
    wait_for,
)

from app.lessons.base import lessons

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

TITLES = [lesson.title for lesson in lessons()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app with no engine behind it."""
    home: Path = tmp_path_factory.mktemp("alone")
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port", str(port)]
    where = {"PYTHONPATH": str(ROOT), "SHOWERSCOPE_ENGINE": f"http://127.0.0.1:{free_port()}"}
    process = start(command, home, home / "app.log", **where)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, home / "app.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


def open_lesson(page: Page, address: str, title: str) -> None:  # noqa: F811
    page.goto(f"{address}/learn?lesson={title}")
    expect(page.locator(".katex").first).to_be_visible(timeout=60_000)


def choose(page: Page, title: str) -> None:  # noqa: F811
    page.locator("[data-testid=stRadio] label").filter(has_text=title).click()


def formula(page: Page) -> str:  # noqa: F811
    return page.locator(".katex annotation").first.text_content() or ""


def middle(mark: Locator) -> tuple[float, float]:
    box = mark.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_every_lesson_is_drawn_and_the_list_answers(alone: str, page: Page, complaints: list[str]):  # noqa: F811
    open_lesson(page, alone, TITLES[-1])
    took = []
    for title in TITLES:
        question = next(lesson.question for lesson in lessons() if lesson.title == title)
        began = time.perf_counter()
        choose(page, title)
        expect(page.get_by_role("heading", name=question)).to_be_visible(timeout=20_000)
        took.append(1000 * (time.perf_counter() - began))
        expect(page.locator("canvas").first).to_be_visible(timeout=20_000)
        expect(page.locator(".katex-error")).to_have_count(0)
        no_traceback(page)
    print(f"\na lesson chosen in the list stands after {', '.join(f'{ms:.0f}' for ms in took)} ms")
    assert complaints == []


def test_a_slider_answers_with_its_formula_and_its_link(alone: str, page: Page, complaints: list[str]):  # noqa: F811
    open_lesson(page, alone, "Two lines")
    thumb = page.get_by_role("slider").first
    thumb.focus()
    took = []
    for _ in range(8):
        before = formula(page)
        began = time.perf_counter()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "before => document.querySelector('.katex annotation')?.textContent !== before", arg=before, timeout=10_000
        )
        took.append(1000 * (time.perf_counter() - began))
        page.wait_for_timeout(150)
    print(f"\na step of the slider to its formula: median {sorted(took)[4]:.0f} ms, slowest {max(took):.0f} ms")
    assert r"\theta = 0.9" in formula(page)
    page.wait_for_url(re.compile(r"theta=0\.9"), timeout=10_000)
    page.reload()
    expect(page.locator(".katex").first).to_be_visible(timeout=60_000)
    assert r"\theta = 0.9" in formula(page)
    choose(page, "Earth mover")
    page.wait_for_url(re.compile(r"lesson=Earth"), timeout=10_000)
    expect(page).not_to_have_url(re.compile("theta="), timeout=10_000)
    assert complaints == []


def test_a_dragged_cafe_changes_the_plan_while_it_moves(alone: str, page: Page, complaints: list[str]):  # noqa: F811
    open_lesson(page, alone, "Bakeries and cafés")
    root = page.locator(".root[data-state='ready']")
    expect(root).to_be_visible(timeout=30_000)
    first = json.loads(root.get_attribute("data-flows") or "[]")
    cafe = page.get_by_role("button", name=re.compile("^Café A,"))
    x, y = middle(cafe.locator("path"))
    page.mouse.move(x, y)
    page.mouse.down()
    seen, delays = {json.dumps(first)}, []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < 3:
        page.mouse.move(x + 60 * passed / 3, y + 250 * passed / 3)
        page.wait_for_timeout(15)
        seen.add(root.get_attribute("data-flows") or "")
        delays.append(float(root.get_attribute("data-ms") or "nan"))
    answers = int(root.get_attribute("data-answers") or 0)
    page.mouse.up()
    delays = sorted(d for d in delays if d == d)
    print(f"\n3 s drag: {answers} answers, {len(seen)} plans, {delays[len(delays) // 2]:.0f} ms in the middle")
    assert answers >= 5
    assert len(seen) >= 2
    assert json.loads(root.get_attribute("data-flows") or "[]") != first
    page.wait_for_url(re.compile(r"places="), timeout=10_000)
    assert r"\text{duality gap} = " in formula(page)
    was, at = "", cafe.get_attribute("aria-label") or ""
    while at != was:  # the last answer comes after the hand has let go
        page.wait_for_timeout(1000)
        was, at = at, cafe.get_attribute("aria-label") or ""
    page.reload()
    expect(page.get_by_role("button", name=re.compile("^Café A,"))).to_have_attribute("aria-label", at, timeout=30_000)
    no_traceback(page)
    assert complaints == []


def test_the_town_works_from_the_keyboard_and_by_numbers(alone: str, page: Page):  # noqa: F811
    open_lesson(page, alone, "Bakeries and cafés")
    bakery = page.get_by_role("button", name=re.compile("^Bakery 1,"))
    expect(bakery).to_be_visible(timeout=30_000)
    before = formula(page)
    bakery.focus()
    page.keyboard.press("ArrowUp")
    expect(bakery).to_have_attribute("aria-label", re.compile(r"at 3, 7\.9 km"))
    page.wait_for_function("before => document.querySelector('.katex annotation')?.textContent !== before", arg=before)
    page.get_by_text("Places in numbers").click()
    page.get_by_label("Bakery 1, x in km").fill("1.5")
    expect(bakery).to_have_attribute("aria-label", re.compile(r"at 1\.5, 7\.9 km"))
    page.get_by_role("button", name="Put back").click()
    page.wait_for_function("before => document.querySelector('.katex annotation')?.textContent === before", arg=before)
    expect(page).not_to_have_url(re.compile("places="), timeout=10_000)

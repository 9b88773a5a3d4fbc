"""The latent page in a real browser, before the tests' fake engine: many points, a lasso, a planted hole, its link."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from test_main import before_fake_engine, browser, coloured, complaints, no_traceback, page  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
SECOND = "cond. VAE of mine"
POLYGON, DOWN = 86, 22
"""Where the toolbox has its polygon: from the map's right and upper edges, in pixels."""
WATCH = """
window.busy = [];
new PerformanceObserver(list => { for (const e of list.getEntries()) window.busy.push(Math.round(e.duration)); })
    .observe({entryTypes: ["longtask"]});
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app before a fake engine with two models and enough showers for ten thousand points a layer."""
    with before_fake_engine(tmp_path_factory.mktemp("home"), "--models", SECOND, "--copies", "4") as address:
        yield address


def the_map(page: Page, which: str = "latent_map") -> Locator:  # noqa: F811
    """The drawn map."""
    chart = page.locator(f".st-key-{which} canvas").first
    expect(chart).to_be_visible(timeout=60_000)
    expect(page.locator("#ss-gallery img").first).to_be_visible(timeout=60_000)
    page.wait_for_timeout(1500)
    return chart


def corner(chart: Locator) -> tuple[float, float, float, float]:
    box = chart.bounding_box()
    assert box
    return box["x"], box["y"], box["width"], box["height"]


def lasso(page: Page, chart: Locator, half: int = 150) -> None:  # noqa: F811
    """A square around the middle, drawn with the polygon; the last corner is still held."""
    x, y, width, height = corner(chart)
    page.mouse.click(x + width - POLYGON, y + DOWN)
    middle = x + width / 2, y + height / 2
    page.mouse.move(middle[0] - half, middle[1] - half)
    page.mouse.down()
    for dx, dy in ((half, -half), (half, half), (-half, half), (-half, 10 - half)):
        page.mouse.move(middle[0] + dx, middle[1] + dy, steps=8)


def press(page: Page, name: str, then: str) -> None:  # noqa: F811
    """Press a button until it says something else, as a user does: once in some sixty runs a press beside a rerun of
    the map's part is not heard."""
    for _ in range(3):
        page.get_by_role("button", name=name).click()
        try:
            expect(page.get_by_role("button", name=then)).to_be_visible(timeout=10_000)
            return
        except AssertionError:
            continue
    raise AssertionError(f"{name} was pressed three times and nothing came of it")


def selected(page: Page) -> str | None:  # noqa: F811
    return page.locator("#ss-gallery").get_attribute("data-selected")


def test_twenty_thousand_points_are_drawn_and_a_lasso_opens_their_gallery(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
):
    page.add_init_script(WATCH)
    page.goto(f"{address}/latent?points=10000")
    chart = the_map(page)
    expect(page.get_by_text("10,000", exact=False).first).to_be_visible()
    assert min(coloured(chart)) > 1000
    page.wait_for_timeout(2000)
    for name in ("energy", "density ratio", "layer"):
        page.evaluate("window.busy.length = 0")
        page.locator(".st-key-colour").get_by_role("combobox").click()
        page.get_by_role("option", name=name, exact=True).click()
        page.wait_for_timeout(2500)
        print(f"\n20 000 points by {name}: {max(page.evaluate('window.busy'), default=0)} ms to draw")
    lasso(page, chart)
    before, began = selected(page), time.monotonic()
    page.mouse.up()
    page.wait_for_function(
        "old => document.querySelector('#ss-gallery')?.dataset.selected !== old", arg=before, polling=10
    )
    print(f"\nlasso to gallery {1000 * (time.monotonic() - began):.0f} ms of {selected(page)} points")
    assert int(selected(page) or 0) > 1000
    expect(page.get_by_text("Selection against the rest: n/N")).to_be_visible(timeout=30_000)
    expect(page).to_have_url(re.compile("lasso="), timeout=20_000)
    number, link = selected(page), page.url
    other = page.context.new_page()
    other.goto(link)
    the_map(other)
    assert selected(other) == number
    other.get_by_role("button", name="Clear selection").click()
    expect(other.locator("#ss-gallery")).to_have_attribute("data-selected", "0", timeout=20_000)
    expect(other).not_to_have_url(re.compile("lasso="))
    no_traceback(page)
    assert complaints == []


def test_the_planted_hole_is_found_chosen_and_reopened(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
    tmp_path: Path,
):
    page.goto(f"{address}/latent?points=2000")
    the_map(page)
    hole = page.get_by_role("radio", name=re.compile("Hole 1"))
    expect(hole).to_be_attached(timeout=60_000)
    page.get_by_role("radio", name="No region chosen").focus()
    page.keyboard.press("ArrowDown")  # by keyboard, as by mouse
    expect(page.locator(".ss-said")).to_contain_text("hole (", timeout=20_000)
    expect(page.locator(".ss-said")).to_contain_text("mostly n")
    expect(page.get_by_role("img", name=re.compile("^Simulation: gallery of"))).to_be_visible()
    expect(page).to_have_url(re.compile("region=Hole"), timeout=20_000)
    number, link = selected(page), page.url
    page.locator(".st-key-save_selection").get_by_role("button").first.click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=".json, what selects").click()
    waiting.value.save_as(tmp_path / "selection.json")
    saved = json.loads((tmp_path / "selection.json").read_text(encoding="utf-8"))
    assert len(saved["points"]) == int(number or 0) > 10
    assert saved["region"]["kind"] == "hole"
    other = page.context.new_page()
    other.goto(link)
    expect(other.locator("#ss-gallery")).to_have_attribute("data-selected", number or "", timeout=60_000)
    expect(other.get_by_role("radio", name=re.compile("Hole 1"))).to_be_checked()
    no_traceback(other)
    assert complaints == []


def test_clicks_choose_two_points_and_the_way_between_them(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
):
    page.goto(f"{address}/latent?points=2000")
    chart = the_map(page)
    x, y, width, height = corner(chart)
    for step in range(60):  # until two points were hit
        page.mouse.click(x + 0.2 * width + 5 * step, y + 0.62 * height + step)
        page.wait_for_timeout(150)
        if re.search("[?&]b=", page.url):
            break
    expect(page.get_by_text("From A to B through")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("img", name="From A to B, place 9 of 9")).to_be_visible()
    place = page.get_by_role("slider", name="Place on the way")
    place.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Place 6 of 9")).to_be_visible(timeout=20_000)
    no_traceback(page)
    assert complaints == []


def test_a_lasso_on_one_map_marks_the_same_rows_on_the_other(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
):
    page.goto(f"{address}/latent?points=1000")
    the_map(page)
    box = page.get_by_role("combobox", name=re.compile("Second model"))
    box.click()
    page.get_by_role("option", name=re.compile(re.escape(SECOND))).click()
    chart = the_map(page, "latent_map_2")
    expect(page.get_by_text("Separability of species").nth(1)).to_be_visible(timeout=60_000)
    chart.scroll_into_view_if_needed()
    lasso(page, chart, 110)
    page.mouse.up()
    expect(page.locator(".ss-said")).to_contain_text("on the second map", timeout=20_000)
    first = page.get_by_role("img", name=re.compile("^t-SNE map of bundled.*selected [1-9]"))
    expect(first).to_be_attached(timeout=20_000)
    no_traceback(page)
    assert complaints == []


def test_epochs_are_walked_and_the_lasso_follows_its_points(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
):
    page.goto(f"{address}/latent?points=1000")
    chart = the_map(page)
    lasso(page, chart)
    page.mouse.up()
    expect(page.locator("#ss-gallery")).not_to_have_attribute("data-selected", "0", timeout=20_000)
    number = selected(page)
    press(page, "Play", "Stop")
    expect(page.get_by_text("at step 400", exact=False).first).to_be_visible(timeout=60_000)
    assert selected(page) == number
    expect(page.get_by_role("button", name="Play")).to_be_visible(timeout=90_000)
    expect(page.get_by_text("at step 1,200", exact=False).first).to_be_visible(timeout=20_000)
    assert selected(page) == number
    no_traceback(page)
    assert complaints == []

"""Models side by side in a real browser, before the tests' fake engine: chosen, read, looked into, taken away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect
from test_main import before_fake_engine, browser, complaints, no_traceback, page  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
MODELS = ("cond. VAE of mine", "flow matching")
LAST = "With the light calibrated"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app before a fake engine with three models."""
    with before_fake_engine(tmp_path_factory.mktemp("home"), "--models", *MODELS) as address:
        yield address


def cells(table: Locator, column: int) -> list[str]:
    found = table.locator(f"canvas table tbody tr td[aria-colindex='{column}']")
    expect(found.first).to_be_attached(timeout=30_000)
    return [text.strip() for text in found.all_text_contents()]


def choose(page: Page, name: str) -> None:  # noqa: F811
    """Add a model as a person does: open, type, Enter."""
    box = page.get_by_role("combobox", name=re.compile("Models"))
    box.click()
    box.fill(name)
    page.get_by_role("option", name=re.compile(re.escape(name))).first.click()
    page.keyboard.press("Escape")


def test_two_models_are_chosen_read_and_their_report_is_opened(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
    tmp_path: Path,
):
    page.goto(f"{address}/compare")
    expect(page.get_by_text(LAST)).to_be_visible(timeout=60_000)
    choose(page, MODELS[1])
    table = page.get_by_test_id("stDataFrame").first
    expect(table.locator("canvas table tbody td", has_text=MODELS[1]).first).to_be_attached(timeout=60_000)
    assert cells(table, 1)[:4] == ["simulation against simulation", "bundled e2e SAE", *MODELS]
    floor = float(cells(table, 3)[0])
    assert floor > 0
    for key in ("models_channels", "models_profile", "models_by_energy", "models_weak_0", "models_speed"):
        expect(page.locator(f".st-key-{key} canvas").first).to_be_visible(timeout=30_000)
    for name in ("Simulation", "Simulation again", *MODELS):
        expect(page.get_by_role("img", name=re.compile(f"^{re.escape(name)}: shower of")).first).to_be_visible()
    page.locator(".st-key-save_models").get_by_role("button").first.click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report, one HTML page").click()
    file = tmp_path / "report.html"
    waiting.value.save_as(file)
    page.goto(file.as_uri())
    expect(page.locator("tr")).to_have_count(3)
    assert page.title() == "Showers judged"
    assert complaints == []


def test_a_link_reopens_the_same_models_and_metrics_in_another_window(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
):
    page.goto(f"{address}/compare?{urlencode({'group': 'features', 'like_which': 'many photons', 'place': 4})}")
    expect(page.get_by_text(LAST)).to_be_visible(timeout=60_000)
    expect(page).to_have_url(re.compile(r"models=.*models="), timeout=20_000)
    expect(page).to_have_url(re.compile("half=Models"))
    link, said = page.url, page.get_by_text(re.compile(r"4 of \d+")).inner_text()
    other = page.context.new_page()
    other.goto(link)
    expect(other.get_by_text(LAST)).to_be_visible(timeout=60_000)
    expect(other.get_by_text(said)).to_be_visible()
    heads = other.get_by_test_id("stDataFrame").first.locator("canvas table thead th")
    for name in ("FPD", "Coverage"):
        expect(heads.filter(has_text=name)).to_be_attached(timeout=30_000)
    no_traceback(other)
    assert complaints == []


def test_a_click_on_a_weak_cell_and_the_keyboard_both_show_its_particles(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
):
    page.goto(f"{address}/compare")
    expect(page.get_by_text(LAST)).to_be_visible(timeout=60_000)
    chart = page.locator(".st-key-models_weak_0 canvas").first
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    box = chart.bounding_box()
    assert box
    page.mouse.click(box["x"] + 84 + 40, box["y"] + box["height"] - 46 - 30)  # the cell next to both axes
    expect(page).to_have_url(re.compile("cell="), timeout=20_000)
    picker = page.get_by_role("combobox", name=re.compile("Cell, worst first"))
    clicked = page.url
    picker.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(clicked, timeout=20_000)
    expect(page.get_by_role("img", name=re.compile("showers of cell")).first).to_be_visible()
    no_traceback(page)
    assert complaints == []

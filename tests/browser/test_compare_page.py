"""The Compare page in a real browser: the table is read, sorted and taken away, and a row leads to Train."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from test_main import ROOT, address, browser, complaints, no_traceback, open_page, page  # noqa: F401 - fixtures

from engine.benchmarks import read

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
QUICK = "Table+1%2C+ZDC+%C2%B7+zdc_fast+%C2%B7+quick"
RECORD = read(ROOT / "assets" / "reference" / "table1_quick.json", house=True)


def cells(table: Locator, column: int) -> list[str]:
    """A column as a screen reader finds it: the grid keeps a table of the rows in view behind its canvas."""
    found = table.locator(f"canvas table tbody tr td[aria-colindex='{column}']")
    expect(found.first).to_be_attached(timeout=30_000)
    return [text.strip() for text in found.all_text_contents()]


def place(table: Locator, name: str) -> tuple[int, float, float]:
    """The number of a column, and where its head is on the screen."""
    heads = [text.strip() for text in table.locator("canvas table thead th").all_text_contents()]
    box = table.locator("canvas").first.bounding_box()
    assert box
    before = 226 + 84  # the two columns before it
    return heads.index(name) + 1, box["x"] + before + 40, box["y"] + 16


def test_the_table_is_read_sorted_and_downloaded(address: str, page: Page, complaints: list[str], tmp_path: Path):  # noqa: F811
    assert RECORD
    page.goto(address)
    expect(page.locator(".st-key-strip")).to_be_visible(timeout=60_000)
    open_page(page, "Compare")
    expect(page.get_by_text("not ranked against ours")).to_be_visible(timeout=60_000)
    page.goto(f"{address}/compare?record={QUICK}")
    expect(page.get_by_text("no verdict")).to_be_visible(timeout=60_000)
    expect(page.get_by_text(f"commit {RECORD.commit}")).to_be_visible()
    expect(page.get_by_text("not ranked against ours")).to_be_visible()
    table = page.get_by_test_id("stDataFrame").first
    titles = cells(table, 1)
    assert titles[: len(RECORD.rows) + 1] == ["simulation against simulation", *(row.title for row in RECORD.rows)]
    column, x, y = place(table, "MAE [photons]")
    floor = RECORD.rows[0].metrics["mae"].floor
    assert floor
    assert float(cells(table, column)[0]) == floor
    page.mouse.click(x, y)
    page.wait_for_timeout(1000)
    values = [float(text) for text in cells(table, column)]
    assert values == sorted([floor, *(row.metrics["mae"].value for row in RECORD.rows)])
    for key in ("compare_quality", "compare_speed", "compare_times"):
        expect(page.locator(f".st-key-{key} canvas").first).to_be_visible(timeout=30_000)
    page.locator(".st-key-save_compare").get_by_role("button").first.click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=".csv").click()
    waiting.value.save_as(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows][1:] == [row.title for row in RECORD.rows]
    assert float(rows[1]["MAE [photons]"]) == RECORD.rows[0].metrics["mae"].value
    no_traceback(page)
    assert complaints == []


def test_a_row_leads_to_train_with_its_settings_and_a_link_reopens_it(address: str, page: Page, complaints: list[str]):  # noqa: F811
    page.goto(f"{address}/compare?record={QUICK}&row=cond.+SAE%2C+hypersphere")
    expect(page.get_by_text(re.compile("--set target=hypersphere"))).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Open in Train with these settings").click()
    expect(page.get_by_text("Opened with the settings of cond. SAE, hypersphere")).to_be_visible(timeout=60_000)
    page.wait_for_url(re.compile(r"/train\?.*like="), timeout=20_000)
    page.reload()
    expect(page.get_by_text("Opened with the settings of cond. SAE, hypersphere")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Back to defaults").click()
    expect(page.get_by_text("Opened with the settings of")).to_have_count(0, timeout=30_000)
    no_traceback(page)
    assert complaints == []

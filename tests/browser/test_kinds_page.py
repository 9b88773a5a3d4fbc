"""A model of points in a real browser: trained from the page, watched, drawn from, and its map walked."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator, Page, expect
from test_main import address, browser, complaints, no_traceback, open_page, page  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def choose(page: Page, label: str, option: str) -> None:  # noqa: F811
    """Pick an option of a selectbox as a person does: open, type, Enter."""
    box = page.get_by_role("combobox", name=re.compile(label)).first
    box.click()
    box.fill(option)
    page.get_by_role("option", name=re.compile(re.escape(option))).first.click()


def coloured(chart: Locator, red: str) -> int:
    """Pixels of a chart that pass a test of their colours r, g, b."""
    return chart.evaluate(
        """(canvas, test) => {
            const pass = new Function("r", "g", "b", "return " + test);
            const px = canvas.getContext("2d").getImageData(0, 40, canvas.width, canvas.height - 90).data;
            let n = 0;
            for (let k = 0; k < px.length; k += 4) if (px[k + 3] > 40 && pass(px[k], px[k + 1], px[k + 2])) n++;
            return n;
        }""",
        red,
    )


BLUE, ORANGE = "r < 120 && b > r + 50", "r > 150 && b < r - 60"


def test_a_model_of_points_is_trained_watched_drawn_from_and_looked_into(
    address: str,  # noqa: F811
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
):
    page.goto(f"{address}/train?points=300")
    expect(page.locator(".st-key-strip")).to_be_visible(timeout=60_000)
    choose(page, "Data set", "Two spirals")
    # the form of the set before stays, without a role, until the new one stands
    expect(page.get_by_role("spinbutton", name="batch")).to_have_value("500", timeout=30_000)
    expect(page.get_by_text("clumps")).to_have_count(0)
    page.get_by_role("spinbutton", name="epochs").first.fill("4")
    name = f"spirals {time.time():.0f}"
    page.get_by_label("Name of the run").fill(name)
    page.get_by_label("Name of the run").blur()
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text(re.compile(f"points on the curves of {name}"))).to_be_visible(timeout=120_000)
    for title in ("Real", "Reconstructed", "Generated"):
        expect(page.get_by_role("img", name=re.compile(f"^{title}: 500 points"))).to_be_visible(timeout=120_000)
    expect(page.get_by_text("finished").first).to_be_visible(timeout=180_000)
    page.get_by_role("button", name="Use in Generate").click()
    strip = page.locator(".st-key-strip").get_by_role("combobox").first
    expect(strip).to_have_value(re.compile(name), timeout=30_000)
    open_page(page, "Generate")
    expect(page.get_by_text("Generated against real points")).to_be_visible(timeout=60_000)
    chart = page.locator(".st-key-generated_over_real canvas").first
    expect(chart).to_be_visible(timeout=30_000)
    page.wait_for_timeout(1000)
    assert coloured(chart, BLUE) > 300
    assert coloured(chart, ORANGE) > 300
    expect(page.get_by_text("Read-out channels, generated")).to_have_count(0)
    page.get_by_test_id("stButtonGroup").filter(has_text="Piece").get_by_text("1", exact=True).click()
    page.wait_for_url(re.compile(r"[?&]class=1"), timeout=20_000)
    no_traceback(page)
    link = page.url
    open_page(page, "Latent space")
    chart = page.locator(".st-key-latent_map canvas").first
    expect(chart).to_be_visible(timeout=240_000)
    expect(page.get_by_text("Computing the map")).to_have_count(0, timeout=240_000)
    page.wait_for_timeout(1500)
    assert coloured(chart, BLUE) > 200
    box = chart.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 86, box["y"] + 22)  # the polygon of the toolbox
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] - 200, middle[1] - 180)
    page.mouse.down()
    for dx, dy in ((200, -180), (200, 180), (-200, 180), (-200, -170)):
        page.mouse.move(middle[0] + dx, middle[1] + dy, steps=8)
    page.mouse.up()
    expect(page.get_by_text("Selection against the rest: n/N")).to_be_visible(timeout=30_000)
    expect(page.locator("#ss-gallery img").first).to_be_visible(timeout=30_000)
    page.goto(link)
    expect(page.get_by_text("Generated against real points")).to_be_visible(timeout=60_000)
    no_traceback(page)
    assert complaints == []

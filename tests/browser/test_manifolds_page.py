"""The Manifolds page in a real browser, before the fake engine: frames are played and scrubbed, K moves regions."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from test_main import before_fake_engine, browser, complaints, no_traceback, page  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

MODES = ("Single Gaussian", "Noisy cluster centres", "Mapping network", "Real codes")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with before_fake_engine(tmp_path_factory.mktemp("toys"), "--toys") as found:
        yield found


def replay(page: Page) -> Locator:  # noqa: F811
    root = page.locator(".root[data-state='ready']")
    expect(root).to_be_visible(timeout=60_000)
    return root


def trained(page: Page, address: str) -> Locator:  # noqa: F811
    """The modes of an SC-GAN of the eight Gaussians, which is trained where there is none; all frames are here."""
    page.goto(f"{address}/manifolds?toy=Eight Gaussians")
    root = replay(page)
    if page.get_by_text("No SC-GAN has learned").count():
        page.get_by_role("button", name="Train, K =").click()
    expect(page.get_by_text("trained with K = 64 for 20 epochs")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("pictures still come")).to_have_count(0, timeout=60_000)
    expect(root).to_have_attribute("data-stops", "20", timeout=60_000)
    expect(root).to_have_attribute("data-at", "19")
    return root


def number(root: Locator, name: str) -> int:
    return int(root.get_attribute(f"data-{name}") or -1)


def picture(page: Page, title: str) -> str:  # noqa: F811
    """The pixels of a panel, as one text."""
    canvas = page.get_by_role("img", name=re.compile(f"^{title}"))
    return canvas.evaluate("canvas => canvas.toDataURL()")


def test_a_training_is_watched_and_every_panel_says_what_it_shows(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
):
    page.goto(f"{address}/manifolds?toy=Eight Gaussians")
    root = replay(page)
    expect(page.get_by_role("img", name="Target: 1000 exact points")).to_be_visible()
    expect(page.get_by_role("img", name="Mapping network: no checkpoint yet")).to_be_visible()
    page.get_by_role("button", name="Train, K =").click()
    expect(page.get_by_text(re.compile(r"training, \d+ %")).first).to_be_visible(timeout=30_000)
    expect(root).to_have_attribute("data-stops", re.compile(r"^([2-9]|1\d)$"), timeout=30_000)  # while it learns
    trained(page, address)
    for title in MODES:
        said = rf"^{title}: 400 generated points, \d+ off the manifold; W₁ [\d.]+ ± [\d.]+ = [\d.]+ × floor"
        expect(page.get_by_role("img", name=re.compile(said))).to_be_visible(timeout=30_000)
    expect(
        page.get_by_role("img", name=re.compile(r"^Clusters, K = 64: The plane in \d+ coloured regions"))
    ).to_be_visible()
    assert number(root, "drawings") > 0
    no_traceback(page)
    assert complaints == []


def test_playing_moves_the_picture_once_through_and_asks_the_server_for_nothing(address: str, page: Page):  # noqa: F811
    root = trained(page, address)
    last = picture(page, "Mapping network")
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame)[:80])))
    before = number(root, "drawings")
    page.get_by_label("4×").check(force=True)
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(400)
    assert picture(page, "Mapping network") != last
    expect(root).to_have_attribute("data-playing", "false", timeout=30_000)
    expect(root).to_have_attribute("data-at", "19")
    assert picture(page, "Mapping network") == last
    assert number(root, "drawings") - before >= 4 * 15
    assert sent == []


def test_a_higher_speed_goes_further_in_the_same_time(address: str, page: Page):  # noqa: F811
    root = trained(page, address)
    gone = {}
    for speed in ("0.5", "4"):
        page.get_by_label("Checkpoint", exact=True).last.fill("0")
        expect(root).to_have_attribute("data-at", "0")
        page.get_by_label(f"{speed}×").check(force=True)
        page.get_by_role("button", name="Play").click()
        expect(root).to_have_attribute("data-playing", "true")
        page.wait_for_timeout(1200)
        page.get_by_role("button", name="Pause").click()
        gone[speed] = number(root, "at")
    assert gone["4"] > gone["0.5"]
    assert number(root, "speed") == 4


def test_scrubbing_works_from_the_keyboard_and_tells_the_moment(address: str, page: Page):  # noqa: F811
    root = trained(page, address)
    scrub = page.locator("input.scrub")
    last = picture(page, "Single Gaussian")
    scrub.focus()
    page.keyboard.press("Home")
    expect(root).to_have_attribute("data-at", "0")
    expect(scrub).to_have_attribute("aria-valuetext", re.compile("epoch 1 of 20 · 5 % · the encoder learns"))
    assert picture(page, "Single Gaussian") != last
    page.keyboard.press("ArrowRight")
    expect(root).to_have_attribute("data-at", "1")
    page.keyboard.press("Space")
    expect(root).to_have_attribute("data-playing", "true")
    page.keyboard.press("Space")
    expect(root).to_have_attribute("data-playing", "false")
    page.keyboard.press("End")
    expect(root).to_have_attribute("data-at", "19")
    assert picture(page, "Single Gaussian") == last


def test_the_slider_divides_the_plane_anew_and_the_link_keeps_it(
    address: str,
    page: Page,  # noqa: F811
    complaints: list[str],  # noqa: F811
):
    trained(page, address)
    before = picture(page, "Clusters")
    page.get_by_role("slider", name="Clusters K").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(400)
    canvas = page.get_by_role("img", name=re.compile(r"^Clusters, K = 4: The plane in 4 coloured regions"))
    expect(canvas).to_be_visible(timeout=30_000)
    assert picture(page, "Clusters") != before
    expect(page.get_by_text("These networks were trained for K = 64")).to_be_visible()
    page.wait_for_url(re.compile(r"[?&]k=4"), timeout=20_000)
    page.reload()
    expect(canvas).to_be_visible(timeout=60_000)
    no_traceback(page)
    assert complaints == []


def test_a_race_is_run_stopped_and_drawn_in_numbers(address: str, page: Page, complaints: list[str]):  # noqa: F811
    page.goto(f"{address}/manifolds?toy=Two spirals&show=Race")
    replay(page)
    expect(page.get_by_role("img", name="SC-GAN: not trained yet")).to_be_visible()
    page.get_by_role("button", name="Start the race").click()
    expect(page.get_by_text(re.compile("queued, place 1")).first).to_be_visible(timeout=30_000)
    expect(page.locator(".st-key-race_curves canvas").first).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Stop the race").click()
    expect(page.get_by_text("cancelled").first).to_be_visible(timeout=30_000)
    page.get_by_role("button", name=re.compile("Start the (rest|race)")).click()  # once it can be pressed
    expect(page.get_by_text("6 of 6 done")).to_be_visible(timeout=120_000)
    expect(page.get_by_text(re.compile("so it is the noise generator that bridges"))).to_be_visible(timeout=60_000)
    no_traceback(page)
    assert complaints == []


def test_pictures_are_saved_as_png_and_svg(address: str, page: Page, tmp_path: Path):  # noqa: F811
    trained(page, address)
    page.get_by_role("button", name="Take away").click()
    begins = {"SVG": b"<svg xmlns", "PNG": b"\x89PNG"}
    for name, magic in begins.items():
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name, exact=True).click()
        assert waiting.value.suggested_filename == f"toy_eight_gaussians.{name.lower()}"
        waiting.value.save_as(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        assert content.startswith(magic)
        assert len(content) > 20_000


def test_nothing_moves_by_itself(address: str, browser: Browser):  # noqa: F811
    context = browser.new_context(viewport={"width": 1100, "height": 1000}, reduced_motion="reduce")
    opened = context.new_page()
    root = trained(opened, address)
    opened.wait_for_timeout(1500)
    expect(root).to_have_attribute("data-playing", "false")
    expect(root).to_have_attribute("data-at", "19")
    context.close()


# ------------------------------------------------------------------------------------------------------------ budgets
@pytest.mark.skipif("SHOWERSCOPE_TEST_URL" not in os.environ, reason="figures are of a real engine")
def test_budget_of_every_control(address: str, page: Page):  # noqa: F811
    """From key or click until the page has run and been painted. Printed, never asserted."""
    trained(page, address)
    page.evaluate(
        """() => {
            const app = document.querySelector("[data-testid='stApp']");
            const begin = () => { window.began = performance.now(); window.ran = false; window.took = null; };
            for (const kind of ["keydown", "pointerup"]) window.addEventListener(kind, begin, true);
            new MutationObserver(() => {
                const state = app.getAttribute("data-test-script-state");
                if (state === "running") window.ran = true;
                if (state === "notRunning" && window.ran && window.began) {
                    const since = window.began;
                    window.began = null;
                    const painted = () => { window.took = performance.now() - since; };
                    requestAnimationFrame(() => requestAnimationFrame(painted));
                }
            }).observe(app, { attributes: true });
        }"""
    )
    slider = page.get_by_role("slider", name="Clusters K")
    views = [page.get_by_role("radio", name=name) for name in ("Race", "Latent modes")]
    epochs = [page.get_by_role("radio", name=name, exact=True) for name in ("60", "20")]
    turns = {
        "K": [lambda: slider.press("ArrowLeft")] * 3 + [lambda: slider.press("ArrowRight")] * 3,
        "view": [view.click for view in views * 3],
        "epochs": [one.click for one in epochs * 3],
    }
    medians = {}
    for name, acts in turns.items():
        took = []
        for act in acts:
            act()
            page.wait_for_function("window.took", timeout=30_000)
            took.append(page.evaluate("window.took"))
            page.wait_for_timeout(1500)
        medians[name] = statistics.median(took)
        print(f"\n{name}: {medians[name]:.0f} ms (median of {', '.join(f'{one:.0f}' for one in took)})", end="")
    print()
    assert all(ms > 0 for ms in medians.values())

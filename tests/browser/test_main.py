"""The main job in a real browser, against the real engine: drag, train, see the map; and what happens without one.

Figures of the budget are printed (`pytest -s`), never asserted: a shared machine is no stop-watch.
`SHOWERSCOPE_TEST_URL` points the tests at an app that already runs.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from engine.bench import live

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--headless", *live.ARGUMENTS]
PAGES = ("Generate", "Train", "Latent space", "Compare", "Data", "Manifolds", "Learn", "About")
ALONE = ("Learn",)
"""Pages that ask the engine for nothing."""
STARTS_WITHIN_S = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(home: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "SHOWERSCOPE_HOME": str(home), **more}


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < STARTS_WITHIN_S:
        assert process.poll() is None, f"ended with {process.returncode}:\n{log.read_text()[-3000:]}"
        try:
            if httpx.get(url, timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer in {STARTS_WITHIN_S:.0f} s:\n{log.read_text()[-3000:]}")


def start(command: list[str], home: Path, log: Path, **more: str) -> subprocess.Popen:
    with log.open("wb") as out:
        return subprocess.Popen(
            command, cwd=ROOT, env=environment(home, **more), stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip


def stop(process: subprocess.Popen) -> None:
    """As Ctrl-C would; whatever is left of its own process group ends a little later."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `showerscope up` in a home of its own."""
    if given := os.environ.get("SHOWERSCOPE_TEST_URL"):
        yield given.rstrip("/")
        return
    home, port = tmp_path_factory.mktemp("home"), free_port()
    began = time.monotonic()
    command = [str(Path(sys.executable).with_name("showerscope")), "up", "--port", str(port)]
    process = start(command, home, home / "up.log", SHOWERSCOPE_FAST_SHOWERS="600")
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, home / "up.log")
        print(f"\nshowerscope up answers after {time.monotonic() - began:.1f} s")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


@contextmanager
def before_fake_engine(home: Path, *options: str) -> Iterator[str]:
    """The address of the app before the tests' fake engine, which is started with these options."""
    engine, port = free_port(), free_port()
    fake = [sys.executable, str(ROOT / "tests" / "app" / "serve_fake.py"), "--port", str(engine), *options]
    app = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port", str(port)]
    where = {"PYTHONPATH": str(ROOT), "SHOWERSCOPE_ENGINE": f"http://127.0.0.1:{engine}"}
    started = [start(fake, home, home / "fake.log", **where)]
    try:
        wait_for(f"http://127.0.0.1:{engine}/health", started[0], home / "fake.log")
        started.append(start(app, home, home / "app.log", **where))
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", started[1], home / "app.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in started:
            stop(process)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console reported as errors."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    opened = context.new_page()

    def note(message: ConsoleMessage) -> None:
        # Streamlit itself looks for its server below a page's path first, and reports that as 404.
        where = str(message.location.get("url", ""))
        if message.type == "error" and "/_stcore/" not in where:
            complaints.append(f"{message.text} ({where})")

    opened.on("console", note)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()


def panel(page: Page) -> Locator:
    """The live panel, once it has drawn a shower."""
    root = page.locator(".root[data-state='ready']")
    expect(root).to_be_visible(timeout=60_000)
    expect(root).not_to_have_attribute("data-frames", "0", timeout=30_000)
    return root


def number(root: Locator, name: str) -> float:
    return float(root.get_attribute(f"data-{name}") or "nan")


def coloured(chart: Locator) -> tuple[int, int]:
    """Pixels of the data's blue and of the generated points' orange."""
    blue, orange = chart.evaluate(
        """canvas => {
            const px = canvas.getContext("2d").getImageData(0, 60, canvas.width, canvas.height - 60).data;
            let blue = 0, orange = 0;
            for (let k = 0; k < px.length; k += 4) {
                if (px[k + 3] < 40) continue;
                if (px[k] < 120 && px[k + 2] > px[k] + 50) blue++;
                if (px[k] > 150 && px[k + 2] < px[k] - 60) orange++;
            }
            return [blue, orange];
        }"""
    )
    return blue, orange


def open_page(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()


def no_traceback(page: Page) -> None:
    text = page.locator("body").inner_text()
    assert "Traceback" not in text
    assert page.locator("[data-testid='stException']").count() == 0
    assert "met an error it does not know" not in text


def brightest(page: Page, name: str) -> int:
    """The largest colour distance between two pixels of a canvas: 0 where nothing is drawn."""
    return page.locator(f"canvas.{name}").evaluate(
        """canvas => {
            const px = canvas.getContext("2d").getImageData(60, 20, canvas.width - 80, canvas.height - 70).data;
            let low = 255, high = 0;
            for (let k = 1; k < px.length; k += 4) { low = Math.min(low, px[k]); high = Math.max(high, px[k]); }
            return high - low;
        }"""
    )


def test_landing_draws_a_shower_beside_a_simulated_one(address: str, page: Page, complaints: list[str]):
    began = time.monotonic()
    page.goto(address)
    root = panel(page)
    print(f"\ncold page to first shower {time.monotonic() - began:.2f} s")
    assert number(root, "sum") > 0
    assert brightest(page, "generated") > 60
    expect(page.locator("figcaption.real")).to_contain_text("Simulation", timeout=30_000)
    assert brightest(page, "simulated") > 60
    expect(page.get_by_text("Read-out channels")).to_be_visible(timeout=30_000)
    no_traceback(page)
    assert complaints == []


def test_dragging_the_energy_grows_the_shower_live(address: str, page: Page, complaints: list[str]):
    page.goto(address)
    root = panel(page)
    expect(page.get_by_text("Read-out channels")).to_be_visible(timeout=30_000)
    box = page.locator("input#energy_gev").bounding_box()
    assert box
    y, left, width = box["y"] + box["height"] / 2, box["x"] + 0.35 * box["width"], 0.5 * box["width"]
    frames, distinct = number(root, "frames"), number(root, "distinct")
    page.mouse.move(left, y)
    page.mouse.down()
    seen: list[tuple[float, float, float]] = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < 3.0:
        page.mouse.move(left + width * passed / 3.0, y)
        page.wait_for_timeout(10)
        seen.append((number(root, "energy"), number(root, "sum"), number(root, "ms")))
    page.mouse.up()
    drawn, different = number(root, "frames") - frames, number(root, "distinct") - distinct
    delay = sorted(ms for _, _, ms in seen)
    print(f"\n3 s drag: {drawn:.0f} pictures, {different:.0f} different, {delay[len(delay) // 2]:.0f} ms in the middle")
    assert different >= 5  # while the button was down: Streamlit's own slider draws none
    third = len(seen) // 3
    assert seen[-1][0] > 2 * seen[0][0]
    assert sum(s for _, s, _ in seen[-third:]) > 1.5 * sum(s for _, s, _ in seen[:third])
    page.wait_for_url(re.compile(r"[?&]E="), timeout=20_000)
    no_traceback(page)
    assert complaints == []


def test_a_copied_link_reopens_the_same_shower(address: str, browser: Browser, page: Page):
    page.goto(f"{address}/?pdg=22&E=300&px=0.05&seed=7")
    root = panel(page)
    assert number(root, "energy") == 300
    second = browser.new_page()
    second.goto(page.url)
    assert panel(second).get_attribute("data-hash") == root.get_attribute("data-hash")
    second.close()


def test_the_panel_works_from_the_keyboard(address: str, page: Page):
    page.goto(address)
    root = panel(page)
    before = root.get_attribute("data-energy")
    page.locator("input#energy_gev").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(root).not_to_have_attribute("data-energy", before or "", timeout=10_000)
    page.locator("canvas.generated").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".readout")).to_contain_text("fibre (21, 22)")


def points_on_curve(page: Page) -> int:
    """How many points the loss chart says it shows; 0 while it has none."""
    found = page.get_by_text(re.compile(r"\d+ points on the curves of")).first
    return int(found.inner_text().split()[0]) if found.count() else 0


def test_training_from_the_page_draws_its_loss_live(address: str, page: Page, complaints: list[str]):
    page.goto(address)
    panel(page)
    open_page(page, "Train")
    name = f"browser {time.time():.0f}"
    page.get_by_label("Name of the run").fill(name)
    page.get_by_label("Name of the run").blur()
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text(re.compile(f"points on the curves of {name}"))).to_be_visible(timeout=120_000)
    first = points_on_curve(page)
    steps, began = {first}, time.monotonic()
    while max(steps) < first + 5 and time.monotonic() - began < 180:
        page.wait_for_timeout(250)
        steps.add(points_on_curve(page))
    print(f"\nloss curve grew from {first} to {max(steps)} points in {len(steps)} ticks")
    assert max(steps) >= first + 5
    expect(page.locator(".st-key-loss_curves canvas").first).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("cancelled", exact=False).first).to_be_visible(timeout=60_000)
    no_traceback(page)
    assert complaints == []


def test_a_model_is_judged_by_the_engine_and_its_report_is_opened(
    address: str, page: Page, complaints: list[str], tmp_path: Path
):
    page.goto(f"{address}/compare?half=Models&models=bundled:zdc_geant4_e2e_sae")
    expect(page.get_by_text("With the light calibrated")).to_be_visible(timeout=180_000)
    expect(page.get_by_text("182 test primaries")).to_be_visible()
    cells = page.get_by_test_id("stDataFrame").first.locator("canvas table tbody tr td[aria-colindex='3']")
    expect(cells.first).to_be_attached(timeout=30_000)
    floor, mae = (float(text.split("±")[0]) for text in cells.all_text_contents()[:2])
    assert 5 < floor < 1.2 * mae
    page.locator(".st-key-save_models").get_by_role("button").first.click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report, one HTML page").click()
    waiting.value.save_as(tmp_path / "report.html")
    page.goto((tmp_path / "report.html").as_uri())
    expect(page.get_by_role("heading", name="Metrics")).to_be_visible()
    expect(page.get_by_text("MAE of channels [photons]")).to_be_visible()
    assert page.locator("svg").count() == 1
    assert complaints == []


def test_latent_page_draws_two_layers_and_a_lasso_opens_a_gallery(address: str, page: Page, complaints: list[str]):
    page.goto(f"{address}/?points=300")
    panel(page)
    open_page(page, "Latent space")
    chart = page.locator(".st-key-latent_map canvas").first
    expect(chart).to_be_visible(timeout=240_000)
    expect(page.get_by_text("Computing the map")).to_have_count(0, timeout=240_000)
    page.wait_for_timeout(1500)
    blue, orange = coloured(chart)
    assert blue > 300
    assert orange > 300
    box = chart.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 86, box["y"] + 22)  # the polygon of the toolbox
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    corners = [(-150, -150), (150, -150), (150, 150), (-150, 150), (-150, -140)]
    page.mouse.move(middle[0] + corners[0][0], middle[1] + corners[0][1])
    page.mouse.down()
    for dx, dy in corners[1:]:
        page.mouse.move(middle[0] + dx, middle[1] + dy, steps=8)
    page.mouse.up()
    began = time.monotonic()
    expect(page.get_by_text("Selection against the rest: n/N")).to_be_visible(timeout=30_000)
    print(f"\nlasso to gallery {1000 * (time.monotonic() - began):.0f} ms")
    expect(page.locator("#ss-gallery img").first).to_be_visible(timeout=30_000)
    no_traceback(page)
    assert complaints == []


def hand_in(page: Page, path: Path) -> None:
    """Give a file to the Import view and press Import; the name is the suggested one."""
    page.locator("input[type=file]").set_input_files(path)
    expect(page.get_by_label("Name", exact=True)).to_have_value(path.stem, timeout=30_000)
    button = page.get_by_test_id("stBaseButton-primary").filter(has_text="Import")
    expect(button).to_be_enabled(timeout=30_000)
    button.click()


def test_a_file_is_imported_filtered_compared_and_removed(
    address: str, page: Page, complaints: list[str], tmp_path: Path
):
    with np.load(ROOT / "assets" / "data" / "zn_geant4.npz", allow_pickle=False) as file:
        arrays = {name: file[name][:300] for name in ("showers", "conditions", "pdg", "primary_id", "replica")}
    np.savez(tmp_path / "small.npz", allow_pickle=False, **arrays)
    page.goto(f"{address}/data?view=Import")
    began = time.monotonic()
    hand_in(page, tmp_path / "small.npz")
    expect(page.get_by_text("What was understood")).to_be_visible(timeout=120_000)
    print(f"\nfile to report {time.monotonic() - began:.1f} s")
    expect(page.get_by_text("pictures of (44, 44) have the 1936 fibres of zn")).to_be_visible()
    page.get_by_role("button", name="Show the set").click()
    kept = page.get_by_text(re.compile(r"^[\d,]+ of 300 showers$"))
    expect(kept).to_have_text("300 of 300 showers", timeout=30_000)
    page.get_by_test_id("stSegmentedControl").or_(page.get_by_test_id("stButtonGroup")).filter(
        has_text="Photon sum at least"
    ).get_by_text("18", exact=True).click()
    expect(kept).to_have_text(f"{int((arrays['showers'].sum((1, 2)) >= 18).sum())} of 300 showers", timeout=30_000)
    page.get_by_text("Ratio to another set").click()
    expect(page.get_by_text(re.compile("showers, line.* scaled to the"))).to_be_visible(timeout=30_000)
    expect(page.locator(".st-key-ratio_photon-sum canvas").first).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("button", name="Delete small").click()
    expect(page.get_by_text("Geant4 11.4.1 FTFP_BERT").first).to_be_visible(timeout=30_000)
    page.get_by_text("Import", exact=True).click()
    expect(page.get_by_text("Nothing was imported yet")).to_be_visible(timeout=30_000)
    no_traceback(page)
    assert complaints == []


@pytest.mark.parametrize(
    ("name", "content"), [("broken.npz", b"PK\x03\x04 no archive"), ("table.csv", b"a,b\n1,2\n"), ("empty.root", b"")]
)
def test_a_bad_file_is_one_clear_line_and_nothing_is_stored(
    address: str, page: Page, complaints: list[str], tmp_path: Path, name: str, content: bytes
):
    (tmp_path / name).write_bytes(content)
    page.goto(f"{address}/data?view=Import")
    hand_in(page, tmp_path / name)
    said = page.get_by_test_id("stAlert").filter(has_text="Not imported, nothing was stored")
    expect(said).to_be_visible(timeout=120_000)
    expect(said.locator("p")).to_have_count(1)
    assert len(said.locator("p").inner_text().splitlines()) == 1
    expect(page.get_by_text("Nothing was imported yet")).to_be_visible()
    no_traceback(page)
    assert complaints == []


def test_a_set_is_simulated_from_the_page_and_checked_against_geant4(address: str, page: Page, complaints: list[str]):
    page.goto(f"{address}/data?set=ZN%2C+parametrised+Monte+Carlo")
    expect(page.get_by_text("is not made yet")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Simulate 600 showers").click()
    expect(page.get_by_text("600 of 600 showers")).to_be_visible(timeout=180_000)
    page.get_by_text("Agreement with Geant4").click()
    page.get_by_role("button", name="Check against Geant4").click()
    headline = page.get_by_text(re.compile(r"\d+ of \d+ statistics within 2×"))
    expect(headline).to_be_visible(timeout=180_000)
    expect(page.locator(".st-key-check_ratios canvas").first).to_be_visible(timeout=30_000)
    page.reload()
    expect(headline).to_be_visible(timeout=60_000)
    no_traceback(page)
    assert complaints == []


def test_every_page_opens_without_a_complaint(address: str, page: Page, complaints: list[str]):
    page.goto(address)
    panel(page)
    for name in PAGES[1:]:
        open_page(page, name)
        expect(page.locator(".st-key-strip")).to_be_visible()
        page.wait_for_timeout(2500)
        no_traceback(page)
    assert complaints == []


def test_without_an_engine_every_page_says_so_in_plain_words(browser: Browser, tmp_path: Path):
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port", str(port)]
    nowhere = f"http://127.0.0.1:{free_port()}"
    process = start(command, tmp_path, tmp_path / "app.log", SHOWERSCOPE_ENGINE=nowhere)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, tmp_path / "app.log")
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}")
        for name in PAGES:
            open_page(page, name)
            if name in ALONE:
                expect(page.get_by_text("engine down")).to_be_visible(timeout=30_000)
            else:
                expect(page.get_by_text("The engine does not answer").first).to_be_visible(timeout=30_000)
                expect(page.get_by_text("showerscope up").first).to_be_visible()
            no_traceback(page)
        page.close()
    finally:
        stop(process)


def test_when_the_engine_goes_the_last_picture_stays_and_is_marked(browser: Browser, tmp_path: Path):
    engine_port, port = free_port(), free_port()
    here = f"http://127.0.0.1:{engine_port}"
    serve = [sys.executable, "tests/app/serve_fake.py", "--port", str(engine_port)]
    engine = start(serve, tmp_path, tmp_path / "engine.log")
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port", str(port)]
    process = start(command, tmp_path, tmp_path / "app.log", SHOWERSCOPE_ENGINE=here)
    try:
        wait_for(f"{here}/health", engine, tmp_path / "engine.log")
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, tmp_path / "app.log")
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}")
        panel(page)
        expect(page.get_by_text("Read-out channels")).to_be_visible(timeout=30_000)
        stop(engine)
        page.locator("input#energy_gev").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator(".root[data-state='stale']")).to_be_visible(timeout=20_000)
        expect(page.get_by_text("Stale").first).to_be_visible(timeout=20_000)
        assert brightest(page, "generated") > 60
        no_traceback(page)
        engine = start(serve, tmp_path, tmp_path / "engine.log")
        expect(page.locator(".root[data-state='ready']")).to_be_visible(timeout=60_000)
        page.close()
    finally:
        stop(process)
        stop(engine)

"""How long a user waits: the real app in a real browser, the real engine, and a training that goes on beside.

Times are taken in the page, in its own clock, from the event that a hand makes to the frame that shows the answer
(`latency.js`). What can be measured without the training is measured in turn with it, while it is paused. Beside
releases, ticks and cold pages stands what Streamlit takes for a page that is nearly empty.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.bench import bare, figures, live
from engine.bench.bundled import default
from engine.bench.live import Live
from engine.runs import BUNDLED
from engine.schema import EngineError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

Samples = dict[str, list[float]]

SHOWERS = 13_000
"""Of the parametrised set, so that training and validation hold the points of the large map."""
LAYER = 10_000
"""Points of each layer of the large map."""
EPOCHS = 400
"""Of the training beside: it outlasts the benchmark, and its curves get new points every few ticks."""
DRAG_S, MOVE_S = 1.5, 0.008
"""A drag, and the time between two moves of the hand."""
WINDOW_S = 10.0
"""Over which the main thread's time is taken: some ticks draw new curves, strips or maps, most a new number."""
FLOOR = "bare "
"""Before the name of what a bare page takes."""
COLOURS = ("energy", "photon sum", "density ratio", "layer")
TARGETS: dict[str, tuple[str, str, dict[str, float]]] = {
    "drag": ("a move of the hand to its shower", "ms", {"most": 60}),
    "rate": ("pictures during a drag", "1/s", {"least": 20}),
    "release": ("release to whole page", "ms", {"most": 200}),
    "lasso": ("lasso to gallery", "ms", {"most": 400}),
    "large_lasso": (f"lasso to gallery among {2 * LAYER} points", "ms", {"most": 400}),
    "tick": ("main thread of a live tick", "ms", {"most": 60}),
    "own": ("main thread of a live tick, of a processor", "ms", {}),
    "cold": ("cold page", "ms", {"most": 2000}),
    "opened": (f"map of {2 * LAYER} points opened: data there to drawn", "ms", {"most": 250}),
    "coloured": (f"map of {2 * LAYER} points coloured anew: data there to drawn", "ms", {"most": 250}),
}
"""Title, unit and bound of what is measured (UX, budgets)."""


def run(quick: bool = False) -> dict[str, Any]:
    """Medians with quartiles beside a training, the same alone, and the training itself. `quick`: fewer repetitions.

    Raises `WrongInput` where there is no Chromium, or no Playwright that drives it.
    """
    rounds, times = (1, 3) if quick else (3, 4)
    bundled = f"{BUNDLED}{default().stem}"
    with live.browser() as browser, live.started(SHOWERSCOPE_FAST_SHOWERS=str(SHOWERS)) as app, bare.page() as floor:
        app.prepare("zdc_fast")
        mapped = app.train("zdc_fast", epochs=1, checkpoint_epochs=1)
        app.until(lambda: app.status(mapped)["state"] == "finished", "a short training")
        for run, n in ((mapped, LAYER), (bundled, 1000)):
            app.until(lambda run=run, n=n: finished_map(app, run, n), "the map")
        beside = app.train("zdc_fast", epochs=EPOCHS)
        works: list[Callable[[], Samples]] = [
            lambda: drags(browser, f"{app.address}/?run={bundled}&E=300&px=0.02", times),
            lambda: lassos(browser, f"{app.address}/latent?run={bundled}", times, "lasso"),
            lambda: lassos(browser, f"{app.address}/latent?run={mapped}&points={LAYER}", times, "large_lasso"),
            lambda: colds(browser, app.address, times),
            lambda: floors(browser, floor, times),
            lambda: maps(browser, f"{app.address}/?run={mapped}&points={LAYER}", 1 if quick else 2),
        ]
        found, alone = in_turn(app, beside, works, rounds)
        windows = 2 if quick else 8
        found |= ticks(
            browser, f"{app.address}/train?runs={beside}", windows, [".st-key-loss_curves", ".st-key-live_map"]
        )
        found |= {FLOOR + name: samples for name, samples in ticks(browser, floor, windows).items()}
        training = app.status(beside)
    return figures.record(
        "latency",
        summary(found, alone),
        training={name: training[name] for name in ("model", "data", "step", "samples_per_s", "device")},
    )


def in_turn(app: Live, beside: str, works: list[Callable[[], Samples]], rounds: int) -> tuple[Samples, Samples]:
    """What all works measure, beside a running training and beside a paused one, in turn."""
    found: tuple[Samples, Samples] = defaultdict(list), defaultdict(list)
    for _ in range(rounds):
        for work in works:
            for kept, paused in zip(found, (False, True), strict=True):
                app.pause(beside, paused)
                for name, samples in work().items():
                    kept[name] += samples
    app.pause(beside, False)
    return found


def summary(found: Samples, alone: Samples) -> list[dict[str, Any]]:
    """A figure each, in the order of `TARGETS`. Raises `EngineError` where one was never seen."""
    made = []
    for name, (title, unit, bound) in TARGETS.items():
        if not found.get(name):
            raise EngineError(f"{title}: the page never showed it. Open the app and look whether that part works")
        value, quartiles = figures.middle(found[name])
        more: dict[str, Any] = {"n": len(found[name])}
        if alone.get(name):
            more["alone_ms" if unit == "ms" else "alone"] = figures.middle(alone[name])[0]
        if found.get(FLOOR + name):
            more["bare_page_ms"] = figures.middle(found[FLOOR + name])[0]
        if alone.get(FLOOR + name):
            more["bare_page_alone_ms"] = figures.middle(alone[FLOOR + name])[0]
        made.append(figures.figure(title, value, unit, quartiles=quartiles, **bound, **more))
    return made


def finished_map(app: Live, run: str, n: int) -> bool:
    """Whether a map is there; it is computed from the first question on."""
    from engine.schema import Arrays

    state = Arrays.from_bytes(app.ask("map", request={"run": run, "n": n})).meta["state"]
    if state == "failed":
        raise EngineError(f"the map of {run} could not be computed: open Latent space for the reason")
    return state == "done"


# ------------------------------------------------------------------------------------------------------------- measures
def opened(browser: Browser, address: str) -> Page:
    """A new visitor's page that notes times."""
    page = live.new_page(browser)
    page.add_init_script(path=Path(__file__).with_suffix(".js"))
    page.goto(address)
    return page


def drags(browser: Browser, address: str, times: int) -> Samples:
    """The energy's slider dragged up and down: each picture [ms] after the hand's move, pictures a second, and the
    whole page [ms] after the hand lets go."""
    page = opened(browser, address)
    root = live.instrument(page)
    root.evaluate("root => bench.watch(root)")
    page.evaluate("bench.whole.length = 0")
    slider = box(page.locator("input#energy_gev"))
    y, left, width = slider["y"] + slider["height"] / 2, slider["x"] + 0.4 * slider["width"], 0.35 * slider["width"]
    rates: list[float] = []
    for turn in range(times):
        start, sign = (left, 1) if turn % 2 == 0 else (left + width, -1)
        page.mouse.move(start, y)
        page.mouse.down()
        before, begin = page.evaluate("bench.pictures.length"), time.perf_counter()
        while (share := (time.perf_counter() - begin) / DRAG_S) < 1:
            page.mouse.move(start + sign * share * width, y)
            time.sleep(MOVE_S)
        drawn = page.evaluate("bench.pictures.length") - before
        rates.append(drawn / (time.perf_counter() - begin))
        page.mouse.up()
        page.wait_for_function("n => bench.whole.length > n", arg=turn, polling=50)
        page.wait_for_timeout(300)
    made = {"drag": page.evaluate("bench.pictures"), "rate": rates, "release": page.evaluate("bench.whole")}
    page.context.close()
    return made


def lassos(browser: Browser, address: str, times: int, name: str) -> Samples:
    """Squares around the middle of a map: their galleries [ms] after the last corner is let go."""
    page = opened(browser, address)
    chart = drawn_map(page)
    for turn in range(times):
        at = box(chart)
        page.mouse.click(at["x"] + at["width"] - 86, at["y"] + 22)  # the polygon of the toolbox
        middle, half = (at["x"] + at["width"] / 2, at["y"] + at["height"] / 2), 150 - 10 * turn
        corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, 10 - half)]
        page.mouse.move(middle[0] + corners[0][0], middle[1] + corners[0][1])
        page.mouse.down()
        for dx, dy in corners[1:]:
            page.mouse.move(middle[0] + dx, middle[1] + dy, steps=8)
        page.evaluate("Object.assign(bench, { lasso: true, released: undefined })")  # from here on, and no click before
        page.mouse.up()
        page.wait_for_function("n => bench.galleries.length > n", arg=turn, polling=50)
        live.settled(page)
        page.evaluate("bench.lasso = false")
        page.get_by_role("button", name="Clear selection").click()
        page.locator("#ss-gallery[data-selected='0']").wait_for()
        live.settled(page)
        page.wait_for_timeout(500)
    made = page.evaluate("bench.galleries")
    page.context.close()
    return {name: made}


def colds(browser: Browser, address: str, times: int) -> Samples:
    """The landing page of a new visitor to a warm server, its numbers and its first shower [ms] after navigation."""
    made: list[float] = []
    for _ in range(times):
        page = opened(browser, address)
        page.locator(live.DRAWN).wait_for()
        shower = page.evaluate("performance.now()")
        page.wait_for_function("bench.whole.length > 0", polling=50)
        made.append(max(shower, *page.evaluate("bench.whole")))
        page.context.close()
    return {"cold": made}


def maps(browser: Browser, address: str, times: int) -> Samples:
    """The large map, opened from another page and coloured anew: drawn [ms] after its points are there."""
    made: Samples = {"opened": [], "coloured": []}
    for _ in range(times):
        page = opened(browser, address)
        page.wait_for_timeout(500)
        live.settled(page)
        page.evaluate("bench.arm()")
        live.visit(page, "Latent space")
        drawn_map(page)
        made["opened"].append(painted(page))
        for colour in COLOURS:
            page.locator(".st-key-colour").get_by_role("combobox").click()
            option = page.get_by_role("option", name=colour, exact=True)
            option.hover()
            page.evaluate("bench.arm()")
            option.click()
            page.wait_for_timeout(500)
            made["coloured"].append(painted(page))
        page.context.close()
    return made


def floors(browser: Browser, address: str, times: int) -> Samples:
    """The bare page of a new visitor [ms after navigation], and its slider let go at one place after another."""
    made: Samples = {FLOOR + "cold": [], FLOOR + "release": []}
    for _ in range(times):
        page = opened(browser, address)
        page.wait_for_function("bench.whole.length > 0", polling=50)
        made[FLOOR + "cold"] += page.evaluate("bench.whole")
        live.settled(page)
        page.evaluate("bench.whole.length = 0")
        track = box(page.locator("[data-testid='stSlider'] [data-orientation] [data-orientation]").first)
        for turn in range(times):
            share = 0.2 + 0.6 * turn / times
            page.mouse.click(track["x"] + share * track["width"], track["y"] + track["height"] / 2)
            page.wait_for_function("n => bench.whole.length > n", arg=turn, polling=50)
            page.wait_for_timeout(300)
        made[FLOOR + "release"] += page.evaluate("bench.whole")
        page.context.close()
    return made


def ticks(browser: Browser, address: str, windows: int, charts: Sequence[str] = ()) -> Samples:
    """Milliseconds of the page's main thread a tick in which a training's step moved on: of the wall in all its tasks,
    and of a processor. charts: parts that have to be drawn first."""
    page = opened(browser, address)
    for chart in charts:
        page.locator(f"{chart} canvas").first.wait_for()
    live.settled(page)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def read() -> tuple[float, float, int]:
        counted = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return 1000 * counted["TaskDuration"], 1000 * counted["ThreadTime"], page.evaluate("bench.ticks")

    page.wait_for_timeout(1000 * WINDOW_S)
    made: Samples = {"tick": [], "own": []}
    before = read()
    for _ in range(windows):
        page.wait_for_timeout(1000 * WINDOW_S)
        after = read()
        n = after[2] - before[2]
        if n:
            made["tick"].append((after[0] - before[0]) / n)
            made["own"].append((after[1] - before[1]) / n)
        before = after
    page.context.close()
    return made


# --------------------------------------------------------------------------------------------------------- small pieces
def box(part: Locator) -> Any:
    """Where a part stands, in pixels."""
    found = part.bounding_box()
    if found is None:
        raise EngineError("a part of the page has no place: open the app and look whether it is drawn")
    return found


def drawn_map(page: Page) -> Locator:
    """The map and its gallery, once they stand."""
    chart = page.locator(".st-key-latent_map canvas").first
    chart.wait_for()
    page.locator("#ss-gallery img").first.wait_for()
    live.settled(page)
    page.wait_for_timeout(1500)
    return chart


def painted(page: Page) -> float:
    """Milliseconds from the points to the frame that first shows them, once no larger message has come for a moment."""
    page.wait_for_function("bench.drawn && performance.now() - bench.drawn > 500", polling=100)
    return page.evaluate("bench.drawn - bench.there")

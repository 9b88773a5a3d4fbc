"""Memory as the system counts it: app and engine after every page was opened, visitors, a thousand interactions, bulks.

Of a running process: what of it stands in memory (`Rss` of /proc/PID/smaps_rollup: its own pages, and all of those that
it shares), since that is what a machine's owner sees; `Pss`, which shares fairly, stands beside. Processes that the
engine starts (maps, evaluations, trainings) are counted apart. The app collects its garbage once a minute, so figures
are taken after a collection. MB are 10⁶ bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.bench import figures, live
from engine.bench.bundled import default
from engine.bench.figures import figure
from engine.bench.live import Live
from engine.runs import BUNDLED

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BULK_MB = 500.0
CASES = (("parquet", "poisson"), ("root", "poisson"), ("parquet", "expected"))
APP_MB, ENGINE_MB, SESSION_MB = 350.0, 1200.0, 15.0
GROWTH_MB = 1.0
"""Per hundred interactions. Someone who does something every five seconds for eight hours does it 5 760 times, which
may then cost 58 MB at most: less than four visitors. A held picture each (7 kB) would stay below it, a held answer of
an ensemble (250 kB) would be found."""
COLLECTED_S = 62.0
"""The app collects once a minute."""
PER_PAGE, SAMPLE, STARTING = 10, 25, 200
"""Every tenth interaction changes the page; memory is read every so many; the first ones fill caches."""
QUICK_SHOWERS = 13_000


def run(quick: bool = False, showers: int | None = None) -> dict[str, Any]:
    """Figures in MB with their budgets. `quick`: a tenth of the bulks' showers, a smaller data set, few visitors and
    interactions. showers: of the bulks.

    Raises `WrongInput` where there is no Chromium, or no Playwright that drives it.
    """
    size = {"SHOWERSCOPE_FAST_SHOWERS": str(QUICK_SHOWERS)} if quick else {}
    with live.browser() as browser, live.started(**size) as app:
        app.prepare("zdc_fast")
        trained = app.train("zdc_geant4", epochs=2, checkpoint_epochs=1)
        app.until(lambda: app.status(trained)["state"] == "finished", "a short training")
        found = processes(browser, app)
        found += sessions(browser, app, (0, 2, 4) if quick else (0, 2, 4, 6, 8, 10))
        found += interactions(browser, app, 300 if quick else 1000)
    found += bulks(showers or (50_000 if quick else 500_000))
    return figures.record("memory", found)


# ------------------------------------------------------------------------------------------------------------ processes
def resident(text: str) -> dict[str, float]:
    """Sizes [MB] in a /proc/PID/smaps_rollup."""
    rows = (line.split() for line in text.splitlines()[1:])
    return {row[0].rstrip(":"): int(row[1]) * 1024 / 1e6 for row in rows}


def of(pid: int) -> dict[str, float]:
    return resident(Path(f"/proc/{pid}/smaps_rollup").read_text())


def processes(browser: Browser, app: Live) -> list[dict[str, Any]]:
    """App and engine after every page was opened once."""
    page = live.new_page(browser)
    begun = {name: of(pid)["Rss"] for name, pid in (("app", app.app), ("engine", app.engine))}
    look_around(page, app.address)
    time.sleep(COLLECTED_S)
    held = held_mb(app.ask("datasets"))
    of_app, of_engine = of(app.app), of(app.engine)
    children = sum(of(pid)["Pss"] for pid in live.family(app.engine))
    page.context.close()
    return [
        figure(
            "app, every page opened", of_app["Rss"], "MB", most=APP_MB, pss_mb=of_app["Pss"], begun_mb=begun["app"]
        ),
        figure(
            "engine, every page opened", of_engine["Rss"], "MB", most=ENGINE_MB + held, pss_mb=of_engine["Pss"],
            begun_mb=begun["engine"], held_mb=held, children_pss_mb=children,
        ),
    ]  # fmt: skip


def held_mb(sets: Sequence[dict[str, Any]]) -> float:
    """What the pictures of the data sets that an engine has loaded take at two bytes a pixel [MB]; sets as
    `Engine.datasets` describes them. One that is not made yet takes nothing."""
    return sum(2 * one["showers"] * float(np.prod(one["shape"])) for one in sets if one["ready"]) / 1e6


def look_around(page: Page, address: str) -> None:
    """Every page once, from the landing page on, with its map and what it judges."""
    page.goto(address)
    live.instrument(page)
    for name in live.PAGES[1:]:
        live.visit(page, name)
        if name == "Latent space":
            page.locator("#ss-gallery img").first.wait_for()
            live.settled(page)


def sessions(browser: Browser, app: Live, counts: Sequence[int]) -> list[dict[str, Any]]:
    """How the app grows with visitors who opened every page and stay."""
    pages: list[Page] = []
    seen = []
    for count in counts:
        while len(pages) < count:
            pages.append(live.new_page(browser))
            look_around(pages[-1], app.address)
        time.sleep(COLLECTED_S)
        seen.append(of(app.app)["Rss"])
    for page in pages:
        page.context.close()
    slope, error = figures.slope(counts, seen)
    return [
        figure("app, each further visitor", slope, "MB", most=SESSION_MB, error=error, visitors=list(counts), mb=seen)
    ]


def interactions(browser: Browser, app: Live, times: int) -> list[dict[str, Any]]:
    """How app and engine grow while one visitor moves the energy and changes pages."""
    page = live.new_page(browser)
    page.goto(f"{app.address}/?E=300")
    live.instrument(page)
    seen: list[tuple[int, float, float]] = []
    for k in range(1, times + 1):
        interact(page, k)
        if k % SAMPLE == 0:
            seen.append((k, of(app.app)["Rss"], of(app.engine)["Rss"]))
    page.context.close()
    late = np.array([row for row in seen if row[0] >= min(STARTING, times // 3)])
    found = []
    for name, values in (("app", late[:, 1]), ("engine", late[:, 2])):
        slope, error = figures.slope(late[:, 0] / 100, values)
        more = {"error": error, "interactions": times, "from_mb": float(values[0]), "to_mb": float(values[-1])}
        found.append(figure(f"{name}, growth in 100 interactions", slope, "MB", most=GROWTH_MB, **more))
    return found


def interact(page: Page, k: int) -> None:
    """The k-th interaction: a step of the energy and the whole page after it, or another page and, next, back."""
    if k % PER_PAGE == PER_PAGE - 1:
        live.visit(page, live.PAGES[1 + k // PER_PAGE % (len(live.PAGES) - 1)])
    elif k % PER_PAGE == 0:
        live.visit(page, live.PAGES[0])
        live.instrument(page)
    else:
        before = page.evaluate("location.search")  # the page's part writes its particle there
        page.locator("input#energy_gev").press("ArrowRight" if k // 100 % 2 == 0 else "ArrowLeft")
        page.wait_for_function("before => location.search !== before", arg=before)
        page.locator(live.AT_REST).wait_for()


# ---------------------------------------------------------------------------------------------------------------- bulks
def bulks(many: int) -> list[dict[str, Any]]:
    """MB above the loaded model by format, light and number, each in a process of its own; flat where the larger number
    takes no more than the smaller one."""
    found = []
    for format, light in CASES:
        for n in (many // 5, many) if light == "poisson" else (many // 20, many // 5):  # 7 kB each
            command = [sys.executable, "-m", "engine.bench.memory", format, light, str(n)]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            made = json.loads(answer)
            name = f"bulk of {n:,} showers, {light} light, {format}: above the model"
            found.append(figure(name, made.pop("memory_mb"), "MB", most=BULK_MB, **made))
    return found


def one(format: str, light: str, n: int) -> dict[str, Any]:
    """A bulk of neutrons at all energies in this process, thrown away at its end."""
    from engine import bulk
    from engine.schema import BulkRequest, Spectrum
    from engine.service import Service
    from engine.sources import source_of

    service = Service()
    values: dict[str, Any] = {"format": format, "light": light, "spectrum": Spectrum(law="power")}
    request = BulkRequest(run=f"{BUNDLED}{default().stem}", n=n, **values)
    source = service.generator(request.run)
    rows = source_of(request, source.data, None)
    with tempfile.TemporaryDirectory(dir=service.home) as folder:
        name = f"showers.{format}"
        made = bulk.run(Path(folder), service.host, source, rows, request, name, lambda done, total: None)
    service.close()
    return {
        "memory_mb": round(made.memory_mb, 1),
        "bytes_per_shower": round(made.bytes / n, 1),
        "ms_per_shower": round(1000 * made.seconds / n, 4),
    }


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], sys.argv[2], int(sys.argv[3]))))

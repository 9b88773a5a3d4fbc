"""The app as users run it, for benchmarks: `showerscope up` in a home of its own, its processes, and a browser."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from engine.schema import EngineError, WrongInput
from engine.server import bind
from engine.up import ROOT, START_S, served, start

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

Answer = TypeVar("Answer")

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Of the browser: drawing on the processor, as on a laptop without a graphics card, and nothing of its own."""
VIEWPORT: Any = {"width": 1440, "height": 1000}
PAGES = ("Generate", "Train", "Latent space", "Compare", "Data", "Manifolds", "Learn", "About")
DRAWN = ".root[data-state='ready'][data-frames]:not([data-frames='0'])"
"""The live panel with a shower."""
AT_REST = "[data-testid='stApp'][data-test-script-state='notRunning']"
LONGEST_S = 900.0
END_S = 40.0


# ------------------------------------------------------------------------------------------------------- the processes
@dataclass(frozen=True)
class Live:
    """A running `showerscope up`: where its pages are, where its state lies, and the processes of app and engine."""

    address: str
    home: Path
    app: int
    engine: int
    engine_address: str

    def ask(self, method: str, **arguments: Any) -> Any:
        """What a method of `engine.schema.Engine` answers, of JSON or in bytes; arguments as JSON. Raises `EngineError`
        with the engine's sentence."""
        token = (self.home / "token").read_text(encoding="ascii").strip()
        with httpx.Client(timeout=300, trust_env=False, headers={"Authorization": f"Bearer {token}"}) as http:
            reply = http.post(f"{self.engine_address}/v1/{method}", json=arguments)
        if not reply.is_success:
            raise EngineError(f"{method}: {reply.text}")
        return reply.json() if "json" in reply.headers.get("content-type", "") else reply.content

    def until(self, done: Callable[[], Any], what: str) -> Any:
        """The first answer that counts as true. Raises `EngineError` after a quarter of an hour."""
        begin = time.monotonic()
        while not (answer := done()):
            if time.monotonic() - begin > LONGEST_S:
                raise EngineError(f"{what} took longer than {LONGEST_S / 60:.0f} minutes: try on a quieter machine")
            time.sleep(0.2)
        return answer

    def prepare(self, data: str) -> None:
        """Make a data set that is made on first use."""
        task = self.ask("start_task", task={"kind": "prepare", "data": data})["task_id"]

        def done() -> bool:
            state = self.ask("task", task_id=task)["state"]
            if state in ("failed", "cancelled"):
                raise EngineError(f"{data} could not be made: look for the reason on the Data page")
            return state == "finished"

        self.until(done, f"making {data}")

    def train(self, data: str, **config: float | bool | str) -> str:
        """Start a training of the e2e SAE; the run, once it has taken a step."""
        run = self.ask("submit", spec={"data": data, "model": "e2e_sae", "config": config, "name": "beside"})
        self.until(lambda: self.status(run)["step"] > 0, "the start of a training")
        return run

    def status(self, run: str) -> dict[str, Any]:
        info = self.ask("status", run=run)
        if info["state"] in ("failed", "interrupted"):
            raise EngineError(f"the training beside {info['state']}: {info['error']}")
        return info

    def pause(self, run: str, pause: bool) -> None:
        """Let a training rest, or go on."""
        self.ask("pause" if pause else "resume", run=run)
        wanted = "paused" if pause else "running"
        self.until(lambda: self.status(run)["state"] == wanted, "pausing a training")


@contextmanager
def started(**environment: str) -> Iterator[Live]:
    """`showerscope up` on a free port with a fresh temporary home, ended and removed afterwards; killing this process
    ends it too. Raises `EngineError` where it does not come up, `WrongInput` where processes cannot be looked into."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise WrongInput("processes are looked into through Linux's /proc: run this benchmark on Linux")
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    address, home = f"http://127.0.0.1:{port}", Path(tempfile.mkdtemp(prefix="showerscope-bench-"))
    command = [sys.executable, "-m", "engine.cli", "up", "--port", str(port)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    own = {**os.environ, "PYTHONPATH": paths, "SHOWERSCOPE_HOME": str(home), **environment}
    own.pop("MLFLOW_TRACKING_URI", None)  # nobody else's run store
    process = start(command, own)
    try:
        yield risen(process, lambda: _found(process.pid, address, home), "`showerscope up`")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


def risen(process: subprocess.Popen[bytes], look: Callable[[], Answer | None], name: str) -> Answer:
    """What is found of a process once it has come up. Raises `EngineError` where it ends or takes too long."""
    begin = time.monotonic()
    while not (found := look()):
        if process.poll() is not None or time.monotonic() - begin > START_S:
            raise EngineError(f"{name} did not start: what it said stands above")
        time.sleep(0.2)
    return found


def _found(up: int, address: str, home: Path) -> Live | None:
    """The app and the engine that a `showerscope up` has started, once both answer."""
    words = {pid: command_of(pid) for pid in children(up)}
    app = next((pid for pid, said in words.items() if "streamlit" in said), None)
    engine = next((pid for pid, said in words.items() if "engine" in said), None)
    if app is None or engine is None:
        return None
    engine_address = f"http://127.0.0.1:{words[engine][words[engine].index('--port') + 1]}"
    if not served(f"{engine_address}/health") or not served(f"{address}/_stcore/health"):
        return None
    return Live(address, home, app, engine, engine_address)


def command_of(pid: int) -> list[str]:
    """The words of a process's command line; none of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def children(pid: int) -> list[int]:
    """Processes that any thread of this one has started and that live."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in path.read_text().split()]
        except OSError:  # the thread has ended
            continue
    return found


def family(pid: int) -> list[int]:
    """Children and theirs."""
    return [one for child in children(pid) for one in (child, *family(child))]


# --------------------------------------------------------------------------------------------------------- the browser
@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium with a profile of its own. Raises `WrongInput` where there is none, or no Playwright."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise WrongInput(
            "this benchmark drives a browser through Playwright, which is not installed: `pip install playwright`"
        ) from error
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        except Error as error:
            raise WrongInput(
                f"no Chromium starts here ({str(error).splitlines()[0]}): `apt install chromium`, or `playwright "
                "install chromium`"
            ) from error
        yield chromium
        chromium.close()


def new_page(browser: Browser) -> Page:
    """A page in a context of its own, as a new visitor's; `page.context.close()` ends it."""
    page = browser.new_context(viewport=VIEWPORT).new_page()
    page.set_default_timeout(1000 * LONGEST_S)
    return page


def settled(page: Page) -> None:
    """Until no script runs, and has not for a moment."""
    for _ in range(3):
        page.locator(AT_REST).wait_for()
        page.wait_for_timeout(150)


def instrument(page: Page) -> Locator:
    """The Generate page's live panel, once it has drawn a shower and everything below it stands."""
    root = page.locator(DRAWN)
    root.wait_for()
    page.get_by_text("Page part drawn in").wait_for()
    settled(page)
    return root


def visit(page: Page, name: str) -> None:
    """Another page of the app, by its link."""
    page.get_by_role("link", name=name, exact=True).first.click()
    page.wait_for_timeout(300)
    settled(page)

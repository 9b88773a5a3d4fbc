"""Engine and app side by side: started together, ended together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from engine.runs import home
from engine.server import bind
from engine.threads import choose_threads

ROOT = Path(__file__).parents[1]
START_S = 120.0
"""Longest wait for the first page; a cold disk is slow."""
END_S = 20.0
THREADS = "OMP_NUM_THREADS"
"""Read by numpy and torch as they are loaded; who has set it knows why."""


def app_command(host: str, port: int) -> list[str]:
    return page_command(ROOT / "app" / "main.py", host, port)


def page_command(script: Path, host: str, port: int) -> list[str]:
    """Streamlit with a script; settings are the project's where this is started from its root."""
    address = ["--server.address", host, "--server.port", str(port), "--server.headless", "true"]
    if host not in ("127.0.0.1", "localhost", "::1"):  # who opens it to others knows under which names
        address += ["--server.allowedHosts", "*"]
    return [sys.executable, "-m", "streamlit", "run", str(script), *address]


def app(host: str, port: int) -> int:
    """The app alone. Raises `WrongInput` when the port is taken."""
    bind(host, port).close()
    os.chdir(ROOT)  # where .streamlit/config.toml stands
    os.environ.setdefault(THREADS, "1")
    os.execv(sys.executable, app_command(host, port))


def up(host: str, port: int, training_allowed: bool) -> int:
    """Start both, print the address when the page is served, end both when asked to or when one ends.

    Raises `WrongInput` when the port is taken or the home cannot be written.
    """
    home()
    bind(host, port).close()
    with bind("127.0.0.1", 0) as free:
        engine_port = free.getsockname()[1]
    environment = os.environ | {
        "SHOWERSCOPE_ENGINE": f"http://127.0.0.1:{engine_port}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    engine = [sys.executable, "-m", "engine.cli", "engine", "--port", str(engine_port)]
    if not training_allowed:
        engine.append("--no-train")
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    children = [
        start(engine, {THREADS: str(choose_threads())} | environment),
        start(app_command(host, port), {THREADS: "1"} | environment),
    ]
    shown = f"{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    pages = [f"http://127.0.0.1:{engine_port}/health", f"http://{shown}/_stcore/health"]
    begin, announced, status = time.monotonic(), False, 0
    try:
        while not ended:
            if any(child.poll() is not None for child in children):
                dead = "engine" if children[0].poll() is not None else "app"
                print(f"showerscope: the {dead} ended by itself; what it said stands above", file=sys.stderr)
                status = 1
                break
            if not announced and all(served(page) for page in pages):
                announced = True
                print(f"Showerscope is at http://{shown} (Ctrl-C ends it)", flush=True)
            if not announced and time.monotonic() - begin > START_S:
                print(f"showerscope: no page after {START_S:.0f} s", file=sys.stderr)
                status = 1
                break
            time.sleep(0.3 if announced else 0.1)
    finally:
        finish(children)
    return status


def start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A child that a Ctrl-C in the terminal does not reach and that does not outlive us."""

    def die_with_parent() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG

    return subprocess.Popen(
        command, env=environment, cwd=ROOT, start_new_session=True, stdout=sys.stderr, preexec_fn=die_with_parent
    )


def finish(children: list[subprocess.Popen[bytes]]) -> None:
    """Ask all to end, the app first, and insist after a while."""
    for child in reversed(children):
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + END_S
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def served(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False

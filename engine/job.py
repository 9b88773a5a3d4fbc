"""A run's folder `jobs/RUN/`: what to do, where it stands, what is asked of it, and whether anybody trains it.

`job.json`, `status.json`, `control`, `log.txt`, `state.safetensors` with the one before it, `start.safetensors` where
it begins from another model, and `lock`, which a trainer holds while it lives: the system frees it however the process
ends, so a killed one is known.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.runs import parse_info
from engine.schema import NotFound, RunInfo, WrongInput

ACTIVE = ("running", "paused")
KILLED = "its process ended without a word (killed, or out of memory): resume goes on from the last checkpoint"


def write_text(path: Path, text: str) -> None:
    """Write beside and rename: a reader sees the old text or the new one."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """As `write_text`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    beside.write_bytes(data)
    beside.replace(path)


class Job:
    """A run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = folder / "job.json"
        self.status = folder / "status.json"
        self.control = folder / "control"
        self.lock = folder / "lock"
        self.log = folder / "log.txt"
        self.state = folder / "state.safetensors"
        self.previous = folder / "state.previous.safetensors"
        self.start = folder / "start.safetensors"

    def read(self) -> dict[str, Any]:
        """What to do: `spec`, `threads`, `device`, `queued` (time), `inline` (by a command in the
        foreground, not by the queue)."""
        return json.loads(self.job.read_text(encoding="utf-8"))

    def info(self) -> RunInfo:
        """The run as it stands. A trainer that vanished shows as interrupted."""
        info = self.written()
        if info.state in ACTIVE and not self.alive():
            info = self.written()  # it may have ended since
            if info.state in ACTIVE:
                update = {"state": "interrupted", "error": info.error or KILLED, "eta_s": None, "samples_per_s": None}
                info = info.model_copy(update=update)
        return info

    def written(self) -> RunInfo:
        """The run as its trainer wrote it last."""
        try:
            return parse_info(self.status.read_text(encoding="utf-8"))
        except OSError as error:
            raise NotFound(f"there is no run {self.folder.name!r}: see `showerscope runs`") from error

    def write(self, info: RunInfo, **changes: Any) -> RunInfo:
        info = info.model_copy(update={**changes, "queue_place": None})
        write_text(self.status, info.model_dump_json())
        return info

    def ask(self, mode: str, steps: int = 0) -> None:
        """Tell the trainer to `run`, `pause` (after `steps` more single steps in all), `stop` or `halt`."""
        write_text(self.control, f"{mode} {steps}")

    def asked(self) -> tuple[str, int]:
        mode, _, steps = self.control.read_text(encoding="utf-8").partition(" ")
        return mode, int(steps or 0)

    def alive(self) -> bool:
        """Whether a trainer holds the lock."""
        try:
            descriptor = os.open(self.lock, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def hold(self) -> Iterator[int]:
        """The lock for as long as the block runs or any process that inherits the descriptor lives.

        Raises `WrongInput` when a trainer holds it.
        """
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            for _ in range(50):  # `alive` holds it for microseconds
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.002)
            else:
                raise WrongInput(f"run {self.folder.name} is being trained by another process")
            yield descriptor
        finally:
            os.close(descriptor)

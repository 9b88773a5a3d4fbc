"""Work on data in processes of its own: a task's folder `tasks/ID/` holds request, status, log and what came out.

Tasks end with their engine; none leaves anything half done. The name of a task follows from its request, so that what
would come out the same is done once.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from engine.job import Job, write_text
from engine.schema import Arrays, EngineError, NotFound, Task, TaskInfo, WrongInput

TASK: TypeAdapter[Task] = TypeAdapter(Task)
AT_ONCE = 2
KEPT = 200
"""Ended tasks kept, the newest."""
UPLOAD_BYTES = 2**31
UPLOAD_AGE_S = 86_400.0
NAME = re.compile(r"[a-z]+-[0-9a-f]{16}")
UPLOAD = re.compile(r"[0-9a-f]{16}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
KILLED = "its process ended without a word (killed, or out of memory): start it again"
END_S = 5.0


class Tasks:
    """The tasks of one home."""

    def __init__(self, home: Path, at_once: int = AT_ONCE) -> None:
        self.home, self.folder, self.uploads = home, home / "tasks", home / "uploads"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="task")
        self._lock = threading.Lock()
        self._mine: dict[str, subprocess.Popen[bytes] | None] = {}
        """Waiting tasks, and those whose process runs."""
        self._closed = False
        self._sweep()

    # ---------------------------------------------------------------------------------------------------- looking
    def info(self, task_id: str) -> TaskInfo:
        info = self._written(task_id)
        if not info.ended and task_id not in self._mine and not Job(self.folder / task_id).alive():
            info = self._written(task_id)  # it may have ended since
            if not info.ended:
                return info.model_copy(update={"state": "interrupted", "error": KILLED, "eta_s": None})
        return info

    def _written(self, task_id: str) -> TaskInfo:
        if not NAME.fullmatch(task_id):
            raise NotFound(f"there is no task {task_id!r}")
        try:
            return TaskInfo.model_validate_json((self.folder / task_id / "status.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise NotFound(f"there is no task {task_id!r}: start it again") from error
        except ValidationError as error:
            raise NotFound(f"task {task_id!r} was left by another version: start it again") from error

    def arrays(self, task_id: str) -> Arrays:
        info = self.info(task_id)
        path = self.folder / task_id / "result.safetensors"
        if info.state != "finished" or not path.exists():
            raise NotFound(f"task {task_id} is {info.state} and has no showers: wait for its end")
        return Arrays.from_bytes(path.read_bytes())

    # ------------------------------------------------------------------------------------------------------ doing
    def place(self, task: Task, stamp: str = "") -> Path:
        """The folder of a task, there or not. `stamp`: what else than its request the outcome depends on."""
        return (
            self.folder / f"{task.kind}-{hashlib.sha256(f'{task.model_dump_json()}{stamp}'.encode()).hexdigest()[:16]}"
        )

    def start(
        self, task: Task, stamp: str = "", again: bool = False, prepare: Callable[[Path], None] | None = None
    ) -> TaskInfo:
        """Queue a task. An equal task that waits, runs or has succeeded is not started, unless `again` and it has
        ended. prepare: what is done in its folder, in which all that an earlier attempt left then stays."""
        folder = self.place(task, stamp)
        name = folder.name
        self._ebb(name)
        with self._lock:
            if self._closed:
                raise EngineError("the engine is about to end: start it again")
            with suppress(NotFound):
                known = self.info(name)
                if not known.ended or (known.state == "finished" and not again):
                    return known
            if prepare is None:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            else:
                folder.mkdir(exist_ok=True)
                prepare(folder)
            write_text(folder / "request.json", task.model_dump_json())
            info = TaskInfo(task_id=name, kind=task.kind)
            write_status(folder, info)
            self._mine[name] = None
            self._pool.submit(self._run, name)
        return info

    def _ebb(self, name: str) -> None:
        """Wait for the process of a task that has said its last word, or its end would be taken for the next one's."""
        deadline = time.monotonic() + END_S
        with suppress(NotFound):
            while name in self._mine and self._written(name).ended:
                if time.monotonic() > deadline:
                    raise EngineError(f"task {name} is about to end: start it again in a moment")
                time.sleep(0.01)

    def _run(self, name: str) -> None:
        job = Job(self.folder / name)
        environment = os.environ | {
            "SHOWERSCOPE_HOME": str(self.home),
            "OMP_NUM_THREADS": "1",  # a page and a training are beside it
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        }
        try:
            with self._lock:
                if self._closed or name not in self._mine:
                    return
                with job.hold() as lock, job.log.open("wb") as log:
                    process = self._mine[name] = subprocess.Popen(
                        ["nice", "-n", "5", sys.executable, "-m", "engine.work", str(job.folder)],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, pass_fds=[lock],
                        start_new_session=True,
                    )  # fmt: skip
            process.wait()
            info = self._written(name)
            if not info.ended:
                write_status(job.folder, info.model_copy(update={"state": "failed", "error": KILLED, "eta_s": None}))
        finally:
            with self._lock:
                self._mine.pop(name, None)

    def cancel(self, task_id: str) -> None:
        info = self.info(task_id)
        if info.ended:
            return
        with self._lock:
            process = self._mine.get(task_id)
            if process is None and task_id in self._mine:
                del self._mine[task_id]
                write_status(self.folder / task_id, info.model_copy(update={"state": "cancelled"}))
        if process is not None:
            process.send_signal(signal.SIGTERM)

    def remove(self, task_id: str) -> None:
        """Delete an ended task with all that came out of it. Raises `WrongInput` for one that has not ended."""
        self._ebb(task_id)
        with self._lock:
            info = self.info(task_id)
            if task_id in self._mine or not info.ended:
                raise WrongInput(f"task {task_id} is {info.state}: cancel it first")
            shutil.rmtree(self.folder / task_id)

    def close(self) -> None:
        """End what runs. A task that does not end by itself is killed; what it had begun is swept at the next start."""
        with self._lock:
            self._closed = True
            running = [process for process in self._mine.values() if process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + END_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        self._pool.shutdown(cancel_futures=True)

    # ---------------------------------------------------------------------------------------------------- uploads
    def upload(self, file_name: str) -> tuple[str, Path]:
        """A name for `ImportTask.uploads` and the path to write the file's bytes to."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(file_name.replace("\\", "/")).name).lstrip(".-")[-200:]
        ticket = f"{secrets.token_hex(8)}/{plain or 'file'}"
        path = self.uploads / ticket
        path.parent.mkdir(parents=True)
        return ticket, path

    def _sweep(self) -> None:
        """Forget the oldest ended tasks and old uploads."""
        ended = []
        for folder in self.folder.glob("*-*"):
            with suppress(NotFound, OSError):
                if self.info(folder.name).ended:
                    ended.append((folder.stat().st_mtime, folder))
        for _, folder in sorted(ended, reverse=True)[KEPT:]:
            shutil.rmtree(folder, ignore_errors=True)
        for folder in self.uploads.glob("*"):
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > UPLOAD_AGE_S:
                    shutil.rmtree(folder, ignore_errors=True)


def uploaded(home: Path, ticket: str) -> Path:
    """The uploaded file of a ticket. Raises `NotFound`."""
    path = home / "uploads" / ticket
    if not UPLOAD.fullmatch(ticket) or not path.is_file():
        raise NotFound("the uploaded file is gone: upload it again")
    return path


def write_status(folder: Path, info: TaskInfo) -> None:
    write_text(folder / "status.json", info.model_dump_json())


def read_request(folder: Path) -> Task:
    """Raises `WrongInput` when it was left by another version."""
    try:
        return TASK.validate_json((folder / "request.json").read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise WrongInput(f"{folder}/request.json cannot be read: start the task again") from error

"""Where work runs: each training in a process of its own, which outlives the engine, or in this one.

The folders `jobs/RUN/` (`engine.job`) are the truth: an engine that starts again finds queue and trainings as they are.

    python -m engine.jobs FOLDER     trains; SIGTERM ends it as cancelled, with a checkpoint
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from engine.job import ACTIVE, Job, write_bytes, write_text
from engine.runs import Store, locked
from engine.schema import EngineError, NotFound, RunInfo, TrainSpec, WrongInput

RESUMABLE = ("cancelled", "failed", "interrupted")
TICK_S = 0.3
END_S = 15.0
"""What a trainer gets for its last checkpoint when the engine ends."""


class Jobs:
    """The queue of one home. Methods raise `NotFound` for unknown runs."""

    def __init__(self, home: Path, store: Store, at_once: int = 1) -> None:
        self.folder = home / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home, self.store, self.at_once = home, store, at_once
        self._children: list[subprocess.Popen[bytes]] = []
        self._ended: dict[str, tuple[int, RunInfo]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # ---------------------------------------------------------------------------------------------------- looking
    def job(self, run: str) -> Job:
        job = Job(self.folder / run)
        if "/" in run or run.startswith(".") or not job.status.exists():
            raise NotFound(f"there is no run {run!r}: see `showerscope runs`")
        return job

    def info(self, run: str) -> RunInfo:
        info = self._info(run)
        if info.state == "queued":
            waiting = [i.run_id for i in self._waiting()]
            info = info.model_copy(update={"queue_place": waiting.index(run) + 1 if run in waiting else None})
        return info

    def infos(self) -> list[RunInfo]:
        """Runs of this home, newest first."""
        found = []
        for status in self.folder.glob("*/status.json"):
            try:
                found.append(self._info(status.parent.name))
            except (NotFound, WrongInput):  # removed meanwhile, or a folder that somebody broke
                continue
        places = {info.run_id: place for place, info in enumerate(self._waiting(found), 1)}
        found = [i.model_copy(update={"queue_place": places.get(i.run_id)}) for i in found]
        return sorted(found, key=lambda info: -info.created)

    def _info(self, run: str) -> RunInfo:
        job = self.job(run)
        changed = job.status.stat().st_mtime_ns
        if run in self._ended and self._ended[run][0] == changed:
            return self._ended[run][1]
        info = job.info()
        if info.state not in ("queued", *ACTIVE, "interrupted"):
            self._ended[run] = changed, info
        return info

    def _waiting(self, infos: list[RunInfo] | None = None) -> list[RunInfo]:
        """Queued runs, the next one first."""
        if infos is None:
            infos = [self._info(p.parent.name) for p in self.folder.glob("*/status.json")]
        waiting = [(self._queued(info.run_id), info) for info in infos if info.state == "queued"]
        return [info for since, info in sorted(waiting, key=lambda pair: pair[0]) if since < math.inf]

    def _queued(self, run: str) -> float:
        """Since when a run waits [Unix s]; never, if a command in the foreground will train it."""
        try:
            todo = self.job(run).read()
        except (NotFound, OSError):  # removed meanwhile
            return math.inf
        return math.inf if todo.get("inline") else todo["queued"]

    # ------------------------------------------------------------------------------------------------------ doing
    def submit(
        self,
        info: RunInfo,
        spec: TrainSpec,
        threads: int,
        device: str,
        inline: bool = False,
        start: Path | None = None,
    ) -> None:
        """Put a run of the store into the queue, or prepare it for `run_here`. A copy of the weights of `start` is
        kept, so that the model they are of may go."""
        job = Job(self.folder / info.run_id)
        job.folder.mkdir(parents=True)
        if start is not None:
            write_bytes(job.start, start.read_bytes())
        todo = {"spec": spec.model_dump(), "threads": threads, "device": device}
        todo |= {"queued": time.time(), "inline": inline}
        write_text(job.job, json.dumps(todo, indent=1))
        job.ask("run")
        job.write(info, state="queued")

    def cancel(self, run: str) -> None:
        with locked(self.folder / ".queue"):
            job, info = self.job(run), self._info(run)
            if info.state == "queued":
                info = job.write(info, state="cancelled")
                self.store.write(info)
            elif info.state in ACTIVE:
                job.ask("stop")

    def pause(self, run: str) -> None:
        if self._active(run).state == "running":
            self.job(run).ask("pause")

    def step(self, run: str) -> None:
        """One step more of a paused run."""
        info = self._active(run)
        if info.state != "paused":
            raise WrongInput(f"run {run} is {info.state}: pause it first, then step")
        mode, steps = self.job(run).asked()
        if mode == "pause":
            self.job(run).ask("pause", steps + 1)

    def resume(self, run: str) -> None:
        """Let a paused run go on; put an ended one at the end of the queue, to go on from its last checkpoint."""
        with locked(self.folder / ".queue"):
            job, info = self.job(run), self._info(run)
            if info.state in ACTIVE:
                job.ask("run")
            elif info.state in RESUMABLE:
                write_text(job.job, json.dumps(job.read() | {"queued": time.time(), "inline": False}, indent=1))
                job.ask("run")
                job.write(info, state="queued", error="")
            elif info.state == "finished":
                raise WrongInput(f"run {run} is finished, all {info.epochs} epochs: train a new one with more epochs")

    def remove(self, run: str) -> None:
        """Delete a run's folder. Raises `WrongInput` while it trains."""
        with locked(self.folder / ".queue"):
            job = self.job(run)
            if self._info(run).state in ACTIVE:
                raise WrongInput(f"run {run} is still training: cancel it first")
            self._ended.pop(run, None)
            shutil.rmtree(job.folder)

    def _active(self, run: str) -> RunInfo:
        info = self._info(run)
        if info.state not in ACTIVE:
            raise WrongInput(f"run {run} is {info.state}: only a running one can be paused")
        return info

    # ----------------------------------------------------------------------------------------------- the queue
    def start(self) -> None:
        """Watch the queue from now on."""
        self._thread = threading.Thread(target=self._watch, name="queue", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(TICK_S):
            self.tick()

    def tick(self) -> None:
        """Start the next queued run when there is room. One process at a time may do so."""
        self._children = [child for child in self._children if child.poll() is None]
        infos = self.infos()
        if not any(info.state == "queued" for info in infos):
            return
        with locked(self.folder / ".queue"):
            infos = self.infos()
            busy = sum(info.state in ACTIVE for info in infos)
            for info in self._waiting(infos)[: max(0, self.at_once - busy)]:
                self._spawn(self.job(info.run_id), info)

    def _spawn(self, job: Job, info: RunInfo) -> None:
        todo = job.read()
        environment = os.environ | {
            "SHOWERSCOPE_HOME": str(self.home),
            "OMP_NUM_THREADS": str(todo["threads"]),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        }
        # the child inherits the held lock, so that there is no moment in which nobody seems to train
        with job.hold() as lock, job.log.open("ab") as log:
            job.write(info, state="running", error="")
            self._children.append(
                subprocess.Popen(
                    # behind whatever answers a page: a drag must stay smooth while a model learns
                    ["nice", "-n", "10", sys.executable, "-m", "engine.jobs", str(job.folder)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, pass_fds=[lock],
                    start_new_session=True,
                )
            )  # fmt: skip

    def close(self) -> None:
        """End the queue and its trainings, each with a checkpoint, as `interrupted`. Queued runs stay queued."""
        self._stop.set()
        if self._thread:
            self._thread.join()
        active = [i.run_id for i in self.infos() if i.state in ACTIVE and not self.job(i.run_id).read().get("inline")]
        for run in active:
            self.job(run).ask("halt")
        deadline = time.monotonic() + END_S
        while any(self.job(run).alive() for run in active) and time.monotonic() < deadline:
            time.sleep(0.05)
        for child in self._children:
            if child.poll() is None and time.monotonic() >= deadline:
                child.kill()
            child.wait()

    def run_here(self, run: str, on_log: Callable[[RunInfo], None], stop: threading.Event) -> RunInfo:
        """Train a run in this process to its end, from its last checkpoint where there is one."""
        from engine.trainer import train

        job = self.job(run)
        with job.hold():
            write_text(job.job, json.dumps(job.read() | {"inline": True}, indent=1))
            job.ask("run")
            job.write(job.written(), state="running", error="")
            return train(job, self.store, on_log, stop)


def main(folder: str) -> int:
    import logging
    import signal

    from engine.runs import home
    from engine.trainer import train

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        info = train(Job(Path(folder)), Store(home()), lambda _: None, stop)
    except EngineError as error:
        logging.error("%s", error)
        return 1
    return 0 if info.state != "failed" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

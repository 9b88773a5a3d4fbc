"""What a training process does: the loop of `engine.train` with its checkpoints, curves, status and controls."""

from __future__ import annotations

import logging
import resource
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor

from engine import sets
from engine.job import Job
from engine.models import base as models
from engine.runs import Recorder, Store, weights_name
from engine.schema import Checkpoint, EngineError, RunInfo, State, TrainSpec, WrongInput
from engine.train import Log, Training

logger = logging.getLogger("showerscope.trainer")

SAVE_EVERY_S = 30.0
"""A killed training loses at most this, or less where checkpoints come faster."""
STATUS_EVERY_S = 0.5
POLL_S = 0.05


def train(job: Job, store: Store, on_log: Callable[[RunInfo], None], stop: threading.Event) -> RunInfo:
    """Train the run of this folder, whose lock the caller holds, until its end, an error, or `stop`."""
    work = Work(job, store, on_log, stop)
    try:
        work.run()
    except EngineError as error:
        work.end("failed", str(error))
    except Exception as error:  # the boundary of the process: whatever it was, the run must say so
        logger.exception("training failed")
        first = (str(error).splitlines() or [""])[0]
        work.end("failed", f"unexpected {type(error).__name__}: {first}; the details are in {job.log}")
    return work.info


class Work:
    """A run in training."""

    def __init__(self, job: Job, store: Store, on_log: Callable[[RunInfo], None], stop: threading.Event) -> None:
        self.job, self.store, self.on_log, self.stop = job, store, on_log, stop
        self.info = job.written()
        self.recorder = Recorder(store, self.info.run_id, 0)
        self.done_before = self.info.seconds
        self.begin = self.last_log = self.saved = time.monotonic()
        self.shown = self.measured = 0.0
        self.step_s: float | None = None
        self.singles = 0

    def run(self) -> None:
        todo = self.job.read()
        spec = TrainSpec(**todo["spec"])
        torch.set_num_threads(todo["threads"])
        data = sets.load(spec.data, self.store.home)
        self.label = data.label
        start = self.job.start if spec.start else None
        self.training = Training(spec.model, spec.config, data, spec.seed, todo["device"], start)
        self.restore()
        self.recorder = Recorder(self.store, self.info.run_id, self.training.steps)
        self.update(
            steps=self.training.steps,
            epochs=self.training.config.epochs,
            step=self.training.step,
            epoch=self.training.epoch,
            device=todo["device"],
            parameters=sum(p.numel() for p in self.training.model.parameters() if p.requires_grad),
            checkpoints=[c for c in self.info.checkpoints if c.step <= self.training.step],
        )
        self.last_log = self.saved = time.monotonic()
        for log in self.training.run():
            self.take(log)
            if not self.obey(log):
                return
        if not self.info.checkpoints or self.info.checkpoints[-1].step != self.training.step:
            self.checkpoint()
        self.end("finished")

    def take(self, log: Log) -> None:
        """Record a log, save where it is time, show the status."""
        now = time.monotonic()
        if log.step > self.info.step:
            seconds = now - self.last_log
            self.step_s = seconds if self.step_s is None else 0.9 * self.step_s + 0.1 * seconds
        self.last_log = now
        terms = log.terms
        if now - self.measured > 1:
            self.measured, terms = now, terms | {"system/memory_mb": self.memory_mb()}
        self.recorder.log(log.step, terms)
        rate, before = log.terms.get("system/samples_per_s"), self.info.samples_per_s
        if rate is not None:
            rate = rate if before is None else 0.9 * before + 0.1 * rate
        self.info = self.info.model_copy(
            update={
                "step": log.step,
                "epoch": log.epoch,
                "samples_per_s": rate or before,
                "eta_s": self.step_s * (self.training.steps - log.step) if self.step_s else None,
                "seconds": self.done_before + now - self.begin,
                "metrics": dict(self.recorder.latest),
            }
        )
        if log.checkpoint:
            self.checkpoint()
        elif now - self.saved > SAVE_EVERY_S:
            self.save_state()
        if log.checkpoint or now - self.shown > STATUS_EVERY_S:
            self.update()
        self.on_log(self.info)

    def obey(self, log: Log) -> bool:
        """Do what is asked: whether to go on."""
        if self.info.state == "paused" and "system/samples_per_s" in log.terms:
            self.singles += 1
        if self.asked()[0] == "pause":
            self.stand_still()
        mode = self.asked()[0]
        if mode == "run" and self.info.state == "paused":
            self.singles = 0
            self.update(state="running")
        if mode in ("run", "pause"):
            return True
        self.checkpoint()
        self.end("interrupted" if mode == "halt" else "cancelled")
        return False

    def stand_still(self) -> None:
        """Wait until a single step, or anything else, is asked for."""
        mode, steps = self.asked()
        if self.singles >= steps and self.info.state != "paused":
            self.checkpoint()
        self.recorder.flush()
        self.update(state="paused", eta_s=None, samples_per_s=None)
        begin = time.monotonic()
        while mode == "pause" and self.singles >= steps:
            time.sleep(POLL_S)
            mode, steps = self.asked()
        self.begin += time.monotonic() - begin
        self.last_log = time.monotonic()

    def asked(self) -> tuple[str, int]:
        return ("stop", 0) if self.stop.is_set() else self.job.asked()

    # -------------------------------------------------------------------------------------------------- keeping
    def checkpoint(self) -> None:
        """Save the state to resume from, and a snapshot of the weights to look at."""
        self.save_state()
        info = self.info
        path = self.job.folder / weights_name(info.step)
        meta = {
            "run": info.run_id, "name": info.name, "data": info.data, "label": self.label, "seed": str(info.seed),
            "step": str(info.step), "epoch": str(info.epoch), "epochs": str(info.epochs), "steps": str(info.steps),
            "seconds": f"{info.seconds:.1f}", "device": info.device, "created": f"{info.created:.0f}",
            "version": version("showerscope"), "torch": str(torch.__version__),
        }  # fmt: skip
        models.save(self.training.model, path, **meta)
        checkpoint = Checkpoint(step=info.step, epoch=info.epoch)
        try:
            checkpoints = self.store.add_weights(info.run_id, path, info.checkpoints, checkpoint)
        finally:
            path.unlink(missing_ok=True)
        self.info = info.model_copy(update={"checkpoints": checkpoints})

    def save_state(self) -> None:
        self.recorder.flush()  # first, or a kill would leave a gap in the curves before this step
        tensors, meta = self.training.state()
        job = self.job
        if job.state.exists():  # a second name for the old file: at no moment is there none
            job.previous.unlink(missing_ok=True)
            job.previous.hardlink_to(job.state)
        models.write_atomic(job.state, save_tensors(tensors, metadata={**meta, "run": self.info.run_id}))
        self.saved = time.monotonic()

    def restore(self) -> None:
        """Take up the last state, or the one before where that is broken. Raises `WrongInput` when both are."""
        kept = [path for path in (self.job.state, self.job.previous) if path.exists()]
        for path in kept:
            try:
                self.training.restore(*read_state(path))
                return
            except WrongInput as error:
                logger.warning("%s", error)
        if kept:
            raise WrongInput(f"the training state {kept[0]} is broken: train again with the same seed")

    def update(self, **changes: object) -> None:
        """Change what the run says of itself, and write it down."""
        self.info = self.job.write(self.info, **changes)
        self.shown = time.monotonic()

    def end(self, state: State, error: str = "") -> None:
        self.recorder.flush(everything=True)
        self.info = self.info.model_copy(update={"metrics": dict(self.recorder.latest) or self.info.metrics})
        self.update(state=state, error=error, eta_s=None, samples_per_s=None)
        from mlflow.exceptions import MlflowException

        try:
            self.store.write(self.info)
        except MlflowException as problem:
            logger.warning("the run store did not take the end of the run: %s", problem)
        self.on_log(self.info)

    def memory_mb(self) -> float:
        """Memory on the device, or of this process on a CPU [MB]."""
        if self.training.device.type == "cuda":
            return torch.cuda.memory_reserved() / 1e6
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and meta of a training state. Raises `WrongInput` for a cut-off or foreign file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WrongInput(f"training state {path} is broken ({error})") from error

"""The runs of one home and the models that come with Showerscope: what is known of each, and its weights."""

from __future__ import annotations

from pathlib import Path

from engine import sets
from engine.jobs import Jobs
from engine.once import Once
from engine.runs import BUNDLED, Store, read_bundled
from engine.schema import Checkpoint, NotFound, RunInfo, WrongInput, read_metadata

MODELS = Path(__file__).parents[1] / "assets" / "models"


class Rack:
    """Safe to use from several threads and processes: it only reads."""

    def __init__(self, store: Store, jobs: Jobs, bundle: Path = MODELS) -> None:
        self.store, self.jobs, self.bundle = store, jobs, bundle
        self.once = Once()

    def infos(self) -> list[RunInfo]:
        """Runs of this home, newest first, those of a shared store that are not among them, then bundled models."""
        here = self.jobs.infos()
        known = {info.run_id for info in here}
        others = [info for info in self.store.infos() if info.run_id not in known] if self.store.shared else []
        return [*here, *others, *(self._bundled(path) for path in sorted(self.bundle.glob("*.safetensors")))]

    def info(self, run: str) -> RunInfo:
        """Raises `NotFound`."""
        if run.startswith(BUNDLED):
            path = self._file(run)
            if path.parent != self.bundle or not path.exists():
                there = ", ".join(BUNDLED + p.stem for p in sorted(self.bundle.glob("*.safetensors"))) or "none"
                raise NotFound(f"there is no bundled model {run!r}: there are {there}")
            return self._bundled(path)
        try:
            return self.jobs.info(run)
        except NotFound:
            found = [i for i in (self.store.infos() if self.store.shared else []) if i.run_id == run]
            if not found:
                raise
            return found[0]

    def _file(self, run: str) -> Path:
        return self.bundle / f"{run.removeprefix(BUNDLED)}.safetensors"

    def _bundled(self, path: Path) -> RunInfo:
        return self.once.get(("bundled", path, path.stat().st_mtime_ns), lambda: read_bundled(path))

    def checkpoint(self, run: str, step: int | None = None) -> tuple[RunInfo, Checkpoint]:
        """The checkpoint of a run after `step`, or its newest. Raises `NotFound` where there is none."""
        info = self.info(run)
        if not info.checkpoints:
            raise NotFound(f"run {run} has no checkpoint yet: wait for the first one")
        if step is None:
            return info, info.checkpoints[-1]
        found = [c for c in info.checkpoints if c.step == step]
        if not found:
            steps = ", ".join(str(c.step) for c in info.checkpoints)
            raise NotFound(f"run {run} has no checkpoint at step {step}: there are {steps}")
        return info, found[0]

    def weights(self, run: str, step: int | None = None) -> tuple[Path, RunInfo, Checkpoint]:
        """The file with a checkpoint's weights. Where the newest was cut off by a kill, the one before is meant."""
        info, checkpoint = self.checkpoint(run, step)
        if info.bundled:
            return self._file(run), info, checkpoint
        try:
            path = self.once.get(("weights", run, checkpoint.step), lambda: self.store.weights(run, checkpoint.step))
            read_metadata(str(path))  # it may have been cut off since
            return path, info, checkpoint
        except (NotFound, WrongInput):
            if step is not None:
                raise
            path = self.store.weights(run)
            meta = read_metadata(str(path))
            return path, info, Checkpoint(step=int(meta["step"]), epoch=int(meta["epoch"]))


def weights_of(info: RunInfo) -> str:
    """What tells a bundled model's weights from others of its name; a run's are never replaced."""
    return f"{info.created} {info.provenance.get('commit', '')} " if info.bundled else ""


def learned_of(info: RunInfo, data: str, home: Path) -> str:
    """What tells a run's weights and the data set that it learned from from others of their names."""
    return f"{weights_of(info)}{data} {sets.stamp(data, home)} "

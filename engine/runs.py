"""Run store on MLflow tracking: settings, curves, weights and maps of every run.

SQLite and a folder below `$SHOWERSCOPE_HOME` by default, any tracking server by `MLFLOW_TRACKING_URI`. MLflow takes
seconds to import, so it is imported at first use only; what changes every second stands in the job folders
(`engine.jobs`), not here.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.schema import Checkpoint, NotFound, RunInfo, Series, TrainSpec, WrongInput, read_metadata

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

logger = logging.getLogger("showerscope.runs")

EXPERIMENT = "showerscope"
BUNDLED = "bundled:"
"""Begins the run ids of models that come with the project."""
INFO_TAG = "showerscope.run"
FIRST_POINTS = 200
"""Steps whose points are all kept; what happens early is seen in full."""
BUCKETS = 400
"""Buckets for the rest of a run; each keeps its smallest and largest point."""
MOST_WEIGHTS = 30
BATCH = 1000
"""Most metrics that MLflow takes in one call."""
BUFFER = 20_000
"""Points kept while the store does not answer."""


def home() -> Path:
    """The folder of all state, made where it is missing. Raises `WrongInput` when it cannot be written."""
    path = Path(os.environ.get("SHOWERSCOPE_HOME") or "~/.showerscope").expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = path / f".probe-{os.getpid()}-{threading.get_ident()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WrongInput(f"{path} cannot be written ({reason}): set SHOWERSCOPE_HOME to a folder of yours") from error
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock against other processes and threads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def decimation(steps: int) -> int:
    """Width [steps] of the buckets of a run of so many steps, so that no series has more than about 1 000 points."""
    return max(1, math.ceil((steps - FIRST_POINTS) / BUCKETS))


class Store:
    """Runs of one home. Methods raise `NotFound` for unknown runs; safe to use from several threads."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.shared = bool(os.environ.get("MLFLOW_TRACKING_URI"))
        """Whether runs of others stand in the store, so that listing must ask it."""
        self._making = threading.Lock()

    @property
    def client(self) -> MlflowClient:
        with self._making:
            return self._client

    @cached_property
    def _client(self) -> MlflowClient:
        # read at import; nothing may call out at run time
        os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with locked(self.home / ".store.lock"):  # two processes must not create the tables at once
            uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.home / 'runs.db'}"
            return MlflowClient(tracking_uri=uri)

    @cached_property
    def experiment(self) -> str:
        client = self.client  # before the lock, which making it takes too
        with locked(self.home / ".store.lock"):
            found = client.get_experiment_by_name(EXPERIMENT)
            if found:
                return found.experiment_id
            folder = None if self.shared else str(self.home / "artifacts")
            return client.create_experiment(EXPERIMENT, artifact_location=folder)

    # -------------------------------------------------------------------------------------------------------- runs
    def create(self, info: RunInfo) -> str:
        """Enter a new run and return its id."""
        run = self.client.create_run(self.experiment, run_name=info.name or None)
        run_id = run.info.run_id
        from mlflow.entities import Param

        values = {"data": info.data, "model": info.model, "seed": info.seed, **info.config}
        params = [Param(name, str(value)) for name, value in values.items()]
        self.client.log_batch(run_id, params=params)
        self.write(info.model_copy(update={"run_id": run_id}))
        return run_id

    def write(self, info: RunInfo) -> None:
        """Set down what is known of a run; metrics stand in the store already."""
        self.client.set_tag(info.run_id, INFO_TAG, info.model_dump_json(exclude={"metrics", "queue_place", "eta_s"}))
        ended = {"finished": "FINISHED", "failed": "FAILED", "cancelled": "KILLED", "interrupted": "KILLED"}
        if info.state in ended:
            self.client.set_terminated(info.run_id, ended[info.state])
        else:
            self.client.update_run(info.run_id, "SCHEDULED" if info.state == "queued" else "RUNNING")

    def infos(self) -> list[RunInfo]:
        """All runs of the store, newest first."""
        found = []
        token = None
        while True:
            page = self.client.search_runs([self.experiment], max_results=500, page_token=token)
            for run in page:
                tag = run.data.tags.get(INFO_TAG)
                if tag:
                    info = RunInfo.model_validate_json(tag)
                    found.append(info.model_copy(update={"metrics": _finite(run.data.metrics)}))
            token = page.token
            if not token:
                return found

    def remove(self, run_id: str) -> None:
        """Delete the run and, in the store of this home, its files."""
        import shutil

        uri = self._run(run_id).info.artifact_uri
        self.client.delete_run(run_id)
        folder = Path(str(uri).removeprefix("file://"))
        if folder.is_relative_to(self.home / "artifacts"):
            shutil.rmtree(folder.parent, ignore_errors=True)

    def _run(self, run_id: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            raise NotFound(f"there is no run {run_id!r}: see `showerscope runs`") from error
        if run.info.lifecycle_stage == "deleted":
            raise NotFound(f"run {run_id!r} was removed: see `showerscope runs`")
        return run

    # ------------------------------------------------------------------------------------------------------ curves
    def history(self, run_id: str) -> tuple[int, dict[str, Series]]:
        """Every series of a run, and the step up to which all are known; where a resumed training went over a step
        again, its later value."""
        series = {}
        # losses first: what is written meanwhile can then be missing from none of the others
        for name in sorted(self._run(run_id).data.metrics, key=lambda name: (not name.startswith("loss/"), name)):
            points = {m.step: m.value for m in self.client.get_metric_history(run_id, name) if math.isfinite(m.value)}
            steps = sorted(points)
            series[name] = Series(step=steps, value=[points[step] for step in steps])
        ends = [s.step[-1] for name, s in series.items() if s.step and name.startswith("loss/")]
        return min(ends, default=max((s.step[-1] for s in series.values() if s.step), default=-1)), series

    # ------------------------------------------------------------------------------------------------------- files
    def _artifacts(self, run_id: str) -> ArtifactRepository:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(self._run(run_id).info.artifact_uri)

    def add_weights(self, run_id: str, path: Path, known: list[Checkpoint], new: Checkpoint) -> list[Checkpoint]:
        """Keep a snapshot (a file named as `weights_name` says) and return the checkpoints there are now: every
        second one goes when they become too many, the first and the last stay."""
        files = self._artifacts(run_id)
        files.log_artifact(str(path), "weights")
        kept = [c for c in known if c.step < new.step]
        if len(kept) >= MOST_WEIGHTS:
            for checkpoint in kept[1::2]:
                files.delete_artifacts(f"weights/{weights_name(checkpoint.step)}")
            kept = kept[::2]
        return [*kept, new]

    def add_file(self, run_id: str, path: Path, folder: str) -> None:
        self._artifacts(run_id).log_artifact(str(path), folder)

    def weights(self, run_id: str, step: int | None = None) -> Path:
        """A local file with the weights after `step`, or the newest that is whole. A snapshot that was cut off by a
        kill does not count. Raises `NotFound` when there is none."""
        files = self._artifacts(run_id)
        names = sorted((f.path for f in files.list_artifacts("weights")), reverse=True)
        if step is not None:
            names = [name for name in names if name.endswith(weights_name(step))]
        for name in names:
            path = self._local(files, run_id, name)
            try:
                read_metadata(str(path))
            except WrongInput:
                logger.warning("%s is cut off or broken: taking the one before", path)
                continue
            return path
        which = "" if step is None else f" at step {step}"
        raise NotFound(f"run {run_id} has no checkpoint{which}: wait for one, or choose another step")

    def _local(self, files: ArtifactRepository, run_id: str, name: str) -> Path:
        from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

        if isinstance(files, LocalArtifactRepository):
            return Path(files.download_artifacts(name))  # no copy: the file itself
        cache = self.home / "cache" / run_id
        if not (cache / name).exists():
            cache.mkdir(parents=True, exist_ok=True)
            files.download_artifacts(name, str(cache))
        return cache / name


def weights_name(step: int) -> str:
    return f"step-{step:08d}.safetensors"


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}


class Recorder:
    """Curves of a training on their way to the store: thinned, buffered, sent about once a second.

    A store that does not answer never stops a training: points wait, and the oldest are dropped beyond `BUFFER`.
    """

    def __init__(self, store: Store, run_id: str, steps: int, every_s: float = 1.0) -> None:
        self.store, self.run_id, self.every_s = store, run_id, every_s
        self.width = decimation(steps)
        self.latest: dict[str, float] = {}
        self._number = 0
        self._bucket: dict[str, list[tuple[int, float, int]]] = {}
        self._ready: list[tuple[str, int, float, int]] = []
        self._sent = time.monotonic()

    def log(self, step: int, terms: Mapping[str, float]) -> None:
        """Take in the terms of a step; what is not finite has no place on a curve."""
        now = int(time.time() * 1000)
        for name, value in _finite(terms).items():
            self.latest[name] = value
            if step <= FIRST_POINTS or self.width == 1:
                self._ready.append((name, step, value, now))
                continue
            number = (step - FIRST_POINTS - 1) // self.width
            if number != self._number:  # for all series at once, so that readers see whole steps
                self._number = number
                self._close()
            points = [*self._bucket.get(name, []), (step, value, now)]
            if len(points) > 2:  # only the extremes of a bucket are ever needed
                points = [min(points, key=lambda p: p[1]), max(points, key=lambda p: p[1])]
            self._bucket[name] = points
        if time.monotonic() - self._sent >= self.every_s:
            self.flush()

    def _close(self) -> None:
        closed = [(name, *point) for name, points in self._bucket.items() for point in set(points)]
        self._ready += sorted(closed, key=lambda point: point[1])
        self._bucket.clear()

    def flush(self, everything: bool = False) -> None:
        """Send what is ready; `everything` closes the last buckets too."""
        from mlflow.exceptions import MlflowException

        if everything:
            self._close()
        self._sent = time.monotonic()
        try:
            while self._ready:
                self.store.client.log_batch(self.run_id, metrics=[_metric(*p) for p in self._ready[:BATCH]])
                del self._ready[:BATCH]
        except MlflowException as error:
            logger.warning("the run store did not take %d points, they wait: %s", len(self._ready), error)
            del self._ready[:-BUFFER]


def _metric(name: str, step: int, value: float, timestamp: int) -> Metric:
    from mlflow.entities import Metric

    return Metric(name, value, timestamp, step)


def parse_info(text: str) -> RunInfo:
    """A run written as JSON. Raises `WrongInput` when it is none."""
    try:
        return RunInfo.model_validate_json(text)
    except ValueError as error:
        raise WrongInput(f"not a run's record: {str(error).splitlines()[0]}") from error


def read_bundled(path: Path) -> RunInfo:
    """A model file that comes with the project, as a finished run."""
    meta = read_metadata(str(path))
    step, epoch = int(meta.get("step", 0)), int(meta.get("epoch", 0))
    said = ("command", "start", "commit", "seed", "version", "torch", "label", "train_seconds", "start_seconds")
    return RunInfo(
        run_id=BUNDLED + path.stem,
        name=meta.get("name") or path.stem,
        data=meta.get("data", "zdc_geant4"),
        model=meta.get("model", ""),
        config=json.loads(meta.get("config", "{}")),
        seed=int(meta.get("seed", 0)),
        state="finished",
        bundled=True,
        epoch=epoch,
        epochs=epoch,
        step=step,
        steps=step,
        created=path.stat().st_mtime,
        seconds=float(meta.get("seconds", meta.get("train_seconds", 0))),
        device=meta.get("device", ""),
        checkpoints=[Checkpoint(step=step, epoch=epoch)],
        parameters=int(meta.get("parameters", 0)),
        provenance={name: meta[name] for name in said if name in meta},
    )


def command_of(spec: TrainSpec) -> str:
    """The command line that trains the same again."""
    given = "".join(f" --set {name}={value}" for name, value in spec.config.items())
    start = f" --from {spec.start}" if spec.start else ""
    return f"showerscope train --data {spec.data} --model {spec.model}{start}{given} --seed {spec.seed}"

"""What the app, the command line and other programs can ask: `engine.schema.Engine`, in this process."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import benchmarks, sets, zdc
from engine.datasets.base import Dataset
from engine.job import ACTIVE
from engine.jobs import Jobs
from engine.once import Once
from engine.rack import MODELS, Rack, learned_of, weights_of
from engine.runs import BUNDLED, Store, command_of
from engine.schema import (
    Arrays,
    Benchmark,
    BrokenGenerator,
    BulkTask,
    Catalogue,
    Checkpoint,
    CloudRequest,
    CoverageTask,
    DataKind,
    DatasetInfo,
    EngineError,
    EvaluateRequest,
    EvaluateTask,
    FileFormat,
    GenerateRequest,
    Health,
    History,
    ImportReport,
    MapRequest,
    NotFound,
    Particle,
    PartitionRequest,
    Report,
    RunInfo,
    ScanRequest,
    Series,
    Task,
    TaskInfo,
    TrainSpec,
    WrongInput,
)
from engine.shelf import MOST_PICTURES, Shelf, row_numbers
from engine.spaces import check_rows
from engine.tasks import Tasks
from engine.work import demands, geant4

if TYPE_CHECKING:  # torch takes seconds to import: what needs it imports it at first use
    from engine.generation import Generator
    from engine.host import Held, Host
    from engine.latent import Maps
    from engine.manifolds import Source
    from engine.points import Asked, Recent

PARTICLES = (2112, 22, -2112, 130, 2212, 3122)
STRIP = 8
CLOUD = 500
"""Points of a strip: one says little, a cloud shows a shape."""
FIRST = "e2e_sae"
"""The model that stands first in a list of all."""
FRESH_S = 1.0
"""How long the curves of a running training may be old."""
SWITCH_S = 0.001
"""How long a thread may keep Python's lock from others that want it, a fifth of Python's own choice: a network takes it
anew for each of its operations, and waits as long each time while another thread imports or packs answers."""


class NotAllowed(WrongInput):
    """This engine serves models and does not train. HTTP 403."""


class Service:
    """The engine of one home. Safe to use from several threads."""

    def __init__(
        self, training_allowed: bool = True, models: Path = MODELS, at_once: int = 1, making: bool = False
    ) -> None:
        self.shelf = Shelf(making)
        self.home = self.shelf.home
        self.training_allowed = training_allowed
        self.store = Store(self.home)
        self.jobs = Jobs(self.home, self.store, at_once)
        self.rack = Rack(self.store, self.jobs, models)
        self.once = Once()
        self._histories: dict[str, tuple[object, float, History]] = {}

    def start(self) -> None:
        """Serve: watch the queue, and have ready what takes long to import."""
        self.host  # noqa: B018 - imports torch
        self.jobs.start()
        sys.setswitchinterval(SWITCH_S)
        threading.Thread(target=self._warm, name="warm-up", daemon=True).start()

    def _warm(self) -> None:
        self.catalogue()
        self.datasets()
        bundled = [info for info in self.runs() if info.bundled]
        for name in {info.data for info in bundled}:
            self.shelf.nearness(name)
        for info in bundled:  # a first shower takes a hundred times as long as a second one
            with suppress(EngineError):  # who asks for it is told
                self.generate(GenerateRequest(run=info.run_id, particle=Particle()))
        if self.training_allowed:
            self.store.experiment  # noqa: B018 - imports MLflow

    def close(self) -> None:
        """End trainings with a checkpoint, to be resumed, and helper processes."""
        self.jobs.close()
        for name in ("maps", "tasks"):
            if name in self.__dict__:
                getattr(self, name).close()

    @property
    def host(self) -> Host:
        from engine.host import Host

        return self.once.get("host", Host)

    @cached_property
    def maps(self) -> Maps:
        from engine.latent import Maps

        return Maps(self.home / "maps", self._keep_map)

    @cached_property
    def recent(self) -> Recent:
        from engine.points import Recent

        return Recent()

    @cached_property
    def tasks(self) -> Tasks:
        return Tasks(self.home)

    # ------------------------------------------------------------------------------------------------------- facts
    def health(self) -> Health:
        states = [info.state for info in self.jobs.infos()]
        return Health(
            version=version("showerscope"),
            device=self.host.device,
            threads=self.host.threads,
            running=sum(state in ACTIVE for state in states),
            queued=states.count("queued"),
            training_allowed=self.training_allowed,
            loaded=[
                BUNDLED + path.stem if path.parent == self.rack.bundle else held.meta.get("run", path.stem)
                for path, held in self.host.held()
            ],
            memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        )

    def catalogue(self) -> Catalogue:
        return self.once.get("catalogue", self._catalogue)

    def _catalogue(self) -> Catalogue:
        from engine.metrics import base as metrics
        from engine.models import base as models

        seen = [pdg for info in self.datasets() for pdg in info.pdg]
        packages = ("showerscope", "torch", "numpy", "mlflow", "openTSNE", "geomloss", "streamlit", "pydantic")
        return Catalogue(
            models=[models.info(models.get(name)) for name in sorted(models.names(), key=lambda n: (n != FIRST, n))],
            metrics=metrics.info(),
            detectors=[zdc.info(detector) for detector in zdc.DETECTORS.values()],
            particles=[zdc.particle(pdg) for pdg in dict.fromkeys((*PARTICLES, *seen)) if pdg],
            published=benchmarks.published(),
            geant4=geant4(),
            versions={"python": platform.python_version(), **{name: version(name) for name in packages}},
        )

    # -------------------------------------------------------------------------------------------------------- data
    def datasets(self) -> list[DatasetInfo]:
        return self.shelf.infos()

    def columns(self, data: str, convention: str = "paper") -> Arrays:
        return self.shelf.columns(data, convention)

    def showers(self, data: str, rows: list[int]) -> Arrays:
        return self.shelf.showers(data, rows)

    def nearest(self, data: str, particle: Particle, k: int = 8) -> Arrays:
        return self.shelf.nearest(data, particle, k)

    def save_rows(self, data: str, rows: list[int], format: FileFormat) -> bytes:
        return self.shelf.save_rows(data, rows, format)

    def imports(self) -> list[ImportReport]:
        return self.shelf.imports()

    def upload(self, file_name: str, content: bytes) -> str:
        ticket, path = self.receive(file_name)
        path.write_bytes(content)
        return ticket

    def receive(self, file_name: str) -> tuple[str, Path]:
        """A ticket for an upload, and where its bytes go."""
        self._allow()
        return self.tasks.upload(file_name)

    def remove_data(self, data: str) -> None:
        self._allow()
        self.shelf.remove(data)

    # ------------------------------------------------------------------------------------------------------- tasks
    def start_task(self, task: Task) -> TaskInfo:
        if task.kind in ("prepare", "import", "bulk"):
            self._allow()
        made = ""
        if isinstance(task, EvaluateTask):
            request, made = self._settled(task.request)
            task = EvaluateTask(request=request)
        elif isinstance(task, CoverageTask):
            request, made = self._settled_map(task.request)
            task = CoverageTask(request=request)
        elif isinstance(task, BulkTask):
            from engine import bulk

            return bulk.start(task.request, self.rack, self.shelf, self.tasks)
        stamp, again = demands(task, self.home)
        return self.tasks.start(task, f"{made}{stamp}", again)

    def task(self, task_id: str) -> TaskInfo:
        return self.tasks.info(task_id)

    def cancel_task(self, task_id: str) -> None:
        self.tasks.cancel(task_id)

    def remove_task(self, task_id: str) -> None:
        self._allow()
        self.tasks.remove(task_id)

    def task_arrays(self, task_id: str) -> Arrays:
        return self.tasks.arrays(task_id)

    def file(self, task_id: str) -> Path:
        """The file of a finished bulk. Raises `NotFound`."""
        info = self.tasks.info(task_id)
        if info.bulk is None:
            raise NotFound(f"task {task_id} is {info.state} and has no file: wait for the end of a bulk")
        path = Path(info.bulk.path)
        if not path.is_file():
            raise NotFound(f"the file of task {task_id} is gone: start it again")
        return path

    # -------------------------------------------------------------------------------------------------------- runs
    def runs(self) -> list[RunInfo]:
        return self.rack.infos()

    def status(self, run: str) -> RunInfo:
        return self.rack.info(run)

    def submit(self, spec: TrainSpec) -> str:
        return self.prepare(spec).run_id

    def prepare(self, spec: TrainSpec, inline: bool = False) -> RunInfo:
        """Enter a training into the store and the queue; `inline` ones wait for `Jobs.run_here` instead."""
        from engine.config import settings
        from engine.models import base as models

        self._allow()
        kind = models.get(spec.model)
        data = self.shelf.data(spec.data)
        command, start = command_of(spec), self.rack.weights(spec.start)[0] if spec.start else None
        if start is not None:
            spec = spec.model_copy(update={"config": self._inherited(spec, data.kind)})
        config = models.configure(kind, spec.config, data.kind)
        model = kind(config, data.space)  # settings that do not go together are refused here, not by a run that fails
        if start is not None:
            models.adopt(model, start)
        info = RunInfo(
            run_id="",
            name=spec.name or f"{spec.model} {spec.data} seed {spec.seed}",
            data=spec.data,
            model=spec.model,
            config=settings(config, data.kind),
            seed=spec.seed,
            epochs=config.epochs,
            created=time.time(),
            provenance=({"start": spec.start} if spec.start else {})
            | {"command": command, "version": version("showerscope"), "label": data.label},
        )
        info = info.model_copy(update={"run_id": self.store.create(info)})
        self.jobs.submit(info, spec, self.host.threads, self.host.device, inline, start)
        return info

    def _inherited(self, spec: TrainSpec, kind: DataKind) -> dict[str, Any]:
        """The settings of a training with those of its start's networks and losses, unless it names its own."""
        from engine.config import form
        from engine.models import base as models

        other = self.status(spec.start)
        if other.model != spec.model:
            raise WrongInput(f"{spec.start} is a {other.model}: a {spec.model} cannot start from its weights")
        fields = [f for f in form(models.get(spec.model).Config) if f.group != "Training"]
        names = {f.name for f in fields if not f.kinds or kind in f.kinds}
        return {name: value for name, value in other.config.items() if name in names} | spec.config

    def _allow(self) -> None:
        if not self.training_allowed:
            raise NotAllowed("this engine only shows models (--no-train): start one of your own with `showerscope up`")

    def history(self, run: str, since: int = -1) -> History:
        info = self.status(run)
        if info.bundled:
            return History(run_id=run)
        state = info.state, info.step, info.seconds
        held = self._histories.get(run)
        if not held or (held[0] != state and time.monotonic() - held[1] > FRESH_S):
            last, series = self.store.history(run)
            held = state, time.monotonic(), History(run_id=run, last_step=last, series=series)
            self._histories[run] = held
        whole = held[2]
        return whole if since < 0 else whole.model_copy(
            update={"series": {name: _after(series, since) for name, series in whole.series.items()}}
        )  # fmt: skip

    def cancel(self, run: str) -> None:
        self._own(run)
        self.jobs.cancel(run)

    def pause(self, run: str) -> None:
        self._own(run)
        self.jobs.pause(run)

    def step(self, run: str) -> None:
        self._own(run)
        self.jobs.step(run)

    def resume(self, run: str) -> None:
        self._own(run)
        self.jobs.resume(run)

    def remove(self, run: str) -> None:
        self._own(run)
        self.jobs.remove(run)
        self.store.remove(run)
        shutil.rmtree(self.home / "maps" / run, ignore_errors=True)

    def _own(self, run: str) -> None:
        """Refuse to steer what is not a run of this home."""
        self._allow()
        if run.startswith(BUNDLED):
            raise WrongInput(f"{run} comes with Showerscope and is not trained here: train a model of your own")

    # -------------------------------------------------------------------------------------------------- generation
    def _model(self, run: str, step: int | None) -> tuple[Held, RunInfo, Checkpoint]:
        """A run's model on the device and the checkpoint that it is. Raises `NotFound` where there is none."""
        path, info, checkpoint = self.rack.weights(run, step)
        return self.host.load(path), info, checkpoint

    def generate(self, request: GenerateRequest) -> Arrays:
        from engine import generation

        return generation.generate(self.host, self.generator(request.run, request.step), request)

    def scan(self, request: ScanRequest) -> Arrays:
        from engine import scan

        return scan.scan(self.host, self.generator(request.run, request.step), request)

    def generator(self, run: str, step: int | None = None) -> Generator:
        """A run's model ready to draw, with the data that it learned from. Raises `NotFound` where there is none."""
        from engine import generation

        held, info, checkpoint = self._model(run, step)
        data = self.shelf.data(info.data)
        nearness = self.shelf.nearness(info.data) if data.kind == "showers" else None
        return generation.Generator(held.model, data, nearness, run, checkpoint.step, info.model)

    def samples(self, run: str, step: int | None = None) -> Arrays:
        held, info, checkpoint = self._model(run, step)
        data = self.shelf.data(info.data)
        rows = strip(data)
        showers, conditions = data.showers[rows].astype(np.float32), data.conditions[rows]
        arrays = {
            "simulated": showers,
            "generated": self.host.sample(held.model, conditions, 0, "poisson"),
            "conditions": conditions,
            "pdg": data.pdg[rows],
            "row": rows,
        }
        if held.model.has_latent:
            codes = self.host.encode(held.model, showers, conditions)
            arrays["reconstructed"] = self.host.decode(held.model, codes, conditions)
        return Arrays(arrays, {"step": checkpoint.step, "epoch": checkpoint.epoch, "label": data.label})

    def encode(self, run: str, data: str, rows: list[int], step: int | None = None) -> Arrays:
        held, _, checkpoint = self._model(run, step)
        d = self.shelf.data(data)
        index = row_numbers(d, rows)
        if d.space != held.model.space:
            own, other = ((*s.shape, s.kind) for s in (held.model.space, d.space))
            raise WrongInput(f"{run} is a model of {own}, {data} holds {other}: choose data like those it learned from")
        codes = self.host.encode(held.model, d.showers[index], d.conditions[index])
        return Arrays({"latent": codes}, {"step": checkpoint.step})

    def decode(
        self,
        run: str,
        latent: list[list[float]],
        step: int | None = None,
        conditions: list[list[float]] | None = None,
    ) -> Arrays:
        held, info, checkpoint = self._model(run, step)
        data = self.shelf.data(info.data)
        middle = np.median(data.conditions[data.rows("train")], axis=0)[None]
        width = self.host.prior(held.model, middle, 0).shape[1]
        codes = np.asarray(latent, dtype=np.float32) if len({len(code) for code in latent}) == 1 else np.zeros((0, 0))
        if codes.shape != (len(latent), width) or not np.isfinite(codes).all() or len(codes) > MOST_PICTURES:
            raise WrongInput(f"latent codes: 1 to {MOST_PICTURES} rows of {width} finite numbers are needed")
        rows = np.repeat(middle, len(codes), axis=0) if conditions is None else check_rows(conditions, data.columns)
        if len(rows) != len(codes):
            raise WrongInput(f"{len(rows)} condition rows for {len(codes)} latent codes: give a row a code")
        showers = self.host.decode(held.model, codes, rows)
        return Arrays({"showers": showers}, {"step": checkpoint.step})

    def map(self, request: MapRequest) -> Arrays:
        asked, info, checkpoint = self._asked(request)
        settings = {name: getattr(asked.request, name) for name in ("n", "perplexity", "seed", "space")}
        # a bundled model may be replaced by another of its name
        stamp = f"{request.run}-{info.provenance.get('commit', '')}" if info.bundled else request.run
        busy = any(one.state in ACTIVE for one in self.jobs.infos())
        threads = 1 if busy else min(2, len(os.sched_getaffinity(0)))
        return self.maps.ask(stamp, checkpoint.step, checkpoint.epoch, settings, asked.prepare, threads)

    def map_showers(self, request: MapRequest, points: list[int]) -> Arrays:
        asked, _, checkpoint = self._asked(request)
        made = asked.examples(points)
        return Arrays(made.arrays, made.meta | {"step": checkpoint.step})

    def _asked(self, request: MapRequest) -> tuple[Asked, RunInfo, Checkpoint]:
        from engine.points import Asked

        path, info, checkpoint = self.rack.weights(request.run, request.step)
        data = self.shelf.data(info.data)
        stamp = path, path.stat().st_mtime_ns, data.name, sets.stamp(data.name, self.home)
        return Asked(self.host, self.host.load(path).model, data, request, self.recent, stamp), info, checkpoint

    def cloud(self, request: CloudRequest) -> Arrays:
        from engine import manifolds

        return manifolds.cloud(self.host, self._source(request.run, request.step), request)

    def partition(self, request: PartitionRequest) -> Arrays:
        from engine import manifolds

        return manifolds.partition(self.host, self._source(request.run, request.step), request)

    def _source(self, run: str, step: int | None) -> Source:
        from engine.manifolds import Source

        held, info, checkpoint = self._model(run, step)
        return Source(held.model, self.shelf.data(info.data), info, checkpoint)

    def _settled_map(self, request: MapRequest) -> tuple[MapRequest, str]:
        """What coverage depends on of a request: checkpoint and space named, and what tells its weights and data from
        others of these names. The perplexity is the map's alone."""
        from engine.models import base as models
        from engine.points import named

        info, checkpoint = self.rack.checkpoint(request.run, request.step)
        data = self.shelf.data(info.data)
        plain = {"step": checkpoint.step, "perplexity": MapRequest.model_fields["perplexity"].default}
        request = named(request, models.get(info.model), data).model_copy(update=plain)
        return request, learned_of(info, data.name, self.home)

    def _keep_map(self, run: str, path: Path) -> None:
        """Give a finished map of a run of ours to the run store as well."""
        if not run.startswith(BUNDLED):
            self.store.add_file(run, path, "maps")

    def evaluate(self, request: EvaluateRequest) -> Report:
        return self.judged(request)[0]

    def judged(
        self, request: EvaluateRequest, tell: Callable[[float, float], None] = lambda done, total: None
    ) -> tuple[Report, Arrays]:
        """`evaluate` with the arrays that pages draw. tell: called with the share that is done, and 1."""
        from engine.evaluation import evaluate

        request, _ = self._settled(request)
        held, info, _ = self._model(request.run, request.step)
        return evaluate(self.host, held.model, self.shelf.data(request.data or info.data), request, info, tell)

    def _settled(self, request: EvaluateRequest) -> tuple[EvaluateRequest, str]:
        """An evaluation with its checkpoint and data named, and what tells its weights from others of that name."""
        info, checkpoint = self.rack.checkpoint(request.run, request.step)
        data = self.shelf.data(request.data or info.data)
        if data.kind == "showers":
            zdc.channel_index(data.detector, request.convention)
        return request.model_copy(update={"step": checkpoint.step, "data": data.name}), weights_of(info)

    def report(self, task_ids: list[str]) -> bytes:
        from engine.export import report

        found = []
        for task_id in task_ids:
            info = self.tasks.info(task_id)
            if info.evaluation is None:
                raise NotFound(f"task {task_id} is {info.state} and has no evaluation: wait for its end")
            found.append((info.evaluation, self.tasks.arrays(task_id)))
        return report.page(found)

    def benchmarks(self) -> list[Benchmark]:
        return benchmarks.records(self.home, self.once)

    def broken(self) -> list[BrokenGenerator]:
        return self.once.get("broken", benchmarks.broken)

    def export(self, request: GenerateRequest, format: FileFormat) -> bytes:
        from engine.export import files

        if request.moments:
            raise WrongInput("moments are no showers: leave them out of what goes into a file")
        pdg = np.array([request.particle.pdg]) if request.particle else None
        return files.pack(files.label(self.generate(request), request.n, pdg), format)


# ----------------------------------------------------------------------------------------------------- small pieces


def strip(data: Dataset) -> NDArray[np.int64]:
    """Eight validation showers, one a primary, from few photons to many; of images one a class; of points a cloud."""
    rows = data.rows("validation")
    rows = rows[np.unique(data.primary_id[rows], return_index=True)[1]]
    if data.kind == "points":
        return rows[:CLOUD]
    if data.kind == "images" and data.space.classes:
        return rows[np.unique(data.conditions[rows, 0], return_index=True)[1]][: 2 * STRIP]
    if data.kind != "showers":
        return rows[:STRIP]
    rows = rows[np.argsort(data.photon_sum[rows], kind="stable")]
    return rows[np.linspace(0.1 * len(rows), 0.98 * len(rows) - 1, min(STRIP, len(rows))).astype(int)]


def _after(series: Series, since: int) -> Series:
    first = int(np.searchsorted(series.step, since, side="right"))
    return Series(step=series.step[first:], value=series.value[first:])

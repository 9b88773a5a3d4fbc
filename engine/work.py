"""What a task's process does.

python -m engine.work FOLDER      SIGTERM ends it as cancelled, and nothing stays half done
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from engine import sets
from engine.job import write_bytes, write_text
from engine.runs import BUNDLED, home
from engine.schema import (
    Arrays,
    BulkRequest,
    BulkTask,
    CheckTask,
    Coverage,
    CoverageTask,
    EngineError,
    EvaluateRequest,
    EvaluateTask,
    Geant4Info,
    ImportTask,
    MapRequest,
    NotFound,
    PrepareTask,
    Report,
    RunInfo,
    SimulateTask,
    Task,
    TaskInfo,
    WrongInput,
)
from engine.tasks import read_request, uploaded, write_status

if TYPE_CHECKING:  # torch takes seconds to import, and most tasks need none of it
    from engine.host import Host
    from engine.models.base import Model
    from engine.runs import Store

logger = logging.getLogger("showerscope.work")

STATUS_EVERY_S = 0.2
GATHERED = 0.2
"""How much of a look at coverage is done when its points are there."""

Progress = Callable[[float, float], None]


def demands(task: Task, home: Path) -> tuple[str, bool]:
    """Check a task before it starts: what besides the request its outcome depends on, and whether it is done again
    although it has succeeded before. Raises `WrongInput` or `NotFound` for what cannot succeed."""
    from engine.datasets import base as datasets

    match task:
        case PrepareTask():
            if task.data not in datasets.names():
                raise NotFound(f"no data set {task.data!r} is made here: there are {', '.join(datasets.names())}")
            return "", not datasets.ready(task.data)
        case ImportTask():
            from engine.imports.store import free

            free(home, task.data)
            for ticket in task.uploads:
                uploaded(home, ticket)
            return "", True
        case SimulateTask():
            from engine.conditions import conditions_of
            from engine.geant4 import simulation, tables

            if not simulation.installed():
                raise WrongInput(simulation.MISSING)
            conditions_of(task.particle)
            return f"{simulation.python()} {tables.find(home).label} {version('showerscope')}", False
        case EvaluateTask():
            from engine.metrics import base as metrics

            for name in task.request.metrics or []:
                metrics.get(name)
            return f"{sets.stamp(task.request.data or '', home)} {version('showerscope')}", False
        case CoverageTask():
            return version("showerscope"), False
        case CheckTask():
            from engine.datasets import zdc_fast

            if task.data != "zdc_fast":
                raise WrongInput(f"{task.data} cannot be simulated at Geant4's conditions: zdc_fast can")
            return f"{zdc_fast.folder(1).name} {version('showerscope')}", False
        case BulkTask():
            raise AssertionError("engine.bulk.start checks it")


def geant4() -> Geant4Info:
    """Whether Geant4 answers here."""
    from engine.geant4 import simulation

    there = simulation.installed()
    mend = "" if there else simulation.MISSING
    return Geant4Info(installed=there, mend=mend, start_s=simulation.START_S, ms_per_gev=simulation.MS_PER_GEV)


class Cancelled(BaseException):
    """Asked to end; no `except Exception` on the way may swallow it."""


class Teller:
    """Writes how far the task is, and ends it when its engine is gone."""

    def __init__(self, folder: Path, info: TaskInfo) -> None:
        self.folder, self.info, self.engine = folder, info, os.getppid()
        self.begin, self.shown = time.monotonic(), 0.0
        self.earlier = 0.0
        """What of `done` an earlier process did: no part of this one's speed."""

    def __call__(self, done: float, total: float) -> None:
        if time.monotonic() - self.shown < STATUS_EVERY_S and done < total:
            return
        if os.getppid() != self.engine:
            raise Cancelled
        self.shown = time.monotonic()
        seconds = self.shown - self.begin
        here = done - self.earlier
        eta = seconds * (total - done) / here if here > 0 else None
        self.say(state="running", done=float(done), total=float(total), seconds=seconds, eta_s=eta)

    def say(self, **changes: Any) -> None:
        self.info = self.info.model_copy(update=changes)
        write_status(self.folder, self.info)


def perform(folder: Path) -> TaskInfo:
    """Do the task of this folder; what goes wrong stands in its status."""
    task = read_request(folder)
    tell = Teller(folder, TaskInfo(task_id=folder.name, kind=task.kind, unit=unit_of(task)))
    tell(0.0, 0.0)
    try:
        found = WORK[task.kind](task, folder, tell)
        tell.say(state="finished", **found)
    except Cancelled:
        tell.say(state="cancelled")
    except EngineError as error:
        tell.say(state="failed", error=str(error))
    except Exception as error:  # the boundary of the process: whatever it was, the task must say so
        logger.exception("task failed")
        first = (str(error).splitlines() or [""])[0]
        tell.say(state="failed", error=f"unexpected {type(error).__name__}: {first}; details in {folder}/log.txt")
    tell.say(seconds=time.monotonic() - tell.begin, eta_s=None)
    return tell.info


def prepare(task: PrepareTask, folder: Path, tell: Progress) -> dict[str, Any]:
    sets.load(task.data, home(), tell)
    return {}


def import_files(task: ImportTask, folder: Path, tell: Progress) -> dict[str, Any]:
    from engine.imports.intake import import_file

    paths = [uploaded(home(), ticket) for ticket in task.uploads]
    try:
        # a pair of files shall lie side by side under its own names
        beside = [folder / path.name for path in paths]
        for path, here in zip(paths, beside, strict=True):
            here.hardlink_to(path)
        report = import_file(beside, task.data, home(), task.options, tell)
        return {"report": report}
    except EngineError as error:
        raise type(error)(str(error).replace(f"{folder}/", "")) from error  # the user's names, not our paths
    finally:
        for path in paths:
            shutil.rmtree(path.parent, ignore_errors=True)
            (folder / path.name).unlink(missing_ok=True)


def simulate(task: SimulateTask, folder: Path, tell: Progress) -> dict[str, Any]:
    import numpy as np

    from engine.conditions import conditions_of
    from engine.geant4 import simulation

    conditions = conditions_of(task.particle)
    made = simulation.simulate(
        conditions, task.particle.pdg, task.detector, task.n, task.seed, task.time_limit_s, home(), tell
    )
    arrays = Arrays(
        {
            "showers": made.showers,
            "conditions": np.repeat(conditions, task.n, axis=0),
            "pdg": np.full(task.n, task.particle.pdg),
            "replica": made.replica,
            "cpu_seconds": made.cpu_seconds,
        },
        {"label": made.label, "notes": list(made.notes), "seconds": made.seconds},
    )
    write_bytes(folder / "result.safetensors", arrays.to_bytes())
    return {}


def check(task: CheckTask, folder: Path, tell: Progress) -> dict[str, Any]:
    from engine.schema import Validation
    from engine.validation import check as validate

    return {
        "validation": Validation.model_validate(
            validate(task.data, task.split, progress=lambda share: tell(share, 1.0))
        )
    }


def evaluate(task: EvaluateTask, folder: Path, tell: Progress) -> dict[str, Any]:
    from engine.evaluation import evaluate as judge

    request = task.request
    store, host, model, info = loaded(request)
    report, arrays = judge(host, model, sets.load(request.data or info.data, home()), request, info, tell)
    write_bytes(folder / "result.safetensors", arrays.to_bytes())
    keep(store, request.run, folder, report, "evaluations")
    return {"evaluation": report}


def cover(task: CoverageTask, folder: Path, tell: Progress) -> dict[str, Any]:
    from engine.coverage import judge
    from engine.points import gather

    request = task.request
    store, host, model, info = loaded(request)
    data = sets.load(info.data, home())
    points = gather(host, model, data, request)
    tell(GATHERED, 1.0)
    found = judge(points, data, request, lambda done, of: tell(GATHERED + (1 - GATHERED) * done / of, 1.0))
    keep(store, request.run, folder, found, "coverage")
    return {"coverage": found}


def generate(task: BulkTask, folder: Path, tell: Teller) -> dict[str, Any]:
    from engine import bulk
    from engine.conditions import Nearness
    from engine.generation import Generator
    from engine.sources import source_of

    request = task.request
    _, host, model, info = loaded(request)
    data = sets.load(info.data, home())
    nearness = Nearness(data) if data.kind == "showers" else None
    assert request.step is not None  # named when it was started
    source = Generator(model, data, nearness, request.run, request.step, info.model)
    rows = source_of(request, data, bulk.table_of(folder))
    begun = False

    def progress(done: float, total: float) -> None:
        nonlocal begun
        if not begun:  # the first word is of what was there already
            begun, tell.earlier, tell.begin = True, done, time.monotonic()
        tell(done, total)

    name = bulk.file_name(request, rows)
    return {"bulk": bulk.run(folder, host, source, rows, request, name, progress)}


def loaded(request: EvaluateRequest | MapRequest | BulkRequest) -> tuple[Store, Host, Model, RunInfo]:
    """The model that a request names, on one thread."""
    from engine.host import Host
    from engine.jobs import Jobs
    from engine.rack import Rack
    from engine.runs import Store

    store = Store(home())
    path, info, _ = Rack(store, Jobs(home(), store)).weights(request.run, request.step)
    host = Host(threads=1)
    return store, host, host.load(path).model, info


def keep(store: Store, run: str, folder: Path, found: Report | Coverage, where: str) -> None:
    """Keep what came out with a run of ours, in a team's store too."""
    if not run.startswith(BUNDLED):
        beside = folder / f"{folder.name}.json"
        write_text(beside, found.model_dump_json(indent=1))
        store.add_file(run, beside, where)


WORK: dict[str, Callable[[Any, Path, Teller], dict[str, Any]]] = {
    "prepare": prepare, "import": import_files, "simulate": simulate, "check": check,
    "evaluate": evaluate, "coverage": cover, "bulk": generate,
}  # fmt: skip
UNIT = {"prepare": "showers", "import": "rows", "simulate": "showers", "bulk": "showers"}


def unit_of(task: Task) -> str:
    """What the progress of a task counts; a set that is made says itself what it holds."""
    from engine.datasets import base as datasets

    if isinstance(task, PrepareTask) and task.data in datasets.names() and not datasets.ready(task.data):
        return datasets.describe(task.data).kind
    return UNIT.get(task.kind, "")


def main(folder: str) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    def cancelled(*_: object) -> NoReturn:
        raise Cancelled

    signal.signal(signal.SIGTERM, cancelled)
    signal.signal(signal.SIGINT, cancelled)
    return 0 if perform(Path(folder)).state == "finished" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""Showers by the million into one file, in constant memory: part after part, so that what was cut off goes on.

A task's folder holds `part-00000.parquet`, …, each written beside and renamed when it is whole, with the state of the
noise after it; at the end they are joined into the file. A batch holds the same showers as in `Host.sample`, whoever
asks: page, command line or task.
"""

from __future__ import annotations

import base64
import math
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine import zdc
from engine.datasets.base import Dataset
from engine.export.writers import ROW_GROUP, writing
from engine.generation import Generator
from engine.host import BATCH, Host
from engine.imports.pictures import LARGEST
from engine.job import write_text
from engine.parts import read_part, whole_parts, write_part
from engine.rack import Rack, learned_of
from engine.runs import BUNDLED
from engine.schema import Arrays, Bulk, BulkRequest, BulkTask, EngineError, TaskInfo, WrongInput
from engine.shelf import Shelf
from engine.sources import Source, source_of
from engine.tasks import Tasks, uploaded

Progress = Callable[[float, float], None]

PART = 8 * BATCH
"""Showers of a part: a second of work."""
JOINING = 0.15
"""Time of joining a shower into the file over that of generating it."""
WHOLE_BYTES = 1100
"""Of a shower of whole photons with its conditions on disk, at the beam's energy; most take a third."""
TABLE = "conditions"
"""The table of a bulk in its folder, with the ending that it had."""
STATUS = Path("/proc/self/status")


def pieces(
    host: Host,
    source: Generator,
    rows: Source,
    rng: torch.Generator,
    light: str,
    convention: str,
    first: int = 0,
    meta: dict[str, Any] | None = None,
) -> Iterator[Arrays]:
    """Showers with conditions and labels, a batch at a time from batch `first` on, as files hold them."""
    for number in range(first, -(-rows.showers // BATCH)):
        conditions, labels = rows.batch(number)
        (showers,) = host.draw(source.model, [conditions], rng, light)
        arrays: dict[str, NDArray] = {"showers": showers, "conditions": conditions, **labels}
        if source.data.kind == "showers":
            arrays["channels"] = source.channels(showers, convention)
            arrays["impact_mm"] = source.impact_mm(conditions)
        yield Arrays(arrays, meta or {})


def write(
    host: Host, source: Generator, rows: Source, out: Path, meta: dict[str, Any], tell: Progress | None = None
) -> dict[str, Any]:
    """All showers straight into a file. meta: `Generator.said`, which names light, seed and convention; the answer is
    the same with `ms`, the time of generating alone."""
    rng = host.rng(meta["seed"])
    seconds, done = 0.0, 0
    with writing(out, rows.showers, meta) as file:
        drawn = pieces(host, source, rows, rng, meta["light"], meta["convention"], meta=meta)
        while done < rows.showers:
            begin = time.perf_counter()
            piece = joined([next(drawn) for _ in range(min(ROW_GROUP // BATCH, -(-(rows.showers - done) // BATCH)))])
            seconds += time.perf_counter() - begin
            done += len(piece["showers"])
            if done == rows.showers:
                meta["ms"] = 1000 * seconds
            file.add(piece)
            if tell:
                tell(done, rows.showers)
    return meta


def joined(parts: list[Arrays]) -> Arrays:
    """Pieces of the same names behind each other."""
    return Arrays({name: np.concatenate([part[name] for part in parts]) for name in parts[0].arrays}, parts[0].meta)


# ------------------------------------------------------------------------------------------------------------- task
def start(request: BulkRequest, rack: Rack, shelf: Shelf, tasks: Tasks) -> TaskInfo:
    """Begin a bulk, or go on with one. All of it is checked before: its end may be hours away, and the upload of its
    table is gone by then. Raises `WrongInput` for what cannot succeed."""
    info, checkpoint = rack.checkpoint(request.run, request.step)
    data = shelf.data(info.data)
    if data.kind == "showers":
        zdc.channel_index(data.detector, request.convention)
    task = BulkTask(request=request.model_copy(update={"step": checkpoint.step}))
    stamp = f"{learned_of(info, data.name, shelf.home)}{version('showerscope')}"
    folder = tasks.place(task, stamp)
    kept = table_of(folder)
    table = kept or (uploaded(shelf.home, request.upload) if request.upload else None)
    rows = source_of(request, data, table)
    needs(data, rows.showers, request.light, folder, copies=2)  # in its part, and in the file

    def prepare(folder: Path) -> None:
        if table is not None and kept is None:
            beside = folder / f".{TABLE}"
            shutil.copyfile(table, beside)
            beside.replace(folder / f"{TABLE}{table.suffix.lower()}")

    return tasks.start(task, stamp, not finished(folder), prepare)


def table_of(folder: Path) -> Path | None:
    """The table of conditions in the folder of a bulk, where it has one."""
    return next(folder.glob(f"{TABLE}.*"), None)


def run(
    folder: Path, host: Host, source: Generator, rows: Source, request: BulkRequest, name: str, tell: Progress
) -> Bulk:
    """Generate into `folder`/`name`, going on after the whole parts that lie there. tell: called with showers done and
    in total, first with those that were there. Raises `EngineError` where the disk does not take them; whole parts
    stay."""
    out, ended = folder / name, folder / "bulk.json"
    if finished(folder):
        for part in folder.glob("part-*"):  # a kill may have come between
            part.unlink()
        return Bulk.model_validate_json(ended.read_text(encoding="utf-8"))
    meta = source.said(rows.shown, request.convention, request.light, request.seed, rows.drawn)
    before, begin = memory_mb(), time.monotonic()
    like = {"device": host.device, "batch": BATCH, "part": PART}  # or the stream of noise is another
    parts, state = whole_parts(folder, like)
    rng = host.rng(request.seed)
    if state:
        rng.set_state(torch.frombuffer(bytearray(base64.b64decode(state["rng"])), dtype=torch.uint8))
    earlier = float(state.get("seconds", 0.0))

    def standing() -> dict[str, Any]:
        """What goes with a part: all that is needed to go on after it."""
        noise = base64.b64encode(rng.get_state().numpy().tobytes()).decode()
        return like | {"seconds": earlier + time.monotonic() - begin, "rng": noise}

    def say(made: int, joined: int = 0) -> None:
        """Showers done, of which joining is a share."""
        left = rows.showers - made + JOINING * (rows.showers - joined)
        tell(rows.showers - left / (1 + JOINING), rows.showers)

    done = min(len(parts) * PART, rows.showers)
    say(done)
    drawn = pieces(host, source, rows, rng, request.light, request.convention, done // BATCH)
    try:
        while done < rows.showers:
            stop = min(done + PART, rows.showers)

            def batches(start: int = done, stop: int = stop) -> Iterator[Arrays]:
                for first in range(start, stop, BATCH):
                    yield _compact(next(drawn), source, request.light)
                    say(min(first + BATCH, stop))

            parts.append(folder / f"part-{len(parts):05d}.parquet")
            write_part(parts[-1], batches(), standing)
            done = stop
        meta["ms"] = 1000 * standing()["seconds"]
        with writing(out, rows.showers, meta) as file:
            there = 0
            for part in parts:
                for arrays in read_part(part, ROW_GROUP // BATCH):
                    file.add(Arrays(arrays, meta))
                    there += len(arrays["showers"])
                    say(rows.showers, there)
    except OSError as error:
        raise EngineError(_unwritten(folder, done, error.strerror or str(error))) from error
    except WrongInput as error:
        if isinstance(error.__cause__, OSError):  # of the file, whose name here is ours
            raise EngineError(_unwritten(folder, done, error.__cause__.strerror or str(error))) from error
        raise
    found = Bulk(
        file=name,
        path=str(out),
        bytes=out.stat().st_size,
        showers=rows.showers,
        seconds=standing()["seconds"],
        format=request.format,
        memory_mb=max(0.0, peak_mb() - before),
    )
    write_text(ended, found.model_dump_json())
    for part in parts:
        part.unlink()
    return found


def finished(folder: Path) -> bool:
    """Whether the file of a task's folder is there."""
    try:
        found = Bulk.model_validate_json((folder / "bulk.json").read_text(encoding="utf-8"))
        return Path(found.path).stat().st_size == found.bytes
    except (OSError, ValueError):
        return False


def needs(data: Dataset, showers: int, light: str, folder: Path, copies: int = 1) -> None:
    """Raises `WrongInput` where the disk of a folder has no room for so many showers, `copies` times."""
    whole = data.kind == "showers" and light == "poisson"
    each = WHOLE_BYTES if whole else 4 * math.prod(data.space.shape) + 200  # expected light hardly compresses
    there = sum(part.stat().st_size for part in folder.glob("part-*"))
    nearest = next(place for place in (folder, *folder.parents) if place.is_dir())
    wanted, free = copies * showers * each - there, shutil.disk_usage(nearest).free
    if wanted > free:
        raise WrongInput(
            f"{showers} showers take up to {wanted / 1e9:.1f} GB while they are made, and {nearest} has "
            f"{free / 1e9:.1f} GB free: free some, or ask for fewer"
        )


def file_name(request: BulkRequest, rows: Source) -> str:
    """How the file of a bulk is called."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", request.run.removeprefix(BUNDLED))
    return f"{plain}_{rows.showers}_seed{request.seed}.{request.format}"


def _compact(piece: Arrays, source: Generator, light: str) -> Arrays:
    """Whole photons as 16-bit numbers, as data sets hold them. Raises `WrongInput` where a fibre has too many."""
    if source.data.kind != "showers" or light != "poisson":
        return piece
    brightest = float(piece["showers"].max())
    if brightest > LARGEST:
        raise WrongInput(
            f"a fibre holds {brightest:.0f} photons, more than files of whole photons can ({LARGEST}): generate "
            "expected light"
        )
    return Arrays(piece.arrays | {"showers": piece["showers"].astype(np.uint16)}, piece.meta)


def _unwritten(folder: Path, done: int, why: str) -> str:
    return f"{folder} cannot be written ({why}): free space and start it again, it goes on after {done} showers"


# ----------------------------------------------------------------------------------------------------------- memory
def memory_mb() -> float:
    """What this process holds now."""
    return _status("VmRSS")


def peak_mb() -> float:
    """What this process held at its height: not what `getrusage` says, which is its parent's too."""
    return _status("VmHWM")


def _status(name: str) -> float:
    """A size of `/proc/self/status` [MB]; 0 where there is none."""
    with suppress(OSError):
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0

"""Maps of the latent space: a joint t-SNE of encoded showers and generated noise (SPEC §7).

The optimisation holds Python's lock for tenths of a second at a time, so it runs in a process of its own, which takes
one map after the other:

    python -m engine.latent      requests on stdin, frames on stdout, each a safetensors message with its length before
"""

from __future__ import annotations

import os
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.datasets.base import Dataset
from engine.schema import Arrays, EngineError, WrongInput

EARLY, LATE = 250, 500
"""Iterations with and without early exaggeration, openTSNE's own choice."""
MOVED = 250
"""Iterations of a map that starts from the one of another checkpoint."""
FRAME_EVERY = 25
RETRY_S = 30.0
"""A failed map is not tried again at once: pages ask every second."""
KEPT = 64
"""Finished maps held in memory."""


# ----------------------------------------------------------------------------------------------------- mathematics
def principal(latent: NDArray) -> NDArray[np.float64]:
    """The first two principal components (N, 2), signs fixed: the map to begin with."""
    centred = latent - latent.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(centred.T).reshape(latent.shape[1], -1))
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    xy = centred @ axes
    return np.column_stack([xy, np.zeros(len(xy))])[:, :2] if xy.shape[1] < 2 else xy


def tsne(
    latent: NDArray, start: NDArray | None, perplexity: float, seed: int, show: Callable[[float, NDArray], None]
) -> NDArray[np.float32]:
    """t-SNE (N, 2) of latent codes (N, d) with exact neighbours, from `start` or the principal components; `show`
    sees share done and points on the way. Raises `WrongInput` for codes that are not finite."""
    import openTSNE
    from openTSNE.affinity import PerplexityBasedNN

    if not np.isfinite(latent).all():
        raise WrongInput("latent codes are not finite: choose another checkpoint")
    latent = np.ascontiguousarray(latent, np.float64)
    perplexity = min(perplexity, (len(latent) - 2) / 3)
    affinities = PerplexityBasedNN(latent, perplexity=perplexity, method="exact", n_jobs=1, random_state=seed)  # pyright: ignore[reportArgumentType]
    first = principal(latent) if start is None else np.asarray(start, np.float64)
    if start is None:
        first = first / max(first[:, 0].std(), 1e-12) * 1e-4  # early exaggeration needs a small beginning
    total = MOVED if start is not None else EARLY + LATE
    done = 0

    def report(iteration: int, error: float, embedding: NDArray) -> None:
        show(min(1.0, (done + iteration) / total), np.asarray(embedding, np.float32))

    embedding = openTSNE.TSNEEmbedding(
        first, affinities, n_jobs=1, random_state=seed, callbacks=report, callbacks_every_iters=FRAME_EVERY
    )
    if start is None:
        embedding.optimize(EARLY, exaggeration=12, momentum=0.5, inplace=True)
        done = EARLY
    embedding.optimize(total - done, momentum=0.8, inplace=True)
    return np.asarray(embedding, np.float32)


def map_rows(data: Dataset, n: int, seed: int) -> NDArray[np.int64]:
    """n rows for a map: validation showers, and training ones where these are not enough."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(data.rows(name)) for name in ("validation", "train")])
    if n > len(rows):
        raise WrongInput(f"a map of {n} showers: {data.name} has {len(rows)} for it, ask for fewer")
    return rows[:n]


# ------------------------------------------------------------------------------------------------------- processes
def send(pipe: IO[bytes], message: Arrays) -> None:
    data = message.to_bytes()
    pipe.write(struct.pack("<Q", len(data)) + data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Arrays | None:
    """The next message, None at the end of the pipe."""
    head = pipe.read(8)
    if len(head) < 8:
        return None
    return Arrays.from_bytes(pipe.read(struct.unpack("<Q", head)[0]))


def work(requests: IO[bytes], frames: IO[bytes]) -> None:
    """Answer requests until the pipe ends: what the process of this module does."""
    import openTSNE  # noqa: F401 - two seconds, best spent before the first request

    while (request := receive(requests)) is not None:
        start = request.arrays.get("start")
        meta = request.meta

        def show(share: float, xy: NDArray) -> None:
            send(frames, Arrays({"xy": xy}, {"progress": share}))

        try:
            xy = tsne(request["latent"], start, meta["perplexity"], meta["seed"], show)
            send(frames, Arrays({"xy": xy}, {"progress": 1.0, "done": True}))
        except Exception as error:  # the boundary of the process: the map fails, the next one gets its chance
            send(frames, Arrays({"xy": np.zeros((0, 2))}, {"error": f"{type(error).__name__}: {error}"}))


@dataclass
class Map:
    """A map under way, done or failed; `arrays` and `meta` as `Engine.map` answers."""

    key: str
    folder: Path
    arrays: dict[str, NDArray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    begin: float = 0.0

    @property
    def path(self) -> Path:
        return self.folder / f"{self.key}.safetensors"

    def answer(self) -> Arrays:
        meta = dict(self.meta)
        share = meta.get("progress", 0.0)
        if meta["state"] == "running" and share > 0:
            meta["eta_s"] = (time.monotonic() - self.begin) * (1 - share) / share
        return Arrays(dict(self.arrays), meta)


class Maps:
    """The maps of one engine: asked for again and again until they are done, kept as files."""

    def __init__(self, folder: Path, keep: Callable[[str, Path], None]) -> None:
        """`keep(run, path)` is told of each finished map's file."""
        self.folder, self.keep = folder, keep
        self._maps: dict[Path, Map] = {}
        self._queue: queue.Queue[tuple[Map, str, Callable[[], dict[str, NDArray]], dict[str, Any]]] = queue.Queue()
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def ask(
        self, run: str, step: int, epoch: int, settings: dict[str, Any], prepare: Callable[[], dict[str, NDArray]]
    ) -> Arrays:
        """The map of a checkpoint as far as it is; begins it where there is none. `prepare` gives layer, row, latent
        and what else the answer holds, one entry a point."""
        tail = "-".join(f"{name}{value}" for name, value in settings.items())
        wanted = Map(f"step-{step:08d}-{tail}", self.folder / run.replace(":", "_"))
        with self._lock:
            known = self._maps.get(wanted.path)
            if known is None or (known.meta["state"] == "failed" and time.monotonic() - known.begin > RETRY_S):
                known = self._begin(wanted, run, step, epoch, tail, settings, prepare)
            return known.answer()

    def _begin(
        self, made: Map, run: str, step: int, epoch: int, tail: str, settings: dict[str, Any], prepare: Any
    ) -> Map:
        stored = _read(made.path)
        if stored:
            made.arrays, made.meta = stored.arrays, stored.meta
        else:
            empty = {"xy": np.zeros((0, 2), np.float32)}
            made.arrays = empty
            made.meta = {"state": "queued", "progress": 0.0, "step": step, "epoch": epoch, "eta_s": None, "error": ""}
            self._queue.put((made, run, prepare, {**settings, "tail": tail}))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="maps", daemon=True)
                self._thread.start()
        ended = [p for p, m in self._maps.items() if m.meta["state"] in ("done", "failed")]
        for path in ended[: max(0, len(self._maps) - KEPT)]:
            del self._maps[path]
        self._maps[made.path] = made
        return made

    def _run(self) -> None:
        while True:
            made, run, prepare, settings = self._queue.get()
            try:
                self._compute(made, prepare, settings)
            except (EngineError, OSError) as error:
                made.begin = time.monotonic()
                made.meta = made.meta | {"state": "failed", "error": str(error)}
                continue
            self.keep(run, made.path)

    def _compute(self, made: Map, prepare: Callable[[], dict[str, NDArray]], settings: dict[str, Any]) -> None:
        arrays = prepare()
        before = self._before(made, settings["tail"], len(arrays["latent"]))
        first = principal(arrays["latent"]) if before is None else before
        made.begin = time.monotonic()
        made.arrays = {**arrays, "xy": np.asarray(first, np.float32)}
        made.meta = made.meta | {"state": "running"}
        worker = self.warm()
        assert worker.stdin is not None
        assert worker.stdout is not None
        request = {"latent": arrays["latent"], **({} if before is None else {"start": before})}
        meta = {"perplexity": settings["perplexity"], "seed": settings["seed"]}
        send(worker.stdin, Arrays(request, meta))
        while True:
            frame = receive(worker.stdout)
            if frame is None or "error" in frame.meta:
                raise EngineError("the map's process ended" if frame is None else frame.meta["error"])
            made.arrays = {**arrays, "xy": frame["xy"]}
            made.meta = made.meta | {"progress": frame.meta["progress"]}
            if frame.meta.get("done"):
                break
        made.meta = made.meta | {"state": "done", "progress": 1.0, "eta_s": 0.0}
        made.folder.mkdir(parents=True, exist_ok=True)
        beside = made.path.with_name(f".{made.path.name}.{os.getpid()}")
        beside.write_bytes(made.answer().to_bytes())
        beside.replace(made.path)

    def _before(self, made: Map, tail: str, points: int) -> NDArray | None:
        """The finished map of the nearest earlier checkpoint with the same settings, so that points move, not jump."""
        names = sorted(p for p in made.folder.glob(f"step-*-{tail}.safetensors") if p.name < made.path.name)
        stored = _read(names[-1]) if names else None
        return stored["xy"] if stored and len(stored["xy"]) == points else None

    def warm(self) -> subprocess.Popen[bytes]:
        """The process, started where it is not there."""
        if self._worker is None or self._worker.poll() is not None:
            path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
            self._worker = subprocess.Popen(
                ["nice", "-n", "5", sys.executable, "-m", "engine.latent"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, start_new_session=True,
                env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
        return self._worker

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
            for pipe in (self._worker.stdin, self._worker.stdout):
                if pipe:
                    pipe.close()


def _read(path: Path) -> Arrays | None:
    try:
        return Arrays.from_bytes(path.read_bytes())
    except (OSError, WrongInput):  # none yet, or cut off: computed again
        return None


if __name__ == "__main__":
    pipe = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints must not stand among the frames
    work(sys.stdin.buffer, pipe)

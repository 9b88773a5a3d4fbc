"""Maps of a feature space: a joint t-SNE of data and generated examples, of codes and noise first of all (SPEC §7).

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
from scipy.sparse import csr_matrix

from engine import manifold
from engine.schema import Arrays, EngineError, WrongInput

EARLY, LATE = 250, 500
"""Iterations with and without early exaggeration, openTSNE's own choice."""
MOVED = 250
"""Iterations of a map that starts from the one of another checkpoint."""
FRAME_EVERY = 25
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
"""Of the map's process; openTSNE is told its number. Threads that wait for each other would spin, which on cores that
are busy with other work made a map of 1000 points six times as slow."""
RETRY_S = 30.0
"""A failed map is not tried again at once: pages ask every second."""
NARROWEST, BOXES = 50, 0.4
"""Least boxes along a side of the interpolation's grid, as openTSNE has it, and boxes a point from which a tree is
quicker [measured]."""
KEPT = 64
"""Finished maps held in memory."""


Prepare = Callable[[], tuple[dict[str, NDArray], NDArray]]
"""Gives what the answer holds beside the places, one entry a point, and the features (2n, d), those of data first."""


# ----------------------------------------------------------------------------------------------------- mathematics
def principal(latent: NDArray) -> NDArray[np.float64]:
    """The first two principal components (N, 2), signs fixed: the map to begin with."""
    centred = latent - latent.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(centred.T).reshape(latent.shape[1], -1))
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    xy = centred @ axes
    return np.column_stack([xy, np.zeros(len(xy))])[:, :2] if xy.shape[1] < 2 else xy


def pull(places: NDArray, P: csr_matrix, **named: Any) -> tuple[float, NDArray]:
    """t-SNE's cost and gradient at places (N, 2) for affinities P (N, N), as openTSNE asks for them. What all points do
    to each other comes by interpolation on a grid of unit boxes while the map is narrow, and by a tree from where the
    grid is large: at 20 000 points a finished map's grid takes twice the tree's time, on one thread, which is all it
    knows, and errs no less.

    References: G. Linderman et al., https://arxiv.org/abs/1712.09005; L. van der Maaten, Accelerating t-SNE using
    tree-based algorithms, 2014.
    """
    from openTSNE.tsne import kl_divergence_fft

    places = np.asarray(places)
    boxes = max(NARROWEST, float(np.ptp(places, axis=0).max())) ** 2
    return (_by_tree if boxes > BOXES * len(places) else kl_divergence_fft)(places, P, **named)


def _by_tree(
    places: NDArray, P: csr_matrix, dof: float, bh_params: dict[str, float], n_jobs: int = 1,
    should_eval_error: bool = False, **_: Any,
) -> tuple[float, NDArray]:  # fmt: skip
    """openTSNE's `kl_divergence_bh`, whose tree is asked for point after point from left to right: these walk the same
    branches, which are then still in the cache, and take three fifths of the time."""
    from openTSNE import _tsne  # pyright: ignore[reportAttributeAccessIssue] - compiled
    from openTSNE.quad_tree import QuadTree

    order = np.argsort(places[:, 0])
    ordered = np.ascontiguousarray(places[order])
    push = np.zeros_like(ordered)
    pairs = _tsne.estimate_negative_gradient_bh(
        QuadTree(ordered), ordered, push, **bh_params, dof=dof, num_threads=n_jobs
    )
    gradient = np.empty_like(push)
    gradient[order] = push
    total, cost = _tsne.estimate_positive_gradient_nn(
        P.indices, P.indptr, P.data, places, places, gradient, dof, num_threads=n_jobs,
        should_eval_error=should_eval_error,
    )  # fmt: skip
    return cost + total * np.log(pairs) if should_eval_error else cost, gradient


def tsne(
    latent: NDArray,
    start: NDArray | None,
    perplexity: float,
    seed: int,
    show: Callable[[float, NDArray], None],
    near: tuple[NDArray, NDArray] | None = None,
    threads: int = 1,
) -> NDArray[np.float32]:
    """t-SNE (N, 2) of latent codes or other features (N, d) with exact neighbours, from `start` or the principal
    components; `show` sees share done and points, from the start on. near: what `manifold.nearest` found, where it was
    asked; it must be three times the perplexity at least. threads: change nothing but the time. Raises `WrongInput` for
    codes that are not finite."""
    import openTSNE
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    if not np.isfinite(latent).all():
        raise WrongInput("latent codes are not finite: choose another checkpoint")
    latent = np.ascontiguousarray(latent, np.float64)
    perplexity = min(perplexity, (len(latent) - 2) / 3)
    reach = int(3 * perplexity)
    index, apart = near if near is not None else manifold.nearest(latent, reach)
    known = PrecomputedNeighbors(np.ascontiguousarray(index[:, :reach]), np.ascontiguousarray(apart[:, :reach]))
    affinities = PerplexityBasedNN(perplexity=perplexity, knn_index=known, n_jobs=threads)  # pyright: ignore[reportArgumentType]
    first = principal(latent) if start is None else np.asarray(start, np.float64)
    if start is None:
        first = first / max(first[:, 0].std(), 1e-12) * 1e-4  # early exaggeration needs a small beginning
    total = MOVED if start is not None else EARLY + LATE
    done = 0

    def report(iteration: int, error: float, embedding: NDArray) -> None:
        show(min(1.0, (done + iteration) / total), np.asarray(embedding, np.float32))

    embedding = openTSNE.TSNEEmbedding(
        first, affinities, n_jobs=threads, random_state=seed, callbacks=report, callbacks_every_iters=FRAME_EVERY,
        negative_gradient_method=pull,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    show(0.0, np.asarray(first, np.float32))
    if start is None:
        embedding.optimize(EARLY, exaggeration=12, momentum=0.5, inplace=True)
        done = EARLY
    embedding.optimize(total - done, momentum=0.8, inplace=True)
    return np.asarray(embedding, np.float32)


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
    """Answer requests until the pipe ends: what the process of this module does. Each frame names the `stage` that it
    ends or goes on with."""
    import openTSNE  # noqa: F401 - two seconds, best spent before the first request

    while (request := receive(requests)) is not None:
        start = request.arrays.get("start")
        meta = request.meta

        def show(share: float, xy: NDArray) -> None:
            send(frames, Arrays({"xy": xy}, {"progress": share, "stage": "optimisation" if share else "affinities"}))

        try:
            send(frames, Arrays({}, {"progress": 0.0, "stage": "start"}))
            features = request["features"]
            n = len(features) // 2
            k, reach = manifold.about(n), int(3 * min(meta["perplexity"], (len(features) - 2) / 3))
            near = manifold.nearest(features, max(k, reach))
            ratio = manifold.log_ratio(near[0][:, :k], n)
            send(frames, Arrays({"density": ratio}, {"progress": 0.0, "stage": "neighbours"}))
            xy = tsne(features, start, meta["perplexity"], meta["seed"], show, near, meta["threads"])
            send(frames, Arrays({"xy": xy}, {"progress": 1.0, "stage": "optimisation", "done": True}))
        except Exception as error:  # the boundary of the process: the map fails, the next one gets its chance
            said = str(error) if isinstance(error, WrongInput) else f"{type(error).__name__}: {error}"
            send(frames, Arrays({"xy": np.zeros((0, 2))}, {"error": said}))


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
        self._queue: queue.Queue[tuple[Map, str, Prepare, dict[str, Any]]] = queue.Queue()
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def ask(
        self, run: str, step: int, epoch: int, settings: dict[str, Any], prepare: Prepare, threads: int = 1
    ) -> Arrays:
        """The map of a checkpoint as far as it is; begins it where there is none. What the map depends on beside the
        checkpoint stands in `settings`, which name its file; threads only make it quicker."""
        tail = "-".join(f"{name}{value}" for name, value in settings.items())
        wanted = Map(f"step-{step:08d}-{tail}", self.folder / run.replace(":", "_"))
        with self._lock:
            known = self._maps.get(wanted.path)
            if known is None or (known.meta["state"] == "failed" and time.monotonic() - known.begin > RETRY_S):
                asked = {**settings, "tail": tail, "threads": threads}
                known = self._begin(wanted, run, step, epoch, asked, prepare)
            return known.answer()

    def _begin(self, made: Map, run: str, step: int, epoch: int, settings: dict[str, Any], prepare: Prepare) -> Map:
        stored = _read(made.path)
        if stored:
            made.arrays, made.meta = stored.arrays, stored.meta
        else:
            empty = {"xy": np.zeros((0, 2), np.float32)}
            made.arrays = empty
            made.meta = {"state": "queued", "progress": 0.0, "step": step, "epoch": epoch, "eta_s": None, "error": ""}
            made.meta["space"] = settings.get("space", "latent")
            self._queue.put((made, run, prepare, settings))
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

    def _compute(self, made: Map, prepare: Prepare, settings: dict[str, Any]) -> None:
        begin = time.monotonic()
        arrays, features = prepare()
        before = self._before(made, settings["tail"], len(features))
        first = principal(features) if before is None else before
        made.begin = now = time.monotonic()
        took = {"points": now - begin}
        made.arrays = {**arrays, "xy": np.asarray(first, np.float32)}
        made.meta = made.meta | {"state": "running", "neighbours": manifold.about(len(features) // 2)}
        worker = self.warm()  # not sooner: its imports would take a third of the cores from the first picture
        assert worker.stdin is not None
        assert worker.stdout is not None
        request = {"features": features, **({} if before is None else {"start": before})}
        send(worker.stdin, Arrays(request, {name: settings[name] for name in ("perplexity", "seed", "threads")}))
        while True:
            frame = receive(worker.stdout)
            if frame is None or "error" in frame.meta:
                raise EngineError("the map's process ended" if frame is None else frame.meta["error"])
            stage, before_it, now = frame.meta["stage"], now, time.monotonic()
            took[stage] = took.get(stage, 0.0) + now - before_it
            made.arrays = {**made.arrays, **frame.arrays}
            made.meta = made.meta | {"progress": frame.meta["progress"], "seconds": dict(took)}
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
                env=os.environ | {"PYTHONPATH": path, **THREADS},
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

"""Maps: seconds from a request to the first picture and to the last one, where they go, and what the map keeps.

A map is asked of the service as a page asks it, but looked at more often: each time in a process of its own, the first
one of its home. Points are codes of the bundled model and of showers of `zdc_fast`, of which there are as many as it
takes; the model learned from `zdc_geant4`, which has 3 096 showers for a map.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import manifold
from engine.bench import figures
from engine.bench.bundled import default
from engine.runs import BUNDLED
from engine.schema import EngineError, MapRequest

SIZES = (1000, 2000, 5000, 20_000)
"""Points, of data and generated ones together."""
SHOWERS = 12_500
"""Of the set: for 10 000 in training and validation."""
FIRST_S, WHOLE_S, LARGEST = 3.0, 60.0, 20_000
"""Targets: of the first picture at any size, and of the last one at the largest."""
LOOK_S = 0.02
NEAREST, JUDGED = 15, 1000
"""Neighbours on the map, and at how many points trustworthiness is judged."""


def run(quick: bool = False) -> dict[str, Any]:
    """Seconds by number of points, with the median of each stage and the trustworthiness. `quick`: small maps, once."""
    found = []
    with tempfile.TemporaryDirectory(prefix="showerscope-maps-") as home:
        model, told = _model(Path(home)), environment(Path(home))
        _python(["-c", "from engine.datasets import zdc_fast; zdc_fast.load()"], told)
        for points in SIZES[:2] if quick else SIZES:
            rows = [apart(points, seed, model, told) for seed in range(1 if quick else 3)]
            first, whole = (figures.middle([row[name] for row in rows]) for name in ("first_s", "whole_s"))
            stages = {stage: median(row["stages_s"][stage] for row in rows) for stage in rows[0]["stages_s"]}
            kept = median(row["trustworthiness"] for row in rows)
            at_most = WHOLE_S if points == LARGEST else None
            found += [
                figures.figure(f"first picture of {points}", first[0], "s", quartiles=first[1], most=FIRST_S),
                figures.figure(
                    f"map of {points}", whole[0], "s", quartiles=whole[1], most=at_most, stages_s=stages,
                    trustworthiness=kept,
                ),
            ]  # fmt: skip
            split = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in stages.items())
            print(f"{points} points: {split}; trustworthiness {kept:.4f}", file=sys.stderr)
        started = figures.middle([row["engine_s"] for row in rows])
        found.append(figures.figure("start of the engine", started[0], "s", quartiles=started[1]))
    return figures.record("maps", found, neighbours=NEAREST, showers=SHOWERS)


def _model(folder: Path) -> Path:
    """The bundled model in a folder of its own, said to be of `zdc_fast`."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    bundled = default()
    with safe_open(bundled, framework="pt") as file:
        meta = {**file.metadata(), "data": "zdc_fast"}
    path = folder / "models" / bundled.name
    path.parent.mkdir()
    save_file(load_file(bundled), path, meta)
    return path


def environment(home: Path) -> dict[str, str]:
    """Of processes that know this home and a set of as many showers as maps take."""
    return os.environ | {"SHOWERSCOPE_HOME": str(home), "SHOWERSCOPE_FAST_SHOWERS": str(SHOWERS)}


def apart(points: int, seed: int, model: Path, told: dict[str, str]) -> dict[str, Any]:
    """`one` in a process of its own."""
    words = [str(points), str(seed), str(model), str(time.time())]
    return json.loads(_python(["-m", "engine.bench.maps", *words], told))


def _python(words: list[str], told: dict[str, str]) -> str:
    return subprocess.run([sys.executable, *words], env=told, check=True, stdout=subprocess.PIPE, text=True).stdout


def one(points: int, seed: int, model: Path, begun: float) -> dict[str, Any]:
    """A map of so many points in this process, asked as soon as the engine has started. begun: when the process was
    started [s since 1970]. Raises `EngineError` where the map fails."""
    from engine.service import Service

    service = Service(models=model.parent)
    service.start()
    started = time.time() - begun
    request = MapRequest(run=f"{BUNDLED}{model.stem}", n=points // 2, seed=seed)
    begin, first = time.monotonic(), 0.0
    while True:
        answer = service.map(request)
        first = first or (len(answer["xy"]) > 0) * (time.monotonic() - begin)
        if answer.meta["state"] in ("done", "failed"):
            break
        time.sleep(LOOK_S)
    whole = time.monotonic() - begin
    service.close()
    if answer.meta["state"] == "failed":
        raise EngineError(answer.meta["error"])
    judged = np.random.default_rng(seed).permutation(points)[:JUDGED]
    return {
        "engine_s": started,
        "first_s": first,
        "whole_s": whole,
        "stages_s": answer.meta["seconds"],
        "trustworthiness": trustworthiness(answer["latent"], answer["xy"], NEAREST, judged),
    }


def trustworthiness(features: NDArray, xy: NDArray, k: int, rows: NDArray) -> float:
    """Whether neighbours on a map are neighbours in truth: 1 − 2/(m·k·(2N − 3k − 1)) Σ_i Σ_j max(0, r(i, j) − k) over
    the k nearest j on the map (N, 2) to each i of the m `rows`, r(i, j) the rank of j among those nearest to i by
    features (N, d); 1 is best, about ½ chance.

    References: J. Venna and S. Kaski, Neighborhood preservation in nonlinear projection methods, 2001, Eq. (1).
    """
    own = np.arange(len(rows)), rows
    true, drawn = (manifold.squared(z[rows].astype(np.float64), z.astype(np.float64)) for z in (features, xy))
    true[own], drawn[own] = -1.0, np.inf
    near = np.argpartition(drawn, k, axis=1)[:, :k]
    reach = np.take_along_axis(true, near, axis=1)
    late = sum(float(np.maximum(0, (true < reach[:, [j]]).sum(axis=1) - k).sum()) for j in range(k))
    return 1 - 2 * late / (len(rows) * k * (2 * len(features) - 3 * k - 1))


if __name__ == "__main__":
    print(json.dumps(one(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))))

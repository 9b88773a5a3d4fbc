"""Tables of benchmarks: rows of models that are trained alike, each in a process of its own, and kept as they end.

A finished training is kept at once, so a benchmark that was stopped goes on where it was. Values are means over seeds
with the standard deviation of that mean.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from engine.config import Config
from engine.job import write_text
from engine.models import base as models
from engine.runs import home
from engine.schema import DataKind, WrongInput

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """A model of the table with the settings that make it that row. published: its name in the paper's table."""

    title: str
    model: str
    config: dict[str, Any] = field(default_factory=dict)
    published: str = ""

    def settings(self, kind: DataKind) -> Config:
        """All settings of the row for data of a kind."""
        return models.configure(models.get(self.model), self.config, kind)

    def key(self, kind: DataKind) -> str:
        """Changes with any setting, defaults too."""
        told = json.dumps([self.model, self.settings(kind).model_dump()], sort_keys=True)
        return f"{self.model}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Budget:
    """What every row gets."""

    data: str
    showers: int
    primaries: int


# ------------------------------------------------------------------------------------------------------- one training
def judge(row: Row, budget: Budget, seed: int, reading: Callable[..., dict[str, Any]] | None = None) -> dict[str, Any]:
    """Train a row with a seed on one core, and judge it on held-out primaries. reading: instead of `measure`."""
    import torch

    from engine import sets
    from engine.host import choose_device
    from engine.train import Training

    torch.set_num_threads(1)
    data, device = sets.load(budget.data, home()), choose_device()
    epochs, share = passes(row.settings(data.kind), budget.showers, len(data.rows("train")))
    training = Training(row.model, {**row.config, "epochs": epochs}, thinned(data, share), seed, device)
    # one thread computes: its own time is that of a machine with nothing else to do
    clock = time.process_time if device == "cpu" else time.perf_counter
    begin = clock()
    for _ in training.run():
        pass
    seconds = clock() - begin
    model = training.model.eval()
    found = (reading or measure)(model, data, budget.primaries, training.device, seed)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    did = {"train_seconds": seconds, "epochs": epochs, "steps": training.step, "parameters": parameters}
    return {**found, **did, "commit": commit()}


def passes(config: Config, showers: int, of: int) -> tuple[int, float]:
    """Epochs, and the share of `of` training showers to take them over, so that a row sees `showers`. A critic that
    takes five turns a step sees five batches, and would else have five times the data and the time of other rows."""
    epochs = showers / (of * getattr(config, "critic_steps", 1))
    return max(1, round(epochs)), min(1.0, epochs)


def thinned(data: Any, share: float) -> Any:
    """The set with a share of its training primaries, the rest in no split."""
    if share == 1:
        return data
    primary = data.primary_id[data.rows("train")]
    last = primary[round(share * (len(primary) - 1))]
    return replace(data, split=np.where((data.split == 0) & (data.primary_id > last), 3, data.split))


def measure(model: Any, data: Any, primaries: int, device: Any, seed: int) -> dict[str, Any]:
    """Every metric on the first test primaries, and the time of a shower."""
    from engine.host import Host
    from engine.judge import held_out
    from engine.judge import judge as judge_model

    found = judge_model(Host(str(device), 1), model, data, held_out(data, "test", primaries=primaries), seed=seed)
    metrics = {name: value.model_dump() for name, value in found.metrics.items()}
    return {"metrics": metrics, "ms_per_shower": found.ms, "showers": found.examples}


def apart(row: Row, budget: Budget, seed: int, module: str = "engine.bench.rows") -> dict[str, Any]:
    """`judge` in a process of its own, as `module` does it. Raises `RuntimeError` with the last line of what went wrong
    there."""
    told = json.dumps([asdict(row), asdict(budget), seed])
    asked = [sys.executable, "-m", module, told]
    one = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(asked, cwd=ROOT, env=one, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


# ---------------------------------------------------------------------------------------------------------- the table
def chosen(table: Sequence[Row], wanted: Sequence[str]) -> list[Row]:
    """Rows by title or model, all where none is named. Raises `WrongInput` for rows that there are not."""
    found = [row for row in table if not wanted or row.title in wanted or row.model in wanted]
    if not found:
        raise WrongInput(f"no row {', '.join(wanted)}: there are {', '.join(row.title for row in table)}")
    return found


def run(
    bench: str,
    rows: Sequence[Row],
    budget: Budget,
    seeds: int,
    line: Callable[[dict[str, Any]], str],
    say: Callable[[str], None],
    fresh: bool = False,
    module: str = "engine.bench.rows",
) -> dict[str, Any]:
    """Train what is not kept yet, on all cores, and put the rows together. line: what `say` tells of a training;
    module: what trains and judges in a process of its own. A row that was trained with the same settings by an earlier
    commit is kept, and says so, unless a `fresh` one is asked for."""
    from engine import sets

    whole = sets.load(budget.data, home())  # made first, where it is not there
    kept = home() / "bench" / f"{bench}-{stamp(budget, whole)}"
    kept.mkdir(parents=True, exist_ok=True)
    wanted = [(row, seed) for seed in range(seeds) for row in rows]
    file = {(row.title, seed): kept / f"{row.key(whole.kind)}-{seed}.json" for row, seed in wanted}
    todo = [(row, seed) for row, seed in wanted if fresh or not file[row.title, seed].exists()]
    begin, workers = time.monotonic(), min(len(os.sched_getaffinity(0)), max(1, len(todo)))
    with ThreadPoolExecutor(workers) as pool:
        jobs = {pool.submit(apart, row, budget, seed, module): (row, seed) for row, seed in todo}
        for done, job in enumerate(as_completed(jobs), 1):
            row, seed = jobs[job]
            try:
                found = job.result()
            except RuntimeError as error:  # one row that diverges must not end the others
                say(f"{row.title}, seed {seed}: {error}")
                continue
            write_text(file[row.title, seed], json.dumps(found))
            left = (time.monotonic() - begin) / done * (len(jobs) - done)
            say(f"{done}/{len(jobs)} {row.title}, seed {seed}: {line(found)}, {left / 60:.0f} min left")
    made = [(row, gather(row, [file[row.title, seed] for seed in range(seeds)])) for row in rows]
    return {
        "bench": bench,
        "data": whole.label,
        "budget": asdict(budget),
        "commit": commit(),
        "torch": version("torch"),
        "rows": [entry for _, entry in made if entry],
        "missing": [row.title for row, entry in made if not entry],
    }


def gather(row: Row, files: Sequence[Path]) -> dict[str, Any]:
    """A row's seeds put together; empty where none is done."""
    found = {seed: json.loads(path.read_text()) for seed, path in enumerate(files) if path.exists()}
    if not found:
        return {}
    each = list(found.values())
    return {
        "title": row.title,
        "model": row.model,
        "config": row.config,
        "published": row.published,
        "seeds": sorted(found),
        "commits": sorted({one["commit"] for one in each}),
        "metrics": averaged([one["metrics"] for one in each]),
        **{name: mean(one[name] for one in each) for name in ("train_seconds", "ms_per_shower", "parameters")},
        "showers": each[0]["showers"],
        "epochs": each[0]["epochs"],
    }


def averaged(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Metrics of several seeds as their mean with its standard deviation; one alone has the error of its primaries."""
    found = {}
    for name, first in each[0].items():
        values = [one[name]["value"] for one in each]
        error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else first["error"]
        floor = {k: first[k] for k in ("floor", "floor_error", "unit")}
        found[name] = {"value": mean(values), "error": error, **floor}
    return found


# --------------------------------------------------------------------------------------------------------- provenance
def stamp(budget: Budget, data: Any) -> str:
    """Changes with the budget and the data; that of a row's settings stands in its file's name."""
    return hashlib.sha256(json.dumps([asdict(budget), identity(data)]).encode()).hexdigest()[:12]


def identity(data: Any) -> str:
    """What tells two versions of a set apart: its parameters' key where it is simulated here, and its label."""
    from engine.datasets import zdc_fast

    return zdc_fast.folder(1).name if data.kind == "showers" else f"{data.label} {len(data.showers)}"


def commit(strict: bool = False) -> str:
    """The commit that the code stands at, marked where files differ from it; outside a repository nothing, or where
    that is `strict` an error."""
    asked = ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=strict)
    return done.stdout.strip()


if __name__ == "__main__":
    row, budget, seed = json.loads(sys.argv[1])
    print(json.dumps(judge(Row(**row), Budget(**budget), seed)))

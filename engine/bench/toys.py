"""Table 1 of the SC-GAN paper on its six toy sets, and what the table leaves out: does a model bridge the gaps?

M. Drozdova et al., Generation of data on discontinuous manifolds via continuous stochastic non-invertible networks.

- `reconstruction` is the paper's figure, as its §3 says it: mean squared error, over coordinates, of what the decoder
  makes of encoded test points with its noise fixed. Codes come from stage 1's encoder in each column; what differs is
  where the codes came from on which the decoder learned to generate. So a latent mode is a training of its own. The
  paper states no scale: figures are in that of public code (`Toy.larger`), the larger one where ours is smaller, and a
  smaller scale would make them look better.
- `w1` is the exact Wasserstein distance, Euclidean cost, of as many generated points to as many freshly drawn ones, by
  optimal assignment; its floor is that of two fresh draws.
- `off_manifold` is the share of generated points farther from the manifold than 99.9 % of exact ones (`Toy.reach`); its
  floor is that of a fresh draw.

No model sees which piece a point lies on, and all see the same number of training points. Each value is the mean over
seeds with the standard deviation of that mean. Settings were chosen on validation points. A finished training is kept
at once, so a benchmark that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.bench import rows as bench
from engine.bench.rows import Budget, Row
from engine.datasets import toys
from engine.schema import WrongInput

POINTS, QUICK_POINTS = 1000, 300
"""Test points that a row is judged on, and generated and fresh ones."""
SEEN, QUICK_SEEN = 840_000, 140_000
"""Training points that each row sees: sixty epochs, or ten."""
DRAWS = 8
"""Generated clouds, each judged against a fresh draw; as many pairs of fresh draws are the floor."""
FREE = {"conditional": False}
SETS = tuple(toys.NAMES)
MODES = {
    "single": "single Gaussian",
    "centres": "noisy cluster centres",
    "mapping": "mapping network",
    "real": "real data",
}


def table() -> list[Row]:
    """The rows of every set, the paper's four latent modes first."""
    modes = [Row(f"SC-GAN, {title}", "sc_gan", {"latents": mode}, title) for mode, title in MODES.items()]
    others = {
        "e2e SAE": "e2e_sae", "flow matching": "flow_matching", "GAN": "gan", "WGAN": "wgan", "WGAN-GP": "wgan_gp",
    }  # fmt: skip
    return modes + [Row(title, model, FREE) for title, model in others.items()]


def run(
    quick: bool = False,
    data: str = "",
    seeds: int = 3,
    rows: Sequence[str] = (),
    showers: int | None = None,
    fresh: bool = False,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> dict[str, Any]:
    """A record for each set. data: sets to take instead of all, comma between; rows: titles or models; showers:
    training points that each row sees. Raises `WrongInput` for a set or row that there is not."""
    wanted = [name.strip() for name in data.split(",")] if data else list(SETS)
    if unknown := [name for name in wanted if name not in SETS]:
        raise WrongInput(f"no toy set {', '.join(unknown)}: there are {', '.join(SETS)}")
    chosen = bench.chosen(table(), rows)
    seen, points = (QUICK_SEEN, QUICK_POINTS) if quick else (SEEN, POINTS)
    found = []
    for name in wanted:
        say(f"{toys.get(name).title}:")
        budget = Budget(name, showers or seen, points)
        made = bench.run(name, chosen, budget, 1 if quick else seeds, line, say, fresh, "engine.bench.toys")
        found.append({**made, "title": f"SC-GAN's Table 1, {toys.get(name).title.lower()}"})
    provenance = {name: found[0][name] for name in ("commit", "torch")}
    return {"bench": "toys", **provenance, "records": found, "table": text(found)}


def line(found: dict[str, Any]) -> str:
    m = found["metrics"]
    mse = f"MSE {m['reconstruction']['value']:.4f}, " if "reconstruction" in m else ""
    floor, off = m["w1"]["floor"], m["off_manifold"]
    return f"{mse}W₁ {m['w1']['value'] / floor:.2f} × the floor, {100 * off['value']:.1f} % off"


# ------------------------------------------------------------------------------------------------------------ judging
def measure(model: Any, data: Any, points: int, device: Any, seed: int) -> dict[str, Any]:
    """What this benchmark reads of a trained model, on the first so many test points."""
    from engine.host import Host

    host, toy, rows = Host(str(device), 1), toys.get(data.name), data.rows("test")[:points]
    real, conditions = data.showers[rows].astype(np.float64), data.conditions[rows]
    host.sample(model, conditions, seed, "expected")  # what the first batch sets up is no part of the time
    begin = host.clock()
    clouds = [host.sample(model, conditions, DRAWS * seed + k, "expected").astype(np.float64) for k in range(DRAWS)]
    ms = 1000 * (host.clock() - begin) / (DRAWS * len(rows))
    metrics = {}
    if model.has_latent:
        rebuilt = host.decode(model, host.encode(model, real, conditions), conditions)
        errors = toy.larger**2 * np.square(rebuilt - real).mean(axis=1)
        metrics["reconstruction"] = _value(errors.mean(), errors.std() / len(errors) ** 0.5)
    fresh, again = ([toy.sample(len(rows), toys.FRESH + 2 * k + side)[0] for k in range(DRAWS)] for side in (0, 1))
    apart = [np.array([toys.w1(*pair) for pair in zip(one, fresh, strict=True)]) for one in (clouds, again)]
    off = [toy.off(np.concatenate(one)) for one in (clouds, again)]
    metrics["w1"] = _value(*(number for one in apart for number in (one.mean(), one.std(ddof=1) / DRAWS**0.5)))
    metrics["off_manifold"] = _value(*(number for one in off for number in (one.mean(), one.std() / len(one) ** 0.5)))
    return {"metrics": metrics, "ms_per_shower": ms, "showers": len(rows)}


def _value(value: Any, error: Any, floor: Any = None, floor_error: Any = None) -> dict[str, Any]:
    figures = {"value": value, "error": error, "floor": floor, "floor_error": floor_error}
    return {name: None if one is None else float(one) for name, one in figures.items()} | {"unit": ""}


# -------------------------------------------------------------------------------------------------------------- words
def published() -> dict[str, dict[str, float]]:
    """The paper's Table 1: figure by the name of the column, by set."""
    from engine import benchmarks

    found: dict[str, dict[str, float]] = {name: {} for name in SETS}
    for row in benchmarks.published():
        if row.bench in found:
            found[row.bench][row.model] = row.others["reconstruction"]
    return found


def text(records: Sequence[dict[str, Any]]) -> str:
    """One table a set, as Markdown."""
    theirs, parts = published(), []
    for record in records:
        name = record["budget"]["data"]
        head = "| row | MSE | published | W₁ | × floor | off the manifold | train s |"
        lines = [f"{toys.get(name).title} ({name})", "", head, "|---|---|---|---|---|---|---|"]
        for row in record["rows"]:
            m = row["metrics"]
            mse, off = m.get("reconstruction"), m["off_manifold"]
            cells = [f"{mse['value']:.4f} ± {mse['error']:.4f}" if mse else "–"]
            cells += [f"{theirs[name][row['published']]:.3f}" if row["published"] else "–"]
            cells += [f"{m['w1']['value']:.3f} ± {m['w1']['error']:.3f}", f"{m['w1']['value'] / m['w1']['floor']:.2f}"]
            cells += [f"{100 * off['value']:.1f} ± {100 * off['error']:.1f} %", f"{row['train_seconds']:.0f}"]
            lines.append(f"| {row['title']} | {' | '.join(cells)} |")
        if record["rows"]:
            m = record["rows"][0]["metrics"]
            w, off = m["w1"], m["off_manifold"]
            floors = [f"{w['floor']:.3f} ± {w['floor_error']:.3f}", "1", f"{100 * off['floor']:.1f} %", "–"]
            lines.append(f"| *the set itself, drawn again* | – | – | {' | '.join(floors)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


if __name__ == "__main__":
    row, budget, seed = json.loads(sys.argv[1])
    print(json.dumps(bench.judge(Row(**row), Budget(**budget), seed, measure)))

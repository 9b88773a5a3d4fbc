"""Table 1 of arXiv:2006.06704 on simulated ZDC showers: every model of the family, trained alike and judged alike.

All rows see the same number of training showers, in the same networks unless the row says otherwise, on the same
held-out primaries, three replicas each; each value is the mean over seeds with the standard deviation of that mean. A
finished training is kept at once, so a benchmark that was stopped goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from engine.bench import rows as bench
from engine.bench.rows import Budget, Row
from engine.models import base as models

PRIMARIES = 5000
"""Test primaries."""
SHOWERS, QUICK_SHOWERS = 330_000, 80_000
"""Training showers that each row sees: four passes over the training primaries of `zdc_fast`, or one."""
QUICK_PRIMARIES = 1000
FREE = {"conditional": False}
PLAIN = {"energy_score_weight": 0.0}


PAPER_CODES = {"code_noise": 0.0, "condition_scale": 0.0}
"""A deterministic encoder and a distance between codes alone, as in arXiv:1711.01558."""


def table() -> list[Row]:
    """The rows, those of the paper first."""
    from engine.models.e2e_sae import PAPER_NETWORKS, PAPER_RECIPE

    rows = [
        Row("cond. VAE", "vae", {}, "cond VAE"),
        Row("cond. WAE-MMD", "wae_mmd", {}, "cond WAE-MMD"),
        Row("cond. e2e SAE", "e2e_sae", {}, "cond e2e SAE"),
        Row("cond. e2e SAE, informed decoder (own)", "e2e_sae", {"informed": True}),
        Row("cond. VAE, no energy score", "vae", PLAIN, "cond VAE"),
        Row("cond. WAE-MMD, no energy score", "wae_mmd", PLAIN, "cond WAE-MMD"),
        Row("cond. e2e SAE, no energy score", "e2e_sae", PLAIN, "cond e2e SAE"),
        Row("cond. VAE, the paper's recipe", "vae", PAPER_NETWORKS, "cond VAE"),
        Row("cond. WAE-MMD, the paper's recipe", "wae_mmd", PAPER_NETWORKS | PAPER_CODES, "cond WAE-MMD"),
        Row("cond. e2e SAE, the paper's recipe", "e2e_sae", PAPER_RECIPE, "cond e2e SAE"),
        Row("cond. DCGAN", "dcgan", {}, "cond DCGAN"),
        Row("cond. WAE-GAN", "wae_gan"),
        Row("cond. SWAE", "swae"),
        Row("cond. SAE, Normal", "sae", {"target": "normal"}),
        Row("cond. SAE, hypersphere", "sae", {"target": "hypersphere"}),
        Row("cond. GAN", "gan"),
        Row("cond. WGAN", "wgan"),
        Row("cond. WGAN-GP", "wgan_gp"),
        Row("flow matching", "flow_matching"),
        Row("latent flow", "latent_flow"),
        Row("cond. SC-GAN", "sc_gan", {"conditional": True}),
        Row("VAE", "vae", FREE),
        Row("WAE-MMD", "wae_mmd", FREE),
        Row("e2e SAE", "e2e_sae", FREE),
    ]
    return [row for row in rows if row.model in models.names()]


def run(
    quick: bool = False,
    data: str = "zdc_fast",
    seeds: int = 3,
    rows: Sequence[str] = (),
    showers: int | None = None,
    fresh: bool = False,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> dict[str, Any]:
    """The table. rows: titles or models to take instead of all. Raises `WrongInput` for a row that there is not."""
    chosen = bench.chosen(table(), rows)
    budget = Budget(data, showers or (QUICK_SHOWERS if quick else SHOWERS), QUICK_PRIMARIES if quick else PRIMARIES)
    made = bench.run("table1", chosen, budget, 1 if quick else seeds, line, say, fresh)
    made["again"] = again(budget, 1 if quick else seeds) if data == "zdc_fast" else {}
    return {**made, "title": "Table 1, ZDC", "convention": "paper", "table": text(made["rows"], made["again"])}


def line(found: dict[str, Any]) -> str:
    m = found["metrics"]
    ratio = {name: m[name]["value"] / m[name]["floor"] for name in ("mae", "wasserstein")}
    return f"MAE {ratio['mae']:.2f} ×, W {ratio['wasserstein']:.2f} × the floor, spread {m['spread']['value']:.2f}"


def again(budget: Budget, seeds: int) -> dict[str, Any]:
    """Every metric of an independent simulation of the judged primaries, which is what a perfect model reads: the
    paper's row "original data". Mean over seeds with the standard deviation of that mean."""
    import numpy as np

    from engine import sets
    from engine.datasets import zdc_fast
    from engine.judge import REPLICAS, held_out, reference
    from engine.metrics import base as metrics
    from engine.runs import home

    data = sets.load(budget.data, home())
    rows = held_out(data, "test", primaries=budget.primaries)
    real = reference(data, rows)
    ids, first = np.unique(real.primary, return_index=True)
    conditions, owner = real.conditions[first], np.repeat(ids, REPLICAS)
    found = []
    for seed in range(1, seeds + 1):  # 0 made the set itself
        blocks = zdc_fast.blocks(conditions, data.pdg[rows][first], REPLICAS, data.detector, zdc_fast.SEED + seed)
        made = metrics.sample(
            np.concatenate(list(blocks)), np.repeat(conditions, REPLICAS, axis=0), owner, data.detector
        )
        found.append({name: value.model_dump() for name, value in metrics.evaluate(real, made).items()})
    return bench.averaged(found)


def text(rows: list[dict[str, Any]], again: dict[str, Any]) -> str:
    """The table as Markdown."""
    head = "| row | MAE [photons] | × floor | W1 [photons] | × floor | spread | f_div | δ | train s | ms/shower |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        m = row["metrics"]
        cells = []
        for name in ("mae", "wasserstein"):
            cells += [f"{m[name]['value']:.2f} ± {m[name]['error']:.2f}", f"{m[name]['value'] / m[name]['floor']:.2f}"]
        cells += [f"{m[name]['value']:.2f}" for name in ("spread", "f_div", "dispersion")]
        cells += [f"{row['train_seconds']:.0f}", f"{row['ms_per_shower']:.3f}"]
        lines.append(f"| {row['title']} | {' | '.join(cells)} |")
    if rows:
        m = rows[0]["metrics"]
        floors = [f"{m[name]['floor']:.2f} ± {m[name]['floor_error']:.2f} | 1" for name in ("mae", "wasserstein")]
        wide = f"{again['dispersion']['value']:.2f}" if again else "–"
        lines.append(f"| *simulation against simulation* | {' | '.join(floors)} | 1 | 1 | {wide} | – | – |")
    return "\n".join(lines)

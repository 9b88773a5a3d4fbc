"""Table 1 of arXiv:2006.06704 on MNIST: conditional models of digits, trained and judged alike, in LeNet's features.

All rows see the same number of training digits and are asked for the classes of the same test digits; settings were
chosen on validation digits. The floor is as many training digits of the same classes in place of generated ones, the
paper's row "original data". Each value is the mean over seeds with the standard deviation of that mean. A finished
training is kept at once, so a benchmark that was stopped goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from engine.bench import rows as bench
from engine.bench.rows import Budget, Row
from engine.models import base as models

DIGITS, QUICK_DIGITS = 10_000, 2000
"""Test digits that a row is judged on; a Fréchet distance falls with their number."""
SEEN, QUICK_SEEN = 550_000, 55_000
"""Training digits that each row sees: ten epochs, or one."""


def table() -> list[Row]:
    """The rows, those of the paper first."""
    rows = [
        Row("cond. VAE", "vae", {}, "cond VAE"),
        Row("cond. WAE-MMD", "wae_mmd", {}, "cond WAE-MMD"),
        Row("cond. e2e SAE", "e2e_sae", {}, "cond e2e SAE"),
        Row("cond. DCGAN", "dcgan", {}, "cond DCGAN"),
        Row("cond. e2e SAE, informed decoder (own)", "e2e_sae", {"informed": True}),
        Row("cond. WAE-GAN", "wae_gan"),
        Row("cond. SWAE", "swae"),
        Row("cond. SAE, Normal", "sae", {"target": "normal"}),
        Row("cond. SAE, hypersphere", "sae", {"target": "hypersphere"}),
        Row("cond. GAN", "gan"),
        Row("cond. WGAN", "wgan"),
        Row("cond. WGAN-GP", "wgan_gp"),
        Row("flow matching", "flow_matching"),
        Row("latent flow", "latent_flow"),
    ]
    return [row for row in rows if row.model in models.names()]


def run(
    quick: bool = False,
    data: str = "mnist",
    seeds: int = 3,
    rows: Sequence[str] = (),
    showers: int | None = None,
    fresh: bool = False,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> dict[str, Any]:
    """The table. rows: titles or models to take instead of all; showers: training digits that each row sees. Raises
    `WrongInput` for a row that there is not."""
    chosen = bench.chosen(table(), rows)
    budget = Budget(data, showers or (QUICK_SEEN if quick else SEEN), QUICK_DIGITS if quick else DIGITS)
    made = bench.run("mnist", chosen, budget, 1 if quick else seeds, line, say, fresh)
    return {**made, "title": "Table 1, MNIST", "table": text(made["rows"])}


def line(found: dict[str, Any]) -> str:
    m = found["metrics"]
    return f"FID {m['fid']['value']:.2f}, accuracy {100 * m['accuracy']['value']:.1f} %"


def text(rows: list[dict[str, Any]]) -> str:
    """The table as Markdown."""
    head = "| row | FID | × floor | Sinkhorn | accuracy | train s | parameters | ms/image |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        fid, sinkhorn, accuracy = (row["metrics"][name] for name in ("fid", "sinkhorn_features", "accuracy"))
        cells = [f"{fid['value']:.2f} ± {fid['error']:.2f}", f"{fid['value'] / fid['floor']:.1f}"]
        cells += [f"{sinkhorn['value']:.2f} ± {sinkhorn['error']:.2f}"]
        cells += [f"{100 * accuracy['value']:.1f} ± {100 * accuracy['error']:.1f} %"]
        cells += [f"{row['train_seconds']:.0f}", f"{row['parameters']:.0f}", f"{row['ms_per_shower']:.3f}"]
        lines.append(f"| {row['title']} | {' | '.join(cells)} |")
    if rows:
        fid, sinkhorn, accuracy = (rows[0]["metrics"][name] for name in ("fid", "sinkhorn_features", "accuracy"))
        floors = [f"{m['floor']:.2f} ± {m['floor_error']:.2f}" for m in (fid, sinkhorn)]
        floors = [floors[0], "1", floors[1], f"{100 * accuracy['floor']:.1f} %"]
        lines.append(f"| *original data* | {' | '.join(floors)} | – | – | – |")
    return "\n".join(lines)

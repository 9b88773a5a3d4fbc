"""What the bundled models reach: every metric on held-out primaries, beside the floor. The README's table is made from
this command's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine import zdc
from engine.datasets import base as datasets
from engine.metrics import base as metrics
from engine.models import base as models

FOLDER = Path(__file__).parents[2] / "assets" / "models"
SHOWN = ("mae", "wasserstein", "spread", "empty_rate")


def judge(path: Path, split: str = "test", convention: str = "paper", seed: int = 0) -> dict[str, Any]:
    """Metrics of one model file on a split of the data it names, as many generated replicas as simulated ones."""
    model, meta = models.load(path)
    data = datasets.load(meta["data"])
    rows = data.rows(split)
    conditions = zdc.check_conditions(data.conditions[rows])
    with torch.inference_mode():
        rng = torch.Generator().manual_seed(seed)
        showers = model.sample(torch.from_numpy(conditions.astype(np.float32)), rng).numpy()
    primary = data.primary_id[rows]
    reference = metrics.sample(data.showers[rows], conditions, primary, data.detector, convention)
    generated = metrics.sample(showers, conditions, primary, data.detector, convention)
    values = metrics.evaluate(reference, generated, seed=seed)
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "model": meta["model"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": data.name,
        "label": data.label,
        "split": split,
        "convention": convention,
        "seed": seed,
        "showers": len(rows),
        "primaries": len(np.unique(primary)),
        "training": {name: meta[name] for name in ("command", "seed", "commit", "train_seconds") if name in meta},
        "metrics": {name: value.model_dump() for name, value in values.items()},
    }


def table(result: dict[str, Any]) -> str:
    """The README's table of one judged model."""
    lines = ["| metric | generated | floor | ratio |", "|---|---|---|---|"]
    for name in SHOWN:
        value, info = result["metrics"][name], metrics.get(name).INFO
        unit = f" {value['unit']}" if value["unit"] else ""
        floor, ratio = "–", "–"
        if value["floor"] is not None and name != "spread":
            floor = f"{value['floor']:.2f} ± {value['floor_error']:.2f}"
            ratio = f"{value['value'] / value['floor']:.2f}" if value["floor"] else "–"
        lines.append(f"| {info.title} | {value['value']:.2f} ± {value['error']:.2f}{unit} | {floor} | {ratio} |")
    return "\n".join(lines)


def run(quick: bool = False) -> dict[str, Any]:
    """Judge every bundled model; `quick` changes nothing, a model takes about a second."""
    results = [judge(path) for path in sorted(FOLDER.glob("*.safetensors"))]
    return {"bench": "bundled", "models": results, "tables": {r["file"]: table(r) for r in results}}

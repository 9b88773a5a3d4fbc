"""What the bundled models reach: every metric on held-out primaries, beside the floor. The README's table is made from
this command's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.metrics import base as metrics
from engine.schema import EvaluateRequest
from engine.service import BUNDLED, Service

FOLDER = Path(__file__).parents[2] / "assets" / "models"
SHOWN = ("mae", "wasserstein", "spread", "f_div", "empty_rate")
RATIOS = ("spread", "f_div")
"""Read 1 between simulations by definition."""


def default() -> Path:
    """The file of the first bundled model, which benchmarks take."""
    return min(FOLDER.glob("*.safetensors"))


def judge(service: Service, path: Path) -> dict[str, Any]:
    """All metrics of one model file on the test primaries of the data it names."""
    info = service.status(BUNDLED + path.stem)
    report = service.evaluate(EvaluateRequest(run=info.run_id))
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "model": info.model,
        "parameters": info.parameters,
        "training": info.provenance,
        **report.model_dump(exclude={"run_id", "seconds", "timing", "device", "threads"}),
    }


def table(result: dict[str, Any]) -> str:
    """The README's table of one judged model."""
    lines = ["| metric | generated | floor | ratio |", "|---|---|---|---|"]
    for name in SHOWN:
        value, info = result["metrics"][name], metrics.get(name).INFO
        unit = f" {value['unit']}" if value["unit"] else ""
        floor, ratio = "–", "–"
        if value["floor"] is not None and name not in RATIOS:
            floor = f"{value['floor']:.2f} ± {value['floor_error']:.2f}"
            ratio = f"{value['value'] / value['floor']:.2f}" if value["floor"] else "–"
        lines.append(f"| {info.title} | {value['value']:.2f} ± {value['error']:.2f}{unit} | {floor} | {ratio} |")
    return "\n".join(lines)


def run(quick: bool = False) -> dict[str, Any]:
    """Judge every bundled model; `quick` changes nothing, a model takes about a second."""
    service = Service()
    results = [judge(service, path) for path in sorted(FOLDER.glob("*.safetensors"))]
    return {"bench": "bundled", "models": results, "tables": {r["file"]: table(r) for r in results}}

"""How the fake engine judges a run: real distances between simulated showers stand for those of a model."""

from __future__ import annotations

import hashlib
import html
from typing import TYPE_CHECKING, Any

import numpy as np
from fake_benchmarks import ZDC_METRICS

from engine.schema import Arrays, Calibration, EvaluateRequest, GenerateRequest, MetricValue, Part, Report, Timing

if TYPE_CHECKING:
    from fake import FakeEngine

SPLITS = ("train", "validation", "test")
ENERGIES = (0.0, 50.0, 100.0, 250.0, 500.0, float("inf"))


def worse(run: str) -> float:
    """How much too bright this run's showers are: so that two runs differ."""
    return 1.0 + int(hashlib.sha256(run.encode()).hexdigest()[:4], 16) / 65536 * 0.5


def mean(values: np.ndarray, unit: str, floor: np.ndarray | None = None) -> MetricValue:
    error = float(values.std() / np.sqrt(max(1, len(values))))
    if floor is None:
        return MetricValue(value=float(values.mean()), error=error, unit=unit)
    below = float(floor.std() / np.sqrt(max(1, len(floor))))
    return MetricValue(value=float(values.mean()), error=error, unit=unit, floor=float(floor.mean()), floor_error=below)


def other_metrics(run: str, names: dict[str, str], floors: bool = True) -> dict[str, MetricValue]:
    """Values of metrics that nothing here computes."""
    found = {}
    for name, direction in names.items():
        base = 0.9 if direction == "higher" else 1.0 if direction == "one" else 0.2
        value = base / worse(run) if direction == "higher" else base * worse(run) ** 2
        found[name] = MetricValue(
            value=value, error=0.01, unit="", floor=base if floors else None, floor_error=0.01 if floors else None
        )
    return found


def values_of(sim: np.ndarray, gen: np.ndarray, mae: np.ndarray, floor: np.ndarray) -> dict[str, MetricValue]:
    """The metrics of some primaries. sim, gen: (P, R, 5) channel sums."""
    wasserstein = np.abs(np.sort(sim.reshape(-1, 5), 0) - np.sort(gen.reshape(-1, 5), 0)).mean(0)
    again = np.abs(np.sort(sim[:, 0], 0) - np.sort(sim[:, 1], 0)).mean(0)
    ratio = gen.std(1).mean() / max(1e-9, float(sim.std(1).mean()))
    return {
        "mae": mean(mae, "photons", floor),
        "spread": MetricValue(value=float(ratio), error=0.04, unit="", floor=1.0, floor_error=0.03),
        "wasserstein": mean(wasserstein, "photons", again),
        "dispersion": MetricValue(value=abs(float(ratio) - 1), error=0.01, unit=""),
    }


def judge(engine: FakeEngine, request: EvaluateRequest) -> tuple[Report, Arrays]:
    """A report and the arrays behind it."""
    name = request.data or "zdc_geant4"
    columns = engine.columns(name, request.convention)
    in_split = np.asarray(columns["split"]) == SPLITS.index(request.split)
    light = np.asarray(columns["photon_sum"])
    ids, first = np.unique(np.where(in_split, columns["primary_id"], -1), return_index=True)
    ids, first = ids[ids >= 0], first[ids >= 0]
    rows = np.stack([first, first + 1, first + 2], 1)
    kept = light[rows].mean(1) >= request.threshold
    ids, rows = ids[kept], rows[kept]
    sim = np.asarray(columns["channels"], float)[rows]
    conditions = np.asarray(columns["conditions"])[rows[:, 0]]
    made = engine.generate(
        GenerateRequest(
            run=request.run, conditions=conditions.tolist(), n=3, seed=request.seed, convention=request.convention,
            light="poisson" if request.reading == "drawn" else "expected",
        )
    )  # fmt: skip
    gen = np.asarray(made["channels"], float).reshape(len(ids), 3, 5) * worse(request.run)
    mae = np.abs(sim - gen).mean((1, 2))
    floor = np.abs(sim - np.roll(sim, 1, 1)).mean((1, 2))
    metrics = values_of(sim, gen, mae, floor)
    known = {m.name: m.direction for m in ZDC_METRICS if request.slow or not m.slow}
    if request.metrics is not None:
        known = {k: v for k, v in known.items() if k in request.metrics}
    metrics |= other_metrics(request.run, {k: v for k, v in known.items() if k not in metrics})
    metrics = {name: metrics[name] for name in known}
    pdg = np.asarray(columns["pdg"])[rows[:, 0]]
    arrays = {
        "primary_id": ids, "row": rows[:, 0], "pdg": pdg, "conditions": conditions,
        "impact_mm": np.asarray(columns["impact_mm"])[rows[:, 0]], "simulated": sim.astype(np.float32),
        "generated": gen.astype(np.float32), "mae": mae.astype(np.float32), "mae_floor": floor.astype(np.float32),
        **profiles(engine.sets[name].pictures[rows.ravel()], np.asarray(made["showers"])),
        "correlation_simulated": np.corrcoef(sim.reshape(-1, 5).T),
        "correlation_generated": np.corrcoef(gen.reshape(-1, 5).T),
    }  # fmt: skip
    parts = parts_of(pdg, conditions[:, 0], sim, gen, mae, floor)
    return report_of(engine, request, metrics, len(ids), 3, parts, engine.sets[name].label), Arrays(arrays)


def parts_of(pdg: Any, energy: Any, sim: Any, gen: Any, mae: Any, floor: Any) -> list[Part]:
    species = dict.fromkeys(pdg.tolist())
    found = [(Part(by="species", title=str(k), pdg=k, primaries=0), pdg == k) for k in species]
    for low, high in zip(ENERGIES[:-1], ENERGIES[1:], strict=True):
        title = f"{low:.0f}–{high:.0f} GeV" if np.isfinite(high) else f"≥ {low:.0f} GeV"
        top = high if np.isfinite(high) else None
        found.append(
            (Part(by="energy", title=title, low=low, high=top, primaries=0), (energy >= low) & (energy < high))
        )
    parts = [
        part.model_copy(
            update={"primaries": int(here.sum()), "metrics": values_of(sim[here], gen[here], mae[here], floor[here])}
        )
        for part, here in found
        if here.sum() > 1
    ]
    for k in range(5):
        off, own = np.abs(sim - gen)[..., k].mean(1), np.abs(sim - np.roll(sim, 1, 1))[..., k].mean(1)
        parts.append(
            Part(by="channel", title=f"channel {k + 1}", primaries=len(sim), metrics={"mae": mean(off, "photons", own)})
        )
    return parts


def profiles(simulated: np.ndarray, generated: np.ndarray) -> dict[str, np.ndarray]:
    edges = np.arange(0.0, 36.0, 3.0)
    i, j = np.indices(simulated.shape[1:])
    radius = 1.6 * np.hypot(i - 21.5, j - 21.5)
    ring = np.digitize(radius, edges) - 1
    found: dict[str, np.ndarray] = {"radius_mm": edges}
    for name, showers in (("simulated", simulated), ("generated", generated)):
        share = np.stack([showers[:, ring == k].sum(1) for k in range(len(edges) - 1)], 1).astype(float)
        share /= np.maximum(share.sum(1, keepdims=True), 1)
        found[f"profile_{name}"] = share.mean(0)
        found[f"profile_{name}_error"] = share.std(0) / np.sqrt(len(share))
    return found


def report_of(
    engine: FakeEngine, request: EvaluateRequest, metrics: dict[str, MetricValue], primaries: int, replicas: int,
    parts: list[Part], label: str,
) -> Report:  # fmt: skip
    run = engine.status(request.run)
    each = 0.05 * worse(request.run)
    calibration = None
    if "mae" in metrics:
        after = {
            k: v.model_copy(update={"value": 0.95 * v.value}) for k, v in metrics.items() if k in ("mae", "spread")
        }
        before = {k: metrics[k] for k in after}
        calibration = Calibration(factor=1 / worse(request.run), error=0.01, before=before, after=after)
    return Report(
        run_id=request.run, data=request.data or run.data, label=label, split=request.split,
        convention=request.convention, showers=primaries * replicas, primaries=primaries, seconds=0.1, metrics=metrics,
        step=request.step or run.step, name=run.name, model=run.model, reading=request.reading,
        threshold=request.threshold, seed=request.seed, replicas=replicas, parameters=run.parameters, device="cpu",
        threads=1, parts=parts, calibration=calibration,
        timing=[
            Timing(batch=batch, ms=each * (1 + 20 / batch), error=0.05 * each, repeats=5) for batch in (1, 100, 10_000)
        ],
    )  # fmt: skip


def page_of(reports: list[Report]) -> bytes:
    """The stand-alone report, small."""
    rows = "".join(
        f"<tr><th>{html.escape(r.name)}</th>{''.join(f'<td>{v.value:.3g}</td>' for v in r.metrics.values())}</tr>"
        for r in reports
    )
    return f"<!doctype html><title>Showers judged</title><table>{rows}</table>".encode()

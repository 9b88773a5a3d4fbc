"""What the Generate page asks of the fake engine beyond single showers: walks, moments, scans of energy, bulks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.schema import (
    Arrays,
    Bulk,
    BulkTask,
    GenerateRequest,
    NotFound,
    Particle,
    ParticleInfo,
    ScanRequest,
    WrongInput,
)

DIRECTIONS = "the two directions of noise along which 256 generated showers change most"
LEAST_SHOWERS = 20
BYTES_A_SHOWER = 310


def walked(expected: np.ndarray, walk: tuple[float, float]) -> np.ndarray:
    """The first direction makes a shower brighter, the second moves it along x."""
    return np.roll(expected * math.exp(0.15 * walk[0]), round(2 * walk[1]), axis=1)


def moments(showers: np.ndarray, rows: int) -> dict[str, np.ndarray]:
    """Mean and standard deviation over the showers of each row, and every shower's light."""
    parts = showers.reshape(rows, -1, *showers.shape[1:])
    return {
        "mean": parts.mean(1).astype(np.float32),
        "sigma": parts.std(1).astype(np.float32),
        "photon_sum": showers.reshape(len(showers), -1).sum(1).astype(np.float32),
    }


def at_energy(particle: Particle, mass_mev: float, energy_gev: float) -> Particle:
    """The same particle in the same direction."""
    mass = mass_mev / 1000
    if energy_gev <= mass:
        raise WrongInput(f"energy {energy_gev:g} GeV is not above the mass {mass:g} GeV: raise it")
    factor = math.sqrt((energy_gev**2 - mass**2) / (particle.energy_gev**2 - mass**2))
    update = {"energy_gev": energy_gev, "px_gev": factor * particle.px_gev, "py_gev": factor * particle.py_gev}
    return particle.model_copy(update=update)


def spread(light: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and σ of each column with their errors, from the scatter (Gaussian: σ/√(2(n−1)))."""
    n, sigma = len(light), light.std(0, ddof=1)
    return {
        "mean": light.mean(0), "mean_error": sigma / np.sqrt(n),
        "sigma": sigma, "sigma_error": sigma / np.sqrt(2 * (n - 1)),
    }  # fmt: skip


def light_of(made: Arrays) -> np.ndarray:
    """(n, 6): photon sum, then five channels."""
    total = np.asarray(made["showers"], float).reshape(len(made["showers"]), -1).sum(1)
    return np.column_stack([total, np.asarray(made["channels"], float)])


def stacked(parts: list[dict[str, np.ndarray]], before: str = "") -> dict[str, np.ndarray]:
    names = ("mean", "mean_error", "sigma", "sigma_error")
    return {before + name: np.array([part[name] for part in parts]).reshape(len(parts), 6) for name in names}


def scan(engine: Any, request: ScanRequest, info: ParticleInfo, sums: Any) -> Arrays:
    """Light against energy of a FakeEngine's model, and of its simulated showers. sums: showers -> channels."""
    asked = GenerateRequest(run=request.run, n=request.n, seed=request.seed, convention=request.convention)
    made = []
    for energy in request.energies_gev:
        particle = at_energy(request.particle, info.mass_mev, energy)
        made.append(spread(light_of(engine.generate(asked.model_copy(update={"particle": particle})))))
    arrays = {"energy_gev": np.array(request.energies_gev), **stacked(made)}
    meta: dict[str, Any] = {"label": "", "radius_mm": 0.0, "showers": 0, "warnings": [], "ms": 1.0}
    if request.simulated:
        simulated, more = simulated_scan(engine, request, info, sums)
        arrays, meta = arrays | simulated, meta | more
    return Arrays(arrays, meta)


def simulated_scan(
    engine: Any, request: ScanRequest, info: ParticleInfo, sums: Any
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    row = np.array(request.particle.conditions(info.mass_mev, info.charge_e))
    impact = 10 * (row[1:3] + row[4:6] / abs(row[6]) * 11260)
    distance = np.hypot(*(engine.impact_mm - impact).T)
    mine = np.flatnonzero(engine.pdg == request.particle.pdg)
    near = mine[np.argsort(distance[mine])][:600]
    energy = engine.conditions[near, 0]
    edges = np.geomspace(max(10, energy.min(initial=10)), max(20, energy.max(initial=20)) * 1.001, 9)
    found: dict[str, list[Any]] = {"energy": [], "low": [], "high": [], "n": []}
    real, made = [], []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        rows = near[(energy >= low) & (energy < high)]
        if len(rows) < LEAST_SHOWERS:
            continue
        e = engine.conditions[rows, 0]
        scale = (e.mean() / e)[:, None]
        pictures = engine.pictures[rows]
        light = np.column_stack([engine.sums[rows], sums(pictures, request.convention)])
        real.append(spread(scale * light))
        asked = GenerateRequest(
            run=request.run, conditions=engine.conditions[rows].tolist(), seed=request.seed,
            convention=request.convention,
        )  # fmt: skip
        made.append(spread(scale * light_of(engine.generate(asked))))
        for name, value in zip(found, (e.mean(), low, high, len(rows)), strict=True):
            found[name].append(value)
    arrays = {
        "simulated_energy_gev": np.array(found["energy"], float), "simulated_low_gev": np.array(found["low"], float),
        "simulated_high_gev": np.array(found["high"], float), "simulated_n": np.array(found["n"], np.int64),
        **stacked(real, "simulated_"), **stacked(made, "matched_"),
    }  # fmt: skip
    radius = float(distance[near].max()) if len(near) else 0.0
    warnings = [] if len(near) else [f"no simulated {info.name} in the data: no points to compare with"]
    return arrays, {"label": "Geant4 11.4.1", "radius_mm": radius, "showers": len(near), "warnings": warnings}


def accept(engine: Any, task: BulkTask) -> None:
    """Raise for a bulk that cannot run."""
    request = task.request
    engine.status(request.run)
    if request.upload and request.upload not in engine.files:
        raise NotFound(f"the uploaded file {request.upload} is gone: upload it again")
    if request.upload and b"Energy" not in engine.files[request.upload][:4000]:
        raise WrongInput(f"{request.upload.split('/')[-1]}: no column Energy: a table of conditions has nine columns")
    if not request.upload and request.spectrum is None:
        raise WrongInput("give a table of conditions or a spectrum")
    spectrum = request.spectrum
    if spectrum and spectrum.law == "power" and spectrum.minimum_gev >= spectrum.maximum_gev:
        raise WrongInput("the spectrum's lower bound must lie below its upper one")


def bulk_of(task: BulkTask, task_id: str, seconds: float) -> Bulk:
    name = f"showers_{task_id[-8:]}.{task.request.format}"
    return Bulk(
        file=name, path=f"/home/physicist/.showerscope/bulk/{name}", bytes=BYTES_A_SHOWER * task.request.n,
        showers=task.request.n, seconds=seconds, format=task.request.format, memory_mb=85.0,
    )  # fmt: skip

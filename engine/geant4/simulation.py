"""Real showers on demand: Geant4 through geant4-pybind, in a process of its own with a time limit.

The full fibre geometry of ZN and ZP stands 112.6 m from the vertex in vacuum; primaries start at the vertex, so those
that decay in flight do. Magnets, beam pipe and collimators are not simulated: charged particles fly straight.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine import zdc
from engine.geant4 import tables
from engine.schema import EngineError, WrongInput

PYTHON = "SHOWERSCOPE_GEANT4_PYTHON"
"""Environment variable: another Python that has geant4-pybind, e.g. of a conda environment."""
MISSING = "Geant4 is not installed: pip install 'showerscope[geant4]', or set SHOWERSCOPE_GEANT4_PYTHON"
WORKER = Path(__file__).with_name("worker.py")
LIGHT = 0.45
"""Detected per captured photon: puts neutrons in ZN at ALICE's published 0.70 photons per GeV, found with the
approximate tables (`assets/data/zn_geant4.md`; 0.69 ± 0.03 measured here, 40 neutrons of 60–300 GeV). The same factor
serves ZP and Geant4's own data sets, uncalibrated."""
CUT_MM = 0.7
"""Production cut in range, as for the bundled showers."""
MS_PER_GEV = {"zn": 4.4, "zp": 3.1}
"""CPU time of neutrons on one core [measured, 60–500 GeV]; photons take a quarter (ZN) or half (ZP) more."""
START_S = 0.7
"""Import, geometry and physics tables [measured]."""
MAX_SHOWERS = 10_000
MAX_VZ_CM = 300.0
FIBRES: dict[str, dict[str, Any]] = {
    "zn": {
        "length_mm": 1000.0,
        "core_mm": 0.365,
        "cladding_mm": 0.430,
        "density_g_cm3": 17.6,
        "absorber": {"W": 0.935, "Ni": 0.048, "Cu": 0.017},
    },
    "zp": {
        "length_mm": 1500.0,
        "core_mm": 0.550,
        "cladding_mm": 0.625,
        "density_g_cm3": 8.48,
        "absorber": {"Cu": 0.61, "Zn": 0.36, "Pb": 0.03},
    },
}
"""Diameters of core and cladding, absorber by mass (SPEC §3; ALICE TDR 3, CERN/LHCC 99-5)."""


@dataclass(frozen=True)
class Simulation:
    """M = N · replicas showers, replicas of a row side by side.

    showers: (M, H, W) detected photons, axis 0 = x. row: (M,) condition row. replica: (M,). cpu_seconds: (M,), one
    core. label: how to call these showers wherever they are shown. seconds: wall-clock time with the start.
    """

    showers: NDArray[np.uint16]
    row: NDArray[np.int64]
    replica: NDArray[np.int64]
    cpu_seconds: NDArray[np.float64]
    label: str
    seconds: float
    notes: tuple[str, ...]


def python() -> str | None:
    """The Python that has geant4-pybind; None where there is none."""
    other = os.environ.get(PYTHON)
    if other:
        return other
    return sys.executable if importlib.util.find_spec("geant4_pybind") else None


def installed() -> bool:
    return python() is not None


def estimated_cpu_s(conditions: ArrayLike, detector: str = "zn", replicas: int = 1) -> float:
    """About how long a simulation takes on one core, s."""
    c = np.atleast_2d(np.asarray(conditions, dtype=np.float64))
    return START_S + float(c[:, zdc.ENERGY].sum()) * MS_PER_GEV[detector] / 1000 * replicas


def simulate(
    conditions: ArrayLike,
    pdg: int | ArrayLike,
    detector: str = "zn",
    replicas: int = 1,
    seed: int = 0,
    time_limit_s: float = 120.0,
    home: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Simulate each condition row (N, 9) `replicas` times; pdg: one id, or one a row.

    Light is a Poisson draw of `LIGHT` × captured photons. A shower depends on the seed, its row and its replica alone.
    progress: called with showers done and in total. home: where the approximate tables are kept, as
    `tables.find` says; default $SHOWERSCOPE_HOME or ~/.showerscope.

    Raises `WrongInput` for conditions outside physics, `EngineError` when Geant4 is not installed, fails, or passes
    `time_limit_s` (wall-clock); the process is then killed.
    """
    begun = time.monotonic()
    events, row, replica = _events(conditions, pdg, detector, replicas, seed)
    interpreter = python()
    if interpreter is None:
        raise EngineError(MISSING)
    data = tables.find(Path(home or os.environ.get("SHOWERSCOPE_HOME", Path.home() / ".showerscope")))
    shape = zdc.DETECTORS[detector].shape
    geometry = {"shape": shape, "pitch_mm": zdc.DETECTORS[detector].pitch_cm * 10, **FIBRES[detector]}
    job = {"detector": geometry, "cut_mm": CUT_MM, "events": events}
    showers, cpu = np.zeros((len(events), *shape), np.uint16), np.zeros(len(events))
    version, done = "", 0
    for answer in _answers(interpreter, job, data.environment, begun + time_limit_s):
        if answer is None:
            raise EngineError(
                f"Geant4 passed the time limit of {time_limit_s:g} s after {done} of {len(events)} showers: raise it, "
                f"or ask for fewer or softer ones (about {MS_PER_GEV[detector]:g} ms per GeV)"
            )
        if "error" in answer:
            raise WrongInput(answer["error"])
        if "ready" in answer:
            version = _version(answer["ready"])
            continue
        captured = np.zeros(shape)
        for x, y, light in answer["fibres"]:
            captured[x, y] = light
        rng = np.random.default_rng([seed, int(row[done]), int(replica[done]), 1])
        showers[done], cpu[done] = rng.poisson(LIGHT * captured), answer["cpu"]
        done += 1
        if progress is not None:
            progress(done, len(events))
    label = f"Geant4 {version} FTFP_BERT, {data.label}, light scaled to 0.70 photons/GeV for neutrons"
    notes = ["magnets, beam pipe and collimators are not simulated: every particle flies straight from the vertex"]
    if data.label == tables.APPROXIMATE:
        notes.append("shapes and fluctuations are Geant4's own; absolute light is good to ±25 %")
    if detector != "zn" or data.label == tables.OFFICIAL:
        notes.append("the light scale was found for ZN with the approximate tables")
    return Simulation(showers, row, replica, cpu, label, time.monotonic() - begun, tuple(notes))


def _events(
    conditions: ArrayLike, pdg: int | ArrayLike, detector: str, replicas: int, seed: int
) -> tuple[list[dict[str, Any]], NDArray[np.int64], NDArray[np.int64]]:
    """What the worker needs of each shower. The beam's side is folded to z > 0; x and y stay."""
    if detector not in FIBRES:
        raise WrongInput(f"unknown detector {detector!r}: choose one of {', '.join(FIBRES)}")
    c = zdc.check_conditions(conditions)
    ids = np.broadcast_to(np.asarray(pdg, dtype=np.int64), len(c))
    if not 1 <= len(c) * replicas <= MAX_SHOWERS:
        raise WrongInput(f"{len(c)} particles × {replicas} replicas: ask for 1 to {MAX_SHOWERS} showers at once")
    for number, (values, one) in enumerate(zip(c, ids, strict=True), 1):
        mass = zdc.particle(int(one)).mass_mev
        if abs(values[zdc.MASS] - mass) > 0.01 * mass + 0.1:
            raise WrongInput(f"row {number}: mass {values[zdc.MASS]:g} MeV is not that of PDG {one}, {mass:g} MeV")
        if abs(values[zdc.VZ]) > MAX_VZ_CM:
            raise WrongInput(f"row {number}: Vz {values[zdc.VZ]:g} cm is beyond the {MAX_VZ_CM:g} cm of the geometry")
    row, replica = np.repeat(np.arange(len(c)), replicas), np.tile(np.arange(replicas), len(c))
    events = []
    for i, r in zip(row, replica, strict=True):
        values = c[i]
        path_cm = zdc.DETECTORS[detector].z_cm - np.sign(values[zdc.PZ]) * values[zdc.VZ]
        start_mm = [10 * values[zdc.VX], 10 * values[zdc.VY], -10 * path_cm]
        seeds = np.random.SeedSequence([seed, int(i), int(r)]).generate_state(2) % 2_147_483_562 + 1
        events.append(
            {
                "pdg": int(ids[i]),
                "kinetic_gev": float(max(values[zdc.ENERGY] - values[zdc.MASS] / 1000, 1e-9)),
                "start_mm": [float(v) for v in start_mm],
                "direction": [float(values[zdc.PX]), float(values[zdc.PY]), float(abs(values[zdc.PZ]))],
                "seeds": [int(s) for s in seeds],
            }
        )
    return events, row, replica


def _answers(interpreter: str, job: dict[str, Any], environment: dict[str, str], deadline: float) -> Any:
    """The worker's answers as they come, None once the deadline has passed. The worker never outlives this."""
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        try:
            process = subprocess.Popen(
                [interpreter, "-P", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **environment},
                text=True,
            )
        except OSError as error:
            raise EngineError(f"{interpreter} cannot be started ({error.strerror}): {MISSING}") from error
        assert process.stdin is not None
        assert process.stdout is not None
        lines: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
        try:
            reader.start()
            with contextlib.suppress(BrokenPipeError):  # it has died: its log says why
                json.dump(job, process.stdin)
                process.stdin.close()
            for _ in range(len(job["events"]) + 1):
                try:
                    line = lines.get(timeout=max(deadline - time.monotonic(), 0))
                except queue.Empty:
                    yield None
                    return
                if line is None:
                    process.wait()
                    raise EngineError(_failure(log))
                yield json.loads(line)
        finally:
            process.kill()
            process.wait()
            reader.join()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.stdout.close()


def _read(source: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in source:
        lines.put(line)
    lines.put(None)


def _failure(log: IO[str]) -> str:
    """Why the worker died, in one line, from what Geant4 and Python printed."""
    log.seek(0)
    said = [line.strip() for line in log.read().splitlines() if line.strip()]
    if any("No module named 'geant4_pybind'" in line for line in said):
        return MISSING
    for i, line in enumerate(said):
        if "G4Exception-START" in line:
            return f"Geant4 stopped: {' '.join(said[i + 1 : i + 4])}"
    return f"Geant4 stopped: {said[-1] if said else 'without a word'}"


def _version(text: str) -> str:
    """11.4.1 out of «Geant4 version Name: geant4-11-04-patch-01 [MT]»."""
    numbers = re.search(r"geant4-(\d+)-(\d+)(?:-patch-(\d+))?", text)
    return ".".join(str(int(n)) for n in numbers.groups() if n) if numbers else "(version unknown)"

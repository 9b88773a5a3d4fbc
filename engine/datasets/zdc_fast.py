"""117 819 showers of ZN from the parametrised Monte Carlo of `engine.showers`, three replicas of each primary.

`load` simulates them on first use (about a minute on two cores) and keeps them in
`$SHOWERSCOPE_HOME/data/zdc_fast-KEY/`, 456 MB of memory-mapped npy files; KEY changes with the parameters, the seed and
the size. SHOWERSCOPE_FAST_SHOWERS sets another number of showers, e.g. 3000 for a quick look or a test.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from engine import zdc
from engine.datasets.base import Dataset, split_by_primary
from engine.schema import DatasetInfo, EngineError, WrongInput
from engine.showers.parameters import fit_record, parameters
from engine.showers.species import CHARGE, LAMBDA, LAMBDA_GEV, MASS_GEV
from engine.threads import one_thread

SHOWERS = 117_817
"""As in arXiv:2006.06704; rounded up to whole primaries."""
SIZE = "SHOWERSCOPE_FAST_SHOWERS"
REPLICAS = 3
SEED = 2006
CHUNK = 256
"""Showers simulated at once; each chunk has a stream of noise of its own."""
VERSION = 1
"""Raise it when the same parameters give other showers: they are simulated anew."""
LABEL = "parametrised Monte Carlo fitted to Geant4 11.4.1 showers (zdc_fast)"
TITLE = "ZN, parametrised Monte Carlo"
COLUMNS = ("conditions", "pdg", "primary_id", "replica")
SPECTRA = {
    "geant4": "as zdc_geant4: γ 52 %, n 40 %, K⁰L 4.5 %, n̄ 3.5 %, on the face of ZN",
    "published": "after the published table of 511 810 particles, many of which miss the face (SPEC §3)",
    "protons": "protons whose bent tracks cover the face of ZP",
}
GEANT4_SPECIES = {22: 0.52, 2112: 0.40, 130: 0.045, -2112: 0.035}
PUBLISHED_SPECIES = {
    22: 0.611, 2112: 0.135, 2212: 0.09, 211: 0.047, 130: 0.04, LAMBDA: 0.03, -211: 0.027, -2112: 0.02,
}  # fmt: skip
"""Reproduce mean and spread of mass and charge in the published table; not published themselves."""

Progress = Callable[[int, int], None]


# ------------------------------------------------------------------------------------------------------- conditions
def primaries(n: int, spectrum: str, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Conditions (n, 9) and PDG ids (n,) of a spectrum. Raises `WrongInput` for an unknown one."""
    if spectrum not in SPECTRA:
        raise WrongInput(f"unknown spectrum {spectrum!r}: choose one of {', '.join(SPECTRA)}")
    rng = np.random.default_rng([seed, list(SPECTRA).index(spectrum)])
    species = {"geant4": GEANT4_SPECIES, "published": PUBLISHED_SPECIES, "protons": {2212: 1.0}}[spectrum]
    pdg = rng.choice(np.array(list(species)), n, p=np.array(list(species.values())))
    masses = {**MASS_GEV, LAMBDA: LAMBDA_GEV}
    mass = np.array([masses[int(code)] for code in pdg])
    charge = np.array([CHARGE.get(int(code), 0) for code in pdg], float)
    side = rng.choice([-1.0, 1.0], n)
    if spectrum == "geant4":
        energy = _log_normal(rng, n, 330.0, 1.05, 8.0, 2760.0)
        vertex = rng.normal(0, (0.005, 0.005, 5.0), (n, 3))
        momentum = np.sqrt(energy**2 - mass**2)
        path = zdc.ZN.z_cm - side * vertex[:, 2]
        # Px and Py normal with 0.29 GeV, of which those remain that land within 3.6 cm
        width = 0.29 * path / momentum
        across = [_truncated_normal(rng, vertex[:, k], width, 3.6) for k in (0, 1)]
        slope = [(across[k] - vertex[:, k]) / path for k in (0, 1)]
        pz = momentum / np.sqrt(1 + slope[0] ** 2 + slope[1] ** 2)
        px, py = slope[0] * pz, slope[1] * pz
    elif spectrum == "published":
        energy = np.maximum(_log_normal(rng, n, 580.0, 1.3, 1.1, 7000.0), mass + 1.0)
        vertex = rng.normal(0, (5e-6, 5e-6, 0.020), (n, 3))
        px, py = 0.23 * rng.standard_t(5, n) + 0.035, 0.227 * rng.standard_t(5, n) + 0.008
        square = energy**2 - mass**2
        shrink = np.minimum(1.0, np.sqrt(0.5 * square / np.maximum(px**2 + py**2, 1e-12)))
        px, py = px * shrink, py * shrink
        pz = np.sqrt(square - px**2 - py**2)
    else:
        p = parameters("zp")
        vertex = rng.normal(0, (0.005, 0.005, 5.0), (n, 3))
        x = rng.uniform(-1, 1, n) * zdc.ZP.half_cm[0] + p.centre_x_cm
        y = rng.uniform(-1, 1, n) * zdc.ZP.half_cm[1]
        px = rng.normal(0, 0.1, n)
        pz = (p.bend_gev_rad * (zdc.ZP.z_cm - p.bend_z_cm) + px * zdc.ZP.z_cm) / x
        py = y / zdc.ZP.z_cm * pz
        energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    columns = (energy, *vertex.T, px, py, side * pz, 1000 * mass, charge)
    return np.column_stack(columns), pdg.astype(np.int64)


def _log_normal(
    rng: np.random.Generator, n: int, median: float, sigma: float, low: float, high: float
) -> NDArray[np.float64]:
    """Log-normal around a median, kept between two bounds."""
    edges = ndtr(np.log(np.array([low, high]) / median) / sigma)
    return median * np.exp(sigma * ndtri(rng.uniform(edges[0], edges[1], n)))


def _truncated_normal(
    rng: np.random.Generator, mean: NDArray[np.float64], width: NDArray[np.float64], half: float
) -> NDArray[np.float64]:
    low, high = ndtr((-half - mean) / width), ndtr((half - mean) / width)
    return mean + width * ndtri(low + (high - low) * rng.uniform(size=len(mean)))


# ----------------------------------------------------------------------------------------------------------- showers
def blocks(
    conditions: ArrayLike, pdg: ArrayLike, replicas: int = 1, detector: str = "zn", seed: int = 0
) -> Iterator[NDArray[np.uint16]]:
    """Showers of condition rows (N, 9), the replicas of a row side by side, `CHUNK` at a time: (≤ CHUNK, H, W).

    The same rows and seed give the same bytes. Raises `WrongInput` for conditions outside physics or a species that
    makes no showers here.
    """
    import torch  # takes seconds, and listing the set needs none of it

    from engine.showers import cascade, flight

    _check(detector, replicas)
    shape, p = zdc.DETECTORS[detector], parameters(detector)
    c = torch.from_numpy(np.array(zdc.check_conditions(conditions)))
    codes = torch.from_numpy(np.array(np.broadcast_to(np.asarray(pdg, np.int64), len(c))))
    for chunk, start in enumerate(range(0, len(c) * replicas, CHUNK)):
        rows = torch.arange(start, min(start + CHUNK, len(c) * replicas)) // replicas
        words = np.random.SeedSequence([seed, chunk]).generate_state(1, np.uint64)
        rng = torch.Generator().manual_seed(int(words[0] >> 1))
        with one_thread():
            arrivals = flight.arrive(c[rows], codes[rows], shape, p, rng)
            photons = cascade.count(cascade.rates(arrivals, len(rows), shape, p, rng), p, rng)
        yield photons.clamp_max(65_535).numpy().astype(np.uint16)


def generate(
    n_primaries: int,
    replicas: int = 1,
    detector: str = "zn",
    spectrum: str = "geant4",
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, NDArray]:
    """Simulate new primaries, `replicas` times each: showers (N, H, W) uint16 photons, conditions (N, 9), pdg,
    primary_id and replica (N,), N = n_primaries · replicas. progress: called with showers done and in total."""
    _check(detector, replicas)
    if n_primaries < 1:
        raise WrongInput(f"{n_primaries} primaries: ask for at least one")
    c, codes = primaries(n_primaries, spectrum, seed)
    total = n_primaries * replicas
    made, done = np.empty((total, *zdc.DETECTORS[detector].shape), np.uint16), 0
    for block in blocks(c, codes, replicas, detector, seed):
        made[done : done + len(block)] = block
        done += len(block)
        if progress is not None:
            progress(done, total)
    return {"showers": made, **_columns(c, codes, replicas)}


def _check(detector: str, replicas: int) -> None:
    if detector not in zdc.DETECTORS:
        raise WrongInput(f"unknown detector {detector!r}: choose one of {', '.join(zdc.DETECTORS)}")
    if replicas < 1:
        raise WrongInput(f"{replicas} replicas: ask for at least one")


def _columns(conditions: NDArray, pdg: NDArray, replicas: int) -> dict[str, NDArray]:
    primary, replica = np.divmod(np.arange(len(pdg) * replicas), replicas)
    return {
        "conditions": conditions[primary],
        "pdg": pdg[primary].astype(np.int64),
        "primary_id": primary.astype(np.int64),
        "replica": replica.astype(np.int64),
    }


# ------------------------------------------------------------------------------------------------------------- cache
def folder(n_primaries: int, seed: int = SEED) -> Path:
    """Where the set of this size is or will be kept."""
    home = Path(os.environ.get("SHOWERSCOPE_HOME") or "~/.showerscope").expanduser()
    what = [VERSION, asdict(parameters("zn")), "zn", "geant4", seed, n_primaries, REPLICAS]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
    return home / "data" / f"zdc_fast-{n_primaries * REPLICAS}-{key}"


def size() -> int:
    """Primaries of the set: the paper's count, or what SHOWERSCOPE_FAST_SHOWERS says (at least 30 showers)."""
    asked = os.environ.get(SIZE) or str(SHOWERS)
    if not asked.isdecimal() or not 30 <= int(asked) <= 10_000_000:
        raise WrongInput(f"{SIZE} is {asked!r}: give a number of showers from 30 to 10000000, or leave it unset")
    return math.ceil(int(asked) / REPLICAS)


def ready() -> bool:
    """Whether `load` finds its showers on disk, so that it takes no minute."""
    return folder(size()).is_dir()


def describe() -> DatasetInfo:
    """The set before it is simulated."""
    n = size()
    return DatasetInfo(
        name="zdc_fast",
        title=TITLE,
        label=LABEL,
        detector="zn",
        shape=zdc.ZN.shape,
        showers=n * REPLICAS,
        primaries=n,
        splits={},
        pdg=list(GEANT4_SPECIES),
        conditions=[],
        provenance="Simulated here when it is first asked for, then kept in the home folder.",
        ready=False,
        making=f"{n * REPLICAS:,} showers, {n * REPLICAS * 3900 / 1e6:.0f} MB, about a minute",
    )


def load(progress: Progress | None = None) -> Dataset:
    """The set, simulated first where it is not in the home folder yet; a bar stands on a terminal meanwhile.

    Raises `EngineError` when the home folder cannot hold it.
    """
    n = size()
    place = folder(n)
    arrays = _read(place, n * REPLICAS)
    if arrays is None:
        try:
            _write(place, n, progress or _bar)
        except OSError as error:
            raise EngineError(
                f"{place} cannot be written ({error.strerror or error}): free {n * REPLICAS * 3900 // 10**6 + 1} MB "
                "or set SHOWERSCOPE_HOME to a folder of yours"
            ) from error
        arrays = _read(place, n * REPLICAS)
        if arrays is None:
            raise EngineError(f"{place} was written and cannot be read: check the disk")
    fitted = fit_record()
    return Dataset(
        name="zdc_fast",
        title=TITLE,
        label=LABEL,
        detector="zn",
        provenance=(
            "Straight tracks to the face, electromagnetic and hadronic components with event-by-event fluctuations, "
            "exponential lateral profiles on the fibre lattice, leakage, Poisson light; parameters fitted to the "
            f"training primaries of zdc_geant4 on {fitted.get('date', 'an unknown day')}. Conditions are drawn as "
            "Geant4's were. How far it agrees: `showerscope data check zdc_fast`."
        ),
        split=split_by_primary(arrays["primary_id"]),
        facts={"seed": str(SEED)},
        **{name: arrays[name] for name in (*COLUMNS, "showers")},  # pyright: ignore[reportArgumentType]
    )


def _read(place: Path, rows: int) -> dict[str, NDArray] | None:
    """The arrays, showers memory-mapped; None where they are missing or damaged."""
    try:
        found = {name: np.load(place / f"{name}.npy", allow_pickle=False) for name in COLUMNS}
        found["showers"] = np.load(place / "showers.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if all(len(array) == rows for array in found.values()) else None


def _write(place: Path, n: int, progress: Progress) -> None:
    """Simulate into a folder beside the final one, and rename it when it is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)  # damaged, or never there
    scratch = Path(tempfile.mkdtemp(prefix=f".{place.name}-{os.getpid()}-", dir=place.parent))
    try:
        c, codes = primaries(n, "geant4", SEED)
        for name, array in _columns(c, codes, REPLICAS).items():
            np.save(scratch / f"{name}.npy", array)
        done, total = 0, n * REPLICAS
        header = {"descr": "<u2", "fortran_order": False, "shape": (total, *zdc.ZN.shape)}
        # written in order: a full disk fails here with an error, a memory map would end the process
        with (scratch / "showers.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks(c, codes, REPLICAS, "zn", SEED):
                file.write(block.tobytes())
                done += len(block)
                progress(done, total)
        try:
            scratch.rename(place)
            # those of the same size by earlier parameters: nothing loads them any more
            for old in place.parent.glob(f"zdc_fast-{total}-*"):
                if old != place:
                    shutil.rmtree(old, ignore_errors=True)
        except OSError:
            if _read(place, total) is None:  # else another process was faster
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _bar(done: int, total: int) -> None:
    if sys.stderr.isatty() and (done == total or done % (20 * CHUNK) == 0):
        end = "\n" if done == total else ""
        print(f"\rzdc_fast: {100 * done // total:3d} % of {total} showers", end=end, file=sys.stderr, flush=True)

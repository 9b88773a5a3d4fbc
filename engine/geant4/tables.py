"""Geant4's data sets: the user's own where they are, else approximate tables from closed formulas.

The approximate tables let Geant4 run where its data sets (2 GB) cannot be had. Cascade and transport stay Geant4's
own; bremsstrahlung, the photoelectric effect and the cross sections of neutrons and of photons on nuclei come from the
formulas below. Varying them (photoelectric × 0.3, soft bremsstrahlung × 0.8, slow neutrons × 0.5) moves the captured
light by at most 5 %; absolute light is good to ±25 %, and the neutron interaction length in tungsten is 6 % long.
Nothing is ever downloaded.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VARIABLES = {
    "G4LEDATA": "G4EMLOW",
    "G4LEVELGAMMADATA": "PhotonEvaporation",
    "G4PARTICLEXSDATA": "G4PARTICLEXS",
    "G4ENSDFSTATEDATA": "G4ENSDFSTATE",
    "G4SAIDXSDATA": "G4SAIDDATA",
    "G4NEUTRONHPDATA": "G4NDL",
    "G4RADIOACTIVEDATA": "RadioactiveDecay",
    "G4PIIDATA": "G4PII",
    "G4REALSURFACEDATA": "RealSurface",
    "G4ABLADATA": "G4ABLA",
    "G4INCLDATA": "G4INCL",
    "G4CHANNELINGDATA": "G4CHANNELING",
}
"""Environment variable -> how the folder's name begins in Geant4's distribution."""
NEEDED = ("G4LEDATA", "G4LEVELGAMMADATA", "G4PARTICLEXSDATA", "G4ENSDFSTATEDATA", "G4SAIDXSDATA")
"""Without these the physics list does not run; the others serve processes that it does not use."""
APPROXIMATE = "approximate cross-section tables"
OFFICIAL = "Geant4's data sets"
VERSION = 1
"""Of the formulas: tables of another version are written anew."""

ELECTRON_MEV = 0.51099895
ALPHA = 1 / 137.035999
PHOTONUCLEAR_END_MEV = 130.0
"""As in Geant4's own tables, beyond which it has a parametrisation. Tables that run on to 100 GeV make photons of
15–22 GeV lose a third of their light, and let some of 30–70 GeV cross brass without a trace [measured]."""
RE2_MB = 79.4079
"""Classical electron radius squared, mb."""
WEIGHTS = {1: 1.008, 8: 15.999, 14: 28.085, 28: 58.693, 29: 63.546, 30: 65.38, 74: 183.84, 82: 207.2}
"""Atomic weight of the elements in fibres, absorbers and vacuum (which Geant4 makes of hydrogen)."""


@dataclass(frozen=True)
class DataSets:
    """Where Geant4 finds its data: environment of the worker, and what to call it."""

    label: str
    environment: dict[str, str]


def find(home: Path, environ: Mapping[str, str] | None = None) -> DataSets:
    """The user's data sets when all that are needed are there, else the approximate tables, cached in `home`.

    Looked for: the variables G4LEDATA, …; the folder GEANT4_DATA_DIR; ~/.geant4_pybind, where geant4-pybind puts them.
    """
    environ = os.environ if environ is None else environ
    folders = [Path(environ.get("HOME", "~")).expanduser() / ".geant4_pybind"]
    if "GEANT4_DATA_DIR" in environ:
        folders.insert(0, Path(environ["GEANT4_DATA_DIR"]))
    found: dict[str, str] = {}
    for variable, prefix in VARIABLES.items():
        named = environ.get(variable, "")
        inside = [p for folder in folders if folder.is_dir() for p in sorted(folder.glob(f"{prefix}*")) if p.is_dir()]
        if named and Path(named).is_dir():
            found[variable] = named
        elif inside:
            found[variable] = str(inside[-1])
    if all(variable in found for variable in NEEDED):
        return DataSets(OFFICIAL, {**found, "GEANT4_DATA_DIR": environ.get("GEANT4_DATA_DIR", str(folders[-1]))})
    tables = approximate(home)
    variables = {variable: str(tables / folder) for variable, folder in VARIABLES.items()}
    return DataSets(APPROXIMATE, {**variables, "GEANT4_DATA_DIR": str(tables)})


def approximate(home: Path) -> Path:
    """Folder of the approximate tables, written beside and renamed on first use (half a second, 1 MB)."""
    folder = home / "geant4" / f"tables-{VERSION}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".tables-", dir=folder.parent))
    try:
        write(beside)
        beside.rename(folder)
    except OSError:
        if not folder.exists():  # not another process that was quicker
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def write(folder: Path) -> None:
    """Write the approximate tables in the layout of Geant4's data sets."""
    for name in VARIABLES.values():
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "G4ENSDFSTATE" / "ENSDFSTATE.dat").write_text("")
    texts: dict[str, str] = {}
    for z in WEIGHTS:
        texts[f"G4EMLOW/brem_SB/br{z}"] = bremsstrahlung_table(z)
        texts |= photoelectric_tables(z)
    for z in range(1, 99):  # Geant4 opens the nuclear tables of every element, whatever the materials
        a = WEIGHTS.get(z, 2 * z + 0.0058 * z**2)
        texts[f"G4PARTICLEXS/neutron/inel{z}"] = _vector(1e-2, 1e5, 281, neutron_inelastic_mb(z, a))
        texts[f"G4PARTICLEXS/neutron/el{z}"] = _vector(1e-10, 1e5, 301, neutron_elastic_mb(z, a))
        texts[f"G4PARTICLEXS/neutron/cap{z}"] = _vector(1e-10, 20.0, 200, lambda e: np.sqrt(2.5e-8 / e))
        texts[f"G4PARTICLEXS/gamma/inel{z}"] = _vector(2.0, PHOTONUCLEAR_END_MEV, 200, photonuclear_mb(z, a))
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# ---------------------------------------------------------------------------------------------------- bremsstrahlung
def bremsstrahlung_mb(z: int, kinetic_mev: float, x: NDArray) -> NDArray:
    """(k/Z²) dσ/dk [mb] at k = x·T: screened bremsstrahlung with Coulomb correction.

    References: Y.-S. Tsai, Rev. Mod. Phys. 46 (1974) 815, eqs. (3.38)–(3.41), screening functions of Thomas–Fermi.
    """
    energy = kinetic_mev + ELECTRON_MEV
    k = np.clip(x, 0, 0.9999) * kinetic_mev
    y = k / energy
    screening = 100 * ELECTRON_MEV * k / (energy * (energy - k))
    g, e = screening / z ** (1 / 3), screening / z ** (2 / 3)
    phi1 = 16.863 - 2 * np.log(1 + 0.311877 * g**2) + 2.4 * np.exp(-0.9 * g) + 1.6 * np.exp(-1.5 * g)
    psi1 = 24.34 - 2 * np.log(1 + 13.111641 * e**2) + 2.8 * np.exp(-8 * e) + 1.2 * np.exp(-29.2 * e)
    phi_step = 2 / 3 / (1 + 6.5 * g + 6 * g**2)
    psi_step = 2 / 3 / (1 + 40 * e + 400 * e**2)
    charge = (ALPHA * z) ** 2
    coulomb = charge * (1 / (1 + charge) + 0.20206 - 0.0369 * charge + 0.0083 * charge**2 - 0.002 * charge**3)
    nucleus = np.maximum(phi1 - 4 / 3 * np.log(z) - 4 * coulomb, 0)
    electrons = np.maximum(psi1 - 8 / 3 * np.log(z), 0) / z
    main = (4 / 3 - 4 / 3 * y + y**2) * (nucleus + electrons)
    return ALPHA * RE2_MB * (main + 2 / 3 * (1 - y) * (phi_step + psi_step / z))


def bremsstrahlung_table(z: int) -> str:
    """G4EMLOW's brem_SB/br{Z}: β²·(k/Z²) dσ/dk at 57 energies and 32 x. Below 50 MeV, where the high-energy formula
    fails, the shape is rescaled to the radiative energy loss φ_rad of an electron (5.5 at 1 keV to Tsai's at 50 MeV,
    rough values after Seltzer and Berger)."""
    x = np.concatenate(
        [
            [1e-12],
            np.linspace(0.025, 0.1, 4),
            np.linspace(0.15, 0.9, 16),
            [0.925, 0.95, 0.97, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99995, 0.99999, 1],
        ]
    )
    energies = np.geomspace(1e-3, 1e4, 57)

    def loss(kinetic: float, spectrum: NDArray) -> float:
        return float(np.trapezoid(spectrum, x)) * kinetic / (kinetic + ELECTRON_MEV) / (ALPHA * RE2_MB)

    at50 = loss(50.0, bremsstrahlung_mb(z, 50.0, x))
    rows = []
    for kinetic in energies:
        spectrum = bremsstrahlung_mb(z, kinetic, x) if kinetic > 2 else 1 - 0.75 * x
        if kinetic < 50:
            goal = np.interp(np.log(kinetic), np.log([1e-3, 0.1, 1, 10, 50]), [5.5, 5.8, 7.3, 0.9 * at50, at50])
            spectrum = spectrum * goal / loss(kinetic, spectrum)
        rows.append(spectrum * (1 - (ELECTRON_MEV / (kinetic + ELECTRON_MEV)) ** 2))
    table = np.array(rows)
    table[:, -1] /= 2
    lines = ["1 32 57", " ".join(f"{v:.6g}" for v in x), " ".join(f"{v:.8g}" for v in np.log(energies))]
    return "\n".join(lines + [" ".join(f"{v:.6g}" for v in row) for row in table]) + "\n"


# ------------------------------------------------------------------------------------------------------ photoelectric
def photoelectric_tables(z: int) -> dict[str, str]:
    """σ = (a0 + a1/E + a2/E²)/E [barn, MeV], set to XCOM's values in lead at 0.1, 1 and 10 MeV and scaled with Z⁵
    (Z^3.95 for the soft term); no shells, no edges."""
    scale = z / 82
    a0, a1, a2 = 2.646 * scale**5, 1.978 * scale**5, 1.576 * scale**3.95
    energy = np.geomspace(1e-3, 1e5, 81)
    cubic = (a0 + a1 / energy + a2 / energy**2) * energy**2
    curve = f"{energy[0]:.8g} {energy[-1]:.8g} 81\n81\n"
    curve += "".join(f"{e:.8g} {v:.6g}\n" for e, v in zip(energy, cubic, strict=True))
    fit = f"1 1 0.001\n0.001 {a0:.6g} {a1:.6g} {a2:.6g} 0 0 0\n"
    files = {"cs": curve, "high": fit, "low": fit, "le-cs": curve, "ss-cs": ""}
    return {
        f"G4EMLOW/{folder}/pe-{name}-{z}.dat": text
        for folder in ("epics2017/phot", "livermore/phot_epics2014")
        for name, text in files.items()
    }


# ------------------------------------------------------------------------------------------------------------ nuclei
Curve = Callable[[NDArray], NDArray]


def neutron_inelastic_mb(z: int, a: float) -> Curve:
    """43.35 A^0.691 mb at high energy (fits the PDG's nuclear interaction lengths), 32 mb on hydrogen, with a
    threshold and a bump of 25 % at 14 MeV; argument in MeV."""
    plateau = 32.0 if z == 1 else 43.35 * a**0.691
    threshold = 280.0 if z == 1 else 0.15 if a > 100 else 1.0 if a > 40 else 3.0

    def curve(e: NDArray) -> NDArray:
        rise = np.clip(np.log(e / threshold) / np.log(6.0), 0, 1)
        bump = 0.25 * np.exp(-((np.log(e / 14.0) / 1.2) ** 2)) if z > 1 else 0.0
        return plateau * rise * (1 + bump)

    return curve


def neutron_elastic_mb(z: int, a: float) -> Curve:
    """15.2 A^0.833 mb at high energy (PDG's collision less interaction length), 7 mb on hydrogen, rising to potential
    scattering of 4000 + 20 A mb (20 barn on hydrogen) below an MeV; argument in MeV."""
    plateau = 7.0 if z == 1 else 15.2 * a**0.833
    slow = 20e3 if z == 1 else 4000 + 20 * a
    knee = 1.0 if z == 1 else 3.0
    return lambda e: plateau * (1 + (slow / plateau - 1) / (1 + (e / knee) ** 1.2))


def photonuclear_mb(z: int, a: float) -> Curve:
    """Giant dipole resonance (Lorentzian of 5 MeV at 31.2 A^-1/3 + 20.6 A^-1/6 MeV carrying 1.2 × the TRK sum rule of
    60 N Z/A MeV mb) and quasi-deuteron bump, below the pion threshold; argument in MeV."""
    centre, width = 31.2 * a ** (-1 / 3) + 20.6 * a ** (-1 / 6), 5.0
    strength = 60 * max(a - z, 0.3) * z / a * 1.2

    def curve(e: NDArray) -> NDArray:
        lorentz = (e * width) ** 2 / ((e**2 - centre**2) ** 2 + (e * width) ** 2)
        dipole = strength * 2 / np.pi / width * lorentz * (e > 7)
        pairs = 0.07 * a * np.exp(-(((e - 60) / 40) ** 2)) if z > 1 else 0.0
        return dipole + pairs

    return curve


def _vector(low: float, high: float, n: int, curve_mb: Curve) -> str:
    """A Geant4 physics vector: logarithmic energies [MeV] and cross sections [mm²]."""
    energy = np.geomspace(low, high, n)
    lines = [f"{low:.10g} {high:.10g} {n}", str(n)]
    lines += [f"{e:.10g} {v:.6g}" for e, v in zip(energy, curve_mb(energy) * 1e-25, strict=True)]
    return "\n".join(lines) + "\n"

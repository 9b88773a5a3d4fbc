"""Detector facts of ALICE's Zero Degree Calorimeters: geometry, read-out conventions, particles, kinematics.

Arrays are numpy; axis 0 of an image is x, axis 1 is y. Sources: SPEC §3 and §4 with the papers named there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.schema import CONDITIONS, Convention, DetectorInfo, ParticleInfo, WrongInput
from engine.schema.runs import BEAM_GEV

ENERGY, VX, VY, VZ, PX, PY, PZ, MASS, CHARGE = range(9)


@dataclass(frozen=True)
class Detector:
    """A fibre calorimeter read at its back: `shape` fibres (x, y) at `pitch_cm`, its face at |z| = `z_cm`."""

    name: str
    title: str
    shape: tuple[int, int]
    pitch_cm: float
    z_cm: float
    half_cm: tuple[float, float]


FACE_CM = 11_260.0
ZN = Detector("zn", "ZN, neutron calorimeter", (44, 44), 0.16, FACE_CM, (3.52, 3.52))
ZP = Detector("zp", "ZP, proton calorimeter", (56, 30), 0.4, FACE_CM, (11.2, 6.0))
DETECTORS = {d.name: d for d in (ZN, ZP)}

CONVENTIONS = {
    "paper": "fibres with odd i+j to the common photomultiplier (channel 5), even ones to the tower of their "
    "quadrant; Deja, Dubiński, Wojnar, CorrVAE",
    "moe": "fibres with even i+j to the common photomultiplier (channel 5), towers counted from high x; Będkowski, ZP",
    "o2": "fibres with even x+y to the common photomultiplier, listed first; ZN towers by quadrant with x fastest, "
    "ZP towers as four slabs along x; AliceO2 hits",
    "o2-debug": "as `paper`: odd fibres common, at index 4; AliceO2 debug output",
}


@cache
def channel_index(detector: str, convention: str) -> NDArray[np.int64]:
    """The channel 0–4 of each fibre, shape (H, W). Raises `WrongInput` for an unknown name."""
    if detector not in DETECTORS:
        raise WrongInput(f"unknown detector {detector!r}: choose one of {', '.join(DETECTORS)}")
    if convention not in CONVENTIONS:
        raise WrongInput(f"unknown read-out convention {convention!r}: choose one of {', '.join(CONVENTIONS)}")
    nx, ny = DETECTORS[detector].shape
    x, y = np.indices((nx, ny))
    odd = (x + y) % 2 == 1
    right, top = x >= nx // 2, y >= ny // 2
    if convention == "moe":
        index = np.where(odd, 2 * ~right + top, 4)
    elif convention == "o2":
        tower = 1 + right + 2 * top if detector == "zn" else 1 + 4 * x // nx
        index = np.where(odd, tower, 0)
    else:
        index = np.where(odd, 4, 2 * right + top)
    index.setflags(write=False)
    return index


@cache
def neighbours(detector: str, convention: str) -> list[tuple[int, int]]:
    """Pairs of channels that lie side by side: a fibre of the one is within two, along a row or a column, of a fibre
    of the other. So towers that share an edge are neighbours, and the common channel is everybody's."""
    index = channel_index(detector, convention)
    found: set[tuple[int, int]] = set()
    for step in (1, 2):
        for one, other in ((index[step:], index[:-step]), (index[:, step:], index[:, :-step])):
            pairs = np.sort(np.stack([one[one != other], other[one != other]]), axis=0)
            found |= {(int(a), int(b)) for a, b in np.unique(pairs, axis=1).T}
    return sorted(found)


def channels(showers: ArrayLike, detector: str, convention: str = "paper") -> NDArray[np.float64]:
    """Sums of photons per read-out channel (SPEC §4): images `(N, H, W)` [photons] to `(N, 5)` [photons]."""
    images = np.asarray(showers)
    index = channel_index(detector, convention)
    if images.shape[1:] != index.shape:
        raise WrongInput(f"images of shape {images.shape[1:]} do not fit {detector} with its {index.shape} fibres")
    membership = np.eye(5, dtype=np.float32)[index.ravel()]
    flat = images.reshape(len(images), index.size)
    sums = np.empty((len(images), 5))
    # float32 holds whole photon counts exactly below 2^24; blocks keep the converted copy small
    for start in range(0, len(images), 4096):
        sums[start : start + 4096] = flat[start : start + 4096].astype(np.float32) @ membership
    return sums


def impact_cm(conditions: ArrayLike, z_cm: float = ZN.z_cm) -> NDArray[np.float64]:
    """Where the straight line from the vertex meets the face: `(N, 9)` conditions to `(N, 2)` x, y [cm].

    Valid for neutral primaries, which no magnet bends. A particle with pz = 0 never arrives: NaN.
    """
    c = np.asarray(conditions, dtype=np.float64)
    pz = c[:, PZ]
    with np.errstate(divide="ignore", invalid="ignore"):
        path = np.where(pz == 0, np.nan, (z_cm - np.sign(pz) * c[:, VZ]) / np.abs(pz))
    return np.stack([c[:, VX] + c[:, PX] * path, c[:, VY] + c[:, PY] * path], axis=1)


def check_conditions(conditions: ArrayLike) -> NDArray[np.float64]:
    """Condition rows as float64 `(N, 9)`, or `WrongInput` naming the first row and column outside physics."""
    try:
        c = np.atleast_2d(np.asarray(conditions, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise WrongInput(f"conditions must be numbers, nine a row ({', '.join(CONDITIONS)}): {error}") from error
    if c.ndim != 2 or c.shape[1] != len(CONDITIONS):
        raise WrongInput(f"conditions have shape {c.shape}: nine columns are needed ({', '.join(CONDITIONS)})")
    if len(c) == 0:
        raise WrongInput("no condition rows: give at least one particle")
    bad = np.argwhere(~np.isfinite(c))
    if len(bad):
        row, column = bad[0]
        raise WrongInput(f"row {row + 1}, {CONDITIONS[column]} is {c[row, column]}: give a finite number")
    energy, mass = c[:, ENERGY], c[:, MASS] / 1000
    with np.errstate(over="ignore", invalid="ignore"):  # absurd numbers are refused in words
        momentum = np.linalg.norm(c[:, PX : PZ + 1], axis=1)
        off_shell = ~(np.abs(energy**2 - mass**2 - momentum**2) <= 0.02 * energy**2 + 1e-3)
    for wrong, say in (
        (c[:, MASS] < 0, "the mass {mass:g} GeV is negative: give it in MeV, at least 0"),
        ((energy <= 0) | (energy < mass), "energy {energy:g} GeV is below the mass {mass:g} GeV: raise the energy"),
        (energy > BEAM_GEV, f"energy {{energy:g}} GeV is above the beam's {BEAM_GEV:g} GeV: lower it"),
        (
            np.abs(c[:, PZ]) <= 1e-6 * momentum,
            "Pz is 0, or nearly so, and the particle never reaches the calorimeter: give it a longitudinal momentum",
        ),
        (
            (np.abs(c[:, VX : VZ + 1]) >= FACE_CM).any(axis=1),
            f"the vertex lies further out than the calorimeter at {FACE_CM:g} cm: give it in cm",
        ),
        (np.abs(c[:, CHARGE]) > 100, "the charge is no particle's: give it in units of e"),
        # tables print four digits, hence the generous tolerance
        (
            off_shell,
            "energy {energy:g} GeV, momentum {momentum:g} GeV and mass {mass:g} GeV are off shell: "
            "E² = p² + m² must hold within 2 %",
        ),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            text = say.format(energy=energy[row], mass=mass[row], momentum=momentum[row])
            raise WrongInput(f"row {row + 1}: {text}")
    return c


ENERGIES_GEV = (0.0, 100.0, 250.0, 600.0, np.inf)
"""Ranges that results are broken down by."""


def energy_ranges(energy: NDArray) -> Iterator[tuple[str, float, float, NDArray[np.bool_]]]:
    """Title, ends [GeV] and members (N,) of each range, for energies (N,) [GeV]; the last is open."""
    for low, high in zip(ENERGIES_GEV, ENERGIES_GEV[1:], strict=False):
        title = f"{low:g}–{high:g} GeV" if np.isfinite(high) else f"> {low:g} GeV"
        yield title, low, high, (energy >= low) & (energy < high)


def symbol(pdg: int) -> str:
    """How a species is written in tables; 0 is one that the data do not tell."""
    return particle(pdg).symbol if pdg else "unknown"


@cache
def particle(pdg: int) -> ParticleInfo:
    """Name, mass [MeV] and charge [e] of a PDG id, from the Particle package. Raises `WrongInput` if unknown."""
    from particle import InvalidParticle, ParticleNotFound
    from particle import Particle as PDGParticle  # a second of import that few processes need

    try:
        found = PDGParticle.from_pdgid(pdg)
    except (ParticleNotFound, InvalidParticle, ValueError, OverflowError) as error:
        raise WrongInput(f"PDG id {pdg} is no particle: 2112 is a neutron, 22 a photon") from error
    words = {
        2112: ("neutron", "n"), -2112: ("antineutron", "n̄"), 22: ("photon", "γ"), 130: ("K0 long", "K⁰L"),
        2212: ("proton", "p"), 3122: ("Lambda", "Λ"), -3122: ("antilambda", "Λ̄"),
    }  # fmt: skip
    name, symbol = words.get(pdg, (found.name, found.name))
    return ParticleInfo(
        pdg=pdg, name=name, symbol=symbol, mass_mev=float(found.mass or 0.0), charge_e=float(found.charge or 0.0)
    )


def info(detector: Detector) -> DetectorInfo:
    """What the app shows of a detector, its read-out conventions drawn fibre by fibre."""
    return DetectorInfo(
        name=detector.name,
        title=detector.title,
        shape=detector.shape,
        pitch_mm=detector.pitch_cm * 10,
        z_cm=detector.z_cm,
        conventions=[
            Convention(name=name, help=text, channel=channel_index(detector.name, name).tolist())
            for name, text in CONVENTIONS.items()
        ],
    )

"""Particles worth looking at first, each with the reason why."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app import state
from engine.schema import Catalogue, DatasetInfo, DetectorInfo, Particle, WrongInput

SPECTATOR_GEV = 2510.0
NUCLEONS = (2112, 2212)
SMOKE = Particle(pdg=22, energy_gev=513.318, side=-1)
"""Of the test that AliceO2's fast simulation runs."""


@dataclass(frozen=True)
class Preset:
    name: str
    why: str
    particle: Particle


def aimed(
    particle: Particle, x_mm: float, y_mm: float, detector: DetectorInfo, mass_mev: float
) -> Particle:  # fmt: skip
    """The particle with the transverse momentum that leads it from its vertex to a point of the face.

    Raises `WrongInput` where its energy does not carry its mass.
    """
    square = particle.energy_gev**2 - (mass_mev / 1000) ** 2
    if square <= 0:
        raise WrongInput(f"energy {particle.energy_gev:g} GeV is not above the mass of PDG {particle.pdg}: raise it")
    path = detector.z_cm - particle.side * particle.vz_cm
    tx, ty = (x_mm / 10 - particle.vx_cm) / path, (y_mm / 10 - particle.vy_cm) / path
    along = math.sqrt(square) / math.sqrt(1 + tx**2 + ty**2)
    update = {"px_gev": round(along * tx, 6), "py_gev": round(along * ty, 6)}
    return particle.model_copy(update=update)


def presets(dataset: DatasetInfo, detector: DetectorInfo, book: Catalogue) -> list[Preset]:
    """For the species and the face that a model was trained on."""
    first = 2112 if 2112 in dataset.pdg or not dataset.pdg else dataset.pdg[0]
    kind = state.particle_named(first, book)
    half_x, half_y = (n * detector.pitch_mm / 2 for n in detector.shape)
    top = next((c.maximum for c in dataset.conditions if c.name == "Energy"), 1000.0)
    spectator = Particle(pdg=first, energy_gev=min(SPECTATOR_GEV, top))

    def hit(energy_gev: float, x_mm: float, y_mm: float) -> Particle:
        return aimed(Particle(pdg=first, energy_gev=energy_gev), x_mm, y_mm, detector, kind.mass_mev)

    direct = Preset(
        f"Direct {kind.name} hit",
        f"{spectator.energy_gev:,.0f} GeV on the axis: a spectator of a lead nucleus at √s_NN = 5.02 TeV carries half "
        "of that.",
        spectator,
    )
    made = [
        *([direct] if first in NUCLEONS else []),
        Preset(
            "γ from π⁰",
            "50 GeV: half of a π⁰ of 100 GeV. Its two photons part by at least 2 m/E = 2.7 mrad, 304 mm at the face, "
            "so that never both hit.",
            Particle(pdg=22, energy_gev=50.0),
        ),
        Preset(
            "Grazing",
            f"500 GeV, one millimetre inside the face's edge (x = {half_x - 1:g} mm): a part of the light is lost.",
            hit(500.0, half_x - 1, 0.2 * half_y),
        ),
        Preset(
            "Miss",
            f"500 GeV at x = {1.2 * half_x:.1f} mm, beside the face, which ends at {half_x:g} mm. Training holds few "
            "such particles or none.",
            hit(500.0, 1.2 * half_x, 0.0),
        ),
        Preset("Smoke particle", "γ of 513.318 GeV towards z < 0: AliceO2 tests its fast simulation with it.", SMOKE),
        Preset(
            "Beyond training",
            f"{1.5 * top:,.0f} GeV, where training ends at {top:,.0f}: see how the model extrapolates.",
            Particle(pdg=first, energy_gev=float(f"{1.5 * top:.3g}")),
        ),
    ]
    return [preset for preset in made if preset.particle.pdg in {p.pdg for p in book.particles}]

"""From a primary's conditions to particles on the calorimeter's face: straight tracks, the separation dipole's bend in
front of ZP, and Λ that decay on the way.

Collimators, beam pipe and the field's edges are not simulated. Decays of K⁰L and π± (below 4 % above 100 GeV) neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from engine import zdc
from engine.schema import WrongInput
from engine.showers.parameters import Parameters
from engine.showers.species import CHARGE, LAMBDA, LAMBDA_GEV, MASS_GEV, PI0_GEV, SPECIES


@dataclass(frozen=True)
class Arrivals:
    """M particles at the face. event: (M,) row of the primary. pdg: (M,). energy: (M,) total [GeV].
    position, slope: (M, 2) on the face [cm] and per cm of depth."""

    event: Tensor
    pdg: Tensor
    energy: Tensor
    position: Tensor
    slope: Tensor


def arrive(conditions: Tensor, pdg: Tensor, detector: zdc.Detector, p: Parameters, rng: Generator) -> Arrivals:
    """Carry primaries (N, 9), (N,) to the face; a Λ that decays in flight arrives as its daughters.

    Raises `WrongInput` for a species that has no shower here.
    """
    unknown = set(pdg.unique().tolist()) - set(SPECIES)
    if unknown:
        raise WrongInput(f"zdc_fast has no showers of PDG {sorted(unknown)}: it knows {sorted(SPECIES)}")
    c = conditions.double()
    slope = c[:, zdc.PX : zdc.PY + 1] / c[:, zdc.PZ : zdc.PZ + 1].abs()
    start = c[:, zdc.VX : zdc.VY + 1]
    z = c[:, zdc.PZ].sign() * c[:, zdc.VZ]
    event = torch.arange(len(c))
    parts = [(event, pdg, c[:, zdc.ENERGY], start, slope, z)]
    if bool((pdg == LAMBDA).any()):
        parts = _decay_lambdas(*parts[0], z_face=detector.z_cm, p=p, rng=rng)
    event, pdg, energy, start, slope, z = (torch.cat(columns) for columns in zip(*parts, strict=True))
    mass, charge = _lookup(pdg, {**MASS_GEV, LAMBDA: LAMBDA_GEV}), _lookup(pdg, CHARGE)
    momentum = (energy.square() - mass.square()).clamp_min(1e-9).sqrt()
    position = start + slope * (detector.z_cm - z)[:, None]
    bent = p.bend_gev_rad * charge / momentum * (z < p.bend_z_cm)
    x = position[:, 0] + bent * (detector.z_cm - p.bend_z_cm) - p.centre_x_cm
    slope = torch.stack([slope[:, 0] + bent, slope[:, 1]], 1)
    position = torch.stack([x, position[:, 1]], 1)
    hits = (position.abs() < position.new_tensor(detector.half_cm)).all(1)
    return Arrivals(event[hits], pdg[hits], energy[hits].float(), position[hits].float(), slope[hits].float())


def _decay_lambdas(
    event: Tensor, pdg: Tensor, energy: Tensor, start: Tensor, slope: Tensor, z: Tensor, *, z_face: float,
    p: Parameters, rng: Generator,
) -> list[tuple[Tensor, ...]]:  # fmt: skip
    """Columns of survivors and of daughters: Λ → p π⁻ or n π⁰, π⁰ → γγ on the spot."""
    boost = (energy / LAMBDA_GEV).square().sub(1).clamp_min(0).sqrt()
    z_end = z + torch.empty_like(energy).exponential_(generator=rng) * boost * p.lambda_ctau_cm
    gone = (pdg == LAMBDA) & (z_end < z_face)
    charged = gone & (torch.rand(len(gone), generator=rng) < p.lambda_charged)
    parts = [tuple(column[~gone] for column in (event, pdg, energy, start, slope, z))]
    for chosen, nucleon, meson, meson_gev in (
        (charged, 2212, -211, MASS_GEV[211]),
        (gone & ~charged, 2112, 0, PI0_GEV),
    ):
        e, s, end = energy[chosen], slope[chosen], z_end[chosen]
        at = start[chosen] + s * (end - z[chosen])[:, None]
        for child, (child_e, child_s, forward) in zip(
            (nucleon, meson), two_body(e, LAMBDA_GEV, (MASS_GEV[nucleon], meson_gev), s, rng), strict=True
        ):
            legs = [(child, child_e, child_s, forward)]
            if child == 0:
                photons = two_body(child_e, PI0_GEV, (0.0, 0.0), child_s, rng)
                legs = [(22, photon_e, photon_s, forward & ahead) for photon_e, photon_s, ahead in photons]
            for code, leg_e, leg_s, ahead in legs:
                ids = torch.full_like(event[chosen][ahead], code)
                parts.append((event[chosen][ahead], ids, leg_e[ahead], at[ahead], leg_s[ahead], end[ahead]))
    return parts


def two_body(
    energy: Tensor, mass: float, daughters: tuple[float, float], slope: Tensor, rng: Generator
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Isotropic decay of parents with `energy` (N,) [GeV] along `slope` (N, 2): for either daughter its energy [GeV],
    slope and whether it flies forward. Slopes are small, so transverse momenta add to the parent's direction."""
    a, b = daughters
    energies = (mass**2 + a**2 - b**2) / (2 * mass), (mass**2 + b**2 - a**2) / (2 * mass)
    inside = math.sqrt(max(energies[0] ** 2 - a**2, 0.0))
    cosine = 2 * torch.rand(len(energy), generator=rng, dtype=energy.dtype) - 1
    angle = 2 * math.pi * torch.rand(len(energy), generator=rng, dtype=energy.dtype)
    gamma = energy / mass
    beta_gamma = gamma.square().sub(1).clamp_min(0).sqrt()
    across = inside * (1 - cosine.square()).sqrt()[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    made = []
    for sign, rest in zip((1, -1), energies, strict=True):
        along = sign * inside * cosine * gamma + rest * beta_gamma
        total = rest * gamma + sign * inside * cosine * beta_gamma
        forward = along > 0
        made.append((total, slope + sign * across / along.where(forward, torch.ones_like(along))[:, None], forward))
    return made


def _lookup(pdg: Tensor, values: dict[int, float]) -> Tensor:
    out = torch.zeros(len(pdg), dtype=torch.float64)
    for code, value in values.items():
        out[pdg == code] = value
    return out

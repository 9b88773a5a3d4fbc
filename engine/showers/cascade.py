"""Showers in a fibre calorimeter by a parametrised Monte Carlo: from particles at the face to photons per fibre.

Each particle makes an electromagnetic or a hadronic shower. A hadron's electromagnetic share sits in a few spots, one
for each energetic π⁰ cluster, its rest in a wide halo. Lateral profiles are sums of exponentials at the fibres'
centres; fibres run along the beam, so depth matters only through light leaking out of the back and through fibres that
a particle enters.

References: Grindhammer, Rudowicz, Peters, NIM A 290 (1990) 469 (parametrised showers with fluctuations);
Gabriel et al., NIM A 338 (1994) 336 (electromagnetic fraction); Acosta et al., NIM A 316 (1992) 184 (lateral profiles
in fibre calorimeters).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Generator, Tensor

from engine import zdc
from engine.showers.flight import Arrivals
from engine.showers.parameters import Parameters
from engine.showers.species import LAMBDA, LIGHT_MESONS, MASS_GEV

SPOTS = 8
"""Spots drawn of a hadronic shower; the last holds what is left."""
DEPTHS = 50
"""Steps along a hadron's path through the lattice."""


def rates(arrivals: Arrivals, primaries: int, detector: zdc.Detector, p: Parameters, rng: Generator) -> Tensor:
    """Expected photons per fibre (primaries, H, W), all arrivals of a primary added."""
    total = torch.zeros(primaries, *detector.shape)
    photon = arrivals.pdg == 22
    for chosen, shower in ((photon, _electromagnetic), (~photon, _hadronic)):
        if bool(chosen.any()):
            some = Arrivals(*(getattr(arrivals, f.name)[chosen] for f in fields(Arrivals)))
            total.index_add_(0, some.event, shower(some, detector, p, rng))
    return total


def count(expected: Tensor, p: Parameters, rng: Generator) -> Tensor:
    """Detected photons: a Poisson number of tracks crosses a fibre, each leaves a Poisson number of photons, so that
    the variance is 1 + `photons_per_track` times the mean, as in Geant4."""
    tracks = torch.poisson(expected / p.photons_per_track, generator=rng)
    hit = tracks.nonzero(as_tuple=True)
    tracks[hit] = torch.poisson(tracks[hit] * p.photons_per_track, generator=rng)
    return tracks


def in_fibre(position: Tensor, detector: zdc.Detector, p: Parameters) -> Tensor:
    """Whether points (..., 2) on the face lie inside a fibre with its cladding."""
    half = position.new_tensor(detector.half_cm)
    cell = (position + half) % detector.pitch_cm - detector.pitch_cm / 2
    return cell.square().sum(-1) < p.fibre_radius_cm**2


def _electromagnetic(a: Arrivals, detector: zdc.Detector, p: Parameters, rng: Generator) -> Tensor:
    size = len(a.energy)
    normal = torch.randn(9, size, generator=rng)
    softer = (100 / a.energy.clamp_min(1.0)) ** p.em_sigma_power
    light = a.energy * p.photons_per_gev * _log_normal(normal[0], p.em_light_sigma * softer)
    # a photon that enters a fibre runs along it and showers late, or only in part
    late = (p.em_fibre_light + p.em_fibre_sigma * normal[1]).clamp_min(0.02)
    light = torch.where(in_fibre(a.position, detector, p), light * late, light)
    light = light * _kept(a, detector, p.em_edge_loss, p.em_edge_cm * p.lateral_scale)
    scale = p.lateral_scale
    centre = a.position + p.em_axis_cm * scale * softer[:, None] * normal[2:4].T
    core = p.em_core_cm * scale * _log_normal(normal[4], p.em_width_sigma * softer)
    inner, tail, halo = _divide(light, (
        (1 - p.em_tail_share - p.em_halo_share, torch.ones(size)),
        (p.em_tail_share, _log_normal(normal[5], p.em_tail_sigma * softer)),
        (p.em_halo_share, _log_normal(normal[6], p.em_halo_sigma * softer)),
    ))  # fmt: skip
    # few soft photons and neutrons carry the light far out, so it is lopsided
    lopsided = a.position + p.em_tail_axis_cm * scale * softer[:, None] * normal[7:9].T
    out, lattice = torch.zeros(size, *detector.shape), Lattice(detector, p)
    middle = p.em_middle_share
    lattice.add(out, centre, [((1 - middle) * inner, core), (middle * inner, p.em_middle_cm * scale)])
    lattice.add(out, lopsided, [(tail, p.em_tail_cm * scale), (halo, p.em_halo_cm * scale)])
    return out


def _hadronic(a: Arrivals, detector: zdc.Detector, p: Parameters, rng: Generator) -> Tensor:
    size = len(a.energy)
    energy = _available(a)
    depth = interaction_depth(a, detector, p, rng)
    normal = torch.randn(7, size, generator=rng)
    relative = (energy.clamp_min(1.0) / 100).log()
    # a baryon keeps its number, so that no leading π⁰ takes its place
    scale_gev = torch.where(_is_meson(a), p.meson_scale_gev, p.baryon_scale_gev)
    mean = (1 - (energy / scale_gev).clamp_min(1.0) ** (p.hadron_power - 1)).clamp(0.02, 0.98)
    logit = (mean / (1 - mean)).log() + p.hadron_em_sigma * (p.hadron_em_sigma_power * relative).exp() * normal[0]
    em = logit.sigmoid()
    rest = (p.length_cm - depth).clamp_min(0.0)
    contained = torch.special.gammainc(torch.full_like(rest, p.depth_shape), rest / p.depth_cm)
    light = energy * p.photons_per_gev * contained * _log_normal(normal[1], p.hadron_light_sigma)
    light = light * _kept(a, detector, p.edge_loss, p.edge_cm * p.lateral_scale)
    # π⁰ of later generations lie in the halo
    wide = (math.log(p.halo_share / (1 - p.halo_share)) + p.halo_share_sigma * normal[6]).sigmoid()
    response = p.hadron_response * (p.hadron_response_power * relative).exp()
    halo = light * (response * (1 - em) + wide * em)
    spots = light * em * (1 - wide)
    lattice, scale = Lattice(detector, p), p.lateral_scale
    axis = a.position + a.slope * depth[:, None]
    out = torch.zeros(size, *detector.shape)
    # the leading secondaries' recoil moves the halo off the axis
    moved = p.halo_offset_cm * scale * (-p.halo_offset_power * relative).exp()[:, None] * normal[4:6].T
    moving = p.halo_sigma * (-p.halo_sigma_power * relative).exp()
    near, far = _divide(halo, (
        (1 - p.halo_far_share, _log_normal(normal[2], moving)),
        (p.halo_far_share, _log_normal(normal[3], moving)),
    ))  # fmt: skip
    near_cm = p.halo_near_cm * scale * (-p.halo_near_power * relative).exp()
    lattice.add(out, axis + p.halo_near_follow * moved, [(near, near_cm)])
    lattice.add(out, axis + moved, [(far, p.halo_far_cm * scale)])
    # stick-breaking: the larger `many`, the more evenly the light lies on the spots
    many = p.spot_many * (p.spot_many_power * relative).exp()
    left = torch.ones(size)
    for spot in range(SPOTS):
        u = torch.rand(4, size, generator=rng).clamp_min(1e-7)
        share = left * (1 - u[0] ** (1 / many)) if spot < SPOTS - 1 else left
        left = left - share
        # clusters of little energy fly off at wide angles
        reach = p.spot_offset_cm * scale * (share * em * energy / 10).clamp(1e-2, 1e3) ** -p.spot_offset_power
        radius = -(u[1] * u[2]).log() * reach
        angle = 2 * math.pi * u[3]
        centre = axis + radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        width = _log_normal(torch.randn(size, generator=rng), p.spot_width_sigma)
        width = width * (share * em * energy / 100).clamp(1e-2, 1e2) ** -p.spot_width_power
        part, tail = share * spots, p.spot_tail_share
        lattice.add(out, centre, [((1 - tail) * part, p.spot_core_cm * scale * width),
                                  (tail * part, p.spot_tail_cm * scale)])  # fmt: skip
    return out


def interaction_depth(a: Arrivals, detector: zdc.Detector, p: Parameters, rng: Generator) -> Tensor:
    """Depth of the first interaction (M,) [cm], along a straight path through absorber and fibres, whose quartz stops
    a hadron four times less; `length_cm` for those that cross the calorimeter untouched and leave no light."""
    step = p.length_cm / DEPTHS
    z = (torch.arange(DEPTHS) + 0.5) * step
    path = a.position[:, None] + a.slope[:, None] * z[None, :, None]
    quartz = in_fibre(path, detector, p)
    inverse = torch.where(quartz, 1 / p.quartz_length_cm, 1 / p.absorber_length_cm)
    crossed = (inverse * step).cumsum(1) / torch.where(_is_meson(a), p.meson_length, 1.0)[:, None]
    drawn = torch.empty(len(a.pdg), 1).exponential_(generator=rng)
    index = (crossed < drawn).sum(1)
    depth = (index + torch.rand(len(index), generator=rng)) * step
    return depth.where(index < DEPTHS, torch.full_like(depth, p.length_cm))


def _kept(a: Arrivals, detector: zdc.Detector, loss: float, length_cm: float) -> Tensor:
    """Share of the light that stays when what leaves through a side does not come back, beside what falls outside."""
    margin = (a.position.new_tensor(detector.half_cm) - a.position.abs()).amin(1)
    return 1 - loss * (-margin / length_cm).exp()


def _is_meson(a: Arrivals) -> Tensor:
    return (a.pdg[:, None] == torch.tensor(LIGHT_MESONS)).any(1)


def _available(a: Arrivals) -> Tensor:
    """Energy for the shower [GeV]: baryons keep their mass, antibaryons bring it twice."""
    extra = torch.zeros_like(a.energy)
    for code, mass in ((2112, -MASS_GEV[2112]), (2212, -MASS_GEV[2212]), (LAMBDA, -MASS_GEV[2212]),
                       (-2112, MASS_GEV[2112])):  # fmt: skip
        extra[a.pdg == code] = mass
    return (a.energy + extra).clamp_min(1e-3)


def _divide(light: Tensor, parts: Sequence[tuple[float, Tensor]]) -> list[Tensor]:
    """Light (M,) on parts, each (share, fluctuation (M,)): what one has more of, the others lack."""
    weights = [share * moved for share, moved in parts]
    total = torch.stack(weights).sum(0)
    return [light * weight / total for weight in weights]


def _log_normal(normal: Tensor, sigma: Tensor | float) -> Tensor:
    """Mean 1, relative width about `sigma`."""
    return (sigma * normal - sigma**2 / 2).exp()


class Lattice:
    """The fibres' centres, and exponentials evaluated there."""

    def __init__(self, detector: zdc.Detector, p: Parameters) -> None:
        self.x, self.y = ((torch.arange(n) - (n - 1) / 2) * detector.pitch_cm for n in detector.shape)
        self.cell = detector.pitch_cm**2

    def add(self, out: Tensor, centre: Tensor, parts: Sequence[tuple[Tensor, Tensor | float]]) -> None:
        """Add to `out` (M, H, W) for each part (light (M,), b) the density light · exp(−r/b) / (2πb²) · pitch² at the
        fibres: light is what an infinite lattice collects on average."""
        squares = (self.x - centre[:, :1]).square()[:, :, None], (self.y - centre[:, 1:]).square()[:, None, :]
        distance = (squares[0] + squares[1]).sqrt_()
        for light, b in parts:
            inverse = -1 / torch.as_tensor(b, dtype=torch.float32).reshape(-1, 1, 1)
            height = (light * self.cell / (2 * math.pi)).reshape(-1, 1, 1) * inverse.square()
            out.addcmul_(torch.exp_(distance * inverse), height)

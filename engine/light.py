"""Photons drawn from expected light."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn


def photons_per_track(showers: Tensor) -> Tensor:
    """Mean number k of photons that a particle leaves in a fibre it crosses, from showers (N, H, W) [photons].

    A lit fibre among eight dark ones was crossed by one particle: it holds n photons with probability ∝ kⁿ/n!, so
    k = 2 N₂ / N₁. 0, which is Poisson light, where fewer than 100 such fibres hold one photon.
    """
    once = twice = torch.zeros((), device=showers.device)
    for part in showers.split(4096):
        x = part.float()[:, None]
        alone = (9 * nn.functional.avg_pool2d(x, 3, 1, 1) - x).round() == 0
        once, twice = once + ((x == 1) & alone).sum(), twice + ((x == 2) & alone).sum()
    return torch.where(once >= 100, 2 * twice / once.clamp(min=1), torch.zeros_like(once))


def clumped(rate: Tensor, per_track: Tensor, rng: Generator) -> Tensor:
    """Photons of expected light: a Poisson number of tracks crosses a fibre, each leaves a Poisson number of photons
    (Neyman's type A), so that the variance is 1 + `per_track` times the mean; Poisson where `per_track` is 0."""
    if not float(per_track):
        return torch.poisson(rate, generator=rng)
    return torch.poisson(torch.poisson(rate / per_track, generator=rng) * per_track, generator=rng)

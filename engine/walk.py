"""A walk through a model's noise: the two directions in which its showers change most, and noise placed along them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from engine.models.base import Model

MOST_DIMENSIONS = 256
"""Noise of more is not searched: each dimension costs a shower a draw."""
SHOWERS = 1280
"""Decoded at most in the search."""
DRAWS = 16
STEP = 0.1
"""Of the finite differences, in standard deviations of the noise: a rectifier that switches within it is averaged."""
SEED = 2006


@dataclass(frozen=True)
class Directions:
    """Orthonormal rows (2, k) of noise space [standard deviations], and how they were found, in words. The second is
    0 where noise has one dimension only."""

    axes: Tensor
    how: str

    def coordinates(self, noise: Tensor) -> Tensor:
        """Where noise (N, k) stands along the two, (N, 2)."""
        return noise @ self.axes.T

    def placed(self, noise: Tensor, at: tuple[float, float]) -> Tensor:
        """Noise (N, k) with its coordinates along the two replaced by `at`."""
        wanted = torch.tensor(at, device=noise.device, dtype=noise.dtype)
        return noise + (wanted - self.coordinates(noise)) @ self.axes


def directions(model: Model, conditions: Tensor) -> Directions:
    """Those in which the expected examples of a model change most at one condition row (1, C): the first two right
    singular vectors of the Jacobian by noise, by finite differences at several draws, of the roots of photons, whose
    statistical errors are all alike, or of what networks see of other examples. Equal for equal weights."""
    k = model.noise_width
    like = conditions.new_zeros(())
    rng = Generator("cpu").manual_seed(SEED)
    if k > MOST_DIMENSIONS:
        drawn = torch.randn((k, 2), generator=rng, dtype=torch.float64)
        axes = torch.linalg.qr(drawn)[0].T
        return Directions(_signed(axes).to(like), f"two random directions of {k}, always the same: too many to search")
    draws = max(1, min(DRAWS, SHOWERS // (k + 1)))
    at = torch.randn((draws, 1, k), generator=rng).to(like)
    steps = torch.cat([torch.zeros(1, k), STEP * torch.eye(k)]).to(like)
    noise = (at + steps).reshape(-1, k)
    rows = conditions.expand(len(noise), -1)
    expected = model.decode(model.carry(noise, rows), rows)
    seen = expected.clamp(min=0).sqrt() if model.space.kind == "showers" else model.modality.view(expected)
    seen = seen.flatten(1).reshape(draws, k + 1, -1).double().nan_to_num()
    jacobian = (seen[:, 1:] - seen[:, :1]) / STEP
    # right singular vectors of all draws' Jacobians on top of each other
    gram = torch.einsum("din,djn->ij", jacobian, jacobian).cpu()
    axes = torch.linalg.eigh(gram)[1].flip(1).T[:2]
    if k == 1:
        axes = torch.cat([axes, torch.zeros(1, 1, dtype=axes.dtype)])
    example = {"showers": "shower", "images": "image", "points": "point"}[model.space.kind]
    words = f"the two of {k} in which the expected {example} changes most, at the median training conditions"
    return Directions(_signed(axes).to(like), words)


def _signed(axes: Tensor) -> Tensor:
    """Each with its largest component positive, so that the same weights have the same two."""
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return torch.where(largest < 0, -axes, axes)

"""The loss functions that models share: pure, differentiable, device and dtype of their inputs.

Equation numbers are those of K. Deja et al., End-to-end Sinkhorn Autoencoder with Noise Generator,
https://arxiv.org/abs/2006.06704. Images are (N, H, W), point clouds (N, d), all sums over a batch are means.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from geomloss import SamplesLoss
from torch import Tensor

EMPTY = 1e-6
"""Photons a fibre that no expectation falls below, so that the logarithm of an empty fibre is finite."""

BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)
"""Burt and Adelson's 5-tap smoothing kernel, over 16."""


# -------------------------------------------------------------------------------------------------- reconstruction
def _smooth(images: Tensor) -> Tensor:
    """Separable binomial smoothing of (N, 1, H, W); mirrored at the border, so that a constant stays constant."""
    taps = images.new_tensor(BINOMIAL) / 16
    padded = F.pad(images, (2, 2, 2, 2), mode="replicate")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 5, 1)), taps.view(1, 1, 1, 5))


def _enlarge(images: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False)


def laplacian_pyramid(images: Tensor, levels: int = 3) -> list[Tensor]:
    """Band-pass levels of (N, H, W) images, finest first; the last holds what is left. `collapse` adds them up.

    References: P. Burt and E. Adelson, The Laplacian pyramid as a compact image code, 1983.
    """
    current = images.unsqueeze(1)
    pyramid = []
    for _ in range(levels - 1):
        if min(current.shape[-2:]) < 4:  # nothing coarser is left to split off
            break
        coarse = _smooth(current)[..., ::2, ::2]
        pyramid.append((current - _enlarge(coarse, (current.shape[-2], current.shape[-1]))).squeeze(1))
        current = coarse
    return [*pyramid, current.squeeze(1)]


def collapse(pyramid: list[Tensor]) -> Tensor:
    """The images (N, H, W) of a Laplacian pyramid, exactly."""
    current = pyramid[-1].unsqueeze(1)
    for level in reversed(pyramid[:-1]):
        current = level.unsqueeze(1) + _enlarge(current, (level.shape[-2], level.shape[-1]))
    return current.squeeze(1)


def lap1(x: Tensor, y: Tensor, levels: int = 3) -> Tensor:
    """Eq. (1): Σ_j 2^{2j} |L^j(x) − L^j(y)|_1, mean over the batch and over the pixels of the image.

    The pyramid is linear, so that of the difference is enough."""
    pyramid = laplacian_pyramid(x - y, levels)
    total = sum((4.0**j * level.abs().sum() for j, level in enumerate(pyramid)), x.new_zeros(()))
    return total / x.numel()


def reconstruction(x: Tensor, y: Tensor, alpha: float = 0.0, levels: int = 3) -> Tensor:
    """Eq. (2): α·Lap1 + MSE, mean over pixels."""
    error = (x - y).square().mean()
    return error + alpha * lap1(x, y, levels) if alpha else error


def poisson_nll(photons: Tensor, rate: Tensor) -> Tensor:
    """−log p(photons | rate) of independent Poisson counts without its constant log(photons!), mean over pixels."""
    rate = rate + EMPTY
    return (rate - photons * rate.log()).mean()


def sum_penalty(seen: Tensor, expected: Tensor) -> Tensor:
    """4 (√expected − √seen)² of sums of photons (N, k), mean: 1 is as far off as photon statistics alone.

    The square root makes the error of bright and of dim sums alike, so that a shower without light stays dark."""
    return 4 * ((expected + EMPTY).sqrt() - seen.sqrt()).square().mean()


# ------------------------------------------------------------------------------------------------------- transport
def with_conditions(points: Tensor, conditions: Tensor, scale: float) -> Tensor:
    """Eq. (8): points ⌢ scale·conditions; the scale says how dear it is to carry light to another particle."""
    return torch.cat([points, scale * conditions], dim=1)


def sinkhorn_divergence(x: Tensor, y: Tensor, blur: float = 0.05, scaling: float = 0.5) -> Tensor:
    """Eqs. (3, 4): debiased entropic transport between two clouds of equal weights, cost ½‖x − y‖², ε = blur².

    `scaling` is the factor from one blur to the next on the way down: nearer to 1 is more exact and slower.
    Computed by GeomLoss, J. Feydy et al., https://arxiv.org/abs/1810.08278. NaN where a point is not finite.
    """
    both = torch.cat([x, y]).detach()
    low, high = both.amin(0), both.amax(0)
    reach = float((high - low).norm())
    if not math.isfinite(reach):
        return (x.sum() + y.sum()) * math.nan  # GeomLoss would raise: let the loop name the step
    # distances are expanded as x² + y² − 2xy, which loses digits far from the origin
    centre = (low + high) / 2
    # clouds in one point have no diameter, from which GeomLoss could not start its descent
    solve = SamplesLoss(
        "sinkhorn", p=2, blur=blur, scaling=scaling, diameter=max(reach, blur), debias=True, backend="tensorized"
    )
    return solve(x - centre, y - centre)


def energy_score(generated: Tensor, owner: Tensor, seen: Tensor, seen_owner: Tensor) -> Tensor:
    """E‖g − x‖ − ½ E‖g − g′‖ over the replicas of each primary, mean over primaries; lowest for the true
    distribution of replicas, and only for it.

    generated: (G, d) with primaries `owner` (G,); seen: (N, d) with `seen_owner` (N,). Pairs g, g′ are distinct
    draws; a primary with one draw only contributes its first term.

    References: T. Gneiting and A. Raftery, Strictly proper scoring rules, 2007, Eq. (22).
    """
    across = (owner[:, None] == seen_owner[None, :]).to(generated.dtype)
    among = (owner[:, None] == owner[None, :]).to(generated.dtype)
    draws = among.sum(1, keepdim=True)
    among = among - torch.eye(len(owner), dtype=among.dtype, device=among.device)
    # every primary weighs the same: each pair by one over the number of pairs of its primary
    first = torch.cdist(generated, seen) * across / (draws * across.sum(1, keepdim=True)).clamp(min=1)
    second = torch.cdist(generated, generated) * among / (draws * (draws - 1)).clamp(min=1)
    return (first.sum() - 0.5 * second.sum()) / len(torch.unique(owner))


# -------------------------------------------------------------------------------------------------- regularisation
def diversity(codes: Tensor, threshold: float = 0.0, scale: float = 1.0) -> Tensor:
    """Eqs. (5, 6): R_s = p Σ_{i≠j} m_ij cos(y_i, y_j)², m_ij = 1 where |cos(y_i, y_j)| ≥ τ, over the number of pairs,
    so that the weight does not depend on the batch; p is `scale`, τ `threshold`."""
    unit = F.normalize(codes, dim=1, eps=1e-12)
    cosine = unit @ unit.T
    apart = ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    kept = cosine.square() * (apart & (cosine.abs() >= threshold))
    return scale * kept.sum() / max(1, len(codes) * (len(codes) - 1))


def last_layer_l2(layer: torch.nn.Linear) -> Tensor:
    """Eq. (7): ‖θ‖² of the encoder's last layer."""
    return layer.weight.square().sum()

"""A solver of debiased entropic transport for two clouds of a batch's size, three times as fast as GeomLoss there.

The algorithm is GeomLoss's: symmetric Sinkhorn iterations with ε-scaling and one full iteration at the end, J. Feydy,
Geometric data analysis, beyond convolutions, 2020, Alg. 3.5. What differs is how it runs: the four softmins of a step
are one, buffers are used again, no exponential leaves the normal range of floats (which costs ten times as much), and
the gradient is the closed formula of its Eq. (3.226) instead of a graph.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

FAINT = -80.0
"""Exponent under which a share of a plan counts as e⁻⁸⁰: nothing beside the largest, which is 1."""


def divergence(x: Tensor, y: Tensor, blur: float, scaling: float, diameter: float) -> Tensor:
    """S_ε of Eqs. (3, 4) of arXiv:2006.06704 between clouds (N, d) of equal weights, cost ½‖x − y‖², ε = blur², on the
    way down from the `diameter` by the factor `scaling` in blur; differentiable in both clouds."""
    return _Divergence.apply(x, y, blur, scaling, diameter)  # pyright: ignore[reportReturnType]


def blurs(blur: float, scaling: float, diameter: float) -> list[float]:
    """The blur of each iteration: the diameter twice, then down to `blur`; those of GeomLoss's `epsilon_schedule`."""
    steps = max(0, math.ceil(math.log(blur / diameter) / math.log(scaling) - 1e-9))
    return [diameter, *(diameter * scaling**k for k in range(steps)), blur]


class _Divergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, y: Tensor, blur: float, scaling: float, diameter: float) -> Tensor:
        value, to_x, to_y = solve(x, y, blurs(blur, scaling, diameter))
        ctx.save_for_backward(to_x, to_y)
        return value

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        to_x, to_y = ctx.saved_tensors
        return grad * to_x, grad * to_y, None, None, None


def solve(x: Tensor, y: Tensor, descent: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """S_ε after the iterations of `descent`, and its gradients (N, d) with respect to x and y."""
    n = len(x)
    potential, shares, end = _iterate(x, y, descent)
    forth, back, own_x, own_y = potential.mean(1).unbind()
    # where the plans of each point lead to, on average
    toward = torch.bmm(shares, end)
    return forth - own_x + back - own_y, (toward[2] - toward[0]) / n, (toward[3] - toward[1]) / n


def by_point(x: Tensor, y: Tensor, descent: list[float]) -> tuple[Tensor, Tensor]:
    """What each point (N,) of x and of y adds to S_ε, which is the sum of the two means: the debiased potentials."""
    forth, back, own_x, own_y = _iterate(x, y, descent)[0].unbind()
    return forth - own_x, back - own_y


def _iterate(x: Tensor, y: Tensor, descent: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Of the problems x to y, y to x, x to x, y to y: potentials (4, N), plans (4, N, N) whose rows add up to 1, and
    the clouds (4, N, d) that they lead to."""
    n = len(x)
    clouds = torch.stack([x, y])
    start, end = clouds[[0, 1, 0, 1]], clouds[[1, 0, 0, 1]]
    half = 0.5 * clouds.square().sum(2)
    cost = torch.baddbmm(half[[0, 1, 0, 1]][:, :, None] + half[[1, 0, 0, 1]][:, None, :], start, end.mT, alpha=-1)
    cost.clamp_(min=0)
    cost[2:].diagonal(dim1=1, dim2=2).zero_()  # a point is at no distance of itself, which rounding would make one
    shares = torch.empty_like(cost)

    def softmin(epsilon: float, potential: Tensor) -> tuple[Tensor, Tensor]:
        """−ε log mean_j exp((potential_j − cost_ij)/ε), (4, N), and the sums (4, N, 1) of the `shares` behind it."""
        torch.mul(cost, -1 / epsilon, out=shares)
        shares.add_(potential[:, None, :] / epsilon)
        top = shares.amax(2, keepdim=True)
        total = shares.sub_(top).clamp_(min=FAINT).exp_().sum(2, keepdim=True)
        return -epsilon * (top + total.log() - math.log(n)).squeeze(2), total

    swap = torch.tensor([1, 0, 2, 3], device=x.device)  # x's potential comes of y's, and the other way round
    potential, _ = softmin(descent[0] ** 2, cost.new_zeros(4, n))
    for blur in descent:
        potential = 0.5 * (potential + softmin(blur**2, potential[swap])[0])
    potential, total = softmin(descent[-1] ** 2, potential[swap])
    return potential, shares.div_(total), end

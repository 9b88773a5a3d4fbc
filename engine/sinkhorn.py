"""A solver of debiased entropic transport for clouds of a batch's size, several times as fast as GeomLoss there.

The algorithm is GeomLoss's: symmetric Sinkhorn iterations with ε-scaling and one full iteration at the end, J. Feydy,
Geometric data analysis, beyond convolutions, 2020, Alg. 3.5. What differs is how it runs. Nearly all of its time goes
into exponentials, which are powers of two here, the fastest that processors have, and fewer on a CPU:

- the plan exp((f_i + g_j − C_ij)/ε) holds both softmins of x and y, one in its rows and one in its columns;
- the plan of a cloud with itself is symmetric, so half of it is enough;
- none leaves the normal range of floats, which would cost ten times as much;

and what they are of stays in the processor's cache, tile by tile. On a GPU they are computed and summed in one kernel
(`engine/fused.py`). The gradient is the closed formula of its Eq. (3.226) instead of a graph.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

LN2 = math.log(2)
FAINT, BRIGHT = -115.0, 72.0
"""Powers of two of the least share of a plan that is told from none, and of the largest: floats go up to 127, but the
larger an exponent, the fewer of its digits stand behind the point."""
SOUND = 1e-25
"""A row that sums to less may hold shares that were raised to 2⁻¹¹⁵."""
TILE = 1 << 17
"""Numbers worked on at once by a CPU: what its second cache holds beside the costs."""
LAUNCH = 1 << 22
"""Numbers up to which a GPU computes in about the time that a call takes."""

Pair = tuple[Tensor, Tensor]
Tile = tuple[slice, slice, slice]


class Problem(NamedTuple):
    """A batch of transport problems from clouds `start` (B, n, d) to clouds `end` (B, m, d), of equal weights. What is
    known of the points of both stands side by side, (B, n + m), or once, (B, n), where both clouds are one.

    cost: (B, n, m), of which a plan is needed on the `tiles`. potential: f of the start, then g of the end, doubles.
    share: the logarithm of what a point of the other side weighs, doubles. closed: 0, or −∞ where a row only fills up
    the batch; None where none does. apart: whether rows and columns of one plan have differed by more than floats do.
    """

    start: Tensor
    end: Tensor
    cost: Tensor
    tiles: list[Tile]
    potential: Tensor
    share: Tensor
    closed: Tensor | None
    apart: bool = False

    @property
    def own(self) -> bool:
        """Whether both clouds are one."""
        return self.start is self.end

    def sides(self, both: Tensor) -> Pair:
        """The parts of a tensor (B, n + m) that belong to start and end."""
        return (both, both) if self.own else (both[:, : self.start.shape[1]], both[:, self.start.shape[1] :])


def divergence(
    x: Tensor, y: Tensor, blur: float, scaling: float, diameter: float, sizes: Tensor | None = None
) -> Tensor:
    """S_ε of Eqs. (3, 4) of arXiv:2006.06704 between clouds (B, n, d) and (B, m, d) of equal weights, a number (B,) for
    each pair; cost ½‖x − y‖², ε = blur², on the way down from the `diameter` by the factor `scaling` in blur. sizes:
    (B,), of how many points both clouds of a pair are, where later rows only fill up the batch. Differentiable in both
    clouds."""
    return _Divergence.apply(x, y, sizes, blurs(blur, scaling, diameter))  # pyright: ignore[reportReturnType]


def blurs(blur: float, scaling: float, diameter: float) -> list[float]:
    """The blur of each iteration: the diameter twice, then down to `blur`; those of GeomLoss's `epsilon_schedule`."""
    steps = max(0, math.ceil(math.log(blur / diameter) / math.log(scaling) - 1e-9))
    return [diameter, *(diameter * scaling**k for k in range(steps)), blur]


class _Divergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, y: Tensor, sizes: Tensor | None, descent: list[float]) -> Tensor:
        (of_x, of_y), (to_x, to_y) = solve(x, y, descent, sizes)
        at_x, at_y = (weights(z, sizes) for z in (x, y))
        ctx.save_for_backward(at_x[..., None] * to_x, at_y[..., None] * to_y)
        return ((at_x * of_x).sum(1) + (at_y * of_y).sum(1)).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        to_x, to_y = ctx.saved_tensors
        return grad[:, None, None] * to_x, grad[:, None, None] * to_y, None, None


def box(x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    """Middle (…, 1, d) of the box about clouds (…, n, d) and (…, m, d), and its diagonal, the largest of a batch: no
    two points are farther apart."""
    both = torch.cat([x, y], dim=-2).detach()
    low, high = both.amin(-2, keepdim=True), both.amax(-2, keepdim=True)
    return (low + high) / 2, float((high - low).norm(dim=-1).max())


def by_point(x: Tensor, y: Tensor, descent: list[float]) -> Pair:
    """What each point (n,) of x and (m,) of y adds to S_ε, which is the sum of the two means."""
    (of_x, of_y), _ = solve(x[None], y[None], descent)
    return of_x[0], of_y[0]


def weights(clouds: Tensor, sizes: Tensor | None) -> Tensor:
    """Of the points (B, n) of clouds (B, n, d)."""
    batch, n, _ = clouds.shape
    if sizes is None:
        return clouds.new_full((batch, n), 1 / n)
    within = torch.arange(n, device=clouds.device) < sizes[:, None]
    return within.to(clouds.dtype) / sizes[:, None]


def solve(x: Tensor, y: Tensor, descent: list[float], sizes: Tensor | None = None) -> tuple[Pair, Pair]:
    """After the iterations of `descent`: the debiased potentials (B, n) and (B, m), what each point adds to S_ε for its
    weight; and the gradients of S_ε with respect to x and y, over the points' weights."""
    if together := x.shape == y.shape and x.shape[1] ** 2 <= (TILE if _tiled(x) else LAUNCH):
        # small clouds, where what a call costs is more than what it computes: x to y and each to itself as one batch
        sizes = sizes if sizes is None else sizes.repeat_interleave(3)
        start, end = (torch.stack(clouds, 1).flatten(0, 1) for clouds in ((x, x, y), (y, x, y)))
        problems = [_problem(start, end, sizes)]
        problems[0].cost.unflatten(0, (-1, 3))[:, 1:].diagonal(dim1=2, dim2=3).zero_()
    else:
        problems = [_problem(*pair, sizes) for pair in ((x, y), (x, x), (y, y))]
    if not _tiled(x) and x.dtype == torch.float32 and (fused := _fused()):
        for p in problems:
            p.potential.copy_(fused.descend(p.start, p.end, p.potential, p.share, p.closed, steps(descent)))
    else:
        problems = [_descended(p, descent) for p in problems]
    epsilon = descent[-1] ** 2
    ends = [_softmins(p, epsilon, epsilon, True) for p in problems]
    f, g = zip(*(p.sides(p.potential - epsilon * found) for p, found, _ in ends), strict=True)
    forth, back = zip(*(leads for _, _, leads in ends), strict=True)
    if together:
        f, g, forth, back = (kind[0].unflatten(0, (-1, 3)).unbind(1) for kind in (f, g, forth, back))
    # where potentials of a cloud with itself drift apart, by rounding, their mean stays
    potentials = f[0] - (f[1] + g[1]) / 2, g[0] - (f[2] + g[2]) / 2
    # a point is drawn to where the plan takes it on average, and away from where it takes it within its own cloud
    return potentials, (forth[1] - forth[0], forth[2] - back[0])


def steps(descent: list[float]) -> list[tuple[float, float]]:
    """ε of each iteration, and how far it goes: from no potential at all the whole way, then half way at each blur."""
    return [(descent[0] ** 2, 1.0), *((blur**2, 0.5) for blur in descent)]


def _descended(p: Problem, descent: list[float]) -> Problem:
    """After all iterations but the last one."""
    before = descent[0] ** 2
    for epsilon, part in steps(descent):
        p, found, _ = _softmins(p, epsilon, before, False)
        p.potential.add_(found, alpha=-part * epsilon)
        before = epsilon
    return p


def _problem(start: Tensor, end: Tensor, sizes: Tensor | None) -> Problem:
    own = start is end
    half = [0.5 * z.square().sum(2) for z in (start, end)]
    cost = torch.baddbmm(half[0][:, :, None] + half[1][:, None, :], start, end.mT, alpha=-1).clamp_(min=0)
    if own:  # a point is at no distance of itself, which rounding would make one
        cost.diagonal(dim1=1, dim2=2).zero_()
    at = [weights(z, sizes).double() for z in ((start,) if own else (start, end))]
    # what a point weighs is the same for all of its cloud; sums run over points of the other one
    share = torch.cat(
        [z.amax(1, keepdim=True).log().expand_as(other) for z, other in zip(at[::-1], at, strict=True)], 1
    )
    closed = None if sizes is None else torch.cat([z.log().clamp(max=0).masked_fill(z > 0, 0) for z in at], 1)
    extents = [max(cost.shape[1:])] * len(cost) if sizes is None else sizes.tolist()
    # what rounding does to a potential grows from one iteration to the next, so they are doubles: ε falls faster than
    # they settle
    return Problem(start, end, cost, list(_tiles(cost.shape, own, extents)), torch.zeros_like(share), share, closed)


Leads = tuple[Tensor, Tensor]
"""Where the rows and columns of a plan lead on average, (B, n, d) and (B, m, d); empty where that is not asked for."""


def _softmins(p: Problem, epsilon: float, before: float, leading: bool) -> tuple[Problem, Tensor, Leads]:
    """The logarithm (B, n + m) of what rows and columns of the plan exp((f_i + g_j − C_ij)/ε) sum to over weights,
    which times −ε is what a softmin changes in a potential; and where they lead. before: ε of the iteration from which
    the potentials come; leading: whether they are asked where they lead."""
    if _tiled(p.cost) and not p.apart:
        if found := _together(p, epsilon, before, leading):
            return p, *found
        p = p._replace(apart=True)
    shut = 0.0 if p.closed is None else p.closed
    level = (p.potential / (epsilon * LN2) + shut).to(p.cost.dtype)
    first, last = p.sides(level)
    rows, forth = _apart(p.cost, last, p.end if leading else None, epsilon)
    if p.own:
        return p, rows + p.share + p.potential / epsilon, (forth, forth)
    columns, back = _apart(p.cost.mT, first, p.start if leading else None, epsilon)
    return p, torch.cat([rows, columns], 1) + p.share + p.potential / epsilon, (forth, back)


def _together(p: Problem, epsilon: float, before: float, leading: bool) -> tuple[Tensor, Leads] | None:
    """Both from one plan, or None where its rows or columns differ by more than floats do."""
    most = max(p.cost.shape[1:])
    # each of the potentials that were averaged is a softmin of the other's, so no exponent is above this; each side
    # takes half of it
    lift = 0.5 * (BRIGHT - before / epsilon * math.log2(most))
    wanted = p.potential / (epsilon * LN2)
    level = wanted.add(lift).to(p.cost.dtype)
    # what rounding did to a point's own potential is no change of it; the other side's lift is no part of its own
    raised = (level - wanted).add_(lift)
    if p.closed is not None:
        level.add_(p.closed)
    first, last = p.sides(level)
    sums = torch.zeros_like(level)
    rows, columns = p.sides(sums)
    forth, back = (torch.zeros_like(z[..., : z.shape[2] * leading]) for z in (p.start, p.end))
    room = p.cost.new_empty(max(TILE, most))
    for b, i, j in p.tiles:
        part = p.cost[b, i, j]
        plan = torch.add(last[b, None, j], part, alpha=-1 / (epsilon * LN2), out=room[: part.numel()].view(part.shape))
        plan.add_(first[b, i, None]).clamp_(min=FAINT).exp2_()
        rows[b, i].add_(plan.sum(2))
        mirrored = not p.own or i != j
        if mirrored:
            columns[b, j].add_(plan.sum(1))
        if leading:
            forth[b, i].add_(plan @ p.end[b, j])
            if mirrored:
                (forth if p.own else back)[b, j].add_(plan.mT @ p.start[b, i])
    if p.closed is not None:
        sums.masked_fill_(p.closed != 0, 1.0)
    least, largest = sums.aminmax()
    if not SOUND < float(least) <= float(largest) < math.inf:
        return None
    if leading:
        forth, back = forth / rows[..., None], (forth if p.own else back) / columns[..., None]
    return sums.double().log_().add_(p.share).sub_(raised, alpha=LN2), (forth, back)


def _apart(cost: Tensor, level: Tensor, end: Tensor | None, epsilon: float) -> Pair:
    """The rows alone, (B, n), the largest exponent taken out of each, and where they lead. level: (B, m), the potential
    over ε ln 2."""
    found = cost.new_empty(cost.shape[:2], dtype=torch.float64)
    lead = cost.new_empty((*found.shape, 0 if end is None else end.shape[2]))
    tiles = _tiles(cost.shape, False, [max(cost.shape)] * len(cost))
    for b, i, j in tiles if _tiled(cost) else [(slice(None),) * 3]:
        plan = torch.add(level[b, None, j], cost[b, i, j], alpha=-1 / (epsilon * LN2))
        top = plan.amax(2, keepdim=True)
        plan.sub_(top).clamp_(min=FAINT).exp2_()
        sums = plan.sum(2)
        found[b, i] = sums.double().log() + LN2 * top[..., 0]
        if end is not None:
            lead[b, i] = (plan @ end[b, j]) / sums[..., None]
    return found, lead


def _tiled(z: Tensor) -> bool:
    """Whether what works on it has a cache that a tile fits."""
    return z.device.type == "cpu"


@cache
def _fused() -> ModuleType | None:
    """The iterations on a GPU, where there is Triton."""
    try:
        return importlib.import_module("engine.fused")
    except ImportError:
        return None


def _tiles(shape: torch.Size, own: bool, sizes: list[int]) -> Iterator[Tile]:
    """Parts of a batch of costs (B, n, m) that fit the cache, without most of what only fills up the batch; where both
    clouds are one, those on and above the diagonal. sizes: of how many points each problem is."""
    k = 0
    while k < len(sizes):
        n, m = (min(sizes[k], side) for side in shape[1:])
        together = max(1, TILE // (n * m))
        while max(sizes[k : k + together]) > sizes[k]:  # a larger one among them: up to it
            together -= 1
        b = slice(k, min(k + together, len(sizes)))
        if n * m <= TILE:
            yield b, slice(0, n), slice(0, m)
        elif own:
            sides = _parts(n, math.isqrt(TILE))
            yield from ((b, i, j) for k, i in enumerate(sides) for j in sides[k:])
        else:
            yield from ((b, i, slice(0, m)) for i in _parts(n, max(1, TILE // m)))
        k = b.stop


def _parts(n: int, size: int) -> list[slice]:
    return [slice(k, min(k + size, n)) for k in range(0, n, size)]

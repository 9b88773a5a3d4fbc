"""A solver of debiased entropic transport for clouds of a batch's size, several times as fast as GeomLoss there.

The algorithm is GeomLoss's: symmetric Sinkhorn iterations with ε-scaling and one full iteration at the end, J. Feydy,
Geometric data analysis, beyond convolutions, 2020, Alg. 3.5. What differs is how it runs. Nearly all of its time goes
into exponentials, of which there are fewer on a CPU:

- the plan exp((f_i + g_j − C_ij)/ε) holds both softmins of x and y, one in its rows and one in its columns;
- the plan of a cloud with itself is symmetric, so half of it is enough;
- none leaves the normal range of floats, which would cost ten times as much;

and what they are of stays in the processor's cache, tile by tile. The gradient is the closed formula of its
Eq. (3.226) instead of a graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

FAINT, BRIGHT = -80.0, 50.0
"""Exponents of the least share of a plan that is told from none, and of the largest: floats go up to 88, but the larger
an exponent, the fewer of its digits stand behind the point."""
SOUND = 1e-25
"""A row that sums to less may hold shares that were raised to e⁻⁸⁰."""
TILE = 1 << 17
"""Numbers worked on at once by a CPU: what its second cache holds beside the costs."""

Pair = tuple[Tensor, Tensor]


class Problem(NamedTuple):
    """A batch of transport problems from clouds `start` (B, n, d) to clouds `end` (B, m, d), of equal weights.

    cost: (B, n, m). f (B, n), g (B, m): potentials. first, last (B, n) and (B, m): weight of each point; 0 where a row
    only fills up the batch. full: whether none does. own: whether both clouds are one. apart: whether rows and columns
    of one plan have differed by more than floats do.
    """

    start: Tensor
    end: Tensor
    cost: Tensor
    f: Tensor
    g: Tensor
    first: Tensor
    last: Tensor
    full: bool
    own: bool
    apart: bool = False


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
    if together := x.shape == y.shape and x.shape[1] ** 2 <= TILE:
        # small clouds, where what a call costs is more than what it computes: x to y and each to itself as one batch
        sizes = sizes if sizes is None else sizes.repeat(3)
        problems = [_problem(torch.cat([x, x, y]), torch.cat([y, x, y]), sizes, False, len(x))]
    else:
        problems = [_problem(*pair, sizes, pair[0] is pair[1], 0) for pair in ((x, y), (x, x), (y, y))]
    before = descent[0]
    for k, blur in enumerate([descent[0], *descent]):
        change = -(blur**2) if k == 0 else -0.5 * blur**2  # from no potential at all, then half way
        for number, p in enumerate(problems):
            p, rows, columns = _softmins(p, blur**2, before**2, False)
            problems[number] = p._replace(f=p.f + change * rows[0], g=p.g + change * columns[0])
        before = blur
    ends = [(p, *_softmins(p, before**2, before**2, True)[1:]) for p in problems]
    f, g = (
        [p.f - before**2 * rows[0] for p, rows, _ in ends],
        [p.g - before**2 * columns[0] for p, _, columns in ends],
    )
    forth, back = [rows[1] for _, rows, _ in ends], [columns[1] for _, _, columns in ends]
    if together:
        f, g, forth, back = (kind[0].chunk(3) for kind in (f, g, forth, back))
    # where potentials of a cloud with itself drift apart, by rounding, their mean stays
    potentials = f[0] - (f[1] + g[1]) / 2, g[0] - (f[2] + g[2]) / 2
    # a point is drawn to where the plan takes it on average, and away from where it takes it within its own cloud
    return potentials, (forth[1] - forth[0], forth[2] - back[0])


def _problem(start: Tensor, end: Tensor, sizes: Tensor | None, own: bool, others: int) -> Problem:
    """others: of the batch so many are between different clouds, the rest of a cloud with itself; none where `own`."""
    half = [0.5 * z.square().sum(2) for z in (start, end)]
    cost = torch.baddbmm(half[0][:, :, None] + half[1][:, None, :], start, end.mT, alpha=-1).clamp_(min=0)
    if own or others:  # a point is at no distance of itself, which rounding would make one
        cost[others:].diagonal(dim1=1, dim2=2).zero_()
    # what rounding does to a potential grows from one iteration to the next: ε falls faster than they settle
    f, g = (torch.zeros_like(z, dtype=torch.float64) for z in half)
    return Problem(start, end, cost, f, g, weights(start, sizes), weights(end, sizes), sizes is None, own)


Said = tuple[Tensor, Tensor]
"""Of the rows or columns of a plan, (B, n): the logarithm of their sum over weights, which times −ε is what a softmin
changes in a potential; and where they lead on average (B, n, d), empty where that is not asked for."""


def _softmins(p: Problem, epsilon: float, before: float, leading: bool) -> tuple[Problem, Said, Said]:
    """What rows and columns of the plan exp((f_i + g_j − C_ij)/ε) say. before: ε of the iteration from which the
    potentials come; leading: whether they are asked where they lead."""
    if p.cost.device.type == "cpu" and not p.apart:
        if found := _together(p, epsilon, before, leading):
            return p, *found
        p = p._replace(apart=True)
    rows = _apart(p.cost, p.f, p.g, p.last, p.end if leading else None, epsilon)
    return p, rows, (
        rows if p.own else _apart(p.cost.mT, p.g, p.f, p.first, p.start if leading else None, epsilon)
    )  # fmt: skip


def _together(p: Problem, epsilon: float, before: float, leading: bool) -> tuple[Said, Said] | None:
    """Both from one plan, or None where its rows or columns differ by more than floats do."""
    most = max(p.cost.shape[1:])
    # each of the potentials that were averaged is a softmin of the other's, so no exponent is above this
    lift = BRIGHT - before / epsilon * math.log(most)
    f, g, kind = p.f / epsilon, p.g / epsilon, p.cost.dtype
    lifted, level = (f + lift).to(kind), g.to(kind)
    # what rounding did to a point's own potential is no change of it
    raised = lifted - f, lift + level - g
    if not p.full:
        lifted, level = lifted.where(p.first > 0, -math.inf), level.where(p.last > 0, -math.inf)
    rows, columns = torch.zeros_like(lifted), torch.zeros_like(level)
    forth, back = (torch.zeros_like(z[..., : z.shape[2] * leading]) for z in (p.start, p.end))
    room = p.cost.new_empty(max(TILE, most))
    for b, i, j in _tiles(p.cost.shape, p.own):
        part = p.cost[b, i, j]
        plan = torch.add(level[b, None, j], part, alpha=-1 / epsilon, out=room[: part.numel()].view(part.shape))
        plan.add_(lifted[b, i, None]).clamp_(min=FAINT).exp_()
        rows[b, i].add_(plan.sum(2))
        if not p.own:
            columns[b, j].add_(plan.sum(1))
        elif i != j:
            rows[b, j].add_(plan.sum(1))
        if leading:
            forth[b, i].add_(plan @ p.end[b, j])
            if not p.own:
                back[b, j].add_(plan.mT @ p.start[b, i])
            elif i != j:
                forth[b, j].add_(plan.mT @ p.start[b, i])
    sides = [(rows, forth, p.first, p.last, raised[0]), (columns, back, p.last, p.first, raised[1])]
    found: list[Said] = []
    for sums, lead, at, far, by in sides[: 2 - p.own]:
        if not p.full:
            sums.masked_fill_(at == 0, 1.0)
        if not SOUND < float(sums.min()) <= float(sums.max()) < math.inf:
            return None
        found.append(((sums.double() * far.amax(1, keepdim=True)).log() - by, lead / sums[..., None]))
    return found[0], found[-1]


def _apart(cost: Tensor, f: Tensor, g: Tensor, at: Tensor, end: Tensor | None, epsilon: float) -> Said:
    """The rows alone, the largest exponent taken out of each."""
    found, lead = torch.empty_like(f), cost.new_empty((*f.shape, 0 if end is None else end.shape[2]))
    level = (g / epsilon + at.log()).to(cost.dtype)
    for b, i, j in _tiles(cost.shape, False) if cost.device.type == "cpu" else [(slice(None),) * 3]:
        plan = torch.add(level[b, None, j], cost[b, i, j], alpha=-1 / epsilon)
        top = plan.amax(2, keepdim=True)
        plan.sub_(top).clamp_(min=FAINT).exp_()
        sums = plan.sum(2)
        found[b, i] = sums.double().log() + top[..., 0] + f[b, i] / epsilon
        if end is not None:
            lead[b, i] = (plan @ end[b, j]) / sums[..., None]
    return found, lead


def _tiles(shape: torch.Size, own: bool) -> Iterator[tuple[slice, slice, slice]]:
    """Parts of a batch of costs (B, n, m) that fit the cache; where both clouds are one, those on and above the
    diagonal."""
    (batch, n, m), whole = shape, slice(None)
    if n * m <= TILE:
        yield from ((b, whole, whole) for b in _parts(batch, TILE // (n * m)))
    elif own:
        sides = _parts(n, math.isqrt(TILE))
        yield from ((b, i, j) for b in _parts(batch, 1) for k, i in enumerate(sides) for j in sides[k:])
    else:
        yield from ((b, i, whole) for b in _parts(batch, 1) for i in _parts(n, max(1, TILE // m)))


def _parts(n: int, size: int) -> list[slice]:
    return [slice(k, min(k + size, n)) for k in range(0, n, size)]

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
TILE = 1 << 16
"""Numbers worked on at once by a CPU: what its second cache holds beside the costs."""

Pair = tuple[Tensor, Tensor]


class Problem(NamedTuple):
    """A batch of transport problems from clouds `start` (B, n, d) to clouds `end` (B, m, d).

    cost: (B, n, m). f (B, n), g (B, m): potentials. left (B, n, k), right (B, m, k): weights of the points, and in
    further columns the points times their weights. own: whether both clouds are one. light: weight of the lightest
    point. apart: whether rows and columns of one plan have differed by more than floats do.
    """

    start: Tensor
    end: Tensor
    cost: Tensor
    f: Tensor
    g: Tensor
    left: Tensor
    right: Tensor
    own: bool
    light: float
    apart: bool = False

    def leading(self) -> Problem:
        """To be asked also where its plan leads."""
        left, right = (torch.cat([w, w * z], 2) for w, z in ((self.left, self.start), (self.right, self.end)))
        return self._replace(left=left, right=right)


def divergence(
    x: Tensor, y: Tensor, blur: float, scaling: float, diameter: float, weights: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """S_ε of Eqs. (3, 4) of arXiv:2006.06704 between clouds (B, n, d) and (B, m, d), a number (B,) for each pair; cost
    ½‖x − y‖², ε = blur², on the way down from the `diameter` by the factor `scaling` in blur. weights: of the points,
    (B, n) and (B, m), summing to 1 in each cloud; None: equal ones. Differentiable in both clouds."""
    if weights is None:
        weights = x.new_full(x.shape[:2], 1 / x.shape[1]), y.new_full(y.shape[:2], 1 / y.shape[1])
    return _Divergence.apply(x, y, *weights, blurs(blur, scaling, diameter))  # pyright: ignore[reportReturnType]


def blurs(blur: float, scaling: float, diameter: float) -> list[float]:
    """The blur of each iteration: the diameter twice, then down to `blur`; those of GeomLoss's `epsilon_schedule`."""
    steps = max(0, math.ceil(math.log(blur / diameter) / math.log(scaling) - 1e-9))
    return [diameter, *(diameter * scaling**k for k in range(steps)), blur]


class _Divergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, y: Tensor, at_x: Tensor, at_y: Tensor, descent: list[float]) -> Tensor:
        (of_x, of_y), gradients = solve(x, y, at_x, at_y, descent)
        ctx.save_for_backward(*gradients)
        return ((at_x * of_x).sum(1) + (at_y * of_y).sum(1)).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        to_x, to_y = ctx.saved_tensors
        return grad[:, None, None] * to_x, grad[:, None, None] * to_y, None, None, None


def by_point(x: Tensor, y: Tensor, descent: list[float]) -> Pair:
    """What each point (n,) of x and (m,) of y adds to S_ε, which is the sum of the two means."""
    at_x, at_y = (z.new_full((1, len(z)), 1 / len(z)) for z in (x, y))
    (of_x, of_y), _ = solve(x[None], y[None], at_x, at_y, descent)
    return of_x[0], of_y[0]


def solve(x: Tensor, y: Tensor, at_x: Tensor, at_y: Tensor, descent: list[float]) -> tuple[Pair, Pair]:
    """After the iterations of `descent`: the debiased potentials (B, n) and (B, m), what each point adds to S_ε for its
    weight; and the gradients of S_ε with respect to x and y."""
    sides = (x, y, at_x, at_y), (x, x, at_x, at_x), (y, y, at_y, at_y)
    problems = [_problem(*side, own=side[0] is side[1]) for side in sides]
    together = x.shape == y.shape and x.shape[1] ** 2 <= TILE
    if together:  # small clouds: what a call costs is more than what it computes
        problems = [_stacked(problems)]
    before = descent[0]
    for k, blur in enumerate([descent[0], *descent]):
        change = -(blur**2) if k == 0 else -0.5 * blur**2  # from no potential at all, then half way
        for number, p in enumerate(problems):
            p, rows, columns = _softmins(p, blur**2, before**2)
            problems[number] = p._replace(f=p.f + change * rows[..., 0], g=p.g + change * columns[..., 0])
        before = blur
    ends = [(p, *_softmins(p.leading(), before**2, before**2)[1:]) for p in problems]
    f, g = ([p.f - before**2 * rows[..., 0] for p, rows, _ in ends], [p.g - before**2 * c[..., 0] for p, _, c in ends])
    forth, back = [rows[..., 1:] for _, rows, _ in ends], [columns[..., 1:] for _, _, columns in ends]
    if together:
        f, g, forth, back = (kind[0].chunk(3) for kind in (f, g, forth, back))
    # a point is drawn to where the plan takes it on average, and away from where it takes it within its own cloud
    to_x, to_y = at_x[..., None] * (forth[1] - forth[0]), at_y[..., None] * (forth[2] - back[0])
    # where potentials of a cloud with itself drift apart, by rounding, their mean stays
    return (f[0] - (f[1] + g[1]) / 2, g[0] - (f[2] + g[2]) / 2), (to_x.to(x.dtype), to_y.to(x.dtype))


def _problem(start: Tensor, end: Tensor, at_start: Tensor, at_end: Tensor, own: bool) -> Problem:
    half = [0.5 * z.square().sum(2) for z in (start, end)]
    cost = torch.baddbmm(half[0][:, :, None] + half[1][:, None, :], start, end.mT, alpha=-1).clamp_(min=0)
    if own:  # a point is at no distance of itself, which rounding would make one
        cost.diagonal(dim1=1, dim2=2).zero_()
    # what rounding does to a potential grows from one iteration to the next: ε falls faster than they settle
    f, g = (torch.zeros_like(w, dtype=torch.float64) for w in (at_start, at_end))
    light = min(float(w[w > 0].min()) for w in (at_start, at_end))
    return Problem(start, end, cost, f, g, at_start[..., None], at_end[..., None], own, light)


def _stacked(problems: list[Problem]) -> Problem:
    """Problems of one size as one batch."""
    tensors = zip(*((p.start, p.end, p.cost, p.f, p.g, p.left, p.right) for p in problems), strict=True)
    return Problem(*map(torch.cat, tensors), own=False, light=min(p.light for p in problems))


def _softmins(p: Problem, epsilon: float, before: float) -> tuple[Problem, Tensor, Tensor]:
    """Of the plan exp((f_i + g_j − C_ij)/ε), what its rows and its columns say, (B, n, k) and (B, m, k): first the
    logarithm of their sum over weights, which times −ε is what a softmin changes in a potential, then where they lead
    on average. before: ε of the iteration from which the potentials come."""
    if p.cost.device.type == "cpu" and not p.apart:
        if found := _together(p, epsilon, before):
            return p, *found
        p = p._replace(apart=True)
    rows = _apart(p.cost, p.f, p.g, p.right, epsilon)
    return p, rows, (rows if p.own else _apart(p.cost.mT, p.g, p.f, p.left, epsilon))


def _together(p: Problem, epsilon: float, before: float) -> Pair | None:
    """Both from one plan, or None where its rows or columns differ by more than floats do."""
    # each of the potentials that were averaged is a softmin of the other's, so no exponent is above this
    lift = BRIGHT + before / epsilon * math.log(p.light)
    f, g = p.f / epsilon, p.g / epsilon
    lifted, level = (f + lift).to(p.cost.dtype), g.to(p.cost.dtype)
    rows, columns = torch.zeros_like(p.left), torch.zeros_like(p.right)
    room = p.cost.new_empty(max(TILE, p.cost.shape[2]))
    for b, i, j in _tiles(p.cost.shape, p.own):
        part = p.cost[b, i, j]
        plan = torch.add(level[b, None, j], part, alpha=-1 / epsilon, out=room[: part.numel()].view(part.shape))
        plan.add_(lifted[b, i, None]).clamp_(min=FAINT).exp_()
        rows[b, i].add_(_over(plan, p.right[b, j]))
        if not p.own:
            columns[b, j].add_(_over(plan.mT, p.left[b, i]))
        elif i != j:
            rows[b, j].add_(_over(plan.mT, p.left[b, i]))
    found = [rows] if p.own else [rows, columns]
    if not all(SOUND < float(one[..., 0].min()) <= float(one[..., 0].max()) < math.inf for one in found):
        return None
    # what rounding did to a point's own potential is no change of it
    raised = lifted - f, lift + level - g
    found = [_said(z, -by[..., None]) for z, by in zip(found, raised, strict=False)]
    return found[0], found[-1]


def _over(plan: Tensor, points: Tensor) -> Tensor:
    """plan (B, n, m) times points (B, m, k)."""
    # matrices times one column each are slow as a batch
    return (plan * points.mT).sum(2, keepdim=True) if len(plan) > 1 and points.shape[2] == 1 else plan @ points


def _said(sums: Tensor, moved: Tensor) -> Tensor:
    """Logarithms of the first column, in double precision and moved, and the others in its units."""
    return torch.cat([sums[..., :1].double().log() + moved, sums[..., 1:] / sums[..., :1]], dim=2)


def _apart(cost: Tensor, f: Tensor, g: Tensor, right: Tensor, epsilon: float) -> Tensor:
    """The rows alone, the largest exponent taken out of each."""
    found = torch.empty((*f.shape, right.shape[2]), dtype=f.dtype, device=cost.device)
    for b, i, j in _tiles(cost.shape, False) if cost.device.type == "cpu" else [(slice(None),) * 3]:
        plan = torch.add((g / epsilon)[b, None, j].to(cost.dtype), cost[b, i, j], alpha=-1 / epsilon)
        top = plan.amax(2, keepdim=True)
        sums = _over(plan.sub_(top).clamp_(min=FAINT).exp_(), right[b, j])
        found[b, i] = _said(sums, top + f[b, i, None] / epsilon)
    return found


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

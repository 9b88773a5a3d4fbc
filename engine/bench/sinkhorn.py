"""Transport speed: our solver beside GeomLoss, on the same clouds in the same run, and beside its floor.

Clouds are normal, 16 wide as codes are, one shifted and narrower; blur and ε-scaling are the paper's. A figure is the
median ratio of neighbouring calls, with the quartiles, since a machine's speed changes from minute to minute. Both give
value and gradient. On a CPU all is measured on one thread in its own time, on a GPU in time of the wall.

The floor of a CPU is exponentials: those of the plans (N² between the clouds and half of that for each cloud with
itself, in every iteration), each at what one costs in the cache, measured in the same run.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from engine import losses, sinkhorn
from engine.bench import figures
from engine.bench.figures import figure
from engine.threads import one_thread

BLUR, SCALING, WIDTH, CLASSES = 0.05, 0.5, 16, 10
TARGETS = {"cpu": {"whole": 0.20, "classes": 0.03}, "cuda": {"whole": 0.33}}
"""Shares of GeomLoss's time to reach at N = 1000; on a GPU at 8000 too."""
SIZES = {"cpu": (100, 300, 1000, 3000), "cuda": (1000, 8000)}


def run(quick: bool = False) -> dict[str, Any]:
    """Ratios by number of points, whole clouds and class by class. `quick`: fewer repetitions."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with one_thread():
        found = [compared(n, device, of, 3 if quick else 15) for n in SIZES[device] for of in ("whole", "classes")]
    setting = {"blur": BLUR, "scaling": SCALING, "width": WIDTH, "classes": CLASSES, "threads": 1}
    return figures.record("sinkhorn", found, **setting)


def clouds(n: int, device: str, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Two clouds (n, 16) and the class (n,) of each row."""
    rng = torch.Generator().manual_seed(n)
    x, y = (torch.randn(n, WIDTH, generator=rng, dtype=torch.float64) for _ in range(2))
    classes = torch.randint(CLASSES, (n,), generator=rng)
    return (
        x.to(device, dtype).requires_grad_(),
        (0.8 * y + 0.3).to(device, dtype).requires_grad_(),
        classes.to(device),
    )


def compared(n: int, device: str, of: Literal["whole", "classes"], repetitions: int) -> dict[str, Any]:
    """Both solvers at n points: milliseconds, ratio with quartiles, and how far ours is from GeomLoss's in double
    precision, beside how far GeomLoss itself is. `classes`: the plan is known to carry nothing between classes, which
    GeomLoss is told by conditions beside the codes."""
    x, y, classes = clouds(n, device)

    def theirs(x: Tensor = x, y: Tensor = y) -> list[Tensor]:
        if of == "whole":
            return _answer(losses.sinkhorn_divergence(x, y, BLUR, SCALING, "geomloss"), x, y)
        beside = torch.nn.functional.one_hot(classes, CLASSES).to(x.dtype)
        far = [losses.with_conditions(z, beside, 10.0) for z in (x, y)]
        return _answer(losses.sinkhorn_divergence(far[0], far[1], BLUR, SCALING, "geomloss"), x, y)

    def ours() -> list[Tensor]:
        if of == "whole":
            return _answer(losses.sinkhorn_divergence(x, y, BLUR, SCALING), x, y)
        return _answer(losses.sinkhorn_by_class(x, y, classes, BLUR, SCALING), x, y)

    seconds = figures.pairs(ours, theirs, repetitions, figures.own_time if device == "cpu" else figures.wall)
    value, quartiles = figures.ratio(seconds)
    own, other = (figures.middle(column)[0] for column in zip(*seconds, strict=True))
    more: dict[str, Any] = {"points": n, "ms": 1000 * own, "geomloss_ms": 1000 * other}
    if of == "whole":
        exact = theirs(*(z.detach().double().requires_grad_() for z in (x, y)))
        more["value_error"], more["gradient_error"] = _apart(ours(), exact)
        more["geomloss_value_error"], more["geomloss_gradient_error"] = _apart(theirs(), exact)
    if of == "whole" and device == "cpu":
        times = len(sinkhorn.blurs(BLUR, SCALING, sinkhorn.box(x, y)[1])) + 2
        more["floor_ms"] = 1000 * 2 * n * n * times * exponential()
        more["share_of_floor"] = more["floor_ms"] / more["ms"]
    most = TARGETS[device].get(of) if n in (1000, 8000) else None
    what = "whole clouds" if of == "whole" else f"in {CLASSES} classes"
    return figure(f"{n:,} points, {what}: time over GeomLoss's", value, "", most=most, quartiles=quartiles, **more)


def exponential() -> float:
    """Seconds of one exponential among as many as fit the cache."""
    part = torch.linspace(-80, 0, sinkhorn.TILE)
    room = torch.empty_like(part)
    return figures.middle(figures.times(lambda: torch.exp2(part, out=room), 200, figures.own_time))[0] / len(part)


def _answer(value: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
    return [value.detach(), *torch.autograd.grad(value, (x, y))]


def _apart(found: list[Tensor], exact: list[Tensor]) -> tuple[float, float]:
    """Relative errors of value and gradient."""
    value = abs(float(found[0]) - float(exact[0])) / abs(float(exact[0]))
    gradient, right = torch.cat(found[1:]).double(), torch.cat(exact[1:])
    return value, float((gradient - right).norm() / right.norm())

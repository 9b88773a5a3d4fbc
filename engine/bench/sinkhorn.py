"""Transport speed: our solver beside GeomLoss, on the same clouds in the same run, and beside its floor.

Clouds are normal, 16 wide as codes are, one shifted and narrower; blur and ε-scaling are the paper's. A figure is the
median ratio of neighbouring calls, with the quartiles, since a machine's speed changes from minute to minute. Both give
value and gradient. On a CPU all is measured on one thread in its own time, on a GPU in time of the wall.

The floor of a CPU is exponentials: those of the plans (N² between the clouds and half of that for each cloud with
itself, in every iteration), each at what one costs in the cache, measured in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any, Literal

import torch
from torch import Tensor

from engine import losses, sinkhorn
from engine.bench.rows import commit

BLUR, SCALING, WIDTH, CLASSES = 0.05, 0.5, 16, 10
TARGETS = {"cpu": {"whole": 0.20, "classes": 0.03}, "cuda": {"whole": 0.33}}
"""Shares of GeomLoss's time to reach at N = 1000; on a GPU at 8000 too."""
SIZES = {"cpu": (100, 300, 1000, 3000), "cuda": (1000, 8000)}


def run(quick: bool = False) -> dict[str, Any]:
    """Ratios by number of points, whole clouds and class by class. `quick`: fewer repetitions."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [compared(n, device, of, 3 if quick else 15) for n in SIZES[device] for of in ("whole", "classes")]
    finally:
        torch.set_num_threads(threads)
    wanted = TARGETS[device]
    for row in rows:
        row["target"] = wanted.get(row["of"]) if row["points"] in (1000, 8000) else None
        row["met"] = row["target"] is None or row["ratio"] <= row["target"]
    return {
        "bench": "sinkhorn",
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "threads": 1,
        "blur": BLUR,
        "scaling": SCALING,
        "width": WIDTH,
        "classes": CLASSES,
        "torch": torch.__version__,
        "commit": commit(),
        "met": all(row["met"] for row in rows),
        "rows": rows,
    }


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

    seconds = [(_seconds(ours, device), _seconds(theirs, device)) for _ in range(repetitions + 1)][1:]
    low, ratio, high = quantiles([one / other for one, other in seconds], n=4)
    row = {
        "points": n,
        "of": of,
        "ms": 1000 * median([one for one, _ in seconds]),
        "geomloss_ms": 1000 * median([other for _, other in seconds]),
        "ratio": ratio,
        "quartiles": [low, high],
    }
    if of == "whole":
        exact = theirs(*(z.detach().double().requires_grad_() for z in (x, y)))
        row["value_error"], row["gradient_error"] = _apart(ours(), exact)
        row["geomloss_value_error"], row["geomloss_gradient_error"] = _apart(theirs(), exact)
    if of == "whole" and device == "cpu":
        times = len(sinkhorn.blurs(BLUR, SCALING, sinkhorn.box(x, y)[1])) + 2
        row["floor_ms"] = 1000 * 2 * n * n * times * exponential()
        row["share_of_floor"] = row["floor_ms"] / row["ms"]
    return row


def exponential() -> float:
    """Seconds of one exponential among as many as fit the cache."""
    part = torch.linspace(-80, 0, sinkhorn.TILE)
    room = torch.empty_like(part)
    return median([_seconds(lambda: torch.exp(part, out=room), "cpu") for _ in range(200)]) / len(part)


def _answer(value: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
    return [value.detach(), *torch.autograd.grad(value, (x, y))]


def _apart(found: list[Tensor], exact: list[Tensor]) -> tuple[float, float]:
    """Relative errors of value and gradient."""
    value = abs(float(found[0]) - float(exact[0])) / abs(float(exact[0]))
    gradient, right = torch.cat(found[1:]).double(), torch.cat(exact[1:])
    return value, float((gradient - right).norm() / right.norm())


def _seconds(work: Callable[[], Any], device: str) -> float:
    if device == "cpu":
        begin = time.thread_time()
        work()
        return time.thread_time() - begin
    torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin

"""Sinkhorn iterations on a GPU, a kernel for each side of each: nothing as large as the plan is written or read.

Of a GPU's time on clouds of thousands, torch's kernels take most to carry matrices to its memory and back; on smaller
ones they take most to be launched. Here each cost ½‖x_i − y_j‖² is computed where it is used, the sum of a row is kept
beside its largest exponent so far, as in M. Milakov and N. Gimelshein, Online normalizer calculation for softmax,
arXiv:1805.02867, and what follows from it for the potential is done in the same place. Needs Triton, which comes with
torch where torch has CUDA.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

LN2 = tl.constexpr(math.log(2))
ROWS, COLUMNS = 16, 128
"""Of the tile that a block works on: even 1000 points then keep the processors of a large GPU busy."""


@triton.jit
def _half(
    points, others, old, share, closed, new, n, m, at, beside, both, width, epsilon, part,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, FILLED: tl.constexpr,
):  # fmt: skip
    # one side: of points (B, width, n) towards others (B, width, m), whose potentials (B, both) begin at `at`, `beside`
    b = tl.program_id(1)
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = i < n
    exact = tl.cast(epsilon, tl.float64)
    bits = 1.0 / (exact * LN2)
    scale = tl.cast(0.5 * bits, tl.float32)
    top = tl.full((ROWS,), -1e30, tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    for begin in range(0, m, COLUMNS):
        j = begin + tl.arange(0, COLUMNS)
        there = j < m
        square = tl.zeros((ROWS, COLUMNS), tl.float32)
        for k in range(width):
            x = tl.load(points + (b * width + k) * n + i, mask=inside, other=0.0)
            y = tl.load(others + (b * width + k) * m + j, mask=there, other=0.0)
            gap = x[:, None] - y[None, :]
            square += gap * gap
        level = tl.cast(tl.load(old + b * both + beside + j, mask=there, other=float("-inf")) * bits, tl.float32)
        if FILLED:
            level += tl.cast(tl.load(closed + b * both + beside + j, mask=there, other=0.0), tl.float32)
        power = level[None, :] - scale * square
        highest = tl.maximum(top, tl.max(power, axis=1))
        total = total * tl.exp2(top - highest) + tl.sum(tl.exp2(power - highest[:, None]), axis=1)
        top = highest
    sums = (tl.cast(top, tl.float64) + tl.cast(tl.log2(total), tl.float64)) * LN2
    place = b * both + at + i
    own = tl.load(old + place, mask=inside, other=0.0)
    weight = tl.load(share + place, mask=inside, other=0.0)
    tl.store(new + place, own - part * (exact * (sums + weight) + own), mask=inside)


def descend(
    start: Tensor,
    end: Tensor,
    potential: Tensor,
    share: Tensor,
    closed: Tensor | None,
    steps: list[tuple[float, float]],
) -> Tensor:
    """The potentials of a `sinkhorn.Problem` of floats, from those it has, after the iterations of `sinkhorn.steps`."""
    own = start is end
    n, m = start.shape[1], end.shape[1]
    first, last = (z.mT.contiguous() for z in (start, end))  # neighbours in memory are neighbours in a cloud
    sides = [(first, last, n, m, 0, 0 if own else n), (last, first, m, n, n, 0)][: 1 if own else 2]
    fixed: Any = {"ROWS": ROWS, "COLUMNS": COLUMNS, "FILLED": closed is not None}
    old, new = potential.clone(), torch.empty_like(potential)
    shut = potential if closed is None else closed
    for epsilon, part in steps:
        for points, others, rows, columns, at, beside in sides:
            _half[(triton.cdiv(rows, ROWS), len(potential))](
                points, others, old, share, shut, new, rows, columns, at, beside, potential.shape[1], start.shape[2],
                epsilon, part, **fixed,
            )  # fmt: skip
        old, new = new, old
    return old

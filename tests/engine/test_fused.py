"""The GPU's kernel, run by Triton's interpreter where there is none: against torch, and within the whole solver."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from engine import losses, sinkhorn

pytest.importorskip("triton", reason="made for Linux and Windows alone")
from engine import fused

BLUR, SCALING = 0.05, 0.5


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinkhorn, "_tiled", lambda cost: False)
    assert sinkhorn._fused() is not None


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (17, 130, 3), (40, 30, 16), (33, 5, 25)])
@pytest.mark.parametrize("filled", [False, True])
def test_potentials_descend_as_double_precision_s_without_it(n: int, m: int, d: int, filled: bool):
    rng = torch.Generator(DEVICE).manual_seed(n + m)
    x, y = (torch.randn(2, size, d, generator=rng, device=DEVICE) for size in (n, m))
    sizes = torch.tensor([1, min(n, m)], device=DEVICE) if filled else None
    descent = sinkhorn.blurs(0.3, 0.5, 8.0)
    for start, end in ((x, y), (x, x)):
        p = sinkhorn._problem(start, end, sizes)
        found = fused.descend(p.start, p.end, p.potential, p.share, p.closed, sinkhorn.steps(descent))
        assert not p.potential.any(), "it writes nowhere else"
        other = start.double() if start is end else end.double()
        exact = sinkhorn._problem(other if start is end else start.double(), other, sizes)
        wanted = sinkhorn._descended(exact, descent).potential
        there = torch.ones_like(wanted, dtype=torch.bool) if p.closed is None else p.closed == 0
        assert (found - wanted)[there].abs().max() < 3e-6 * wanted[there].abs().max() + 1e-6


@pytest.mark.parametrize(("n", "m"), [(60, 60), (70, 45)])
@pytest.mark.usefixtures("as_on_a_gpu")
def test_solver_gives_geomloss_s_value_and_gradient_with_it(n: int, m: int):
    rng = torch.Generator(DEVICE).manual_seed(7)
    x, y = torch.randn(n, 8, generator=rng, device=DEVICE), 0.7 * torch.randn(m, 8, generator=rng, device=DEVICE) + 0.4
    (ours, towards), (theirs, wanted) = (answer(x, y, solver) for solver in ("own", "geomloss"))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    assert (towards - wanted).norm() < 1e-4 * wanted.norm()


def answer(x: Tensor, y: Tensor, solver: str) -> tuple[Tensor, Tensor]:
    """The value, and the gradient with respect to x and y."""
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    value = losses.sinkhorn_divergence(x, y, BLUR, SCALING, solver)  # pyright: ignore[reportArgumentType]
    return value.detach(), torch.cat(torch.autograd.grad(value, (x, y)))


def test_classes_are_filled_up_alike(as_on_a_gpu: None, monkeypatch: pytest.MonkeyPatch):
    rng = torch.Generator(DEVICE).manual_seed(3)
    x, y = torch.randn(50, 4, generator=rng, device=DEVICE), torch.randn(50, 4, generator=rng, device=DEVICE)
    classes = torch.tensor([0] * 30 + [1] * 17 + [2] * 3, device=DEVICE)
    found = losses.sinkhorn_by_class(x, y, classes, BLUR, SCALING)
    monkeypatch.undo()
    torch.testing.assert_close(found, losses.sinkhorn_by_class(x, y, classes, BLUR, SCALING), rtol=1e-5, atol=0)


def test_coinciding_clouds_are_at_no_distance(as_on_a_gpu: None):
    x = torch.randn(40, 6, generator=torch.Generator(DEVICE).manual_seed(1), device=DEVICE)
    assert abs(float(losses.sinkhorn_divergence(x, x.clone(), BLUR, SCALING))) < 1e-6


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from engine import fused
kinds = {"points": "*fp32", "others": "*fp32", "old": "*fp64", "share": "*fp64", "closed": "*fp64", "new": "*fp64",
         "epsilon": "fp32", "part": "fp32", "ROWS": "constexpr", "COLUMNS": "constexpr", "FILLED": "constexpr"}
kinds = {name: kinds.get(name, "i32") for name in fused._half.arg_names}
for filled in (False, True):
    constants = {"ROWS": fused.ROWS, "COLUMNS": fused.COLUMNS, "FILLED": filled}
    made = triton.compile(ASTSource(fused._half, kinds, constants), target=GPUTarget("cuda", 80, 32))
    assert made.asm["cubin"] and "st.local" not in made.asm["ptx"]
"""
"""Triton compiles for a GPU that is not there; in a process of its own, where nothing is interpreted."""


def test_kernel_compiles_for_a_gpu_without_spilling():
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

"""The own transport solver: GeomLoss's answers, and what transport must obey whoever solves it."""

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import losses, sinkhorn


def clouds(n: int, d: int, seed: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Two clouds about as far apart as they are wide, with a few coordinates much wider than the others."""
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(n, d, generator=rng, dtype=torch.float64) for _ in range(2))
    stretch = torch.linspace(0.3, 5, d, dtype=torch.float64)
    return (stretch * x).to(dtype).requires_grad_(), (stretch * y + 0.5).to(dtype).requires_grad_()


def both(x: torch.Tensor, y: torch.Tensor, solver: Literal["own", "geomloss"], **more) -> list[torch.Tensor]:
    value = losses.sinkhorn_divergence(x, y, solver=solver, **more)
    return [value.detach(), *torch.autograd.grad(value, (x, y))]


@pytest.mark.parametrize("scaling", [0.5, 0.9])
@pytest.mark.parametrize("blur", [0.01, 0.05, 1.0])
@pytest.mark.parametrize(("n", "d"), [(2, 1), (33, 3), (100, 27)])
def test_value_and_gradients_are_geomloss_s(n, d, blur, scaling):
    own = both(*clouds(n, d, n), "own", blur=blur, scaling=scaling)
    reference = both(*clouds(n, d, n), "geomloss", blur=blur, scaling=scaling)
    torch.testing.assert_close(own[0], reference[0], rtol=1e-5, atol=1e-9)
    for mine, theirs in zip(own[1:], reference[1:], strict=True):
        assert float((mine - theirs).norm() / theirs.norm()) < 1e-4


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(1, 20), st.floats(0.02, 2), st.floats(0.01, 30),
    st.floats(0, 100), st.integers(0, 1000),
)  # fmt: skip
def test_clouds_of_any_sizes_spreads_and_distances_get_geomloss_s_answer(n, m, d, blur, spread, apart, seed):
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(k, d, generator=rng, dtype=torch.float64) for k in (n, m))
    x, y = x.requires_grad_(), (spread * y + apart).requires_grad_()
    own, reference = (both(x, y, solver, blur=blur) for solver in ("own", "geomloss"))
    torch.testing.assert_close(own[0], reference[0], rtol=1e-5, atol=1e-7)
    for mine, theirs in zip(own[1:], reference[1:], strict=True):
        assert float((mine - theirs).norm()) <= 1e-4 * float(theirs.norm()) + 1e-7


@pytest.mark.parametrize("n", [50, 400])
def test_rows_and_columns_of_one_plan_say_what_each_says_alone(n, monkeypatch):
    x, y = clouds(n, 3, 8)
    together = both(x, y, "own")
    monkeypatch.setattr(sinkhorn, "_together", lambda *_: None)
    for one, other in zip(together, both(x, y, "own"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_a_plan_that_floats_cannot_hold_is_taken_apart(monkeypatch):
    x, y = clouds(60, 20, 9)
    found, together = [], sinkhorn._together

    def told(*arguments):
        found.append(together(*arguments))
        return found[-1]

    monkeypatch.setattr(sinkhorn, "_together", told)
    own = both(x, y, "own", blur=0.003)
    assert None in found
    reference = both(x, y, "geomloss", blur=0.003)
    torch.testing.assert_close(own[0], reference[0], rtol=1e-5, atol=0)
    for mine, theirs in zip(own[1:], reference[1:], strict=True):
        assert float((mine - theirs).norm() / theirs.norm()) < 1e-4


@pytest.mark.parametrize("together", [True, False])
def test_rows_that_only_fill_a_batch_change_nothing_and_are_not_drawn(together, monkeypatch):
    if not together:
        monkeypatch.setattr(sinkhorn, "_together", lambda *_: None)
    x, y = (torch.stack([cloud.detach(), 2 * cloud.detach()]) for cloud in clouds(10, 2, 4))
    filled = [torch.cat([z, z[:, :3]], dim=1).requires_grad_() for z in (x, y)]
    sizes = torch.tensor([10, 7])
    values = sinkhorn.divergence(*filled, 0.05, 0.5, 20.0, sizes)
    for number, size in enumerate(sizes):
        alone = sinkhorn.divergence(*(z[number, None, :size] for z in (x, y)), 0.05, 0.5, 20.0)
        torch.testing.assert_close(values[number], alone[0])
    for drawn in torch.autograd.grad(values.sum(), filled):
        assert not drawn[0, 10:].any()
        assert not drawn[1, 7:].any()
        assert drawn[1, :7].any()


def test_single_precision_loses_no_more_than_rounding():
    single, double = (both(*clouds(100, 27, 3, dtype), "own") for dtype in (torch.float32, torch.float64))
    assert float(single[0]) == pytest.approx(float(double[0]), rel=1e-5)
    for mine, exact in zip(single[1:], double[1:], strict=True):
        assert float((mine - exact).norm() / exact.norm()) < 1e-3


def test_a_cloud_is_at_no_distance_of_itself_and_one_point_from_one_point_at_half_the_square():
    x = clouds(20, 4, 0)[0].detach()
    assert float(losses.sinkhorn_divergence(x, x.clone(), solver="own")) == pytest.approx(0, abs=1e-9)
    one, other = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    assert float(losses.sinkhorn_divergence(one, other, solver="own")) == pytest.approx(12.5)


def test_a_shifted_cloud_is_drawn_straight_back():
    x, _ = clouds(40, 3, 1)
    step = torch.tensor([0.4, -0.2, 0.1], dtype=torch.float64)
    _, _, gradient = both(x, (x + step).detach().requires_grad_(), "own", blur=0.1, scaling=0.9)
    torch.testing.assert_close(gradient.sum(0), step, rtol=1e-3, atol=1e-6)


def test_the_descent_begins_at_the_diameter_and_ends_at_the_blur():
    assert sinkhorn.blurs(0.5, 0.5, 4.0) == [4.0, 4.0, 2.0, 1.0, 0.5]
    assert sinkhorn.blurs(0.6, 0.5, 4.0) == [4.0, 4.0, 2.0, 1.0, 0.6]
    assert sinkhorn.blurs(2.0, 0.5, 2.0) == [2.0, 2.0]


def test_coinciding_points_have_finite_gradients_and_broken_ones_give_nan():
    same, broken = torch.ones(8, 3, requires_grad=True), torch.full((8, 3), torch.nan)
    value, *gradients = both(same, torch.ones(8, 3, requires_grad=True), "own")
    assert float(value) == pytest.approx(0, abs=1e-6)
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert torch.isnan(losses.sinkhorn_divergence(broken, same.detach(), solver="own"))


@pytest.mark.parametrize("solver", ["own", "geomloss"])
def test_class_by_class_is_the_whole_where_classes_lie_far_apart(solver):
    x, y = clouds(40, 3, 5)
    classes = torch.arange(40) % 3  # 14, 13 and 13 points
    indicators = torch.nn.functional.one_hot(classes).to(x.dtype)
    more = {"blur": 1.0, "scaling": 0.999, "solver": solver}  # a slow descent, so that both have converged
    parts = losses.sinkhorn_by_class(x, y, classes, **more)
    whole = losses.sinkhorn_divergence(*(losses.with_conditions(z, indicators, 40.0) for z in (x, y)), **more)
    assert float(parts.detach()) == pytest.approx(float(whole.detach()), rel=1e-4)
    for mine, theirs in zip(torch.autograd.grad(parts, (x, y)), torch.autograd.grad(whole, (x, y)), strict=True):
        assert float((mine - theirs).norm() / theirs.norm()) < 1e-4


def test_one_class_is_the_whole_and_a_class_of_one_point_is_its_half_square():
    x, y = (cloud.detach() for cloud in clouds(12, 2, 6))
    one = losses.sinkhorn_by_class(x, y, torch.zeros(12), solver="own")
    assert float(one) == pytest.approx(float(losses.sinkhorn_divergence(x, y, solver="own")))
    alone = losses.sinkhorn_by_class(x[:2], y[:2], torch.tensor([0, 1]), solver="own")
    assert float(alone) == pytest.approx(0.25 * float((x[:2] - y[:2]).square().sum()))

"""Time and the way along a velocity, against closed forms."""

import math

import pytest
import torch

from engine import flow


def field(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """dx/dt = t·x, whose solution is x(1) = x(0)·√e."""
    return t[:, None] * x


def test_the_midpoint_rule_is_of_second_order_and_eulers_of_first():
    start = torch.ones(1, 2, dtype=torch.float64)
    for method, order in (("euler", 1), ("midpoint", 2)):
        errors = [abs(float(flow.integrate(field, start, n, method)[0, 0]) - math.sqrt(math.e)) for n in (20, 40)]
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("steps", [1, 7])
def test_a_straight_flow_arrives_whatever_the_number_of_steps(steps):
    noise, data = (torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    torch.testing.assert_close(flow.integrate(lambda x, t: data - noise, noise, steps, "euler"), data)


def test_the_flow_of_the_exact_velocity_carries_a_normal_cloud_to_another():
    """Independent N(0, 1) and N(m, s²): E[x₁ − x₀ | x_t] is linear in x_t, and carries x to m + s·x."""
    m, s = 1.5, 0.4

    def velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        t = time[:, None]
        variance = (1 - t) ** 2 + (t * s) ** 2
        return m + (t * s**2 - (1 - t)) / variance * (x - t * m)

    start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    torch.testing.assert_close(flow.integrate(velocity, start, 200, "midpoint"), m + s * start, atol=1e-3, rtol=0)


def test_times_fill_the_unit_interval_evenly_in_random_order():
    drawn = flow.times(torch.zeros(50, 3), torch.Generator().manual_seed(0))
    assert ((drawn.sort().values * 50).long() == torch.arange(50)).all()
    assert not torch.equal(drawn, drawn.sort().values)

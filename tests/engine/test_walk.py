"""Noise and what a model makes of it are two steps, and a walk takes the first along two directions."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Generator

from engine import walk
from engine.conditions import conditions_of
from engine.config import kinds_of
from engine.models import base as models
from engine.models.base import Model
from engine.schema import GenerateRequest, Particle
from engine.spaces import Space
from engine.walk import MOST_DIMENSIONS, Directions, directions

SPACES = {"showers": Space(), "images": Space((28, 28), "images", 1, 10), "points": Space((2,), "points", 1, 2)}
SIZES = {"width": 4, "hidden": 32, "spots": 6, "steps": 3}
EVERY = pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in models.names() for kind in SPACES])


@pytest.fixture(autouse=True)
def quietly():
    """On one thread, without gradients."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(before)


def rng(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def model_of(name: str, kind: str, **more) -> tuple[Model, torch.Tensor]:
    """A model with random weights, and twelve condition rows."""
    space, family = SPACES[kind], models.get(name)
    fields = family.Config.model_fields
    known = {k: v for k, v in (SIZES | more).items() if k in fields and kind in (kinds_of(family.Config, k) or [kind])}
    torch.manual_seed(3)
    made = family(models.configure(family, known, kind), space)
    x = torch.rand((12, *space.shape), generator=rng(1)) * (255 if kind == "images" else 3)
    if kind == "showers":
        x = torch.poisson(x, generator=rng(1))
        rows = [conditions_of(Particle(energy_gev=float(e), px_gev=0.02)) for e in np.linspace(50, 2000, 12)]
        q = torch.from_numpy(np.concatenate(rows).astype(np.float32))
    else:
        q = torch.arange(12).remainder(space.classes)[:, None].float()
    made.fit(x, q)
    if name == "flow_matching" and kind == "images":
        made.velocity.last.bias.add_(0.5)  # or these weights would paint it black
    return made.eval(), q


@EVERY
def test_noise_and_what_a_model_makes_of_it_are_what_it_draws(name, kind):
    model, q = model_of(name, kind)
    stream = rng(7)
    noise = model.noise(q, stream)
    assert noise.shape == (12, model.noise_width)
    codes = model.carry(noise, q)
    assert torch.equal(codes, model.prior(q, rng(7)))
    expected = model.decode(codes, q)
    assert torch.equal(expected, model.sample(q, rng(7), "expected"))
    assert torch.equal(model.observed(expected, stream), model.sample(q, rng(7)))


def test_the_noise_of_a_hypersphere_is_normal_and_carried_onto_it():
    model, q = model_of("sae", "showers", target="hypersphere")
    codes = model.prior(q, rng())
    assert torch.allclose(codes.square().sum(1), torch.full((12,), float(model.noise_width)), rtol=1e-5)


@EVERY
def test_a_walk_moves_the_example_and_at_its_own_place_stands_still(name, kind):
    model, q = model_of(name, kind)
    found = directions(model, q[:1])
    assert torch.equal(found.axes, directions(model, q[:1]).axes), "the same weights have the same directions"
    assert torch.allclose(found.axes @ found.axes.T, torch.eye(2), atol=1e-5)
    noise = model.noise(q[:1], rng(2))

    def example(at: tuple[float, float]) -> torch.Tensor:
        return model.decode(model.carry(found.placed(noise, at), q[:1]), q[:1])

    a, b = found.coordinates(noise)[0].tolist()
    own = model.decode(model.carry(noise, q[:1]), q[:1])
    assert torch.allclose(example((a, b)), own, rtol=1e-3, atol=1e-3)
    moved = [float((example(at) - own).abs().max()) for at in ((a + 3, b), (a, b + 3))]
    assert min(moved) > 0
    assert torch.equal(example((1.0, -2.0)), example((1.0, -2.0)))


def test_what_is_placed_has_the_wanted_coordinates_and_keeps_the_rest():
    axes = torch.linalg.qr(torch.randn((9, 2), generator=rng()))[0].T
    found = Directions(axes, "")
    noise = torch.randn((4, 9), generator=rng(1))
    placed = found.placed(noise, (2.0, -1.0))
    assert torch.allclose(found.coordinates(placed), torch.tensor([[2.0, -1.0]]).expand(4, 2), atol=1e-5)
    rest = [x - found.coordinates(x) @ axes for x in (placed, noise)]
    assert torch.allclose(rest[0], rest[1], atol=1e-5)


class Linear:
    """Light whose root is A·noise + 50: the right singular vectors are A's own."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix, self.space = matrix, Space((1, len(matrix)))
        self.noise_width = matrix.shape[1]

    def carry(self, noise, conditions):
        return noise

    def decode(self, latent, conditions):
        return (latent @ self.matrix.T + 50).square().unsqueeze(1)


def test_the_directions_are_the_first_two_right_singular_vectors_of_the_roots_of_photons():
    matrix = torch.randn((30, 6), generator=rng()) * torch.tensor([1.0, 3, 1, 9, 1, 1])
    found = directions(Linear(matrix), torch.zeros(1, 9))
    wanted = torch.linalg.svd(matrix)[2][:2]
    assert torch.allclose((found.axes @ wanted.T).abs(), torch.eye(2), atol=1e-2)
    assert (found.axes.gather(1, found.axes.abs().argmax(1, keepdim=True)) > 0).all(), "the sign is settled"
    assert "the two of 6" in found.how


def test_noise_of_one_dimension_has_one_direction():
    found = directions(Linear(torch.ones(4, 1)), torch.zeros(1, 9))
    assert found.axes.tolist() == [[1.0], [0.0]]
    assert found.placed(torch.zeros(2, 1), (2.0, 5.0)).tolist() == [[2.0], [2.0]]


def test_noise_of_very_many_dimensions_is_not_searched_and_says_so():
    model, q = model_of("flow_matching", "showers")
    assert model.noise_width > MOST_DIMENSIONS
    found = directions(model, q[:1])
    assert "random" in found.how
    assert torch.equal(found.axes, directions(model, q[1:2]).axes)


def test_as_many_dimensions_as_are_searched_cost_a_bounded_number_of_showers(monkeypatch):
    decoded = []

    class Counting(Linear):
        def decode(self, latent, conditions):
            decoded.append(len(latent))
            return super().decode(latent, conditions)

    for k in (2, 16, MOST_DIMENSIONS):
        directions(Counting(torch.ones(3, k)), torch.zeros(1, 9))
    assert max(decoded) <= walk.SHOWERS


@pytest.mark.parametrize("at", [(1.0,), (1.0, 2.0, 3.0), (float("nan"), 0.0), (11.0, 0.0), ("a", 0.0), 3.0])
def test_a_walk_to_nowhere_is_refused(at):
    with pytest.raises(ValidationError):
        GenerateRequest(run="a", particle=Particle(), walk=at)

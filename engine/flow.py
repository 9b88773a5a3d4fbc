"""Flows: velocities that carry noise to data in unit time, and the way along them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from engine import nets

FREQUENCIES = 4
"""Waves in which a network sees the time."""


def waves(time: Tensor) -> Tensor:
    """t, sin and cos of 2^k·π·t: (N,) to (N, 1 + 2·`FREQUENCIES`)."""
    angles = math.pi * time[:, None] * 2.0 ** torch.arange(FREQUENCIES, device=time.device, dtype=time.dtype)
    return torch.cat([time[:, None], angles.sin(), angles.cos()], dim=1)


def times(rows: Tensor, rng: Generator) -> Tensor:
    """Times (N,) for each of the rows, one in each Nth of [0, 1] in random order: a batch then tells more than by
    independent draws."""
    n = len(rows)
    order = torch.randperm(n, generator=rng, device=rows.device)
    jitter = torch.rand(n, generator=rng, device=rows.device, dtype=rows.dtype)
    return (order + jitter) / n


def integrate(
    velocity: Callable[[Tensor, Tensor], Tensor], start: Tensor, steps: int, method: Literal["euler", "midpoint"]
) -> Tensor:
    """Where `velocity(x, t)` carries points (N, ...) from t = 0 to 1 in equal steps; the midpoint rule is of second
    order and asks twice a step."""
    x, step = start, 1 / steps
    for k in range(steps):
        time = torch.full((len(x),), k * step, device=x.device, dtype=x.dtype)
        slope = velocity(x, time)
        if method == "midpoint":
            slope = velocity(x + 0.5 * step * slope, time + 0.5 * step)
        x = x + step * slope
    return x


NEAREST = 0.05
"""Least 1 − t that a velocity is divided by, or its loss would be of the last moment alone."""


class LatentVelocity(nn.Module):
    """Velocity (N, d) of codes (N, d) at times (N,), as (guess − code)/(1 − t): the codes of one particle lie in a
    narrow cloud, which a network hits better by a guess of where it is than by a velocity. Three hidden fully connected
    layers and a direct one from the conditions, as in the noise generator."""

    def __init__(self, latent: int, features: int, hidden: int) -> None:
        super().__init__()
        self.layers = nets.mlp([latent + 1 + 2 * FREQUENCIES + features, hidden, hidden, hidden, latent])
        self.direct = nn.Linear(features, latent, bias=False) if features else None

    def forward(self, codes: Tensor, time: Tensor, features: Tensor | None) -> Tensor:
        left = (1 - time).clamp(min=NEAREST)[:, None]
        if features is None or self.direct is None:
            return (self.layers(torch.cat([codes, waves(time)], dim=1)) - codes) / left
        guess = self.layers(torch.cat([codes, waves(time), features], dim=1)) + self.direct(features)
        return (guess - codes) / left


class PictureVelocity(nn.Module):
    """Velocity (N, H, W) of noisy pictures at times (N,), as (guess − picture)/(1 − t): the guess of the clean picture
    comes from the autoencoder's networks, convolutions of the noisy picture to a code and its decoder, which learn by
    the likelihood of their guess alone, and is then refined fibre by fibre, which needs little more than the noisy
    fibre, its expected light and the time."""

    def __init__(
        self, shape: tuple[int, int], latent: int, features: int, width: int, hidden: int, decoder: nets.Decoder
    ) -> None:
        super().__init__()
        facts = 1 + 2 * FREQUENCIES + features
        self.convolutions = nets.convolutions(width, norm=False)
        self.code = nets.mlp([nets.convolved(shape, width) + facts, hidden, hidden, latent])
        self.decoder = decoder
        self.refine = nn.Conv2d(4, 2 * width, 1)
        self.tune = nn.Linear(1 + 2 * FREQUENCIES, 4 * width)
        self.mix = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.last = nn.Conv2d(2 * width, 2, 1)
        with torch.no_grad():  # to begin with, the refinement is the closed formula of `forward` alone
            for parameter in self.last.parameters():
                parameter.mul_(0.01)

    def forward(self, noisy: Tensor, time: Tensor, features: Tensor | None, scale: Tensor) -> tuple[Tensor, Tensor]:
        """The velocity, and beside it the photons that the decoder guesses. `scale` is the spread of log(1 + photons),
        in units of which pictures are."""
        facts = [waves(time), *([] if features is None else [features])]
        code = self.code(torch.cat([self.convolutions(noisy.unsqueeze(1)), *facts], dim=1))
        rate = self.decoder(code if features is None else torch.cat([code, features], dim=1))
        # squared errors of logarithms would switch the decoder's light off for good before it finds its place
        expected = torch.log1p(rate.detach()) / scale
        t = time[:, None, None]
        news = noisy - t * expected
        # what a fibre's own picture adds to the guess, were both normal and of unit spread
        share = t / (t.square() + (1 - t).square())
        shown = torch.stack([news, expected, share * news, rate.detach().clamp(max=1)], dim=1)
        stretch, shift = self.tune(waves(time))[:, :, None, None].chunk(2, dim=1)
        hidden = torch.relu(self.refine(shown) * (1 + stretch) + shift)
        more, offset = self.last(torch.relu(self.mix(hidden))).unbind(1)
        guess = expected + (share + more) * news + offset
        return (guess - noisy) / (1 - t).clamp(min=NEAREST), rate

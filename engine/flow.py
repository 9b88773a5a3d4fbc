"""Flows: velocities that carry noise to data in unit time, and the way along them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from engine import nets
from engine.config import Config
from engine.decoders import Decoder
from engine.modality import Modality
from engine.spaces import Space

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
        self, shape: tuple[int, ...], latent: int, features: int, width: int, hidden: int, decoder: Decoder
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
        code = self.code(torch.cat([self.convolutions(noisy), *facts], dim=1))
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


class PointVelocity(nn.Module):
    """`LatentVelocity` of points themselves; no photons are guessed."""

    def __init__(self, dimensions: int, features: int, hidden: int) -> None:
        super().__init__()
        self.velocity = LatentVelocity(dimensions, features, hidden)

    def forward(self, noisy: Tensor, time: Tensor, features: Tensor | None, scale: Tensor) -> tuple[Tensor, None]:
        return self.velocity(noisy, time, features), None


class ImageVelocity(nn.Module):
    """Velocity (N, H, W) of noisy images at times (N,): convolutions down to a quarter of the size and up again, what
    was seen on the way down beside, each stage stretched and shifted by time and conditions.

    References: O. Ronneberger et al., U-Net, https://arxiv.org/abs/1505.04597; E. Perez et al., FiLM,
    https://arxiv.org/abs/1709.07871.
    """

    def __init__(self, features: int, width: int, hidden: int) -> None:
        super().__init__()
        w = width
        self.told = nets.mlp([1 + 2 * FREQUENCIES + features, hidden, hidden])
        inputs = [(1, w), (w, 2 * w), (2 * w, 4 * w), (4 * w, 4 * w), (6 * w, 2 * w), (3 * w, w)]
        strides = [1, 2, 2, 1, 1, 1]
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 3, s, 1) for (i, o), s in zip(inputs, strides, strict=True))
        self.tunes = nn.ModuleList(nn.Linear(hidden, 2 * o) for _, o in inputs)
        self.last = nn.Conv2d(w, 1, 3, padding=1)

    def forward(self, noisy: Tensor, time: Tensor, features: Tensor | None, scale: Tensor) -> tuple[Tensor, None]:
        told = nn.functional.silu(self.told(nets.beside(waves(time), features)))

        def stage(k: int, x: Tensor) -> Tensor:
            stretch, shift = self.tunes[k](told)[:, :, None, None].chunk(2, dim=1)
            return nn.functional.silu(self.layers[k](x) * (1 + stretch) + shift)

        def larger(x: Tensor, like: Tensor) -> Tensor:
            return torch.cat([nn.functional.interpolate(x, size=like.shape[-2:], mode="nearest"), like], dim=1)

        whole = stage(0, noisy.unsqueeze(1))
        half = stage(1, whole)
        deep = stage(3, stage(2, half))
        wide = stage(5, larger(stage(4, larger(deep, half)), whole))
        guess = self.last(wide).squeeze(1)
        return (guess - noisy) / (1 - time[:, None, None]).clamp(min=NEAREST), None


def velocity(modality: Modality, config: Config, space: Space, features: int) -> nn.Module:
    """The network that suits a space's kind: (noisy, time, features, scale) to velocity and guessed photons, if any."""
    c = config
    if space.kind == "points":
        return PointVelocity(space.shape[0], features, c.hidden)
    if space.kind == "images":
        return ImageVelocity(features, c.width, c.hidden)
    decoder = modality.decoder(c.latent + features)
    return PictureVelocity(space.shape, c.latent, features, c.width, c.hidden, decoder)

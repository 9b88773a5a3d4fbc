"""Blocks that models share: layers, normalisation, encoder, noise generator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn


def mlp(sizes: list[int], norm: bool = False) -> nn.Sequential:
    """Fully connected layers with ReLU between them, and before each ReLU, where wanted, batch normalisation."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers[: -1 - norm])


def normal(rows: Tensor, width: int, rng: Generator) -> Tensor:
    """Standard normal noise (N, width) for each of the rows (N, ...), of their device and dtype."""
    return torch.randn((len(rows), width), generator=rng, device=rows.device, dtype=rows.dtype)


@contextmanager
def resting(module: nn.Module) -> Iterator[None]:
    """A module in evaluation mode meanwhile, so that it uses its running statistics and leaves them alone."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)


class NoiseGenerator(nn.Module):
    """Eq. (8)'s deterministic gen(noise, Q): three hidden fully connected layers with ReLU, with batch normalisation if
    wanted."""

    def __init__(self, noise: int, condition_width: int, latent: int, hidden: int, norm: bool = False) -> None:
        super().__init__()
        self.noise = noise
        self.layers = mlp([noise + condition_width, hidden, hidden, hidden, latent], norm)
        self.direct = nn.Linear(condition_width, latent, bias=False) if condition_width else None

    def forward(self, noise: Tensor, features: Tensor | None) -> Tensor:
        if features is None or self.direct is None:
            return self.layers(noise)
        return self.layers(torch.cat([noise, features], dim=1)) + self.direct(features)


class BatchRenorm(nn.Module):
    """Batch normalisation without scale whose values come from running statistics also in training, its gradient from
    the batch. A code in which 0.02 places a shower within a fibre cannot bear the batch's own mean, off by 0.1.

    References: S. Ioffe, Batch Renormalization, https://arxiv.org/abs/1702.03275.
    """

    mean: Tensor
    std: Tensor
    batches: Tensor

    def __init__(self, width: int, memory: float = 50.0) -> None:
        super().__init__()
        self.memory = memory
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return (x - self.mean) / self.std
        mean, std = x.mean(0), x.std(0, unbiased=False) + 1e-5
        with torch.no_grad():
            self.batches += 1
            share = 1 / self.batches.clamp(max=self.memory)
            self.mean.lerp_(mean, share)
            self.std.lerp_(std, share)
            stretch, shift = std / self.std, (mean - self.mean) / self.std
        return (x - mean) / std * stretch + shift


def convolutions(width: int, norm: bool, slope: float = 0.0) -> nn.Sequential:
    """Four 5×5 convolutions of stride 2 with `width` to 8·`width` channels on pictures (N, H, W), flattened; `slope` of
    the rectifiers below zero."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, -1))]
    channels = [1, width, 2 * width, 4 * width, 8 * width]
    for inputs, outputs in zip(channels[:-1], channels[1:], strict=True):
        # a bias before batch norm would have no effect and no gradient
        layers.append(nn.Conv2d(inputs, outputs, 5, stride=2, padding=2, bias=not norm))
        layers += [nn.BatchNorm2d(outputs)] if norm else []
        layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
    return nn.Sequential(*layers, nn.Flatten())


def convolved(shape: tuple[int, ...], width: int) -> int:
    """Numbers that `convolutions` gives for a shower."""
    return 8 * width * math.prod(math.ceil(n / 16) for n in shape)


def beside(*parts: Tensor | None) -> Tensor | None:
    """Columns of what there is, side by side; None where there is nothing."""
    there = [part for part in parts if part is not None]
    return torch.cat(there, dim=1) if there else None


class Encoder(nn.Module):
    """Codes (N, latent) from a `trunk`, which gives `size` numbers an example, and from `facts` numbers beside it:
    features of the conditions, the moments of a shower. `last` is the layer of Eq. (7). Normalising the code keeps its
    spread at 1, which the transport term would otherwise shrink to nothing."""

    def __init__(
        self, trunk: nn.Module, size: int, facts: int, latent: int, hidden: int, normalise: bool = True
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.join = nn.Sequential(nn.Linear(size + facts, hidden), nn.ReLU())
        # facts reach the code directly as well, so that light and centre stand in it nearly linearly
        self.last = nn.Linear(hidden + facts, latent, bias=False)
        self.normalise = BatchRenorm(latent) if normalise else nn.Identity()

    def forward(self, seen: Tensor, facts: Tensor | None = None) -> Tensor:
        joined = self.join(beside(self.trunk(seen), facts))
        return self.normalise(self.last(beside(joined, facts)))

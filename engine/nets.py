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


class ChannelsLast(nn.Module):
    """Pictures (N, 1, H, W) of pictures (N, H, W), laid out channels last as all that follows will be: a processor
    convolves and normalises that a quarter faster."""

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.contiguous().unsqueeze(3).permute(0, 3, 1, 2)


def convolutions(width: int, norm: bool, slope: float = 0.0) -> nn.Sequential:
    """Four 5×5 convolutions of stride 2 with `width` to 8·`width` channels on pictures (N, H, W), flattened; `slope` of
    the rectifiers below zero."""
    layers: list[nn.Module] = [ChannelsLast()]
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


class GroupedMLP(nn.Module):
    """As many networks of one shape as there are groups, fully connected with ReLU, evaluated together."""

    def __init__(self, groups: int, sizes: list[int]) -> None:
        super().__init__()
        layers = list(zip(sizes[:-1], sizes[1:], strict=True))
        bounds = [1 / math.sqrt(inputs) for inputs, _ in layers]
        # as nn.Linear begins
        self.weights = nn.ParameterList(
            torch.empty(groups, i, o).uniform_(-b, b) for (i, o), b in zip(layers, bounds, strict=True)
        )
        self.biases = nn.ParameterList(
            torch.empty(groups, 1, o).uniform_(-b, b) for (_, o), b in zip(layers, bounds, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(groups, N, outputs) of (groups, N, inputs), each by its group's network."""
        last = len(self.weights) - 1
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            x = x if k == last else torch.relu(x)
        return x

    def of(self, x: Tensor, group: Tensor) -> Tensor:
        """(N, outputs) of (N, inputs), each row by the network of its `group` (N,)."""
        x, last = x[:, None], len(self.weights) - 1
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias[group], x, weight[group])
            x = x if k == last else torch.relu(x)
        return x[:, 0]


class EigenDecoder(nn.Module):
    """Fully connected layers with ReLU into each of which noise enters along an orthonormal basis of its own,
    h_i = relu(W_i h_{i−1} + b_i + U_i diag(L_i) n_i), U_iᵀ U_i = 1; without noise (n = 0) it is an ordinary network.

    References: Z. He, M. Kan, S. Shan, EigenGAN: Layer-Wise Eigen-Learning for GANs, https://arxiv.org/abs/2104.12476,
    Eq. (2). There a penalty holds U orthonormal, here a QR decomposition makes it so.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, noise: int, head: nn.Module) -> None:
        super().__init__()
        self.each = min(noise, hidden)
        self.noise = layers * self.each
        widths = [inputs, *[hidden] * layers]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in zip(widths[:-1], widths[1:], strict=True))
        self.spans = nn.ParameterList(torch.randn(hidden, self.each) for _ in range(layers))
        self.importance = nn.ParameterList(torch.full((self.each,), 0.1) for _ in range(layers))
        self.head = head

    def bases(self) -> list[Tensor]:
        """U (hidden, noise of a layer) of each layer."""
        return [torch.linalg.qr(span)[0] for span in self.spans]

    def forward(self, codes: Tensor, noise: Tensor) -> Tensor:
        """Examples of codes (N, inputs) and noise (N, `noise`)."""
        parts = noise.split(self.each, dim=1)
        for layer, basis, weight, part in zip(self.layers, self.bases(), self.importance, parts, strict=True):
            codes = torch.relu(layer(codes) + (weight * part) @ basis.T)
        return self.head(codes)


def kmeans(points: Tensor, clusters: int, rng: Generator, rounds: int = 30) -> tuple[Tensor, Tensor]:
    """Centres (K, d) and the nearest one's number (N,) for each of the points (N, d), by Lloyd's rounds from seeds that
    are drawn far apart; a cluster that loses all its points keeps its centre.

    References: S. Lloyd, 1982; D. Arthur and S. Vassilvitskii, k-means++, 2007.
    """
    first = torch.randint(len(points), (1,), generator=rng, device=points.device)
    centres = points[first]
    for _ in range(clusters - 1):
        far = torch.cdist(points, centres).square().amin(1) + 1e-12
        centres = torch.cat([centres, points[torch.multinomial(far, 1, generator=rng)]])
    label = torch.cdist(points, centres).argmin(1)
    for _ in range(rounds):
        member = nn.functional.one_hot(label, clusters).to(points).T
        count = member.sum(1, keepdim=True)
        centres = torch.where(count > 0, member @ points / count.clamp(min=1), centres)
        label = torch.cdist(points, centres).argmin(1)
    return centres, label

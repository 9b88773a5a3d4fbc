"""Blocks that models share: features of conditions, encoder, decoders, noise generator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from engine import zdc
from engine.schema import CONDITIONS, WrongInput


def mlp(sizes: list[int]) -> nn.Sequential:
    """Fully connected layers with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


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


def detector_of(shape: tuple[int, int]) -> zdc.Detector:
    """The calorimeter with this face. Raises `WrongInput` when there is none."""
    for detector in zdc.DETECTORS.values():
        if detector.shape == tuple(shape):
            return detector
    raise WrongInput(f"no detector has {shape[0]}×{shape[1]} fibres: choose conditions = raw")


# ------------------------------------------------------------------------------------------------------ conditions
class ConditionFeatures(nn.Module):
    """What a network sees of condition rows (N, 9).

    `raw`: the nine columns, standardised; columns that never change become 0. `derived`: impact point, log energy,
    species and whether it misses the face, with which `transport` measures distances, and beside them, for networks
    only, what the fibre lattice and the edges of the face do to the light.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: Literal["derived", "raw"], shape: tuple[int, int]) -> None:
        super().__init__()
        self.kind = kind
        self.detector = detector_of(shape) if kind == "derived" else None
        probe = self._columns(torch.ones(2, len(CONDITIONS)))
        self.width = probe.shape[1]
        self.transport_width = 7 if kind == "derived" else self.width
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("std", torch.ones(self.width))

    @torch.no_grad()
    def fit(self, conditions: Tensor) -> None:
        """Mean and standard deviation of each feature over training rows."""
        columns = self._columns(conditions)
        self.mean.copy_(columns.mean(0))
        std = columns.std(0)
        self.std.copy_(torch.where(std > 1e-6 * (1 + self.mean.abs()), std, 1.0))
        if self.kind == "derived":  # indicators say as much unscaled, and a rare species does not blow up
            self.mean[3:7] = 0
            self.std[3:7] = 1

    def forward(self, conditions: Tensor) -> Tensor:
        """Standardised features (N, width). Raises `WrongInput` for rows of a wrong width."""
        if conditions.ndim != 2 or conditions.shape[1] != len(CONDITIONS):
            raise WrongInput(f"conditions have shape {tuple(conditions.shape)}: nine columns are needed")
        return (self._columns(conditions) - self.mean) / self.std

    def transport(self, features: Tensor) -> Tensor:
        """The part of `forward`'s features that the transport cost of Eq. (8) compares."""
        return features[:, : self.transport_width]

    def _columns(self, conditions: Tensor) -> Tensor:
        if self.detector is None:
            return conditions
        pitch, half = self.detector.pitch_cm, self.detector.half_cm
        pz = conditions[:, zdc.PZ]
        path = (self.detector.z_cm - pz.sign() * conditions[:, zdc.VZ]) / pz.abs().clamp(min=1e-6)
        x = conditions[:, zdc.VX] + conditions[:, zdc.PX] * path
        y = conditions[:, zdc.VY] + conditions[:, zdc.PY] * path
        log_energy = conditions[:, zdc.ENERGY].clamp(min=1e-3).log()
        mass, charged = conditions[:, zdc.MASS], conditions[:, zdc.CHARGE] != 0
        light, heavy = mass < 1, mass > 900
        species = [light & ~charged, heavy & ~charged, charged]
        depth_x, depth_y = half[0] - x.abs(), half[1] - y.abs()
        outside = (depth_x < 0) | (depth_y < 0)
        columns = [x, y, log_energy, *species, outside]
        # light leaks over an edge within about a Molière radius (1 cm), and turns from tower to tower as fast
        for u, depth in ((x, depth_x), (y, depth_y)):
            columns += [torch.exp(-depth.clamp(min=0) / 1.0), torch.exp(-depth.clamp(min=0) / 0.25)]
            columns += [torch.tanh(u / 1.0), torch.tanh(u / 0.2)]
            columns += [torch.sin(2 * math.pi * u / pitch), torch.cos(2 * math.pi * u / pitch)]
        # fibres stand at (i + ½)·pitch, where this product is ±1: which of common and tower is hit
        columns.append(torch.sin(math.pi * x / pitch) * torch.sin(math.pi * y / pitch))
        columns.append(torch.cos(2 * math.pi * x / pitch) * torch.cos(2 * math.pi * y / pitch))
        return torch.stack([c.to(conditions.dtype) for c in columns], dim=1)


class NoiseGenerator(nn.Module):
    """Eq. (8)'s deterministic gen(noise, Q): three hidden fully connected layers with ReLU."""

    def __init__(self, noise: int, condition_width: int, latent: int, hidden: int) -> None:
        super().__init__()
        self.noise = noise
        self.layers = mlp([noise + condition_width, hidden, hidden, hidden, latent])
        self.direct = nn.Linear(condition_width, latent, bias=False) if condition_width else None

    def forward(self, noise: Tensor, features: Tensor | None) -> Tensor:
        if features is None or self.direct is None:
            return self.layers(noise)
        return self.layers(torch.cat([noise, features], dim=1)) + self.direct(features)


# --------------------------------------------------------------------------------------------------------- encoder
def checkerboard(shape: tuple[int, int]) -> Tensor:
    """+1 on fibres with even i + j, −1 on odd ones, shape (H, W)."""
    i, j = torch.meshgrid(torch.arange(shape[0]), torch.arange(shape[1]), indexing="ij")
    return (1 - 2 * ((i + j) % 2)).to(torch.float32)


class Moments(nn.Module):
    """Facts of showers (N, H, W) [photons], (N, 52): light in all and by quadrant and parity of the fibre, centre,
    widths and the common share, and the brightest fibre with the 5×5 around it, in which the core of a shower lies.
    A few convolutions learn these slowly, and strides blur where the core is. `floor` photons keep the gradient of
    the root of an empty quadrant finite, where showers are generated ones."""

    sums: Tensor

    def __init__(self, shape: tuple[int, int], floor: float = 0.0) -> None:
        super().__init__()
        self.floor = floor
        h, w = shape
        i, j = torch.arange(h) - (h - 1) / 2, torch.arange(w) - (w - 1) / 2
        board = checkerboard(shape)
        x, y = (i / (h / 2))[:, None].expand(h, w), (j / (w / 2))[None, :].expand(h, w)
        quadrants = [(x < 0) & (y < 0), (x < 0) & (y >= 0), (x >= 0) & (y < 0), (x >= 0) & (y >= 0)]
        parts = [q & (board == sign) for sign in (1, -1) for q in quadrants]
        weights = [torch.ones(h, w), x, y, x * x, y * y, x * y, board, *parts]
        self.register_buffer("sums", torch.stack([p.float().flatten() for p in weights], dim=1), persistent=False)
        self.width = 25 + 2 + 25
        self.shape = shape

    def forward(self, showers: Tensor) -> Tensor:
        flat = showers.flatten(1)
        sums = flat @ self.sums.to(flat.dtype)
        total = sums[:, :1]
        x, y, xx, yy, xy, board = (sums[:, 1:7] / total.clamp(min=1)).unbind(1)
        parts = sums[:, 7:]
        width_x = (xx - x * x).clamp(min=1e-4).log()
        width_y = (yy - y * y).clamp(min=1e-4).log()
        peak = flat.amax(1)
        columns = [x, y, width_x, width_y, xy - x * y, board, torch.log1p(peak), (total[:, 0] > 0).to(flat.dtype)]
        columns += list(torch.log1p(parts).unbind(1)) + list(((parts + self.floor).sqrt() / 8).unbind(1))
        return torch.cat([torch.stack([torch.log1p(total[:, 0]), *columns], dim=1), self._core(showers)], dim=1)

    def _core(self, showers: Tensor) -> Tensor:
        """Where the brightest fibre is, in half faces, and log(1 + photons) around it."""
        h, w = self.shape
        brightest = showers.flatten(1).argmax(1)
        i, j = brightest // w, brightest % w
        padded = nn.functional.pad(showers, (2, 2, 2, 2)).flatten(1)
        steps = torch.arange(5, device=showers.device)
        around = (i[:, None, None] + steps[:, None]) * (w + 4) + j[:, None, None] + steps
        patch = torch.log1p(padded.gather(1, around.flatten(1)))
        place = torch.stack([(i - (h - 1) / 2) / (h / 2), (j - (w - 1) / 2) / (w / 2)], dim=1)
        return torch.cat([place.to(showers.dtype), patch], dim=1)


class LightSums(nn.Module):
    """Linear facts (N, 16) of showers (N, H, W): photons of four quadrants on even, then on odd fibres, which every
    read-out convention's channels of ZN are sums of; then Σ n·x, Σ n·y, Σ n·x², Σ n·y² with x, y in fibres from the
    middle; then waves of four fibres' length, Σ n·cos(πx/2), Σ n·sin(πx/2), and the same in y, to which only the
    narrow core of a shower adds up. They follow from products of functions of x and of y alone (`axes`), so separable
    spots need no image."""

    axes: Tensor
    table: Tensor
    signs: Tensor

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        columns = []
        for n in shape:
            i = torch.arange(n)
            kind = nn.functional.one_hot(2 * (2 * i >= n).long() + i % 2, 4).float()  # half of the face, and parity
            u = (i - (n - 1) / 2)[:, None]
            waves = [kind * torch.cos(math.pi / 2 * u), kind * torch.sin(math.pi / 2 * u)]
            columns.append(torch.cat([kind, kind * u, kind * u * u, *waves], dim=1))
        self.register_buffer("axes", torch.cat(columns), persistent=False)
        kind, power = torch.arange(20) % 4, torch.arange(20) // 4
        half, parity = kind // 2, kind % 2
        pair_power = 5 * power[:, None] + power[None, :]
        odd = (parity[:, None] + parity[None, :]) % 2
        part = 2 * half[:, None] + half[None, :] + 4 * odd
        facts = [(pair_power == 0) & (part == k) for k in range(8)]
        facts += [pair_power == k for k in (5, 1, 10, 2, 15, 20, 3, 4)]
        self.register_buffer("table", torch.stack(facts).float().flatten(1).T.contiguous(), persistent=False)
        self.register_buffer("signs", 1.0 - 2.0 * odd, persistent=False)

    def forward(self, showers: Tensor) -> Tensor:
        x, y = self.axes.to(showers.dtype).split(self.shape)
        return (x.T @ showers @ y).flatten(1) @ self.table.to(showers.dtype)

    def of_products(self, rows: Tensor, uneven: Tensor, columns: Tensor) -> Tensor:
        """The facts of Σ_k rows_k(x)·columns_k(y) + checkerboard·Σ_k uneven_k(x)·columns_k(y), each (N, k, fibres)."""
        x, y = self.axes.to(rows.dtype).split(self.shape)
        columns = columns @ y
        plain = (rows @ x).transpose(1, 2) @ columns
        board = (uneven @ x).transpose(1, 2) @ columns
        return (plain + self.signs * board).flatten(1) @ self.table.to(rows.dtype)


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
    """Four 5×5 convolutions of stride 2 with `width` to 8·`width` channels, flattened; `slope` of the rectifiers
    below zero."""
    layers: list[nn.Module] = []
    channels = [1, width, 2 * width, 4 * width, 8 * width]
    for inputs, outputs in zip(channels[:-1], channels[1:], strict=True):
        # a bias before batch norm would have no effect and no gradient
        layers.append(nn.Conv2d(inputs, outputs, 5, stride=2, padding=2, bias=not norm))
        layers += [nn.BatchNorm2d(outputs)] if norm else []
        layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
    return nn.Sequential(*layers, nn.Flatten())


def convolved(shape: tuple[int, int], width: int) -> int:
    """Numbers that `convolutions` gives for a shower."""
    return 8 * width * math.prod(math.ceil(n / 16) for n in shape)


class Encoder(nn.Module):
    """Four 5×5 convolutions with batch norm (those of the Wasserstein autoencoder, arXiv:1711.01558) on log(1+x),
    beside them, if wanted, the shower's moments; `last` is the layer of Eq. (7). Normalising the code keeps its spread
    at 1, which the transport term would otherwise shrink to nothing. `features` is the width of the conditions that it
    sees, if any."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        shape: tuple[int, int],
        latent: int,
        width: int,
        hidden: int,
        moments: bool = True,
        features: int = 0,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.convolutions = convolutions(width, norm=True)
        self.moments = Moments(shape) if moments else None
        facts = self.moments.width if self.moments else 0
        self.register_buffer("mean", torch.zeros(facts))
        self.register_buffer("std", torch.ones(facts))
        size = convolved(shape, width)
        self.join = nn.Sequential(nn.Linear(size + facts + features, hidden), nn.ReLU())
        # moments reach the code directly as well, so that light and centre stand in it nearly linearly
        self.last = nn.Linear(hidden + facts + features, latent, bias=False)
        self.normalise = BatchRenorm(latent) if normalise else nn.Identity()

    @torch.no_grad()
    def fit(self, showers: Tensor) -> None:
        """Mean and standard deviation of the moments over training showers."""
        if self.moments is None:
            return
        moments = self.moments(showers)
        self.mean.copy_(moments.mean(0))
        self.std.copy_(moments.std(0).clamp(min=1e-3))

    def forward(self, showers: Tensor, features: Tensor | None = None) -> Tensor:
        image = self.convolutions(torch.log1p(showers).unsqueeze(1))
        facts = [] if self.moments is None else [(self.moments(showers) - self.mean) / self.std]
        facts += [] if features is None else [features]
        joined = self.join(torch.cat([image, *facts], dim=1))
        return self.normalise(self.last(torch.cat([joined, *facts], dim=1)))


# -------------------------------------------------------------------------------------------------------- decoders
class ConvolutionDecoder(nn.Module):
    """The paper's mirror image of the encoder: four transposed 5×5 convolutions; photons are expm1(softplus(·)),
    so that log(1 + photons) is the network's output, bent to stay positive."""

    def __init__(self, shape: tuple[int, int], latent: int, width: int) -> None:
        super().__init__()
        self.sizes = [tuple(math.ceil(n / 2**k) for n in shape) for k in (4, 3, 2, 1, 0)]
        self.channels = 8 * width
        self.first = nn.Linear(latent, self.channels * math.prod(self.sizes[0]))
        channels = [8 * width, 4 * width, 2 * width, width, 1]
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, bias=outputs == 1)
            for inputs, outputs in zip(channels[:-1], channels[1:], strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in channels[:-1])
        self.sums = LightSums(shape)
        last = self.layers[-1].bias
        assert isinstance(last, Tensor)
        nn.init.constant_(last, -2.0)  # nearly every fibre is dark

    def forward(self, latent: Tensor) -> Tensor:
        image = self.first(latent).view(-1, self.channels, *self.sizes[0])
        for norm, layer, size in zip(self.norms, self.layers, self.sizes[1:], strict=True):
            image = layer(torch.relu(norm(image)), output_size=size)
        # log(1 + photons) ≤ 12: ten times the brightest fibre of the full ZDC tables
        return torch.expm1(nn.functional.softplus(image.squeeze(1)).clamp(max=12.0))

    def light_sums(self, latent: Tensor) -> Tensor:
        return self.sums(self(latent))


OFFSET = 4.0
"""Fibres that a unit of the network's output moves a spot from the shower's centre."""


class SpotDecoder(nn.Module):
    """Expected photons as a sum of separable Gaussian spots in fibre coordinates: each has a centre, two widths, an
    amount of light and a share by which even and odd fibres differ. A narrow spot knows by itself how light divides
    between the fibres around it, which convolutions take long to learn, and a step costs a quarter."""

    x: Tensor
    y: Tensor
    board: Tensor

    def __init__(self, shape: tuple[int, int], latent: int, hidden: int, spots: int) -> None:
        super().__init__()
        self.spots = spots
        self.layers = mlp([latent, hidden, hidden, 6 * spots + 3])
        self.direct = nn.Linear(latent, 3, bias=False)  # light and centre follow the code nearly linearly
        self.register_buffer("x", torch.arange(shape[0]) - (shape[0] - 1) / 2, persistent=False)
        self.register_buffer("y", torch.arange(shape[1]) - (shape[1] - 1) / 2, persistent=False)
        self.register_buffer("board", checkerboard(shape), persistent=False)
        self.sums = LightSums(shape)
        self.reach = (shape[0] / 2, shape[1] / 2)
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(0.3)
            bias = last.bias.zero_()[3:].view(6, spots)
            bias[0:2].normal_(std=0.25)  # centres a little apart, or all spots would learn the same
            bias[2:4] = torch.linspace(-1.2, 2.2, spots)  # widths from 0.3 to 9 fibres

    def forward(self, latent: Tensor) -> Tensor:
        """Expected photons (N, H, W) of codes (N, d)."""
        rows, uneven, columns = self._spots(latent)
        return (rows.transpose(1, 2) @ columns + self.board * (uneven.transpose(1, 2) @ columns)).clamp(min=0)

    def light_sums(self, latent: Tensor) -> Tensor:
        """`LightSums` of the image without drawing it."""
        return self.sums.of_products(*self._spots(latent))

    def _spots(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Profiles (N, spots, fibres): along x with the light, along x with the share by which even fibres get more
        than odd ones, and along y."""
        out = self.layers(latent)
        centre_x, centre_y, light = (out[:, :3] + self.direct(latent)).split(1, dim=1)
        u, v, log_width_x, log_width_y, amount, share = out[:, 3:].view(-1, 6, self.spots).unbind(1)
        profile_x = self.profile(self.x, self.reach[0] * centre_x + OFFSET * u, log_width_x)
        profile_y = self.profile(self.y, self.reach[1] * centre_y + OFFSET * v, log_width_y)
        rows = profile_x * torch.exp((light + 3 + amount).clamp(max=12.0))[:, :, None]
        return rows, rows * torch.tanh(share)[:, :, None], profile_y

    @staticmethod
    def profile(fibres: Tensor, centre: Tensor, log_width: Tensor) -> Tensor:
        """Unit-sum Gaussians (N, spots, fibres) of an endless lattice, so that light beyond the face is lost."""
        sharp = torch.exp(-log_width.clamp(-1.6, 3.5))[:, :, None]
        scaled = (fibres - centre[:, :, None]) * sharp
        # 1e-17 of a spot's light is none, and exponentials that leave the normal range of floats cost ten times as much
        return torch.exp((-0.5 * scaled.square()).clamp(min=-40)) * (sharp / math.sqrt(2 * math.pi))


class IntensityDecoder(nn.Module):
    """A decoder whose photon sum a head of its own predicts and imposes: the picture within says where light falls,
    the head how much of it."""

    def __init__(self, decoder: SpotDecoder | ConvolutionDecoder, latent: int, hidden: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.head = mlp([latent, hidden, hidden, 1])

    def total(self, latent: Tensor) -> Tensor:
        """Expected photons (N,) of codes (N, d)."""
        return torch.exp((self.head(latent).squeeze(1) + 4).clamp(max=14.0))

    def forward(self, latent: Tensor) -> Tensor:
        image = self.decoder(latent)
        return image * (self.total(latent) / image.sum((1, 2)).clamp(min=1e-6))[:, None, None]

    def light_sums(self, latent: Tensor) -> Tensor:
        sums = self.decoder.light_sums(latent)
        return sums * (self.total(latent) / sums[:, :8].sum(1).clamp(min=1e-6))[:, None]


Decoder = SpotDecoder | ConvolutionDecoder | IntensityDecoder


def make_decoder(
    kind: Literal["spots", "convolutions"],
    shape: tuple[int, int],
    latent: int,
    width: int,
    hidden: int,
    spots: int,
    intensity: bool = False,
) -> Decoder:
    """The decoder of a config's settings."""
    if kind == "spots":
        decoder = SpotDecoder(shape, latent, hidden, spots)
    else:
        decoder = ConvolutionDecoder(shape, latent, width)
    return IntensityDecoder(decoder, latent, hidden) if intensity else decoder


# ------------------------------------------------------------------------------------------------------------- light
def photons_per_track(showers: Tensor) -> Tensor:
    """Mean number k of photons that a particle leaves in a fibre it crosses, from showers (N, H, W) [photons].

    A lit fibre among eight dark ones was crossed by one particle: it holds n photons with probability ∝ kⁿ/n!, so
    k = 2 N₂ / N₁. 0, which is Poisson light, where fewer than 100 such fibres hold one photon.
    """
    once = twice = torch.zeros((), device=showers.device)
    for part in showers.split(4096):
        x = part.float()[:, None]
        alone = (9 * nn.functional.avg_pool2d(x, 3, 1, 1) - x).round() == 0
        once, twice = once + ((x == 1) & alone).sum(), twice + ((x == 2) & alone).sum()
    return torch.where(once >= 100, 2 * twice / once.clamp(min=1), torch.zeros_like(once))


def clumped(rate: Tensor, per_track: Tensor, rng: Generator) -> Tensor:
    """Photons of expected light: a Poisson number of tracks crosses a fibre, each leaves a Poisson number of photons
    (Neyman's type A), so that the variance is 1 + `per_track` times the mean; Poisson where `per_track` is 0."""
    if not float(per_track):
        return torch.poisson(rate, generator=rng)
    return torch.poisson(torch.poisson(rate / per_track, generator=rng) * per_track, generator=rng)

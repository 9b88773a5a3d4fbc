"""Networks that turn codes into expected examples: photons a fibre, grey values a pixel, coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.features import LightSums, checkerboard
from engine.nets import mlp


def photons(output: Tensor) -> Tensor:
    """expm1(softplus(·)): log(1 + photons) is a network's output, bent to stay positive."""
    # log(1 + photons) ≤ 12: ten times the brightest fibre of the full ZDC tables
    return torch.expm1(nn.functional.softplus(output).clamp(max=12.0))


def greys(output: Tensor) -> Tensor:
    """Grey values 0–255 of logits."""
    return 255 * torch.sigmoid(output)


def channels_last(images: Tensor) -> Tensor:
    """Images (N, C, H, W) laid out as what follows will be: a processor convolves and normalises that a quarter
    faster."""
    return images.contiguous(memory_format=torch.channels_last)


Head = Callable[[Tensor], Tensor]


class ConvolutionDecoder(nn.Module):
    """The paper's mirror image of the encoder: four transposed 5×5 convolutions, at their end a `head`."""

    def __init__(self, shape: tuple[int, ...], latent: int, width: int, head: Head = photons) -> None:
        super().__init__()
        self.head = head
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
        image = channels_last(self.first(latent).view(-1, self.channels, *self.sizes[0]))
        for norm, layer, size in zip(self.norms, self.layers, self.sizes[1:], strict=True):
            seen = torch.relu(norm(image))
            image = layer(seen, output_size=size) if size != self.sizes[-1] else doubled(layer, seen, size)
        return self.head(image.squeeze(1))

    def light_sums(self, latent: Tensor) -> Tensor:
        """`LightSums` of the image."""
        return self.sums(self(latent))


def doubled(layer: nn.Module, image: Tensor, size: tuple[int, ...]) -> Tensor:
    """What a transposed 5×5 convolution of stride 2 makes of an image (N, C, h, w), at a `size` (H, W) of twice the
    image's or one less: a 3×3 convolution for each of the four places of a pixel, shuffled. Where few channels come out
    a processor takes a third less for that."""
    assert isinstance(layer, nn.ConvTranspose2d)
    inputs, outputs = layer.weight.shape[:2]
    # taps k = 0, 2, 4 reach even pixels from pixels 1, 0, −1 away, taps 1, 3 odd ones from 1, 0; a sixth would be 0
    taps = nn.functional.pad(layer.weight, (0, 1, 0, 1)).view(inputs, outputs, 3, 2, 3, 2).flip(2, 4)
    kernel = taps.permute(1, 3, 5, 0, 2, 4).reshape(4 * outputs, inputs, 3, 3)
    bias = None if layer.bias is None else layer.bias.repeat_interleave(4)
    placed = nn.functional.conv2d(image, kernel, bias, padding=1)
    return nn.functional.pixel_shuffle(placed, 2)[..., : size[0], : size[1]]


class SubpixelDecoder(nn.Module):
    """3×3 convolutions whose channels become pixels, twice; at equal `width` they cost several times as much
    as the transposed ones.

    References: W. Shi et al., Real-Time Single Image and Video Super-Resolution, https://arxiv.org/abs/1609.05158.
    """

    def __init__(self, shape: tuple[int, ...], latent: int, width: int, head: Head = photons) -> None:
        super().__init__()
        self.shape, self.head = shape, head
        self.size = [math.ceil(n / 4) for n in shape]
        self.channels = 4 * width
        self.first = nn.Linear(latent, self.channels * math.prod(self.size))
        # a bias before batch norm would have no effect and no gradient
        self.layers = nn.Sequential(
            nn.BatchNorm2d(4 * width), nn.ReLU(),
            nn.Conv2d(4 * width, 8 * width, 3, padding=1, bias=False), nn.PixelShuffle(2),
            nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1, bias=False), nn.PixelShuffle(2),
            nn.BatchNorm2d(width), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Conv2d(width, 1, 3, padding=1)
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias, -2.0)  # nearly every pixel is dark
        self.sums = LightSums(shape)

    def forward(self, latent: Tensor) -> Tensor:
        image = self.layers(channels_last(self.first(latent).view(-1, self.channels, *self.size)))
        return self.head(self.last(image).squeeze(1)[:, : self.shape[0], : self.shape[1]])

    def light_sums(self, latent: Tensor) -> Tensor:
        """`LightSums` of the image."""
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

    def __init__(self, shape: tuple[int, ...], latent: int, hidden: int, spots: int) -> None:
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

    def __init__(self, decoder: SpotDecoder | ConvolutionDecoder | SubpixelDecoder, latent: int, hidden: int) -> None:
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


class PointDecoder(nn.Module):
    """Points (N, d) of codes, by three hidden fully connected layers, or another `depth`, and a `head`."""

    def __init__(self, dimensions: int, latent: int, hidden: int, head: Head, depth: int = 3) -> None:
        super().__init__()
        self.head = head
        self.layers = mlp([latent, *[hidden] * depth, dimensions])

    def forward(self, latent: Tensor) -> Tensor:
        return self.head(self.layers(latent))


PictureDecoder = SpotDecoder | ConvolutionDecoder | SubpixelDecoder
Decoder = PictureDecoder | IntensityDecoder | PointDecoder

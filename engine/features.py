"""What networks see beside the picture: features of the conditions, and facts of a shower's light."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from engine import zdc
from engine.schema import WrongInput
from engine.spaces import Space


def detector_of(shape: tuple[int, ...]) -> zdc.Detector:
    """The calorimeter with this face. Raises `WrongInput` when there is none."""
    for detector in zdc.DETECTORS.values():
        if detector.shape == tuple(shape):
            return detector
    faced = "×".join(str(n) for n in shape)
    raise WrongInput(f"no detector has {faced} fibres: choose conditions = raw")


class ConditionFeatures(nn.Module):
    """What a network sees of condition rows (N, C).

    `raw`: the columns, standardised; those that never change become 0. `derived`, of showers: impact point, log energy,
    species and whether it misses the face, with which `transport` measures distances, and beside them, for networks
    only, what the fibre lattice and the edges of the face do to the light. A class is an indicator for each.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: Literal["derived", "raw"], space: Space) -> None:
        super().__init__()
        self.columns, self.classes = space.columns, space.classes
        self.detector = detector_of(space.shape) if kind == "derived" and space.kind == "showers" else None
        self.width = self._columns(torch.ones(2, self.columns)).shape[1]
        self.transport_width = 7 if self.detector else self.width
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("std", torch.ones(self.width))

    @torch.no_grad()
    def fit(self, conditions: Tensor) -> None:
        """Mean and standard deviation of each feature over training rows."""
        if self.classes:
            return
        columns = self._columns(conditions)
        self.mean.copy_(columns.mean(0))
        std = columns.std(0)
        self.std.copy_(torch.where(std > 1e-6 * (1 + self.mean.abs()), std, 1.0))
        if self.detector:  # indicators say as much unscaled, and a rare species does not blow up
            self.mean[3:7] = 0
            self.std[3:7] = 1

    def forward(self, conditions: Tensor) -> Tensor:
        """Standardised features (N, width). Raises `WrongInput` for rows of a wrong width."""
        if conditions.ndim != 2 or conditions.shape[1] != self.columns:
            raise WrongInput(f"conditions have shape {tuple(conditions.shape)}: {self.columns} columns are needed")
        return (self._columns(conditions) - self.mean) / self.std

    def transport(self, features: Tensor) -> Tensor:
        """The part of `forward`'s features that the transport cost of Eq. (8) compares."""
        return features[:, : self.transport_width]

    def _columns(self, conditions: Tensor) -> Tensor:
        if self.classes:
            return nn.functional.one_hot(conditions[:, 0].long(), self.classes).to(conditions.dtype)
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


# ------------------------------------------------------------------------------------------------------------ light
def checkerboard(shape: tuple[int, ...]) -> Tensor:
    """+1 on fibres with even i + j, −1 on odd ones, shape (H, W)."""
    i, j = torch.meshgrid(torch.arange(shape[0]), torch.arange(shape[1]), indexing="ij")
    return (1 - 2 * ((i + j) % 2)).to(torch.float32)


class Moments(nn.Module):
    """Facts of showers (N, H, W) [photons], (N, 52): light in all and by quadrant and parity of the fibre, centre,
    widths and the common share, and the brightest fibre with the 5×5 around it, in which the core of a shower lies.
    A few convolutions learn these slowly, and strides blur where the core is. `floor` photons keep the gradient of
    the root of an empty quadrant finite, where showers are generated ones."""

    sums: Tensor

    def __init__(self, shape: tuple[int, ...], floor: float = 0.0) -> None:
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

    def __init__(self, shape: tuple[int, ...]) -> None:
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

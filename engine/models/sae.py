"""Sinkhorn autoencoder: the codes are carried onto a fixed prior by entropic transport.

G. Patrini, R. van den Berg, P. Forré, M. Carioni, S. Bhargav, M. Welling, T. Genewein, F. Nielsen,
https://arxiv.org/abs/1810.01118.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Generator, Tensor

from engine import losses
from engine.autoencoder import PriorAutoencoder, PriorConfig, transport_block
from engine.config import merged, option


class SAEConfig(PriorConfig):
    presets = merged(PriorConfig.presets, points={"weight": 3.0})

    target: Literal["normal", "hypersphere"] = option(
        "normal",
        "Prior of the codes: normal, or uniform on the hypersphere of radius √latent, on which codes then lie.",
        source="arXiv:1810.01118",
    )
    weight: float = option(
        0.01, "Weight of the distance between codes and prior.", ge=0, le=1000, source="tuned on validation primaries",
        group="Losses",
    )  # fmt: skip
    blur: float = option(
        0.05, "√ε: smallest distance that transport resolves.", gt=0.001, le=10, unit="latent σ",
        source="GeomLoss's default", group="Losses",
    )  # fmt: skip
    solver: Literal["own", "geomloss"] = option(
        "own",
        "What solves the transport: GeomLoss, or the same algorithm written for a batch's size, several times as fast.",
        source="GeomLoss is the papers'", group="Losses",
    )  # fmt: skip
    transport_block: int = transport_block()


class SAE(PriorAutoencoder):
    """All codes together are drawn towards the prior by the Sinkhorn divergence."""

    name: ClassVar[str] = "sae"
    title: ClassVar[str] = "Sinkhorn autoencoder"
    summary: ClassVar[str] = (
        "The codes of all showers together are carried onto a normal distribution or a hypersphere by optimal "
        "transport; what the end-to-end model grew out of."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/1810.01118"
    Config = SAEConfig
    config: SAEConfig
    distance = "sinkhorn"

    @property
    def radius(self) -> float | None:
        """Of the hypersphere, at which a coordinate has the spread of a normal one; None for the normal prior."""
        return math.sqrt(self.config.latent) if self.config.target == "hypersphere" else None

    def placed(self, codes: Tensor) -> Tensor:
        """Codes on the hypersphere, where that is the prior."""
        return self.radius * F.normalize(codes, dim=1) if self.radius else codes

    def carry(self, noise: Tensor, conditions: Tensor) -> Tensor:
        return self.placed(noise)  # directions of normal points are uniform on the sphere

    def divergence(self, codes: Tensor, drawn: Tensor, rng: Generator) -> Tensor:
        c = self.config
        return losses.sinkhorn_in_blocks(codes, drawn, c.transport_block, rng, c.blur, solver=c.solver)

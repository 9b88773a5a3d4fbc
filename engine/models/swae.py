"""Sliced Wasserstein autoencoder.

S. Kolouri, P. Pope, C. Martin, G. Rohde, https://arxiv.org/abs/1804.01947.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor

from engine import losses
from engine.autoencoder import PriorAutoencoder, PriorConfig
from engine.config import option


class SWAEConfig(PriorConfig):
    projections: int = option(
        50, "Random directions along which clouds are compared.", ge=1, le=10_000,
        source="arXiv:1804.01947, its experiments", group="Losses",
    )  # fmt: skip


class SWAE(PriorAutoencoder):
    """All codes together are drawn towards N(0, 1) along random directions."""

    name: ClassVar[str] = "swae"
    title: ClassVar[str] = "Sliced Wasserstein autoencoder"
    summary: ClassVar[str] = (
        "The codes of all showers together are drawn towards a normal distribution by transport along random lines, "
        "where it is only sorting."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/1804.01947"
    Config = SWAEConfig
    config: SWAEConfig
    distance = "sliced"

    def divergence(self, codes: Tensor, drawn: Tensor, rng: Generator) -> Tensor:
        directions = losses.sphere(self.config.projections, codes.shape[1], rng, codes)
        return losses.sliced_wasserstein(codes, drawn, directions)

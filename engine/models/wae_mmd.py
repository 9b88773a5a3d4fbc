"""Wasserstein autoencoder with the maximum mean discrepancy.

I. Tolstikhin, O. Bousquet, S. Gelly, B. Schölkopf, https://arxiv.org/abs/1711.01558, Alg. 2.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor

from engine import losses
from engine.autoencoder import PriorAutoencoder, PriorConfig


class WAEMMD(PriorAutoencoder):
    """All codes together are drawn towards N(0, 1), with inverse multiquadratic kernels."""

    name: ClassVar[str] = "wae_mmd"
    title: ClassVar[str] = "Wasserstein autoencoder, MMD"
    summary: ClassVar[str] = (
        "The codes of all showers together, not each by itself, are drawn towards a normal distribution by a kernel "
        "distance; encoder and decoder are told the conditions."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/1711.01558"
    Config = PriorConfig
    distance = "mmd"

    def divergence(self, codes: Tensor, drawn: Tensor, rng: Generator) -> Tensor:
        return losses.mmd(codes, drawn)

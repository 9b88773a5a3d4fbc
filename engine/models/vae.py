"""Variational autoencoder, and with conditions the conditional one: labels into encoder and decoder.

D. Kingma and M. Welling, https://arxiv.org/abs/1312.6114; K. Sohn, H. Lee, X. Yan, Learning Structured Output
Representation using Deep Conditional Generative Models, NeurIPS 2015.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Generator, Tensor

from engine import losses
from engine.autoencoder import Autoencoder, AutoencoderConfig
from engine.config import merged, option
from engine.models.base import Batch, Phase


class VAEConfig(AutoencoderConfig):
    presets = merged(AutoencoderConfig.presets, images={"kl_weight": 0.5}, points={"kl_weight": 0.01})

    kl_weight: float = option(
        5.0, "Weight of the Kullback–Leibler term; at 1 the loss is the evidence bound, over the number of fibres. "
        "Small weights leave in the code what the conditions say as well, so that generated replicas are too wide; "
        "large ones leave nothing, so that they are too narrow.",
        ge=0, le=1000, source="tuned on validation primaries; 1 in arXiv:1312.6114 Eq. (3)", group="Losses",
    )  # fmt: skip


class VAE(Autoencoder):
    """Codes are Gaussian, drawn towards N(0, 1) shower by shower."""

    name: ClassVar[str] = "vae"
    title: ClassVar[str] = "Variational autoencoder"
    summary: ClassVar[str] = (
        "Each shower is encoded as a Gaussian cloud, each cloud is drawn towards one normal distribution, and the "
        "decoder is told the conditions."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/1312.6114"
    Config = VAEConfig
    config: VAEConfig
    outputs = 2
    normalised = False

    def phases(self) -> list[Phase]:
        return [Phase("joint", list(self.parameters()), self.loss)]

    def posterior(self, showers: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (N, d) of the codes of showers."""
        mean, log_variance = super().encode(showers, conditions).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 6)

    def encode(self, showers: Tensor, conditions: Tensor) -> Tensor:
        return self.posterior(showers, conditions)[0]

    def loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """The negative evidence bound over the number of fibres, term by term."""
        x, q = batch.showers, batch.conditions
        mean, log_variance = self.posterior(x, q)
        noise = torch.randn(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype)
        terms = self.fidelity(x, self.decode(mean + (log_variance / 2).exp() * noise, q))
        terms["kl"] = losses.kl_to_normal(mean, log_variance)
        if self.scored():
            terms["energy_score"] = self.energy_score(self.prior(q, rng), batch, rng)
        return self.weighted(terms)

    def weights(self) -> dict[str, float]:
        return super().weights() | {"kl": self.config.kl_weight / math.prod(self.space.shape)}

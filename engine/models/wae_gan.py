"""Wasserstein autoencoder with an adversary in latent space.

I. Tolstikhin, O. Bousquet, S. Gelly, B. Schölkopf, https://arxiv.org/abs/1711.01558, Alg. 1.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from engine import losses, nets
from engine.autoencoder import RandomAutoencoder, RandomConfig
from engine.config import merged, option
from engine.models.base import Batch, Phase
from engine.spaces import Space

PAPER = "arXiv:1711.01558"


class WAEGANConfig(RandomConfig):
    presets = merged(RandomConfig.presets, points={"weight": 0.3})

    weight: float = option(
        0.1, "λ, weight of the adversary.", ge=0, le=1000, source=f"{PAPER} Alg. 1; tuned on validation primaries",
        group="Losses",
    )  # fmt: skip
    show_conditions: bool = option(
        True, "Show the adversary the conditions beside the code, so that it judges joint distributions.",
        source="own; not in the paper", group="Losses",
    )  # fmt: skip
    adversary_rate: float = option(
        1e-3, "The adversary's step size at the start.", gt=0, le=0.1,
        source=f"{PAPER}: 5e-4 to 1e-3 in its experiments", group="Training",
    )  # fmt: skip


class WAEGAN(RandomAutoencoder):
    """All codes together are drawn towards N(0, 1) by a discriminator that tells them from the prior's."""

    name: ClassVar[str] = "wae_gan"
    title: ClassVar[str] = "Wasserstein autoencoder, adversarial"
    summary: ClassVar[str] = (
        "The codes of all showers together are drawn towards a normal distribution by a discriminator in latent "
        "space, while encoder and decoder reconstruct."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/1711.01558"
    Config = WAEGANConfig
    config: WAEGANConfig

    def __init__(self, config: WAEGANConfig, space: Space) -> None:
        super().__init__(config, space)
        c = config
        width = self.features.transport_width if self.features and c.show_conditions else 0
        self.adversary = nets.mlp([c.latent + width, c.hidden, c.hidden, c.hidden, 1])

    def phases(self) -> list[Phase]:
        pair = [*self.encoder.parameters(), *self.decoder.parameters()]
        return [
            Phase(
                "adversary", list(self.adversary.parameters()), self.adversary_loss,
                learning_rate=self.config.adversary_rate, betas=(0.5, 0.999),
            ),
            Phase("autoencoder", pair, self.autoencoder_loss),
        ]  # fmt: skip

    def judged(self, codes: Tensor, conditions: Tensor) -> Tensor:
        """Logits (N,) that codes are the prior's."""
        return self.adversary(self.joined(codes, conditions, float(self.config.show_conditions))).squeeze(1)

    def adversary_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Tell prior codes from encoded ones."""
        q = batch.conditions
        with torch.no_grad():
            codes, drawn = self.code(batch.showers, q, rng), self.prior(q, rng)
        return {"total": losses.logistic(self.judged(drawn, q), self.judged(codes, q))}

    def autoencoder_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Reconstruct, with codes that the adversary takes for the prior's."""
        x, q = batch.showers, batch.conditions
        codes = self.code(x, q, rng)
        terms = self.fidelity(x, self.decode(codes, q))
        terms["fooling"] = F.softplus(-self.judged(codes, q)).mean()
        if self.scored():
            terms["energy_score"] = self.energy_score(self.prior(q, rng), batch, rng)
        return self.weighted(terms)

    def weights(self) -> dict[str, float]:
        return super().weights() | {"fooling": self.config.weight}

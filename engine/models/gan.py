"""The generative adversarial network as it was first written: a minimax game.

I. Goodfellow et al., https://arxiv.org/abs/1406.2661, Alg. 1.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Generator, Tensor

from engine import losses, nets
from engine.adversarial import Adversarial, AdversarialConfig
from engine.config import merged, option

PAPER = "arXiv:1406.2661"


class GANConfig(AdversarialConfig):
    presets = merged(AdversarialConfig.presets, points={"learning_rate": 3e-4, "critic_steps": 3})

    game: Literal["minimax", "non_saturating"] = option(
        "minimax",
        "What the generator minimises: log(1 − D(G(z))), which goes flat against a perfect discriminator, or "
        "−log D(G(z)).",
        source=f"{PAPER} Eq. (1) and §3", group="Losses",
    )  # fmt: skip
    real_penalty: float = option(
        0.0, "γ, weight of the penalty R₁ on the critic's gradient at simulated showers.", ge=0, le=1000,
        source="arXiv:1801.04406 Eq. (9); not in the papers of these networks", group="Losses",
    )  # fmt: skip
    learning_rate: float = option(
        5e-4, "Adam's step size at the start.", gt=0, le=0.1, group="Training", source="tuned on validation primaries"
    )


class GAN(Adversarial):
    """Discriminator and generator in the minimax game, k steps to one."""

    name: ClassVar[str] = "gan"
    title: ClassVar[str] = "Generative adversarial network"
    summary: ClassVar[str] = (
        "A discriminator learns to tell generated showers from simulated ones, the generator to be taken for the "
        "simulation: the first of its kind, with its oscillations."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/1406.2661"
    Config = GANConfig
    config: GANConfig

    def critic_terms(self, real: Tensor, fake: Tensor, features: Tensor | None, rng: Generator) -> dict[str, Tensor]:
        judged = self.judge(real, fake, features)
        right = ((judged[0] > 0).float().mean() + (judged[1] < 0).float().mean()) / 2
        terms = {"accuracy": right, "total": losses.logistic(*judged)}
        if self.config.real_penalty:
            with nets.resting(self.critic):
                terms["penalty"] = losses.real_penalty(lambda x: self.critic(x, features), real)
            terms["total"] = terms["total"] + self.config.real_penalty * terms["penalty"]
        return terms

    def generator_wish(self, judged: Tensor) -> Tensor:
        if self.config.game == "minimax":
            return -F.softplus(judged).mean()
        return F.softplus(-judged).mean()

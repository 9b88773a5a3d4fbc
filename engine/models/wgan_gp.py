"""Wasserstein GAN with gradient penalty.

I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville, https://arxiv.org/abs/1704.00028, Alg. 1.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor

from engine import losses
from engine.adversarial import Adversarial, AdversarialConfig
from engine.config import merged, option

PAPER = "arXiv:1704.00028"


class WGANGPConfig(AdversarialConfig):
    presets = merged(AdversarialConfig.presets, points={"penalty": 1.0})

    penalty: float = option(
        10.0, "λ, weight of the penalty on the critic's gradient.", ge=0, le=1000, source=f"{PAPER} Alg. 1",
        group="Losses",
    )  # fmt: skip
    critic_steps: int = option(
        5, "Steps of the critic for each one of the generator.", ge=1, le=100, group="Training",
        source=f"{PAPER} Alg. 1: n_critic",
    )  # fmt: skip
    batch: int = option(64, "Showers a step.", ge=8, le=20_000, group="Training", source=f"{PAPER} Alg. 1")
    learning_rate: float = option(
        1e-4, "Adam's step size at the start, β = (0, 0.9).", gt=0, le=0.1, group="Training", source=f"{PAPER} Alg. 1"
    )


class WGANGP(Adversarial):
    """A critic that is held Lipschitz by a penalty on its gradient between simulated and generated showers."""

    name: ClassVar[str] = "wgan_gp"
    title: ClassVar[str] = "Wasserstein GAN, gradient penalty"
    summary: ClassVar[str] = (
        "The critic estimates the transport distance between simulated and generated showers; a penalty holds its "
        "slope at one, which trains better than clipping."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/1704.00028"
    Config = WGANGPConfig
    config: WGANGPConfig
    betas = (0.0, 0.9)

    def critic_terms(self, real: Tensor, fake: Tensor, features: Tensor | None, rng: Generator) -> dict[str, Tensor]:
        judged = self.judge(real, fake, features)
        distance = judged[0].mean() - judged[1].mean()
        penalty = losses.gradient_penalty(lambda x: self.judged(x, features), real, fake, rng)
        return {"distance": distance, "penalty": penalty, "total": self.config.penalty * penalty - distance}

    def generator_wish(self, judged: Tensor) -> Tensor:
        return -judged.mean()

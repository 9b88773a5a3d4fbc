"""Wasserstein GAN with clipped weights.

M. Arjovsky, S. Chintala, L. Bottou, https://arxiv.org/abs/1701.07875, Alg. 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from torch import Generator, Tensor

from engine.adversarial import Adversarial, AdversarialConfig
from engine.config import merged, option
from engine.models.base import Phase

PAPER = "arXiv:1701.07875"


class WGANConfig(AdversarialConfig):
    presets = merged(AdversarialConfig.presets, points={"learning_rate": 2e-3, "clip": 0.1})

    clip: float = option(
        0.01, "c, largest weight of the critic.", gt=0, le=10, source=f"{PAPER} Alg. 1", group="Losses"
    )
    critic_steps: int = option(
        5, "Steps of the critic for each one of the generator.", ge=1, le=100, group="Training",
        source=f"{PAPER} Alg. 1: n_critic",
    )  # fmt: skip
    batch: int = option(64, "Showers a step.", ge=8, le=20_000, group="Training", source=f"{PAPER} Alg. 1")
    learning_rate: float = option(
        5e-5, "RMSprop's step size at the start.", gt=0, le=0.1, group="Training", source=f"{PAPER} Alg. 1"
    )


class WGAN(Adversarial):
    """A critic that is Lipschitz because its weights are small, RMSprop on both sides."""

    name: ClassVar[str] = "wgan"
    title: ClassVar[str] = "Wasserstein GAN"
    summary: ClassVar[str] = (
        "The critic estimates the transport distance between simulated and generated showers; its weights are clipped "
        "so that it cannot exaggerate."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/1701.07875"
    Config = WGANConfig
    config: WGANConfig

    def phases(self) -> list[Phase]:
        critic, generator = (replace(phase, optimiser="rmsprop") for phase in super().phases())
        return [replace(critic, clip=self.config.clip), generator]

    def critic_terms(self, real: Tensor, fake: Tensor, features: Tensor | None, rng: Generator) -> dict[str, Tensor]:
        judged = self.judge(real, fake, features)
        distance = judged[0].mean() - judged[1].mean()
        return {"distance": distance, "total": -distance}

    def generator_wish(self, judged: Tensor) -> Tensor:
        return -judged.mean()

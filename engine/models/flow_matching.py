"""Conditional flow matching in pixel space.

Y. Lipman, R. Chen, H. Ben-Hamu, M. Nickel, M. Le, https://arxiv.org/abs/2210.02747.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Generator, Tensor

from engine import flow, losses
from engine.config import Config, merged, option
from engine.models.base import Batch, Model, Phase
from engine.spaces import Space


class FlowMatchingConfig(Config):
    presets = merged(
        Config.presets,
        images={"batch": 250, "latent": 64},
        points={"hidden": 128},
    )

    latent: int = option(20, "Dimensions of the code within the velocity network.", ge=1, le=512, source="own")
    steps: int = option(20, "Steps from noise to a shower; more are better and slower.", ge=1, le=1000, source="own")
    batch: int = option(50, "Showers a step.", ge=8, le=20_000, group="Training", source="own")
    learning_rate: float = option(
        2e-3, "Adam's step size at the start.", gt=0, le=0.1, group="Training", source="tuned on validation primaries"
    )


class FlowMatching(Model):
    """A velocity field that carries a noise picture to log(1 + photons), in units of its spread."""

    name: ClassVar[str] = "flow_matching"
    title: ClassVar[str] = "Flow matching"
    summary: ClassVar[str] = (
        "A network learns the velocity that carries noise to showers along straight lines; a shower takes some twenty "
        "steps, each a pass through the network."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/2210.02747"
    has_latent: ClassVar[bool] = False
    watched: ClassVar[int] = 90
    Config = FlowMatchingConfig
    config: FlowMatchingConfig
    scale: Tensor

    def __init__(self, config: FlowMatchingConfig, space: Space) -> None:
        super().__init__(config, space)
        self.velocity = flow.velocity(self.modality, config, space, self.features.width if self.features else 0)
        self.register_buffer("scale", torch.ones(()))

    def fit(self, showers: Tensor, conditions: Tensor) -> None:
        super().fit(showers, conditions)
        self.scale.copy_(self.modality.view(showers).std().clamp(min=1e-3))

    def phases(self) -> list[Phase]:
        return [Phase("flow", list(self.parameters()), self.loss)]

    def loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Mean squared error of the velocity, times uniform in [0, 1], and of showers how likely the decoder's guess
        makes them."""
        data = self.modality.view(batch.showers) / self.scale
        noise = self.noise(batch.conditions, rng).view_as(data)
        time = flow.times(data, rng)
        point, target = losses.flow_path(noise, data, time)
        velocity, rate = self.velocity(point, time, self.seen(batch.conditions), self.scale)
        terms = {"velocity": (velocity - target).square().mean()}
        if rate is not None:
            terms["guess"] = losses.poisson_nll(batch.showers, rate)
        return {**terms, "total": torch.stack(list(terms.values())).sum()}

    @property
    def noise_width(self) -> int:
        """H·W, or d: noise of an example's own size."""
        return math.prod(self.space.shape)

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """The examples that noise is carried to."""
        q = self.seen(conditions)
        start = latent.view(-1, *self.space.shape)
        end = flow.integrate(lambda x, t: self.velocity(x, t, q, self.scale)[0], start, self.config.steps, "euler")
        return self.modality.restored(end * self.scale)

    def observed(self, expected: Tensor, rng: Generator) -> Tensor:
        """The flow ends at whole photons nearly by itself, so they are rounded: a draw would count the noise twice."""
        return self.modality.settled(expected)

"""Conditional flow matching in pixel space.

Y. Lipman, R. Chen, H. Ben-Hamu, M. Nickel, M. Le, https://arxiv.org/abs/2210.02747.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Generator, Tensor

from engine import flow, losses, nets
from engine.autoencoder import NetworkConfig
from engine.models.base import Batch, Model, Phase, option
from engine.spaces import Space


class FlowMatchingConfig(NetworkConfig):
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
        c = config
        self.features = nets.ConditionFeatures(c.conditions, space.shape) if c.conditional else None
        width = self.features.width if self.features else 0
        decoder = nets.make_decoder(c.decoder, space.shape, c.latent + width, c.width, c.hidden, c.spots, c.intensity)
        self.velocity = flow.PictureVelocity(space.shape, c.latent, width, c.width, c.hidden, decoder)
        self.register_buffer("scale", torch.ones(()))

    def fit_scalers(self, showers: Tensor, conditions: Tensor) -> None:
        if self.features:
            self.features.fit(conditions)
        self.scale.copy_(torch.log1p(showers).std().clamp(min=1e-3))

    def phases(self) -> list[Phase]:
        return [Phase("flow", list(self.parameters()), self.loss)]

    def seen(self, conditions: Tensor) -> Tensor | None:
        """What the velocity sees of the conditions."""
        return self.features(conditions) if self.features else None

    def loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Mean squared error of the velocity over fibres, times uniform in [0, 1], and how likely the decoder's guess
        makes the shower."""
        data = torch.log1p(batch.showers) / self.scale
        noise = self.prior(batch.conditions, rng).view_as(data)
        time = flow.times(data, rng)
        point, target = losses.flow_path(noise, data, time)
        velocity, rate = self.velocity(point, time, self.seen(batch.conditions), self.scale)
        terms = {"velocity": (velocity - target).square().mean(), "guess": losses.poisson_nll(batch.showers, rate)}
        return {**terms, "total": terms["velocity"] + terms["guess"]}

    def prior(self, conditions: Tensor, rng: Generator) -> Tensor:
        """Noise pictures (N, H·W)."""
        return nets.normal(conditions, math.prod(self.shape), rng)

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """The light (N, H, W) that noise pictures are carried to."""
        q = self.seen(conditions)
        start = latent.view(-1, *self.shape)
        end = flow.integrate(lambda x, t: self.velocity(x, t, q, self.scale)[0], start, self.config.steps, "euler")
        # log(1 + photons) ≤ 12, as in the decoders
        return torch.expm1((end * self.scale).clamp(0, 12))

    def sample(self, conditions: Tensor, rng: Generator, light: str = "poisson") -> Tensor:
        """The flow ends at whole photons nearly by itself, so `poisson` rounds: a draw would count the noise twice."""
        photons = self.decode(self.prior(conditions, rng), conditions)
        return photons.round() if light == "poisson" else photons

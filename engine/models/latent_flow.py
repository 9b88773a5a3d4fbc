"""Flow matching in the latent space of an autoencoder, which the first part of the same run trains.

Y. Lipman et al., https://arxiv.org/abs/2210.02747; Q. Dao, H. Phung, B. Nguyen, A. Tran, Flow Matching in Latent
Space, https://arxiv.org/abs/2307.08698.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor

from engine import flow, losses, nets
from engine.autoencoder import Autoencoder, AutoencoderConfig
from engine.config import option
from engine.models.base import Batch, Phase
from engine.spaces import Space


class LatentFlowConfig(AutoencoderConfig):
    share: float = option(
        0.6, "Share of the training that the autoencoder gets; the flow has the rest.", gt=0, lt=1, source="own",
        group="Training",
    )  # fmt: skip
    flow_rate: float = option(
        2e-3, "Adam's step size at the start of the flow's part.", gt=0, le=0.1,
        source="tuned on validation primaries", group="Training",
    )  # fmt: skip
    energy_score_weight: float = option(
        0.0, "Weight of the energy score of generated against simulated light, through every step of the flow.", ge=0,
        le=1000, source="own; Gneiting and Raftery 2007", group="Losses",
    )  # fmt: skip
    repeats: int = option(
        8, "Draws of noise and time for each code in a step; the encoder costs more than they do.", ge=1, le=1000,
        source="own", group="Training",
    )  # fmt: skip
    steps: int = option(10, "Steps from noise to a code, by the midpoint rule.", ge=1, le=1000, source="own")


class LatentFlow(Autoencoder):
    """As in the end-to-end autoencoder conditions never reach encoder or decoder: the flow alone knows of them."""

    name: ClassVar[str] = "latent_flow"
    title: ClassVar[str] = "Latent flow matching"
    summary: ClassVar[str] = (
        "First an autoencoder learns codes of showers, then a velocity field learns to carry noise to the codes of a "
        "given particle. A shower costs a few passes through a small network."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/2307.08698"
    Config = LatentFlowConfig
    config: LatentFlowConfig
    informed = False

    def __init__(self, config: LatentFlowConfig, space: Space) -> None:
        super().__init__(config, space)
        width = self.features.width if self.features else 0
        self.velocity = flow.LatentVelocity(config.latent, width, config.hidden)

    def phases(self) -> list[Phase]:
        c = self.config
        pair = [*self.encoder.parameters(), *self.decoder.parameters()]
        carrying = list(self.velocity.parameters())
        return [
            Phase("autoencoder", pair, self.autoencoder_loss, span=(0.0, c.share)),
            Phase("flow", carrying, self.flow_loss, learning_rate=c.flow_rate, span=(c.share, 1.0)),
        ]

    def autoencoder_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Reconstruction alone: unit spread is all that is asked of the codes."""
        x = batch.showers
        return self.weighted(self.fidelity(x, self.decode(self.encode(x, batch.conditions), batch.conditions)))

    def weights(self) -> dict[str, float]:
        return {name: weight for name, weight in super().weights().items() if name != "energy_score"}

    def flow_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Mean squared error of the velocity over latent dimensions, and where it counts the energy score of what the
        flow generates; encoder and decoder at rest."""
        c, q = self.config, batch.conditions
        with nets.resting(self.encoder), torch.no_grad():
            codes = self.encode(batch.showers, q).repeat(c.repeats, 1)
        noise = self.noise(codes, rng)
        time = flow.times(codes, rng)
        point, target = losses.flow_path(noise, codes, time)
        features = self.features(q).repeat(c.repeats, 1) if self.features else None
        terms = {"velocity": (self.velocity(point, time, features) - target).square().mean()}
        terms["total"] = terms["velocity"]
        if self.scored():
            with nets.resting(self.decoder):
                terms["energy_score"] = self.energy_score(self.prior(q, rng), batch, rng)
            terms["total"] = terms["velocity"] + c.energy_score_weight * terms["energy_score"]
        return terms

    def carry(self, noise: Tensor, conditions: Tensor) -> Tensor:
        features = self.seen(conditions)
        return flow.integrate(lambda z, t: self.velocity(z, t, features), noise, self.config.steps, "midpoint")

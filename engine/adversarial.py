"""What the generative adversarial networks share: critic, generator and the two phases of a step."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from engine import losses, nets
from engine.autoencoder import NetworkConfig
from engine.models.base import Batch, Model, Phase, option
from engine.spaces import Space


class AdversarialConfig(NetworkConfig):
    """Settings of every generator and critic."""

    moments: bool = option(
        False,
        "Show the critic light sums, centre, widths and the core of a shower beside its convolutions. A discriminator "
        "that sees them is sure within a few hundred steps, and the generator goes dark.",
        source="own",
    )
    noise: int = option(16, "Dimensions of the generator's noise.", ge=1, le=512, source="10 in known ZDC values")
    critic_steps: int = option(
        1, "Steps of the critic for each one of the generator.", ge=1, le=100, group="Training",
        source="arXiv:1406.2661 Alg. 1: k",
    )  # fmt: skip
    critic_norm: bool = option(
        False,
        "Batch norm in the critic, with statistics of simulated showers. DCGAN has it; on showers, whose light spans "
        "four orders of magnitude, generated ones then grew a thousand times too bright, and a gradient penalty needs "
        "a critic without.",
        source="own; on in arXiv:1511.06434 §3",
    )
    counts: bool = option(
        True,
        "Show the critic whole photons drawn from the generator's expected light, as the simulation has them; their "
        "gradient goes straight through. Otherwise it sees the expected light.",
        source="own",
    )
    diversity_weight: float = option(
        0.0,
        "Weight of the selective diversity term: unlike noise must make unlike showers where replicas of a particle "
        "differ. Needs batches of primaries.",
        ge=0, le=1000, source="SDI-GAN, arXiv:2207.01561", group="Losses",
    )  # fmt: skip


class Critic(nn.Module):
    """The encoder's convolutions and moments on log(1 + photons), with the conditions, and one number (N,) at the
    end. Without batch norm where each shower must be judged by itself."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, shape: tuple[int, int], width: int, hidden: int, features: int, moments: bool, norm: bool
    ) -> None:
        super().__init__()
        self.convolutions = nets.convolutions(width, norm, slope=0.2)
        self.moments = nets.Moments(shape, floor=0.1) if moments else None
        facts = self.moments.width if self.moments else 0
        self.register_buffer("mean", torch.zeros(facts))
        self.register_buffer("std", torch.ones(facts))
        size = nets.convolved(shape, width) + facts + features
        self.layers = nn.Sequential(
            nn.Linear(size, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        # without a bias: a Wasserstein critic's would cancel between simulated and generated showers
        self.last = nn.Linear(hidden, 1, bias=False)

    @torch.no_grad()
    def fit(self, showers: Tensor) -> None:
        """Mean and standard deviation of the moments over training showers."""
        if self.moments is not None:
            moments = self.moments(showers)
            self.mean.copy_(moments.mean(0))
            self.std.copy_(moments.std(0).clamp(min=1e-3))

    def forward(self, logs: Tensor, features: Tensor | None) -> Tensor:
        """Judgements (N,) of showers (N, H, W) in log(1 + photons)."""
        seen = [self.convolutions(logs.unsqueeze(1))]
        if self.moments is not None:
            seen.append((self.moments(torch.expm1(logs)) - self.mean) / self.std)
        if features is not None:
            seen.append(features)
        return self.last(self.layers(torch.cat(seen, dim=1))).squeeze(1)


class Adversarial(Model):
    """A generator against a critic; a subclass says what each of them wants."""

    has_latent: ClassVar[bool] = False
    betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    config: AdversarialConfig

    def __init__(self, config: AdversarialConfig, space: Space) -> None:
        super().__init__(config, space)
        c = config
        self.features = nets.ConditionFeatures(c.conditions, space.shape) if c.conditional else None
        width = self.features.width if self.features else 0
        self.critic = Critic(space.shape, c.width, c.hidden, width, c.moments, c.critic_norm)
        self.generator = nets.NoiseGenerator(c.noise, width, c.latent, c.hidden)
        self.decoder = nets.make_decoder(c.decoder, space.shape, c.latent, c.width, c.hidden, c.spots, c.intensity)

    def fit_scalers(self, showers: Tensor, conditions: Tensor) -> None:
        if self.features:
            self.features.fit(conditions)
        self.critic.fit(showers)

    def phases(self) -> list[Phase]:
        """The critic's phase, several times a step, then the generator's."""
        making = [*self.generator.parameters(), *self.decoder.parameters()]
        return [
            Phase(
                "critic", list(self.critic.parameters()), self.critic_loss, self.config.critic_steps, betas=self.betas
            ),
            Phase("generator", making, self.generator_loss, betas=self.betas),
        ]

    # ----------------------------------------------------------------------------------------------------- verbs
    def seen(self, conditions: Tensor) -> Tensor | None:
        """What both players see of the conditions."""
        return self.features(conditions) if self.features else None

    def prior(self, conditions: Tensor, rng: Generator) -> Tensor:
        return self.generator(nets.normal(conditions, self.config.noise, rng), self.seen(conditions))

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        return self.decoder(latent)

    # ---------------------------------------------------------------------------------------------------- losses
    def shown(self, rate: Tensor, rng: Generator) -> Tensor:
        """What the critic sees of expected photons, as log(1 + photons)."""
        if self.config.counts:
            drawn = self.counts(rate.detach().nan_to_num(), rng)
            rate = rate + (drawn - rate).detach()
        return torch.log1p(rate)

    def critic_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Terms of the critic's loss with their `total`."""
        with torch.no_grad():
            fake = self.shown(self.decode(self.prior(batch.conditions, rng), batch.conditions), rng)
        return self.critic_terms(torch.log1p(batch.showers), fake, self.seen(batch.conditions), rng)

    def generator_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Terms of the generator's loss with their `total`."""
        q, weight = self.seen(batch.conditions), self.config.diversity_weight
        noise = nets.normal(batch.conditions, self.config.noise, rng)
        rate = self.decoder(self.generator(noise, q))
        with nets.resting(self.critic):
            wish = self.generator_wish(self.critic(self.shown(rate, rng), q))
        terms = {"adversarial": wish, "total": wish}
        if weight or not self.training:
            again = nets.normal(batch.conditions, self.config.noise, rng)
            other = self.decoder(self.generator(again, q))
            wanted = losses.replica_spread(batch.showers, batch.primary)
            logs = torch.log1p(rate), torch.log1p(other)
            terms["diversity"] = losses.selective_diversity(*logs, noise, again, wanted)
            terms["total"] = wish + weight * terms["diversity"] if weight else wish
        return terms

    def judge(self, real: Tensor, fake: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """The critic's judgements of both. Batch norm takes its statistics from simulated showers only: those of
        generated ones would hide how bright they are, and they would grow without end."""
        if not self.config.critic_norm:
            return self.critic(real, features), self.critic(fake, features)
        if self.training:
            with torch.no_grad():
                self.critic(real, features)
        with nets.resting(self.critic):
            return self.critic(real, features), self.critic(fake, features)

    def critic_terms(self, real: Tensor, fake: Tensor, features: Tensor | None, rng: Generator) -> dict[str, Tensor]:
        """What the critic minimises over showers (N, H, W) in log(1 + photons), by name and in `total`."""
        raise NotImplementedError

    def generator_wish(self, judged: Tensor) -> Tensor:
        """What the generator minimises of the critic's judgements (N,) of its showers."""
        raise NotImplementedError

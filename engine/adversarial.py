"""What the generative adversarial networks share: critic, generator and the two phases of a step."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from engine import losses, nets
from engine.config import PICTURES, SHOWERS, Config, merged, option
from engine.models.base import Batch, Model, Phase
from engine.spaces import Space


class AdversarialConfig(Config):
    """Settings of every generator and critic."""

    presets = merged(
        Config.presets,
        images={"latent": 64, "learning_rate": 5e-4, "batch": 64},
        points={"latent": 16, "hidden": 128, "learning_rate": 1e-3},
    )

    moments: bool = option(
        False,
        "Show the critic light sums, centre, widths and the core of a shower beside its convolutions. A discriminator "
        "that sees them is sure within a few hundred steps, and the generator goes dark.",
        source="own",
        kinds=SHOWERS,
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
        kinds=PICTURES,
    )
    counts: bool = option(
        True,
        "Show the critic whole photons drawn from the generator's expected light, as the simulation has them; their "
        "gradient goes straight through. Otherwise it sees the expected light.",
        source="own",
        kinds=SHOWERS,
    )
    diversity_weight: float = option(
        0.0,
        "Weight of the selective diversity term: unlike noise must make unlike showers where replicas of a particle "
        "differ. Needs batches of primaries.",
        ge=0, le=1000, source="SDI-GAN, arXiv:2207.01561", group="Losses", kinds=SHOWERS,
    )  # fmt: skip


class Critic(nn.Module):
    """A `trunk` of `size` numbers, with `facts` beside it, and one number (N,) at the end. Without batch norm where
    each example must be judged by itself."""

    def __init__(self, trunk: nn.Module, size: int, facts: int, hidden: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.layers = nn.Sequential(
            nn.Linear(size + facts, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        # without a bias: a Wasserstein critic's would cancel between simulated and generated showers
        self.last = nn.Linear(hidden, 1, bias=False)

    def forward(self, seen: Tensor, facts: Tensor | None) -> Tensor:
        """Judgements (N,) of examples as networks see them."""
        return self.last(self.layers(nets.beside(self.trunk(seen), facts))).squeeze(1)


class Adversarial(Model):
    """A generator against a critic; a subclass says what each of them wants."""

    has_latent: ClassVar[bool] = False
    floor: ClassVar[float] = 0.1
    betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    config: AdversarialConfig

    def __init__(self, config: AdversarialConfig, space: Space) -> None:
        super().__init__(config, space)
        c = config
        width = self.features.width if self.features else 0
        trunk, size = self.modality.trunk(c.critic_norm, slope=0.2)
        self.critic = Critic(trunk, size, self.modality.facts_width + width, c.hidden)
        self.generator = nets.NoiseGenerator(c.noise, width, c.latent, c.hidden)
        self.decoder = self.modality.decoder(c.latent)

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
    @property
    def noise_width(self) -> int:
        return self.config.noise

    def carry(self, noise: Tensor, conditions: Tensor) -> Tensor:
        return self.generator(noise, self.seen(conditions))

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        return self.decoder(latent)

    # ---------------------------------------------------------------------------------------------------- losses
    def shown(self, expected: Tensor, rng: Generator) -> Tensor:
        """What the critic sees of an expectation."""
        if self.config.counts:
            drawn = self.modality.drawn(expected.detach().nan_to_num(), rng)
            expected = expected + (drawn - expected).detach()
        return self.modality.view(expected)

    def judged(self, seen: Tensor, features: Tensor | None) -> Tensor:
        """The critic's judgements (N,) of examples as networks see them."""
        facts = self.modality.facts(self.modality.restored(seen)) if self.modality.facts_width else None
        return self.critic(seen, nets.beside(facts, features))

    def critic_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Terms of the critic's loss with their `total`."""
        with torch.no_grad():
            fake = self.shown(self.decode(self.prior(batch.conditions, rng), batch.conditions), rng)
        return self.critic_terms(self.modality.view(batch.showers), fake, self.seen(batch.conditions), rng)

    def generator_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Terms of the generator's loss with their `total`."""
        q, weight = self.seen(batch.conditions), self.config.diversity_weight
        noise = self.noise(batch.conditions, rng)
        rate = self.decoder(self.generator(noise, q))
        with nets.resting(self.critic):
            wish = self.generator_wish(self.judged(self.shown(rate, rng), q))
        terms = {"adversarial": wish, "total": wish}
        if weight or (self.modality.scored and not self.training):
            again = self.noise(batch.conditions, rng)
            other = self.decoder(self.generator(again, q))
            wanted = losses.replica_spread(batch.showers, batch.primary)
            pictures = self.modality.view(rate), self.modality.view(other)
            terms["diversity"] = losses.selective_diversity(*pictures, noise, again, wanted)
            terms["total"] = wish + weight * terms["diversity"] if weight else wish
        return terms

    def judge(self, real: Tensor, fake: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """The critic's judgements of both. Batch norm takes its statistics from simulated showers only: those of
        generated ones would hide how bright they are, and they would grow without end."""
        if not self.config.critic_norm:
            return self.judged(real, features), self.judged(fake, features)
        if self.training:
            with torch.no_grad():
                self.judged(real, features)
        with nets.resting(self.critic):
            return self.judged(real, features), self.judged(fake, features)

    def critic_terms(self, real: Tensor, fake: Tensor, features: Tensor | None, rng: Generator) -> dict[str, Tensor]:
        """What the critic minimises over examples (N, ...) as networks see them, by name and in `total`."""
        raise NotImplementedError

    def generator_wish(self, judged: Tensor) -> Tensor:
        """What the generator minimises of the critic's judgements (N,) of its showers."""
        raise NotImplementedError

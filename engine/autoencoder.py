"""What the models with an encoder share: settings, networks, likelihood and priors, so that they differ in nothing but
what their papers change.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from engine import losses, nets
from engine.config import PAPER, PICTURES, SHOWERS, Config, merged, option
from engine.decoders import PointDecoder
from engine.models.base import Batch, Model, Phase
from engine.spaces import Space


class AutoencoderConfig(Config):
    """What it means to reconstruct a shower well."""

    presets = merged(Config.presets, images={"batch": 250, "learning_rate": 3e-3})

    moments: bool = option(
        True,
        "Show the encoder light sums, centre, widths and the core of a shower beside its convolutions.",
        source="own",
        kinds=SHOWERS,
    )
    pixels: Literal["poisson", "log_mse"] = option(
        "poisson",
        "Reconstruction: Poisson likelihood of the photons, or squared error on log(1 + photons) as in the paper, "
        "which loses the light of sparse fibres.",
        source="log: known ZDC values; Poisson: own",
        kinds=SHOWERS,
    )
    alpha: float = option(
        0.0, "α, weight of the Laplacian pyramid loss Lap1, on log(1 + photons) of showers.", ge=0, le=1000,
        source=f"{PAPER} Eq. (2)", group="Losses", kinds=PICTURES,
    )  # fmt: skip
    levels: int = option(
        3, "Levels of the Laplacian pyramid.", ge=1, le=6, source=f"{PAPER} Eq. (1)", group="Losses", kinds=PICTURES
    )
    sum_weight: float = option(
        0.002,
        "Weight of the penalty on reconstructed light sums, by quadrant and parity of fibres.",
        ge=0,
        le=1000,
        source="own",
        group="Losses",
        kinds=SHOWERS,
    )
    energy_score_weight: float = option(
        0.01, "Weight of the energy score of generated against simulated light, centre, widths and core, primary by "
        "primary. It decides how good showers get, so models compare at equal weights only.",
        ge=0, le=1000,
        source="own; Gneiting and Raftery 2007", group="Losses", kinds=SHOWERS,
    )  # fmt: skip
    draws: int = option(
        2, "Generated showers for each simulated one in the energy score.", ge=2, le=32, source="own", group="Losses",
        kinds=SHOWERS,
    )  # fmt: skip


def transport_block() -> int:
    """The option of models that transport codes."""
    return option(
        0, "Points of one transport problem: a larger batch is cut at random into problems of this size, whose cost "
        "grows with the batch instead of its square; 0 is the whole batch. The smaller the blocks, the narrower the "
        "cloud that comes nearest to another: codes under-disperse, so take the largest that time allows.",
        ge=0, le=20_000, unit="points", source="own; arXiv:1910.04091 on transport of minibatches", group="Losses",
    )  # fmt: skip


class Autoencoder(Model):
    """Encoder, decoder, and the terms that compare a shower with what the decoder makes of a code."""

    informed: bool = True
    """Whether conditions reach encoder and decoder."""
    outputs: ClassVar[int] = 1
    """Numbers that the encoder gives for each latent dimension."""
    normalised: ClassVar[bool] = True
    """Whether codes are held at unit spread."""
    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig, space: Space) -> None:
        super().__init__(config, space)
        c = config
        width = self.features.width if self.features and self.informed else 0
        trunk, size = self.modality.trunk(norm=True)
        facts = self.modality.facts_width + width
        self.encoder = nets.Encoder(trunk, size, facts, self.outputs * c.latent, c.hidden, self.normalised)
        self.decoder = self.modality.decoder(c.latent + width)

    # ----------------------------------------------------------------------------------------------------- verbs
    def told(self, conditions: Tensor) -> Tensor | None:
        """What encoder and decoder see of the conditions."""
        return self.seen(conditions) if self.informed else None

    def encode(self, showers: Tensor, conditions: Tensor) -> Tensor:
        facts = nets.beside(self.modality.facts(showers), self.told(conditions))
        return self.encoder(self.modality.view(showers), facts)

    @property
    def noise_width(self) -> int:
        return self.config.latent

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        return self.decoder(self.informed_code(latent, conditions))

    def informed_code(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """What the decoder gets: the code, and the conditions where it sees them."""
        features = self.told(conditions)
        return latent if features is None else torch.cat([latent, features], dim=1)

    # ----------------------------------------------------------------------------------------------------- losses
    def fidelity(self, x: Tensor, expected: Tensor) -> dict[str, Tensor]:
        """How well an expectation explains an example, term by term, unweighted."""
        return self.modality.fidelity(x, expected)

    def scored(self) -> bool:
        """Whether the energy score is a term of the loss, or shown beside it."""
        return self.modality.scored and (bool(self.config.energy_score_weight) or not self.training)

    def weights(self) -> dict[str, float]:
        """The weight of each term of the loss, in the order of their sum."""
        score = {"energy_score": self.config.energy_score_weight} if self.modality.scored else {}
        return {"reconstruction": 1.0, **self.modality.weights(), **score}

    def weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """The terms and their weighted `total`."""
        weights = self.weights()
        zero = terms["reconstruction"].new_zeros(())
        return {**terms, "total": sum((weights[name] * terms[name] for name in weights if weights[name]), zero)}

    def joined(self, codes: Tensor, conditions: Tensor, scale: float) -> Tensor:
        """Eq. (8): codes with the conditions beside them, so that a distance between clouds of them is one of joint
        distributions; the codes alone without conditions or at scale 0."""
        if self.features is None or not scale:
            return codes
        return losses.with_conditions(codes, self.features.transport(self.features(conditions)), scale)

    def energy_score(self, drawn: Tensor, batch: Batch, rng: Generator) -> Tensor:
        """Energy score of generated against simulated light sums, primary by primary; without conditions all showers
        count as one primary's."""
        q = batch.conditions
        owner = batch.primary if self.features else torch.zeros_like(batch.primary)
        draws = self.config.draws
        if draws > 1:
            drawn = torch.cat([drawn, self.prior(q.repeat(draws - 1, 1), rng)])
        assert not isinstance(self.decoder, PointDecoder)  # points are not scored
        sums = self.decoder.light_sums(self.informed_code(drawn, q.repeat(draws, 1)))
        return self.modality.energy_score(sums, owner.repeat(draws), batch.showers, owner, rng)


class RandomConfig(AutoencoderConfig):
    """An encoder that may be a random one."""

    presets = merged(AutoencoderConfig.presets, images={"code_noise": 0.02}, points={"code_noise": 0.02})

    code_noise: float = option(
        0.5, "Share of noise in the variance of a code: what a code can hold of the shower is bounded, so the decoder "
        "has to trust the conditions; 0 is a deterministic encoder.", ge=0, lt=1,
        source="arXiv:1711.01558 allows random encoders; share tuned on validation primaries", group="Losses",
    )  # fmt: skip


class PriorConfig(RandomConfig):
    """An autoencoder whose codes are drawn towards a fixed prior."""

    presets = merged(
        RandomConfig.presets, images={"weight": 0.1, "latent": 8, "code_noise": 0.1}, points={"weight": 3.0}
    )

    weight: float = option(
        0.3, "Weight of the distance between codes and prior.", ge=0, le=1000, source="tuned on validation primaries",
        group="Losses",
    )  # fmt: skip
    condition_scale: float = option(
        3.0, "Factor on the conditions beside the codes in the distance to the prior, which so becomes one of joint "
        "distributions; 0 compares the codes of all particles together, as the papers do.", ge=0, le=1000,
        source="own; 0 in the papers", group="Losses",
    )  # fmt: skip


class RandomAutoencoder(Autoencoder):
    """Codes are the encoder's answer and noise, of unit spread together; `encode` gives their mean."""

    config: RandomConfig

    def encode(self, showers: Tensor, conditions: Tensor) -> Tensor:
        return self.placed(self.mean(showers, conditions))

    def code(self, showers: Tensor, conditions: Tensor, rng: Generator) -> Tensor:
        """A code drawn for each shower."""
        mean = self.mean(showers, conditions)
        return self.placed(mean + math.sqrt(self.config.code_noise) * nets.normal(mean, mean.shape[1], rng))

    def mean(self, showers: Tensor, conditions: Tensor) -> Tensor:
        """What the encoder says, without the noise."""
        return math.sqrt(1 - self.config.code_noise) * super().encode(showers, conditions)

    def placed(self, codes: Tensor) -> Tensor:
        """Codes where the prior's may lie."""
        return codes


class PriorAutoencoder(RandomAutoencoder):
    """Reconstruction, and a distance between encoded and prior codes that a subclass names and measures."""

    config: PriorConfig
    distance: ClassVar[str]

    def phases(self) -> list[Phase]:
        return [Phase("joint", [p for p in self.parameters() if p.requires_grad], self.loss)]

    def loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Terms of the loss, unweighted, and their weighted `total`."""
        c, x, q = self.config, batch.showers, batch.conditions
        codes, drawn = self.code(x, q, rng), self.prior(q, rng)
        terms = self.fidelity(x, self.decode(codes, q))
        clouds = [self.joined(points, q, c.condition_scale) for points in (codes, drawn)]
        terms[self.distance] = self.divergence(clouds[0], clouds[1], rng)
        if self.scored():
            terms["energy_score"] = self.energy_score(drawn, batch, rng)
        return self.weighted(terms)

    def weights(self) -> dict[str, float]:
        return super().weights() | {self.distance: self.config.weight}

    def divergence(self, codes: Tensor, drawn: Tensor, rng: Generator) -> Tensor:
        """How far two clouds (N, d) of codes, with their conditions, are apart."""
        raise NotImplementedError

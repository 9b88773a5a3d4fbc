"""What the models with an encoder share: settings, networks, likelihood and priors, so that they differ in nothing but
what their papers change.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from engine import losses, nets
from engine.models.base import Batch, Config, Model, Phase, option

PAPER = "arXiv:2006.06704"


class NetworkConfig(Config):
    """Networks and the way of training that all models of showers share."""

    conditional: bool = option(True, "Give the conditions to the networks.", source=f"{PAPER} §3.4")
    decoder: Literal["spots", "convolutions"] = option(
        "spots",
        "A sum of Gaussian spots in fibre coordinates, or the paper's four transposed convolutions, four times slower.",
        source=f"convolutions: {PAPER} §4; spots: own",
    )
    conditions: Literal["derived", "raw"] = option(
        "derived",
        "What networks see of the particle: impact point, log energy, species, edges and fibre lattice, or the nine "
        "columns.",
        source=f"raw: {PAPER}; derived: own",
    )
    intensity: bool = option(
        False,
        "Predict the photon sum by a head of its own and impose it on the picture.",
        source="own; auxiliary regressors of the photon sum are usual for GANs on ZDC showers",
    )
    latent: int = option(20, "Dimensions of the latent space.", ge=1, le=512, source="SPEC §1, known ZDC values")
    width: int = option(
        8, "Channels of the first convolution; the next have two, four and eight times as many.", ge=1, le=256
    )
    hidden: int = option(256, "Units of the fully connected layers.", ge=4, le=4096)
    spots: int = option(16, "Gaussian spots of the decoder.", ge=1, le=256, source="own")
    epochs: int = option(200, "Passes over the training showers.", ge=1, le=100_000, group="Training")
    batch: int = option(
        100, "Showers a step; optimal transport costs its square.", ge=8, le=20_000, group="Training",
        source=f"1000 in {PAPER} §4",
    )  # fmt: skip
    learning_rate: float = option(
        3e-3, "Adam's step size at the start.", gt=0, le=0.1, group="Training", source="3e-4 in known ZDC values"
    )
    checkpoint_epochs: int = option(
        20, "Epochs between checkpoints; a killed training loses at most this.", ge=1, le=10_000, group="Training"
    )
    grouping: Literal["rows", "primaries"] = option(
        "primaries",
        "What a batch is drawn from: single showers, or primaries with all their replicas.",
        group="Training",
    )
    augment: bool = option(
        True,
        "Mirror and transpose showers together with (Vx, Px), (Vy, Py): the face is symmetric eight-fold. "
        "Mirroring exchanges common and tower fibres.",
        group="Training",
    )


class AutoencoderConfig(NetworkConfig):
    """What it means to reconstruct a shower well."""

    moments: bool = option(
        True,
        "Show the encoder light sums, centre, widths and the core of a shower beside its convolutions.",
        source="own",
    )
    pixels: Literal["poisson", "log_mse"] = option(
        "poisson",
        "Reconstruction: Poisson likelihood of the photons, or squared error on log(1 + photons) as in the paper, "
        "which loses the light of sparse fibres.",
        source="log: known ZDC values; Poisson: own",
    )
    alpha: float = option(
        0.0, "α, weight of the Laplacian pyramid loss Lap1 on log(1 + photons).", ge=0, le=1000,
        source=f"{PAPER} Eq. (2)", group="Losses",
    )  # fmt: skip
    levels: int = option(3, "Levels of the Laplacian pyramid.", ge=1, le=6, source=f"{PAPER} Eq. (1)", group="Losses")
    sum_weight: float = option(
        0.002,
        "Weight of the penalty on reconstructed light sums, by quadrant and parity of fibres.",
        ge=0,
        le=1000,
        source="own",
        group="Losses",
    )
    energy_score_weight: float = option(
        0.01, "Weight of the energy score of generated against simulated light, centre, widths and core, primary by "
        "primary. It decides how good showers get, so models compare at equal weights only.",
        ge=0, le=1000,
        source="own; Gneiting and Raftery 2007", group="Losses",
    )  # fmt: skip
    draws: int = option(
        2, "Generated showers for each simulated one in the energy score.", ge=2, le=32, source="own", group="Losses"
    )


class Autoencoder(Model):
    """Encoder, decoder, and the terms that compare a shower with what the decoder makes of a code."""

    informed: bool = True
    """Whether conditions reach encoder and decoder."""
    outputs: ClassVar[int] = 1
    """Numbers that the encoder gives for each latent dimension."""
    normalised: ClassVar[bool] = True
    """Whether codes are held at unit spread."""
    config: AutoencoderConfig
    light_scale: Tensor

    def __init__(self, config: AutoencoderConfig, shape: tuple[int, int]) -> None:
        super().__init__(config, shape)
        c = config
        self.features = nets.ConditionFeatures(c.conditions, shape) if c.conditional else None
        width = self.features.width if self.features and self.informed else 0
        self.encoder = nets.Encoder(
            shape, self.outputs * c.latent, c.width, c.hidden, c.moments, width, self.normalised
        )
        self.decoder = nets.make_decoder(c.decoder, shape, c.latent + width, c.width, c.hidden, c.spots, c.intensity)
        self.light = nets.LightSums(shape)
        self.register_buffer("light_scale", torch.ones(()))

    def fit_scalers(self, showers: Tensor, conditions: Tensor) -> None:
        if self.features:
            self.features.fit(conditions)
        self.encoder.fit(showers)
        self.light_scale.copy_(showers.sum() / len(showers) / 100)

    # ----------------------------------------------------------------------------------------------------- verbs
    def seen(self, conditions: Tensor) -> Tensor | None:
        """What encoder and decoder see of the conditions."""
        return self.features(conditions) if self.features and self.informed else None

    def encode(self, showers: Tensor, conditions: Tensor) -> Tensor:
        return self.encoder(showers, self.seen(conditions))

    def prior(self, conditions: Tensor, rng: Generator) -> Tensor:
        """Standard normal codes."""
        return nets.normal(conditions, self.config.latent, rng)

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        return self.decoder(self.informed_code(latent, conditions))

    def informed_code(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """What the decoder gets: the code, and the conditions where it sees them."""
        features = self.seen(conditions)
        return latent if features is None else torch.cat([latent, features], dim=1)

    # ----------------------------------------------------------------------------------------------------- losses
    def fidelity(self, x: Tensor, rate: Tensor) -> dict[str, Tensor]:
        """How well expected photons explain a shower: `reconstruction`, and where they count or in evaluation mode
        `lap1` of Eq. (1) and `light_sums`, unweighted."""
        c = self.config
        logs = torch.log1p(x), torch.log1p(rate)
        terms = {
            "reconstruction": losses.poisson_nll(x, rate) if c.pixels == "poisson" else losses.reconstruction(*logs)
        }
        if c.alpha or not self.training:
            terms["lap1"] = losses.lap1(*logs, c.levels)
        if c.sum_weight or not self.training:
            terms["light_sums"] = losses.sum_penalty(self.light(x)[:, :8], self.light(rate)[:, :8])
        return terms

    def weights(self) -> dict[str, float]:
        """The weight of each term of the loss, in the order of their sum."""
        c = self.config
        return {
            "reconstruction": 1.0,
            "lap1": c.alpha,
            "light_sums": c.sum_weight,
            "energy_score": c.energy_score_weight,
        }

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
        facts = self.decoder.light_sums(self.informed_code(drawn, q.repeat(draws, 1)))
        owners, zero = owner.repeat(draws), facts.new_zeros(())
        # a score each: beside the light of bright showers nothing else would count
        pairs = zip(self.observed(facts, rng), self.observed(self.light(batch.showers), None), strict=True)
        return sum((losses.energy_score(made, owners, seen, owner) for made, seen in pairs), zero)

    def observed(self, facts: Tensor, rng: Generator | None) -> tuple[Tensor, Tensor, Tensor]:
        """What the energy score compares, of `LightSums`: light sums in per cent of the mean shower and their roots,
        which tell a dim shower from an empty one; centre [fibres] and log widths; waves over the root of all light,
        which say where within a fibre the core is, and how bright. The centre alone would move with the wide light
        around, and the core with it.

        With `rng`, expected light gets the noise that simulated light carries, as a normal approximation: the variance
        of a light sum is 1 + `photons_per_track` times its mean.
        """
        sums, moments, waves = facts[:, :8].clamp(min=0), facts[:, 8:12], facts[:, 12:]
        total = sums.sum(1, keepdim=True) + 1
        centre = moments[:, :2] / total
        variance = (moments[:, 2:] / total - centre.square()).clamp(min=0) + 0.1
        if rng is not None:
            noise = torch.randn((len(sums), 16), generator=rng, device=sums.device, dtype=sums.dtype)
            noise = noise * (1 + self.photons_per_track).sqrt()
            sums = (sums + (sums + 1e-3).sqrt() * noise[:, :8]).clamp(min=0)
            centre = centre + (variance / total).sqrt() * noise[:, 8:10]
            variance = variance * torch.exp(noise[:, 10:12] * (2 / total).sqrt())
            waves = waves + (total / 2).sqrt() * noise[:, 12:]
        light = torch.cat([sums / self.light_scale, (sums + 0.1).sqrt()], dim=1)
        return light, torch.cat([centre, 2 * variance.log()], dim=1), waves / total.sqrt()


class RandomConfig(AutoencoderConfig):
    """An encoder that may be a random one."""

    code_noise: float = option(
        0.5, "Share of noise in the variance of a code: what a code can hold of the shower is bounded, so the decoder "
        "has to trust the conditions; 0 is a deterministic encoder.", ge=0, lt=1,
        source="arXiv:1711.01558 allows random encoders; share tuned on validation primaries", group="Losses",
    )  # fmt: skip


class PriorConfig(RandomConfig):
    """An autoencoder whose codes are drawn towards a fixed prior."""

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
        if c.energy_score_weight or not self.training:
            terms["energy_score"] = self.energy_score(drawn, batch, rng)
        return self.weighted(terms)

    def weights(self) -> dict[str, float]:
        return super().weights() | {self.distance: self.config.weight}

    def divergence(self, codes: Tensor, drawn: Tensor, rng: Generator) -> Tensor:
        """How far two clouds (N, d) of codes, with their conditions, are apart."""
        raise NotImplementedError

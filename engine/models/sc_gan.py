"""SC-GAN: contrastive codes, a small network for each cluster of them, and a stochastic decoder.

M. Drozdova, V. Kinakh, G. Quétant, T. Golling, S. Voloshynovskiy, Generation of data on discontinuous manifolds via
continuous stochastic non-invertible networks. Equation numbers are that paper's.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from engine import flow, losses, nets
from engine.adversarial import Critic
from engine.config import Config, merged, option
from engine.models.base import Batch, Model, Phase
from engine.spaces import Space

PAPER = "SC-GAN"
KEPT = 4096
"""Training codes that are kept: K-means divides them, the mapping networks learn from them."""
GRAIN = 1e-3
"""Unit of the decoder's noise where it stands beside a code, so that distances between codes do not feel it."""

RIVALS = (0.5, 0.9)
"""Adam's memory where two networks play against each other."""

Mode = Literal["mapping", "centres", "single", "real"]


class SCGANConfig(Config):
    """Settings of the three stages."""

    presets = merged(Config.presets, images={"latent": 16}, points={"latent": 8, "noise": 2, "clusters": 64})

    conditional: bool = option(
        False,
        "Give the conditions to decoder and discriminators. Codes are drawn without them, as in the paper.",
        source=f"own; {PAPER} has none",
    )
    latents: Mode = option(
        "mapping",
        "Where generated codes come from: the mapping networks, cluster centres with noise, one Gaussian for all "
        "codes, or codes of training examples.",
        source=f"{PAPER} §3, Table 1",
    )
    clusters: int = option(
        16, "K, clusters of the codes: the more, the less each small network has to bend.", ge=1, le=256,
        source=f"{PAPER} §2.2; K not stated, tuned on validation points",
    )  # fmt: skip
    mapping: Literal["adversarial", "flow"] = option(
        "adversarial",
        "What carries noise to the codes of a cluster: the decoder of an adversarial autoencoder, or a flow.",
        source=f"{PAPER} §2.2",
    )
    noise: int = option(
        8, "Dimensions of ω, from which a cluster's codes are made by its autoencoder; a flow has the codes' own.",
        ge=1, le=512, source="own",
    )  # fmt: skip
    mapping_hidden: int = option(32, "Units of a mapping network's layers.", ge=4, le=512, source="own")
    steps: int = option(10, "Steps from noise to a code, where a flow carries it.", ge=1, le=1000, source="own")
    layers: int = option(3, "Layers of the decoder into which noise enters.", ge=1, le=12, source="own")
    layer_noise: int = option(
        2, "Dimensions of the noise that enters each layer.", ge=1, le=64, source="6 in arXiv:2104.12476"
    )
    blur: float = option(
        0.05, "Standard deviation of the noise on an example's two views; for points in standard deviations of theirs.",
        gt=0, le=10, source=f"{PAPER} §2.1: small noise", group="Losses",
    )  # fmt: skip
    temperature: float = option(
        0.1, "T of the contrastive loss.", gt=0.001, le=10, source="arXiv:2002.05709 §5", group="Losses"
    )
    mapping_weight: float = option(
        10.0, "λ_ε, weight of a mapping network's reconstruction beside its discriminator.", ge=0, le=10_000,
        source=f"{PAPER} Eq. (2)", group="Losses",
    )  # fmt: skip
    reconstruction_weight: float = option(
        100.0, "Weight of the squared error of reconstructions, 1/2σ² of the likelihood.", ge=0, le=100_000,
        source=f"{PAPER} Eq. (4); value own", group="Losses",
    )  # fmt: skip
    generation_weight: float = option(
        1.0, "λ_x, weight of the discriminator on generated examples.", ge=0, le=1000, source=f"{PAPER} Eq. (4)",
        group="Losses",
    )  # fmt: skip
    encoder_share: float = option(
        0.3, "Share of the training that the encoder gets.", gt=0.01, le=0.6, source="own", group="Training"
    )
    mapping_share: float = option(
        0.3, "Share that the mapping networks get after it; the decoder has the rest.", gt=0.01, le=0.39, source="own",
        group="Training",
    )  # fmt: skip


class Clusters(NamedTuple):
    """Of codes: centres (K, d), spread (K,) about each, root mean square over coordinates, and count (K,)."""

    centres: Tensor
    spread: Tensor
    count: Tensor

    def nearest(self, codes: Tensor) -> Tensor:
        """The cluster (N,) to whose centre codes (N, ≥ d) are nearest."""
        return torch.cdist(codes[:, : self.centres.shape[1]], self.centres).argmin(1)


def divided(codes: Tensor, clusters: int, rng: Generator) -> tuple[Clusters, Tensor]:
    """K clusters of codes (N, d) by K-means, and the label (N,) of each code."""
    centres, label = nets.kmeans(codes, clusters, rng)
    count = torch.bincount(label, minlength=clusters)
    off = (codes - centres[label]).square().mean(1)
    within = codes.new_zeros(clusters).index_add_(0, label, off) / count.clamp(min=1)
    return Clusters(centres, within.sqrt().clamp(min=1e-3), count), label


class SCGAN(Model):
    """Three stages, one after the other: encoder, mapping networks, decoder against two discriminators.

    Codes ε lie on the sphere of radius √latent; beside them stands the decoder's noise n, in units of `GRAIN`, which is
    0 for encoded examples ("fixed noise").
    """

    name: ClassVar[str] = "sc_gan"
    title: ClassVar[str] = "SC-GAN"
    summary: ClassVar[str] = (
        "An encoder learns to tell examples apart, K-means divides its codes, a small network fills each cluster, and "
        "a decoder with noise in every layer learns to reconstruct and to generate: for data that lie in pieces."
    )
    Config = SCGANConfig
    config: SCGANConfig
    kept: Tensor
    first: Tensor
    count: Tensor
    centres: Tensor
    spread: Tensor
    mean: Tensor
    root: Tensor

    def __init__(self, config: SCGANConfig, space: Space) -> None:
        super().__init__(config, space)
        c, k, d = config, config.clusters, config.latent
        width = self.features.width if self.features else 0
        trunk, size = self.modality.trunk(norm=False)
        self.encoder = nets.Encoder(trunk, size, 0, d, c.hidden, normalise=False)
        small = [c.mapping_hidden, c.mapping_hidden]
        self.adversarial = c.mapping == "adversarial"
        if self.adversarial:
            self.inward = nets.GroupedMLP(k, [d, *small, c.noise])
            self.outward = nets.GroupedMLP(k, [c.noise, *small, d])
            self.mapping_critic = nets.GroupedMLP(k, [c.noise, *small, 1])
        else:
            self.velocity = nets.GroupedMLP(k, [d + 1 + 2 * flow.FREQUENCIES, *small, d])
        self.decoder = nets.EigenDecoder(d + width, c.hidden, c.layers, c.layer_noise, self.modality.head(c.hidden))
        trunks = [self.modality.trunk(norm=False, slope=0.2) for _ in range(2)]
        self.critics = torch.nn.ModuleList(Critic(trunk, size, width, c.hidden) for trunk, size in trunks)
        self.register_buffer("kept", torch.zeros(KEPT, d))
        self.register_buffer("first", torch.zeros(k, dtype=torch.int64))
        self.register_buffer("count", torch.zeros(k, dtype=torch.int64))
        self.register_buffer("centres", torch.zeros(k, d))
        self.register_buffer("spread", torch.ones(k))
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("root", torch.eye(d))

    # -------------------------------------------------------------------------------------------------- clusters
    def fit(self, showers: Tensor, conditions: Tensor) -> None:
        """Scalers, and clusters of what the encoder says before it has learned, so that every loss is defined."""
        super().fit(showers, conditions)
        self.divide(showers, conditions, Generator(showers.device).manual_seed(0))

    @torch.no_grad()
    def divide(self, showers: Tensor, conditions: Tensor, rng: Generator) -> None:
        """Keep codes of training examples, sorted by the cluster in which K-means puts them, with each cluster's
        `first` row, `count`, centre and spread, and the Gaussian of all codes."""
        order = torch.randperm(len(showers), generator=rng, device=showers.device)
        rows = order[torch.arange(KEPT, device=order.device) % len(order)]
        with nets.resting(self.encoder):
            codes = torch.cat([self.codes(self.modality.view(showers[part])) for part in rows.split(1024)])
        (centres, spread, count), label = divided(codes, self.config.clusters, rng)
        values, axes = torch.linalg.eigh(torch.cov(codes.T).reshape(codes.shape[1], -1))
        self.kept.copy_(codes[label.argsort(stable=True)])
        self.first.copy_((count.cumsum(0) - count).clamp(max=KEPT - 1))
        self.count.copy_(count)
        self.centres.copy_(centres)
        self.spread.copy_(spread)
        self.mean.copy_(codes.mean(0))
        self.root.copy_(axes * values.clamp(min=0).sqrt())

    @property
    def clusters(self) -> Clusters:
        """Those of the mapping networks."""
        return Clusters(self.centres, self.spread, self.count)

    def settled(self, step: int, steps: int) -> bool:
        """Whether the clusters after a step of so many are those of stage 2. Before, the encoder has moved away from
        the codes that are kept."""
        return step > round(self.config.encoder_share * steps)

    def members(self, n: int, rng: Generator) -> Tensor:
        """Kept codes (K, n, latent), n drawn of each cluster, in spreads from its centre."""
        share = torch.rand((len(self.count), n), generator=rng, device=self.kept.device)
        place = self.first[:, None] + (share * self.count[:, None]).long()
        return (self.kept[place.clamp(max=KEPT - 1)] - self.centres[:, None]) / self.spread[:, None, None]

    # ----------------------------------------------------------------------------------------------------- verbs
    def codes(self, seen: Tensor) -> Tensor:
        """ε (N, latent) of examples as networks see them."""
        return math.sqrt(self.config.latent) * F.normalize(self.encoder(seen), dim=1)

    def encode(self, showers: Tensor, conditions: Tensor) -> Tensor:
        codes = self.codes(self.modality.view(showers))
        return torch.cat([codes, codes.new_zeros(len(codes), self.decoder.noise)], dim=1)

    @property
    def widths(self) -> list[int]:
        """Of the parts of the noise: one number that chooses, what codes are made of, what enters the decoder."""
        return [1, max(self.config.latent, self.config.noise), self.decoder.noise]

    @property
    def noise_width(self) -> int:
        return sum(self.widths)

    def carry(self, noise: Tensor, conditions: Tensor) -> Tensor:
        return self.drawn(noise, self.config.latents)

    def drawn(self, noise: Tensor, mode: Mode, clusters: Clusters | None = None) -> Tensor:
        """The codes that noise becomes in a latent mode: clusters are chosen by their share of the training codes.
        clusters: others than those of the mapping networks, for their centres."""
        choice, omega, entering = noise.split(self.widths, dim=1)
        d = self.config.latent
        uniform = torch.special.ndtr(choice[:, 0].double())
        place = (uniform * KEPT).long().clamp(0, KEPT - 1)
        if mode == "single":
            codes = self.mean + omega[:, :d] @ self.root.T
        elif mode == "real":
            codes = self.kept[place]
        else:
            centres, spread, count = self.clusters if clusters is None else clusters
            group = torch.bucketize(place, count.cumsum(0), right=True)
            local = self.filled(omega, group) if mode == "mapping" else omega[:, :d]
            codes = centres[group] + spread[group, None] * local
        return torch.cat([codes, GRAIN * entering], dim=1)

    def filled(self, omega: Tensor, group: Tensor) -> Tensor:
        """What the mapping networks of the groups (N,) make of noise (N, ≥ d), in spreads from the centres."""
        c = self.config
        if self.adversarial:
            return self.outward.of(omega[:, : c.noise], group)
        return flow.integrate(
            lambda z, t: self.velocity.of(torch.cat([z, flow.waves(t)], dim=1), group),
            omega[:, : c.latent], c.steps, "midpoint",
        )  # fmt: skip

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        codes, entering = latent.split([self.config.latent, self.decoder.noise], dim=1)
        told = nets.beside(codes, self.seen(conditions))
        assert told is not None
        return self.decoder(told, entering / GRAIN)

    def readings(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        found = super().readings(batch, rng)
        # of the codes alone: the noise beside them is 0 where they are encoded
        found["latent/std"] = found["latent/std"] * (1 + self.decoder.noise / self.config.latent)
        return found

    # ---------------------------------------------------------------------------------------------------- phases
    def phases(self) -> list[Phase]:
        c = self.config
        one, two = c.encoder_share, c.encoder_share + c.mapping_share
        phases = [Phase("contrastive", list(self.encoder.parameters()), self.contrastive_loss, span=(0.0, one))]
        if self.adversarial:
            pair = [*self.inward.parameters(), *self.outward.parameters()]
            judges = list(self.mapping_critic.parameters())
            phases += [
                Phase(
                    "mapping_critic", judges, self.mapping_critic_loss, span=(one, two), begin=self.divide, betas=RIVALS
                ),
                Phase("mapping", pair, self.mapping_loss, span=(one, two), betas=RIVALS),
            ]
        else:
            carrying = list(self.velocity.parameters())
            phases.append(Phase("mapping", carrying, self.flow_loss, span=(one, two), begin=self.divide))
        making = list(self.decoder.parameters())
        judging = list(self.critics.parameters())
        return [
            *phases,
            Phase("critic", judging, self.critic_loss, span=(two, 1.0), betas=RIVALS),
            Phase("decoder", making, self.decoder_loss, span=(two, 1.0), betas=RIVALS),
        ]

    def contrastive_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Eq. (1), stage 1: InfoNCE between two noisy views of each example."""
        seen, c = self.modality.view(batch.showers), self.config
        noise = [torch.randn(seen.shape, generator=rng, device=seen.device) for _ in range(2)]
        first, second = (self.codes(seen + c.blur * one) for one in noise)
        return {"total": losses.info_nce(first, second, c.temperature)}

    def per_cluster(self, batch: Batch) -> int:
        """Codes of each cluster in a step of stage 2. Codes are settled by then, so they come from those that are
        kept, equally many of each cluster, and the batch only says how many."""
        return max(16, len(batch.showers) // self.config.clusters)

    def mapping_critic_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Eq. (2), stage 2: tell N(0, 1) from the ω that each cluster's encoder makes of its codes."""
        with torch.no_grad():
            made = self.inward(self.members(self.per_cluster(batch), rng))
        real = torch.randn(made.shape, generator=rng, device=made.device)
        return {"total": losses.logistic(self.mapping_critic(real), self.mapping_critic(made))}

    def mapping_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Eq. (2), stage 2: D_KL(q(ω)‖p(ω)) as its discriminator sees it, and λ_ε times the reconstruction."""
        codes = self.members(self.per_cluster(batch), rng)
        omega = self.inward(codes)
        terms = {
            "fooling": F.softplus(-self.mapping_critic(omega)).mean(),
            "reconstruction": (self.outward(omega) - codes).square().mean(),
        }
        return {**terms, "total": terms["fooling"] + self.config.mapping_weight * terms["reconstruction"]}

    def flow_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Stage 2 with a flow for each cluster: mean squared error of the velocity."""
        codes = self.members(self.per_cluster(batch), rng)
        noise = torch.randn(codes.shape, generator=rng, device=codes.device)
        rows = codes.flatten(0, 1)
        time = flow.times(rows, rng)
        point, target = losses.flow_path(noise.flatten(0, 1), rows, time)
        seen = torch.cat([point, flow.waves(time)], dim=1).unflatten(0, codes.shape[:2])
        return {"total": (self.velocity(seen).flatten(0, 1) - target).square().mean()}

    def made(self, batch: Batch, rng: Generator) -> tuple[Tensor, Tensor]:
        """Stage 3's two kinds of examples as networks see them: reconstructed with fixed noise, and generated."""
        x, q = batch.showers, batch.conditions
        with torch.no_grad(), nets.resting(self.encoder):
            codes, drawn = self.encode(x, q), self.prior(q, rng)
        return self.modality.view(self.decode(codes, q)), self.modality.view(self.decode(drawn, q))

    def critic_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Stage 3: tell examples from reconstructed ones, and from generated ones."""
        with torch.no_grad():
            fakes = self.made(batch, rng)
        real, q = self.modality.view(batch.showers), self.seen(batch.conditions)
        parts = [
            losses.logistic(critic(real, q), critic(fake, q)) for critic, fake in zip(self.critics, fakes, strict=True)
        ]
        return {"reconstructed": parts[0], "generated": parts[1], "total": parts[0] + parts[1]}

    def decoder_loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Eq. (4), stage 3: squared error of the reconstruction in units that networks see, and what both
        discriminators say, that on generated examples times λ_x."""
        c, q = self.config, self.seen(batch.conditions)
        rebuilt, generated = self.made(batch, rng)
        terms = {
            "reconstruction": (rebuilt - self.modality.view(batch.showers)).square().mean(),
            "reconstructed": F.softplus(-self.critics[0](rebuilt, q)).mean(),
            "generated": F.softplus(-self.critics[1](generated, q)).mean(),
        }
        total = c.reconstruction_weight * terms["reconstruction"] + terms["reconstructed"]
        return {**terms, "total": total + c.generation_weight * terms["generated"]}

"""End-to-end Sinkhorn autoencoder with a noise generator: encoder, decoder and generator learn together.

K. Deja, J. Dubiński, P. Nowak, S. Wenzel, T. Trzciński, https://arxiv.org/abs/2006.06704.
The conditions Q reach the noise generator and the transport cost only, never the encoder or the decoder.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from engine import losses, nets
from engine.models.base import Batch, Config, Model, Phase, option

PAPER = "arXiv:2006.06704"


class E2ESAEConfig(Config):
    """Every term of the paper's Eqs. (1)–(8), and what showers taught beyond them (marked as own)."""

    conditional: bool = option(
        True, "Give the conditions to noise generator and transport cost.", source=f"{PAPER} §3.4"
    )
    pixels: Literal["poisson", "log_mse"] = option(
        "poisson",
        "Reconstruction: Poisson likelihood of the photons, or squared error on log(1 + photons) as in the paper, "
        "which loses the light of sparse fibres.",
        source="log: known ZDC values; Poisson: own",
    )
    decoder: Literal["spots", "convolutions"] = option(
        "spots",
        "A sum of Gaussian spots in fibre coordinates, or the paper's four transposed convolutions, four times slower.",
        source=f"convolutions: {PAPER} §4; spots: own",
    )
    conditions: Literal["derived", "raw"] = option(
        "derived",
        "What the generator sees: impact point, log energy, species, edges and fibre lattice, or the nine columns.",
        source=f"raw: {PAPER}; derived: own",
    )
    moments: bool = option(
        True,
        "Show the encoder light sums, centre, widths and the core of a shower beside its convolutions.",
        source="own",
    )
    latent: int = option(20, "Dimensions of the latent space.", ge=1, le=512, source="SPEC §1, known ZDC values")
    noise: int = option(16, "Dimensions of the generator's noise.", ge=1, le=512, source="10 in known ZDC values")
    width: int = option(
        8, "Channels of the first convolution; the next have two, four and eight times as many.", ge=1, le=256
    )
    hidden: int = option(256, "Units of the fully connected layers.", ge=4, le=4096)
    spots: int = option(16, "Gaussian spots of the decoder.", ge=1, le=256, source="own")
    alpha: float = option(
        0.0, "α, weight of the Laplacian pyramid loss Lap1 on log(1 + photons).", ge=0, le=1000,
        source=f"{PAPER} Eq. (2)", group="Losses",
    )  # fmt: skip
    levels: int = option(3, "Levels of the Laplacian pyramid.", ge=1, le=6, source=f"{PAPER} Eq. (1)", group="Losses")
    beta: float = option(
        0.01, "β, weight of the Sinkhorn divergence.", ge=0, le=1000, source=f"{PAPER} Eq. (7)", group="Losses"
    )
    blur: float = option(
        0.05, "√ε: smallest distance that transport resolves.", gt=0.001, le=10, unit="latent σ",
        source=f"{PAPER} Eq. (3), GeomLoss's default", group="Losses",
    )  # fmt: skip
    condition_scale: float = option(
        5.0, "Factor on the conditions in the transport cost: how dear it is to pair different particles.", ge=0,
        le=1000, source=f"{PAPER} Eq. (8); 5–20 worked", group="Losses",
    )  # fmt: skip
    delta: float = option(
        0.0,
        "δ, weight of the diversity regulariser on codes.",
        ge=0,
        le=1000,
        source=f"{PAPER} Eq. (7)",
        group="Losses",
    )
    diversity_scale: float = option(
        1.0, "p, scale of the diversity regulariser.", ge=0, le=1000, source=f"{PAPER} Eq. (5)", group="Losses"
    )
    tau: float = option(
        0.5, "τ, cosine below which a pair counts as diverse enough.", ge=0, le=1, source=f"{PAPER} Eq. (6)",
        group="Losses",
    )  # fmt: skip
    gamma: float = option(
        1e-6, "γ, weight of the L2 norm of the encoder's last layer.", ge=0, le=1000, source=f"{PAPER} Eq. (7)",
        group="Losses",
    )  # fmt: skip
    energy_score_weight: float = option(
        0.01, "Weight of the energy score of generated against simulated light, centre and widths, primary by primary.",
        ge=0, le=1000,
        source="own; Gneiting and Raftery 2007", group="Losses",
    )  # fmt: skip
    draws: int = option(
        2, "Generated showers for each simulated one in the energy score.", ge=2, le=32, source="own", group="Losses"
    )
    sum_weight: float = option(
        0.002,
        "Weight of the penalty on reconstructed light sums, by quadrant and parity of fibres.",
        ge=0,
        le=1000,
        source="own",
        group="Losses",
    )
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


PAPER_RECIPE: dict[str, Any] = {
    "pixels": "log_mse",
    "decoder": "convolutions",
    "conditions": "raw",
    "moments": False,
    "width": 32,
    "noise": 10,
    "alpha": 0.1,
    # 20 on a sum over the 1 936 pixels of ZN is 0.01 on their mean
    "beta": 0.01,
    "condition_scale": 1.0,
    "delta": 0.001,
    "energy_score_weight": 0.0,
    "sum_weight": 0.0,
    "batch": 1000,
    "learning_rate": 3e-4,
    "grouping": "rows",
    "augment": False,
}
"""Settings nearest to the paper's experiment on ZDC showers."""


class E2ESAE(Model):
    """Loss (7) with the conditional transport of Eq. (8), in one phase."""

    name: ClassVar[str] = "e2e_sae"
    title: ClassVar[str] = "End-to-end Sinkhorn autoencoder"
    summary: ClassVar[str] = (
        "Encoder, decoder and a noise generator learn together: transport in latent space draws noise and data onto "
        "each other, and conditions enter the generator only."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/2006.06704"
    Config = E2ESAEConfig
    config: E2ESAEConfig
    light_scale: Tensor

    def __init__(self, config: E2ESAEConfig, shape: tuple[int, int]) -> None:
        super().__init__(config, shape)
        c = config
        self.features = nets.ConditionFeatures(c.conditions, shape) if c.conditional else None
        self.encoder = nets.Encoder(shape, c.latent, c.width, c.hidden, c.moments)
        if c.decoder == "spots":
            self.decoder = nets.SpotDecoder(shape, c.latent, c.hidden, c.spots)
        else:
            self.decoder = nets.ConvolutionDecoder(shape, c.latent, c.width)
        width = self.features.width if self.features else 0
        self.generator = nets.NoiseGenerator(c.noise, width, c.latent, c.hidden)
        self.light = nets.LightSums(shape)
        self.register_buffer("light_scale", torch.ones(()))

    def fit_scalers(self, showers: Tensor, conditions: Tensor) -> None:
        if self.features:
            self.features.fit(conditions)
        self.encoder.fit(showers)
        self.light_scale.copy_(showers.sum() / len(showers) / 100)

    def phases(self) -> list[Phase]:
        return [Phase("joint", [p for p in self.parameters() if p.requires_grad], self.loss)]

    def loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Terms of Eq. (7), unweighted, and their weighted `total`. Terms of weight 0 that cost time are computed in
        evaluation mode only."""
        c, x = self.config, batch.showers
        codes = self.encoder(x)
        rate = self.decoder(codes)
        drawn = self.prior(batch.conditions, rng)
        logs = torch.log1p(x), torch.log1p(rate)
        likelihood = losses.poisson_nll(x, rate) if c.pixels == "poisson" else losses.reconstruction(*logs)
        terms = {
            "reconstruction": likelihood,
            "sinkhorn": self.transport(codes, drawn, batch.conditions),
            "diversity": losses.diversity(codes, c.tau, c.diversity_scale),
            "last_layer": losses.last_layer_l2(self.encoder.last),
        }
        if c.alpha or not self.training:
            terms["lap1"] = losses.lap1(*logs, c.levels)
        if c.sum_weight or not self.training:
            terms["light_sums"] = losses.sum_penalty(self.light(x)[:, :8], self.light(rate)[:, :8])
        if c.energy_score_weight or not self.training:
            terms["energy_score"] = self.energy_score(drawn, batch, rng)
        weights = {
            "reconstruction": 1.0,
            "sinkhorn": c.beta,
            "diversity": c.delta,
            "last_layer": c.gamma,
            "lap1": c.alpha,
            "light_sums": c.sum_weight,
            "energy_score": c.energy_score_weight,
        }
        if not self.training:
            # batch norm holds the encoded spread near 1; a narrow generated one hides behind Poisson light
            terms["latent_spread"] = drawn.std(0).mean() / codes.std(0).mean()
        total = sum((weights[name] * terms[name] for name in weights if weights[name]), x.new_zeros(()))
        return {**terms, "total": total}

    def transport(self, codes: Tensor, drawn: Tensor, conditions: Tensor) -> Tensor:
        """S_ε(enc(X)⌢Q, gen(noise, Q)⌢Q), Eq. (8); Eq. (4) without conditions."""
        c = self.config
        if self.features:
            q = self.features.transport(self.features(conditions))
            codes = losses.with_conditions(codes, q, c.condition_scale)
            drawn = losses.with_conditions(drawn, q, c.condition_scale)
        return losses.sinkhorn_divergence(codes, drawn, c.blur)

    def energy_score(self, drawn: Tensor, batch: Batch, rng: Generator) -> Tensor:
        """Energy score of generated against simulated light sums, primary by primary; without conditions all showers
        count as one primary's."""
        owner = batch.primary if self.features else torch.zeros_like(batch.primary)
        draws = self.config.draws
        if draws > 1:
            drawn = torch.cat([drawn, self.prior(batch.conditions.repeat(draws - 1, 1), rng)])
        light, shape = self.observed(self.decoder.light_sums(drawn), rng)
        seen_light, seen_shape = self.observed(self.light(batch.showers), None)
        # two scores: beside the light of bright showers nothing else would count
        owners = owner.repeat(draws)
        return losses.energy_score(light, owners, seen_light, owner) + losses.energy_score(
            shape, owners, seen_shape, owner
        )

    def observed(self, facts: Tensor, rng: Generator | None) -> tuple[Tensor, Tensor]:
        """What the energy score compares, of `LightSums`: light sums in per cent of the mean shower and their roots,
        which tell a dim shower from an empty one; centre [fibres] and log widths.

        With `rng`, expected light gets the Poisson noise that simulated light carries, as a normal approximation.
        """
        sums, moments = facts[:, :8].clamp(min=0), facts[:, 8:]
        total = sums.sum(1, keepdim=True) + 1
        centre = moments[:, :2] / total
        variance = (moments[:, 2:] / total - centre.square()).clamp(min=0) + 0.1
        if rng is not None:
            noise = torch.randn((len(sums), 12), generator=rng, device=sums.device, dtype=sums.dtype)
            sums = (sums + (sums + 1e-3).sqrt() * noise[:, :8]).clamp(min=0)
            centre = centre + (variance / total).sqrt() * noise[:, 8:10]
            variance = variance * torch.exp(noise[:, 10:] * (2 / total).sqrt())
        light = torch.cat([sums / self.light_scale, (sums + 0.1).sqrt()], dim=1)
        return light, torch.cat([centre, 2 * variance.log()], dim=1)

    def encode(self, showers: Tensor, conditions: Tensor) -> Tensor:
        return self.encoder(showers)

    def prior(self, conditions: Tensor, rng: Generator) -> Tensor:
        noise = torch.randn(
            (len(conditions), self.config.noise), generator=rng, device=conditions.device, dtype=conditions.dtype
        )
        return self.generator(noise, self.features(conditions) if self.features else None)

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        return self.decoder(latent)

"""End-to-end Sinkhorn autoencoder with a noise generator: encoder, decoder and generator learn together.

K. Deja, J. Dubiński, P. Nowak, S. Wenzel, T. Trzciński, https://arxiv.org/abs/2006.06704.
The conditions Q reach the noise generator and the transport cost only, never the encoder or the decoder, unless
`informed` says so.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from engine import losses, nets
from engine.autoencoder import Autoencoder, AutoencoderConfig, transport_block
from engine.config import PAPER, merged, option
from engine.models.base import Batch, Phase
from engine.spaces import Space


class E2ESAEConfig(AutoencoderConfig):
    """Every term of the paper's Eqs. (1)–(8), and what showers taught beyond them (marked as own)."""

    presets = merged(
        AutoencoderConfig.presets,
        images={"beta": 0.0001, "condition_scale": 20.0, "blur": 0.1, "generator_norm": True},
    )

    conditional: bool = option(
        True, "Give the conditions to noise generator and transport cost.", source=f"{PAPER} §3.4"
    )
    informed: bool = option(
        False,
        "Give the conditions to encoder and decoder as well, so that a code need not hold where the particle hits.",
        source="own; the paper gives them to the noise generator alone",
    )
    noise: int = option(16, "Dimensions of the generator's noise.", ge=1, le=512, source="10 in known ZDC values")
    generator_norm: bool = option(
        False,
        "Batch normalisation in the noise generator. On digits it follows the encoder so much better that the Fréchet "
        "distance falls from 10 to 6 at equal training.",
        source="own",
    )
    beta: float = option(
        0.01, "β, weight of the Sinkhorn divergence.", ge=0, le=1000, source=f"{PAPER} Eq. (7)", group="Losses"
    )
    blur: float = option(
        0.05, "√ε: smallest distance that transport resolves.", gt=0.001, le=10, unit="latent σ",
        source=f"{PAPER} Eq. (3), GeomLoss's default", group="Losses",
    )  # fmt: skip
    solver: Literal["own", "geomloss"] = option(
        "own",
        "What solves the transport: GeomLoss, or the same algorithm written for a batch's size, several times as fast.",
        source="GeomLoss is the paper's", group="Losses",
    )  # fmt: skip
    transport_block: int = transport_block()
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


PAPER_NETWORKS: dict[str, Any] = {
    "pixels": "log_mse",
    "decoder": "convolutions",
    "conditions": "raw",
    "moments": False,
    "width": 16,
    "alpha": 0.1,
    "energy_score_weight": 0.0,
    "sum_weight": 0.0,
    "batch": 1000,
    "learning_rate": 3e-4,
    "grouping": "rows",
    "augment": False,
    "clumps": False,
}
"""What the paper's models of ZDC showers share, as far as it says, in networks that two cores can train."""
PAPER_RECIPE: dict[str, Any] = {
    **PAPER_NETWORKS,
    "noise": 10,
    # 20 on a sum over the 1 936 pixels of ZN is 0.01 on their mean
    "beta": 0.01,
    "condition_scale": 1.0,
    "delta": 0.001,
}
"""Settings nearest to the paper's experiment on ZDC showers."""


class E2ESAE(Autoencoder):
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

    def __init__(self, config: E2ESAEConfig, space: Space) -> None:
        self.informed = config.informed
        super().__init__(config, space)
        width = self.features.width if self.features else 0
        self.generator = nets.NoiseGenerator(config.noise, width, config.latent, config.hidden, config.generator_norm)

    def phases(self) -> list[Phase]:
        return [Phase("joint", [p for p in self.parameters() if p.requires_grad], self.loss)]

    def loss(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """Terms of Eq. (7), unweighted, and their weighted `total`. Terms of weight 0 that cost time are computed in
        evaluation mode only."""
        c, x, q = self.config, batch.showers, batch.conditions
        codes, drawn = self.encode(x, q), self.prior(q, rng)
        terms = self.fidelity(x, self.decode(codes, q)) | {
            "sinkhorn": self.transport(codes, drawn, q, rng),
            "last_layer": losses.last_layer_l2(self.encoder.last),
        }
        if c.delta or not self.training:
            terms["diversity"] = losses.diversity(codes, c.tau, c.diversity_scale)
        if self.scored():
            terms["energy_score"] = self.energy_score(drawn, batch, rng)
        return self.weighted(terms)

    def weights(self) -> dict[str, float]:
        c, shared = self.config, super().weights()
        own = {"sinkhorn": c.beta, "diversity": c.delta, "last_layer": c.gamma}
        return {"reconstruction": 1.0, **own, **shared}

    def transport(self, codes: Tensor, drawn: Tensor, conditions: Tensor, rng: Generator) -> Tensor:
        """S_ε(enc(X)⌢Q, gen(noise, Q)⌢Q), Eq. (8); Eq. (4) without conditions. rng: of the blocks, drawn from only
        where the batch is cut."""
        c, classes = self.config, None
        if self.features and self.space.classes and self.apart(codes, drawn):
            classes = conditions[:, 0]
        else:
            codes, drawn = (self.joined(points, conditions, c.condition_scale) for points in (codes, drawn))
        return losses.sinkhorn_in_blocks(codes, drawn, c.transport_block, rng, c.blur, solver=c.solver, classes=classes)

    def apart(self, codes: Tensor, drawn: Tensor) -> bool:
        """Whether classes lie so far apart, `condition_scale`·√2 of each other, that no plan leads from one to another:
        two points that change partners across classes pay 2·scale² and save at most the squared diameter of the codes,
        which must leave a margin of 20 ε."""
        c, both = self.config, torch.cat([codes, drawn]).detach()
        reach = (both.amax(0) - both.amin(0)).square().sum()
        return 2 * c.condition_scale**2 >= float(reach) + 20 * c.blur**2

    @property
    def noise_width(self) -> int:
        return self.config.noise

    def carry(self, noise: Tensor, conditions: Tensor) -> Tensor:
        return self.generator(noise, self.seen(conditions))

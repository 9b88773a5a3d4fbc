"""Deep convolutional generative adversarial network, with conditions in generator and discriminator.

A. Radford, L. Metz, S. Chintala, https://arxiv.org/abs/1511.06434; M. Mirza and S. Osindero,
https://arxiv.org/abs/1411.1784.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from engine.config import PICTURES, option
from engine.models.gan import GAN, GANConfig

PAPER = "arXiv:1511.06434"


class DCGANConfig(GANConfig):
    decoder: Literal["spots", "convolutions", "subpixel"] = option(
        "convolutions",
        "A sum of Gaussian spots in fibre coordinates, four transposed convolutions, or 3×3 ones whose channels "
        "become pixels.",
        source=f"convolutions: {PAPER} §3; sub-pixel: arXiv:1609.05158; spots: own",
        kinds=PICTURES,
    )
    game: Literal["minimax", "non_saturating"] = option(
        "non_saturating",
        "What the generator minimises: log(1 − D(G(z))), which goes flat against a perfect discriminator, or "
        "−log D(G(z)).",
        source="arXiv:1406.2661 §3", group="Losses",
    )  # fmt: skip
    real_penalty: float = option(
        1.0, "γ, weight of the penalty R₁ on the critic's gradient at simulated showers; at 0 generated light grows "
        "seventy times too bright within an epoch.",
        ge=0, le=1000, source="arXiv:1801.04406 Eq. (9); not in DCGAN", group="Losses",
    )  # fmt: skip
    learning_rate: float = option(
        2e-4, "Adam's step size at the start, β₁ = 0.5.", gt=0, le=0.1, group="Training", source=f"{PAPER} §4"
    )


class DCGAN(GAN):
    """Convolutions on both sides, with batch norm in the generator, the game that does not saturate, Adam with
    β₁ = 0.5. The critic's batch norm is a setting."""

    name: ClassVar[str] = "dcgan"
    title: ClassVar[str] = "Deep convolutional GAN"
    summary: ClassVar[str] = (
        "Strided convolutions on both sides of the game, conditions in both: the recipe that made adversarial training "
        "of pictures work."
    )
    paper: ClassVar[str] = "https://arxiv.org/abs/1511.06434"
    Config = DCGANConfig

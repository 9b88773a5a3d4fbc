"""What a model has to know of its examples: how networks see showers, images and points, which networks suit them, how
well an expectation explains an example, and how examples are drawn from it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from engine import light, losses, nets
from engine.config import Config
from engine.decoders import (
    ConvolutionDecoder,
    Decoder,
    IntensityDecoder,
    PointDecoder,
    SpotDecoder,
    SubpixelDecoder,
    greys,
    photons,
)
from engine.features import LightSums, Moments
from engine.schema import WrongInput
from engine.spaces import Space

DIRECTIONS = 50


class Modality(nn.Module):
    """One kind of examples (N, ...). What of the losses and facts below there is not for a kind is empty."""

    facts_width: int = 0
    """Numbers that `facts` gives."""
    scored: ClassVar[bool] = False
    """Whether generated examples have an energy score."""

    def __init__(self, config: Config, space: Space) -> None:
        super().__init__()
        self.config: Any = config
        self.space = space

    def fit(self, x: Tensor) -> None:
        """Set all buffers from training examples."""

    def view(self, x: Tensor) -> Tensor:
        """Examples as networks see them."""
        raise NotImplementedError

    def restored(self, seen: Tensor) -> Tensor:
        """The examples of a view."""
        raise NotImplementedError

    def facts(self, x: Tensor) -> Tensor | None:
        """What stands beside the view for networks that ask for it, standardised (N, `facts_width`)."""
        return None

    def trunk(self, norm: bool, slope: float = 0.0) -> tuple[nn.Module, int]:
        """The first layers of a network that looks at a view, and how many numbers they give an example."""
        c = self.config
        return nets.convolutions(c.width, norm, slope), nets.convolved(self.space.shape, c.width)

    def decoder(self, inputs: int) -> Decoder:
        """A network from codes (N, inputs) to expected examples."""
        raise NotImplementedError

    def head(self, inputs: int) -> Decoder:
        """The end of a network whose first layers have `inputs` outputs, to expected examples."""
        return self.decoder(inputs)

    def fidelity(self, x: Tensor, expected: Tensor) -> dict[str, Tensor]:
        """How well an expectation explains an example: `reconstruction` and further terms, unweighted; those of weight
        0 in evaluation mode only."""
        raise NotImplementedError

    def weights(self) -> dict[str, float]:
        """The weights of `fidelity`'s terms beside `reconstruction`."""
        return {}

    def drawn(self, expected: Tensor, rng: Generator) -> Tensor:
        """Examples of an expectation: the expectation itself, unless examples are counts."""
        return expected

    def settled(self, x: Tensor) -> Tensor:
        """Examples that a flow ended at, where these are whole numbers, rounded."""
        return x

    def energy_score(self, sums: Tensor, owners: Tensor, x: Tensor, owner: Tensor, rng: Generator) -> Tensor:
        """Energy score of generated against real light sums, primary by primary."""
        raise NotImplementedError

    def readings(
        self, x: Tensor, made: tuple[Tensor, Tensor], rebuilt: Tensor | None, owner: Tensor, rng: Generator
    ) -> dict[str, Tensor]:
        """What a run records of validation examples, two draws at their conditions and their reconstructions."""
        clouds = [self.view(one).flatten(1) for one in (x, made[0])]
        directions = losses.sphere(DIRECTIONS, clouds[0].shape[1], rng, clouds[0])
        return {"validation/sliced_wasserstein": losses.sliced_wasserstein(clouds[0], clouds[1], directions).sqrt()}


class Showers(Modality):
    """Photons a fibre, seen as log(1 + photons), with moments of the light beside it where the config says so."""

    scored = True
    mean: Tensor
    std: Tensor
    light_scale: Tensor
    photons_per_track: Tensor

    def __init__(self, config: Config, space: Space, floor: float = 0.0) -> None:
        super().__init__(config, space)
        self.moments = Moments(space.shape, floor) if getattr(config, "moments", False) else None
        self.facts_width = self.moments.width if self.moments else 0
        self.light = LightSums(space.shape)
        self.register_buffer("mean", torch.zeros(self.facts_width))
        self.register_buffer("std", torch.ones(self.facts_width))
        self.register_buffer("light_scale", torch.ones(()))
        self.register_buffer("photons_per_track", torch.zeros(()))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        if self.config.clumps:
            self.photons_per_track.copy_(light.photons_per_track(x))
        self.light_scale.copy_(x.sum() / len(x) / 100)
        if self.moments is not None:
            moments = torch.cat([self.moments(part) for part in x.split(4096)])
            self.mean.copy_(moments.mean(0))
            self.std.copy_(moments.std(0).clamp(min=1e-3))

    def view(self, x: Tensor) -> Tensor:
        return torch.log1p(x)

    def restored(self, seen: Tensor) -> Tensor:
        # log(1 + photons) ≤ 12, as in the decoders
        return torch.expm1(seen.clamp(0, 12))

    def facts(self, x: Tensor) -> Tensor | None:
        return None if self.moments is None else (self.moments(x) - self.mean) / self.std

    def decoder(self, inputs: int) -> Decoder:
        c, shape = self.config, self.space.shape
        if c.decoder == "spots":
            made = SpotDecoder(shape, inputs, c.hidden, c.spots)
        elif c.decoder == "subpixel":
            made = SubpixelDecoder(shape, inputs, c.width, photons)
        else:
            made = ConvolutionDecoder(shape, inputs, c.width, photons)
        return IntensityDecoder(made, inputs, c.hidden) if c.intensity else made

    def fidelity(self, x: Tensor, expected: Tensor) -> dict[str, Tensor]:
        """`reconstruction`, `lap1` of Eq. (1) and `light_sums` of expected photons."""
        c = self.config
        logs = torch.log1p(x), torch.log1p(expected)
        poisson = c.pixels == "poisson"
        terms = {"reconstruction": losses.poisson_nll(x, expected) if poisson else losses.reconstruction(*logs)}
        if c.alpha or not self.training:
            terms["lap1"] = losses.lap1(*logs, c.levels)
        if c.sum_weight or not self.training:
            terms["light_sums"] = losses.sum_penalty(self.light(x)[:, :8], self.light(expected)[:, :8])
        return terms

    def weights(self) -> dict[str, float]:
        return {"lap1": self.config.alpha, "light_sums": self.config.sum_weight}

    def drawn(self, expected: Tensor, rng: Generator) -> Tensor:
        """Whole photons, in clumps where the config says so."""
        return light.clumped(expected, self.photons_per_track, rng)

    def settled(self, x: Tensor) -> Tensor:
        return x.round()

    def energy_score(self, sums: Tensor, owners: Tensor, x: Tensor, owner: Tensor, rng: Generator) -> Tensor:
        """Energy score of generated `LightSums` (G, 16) of primaries `owners` against those of simulated showers."""
        # a score each: beside the light of bright showers nothing else would count
        pairs = zip(self.observed(sums, rng), self.observed(self.light(x), None), strict=True)
        scores = [losses.energy_score(made, owners, seen, owner) for made, seen in pairs]
        return torch.stack(scores).sum()

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
        bright = torch.cat([sums / self.light_scale, (sums + 0.1).sqrt()], dim=1)
        return bright, torch.cat([centre, 2 * variance.log()], dim=1), waves / total.sqrt()

    def readings(
        self, x: Tensor, made: tuple[Tensor, Tensor], rebuilt: Tensor | None, owner: Tensor, rng: Generator
    ) -> dict[str, Tensor]:
        """How much light is generated and reconstructed, over the simulated light; how far the spectra of photon sums
        are apart [photons], and the energy score of their roots."""
        seen, (first, second) = x.sum((1, 2)), (one.sum((1, 2)) for one in made)
        whole = seen.sum().clamp(min=1)
        found = {"validation/generated_light": first.sum() / whole}
        if rebuilt is not None:
            found["validation/reconstructed_light"] = rebuilt.sum() / whole
        found["validation/generated_sum_distance"] = (first.sort().values - seen.sort().values).abs().mean()
        roots, both = seen.sqrt()[:, None], torch.cat([first, second]).sqrt()[:, None]
        found["validation/generated_score"] = losses.energy_score(both, torch.cat([owner, owner]), roots, owner)
        return found


class Images(Modality):
    """Grey values 0–255 a pixel, seen as 0 to 1."""

    def view(self, x: Tensor) -> Tensor:
        return x / 255

    def restored(self, seen: Tensor) -> Tensor:
        return (255 * seen).clamp(0, 255)

    def decoder(self, inputs: int) -> Decoder:
        c = self.config
        if c.decoder == "spots":
            raise WrongInput("spots are of showers: choose decoder = subpixel or convolutions")
        kind = SubpixelDecoder if c.decoder == "subpixel" else ConvolutionDecoder
        return kind(self.space.shape, inputs, c.width, greys)

    def fidelity(self, x: Tensor, expected: Tensor) -> dict[str, Tensor]:
        """Eq. (2)'s mean squared error and `lap1` of Eq. (1), of pixels between 0 and 1."""
        seen = self.view(x), self.view(expected)
        terms = {"reconstruction": losses.reconstruction(*seen)}
        if self.config.alpha or not self.training:
            terms["lap1"] = losses.lap1(*seen, self.config.levels)
        return terms

    def weights(self) -> dict[str, float]:
        return {"lap1": self.config.alpha}


class Points(Modality):
    """Coordinates, seen in standard deviations from their mean."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: Config, space: Space) -> None:
        super().__init__(config, space)
        self.dimensions = math.prod(space.shape)
        self.register_buffer("mean", torch.zeros(self.dimensions))
        self.register_buffer("std", torch.ones(self.dimensions))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        self.mean.copy_(x.mean(0))
        self.std.copy_(x.std(0).clamp(min=1e-6))

    def view(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def restored(self, seen: Tensor) -> Tensor:
        return seen * self.std + self.mean

    def trunk(self, norm: bool, slope: float = 0.0) -> tuple[nn.Module, int]:
        hidden = self.config.hidden
        made = nets.mlp([self.dimensions, hidden, hidden])
        return nn.Sequential(*made, nn.LeakyReLU(slope) if slope else nn.ReLU()), hidden

    def decoder(self, inputs: int) -> Decoder:
        return PointDecoder(self.dimensions, inputs, self.config.hidden, self.restored)

    def head(self, inputs: int) -> Decoder:
        return PointDecoder(self.dimensions, inputs, self.config.hidden, self.restored, depth=0)

    def fidelity(self, x: Tensor, expected: Tensor) -> dict[str, Tensor]:
        """Mean squared error in standard deviations."""
        return {"reconstruction": (self.view(x) - self.view(expected)).square().mean()}


def modality(config: Config, space: Space, floor: float = 0.0) -> Modality:
    """That of a space's kind. `floor`: photons that keep the gradient of an empty quadrant's root finite, where showers
    are generated ones."""
    if space.kind == "showers":
        return Showers(config, space, floor)
    return Images(config, space) if space.kind == "images" else Points(config, space)

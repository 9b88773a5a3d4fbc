"""Where the conditions of many showers come from: a table, or a spectrum that they are drawn from. Batch by batch, each
batch by its number alone, so that a generation can stop and go on anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.conditions import along, conditions_of
from engine.datasets.base import Dataset
from engine.export import files
from engine.host import BATCH
from engine.schema import BulkRequest, Particle, Spectrum, WrongInput

MOST_SHOWERS = 100_000_000
SALT = 0x5BEC
"""Keeps the draws of a seed's particles from those of anything else with that seed."""
SHOWN = 64
"""Energies of a power law, equally many of its particles apart, at which it is said how far to trust a model."""

Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """Condition rows (n, C) and beside them primary_id, replica and, where known, pdg (n,)."""

    conditions: Floats
    labels: dict[str, NDArray[np.int64]]


class Source(Protocol):
    """Conditions of `showers` showers in all. shown: rows (K, C) by which to say beforehand how far to trust a model;
    drawn: they stand for many more."""

    showers: int
    shown: Floats
    drawn: bool

    def batch(self, number: int) -> Rows:
        """The rows of showers `number`·BATCH to the next batch's first."""
        ...


class Table:
    """`n` showers of each row of conditions (R, C), in their order; pdg (R,)."""

    drawn = False

    def __init__(self, conditions: Floats, n: int, pdg: NDArray[np.int64] | None = None) -> None:
        self.shown, self.n, self.pdg = conditions, n, pdg
        self.showers = checked(len(conditions) * n)

    def batch(self, number: int) -> Rows:
        row, replica = np.divmod(_numbers(number, self.showers), self.n)
        pdg = {} if self.pdg is None else {"pdg": self.pdg[row]}
        return Rows(self.shown[row], {"primary_id": row, "replica": replica, **pdg})


class Drawn:
    """A spectrum: each shower is of a primary of its own."""

    drawn = True

    def __init__(self, showers: int, seed: int) -> None:
        self.showers, self.seed = checked(showers), seed
        self.shown: Floats = np.zeros((0, 9))

    def batch(self, number: int) -> Rows:
        numbers = _numbers(number, self.showers)
        # a whole batch is drawn, so that the first particles of n and of more are the same
        conditions, pdg = self.particles(np.random.default_rng([SALT, self.seed, number]), BATCH)
        labels = {"primary_id": numbers, "replica": np.zeros_like(numbers), "pdg": pdg[: len(numbers)]}
        return Rows(conditions[: len(numbers)], labels)

    def particles(self, rng: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.int64]]:
        """n condition rows and their PDG ids."""
        raise NotImplementedError


class TrainingPrimaries(Drawn):
    """Primaries of a training split, drawn with replacement: what the model learned from, in its own proportions."""

    def __init__(self, data: Dataset, showers: int, seed: int) -> None:
        super().__init__(showers, seed)
        rows = data.rows("train")
        first = rows[np.unique(data.primary_id[rows], return_index=True)[1]]
        self.conditions, self.pdg = data.conditions[first], data.pdg[first]

    def particles(self, rng: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.int64]]:
        index = rng.integers(len(self.pdg), size=n)
        return self.conditions[index], self.pdg[index]


class PowerLaw(Drawn):
    """One particle at energies by dN/dE ∝ E^−index between two bounds, by the inverse of the cumulative spectrum."""

    def __init__(self, particle: Particle, spectrum: Spectrum, showers: int, seed: int) -> None:
        super().__init__(showers, seed)
        self.particle, self.low, self.high = particle, spectrum.minimum_gev, spectrum.maximum_gev
        self.index = spectrum.index
        if not self.low < self.high:
            raise WrongInput(f"a spectrum from {self.low:g} to {self.high:g} GeV holds no energies: raise its end")
        along(particle, [self.low, self.high])  # neither end is beyond physics
        self.shown = along(particle, self.energies((np.arange(SHOWN) + 0.5) / SHOWN))

    def energies(self, share: Floats) -> Floats:
        """Energies [GeV] below which these shares of the spectrum lie."""
        power, ratio = 1 - self.index, self.low / self.high
        # in units of the end where the integral grows towards it, of the start where it falls, so that none overflows
        if abs(power) < 1e-9:
            found = self.low * ratio**-share
        elif power > 0:
            found = self.high * ((1 - share) * ratio**power + share) ** (1 / power)
        else:
            found = self.low * (1 - share + share * ratio**-power) ** (1 / power)
        return np.clip(found, self.low, self.high)

    def particles(self, rng: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.int64]]:
        return along(self.particle, self.energies(rng.random(n))), np.full(n, self.particle.pdg)


def source_of(request: BulkRequest, data: Dataset, table: Path | None) -> Source:
    """What a request asks for. table: the file of its conditions. Raises `WrongInput` where it makes no sense."""
    if (table is None) == (request.spectrum is None):
        raise WrongInput("give a table of conditions or a spectrum, one of the two")
    if table is not None:
        try:
            conditions, pdg = files.read_conditions(table, data.columns)
        except WrongInput as error:
            raise WrongInput(str(error).replace(f"{table.parent}/", "")) from error  # the user's name, not our path
        return Table(conditions, request.n, pdg)
    assert request.spectrum is not None
    return spectrum_of(request.spectrum, data, request.n, request.seed)


def spectrum_of(spectrum: Spectrum, data: Dataset, showers: int, seed: int) -> Source:
    """Particles of a spectrum. Raises `WrongInput` where it makes no sense for these data."""
    if spectrum.law == "data":
        if spectrum.particle is not None:
            raise WrongInput("a spectrum of the data has its own particles: leave the particle out, or ask for power")
        return TrainingPrimaries(data, showers, seed)
    data.needs_showers("energies")
    return PowerLaw(spectrum.particle or Particle(), spectrum, showers, seed)


def of_particle(particle: Particle, n: int) -> Table:
    """`n` showers of one particle."""
    return Table(conditions_of(particle), n, np.array([particle.pdg]))


def checked(showers: int) -> int:
    """Raises `WrongInput` for more than are generated at once."""
    if not 1 <= showers <= MOST_SHOWERS:
        raise WrongInput(f"{showers} showers: ask for 1 to {MOST_SHOWERS} in all")
    return showers


def _numbers(batch: int, showers: int) -> NDArray[np.int64]:
    return np.arange(batch * BATCH, min((batch + 1) * BATCH, showers))

"""How near a particle is to those of a training set: nearest simulated showers, and how far out a request lies."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from engine import zdc
from engine.datasets.base import Dataset
from engine.schema import GenerateRequest, Particle, WrongInput
from engine.spaces import check_rows

Floats = NDArray[np.float64]

K = 8
"""Training primaries that a distance is averaged over."""
SPECIES_STEP = 4.0
"""How far apart two species count, in standard deviations of the other features."""
FAR = 0.99


class Nearness:
    """Distances between particles in log energy, transverse momenta, impact point and species, each but the last in
    standard deviations of the training primaries."""

    def __init__(self, data: Dataset) -> None:
        data.needs_showers("particles")
        self.data = data
        self.z_cm = zdc.DETECTORS[data.detector].z_cm
        self.half_cm = zdc.DETECTORS[data.detector].half_cm
        rows = data.rows("train")
        _, first = np.unique(data.primary_id[rows], return_index=True)
        primaries = data.conditions[rows[first]]
        self.species = np.unique(species(primaries), axis=0)
        columns = self._columns(primaries)
        self.mean, spread = columns.mean(axis=0), columns.std(axis=0)
        self.std = np.where(spread > 0, spread, 1.0)
        self.low, self.high = primaries.min(axis=0), primaries.max(axis=0)
        self.tree = KDTree(self.features(primaries))
        self.k = min(K, len(primaries) - 1)
        # a primary's nearest neighbour is itself, hence one more
        apart = np.asarray(self.tree.query(self.tree.data, k=self.k + 1)[0])[:, 1:]
        self.usual = np.sort(apart.mean(axis=1))

    def _columns(self, conditions: Floats) -> Floats:
        impact = zdc.impact_cm(conditions, self.z_cm)
        log_energy = np.log(np.maximum(conditions[:, zdc.ENERGY], 1e-3))
        return np.column_stack([log_energy, conditions[:, zdc.PX], conditions[:, zdc.PY], impact])

    def features(self, conditions: Floats) -> Floats:
        """Standardised features of condition rows (N, 9), species as indicators; an unknown one has its own."""
        scaled = (self._columns(conditions) - self.mean) / self.std
        # far enough out is out: no overflow in squares
        same = (species(conditions)[:, None] == self.species[None]).all(axis=2)
        known = np.column_stack([same, ~same.any(axis=1)]) * (SPECIES_STEP / np.sqrt(2))
        return np.column_stack([np.clip(scaled, -1e6, 1e6), known])

    def outness(self, conditions: Floats) -> Floats:
        """Share (N,) of training primaries that are nearer to their neighbours than this particle is to its own:
        0.5 is usual, 1 is further out than all."""
        apart = np.asarray(self.tree.query(self.features(conditions), k=self.k)[0]).reshape(len(conditions), -1)
        return np.searchsorted(self.usual, apart.mean(axis=1)) / len(self.usual)

    def warnings(self, conditions: Floats, outness: Floats, drawn: bool = False) -> list[str]:
        """What to tell a person who trusts the model too far, in plain words. drawn: the rows stand for more."""
        many = len(conditions) > 1
        said = []
        unknown = ~(species(conditions)[:, None] == self.species[None]).all(axis=2).any(axis=1)
        energy = conditions[:, zdc.ENERGY]
        low, high = self.low[zdc.ENERGY], self.high[zdc.ENERGY]
        outside = (np.abs(zdc.impact_cm(conditions, self.z_cm)) > self.half_cm).any(axis=1)
        for wrong, one, several in (
            (
                unknown,
                "No training shower is of this species.",
                "{n} particles are of species without training showers.",
            ),
            (
                (energy < low) | (energy > high),
                f"The energy is outside the training range {low:.3g}–{high:.4g} GeV.",
                f"{{n}} particles have energies outside the training range {low:.3g}–{high:.4g} GeV.",
            ),
            (
                outside,
                "The straight path misses the calorimeter's face: expect little light.",
                "{n} particles miss the calorimeter's face on a straight path: expect little light.",
            ),
            (
                outness >= FAR,
                f"Further from the training particles than {100 * FAR:.0f} % of them are from each other.",
                f"{{n}} particles are further from the training ones than {100 * FAR:.0f} % of these from each other.",
            ),
        ):
            if wrong.any():
                n = f"{100 * wrong.mean():.0f} % of the" if drawn else int(wrong.sum())
                said.append(several.format(n=n) if many else one)
        return said

    @cached_property
    def _all(self) -> Floats:
        return self.features(self.data.conditions)

    def nearest(self, conditions: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
        """Rows of the k showers nearest to one particle (1, 9) and their distances, replicas side by side."""
        apart = np.linalg.norm(self._all - self.features(conditions), axis=1)
        order = np.lexsort((self.data.replica, self.data.primary_id, apart))[:k]
        return order, apart[order]


def species(conditions: Floats) -> Floats:
    """Mass to 1 MeV and charge (N, 2): all that condition rows say of the species."""
    return np.round(conditions[:, [zdc.MASS, zdc.CHARGE]])


def conditions_of(particle: Particle) -> NDArray[np.float64]:
    """The checked condition row (1, 9) of a particle. Raises `WrongInput` outside physics."""
    found = zdc.particle(particle.pdg)
    return zdc.check_conditions([particle.conditions(found.mass_mev, found.charge_e)])


def along(particle: Particle, energies_gev: ArrayLike) -> NDArray[np.float64]:
    """Checked condition rows (K, 9) of a particle at other energies (K,) [GeV]: species, vertex and direction stay, and
    so where it hits the face. Raises `WrongInput` outside physics."""
    (row,) = conditions_of(particle)
    energies = np.asarray(energies_gev, dtype=np.float64)
    mass = row[zdc.MASS] / 1000
    for wrong, say in (
        (~(energies > mass), f"is not above the mass {mass:g} GeV: raise it"),
        (energies > zdc.BEAM_GEV, f"is above the beam's {zdc.BEAM_GEV:g} GeV: lower it"),
    ):
        if wrong.any():
            raise WrongInput(f"energy {energies[wrong][0]:g} GeV {say}")
    rows = np.repeat(row[None], len(energies), axis=0)
    rows[:, zdc.ENERGY] = energies
    direction = row[zdc.PX : zdc.PZ + 1] / np.linalg.norm(row[zdc.PX : zdc.PZ + 1])
    rows[:, zdc.PX : zdc.PZ + 1] = np.sqrt(energies**2 - mass**2)[:, None] * direction
    return zdc.check_conditions(rows) if len(rows) else rows


def middle(data: Dataset) -> NDArray[np.float64]:
    """One row (1, C) of median training conditions, each a value that occurs, so that a class stays one."""
    train = data.conditions[data.rows("train")]
    return np.quantile(train, 0.5, axis=0, method="nearest")[None]


def requested(request: GenerateRequest, data: Dataset) -> NDArray[np.float64]:
    """The condition rows (N, C) of a request to a model of these data. Raises `WrongInput` unless it gives a particle
    or rows, not both."""
    if (request.particle is None) == (request.conditions is None):
        raise WrongInput("give a particle or condition rows, one of the two")
    if request.particle is None:
        return check_rows(request.conditions or [], data.columns)
    data.needs_showers("particles")
    return conditions_of(request.particle)

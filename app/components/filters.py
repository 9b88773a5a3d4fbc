"""Which showers of a data set are looked at: species, split, energy, photon sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from app import state
from engine.schema import CONDITIONS, Arrays, Catalogue, DatasetInfo

THRESHOLDS = [0, 1, 5, 10, 18]
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Filter:
    """Empty tuples and None let everything pass."""

    species: tuple[int, ...] = ()
    split: tuple[str, ...] = ()
    energy_gev: tuple[float, float] | None = None
    photons: float = 0.0

    def rows(self, columns: Arrays) -> np.ndarray:
        """Row numbers that pass."""
        kept = np.asarray(columns["photon_sum"]) >= self.photons
        if self.energy_gev:
            energy = np.asarray(columns["conditions"])[:, CONDITIONS.index("Energy")]
            kept &= (energy >= self.energy_gev[0]) & (energy <= self.energy_gev[1])
        if self.species:
            kept &= np.isin(columns["pdg"], self.species)
        if self.split:
            kept &= np.isin(columns["split"], [SPLITS.index(s) for s in self.split])
        return np.flatnonzero(kept)


def choose(dataset: DatasetInfo, columns: Arrays, book: Catalogue) -> Filter:
    """The four widgets in a row."""
    names = {pdg: state.particle_named(pdg, book).symbol for pdg in dataset.pdg}
    species_place, split_place, energy_place, photon_place = st.columns(
        [1.2, 1.2, 1.6, 1.3], vertical_alignment="bottom"
    )
    species = species_place.pills(
        "Species",
        list(names),
        selection_mode="multi",
        format_func=lambda p: names[p],
        key=f"{state.SPECIES}_{dataset.name}",
    )
    split = split_place.pills("Split", SPLITS, selection_mode="multi", key="split")
    least = photon_place.segmented_control(
        "Photon sum at least", THRESHOLDS, default=0, key=state.PHOTONS, bind="query-params", required=True
    )
    span = None
    if state.condition_named("Energy", dataset):
        energy = np.asarray(columns["conditions"])[:, CONDITIONS.index("Energy")]
        # of all splits: the data set's own range speaks of training showers only
        low, high = float(np.floor(energy.min())), float(np.ceil(energy.max()))
        chosen = energy_place.slider(
            "Energy [GeV]", low, max(high, low + 1), (low, max(high, low + 1)), format="%d",
            key=f"energy_{dataset.name}",
        )  # fmt: skip
        span = chosen if chosen != (low, max(high, low + 1)) else None
    return Filter(tuple(species or ()), tuple(split or ()), span, float(least or 0))

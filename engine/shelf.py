"""The data sets of one home as the engine serves them: loaded once, described, looked into, handed out as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import sets, zdc
from engine.conditions import Nearness, conditions_of
from engine.datasets import base as datasets
from engine.datasets.base import Dataset
from engine.imports import store
from engine.once import Once
from engine.runs import home
from engine.schema import (
    Arrays,
    DatasetInfo,
    EngineError,
    FileFormat,
    ImportReport,
    NotFound,
    Particle,
    WrongInput,
)

MOST_PICTURES = 5000
MOST_SAVED = 20_000
"""Showers with pictures in one file for a browser."""
BLOCK = 4096
"""Showers written at once."""


class Shelf:
    """Data sets, each loaded at first use. `making`: make what is not there yet, which takes a minute; otherwise a
    sentence says how."""

    def __init__(self, making: bool = False) -> None:
        self.home, self.making = home(), making
        self.once = Once()
        store.sweep(self.home)

    # ------------------------------------------------------------------------------------------------------- whole
    def names(self) -> list[str]:
        return sets.names(self.home)

    def data(self, name: str) -> Dataset:
        """Raises `NotFound`, and `WrongInput` where the set is not made yet and may not be made here."""
        key = "data", name, sets.stamp(name, self.home)
        return self.once.get(key, lambda: self._load(name))

    def _load(self, name: str) -> Dataset:
        if not self.making and name in datasets.names() and not datasets.ready(name):
            cost = datasets.describe(name).making
            made = "simulated" if datasets.describe(name).kind == "showers" else "fetched"
            raise WrongInput(f"{name} is not {made} yet: start it on the Data page ({cost})")
        return sets.load(name, self.home)

    def nearness(self, name: str) -> Nearness:
        data = self.data(name)
        return self.once.get(("nearness", name, sets.stamp(name, self.home)), lambda: Nearness(data))

    def infos(self) -> list[DatasetInfo]:
        """All sets; one that is not made yet with `ready` false, a damaged import not at all."""
        found = []
        for name in self.names():
            if name in datasets.names() and not datasets.ready(name):
                found.append(datasets.describe(name))
                continue
            try:
                key = "info", name, sets.stamp(name, self.home)
                found.append(self.once.get(key, lambda name=name: sets.info(self.data(name), self.home)))
            except EngineError as error:
                sets.logger.warning("%s", error)
        return found

    def imports(self) -> list[ImportReport]:
        reports = []
        for name in store.imported(self.home):
            try:
                reports.append(store.report_of(self.home, name))
            except (NotFound, WrongInput) as error:
                sets.logger.warning("%s", error)
        return reports

    def remove(self, name: str) -> None:
        sets.remove(name, self.home)
        self.once.forget(lambda key: key[1] == name)

    # -------------------------------------------------------------------------------------------------------- parts
    def columns(self, name: str, convention: str = "paper") -> Arrays:
        def make() -> Arrays:
            d = self.data(name)
            arrays = {name: getattr(d, name) for name in ("conditions", "pdg", "primary_id", "replica", "split")}
            if d.kind == "showers":
                arrays |= {
                    "photon_sum": d.photon_sum,
                    "channels": d.channels(convention).astype(np.float32),
                    "impact_mm": (10 * d.impact_cm).astype(np.float32),
                    "largest_pixel": d.showers.max(axis=(1, 2)).astype(np.int64),
                }
            return Arrays(arrays, {"data": d.name, "label": d.label, "convention": convention})

        return self.once.get(("columns", name, sets.stamp(name, self.home), convention), make)

    def showers(self, name: str, rows: list[int]) -> Arrays:
        d = self.data(name)
        index = row_numbers(d, rows)
        arrays = {"conditions": d.conditions[index], "pdg": d.pdg[index], "row": index}
        return Arrays({"showers": d.showers[index].astype(np.float32), **arrays}, {"label": d.label})

    def nearest(self, name: str, particle: Particle, k: int = 8) -> Arrays:
        if not 1 <= k <= MOST_PICTURES:
            raise WrongInput(f"k = {k}: ask for 1 to {MOST_PICTURES} showers")
        d = self.data(name)
        index, distance = self.nearness(name).nearest(conditions_of(particle), k)
        found = self.showers(name, index.tolist())
        more = {"primary_id": d.primary_id[index], "replica": d.replica[index], "split": d.split[index]}
        return Arrays({**found.arrays, **more, "distance": distance.astype(np.float32)}, found.meta)

    def write_rows(
        self, name: str, index: NDArray[np.int64], out: Path, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """A file of any number of rows, in constant memory."""
        from engine.export.writers import writing

        d = self.data(name)
        with writing(out, len(index), meta_of(d)) as file:
            for start in range(0, len(index), BLOCK):
                file.add(chosen(d, index[start : start + BLOCK]))
                if progress is not None:
                    progress(min(start + BLOCK, len(index)), len(index))

    def save_rows(self, name: str, rows: list[int], format: FileFormat) -> bytes:
        from engine.export import files

        d = self.data(name)
        most = MOST_SAVED if format != "csv" else len(d.showers)
        return files.pack(chosen(d, row_numbers(d, rows, most)), format)


def chosen(data: Dataset, index: NDArray[np.int64]) -> Arrays:
    """Rows of a set as its files hold them."""
    showers = data.showers[index]
    arrays = {
        "showers": showers,
        "conditions": data.conditions[index],
        "pdg": data.pdg[index],
        "primary_id": data.primary_id[index],
        "replica": data.replica[index],
    }
    if data.kind == "showers":
        arrays["channels"] = zdc.channels(showers, data.detector).astype(np.float32)
        arrays["impact_mm"] = (10 * data.impact_cm[index]).astype(np.float32)
    return Arrays(arrays, meta_of(data))


def meta_of(data: Dataset) -> dict[str, Any]:
    """What a file says of the set that it is from."""
    meta: dict[str, Any] = {"data": data.name, "label": data.label}
    if data.kind == "showers":
        return meta | {"detector": data.detector, "convention": "paper"}
    return meta | {
        "kind": data.kind,
        "columns": [c.name for c in data.columns],
        "units": [c.unit for c in data.columns],
    }


def row_numbers(data: Dataset, rows: list[int], most: int = MOST_PICTURES) -> NDArray[np.int64]:
    """Raises `WrongInput` for none, too many, or numbers that are no rows."""
    if not 1 <= len(rows) <= most:
        raise WrongInput(f"{len(rows)} rows: ask for 1 to {most} showers")
    if min(rows) < 0 or max(rows) >= len(data.showers):
        raise WrongInput(f"rows run from 0 to {len(data.showers) - 1} in {data.name}")
    return np.asarray(rows, dtype=np.int64)

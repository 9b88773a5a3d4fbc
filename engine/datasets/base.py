"""What a data set is: frozen arrays, names, units and a split by primary. One module beside this a set."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import engine.datasets
from engine import zdc
from engine.schema import ConditionInfo, DataKind, DatasetInfo, NotFound, WrongInput
from engine.spaces import ZDC_COLUMNS, Column, Space

SPLITS = ("train", "validation", "test")
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Dataset:
    """Showers, or other examples, with the conditions that made them.

    showers: (N, H, W) unsigned, photons a fibre, axis 0 = x; of `kind` images grey values 0–255 a pixel, axis 0 down;
    of points float32 coordinates (N, d). conditions: (N, C) by `columns`, for showers the nine of `engine.schema`.
    primary_id, replica: (N,), independent simulations of one primary share its id; pdg: (N,), 0 where there is none.
    split: (N,) 0 train, 1 validation, 2 test, constant on each primary.
    """

    name: str
    title: str
    label: str
    detector: str
    provenance: str
    showers: NDArray
    conditions: NDArray[np.float64]
    pdg: NDArray[np.int64]
    primary_id: NDArray[np.int64]
    replica: NDArray[np.int64]
    split: NDArray[np.uint8]
    facts: dict[str, str] = field(default_factory=dict)
    kind: DataKind = "showers"
    columns: tuple[Column, ...] = ZDC_COLUMNS

    def __post_init__(self) -> None:
        if self.conditions.ndim != 2 or self.conditions.shape[1] != len(self.columns):
            raise WrongInput(f"data set {self.name}: conditions of shape {self.conditions.shape}, not {self.columns}")
        for array in (self.showers, self.conditions, self.pdg, self.primary_id, self.replica, self.split):
            if len(array) != len(self.showers):
                raise WrongInput(f"data set {self.name}: arrays of {len(array)} and {len(self.showers)} rows")
            array.setflags(write=False)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of a split, replicas of a primary side by side. Raises `WrongInput` for an unknown split."""
        if split not in SPLITS:
            raise WrongInput(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
        rows = np.flatnonzero(self.split == SPLITS.index(split))
        return rows[np.lexsort((self.replica[rows], self.primary_id[rows]))]

    @property
    def space(self) -> Space:
        """What a model of these data is built for."""
        classes = self.columns[0].classes if len(self.columns) == 1 else ()
        return Space(tuple(self.showers.shape[1:]), self.kind, len(self.columns), len(classes))

    def needs_showers(self, what: str) -> None:
        """Raises `WrongInput` where the data are not of a calorimeter."""
        if self.kind != "showers":
            raise WrongInput(f"{self.name} holds {self.kind}, which have no {what}: choose a set of showers")

    def channels(self, convention: str = "paper") -> NDArray[np.float64]:
        """Channel sums (N, 5) [photons] at a read-out convention."""
        self.needs_showers("read-out channels")
        return zdc.channels(self.showers, self.detector, convention)

    @cached_property
    def photon_sum(self) -> NDArray[np.int64]:
        """Photons a shower, (N,)."""
        self.needs_showers("photons")
        return self.showers.sum(axis=(1, 2), dtype=np.int64)

    @cached_property
    def impact_cm(self) -> NDArray[np.float64]:
        """Impact point on the face, (N, 2) [cm]."""
        self.needs_showers("impact point")
        return zdc.impact_cm(self.conditions, zdc.DETECTORS[self.detector].z_cm)

    def info(self) -> DatasetInfo:
        train = self.conditions[self.rows("train")]
        columns = [
            ConditionInfo(
                name=column.name,
                unit=column.unit,
                minimum=float(values.min()),
                maximum=float(values.max()),
                quantiles=[float(q) for q in np.quantile(values, QUANTILES)],
                classes=list(column.classes),
            )
            for column, values in zip(self.columns, train.T, strict=True)
        ]
        return DatasetInfo(
            name=self.name,
            title=self.title,
            label=self.label,
            detector=self.detector,
            shape=self.space.shape,
            kind=self.kind,
            showers=len(self.showers),
            primaries=len(np.unique(self.primary_id)),
            splits={name: int((self.split == i).sum()) for i, name in enumerate(SPLITS)},
            pdg=_by_share(self.pdg) if self.kind == "showers" else [],
            conditions=columns,
            provenance=self.provenance,
            facts=self.facts,
        )


def _by_share(pdg: NDArray[np.int64]) -> list[int]:
    """The species that there are, the most frequent first."""
    found, counts = np.unique(pdg, return_counts=True)
    return [int(p) for p in found[np.argsort(-counts, kind="stable")]]


def split_by_primary(
    primary_id: NDArray[np.int64], seed: int = 2006, fractions: tuple[float, float] = (0.7, 0.15)
) -> NDArray[np.uint8]:
    """0, 1 or 2 for each row: all replicas of a primary land on one side, the same side for the same ids and seed."""
    unique, inverse = np.unique(primary_id, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(unique))
    edges = np.cumsum(np.round(np.array(fractions) * len(unique)).astype(int))
    side = np.empty(len(unique), np.uint8)
    side[order] = np.searchsorted(edges, np.arange(len(unique)), side="right")
    return side[inverse]


@cache
def _registry() -> dict[str, Any]:
    """What loads each set: the modules of this folder, or what a module of several sets gives for each of its
    `NAMES`."""
    found: dict[str, Any] = {}
    for entry in pkgutil.iter_modules(engine.datasets.__path__):
        if entry.name != "base":
            module = importlib.import_module(f"engine.datasets.{entry.name}")
            several = getattr(module, "NAMES", None)
            found |= {name: module.get(name) for name in several} if several else {entry.name: module}
    return found


def names() -> list[str]:
    """Registered data sets."""
    return sorted(_registry())


def load(name: str, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """The data set of this name; one that is made on first use is made now, unless it is there.

    progress: called with showers done and in total. Raises `NotFound` with the names there are.
    """
    module = _module(name)
    return module.load(progress) if hasattr(module, "ready") else module.load()


def ready(name: str) -> bool:
    """Whether `load` answers at once. A set that is made on first use has `ready()` in its module."""
    module = _module(name)
    return module.ready() if hasattr(module, "ready") else True


def describe(name: str) -> DatasetInfo:
    """What is known of a set that is not ready: its module's `describe()`."""
    return _module(name).describe()


def _module(name: str) -> Any:
    if name not in _registry():
        raise NotFound(f"unknown data set {name!r}: there are {', '.join(names())}")
    return _registry()[name]

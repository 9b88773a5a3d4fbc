"""Data sets by name: those of the house, and the imported ones of a home."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from engine.datasets import base as datasets
from engine.datasets.base import Dataset
from engine.imports import store
from engine.schema import DatasetInfo, NotFound, WrongInput

logger = logging.getLogger("showerscope.sets")

Progress = Callable[[int, int], None]


def names(home: Path) -> list[str]:
    """Sets that can be asked for, those of the house first; imports of channels or particles alone are none."""
    return datasets.names() + [name for name in store.imported(home) if _holds_showers(home, name)]


def _holds_showers(home: Path, name: str) -> bool:
    try:
        return store.report_of(home, name).kind == "showers"
    except (NotFound, WrongInput) as error:  # one damaged import must not hide the others
        logger.warning("%s", error)
        return False


def stamp(name: str, home: Path) -> int:
    """Changes when an import of this name is replaced by another."""
    try:
        return 0 if name in datasets.names() else (home / "data" / name / "manifest.json").stat().st_mtime_ns
    except OSError:
        return 0


def load(name: str, home: Path, progress: Progress | None = None) -> Dataset:
    """The set of this name; one that is made on first use is made, with `progress` of showers done and in total.

    Raises `NotFound` with the names there are.
    """
    if name in datasets.names():
        return datasets.load(name, progress)
    if name not in store.imported(home):
        raise NotFound(f"unknown data set {name!r}: there are {', '.join(names(home))}")
    return store.load_imported(home, name)


def info(data: Dataset, home: Path) -> DatasetInfo:
    """What is known of a loaded set."""
    return data.info().model_copy(update={"imported": data.name not in datasets.names()})


def remove(name: str, home: Path) -> None:
    """Delete an import. Raises `WrongInput` for a set of the house, `NotFound` for an unknown one."""
    if name in datasets.names():
        raise WrongInput(f"{name} comes with Showerscope: only imported sets can be removed")
    store.remove(home, name)

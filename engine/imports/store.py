"""Imported sets in `$SHOWERSCOPE_HOME/data/NAME/`: npy files that are memory-mapped, and `manifest.json`.

An import is written beside, into a folder whose name begins with a dot, and renamed when it is whole: all or nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from engine.datasets import base as datasets
from engine.schema import ImportReport, NotFound, WrongInput

VERSION = 1
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class ChannelTable:
    """Read-out channels without pictures: (N, 5) photons in the order of `convention`, conditions when there are."""

    name: str
    convention: str
    channels: NDArray[np.int64]
    conditions: NDArray[np.float64] | None


def imported(home: str | Path) -> list[str]:
    """Names of the sets in the store."""
    return sorted(p.parent.name for p in Path(home).glob("data/[!.]*/manifest.json"))


def remove(home: str | Path, name: str) -> None:
    """Take a set out of the store. Raises `NotFound`."""
    shutil.rmtree(_folder(Path(home), name))


def report_of(home: str | Path, name: str) -> ImportReport:
    """What the import of a set reported. Raises `NotFound`, or `WrongInput` when the manifest is damaged."""
    return _manifest(_folder(Path(home), name))[0]


def load_imported(home: str | Path, name: str) -> datasets.Dataset:
    """The imported showers as a data set, memory-mapped, split by primary.

    Raises `NotFound` for an unknown name, `WrongInput` when the set holds no showers or a file of it is damaged.
    """
    folder = _folder(Path(home), name)
    report, title = _manifest(folder)
    if report.kind != "showers":
        raise WrongInput(f"{name} holds {report.kind}, no showers: it cannot be trained on")
    primary = np.ascontiguousarray(_array(folder, "primary_id", report.rows_kept))
    origin = ", ".join(Path(f).name for f in report.files)
    return datasets.Dataset(
        name=name,
        title=title or f"{report.findings['detector'].value.upper()}, {name}",
        label=f"imported from {origin}",
        detector=report.findings["detector"].value,
        provenance=f"{report.rows_kept} of {report.rows_read} rows of {origin} ({report.format}).",
        showers=_array(folder, "showers", report.rows_kept),
        conditions=_array(folder, "conditions", report.rows_kept),
        pdg=_array(folder, "pdg", report.rows_kept),
        primary_id=primary,
        replica=_array(folder, "replica", report.rows_kept),
        split=datasets.split_by_primary(primary),
        facts={key.replace("_", " "): f"{f.value} ({f.why})" for key, f in report.findings.items()},
    )


def load_channels(home: str | Path, name: str) -> ChannelTable:
    """Imported read-out channels. Raises as `load_imported`."""
    folder = _folder(Path(home), name)
    report, _ = _manifest(folder)
    if report.kind != "channels":
        raise WrongInput(f"{name} holds {report.kind}, no channels")
    rows = report.rows_kept
    c = _array(folder, "conditions", rows) if (folder / "conditions.npy").exists() else None
    return ChannelTable(name, report.findings["convention"].value, _array(folder, "channels", rows), c)


# ------------------------------------------------------------------------------------------------------------ inside
def free(home: Path, name: str) -> Path:
    """The folder of a new set. Raises `WrongInput` for a name that is no name or taken."""
    if not NAME.fullmatch(name):
        raise WrongInput(f"name {name!r}: up to 64 small letters, digits, - and _, beginning with a letter or digit")
    if name in datasets.names():
        raise WrongInput(f"name {name!r} is a data set of the house: choose another")
    folder = home / "data" / name
    if folder.exists():
        raise WrongInput(f"name {name!r} is taken by an earlier import: choose another or remove it")
    return folder


def _folder(home: Path, name: str) -> Path:
    folder = home / "data" / name
    if not NAME.fullmatch(name) or not (folder / "manifest.json").exists():
        raise NotFound(f"no imported set {name!r}: there are {', '.join(imported(home)) or 'none'}")
    return folder


def _manifest(folder: Path) -> tuple[ImportReport, str]:
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if found["version"] != VERSION:
            raise WrongInput(f"{folder}: written by another version of showerscope: import the file again")
        return ImportReport.model_validate(found["report"]), str(found["title"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise WrongInput(f"{folder}/manifest.json is damaged: import the file again") from error


def _array(folder: Path, name: str, rows: int) -> NDArray:
    path = folder / f"{name}.npy"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise WrongInput(f"{path} is damaged ({error}): import the file again") from error
    if len(array) != rows:
        raise WrongInput(f"{path} holds {len(array)} rows, not {rows}: import the file again")
    return array


def sweep(home: Path) -> None:
    """Delete what killed imports left behind."""
    for folder in home.glob("data/.*"):
        found = re.fullmatch(r"\..+-(\d+)-[a-z0-9_]+", folder.name)
        if found and not _lives(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder beside the final one, gone at the end unless it was renamed."""
    data = folder.parent
    fresh = not data.exists()
    data.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-{os.getpid()}-", dir=data))
    try:
        scratch.chmod(0o755)
        yield scratch
    finally:
        if scratch.exists():
            shutil.rmtree(scratch)
            if fresh and not any(data.iterdir()):
                data.rmdir()


class GrowingNpy:
    """An npy file that grows: the header is written again at the end with the number of rows it came to."""

    def __init__(self, path: Path, row: tuple[int, ...], dtype: type, rows: int) -> None:
        self.file, self.row, self.dtype, self.rows = path.open("wb"), row, np.dtype(dtype), 0
        self._header(rows)
        self.start = self.file.tell()

    def _header(self, rows: int) -> None:
        described = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": described, "fortran_order": False, "shape": (rows, *self.row)}
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, block: NDArray) -> None:
        self.file.write(np.ascontiguousarray(block, self.dtype).data)
        self.rows += len(block)

    def close(self) -> None:
        self.file.seek(0)
        self._header(self.rows)
        if self.file.tell() != self.start:
            raise RuntimeError("the npy header grew")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

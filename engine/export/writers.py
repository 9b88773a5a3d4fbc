"""Showers into files piece by piece (npz, parquet, ROOT; csv without pictures), in constant memory.

A file is written beside its final name and renamed when it is whole. What it holds: DESIGN "Files". What is said of it
as a whole (`meta`) may change until it is closed; in parquet, until its first piece.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.schema import CONDITIONS, UNITS, Arrays, WrongInput

OPTIONAL = ("pdg", "primary_id", "replica", "channels", "impact_mm")
ROW_GROUP = 4096


class Writer(Protocol):
    """A file in the making. `add`: showers (n, H, W), conditions (n, 9) and what of `OPTIONAL` is known; every piece
    has the names, shapes and types of the first."""

    def add(self, piece: Arrays) -> None: ...
    def close(self) -> None: ...


def table(piece: Arrays) -> dict[str, NDArray]:
    """All but the pictures, a column each."""
    names = piece.meta.get("columns", CONDITIONS)
    columns: dict[str, NDArray] = {name: piece["conditions"][:, i] for i, name in enumerate(names)}
    columns |= {name: piece[name] for name in ("pdg", "primary_id", "replica") if name in piece}
    channels = piece["channels"].T if "channels" in piece else []
    columns |= {f"channel_{i + 1}": column for i, column in enumerate(channels)}
    kind = piece.meta.get("kind", "showers")
    if kind == "points":  # what a point is fits into columns of its own
        columns = {f"x{i + 1}": values for i, values in enumerate(piece["showers"].T)} | columns
    if kind == "showers":
        columns["photon_sum"] = piece["showers"].sum(axis=(1, 2), dtype=np.float64)
    return {name: np.ascontiguousarray(values) for name, values in columns.items()}


class NpzWriter:
    """Pictures go into the file as they come; the small arrays, for which it has no place yet, beside it until the
    end."""

    def __init__(self, path: Path, rows: int, meta: dict[str, Any]) -> None:
        self.file = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=4)
        self.rows, self.meta, self.done = rows, meta, 0
        self.member: Any = None
        self.folder = path.parent
        self.small: dict[str, tuple[Any, dict[str, Any]]] = {}
        self.beside = ExitStack()

    def add(self, piece: Arrays) -> None:
        showers = np.ascontiguousarray(piece["showers"])
        if self.member is None:
            self.member = self.file.open("showers.npy", "w", force_zip64=True)
            np.lib.format.write_array_header_1_0(self.member, self._header(showers))
        self.member.write(showers.data)
        self.done += len(showers)
        for name in ("conditions", *OPTIONAL):
            if name in piece:
                array = np.ascontiguousarray(piece[name])
                if name not in self.small:
                    spool = self.beside.enter_context(tempfile.TemporaryFile(dir=self.folder))  # noqa: SIM115 - it is
                    self.small[name] = spool, self._header(array)
                self.small[name][0].write(array.data)

    def _header(self, array: NDArray) -> dict[str, Any]:
        """Of an npy member that holds arrays like this one behind each other."""
        described = np.lib.format.dtype_to_descr(array.dtype)
        return {"descr": described, "fortran_order": False, "shape": (self.rows, *array.shape[1:])}

    def close(self) -> None:
        with self.beside, self.file:
            if self.member is not None:
                self.member.close()
            if self.done != self.rows:
                raise ValueError(f"{self.done} showers of {self.rows}")
            for name, (beside, header) in self.small.items():
                beside.seek(0)
                with self.file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, header)
                    shutil.copyfileobj(beside, member, 2**20)
            columns, units = (self.meta.get(*known) for known in (("columns", CONDITIONS), ("units", UNITS)))
            whole = {"columns": np.array(columns, str), "units": np.array(units, str)}
            whole["meta"] = np.array(json.dumps(self.meta))
            for name, array in whole.items():
                with self.file.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)


class ParquetWriter:
    """Column `showers`: a fixed-size list of fibres, x slowest; its shape in the metadata `showerscope`."""

    def __init__(self, path: Path, rows: int, meta: dict[str, Any]) -> None:
        self.path, self.meta = path, meta
        self.file: Any = None

    def add(self, piece: Arrays) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        showers = piece["showers"]
        pixels = pa.FixedSizeListArray.from_arrays(pa.array(showers.reshape(-1)), showers[0].size)
        made = pa.table({"showers": pixels, **{name: pa.array(values) for name, values in table(piece).items()}})
        said = {"shape": list(showers.shape[1:]), "energy_unit": "GeV", "mass_unit": "MeV"}
        metadata = {"showerscope": json.dumps(said), "showerscope.meta": json.dumps(self.meta)}
        if self.file is None:
            schema = made.schema.with_metadata(metadata)
            # a dictionary of counts takes ten times as long and several times the memory, for a quarter less on disk
            plain: Any = [name for name in made.column_names if name != "showers"]
            self.file = pq.ParquetWriter(self.path, schema, compression="zstd", use_dictionary=plain)
        self.file.write_table(made.replace_schema_metadata(metadata), row_group_size=ROW_GROUP)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


class RootWriter:
    """A TTree `showers`: branch `showers[H][W]`, a branch a column; TObjString `meta` beside it."""

    def __init__(self, path: Path, rows: int, meta: dict[str, Any]) -> None:
        import uproot

        self.file = uproot.recreate(path)
        self.meta = meta
        self.tree: Any = None

    def add(self, piece: Arrays) -> None:
        showers = np.ascontiguousarray(piece["showers"])
        columns = table(piece)
        if self.tree is None:
            kinds: dict[str, Any] = {name: values.dtype for name, values in columns.items()}
            self.tree = self.file.mktree("showers", {"showers": (showers.dtype, showers.shape[1:]), **kinds})
        self.tree.extend({"showers": showers, **columns})

    def close(self) -> None:
        self.file["meta"] = json.dumps(self.meta)
        self.file.close()


class CsvWriter:
    def __init__(self, path: Path, rows: int, meta: dict[str, Any]) -> None:
        self.file = path.open("w", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)
        self.begun = False

    def add(self, piece: Arrays) -> None:
        columns = table(piece)
        if not self.begun:
            self.writer.writerow(columns)
            self.begun = True
        self.writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))

    def close(self) -> None:
        self.file.close()


WRITERS: dict[str, Any] = {"npz": NpzWriter, "parquet": ParquetWriter, "root": RootWriter, "csv": CsvWriter}


def format_of(path: Path) -> str:
    """The format that a file name asks for. Raises `WrongInput` with those there are."""
    name = path.suffix.lower().removeprefix(".")
    if name not in WRITERS:
        raise WrongInput(f"{path}: unknown ending {path.suffix!r}: choose one of .{', .'.join(WRITERS)}")
    return name


@contextmanager
def writing(path: Path, rows: int, meta: dict[str, Any]) -> Iterator[Writer]:
    """A writer of `rows` showers to `path`; nothing stands there until all is written.

    Raises `WrongInput` where nothing can be written.
    """
    kind = WRITERS[format_of(path)]
    beside = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        beside = Path(name)
        writer: Writer = kind(beside, rows, meta)
        try:
            yield writer
        except BaseException:
            with suppress(Exception):  # half a file may not be able to end well: what went wrong before is said
                writer.close()
            raise
        writer.close()
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)  # the temporary file is for nobody else's eyes, the result is
        beside.replace(path)
    except OSError as error:
        raise WrongInput(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)

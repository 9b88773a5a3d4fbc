"""Generated showers as files, and tables of conditions read from files.

Columns, order and units are those of `engine.schema.CONDITIONS`; DESIGN "Files" says what other programs may rely on.
"""

from __future__ import annotations

import csv
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.export.writers import writing
from engine.schema import Arrays, WrongInput
from engine.spaces import MOST_ROWS, ZDC_COLUMNS, Column, check_rows

BROKEN_ZIP = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, KeyError)
"""What numpy raises on a file that is cut off, of another kind, or pickled."""


def pack(made: Arrays, format: str) -> bytes:
    """Generated showers (`Engine.generate`'s answer) as the bytes of a file. Raises `WrongInput` for a format that
    there is not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"showers.{format}"
        write(path, made)
        return path.read_bytes()


def label(made: Arrays, n: int, pdg: NDArray[np.int64] | None = None) -> Arrays:
    """With the number of its condition row (`primary_id`), its number among the `n` of that row (`replica`) and the
    row's PDG id, where known, beside each shower."""
    rows = len(made["showers"]) // n
    columns = {"primary_id": np.repeat(np.arange(rows), n), "replica": np.tile(np.arange(n), rows)}
    if pdg is not None:
        columns["pdg"] = np.repeat(pdg, n)
    return Arrays({**made.arrays, **columns}, made.meta)


def write(path: Path, made: Arrays) -> None:
    """A file of these showers, of the format that its name says. Raises `WrongInput` where nothing can be written."""
    with writing(path, len(made["showers"]), made.meta) as file:
        file.add(made)


# ------------------------------------------------------------------------------------------------------- conditions
def read_conditions(
    path: Path, columns: tuple[Column, ...] = ZDC_COLUMNS
) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
    """Condition rows (N, C) of a data set's columns, and PDG ids, where given, of an npz, parquet or csv file.

    Raises `WrongInput` naming file, column and row for anything that is missing, not finite, no class or not physics.
    """
    wanted = tuple(column.name for column in columns)
    readers: dict[str, Callable[[Path, tuple[str, ...]], Mapping[str, NDArray]]] = {
        ".npz": _read_npz, ".parquet": _read_parquet, ".csv": _read_csv
    }  # fmt: skip
    if path.suffix.lower() not in readers:
        raise WrongInput(f"{path}: conditions are read from {', '.join(readers)}")
    if not path.is_file():
        raise WrongInput(f"{path}: no such file")
    found = readers[path.suffix.lower()](path, wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise WrongInput(f"{path}: missing column {', '.join(missing)}; it has {', '.join(found) or 'none'}")
    chosen = {name: found[name] for name in (*wanted, "pdg") if name in found}
    for name, values in chosen.items():
        if values.ndim != 1 or values.dtype.kind not in "iuf":
            raise WrongInput(f"{path}, column {name}: one number a row is needed, not {values.dtype} {values.shape}")
    if len({len(values) for values in chosen.values()}) > 1:
        raise WrongInput(f"{path}: columns of different lengths")
    if chosen and len(next(iter(chosen.values()))) > MOST_ROWS:
        raise WrongInput(f"{path}: more than {MOST_ROWS} rows: split the file")
    try:
        conditions = check_rows(np.column_stack([chosen[name].astype(np.float64) for name in wanted]), columns)
    except WrongInput as error:
        raise WrongInput(f"{path}, {error}") from error
    pdg = chosen.get("pdg")
    if pdg is not None and (not np.isfinite(pdg).all() or (pdg != np.rint(pdg)).any() or (abs(pdg) > 2**31).any()):
        raise WrongInput(f"{path}, column pdg: whole numbers are needed")
    return conditions, None if pdg is None else pdg.astype(np.int64)


def _read_npz(path: Path, wanted: tuple[str, ...]) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if "conditions" not in file.files:
                return {name: file[name] for name in (*wanted, "pdg") if name in file.files}
            matrix = file["conditions"]
            if matrix.ndim != 2 or matrix.shape[1] != len(wanted):
                raise WrongInput(f"{path}, conditions: shape {matrix.shape}, {len(wanted)} columns are needed")
            columns = {name: matrix[:, i] for i, name in enumerate(wanted)}
            return columns | ({"pdg": file["pdg"]} if "pdg" in file.files else {})
    except BROKEN_ZIP as error:
        raise WrongInput(f"{path}: cannot be read as npz of plain numbers ({_line(error)})") from error


def _read_parquet(path: Path, wanted: tuple[str, ...]) -> dict[str, NDArray]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = [name for name in pq.read_schema(path).names if name in (*wanted, "pdg")]
        table = pq.read_table(path, columns=names)
        for name in names:
            if table.column(name).null_count:
                raise WrongInput(f"{path}, column {name}: an empty cell: give a number")
        return {name: table.column(name).to_numpy() for name in names}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise WrongInput(f"{path}: cannot be read as parquet ({_line(error)})") from error


def _read_csv(path: Path, wanted: tuple[str, ...]) -> dict[str, NDArray]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            rows = [row for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongInput(f"{path}: cannot be read as csv ({_line(error)})") from error
    columns: dict[str, NDArray] = {}
    for column, name in enumerate(names):
        if name not in (*wanted, "pdg"):
            continue
        values = np.empty(len(rows))
        for number, row in enumerate(rows):
            try:
                values[number] = float(row[column])
            except (ValueError, IndexError) as error:
                shown = repr(row[column]) if column < len(row) else "nothing"
                raise WrongInput(f"{path}, row {number + 1}, {name}: {shown} is no number") from error
        columns[name] = values
    return columns


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

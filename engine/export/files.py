"""Showers as files (npz, parquet, ROOT; csv without pictures), and tables of conditions read from files.

Columns, order and units are those of `engine.schema.CONDITIONS`; DESIGN "Files" says what other programs may rely on.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.schema import CONDITIONS, UNITS, Arrays, WrongInput

FORMATS = ("npz", "parquet", "root", "csv")
BROKEN_ZIP = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, KeyError)
"""What numpy raises on a file that is cut off, of another kind, or pickled."""
MOST_ROWS = 1_000_000


def format_of(path: Path) -> str:
    """The format that a file name asks for. Raises `WrongInput` with those there are."""
    name = path.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        raise WrongInput(f"{path}: unknown ending {path.suffix!r}: choose one of .{', .'.join(FORMATS)}")
    return name


def pack(made: Arrays, format: str) -> bytes:
    """Generated showers (`Engine.generate`'s answer) as the bytes of a file. Raises `WrongInput` for a format that
    there is not."""
    packers: dict[str, Callable[[Arrays], bytes]] = {
        "npz": _npz, "parquet": _parquet, "root": _root, "csv": _csv
    }  # fmt: skip
    if format not in packers:
        raise WrongInput(f"unknown format {format!r}: choose one of {', '.join(FORMATS)}")
    return packers[format](made)


def label(made: Arrays, n: int, pdg: NDArray[np.int64] | None = None) -> Arrays:
    """With the number of its condition row (`primary_id`), its number among the `n` of that row (`replica`) and the
    row's PDG id, where known, beside each shower."""
    rows = len(made["showers"]) // n
    columns = {"primary_id": np.repeat(np.arange(rows), n), "replica": np.tile(np.arange(n), rows)}
    if pdg is not None:
        columns["pdg"] = np.repeat(pdg, n)
    return Arrays({**made.arrays, **columns}, made.meta)


def write(path: Path, made: Arrays) -> None:
    """Write `pack` beside and rename. Raises `WrongInput` where nothing can be written."""
    data = pack(made, format_of(path))
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(file.name, 0o666 & ~mask)  # the temporary file is for nobody else's eyes, the result is
        os.replace(file.name, path)
    except OSError as error:
        raise WrongInput(f"{path} cannot be written: {error.strerror or error}") from error


def _table(made: Arrays) -> dict[str, NDArray]:
    """All but the pictures, a column each."""
    columns: dict[str, NDArray] = {name: made["conditions"][:, i] for i, name in enumerate(CONDITIONS)}
    columns |= {name: made[name] for name in ("pdg", "primary_id", "replica") if name in made}
    columns |= {f"channel_{i + 1}": column for i, column in enumerate(made["channels"].T)} if "channels" in made else {}
    columns["photon_sum"] = made["showers"].sum(axis=(1, 2), dtype=np.float64)
    return {name: np.ascontiguousarray(values) for name, values in columns.items()}


def _npz(made: Arrays) -> bytes:
    file = io.BytesIO()
    optional: dict[str, Any] = {
        name: made[name] for name in ("pdg", "primary_id", "replica", "channels", "impact_mm") if name in made
    }
    np.savez_compressed(
        file, showers=made["showers"], conditions=made["conditions"], columns=np.array(CONDITIONS),
        units=np.array(UNITS), meta=np.array(json.dumps(made.meta)), **optional,
    )  # fmt: skip
    return file.getvalue()


def _parquet(made: Arrays) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    showers = made["showers"]
    pixels = pa.FixedSizeListArray.from_arrays(pa.array(showers.reshape(-1)), showers[0].size)
    table = pa.table({"showers": pixels, **{name: pa.array(values) for name, values in _table(made).items()}})
    said = {"shape": list(showers.shape[1:]), "energy_unit": "GeV", "mass_unit": "MeV"}
    metadata = {"showerscope": json.dumps(said), "showerscope.meta": json.dumps(made.meta)}
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd", row_group_size=5000)
    return file.getvalue()


def _root(made: Arrays) -> bytes:
    """A TTree `showers`: branch `showers[44][44]`, a branch a column; TObjString `meta` beside it."""
    import uproot

    with tempfile.TemporaryDirectory() as folder:  # uproot seeks while it writes
        path = Path(folder) / "showers.root"
        with uproot.recreate(path) as file:
            file["meta"] = json.dumps(made.meta)
            columns = _table(made)
            kinds: dict[str, Any] = {name: values.dtype for name, values in columns.items()}
            tree = file.mktree("showers", {"showers": (np.float32, made["showers"].shape[1:]), **kinds})
            tree.extend({"showers": np.ascontiguousarray(made["showers"], np.float32), **columns})
        return path.read_bytes()


def _csv(made: Arrays) -> bytes:
    columns = _table(made)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))
    return text.getvalue().encode()


# ------------------------------------------------------------------------------------------------------- conditions
def read_conditions(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
    """Condition rows (N, 9) and PDG ids, where given, of an npz, parquet or csv file.

    Raises `WrongInput` naming file, column and row for anything that is missing, not finite or not physics.
    """
    readers: dict[str, Callable[[Path], Mapping[str, NDArray]]] = {
        ".npz": _read_npz, ".parquet": _read_parquet, ".csv": _read_csv
    }  # fmt: skip
    if path.suffix.lower() not in readers:
        raise WrongInput(f"{path}: conditions are read from {', '.join(readers)}")
    if not path.is_file():
        raise WrongInput(f"{path}: no such file")
    columns = readers[path.suffix.lower()](path)
    missing = [name for name in CONDITIONS if name not in columns]
    if missing:
        raise WrongInput(f"{path}: missing column {', '.join(missing)}; it has {', '.join(columns) or 'none'}")
    chosen = {name: columns[name] for name in (*CONDITIONS, "pdg") if name in columns}
    for name, values in chosen.items():
        if values.ndim != 1 or values.dtype.kind not in "iuf":
            raise WrongInput(f"{path}, column {name}: one number a row is needed, not {values.dtype} {values.shape}")
    if len({len(values) for values in chosen.values()}) > 1:
        raise WrongInput(f"{path}: columns of different lengths")
    if len(chosen["Energy"]) > MOST_ROWS:
        raise WrongInput(f"{path}: more than {MOST_ROWS} rows: split the file")
    try:
        conditions = zdc.check_conditions(np.column_stack([chosen[name].astype(np.float64) for name in CONDITIONS]))
    except WrongInput as error:
        raise WrongInput(f"{path}, {error}") from error
    pdg = chosen.get("pdg")
    if pdg is not None and (not np.isfinite(pdg).all() or (pdg != np.rint(pdg)).any() or (abs(pdg) > 2**31).any()):
        raise WrongInput(f"{path}, column pdg: whole numbers are needed")
    return conditions, None if pdg is None else pdg.astype(np.int64)


def _read_npz(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if "conditions" not in file.files:
                return {name: file[name] for name in (*CONDITIONS, "pdg") if name in file.files}
            matrix = file["conditions"]
            if matrix.ndim != 2 or matrix.shape[1] != len(CONDITIONS):
                raise WrongInput(f"{path}, conditions: shape {matrix.shape}, nine columns are needed")
            columns = {name: matrix[:, i] for i, name in enumerate(CONDITIONS)}
            return columns | ({"pdg": file["pdg"]} if "pdg" in file.files else {})
    except BROKEN_ZIP as error:
        raise WrongInput(f"{path}: cannot be read as npz of plain numbers ({_line(error)})") from error


def _read_parquet(path: Path) -> dict[str, NDArray]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = [name for name in pq.read_schema(path).names if name in (*CONDITIONS, "pdg")]
        table = pq.read_table(path, columns=names)
        for name in names:
            if table.column(name).null_count:
                raise WrongInput(f"{path}, column {name}: an empty cell: give a number")
        return {name: table.column(name).to_numpy() for name in names}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise WrongInput(f"{path}: cannot be read as parquet ({_line(error)})") from error


def _read_csv(path: Path) -> dict[str, NDArray]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            rows = [row for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongInput(f"{path}: cannot be read as csv ({_line(error)})") from error
    columns: dict[str, NDArray] = {}
    for column, name in enumerate(names):
        if name not in (*CONDITIONS, "pdg"):
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

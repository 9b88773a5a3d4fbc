"""Parquet: a row a shower, pictures as lists of numbers, conditions as columns; alone or with a manifest.

A manifest is a JSON file beside the tables (`manifest.json` of a folder, or `NAME.manifest.json`) with `files`,
optionally `rows`, `shape` and what `Facts` declares; a single table may carry the same under the schema's metadata key
`showerscope`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from engine.imports.base import BLOCK_ROWS, SHOWERS, Facts, Images, Part, Table, check_declared, check_rows, line
from engine.schema import WrongInput

BROKEN = (pa.ArrowException, OSError, ValueError, NotImplementedError, MemoryError, OverflowError)
MAX_MANIFEST = 2**20


def matches(path: Path) -> bool:
    if path.is_dir():
        return (path / "manifest.json").exists() or any(path.glob("*.parquet"))
    return path.suffix.lower() in {".parquet", ".pq"} or path.name.endswith("manifest.json")


def read(path: Path) -> Part:
    """Open one table, or those that a manifest names, as one. Raises `WrongInput` for a broken one."""
    files, manifest = _files(path)
    tables = [_open(file) for file in files]
    first = tables[0]
    schema = first.schema_arrow
    for file, table in zip(files, tables, strict=True):
        if table.schema_arrow.names != schema.names:
            raise WrongInput(f"{file}: columns {', '.join(table.schema_arrow.names)} differ from those of {files[0]}")
        _check_sizes(file, table)
    manifest = {**_metadata(files[0], schema), **manifest}
    shape = manifest.pop("shape", None)
    rows = sum(table.metadata.num_rows for table in tables)
    check_rows(str(path), rows)
    if manifest.pop("rows", rows) != rows:
        raise WrongInput(f"{path}: the tables hold {rows} rows, not as many as the manifest says")
    part = Part(format="parquet", files=files, declared=_facts(path, manifest))
    pictures = next((n for n in schema.names if n.lower() in SHOWERS), None)
    if pictures is not None:
        part.images = _images(files, pictures, schema.field(pictures).type, rows, shape)
    plain = [n for n in schema.names if n != pictures and _is_plain(schema.field(n).type)]
    if plain:
        part.table = Table(str(path), named=_columns(files, plain))
    return part


def _files(path: Path) -> tuple[list[Path], dict[str, Any]]:
    """The tables meant by a path and what their manifest declares."""
    manifest = path
    if path.is_dir():
        manifest = path / "manifest.json"
    elif not path.name.endswith("manifest.json"):
        manifest = path.with_suffix(".manifest.json")
    if not manifest.exists():
        return (sorted(path.glob("*.parquet")) if path.is_dir() else [path]), {}
    try:
        if manifest.stat().st_size > MAX_MANIFEST:
            raise WrongInput(f"{manifest}: larger than {MAX_MANIFEST} bytes: this is no manifest")
        declared = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongInput(f"{manifest}: cannot be read as JSON ({error})") from error
    if not isinstance(declared, dict):
        raise WrongInput(f"{manifest}: a JSON object is expected")
    names = declared.pop("files", [path.name] if path.suffix.lower() in {".parquet", ".pq"} else [])
    if not isinstance(names, list) or not names:
        raise WrongInput(f"{manifest}: `files` must list the tables")
    files = []
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise WrongInput(f"{manifest}: file {name!r} must stand beside the manifest")
        files.append(manifest.parent / name)
    return files, declared


def _metadata(path: Path, schema: pa.Schema) -> dict[str, Any]:
    text = (schema.metadata or {}).get(b"showerscope")
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise WrongInput(f"{path}: its metadata `showerscope` is not JSON ({error})") from error
    return found if isinstance(found, dict) else {}


def _facts(path: Path, declared: dict[str, Any]) -> Facts:
    known = {k: v for k, v in declared.items() if k in Facts.model_fields}
    try:
        return Facts.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongInput(f"{path}: the manifest's {first['loc'][0]}: {first['msg']}") from error


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, memory_map=True)
    except BROKEN as error:
        raise WrongInput(f"{path}: cannot be read as parquet ({line(error)})") from error


def _check_sizes(path: Path, table: pq.ParquetFile) -> None:
    """Declared against stored bytes. A damaged directory of columns ends the process inside pyarrow 25 when it is
    asked for one column, so only row groups are."""
    try:
        groups = range(table.metadata.num_row_groups)
        declared = sum(table.metadata.row_group(group).total_byte_size for group in groups)
    except BROKEN as error:
        raise WrongInput(f"{path}: its directory is damaged ({line(error)})") from error
    check_declared(str(path), declared, path.stat().st_size)


def _is_plain(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _columns(files: list[Path], names: list[str]) -> dict[str, NDArray]:
    try:
        tables = [pq.ParquetFile(file, memory_map=True).read(columns=names) for file in files]
        return {n: np.concatenate([t.column(n).to_numpy(zero_copy_only=False) for t in tables]) for n in names}
    except BROKEN as error:
        raise WrongInput(f"{files[0]}: its columns cannot be read ({line(error)})") from error


def _images(files: list[Path], name: str, kind: pa.DataType, rows: int, shape: Any) -> Images:
    place = f"{files[0]}, {name}"
    value, lists = kind, []
    while pa.types.is_list(value) or pa.types.is_large_list(value) or pa.types.is_fixed_size_list(value):
        lists.append(value.list_size if pa.types.is_fixed_size_list(value) else None)
        value = value.value_type
    if not lists or not _is_plain(value):
        raise WrongInput(f"{place}: type {kind} is not a photon count: store lists of integers or floats")
    first = next(batch for file in files for batch in _batches(file, name, 1) if len(batch))
    size = len(_flat(first, place))
    if isinstance(shape, list) and all(isinstance(s, int) for s in shape) and math.prod(shape) == size:
        row = tuple(shape)
    elif None not in lists:
        row = tuple(lists)
    elif len(lists) == 2 and size and size % (outer := len(first[0].as_py())) == 0:
        row = (outer, size // outer)
    else:
        row = (size,)

    dtype = np.dtype(value.to_pandas_dtype())
    check_declared(place, rows * size * dtype.itemsize, sum(file.stat().st_size for file in files))

    def blocks() -> Iterator[NDArray]:
        start = 0
        for file in files:
            for batch in _batches(file, name, BLOCK_ROWS):
                flat = _flat(batch, f"{file}, {name}")
                if len(flat) != len(batch) * size:
                    raise WrongInput(f"{file}, rows {start + 1} to {start + len(batch)}: lists are not all {size} long")
                yield flat.reshape(len(batch), *row)
                start += len(batch)

    return Images(place, rows, row, dtype, blocks)


def _batches(path: Path, name: str, rows: int) -> Iterator[pa.Array]:
    try:
        for batch in pq.ParquetFile(path, memory_map=True).iter_batches(batch_size=rows, columns=[name]):
            yield batch.column(0)
    except BROKEN as error:
        raise WrongInput(f"{path}, {name}: cannot be read to its end ({line(error)})") from error


def _flat(lists: pa.Array, place: str) -> NDArray:
    """The numbers of nested lists, refusing empty places."""
    while not _is_plain(lists.type):
        if lists.null_count:
            raise WrongInput(f"{place}: a picture is missing (null)")
        lists = lists.flatten()
    if lists.null_count:
        raise WrongInput(f"{place}: a fibre is missing (null)")
    return lists.to_numpy(zero_copy_only=False)

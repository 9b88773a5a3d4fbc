"""Parts of a bulk: parquet files that are whole or not there, each with all that is needed to go on after it."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.schema import Arrays, EngineError

KEY = b"showerscope.part"


def write_part(path: Path, batches: Iterator[Arrays], standing: Callable[[], dict[str, Any]]) -> None:
    """Batches into a part, whole or not at all, with what is `standing` after them."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    writer: Any = None
    try:
        for batch in batches:
            columns = {name: _column(array) for name, array in batch.arrays.items()}
            made = pa.table(columns)
            if writer is None:
                writer = pq.ParquetWriter(beside, made.schema, compression="zstd", use_dictionary=False)
                forms = {name: [array.dtype.str, *array.shape[1:]] for name, array in batch.arrays.items()}
            writer.write_table(made)
        writer.add_key_value_metadata({KEY: json.dumps(standing() | {"forms": forms})})
        writer.close()
        writer = None
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        if writer is not None:
            with suppress(Exception):
                writer.close()
        beside.unlink(missing_ok=True)


def _column(array: NDArray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return flat if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, math.prod(array.shape[1:]))


def read_part(path: Path, batches: int) -> Iterator[dict[str, NDArray]]:
    """The arrays of a part, so many batches at a time. One that cannot be read is removed, and raises `EngineError`."""
    try:
        with pq.ParquetFile(path) as file:
            forms = _standing(file)["forms"]
            groups = range(file.metadata.num_row_groups)
            tables = (
                file.read_row_groups(list(groups[first : first + batches])) for first in range(0, len(groups), batches)
            )
            for table in tables:
                yield {name: _array(table.column(name), *form) for name, form in forms.items()}
    except (OSError, ValueError, KeyError) as error:  # an ArrowInvalid is a ValueError
        path.unlink(missing_ok=True)
        raise EngineError(f"{path} is damaged and now removed: start the task again, it goes on before it") from error


def _array(column: pa.ChunkedArray, kind: str, *shape: int) -> NDArray:
    chunks = (chunk.flatten() if shape else chunk for chunk in column.chunks)
    return np.concatenate([chunk.to_numpy() for chunk in chunks]).astype(kind, copy=False).reshape(-1, *shape)


def whole_parts(folder: Path, like: dict[str, Any]) -> tuple[list[Path], dict[str, Any]]:
    """The parts from which a generation goes on, and what stood after the last: those that agree with what is `like`
    in it. What lies behind a gap, is damaged or was cut off is removed."""
    parts: list[Path] = []
    state: dict[str, Any] = {}
    for number in itertools.count():
        path = folder / f"part-{number:05d}.parquet"
        try:
            with pq.ParquetFile(path) as file:
                found = _standing(file)
        except (OSError, ValueError, KeyError):  # an ArrowInvalid is a ValueError
            break
        if any(found.get(name) != value for name, value in like.items()):
            break
        parts, state = [*parts, path], found
    for path in (*folder.glob("part-*"), *folder.glob(".*.parquet.*"), *folder.glob(".*.root.*")):
        if path not in parts:
            path.unlink(missing_ok=True)
    return parts, state


def _standing(file: pq.ParquetFile) -> dict[str, Any]:
    return json.loads(file.metadata.metadata[KEY])

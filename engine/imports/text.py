"""Text tables: particle lists like `all_examples.txt` and csv files, nine conditions (and the PDG id) a line.

Numbers are separated by spaces, tabs, commas or semicolons. Empty lines and lines that begin with # are skipped, but a
first line of names (with or without #) names the columns.
"""

from __future__ import annotations

import re
from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.imports.base import MAX_ROWS, Part, Table, check_rows
from engine.schema import WrongInput

SEPARATOR = re.compile(r"[\s,;]+")
MAX_LINE = 10_000
"""Characters; a longer line is no table of conditions."""


def matches(path: Path) -> bool:
    return path.suffix.lower() in {".txt", ".csv", ".dat", ".tsv"}


def read(path: Path) -> Part:
    """Read a particle list. Raises `WrongInput` naming the line at fault."""
    names, values, lines = numbers(path)
    table = Table(str(path), named=columns(names, values), unit="line", first=int(lines[0]))
    if names is None:
        table = Table(str(path), matrix=values, unit="line", first=int(lines[0]))
    return Part(format="text", files=[path], table=table)


def columns(names: list[str] | None, values: NDArray[np.float64]) -> dict[str, NDArray]:
    """Columns of a matrix by name."""
    return {} if names is None else {name: values[:, i] for i, name in enumerate(names)}


def numbers(path: Path) -> tuple[list[str] | None, NDArray[np.float64], NDArray[np.int64]]:
    """Names of the columns if the file has them, its numbers `(N, C)`, and the line each row stands on."""
    names: list[str] | None = None
    width = 0
    values, lines = array("d"), array("q")
    try:
        with path.open(encoding="utf-8", errors="strict") as file:
            for number, line in enumerate(file, 1):
                if len(line) > MAX_LINE:
                    raise WrongInput(f"{path}, line {number}: longer than {MAX_LINE} characters: this is no table")
                text = line.strip()
                comment = text.startswith("#")
                fields = [f for f in SEPARATOR.split(text.lstrip("#").strip("[]() \t")) if f]
                if not fields:
                    continue
                if comment or (not lines and not _is_number(fields[0])):
                    if not lines and names is None and len(fields) >= 5 and not any(map(_is_number, fields)):
                        names = [f.strip("\"'") for f in fields]
                        width = len(names)
                    elif not comment:
                        raise WrongInput(f"{path}, line {number}: {fields[0][:40]!r} is neither a number nor a name")
                    continue
                width = width or len(fields)
                if len(fields) != width:
                    raise WrongInput(f"{path}, line {number}: {len(fields)} numbers, expected {width}")
                try:
                    values.extend([float(f) for f in fields])
                except ValueError as error:
                    raise WrongInput(f"{path}, line {number}: {error}") from error
                lines.append(number)
                if len(lines) > MAX_ROWS:
                    raise WrongInput(f"{path}: more than {MAX_ROWS} lines: split the file")
    except UnicodeDecodeError as error:
        raise WrongInput(f"{path}: not a text file ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise WrongInput(f"{path}: cannot be read ({error.strerror})") from error
    check_rows(str(path), len(lines))
    return names, np.frombuffer(values).reshape(-1, width), np.frombuffer(lines, np.int64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

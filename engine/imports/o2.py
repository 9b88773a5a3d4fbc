"""AliceO2's debug results: five read-out channels a particle and no pictures (SPEC §8).

`o2sim-FullSimResult` separates by spaces and lists the common photomultiplier first (convention `o2`);
`o2sim-FastSimResult` separates by commas and lists it last (`o2-debug`). Format read from AliceO2 `Detectors/ZDC`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.imports.base import Part
from engine.imports.text import numbers
from engine.schema import WrongInput

FULL, FAST = "o2sim-FullSimResult", "o2sim-FastSimResult"


def matches(path: Path) -> bool:
    return path.name.startswith((FULL, FAST))


def read(path: Path) -> Part:
    """Read the channels. Raises `WrongInput` naming the line at fault."""
    fast = path.name.startswith(FAST)
    names, values, lines = numbers(path)
    if names is not None or values.shape[1] != 5:
        raise WrongInput(f"{path}, line {lines[0]}: {values.shape[1]} numbers, expected five channels a line")
    wrong = ~np.isfinite(values) | (values < 0) | (values != np.rint(values))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise WrongInput(
            f"{path}, line {lines[row]}: channel {column + 1} is {values[row, column]:g}: "
            "photons are whole and not negative"
        )
    with path.open(encoding="utf-8") as file:
        commas = "," in next(line for number, line in enumerate(file, 1) if number == lines[0])
    part = Part(format="o2", files=[path], channels=values.astype(np.int64), convention="o2-debug" if fast else "o2")
    if commas != fast:
        kind = "commas" if commas else "spaces"
        part.notes.append(
            f"{path.name} is separated by {kind}, which is not AliceO2's way: check the order of channels"
        )
    if fast:
        part.notes.append("AliceO2 keeps (int)expm1(x) of each fibre: up to one photon a fibre is lost in these sums")
    return part

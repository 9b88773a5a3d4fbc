"""Ways from one point to another: codes on a straight line, conditions on the mass shell, energies in equal ratios."""

from __future__ import annotations

import numpy as np

PLACES = 9
PX, PY, PZ, MASS, CHARGE = 4, 5, 6, 7, 8
"""Columns of a condition row."""


def straight(first: np.ndarray, last: np.ndarray, n: int = PLACES) -> np.ndarray:
    """n rows from one to the other, both included."""
    t = np.linspace(0, 1, n)[:, None]
    return (1 - t) * np.asarray(first, float) + t * np.asarray(last, float)


def on_shell(rows: np.ndarray, side: np.ndarray | float) -> np.ndarray:
    """Rows whose pz follows from energy, mass and transverse momentum; side: its sign, of all rows or of each."""
    rows = np.array(rows, float)
    square = rows[:, 0] ** 2 - (rows[:, MASS] / 1000) ** 2 - rows[:, PX] ** 2 - rows[:, PY] ** 2
    rows[:, PZ] = np.copysign(np.sqrt(np.maximum(square, 1e-6)), side)
    return rows


def conditions(first: np.ndarray, last: np.ndarray, n: int = PLACES) -> np.ndarray:
    """All conditions of a particle on the way; mass, charge and side change in the middle, pz follows."""
    rows = straight(first, last, n)
    ends = np.stack([np.asarray(first, float), np.asarray(last, float)])
    half = ends[(np.arange(n) >= n / 2).astype(int)]
    rows[:, [MASS, CHARGE]] = half[:, [MASS, CHARGE]]
    return on_shell(rows, half[:, PZ])


def energies(first: np.ndarray, last: np.ndarray, n: int = PLACES) -> np.ndarray:
    """The first particle at energies from its own to the other's, in equal ratios."""
    rows = np.repeat(np.asarray(first, float)[None], n, 0)
    rows[:, 0] = np.geomspace(max(float(first[0]), 1e-3), max(float(last[0]), 1e-3), n)
    return on_shell(rows, float(first[PZ]))


def class_steps(first: int, last: int) -> np.ndarray:
    """Condition rows of the classes from one to the other."""
    step = 1 if last >= first else -1
    return np.arange(first, last + step, step, dtype=float)[:, None]

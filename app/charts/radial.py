"""How light falls off with the distance from where the particle hits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from app.charts.histogram import Panel

RINGS_PITCHES = (0.0, 1.25, 2.5, 3.75, 5.0, 7.5, 10.0, 15.0, 20.0)
"""Edges of the rings, in pitches of the fibres."""


@dataclass(frozen=True)
class Profile:
    """Share of all light per mm² in each ring, and its error."""

    edges_mm: np.ndarray
    density: np.ndarray
    error: np.ndarray


def profile(showers: np.ndarray, impact_mm: np.ndarray, pitch_mm: float) -> Profile:
    """ρ_k = Σ_s L_sk / Σ_s L_s A_sk over showers s of light L_s, of which L_sk lies in ring k; A_sk is the part of the
    ring that lies on the face. Its error is that of a ratio of sums, n/(n−1) Σ_s (L_sk − ρ_k L_s A_sk)².

    showers: (n, H, W) in photons. impact_mm: (n, 2). Rings without light or off the face are 0 ± 0; so is all of a
    single shower's error.
    """
    showers = np.asarray(showers, np.float32)
    n, nx, ny = showers.shape
    edges = pitch_mm * np.array(RINGS_PITCHES)
    flat = showers.reshape(n, -1)
    rings = len(edges) - 1
    light, area = np.zeros((n, rings)), np.zeros((n, rings))
    places, which = np.unique(np.round(np.asarray(impact_mm, float), 3), axis=0, return_inverse=True)
    for k, (x0, y0) in enumerate(places):
        inside, fibres = _fibres_of_rings(float(x0), float(y0), nx, ny, pitch_mm)
        mine = which.ravel() == k
        light[mine] = flat[mine] @ inside
        area[mine] = fibres * pitch_mm**2
    weight = flat.sum(1, dtype=float)[:, None] * area
    total = weight.sum(0)
    density = np.divide(light.sum(0), total, out=np.zeros(rings), where=total > 0)
    scatter = np.sqrt(n / max(1, n - 1) * ((light - density * weight) ** 2).sum(0))
    error = np.divide(scatter, total, out=np.zeros(rings), where=total > 0) if n > 1 else np.zeros(rings)
    return Profile(edges, density, error)


@lru_cache(maxsize=256)
def _fibres_of_rings(x0: float, y0: float, nx: int, ny: int, pitch_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Which fibres lie in each ring around a point [mm], (nx·ny, rings), and how many they are. Kept, since simulated
    showers and those generated at their conditions hit the same points."""
    x, y = (np.arange(nx) + 0.5 - nx / 2) * pitch_mm, (np.arange(ny) + 0.5 - ny / 2) * pitch_mm
    distance = np.hypot(x[:, None] - x0, y[None] - y0).ravel()
    ring = np.searchsorted(pitch_mm * np.array(RINGS_PITCHES), distance, side="right") - 1
    inside = (ring[:, None] == np.arange(len(RINGS_PITCHES) - 1)).astype(np.float32)
    return inside, inside.sum(0)


def panel(simulated: Profile, generated: Profile) -> Panel:
    """Beside the histograms, in per cent of all light per mm²."""
    reference, error = 100 * simulated.density, 100 * simulated.error
    return Panel(
        "light [% / mm²]", "r from impact [mm]", simulated.edges_mm, reference, reference - error,
        reference + error, 100 * generated.density, 100 * generated.error, log=True,
    )  # fmt: skip

"""Summary statistics of ZN showers of fixed primaries, by which `engine.bench.fit_zdc_fast` compares simulations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine import zdc

Floats = NDArray[np.float64]
ENERGIES = (0.0, 80.0, 160.0, 320.0, 640.0, 1e9)
RADII = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 0.9, 1.3, 2.0, 3.0, 5.0)
PIXELS = (1, 2, 3, 4, 5, 7, 10, 15, 25, 40, 60, 100, 200, 1e9)
GROUPS = (("soft", 0.0, 130.0), ("middle", 130.0, 400.0), ("hard", 400.0, 1e9))
"""Energies [GeV] of profiles and pixel spectra."""


class Statistics:
    """Summary statistics of showers (P, R, H, W) of fixed primaries, as sums over primaries so that they can be
    drawn again: `of` gives numerators and denominators (P, S)."""

    def __init__(self, conditions: Floats) -> None:
        self.energy = conditions[:, zdc.ENERGY]
        self.impact = zdc.impact_cm(conditions)
        self.fibre = (np.arange(44) - 21.5) * zdc.ZN.pitch_cm
        dx, dy = self.fibre - self.impact[:, :1], self.fibre - self.impact[:, 1:]
        self.radius = np.sqrt(dx[:, :, None] ** 2 + dy[:, None, :] ** 2)
        self.ring = np.digitize(self.radius, RADII) - 1
        phase = ((self.impact + 3.52) % 0.16) - 0.08
        self.phase = np.hypot(phase[:, 0], phase[:, 1])
        self.edge = 3.52 - np.abs(self.impact).max(axis=1)
        self.channel = zdc.channel_index("zn", "paper")

    def of(self, images: NDArray) -> tuple[list[str], Floats, Floats]:
        p, r, i, j = images.nonzero()
        v = images[p, r, i, j].astype(np.float64)
        count, replicas = images.shape[:2]
        shower, pixel = p * replicas + r, (p * 44 + i) * 44 + j
        size, ones = (count, replicas), np.ones(count)

        def summed(weights: Floats) -> Floats:
            return np.bincount(shower, weights, count * replicas).astype(float).reshape(size)

        total = summed(v)
        energy, inside, mean, safe = self.energy, self.edge > 0.6, total.mean(1), np.maximum(total, 1)
        names: list[str] = []
        above: list[Floats] = []
        below: list[Floats] = []

        def add(name: str, numerator: NDArray, denominator: NDArray, where: NDArray[np.bool_] | None = None) -> None:
            mask = np.ones(count, bool) if where is None else where
            names.append(name)
            above.append(np.where(mask, numerator, 0.0))
            below.append(np.where(mask, denominator, 0.0))

        def gap(values: NDArray) -> Floats:
            return np.abs(values - np.roll(values, 1, axis=1)).mean(1)

        floats = images.astype(np.float32)
        apart = np.abs(floats - np.roll(floats, 1, axis=1)).sum((2, 3)).mean(1)
        channel = np.bincount(shower * 5 + self.channel[i, j], v, count * replicas * 5).reshape(count, replicas, 5)
        cx, cy = (summed(v * self.fibre[k]) / safe - self.impact[:, axis, None] for axis, k in ((0, i), (1, j)))
        second = summed(v * self.radius[p, i, j] ** 2) / safe - cx**2 - cy**2
        common = channel[:, :, 4] / safe
        order = np.lexsort((-v, shower))
        start = np.searchsorted(shower[order], np.arange(count * replicas))
        rank = np.arange(len(v)) - start[shower[order]]
        largest = np.zeros((6, count * replicas))
        top = rank < 6
        largest[rank[top], shower[order][top]] = v[order][top]
        largest = largest.reshape(6, *size)
        occupied = summed(np.ones(len(v)))
        bins = np.digitize(energy, ENERGIES) - 1
        sums = np.bincount(pixel, v, count * 1936)
        variance = (np.bincount(pixel, v**2, count * 1936) - sums**2 / replicas) / (replicas - 1)
        rings = len(RADII) - 1
        ring = (np.arange(count)[:, None] * (rings + 1) + self.ring.reshape(count, -1)).ravel()
        by_ring = [
            np.bincount(ring, w, count * (rings + 1)).reshape(count, -1)
            for w in (sums / replicas, variance, np.ones(count * 1936))
        ]
        for b in range(len(ENERGIES) - 1):
            for name, value, weight in (
                ("light", mean, energy),
                ("light replica gap", gap(total), mean),
                ("channel replica gap", gap(channel).mean(-1), mean),
                ("pixel replica gap", apart, mean),
                ("width", np.sqrt(np.maximum(second, 0)).mean(1), ones),
                ("width gap", gap(second), second.mean(1)),
                ("centroid gap", gap(cx) + gap(cy), ones),
                ("largest", largest[0].mean(1), mean),
                ("largest gap", gap(largest[0]), mean),
                ("second largest", largest[1].mean(1), mean),
                ("sixth largest", largest[5].mean(1), mean),
                ("occupied", occupied.mean(1), ones),
                ("common gap", gap(common), ones),
            ):
                add(f"{name}, E>{ENERGIES[b]:g}", value, weight, (bins == b) & (inside | ("light" not in name)))
            for k, k_end in ((0, 5), (5, 8), (8, 10), (10, 12), (12, 14), (14, 16)):
                fluctuation, level = by_ring[1][:, k:k_end].sum(1), by_ring[0][:, k:k_end].sum(1)
                add(f"fluctuation r>{RADII[k]:g} E>{ENERGIES[b]:g}", fluctuation, level, bins == b)
        for name, low, high in GROUPS:
            where = (energy >= low) & (energy < high)
            for k in range(rings):
                add(f"profile {name} r>{RADII[k]}", by_ring[0][:, k], energy * by_ring[2][:, k], inside & where)
            for k, k_end in zip(PIXELS, PIXELS[1:], strict=False):
                some = np.bincount(p[(v >= k) & (v < k_end)], minlength=count)
                add(f"pixels {name} {k}", some / replicas, ones, where)
        for low, high in ((0, 0.0215), (0.0215, 0.035), (0.035, 0.055), (0.055, 0.08), (0.08, 0.2)):
            add(f"light phase>{low}", mean, energy, inside & (self.phase >= low) & (self.phase < high))
        add("gap in fibre", gap(total), mean, inside & (self.phase < 0.0215))
        for low, high in ((0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.7), (0.7, 1.2), (1.2, 4)):
            add(f"light edge>{low}", mean, energy, (self.edge >= low) & (self.edge < high))
        for share in (0.1, 0.3, 0.5, 0.65, 0.8, 0.95, 1.15, 1.3):
            hard = inside & (energy > 100)
            add(f"dim<{share}", (total < share * energy[:, None]).mean(1), ones, hard)
        return names, np.array(above).T, np.array(below).T

"""From a file's pictures to photons per fibre, axis 0 = x: layout, swapped axes, whole counts, repeated showers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.imports.base import Images
from engine.schema import Facts, Finding, WrongInput

TURN = "axes=x-first or y-first; axes=auto turns swapped ones"
LARGEST = 65_535
"""Photons in one fibre; published pictures reach 1 000."""
LOG_TOLERANCE = 1e-5
"""Relative; float32 keeps log(1 + n) well enough for n up to the largest."""


@dataclass(frozen=True)
class Layout:
    """How rows of a file become pictures `(n, H, W)` of a detector."""

    detector: str
    why: str
    axes: str
    """`x-first` or `y-first`, as stored."""
    shape: tuple[int, int]
    """Of a stored picture."""
    symmetric: bool
    """The shape is the same both ways, or unknown, so only the showers themselves can tell."""

    def turn(self, block: NDArray) -> NDArray:
        pictures = block.reshape(len(block), *self.shape)
        return pictures.transpose(0, 2, 1) if self.axes == "y-first" else pictures


def layout(images: Images, facts: Facts) -> Layout:
    """Detector and order of axes by the shape of a row. Raises `WrongInput` for a shape of no calorimeter, and for
    axes that are visibly swapped without anybody having said so."""
    shape = tuple(n for n in images.shape if n != 1)
    choices = {d.name: d.shape for d in zdc.DETECTORS.values()}
    name = next((n for n, (nx, ny) in choices.items() if shape in {(nx, ny), (ny, nx), (nx * ny,)}), None)
    if name is None:
        whole = (images.rows, *images.shape)
        first = tuple(whole[:2])
        hint = ""
        if first in choices.values() or first[::-1] in choices.values():
            hint = ": the showers seem to be the last axis, move it first"
        known = " and ".join(f"{d.title.split(',')[0]} {d.shape}" for d in zdc.DETECTORS.values())
        raise WrongInput(f"{images.place}: axes {whole}, pictures of {images.shape} fit no calorimeter ({known}){hint}")
    nx, ny = choices[name]
    if facts.detector not in {None, name}:
        raise WrongInput(f"{images.place}: pictures of {images.shape} are of {name}, not {facts.detector}")
    why = f"{'flat ' if len(shape) == 1 else ''}pictures of {shape} have the {nx * ny} fibres of {name}"
    symmetric = nx == ny or len(shape) == 1
    if symmetric:
        axes = "y-first" if facts.axes == "y-first" else "x-first"
        stored = (nx, ny) if axes == "x-first" else (ny, nx)
        return Layout(name, why, axes, stored, True)
    axes = "x-first" if shape == (nx, ny) else "y-first"
    if axes == "y-first" and facts.axes is None:
        raise WrongInput(
            f"{images.place}: axes are swapped: pictures of {shape}, {name} has {(nx, ny)} with x first: "
            "import with axes=y-first"
        )
    if facts.axes not in {None, "auto", axes}:
        raise WrongInput(f"{images.place}: pictures of {shape} are {axes}, not {facts.axes}: leave the option axes out")
    return Layout(name, why, axes, (nx, ny) if axes == "x-first" else (ny, nx), False)


# ----------------------------------------------------------------------------------------------------------- photons
@dataclass
class Photons:
    """Turns stored numbers into whole photons, deciding once what they are; block after block."""

    place: str
    mode: str | None = None
    """`whole`, `log1p` or `round`; None until a shower with light decides."""
    told: bool = False
    lost: int = 0
    """Photons that (int)expm1(x) would lose."""

    def counts(self, block: NDArray) -> tuple[NDArray[np.uint16], dict[int, str]]:
        """Photons `(n, H, W)` and the rows that are none, with the reason (row from 0, within the block)."""
        mode = self.mode or "whole"
        if mode == "whole":
            counts, bad = _whole(block)
            if self.mode is None and bad.any() and block.dtype.kind == "f":
                logs, bad_logs = _from_log(block)
                lit = block.reshape(len(block), -1).any(axis=1)
                if (lit & ~bad_logs).sum() > (lit & ~bad).sum():
                    self.mode, counts, bad = "log1p", logs, bad_logs
            if self.mode is None and (counts.any(axis=(1, 2)) & ~bad).any():
                self.mode = "whole"
        elif mode == "log1p":
            counts, bad = _from_log(block)
        else:
            with np.errstate(invalid="ignore"):
                rounded = np.where(block < 0, block, np.rint(block))
            counts, bad = _whole(rounded)
        if self.mode == "log1p":
            with np.errstate(over="ignore", invalid="ignore"):
                self.lost += int((np.expm1(block[~bad]).astype(np.int64) < counts[~bad]).sum())
        return counts, {int(r): self._reason(block[r]) for r in np.flatnonzero(bad)}

    def _reason(self, picture: NDArray) -> str:
        for wrong, say in (
            (~np.isfinite(picture), "is {:g}"),
            (picture < 0, "is {:g}, negative"),
            (picture > LARGEST, f"is {{:g}}, above {LARGEST} photons"),
            (picture != np.rint(picture), "is {:g}, not a whole number of photons"),
        ):
            if wrong.any():
                x, y = np.argwhere(wrong)[0]
                return f"fibre ({x}, {y}) {say.format(float(picture[x, y]))}"
        return "not photon counts"

    def findings(self, dtype: np.dtype) -> dict[str, Finding]:
        """What the numbers were, and whether photons were lost on the way."""
        override = "photons=whole, log1p or round"
        mode = self.mode or "whole"
        why = {
            "whole": f"all numbers ({dtype}) are whole",
            "log1p": f"numbers ({dtype}) are log(1 + n) of whole n",
            "round": "expectations, rounded to whole photons",
        }[mode]
        cut = {
            "whole": ("unknown", "whole numbers do not show whether a program before truncated them"),
            "log1p": ("no", f"rounded to the nearest; (int)expm1(x) would have lost {self.lost} photons"),
            "round": ("rounded", "expectations lose their Poisson spread by rounding"),
        }[mode]
        photons = Finding(value=mode, why="as told" if self.told else why, override=override)
        return {"photons": photons, "truncated": Finding(value=cut[0], why=cut[1], override=override)}


def photons(place: str, facts: Facts) -> Photons:
    return Photons(place, facts.photons, facts.photons is not None)


def _some(wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pictures with a wrong fibre."""
    return np.asarray(wrong.reshape(len(wrong), -1).any(axis=1))


def _whole(block: NDArray) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    with np.errstate(invalid="ignore", over="ignore"):
        counts = block.astype(np.uint16)
    same = np.asarray(counts == block)
    if same.all():
        return counts, np.zeros(len(block), bool)
    return counts, _some(~same)


def _from_log(block: NDArray) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    with np.errstate(invalid="ignore", over="ignore"):
        light = np.expm1(block.astype(np.float64))
        nearest = np.rint(light)
        close = np.abs(light - nearest) <= LOG_TOLERANCE * (1 + nearest)
        fits = np.asarray(close & (nearest <= LARGEST) & (block >= 0))
        return nearest.astype(np.uint16), _some(~fits)


# -------------------------------------------------------------------------------------------------------------- axes
@dataclass
class Evidence:
    """Correlation of the shower's centre with the impact point, along the axes as they are and swapped.

    The straight line from the vertex, x = Vx + Px/|Pz|·z, holds for neutral primaries; showers with at least ten
    photons whose line meets the face count.
    """

    detector: str
    rows: list[NDArray] = field(default_factory=list)

    def add(self, showers: NDArray, conditions: NDArray) -> None:
        """Take up to 300 showers `(n, H, W)`, axis 0 taken as x, of a block."""
        detector = zdc.DETECTORS[self.detector]
        impact = zdc.impact_cm(conditions, detector.z_cm)
        inside = (np.abs(impact) < detector.half_cm).all(axis=1) & (conditions[:, zdc.CHARGE] == 0)
        rows = np.flatnonzero(inside)[:300]
        light = showers[rows].astype(np.float64)
        total = light.sum(axis=(1, 2))
        rows, light, total = rows[total >= 10], light[total >= 10], total[total >= 10]
        centre0 = light.sum(axis=2) @ np.arange(light.shape[1]) / total
        centre1 = light.sum(axis=1) @ np.arange(light.shape[2]) / total
        self.rows.append(np.column_stack([centre0, centre1, impact[rows]]))

    def correlations(self) -> tuple[int, NDArray[np.float64] | None]:
        """Number of showers and the matrix r[axis, x or y]; None when they cannot tell."""
        table = np.concatenate(self.rows) if self.rows else np.empty((0, 4))
        if len(table) < 30 or (table.std(axis=0) < 1e-9).any():
            return len(table), None
        return len(table), np.asarray(np.corrcoef(table.T))[:2, 2:]

    def verdict(self) -> tuple[bool | None, str]:
        """Whether the axes are swapped (None: cannot tell), and why."""
        n, r = self.correlations()
        if r is None:
            return None, f"{n} neutral showers on the face with 10 photons or more are too few or too alike to tell"
        straight, swapped = float(np.abs(np.diag(r)).mean()), float(np.abs(np.diag(r[::-1])).mean())
        why = (
            f"correlation of the shower's centre along axis 0 with the impact's x {r[0, 0]:.2f} and y {r[0, 1]:.2f}, "
            f"along axis 1 {r[1, 0]:.2f} and {r[1, 1]:.2f} ({n} showers)"
        )
        if abs(straight - swapped) < max(0.3, 5 / n**0.5):
            return None, why
        return bool(swapped > straight), why

    def mirrored(self) -> str:
        """Which axes run against the impact point; empty when none does."""
        _, r = self.correlations()
        if r is None:
            return ""
        return " and ".join(name for name, value in zip("xy", np.diag(r), strict=True) if value < -0.3)


def settle(layout: Layout, facts: Facts, evidence: Evidence, place: str, last: bool) -> Layout:
    """The layout in the light of the evidence. Raises `WrongInput` for swapped axes that nobody declared."""
    swapped, why = evidence.verdict()
    if not swapped or not layout.symmetric or facts.axes in {"x-first", "y-first"}:
        return layout
    if facts.axes == "auto" and not last and layout.shape[0] == layout.shape[1]:
        evidence.rows.clear()
        return replace(layout, axes="y-first")
    raise WrongInput(f"{place}: axes are swapped: {why}: import with axes=y-first")


def axes_finding(layout: Layout, facts: Facts, evidence: Evidence) -> tuple[Finding, list[str]]:
    """What to report on the axes, with warnings."""
    swapped, why = evidence.verdict()
    told = f"as told ({facts.axes}); " if facts.axes in {"x-first", "y-first"} else ""
    shape = "" if layout.symmetric else f"shape {layout.shape}; "
    after = " (after turning)" if layout.axes == "y-first" else ""
    warnings = []
    if swapped:
        warnings.append(f"the showers contradict the order of axes {layout.axes}: {why}")
    if swapped is None and layout.symmetric and not told:
        warnings.append(f"the order of axes is taken as {layout.axes}, the tables' custom: {why}")
    if mirrored := evidence.mirrored():
        warnings.append(f"{mirrored} runs against the impact point: a mirrored picture, check with ALICE")
    return Finding(value=layout.axes, why=f"{told}{shape}{why}{after}", override=TURN), warnings


@dataclass
class Repeats:
    """Finds showers that repeat an earlier one of the same primary, photon by photon; empty ones are not repeats."""

    seen: set[bytes] = field(default_factory=set)
    rows: list[int] = field(default_factory=list)
    total: int = 0

    def add(self, showers: NDArray[np.uint16], primary: NDArray[np.int64], number: Callable[[int], int]) -> None:
        for i in range(len(showers)):
            if not showers[i].any():
                continue
            key = hashlib.blake2b(showers[i], digest_size=12, key=int(primary[i]).to_bytes(8, "little", signed=True))
            digest = key.digest()
            if digest in self.seen:
                self.total += 1
                if len(self.rows) < 100:
                    self.rows.append(number(i))
            self.seen.add(digest)

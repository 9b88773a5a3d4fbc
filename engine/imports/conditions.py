"""From a file's columns to the nine conditions in the house's order and units, each guess with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.imports.base import Table
from engine.schema import CONDITIONS, Facts, Finding, WrongInput
from engine.zdc import CHARGE, ENERGY, MASS, PX, PZ, VZ

BEAM_GEV = 7000.0
EXTRAS = {
    "pdg": {"pdg", "pdgid", "pdg_id", "pdgcode", "pdg_code"},
    "primary_id": {"primary_id", "primary", "primaryid"},
    "replica": {"replica", "repeat"},
}
ALIASES = {
    "Energy": {"energy", "e"},
    "mass": {"mass", "m"},
    "charge": {"charge", "q"},
    **{name: {name.lower()} for name in CONDITIONS[1:7]},
    **EXTRAS,
}
SPECIES = (22, 2112, 130, 2212, -2212, 211, -211, 321, -321, 3122, 3112, 3222, 3312, 3322, 3334, 11, -11, 13, -13)
"""Particles told apart by mass and charge where a table has no PDG ids."""


@dataclass
class Conditions:
    """Conditions `(N, 9)` in GeV, cm, MeV, e with what the table says besides, and rows that are not physics."""

    values: NDArray[np.float64]
    pdg: NDArray[np.int64]
    primary_id: NDArray[np.int64]
    replica: NDArray[np.int64]
    findings: dict[str, Finding]
    refused: dict[int, str]
    """Row from 0 -> reason."""
    warnings: list[str] = field(default_factory=list)


def resolve(table: Table, facts: Facts) -> Conditions:
    """Order, units, species and primaries of a table. Raises `WrongInput` for missing columns or unclear units."""
    with np.errstate(over="ignore", invalid="ignore"):  # absurd numbers are refused as rows, not as warnings
        return _resolved(table, facts)


def _resolved(table: Table, facts: Facts) -> Conditions:
    columns, hints = _named(table, facts)
    try:
        raw = np.stack([np.asarray(columns[c], dtype=np.float64) for c in CONDITIONS], axis=1)
        pdg = _integers(table, "pdg", columns)
    except (TypeError, ValueError) as error:
        raise WrongInput(f"{table.place}: conditions must be numbers ({error})") from error
    refused: dict[int, str] = {}
    for row, column in np.argwhere(~np.isfinite(raw)):
        refused.setdefault(int(row), f"{CONDITIONS[column]} is {raw[row, column]}")
    sound = raw[np.isfinite(raw).all(axis=1)]
    if not len(sound):
        raise WrongInput(f"{table.place}: no row has nine finite conditions")
    energy, mass, charge = _energy_unit(sound, hints), _mass_unit(sound, hints), _charge_unit(sound, hints, table)
    values = raw + 0.0  # −0 and 0 are the same vertex
    if energy.value == "MeV":
        values[:, [ENERGY, PX, PX + 1, PZ]] /= 1000
    if mass.value == "GeV":
        values[:, MASS] *= 1000
    if charge.value == "e/3":
        values[:, CHARGE] /= 3
    for row, reason in _unphysical(values).items():
        refused.setdefault(row, reason)
    findings = {"energy_unit": energy, "mass_unit": mass, "charge_unit": charge}
    warnings = []
    if np.abs(sound[:, VZ]).max() > 60:
        warnings.append(f"largest |Vz| is {np.abs(sound[:, VZ]).max():g}: vertices are taken in cm")
    if pdg is None:
        pdg = _species(values)
        why = "by mass and charge; antineutrons and antilambdas cannot be told from their partners"
        findings["pdg"] = Finding(value="inferred", why=why, override="give a tenth column of PDG ids")
        if (pdg == 0).any():
            warnings.append(f"{(pdg == 0).sum()} rows have a mass and charge of no known species: PDG id 0")
    else:
        findings["pdg"] = Finding(value="given", why="the table has PDG ids")
    primary, replica, found = _primaries(table, columns, values, pdg, warnings)
    findings["primary_id"] = found
    return Conditions(values, pdg, primary, replica, findings, refused, warnings)


def _named(table: Table, facts: Facts) -> tuple[dict[str, NDArray], Facts]:
    """Columns under the house's names; a unit in a column's name counts as said unless the user says otherwise."""
    named = dict(table.named)
    if table.matrix is not None:
        width = table.matrix.shape[1]
        names = facts.columns
        if names is None and width not in {len(CONDITIONS), len(CONDITIONS) + 1}:
            raise WrongInput(
                f"{table.place}: {width} columns, expected 9 ({', '.join(CONDITIONS)}) or 10 with the PDG id: "
                "name them with the option columns"
            )
        names = names or [*CONDITIONS, "pdg"][:width]
        if len(names) != width:
            raise WrongInput(f"{table.place}: {len(names)} names in the option columns for {width} columns")
        named |= {name: table.matrix[:, i] for i, name in enumerate(names)}
    columns: dict[str, NDArray] = {}
    units: dict[str, str] = {}
    for name, values in named.items():
        key = name.strip().lower().removeprefix("cond_")
        stem, _, unit = key.rpartition("_")
        if unit in {"gev", "mev", "cm", "e"} and stem:
            key = stem
            units[key] = {"gev": "GeV", "mev": "MeV"}.get(unit, unit)
        target = next((t for t, names in ALIASES.items() if key in names), None)
        if target is not None:
            columns[target] = values
    missing = [c for c in CONDITIONS if c not in columns]
    if missing:
        have = ", ".join(named) or "none"
        raise WrongInput(f"{table.place}: missing column {', '.join(missing)} (the columns are {have})")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise WrongInput(f"{table.place}: columns of different lengths: {lengths}")
    hints = {"energy_unit": units.get("energy", units.get("e")), "mass_unit": units.get("mass", units.get("m"))}
    hints = {k: v for k, v in hints.items() if v in {"GeV", "MeV"}}
    return columns, facts.model_copy(update={k: v for k, v in hints.items() if getattr(facts, k) is None})


def _integers(table: Table, name: str, columns: dict[str, NDArray]) -> NDArray[np.int64] | None:
    if name not in columns:
        return None
    values = np.asarray(columns[name])
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or (values != np.rint(values)).any():
        raise WrongInput(f"{table.place}: column {name} must hold whole numbers")
    return values.astype(np.int64)


def _energy_unit(c: NDArray, facts: Facts) -> Finding:
    override = "energy_unit=GeV or MeV"
    if facts.energy_unit:
        return Finding(value=facts.energy_unit, why="as told", override=override)
    top = c[:, ENERGY].max()
    if top > BEAM_GEV * 1.001:
        why = f"the largest energy, {top:g}, is above the beam's {BEAM_GEV:g} GeV"
        return Finding(value="MeV", why=why, override=override)
    mass = c[:, MASS] / (1000 if c[:, MASS].max() > 5 else 1)
    square = c[:, ENERGY] ** 2 - (c[:, PX : PZ + 1] ** 2).sum(axis=1)
    scale = np.maximum(c[:, ENERGY] ** 2, 1e-12)
    gev, mev = (float(np.median(np.abs(square - (m * mass) ** 2) / scale)) for m in (1, 1000))
    if gev > 0.02 and mev < 0.1 * gev:
        why = f"E² = p² + m² holds to {mev:.1g} in MeV, to {gev:.1g} in GeV"
        return Finding(value="MeV", why=why, override=override)
    why = f"the largest energy, {top:g}, lies within the beam's {BEAM_GEV:g} GeV"
    return Finding(value="GeV", why=why, override=override)


def _mass_unit(c: NDArray, facts: Facts) -> Finding:
    override = "mass_unit=GeV or MeV"
    if facts.mass_unit:
        return Finding(value=facts.mass_unit, why="as told", override=override)
    massive = c[c[:, MASS] > 0, MASS]
    if not len(massive):
        return Finding(value="MeV", why="every mass is 0, so it makes no difference", override=override)
    middle = float(np.median(massive))
    unit = "GeV" if middle < 5 else "MeV"
    return Finding(value=unit, why=f"the median mass that is not 0 is {middle:g}", override=override)


def _charge_unit(c: NDArray, facts: Facts, table: Table) -> Finding:
    override = "charge_unit=e or e/3"
    if facts.charge_unit:
        return Finding(value=facts.charge_unit, why="as told", override=override)
    charges = np.unique(c[:, CHARGE])
    shown = ", ".join(f"{q:g}" for q in charges[:6])
    if (charges != np.rint(charges)).any():
        raise WrongInput(
            f"{table.place}: charges {shown} are not whole: are the conditions standard-scaled? Give raw ones"
        )
    if not charges.any():
        return Finding(value="e", why="every charge is 0, so it makes no difference", override=override)
    if (charges % 3 == 0).all():
        return Finding(value="e/3", why=f"charges are {shown}, all multiples of 3", override=override)
    return Finding(value="e", why=f"charges are {shown}", override=override)


def _unphysical(c: NDArray) -> dict[int, str]:
    """Rows that no particle can have, each with the first reason. Rows that are not finite are left to the caller."""
    energy, mass = c[:, ENERGY], c[:, MASS] / 1000
    with np.errstate(invalid="ignore", over="ignore"):
        momentum = np.linalg.norm(c[:, PX : PZ + 1], axis=1)
        off_shell = np.abs(energy**2 - mass**2 - momentum**2) > 0.02 * energy**2 + 1e-3
    tests: list[tuple[NDArray, Callable[[int], str]]] = [
        (mass < 0, lambda r: f"the mass {c[r, MASS]:g} MeV is negative"),
        (energy <= 0, lambda r: f"the energy {energy[r]:g} GeV is not above 0: are the conditions standard-scaled?"),
        (energy < mass * (1 - 1e-6), lambda r: f"the energy {energy[r]:g} GeV is below the mass {mass[r]:g} GeV"),
        (energy > BEAM_GEV * 1.001, lambda r: f"the energy {energy[r]:g} GeV is above the beam's {BEAM_GEV:g} GeV"),
        (c[:, PZ] == 0, lambda r: "Pz is 0, so the particle never reaches the calorimeter"),
        (
            off_shell,
            lambda r: (
                f"energy {energy[r]:g}, momentum {momentum[r]:g} and mass {mass[r]:g} GeV are off shell by "
                "more than 2 %"
            ),
        ),
    ]
    reasons: dict[int, str] = {}
    for wrong, say in tests:
        for row in np.flatnonzero(wrong):
            reasons.setdefault(int(row), say(int(row)))
    return reasons


def _species(c: NDArray) -> NDArray[np.int64]:
    """PDG ids by mass [MeV] and charge [e]; 0 where none fits within 0.1 %."""
    pairs, inverse = np.unique(np.stack([c[:, MASS], c[:, CHARGE]], axis=1), axis=0, return_inverse=True)
    known = [zdc.particle(pdg) for pdg in SPECIES]
    ids = np.zeros(len(pairs), np.int64)
    for i, (mass, charge) in enumerate(pairs):
        near = [p for p in known if p.charge_e == charge and abs(p.mass_mev - mass) <= 1e-3 * p.mass_mev + 0.02]
        if near:
            ids[i] = min(near, key=lambda p: abs(p.mass_mev - mass)).pdg
    return ids[inverse.reshape(-1)]


def _primaries(
    table: Table, columns: dict[str, NDArray], values: NDArray, pdg: NDArray[np.int64], warnings: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Finding]:
    """Primary ids and replica numbers: the table's own, else equal conditions are one primary."""
    order = np.lexsort((pdg, *values.T))
    rows = np.column_stack([values[order], pdg[order]])
    fresh = np.ones(len(rows), bool)
    fresh[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    by_conditions = np.empty(len(rows), np.int64)
    by_conditions[order] = np.cumsum(fresh) - 1
    given = _integers(table, "primary_id", columns)
    if given is None:
        primary = by_conditions
        found = Finding(value="inferred", why="rows of equal conditions are replicas of one primary")
    else:
        primary = given
        found = Finding(value="given", why="the table has primary ids")
        pairs = np.unique(np.stack([primary, by_conditions], axis=1), axis=0)
        mixed = len(pairs) - len(np.unique(primary))
        if mixed:
            warnings.append(f"primary ids join rows of {mixed} further conditions: check that ids are not reused")
        split = len(pairs) - len(np.unique(by_conditions))
        if split:
            warnings.append(f"equal conditions stand under {split} further primary ids: a split by id lets them leak")
    replica = _integers(table, "replica", columns)
    if replica is None:
        order = np.argsort(primary, kind="stable")
        _, start, count = np.unique(primary[order], return_index=True, return_counts=True)
        replica = np.empty(len(primary), np.int64)
        replica[order] = np.arange(len(primary)) - np.repeat(start, count)
    return primary, replica, found

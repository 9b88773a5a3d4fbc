"""Do the metrics see what is wrong? Simulated showers, broken on purpose in ways in which generators break, and which
metric catches which: its value is worse than its floor by more than three standard deviations of both together.

The showers that are broken are an independent simulation of the judged primaries, so that what is found is the break
and nothing else: unbroken, they must be caught by no metric.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.bench.rows import commit
from engine.metrics import base as metrics
from engine.metrics.base import Sample
from engine.schema import MetricValue, WrongInput

PRIMARIES, QUICK_PRIMARIES = 3000, 400
REPLICAS = 3
SIGMA = 3.0
SEED = 2007
"""Of the simulation that is broken; 2006 made the set itself."""
BRIGHTER = 1.2
DROPPED, INSTEAD = 2112, 22
"""Neutrons are answered with showers of photons."""


@dataclass(frozen=True)
class Showers:
    """Of primaries with conditions (P, 9) and PDG ids (P,): photons (P, R, H, W)."""

    photons: NDArray
    conditions: NDArray[np.float64]
    pdg: NDArray[np.int64]


Break = Callable[[Showers, np.random.Generator], NDArray]


# ------------------------------------------------------------------------------------------------------------ breaking
def unbroken(showers: Showers, rng: np.random.Generator) -> NDArray:
    return showers.photons


def brighter(showers: Showers, rng: np.random.Generator) -> NDArray:
    light = BRIGHTER * showers.photons.astype(np.float32)
    whole = np.floor(light)
    return (whole + (rng.random(light.shape, np.float32) < light - whole)).astype(np.uint16)


def dropped(showers: Showers, rng: np.random.Generator) -> NDArray:
    """Each neutron's showers are those of the photon that is nearest in impact point and energy."""
    from scipy.spatial import KDTree

    log_energy = np.log(showers.conditions[:, zdc.ENERGY])
    place = np.column_stack([zdc.impact_cm(showers.conditions), log_energy])
    source = np.arange(len(place))
    others = np.flatnonzero(showers.pdg == INSTEAD)
    lost = np.flatnonzero(showers.pdg == DROPPED)
    source[lost] = others[KDTree(place[others]).query(place[lost])[1]]
    return showers.photons[source]


def faint(showers: Showers, rng: np.random.Generator) -> NDArray:
    return np.where(showers.photons == 1, 0, showers.photons)


def mirrored(showers: Showers, rng: np.random.Generator) -> NDArray:
    return showers.photons[:, :, ::-1]


def shuffled(showers: Showers, rng: np.random.Generator) -> NDArray:
    order = rng.permutation(len(showers.photons))
    source = np.empty_like(order)
    source[order] = np.roll(order, 1)  # a ring, in which nobody is answered by himself
    return showers.photons[source]


def collapsed(showers: Showers, rng: np.random.Generator) -> NDArray:
    mean = showers.photons.mean(axis=1, keepdims=True, dtype=np.float32)
    return np.repeat(mean, showers.photons.shape[1], axis=1)


@dataclass(frozen=True)
class Broken:
    name: str
    title: str
    done: str
    """What was done to the showers, for a reader."""
    make: Break


GENERATORS = (
    Broken("unbroken", "Unbroken", "Another simulation of the same particles: the control, caught by none.", unbroken),
    Broken("brighter", "Light × 1.2", "A fifth more photons in every fibre, rounded at random.", brighter),
    Broken(
        "dropped", "Neutrons dropped",
        "Every neutron answered with the showers of the photon nearest to it in impact point and energy.", dropped,
    ),
    Broken(
        "faint", "Single photons lost",
        "Every fibre that holds one photon reads none: what rounding down an expectation does.", faint,
    ),
    Broken("mirrored", "Mirrored", "Every shower mirrored along x.", mirrored),
    Broken("shuffled", "Conditions shuffled", "Every particle answered with the showers of another one.", shuffled),
    Broken(
        "collapsed", "Collapsed to the mean",
        "Every shower replaced by the mean of its particle's three: what a regression learns.", collapsed,
    ),
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- judging
def caught(value: MetricValue, floor: float, floor_error: float, direction: str) -> bool:
    """Whether a reading is worse than its floor by more than `SIGMA` standard deviations."""
    above = value.value - floor
    worse = {"lower": above, "higher": -above, "one": abs(above)}[direction]
    return bool(worse > SIGMA * np.hypot(value.error, floor_error))


def judge(
    reference: Sample,
    showers: Showers,
    chosen: Sequence[Broken] = GENERATORS,
    names: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """Every metric of every broken generator. reference: a sample of ZN with the same primaries, 0, 1, …; names: of
    metrics, all where there are none. A metric without a floor of its own (dispersion of three replicas) has the
    reading of the unbroken showers for one."""
    count, replicas = showers.photons.shape[:2]
    conditions, owner = np.repeat(showers.conditions, replicas, axis=0), np.repeat(np.arange(count), replicas)
    control: dict[str, MetricValue] = {}
    rows = []
    for one in (GENERATORS[0], *(broken for broken in chosen if broken is not GENERATORS[0])):
        made = one.make(showers, np.random.default_rng(SEED))
        flat = np.ascontiguousarray(made).reshape(-1, *made.shape[2:])
        generated = metrics.sample(flat, conditions, owner, reference.detector, reference.convention)
        found = metrics.evaluate(reference, generated, names, slow=True)
        control = control or found
        readings = {name: _reading(name, value, control[name]) for name, value in found.items()}
        by = [name for name, reading in readings.items() if reading["caught"]]
        rows.append({"name": one.name, "title": one.title, "done": one.done, "metrics": readings, "caught_by": by})
        say(f"{one.title}: caught by {', '.join(by) or 'none'}")
    return rows


def _reading(name: str, value: MetricValue, control: MetricValue) -> dict[str, Any]:
    own = value.floor is not None and value.floor_error is not None
    floor, error = (value.floor, value.floor_error) if own else (control.value, control.error)
    assert floor is not None
    assert error is not None
    found = caught(value, floor, error, metrics.get(name).INFO.direction)
    return {
        "value": value.value,
        "error": value.error,
        "unit": value.unit,
        "floor": floor,
        "floor_error": error,
        "floor_of": "replicas" if own else "unbroken",
        "caught": found,
    }


# ----------------------------------------------------------------------------------------------------------------- run
def simulate(primaries: int) -> tuple[Sample, Showers]:
    """The first test primaries of `zdc_fast` in that set, and simulated again."""
    from engine import sets
    from engine.datasets import zdc_fast
    from engine.judge import held_out
    from engine.runs import home

    data = sets.load("zdc_fast", home())
    rows = held_out(data, "test", primaries=primaries)
    ids, first = np.unique(data.primary_id[rows], return_index=True)
    conditions, pdg = data.conditions[rows][first], data.pdg[rows][first]
    owner = np.searchsorted(ids, data.primary_id[rows])
    reference = metrics.sample(data.showers[rows], data.conditions[rows], owner, data.detector)
    blocks = zdc_fast.blocks(conditions, pdg, REPLICAS, data.detector, SEED)
    again = np.concatenate(list(blocks)).reshape(len(ids), REPLICAS, *zdc.ZN.shape)
    return reference, Showers(again, conditions, pdg)


def run(
    quick: bool = False,
    rows: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> dict[str, Any]:
    """The table. rows: generators to take instead of all, by name or title; the unbroken one always comes along.
    Raises `WrongInput` for one that there is not."""
    import torch

    torch.set_num_threads(1)  # two, beside other work, take many times as long
    chosen = [one for one in GENERATORS if not rows or one.name in rows or one.title in rows]
    if not chosen:
        raise WrongInput(f"no generator {', '.join(rows)}: there are {', '.join(one.name for one in GENERATORS)}")
    at = commit()  # before the tree can change
    reference, showers = simulate(QUICK_PRIMARIES if quick else PRIMARIES)
    made = judge(reference, showers, chosen, say=say)
    told = {name: metrics.get(name).INFO for name in made[0]["metrics"]}
    return {
        "bench": "broken",
        "title": "Which metric catches which broken generator",
        "data": "zdc_fast",
        "convention": reference.convention,
        "primaries": len(reference.ids),
        "replicas": REPLICAS,
        "seed": SEED,
        "sigma": SIGMA,
        "commit": at,
        "torch": version("torch"),
        "metrics": {
            name: {
                "title": one.title,
                "short": one.short,
                "unit": one.unit,
                "direction": one.direction,
                "group": one.group,
            }
            for name, one in told.items()
        },
        "generators": made,
        "table": text(made),
    }


def text(rows: list[dict[str, Any]]) -> str:
    """The table as Markdown, a line a metric; ● where it catches."""
    lines = [f"| metric | floor | {' | '.join(row['title'] for row in rows)} |", "|---" * (len(rows) + 2) + "|"]
    for name, first in rows[0]["metrics"].items():
        unit = f" [{first['unit']}]" if first["unit"] else ""
        cells = [f"{row['metrics'][name]['value']:.3g}{' ●' * row['metrics'][name]['caught']}" for row in rows]
        lines.append(f"| {metrics.get(name).INFO.title}{unit} | {first['floor']:.3g} | {' | '.join(cells)} |")
    return "\n".join(lines)

"""An evaluation whole: a model's metrics with floors, broken down by species, energy and channel, its times, what one
factor for all light would change, and the arrays that pages draw."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.datasets.base import Dataset
from engine.host import Host
from engine.judge import draw, held_out, reference
from engine.metrics import base as metrics
from engine.metrics import correlation, mae
from engine.metrics.base import Sample
from engine.models.base import Model
from engine.schema import (
    Arrays,
    Calibration,
    EvaluateRequest,
    MetricValue,
    Part,
    Report,
    RunInfo,
    Timing,
    WrongInput,
)

IN_PARTS = ("mae", "wasserstein", "mae_cond", "spread", "f_div", "dispersion", "empty_rate", "photon_sum")
IN_CHANNELS = ("mae", "wasserstein", "spread", "dispersion")
CALIBRATED = ("mae", "wasserstein", "mae_cond", "photon_sum", "spread")
"""What a factor for all light is judged by."""
LEAST_PRIMARIES = 10
"""A part of fewer says nothing."""
BATCHES, REPEATS = (1, 100, 10_000), {1: 30, 100: 10, 10_000: 3}
LONGEST_S = 20.0
"""A batch that would take longer is not timed."""
DRAWS = 100
"""Bootstrap draws of primaries."""

Progress = Callable[[float, float], None]
GENERATED, JUDGED, BROKEN_DOWN, TIMED = 0.3, 0.75, 0.85, 0.92
"""How much of an evaluation is done after each of its stages."""


def evaluate(
    host: Host,
    model: Model,
    data: Dataset,
    request: EvaluateRequest,
    info: RunInfo,
    tell: Progress = lambda done, total: None,
) -> tuple[Report, Arrays]:
    """Judge a model as the request says; one that names metrics gets these alone, without breakdowns, times and
    calibration. info: of the run. tell: called with the share that is done, and 1.

    Raises `WrongInput` for a model of other data, a metric of other data, or an empty selection; `NotFound` for an
    unknown metric.
    """
    begin = time.perf_counter()
    for name in request.metrics or []:
        metrics.get(name)
    rows = held_out(data, request.split, request.threshold, request.primaries)
    real = reference(data, rows, request.convention)
    made, ms = draw(
        host, model, data, real, request.seed, request.reading, request.convention,
        lambda done, of: tell(GENERATED * done / of, 1.0),
    )  # fmt: skip
    names = metrics.available(real, made, request.slow) if request.metrics is None else request.metrics
    found = metrics.evaluate(
        real, made, names, request.seed,
        progress=lambda done, of: tell(GENERATED + (JUDGED - GENERATED) * done / of, 1.0),
    )  # fmt: skip
    report = Report(
        run_id=request.run,
        data=data.name,
        label=data.label,
        split=request.split,
        convention=request.convention,
        showers=len(rows),
        primaries=len(real.ids),
        metrics=found,
        step=info.step if request.step is None else request.step,
        name=info.name,
        model=info.model,
        reading=request.reading,
        threshold=request.threshold,
        seed=request.seed,
        replicas=made.replicas,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        device=host.device,
        threads=host.threads,
        seconds=time.perf_counter() - begin,
    )
    if request.metrics is None:
        parts = list(breakdown(data, rows, real, made, names, request.seed)) if data.kind == "showers" else []
        tell(BROKEN_DOWN, 1.0)
        times = list(timing(host, model, data, rows, ms))
        tell(TIMED, 1.0)
        factor = calibration(host, model, data, request, real, made, found)
        seconds = time.perf_counter() - begin
        more = {"parts": parts, "timing": times, "calibration": factor, "seconds": seconds}
        report = report.model_copy(update=more)
    tell(1.0, 1.0)
    return report, arrays(data, rows, real, made)


def first_rows(data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first row of each primary, in ascending order of their ids."""
    return rows[np.unique(data.primary_id[rows], return_index=True)[1]]


# ---------------------------------------------------------------------------------------------------------- breakdowns
def breakdown(
    data: Dataset, rows: NDArray[np.int64], real: Sample, made: Sample, names: Sequence[str], seed: int
) -> Iterator[Part]:
    """The metrics by species, by energy and by channel."""
    first = first_rows(data, rows)
    pdg, energy = data.pdg[first], data.conditions[first, zdc.ENERGY]
    groups: list[tuple[Part, NDArray[np.bool_]]] = []
    for species in np.unique(pdg):
        part = Part(by="species", title=zdc.symbol(int(species)), pdg=int(species), primaries=0)
        groups.append((part, pdg == species))
    for title, low, high, chosen in zdc.energy_ranges(energy):
        part = Part(by="energy", title=title, low=low, high=high if np.isfinite(high) else None, primaries=0)
        groups.append((part, chosen))
    wanted = [name for name in IN_PARTS if name in names]
    for part, chosen in groups:
        if chosen.sum() >= LEAST_PRIMARIES:
            ids = real.ids[chosen]
            found = metrics.evaluate(real.take(ids), made.take(ids), wanted, seed)
            yield part.model_copy(update={"primaries": len(ids), "metrics": found})
    wanted = [name for name in IN_CHANNELS if name in names]
    for channel in range(real.channels.shape[1]):
        one, other = (replace(sample, channels=sample.channels[:, channel : channel + 1]) for sample in (real, made))
        found = metrics.evaluate(one, other, wanted, seed)
        yield Part(by="channel", title=f"channel {channel + 1}", primaries=len(real.ids), metrics=found)


# --------------------------------------------------------------------------------------------------------------- times
def timing(host: Host, model: Model, data: Dataset, rows: NDArray[np.int64], ms: float) -> Iterator[Timing]:
    """Milliseconds of a shower by how many are generated at once, conditions in, photons out; what would take too
    long at `ms` each is left out."""
    for batch in BATCHES:
        if batch > 1 and batch * ms / 1000 > LONGEST_S:
            continue
        conditions = data.conditions[np.resize(rows, batch)]
        host.sample(model, conditions[:1], 0, "poisson")
        times = []
        for _ in range(REPEATS[batch]):
            begin = host.clock()
            host.sample(model, conditions, 0, "poisson")
            times.append(1000 * (host.clock() - begin) / batch)
            if sum(times) * batch / 1000 > LONGEST_S / 4 and len(times) > 1:
                break
        yield Timing(batch=batch, ms=mean(times), error=stdev(times) if len(times) > 1 else 0.0, repeats=len(times))


# --------------------------------------------------------------------------------------------------------- calibration
def calibration(
    host: Host,
    model: Model,
    data: Dataset,
    request: EvaluateRequest,
    real: Sample,
    made: Sample,
    found: dict[str, MetricValue],
) -> Calibration | None:
    """What the ratio of simulated to generated light changes of the metrics that were `found`. It is fitted on
    validation primaries (training ones where those are judged), never on the judged. None where there are no photons
    to scale."""
    split = "train" if request.split == "validation" else "validation"
    if data.kind != "showers":
        return None
    try:
        rows = held_out(data, split, request.threshold, len(real.ids))
    except WrongInput:  # an import may have no such split
        return None
    given = reference(data, rows, request.convention)
    drawn, _ = draw(host, model, data, given, request.seed + 1, request.reading, request.convention)
    light = [sample.grouped.sum(axis=2).mean(axis=1) for sample in (given, drawn)]
    if min(one.sum() for one in light) <= 0:
        return None
    rng = np.random.default_rng(request.seed)
    ratios = []
    for _ in range(DRAWS):
        chosen = rng.integers(0, len(light[0]), len(light[0]))
        if light[1][chosen].sum() > 0:
            ratios.append(light[0][chosen].sum() / light[1][chosen].sum())
    factor = float(light[0].sum() / light[1].sum())
    scaled = replace(made, showers=made.showers * np.float32(factor), channels=made.channels * factor)
    before = {name: found[name] for name in CALIBRATED if name in found}
    after = metrics.evaluate(real, scaled, list(before), request.seed)
    return Calibration(factor=factor, error=float(np.std(ratios)), split=split, before=before, after=after)


# -------------------------------------------------------------------------------------------------------------- arrays
def arrays(data: Dataset, rows: NDArray[np.int64], real: Sample, made: Sample) -> Arrays:
    """What pages draw, a row a primary; see `Engine.task_arrays`."""
    first = first_rows(data, rows)
    found: dict[str, NDArray] = {"primary_id": real.ids, "row": first, "conditions": data.conditions[first]}
    if data.kind != "showers":
        return Arrays(found, {"label": data.label})
    distinct = real.replicas > 1
    own = mae.distance(real.grouped, real.grouped, distinct=True) if distinct else np.full(len(real.ids), np.nan)
    found |= {
        "pdg": data.pdg[first],
        "impact_mm": 10 * data.impact_cm[first],
        "simulated": real.grouped.astype(np.float32),
        "generated": made.grouped.astype(np.float32),
        "mae": mae.distance(real.grouped, made.grouped, distinct=False),
        "mae_floor": own,
        "radius_mm": real.observables.pitch * np.arange(real.observables.rings.shape[1] + 1),
    }
    for name, sample in (("simulated", real), ("generated", made)):
        found[f"profile_{name}"], found[f"profile_{name}_error"] = profile(sample)
        found[f"correlation_{name}"] = correlation.pearson(sample.channels[:, None])[0]
    return Arrays(found, {"label": data.label})


def profile(sample: Sample) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of all light in rings about the showers' centres, (K,), and their errors by drawing primaries again."""
    rings = sample.by_primary(sample.observables.rings).sum(axis=1)
    rng = np.random.default_rng(0)
    drawn = [rings[rng.integers(0, len(rings), len(rings))].sum(axis=0) for _ in range(DRAWS)]
    shares = np.array([light / max(light.sum(), 1e-12) for light in (rings.sum(axis=0), *drawn)])
    return shares[0], shares[1:].std(axis=0)

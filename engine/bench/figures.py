"""Figures of speed and memory: each with its unit, how far it scattered, and the target it is held to.

A machine's speed changes from minute to minute, so what compares two things calls them in turn and takes the median of
the neighbours' ratios, with its quartiles.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from engine.bench.rows import commit

Work = Callable[[], Any]


def figure(
    name: str,
    value: float,
    unit: str,
    *,
    most: float | None = None,
    least: float | None = None,
    quartiles: Sequence[float] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A figure of a record. unit: "" of a ratio. most, least: its target from above or from below; a figure that has
    one says whether it is `met`. more: what else belongs to it (counts, a floor, what it was measured beside). It is
    said on stderr at once, since a benchmark takes minutes."""
    found: dict[str, Any] = {"name": name, "value": value, "unit": unit}
    if quartiles is not None:
        found["quartiles"] = list(quartiles)
    if most is not None:
        found |= {"at_most": most, "met": value <= most}
    if least is not None:
        found |= {"at_least": least, "met": value >= least}
    found |= more
    print(line(found), file=sys.stderr)
    return found


def record(bench: str, figures: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A benchmark's answer: figures, the names of those that miss their target, machine and commit."""
    missed = [one["name"] for one in figures if not one.get("met", True)]
    return {"bench": bench, "machine": machine(), "commit": commit(), "missed": missed, **more, "figures": figures}


def line(one: dict[str, Any]) -> str:
    """A figure in one line."""
    said = f"{one['name']}: {one['value']:,.4g} {one['unit']}".rstrip()
    if "error" in one:
        said += " ± {:,.2g}".format(one["error"])
    if "quartiles" in one:
        said += " ({:,.4g}–{:,.4g})".format(*one["quartiles"])
    for bound, sign in (("at_most", "≤"), ("at_least", "≥")):
        if bound in one:
            said += f", {sign} {one[bound]:,.4g} {'met' if one['met'] else 'MISSED'}"
    return said


def machine() -> dict[str, Any]:
    """What measured: processor, cores that this process may use, accelerator, versions."""
    names = [text for text in _lines("/proc/cpuinfo") if text.startswith("model name")]
    return {
        "processor": names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # a system without it
        return []


# ------------------------------------------------------------------------------------------------------------- clocks
def wall(work: Work) -> float:
    """Seconds of one call, until its answer is there."""
    wait()
    begin = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - begin


def own_time(work: Work) -> float:
    """Seconds that this thread computed in one call: what other processes take does not count. Of work on one thread of
    a CPU only."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def wait() -> None:
    """Until an accelerator has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def times(work: Work, repetitions: int, clock: Callable[[Work], float] = wall) -> list[float]:
    """Seconds of each call, after one that is not counted."""
    return [clock(work) for _ in range(repetitions + 1)][1:]


def middle(seconds: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Median and quartiles."""
    if len(seconds) < 2:
        return seconds[0], (seconds[0], seconds[0])
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return median(seconds), (low, high)


def pairs(one: Work, other: Work, repetitions: int, clock: Callable[[Work], float] = wall) -> list[tuple[float, float]]:
    """Seconds of both, called in turn, after a pair that is not counted."""
    return [(clock(one), clock(other)) for _ in range(repetitions + 1)][1:]


def ratio(found: Sequence[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
    """Median and quartiles of the first's time over the second's."""
    return middle([one / other for one, other in found])


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Slope of log time against log size, and its standard error: 1 is linear, 2 quadratic."""
    return slope(np.log(sizes), np.log(seconds))


def slope(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Of the least-squares line, and its standard error."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    away = x - x.mean()
    found = float(away @ y / (away @ away))
    rest = y - y.mean() - found * away
    return found, float(np.sqrt(rest @ rest / max(1, len(x) - 2) / (away @ away)))

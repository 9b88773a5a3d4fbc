"""Kernel physics distance: an unbiased distance between distributions of shower observables."""

from __future__ import annotations

import numpy as np

from engine.metrics.base import Floats, Sample, Value, features
from engine.schema import MetricInfo

PRIMARIES = 2
BATCH = 2500
"""Most primaries in one comparison, whose cost grows as their square; more are dealt into equal batches."""
INFO = MetricInfo(
    name="kpd",
    title="Kernel physics distance",
    short="KPD",
    unit="",
    direction="lower",
    formula="unbiased MMD² with the kernel (x·y/d + 1)⁴ of d standardised observables, those of FPD",
    source="arXiv:2211.10295, JetNet",
    group="features",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Mean over pairs of a simulated with a generated replica and over disjoint batches of primaries (JetNet takes the
    median over batches that it draws). A primary is never compared with itself, on neither side, so that equal
    distributions read 0 on average, and a reading may be negative within its error: the jackknife of a U-statistic,
    twice the standard error of what each primary contributes."""
    return _mean(*features(reference, generated), distinct=False, rng=rng)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """One simulation of these primaries against another."""
    if reference.replicas < 2:
        return None
    return _mean(*features(reference, reference), distinct=True, rng=rng)


def kernel(first: Floats, second: Floats) -> Floats:
    """(x·y/d + 1)⁴ of clouds (N, d) and (M, d), (N, M)."""
    found = first @ second.T
    found /= first.shape[1]
    found += 1
    np.square(found, out=found)
    return np.square(found, out=found)


def _mean(first: Floats, second: Floats, distinct: bool, rng: np.random.Generator) -> Value:
    count = len(first)
    batches = np.array_split(rng.permutation(count), max(1, -(-count // BATCH)))
    shares = np.concatenate([_contributions(first[rows], second[rows], distinct) for rows in batches])
    return Value(float(shares.mean()), float(2 * shares.std(ddof=1) / np.sqrt(count)))


def _contributions(first: Floats, second: Floats, distinct: bool) -> Floats:
    """What each primary of (P, R, d) and (P, R', d) adds to MMD², (P,), mean over pairs of replicas and over the other
    primaries: k(x, x′) + k(y, y′) − k(x, y′) − k(x′, y)."""
    count, replicas, others = len(first), first.shape[1], second.shape[1]

    def apart(one: Floats, other: Floats) -> Floats:
        """Mean kernel with the other primaries, both ways."""
        found = kernel(one, other)
        np.fill_diagonal(found, 0)
        return (found.sum(axis=0) + found.sum(axis=1)) / (2 * (count - 1))

    within = np.mean([apart(first[:, r], first[:, r]) for r in range(replicas)], axis=0)
    if distinct:
        crossed = [apart(first[:, r], first[:, s]) for r in range(replicas) for s in range(r)]
        return 2 * (within - np.mean(crossed, axis=0))
    within = within + np.mean([apart(second[:, s], second[:, s]) for s in range(others)], axis=0)
    crossed = [apart(first[:, r], second[:, s]) for r in range(replicas) for s in range(others)]
    return within - 2 * np.mean(crossed, axis=0)

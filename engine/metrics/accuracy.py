"""How often a generated digit is read as the digit that was asked for."""

from __future__ import annotations

import math

import numpy as np

from engine.metrics.base import Sample, Value
from engine.schema import MetricInfo, WrongInput

SHAPE = (28, 28)
"""Of the pictures that LeNet reads."""
INFO = MetricInfo(
    name="accuracy",
    title="Accuracy of digits (LeNet)",
    unit="",
    kinds=["images"],
    direction="higher",
    formula="share of generated digits that LeNet reads as the digit asked for",
    source="own; a usual check of conditional generation",
    group="pictures",
)


def compute(reference: Sample, generated: Sample, rng: np.random.Generator) -> Value:
    """Share of the generated digits, with its binomial error."""
    return share(generated)


def floor(reference: Sample, rng: np.random.Generator) -> Value | None:
    """LeNet's own accuracy on the original digits; a generator that leaves out hard digits may exceed it."""
    return share(reference)


def share(sample: Sample) -> Value:
    """Digits read as their condition says. Raises `WrongInput` where conditions are no classes."""
    if sample.conditions.shape[1:] != (1,):
        raise WrongInput(f"conditions have shape {sample.conditions.shape}: the class of a digit is one number")
    right = float((sample.read[1] == sample.conditions[:, 0]).mean())
    return Value(right, math.sqrt(right * (1 - right) / len(sample.read[1])))

"""Training speed: showers per second, and where a step's time goes.

The split is measured in the same run: the whole step, and its parts (encoder, decoder, transport) forward and backward
by themselves, each the median over repetitions, so that ratios hold although the machine is noisy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from engine.datasets import base as datasets
from engine.train import Training


def measure(work: Callable[[], Any], repetitions: int) -> float:
    """Median seconds of one call, the first one not counted."""
    work()
    seconds = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def run(quick: bool = False) -> dict[str, Any]:
    """Showers per second of the default e2e SAE on `zdc_geant4`, and the share of encoder and decoder in a step."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    training = Training("e2e_sae", {}, datasets.load("zdc_geant4"), seed=0, device=device)
    rows = training.batches(0)[0]
    batch = training.batch(rows)
    model, repetitions = training.model, 5 if quick else 20

    def encode() -> None:
        model.encode(batch.showers, batch.conditions).sum().backward()

    latent = model.encode(batch.showers, batch.conditions).detach().requires_grad_()

    def decode() -> None:
        model.decode(latent, batch.conditions).sum().backward()

    parts = {"encoder": measure(encode, repetitions), "decoder": measure(decode, repetitions)}
    step = measure(lambda: training.advance(rows), repetitions)
    return {
        "bench": "train",
        "device": device,
        "threads": torch.get_num_threads(),
        "batch": len(rows),
        "parameters": sum(p.numel() for p in model.parameters()),
        "step_ms": 1000 * step,
        "showers_per_s": len(rows) / step,
        "share": {name: seconds / step for name, seconds in parts.items()},
    }

"""Generation speed of a bundled model: milliseconds a shower at batches of 1, 100 and 10 000, beside Geant4's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from engine.bench.bundled import FOLDER
from engine.bench.train import measure
from engine.datasets import base as datasets
from engine.models import base as models


def run(quick: bool = False) -> dict[str, Any]:
    """Milliseconds a shower, conditions to Poisson photons, by batch; `quick` leaves out the largest."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, meta = models.load(min(FOLDER.glob("*.safetensors")), device)
    data = datasets.load(meta["data"])
    times = {}
    for batch in (1, 100) if quick else (1, 100, 10_000):
        rows = np.resize(data.rows("test"), batch)
        conditions = torch.from_numpy(data.conditions[rows].astype(np.float32)).to(device)
        rng = torch.Generator(device).manual_seed(0)
        with torch.inference_mode():
            seconds = measure(lambda c=conditions, r=rng: model.sample(c, r), 3 if batch > 1000 else 30)
        times[str(batch)] = 1000 * seconds / batch
    geant4_ms = 1000 * float(data.facts["Geant4 time per shower"].split()[0])
    return {
        "bench": "generate",
        "device": device,
        "threads": torch.get_num_threads(),
        "ms_per_shower": times,
        "geant4_ms_per_shower": geant4_ms,
        "speed_up": {batch: geant4_ms / ms for batch, ms in times.items()},
    }

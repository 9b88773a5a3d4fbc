"""3 642 showers of 1 214 primaries in ALICE's ZN, simulated with Geant4 11.4.1; three replicas of each primary.

Provenance and limits: `assets/data/zn_geant4.md`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from engine.datasets.base import Dataset, split_by_primary
from engine.schema import CONDITIONS, WrongInput

FILE = Path(__file__).parents[2] / "assets" / "data" / "zn_geant4.npz"
LABEL = "Geant4 11.4.1 FTFP_BERT, approximate cross-section tables, light scaled to 0.70 photons/GeV for neutrons"


@cache
def load() -> Dataset:
    """Read the file of the project (0.6 MB). Raises `WrongInput` when it is missing or not what it should be."""
    try:
        with np.load(FILE, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError) as error:
        raise WrongInput(f"{FILE} cannot be read ({error}): restore it from the repository") from error
    if tuple(arrays["columns"].tolist()) != CONDITIONS:
        raise WrongInput(f"{FILE} has columns {arrays['columns'].tolist()}: expected {list(CONDITIONS)}")
    # ids run 1000000·seed + n; consecutive numbers read better and split the same on every machine
    _, primary = np.unique(arrays["primary_id"], return_inverse=True)
    cpu = arrays["cpu_seconds"]
    return Dataset(
        name="zdc_geant4",
        title="ZN, Geant4",
        label=LABEL,
        detector="zn",
        provenance=(
            "Full fibre geometry of ZN, physics list FTFP_BERT with EM option 1, Cherenkov light captured within "
            "numerical aperture 0.22, Poisson of 0.45 × captured photons. Shapes and fluctuations are Geant4's own; "
            "absolute light is good to ±25 %. See assets/data/zn_geant4.md."
        ),
        showers=arrays["showers"],
        conditions=arrays["conditions"].astype(np.float64),
        pdg=arrays["pdg"].astype(np.int64),
        primary_id=primary.astype(np.int64),
        replica=arrays["replica"].astype(np.int64),
        split=split_by_primary(primary.astype(np.int64)),
        facts={
            "Geant4 time per shower": f"{cpu.mean():.2f} CPU s on one core",
            "Geant4 time per GeV": f"{1000 * cpu.sum() / arrays['conditions'][:, 0].sum():.1f} ms",
        },
    )

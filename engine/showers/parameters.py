"""Parameters of the shower Monte Carlo: their names here, values, units, meanings and sources in
`assets/reference/zdc_fast_parameters.json`, which `engine.bench.fit_zdc_fast` writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from engine.schema import WrongInput

PARAMETERS = Path(__file__).parents[2] / "assets" / "reference" / "zdc_fast_parameters.json"


@dataclass(frozen=True)
class Parameters:
    """What the Monte Carlo needs; meanings, units and sources stand beside the values in the JSON file."""

    photons_per_gev: float
    photons_per_track: float
    lateral_scale: float
    length_cm: float
    fibre_radius_cm: float
    absorber_length_cm: float
    quartz_length_cm: float
    bend_gev_rad: float
    bend_z_cm: float
    centre_x_cm: float
    meson_length: float
    lambda_ctau_cm: float
    lambda_charged: float
    em_core_cm: float
    em_middle_cm: float
    em_tail_cm: float
    em_middle_share: float
    em_tail_share: float
    em_halo_cm: float
    em_halo_share: float
    em_axis_cm: float
    em_width_sigma: float
    em_light_sigma: float
    em_tail_sigma: float
    em_halo_sigma: float
    em_tail_axis_cm: float
    em_sigma_power: float
    em_fibre_light: float
    em_fibre_sigma: float
    em_edge_loss: float
    em_edge_cm: float
    hadron_response: float
    hadron_response_power: float
    hadron_power: float
    baryon_scale_gev: float
    meson_scale_gev: float
    hadron_em_sigma: float
    hadron_em_sigma_power: float
    hadron_light_sigma: float
    depth_shape: float
    depth_cm: float
    spot_many: float
    spot_many_power: float
    spot_offset_cm: float
    spot_offset_power: float
    spot_core_cm: float
    spot_tail_cm: float
    spot_tail_share: float
    spot_width_sigma: float
    spot_width_power: float
    halo_share: float
    halo_share_sigma: float
    halo_near_cm: float
    halo_near_power: float
    halo_near_follow: float
    halo_far_cm: float
    halo_far_share: float
    halo_sigma: float
    halo_sigma_power: float
    halo_offset_cm: float
    halo_offset_power: float
    edge_loss: float
    edge_cm: float

    def with_values(self, values: dict[str, float]) -> Parameters:
        return replace(self, **values)


@cache
def parameters(detector: str = "zn", path: Path = PARAMETERS) -> Parameters:
    """Parameters of a detector from the JSON file. Raises `WrongInput` when the file lacks one or is damaged."""
    entries = table(path)
    try:
        values = {f.name: float((entries.get(f"{detector}.{f.name}") or entries[f.name])["value"])
                  for f in fields(Parameters)}  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise WrongInput(
            f"{path} lacks the parameter {error} for {detector}: restore it from the repository"
        ) from error
    return Parameters(**values)


def table(path: Path = PARAMETERS) -> dict[str, dict[str, Any]]:
    """The entries of the parameter file: name -> value, unit, meaning, source. Raises `WrongInput` when unreadable."""
    return _part("parameters", path)


def fit_record(path: Path = PARAMETERS) -> dict[str, Any]:
    """Command, date and data of the last fit. Raises `WrongInput` when unreadable."""
    return _part("fit", path)


def _part(name: str, path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))[name]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongInput(f"{path} cannot be read ({error}): restore it from the repository") from error

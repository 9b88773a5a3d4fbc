"""The slider panel with the live shower: a browser part, since Streamlit's own sliders rerun on release only."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components import v2

from app import state
from app.charts.colour import VIRIDIS
from engine.schema import Catalogue, ConditionInfo, DatasetInfo, Particle, RunInfo, WrongInput

HERE = Path(__file__).parent
SCRIPTS = ("canvas.js", "live.js", "panel.js")
SLIDER_OF = {
    "Energy": "energy_gev", "Px": "px_gev", "Py": "py_gev", "Vx": "vx_cm", "Vy": "vy_cm", "Vz": "vz_cm",
}  # fmt: skip
PRESETS = [
    {"name": "n 500 GeV, centre", "pdg": 2112, "energy_gev": 500.0},
    {"name": "γ 50 GeV", "pdg": 22, "energy_gev": 50.0},
    {"name": "Tower border", "pdg": 2112, "energy_gev": 300.0, "px_gev": 0.08},
    {"name": "Edge of face", "pdg": 2112, "energy_gev": 400.0, "px_gev": 0.118, "py_gev": -0.05},
    {"name": "Beyond training", "pdg": 2112, "energy_gev": 4000.0},
]


@cache
def _part(name: str) -> str:
    return HERE.joinpath(name).read_text(encoding="utf-8")


def mount() -> Any:
    """The component's mounting command. Registered again in each process that runs pages."""
    return v2.component(
        "showerscope_panel",
        html=_part("panel.html"),
        css=_part("panel.css"),
        js="\n".join(_part(name) for name in SCRIPTS),
    )


def axis(condition: ConditionInfo) -> dict[str, Any]:
    """Range of one slider: the data's, widened, so that one can leave the training range and see what happens."""
    lo, hi = condition.quantiles[0], condition.quantiles[-1]
    if condition.name == "Energy":
        return {"min": max(1.0, condition.minimum / 2), "max": 2 * condition.maximum, "lo": lo, "hi": hi, "log": True}
    reach = 1.3 * max(abs(condition.minimum), abs(condition.maximum), 1e-3)
    return {"min": -reach, "max": reach, "lo": lo, "hi": hi, "log": False}


def presets() -> list[dict[str, Any]]:
    made = []
    for preset in PRESETS:
        values = {k: v for k, v in preset.items() if k != "name"}
        made.append({"name": preset["name"], "particle": Particle.model_validate(values).model_dump()})
    return made


def panel_data(run: RunInfo, dataset: DatasetInfo, book: Catalogue, particle: Particle, dark: bool) -> dict[str, Any]:
    """Everything that the browser needs to draw by itself."""
    detector = state.detector_of(dataset, book)
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return {
        "key": state.API_KEY,
        "base": f"/{base}" if base else "",
        "run": run.run_id,
        "model": run.model,
        "step": state.current_step(),
        "seed": state.current_seed(),
        "convention": state.current_convention(),
        "data": dataset.name,
        "label": dataset.label,
        "detector": {"shape": list(detector.shape), "pitch_mm": detector.pitch_mm, "z_cm": detector.z_cm},
        "particles": [{**p.model_dump(), "trained": p.pdg in dataset.pdg} for p in book.particles],
        "axes": {SLIDER_OF[c.name]: axis(c) for c in dataset.conditions if c.name in SLIDER_OF},
        "presets": presets(),
        "particle": particle.model_dump(),
        "revision": st.session_state.get(state.PANEL_REVISION, 0),
        "palette": base64.b64encode(VIRIDIS.tobytes()).decode("ascii"),
        "background": "#12151A" if dark else "#FCFCFB",
    }


def show(run: RunInfo, dataset: DatasetInfo, book: Catalogue, dark: bool) -> Particle:
    """Draw the panel; the particle as it was last let go."""
    particle = state.current_particle()
    result = mount()(
        key=state.PANEL,
        data=panel_data(run, dataset, book, particle, dark),
        on_particle_change=lambda: None,
    )
    told = getattr(result, "particle", None)
    if told:
        try:
            particle = Particle.model_validate(told)
        except ValueError as error:
            raise WrongInput("the panel sent something that is no particle: reload the page") from error
    if particle != st.session_state[state.PARTICLE]:
        st.session_state[state.PARTICLE] = particle
    state.write_link(particle)
    return particle

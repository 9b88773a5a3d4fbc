"""The slider panel with the live shower: a browser part, since Streamlit's own sliders rerun on release only."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components import v2

from app import state
from app.charts import face
from app.charts.colour import DIVERGING, VIRIDIS
from app.components import sights
from app.components.parts import base_path, part
from app.components.presets import presets
from app.components.sights import Sight
from engine.schema import (
    Catalogue,
    ConditionInfo,
    DatasetInfo,
    DetectorInfo,
    EngineError,
    Particle,
    RunInfo,
    WrongInput,
)

SCRIPTS = ("files", "wire", "physics", "canvas", "overlay", "pad", "walk", "ask", "words", "form", "save", "panel")
SLIDER_OF = {
    "Energy": "energy_gev", "Px": "px_gev", "Py": "py_gev", "Vx": "vx_cm", "Vy": "vy_cm", "Vz": "vz_cm",
}  # fmt: skip
TRAIN = 0
"""The number of the training split in `Engine.columns`."""


def mount() -> Any:
    """The component's mounting command. Registered again in each process that runs pages."""
    return v2.component(
        "showerscope_panel",
        html=part("panel.html"),
        css=part("panel.css"),
        js=part(*(f"{name}.js" for name in SCRIPTS)),
    )


def axis(condition: ConditionInfo) -> dict[str, Any]:
    """Range of one slider: the data's, widened, so that one can leave the training range and see what happens."""
    lo, hi = condition.quantiles[0], condition.quantiles[-1]
    if condition.name == "Energy":
        return {"min": max(1.0, condition.minimum / 2), "max": 2 * condition.maximum, "lo": lo, "hi": hi, "log": True}
    reach = 1.3 * max(abs(condition.minimum), abs(condition.maximum), 1e-3)
    return {"min": -reach, "max": reach, "lo": lo, "hi": hi, "log": False}


def packed(table: np.ndarray) -> str:
    """A table of small numbers, in order of its memory, for JavaScript's `readBytes`."""
    return base64.b64encode(np.ascontiguousarray(table, np.uint8).tobytes()).decode("ascii")


@st.cache_resource(show_spinner=False, max_entries=32)
def readout_data(detector: str, convention: str, channel: tuple[tuple[int, ...], ...]) -> dict[str, Any]:
    """A convention's mask, made to be drawn over pictures."""
    found = face.readout(np.array(channel))
    return {
        "channel": packed(found.channel), "towers": packed(found.towers), "common": packed(found.common),
        "commonChannel": found.common_channel,
        "corners": [{"channel": tower, "at": at} for tower, at in found.corners()],
    }  # fmt: skip


@st.cache_resource(show_spinner=False, max_entries=16)
def impact_density(data: str, provenance: str, half_mm: tuple[float, float]) -> str:
    """Where training particles hit, for the pad."""
    columns = state.columns(data, state.CONVENTIONS[0], provenance)
    return packed(face.impact_density(columns["impact_mm"][columns["split"] == TRAIN], half_mm))


def pad(dataset: DatasetInfo, detector: DetectorInfo) -> dict[str, Any]:
    """The small face; without its density where the engine cannot give it now."""
    nx, ny = detector.shape
    half = nx * detector.pitch_mm / 2, ny * detector.pitch_mm / 2
    try:
        density = impact_density(dataset.name, f"{dataset.showers} {dataset.provenance}", half)
    except EngineError:
        density = packed(np.zeros((face.BINS, face.BINS)))
    return {"reach": [face.REACH * h for h in half], "bins": [face.BINS, face.BINS], "density": density}


def panel_data(
    runs: Sequence[RunInfo], dataset: DatasetInfo, book: Catalogue, particle: Particle, sight: Sight, dark: bool
) -> dict[str, Any]:
    """Everything that the browser needs to draw by itself. runs: the strip's, then those beside it."""
    detector = state.detector_of(dataset, book)
    convention = state.current_convention()
    mask = next((c for c in detector.conventions if c.name == convention), None)
    drawn = readout_data(detector.name, convention, tuple(map(tuple, mask.channel))) if mask else None
    return {
        "key": state.API_KEY,
        "base": base_path(),
        "models": [
            {"run": run.run_id, "step": state.current_step() if k == 0 else None, "name": run.name or run.model}
            for k, run in enumerate(runs)
        ],
        "seed": state.current_seed(),
        "convention": convention,
        "data": dataset.name,
        "label": dataset.label,
        "detector": {"shape": list(detector.shape), "pitch_mm": detector.pitch_mm, "z_cm": detector.z_cm},
        "readout": drawn,
        "pad": pad(dataset, detector),
        "particles": [{**p.model_dump(), "trained": p.pdg in dataset.pdg} for p in book.particles],
        "axes": {SLIDER_OF[c.name]: axis(c) for c in dataset.conditions if c.name in SLIDER_OF},
        "presets": [
            {"name": p.name, "why": p.why, "particle": p.particle.model_dump()}
            for p in presets(dataset, detector, book)
        ],
        "particle": particle.model_dump(),
        "sight": sight.model_dump(),
        "revision": st.session_state.get(state.PANEL_REVISION, 0),
        "palette": packed(VIRIDIS),
        "diverging": packed(DIVERGING),
        "dark": dark,  # so that the panel is drawn again, in the other ink
    }  # fmt: skip


def show(runs: Sequence[RunInfo], dataset: DatasetInfo, book: Catalogue, dark: bool) -> tuple[Particle, Sight]:
    """Draw the panel; the particle as it was last let go, and how it is looked at."""
    particle, sight = state.current_particle(), sights.current()
    result = mount()(
        key=state.PANEL,
        data=panel_data(runs, dataset, book, particle, sight, dark),
        on_particle_change=lambda: None,
        on_sight_change=lambda: None,
    )
    told, looked = getattr(result, "particle", None), getattr(result, "sight", None)
    try:
        particle = Particle.model_validate(told) if told else particle
        sight = Sight.model_validate(looked) if looked else sight
    except ValueError as error:
        raise WrongInput("the panel sent something that is no particle: reload the page") from error
    if particle != st.session_state[state.PARTICLE]:
        st.session_state[state.PARTICLE] = particle
    state.write_link(particle)
    sights.keep(sight)
    return particle, sight

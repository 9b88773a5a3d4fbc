"""Generate: what the read-out counts, generated against a reference at the same particles."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import streamlit as st

from app import state
from app.charts import face, histogram, numbers, radial
from app.components import geant4
from engine.schema import Arrays, Catalogue, DatasetInfo, DetectorInfo, GenerateRequest, Particle

NEIGHBOURS = 48
MATCHED = 4
"""Generated showers for each simulated neighbour."""
NAMES = (*(f"channel {k + 1}" for k in range(5)), "photon sum")
REFERENCES = {
    "neighbours": "simulated neighbours",
    "replicas": "replicas of the nearest",
    "geant4": "Geant4, this very particle",
}
INTERVALS = {"garwood": "Garwood", "sqrt": "√N"}


@dataclass(frozen=True)
class Choice:
    """What is compared, and how it is drawn."""

    reference: str
    interval: str
    log: bool


@dataclass(frozen=True)
class Side:
    """Showers of one side: light of the five channels and in all, (n, 6); how it falls off."""

    light: np.ndarray
    profile: radial.Profile
    label: str


@dataclass(frozen=True)
class Compared:
    """Reference and model at the same particles. said: what the reference is, in words; stale: of a gone engine."""

    reference: Side
    generated: Side
    said: str
    stale: bool = False

    def rows(self) -> list[numbers.Row]:
        return numbers.rows_of(NAMES, "photons", self.reference.light, self.generated.light)


def choose() -> Choice:
    """The row above the charts."""
    left, middle, right = st.columns([3.2, 1.4, 1], gap="medium", vertical_alignment="bottom")
    reference = left.segmented_control(
        "Reference", list(REFERENCES), default="neighbours", format_func=lambda name: REFERENCES[name],
        key=state.REFERENCE, bind="query-params", required=True,
        help="What generated showers are compared with, always at the same particles: simulated showers nearest in "
        "conditions, the simulations of the nearest particle alone, or Geant4's showers of this very particle, once "
        "they are simulated here.",
    )  # fmt: skip
    interval = middle.segmented_control(
        "Bars", list(INTERVALS), default="garwood", format_func=lambda name: INTERVALS[name], key=state.INTERVAL,
        bind="query-params", required=True, help="Of the reference's counts: central 68 % Poisson intervals, or √N.",
    )  # fmt: skip
    log = right.toggle("log counts", key=state.LOG_COUNTS, bind="query-params")
    return Choice(str(reference or "neighbours"), str(interval or "garwood"), bool(log))


def compare(
    name: str, request: GenerateRequest, made: Arrays, near: Arrays, particle: Particle, dataset: DatasetInfo,
    book: Catalogue,
) -> Compared | None:  # fmt: skip
    """The showers of both sides; None where the data set has no read-out. name: of the reference. made: the ensemble at
    the very particle."""
    detector = state.detector_of(dataset, book)
    mask = next((c for c in detector.conventions if c.name == request.convention), None)
    if mask is None:
        return None
    channel = np.asarray(mask.channel)
    missing = ""
    if name == "geant4":
        simulated = geant4.showers_here(particle, dataset)
        if simulated is not None:
            return Compared(
                side(simulated, channel, detector, f"{len(simulated['showers'])} by Geant4"),
                side(made, channel, detector, f"{len(made['showers'])} generated"),
                "Geant4's showers of this very particle, generated ones at it too",
            )  # fmt: skip
        missing = "**Geant4 has not simulated this particle here yet** (button below); neighbours meanwhile. "
    found = near
    if name == "replicas":
        found = only(found, same_primary(found))
    rows = np.asarray(found["conditions"], float)
    n = MATCHED
    if name == "replicas":
        rows, n = rows[:1], MATCHED * NEIGHBOURS
    matched = state.keep("matched", lambda: state.engine().generate(at_rows(request, rows, n)))
    far = float(found["distance"][-1]) if "distance" in found else float("nan")
    shown = len(found["showers"])
    said = (
        f"the {shown} simulations of the nearest particle (distance {far:.2f}), {n} generated at its conditions"
        if name == "replicas"
        else f"simulated showers nearest in conditions (up to distance {far:.2f}), {n} generated at those of each"
    )
    label = f"{shown} simulated replicas" if name == "replicas" else f"{shown} simulated neighbours"
    return Compared(
        side(found, channel, detector, label),
        side(matched.value, channel, detector, f"{len(matched.value['showers'])} generated at their conditions"),
        missing + said[0].upper() + said[1:] if missing else said,
        matched.stale,
    )


def at_rows(request: GenerateRequest, rows: np.ndarray, n: int) -> GenerateRequest:
    """Showers at the reference's own conditions: distributions compare at equal particles only."""
    return request.model_copy(update={"particle": None, "conditions": rows.tolist(), "n": n})


def same_primary(near: Arrays) -> np.ndarray:
    """The replicas of the nearest primary: simulations of one and the same particle."""
    return np.flatnonzero(near["primary_id"] == near["primary_id"][0])


def only(found: Arrays, rows: np.ndarray) -> Arrays:
    return Arrays({name: value[rows] for name, value in found.arrays.items()}, found.meta)


def side(showers: Arrays, channel: np.ndarray, detector: DetectorInfo, label: str) -> Side:
    """Light and profile of showers with conditions."""
    pictures = np.asarray(showers["showers"], np.float32)
    flat = pictures.reshape(len(pictures), -1)
    sums = flat @ (channel.ravel()[:, None] == np.arange(5)).astype(np.float32)
    impact = face.impact_mm(showers["conditions"], detector.z_cm)
    return Side(
        np.column_stack([sums, flat.sum(1)]), radial.profile(pictures, impact, detector.pitch_mm), label
    )  # fmt: skip


def draw(compared: Compared, choice: Choice, dataset: DatasetInfo, dark: bool) -> None:
    """Five channels, the photon sum and the radial profile, each with its ratio."""
    reference, generated = compared.reference, compared.generated
    st.echarts_chart(
        histogram.panels(
            NAMES,
            list(reference.light.T),
            list(generated.light.T),
            dark,
            labels=(reference.label, generated.label),
            interval="sqrt" if choice.interval == "sqrt" else "garwood",
            log=choice.log,
            more=[radial.panel(reference.profile, generated.profile)],
        ),
        height=330,
        key="channels",
        alt="Histograms of five read-out channels and the photon sum, and the radial profile, with ratio panels",
    )
    bars = "68 % Garwood intervals" if choice.interval == "garwood" else "√N bars"
    st.caption(
        f"Read-out convention **{html.escape(state.current_convention())}**. Points: {compared.said}; counts with "
        f"{bars}, the line scaled to their number. The last bin holds the overflow; ratios stop at 2, the band is the "
        "reference's own error. Light: share of all light per mm² of face in rings around each impact point, errors "
        f"from the scatter between showers. Simulation: {dataset.label}."
    )


def about(compared: Compared, request: GenerateRequest, particle: Particle, dataset: DatasetInfo) -> dict[str, object]:
    """What the numbers are of, for the table that is taken away."""
    return {
        "run": request.run, "step": "newest" if request.step is None else request.step, "seed": request.seed,
        "particle": particle.model_dump_json(), "data": dataset.label, "convention": request.convention,
        "reference": f"{compared.reference.label}: {compared.said}".replace("*", ""),
        "generated": compared.generated.label,
    }  # fmt: skip

"""Names of session and URL keys, the engine in use, and answers kept for when it goes away."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import streamlit as st

from app.client import Client
from engine.schema import (
    Arrays,
    BrokenGenerator,
    Catalogue,
    ConditionInfo,
    DataKind,
    DatasetInfo,
    DetectorInfo,
    Engine,
    EngineDown,
    Particle,
    ParticleInfo,
    RunInfo,
    TrainSpec,
)

T = TypeVar("T")

API_KEY = secrets.token_urlsafe(32)
"""Drawn per process; the page hands it to its own component, whose requests to /api must carry it."""

# Keys of widgets that stand in the URL, so that a copied link reopens the same view.
RUN, STEP, SEED, CONVENTION = "run", "step", "seed", "convention"
ENSEMBLE = "n"
TRAIN_DATA, TRAIN_MODEL, TRAIN_RUNS, TRAIN_START = "data", "model", "runs", "from"
CURVE_AXES, SMOOTHING, TRAIN_STEP = "axes", "smooth", "at"
MAP_COLOUR, MAP_POINTS, MAP_PERPLEXITY = "colour", "points", "perplexity"
MAP_SPACE, MAP_LAYERS, MAP_BESIDE = "space", "layers", "beside"
POINT_A, POINT_B, WALK, WALK_AT = "a", "b", "walk", "t"
GATE_KINDS, GATE_LAYER, COVERED = "kinds", "layer", "covered"
SET, SPECIES, PHOTONS, AGAINST = "set", "species", "photons", "against"
VIEW, OTHER, DETECTOR, REPLICAS = "view", "to", "detector", "replicas"
RECORD, RECORD_ROW = "record", "row"
CLASS, SAMPLES, SHUFFLE = "class", "samples", "shuffle"
HALF, COMPARED, JUDGED_ON, JUDGED_OF = "half", "models", "on", "of"
READING, LEAST, SLOW = "reading", "least", "slow"
GROUP, SPECTRUM, BATCH = "group", "spectrum", "batch"
LIKE_WHICH, PLACE, LIGHT = "like_which", "place", "light"
BROKEN, WEAK, OVER, CELL = "broken", "weak", "over", "cell"
ALSO, REFERENCE, INTERVAL, LOG_COUNTS = "also", "reference", "bars", "log"
LESSON = "lesson"
TOY, TOY_VIEW, CLUSTERS, EPOCHS = "toy", "show", "k", "epochs"
SCAN_OPEN, SCAN_LIGHT, SCAN_SHOWERS, BULK_OPEN = "scan", "scan_light", "scan_n", "bulk"

# A lasso lives in the browser's chart, and a region is known only when it is found.
LASSO, MAP_REGION = "lasso", "region"
PARTICLE_URL = {
    "pdg": "pdg",
    "energy_gev": "E",
    "px_gev": "px",
    "py_gev": "py",
    "vx_cm": "vx",
    "vy_cm": "vy",
    "vz_cm": "vz",
    "side": "side",
}

# Keys of the session alone.
PARTICLE, PANEL, PANEL_REVISION, SIGHT = "_particle", "panel", "_panel_revision", "_sight"
KEPT, RETRY = "_kept", "_retry"
MOST_KEPT = 24
"""Answers that a session holds for bad times; the oldest goes first."""
WATCHED, PAGES, RUNS = "_watched", "_pages", "_runs"
REPORT = "import_report"

CONVENTIONS = ("paper", "moe", "o2", "o2-debug")
LATEST = "latest"

DEFAULT_PARTICLE = Particle(px_gev=0.04, py_gev=0.025)
"""Where the first page opens: a neutron of 500 GeV, off the middle so that no tower border hides its shape."""

_injected: Callable[[], Engine] | None = None


def use_engine(factory: Callable[[], Engine] | None) -> None:
    """Let the pages speak to another engine than the HTTP one (tests); None goes back."""
    global _injected
    _injected = factory


@st.cache_resource(show_spinner=False)
def http_engine() -> Client:
    """One client, hence one pool of connections, for all sessions."""
    return Client()


def engine() -> Engine:
    """The engine that the pages ask."""
    return _injected() if _injected else http_engine()


# ------------------------------------------------------------------------------------------ immutable: cached
@st.cache_resource(show_spinner=False, ttl=600)
def catalogue() -> Catalogue:
    return engine().catalogue()


@st.cache_resource(show_spinner=False, ttl=600)
def broken() -> list[BrokenGenerator]:
    return engine().broken()


@st.cache_resource(show_spinner=False, ttl=60)
def datasets() -> list[DatasetInfo]:
    return engine().datasets()


@st.cache_resource(show_spinner=False, max_entries=8)
def columns(data: str, convention: str, provenance: str) -> Arrays:
    """Every shower's numbers, without pictures. Shared by all sessions: do not write into it. `provenance` tells an
    import from a later one of the same name."""
    return engine().columns(data, convention)


def forget_data() -> None:
    """Ask again which data sets there are: one was made, imported or removed."""
    datasets.clear()
    columns.clear()


def known_columns(dataset: DatasetInfo, convention: str) -> Arrays:
    """`columns`, the last good ones where the engine is gone."""
    asked = f"columns {dataset.name} {convention}"
    return keep(asked, lambda: columns(dataset.name, convention, f"{dataset.showers} {dataset.provenance}")).value


# ------------------------------------------------------------------------------------------ kept for bad times
@dataclass(frozen=True)
class Kept(Generic[T]):
    """An answer of the engine; `stale` when it is the last good one of an engine that is gone."""

    value: T
    stale: bool


def keep(key: str, ask: Callable[[], T]) -> Kept[T]:
    """Ask the engine; where it is gone, give the session's last good answer under this key.

    Raises `EngineDown` when there is none.
    """
    kept = st.session_state.setdefault(KEPT, {})
    try:
        answer = ask()
    except EngineDown:
        if key not in kept:
            raise
        return Kept(kept[key], stale=True)
    kept.pop(key, None)
    kept[key] = answer
    while len(kept) > MOST_KEPT:
        del kept[next(iter(kept))]
    return Kept(answer, stale=False)


# ------------------------------------------------------------------------------------------------ small look-ups
def dataset_named(name: str, among: list[DatasetInfo]) -> DatasetInfo | None:
    return next((d for d in among if d.name == name), None)


def dataset_of(run: RunInfo) -> DatasetInfo | None:
    """The set that a run learned from; None where it is gone."""
    return dataset_named(run.data, keep("datasets", datasets).value)


def kind_of(run: RunInfo) -> DataKind:
    """What a run's examples are; showers where its set is gone, for only those can be imported."""
    dataset = dataset_of(run)
    return dataset.kind if dataset else "showers"


def in_order(sets: list[DatasetInfo]) -> list[DatasetInfo]:
    """As pickers list them: what is trained on by default, other ready sets, imports, what is not made yet."""
    first = TrainSpec().data
    return sorted(sets, key=lambda d: (d.name != first, not d.ready, d.imported))


def title_of(dataset: DatasetInfo) -> str:
    """How a set stands in pickers. It stands in links too, so it holds nothing that changes and is no other's."""
    if not dataset.imported:
        return dataset.title
    return f"{dataset.title} (imported)" if dataset.name in dataset.title else f"{dataset.title} ({dataset.name})"


def detector_of(dataset: DatasetInfo, book: Catalogue) -> DetectorInfo:
    """The detector of a data set; one without names and conventions where the engine knows none (toys, digits)."""
    found = next((d for d in book.detectors if d.name == dataset.detector), None)
    if found:
        return found
    return DetectorInfo(
        name=dataset.detector,
        title=dataset.title,
        shape=(dataset.shape[0], dataset.shape[-1]),
        pitch_mm=1.0,
        z_cm=0.0,
        conventions=[],
    )


def particle_named(pdg: int, book: Catalogue) -> ParticleInfo:
    found = next((p for p in book.particles if p.pdg == pdg), None)
    return found or ParticleInfo(pdg=pdg, name=f"PDG {pdg}", symbol=str(pdg), mass_mev=0.0, charge_e=0.0)


def condition_named(name: str, dataset: DatasetInfo) -> ConditionInfo | None:
    return next((c for c in dataset.conditions if c.name == name), None)


def hold(key: str) -> str:
    """A query parameter written by hand: the session's, or the link's."""
    held = f"_{key}"
    if held not in st.session_state:
        st.session_state[held] = st.query_params.get(key, "")
    return st.session_state[held]


def change(key: str, value: str, linked: bool = True) -> None:
    """Set a query parameter written by hand; `linked`: whether it goes into the link."""
    st.session_state[f"_{key}"] = value
    if value and linked:
        st.query_params[key] = value
    elif key in st.query_params:
        del st.query_params[key]


def current_run() -> RunInfo | None:
    """The run chosen in the header strip, None where there is none."""
    runs: list[RunInfo] = st.session_state.get(RUNS, [])
    return next((r for r in runs if r.run_id == st.session_state.get(RUN)), None)


def current_step() -> int | None:
    """The checkpoint chosen in the header strip; None is the newest."""
    step = st.session_state.get(STEP, LATEST)
    return None if step in (None, LATEST) else int(step)


def current_seed() -> int:
    return int(st.session_state.get(SEED) or 0)


def current_convention() -> str:
    return st.session_state.get(CONVENTION) or CONVENTIONS[0]


def current_particle() -> Particle:
    """The particle on the Generate page: the session's, or the link's, or a neutron of 500 GeV."""
    if PARTICLE not in st.session_state:
        st.session_state[PARTICLE] = particle_from_link(dict(st.query_params))
    return st.session_state[PARTICLE]


def particle_from_link(query: dict[str, str]) -> Particle:
    """The particle that a link describes. A value that is no number, or no particle, counts as absent."""
    given = {name: query[short] for name, short in PARTICLE_URL.items() if short in query}
    try:
        if "pdg" in given:
            given["pdg"] = str(int(given["pdg"]))
        if not given:
            return DEFAULT_PARTICLE
        numbers = {k: int(v) if k in ("pdg", "side") else float(v) for k, v in given.items()}
        return Particle.model_validate(numbers)
    except ValueError:  # pydantic's ValidationError is one
        return DEFAULT_PARTICLE


def write_link(particle: Particle) -> None:
    """Put the particle into the URL, leaving out zeros; the first page has the bare one."""
    for name, short in PARTICLE_URL.items():
        value = getattr(particle, name)
        if particle != DEFAULT_PARTICLE and value != getattr(Particle(), name):
            st.query_params[short] = f"{value:g}" if isinstance(value, float) else str(value)
        elif short in st.query_params:
            del st.query_params[short]


def has_latent(run: RunInfo, book: Catalogue) -> bool:
    """Whether the run's model encodes showers, so that there is a map to draw."""
    return all(model.has_latent for model in book.models if model.name == run.model)

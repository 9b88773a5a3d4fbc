"""Generate: response and resolution against energy, what a calorimeter physicist looks at first."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from app import state
from app.charts import resolution
from app.charts.resolution import Fit, Points
from app.components import geant4, notices
from app.components.words import clock, measured, plain
from engine.schema import Arrays, Catalogue, DatasetInfo, EngineError, RunInfo, ScanRequest

ENERGIES = 16
AT_ONCE = 4
SHOWERS = [100, 200, 500, 1000]
LIGHTS = ("photon sum", *(f"channel {k + 1}" for k in range(5)))
COLUMNS = ("energy_gev", "mean", "mean_error", "sigma", "sigma_error")
RUNNING, DONE = "_scan_running", "_scan_done"
TICK_S = 0.1


@dataclass
class Scan:
    """A scan under way or done. Pieces: the simulated showers first, then energies a few at a time."""

    request: ScanRequest
    """With all energies."""
    title: str
    pieces: list[Arrays] = field(default_factory=list)
    seconds: float = 0.0
    state: str = "running"
    error: str = ""

    @property
    def total(self) -> int:
        return 1 + -(-len(self.request.energies_gev) // AT_ONCE)

    def reached(self) -> str:
        return f"{max(0, len(self.pieces) - 1) * AT_ONCE} of {len(self.request.energies_gev)} energies"

    def next_piece(self) -> ScanRequest:
        if not self.pieces:
            return self.request.model_copy(update={"energies_gev": [], "simulated": True})
        start = AT_ONCE * (len(self.pieces) - 1)
        return self.request.model_copy(update={"energies_gev": self.request.energies_gev[start : start + AT_ONCE]})

    def generated(self, light: int) -> Points:
        parts = self.pieces[1:]
        return Points(*(np.concatenate([column(part, name, "", light) for part in parts]) for name in COLUMNS))

    def simulated(self, light: int, before: str = "simulated_") -> Points:
        return Points(*(column(self.pieces[0], name, before, light) for name in COLUMNS))


def column(part: Arrays, name: str, before: str, light: int) -> np.ndarray:
    """One of `COLUMNS` of a piece, of photon sum (0) or channel; matched showers have the simulated ones' energies."""
    if name == "energy_gev":
        return np.asarray(part["simulated_energy_gev" if before else "energy_gev"], float)
    return np.asarray(part[before + name], float)[:, light]


# ------------------------------------------------------------------------------------------------------------- page
@st.fragment
@notices.guarded
def show(run: RunInfo, dataset: DatasetInfo, book: Catalogue) -> None:
    """A section that is drawn when it is opened."""
    box = st.expander(
        "Energy scan: response, linearity, resolution", icon=":material/show_chart:", key=state.SCAN_OPEN,
        on_change="rerun", bind="query-params",
    )  # fmt: skip
    if not box.open:
        return
    with box:
        section(run, dataset, book)


def section(run: RunInfo, dataset: DatasetInfo, book: Catalogue) -> None:
    running: Scan | None = st.session_state.get(RUNNING)
    done: Scan | None = st.session_state.get(DONE)
    words, light, showers, button = st.columns([2.1, 3, 0.9, 1.2], gap="medium", vertical_alignment="bottom")
    name = light.segmented_control(
        "Light",
        LIGHTS,
        default=LIGHTS[0],
        format_func=lambda name: name.replace("channel", "ch"),
        key=state.SCAN_LIGHT,
        bind="query-params",
        required=True,
    )
    n = showers.selectbox(
        "Showers an energy", SHOWERS, index=1, key=state.SCAN_SHOWERS, bind="query-params"
    )  # fmt: skip
    cost = ENERGIES * int(n) * geant4.model_ms(run.run_id) / 1000
    words.markdown(
        f"The particle above, with its direction kept, at {ENERGIES} energies of the training range: "
        f"{ENERGIES * int(n):,} showers" + (f", about {clock(max(1.0, cost))}." if np.isfinite(cost) else ".")
    )
    button.button(
        "Scan again" if done else "Scan energies", type="secondary" if done else "primary", key="start_scan",
        icon=":material/show_chart:", width="stretch", disabled=bool(running and running.state == "running"),
        on_click=start, args=(run, dataset, book, int(n)),
    )  # fmt: skip
    if running and running.state == "running":
        ticker(running)
    elif running:
        stopped(running)
    if done:
        standing(done, run, book)
        results(done, LIGHTS.index(name or LIGHTS[0]))


def energies_of(dataset: DatasetInfo) -> list[float]:
    """Equal steps in log E over the training range (1–99 %)."""
    condition = state.condition_named("Energy", dataset)
    low, high = (condition.quantiles[0], condition.quantiles[-1]) if condition else (10.0, 1000.0)
    return [float(f"{e:.5g}") for e in np.geomspace(max(low, 1.0), max(high, 2.0), ENERGIES)]


def start(run: RunInfo, dataset: DatasetInfo, book: Catalogue, n: int) -> None:
    request = request_now(run, n).model_copy(update={"energies_gev": energies_of(dataset)})
    st.session_state[RUNNING] = Scan(request, title_of(request, run, book))


def request_now(run: RunInfo, n: int) -> ScanRequest:
    return ScanRequest(
        run=run.run_id, step=state.current_step(), particle=state.current_particle(), n=n, seed=state.current_seed(),
        convention=state.current_convention(),
    )  # fmt: skip


def title_of(request: ScanRequest, run: RunInfo, book: Catalogue) -> str:
    symbol = state.particle_named(request.particle.pdg, book).symbol
    return f"{symbol}, {run.name or run.model}, seed {request.seed}, read-out {request.convention}"


def same_particle(one: ScanRequest, other: ScanRequest, book: Catalogue) -> bool:
    """Whether two scans are of the same model, seed and line of flight; the energy of the particle does not count."""

    def key(request: ScanRequest) -> tuple[object, ...]:
        kind = state.particle_named(request.particle.pdg, book)
        row = request.particle.conditions(kind.mass_mev, kind.charge_e)
        slope = [round(1e6 * p / row[6], 1) for p in row[4:6]]
        where = (request.run, request.step, request.seed, request.convention, request.particle.pdg)
        return (*where, *row[1:4], *slope, request.particle.side)

    try:
        return key(one) == key(other)
    except EngineError:  # the present particle is off its mass shell
        return False


# --------------------------------------------------------------------------------------------------------- under way
@st.fragment(run_every=TICK_S)
@notices.guarded
def ticker(scan: Scan) -> None:
    """A piece a tick, so that a click on Cancel waits for one at most; the page is drawn again at the end."""
    if scan.state != "running":
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(len(scan.pieces) / scan.total, text=how_far(scan), width="stretch")
        st.button("Cancel", icon=":material/stop:", key="cancel_scan", on_click=cancel, args=(scan,))
    advance(scan)
    if scan.state != "running":
        st.rerun()


def how_far(scan: Scan) -> str:
    said = [f"Scanning {scan.title}", scan.reached()]
    if scan.seconds > 1 and scan.pieces:
        left = scan.seconds / len(scan.pieces) * (scan.total - len(scan.pieces))
        said.append(f"about {clock(left)} left")
    return " · ".join(said)


def advance(scan: Scan) -> None:
    """Ask for the next piece; what the engine cannot do ends the scan, and what is there is kept to go on from."""
    began = time.perf_counter()
    try:
        scan.pieces.append(state.engine().scan(scan.next_piece()))
    except EngineError as error:
        scan.state, scan.error = "failed", str(error)
        return
    scan.seconds += time.perf_counter() - began
    if len(scan.pieces) == scan.total:
        scan.state = "finished"
        st.session_state[DONE] = scan
        st.session_state.pop(RUNNING, None)


def cancel(scan: Scan) -> None:
    scan.state = "cancelled"


def stopped(scan: Scan) -> None:
    """Cancelled or failed: why, and how to go on."""
    kept = f"{scan.reached()} are kept."
    left, right = st.columns([5, 1], vertical_alignment="center")
    if scan.state == "failed":
        left.error(f"**The scan stopped.** {plain(scan.error)} {kept}", icon=":material/error:")
    else:
        left.caption(f"Cancelled; {kept}")
    right.button(
        "Go on", icon=":material/play_arrow:", key="resume_scan", width="stretch", on_click=go_on, args=(scan,)
    )


def go_on(scan: Scan) -> None:
    scan.state = "running"


# ----------------------------------------------------------------------------------------------------------- results
@st.fragment(run_every=1.0)
def standing(scan: Scan, run: RunInfo, book: Catalogue) -> None:
    """Whose scan it is, and whether that is still the particle above: it moves without this part being drawn."""
    if same_particle(scan.request, request_now(run, scan.request.n), book):
        st.caption(f"Scan of {plain(scan.title)}: {scan.seconds:.1f} s.")
    else:
        now = "another particle, model or seed now stands above"
        st.caption(f":orange-background[**Stale**] Scan of {plain(scan.title)}: {now}.")


def results(scan: Scan, light: int) -> None:
    """Both charts, the fits in words, and what the points are."""
    dark = st.context.theme.type == "dark"
    model, simulated, matched = (
        points.lit() for points in (scan.generated(light), scan.simulated(light), scan.simulated(light, "matched_"))
    )
    if not len(model.energy_gev):
        notices.empty(f"No light in the {LIGHTS[light]} at any energy: this particle does not reach it.")
        return
    fits = resolution.fit_resolution(model), resolution.fit_resolution(simulated)
    left, right = st.columns(2, gap="medium")
    with left:
        st.echarts_chart(
            resolution.response_chart(model, simulated, matched, dark), height=resolution.HEIGHT, key="scan_response",
            alt="Mean light over energy against energy, with its ratio to the constant that fits",
        )  # fmt: skip
        st.markdown(linearity(model, simulated))
    with right:
        st.echarts_chart(
            resolution.resolution_chart(model, simulated, matched, fits, dark), height=resolution.HEIGHT,
            key="scan_resolution", alt="Resolution, σ over mean light, against energy, with fits",
        )  # fmt: skip
        st.markdown("  \n".join(fit_words(n, f) for n, f in zip(("Generated", "Simulated"), fits, strict=True)))
    st.caption(what(scan))


def linearity(model: Points, simulated: Points) -> str:
    said = []
    for name, points in (("Generated", model), ("Simulated", simulated)):
        value, error = resolution.fit_constant(points)
        if np.isfinite(value):
            off = np.abs(points.response()[0] / value - 1).max()
            said.append(f"**{name}**: {measured(value, error)} photons/GeV, at most {100 * off:.1f} % off it")
    return "  \n".join(said) or "No constant fits."


def fit_words(name: str, fit: Fit | None) -> str:
    if fit is None:
        return f"**{name}**: too few points for a fit"
    a, b = measured(100 * fit.a, 100 * fit.a_error), measured(100 * fit.b, 100 * fit.b_error)
    return f"**{name}**: ({a}) %·√GeV / √E ⊕ ({b}) %, χ²/ndf {fit.chi2:.1f}/{fit.ndf}"


def what(scan: Scan) -> str:
    meta = scan.pieces[0].meta
    n, counts = int(meta.get("showers", 0)), np.asarray(scan.pieces[0]["simulated_n"])
    warnings = " ".join(str(w).rstrip(".") + "." for w in meta.get("warnings", []))
    simulated = (
        f"Points: {n:,} showers simulated with {meta.get('label') or 'Geant4'}, all that hit within "
        f"{float(meta.get('radius_mm', 0)):.1f} mm of this particle's impact point, {len(counts)} ranges of energy of "
        f"{counts.min()} to {counts.max()}, each shower's light scaled to its range's mean energy; diamonds: generated "
        "at the very conditions of each."
        if len(counts)
        else "No simulated showers to compare with."
    )
    return plain(
        f"Line: {scan.request.n} showers an energy, the band their statistical error (of the mean; of σ by √(2(n−1))). "
        f"{simulated} Fits: least squares with these errors. {warnings}"
    )

"""Latent space: encoded data against generated noise, and the showers behind any region of the map."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import state
from app.charts import histogram, picture, scatter
from app.components import kinds, notices, tasks
from app.views import classes
from engine.schema import Arrays, Catalogue, MapRequest, RunInfo

COLOURS = {
    "showers": ["layer", "species", "energy", "photon sum"], "images": ["layer", "class"], "points": ["layer", "class"],
}  # fmt: skip
"""What points can be coloured by, where their data are of a kind."""
SIZES = [300, 500, 1000, 2000, 5000]
GALLERY, ACROSS = 30, 10
HEIGHT = 600
BUSY = ("queued", "running")


def show() -> None:
    """The page."""
    run = state.current_run()
    if run is None:
        state.engine().health()
        notices.no_model()
        return
    book = state.keep("catalogue", state.catalogue).value
    if not state.has_latent(run, book):
        notices.empty(
            f"{run.name} has no encoder, so there is no latent space to look into. Choose another model above."
        )
        return
    dataset = state.dataset_of(run)
    if dataset is not None and not dataset.ready:
        tasks.prepare(dataset)
        return
    request, colour_by = choose_map(run)
    kept = state.keep(f"map {request.model_dump_json()}", lambda: state.engine().map(request))
    if kept.stale:
        notices.stale()
    busy = kept.value.meta.get("state") in BUSY
    # While the map is computed the part asks again every second; afterwards it reruns on a lasso only.
    st.fragment(run_every=1.0 if busy else None)(explore)(run, request, colour_by, book, busy)


def choose_map(run: RunInfo) -> tuple[MapRequest, str]:
    """Checkpoint, colour, size and perplexity of the map."""
    colours = COLOURS[state.kind_of(run)]
    if st.session_state.get(state.MAP_COLOUR) not in colours:
        st.session_state.pop(state.MAP_COLOUR, None)  # another kind of data left it
    colour, points, perplexity, scrub = st.columns([2.1, 0.8, 1, 1.9], vertical_alignment="bottom")
    colour_by = colour.segmented_control(
        "Colour", colours, default=colours[0], required=True, key=state.MAP_COLOUR, bind="query-params"
    )
    n = points.selectbox("Points a layer", SIZES, 2, key=state.MAP_POINTS, bind="query-params")
    wide = perplexity.number_input(
        "Perplexity", 2.0, 200.0, 30.0, 5.0, key=state.MAP_PERPLEXITY, bind="query-params",
        help="How many neighbours each point tries to keep. The map changes with it; the metrics do not.",
    )  # fmt: skip
    with scrub:
        step = choose_step(run)
    request = MapRequest(run=run.run_id, step=step, n=int(n), perplexity=float(wide), seed=state.current_seed())
    return request, str(colour_by or colours[0])


def choose_step(run: RunInfo) -> int | None:
    """The scrubber over the run's checkpoints; the strip's checkpoint leads until it is moved."""
    steps = [c.step for c in run.checkpoints]
    if len(steps) < 2:
        return state.current_step()
    epochs = {c.step: c.epoch for c in run.checkpoints}
    options = [*map(str, steps), state.LATEST]
    if st.session_state.get(state.TRAIN_STEP) not in options:
        st.session_state.pop(state.TRAIN_STEP, None)
    led = state.current_step()
    chosen = st.select_slider(
        "Checkpoint", options, state.LATEST if led is None else str(led), key=state.TRAIN_STEP, bind="query-params",
        format_func=lambda s: "newest" if s == state.LATEST else f"step {s}, epoch {epochs[int(s)]}",
    )  # fmt: skip
    return None if chosen == state.LATEST else int(chosen)


@notices.guarded
def explore(run: RunInfo, request: MapRequest, colour_by: str, book: Catalogue, busy: bool) -> None:
    """Map, gates, gallery and histograms; a lasso reruns only this."""
    points = state.keep(f"map {request.model_dump_json()}", lambda: state.engine().map(request)).value
    meta = points.meta
    if busy and meta.get("state") not in BUSY:
        st.rerun()
    if meta.get("state") == "failed":
        notices.empty(f"The map could not be computed: {meta.get('error') or 'no reason was given'}")
        return
    if meta.get("state") in BUSY:
        left = f", about {meta['eta_s']:.0f} s left" if meta.get("eta_s") else ""
        st.progress(min(1.0, float(meta.get("progress", 0.0))), text=f"Computing the map ({meta['state']}{left})")
    if "xy" not in points or not len(points["xy"]):
        with st.container(height=HEIGHT, border=True, key="map_wait"):
            st.caption("The first map of this checkpoint is being computed.")
        return
    dataset = state.dataset_of(run)
    other = dataset if dataset and dataset.kind != "showers" else None
    names = kinds.class_names(other) if other else {p.pdg: p.symbol for p in book.particles}
    left, right = st.columns([1.35, 1], gap="medium")
    with left:
        lassoed = draw_map(points, colour_by, names, run.run_id if other else "")
        st.caption(
            f"t-SNE of run {run.name or run.run_id} at step {meta.get('step', 0):,} (epoch {meta.get('epoch', 0)}), "
            f"seed {request.seed}. Distances on the map mean little; **all metrics are computed in latent space, "
            "never on the map.** Lasso: the polygon button at the top right of the map."
            + (" A click decodes a point. Circles: encoded data; diamonds: generated noise." if other else "")
        )
    if other:
        dark = st.context.theme.type == "dark"
        with right:
            chosen = classes.apply_gates(points, lassoed, other)
            classes.gallery(run, request, points, chosen, other, dark, bool(len(lassoed)))
        classes.selection_shares(points, chosen, other)
        return
    with right:
        chosen = apply_gates(points, lassoed, names)
        gallery(run, request, points, chosen)
    selection_histograms(points, chosen)


def draw_map(points: Arrays, colour_by: str, names: dict[int, str], own: str = "") -> np.ndarray:
    """The map; indices of the points in the lasso. own: of which run alone the selection is, where a click selects."""
    event = st.echarts_chart(
        scatter.latent_map(points, colour_by, names, click=bool(own)),
        height=HEIGHT,
        key=f"latent_map_{colour_by}{own}",
        on_select="rerun",
        alt="t-SNE map: blue circles are encoded data, orange diamonds are generated noise",
    )
    selection = getattr(event, "selection", None)
    return scatter.selected_points(points, colour_by, selection, names)


def apply_gates(points: Arrays, lassoed: np.ndarray, names: dict[int, str]) -> np.ndarray:
    """What lasso and numeric gates both keep; nothing when neither is set."""
    energy, light = np.asarray(points["energy"], float), np.asarray(points["photon_sum"], float)
    with st.expander("Gates by number", expanded=False):
        top_e, top_p = float(np.ceil(energy.max())), float(np.ceil(light.max()))
        e_low, e_high = st.slider("Energy [GeV]", 0.0, top_e, (0.0, top_e), key="gate_energy")
        p_low, p_high = st.slider("Photon sum [photons]", 0.0, top_p, (0.0, top_p), key="gate_photons")
        kinds = sorted(np.unique(points["pdg"]).tolist())
        species = st.multiselect("Species", kinds, format_func=lambda p: names.get(p, str(p)), key="gate_species")
        layer = st.segmented_control("Layer", ["both", "data", "noise"], default="both", key="gate_layer")
    gate = (energy >= e_low) & (energy <= e_high) & (light >= p_low) & (light <= p_high)
    if species:
        gate &= np.isin(points["pdg"], species)
    return scatter.kept(points, gate, layer, lassoed)


def gallery(run: RunInfo, request: MapRequest, points: Arrays, chosen: np.ndarray) -> None:
    """The showers behind the selection: simulated ones as they are, noise decoded."""
    layer = np.asarray(points["layer"])
    every = [np.flatnonzero(layer == k) for k in (0, 1)]
    data, noise = (chosen[layer[chosen] == k] for k in (0, 1)) if len(chosen) else every
    if not len(chosen):
        st.caption("Nothing selected: below a sample of the whole map. Draw a lasso on the map, or set a gate above.")
    figures = []
    if len(data):
        rows = np.asarray(points["row"])[scatter.spread(data, GALLERY)].tolist()
        showers = state.engine().showers(run.data, rows)["showers"]
        figures.append(sheet(showers, f"<b>Simulation</b>, {len(showers)} of n/N = {len(data)}/{len(every[0])}"))
    if len(noise):
        codes = np.asarray(points["latent"], float)[scatter.spread(noise, GALLERY)].tolist()
        showers = state.engine().decode(run.run_id, codes, request.step)["showers"]
        figures.append(sheet(showers, f"<b>Decoded noise</b>, {len(showers)} of n/N = {len(noise)}/{len(every[1])}"))
    if not figures:
        notices.empty("No point lies in both the lasso and the gates.")
    st.html(f'<div id="ss-gallery" data-selected="{len(chosen)}">{picture.column_html(figures)}</div>')
    st.caption(
        "Each shower on its own log colour scale; decoded noise is the expected light, simulation whole photons."
    )


def sheet(showers: np.ndarray, caption: str) -> str:
    url = picture.sprite_url(showers, ACROSS)
    width = 54 * min(ACROSS, len(showers))
    return picture.figure_html(url, caption, f"Gallery of {len(showers)} showers", width)


def selection_histograms(points: Arrays, chosen: np.ndarray) -> None:
    """Selection against the rest, in the quantities that each point carries."""
    if not len(chosen):
        return
    inside = np.zeros(len(points["layer"]), bool)
    inside[chosen] = True
    dark = st.context.theme.type == "dark"
    columns = [("photon sum", "photon_sum", "photons"), ("energy", "energy", "GeV")]
    n, rest = int(inside.sum()), int((~inside).sum())
    st.markdown(f"#### Selection against the rest: n/N = {n}/{n + rest}")
    st.echarts_chart(
        histogram.panels(
            [title for title, _, _ in columns],
            [np.asarray(points[name], float)[~inside] for _, name, _ in columns],
            [np.asarray(points[name], float)[inside] for _, name, _ in columns],
            dark,
            units=[unit for _, _, unit in columns],
            bins=24,
            ratio="sel. / rest",
            labels=(f"rest ({rest})", f"selection ({n}), scaled to the rest"),
        ),
        height=300 if rest else 1,
        key="selection_histograms",
        alt="Histograms of photon sum and energy, selection against the rest",
    )
    st.caption("Noise points carry the conditions, hence the energy and photon sum, of the shower they answer.")

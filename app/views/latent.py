"""Latent space: data against generated points on one map, what the model covers and misses, and the showers behind."""

from __future__ import annotations

from time import monotonic

import streamlit as st

from app import state
from app.charts import groups
from app.components import kinds, maps, notices, tasks
from app.components.maps import View
from app.components.words import clock, plain
from app.views import behind, coverage, holes, interpolation, selection, twins
from engine.schema import Arrays, Catalogue, DataKind, DatasetInfo, FeatureSpace, MapRequest, RunInfo

SPACES: dict[DataKind, tuple[FeatureSpace, ...]] = {
    "showers": ("latent", "observables", "pixels"), "images": ("latent", "features", "pixels"),
    "points": ("latent", "pixels"),
}  # fmt: skip
NAMES: dict[FeatureSpace, str] = {
    "latent": "latent codes", "observables": "observables", "features": "LeNet features", "pixels": "pixels",
}  # fmt: skip
SIZES = [300, 500, 1000, 2000, 5000, 10_000]
HEIGHT = 560
LAYERS: list[str] = list(groups.LAYERS)


def show() -> None:
    """The page."""
    run = state.current_run()
    if run is None:
        state.engine().health()
        notices.no_model()
        return
    book = state.keep("catalogue", state.catalogue).value
    dataset = state.dataset_of(run)
    if dataset is None:
        notices.empty(
            f"**A data set is gone.** {plain(run.name or run.run_id)} learned from {plain(run.data)}, which is no "
            "longer here: there are no data to lay beside what it generates. Import it again, or choose another model."
        )
        return
    if not dataset.ready:
        tasks.prepare(dataset)
        return
    view = choose(run, dataset, book)
    kept = [maps.ask(view.request)]
    if view.beside:
        kept.append(maps.ask(view.beside.request))
    if any(k.stale for k in kept):
        notices.stale()
    waits = any(maps.busy(k.value) for k in kept)
    every = maps.STAND_S if maps.playing() else 1.0 if waits else 2.0 if view.live else None
    # The part asks again while a map is computed, epochs are walked or a run trains; otherwise it reruns on a choice.
    st.fragment(run_every=every)(explore)(view, waits, monotonic())


# ------------------------------------------------------------------------------------------------------------- pickers
def choose(run: RunInfo, dataset: DatasetInfo, book: Catalogue) -> View:
    """Space, size and perplexity of the map, the second model, and the checkpoint."""
    encodes = state.has_latent(run, book)
    spaces: list[FeatureSpace] = [s for s in SPACES[dataset.kind] if encodes or s != "latent"]
    if st.session_state.get(state.MAP_SPACE) not in spaces:
        st.session_state.pop(state.MAP_SPACE, None)  # another model left it
    space_at, size_at, wide_at, beside_at = st.columns([1.5, 0.8, 0.8, 1.7], vertical_alignment="bottom")
    space = space_at.selectbox(
        "Feature space", spaces, key=state.MAP_SPACE, bind="query-params",
        format_func=lambda s: "coordinates" if dataset.kind == "points" and s == "pixels" else NAMES[s],
        help="What a point is, and where neighbours are counted."
        + ("" if encodes else " This model has no encoder, hence no codes."),
    )  # fmt: skip
    most = dataset.splits.get("validation", 0) + dataset.splits.get("train", 0) or SIZES[-1]
    sizes = [n for n in SIZES if n <= most] or [most]
    if st.session_state.get(state.MAP_POINTS) not in sizes:
        st.session_state.pop(state.MAP_POINTS, None)
    n = size_at.selectbox(
        "Points a layer", sizes, sizes.index(1000) if 1000 in sizes else len(sizes) - 1, key=state.MAP_POINTS,
        bind="query-params",
    )  # fmt: skip
    wide = wide_at.number_input(
        "Perplexity", 2.0, 200.0, 30.0, 5.0, key=state.MAP_PERPLEXITY, bind="query-params",
        help="How many neighbours each point tries to keep. The map changes with it; the metrics do not. "
        "The seed above draws the points.",
    )  # fmt: skip
    with beside_at:
        other = twins.pick(run, book, space != "latent")
    step = choose_step(run)
    settled = step if step is not None else (maps.steps_of(run) or [None])[-1]
    request = MapRequest(
        run=run.run_id, step=settled, n=int(n), perplexity=float(wide), seed=state.current_seed(),
        space=next((s for s in spaces if s == space and s != "latent"), None),
    )  # fmt: skip
    twin = twins.beside(other, request, step) if other else None
    selection.belongs(request, twin)
    names = kinds.class_names(dataset) or {p.pdg: p.symbol for p in book.particles}
    what = "species" if dataset.kind == "showers" else kinds.class_word(dataset)
    dark = st.context.theme.type == "dark"
    return View(
        run, request, dataset, names, what, dark, maps.live(run, step), twin
    )  # fmt: skip


def choose_step(run: RunInfo) -> int | None:
    """The scrubber over the run's checkpoints, and the button that walks them; the strip's checkpoint leads until it
    is moved. None: the newest."""
    steps = maps.steps_of(run)
    if len(steps) < 2:
        return state.current_step()
    maps.take_next()
    epochs = {c.step: c.epoch for c in run.checkpoints}
    options = [*map(str, steps), state.LATEST]
    if st.session_state.get(state.TRAIN_STEP) not in options:
        st.session_state.pop(state.TRAIN_STEP, None)
    led = state.current_step()
    button, scrub = st.columns([0.55, 6], vertical_alignment="bottom")
    on = maps.playing()
    button.button(
        "Stop" if on else "Play", icon=":material/stop:" if on else ":material/play_arrow:", key="play_epochs",
        on_click=maps.play, args=(steps,), width="stretch",
        help="Walk the epochs: each map starts from the one before, so that points move instead of jumping.",
    )  # fmt: skip
    chosen = scrub.select_slider(
        "Checkpoint", options, state.LATEST if led is None else str(led), key=state.TRAIN_STEP, bind="query-params",
        format_func=lambda s: "newest" if s == state.LATEST else f"step {s}, epoch {epochs[int(s)]}",
    )  # fmt: skip
    return None if chosen == state.LATEST else int(chosen)


# ---------------------------------------------------------------------------------------------------------------- parts
@notices.guarded
def explore(view: View, waited: bool, since: float) -> None:
    """Everything that follows the map; a lasso or a gate reruns only this."""
    points = maps.ask(view.request, fresh=False).value
    second = maps.ask(view.beside.request, fresh=False).value if view.beside else None
    waits = maps.busy(points) or (second is not None and maps.busy(second))
    tick(view, points, waited, waits, since)
    if points.meta.get("state") == "failed":
        notices.empty(f"The map could not be computed: {points.meta.get('error') or 'no reason was given'}")
        return
    answer, points = points, maps.shown(view.request, points)
    if not maps.drawn(points):
        with st.container(height=HEIGHT, border=True, key="map_wait"):
            st.caption("The first map of this checkpoint is being computed.")
            progress(view, answer, second)
        return
    side = maps.shown(view.beside.request, second) if view.beside and second is not None else None
    if view.beside:
        places = st.columns(2, gap="medium")
        lists, sheets = st.columns([1, 1.2], gap="medium")
    else:
        first, sheets = st.columns([1.3, 1], gap="medium")
        places, lists = [first], sheets
    with places[0]:
        colour_by, layers = choose_colours(view, points)
    if view.beside:
        with places[1]:
            st.html('<div class="ss-picker"></div>')
    found = coverage.find(view, view.request, waits)
    with lists:
        region = holes.choose(view, found)
        gates = selection.choose_gates(view, points)
    chosen = selection.select(view, points, side, region, gates)
    with sheets:  # before the map: the eye waits for it
        behind.show(view, points, chosen, gates, region)
    marks = interpolation.marked(points)
    for k, place in enumerate(places):
        shown = points if k == 0 else side
        with place:
            if shown is None or not maps.drawn(shown):
                with st.container(height=HEIGHT, border=True, key="second_wait"):
                    failed = second.meta.get("error") if second is not None else ""
                    st.caption(plain(failed) if failed else "The map of the second model is being computed.")
                continue
            selection.draw_map(view, shown, k, points, colour_by, layers, chosen, marks)
            if k == 0:
                progress(view, answer, second)
            if view.beside:
                twins.separability(view, k, shown, waits)
            else:
                below(view, points)
    if view.beside:
        below(view, points)
    behind.against_the_rest(view, points, chosen)
    interpolation.show(view, points)
    coverage.card(view, found)


def tick(view: View, points: Arrays, waited: bool, waits: bool, since: float) -> None:
    """What time alone changes: a map ended, the next epoch of a walk, a newer checkpoint of a training run."""
    if maps.playing():
        step = view.request.step or 0
        if points.meta.get("state") == "failed":
            st.session_state[maps.PLAYING] = False
            st.rerun()
        if not waits and monotonic() - since >= 0.9 * maps.STAND_S:
            maps.onward(maps.steps_of(view.run), step)
            st.rerun()
    elif waited and not waits:
        st.rerun()
    if view.live and not waits:
        newest = state.engine().status(view.run.run_id)
        if newest.state not in maps.LIVE or maps.steps_of(newest)[-1:] != [view.request.step]:
            st.rerun()


def progress(view: View, points: Arrays, second: Arrays | None) -> None:
    """How far the maps are, below them: nothing above jumps when they are done."""
    for title, found in (("the map", points), ("the second map", second)):
        if found is not None and maps.busy(found):
            meta = found.meta
            left = f" · about {clock(meta['eta_s'])} left" if meta.get("eta_s") else ""
            said = f"Computing {title} of step {meta.get('step', 0):,} ({meta['state']}{left})"
            st.progress(min(1.0, float(meta.get("progress", 0.0))), text=said)
            return
    if view.live:
        st.caption(f"Following the training of {plain(view.run.name or view.run.run_id)}: the newest snapshot.")


def choose_colours(view: View, points: Arrays) -> tuple[str, list[str]]:
    """What colours mean, and which layers are drawn."""
    options = groups.colours_for(points, bool(view.names) and "pdg" not in points)
    if st.session_state.get(state.MAP_COLOUR) not in options:
        st.session_state.pop(state.MAP_COLOUR, None)  # another kind of data left it
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        colour = st.selectbox(
            "Colour", options, key=state.MAP_COLOUR, bind="query-params", width=220,
            help="Density ratio: logarithm of generated over data among the nearest neighbours in the feature space: "
            "blue where data stand alone, orange where generated points do.",
        )  # fmt: skip
        layers = st.segmented_control(
            "Layers", LAYERS, selection_mode="multi", default=LAYERS, key=state.MAP_LAYERS, bind="query-params",
            format_func=lambda k: "● data" if k == LAYERS[0] else "◆ generated",
        )  # fmt: skip
        selection.clear_button()
    return str(colour or options[0]), [str(k) for k in layers] or LAYERS


def below(view: View, points: Arrays) -> None:
    meta = points.meta
    held_out = view.request.n <= view.dataset.splits.get("validation", 0)
    data = "held-out data" if held_out else "data, held-out ones first, then of the training split"
    space = NAMES.get(meta.get("space") or view.request.space or "latent", "features")
    st.caption(
        f"t-SNE of {space} of {plain(view.run.name or view.run.run_id)} at step {meta.get('step', 0):,} "
        f"(epoch {meta.get('epoch', 0)}), seed {view.request.seed}. Circles: {data}; diamonds: generated at "
        "their conditions. **All metrics are computed in the feature space, never on the map**, where distances mean "
        "little. Lasso: polygon or rectangle at the map's top right; a click chooses a point."
    )

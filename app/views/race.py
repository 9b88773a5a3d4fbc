"""Manifolds, race: six models learn the same set, each from as many training points, on the same axes."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import state
from app.charts import looks, replay
from app.charts import race as chart
from app.components import checkpoints, frames, notices, trainings
from app.components import replay as player
from app.components.checkpoints import Pace, Source
from app.components.plots import chart as draw
from app.components.replay import Panel
from app.components.trainings import NO_TRAIN
from app.components.words import measured
from app.views import keepsakes
from engine.schema import Catalogue, DatasetInfo, RunInfo, TrainSpec

ENTRANTS = {
    "gan": ("GAN", "Generator against discriminator; one continuous map of one cloud of noise."),
    "wgan": ("WGAN", "The same against a critic with clipped weights, which measures W₁ roughly."),
    "wgan_gp": ("WGAN-GP", "The same with the critic's slope held near one."),
    "e2e_sae": ("e2e SAE", "Encoder, decoder, and a generator that maps noise onto the codes as a whole."),
    "flow_matching": ("Flow matching", "Noise flows to the points along a learned field, in many small steps."),
    "sc_gan": ("SC-GAN", "Codes in clusters, and a small network for each cluster."),
}


def show(
    place: DeltaGenerator, dataset: DatasetInfo, epochs: int, runs: list[RunInfo], book: Catalogue, dark: bool
) -> None:  # fmt: skip
    """This view. place: the rest of the row of controls."""
    known = [name for name in ENTRANTS if any(m.name == name for m in book.models)]
    field = entrants(runs, dataset, known, trainings.preset_clusters(book), epochs)
    with place:
        said, button = st.columns([2.2, 1], gap="medium", vertical_alignment="bottom")
    with said:
        points = epochs * dataset.splits.get("train", 0)
        st.caption(
            f"Each sees {points:,} training points ({epochs} epochs), none knows the pieces. They train one after the "
            "other where the engine has one device; the clock below lines them up by the points that each has seen."
        )
    with button:
        start(dataset, epochs, field, [r for r in runs if r.data == dataset.name])
    trainings.refusal()
    pace = checkpoints.pace(sources_of(field))
    st.fragment(run_every=pace.every_s)(watch)(dataset, epochs, book, pace, dark)


def entrants(
    runs: list[RunInfo], dataset: DatasetInfo, known: list[str], clusters: int, epochs: int
) -> dict[str, RunInfo | None]:  # fmt: skip
    """The run of each model that takes part: the newest with the race's settings, one that ended badly only where there
    is no other."""
    found: dict[str, RunInfo | None] = {}
    for name in known:
        mine = [r for r in trainings.newest(runs, dataset.name, name) if fits(r, clusters, epochs)]
        sound = [r for r in mine if r.state in (*trainings.LIVE, "finished")]
        found[name] = next(iter(sound or mine), None)
    return found


def fits(run: RunInfo, clusters: int, epochs: int) -> bool:
    """Whether it was given what the others are given."""
    alike = run.epochs == epochs and run.config.get("conditional") is False
    return alike and (run.model != trainings.SC_GAN or trainings.trained_clusters(run) == clusters)


def sources_of(field: dict[str, RunInfo | None]) -> list[Source]:
    return [Source(ENTRANTS[name][0], run) for name, run in field.items()]


def start(dataset: DatasetInfo, epochs: int, field: dict[str, RunInfo | None], mine: list[RunInfo]) -> None:
    """Start those that have not run, or all once more with another seed."""
    live = any(r is not None and r.state in trainings.LIVE for r in field.values())
    open_ = [name for name, run in field.items() if run is None or run.state != "finished"]
    seed = 0 if open_ else 1 + max((r.seed for r in mine if r.model in field), default=-1)
    specs = [
        TrainSpec(
            data=dataset.name, model=name, config=trainings.budget(epochs), seed=seed,
            name=f"{ENTRANTS[name][0]} {dataset.title}, {epochs} epochs, seed {seed}",
        )
        for name in (open_ or field)
    ]  # fmt: skip
    label = "Start the race" if len(open_) == len(field) else "Start the rest" if open_ else "Start again"
    possible = trainings.allowed()
    why = f"Trains {', '.join(ENTRANTS[s.model][0] for s in specs)} with seed {seed}."
    st.button(
        label, icon=":material/play_arrow:", type="primary", key="race_start", width="stretch",
        disabled=not possible or live, on_click=trainings.begin, args=(specs,),
        help=NO_TRAIN if not possible else "It is under way." if live else why,
    )  # fmt: skip
    if not possible:
        st.caption(NO_TRAIN)


@notices.guarded
def watch(dataset: DatasetInfo, epochs: int, book: Catalogue, pace: Pace, dark: bool) -> None:
    """Everything that moves."""
    kept = state.keep("runs", lambda: state.engine().runs())
    known = [name for name in ENTRANTS if any(m.name == name for m in book.models)]
    field = entrants(kept.value, dataset, known, trainings.preset_clusters(book), epochs)
    sources = sources_of(field)
    checkpoints.follow(sources, (), pace, kept.stale)
    real = checkpoints.exact(dataset)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.caption(headline(field, frames.missing(checkpoints.wanted(sources))), width="stretch")
        live = [r for r in field.values() if r is not None and r.state in trainings.LIVE]
        if live:
            names = [r.run_id for r in sorted(live, key=lambda r: -(r.queue_place or 0))]
            st.button("Stop the race", icon=":material/stop:", key="race_stop", on_click=trainings.end, args=(names,))
        keepsakes.show(sources, real, f"{dataset.name}_race")
    panels = [panel(source, ENTRANTS[name][1]) for name, source in zip(field, sources, strict=True)]
    clock = replay.stops([[frame.share for frame in p.frames] for p in panels])
    total = epochs * dataset.splits.get("train", 0)
    moments = [f"{share * total:,.0f} points seen · {100 * share:.0f} % of the training" for share in clock]
    span = checkpoints.span_of(real)
    player.show("race", player.data_of(panels, real, span, moments, clock, f"{dataset.name}_race", dark))
    curves(dataset, sources, total, dark)


def headline(field: dict[str, RunInfo | None], missing: int) -> str:
    runs = [r for r in field.values() if r is not None]
    done = sum(r.state == "finished" for r in runs)
    seeds = sorted({r.seed for r in runs})
    parts = [
        f"{done} of {len(field)} done" if runs else "No model has run on this set yet: press *Start the race*",
        ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, seeds)) if seeds else "",
        f"{missing} pictures still come" if missing else "",
    ]
    return " · ".join(part for part in parts if part)


def panel(source: Source, note: str) -> Panel:
    run = source.run
    if run is not None and run.state in ("failed", "interrupted"):
        note = f"{run.state.capitalize()} at step {run.step:,}: {run.error or 'no reason was written'}"
    empty = "on its way" if run and run.checkpoints else "no checkpoint yet" if run else "not trained yet"
    return Panel(
        source.title, source.course(), source.refusal() or note, trainings.standing(run), judged=source.judged(),
        empty=empty,
    )  # fmt: skip


def curves(dataset: DatasetInfo, sources: list[Source], total: int, dark: bool) -> None:
    """Distance and share off the manifold against points seen."""
    courses = []
    for source, look in zip(sources, looks.looks([s.title for s in sources], dark), strict=True):
        if found := source.course():
            clouds = [frame.cloud.meta for frame in found]
            seen = [frame.share * total for frame in found]
            courses.append(chart.Course(look, seen, [m["w1"] for m in clouds], [m["off"] for m in clouds]))
            floor = clouds[-1]
    if not courses:
        return
    names = ", ".join(c.look.title for c in courses)
    st.markdown(f"#### {dataset.title}: distance to exact points, and points off the manifold")
    draw(
        chart.curves(courses, floor["w1_floor"], floor["w1_floor_spread"], floor["off_floor"], total, dark),
        "race_curves", chart.HEIGHT,
        f"W₁ to exact points and share off the manifold against training points seen, of {names}, with their floors",
    )  # fmt: skip
    st.caption(
        f"One cloud of {checkpoints.POINTS} points a checkpoint, seed {state.current_seed()}. Grey: exact points "
        f"against exact points, W₁ {measured(floor['w1_floor'], floor['w1_floor_spread'])} (± their spread). "
        f"Below the last pictures stand means over {checkpoints.SEEDS} clouds."
    )

"""Manifolds: does the noise generator bridge the gaps? The answer in numbers, of the runs here or of a record."""

from __future__ import annotations

import html

import streamlit as st

from app.charts import bridging as shares
from app.charts.bridging import Share
from app.components import checkpoints, frames, notices, trainings
from app.components.checkpoints import Source
from app.components.words import plain
from app.views import toy_table
from engine.schema import Benchmark, DatasetInfo, RunInfo

QUESTION = "#### Does the noise generator bridge the gaps?"
Rows = list[tuple[str, Share | None]]
REAL, OWN, MAPPING, SINGLE = (
    "e2e SAE, decoded codes of real points", "e2e SAE, from its noise generator", "SC-GAN, mapping networks",
    "SC-GAN, single Gaussian",
)  # fmt: skip


def show(dataset: DatasetInfo, runs: list[RunInfo], record: Benchmark | None) -> None:
    """The card. record: of the benchmark on this set."""
    st.markdown(QUESTION)
    if both := pair(runs, dataset.name):
        sources = sources_of(*both)
        wanted = wanted_of(sources)
        moving = frames.missing(wanted) > 0
        st.fragment(run_every=checkpoints.TICK_S if moving else None)(live)(sources, moving, told(record))
    else:
        recorded(record)


def pair(runs: list[RunInfo], data: str) -> tuple[RunInfo, RunInfo] | None:
    """The newest finished e2e SAE and SC-GAN that do not know the pieces and learned equally long, the longest such."""
    fair = [r for r in runs if r.state == "finished" and r.config.get("conditional") is False]
    e2e, sc = (trainings.newest(fair, data, model) for model in (trainings.E2E_SAE, trainings.SC_GAN))
    found = [(one, other) for one in e2e for other in sc if one.epochs == other.epochs]
    return max(found, key=lambda both: both[0].epochs, default=None)


def sources_of(e2e: RunInfo, sc: RunInfo) -> list[Source]:
    return [Source(REAL, e2e, "real"), Source(OWN, e2e), Source(MAPPING, sc, "mapping"), Source(SINGLE, sc, "single")]


def wanted_of(sources: list[Source]) -> list[frames.Request]:
    return [request for source in sources for request in source.last()]


@notices.guarded
def live(sources: list[Source], moving: bool, beside: str) -> None:
    """From the last checkpoints of the runs here. beside: what the record says."""
    wanted = wanted_of(sources)
    progress = frames.fetch(wanted, wait_s=0)  # the pictures above come first
    if moving and not progress.missing:
        st.rerun()
    found = [source.judged() for source in sources]
    if refused := next((words for source in sources if (words := source.refusal())), ""):
        notices.empty(refused)
        return
    first = frames.get(wanted[0])
    real, own, mapping, single = found
    if first is None or real is None or own is None or mapping is None or single is None:
        st.caption(f"{progress.missing} of {len(wanted)} clouds are still being drawn.")
        return
    gaps, floor = bool(first.meta["gaps"]), own.off_floor
    st.markdown(shares.verdict(own.off, real.off, floor, gaps) + " " + shares.against(own.off, mapping.off, single.off))
    bars([(s.title, j.off) for s, j in zip(sources, found, strict=True) if j], floor)
    e2e, sc = sources[0].run, sources[2].run
    names = " and ".join(plain(run.name) for run in (e2e, sc) if run)
    st.caption(
        f"{own.points:,} points each, of {names}. ± binomial standard errors of the points drawn; another training may "
        f"differ by more. Different: beyond two errors.{beside}"
    )


def told(record: Benchmark | None) -> str:
    """What the record says, of longer trainings with several seeds."""
    found = shares_of(record) if record else {}
    said = [f"{name} {found[row]}" for name, row in (("e2e SAE", OWN), ("SC-GAN", MAPPING)) if row in found]
    if record is None or not said:
        return ""
    return f" In the record, after {record.budget.get('showers', 0):,} points seen: {', '.join(said)}."


def recorded(record: Benchmark | None) -> None:
    """From the record alone, which knows no decoded real codes."""
    train = "Run the *Race* on this set to have it answered by runs of your own."
    found = shares_of(record) if record else {}
    if OWN not in found:
        notices.empty(
            "It takes an e2e SAE and an SC-GAN trained on this set, and neither runs nor a record are here. " + train
        )
        return
    floor = floor_of(record)
    words = shares.verdict(found[OWN], None, floor, gaps=True)
    if MAPPING in found:
        words += " " + shares.against(found[OWN], found[MAPPING], found.get(SINGLE))
    st.markdown(words)
    bars([(title, found.get(title)) for title in (REAL, OWN, MAPPING, SINGLE)], floor)
    st.caption(f"From the record {plain(record.title) if record else ''}; ± over its seeds. {train}")


def shares_of(record: Benchmark) -> dict[str, Share]:
    """The card's rows in a record."""
    named = {
        OWN: lambda r: r.model == trainings.E2E_SAE,
        MAPPING: lambda r: r.model == trainings.SC_GAN and r.config.get("latents") == "mapping",
        SINGLE: lambda r: r.model == trainings.SC_GAN and r.config.get("latents") == "single",
    }  # fmt: skip
    found = {}
    for title, is_it in named.items():
        off = next((r.metrics[toy_table.OFF] for r in record.rows if is_it(r) and toy_table.OFF in r.metrics), None)
        if off is not None:
            found[title] = Share(off.value, off.error)
    return found


def floor_of(record: Benchmark | None) -> float:
    floors = [r.metrics[toy_table.OFF].floor for r in (record.rows if record else []) if toy_table.OFF in r.metrics]
    return next((f for f in floors if f is not None), 0.0)


def bars(rows: Rows, floor: float) -> None:
    """Shares as a table with a bar each."""
    top = max([floor, *(s.value for _, s in rows if s)]) or 1.0
    lines = [
        f"<tr><th scope='row'>{html.escape(title)}</th>"
        f"<td class='ss-bar'><i style='width:{100 * share.value / top:.1f}%'></i></td><td>{share}</td></tr>"
        if share
        else f"<tr><th scope='row'>{html.escape(title)}</th><td></td><td>not in the record</td></tr>"
        for title, share in rows
    ]
    lines.append(f"<tr><th scope='row'>exact points (floor)</th><td></td><td>{100 * floor:.2g} %</td></tr>")
    head = "<thead><tr><th scope='col'></th><th></th><th scope='col'>off the manifold</th></tr></thead>"
    st.html(f"<table class='ss-table ss-shares'>{head}<tbody>{''.join(lines)}</tbody></table>")

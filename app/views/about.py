"""About: what every number means, where everything comes from, and which conventions it was read with."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from app import state
from app.charts import picture
from app.components import notices
from app.components.masks import channel_legend, mask_figure
from app.components.words import plain
from engine.schema import Catalogue, Catch, DatasetInfo, RunInfo

GROUPS = {
    "channels": "Read-out channels", "replicas": "Replicas of one particle", "shape": "Shape of a shower",
    "features": "Features", "classifiers": "Classifiers told to tell generated from simulated", "pictures": "Images",
}  # fmt: skip
"""Headings of what metrics look at."""
DIRECTIONS = {"lower": "lower is better", "higher": "higher is better", "one": "1 is ideal"}


def show() -> None:
    """The page."""
    st.markdown(
        "### Showerscope\n"
        "Trains generative models of calorimeter showers, shows what they learn, and says when to trust them. "
        "Not an official product of any experiment: everything labelled *Simulation* is simulated, "
        "nothing here is measured data."
    )
    seeds()
    book = state.keep("catalogue", state.catalogue)
    sets = state.keep("datasets", state.datasets)
    if book.stale or sets.stale:
        notices.stale()
    metrics(book.value)
    broken(book.value)
    conventions(book.value)
    provenance(sets.value, st.session_state.get(state.RUNS, []))
    published(book.value)
    versions(book.value)


def seeds() -> None:
    st.markdown(
        "**Seeds.** The seed in the strip above seeds the noise of everything generated and of the maps; a run has its "
        "own seed, drawn before its weights. Same seed, same device, same version: same shower. A copied link carries "
        "model, checkpoint, seed, particle and view."
    )


def metrics(book: Catalogue) -> None:
    """Definition of every number."""
    st.markdown("### Metrics")
    if not book.metrics:
        notices.empty("The engine defines no metric.")
        return
    for group, title in GROUPS.items():
        found = [m for m in book.metrics if m.group == group]
        if not found:
            continue
        st.markdown(f"#### {title}")
        frame = pd.DataFrame(
            {
                "metric": [plain(m.title + (f" ({m.short})" if m.short else "")) for m in found],
                "definition": [plain(m.formula) + ("; minutes, where asked for" if m.slow else "") for m in found],
                "unit": [m.unit or "–" for m in found],
                "reads": [DIRECTIONS[m.direction] for m in found],
                "source": [m.source for m in found],
            }
        )
        st.table(frame.set_index("metric"))
    st.caption(
        "Errors are bootstrap errors over primaries. Every metric stands beside its floor: the same metric of one "
        "simulation against another, same primaries, same size. Metrics of the latent space are computed in latent "
        "space, never on the map."
    )


def broken(book: Catalogue) -> None:
    """Which metric catches which broken generator."""
    rows = state.keep("broken", state.broken).value
    if not rows:
        return
    st.markdown("#### What they catch")
    st.markdown(
        "Simulated showers, broken on purpose in ways in which generators break. Where a metric is worse than its "
        "floor by more than three standard deviations of both, it says by how many."
    )
    known = {m.name: m.short or m.title for m in book.metrics}
    names = [name for name in known if any(name in row.metrics for row in rows)]
    frame = pd.DataFrame({"metric": [known[name] for name in names]})
    for row in rows:
        frame[plain(row.title)] = [caught(row.metrics.get(name)) for name in names]
    st.table(frame.set_index("metric"))
    st.caption(" ".join(f"**{plain(row.title)}:** {plain(row.done)}" for row in rows))


def caught(found: Catch | None) -> str:
    """By how many standard deviations a metric sees it, a point where it does not."""
    if found is None:
        return "–"
    if not found.caught:
        return "·"
    sigma = math.hypot(found.error, found.floor_error)
    return f"{abs(found.value - found.floor) / sigma:.0f} σ" if sigma else "caught"


def conventions(book: Catalogue) -> None:
    """The read-out masks, explained."""
    st.markdown("### Read-out conventions (check with ALICE)")
    st.markdown(
        "The five channels sum fibres: every second fibre goes to one common photomultiplier, the rest to four towers. "
        "Publications and code disagree on which fibre is which; the strip's *Read-out* chooses one of these."
    )
    for detector in book.detectors:
        st.markdown(
            f"**{detector.title}**, {detector.shape[0]}×{detector.shape[1]} fibres, pitch {detector.pitch_mm:g} mm, "
            f"at z = ±{detector.z_cm:g} cm"
        )
        st.html(picture.row_html([mask_figure(c, 200) for c in detector.conventions]) + channel_legend())
        for convention in detector.conventions:
            st.markdown(f"- `{convention.name}`: {convention.help}")


def provenance(sets: list[DatasetInfo], runs: list[RunInfo]) -> None:
    """Where data and bundled models come from."""
    st.markdown("### Provenance")
    for dataset in sets:
        with st.expander(f"Data set {dataset.title} (`{dataset.name}`)"):
            st.markdown(f"Label: {dataset.label}\n\n{dataset.provenance}")
            for name, value in dataset.facts.items():
                st.markdown(f"- {name}: {value}")
    for run in runs:
        if run.bundled:
            with st.expander(f"Bundled model {run.name} (`{run.run_id}`)"):
                st.markdown(f"{run.model} on {run.data}, seed {run.seed}, {run.parameters:,} parameters")
                for name, value in run.provenance.items():
                    st.markdown(f"- {name}: `{value}`")


def published(book: Catalogue) -> None:
    """Numbers from papers, to sit beside ours."""
    if not book.published:
        return
    st.markdown("### Published numbers")
    titles = {m.name: f"{m.short or m.title} [{m.unit}]" if m.unit else m.short or m.title for m in book.metrics}
    for bench in dict.fromkeys(r.bench for r in book.published):
        rows = [r for r in book.published if r.bench == bench]
        frame = pd.DataFrame({"model": [r.model for r in rows]})
        for name in dict.fromkeys(name for r in rows for name in r.figures()):
            spread = [r.mae_std if name == "mae" else None for r in rows]
            frame[titles.get(name, name)] = [
                plus_minus(r.figures().get(name), s) for r, s in zip(rows, spread, strict=True)
            ]
        frame["source"] = [r.source for r in rows]
        st.table(frame.set_index("model"))
    st.caption("Different subsets, simulations and conventions: to be read beside our numbers, never ranked with them.")


def plus_minus(value: float | None, error: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" + ("" if error is None else f" ± {error:.2f}")


def versions(book: Catalogue) -> None:
    st.markdown("### Versions and licence")
    said = " · ".join(f"{name} {version}" for name, version in book.versions.items())
    st.markdown(f"Licence: Apache-2.0. streamlit {st.__version__}{' · ' if said else ''}{said}")

"""Compare, models: channels, radial profile and correlations of all models over the simulation's."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import state
from app.charts import matrices, stacks
from app.components import notices, plots
from app.components.judging import Judged

SCALES = ("log", "linear")
ACROSS, EACH = 3, 300
ABREAST = 3
"""Matrices of models in a row."""
PROFILE = 316


@st.fragment
@notices.guarded
def show(done: list[Judged]) -> None:
    """Reruns alone when the axis changes."""
    dark = st.context.theme.type == "dark"
    with plots.head("Read-out channels"):
        scale = st.segmented_control(
            "Axis of the counts", SCALES, default=SCALES[0], format_func=lambda s: f"{s} counts", key=state.SPECTRUM,
            bind="query-params", required=True, label_visibility="collapsed",
        )  # fmt: skip
    log = scale != SCALES[1]
    channels(done, dark, log)
    left, right = st.columns([1, 2], gap="medium")
    with left:
        profile(done, dark, log)
    with right:
        correlations(done, dark)


def channels(done: list[Judged], dark: bool, log: bool) -> None:
    real = sums_of(done[0].arrays["simulated"])
    made = [sums_of(one.arrays["generated"]) for one in done]
    panels = [
        stacks.counted(f"channel {k + 1}", "photons", real[:, k], [m[:, k] for m in made]) for k in range(5)
    ]  # fmt: skip
    panels.append(stacks.counted("photon sum", "photons", real.sum(1), [m.sum(1) for m in made]))
    looks = [one.look for one in done]
    plots.chart(
        stacks.draw(panels, looks, dark, ACROSS, EACH, log), "models_channels",
        stacks.height_of(len(panels), ACROSS, EACH),
        f"Histograms of five channels and the photon sum: {len(real)} simulated showers as points, "
        f"{', '.join(look.title for look in looks)} as lines, with ratio panels",
    )  # fmt: skip
    st.caption(
        f"Points: {len(real):,} simulated showers with 68 % Garwood intervals. Lines: generated showers of the same "
        f"particles ({', '.join(sorted({f'{len(m):,}' for m in made}))}), scaled to their number. The last bin "
        "holds what lies above. Ratio: model over simulation, ends at 2; the band is the simulation's own error. "
        f"Read-out convention `{done[0].report.convention}`."
    )


def sums_of(channels: np.ndarray) -> np.ndarray:
    """Channel sums (n, 5) of all replicas; a primary may have fewer than the others."""
    flat = np.asarray(channels, float).reshape(-1, 5)
    return flat[np.isfinite(flat).all(1)]


def profile(done: list[Judged], dark: bool, log: bool) -> None:
    """Light by distance from the centre of the face."""
    first = done[0].arrays
    if "radius_mm" not in first:
        return
    st.markdown("#### Radial profile")
    panel = stacks.measured(
        "share of light", "distance r [mm]", "share of light", first["radius_mm"], first["profile_simulated"],
        first["profile_simulated_error"], [one.arrays["profile_generated"] for one in done],
    )  # fmt: skip
    plots.chart(
        stacks.draw([panel], [one.look for one in done], dark, 1, PROFILE - 26, log), "models_profile", PROFILE,
        "Share of light by distance, simulation as points, models as lines, with their ratio",
    )  # fmt: skip
    st.caption("Each shower's shares, averaged over showers; errors of the mean.")


def correlations(done: list[Judged], dark: bool) -> None:
    """How channels go together."""
    first = done[0].arrays
    if "correlation_simulated" not in first:
        return
    st.markdown("#### Correlation of channels")
    found = {one.title: np.asarray(one.arrays["correlation_generated"]) for one in done}
    base = np.asarray(first["correlation_simulated"])
    far, titles = matrices.farthest(base, found), list(found)
    for k in range(0, len(titles), ABREAST):
        some = {title: found[title] for title in titles[k : k + ABREAST]}
        plots.chart(
            matrices.draw(base, some, dark, far, k == 0), f"models_correlation_{k}", matrices.HEIGHT,
            f"Correlations of the simulation's five channels, and their differences to {', '.join(some)}",
        )  # fmt: skip
    st.caption("Pearson's coefficient over showers. First the simulation's, then what each model's differ from it.")

"""Compare, models: the same particle as simulated, simulated again, and as every model draws it."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import streamlit as st

from app import state
from app.charts import picture, regions
from app.components import judging, notices
from app.components.judging import Judged
from engine.schema import CONDITIONS, Arrays, Catalogue, DatasetInfo

WHICH = {"typical": 0.5, "few photons": 0.15, "many photons": 0.9}
"""Quantile of the simulated light that a choice starts from."""
WORST = "worst here"
TO_WORST = "_to_worst"
"""Asked by the map of weak regions."""
SCALES = ("log", "linear")
LARGEST, ROOM, GAP = 220, 1330, 14


@st.fragment
@notices.guarded
def show(done: list[Judged], dataset: DatasetInfo, book: Catalogue) -> None:
    """Pickers and the two rows; reruns alone."""
    weak = next((one for one in done if one.title == chosen(state.WEAK)), done[0])
    arrays = weak.arrays
    st.markdown("#### The same particle, side by side")
    which, place, scale = choose(arrays)
    order = order_of(arrays, which)
    if not len(order):
        notices.empty("No particle lies in the cell chosen below: choose another, or another kind of particle.")
        return
    k = int(order[min(place, len(order)) - 1])
    real = replicas_of(dataset, arrays, k)
    made = [read(judging.generated(one, [np.asarray(arrays["conditions"], float)[k].tolist()]), one) for one in done]
    st.caption(particle_words(arrays, k, book) + f" · {min(place, len(order)):,} of {len(order):,}")
    st.html(rows(done, real, made, scale == SCALES[0]))
    st.caption(
        f"One colour scale for all showers, one for all residuals (white 0, blue fewer, red more photons than the "
        f"first simulation). Σ: photon sum. The whole face, x to the right, y up. Same seed for every model. "
        f"How far the second simulation is from the first is what no model can be asked to better. Simulation: "
        f"{dataset.label}."
    )


def choose(arrays: Arrays) -> tuple[str, int, str]:
    """Which particles, which of them, and the scale."""
    if st.session_state.pop(TO_WORST, False):
        st.session_state[state.LIKE_WHICH], st.session_state[state.PLACE] = WORST, 1
    elif state.LIKE_WHICH not in st.session_state and state.LIKE_WHICH not in st.query_params:
        st.session_state[state.LIKE_WHICH] = next(iter(WHICH))
    places = st.columns([2.2, 1.5, 0.9], vertical_alignment="bottom")
    which = places[0].segmented_control(
        "Particle", [*WHICH, WORST], key=state.LIKE_WHICH, bind="query-params", required=True,
        on_change=lambda: st.session_state.update({state.PLACE: 1}),
        help="By light: nearest to the 50 %, 15 % and 90 % quantile first. Worst here: furthest above the floor, in "
        "the cell chosen on the map of weak regions.",
    )  # fmt: skip
    n = len(arrays["primary_id"])
    if int(st.session_state.get(state.PLACE) or 1) > n:
        st.session_state[state.PLACE] = n
    with places[1], st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.button("Previous", icon=":material/chevron_left:", key="previous_particle", on_click=go, args=(-1, n))
        place = st.number_input("Which of them", 1, n, key=state.PLACE, bind="query-params", width=110)
        st.button(
            "Next", icon=":material/chevron_right:", icon_position="right", key="next_particle", on_click=go,
            args=(1, n),
        )  # fmt: skip
    scale = places[2].segmented_control(
        "Colours", SCALES, default=SCALES[0], key=state.LIGHT, bind="query-params", required=True
    )
    return str(which or next(iter(WHICH))), int(place), str(scale or SCALES[0])


def chosen(key: str) -> str | None:
    """What a widget further down the page holds, or will hold by the link."""
    return st.session_state.get(key) or st.query_params.get(key)


def go(by: int, n: int) -> None:
    now = int(st.session_state.get(state.PLACE) or 1)
    st.session_state[state.PLACE] = min(n, max(1, now + by))


def order_of(arrays: Arrays, which: str) -> np.ndarray:
    """Primaries in the order in which a choice shows them."""
    if which == WORST:
        found = regions.members_of(arrays, chosen(state.OVER), chosen(state.CELL))
        excess = np.asarray(arrays["mae"], float) - np.asarray(arrays["mae_floor"], float)
        return found[np.argsort(-excess[found], kind="stable")]
    light = np.nanmean(np.asarray(arrays["simulated"], float).sum(2), axis=1)
    rank = np.argsort(np.argsort(light, kind="stable"), kind="stable") / max(1, len(light) - 1)
    return np.argsort(np.abs(rank - WHICH.get(which, 0.5)), kind="stable")


def replicas_of(dataset: DatasetInfo, arrays: Arrays, k: int) -> np.ndarray:
    """Up to two simulations of one primary, the first one first."""
    columns = state.known_columns(dataset, state.CONVENTIONS[0])
    mine = np.flatnonzero(np.asarray(columns["primary_id"]) == np.asarray(arrays["primary_id"])[k])
    first = int(np.asarray(arrays["row"])[k])
    rows = (first, *(int(row) for row in mine if row != first))[:2]
    found = judging.simulated(dataset.name, rows, f"{dataset.showers} {dataset.provenance}")
    return np.asarray(found["showers"], float)


def read(made: Arrays, one: Judged) -> np.ndarray:
    """Showers of a model as it was judged."""
    showers = np.asarray(made["showers"], float)
    return np.floor(showers) if one.report.reading == "truncated" else showers


def particle_words(arrays: Arrays, k: int, book: Catalogue) -> str:
    """The primary in words."""
    row = dict(zip(CONDITIONS, np.asarray(arrays["conditions"], float)[k], strict=False))
    x, y = np.asarray(arrays["impact_mm"], float)[k]
    symbol = state.particle_named(int(np.asarray(arrays["pdg"])[k]), book).symbol
    light = np.asarray(arrays["simulated"], float)[k].sum(1)
    light = light[np.isfinite(light)]
    parts = [
        f"**{symbol}, {row.get('Energy', float('nan')):,.0f} GeV**, hits x {x:+.1f} mm, y {y:+.1f} mm",
        f"Σ of {len(light)} simulations: {', '.join(f'{v:,.0f}' for v in light)} photons",
        f"primary {int(np.asarray(arrays['primary_id'])[k])}",
    ]
    return " · ".join(parts).replace("-", "−")


def stretch(residual: np.ndarray) -> np.ndarray:
    """The logarithm of 1 + its size, with its sign."""
    return np.sign(residual) * np.log1p(np.abs(residual))


def rows(done: Sequence[Judged], real: np.ndarray, made: Sequence[np.ndarray], log: bool) -> str:
    """Showers above, residuals to the first simulation below, all in columns."""
    names = ["Simulation", *(["Simulation again"] if len(real) > 1 else [])]
    shown = [*real, *(m[0] for m in made)]
    names += [one.title for one in done]
    top = max(1.0, float(max(s.max() for s in shown)))
    off = [s - real[0] for s in shown]
    far = max(1.0, float(max(np.abs(o).max() for o in off)))
    width = min(LARGEST, (ROOM - 170) // len(shown) - GAP)
    upper, lower = [], []
    for k, (name, shower, residual) in enumerate(zip(names, shown, off, strict=True)):
        said = html.escape(name)
        upper.append(
            picture.figure_html(
                picture.shower_url(shower, top, log),
                f'<b class="ss-cut" title="{said}">{said}</b><br>Σ {shower.sum():,.0f}',
                f"{name}: shower of {shower.sum():,.0f} photons", width,
            )
        )  # fmt: skip
        if k == 0:
            lower.append(
                f'<div style="width:{width}px" class="ss-note"><b>Residual</b><br>to the first simulation, '
                f"±{far:,.0f} photons at the ends of the colours{', logarithmic' * log}</div>"
            )
        else:
            lower.append(
                picture.figure_html(
                    picture.residual_url(*((stretch(residual), float(np.log1p(far))) if log else (residual, far))),
                    f"ΔΣ {residual.sum():+,.0f}, Σ|Δ| {np.abs(residual).sum():,.0f}".replace("-", "−"),
                    f"{name} minus the first simulation, {residual.sum():+,.0f} photons in sum", width,
                )
            )  # fmt: skip
    upper.append(picture.bar_html(top, log, 130))
    return picture.column_html([picture.row_html(upper), picture.row_html(lower)])

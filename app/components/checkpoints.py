"""Clouds of a run, checkpoint by checkpoint, as far as they are here; and what several of the last one say together."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.charts import bridging, points
from app.charts.bridging import Judged
from app.charts.replay import Frame, Span
from app.components import frames, trainings
from engine.schema import CloudRequest, DatasetInfo, Latents, RunInfo

POINTS = 400
"""Of a cloud: so many that shapes are seen, so few that the exact distance is found at once."""
SEEDS = 5
"""Clouds of the last checkpoint that are judged together."""
EXACT = 1000
"""Points of the set that stand behind."""
TICK_S = 1.0
AIR = 0.1
"""Of the set's width, around it: strays are seen."""


class Source(NamedTuple):
    """Where the clouds of a panel come from. clusters: K, where it is another than the run was trained with."""

    title: str
    run: RunInfo | None
    latents: Latents = "own"
    clusters: int | None = None

    @property
    def run_id(self) -> str:
        return self.run.run_id if self.run else ""

    @property
    def live(self) -> bool:
        return self.run is not None and self.run.state in trainings.LIVE

    def requests(self, again: int = 0) -> list[CloudRequest]:
        """One for each checkpoint, in their order. again: another draw of the same."""
        if self.run is None:
            return []
        seed = (state.current_seed() + again) % 2**31
        return [
            CloudRequest(
                run=self.run.run_id, step=c.step, n=POINTS, seed=seed, latents=self.latents, clusters=self.clusters
            )
            for c in self.run.checkpoints
        ]

    def last(self) -> list[CloudRequest]:
        """The draws of the last checkpoint that are judged together."""
        return [found[-1] for k in range(SEEDS) if (found := self.requests(k))]

    def course(self) -> list[Frame]:
        """What is here of them."""
        if self.run is None:
            return []
        both = [(c.step, frames.get(r)) for c, r in zip(self.run.checkpoints, self.requests(), strict=True)]
        return [Frame(step, trainings.share_of(self.run, step), cloud) for step, cloud in both if cloud is not None]

    def judged(self) -> Judged | None:
        """Of the last checkpoint, once all its draws are here."""
        found = [frames.get(request) for request in self.last()]
        clouds = [cloud for cloud in found if cloud is not None]
        return bridging.judge(clouds) if clouds and len(clouds) == len(found) else None

    def refusal(self) -> str:
        """The engine's words, where it draws no cloud of the last checkpoint."""
        found = self.last()
        return frames.refusal(found[0]) if found else ""


def wanted(sources: Sequence[Source]) -> list[CloudRequest]:
    """What the sources need, in the order in which it is wanted: the last pictures, those before, then further draws of
    the last ones where a training has ended."""
    each = [source.requests()[::-1] for source in sources]
    deepest = max((len(found) for found in each), default=0)
    pictures = [found[k] for k in range(deepest) for found in each if k < len(found)]
    return pictures + [r for source in sources if not source.live for r in source.last()[1:]]


@st.cache_resource(show_spinner=False, max_entries=12)
def _exact(data: str, showers: int) -> np.ndarray:
    rows = np.linspace(0, showers - 1, min(EXACT, showers)).astype(int).tolist()
    return np.asarray(state.engine().showers(data, rows)["showers"], float)


def exact(dataset: DatasetInfo) -> np.ndarray:
    """Points (n, 2) of the set, drawn exactly; the last good ones where the engine is gone."""
    return state.keep(f"exact {dataset.name}", lambda: _exact(dataset.name, dataset.showers)).value


def span_of(real: np.ndarray) -> Span:
    """Equal axes around the set."""
    (x0, x1), (y0, y1) = points.span_of([real])
    more = AIR * (x1 - x0)
    return (x0 - more, x1 + more), (y0 - more, y1 + more)


def table(sources: Sequence[Source]) -> bytes:
    """The numbers of all checkpoints that are here, and of the judged draws, as CSV."""
    rows = []
    for source in sources:
        for frame in source.course():
            m = frame.cloud.meta
            rows.append(
                {
                    "panel": source.title, "run": source.run_id, "step": frame.step, "share": round(frame.share, 4),
                    "clouds": 1, "points": len(frame.cloud["points"]), "w1": m["w1"], "w1_floor": m["w1_floor"],
                    "w1_floor_spread": m["w1_floor_spread"], "off": m["off"], "off_error": m["off_error"],
                    "off_floor": m["off_floor"],
                }
            )  # fmt: skip
        if (found := source.judged()) is not None and source.run is not None:
            rows.append(
                {
                    "panel": source.title, "run": source.run_id, "step": source.run.checkpoints[-1].step, "share": 1.0,
                    "clouds": SEEDS, "points": found.points, "w1": found.w1, "w1_error": found.w1_error,
                    "w1_floor": found.floor, "w1_floor_spread": found.spread, "off": found.off.value,
                    "off_error": found.off.error, "off_floor": found.off_floor,
                }
            )  # fmt: skip
    return pd.DataFrame(rows).to_csv(index=False).encode()


def archive(sources: Sequence[Source], real: np.ndarray) -> bytes:
    """The clouds that are here as npz: of each panel points (frames, n, 2), off (frames, n) and step (frames,)."""
    arrays = {"exact": real}
    for source in sources:
        if course := source.course():
            stem = source.title.lower().replace(" ", "_").replace(",", "")
            arrays[f"{stem}_points"] = np.stack([f.cloud["points"] for f in course])
            arrays[f"{stem}_off"] = np.stack([f.cloud["off"] for f in course])
            arrays[f"{stem}_step"] = np.array([f.step for f in course])
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


class Pace(NamedTuple):
    """Why a part of the page looks again by itself: something trains, or pictures are missing."""

    live: bool
    missing: bool

    @property
    def every_s(self) -> float | None:
        return TICK_S if self.live or self.missing else None


def pace(sources: Sequence[Source], more: Sequence[frames.Request] = ()) -> Pace:
    return Pace(any(source.live for source in sources), frames.missing([*more, *wanted(sources)]) > 0)


def follow(sources: Sequence[Source], more: Sequence[frames.Request], before: Pace, stale: bool) -> None:
    """Fetch on. The page is drawn again when trainings have begun or ended since, and when there is nothing left to
    wait for. stale: the engine is gone, and what was fetched stays."""
    if stale:
        st.caption("**Stale.** The engine does not answer; these are the pictures that were fetched before.")
        return
    live = any(source.live for source in sources)
    progress = frames.fetch([*more, *wanted(sources)], first=len(more) + len(sources))
    if live != before.live or (before.missing and not progress.missing and not live):
        st.rerun()

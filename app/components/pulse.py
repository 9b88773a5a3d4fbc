"""Where a training stands, once a second: a browser part that asks by itself, and has the page drawn again only when
there is more to draw than its own bar. A part that Streamlit draws every second costs the page a third of its time,
whatever is in it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import streamlit as st
from pydantic import BaseModel, ConfigDict, Field
from streamlit.components import v2

from app import state
from app.components.parts import base_path, part
from app.components.trainings import LIVE
from app.components.words import clock
from engine.schema import Engine, MapRequest, RunInfo

MOVING = (*LIVE, "paused")
"""States that change by themselves, or one step at a time."""
PAGE, CURVES, MAP = "page", "curves", "map"
"""What there can be news of: all, or the fragment of this key."""
KEY = "pulse"
Name = Annotated[str, Field(max_length=200)]


class Asked(BaseModel):
    """What the browser asks: which runs the page shows, and what it knows of them. stamp: of all runs; last: step up to
    which it has a run's curves; map: the one that was not ended when it was last drawn, and its progress. again: what
    is drawn is not whole, so any answer is news."""

    model_config = ConfigDict(extra="forbid")
    runs: Annotated[list[Name], Field(min_length=1, max_length=3)]
    stamp: Annotated[str, Field(max_length=20)]
    last: Annotated[dict[Name, int], Field(max_length=3)] = {}
    map: MapRequest | None = None
    progress: float = 0.0
    again: bool = False


def told(run: RunInfo) -> dict[str, Any]:
    """What stands in the bar: share done, the run's name, the rest in words."""
    words = [run.state, f"epoch {run.epoch} / {run.epochs}", f"step {run.step:,} / {run.steps:,}"]
    if run.eta_s is not None and run.state == "running":
        words.append(f"about {clock(run.eta_s)} left")
    if run.samples_per_s:
        words.append(f"{run.samples_per_s:,.0f} samples/s")
    memory = next((v for n, v in run.metrics.items() if n.startswith("system/") and "memory" in n), None)
    if memory:
        words.append(f"{memory:,.0f} MB")
    if run.device:
        words.append(run.device)
    if run.queue_place:
        words.append(f"place {run.queue_place} in the queue")
    share = min(1.0, run.step / run.steps) if run.steps else 0.0
    return {"share": share, "name": run.name or run.model, "words": " · ".join(words)}


def stamp(everyone: Sequence[RunInfo], shown: Sequence[RunInfo]) -> str:
    """Changes with all that a page draws of runs beside bar, curves and map."""
    queue = [(run.run_id, run.state, run.queue_place) for run in everyone]
    return f"{zlib.crc32(repr((queue, [(len(run.checkpoints), run.error) for run in shown])).encode()):x}"


def beat(engine: Engine, asked: Asked) -> dict[str, Any]:
    """The bar now; `news`: the parts of the page that have to be drawn again, `PAGE` among them for all; `known`: what
    a page that has drawn these asks from then on. Raises `EngineError`."""
    everyone = engine.runs()
    by_name = {run.run_id: run for run in everyone}
    shown = [by_name[name] for name in asked.runs if name in by_name]
    bar = told(shown[0]) if shown else {}
    if not shown or asked.again or asked.stamp != stamp(everyone, shown):
        return {"news": PAGE, "known": {}, **bar}
    news, known = [], dict[str, Any]()
    last = {name: max(step, engine.history(name, step).last_step) for name, step in asked.last.items()}
    if last != asked.last:
        news.append(CURVES)
        known["last"] = last
    if asked.map:
        meta = engine.map(asked.map).meta
        if meta.get("state") in ("done", "failed"):
            news.append(PAGE)
        elif meta.get("progress", 0.0) != asked.progress:
            news.append(MAP)
            known["progress"] = meta["progress"]
    return {"news": " ".join(news), "known": known, **bar}


def redraw() -> None:
    """Draw what there is news of: parts alone where they are named."""
    parts = set(str(getattr(st.session_state[KEY], "news", "")).split())
    if parts and parts <= {CURVES, MAP}:
        st.rerun(sorted(parts))


def mount() -> Any:
    """The component's mounting command. Registered again in each process that runs pages."""
    return v2.component(
        "showerscope_pulse", html=part("pulse.html"), css=part("pulse.css"),
        js=part("json.js", "pulse.js"), isolate_styles=False,
    )  # fmt: skip


def show(
    everyone: Sequence[RunInfo], shown: Sequence[RunInfo], last: Mapping[str, int],
    under_way: tuple[MapRequest, float] | None, again: bool,
) -> None:  # fmt: skip
    """The bar of the first run shown, which asks on while anything moves. Others as `Asked` has them."""
    asked = Asked(
        runs=[run.run_id for run in shown], stamp=stamp(everyone, shown), last=dict(last), again=again,
        map=under_way[0] if under_way else None, progress=under_way[1] if under_way else 0.0,
    )  # fmt: skip
    moving = again or under_way is not None or any(run.state in MOVING for run in everyone)
    mount()(
        key=KEY,
        data={
            **told(shown[0]), "key": state.API_KEY, "base": base_path(), "drawn": time.time(),
            "ask": asked.model_dump(mode="json") if moving else None,
        },
        on_news_change=redraw,
    )  # fmt: skip

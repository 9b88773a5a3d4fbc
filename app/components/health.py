"""Device and state of the engine, in the strip of every page: a browser part that asks again by itself."""

from __future__ import annotations

import time
from typing import Any

from pydantic import BaseModel, ConfigDict
from streamlit.components import v2

from app import state
from app.components.parts import base_path, part
from engine.schema import Engine, EngineError, Health

COLOURS = {"ready": "#009E73", "training": "#E69F00", "down": "#D55E00", "loading": "#999999"}


class Asked(BaseModel):
    """Nothing needs to be said to be told how the engine is."""

    model_config = ConfigDict(extra="forbid")


def word(health: Health) -> tuple[str, str]:
    """The engine's state in a word, and what it is doing."""
    if health.status == "loading":
        return "loading", "loading"
    if health.running:
        queued = f", {health.queued} queued" if health.queued else ""
        return "training", f"training {health.running}{queued}"
    return "ready", "ready"


def told(engine: Engine) -> dict[str, str]:
    """A colour, what the engine is doing, and where."""
    began = time.perf_counter()
    try:
        health = engine.health()
    except EngineError:
        return {"colour": COLOURS["down"], "said": "engine down", "detail": "device unknown"}
    answered = 1000 * (time.perf_counter() - began)
    threads = f"{health.threads} thread{'s' * (health.threads != 1)}"
    state_of, doing = word(health)
    memory = f" · {health.memory_mb / 1000:.1f} GB" if health.memory_mb else ""
    detail = f"{health.device} · {threads}{memory} · answers in {answered:.0f} ms"
    return {"colour": COLOURS[state_of], "said": f"engine {doing}", "detail": detail}


def mount() -> Any:
    """The component's mounting command. Registered again in each process that runs pages."""
    return v2.component(
        "showerscope_health", html=part("health.html"), js=part("json.js", "health.js"), isolate_styles=False
    )


def show() -> None:
    mount()(key="health", data={**told(state.engine()), "key": state.API_KEY, "base": base_path()})

"""Clouds and partitions of checkpoints, fetched behind the pages, so that no rerun waits for the engine.

What a checkpoint draws at a seed never changes: it is asked once, and shared by all sessions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import NamedTuple

import streamlit as st

from app import state
from engine.schema import Arrays, CloudRequest, Engine, EngineDown, EngineError, PartitionRequest

Request = CloudRequest | PartitionRequest
WORKERS = 2
"""Threads that wait for the engine: it computes one answer while it sends another."""
AHEAD = 12
"""Requests that are under way at once, so that little is asked for that a moved control no longer wants."""
WAIT_S = 0.1
"""How long a page waits for what it wants: a quick engine answers within it, and the first picture is whole."""
AGAIN_S = 20.0
"""After which a refused request is tried again."""
MOST = 3000
"""Answers that are held, 5 kB each; the oldest go first."""
KEPT = ("points", "off", "cluster", "count")
"""Arrays of an answer that pages use."""


class Progress(NamedTuple):
    """How much of what is wanted is not here yet, and whether the engine is gone."""

    missing: int
    down: bool


class Shelf:
    """Answers by request, and the threads that fetch them."""

    def __init__(self) -> None:
        self.held: dict[str, Arrays] = {}
        self.refused: dict[str, tuple[str, float]] = {}
        self.under_way: dict[str, Future[None]] = {}
        self.down = False
        self.lock = Lock()
        self.pool = ThreadPoolExecutor(WORKERS, "frames")

    def lacks(self, key: str) -> bool:
        """Whether an answer is still to be fetched."""
        said = self.refused.get(key)
        return key not in self.held and (said is None or time.monotonic() - said[1] > AGAIN_S)

    def ask(self, engine: Engine, request: Request) -> None:
        key = key_of(request)
        with self.lock:
            if key not in self.under_way and self.lacks(key):
                self.under_way[key] = self.pool.submit(self._fetch, engine, request, key)

    def _fetch(self, engine: Engine, request: Request, key: str) -> None:
        try:
            found = engine.cloud(request) if isinstance(request, CloudRequest) else engine.partition(request)
            with self.lock:
                self.held[key] = Arrays({k: v for k, v in found.arrays.items() if k in KEPT}, found.meta)
                self.refused.pop(key, None)
                while len(self.held) > MOST:
                    del self.held[next(iter(self.held))]
            self.down = False
        except EngineDown:
            self.down = True
        except EngineError as error:
            self.refused[key] = (str(error), time.monotonic())
        finally:
            with self.lock:
                self.under_way.pop(key, None)


@st.cache_resource(show_spinner=False)
def shelf() -> Shelf:
    return Shelf()


def key_of(request: Request) -> str:
    return f"{type(request).__name__} {request.model_dump_json()}"


def missing(wanted: Sequence[Request]) -> int:
    """How many of these are still to be fetched."""
    here = shelf()
    return sum(here.lacks(key_of(request)) for request in wanted)


def fetch(wanted: Sequence[Request], wait_s: float = WAIT_S, first: int | None = None) -> Progress:
    """See that these are on their way, the first ones first, and wait a little for as many of those as a picture needs
    (None: all)."""
    here, engine, until = shelf(), state.engine(), time.monotonic() + wait_s
    here.down = False
    while True:
        lacking = [request for request in wanted if here.lacks(key_of(request))]
        for request in lacking[:AHEAD]:
            here.ask(engine, request)
        left = until - time.monotonic()
        if not any(here.lacks(key_of(request)) for request in wanted[:first]) or left <= 0 or here.down:
            return Progress(len(lacking), here.down)
        wait(list(here.under_way.values()), timeout=left, return_when=FIRST_COMPLETED)


def get(request: Request) -> Arrays | None:
    """The answer, where it is here already."""
    return shelf().held.get(key_of(request))


def refusal(request: Request) -> str:
    """The engine's words, where it said no."""
    return shelf().refused.get(key_of(request), ("", 0.0))[0]

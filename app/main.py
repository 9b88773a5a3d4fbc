"""The app as the server sees it: Streamlit's pages, and the /api routes that live parts of them ask by themselves.

    streamlit run app/main.py

Streamlit's custom routes bypass the pages, so each request here proves itself with a key that only a page knows.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import importlib
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import streamlit as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from app import state, tickets
from app.client import LIMITS, TIMEOUT, engine_address, error_of, token_header
from app.components import health, pulse
from app.components.sights import Step
from app.lessons.base import lessons
from engine.schema import EngineDown, EngineError, GenerateRequest, Particle

Asked = TypeVar("Asked", bound=BaseModel)

LARGEST_BODY = 4096
MOST_SHOWERS = 64
TASK = re.compile(r"[A-Za-z0-9_-]{1,100}")
PASSED_ON = ("content-length", "content-range", "content-disposition", "accept-ranges", "etag", "last-modified")
COLLECT_EVERY_S = 60.0


class LiveShower(BaseModel):
    """What the slider panel may ask: few showers of one particle, or mean and spread of some more."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str, Field(max_length=200)]
    particle: Particle
    step: int | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    n: Annotated[int, Field(ge=1, le=256)] = 1
    convention: Annotated[str, Field(max_length=40)] = "paper"
    walk: tuple[Step, Step] | None = None
    moments: bool = False

    @model_validator(mode="after")
    def _few(self) -> LiveShower:
        if self.n > MOST_SHOWERS and not self.moments:
            raise ValueError(f"at most {MOST_SHOWERS} showers at once, or their moments")
        return self


class LiveNearest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    data: Annotated[str, Field(max_length=200)]
    particle: Particle
    k: Annotated[int, Field(ge=1, le=16)] = 3


def refuse(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


async def read_body(request: Request) -> bytes | None:
    """The body, None when it is larger than any honest request; reading stops there."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            return None
    return body


async def checked(request: Request, kind: type[Asked]) -> Asked | Response:
    """What a browser asks, or the refusal."""
    if not hmac.compare_digest(request.headers.get("x-showerscope-key", "").encode(), state.API_KEY.encode()):
        return refuse(403, "This address serves only the app's own page. Reload the page.")
    body = await read_body(request)
    if body is None:
        return refuse(413, f"The request is larger than {LARGEST_BODY} bytes.")
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the request"
        return refuse(422, f"{where}: {first['msg']}")


async def forward(request: Request, method: str, kind: type[BaseModel]) -> Response:
    """Check a browser's request and pass it to the engine; its bytes go through untouched."""
    asked = await checked(request, kind)
    if isinstance(asked, Response):
        return asked
    if isinstance(asked, LiveShower):
        asked_json: dict[str, Any] = {"request": GenerateRequest(**asked.model_dump()).model_dump(mode="json")}
    else:
        asked_json = asked.model_dump(mode="json")
    try:
        reply = await engine_http(request).post(
            f"{engine_address()}/v1/{method}", json=asked_json, headers=token_header()
        )
    except httpx.TransportError:
        return refuse(503, "The engine does not answer.")
    return Response(reply.content, reply.status_code, media_type=reply.headers.get("content-type"))


def engine_http(request: Request) -> httpx.AsyncClient:
    """The one kept-open client; made at the first request, when its event loop runs."""
    holder = request.app.state
    if not hasattr(holder, "engine_http"):
        holder.engine_http = httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS, trust_env=False)
    return holder.engine_http


async def shower(request: Request) -> Response:
    """POST /api/shower: safetensors of `Engine.generate`."""
    return await forward(request, "generate", LiveShower)


async def nearest(request: Request) -> Response:
    """POST /api/nearest: safetensors of `Engine.nearest`."""
    return await forward(request, "nearest", LiveNearest)


async def heartbeat(request: Request) -> Response:
    """POST /api/pulse: JSON of `pulse.beat`."""
    asked = await checked(request, pulse.Asked)
    if isinstance(asked, Response):
        return asked
    try:
        return JSONResponse(await asyncio.to_thread(pulse.beat, state.engine(), asked))
    except EngineError as error:
        return refuse(503 if isinstance(error, EngineDown) else 422, str(error))


async def engine_state(request: Request) -> Response:
    """POST /api/health: JSON of `health.told`."""
    asked = await checked(request, health.Asked)
    return asked if isinstance(asked, Response) else JSONResponse(await asyncio.to_thread(health.told, state.engine()))


async def file(request: Request) -> Response:
    """GET /api/file/TASK: a task's file, passed on piece by piece however large, to who holds a link of the page's."""
    task_id = request.path_params["task_id"]
    query = request.query_params
    said = tickets.refusal(task_id, query.get("expires", ""), query.get("proof", ""))
    if said or not TASK.fullmatch(task_id):
        return PlainTextResponse(said or "No task has such a name.", 403)
    asked = {name: request.headers[name] for name in ("range", "if-range") if name in request.headers}
    address = f"{engine_address()}/v1/file/{task_id}"
    http = engine_http(request)
    try:
        reply = await http.send(http.build_request("GET", address, headers=token_header() | asked), stream=True)
    except httpx.TransportError:
        return PlainTextResponse("The engine does not answer. Try again when it runs.", 503)
    if not reply.is_success:
        await reply.aread()
        await reply.aclose()
        return PlainTextResponse(f"{error_of(reply)}.".replace("..", "."), reply.status_code)
    headers = {name: reply.headers[name] for name in PASSED_ON if name in reply.headers}
    headers.setdefault("content-disposition", f'attachment; filename="{task_id}"')
    kind = reply.headers.get("content-type", "application/octet-stream")
    return StreamingResponse(pieces(reply), reply.status_code, headers=headers, media_type=kind)


async def pieces(reply: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes; the engine is let go of when the browser is."""
    try:
        async for piece in reply.aiter_raw():
            yield piece
    finally:
        await reply.aclose()


async def collect_garbage() -> None:
    """Streamlit's own collection after every rerun is off (it costs up to 0.4 s a rerun): collect in the pauses."""
    gc.freeze()
    while True:
        await asyncio.sleep(COLLECT_EVERY_S)
        await asyncio.to_thread(gc.collect)


def answer_at_once() -> None:
    """Turn Nagle's delay off for the sockets that this process listens on, and so for every connection that comes in.
    Streamlit's server leaves it on, which holds each answer back by 40 ms: more than a shower takes."""
    for found in gc.get_objects():
        if type(found) is not socket.socket or found.family not in (socket.AF_INET, socket.AF_INET6):
            continue
        if found.fileno() >= 0 and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def load_pages() -> None:
    """Import, and compute once, what the first visitor would otherwise wait for."""
    for name in ("generate", "train", "latent", "compare", "data", "manifolds", "learn", "about"):
        importlib.import_module(f"app.views.{name}")
    for lesson in lessons():
        lesson.sheet(False, **lesson.first())


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    answer_at_once()
    await asyncio.to_thread(load_pages)
    task = asyncio.create_task(collect_garbage())
    yield
    task.cancel()


def hide_traceback(error: Exception) -> bool:
    """The outermost boundary: whatever a page lets through is shown as one sentence; the log has the rest."""
    st.error(f"This page met an error it does not know ({type(error).__name__}). Reload it; the log has the details.")
    return True


app = st.App(
    Path(__file__).parent / "views" / "shell.py",
    routes=[
        Route("/api/shower", shower, methods=["POST"]),
        Route("/api/nearest", nearest, methods=["POST"]),
        Route("/api/health", engine_state, methods=["POST"]),
        Route("/api/pulse", heartbeat, methods=["POST"]),
        Route("/api/file/{task_id}", file, methods=["GET"]),
    ],
    lifespan=lifespan,
    on_script_error=hide_traceback,
)

"""The engine over HTTP: every method of `engine.schema.Engine` is `POST /v1/NAME` with its arguments as JSON;
`upload` takes the file itself as the body, and `GET /v1/file/TASK_ID` sends the file of a bulk.

Loopback only unless told otherwise; a bearer token, made at first start, stands before everything but `GET /health`.
"""

from __future__ import annotations

import asyncio
import ctypes
import hmac
import inspect
import logging
import os
import secrets
import shutil
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, Response

from engine.schema import Arrays, Engine, EngineError, NotFound, WrongInput
from engine.service import NotAllowed, Service
from engine.tasks import UPLOAD_BYTES

logger = logging.getLogger("showerscope.server")

PORT = 8511
LARGEST_BODY = 32 * 2**20
MOST_BYTES = 2**30
"""Largest answer with pictures; more is a job for the command line, which writes files."""
LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]", "testserver"}
OCTETS = "application/octet-stream"
TRIM_EVERY_S = 10.0


# ------------------------------------------------------------------------------------------------------------- token
def token(home: Path) -> str:
    """The token of this home, made at first start; nobody but its owner can read it at any moment."""
    path = home / "token"
    fresh = home / f".token.{os.getpid()}.{threading.get_ident()}"
    try:
        if not path.exists():
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32))
            with suppress(FileExistsError):  # another engine was faster: its token stands
                os.link(fresh, path)
            fresh.unlink()
        path.chmod(0o600)
        found = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongInput(f"token {path} cannot be made or read ({error}): remove it and start again") from error
    if len(found) < 20:
        raise WrongInput(f"token {path} is too short: remove it and start again")
    return found


# ---------------------------------------------------------------------------------------------------------- methods
@dataclass(frozen=True)
class Method:
    """How one method of the protocol is called from JSON."""

    name: str
    arguments: type[BaseModel]
    answer: Any


@cache
def methods() -> dict[str, Method]:
    """The wire contract, read from the protocol's signatures."""
    table = {}
    for name, function in vars(Engine).items():
        if name.startswith("_") or name == "upload" or not inspect.isfunction(function):
            continue
        hints = get_type_hints(function)
        answer = hints.pop("return")
        parameters = inspect.signature(function).parameters
        fields: dict[str, Any] = {
            n: (hint, ... if parameters[n].default is inspect.Parameter.empty else parameters[n].default)
            for n, hint in hints.items()
        }
        settings: Any = {"extra": "forbid", "allow_inf_nan": False}
        table[name] = Method(name, create_model(name, __config__=settings, **fields), answer)
    return table


def call(service: Service, method: Method, body: bytes) -> Response:
    """Check the arguments, call the method, wrap its answer. Raises `WrongInput` for what does not fit."""
    try:
        arguments = method.arguments.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise WrongInput(sentence(error)) from error
    given = {name: getattr(arguments, name) for name in method.arguments.model_fields}
    request = given.get("request")
    if method.name in ("generate", "export") and request is not None:
        rows = len(request.conditions or [()])
        if rows * request.n * 44 * 44 * 4 > MOST_BYTES:
            raise WrongInput(f"{rows * request.n} showers are too many for one answer: use `showerscope generate`")
    answer = getattr(service, method.name)(**given)
    if answer is None:
        return Response(status_code=204)
    if isinstance(answer, Arrays):
        return Response(answer.to_bytes(), media_type=OCTETS)
    if isinstance(answer, bytes):
        return Response(answer, media_type=OCTETS)
    return Response(TypeAdapter(method.answer).dump_json(answer), media_type="application/json")


async def receive(service: Service, file_name: str, request: Request) -> Response:
    """Write an upload to disk as it comes; one that is too large or breaks off leaves nothing."""
    whole = False
    try:
        ticket, path = await run_in_threadpool(service.receive, file_name)
        try:
            with path.open("wb") as file:
                async for piece in request.stream():
                    if file.tell() + len(piece) > UPLOAD_BYTES:
                        limit = UPLOAD_BYTES // 2**20
                        return refuse(413, f"the file is larger than {limit} MB: use `showerscope data import FILE`")
                    await run_in_threadpool(file.write, piece)
            whole = True
        finally:
            if not whole:
                shutil.rmtree(path.parent, ignore_errors=True)
    except EngineError as error:
        return refuse(status_of(error), str(error))
    except ClientDisconnect:
        return refuse(400, "the upload broke off")
    except OSError as error:
        return refuse(507, f"the file cannot be kept ({error.strerror}): free space in {service.home}")
    return JSONResponse(ticket)


def sentence(error: ValidationError) -> str:
    """The first thing that does not fit, in words."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def refuse(status: int, words: str) -> JSONResponse:
    return JSONResponse({"error": words}, status)


def status_of(error: EngineError) -> int:
    kinds = ((NotAllowed, 403), (NotFound, 404), (WrongInput, 422))
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


def trim() -> None:
    """Give the system back what was freed. glibc keeps it, in a heap for each thread that ever answered: 110 MB of an
    engine's 640, and 1.6 MB more each hundred interactions though nothing was held [measured]."""
    if sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other libraries than glibc have none
        if give_back is not None:
            give_back(0)


async def trim_now_and_then() -> None:
    while True:
        await asyncio.sleep(TRIM_EVERY_S)
        await run_in_threadpool(trim)


# -------------------------------------------------------------------------------------------------------------- app
def make_app(service: Service, key: str, names: set[str] | None = None) -> FastAPI:
    """The web application. `names`: hosts that a request may be addressed to (against DNS rebinding); None: any."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        trimming = asyncio.create_task(trim_now_and_then())
        yield
        trimming.cancel()
        await run_in_threadpool(service.close)

    app = FastAPI(title="Showerscope engine", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)

    def stranger(request: Request) -> bool:
        host = request.headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return names is not None and name not in names

    def not_ours(request: Request) -> Response | None:
        if stranger(request):
            return refuse(421, "this address is not served here")
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
            return refuse(401, "the token is missing or wrong: it stands in $SHOWERSCOPE_HOME/token")
        return None

    @app.get("/health")
    async def health(request: Request) -> Response:
        if stranger(request):
            return refuse(421, "this address is not served here")
        return Response(service.health().model_dump_json(), media_type="application/json")

    @app.post("/v1/upload")
    async def upload(file_name: str, request: Request) -> Response:
        if words := not_ours(request):
            return words
        return await receive(service, file_name, request)

    @app.get("/v1/file/{task_id}")
    async def file(task_id: str, request: Request) -> Response:
        if words := not_ours(request):
            return words
        try:
            path = await run_in_threadpool(service.file, task_id)
        except EngineError as error:
            return refuse(status_of(error), str(error))
        return FileResponse(path, media_type=OCTETS, filename=path.name)

    @app.post("/v1/{name}")
    async def method(name: str, request: Request) -> Response:
        if words := not_ours(request):
            return words
        if name not in methods():
            return refuse(404, f"the engine has no method {name!r}: there are {', '.join(methods())}")
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST_BODY:
                return refuse(413, f"the request is larger than {LARGEST_BODY} bytes")
        try:
            return await run_in_threadpool(call, service, methods()[name], body)
        except EngineError as error:
            return refuse(status_of(error), str(error))
        except Exception:  # the boundary to other programs: they get a sentence, the log gets the rest
            logger.exception("%s failed", name)
            return refuse(500, f"{name} failed for a reason unknown: the engine's log has the details")

    return app


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `WrongInput` when the port is taken or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay (40 ms an answer) off only where the protocol is named
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise WrongInput(f"port {port} on {host} cannot be used ({reason}): choose another with --port") from error
    listening.listen(128)
    return listening


def serve(host: str = "127.0.0.1", port: int = PORT, training_allowed: bool = True) -> None:
    """Serve until SIGINT or SIGTERM; trainings then end with a checkpoint. Raises `WrongInput` before anything is
    started when the home cannot be written or the port is taken."""
    service = Service(training_allowed)
    key = token(service.home)
    listening = bind(host, port)
    service.start()
    loopback = host in ("127.0.0.1", "localhost", "::1")
    app = make_app(service, key, LOCAL_NAMES | {host} if loopback else None)
    config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    address = listening.getsockname()
    logger.info("engine at http://%s:%d, home %s", host, address[1], service.home)
    server.run(sockets=[listening])

"""Serves the tests' fake engine over the wire contract, for work on the pages without a trained model.

.venv/bin/python tests/app/serve_fake.py [--port 8511] [--empty] [--models NAME ...] [--copies N] [--toys]
"""

from __future__ import annotations

import argparse
import inspect
from typing import Any, get_type_hints

import uvicorn
from fake import STEPS, FakeEngine
from fake_manifolds import ManifoldsEngine
from fastapi import FastAPI, Request
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from app.client import read_token
from engine.schema import Arrays, Engine, EngineError, NotFound, TrainSpec, WrongInput


def answer(value: Any) -> Response:
    if value is None:
        return Response(status_code=204)
    if isinstance(value, Arrays):
        return Response(value.to_bytes(), media_type="application/octet-stream")
    if isinstance(value, bytes):
        return Response(value, media_type="application/octet-stream")
    if isinstance(value, list):
        return JSONResponse([item.model_dump(mode="json") for item in value])
    return JSONResponse(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)


def make_server(engine: Engine, token: str = "") -> FastAPI:
    """The fake behind the engine's wire contract; `token` empty asks for none."""
    server = FastAPI()

    @server.get("/health")
    def health() -> Response:
        return answer(engine.health())

    @server.post("/v1/upload")
    async def upload(file_name: str, request: Request) -> Response:
        return JSONResponse(engine.upload(file_name, await request.body()))

    @server.get("/v1/file/{task_id}")
    def file(task_id: str) -> Response:
        try:
            name, content = engine.file(task_id)  # pyright: ignore[reportAttributeAccessIssue]
        except NotFound as error:
            return JSONResponse({"error": str(error)}, 404)
        return Response(
            content, media_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )  # fmt: skip

    @server.post("/v1/{method}")
    async def call(method: str, request: Request) -> Response:
        if token and request.headers.get("authorization") != f"Bearer {token}":
            return JSONResponse({"error": "wrong token"}, 401)
        function = getattr(engine, method, None)
        if function is None or method.startswith("_"):
            return JSONResponse({"error": f"no method {method}"}, 404)
        try:
            body = await request.json()
            hints = get_type_hints(function)
            names = inspect.signature(function).parameters
            arguments = {k: TypeAdapter(hints[k]).validate_python(v) for k, v in body.items() if k in names}
            return answer(function(**arguments))
        except NotFound as error:
            return JSONResponse({"error": str(error)}, 404)
        except (WrongInput, ValidationError) as error:
            return JSONResponse({"error": str(error)}, 422)
        except EngineError as error:
            return JSONResponse({"error": str(error)}, 500)

    return server


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8511)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--models", nargs="*", default=[], help="names of trained models beside the bundled one")
    parser.add_argument("--copies", type=int, default=1, help="how often the data set holds each shower")
    parser.add_argument("--toys", action="store_true", help="with sets of points, of which models train in seconds")
    arguments = parser.parse_args()
    kind = ManifoldsEngine if arguments.toys else FakeEngine
    engine = kind(empty=arguments.empty, copies=arguments.copies)
    for name in arguments.models:
        run = engine.submit(TrainSpec(name=name))
        engine.store[run].update(at=STEPS, state="finished")
    uvicorn.run(make_server(engine, read_token()), port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()

"""The typed HTTP client: the app's only way to the engine. It caches nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from engine.schema import (
    Arrays,
    Benchmark,
    BrokenGenerator,
    Catalogue,
    CloudRequest,
    DatasetInfo,
    EngineDown,
    EngineError,
    EvaluateRequest,
    FileFormat,
    GenerateRequest,
    Health,
    History,
    ImportReport,
    MapRequest,
    NotFound,
    Particle,
    PartitionRequest,
    Report,
    RunInfo,
    ScanRequest,
    Task,
    TaskInfo,
    TrainSpec,
    WrongInput,
)

Answer = TypeVar("Answer")

TIMEOUT = httpx.Timeout(60.0, connect=2.0)
LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=16, keepalive_expiry=60.0)
DATASETS, RUNS = TypeAdapter(list[DatasetInfo]), TypeAdapter(list[RunInfo])
REPORTS = TypeAdapter(list[ImportReport])
BENCHMARKS = TypeAdapter(list[Benchmark])
BROKEN = TypeAdapter(list[BrokenGenerator])


def engine_address() -> str:
    """Where the engine answers: `SHOWERSCOPE_ENGINE`, or the default of `showerscope engine`."""
    return os.environ.get("SHOWERSCOPE_ENGINE", "http://127.0.0.1:8511").rstrip("/")


def read_token() -> str:
    """The bearer token that the engine wrote at its first start; empty while there is none."""
    home = Path(os.environ.get("SHOWERSCOPE_HOME", "~/.showerscope")).expanduser()
    try:
        return (home / "token").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def token_header(token: str | None = None) -> dict[str, str]:
    """The header that proves us to the engine; none while there is no token, and the engine then says 401."""
    token = read_token() if token is None else token
    return {"Authorization": f"Bearer {token}"} if token else {}


def down(address: str, why: str) -> EngineDown:
    return EngineDown(f"No engine answers at {address} ({why}). Start one with `showerscope up` or `make run`.")


def jsonable(value: Any) -> Any:
    """Pydantic models as JSON, in lists too; the rest as it is."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return value


def error_of(response: httpx.Response) -> EngineError:
    """The engine's plain sentence as the exception it stands for."""
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    said = body.get("error") if isinstance(body, dict) else None
    sentence = said if isinstance(said, str) and said else f"the engine answered {response.status_code}"
    if response.status_code == 401:
        return EngineDown(
            "The engine refuses the app's token: the app and the engine use different homes. "
            "Start both with the same SHOWERSCOPE_HOME."
        )
    if response.status_code == 404:
        return NotFound(sentence)
    if response.status_code in (400, 403, 413, 422, 507):
        return WrongInput(sentence)
    return EngineError(sentence)


class Client:
    """The `Engine` protocol over HTTP, on kept-open connections; one object serves all threads."""

    def __init__(
        self, address: str | None = None, token: str | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.address = address or engine_address()
        self._token = token
        # The engine is ours and near: a proxy of the environment must not stand between.
        self._http = httpx.Client(timeout=TIMEOUT, limits=LIMITS, transport=transport, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        headers = token_header(self._token)
        try:
            response = self._http.request(method, self.address + path, json=body, headers=headers, **more)
        except httpx.TimeoutException as error:
            raise down(self.address, "it took too long to answer") from error
        except httpx.TransportError as error:
            raise down(self.address, "connection refused" if "refused" in str(error) else "not reachable") from error
        if response.is_success:
            return response
        raise error_of(response)

    def _call(self, method: str, **arguments: Any) -> httpx.Response:
        return self._send("POST", f"/v1/{method}", {name: jsonable(value) for name, value in arguments.items()})

    def _ask(self, kind: type[Answer] | TypeAdapter[Answer], response: httpx.Response) -> Answer:
        adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
        try:
            return adapter.validate_json(response.content)
        except ValidationError as error:
            raise EngineError(
                "The engine's answer does not have the expected form: app and engine are of different versions. "
                "Restart both."
            ) from error

    def _arrays(self, method: str, **arguments: Any) -> Arrays:
        return Arrays.from_bytes(self._call(method, **arguments).content)

    def health(self) -> Health:
        return self._ask(Health, self._send("GET", "/health"))

    def catalogue(self) -> Catalogue:
        return self._ask(Catalogue, self._call("catalogue"))

    def datasets(self) -> list[DatasetInfo]:
        return self._ask(DATASETS, self._call("datasets"))

    def columns(self, data: str, convention: str = "paper") -> Arrays:
        return self._arrays("columns", data=data, convention=convention)

    def showers(self, data: str, rows: list[int]) -> Arrays:
        return self._arrays("showers", data=data, rows=rows)

    def nearest(self, data: str, particle: Particle, k: int = 8) -> Arrays:
        return self._arrays("nearest", data=data, particle=particle, k=k)

    def save_rows(self, data: str, rows: list[int], format: FileFormat) -> bytes:
        return self._call("save_rows", data=data, rows=rows, format=format).content

    def imports(self) -> list[ImportReport]:
        return self._ask(REPORTS, self._call("imports"))

    def upload(self, file_name: str, content: bytes) -> str:
        return self._ask(str, self._send("POST", "/v1/upload", params={"file_name": file_name}, content=content))

    def remove_data(self, data: str) -> None:
        self._call("remove_data", data=data)

    def start_task(self, task: Task) -> TaskInfo:
        return self._ask(TaskInfo, self._call("start_task", task=task))

    def task(self, task_id: str) -> TaskInfo:
        return self._ask(TaskInfo, self._call("task", task_id=task_id))

    def cancel_task(self, task_id: str) -> None:
        self._call("cancel_task", task_id=task_id)

    def remove_task(self, task_id: str) -> None:
        self._call("remove_task", task_id=task_id)

    def task_arrays(self, task_id: str) -> Arrays:
        return self._arrays("task_arrays", task_id=task_id)

    def runs(self) -> list[RunInfo]:
        return self._ask(RUNS, self._call("runs"))

    def status(self, run: str) -> RunInfo:
        return self._ask(RunInfo, self._call("status", run=run))

    def submit(self, spec: TrainSpec) -> str:
        return self._ask(str, self._call("submit", spec=spec))

    def history(self, run: str, since: int = -1) -> History:
        return self._ask(History, self._call("history", run=run, since=since))

    def cancel(self, run: str) -> None:
        self._call("cancel", run=run)

    def pause(self, run: str) -> None:
        self._call("pause", run=run)

    def step(self, run: str) -> None:
        self._call("step", run=run)

    def resume(self, run: str) -> None:
        self._call("resume", run=run)

    def remove(self, run: str) -> None:
        self._call("remove", run=run)

    def generate(self, request: GenerateRequest) -> Arrays:
        return self._arrays("generate", request=request)

    def scan(self, request: ScanRequest) -> Arrays:
        return self._arrays("scan", request=request)

    def samples(self, run: str, step: int | None = None) -> Arrays:
        return self._arrays("samples", run=run, step=step)

    def encode(self, run: str, data: str, rows: list[int], step: int | None = None) -> Arrays:
        return self._arrays("encode", run=run, data=data, rows=rows, step=step)

    def decode(
        self,
        run: str,
        latent: list[list[float]],
        step: int | None = None,
        conditions: list[list[float]] | None = None,
    ) -> Arrays:
        return self._arrays("decode", run=run, latent=latent, step=step, conditions=conditions)

    def map(self, request: MapRequest) -> Arrays:
        return self._arrays("map", request=request)

    def map_showers(self, request: MapRequest, points: list[int]) -> Arrays:
        return self._arrays("map_showers", request=request, points=points)

    def cloud(self, request: CloudRequest) -> Arrays:
        return self._arrays("cloud", request=request)

    def partition(self, request: PartitionRequest) -> Arrays:
        return self._arrays("partition", request=request)

    def evaluate(self, request: EvaluateRequest) -> Report:
        return self._ask(Report, self._call("evaluate", request=request))

    def report(self, task_ids: list[str]) -> bytes:
        return self._call("report", task_ids=task_ids).content

    def benchmarks(self) -> list[Benchmark]:
        return self._ask(BENCHMARKS, self._call("benchmarks"))

    def broken(self) -> list[BrokenGenerator]:
        return self._ask(BROKEN, self._call("broken"))

    def export(self, request: GenerateRequest, format: FileFormat) -> bytes:
        return self._call("export", request=request, format=format).content

"""The /api routes: they serve the app's own page and nobody else."""

import asyncio
import socket
from typing import Any, cast

import httpx
import pytest
from fake import DownEngine, FakeEngine
from starlette.applications import Starlette
from starlette.routing import Route

from app import main, state
from engine.schema import Arrays, Engine, TrainSpec

KEY = {"x-showerscope-key": state.API_KEY}
ASKED = {"run": "r", "particle": {"energy_gev": 100.0}, "seed": 1, "n": 1}


class Page:
    """Posts to the routes as the browser does."""

    def __init__(self, server: Starlette) -> None:
        self.server = server

    def post(self, path: str, **what: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.server)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
                return await browser.post(path, **what)

        return asyncio.run(send())


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """The routes, with an engine behind them that repeats what it was asked."""
    server = Starlette(routes=[Route("/api/shower", main.shower, methods=["POST"]),
                               Route("/api/nearest", main.nearest, methods=["POST"]),
                               Route("/api/health", main.engine_state, methods=["POST"]),
                               Route("/api/pulse", main.heartbeat, methods=["POST"])])  # fmt: skip

    def engine(request: httpx.Request) -> httpx.Response:
        asked = Arrays({}, {"path": request.url.path, "body": request.read().decode()})
        return httpx.Response(200, content=asked.to_bytes())

    transport = httpx.MockTransport(engine)
    monkeypatch.setattr(main, "engine_http", lambda _: httpx.AsyncClient(transport=transport))
    return Page(server)


def test_shower_goes_to_the_engine_and_its_bytes_come_back(page: Page):
    reply = page.post("/api/shower", json=ASKED, headers=KEY)
    assert reply.status_code == 200
    meta = Arrays.from_bytes(reply.content).meta
    assert meta["path"] == "/v1/generate"
    assert '"energy_gev":100.0' in meta["body"]


def test_a_walk_and_moments_go_to_the_engine(page: Page):
    asked = ASKED | {"n": 256, "moments": True, "walk": [1.5, -3]}
    meta = Arrays.from_bytes(page.post("/api/shower", json=asked, headers=KEY).content).meta
    assert '"moments":true' in meta["body"]
    assert '"walk":[1.5,-3.0]' in meta["body"]


def test_nearest_goes_to_the_engine(page: Page):
    reply = page.post("/api/nearest", json={"data": "d", "particle": {}, "k": 2}, headers=KEY)
    assert Arrays.from_bytes(reply.content).meta["path"] == "/v1/nearest"


@pytest.mark.parametrize("headers", [{}, {"x-showerscope-key": "guess"}, {"x-showerscope-key": state.API_KEY[:-1]}])
def test_a_request_without_the_pages_key_is_refused(page: Page, headers: dict[str, str]):
    assert page.post("/api/shower", json=ASKED, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"n": 0}, {"n": 100_000}, {"n": 65}, {"n": 257, "moments": True},
        {"walk": [0]}, {"walk": [4, 0]}, {"seed": -1}, {"particle": {"energy_gev": "much"}}, {"run": "r" * 300},
        {"light": "expected"}, {"particle": {"colour": 1}},
    ],
)  # fmt: skip
def test_wrong_requests_are_named_and_never_reach_the_engine(page: Page, change: dict):
    reply = page.post("/api/shower", json=ASKED | change, headers=KEY)
    assert reply.status_code == 422
    assert reply.json()["error"]


def test_no_json_is_refused(page: Page):
    assert page.post("/api/shower", content=b"\x00{", headers=KEY).status_code == 422
    assert page.post("/api/shower", content=b'{"particle":{"energy_gev":NaN}}', headers=KEY).status_code == 422


def test_a_large_body_is_refused(page: Page):
    assert page.post("/api/shower", content=b" " * 10_000, headers=KEY).status_code == 413


def test_without_engine_the_panel_is_told(page: Page, monkeypatch: pytest.MonkeyPatch):
    def gone(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    transport = httpx.MockTransport(gone)
    monkeypatch.setattr(main, "engine_http", lambda _: httpx.AsyncClient(transport=transport))
    assert page.post("/api/shower", json=ASKED, headers=KEY).status_code == 503


def test_answers_are_not_held_back_by_nagles_delay():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert not listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        main.answer_at_once()
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_pulse_of_a_training_comes_from_the_engine(page: Page, fake: FakeEngine):
    run = fake.submit(TrainSpec(name="beside"))
    reply = page.post("/api/pulse", json={"runs": [run], "stamp": ""}, headers=KEY)
    assert reply.status_code == 200
    assert reply.json()["name"] == "beside"
    assert reply.json()["news"] == "page"
    assert page.post("/api/pulse", json={"runs": [run], "stamp": ""}).status_code == 403


def test_the_state_of_the_engine_is_told_and_so_is_that_it_is_gone(page: Page, fake: FakeEngine):
    assert page.post("/api/health", json={}, headers=KEY).json()["said"] == "engine ready"
    fake.submit(TrainSpec())
    said = page.post("/api/health", json={}, headers=KEY).json()
    assert said["said"] == "engine training 1"
    assert "cpu · 1 thread" in said["detail"]
    assert page.post("/api/health", json={}).status_code == 403
    state.use_engine(lambda: cast(Engine, DownEngine()))
    assert page.post("/api/health", json={}, headers=KEY).json()["said"] == "engine down"


@pytest.mark.parametrize("asked", [{}, {"runs": [], "stamp": ""}, {"runs": ["r"] * 4, "stamp": ""},
                                   {"runs": ["r"], "stamp": "", "last": {"r": "x"}},
                                   {"runs": ["r"], "stamp": "", "map": {"n": 3}}])  # fmt: skip
def test_a_pulse_of_nothing_is_refused(page: Page, fake: FakeEngine, asked: dict):
    assert page.post("/api/pulse", json=asked, headers=KEY).status_code == 422


def test_without_an_engine_there_is_no_pulse(page: Page):
    state.use_engine(lambda: cast(Engine, DownEngine()))
    reply = page.post("/api/pulse", json={"runs": ["r"], "stamp": ""}, headers=KEY)
    assert reply.status_code == 503
    assert "No engine answers" in reply.json()["error"]

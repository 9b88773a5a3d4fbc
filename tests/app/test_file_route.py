"""A bulk's file through the app: streamed, and only to who holds a link that the page made a short while ago."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from app import main, state, tickets

PIECE, PIECES = b"x" * 65_536, 200


class Body(httpx.AsyncByteStream):
    """A large file that counts how far it was read."""

    def __init__(self) -> None:
        self.sent, self.closed = 0, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            self.sent += 1
            yield PIECE

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def body(monkeypatch: pytest.MonkeyPatch) -> Body:
    """The engine behind the route sends this."""
    made = Body()

    def engine(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v1/file/bulk-1":
            return httpx.Response(404, json={"error": "task has no file: wait for its end"})
        headers = {"content-disposition": 'attachment; filename="showers.parquet"', "content-length": "13107200"}
        status = 206 if "range" in request.headers else 200
        return httpx.Response(status, headers=headers, stream=made)

    monkeypatch.setattr(main, "engine_http", lambda _: httpx.AsyncClient(transport=httpx.MockTransport(engine)))
    return made


def get(link: str, **headers: str) -> httpx.Response:
    server = Starlette(routes=[Route("/api/file/{task_id}", main.file, methods=["GET"])])

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(server)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
            return await browser.get(link, headers=headers)

    return asyncio.run(send())


def test_the_file_comes_whole_under_its_name(body: Body):
    reply = get(tickets.file_link("", "bulk-1"))
    assert reply.status_code == 200
    assert len(reply.content) == PIECES * len(PIECE)
    assert "showers.parquet" in reply.headers["content-disposition"]
    assert body.closed


def test_nothing_is_gathered_before_it_is_sent(body: Body):
    async def first_piece() -> None:
        scope = {
            "type": "http", "method": "GET", "headers": [], "path": "/", "app": Starlette(),
            "path_params": {"task_id": "bulk-1"},
            "query_string": urlsplit(tickets.file_link("", "bulk-1")).query.encode(),
        }  # fmt: skip
        reply = await main.file(main.Request(scope))
        assert body.sent == 0
        async for _ in reply.body_iterator:  # pyright: ignore[reportAttributeAccessIssue]
            break
        assert body.sent == 1

    asyncio.run(first_piece())


def test_a_download_that_broke_off_can_go_on(body: Body):
    assert get(tickets.file_link("", "bulk-1"), range="bytes=100-").status_code == 206


@pytest.mark.parametrize(
    "spoil",
    [
        lambda link: link.split("?")[0],
        lambda link: link[:-1] + ("0" if link[-1] != "0" else "1"),
        lambda link: link.replace("bulk-1", "bulk-2"),
        lambda link: link.replace("expires=", "expires=9"),
        lambda link: link.replace("proof=", "proof=é"),
        lambda link: link.split("?")[0] + f"?expires=x&proof={state.API_KEY}",
    ],
)
def test_a_link_that_the_page_did_not_make_is_refused_in_words(body: Body, spoil):
    reply = get(spoil(tickets.file_link("", "bulk-1")))
    assert reply.status_code == 403
    assert "not made by this app" in reply.text
    assert body.sent == 0


def test_an_old_link_is_refused_in_words(body: Body):
    reply = get(tickets.file_link("", "bulk-1", now=time.time() - tickets.HOLDS_S - 5))
    assert reply.status_code == 403
    assert "expired" in reply.text


def test_the_key_of_the_page_stands_in_no_link():
    assert state.API_KEY not in tickets.file_link("", "bulk-1")


def test_what_the_engine_refuses_is_said(body: Body):
    reply = get(tickets.file_link("", "bulk-3"))
    assert reply.status_code == 404
    assert reply.text == "task has no file: wait for its end."


def test_without_engine_the_download_says_so(monkeypatch: pytest.MonkeyPatch):
    def gone(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(main, "engine_http", lambda _: httpx.AsyncClient(transport=httpx.MockTransport(gone)))
    reply = get(tickets.file_link("", "bulk-1"))
    assert reply.status_code == 503
    assert "does not answer" in reply.text

"""The HTTP client against the fake behind the real wire contract, and against engines that misbehave."""

import inspect
import io
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import uvicorn
from fake import BUNDLED, FakeEngine
from hypothesis import given, settings
from hypothesis import strategies as st
from serve_fake import make_server

from app.client import Client
from engine.schema import (
    Arrays,
    Engine,
    EngineDown,
    EngineError,
    EvaluateRequest,
    GenerateRequest,
    ImportTask,
    MapRequest,
    NotFound,
    Particle,
    SimulateTask,
    TrainSpec,
    WrongInput,
)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(make_server(FakeEngine(), "secret"), port=port, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    made = Client(f"http://127.0.0.1:{port}", "secret")
    yield made
    made.close()
    server.should_exit = True
    thread.join(5)


def answering(status: int, body: bytes) -> Client:
    return Client("http://engine", "t", httpx.MockTransport(lambda _: httpx.Response(status, content=body)))


def test_client_has_every_method_of_the_engine_with_the_same_arguments():
    for name, method in inspect.getmembers(Engine, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(Client, name)) == inspect.signature(method), name


def test_the_fake_has_every_method_of_the_engine_with_the_same_arguments():
    for name, method in inspect.getmembers(Engine, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(FakeEngine, name)) == inspect.signature(method), name


def test_a_file_travels_and_is_imported_and_removed(client: Client):
    direct = FakeEngine()
    file = io.BytesIO()
    np.savez(file, showers=direct.pictures[:6], conditions=direct.conditions[:6])
    ticket = client.upload("my showers.npz", file.getvalue())
    assert ticket.endswith("/my showers.npz")
    task = client.start_task(ImportTask(data="mine", uploads=[ticket]))
    while not (task := client.task(task.task_id)).ended:
        time.sleep(0.05)
    assert task.report
    assert task.report.rows_kept == 6
    assert [report.name for report in client.imports()] == ["mine"]
    assert client.save_rows("mine", [0, 5], "npz")[:2] == b"PK"
    client.remove_data("mine")
    assert client.imports() == []
    with pytest.raises(WrongInput, match="only imported sets"):
        client.remove_data("zdc_geant4")


def test_a_simulation_is_asked_for_once_and_fetched(client: Client):
    request = SimulateTask(particle=Particle(energy_gev=50.0), n=2)
    task = client.start_task(request)
    with pytest.raises(NotFound):
        client.task_arrays(task.task_id)
    while not client.task(task.task_id).ended:
        time.sleep(0.05)
    assert client.start_task(request).state == "finished"
    made = client.task_arrays(task.task_id)
    assert made["showers"].shape == (2, 44, 44)
    assert made.meta["label"].startswith("Geant4")
    other = client.start_task(SimulateTask(particle=Particle(energy_gev=51.0)))
    client.cancel_task(other.task_id)
    assert client.task(other.task_id).state == "cancelled"


def test_client_answers_as_the_engine_does(client: Client):
    direct = FakeEngine()
    assert client.catalogue() == direct.catalogue()
    assert client.datasets() == direct.datasets()
    assert [run.run_id for run in client.runs()] == [BUNDLED]
    for mine, its in [
        (client.columns("zdc_geant4", "o2"), direct.columns("zdc_geant4", "o2")),
        (client.showers("zdc_geant4", [3, 1]), direct.showers("zdc_geant4", [3, 1])),
        (client.nearest("zdc_geant4", Particle(), 4), direct.nearest("zdc_geant4", Particle(), 4)),
        (client.samples(BUNDLED), direct.samples(BUNDLED)),
        (client.encode(BUNDLED, "zdc_geant4", [0]), direct.encode(BUNDLED, "zdc_geant4", [0])),
        (client.decode(BUNDLED, [[0.0] * 20]), direct.decode(BUNDLED, [[0.0] * 20])),
    ]:
        assert mine.meta == its.meta
        for name, array in its.arrays.items():
            np.testing.assert_array_equal(mine[name], array)
            assert mine[name].dtype == array.dtype


def test_a_run_can_be_led_through_its_life(client: Client):
    run = client.submit(TrainSpec(seed=3, name="mine"))
    client.pause(run)
    assert client.status(run).state == "paused"
    client.step(run)
    client.resume(run)
    client.cancel(run)
    assert client.status(run).state == "cancelled"
    assert client.history(run).run_id == run
    client.remove(run)
    with pytest.raises(NotFound, match="there is no run"):
        client.status(run)


def test_requests_travel_whole(client: Client):
    request = GenerateRequest(run=BUNDLED, particle=Particle(energy_gev=321), n=3, seed=9)
    made = client.generate(request)
    assert made["showers"].shape == (3, 44, 44)
    assert made.meta["seed"] == 9
    assert made["conditions"][0, 0] == 321
    assert client.map(MapRequest(run=BUNDLED, n=60))["xy"].shape == (120, 2)
    assert client.evaluate(EvaluateRequest(run=BUNDLED)).metrics["mae"].unit == "photons"
    assert client.export(request, "npz")[:2] == b"PK"
    assert client.health().status == "ready"


def test_wrong_input_is_said_in_the_engines_words(client: Client):
    with pytest.raises(WrongInput, match="not above the mass"):
        client.nearest("zdc_geant4", Particle(energy_gev=0.5))
    with pytest.raises(NotFound):
        client.columns("nothing")


def test_wrong_token_is_named(client: Client):
    stranger = Client(client.address, "wrong")
    with pytest.raises(EngineDown, match="SHOWERSCOPE_HOME"):
        stranger.runs()
    stranger.close()


def test_no_engine_is_said_with_the_mend():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineDown, match="showerscope up"):
        Client(f"http://127.0.0.1:{port}", "t").health()


def test_timeouts_are_an_engine_that_is_down():
    def late(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late")

    with pytest.raises(EngineDown, match="too long"):
        Client("http://engine", "t", httpx.MockTransport(late)).runs()


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (422, WrongInput), (403, WrongInput), (500, EngineError), (502, EngineError)]
)
@pytest.mark.parametrize("body", [b'{"error": "said so"}', b"<html>", b"", b"[1]", b'{"error": 3}'])
def test_every_refusal_is_an_engine_error(status: int, kind: type[EngineError], body: bytes):
    with pytest.raises(kind) as caught:
        answering(status, body).runs()
    if b"said so" in body:
        assert str(caught.value) == "said so"


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_for_arrays_are_an_answer_or_wrong_input(body: bytes):
    with pytest.raises(WrongInput):
        answering(200, body).samples("r")


@given(st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_cut_off_arrays_are_refused(length: int):
    whole = Arrays({"showers": np.ones((2, 8, 8), np.float32)}, {"ms": 1.0}).to_bytes()
    body = whole[: min(length, len(whole) - 1)]
    with pytest.raises(WrongInput):
        answering(200, body).samples("r")


def test_answers_of_another_version_are_said_so():
    with pytest.raises(EngineError, match="different versions"):
        answering(200, json.dumps([{"nothing": 1}]).encode()).runs()

"""The wire: who may ask, what is refused and how; and that a training beside slows nothing down."""

import json
import os
import platform
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from conftest import SMALL, serving, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from app.client import Client
from engine.bench.memory import of
from engine.schema import Arrays, BulkRequest, BulkTask, Engine, EngineDown, Spectrum, TrainSpec, WrongInput
from engine.server import LARGEST_BODY, LOCAL_NAMES, bind, make_app, methods, token, trim
from engine.service import Service

KEY = {"Authorization": "Bearer secret"}


@pytest.fixture(scope="module")
def wire(trained) -> Iterator[httpx.Client]:
    with serving(make_app(trained[0], "secret", LOCAL_NAMES)) as address, httpx.Client(base_url=address) as client:
        yield client


def test_every_method_of_the_engine_is_on_the_wire_and_nothing_else():
    wanted = {name for name in vars(Engine) if not name.startswith("_")}
    assert set(methods()) | {"upload"} == wanted  # whose body is the file
    assert len(wanted) == 38


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}])
def test_without_the_token_nothing_but_health_is_answered(wire, header):
    assert wire.get("/health").json()["status"] == "ready"
    answer = wire.post("/v1/runs", headers=header)
    assert answer.status_code == 401
    assert "token" in answer.json()["error"]
    assert wire.post("/v1/nonsense", headers=header).status_code == 401


def test_answers_have_the_agreed_forms(wire, trained):
    run = trained[1]
    assert isinstance(wire.post("/v1/runs", headers=KEY).json(), list)
    assert wire.post("/v1/status", json={"run": run}, headers=KEY).json()["run_id"] == run
    queued = wire.post("/v1/submit", json={"spec": {"config": SMALL}}, headers=KEY).json()
    assert isinstance(queued, str)
    for verb in ("cancel", "remove"):
        answer = wire.post(f"/v1/{verb}", json={"run": queued}, headers=KEY)
        assert (answer.status_code, answer.content) == (204, b"")
    answer = wire.post("/v1/generate", json={"request": {"run": run, "particle": {}}}, headers=KEY)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert Arrays.from_bytes(answer.content)["showers"].shape == (1, 44, 44)
    answer = wire.post("/v1/export", json={"request": {"run": run, "particle": {}}, "format": "csv"}, headers=KEY)
    assert answer.content.startswith(b"Energy,")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nonsense", b"{}", 404),
        ("__init__", b"{}", 404),
        ("status", b'{"run": "nope"}', 404),
        ("status", b"{}", 422),
        ("status", b"not json", 422),
        ("status", b"[]", 422),
        ("status", b'{"run": "a", "more": 1}', 422),
        ("generate", b'{"request": {"run": "a", "particle": {"energy_gev": NaN}}}', 422),
        ("generate", b'{"request": {"run": "a", "particle": {"energy_gev": 1e999}}}', 422),
        ("generate", b'{"request": {"run": "a", "particle": {}, "n": 1000000}}', 422),
        ("generate", b'{"request": {"run": "a", "particle": {}, "n": 0}}', 422),
        ("generate", b'{"request": {"run": "a", "particle": {}, "n": 100000000}}', 422),
        ("generate", b'{"request": {"run": "a", "particle": {}, "walk": [1]}}', 422),
        ("generate", b'{"request": {"run": "a", "particle": {}, "walk": [1, NaN]}}', 422),
        ("generate", b'{"request": {"run": "a", "particle": {}, "walk": [1, 1e9]}}', 422),
        ("scan", b'{"request": {"run": "a", "particle": {}, "energies_gev": [NaN]}}', 422),
        ("scan", b'{"request": {"run": "a", "particle": {}, "n": 1}}', 422),
        ("start_task", b'{"task": {"kind": "bulk", "request": {"run": "a", "n": 1000000000}}}', 422),
        ("submit", b'{"spec": {"seed": -1}}', 422),
        ("export", b'{"request": {"run": "a"}, "format": "exe"}', 422),
        ("runs", b" " * (LARGEST_BODY + 1), 413),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(wire, path, body, status):
    answer = wire.post(f"/v1/{path}", content=body, headers=KEY)
    assert answer.status_code == status
    words = answer.json()["error"]
    assert words
    assert "Traceback" not in words


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(set(methods()) - {"submit", "map", "remove", "cancel", "resume", "evaluate", "start_task"})),
    st.dictionaries(
        st.sampled_from(["run", "data", "rows", "request", "particle", "k", "latent", "since", "step"]),
        st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.floats(), max_size=3)),
        max_size=4,
    ),
)
def test_no_request_makes_the_engine_fail(wire, name, body):
    answer = wire.post(f"/v1/{name}", content=json.dumps(body), headers=KEY)
    assert answer.status_code in (200, 204, 404, 422), answer.text


def test_an_upload_is_streamed_to_disk_under_a_plain_name_and_needs_the_token(wire, trained, monkeypatch):
    before = set(trained[0].home.glob("uploads/*"))
    assert wire.post("/v1/upload", params={"file_name": "a.npz"}, content=b"x").status_code == 401
    ticket = wire.post("/v1/upload", params={"file_name": "../../a b.npz"}, content=b"12345", headers=KEY).json()
    path = trained[0].home / "uploads" / ticket
    assert (path.name, path.read_bytes()) == ("a_b.npz", b"12345")
    assert path.parent.parent == trained[0].home / "uploads"
    assert len(set(trained[0].home.glob("uploads/*")) - before) == 1
    monkeypatch.setattr("engine.server.UPLOAD_BYTES", 4)
    answer = wire.post("/v1/upload", params={"file_name": "a.npz"}, content=b"12345", headers=KEY)
    assert answer.status_code == 413
    assert "showerscope data import" in answer.json()["error"]
    assert len(set(trained[0].home.glob("uploads/*")) - before) == 1, "a refused upload leaves nothing"
    assert wire.post("/v1/upload", content=b"1", headers=KEY).status_code == 422


def test_the_file_of_a_bulk_is_sent_under_its_name_to_whom_has_the_token(wire, trained):
    service, run = trained
    spectrum = Spectrum(law="power")
    info = service.start_task(BulkTask(request=BulkRequest(run=run, spectrum=spectrum, n=50, format="root")))
    wait_for(lambda: service.task(info.task_id).ended)
    done = service.task(info.task_id)
    assert done.bulk, done.error
    assert wire.get(f"/v1/file/{info.task_id}").status_code == 401
    answer = wire.get(f"/v1/file/{info.task_id}", headers=KEY)
    assert answer.status_code == 200
    assert answer.content == service.file(info.task_id).read_bytes()
    assert f'filename="{done.bulk.file}"' in answer.headers["content-disposition"]
    part = wire.get(f"/v1/file/{info.task_id}", headers={**KEY, "Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"root"), "a download that broke off goes on"
    for task_id in ("nope", "bulk-0123456789abcdef", "..%2Fjobs", "evaluate-0123456789abcdef"):
        missing = wire.get(f"/v1/file/{task_id}", headers=KEY)
        assert missing.status_code == 404
        assert "Traceback" not in missing.text
    assert "task" in wire.get("/v1/file/bulk-0123456789abcdef", headers=KEY).json()["error"]


def test_an_error_of_ours_shows_no_traceback(wire, trained, monkeypatch, caplog):
    monkeypatch.setattr(type(trained[0]), "runs", lambda self: 1 / 0)
    answer = wire.post("/v1/runs", headers=KEY)
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("runs failed")
    assert "ZeroDivisionError" not in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_a_request_addressed_to_another_name_is_refused(wire):
    for host in ("evil.example", "evil.example:8511", "127.0.0.1.evil.example"):
        assert wire.get("/health", headers={"host": host}).status_code == 421
        assert wire.post("/v1/runs", headers={**KEY, "host": host}).status_code == 421
    for host in ("localhost:8511", "127.0.0.1", "[::1]:8511"):
        assert wire.get("/health", headers={"host": host}).status_code == 200


def test_a_read_only_engine_does_not_train(home):
    service = Service(training_allowed=False)
    with serving(make_app(service, "secret")) as address, httpx.Client(base_url=address) as wire:
        assert wire.get("/health").json()["training_allowed"] is False
        for name, body in (("submit", {"spec": {}}), ("cancel", {"run": "a"}), ("remove", {"run": "a"})):
            answer = wire.post(f"/v1/{name}", json=body, headers=KEY)
            assert answer.status_code == 403
            assert "--no-train" in answer.json()["error"]
        assert wire.post("/v1/runs", headers=KEY).status_code == 200


def test_the_token_is_made_once_and_for_its_owner_alone(tmp_path):
    first = token(tmp_path)
    assert first == token(tmp_path)
    assert len(first) >= 40
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["token"]
    (tmp_path / "token").chmod(0o644)
    assert token(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    (tmp_path / "token").write_text("")
    with pytest.raises(WrongInput, match="too short"):
        token(tmp_path)


def test_engines_that_start_at_once_agree_on_a_token(tmp_path):
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(token(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_port_in_use_is_said_in_one_line():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(WrongInput, match=f"port {port} on 127.0.0.1 cannot be used") as caught:
            bind("127.0.0.1", port)
        assert "\n" not in str(caught.value)
    with pytest.raises(WrongInput, match="cannot be used"):
        bind("127.0.0.1", 70000)


@pytest.mark.slow
def test_a_served_engine_trains_answers_health_quickly_meanwhile_and_ends_with_a_checkpoint(home):
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "engine.cli", "engine", "--port", str(port)]
    process = subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.PIPE)
    client = Client(f"http://127.0.0.1:{port}", None)
    try:

        def up() -> bool:
            try:
                return client.health().status == "ready"
            except EngineDown:
                return False

        wait_for(up, 60)
        run = client.submit(TrainSpec(config=SMALL | {"epochs": 2000, "checkpoint_epochs": 1}))
        wait_for(lambda: client.status(run).step > 3)
        times = []
        with httpx.Client(trust_env=False) as http:  # to make one takes longer than the engine takes to answer
            for _ in range(40):
                begin = time.perf_counter()
                assert http.get(f"http://127.0.0.1:{port}/health").json()["running"] == 1
                times.append(time.perf_counter() - begin)
                time.sleep(0.02)
        # a few milliseconds; one that waits for the training's steps takes hundreds
        assert sorted(times)[len(times) // 2] < 0.1, times
        wait_for(lambda: "loss/total" in client.history(run).series)
    finally:
        client.close()
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert b"Traceback" not in said, said
    info = Service().status(run)
    assert info.state == "interrupted"
    assert info.checkpoints[-1].step == info.step


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries give memory back by themselves")
def test_what_was_freed_goes_back_to_the_system():
    held = [bytes(2000) for _ in range(100_000)]
    last = held[-1]  # what lies below it is free, and is kept
    del held
    before = of(os.getpid())["Rss"]
    trim()
    assert of(os.getpid())["Rss"] < before - 150, last

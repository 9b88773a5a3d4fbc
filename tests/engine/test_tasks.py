"""Tasks: done once, ended by will, by kill or by the engine's end, and nothing is left half done."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import import_files as files
import numpy as np
import pytest
from conftest import wait_for

from engine.geant4 import simulation
from engine.schema import (
    CheckTask,
    ImportTask,
    NotFound,
    Overrides,
    Particle,
    PrepareTask,
    SimulateTask,
    TaskInfo,
    WrongInput,
)
from engine.service import NotAllowed, Service
from engine.tasks import Tasks, uploaded


@pytest.fixture
def engine(home: Path, tmp_path: Path) -> Iterator[Service]:
    made = Service(models=tmp_path)
    yield made
    made.close()


def ended(engine: Service, info: TaskInfo, seconds: float = 60) -> TaskInfo:
    wait_for(lambda: engine.task(info.task_id).ended, seconds)
    return engine.task(info.task_id)


def hand_over(engine: Service, paths: list[Path]) -> list[str]:
    return [engine.upload(path.name, path.read_bytes()) for path in paths]


def test_an_uploaded_file_becomes_a_set(engine, tmp_path):
    data = files.sample(8)
    tickets = hand_over(engine, files.write_npz(tmp_path, data))
    task = ImportTask(data="mine", uploads=tickets, options=Overrides(title="My showers"))
    done = ended(engine, engine.start_task(task))
    assert (done.state, done.done, done.total) == ("finished", 8, 8)
    assert done.report
    assert done.report.rows_kept == 8
    assert done.report.files == ["showers.npz"], "the user's name, not a path of the engine's"
    (info,) = [i for i in engine.datasets() if i.name == "mine"]
    assert (info.title, info.imported, info.showers) == ("My showers", True, 8)
    np.testing.assert_array_equal(engine.showers("mine", [3])["showers"][0], data["showers"][3])
    assert not list(engine.home.glob("uploads/*")), "an upload is gone with its import"
    assert [report.name for report in engine.imports()] == ["mine"]
    engine.remove_data("mine")
    assert "mine" not in [i.name for i in engine.datasets()]
    with pytest.raises(NotFound):
        engine.columns("mine")


def test_a_pair_of_files_is_found_by_its_names(engine, tmp_path):
    files.write_alice(tmp_path, files.sample(6))
    pair = [tmp_path / f"data_nonrandom_{kind}.npz" for kind in ("responses", "particles")]
    task = ImportTask(data="pair", uploads=hand_over(engine, pair))
    done = ended(engine, engine.start_task(task))
    assert done.state == "finished", done.error
    assert done.report
    assert sorted(done.report.files) == sorted(path.name for path in pair)


def test_a_bad_file_fails_in_one_line_and_leaves_the_store_as_it_was(engine, tmp_path):
    data = files.sample(6)
    data["showers"] = data["showers"].astype(float)
    data["showers"][1, 0, 0] = -2
    before = sorted(engine.home.glob("data/*"))
    done = ended(
        engine, engine.start_task(ImportTask(data="bad", uploads=hand_over(engine, files.write_npz(tmp_path, data))))
    )
    assert done.state == "failed"
    assert done.error.startswith("showers.npz")
    assert "row 2" in done.error
    assert "\n" not in done.error
    assert sorted(engine.home.glob("data/*")) == before
    assert engine.imports() == []


def test_what_cannot_succeed_is_refused_before_it_starts(engine):
    for task, said in (
        (ImportTask(data="zdc_geant4", uploads=["0" * 16 + "/a.npz"]), "data set of the house"),
        (ImportTask(data="../up", uploads=["0" * 16 + "/a.npz"]), "small letters"),
        (ImportTask(data="mine", uploads=["../../etc/passwd"]), "upload it again"),
        (ImportTask(data="mine", uploads=["0" * 16 + "/a.npz"]), "upload it again"),
        (PrepareTask(data="nope"), "no data set"),
        (CheckTask(data="zdc_geant4"), "zdc_fast can"),
    ):
        with pytest.raises(WrongInput, match=said):
            engine.start_task(task)
    assert not list(engine.home.glob("tasks/*"))
    for task_id in ("nope", "../jobs", "import-0123456789abcdef"):
        with pytest.raises(NotFound):
            engine.task(task_id)


def test_a_set_is_prepared_once_and_only_where_it_is_asked_for(engine):
    with pytest.raises(WrongInput, match="not simulated yet"):
        engine.columns("zdc_fast")
    (info,) = [i for i in engine.datasets() if i.name == "zdc_fast"]
    assert not info.ready
    started = engine.start_task(PrepareTask(data="zdc_fast"))
    assert engine.start_task(PrepareTask(data="zdc_fast")).task_id == started.task_id
    done = ended(engine, started)
    assert (done.state, done.done) == ("finished", info.showers)
    (found,) = [i for i in engine.datasets() if i.name == "zdc_fast"]
    assert (found.ready, found.showers) == (True, info.showers)
    assert len(engine.columns("zdc_fast")["pdg"]) == info.showers
    again = engine.start_task(PrepareTask(data="zdc_fast"))
    assert (again.state, again.task_id) == ("finished", done.task_id)


def test_a_check_is_computed_once_and_kept(engine):
    done = ended(engine, engine.start_task(CheckTask(data="zdc_fast", split="validation")))
    assert done.state == "finished", done.error
    assert done.validation
    assert done.validation.of == len(done.validation.rows)
    begin = time.monotonic()
    again = engine.start_task(CheckTask(data="zdc_fast", split="validation"))
    assert again.validation == done.validation
    assert time.monotonic() - begin < 1


def long_task(engine: Service, monkeypatch) -> TaskInfo:
    monkeypatch.setenv("SHOWERSCOPE_FAST_SHOWERS", "300000")
    info = engine.start_task(PrepareTask(data="zdc_fast"))
    wait_for(lambda: engine.task(info.task_id).done > 0, 60)
    return info


def left(engine: Service) -> list[str]:
    return [path.name for path in (engine.home / "data").glob("*")] + [p.name for p in engine.home.glob("data/.*")]


def test_cancelling_leaves_nothing_half_done(engine, monkeypatch):
    info = long_task(engine, monkeypatch)
    running = engine.task(info.task_id)
    assert running.state == "running"
    assert running.eta_s
    with pytest.raises(WrongInput, match="is running: cancel it first"):
        engine.remove_task(info.task_id)
    engine.cancel_task(info.task_id)
    assert ended(engine, info, 20).state == "cancelled"
    assert left(engine) == []


def test_a_waiting_task_is_cancelled_at_once(engine, monkeypatch):
    monkeypatch.setattr(Tasks, "_run", lambda self, name: None)
    info = engine.start_task(CheckTask(data="zdc_fast", split="train"))
    assert engine.task(info.task_id).state == "queued"
    engine.cancel_task(info.task_id)
    assert engine.task(info.task_id).state == "cancelled"


def test_a_killed_task_says_so_and_its_leftovers_go_at_the_next_start(engine, monkeypatch, tmp_path):
    info = long_task(engine, monkeypatch)
    process = engine.tasks._mine[info.task_id]
    assert process
    os.kill(process.pid, signal.SIGKILL)
    done = ended(engine, info)
    assert done.state == "failed"
    assert "killed" in done.error
    Service(models=tmp_path).close()
    assert left(engine) == []
    monkeypatch.setenv("SHOWERSCOPE_FAST_SHOWERS", "300")
    assert ended(engine, engine.start_task(PrepareTask(data="zdc_fast"))).state == "finished"


def test_tasks_end_with_their_engine(home, tmp_path, monkeypatch):
    engine = Service(models=tmp_path)
    info = long_task(engine, monkeypatch)
    process = engine.tasks._mine[info.task_id]
    assert process
    engine.close()
    assert process.poll() is not None
    assert Tasks(home).info(info.task_id).state == "cancelled"
    assert left(engine) == []


def test_a_task_ends_when_its_engine_is_killed(home, tmp_path):
    code = (
        "import time\nfrom engine.schema import PrepareTask\nfrom engine.service import Service\n"
        "service = Service()\ninfo = service.start_task(PrepareTask(data='zdc_fast'))\n"
        "print(info.task_id, flush=True)\ntime.sleep(60)"
    )
    environment = os.environ | {"SHOWERSCOPE_FAST_SHOWERS": "300000"}
    engine = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True)
    assert engine.stdout
    task = engine.stdout.readline().strip()
    tasks = Tasks(home)
    wait_for(lambda: tasks.info(task).done > 0)
    engine.kill()
    engine.wait()
    engine.stdout.close()
    wait_for(lambda: tasks.info(task).ended, 20)
    assert tasks.info(task).state == "cancelled"
    assert [path.name for path in home.glob("data/*")] == []


def test_an_engine_that_only_shows_takes_no_files(home, tmp_path):
    engine = Service(training_allowed=False, models=tmp_path)
    for refused in (
        lambda: engine.upload("a.npz", b"1"),
        lambda: engine.remove_data("a"),
        lambda: engine.start_task(PrepareTask(data="zdc_fast")),
        lambda: engine.start_task(ImportTask(data="a", uploads=["0" * 16 + "/a"])),
    ):
        with pytest.raises(NotAllowed):
            refused()
    engine.close()


@pytest.mark.parametrize("name", ["../../x", "a\x00b", "", "…", ".hidden", "a" * 300, "-rf", "C:\\x\\data.npz"])
def test_an_upload_lies_in_its_folder_whatever_its_name(engine, name):
    ticket = engine.upload(name, b"123")
    path = uploaded(engine.home, ticket)
    assert path.read_bytes() == b"123"
    assert path.resolve().parent.parent == (engine.home / "uploads").resolve()


def test_old_uploads_and_the_oldest_tasks_are_forgotten(engine, monkeypatch):
    ticket = engine.upload("a.npz", b"1")
    os.utime(engine.home / "uploads" / ticket.split("/")[0], (0, 0))
    ended(engine, engine.start_task(CheckTask(data="zdc_fast", split="validation")))
    monkeypatch.setattr("engine.tasks.KEPT", 0)

    def forgotten() -> bool:  # a process that has said its last word may take a moment to end
        Tasks(engine.home)
        return not list(engine.home.glob("tasks/*"))

    wait_for(forgotten)
    assert not list(engine.home.glob("uploads/*"))


def test_geant4_that_is_missing_is_said_at_once(engine, monkeypatch):
    monkeypatch.setattr(simulation, "python", lambda: None)
    assert not engine.catalogue().geant4.installed
    with pytest.raises(WrongInput, match=r"showerscope\[geant4\]"):
        engine.start_task(SimulateTask(particle=Particle()))


@pytest.mark.skipif(not simulation.installed(), reason="geant4-pybind is not installed")
def test_geant4_showers_come_with_label_and_time_and_are_kept(engine):
    task = SimulateTask(particle=Particle(energy_gev=60), n=2)
    done = ended(engine, engine.start_task(task))
    assert done.state == "finished", done.error
    made = engine.task_arrays(done.task_id)
    assert made["showers"].shape == (2, 44, 44)
    assert (made["cpu_seconds"] > 0).all()
    assert "Geant4" in made.meta["label"]
    assert engine.start_task(task).state == "finished"
    assert engine.start_task(task.model_copy(update={"seed": 1})).state != "finished"

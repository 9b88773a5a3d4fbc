"""Showers by the million: the same whoever asks, whole after any interruption, in constant memory."""

import errno
import itertools
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from conftest import serving, wait_for

from app.client import Client
from engine import bulk
from engine.cli import main
from engine.conditions import along
from engine.export.writers import ParquetWriter
from engine.host import BATCH
from engine.imports.base import read
from engine.schema import (
    CONDITIONS,
    BulkRequest,
    BulkTask,
    EngineError,
    EvaluateRequest,
    EvaluateTask,
    GenerateRequest,
    NotFound,
    Particle,
    Spectrum,
    TaskInfo,
    WrongInput,
)
from engine.server import LOCAL_NAMES, make_app
from engine.service import Service
from engine.sources import Source, source_of, spectrum_of
from engine.tasks import Tasks

POWER = Spectrum(law="power", particle=Particle(px_gev=0.02), minimum_gev=50, maximum_gev=2000)


@pytest.fixture
def small_parts(monkeypatch):
    """Two batches a part."""
    monkeypatch.setattr(bulk, "PART", 2 * BATCH)


def contents(path: Path) -> dict[str, np.ndarray]:
    """All that a file of showers holds."""
    if path.suffix == ".root":
        with uproot.open(path) as file:
            return file["showers"].arrays(library="np")
    table = pq.read_table(path)
    flat = table.column("showers").combine_chunks().flatten().to_numpy()
    rest = {name: table.column(name).to_numpy() for name in table.column_names if name != "showers"}
    return {"showers": flat.reshape(-1, 44, 44), **rest}


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


def ended(engine: Service | Client, info: TaskInfo, seconds: float = 90) -> TaskInfo:
    wait_for(lambda: engine.task(info.task_id).ended, seconds)
    return engine.task(info.task_id)


class Here:
    """A bulk in this process."""

    def __init__(self, trained: tuple[Service, str], **more) -> None:
        self.service, run = trained
        self.request = BulkRequest(run=run, **({"spectrum": POWER, "n": 5 * BATCH + 100, "seed": 3} | more))
        self.source = self.service.generator(run)
        self.rows: Source = source_of(self.request, self.source.data, None)

    def run(self, folder: Path, tell=lambda done, total: None) -> bulk.Bulk:
        folder.mkdir(exist_ok=True)
        return bulk.run(
            folder, self.service.host, self.source, self.rows, self.request, f"showers.{self.request.format}", tell
        )


class Stop(BaseException):
    """As a cancelled task is ended."""


def stopping(after: int):
    """Progress that ends the work at its `after`th word."""
    told = itertools.count(1)

    def tell(done: float, total: float) -> None:
        if next(told) > after:
            raise Stop

    return tell


# -------------------------------------------------------------------------------------------- the same whoever asks
def test_page_command_line_wire_and_task_draw_the_same_showers_bit_for_bit(trained, monkeypatch, tmp_path, capsys):
    service, run = trained
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(service.home))
    rows, n = along(Particle(px_gev=0.02), [100.0, 400.0, 1500.0]), 450  # over the ends of batches
    table = tmp_path / "particles.csv"
    lines = [",".join(CONDITIONS), *(",".join(repr(float(v)) for v in row) for row in rows)]
    table.write_text("\n".join(lines))
    request = GenerateRequest(run=run, conditions=rows.tolist(), n=n, seed=6)
    made = service.generate(request)
    with serving(make_app(service, "secret", LOCAL_NAMES)) as address:
        client = Client(address, "secret")
        wired = client.generate(request)
        ticket = client.upload(table.name, table.read_bytes())
        task = ended(client, client.start_task(BulkTask(request=BulkRequest(run=run, upload=ticket, n=n, seed=6))))
        client.close()
    assert task.bulk, task.error
    np.testing.assert_array_equal(made["showers"], wired["showers"])
    found = contents(Path(task.bulk.path))
    assert found["showers"].dtype == np.uint16
    np.testing.assert_array_equal(made["showers"], found["showers"])
    out = tmp_path / "showers.npz"
    words = ["generate", "--run", run, "--conditions", str(table), "--n", str(n), "--seed", "6", "--out", str(out)]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["showers"] == 3 * n
    with np.load(out) as file:
        np.testing.assert_array_equal(file["showers"], made["showers"])
        assert file["showers"].dtype == np.float32
        np.testing.assert_array_equal(file["conditions"], made["conditions"])
        np.testing.assert_array_equal(file["channels"], made["channels"])
        np.testing.assert_array_equal(file["impact_mm"], made["impact_mm"])
        np.testing.assert_array_equal(found["primary_id"], file["primary_id"])
        np.testing.assert_array_equal(found["replica"], file["replica"])
    for k, name in enumerate(CONDITIONS):
        np.testing.assert_array_equal(found[name], made["conditions"][:, k])


@pytest.mark.parametrize("spectrum", [Spectrum(), POWER])
def test_a_spectrum_is_the_same_from_task_and_command_line_and_its_particles_generate_again(
    trained, spectrum, monkeypatch, tmp_path
):
    here = Here(trained, spectrum=spectrum, n=BATCH + 200, seed=9)
    path = Path(here.run(tmp_path / "task").path)
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(here.service.home))
    out = tmp_path / "showers.parquet"
    words = ["generate", "--run", here.request.run, "--n", str(BATCH + 200), "--seed", "9", "--out", str(out)]
    if spectrum.law == "power":
        words += ["--px", "0.02", "--energy-min", "50", "--energy-max", "2000", "--index", "1"]
    assert main([*words, "--spectrum", spectrum.law]) == 0
    one, other = contents(path), contents(out)
    other["showers"] = other["showers"].astype(np.uint16)
    assert equal(one, other)
    rows = np.column_stack([one[name] for name in CONDITIONS])
    made = here.service.generate(GenerateRequest(run=here.request.run, conditions=rows.tolist(), seed=9))
    np.testing.assert_array_equal(made["showers"], one["showers"])


@pytest.mark.parametrize("format", ["parquet", "root"])
@pytest.mark.parametrize("light", ["poisson", "expected"])
def test_the_file_is_one_that_our_own_readers_take(trained, small_parts, tmp_path, format, light):
    here = Here(trained, format=format, light=light, n=2 * BATCH + 50)
    path = Path(here.run(tmp_path / "bulk").path)
    part = read(path)
    assert part.images
    assert part.table
    assert part.images.shape == (44, 44)
    assert part.images.rows == 2 * BATCH + 50
    assert part.images.dtype == (np.uint16 if light == "poisson" else np.float32)
    showers = np.concatenate(list(part.images.blocks()))
    columns = contents(path)
    np.testing.assert_array_equal(showers, columns["showers"])
    np.testing.assert_allclose(columns["photon_sum"], showers.sum(axis=(1, 2), dtype=float))
    assert set(CONDITIONS) | {"pdg", "primary_id", "replica", "channel_5"} <= columns.keys()
    if format == "parquet":
        meta = json.loads(pq.read_schema(path).metadata[b"showerscope.meta"])
    else:
        with uproot.open(path) as file:
            meta = json.loads(str(file["meta"]))
    assert (meta["seed"], meta["light"], meta["run"]) == (3, light, here.request.run)
    assert meta["ms"] > 0
    assert not list((tmp_path / "bulk").glob("part-*")), "parts are gone when the file is there"


def test_points_and_images_go_into_files_too(trained, tmp_path):
    from engine.datasets import base as datasets

    data = datasets.load("toy_spirals")
    rows = spectrum_of(Spectrum(), data, 5, 0)
    assert rows.batch(0).conditions.shape[1] == len(data.columns)
    with pytest.raises(WrongInput, match="choose a set of showers"):
        spectrum_of(POWER, data, 5, 0)


# -------------------------------------------------------------------------------------- whole after any interruption
@pytest.mark.parametrize("after", [1, 2, 3, 4, 6, 8, 9])
def test_what_was_stopped_anywhere_goes_on_to_the_same_file(trained, small_parts, tmp_path, after):
    here = Here(trained)
    whole = contents(Path(here.run(tmp_path / "whole").path))
    folder = tmp_path / "stopped"
    with pytest.raises(Stop):
        here.run(folder, stopping(after))
    assert not list(folder.glob(".*")), "nothing half written stays"
    kept = sorted(path.name for path in folder.glob("part-*"))
    stamps = [(folder / name).stat().st_mtime_ns for name in kept]
    told: list[float] = []
    seen: list[list[int]] = []

    def tell(done: float, total: float) -> None:
        told.append(done)
        if done == total:
            return
        seen.append([(folder / name).stat().st_mtime_ns for name in kept])

    found = here.run(folder, tell)
    assert equal(contents(Path(found.path)), whole)
    assert found.showers == 5 * BATCH + 100
    assert told[-1] == found.showers
    assert told == sorted(told)
    assert all(moment == stamps for moment in seen), "whole parts are not made again"
    assert [path.name for path in folder.iterdir() if path.name.startswith("part")] == []


def test_a_damaged_part_and_what_follows_it_are_made_again(trained, small_parts, tmp_path):
    here = Here(trained)
    whole = contents(Path(here.run(tmp_path / "whole").path))
    for damage in ("cut", "gone", "another device", "foreign"):
        folder = tmp_path / damage.replace(" ", "_")
        with pytest.raises(Stop):
            here.run(folder, stopping(8))
        parts = sorted(folder.glob("part-*"))
        assert len(parts) == 3
        if damage == "cut":
            parts[1].write_bytes(parts[1].read_bytes()[:-100])
        elif damage == "gone":
            parts[1].unlink()
        elif damage == "foreign":
            shutil.copy(next((tmp_path / "whole").glob("*.parquet")), parts[1])
        else:
            assert bulk.whole_parts(folder, {"device": "cuda"}) == ([], {})
            assert not list(folder.glob("part-*")), "another device has another stream of noise"
        assert equal(contents(Path(here.run(folder).path)), whole), damage


def test_a_full_disk_is_said_in_words_and_the_parts_stay(trained, small_parts, tmp_path, monkeypatch):
    here = Here(trained)
    whole = contents(Path(here.run(tmp_path / "whole").path))
    folder, sync, calls = tmp_path / "full", os.fsync, itertools.count(1)

    def full(descriptor: int) -> None:
        if next(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EngineError, match=r"No space left on device.*goes on after 2048 showers") as caught:
        here.run(folder)
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["part-00000.parquet"]

    add = ParquetWriter.add
    monkeypatch.setattr(ParquetWriter, "add", full_disk)
    with pytest.raises(EngineError, match="No space left"):
        here.run(folder)
    assert len(list(folder.iterdir())) == len(list(folder.glob("part-*"))) == 3
    monkeypatch.setattr(ParquetWriter, "add", add)
    assert equal(contents(Path(here.run(folder).path)), whole)


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_part_that_is_found_damaged_when_it_is_joined_is_made_again(trained, small_parts, tmp_path):
    here = Here(trained)
    whole = contents(Path(here.run(tmp_path / "whole").path))
    folder = tmp_path / "rotten"
    with pytest.raises(Stop):
        here.run(folder, stopping(8))
    rotten = folder / "part-00001.parquet"
    content = bytearray(rotten.read_bytes())
    content[2000:4000] = bytes(2000)  # its end, which names what it holds, is sound
    rotten.write_bytes(content)
    with pytest.raises(EngineError, match=r"part-00001.parquet is damaged and now removed: start the task again"):
        here.run(folder)
    assert equal(contents(Path(here.run(folder).path)), whole)


def test_room_on_the_disk_is_looked_at_before_anything_is_made(trained, tmp_path, monkeypatch):
    service, run = trained
    usage = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    tasks = set((service.home / "tasks").glob("*"))
    with pytest.raises(WrongInput, match="GB free: free some, or ask for fewer"):
        service.start_task(BulkTask(request=BulkRequest(run=run, spectrum=POWER, n=100_000)))
    assert set((service.home / "tasks").glob("*")) == tasks
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(service.home))
    assert main(["generate", "--run", run, "--n", "100000", "--out", str(tmp_path / "a.npz")]) == 2


def test_photons_that_do_not_fit_are_refused_and_never_wrapped(trained, tmp_path, monkeypatch):
    here = Here(trained, n=10)
    monkeypatch.setattr(type(here.source.model), "observed", lambda self, expected, rng: expected * 0 + 70_000)
    with pytest.raises(WrongInput, match=r"70000 photons.*expected light"):
        here.run(tmp_path / "bright")


# ------------------------------------------------------------------------------------------------------------ tasks
def long_bulk(run: str, **more) -> BulkTask:
    return BulkTask(request=BulkRequest(run=run, **({"spectrum": POWER, "n": 6 * 8 * BATCH, "seed": 1} | more)))


def parts_of(engine: Service, info: TaskInfo) -> list[Path]:
    return sorted((engine.home / "tasks" / info.task_id).glob("part-*.parquet"))


@pytest.mark.slow
def test_a_killed_task_goes_on_to_the_file_of_an_uninterrupted_one(trained, tmp_path):
    service, run = trained
    task = long_bulk(run, format="root")
    info = service.start_task(task)
    for more in (1, 2):  # killed twice, wherever it is
        there = len(parts_of(service, info))
        wait_for(lambda there=there, more=more: len(parts_of(service, info)) >= there + more)
        process = service.tasks._mine[info.task_id]
        assert process
        os.kill(process.pid, signal.SIGKILL)
        broken = ended(service, info)
        assert broken.state == "failed"
        assert "start it again" in broken.error
        assert service.start_task(task).task_id == info.task_id
    done = ended(service, info)
    assert done.state == "finished", done.error
    assert done.bulk
    assert (done.done, done.total, done.unit) == (6 * 8 * BATCH, 6 * 8 * BATCH, "showers")
    assert (done.bulk.format, done.bulk.showers) == ("root", 6 * 8 * BATCH)
    assert done.bulk.bytes == Path(done.bulk.path).stat().st_size
    assert done.bulk.seconds > 1
    here = Here(trained, n=6 * 8 * BATCH, seed=1, format="root")
    assert equal(contents(Path(done.bulk.path)), contents(Path(here.run(tmp_path / "whole").path)))
    assert service.start_task(task).bulk == done.bulk, "what would come out the same is not done again"
    assert 0 < done.bulk.memory_mb < 350, "49 152 showers are 380 MB of pictures, drawn and written"


@pytest.mark.slow
def test_a_cancelled_task_keeps_its_parts_and_its_time_left_counts_what_is_left(trained):
    service, run = trained
    task = long_bulk(run, seed=2)
    info = service.start_task(task)
    wait_for(lambda: len(parts_of(service, info)) >= 2)
    running = service.task(info.task_id)
    assert running.state == "running"
    assert running.eta_s
    service.cancel_task(info.task_id)
    stopped = ended(service, info)
    assert stopped.state == "cancelled"
    assert 0 < stopped.done < stopped.total
    kept = parts_of(service, info)
    assert len(kept) >= 2
    with pytest.raises(NotFound, match="cancelled and has no file"):
        service.file(info.task_id)
    again = service.start_task(task)
    assert (again.task_id, again.state) == (info.task_id, "queued")
    wait_for(lambda: service.task(info.task_id).eta_s)
    begun = service.task(info.task_id)
    assert begun.done >= (len(kept) * 8 * BATCH) / (1 + bulk.JOINING) - 1
    done = ended(service, info)
    assert done.bulk, done.error
    path = service.file(info.task_id)
    path.unlink()
    with pytest.raises(NotFound, match="is gone: start it again"):
        service.file(info.task_id)
    assert service.start_task(task).state != "finished", "what is gone is made again"
    service.cancel_task(info.task_id)
    ended(service, info)


@pytest.mark.slow
def test_its_table_is_the_task_s_own_and_outlives_the_upload(trained, tmp_path):
    service, run = trained
    rows = along(Particle(pdg=22), [100.0, 400.0])
    table = tmp_path / "t.npz"
    np.savez(table, conditions=rows, pdg=np.array([22, 22]))
    ticket = service.upload(table.name, table.read_bytes())
    task = BulkTask(request=BulkRequest(run=run, upload=ticket, n=12 * BATCH))
    info = service.start_task(task)
    shutil.rmtree(service.home / "uploads" / ticket.split("/")[0])
    wait_for(lambda: parts_of(service, info))
    service.cancel_task(info.task_id)
    assert ended(service, info).state == "cancelled"
    assert service.start_task(task).task_id == info.task_id
    done = ended(service, info)
    assert done.bulk, done.error
    found = contents(Path(done.bulk.path))
    assert found["pdg"].tolist() == [22] * 24 * BATCH
    assert (found["Energy"] == np.repeat([100.0, 400.0], 12 * BATCH)).all()


@pytest.mark.slow
def test_a_bulk_outlives_its_engine(trained, monkeypatch, tmp_path):
    service, run = trained
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(service.home))
    task, first = long_bulk(run, seed=4), Service(models=tmp_path)
    info = first.start_task(task)
    wait_for(lambda: parts_of(first, info))
    first.close()
    second = Service(models=tmp_path)
    assert second.task(info.task_id).state == "cancelled"
    kept = {path.name: path.stat().st_mtime_ns for path in parts_of(second, info)}
    assert kept
    assert second.start_task(task).task_id == info.task_id
    wait_for(lambda: len(parts_of(second, info)) > len(kept))
    there = {path.name: path.stat().st_mtime_ns for path in parts_of(second, info)}
    assert kept.items() <= there.items()
    second.close()


def test_other_weights_of_a_bundled_name_are_another_task(trained, tmp_path, monkeypatch):
    service, run = trained
    monkeypatch.setattr(Tasks, "_run", lambda self, name: None)
    monkeypatch.setattr(service.rack, "bundle", tmp_path)
    path = tmp_path / "small.safetensors"
    path.write_bytes(service.store.weights(run).read_bytes())
    task = BulkTask(request=BulkRequest(run="bundled:small", spectrum=Spectrum(), n=5))
    first = service.start_task(task).task_id
    assert service.start_task(task).task_id == first
    service.cancel_task(first)
    os.utime(path, (1, 1))
    second = service.start_task(task).task_id
    assert second != first
    service.cancel_task(second)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "one of the two"),
        ({"upload": "0" * 16 + "/a.csv"}, "upload it again"),
        ({"upload": "../../etc/passwd"}, "upload it again"),
        ({"spectrum": Spectrum(law="power", maximum_gev=1e9)}, "above the beam"),
        ({"spectrum": POWER, "convention": "nonsense"}, "convention"),
        ({"spectrum": POWER, "step": 12345}, "no checkpoint at step"),
    ],
)
def test_a_bulk_that_cannot_succeed_is_refused_before_it_starts(trained, more, said):
    service, run = trained
    tasks = set((service.home / "tasks").glob("*"))
    with pytest.raises(WrongInput, match=said) as caught:
        service.start_task(BulkTask(request=BulkRequest(run=run, **more)))
    assert "\n" not in str(caught.value)
    assert set((service.home / "tasks").glob("*")) == tasks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "missing column"),
        (",".join(CONDITIONS), "no condition rows"),
        (",".join(CONDITIONS) + "\n" + ",".join(["1e9"] * 9), "t.csv, row 1"),
        (",".join(CONDITIONS) + "\n" + ",".join(["nan"] * 9), "finite"),
        (",".join(CONDITIONS) + "\n500,0,0,0,0,0,400,0,0", "off shell"),
    ],
)
def test_a_table_of_no_sense_is_refused_with_its_row(trained, text, said):
    service, run = trained
    ticket = service.upload("t.csv", text.encode())
    with pytest.raises(WrongInput, match=said) as caught:
        service.start_task(BulkTask(request=BulkRequest(run=run, upload=ticket)))
    assert str(service.home) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_tasks_have_no_file(trained):
    service, run = trained
    info = service.start_task(EvaluateTask(request=EvaluateRequest(run=run, metrics=["mae"], primaries=5)))
    ended(service, info)
    with pytest.raises(NotFound, match="wait for the end of a bulk"):
        service.file(info.task_id)
    for task_id in ("nope", "bulk-0123456789abcdef", "../jobs"):
        with pytest.raises(NotFound):
            service.file(task_id)


def test_a_home_of_read_only_models_writes_no_showers(home, tmp_path):
    service = Service(training_allowed=False, models=tmp_path)
    with pytest.raises(WrongInput, match="only shows models"):
        service.start_task(long_bulk("bundled:nope"))
    service.close()

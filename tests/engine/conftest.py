"""Fixtures of the engine's tests: homes with an empty run store, a service, small trainings."""

import os
import shutil
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import uvicorn
from fastapi import FastAPI

from engine.runs import Store
from engine.schema import RunInfo, TrainSpec
from engine.server import bind
from engine.service import Service

SMALL = {"epochs": 2, "batch": 200, "width": 4, "hidden": 32, "spots": 4, "blur": 5.0, "checkpoint_epochs": 1}
"""A training of seconds."""


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(os.environ["SHOWERSCOPE_HOME"], ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    # whatever asks for it gets a small parametrised set, in a home of the session
    os.environ["SHOWERSCOPE_FAST_SHOWERS"] = "300"
    os.environ["SHOWERSCOPE_HOME"] = tempfile.mkdtemp(prefix="showerscope-tests-")
    os.environ["SHOWERSCOPE_MNIST"] = str(Path(os.environ["SHOWERSCOPE_HOME"]) / "digits")
    write_digits(Path(os.environ["SHOWERSCOPE_MNIST"]))
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is first imported
    # MLflow 3.17 on SQLAlchemy 2.1
    config.addinivalue_line("filterwarnings", "ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


def write_digits(folder: Path, train: int = 240, test: int = 60) -> None:
    """The idx files of a small MNIST, so that no test fetches the large one: a class is so many rows of a square."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(4)
    for prefix, n in (("train", train), ("t10k", test)):
        classes = (np.arange(n) % 10).astype(np.uint8)
        pictures = np.zeros((n, 28, 28), np.uint8)
        for picture, digit in zip(pictures, classes, strict=True):
            x, y = rng.integers(4, 8, 2)
            picture[y : y + 2 * digit + 2, x : x + 14] = rng.integers(150, 256)
        for name, array in (("images-idx3", pictures), ("labels-idx1", classes)):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{prefix}-{name}-ubyte").write_bytes(header + array.tobytes())


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a run store, which take MLflow seconds to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("store")
        assert Store(folder).client.search_experiments()
    return folder / "runs.db"


@pytest.fixture(scope="session")
def make_home(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    def make() -> Path:
        folder = tmp_path_factory.mktemp("home")
        shutil.copy(empty_store, folder / "runs.db")
        return folder

    return make


@pytest.fixture
def home(make_home: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_home()
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.fixture
def service(home: Path, tmp_path: Path) -> Iterator[Service]:
    """An engine without bundled models; its queue moves by `tick` only."""
    made = Service(models=tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def trained(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """An engine with one finished small run, shared by all tests, which leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOWERSCOPE_HOME", str(make_home()))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        made = Service(models=tmp_path_factory.mktemp("no_models"))
        run = train_here(made, TrainSpec(config=SMALL))
    assert run.state == "finished", run.error
    yield made, run.run_id
    made.close()


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of an application that is served meanwhile; its engine is not closed afterwards."""
    with bind("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        wait_for(lambda: server.started, 10)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


def train_here(service: Service, spec: TrainSpec) -> RunInfo:
    info = service.prepare(spec, inline=True)
    return service.jobs.run_here(info.run_id, lambda _: None, threading.Event())


def wait_for(condition: Callable[[], object], seconds: float = 90.0) -> None:
    """Until the condition holds; fails after so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)

"""The run store: what is kept of curves and weights, and what a broken one is worth."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runs import FIRST_POINTS, Recorder, Store, home, weights_name
from engine.schema import Checkpoint, NotFound, RunInfo, WrongInput


class Kept:
    """A store that keeps what it is sent."""

    def __init__(self) -> None:
        self.points: dict[str, list[tuple[int, float]]] = {}

    client = property(lambda self: self)

    def log_batch(self, run_id, metrics):
        assert len(metrics) <= 1000
        for metric in metrics:
            self.points.setdefault(metric.key, []).append((metric.step, metric.value))


def record(values, steps=None) -> dict[str, list[tuple[int, float]]]:
    store = Kept()
    recorder = Recorder(store, "run", steps or len(values), every_s=1e9)
    for step, value in enumerate(values, 1):
        recorder.log(step, {"loss/total": value})
    recorder.flush(everything=True)
    return store.points


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30_000), st.integers(0, 2**32 - 1))
def test_a_series_has_at_most_1000_points_all_true_and_no_extreme_is_lost(steps, seed):
    values = np.random.default_rng(seed).normal(size=steps)
    points = record(values)["loss/total"]
    assert len(points) <= 1000
    assert all(values[step - 1] == value for step, value in points)
    kept = [value for _, value in points]
    assert min(kept) == values.min()
    assert max(kept) == values.max()
    assert [step for step, _ in points[:FIRST_POINTS]] == list(range(1, min(steps, FIRST_POINTS) + 1))
    assert [s for s, _ in points] == sorted(s for s, _ in points)


def test_values_that_are_not_finite_have_no_place_on_a_curve():
    assert record([1.0, float("nan"), float("inf"), 2.0])["loss/total"] == [(1, 1.0), (4, 2.0)]


def test_a_store_that_does_not_answer_stops_no_training():
    from mlflow.exceptions import MlflowException

    class Down(Kept):
        def log_batch(self, run_id, metrics):
            raise MlflowException("no answer")

    down, up = Down(), Kept()
    recorder = Recorder(down, "run", 10, every_s=0)
    for step in (1, 2, 3):
        recorder.log(step, {"loss/total": 1.0})
    recorder.store = up
    recorder.flush()
    assert up.points["loss/total"] == [(1, 1.0), (2, 1.0), (3, 1.0)]


def test_an_unwritable_home_is_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(tmp_path / "file"))
    with pytest.raises(WrongInput, match="cannot be written") as caught:
        home()
    assert "\n" not in str(caught.value)


@pytest.fixture
def run(home) -> tuple[Store, str]:
    store = Store(home)
    info = RunInfo(run_id="", name="first", data="zdc_geant4", model="e2e_sae", config={"epochs": 3}, created=5.0)
    return store, store.create(info)


def test_a_run_is_found_again_by_another_process(run, home):
    store, run_id = run
    info = RunInfo(run_id=run_id, name="first", data="zdc_geant4", model="e2e_sae", created=5.0, state="failed")
    store.write(info.model_copy(update={"error": "the loss became nan"}))
    (found,) = Store(home).infos()
    assert (found.run_id, found.state, found.error, found.created) == (run_id, "failed", "the loss became nan", 5.0)


def test_history_gives_back_what_was_recorded_and_takes_the_later_value_of_a_step(run):
    store, run_id = run
    for offset in (0.0, 0.5):  # a training that was resumed goes over its steps again
        recorder = Recorder(store, run_id, 5)
        for step in (1, 2, 3):
            recorder.log(
                step,
                {"loss/total": step + offset, "validation/total": 1.0} if step == 2 else {"loss/total": step + offset},
            )
        recorder.flush(everything=True)
    last, series = store.history(run_id)
    assert last == 3
    assert series["loss/total"].step == [1, 2, 3]
    assert series["loss/total"].value == [1.5, 2.5, 3.5]
    assert series["validation/total"].step == [2]


def test_unknown_and_removed_runs_are_not_found(run):
    store, run_id = run
    store.remove(run_id)
    for name in (run_id, "0" * 32):
        with pytest.raises(NotFound):
            store.history(name)


def add(store, run_id, folder, step, known, whole=True) -> list[Checkpoint]:
    from safetensors.numpy import save

    path = folder / weights_name(step)
    data = save({"x": np.full(100, step, np.float32)}, metadata={"step": str(step)})
    path.write_bytes(data if whole else data[: len(data) // 2])
    return store.add_weights(run_id, path, known, Checkpoint(step=step, epoch=step))


def test_a_snapshot_cut_off_by_a_kill_is_skipped_and_the_one_before_used(run, tmp_path):
    store, run_id = run
    known = add(store, run_id, tmp_path, 10, [])
    add(store, run_id, tmp_path, 20, known, whole=False)
    assert store.weights(run_id).name == weights_name(10)
    with pytest.raises(NotFound, match="step 20"):
        store.weights(run_id, 20)


def test_at_most_thirty_snapshots_stay_the_first_and_the_last_among_them(run, tmp_path):
    store, run_id = run
    known: list[Checkpoint] = []
    for step in range(0, 75):
        known = add(store, run_id, tmp_path, step, known)
        assert len(known) <= 31
    assert (known[0].step, known[-1].step) == (0, 74)
    assert [store.weights(run_id, c.step).name for c in known] == [weights_name(c.step) for c in known]
    assert len(list(store.weights(run_id).parent.iterdir())) == len(known)


def test_nothing_of_mlflow_calls_out(home, monkeypatch):
    """Telemetry is off before MLflow is imported."""
    import subprocess
    import sys

    code = (
        "import socket\n"
        "from engine.runs import Store, home\n"
        "def refuse(*a, **k): raise AssertionError('called out')\n"
        "socket.create_connection = refuse\nsocket.socket.connect = refuse\nsocket.getaddrinfo = refuse\n"
        "store = Store(home())\n"
        "from engine.schema import RunInfo\n"
        "store.create(RunInfo(run_id='', name='a', data='d', model='m'))\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "assert is_telemetry_disabled() and get_telemetry_client() is None\n"
    )
    # CI variables switch telemetry off by themselves, which would prove nothing
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CI", "GITHUB", "PYTEST", "MLFLOW", "DO_NOT"))}
    subprocess.run([sys.executable, "-c", code], check=True, env=clean, timeout=60)

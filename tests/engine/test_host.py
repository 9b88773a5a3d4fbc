"""Drawing showers: seeds, held models, broken files, threads; and how far out a particle lies."""

from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from engine import up, zdc
from engine.conditions import Nearness, conditions_of
from engine.datasets import base as datasets
from engine.host import BATCH, KEPT, Host
from engine.schema import Particle, WrongInput


@pytest.fixture(scope="module")
def held(trained):
    service, run = trained
    return service.host, service.host.load(service.store.weights(run))


def test_equal_seeds_draw_equal_showers_and_others_do_not(held):
    host, model = held
    rows = np.repeat(conditions_of(Particle()), 20, axis=0)
    first, again, other = (host.sample(model.model, rows, seed, "poisson") for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first == np.rint(first)).all()
    expected = host.sample(model.model, rows, 1, "expected")
    assert (expected >= 0).all()
    assert not (expected == np.rint(expected)).all()


def test_a_draw_does_not_change_when_others_are_drawn_meanwhile(held):
    """Each request has its own stream of noise; batches of two requests may take turns."""
    import threading

    host, model = held
    rows = np.repeat(conditions_of(Particle()), BATCH + 100, axis=0)
    alone = host.sample(model.model, rows, 5, "poisson")
    beside = threading.Thread(target=lambda: host.sample(model.model, rows, 6, "poisson"))
    beside.start()
    np.testing.assert_array_equal(host.sample(model.model, rows, 5, "poisson"), alone)
    beside.join()


def test_few_models_are_held_and_a_changed_file_is_read_again(trained, tmp_path):
    service, run = trained
    data = service.store.weights(run).read_bytes()
    host = Host()
    for number in range(KEPT + 2):
        (tmp_path / f"{number}.safetensors").write_bytes(data)
        host.load(tmp_path / f"{number}.safetensors")
    assert [path.stem for path, _ in host.held()] == [str(n) for n in range(2, KEPT + 2)]
    last = tmp_path / f"{KEPT + 1}.safetensors"
    first = host.load(last)
    assert host.load(last) is first
    last.write_bytes(data[: len(data) // 2])
    with pytest.raises(WrongInput, match="missing or broken"):
        host.load(last)
    with pytest.raises(WrongInput, match="cannot be read"):
        host.load(tmp_path / "none.safetensors")


@pytest.fixture(scope="module")
def nearness() -> Nearness:
    return Nearness(datasets.load("zdc_geant4"))


def test_training_particles_are_usual_and_strange_ones_are_far_out(nearness):
    data = nearness.data
    train = np.unique(data.conditions[data.rows("train")], axis=0)
    held_out = np.unique(data.conditions[data.rows("test")], axis=0)
    assert nearness.outness(train).mean() < 0.5
    assert 0.3 < nearness.outness(held_out).mean() < 0.7
    strange = conditions_of(Particle(energy_gev=6900, px_gev=5, py_gev=5))
    assert nearness.outness(strange) == 1
    proton = conditions_of(Particle(pdg=2212))
    assert nearness.outness(proton) > 0.99


def test_warnings_say_in_words_what_is_wrong(nearness):
    def said(particle: Particle) -> str:
        row = conditions_of(particle)
        return " ".join(nearness.warnings(row, nearness.outness(row)))

    assert said(Particle(px_gev=0.03)) == ""
    assert "species" in said(Particle(pdg=2212))
    assert "energy is outside the training range" in said(Particle(energy_gev=6900))
    assert "misses the calorimeter" in said(Particle(energy_gev=500, px_gev=0.5))
    many = np.concatenate([conditions_of(Particle(energy_gev=6900)), conditions_of(Particle())])
    assert any(w.startswith("1 particles have energies") for w in nearness.warnings(many, nearness.outness(many)))


def test_the_nearest_shower_of_a_simulated_particle_is_its_own_and_replicas_stand_together(nearness):
    data = nearness.data
    row = int(data.rows("test")[10])
    found, distance = nearness.nearest(data.conditions[row][None], 9)
    assert data.primary_id[found[:3]].tolist() == [data.primary_id[row]] * 3
    assert distance[0] == 0
    assert (np.diff(distance) >= 0).all()
    assert data.replica[found[:3]].tolist() == sorted(data.replica[found[:3]])


def test_conditions_outside_physics_are_refused():
    with pytest.raises(WrongInput, match="raise the energy"):
        conditions_of(Particle(energy_gev=0.5))
    with pytest.raises(WrongInput, match="PDG id 1234567"):
        conditions_of(Particle(pdg=1234567))
    assert conditions_of(Particle(side=-1))[0, zdc.PZ] < 0


def test_numpy_and_torch_compute_with_the_threads_of_the_host():
    before = torch.get_num_threads()
    with threadpool_limits(2):  # whatever was set is back afterwards
        torch.set_num_threads(2)
        host = Host("cpu", threads=1)
        assert host.threads == torch.get_num_threads() == 1
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    torch.set_num_threads(before)


@pytest.mark.parametrize("set_by_user", [None, "3"])
def test_engine_and_app_start_with_few_threads_unless_told(
    monkeypatch: pytest.MonkeyPatch, home: Path, set_by_user: str | None
):
    monkeypatch.setattr(up, "choose_threads", lambda: 7)
    monkeypatch.delenv(up.THREADS, raising=False)
    if set_by_user:
        monkeypatch.setenv(up.THREADS, set_by_user)
    started: dict[str, str] = {}

    def start(command: list[str], environment: dict[str, str]) -> Ended:
        started["app" if "streamlit" in command else "engine"] = environment[up.THREADS]
        return Ended()

    monkeypatch.setattr(up, "start", start)
    monkeypatch.setattr(up.signal, "signal", lambda *_: None)
    with up.bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    assert up.up("127.0.0.1", port, training_allowed=True) == 1, "both have ended by themselves"
    assert started == {"engine": set_by_user or "7", "app": set_by_user or "1"}


class Ended:
    """A process that is no more."""

    def poll(self) -> int:
        return 0

    def wait(self, _: float | None = None) -> int:
        return 0

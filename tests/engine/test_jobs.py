"""Trainings as processes: queue, control, death and resurrection."""

import os
import signal
import threading

import pytest
import torch
from conftest import SMALL, train_here, wait_for

from engine import losses
from engine.host import Host
from engine.schema import NotFound, RunInfo, TrainSpec, WrongInput
from engine.trainer import read_state

LONG = SMALL | {"epochs": 2000, "checkpoint_epochs": 2}


def resume_here(service, run: str) -> RunInfo:
    service.resume(run)
    return service.jobs.run_here(run, lambda _: None, threading.Event())


def states_equal(first, second) -> bool:
    (a, meta), (b, meta_b) = read_state(first), read_state(second)
    return a.keys() == b.keys() and meta["step"] == meta_b["step"] and all(torch.equal(a[n], b[n]) for n in a)


def test_a_training_writes_curves_checkpoints_and_where_it_stands(trained):
    service, run = trained
    info = service.status(run)
    assert (info.state, info.step, info.epoch) == ("finished", info.steps, 2)
    assert [c.epoch for c in info.checkpoints] == [0, 1, 2]
    assert info.error == ""
    assert info.queue_place is None
    assert info.parameters > 1000
    assert info.metrics["validation/reconstruction"] > 0
    history = service.history(run)
    assert history.last_step == info.steps
    assert history.series["loss/total"].step == list(range(1, info.steps + 1))
    assert history.series["validation/total"].value[-1] < history.series["validation/total"].value[0]
    later = service.history(run, since=2).series["loss/total"].step
    assert later == list(range(3, info.steps + 1))


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_very_bits_of_an_uninterrupted_one(service):
    """Same folder, same seed: SIGKILL in the middle loses at most a checkpoint interval and changes no result."""
    spec = TrainSpec(config=SMALL | {"epochs": 3}, seed=3)
    whole = train_here(service, spec)
    assert whole.state == "finished", whole.error
    run = service.submit(spec)
    service.jobs.tick()
    wait_for(lambda: len(service.status(run).checkpoints) >= 2)
    service.jobs._children[0].send_signal(signal.SIGKILL)
    wait_for(lambda: service.status(run).state != "running")
    info = service.status(run)
    assert info.state == "interrupted"
    assert "killed" in info.error
    # weights at least as far as the last checkpoint can be drawn from
    assert len(service.samples(run)["generated"]) == 8
    resumed = resume_here(service, run)
    assert (resumed.state, resumed.step) == ("finished", whole.steps)
    assert states_equal(service.jobs.job(run).state, service.jobs.job(whole.run_id).state)
    one, two = service.history(run), service.history(whole.run_id)
    assert one.series["loss/total"] == two.series["loss/total"]


@pytest.mark.slow
def test_pause_step_continue_and_cancel_of_a_process_while_another_waits(service):
    first, second, third = (service.submit(TrainSpec(config=LONG, seed=seed)) for seed in (1, 2, 3))
    service.jobs.tick()
    service.jobs.tick()
    assert service.status(first).state == "running"
    assert [service.status(run).queue_place for run in (second, third)] == [1, 2]
    assert service.health().queued == 2
    with pytest.raises(WrongInput, match="cancel it first"):
        service.remove(first)
    service.cancel(second)
    assert service.status(second).state == "cancelled"
    assert service.status(third).queue_place == 1
    wait_for(lambda: service.status(first).step > 0)
    with pytest.raises(WrongInput, match="pause it first"):
        service.step(first)
    service.pause(first)
    wait_for(lambda: service.status(first).state == "paused")
    before = service.status(first).step
    assert service.status(first).checkpoints[-1].step == before
    service.step(first)
    service.step(first)
    wait_for(lambda: service.status(first).step == before + 2)
    assert service.status(first).state == "paused"
    service.resume(first)
    wait_for(lambda: service.status(first).step > before + 4)
    service.cancel(first)
    wait_for(lambda: service.status(first).state == "cancelled")
    info = service.status(first)
    assert info.checkpoints[-1].step == info.step
    assert (info.eta_s, info.samples_per_s) == (None, None)
    service.jobs.tick()
    assert service.status(third).state == "running"
    # the engine ends: what trains is kept and can go on
    wait_for(lambda: service.status(third).step > 0)
    service.jobs.close()
    ended = service.status(third)
    assert ended.state == "interrupted"
    assert ended.checkpoints[-1].step == ended.step


@pytest.mark.slow
def test_sigterm_ends_a_training_as_cancelled_with_a_checkpoint(service):
    run = service.submit(TrainSpec(config=LONG))
    service.jobs.tick()
    wait_for(lambda: service.status(run).step > 0)
    os.kill(service.jobs._children[0].pid, signal.SIGTERM)
    wait_for(lambda: service.status(run).state != "running")
    info = service.status(run)
    assert (info.state, info.checkpoints[-1].step) == ("cancelled", info.step)


def stopped_after(service, steps: int, spec: TrainSpec) -> RunInfo:
    stop = threading.Event()
    info = service.prepare(spec, inline=True)
    return service.jobs.run_here(info.run_id, lambda i: stop.set() if i.step >= steps else None, stop)


def test_a_broken_state_file_falls_back_on_the_one_before(service):
    info = stopped_after(service, 5, TrainSpec(config=SMALL))
    job = service.jobs.job(info.run_id)
    data = job.state.read_bytes()
    job.state.write_bytes(data[: len(data) // 2])
    assert resume_here(service, info.run_id).state == "finished"
    job.state.write_bytes(b"no state")
    job.previous.write_bytes(b"")
    service.jobs._ended.clear()
    job.write(info, state="cancelled")
    failed = resume_here(service, info.run_id)
    assert failed.state == "failed"
    assert "broken" in failed.error
    assert "\n" not in failed.error


def test_a_run_that_ended_early_goes_on_with_the_same_order_and_noise(service):
    spec = TrainSpec(config=SMALL, seed=5)
    whole = train_here(service, spec)
    info = stopped_after(service, 6, spec)
    assert (info.state, info.step) == ("cancelled", 6)
    assert resume_here(service, info.run_id).state == "finished"
    assert states_equal(service.jobs.job(info.run_id).state, service.jobs.job(whole.run_id).state)


def test_a_loss_that_is_not_finite_fails_the_run_with_phase_and_step_and_keeps_the_checkpoint(service, monkeypatch):
    real, calls = losses.last_layer_l2, [0]

    def explode(*args):
        calls[0] += 1
        return real(*args) * (float("nan") if calls[0] > 7 else 1)

    monkeypatch.setattr(losses, "last_layer_l2", explode)
    info = train_here(service, TrainSpec(config=SMALL))
    assert info.state == "failed"
    assert "phase 'joint'" in info.error
    assert "step " in info.error
    assert service.status(info.run_id).error == info.error
    assert service.samples(info.run_id).meta["step"] == info.checkpoints[-1].step
    monkeypatch.undo()


def test_an_error_that_nobody_thought_of_fails_the_run_in_one_line(service, monkeypatch):
    monkeypatch.setattr(losses, "last_layer_l2", lambda *_: 1 / 0)
    info = train_here(service, TrainSpec(config=SMALL))
    assert info.state == "failed"
    assert "ZeroDivisionError" in info.error
    assert "\n" not in info.error


def test_finished_runs_do_not_resume_and_unknown_ones_are_not_found(trained):
    service, run = trained
    with pytest.raises(WrongInput, match="finished"):
        service.resume(run)
    for verb in (service.cancel, service.pause, service.resume, service.remove, service.status):
        for name in ("nope", "../jobs", ""):
            with pytest.raises(NotFound):
                verb(name)


def test_a_removed_run_is_gone_with_its_files(service):
    info = train_here(service, TrainSpec(config=SMALL | {"epochs": 1}))
    weights = service.store.weights(info.run_id)
    service.remove(info.run_id)
    assert not weights.exists()
    assert info.run_id not in [i.run_id for i in service.runs()]
    with pytest.raises(NotFound):
        service.status(info.run_id)


def test_a_queue_outlives_its_engine(service, home):
    """Another engine of the same home finds queued runs in their order."""
    from engine.service import Service

    runs = [service.submit(TrainSpec(config=SMALL, seed=seed)) for seed in (1, 2)]
    other = Service()
    assert [other.status(run).queue_place for run in runs] == [1, 2]
    for run in runs:
        other.cancel(run)
        assert service.status(run).state == "cancelled"


def test_two_processes_never_train_one_run(service):
    info = service.prepare(TrainSpec(config=SMALL), inline=True)
    job = service.jobs.job(info.run_id)
    assert not job.alive()
    with job.hold():
        assert job.alive()
        with pytest.raises(WrongInput, match="another process"):
            service.jobs.run_here(info.run_id, lambda _: None, threading.Event())
    assert not job.alive()


def test_threads_of_the_first_start_are_those_of_every_resumption(service):
    info = service.prepare(TrainSpec(config=SMALL), inline=True)
    assert service.jobs.job(info.run_id).read()["threads"] == Host().threads

"""A training that starts from the weights of another run."""

import threading

import numpy as np
import pytest
import torch
from conftest import SMALL, train_here

from engine.models import base as models
from engine.schema import NotFound, TrainSpec, WrongInput
from engine.train import Training

MORE = {"epochs": 1, "checkpoint_epochs": 1, "batch": 200, "learning_rate": 1e-5}


@pytest.fixture(scope="module")
def weights(trained):
    service, run = trained
    return service.store.weights(run)


def test_it_begins_where_the_other_ended_scalers_too(trained, weights):
    data = trained[0].shelf.data("zdc_geant4")
    training = Training("e2e_sae", SMALL, data, 7, start=weights)
    before, _ = models.load(weights)
    own = training.model.state_dict()
    assert all(torch.equal(own[name], value) for name, value in before.state_dict().items())
    fresh = Training("e2e_sae", SMALL, data, 7)
    assert training.validate()["validation/reconstruction"] < fresh.validate()["validation/reconstruction"]


def test_a_run_takes_the_networks_of_its_start_and_says_where_it_began(trained):
    service, run = trained
    tuned = train_here(service, TrainSpec(start=run, config=MORE))
    assert tuned.state == "finished", tuned.error
    first = service.status(run)
    for name in ("width", "hidden", "spots", "blur"):
        assert tuned.config[name] == first.config[name] == SMALL[name]
    assert tuned.config["epochs"] == 1
    assert tuned.provenance["start"] == run
    assert f"--from {run}" in tuned.provenance["command"]
    assert "--set width" not in tuned.provenance["command"]
    before, _ = models.load(service.store.weights(run))
    after, _ = models.load(service.store.weights(tuned.run_id))
    name = "encoder.last.weight"
    moved = (before.state_dict()[name] - after.state_dict()[name]).abs().max()
    assert 0 < float(moved) < 0.01


def test_the_start_may_be_removed_once_the_run_is_prepared(service):
    first = train_here(service, TrainSpec(config=SMALL))
    waiting = service.prepare(TrainSpec(start=first.run_id, config=MORE), inline=True)
    service.remove(first.run_id)
    ended = service.jobs.run_here(waiting.run_id, lambda _: None, threading.Event())
    assert ended.state == "finished", ended.error


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ({"start": "nope"}, NotFound, "no run"),
        ({"start": "bundled:nope"}, NotFound, "no bundled model"),
        ({"model": "vae"}, WrongInput, "cannot start from its weights"),
        ({"config": {"width": 5}}, WrongInput, "leave their settings as they were"),
        ({"config": {"spots": 7}}, WrongInput, "leave their settings as they were"),
        ({"data": "toy_spirals"}, WrongInput, "is a e2e_sae of showers"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_before_anything_is_queued(trained, spec, error, words):
    service, run = trained
    known = len(service.runs())
    with pytest.raises(error, match=words) as caught:
        service.submit(TrainSpec(**{"start": run, **spec}))
    assert "\n" not in str(caught.value)
    assert len(service.runs()) == known


def test_a_resumed_run_goes_on_from_its_own_state_not_from_its_start(trained, weights):
    data = trained[0].shelf.data("zdc_geant4")
    config = {**SMALL, **MORE}
    whole = Training("e2e_sae", config, data, 3, start=weights)
    rows = whole.batches(0)
    for part in rows[:4]:
        whole.advance(part)
    half = Training("e2e_sae", config, data, 3, start=weights)
    for part in rows[:2]:
        half.advance(part)
    again = Training("e2e_sae", config, data, 3, start=weights)
    again.restore(*half.state())
    for part in rows[2:4]:
        again.advance(part)
    states = whole.state()[0], again.state()[0]
    assert all(np.array_equal(states[0][name].numpy(), states[1][name].numpy()) for name in states[0])

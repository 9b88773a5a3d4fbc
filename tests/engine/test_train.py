"""The loop: order of the data, symmetries of the face, state."""

import dataclasses

import numpy as np
import pytest
import torch

from engine import zdc
from engine.datasets import base as datasets
from engine.models.base import Batch
from engine.train import Training, augment

SMALL = {"epochs": 2, "batch": 600}


@pytest.fixture(scope="module")
def data():
    return datasets.load("zdc_geant4")


@pytest.mark.parametrize("grouping", ["rows", "primaries"])
def test_an_epoch_shows_each_training_shower_once(data, grouping):
    training = Training("e2e_sae", SMALL | {"grouping": grouping}, data, seed=1)
    for epoch in (0, 1):
        rows = np.concatenate(training.batches(epoch))
        np.testing.assert_array_equal(np.sort(rows), np.sort(data.rows("train")))
    assert not np.array_equal(np.concatenate(training.batches(0)), np.concatenate(training.batches(1)))


def test_grouped_batches_keep_the_replicas_of_a_primary_together(data):
    training = Training("e2e_sae", SMALL | {"grouping": "primaries"}, data, seed=1)
    homes = {}
    for number, rows in enumerate(training.batches(0)):
        for primary in set(data.primary_id[rows].tolist()):
            assert homes.setdefault(primary, number) == number


def test_same_seed_gives_the_same_weights_and_another_seed_others(data):
    first, again, other = (Training("e2e_sae", SMALL, data, seed=s).state()[0] for s in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_each_symmetry_moves_shower_and_impact_alike(data):
    """The light's centre of a mirrored or transposed shower stands at the impact of its new conditions."""
    bright = np.flatnonzero(data.photon_sum > 300)[:200]
    showers = torch.from_numpy(data.showers[bright].astype(np.float32))
    conditions = torch.from_numpy(data.conditions[bright].astype(np.float32))
    centre = (torch.arange(44) - 21.5) * 0.16
    for draw in range(8):
        images, rows = augment(showers, conditions, torch.full((len(bright),), draw))
        total = images.sum(dim=(1, 2))
        light = torch.stack([images.sum(2) @ centre / total, images.sum(1) @ centre / total], 1).numpy()
        impact = zdc.impact_cm(rows.numpy())
        inside = np.abs(impact).max(axis=1) < 3
        # a wrong sign or axis would read several centimetres
        assert np.abs(light - impact)[inside].mean() < 0.35, draw
        torch.testing.assert_close(total, showers.sum(dim=(1, 2)))
        zdc.check_conditions(rows.double().numpy())


def test_augmentation_leaves_its_input_alone(data):
    showers, conditions = torch.rand(4, 44, 44), torch.rand(4, 9)
    kept = showers.clone(), conditions.clone()
    augment(showers, conditions, torch.tensor([1, 2, 4, 7]))
    assert torch.equal(showers, kept[0])
    assert torch.equal(conditions, kept[1])


def test_scalers_see_training_rows_only(data, monkeypatch):
    from engine.models.e2e_sae import E2ESAE

    seen = {}
    original = E2ESAE.fit

    def watch(self, showers, conditions):
        seen["n"] = len(showers)
        seen["conditions"] = conditions
        original(self, showers, conditions)

    monkeypatch.setattr(E2ESAE, "fit", watch)
    Training("e2e_sae", SMALL, data, seed=0)
    assert seen["n"] == (data.split == 0).sum()
    np.testing.assert_array_equal(seen["conditions"], data.conditions[data.rows("train")].astype(np.float32))


def test_validation_is_the_same_whenever_it_is_asked(data):
    training = Training("e2e_sae", SMALL, data, seed=0)
    before = training.state()[0]
    first, second = training.validate(60), training.validate(60)
    assert first == second
    after = training.state()[0]
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_replicas_share_their_symmetry(data):
    training = Training("e2e_sae", SMALL | {"grouping": "primaries", "augment": True}, data, seed=3)
    batch: Batch = training.batch(training.batches(0)[0])
    for primary in range(5):
        rows = batch.conditions[batch.primary == primary]
        assert len(rows) == 3
        torch.testing.assert_close(rows, rows[:1].expand_as(rows), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------------------------------------------------- phases
@pytest.mark.parametrize("grouping", ["rows", "primaries"])
def test_each_turn_of_a_phase_shows_all_showers_in_an_order_of_its_own(data, grouping):
    training = Training("wgan", SMALL | {"grouping": grouping}, data, seed=1)
    assert training.turns == 5
    orders = [np.concatenate(training.batches(0, turn)) for turn in range(training.turns)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.sort(data.rows("train")))
    assert len({order.tobytes() for order in orders}) == 5
    np.testing.assert_array_equal(np.concatenate(training.batches(0, 3)), orders[3])


def test_stages_follow_each_other_and_each_has_a_schedule_of_its_own(data):
    training = Training("latent_flow", SMALL | {"epochs": 10, "share": 0.37}, data, seed=1)
    first, second = training.phases
    turn = training.span(first)[1]
    assert training.span(first)[0] == 0
    assert training.span(second) == (turn, training.steps)
    assert training.learning_rate(0, first) == training.config.learning_rate
    assert training.learning_rate(turn - 1, second) is None
    assert training.learning_rate(turn, first) is None
    assert training.learning_rate(turn, second) == training.config.flow_rate
    assert training.learning_rate(training.steps - 1, second) < 0.1 * training.config.flow_rate


def test_a_phase_chooses_its_optimiser_and_its_state_is_kept(data):
    training = Training("wgan", SMALL | {"epochs": 1}, data, seed=1)
    assert all(isinstance(optimiser, torch.optim.RMSprop) for optimiser in training.optimisers)
    training.advance(training.batches(0)[0])
    kept = {name.rsplit(".", 1)[1] for name in training.state()[0] if name.startswith("optimiser.critic.")}
    assert kept == {"step", "square_avg"}
    betas = [group["betas"] for o in Training("wgan_gp", SMALL, data, 1).optimisers for group in o.param_groups]
    assert betas == [(0.0, 0.9)] * 2


def test_a_phase_may_have_a_rate_of_its_own(data):
    training = Training("wae_gan", SMALL | {"adversary_rate": 0.002, "schedule": "constant"}, data, seed=1)
    assert [training.learning_rate(0, phase) for phase in training.phases] == [0.002, training.config.learning_rate]


def test_what_begins_a_phase_runs_once_before_its_first_step_on_all_training_examples(data):
    run = Training("latent_flow", {**SMALL, "hidden": 8, "width": 2}, data, seed=1)
    begun = []

    def begin(showers, conditions, rng):
        assert rng is run.rng
        begun.append((run.step, len(showers), len(conditions)))

    run.phases[1] = dataclasses.replace(run.phases[1], begin=begin)
    first = run.span(run.phases[1])[0]
    assert 0 < first < run.steps
    for _ in run.run():
        pass
    assert begun == [(first, len(run.train_rows), len(run.train_rows))]


def test_a_beginning_that_does_nothing_changes_no_bit(data):
    plain, begun = (Training("wae_gan", {**SMALL, "hidden": 8, "width": 2}, data, seed=1) for _ in range(2))
    begun.phases = [dataclasses.replace(phase, begin=lambda *_: None) for phase in begun.phases]
    for run in (plain, begun):
        for rows in run.batches(0)[:2]:
            run.advance(rows)
    states = [run.state()[0] for run in (plain, begun)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_convolutions_learn_by_the_optimisers_rule_whatever_the_layout_of_their_gradients(data):
    """Against Adam without fused kernels, which goes by index and not by place in memory."""
    made = Training("vae", {"width": 4, "decoder": "convolutions"}, data, seed=0)
    phase, begin = made.phases[0], [p.detach().clone() for p in made.phases[0].parameters]
    made.advance(made.batches(0)[0])
    reference = [torch.nn.Parameter(p) for p in begin]
    for parameter, learned in zip(reference, phase.parameters, strict=True):
        parameter.grad = learned.grad
    rate = made.learning_rate(0, phase)
    torch.optim.Adam(reference, lr=rate, betas=phase.betas, fused=False, foreach=False).step()
    for parameter, learned in zip(reference, phase.parameters, strict=True):
        torch.testing.assert_close(parameter.detach(), learned.detach())

"""The loop: order of the data, symmetries of the face, state."""

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
    original = E2ESAE.fit_scalers

    def watch(self, showers, conditions):
        seen["n"] = len(showers)
        seen["conditions"] = conditions
        original(self, showers, conditions)

    monkeypatch.setattr(E2ESAE, "fit_scalers", watch)
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

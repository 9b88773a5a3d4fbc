"""What every registered model must keep, and what the e2e SAE promises beyond."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from engine import zdc
from engine.datasets import base as datasets
from engine.models import base as models
from engine.models.base import Batch
from engine.models.e2e_sae import PAPER_RECIPE
from engine.schema import NotFound, Particle, WrongInput
from engine.train import NonFinite, Training

BUNDLED = Path(__file__).parents[2] / "assets" / "models" / "zdc_geant4_e2e_sae.safetensors"
SMALL = {"epochs": 2, "batch": 60, "checkpoint_epochs": 1, "learning_rate": 1e-3}
# smaller networks where a model has such settings, so that the suite stays quick
SIZES = {"width": 4, "hidden": 32, "spots": 6}
PAPER = PAPER_RECIPE | {"width": 4, "hidden": 32}


@pytest.fixture(scope="module")
def whole():
    return datasets.load("zdc_geant4")


@pytest.fixture(scope="module")
def data(whole):
    """180 showers to train on, 60 to validate with: enough for every promise but quality."""
    rows = np.concatenate([whole.rows("train")[:180], whole.rows("validation")[:60]])
    columns = ("showers", "conditions", "pdg", "primary_id", "replica", "split")
    return dataclasses.replace(whole, **{name: getattr(whole, name)[rows] for name in columns})


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other on a busy machine make these small steps ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings(name: str, **more) -> dict:
    known = models.get(name).Config.model_fields
    return {k: v for k, v in (SMALL | SIZES | more).items() if k in known}


def training(name: str, data, seed: int = 1, **more) -> Training:
    return Training(name, settings(name, **more), data, seed)


def rng(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def batch_of(data, size: int = 30, split: str = "train") -> Batch:
    rows = data.rows(split)[:size]
    _, primary = np.unique(data.primary_id[rows], return_inverse=True)
    showers = torch.from_numpy(data.showers[rows].astype(np.float32))
    return Batch(showers, torch.from_numpy(data.conditions[rows].astype(np.float32)), torch.from_numpy(primary))


def reached(total: torch.Tensor, module: torch.nn.Module) -> list[bool]:
    """Whether the gradient of `total` reaches each parameter of a module."""
    gradients = torch.autograd.grad(total, list(module.parameters()), allow_unused=True, retain_graph=True)
    return [g is not None and bool((g != 0).any()) for g in gradients]


# -------------------------------------------------------------------------------------- contract of every model
@pytest.mark.parametrize("name", models.names())
def test_the_verbs_give_the_promised_shapes(name, data):
    model = training(name, data).model.eval()
    b = batch_of(data, 6)
    with torch.no_grad():
        if model.has_latent:
            codes = model.encode(b.showers, b.conditions)
            assert codes.shape == model.prior(b.conditions, rng()).shape
            assert model.decode(codes, b.conditions).shape == b.showers.shape
        photons, expected = (model.sample(b.conditions, rng(), light) for light in ("poisson", "expected"))
    assert photons.shape == expected.shape == b.showers.shape
    assert (photons >= 0).all()
    assert torch.equal(photons, photons.round())
    assert torch.isfinite(expected).all()


@pytest.mark.parametrize("name", models.names())
def test_the_gradient_of_a_phase_reaches_each_of_its_parameters_and_the_phases_share_none(name, data):
    run = training(name, data)
    owned = [id(p) for phase in run.phases for p in phase.parameters]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(p) for p in run.model.parameters() if p.requires_grad}
    run.model.train()
    for phase in run.phases:
        losses = phase.loss(batch_of(data, 60), rng())
        gradients = torch.autograd.grad(losses["total"], phase.parameters)  # raises where one is not reached
        assert all(torch.isfinite(g).all() for g in gradients)
        # a rectifier may be dark for a batch, so single zeros are no fault
        assert np.mean([bool((g != 0).any()) for g in gradients]) == 1
        assert all(value.ndim == 0 for value in losses.values())


@pytest.mark.parametrize("name", models.names())
def test_a_step_of_training_moves_every_parameter_and_only_by_its_phase(name, data):
    run = training(name, data)
    before = [p.detach().clone() for p in run.model.parameters()]
    run.advance(run.batches(0)[0])
    assert all(not torch.equal(p, q) for p, q in zip(run.model.parameters(), before, strict=True))


@pytest.mark.parametrize("name", models.names())
def test_saved_and_loaded_models_draw_the_same_showers(name, data, tmp_path):
    run = training(name, data)
    run.advance(run.batches(0)[0])
    models.save(run.model, tmp_path / "m.safetensors", note="here")
    loaded, meta = models.load(tmp_path / "m.safetensors")
    assert meta["note"] == "here"
    q = batch_of(data).conditions
    with torch.no_grad():
        assert torch.equal(run.model.eval().sample(q, rng(3)), loaded.sample(q, rng(3)))
        assert not torch.equal(loaded.sample(q, rng(3)), loaded.sample(q, rng(4)))


@pytest.mark.parametrize("name", models.names())
def test_the_same_seed_trains_the_same_bits(name, data):
    first, again = (training(name, data) for _ in range(2))
    for run in (first, again):
        for rows in run.batches(0)[:2]:
            run.advance(rows)
    states = [run.state()[0] for run in (first, again)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("name", models.names())
def test_a_resumed_training_equals_the_uninterrupted_one_bit_for_bit(name, data):
    full = training(name, data)
    logs = []
    for log in full.run():
        logs.append(log)
        if log.step == 2 and log.checkpoint is False:
            tensors, meta = full.state()
            tensors = {key: value.clone() for key, value in tensors.items()}
    resumed = training(name, data)
    resumed.restore(tensors, json.loads(json.dumps(meta)))
    assert resumed.step == 2
    again = [log for log in resumed.run() if log.step > 2]
    expected = [log for log in logs if log.step > 2]
    assert [log.step for log in again] == [log.step for log in expected]
    for one, other in zip(again, expected, strict=True):
        assert {k: v for k, v in one.terms.items() if not k.startswith("system/")} == {
            k: v for k, v in other.terms.items() if not k.startswith("system/")
        }
    assert all(torch.equal(v, full.state()[0][k]) for k, v in resumed.state()[0].items())


@pytest.mark.parametrize("name", models.names())
def test_conditions_of_a_wrong_width_are_refused(name, data):
    model = training(name, data).model.eval()
    with pytest.raises(WrongInput, match="nine columns"):
        model.sample(torch.zeros(3, 8), rng())


@pytest.mark.parametrize("name", models.names())
def test_a_loss_that_is_not_finite_ends_the_run_with_phase_and_step(name, data):
    run = training(name, data)
    run.advance(run.batches(0)[0])
    with torch.no_grad():
        next(iter(run.phases[0].parameters))[:] = torch.nan
    before = [p.detach().clone() for phase in run.phases for p in phase.parameters]
    with pytest.raises(NonFinite) as caught:
        run.advance(run.batches(0)[1])
    assert caught.value.phase == run.phases[0].name
    assert caught.value.step == 1
    after = [p for phase in run.phases for p in phase.parameters]
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("name", models.names())
def test_each_setting_has_a_help_and_its_default_is_within_range(name):
    for field in models.info(models.get(name)).fields:
        assert field.help.endswith((".", ")")), field.name
        if field.kind in {"float", "int"}:
            assert field.minimum is not None, field.name
            assert field.maximum is not None, field.name
            assert field.minimum <= float(field.default) <= field.maximum
        if field.kind == "choice":
            assert field.default in field.choices


@pytest.mark.parametrize("name", models.names())
def test_a_setting_out_of_range_is_refused_in_one_line(name):
    for values, word in (({"epochs": 0}, "epochs"), ({"batch": "many"}, "batch"), ({"speed": 3}, "speed")):
        with pytest.raises(WrongInput, match=word) as caught:
            models.configure(models.get(name), values)
        assert "\n" not in str(caught.value)


def test_an_unknown_model_is_refused_with_the_names_there_are():
    with pytest.raises(NotFound, match="e2e_sae"):
        models.get("crystal_ball")


# ------------------------------------------------------------------------------------------------------ e2e SAE
def sae(data, **more):
    return training("e2e_sae", data, **more).model.train()


def test_transport_reaches_encoder_and_generator_but_not_the_decoder(data):
    model = sae(data)
    term = model.loss(batch_of(data, 60), rng())["sinkhorn"]
    assert all(reached(term, model.encoder))
    assert all(reached(term, model.generator))
    assert not any(reached(term, model.decoder))


@pytest.mark.parametrize("pixels", ["poisson", "log_mse"])
def test_reconstruction_reaches_encoder_and_decoder_but_not_the_generator(pixels, data):
    model = sae(data, pixels=pixels, alpha=0.1)
    terms = model.loss(batch_of(data, 60), rng())
    for term in (terms["reconstruction"], terms["lap1"]):
        assert all(reached(term, model.encoder))
        assert all(reached(term, model.decoder))
        assert not any(reached(term, model.generator))


def test_diversity_and_last_layer_act_on_the_encoder_alone(data):
    model = sae(data)
    terms = model.loss(batch_of(data, 60), rng())
    assert any(reached(terms["diversity"], model.encoder))
    assert sum(reached(terms["last_layer"], model.encoder)) == 1
    for term in (terms["diversity"], terms["last_layer"]):
        assert not any(reached(term, model.decoder) + reached(term, model.generator))


def test_conditions_never_reach_encoder_or_decoder(data):
    """§3.4: Q enters the noise generator and the transport cost only."""
    model = sae(data).eval()
    b = batch_of(data, 12)
    other = b.conditions.flip(0)
    with torch.no_grad():
        codes = model.encode(b.showers, b.conditions)
        assert torch.equal(codes, model.encode(b.showers, other))
        assert torch.equal(model.decode(codes, b.conditions), model.decode(codes, other))
        assert not torch.equal(model.prior(b.conditions, rng()), model.prior(other, rng()))
        assert not torch.equal(
            model.transport(codes, codes.flip(0), b.conditions),
            model.transport(codes, codes.flip(0), other[:1].expand_as(other)),
        )


def test_the_unconditional_model_ignores_the_particle(data):
    model = sae(data, conditional=False).eval()
    b = batch_of(data, 12)
    with torch.no_grad():
        assert torch.equal(model.prior(b.conditions, rng()), model.prior(b.conditions.flip(0), rng()))
    terms = model.train().loss(b, rng())
    assert all(reached(terms["total"], model))


def test_the_total_is_the_weighted_sum_of_the_named_terms(data):
    weights = {"beta": 0.3, "delta": 0.2, "gamma": 0.1, "alpha": 0.7, "energy_score_weight": 0.05, "sum_weight": 0.01}
    model = sae(data, **weights, diversity_scale=2.0, tau=0.1)
    terms = model.loss(batch_of(data, 60), rng())
    names = ["sinkhorn", "diversity", "last_layer", "lap1", "energy_score", "light_sums"]
    expected = terms["reconstruction"] + sum(
        weight * terms[name] for weight, name in zip(weights.values(), names, strict=True)
    )
    torch.testing.assert_close(terms["total"], expected)


def test_validation_shows_every_term_and_the_latent_spread(data):
    terms = training("e2e_sae", data).validate()
    names = {"reconstruction", "sinkhorn", "diversity", "last_layer", "lap1", "energy_score", "light_sums", "total"}
    assert {f"validation/{name}" for name in names} | {"validation/latent_spread"} == set(terms)
    assert all(np.isfinite(value) for value in terms.values())


def test_the_papers_recipe_trains(data):
    run = training("e2e_sae", data, **PAPER)
    rows = run.batches(0)[0]
    values = [run.advance(rows).terms["loss/reconstruction"] for _ in range(6)]
    assert values[-1] < values[0]


def test_a_few_steps_lower_the_validation_reconstruction(data):
    run = training("e2e_sae", data, learning_rate=3e-3)
    before = run.validate()["validation/reconstruction"]
    for epoch in range(8):
        for rows in run.batches(epoch):
            run.advance(rows)
    assert run.validate()["validation/reconstruction"] < before - 0.1


# ------------------------------------------------------------------------------------------------------- bundled
def test_light_of_a_neutron_grows_with_its_energy_in_the_bundled_model():
    model, _ = models.load(BUNDLED)
    neutron = zdc.particle(2112)
    light = []
    for energy in (100.0, 300.0, 1000.0, 2500.0):
        row = Particle(pdg=2112, energy_gev=energy).conditions(neutron.mass_mev, neutron.charge_e)
        with torch.inference_mode():
            light.append(float(model.sample(torch.tensor([row] * 100), rng()).sum((1, 2)).mean()))
    assert light == sorted(light)
    # the simulated neutrons of 600–3000 GeV within 1.5 cm of the middle leave 0.82 photons per GeV
    assert light[2] == pytest.approx(820, rel=0.1)

"""What a request for showers answers beside them, and that nothing absurd comes through or hangs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import zdc
from engine.generation import Moments
from engine.host import BATCH
from engine.schema import CONDITIONS, GenerateRequest, Particle, WrongInput
from engine.walk import directions


@pytest.mark.parametrize(("rows", "n"), [(1, 1), (1, 7), (5, 3), (40, 1), (3, 29)])
def test_moments_of_pieces_are_those_of_the_whole(rows, n):
    examples = np.random.default_rng(0).gamma(1.0, 50.0, (rows * n, 4, 3)).astype(np.float32)
    found = Moments(rows, n, (4, 3))
    for part in np.array_split(examples, 5):
        if len(part):
            found.add(part)
    whole = examples.reshape(rows, n, 4, 3).astype(np.float64)
    np.testing.assert_allclose(found.mean, whole.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.sigma, whole.std(axis=1), rtol=1e-4, atol=1e-3)


def test_moments_are_those_of_the_showers_of_the_same_request(trained):
    service, run = trained
    request = GenerateRequest(run=run, particle=Particle(px_gev=0.03), n=BATCH + 300, seed=3, convention="o2")
    showers, moments = service.generate(request), service.generate(request.model_copy(update={"moments": True}))
    assert "showers" not in moments
    np.testing.assert_allclose(moments["mean"][0], showers["showers"].mean(axis=0, dtype=float), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moments["sigma"][0], showers["showers"].std(axis=0, dtype=float), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(moments["photon_sum"], showers["showers"].sum(axis=(1, 2)))
    for name in ("channels", "conditions", "impact_mm"):
        np.testing.assert_array_equal(moments[name], showers[name])
    assert moments.meta.keys() == showers.meta.keys()


def test_a_walk_changes_the_showers_of_a_seed_and_nothing_else_about_them(trained):
    service, run = trained
    request = GenerateRequest(run=run, particle=Particle(), n=4, seed=3, light="expected")
    still = service.generate(request)
    places = ((0.0, 0.0), (0.0, 0.0), (3.0, 0.0), (0.0, 3.0))
    walked = [service.generate(request.model_copy(update={"walk": at})) for at in places]
    np.testing.assert_array_equal(walked[0]["showers"], walked[1]["showers"])
    pictures = [still["showers"], *(one["showers"] for one in walked[1:])]
    for k, picture in enumerate(pictures):
        assert all(not np.array_equal(picture, other) for other in pictures[k + 1 :])
    assert "changes most" in walked[0].meta["directions"]
    assert "directions" not in still.meta
    moments = service.generate(request.model_copy(update={"walk": (3.0, 0.0), "moments": True}))
    np.testing.assert_allclose(moments["mean"][0], walked[2]["showers"].mean(axis=0), rtol=1e-5, atol=1e-7)


def test_a_walk_to_where_the_seed_s_own_noise_stands_gives_its_own_shower(trained):
    service, run = trained
    source = service.generator(run)
    request = GenerateRequest(run=run, particle=Particle(), seed=8, light="expected")
    own = service.generate(request)
    rows = service.host._tensor(own["conditions"])
    noise = source.model.noise(rows, service.host.rng(8))
    found = service.host.directions(source.model, lambda: pytest.fail("they are held with the model"))
    a, b = found.coordinates(noise)[0].tolist()
    again = service.generate(request.model_copy(update={"walk": (a, b)}))
    np.testing.assert_allclose(again["showers"], own["showers"], rtol=1e-3, atol=1e-4)


def test_the_directions_of_a_model_are_found_at_the_median_training_conditions(trained):
    service, run = trained
    service.generate(GenerateRequest(run=run, particle=Particle(), walk=(0.0, 0.0)))
    source = service.generator(run)
    train = source.data.conditions[source.data.rows("train")]
    middle = np.quantile(train, 0.5, axis=0, method="nearest")[None]
    held = service.host.directions(source.model, lambda: middle)
    np.testing.assert_array_equal(
        held.axes.numpy(), directions(source.model, service.host._tensor(middle)).axes.detach().numpy()
    )


numbers = st.one_of(
    st.floats(), st.sampled_from([0.0, 1e-300, 1e-7, 0.5, 500.0, 7000.0, 1e9, 1e30, 1e300, -1e300, 939.565, 11259.0])
)


@settings(max_examples=300, deadline=None)
@given(st.lists(numbers, min_size=9, max_size=9), st.booleans())
def test_any_conditions_give_finite_showers_or_one_sentence(trained, row, on_shell):
    service, run = trained
    if on_shell and all(map(math.isfinite, row)):
        square = row[4] * row[4] + row[5] * row[5] + row[6] * row[6] + (row[7] / 1000) * (row[7] / 1000)
        row = [math.sqrt(square), *row[1:]]
    refused = ""
    try:
        made = service.generate(GenerateRequest(run=run, conditions=[row]))
    except WrongInput as error:
        refused = str(error)
    assert "\n" not in refused
    if refused:
        return
    assert all(np.isfinite(array).all() for array in made.arrays.values())
    assert 0 <= made.meta["ood"] <= 1


@pytest.mark.parametrize(
    "change",
    [
        dict(zip(CONDITIONS, [7000, 11259, -11259, 11259, 4000, 4000, 0.01, 0, 0], strict=True)),
        dict(zip(CONDITIONS, [1.0, 0, 0, 0, 0, 0, 1.0, 0, 0], strict=True)),
        dict(zip(CONDITIONS, [7000, 0, 0, 0, 0, 0, -7000, 0, 100], strict=True)),
    ],
)
def test_what_lies_at_the_edge_of_physics_answers_with_a_warning(trained, change):
    service, run = trained
    row = list(change.values())
    momentum = math.hypot(*row[4:7])
    made = service.generate(GenerateRequest(run=run, conditions=[[momentum, *row[1:]]], n=3))
    assert np.isfinite(made["showers"]).all()
    assert made.meta["warnings"]


@pytest.mark.parametrize(
    ("particle", "said"),
    [
        (Particle(energy_gev=1e9), "above the beam"),
        (Particle(energy_gev=1e200), "above the beam"),
        (Particle(px_gev=1e200), "above the beam"),
        (Particle(px_gev=500), "lower them"),
        (Particle(vz_cm=1e9), "vertex"),
        (Particle(vx_cm=1e300), "vertex"),
        (Particle(px_gev=499.9999999999), "never reaches|lower them"),
        (Particle(energy_gev=-5), "raise the energy"),
    ],
)
def test_particles_of_no_sense_are_refused_in_one_line(trained, particle, said):
    service, run = trained
    with pytest.raises(WrongInput, match=said) as caught:
        service.generate(GenerateRequest(run=run, particle=particle))
    assert "\n" not in str(caught.value)


def test_too_many_at_once_are_refused_with_what_makes_more(trained):
    service, run = trained
    with pytest.raises(WrongInput, match="showerscope generate"):
        service.generate(GenerateRequest(run=run, conditions=zdc_rows(3), n=400_000))
    with pytest.raises(WrongInput, match="moments of 6000 rows"):
        service.generate(GenerateRequest(run=run, conditions=zdc_rows(6000), moments=True))
    with pytest.raises(WrongInput, match="moments are no showers"):
        service.export(GenerateRequest(run=run, particle=Particle(), moments=True), "npz")


def zdc_rows(n: int) -> list[list[float]]:
    return [Particle().conditions(zdc.particle(2112).mass_mev, 0)] * n


def test_light_that_is_not_finite_is_refused_and_not_drawn_as_none(trained, monkeypatch):
    service, run = trained
    source = service.generator(run)
    monkeypatch.setattr(type(source.model), "decode", lambda self, latent, q: latent[:, :1, None] * float("nan"))
    for light in ("poisson", "expected"):
        with pytest.raises(WrongInput, match="no finite answer"):
            service.generate(GenerateRequest(run=run, particle=Particle(), light=light))

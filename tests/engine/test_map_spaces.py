"""Maps in feature spaces: what a point is, that it repeats, and which showers stand behind it."""

import numpy as np
import pytest
from conftest import train_here, wait_for

from engine import manifold, points
from engine.datasets import base as datasets
from engine.host import Host
from engine.models import base as models
from engine.observables import of
from engine.schema import MapRequest, TrainSpec, WrongInput

SHOWERS = ("latent", "observables", "pixels")


@pytest.fixture(scope="module")
def host():
    return Host(threads=1)


def model(name: str, data, **config):
    kind = models.get(name)
    made = kind(models.configure(kind, config, data.kind), data.space)
    return made.eval()


@pytest.fixture
def asked(trained):
    """A request of the small run in a space, with its points."""
    service, run = trained

    def ask(space, n=60, seed=0):
        return service._asked(MapRequest(run=run, n=n, seed=seed, perplexity=10, space=space))[0]

    return ask


@pytest.mark.parametrize("space", SHOWERS)
def test_points_are_data_then_generated_examples_of_the_same_rows(asked, space):
    one = asked(space)
    found, arrays = one.points(), one.prepare()[0]
    assert found.features.shape[0] == 120
    assert found.features.shape[1] <= points.COMPONENTS + 1
    assert arrays["layer"].tolist() == [0] * 60 + [1] * 60
    assert (arrays["row"][:60] == arrays["row"][60:]).all()
    data = one.data
    np.testing.assert_allclose(arrays["impact_mm"], 10 * data.impact_cm[arrays["row"]], rtol=1e-5)
    assert (arrays["photon_sum"][:60] == data.photon_sum[arrays["row"][:60]]).all()
    assert ("latent" in arrays) == (space == "latent")


@pytest.mark.parametrize("space", SHOWERS)
def test_the_same_request_gives_the_same_points_bit_for_bit_and_another_seed_others(asked, host, space):
    one = asked(space)
    again = points.gather(host, one.model, one.data, one.request)
    np.testing.assert_array_equal(one.points().features, again.features)
    np.testing.assert_array_equal(one.points().made, again.made)
    other = asked(space, seed=1).points()
    assert not np.array_equal(other.made, again.made)


def test_observables_are_in_standard_deviations_of_the_simulation(asked):
    features = asked("observables", n=200).points().features[:200]
    assert (np.abs(features.mean(axis=0)) < 0.1).all()
    assert (features.std(axis=0) < 1.05).all()
    assert features.std(axis=0).mean() > 0.8


def test_a_generated_shower_on_the_map_has_the_light_of_the_shower_behind_it(asked):
    for space in SHOWERS:
        one = asked(space)
        shown = one.examples([3, 63, 119, 63])
        assert shown["layer"].tolist() == [0, 1, 1, 1]
        light = one.prepare()[0]["photon_sum"][[3, 63, 119, 63]]
        np.testing.assert_allclose(shown["showers"].sum(axis=(1, 2)), light, rtol=1e-4)
        np.testing.assert_array_equal(shown["showers"][0], one.data.showers[shown["row"][0]])
        np.testing.assert_array_equal(shown["showers"][1], shown["showers"][3])
        whole = (shown["showers"] == np.round(shown["showers"])).all()
        assert whole == (space != "latent"), "drawn photons are whole, expected ones are not"
    drawn = asked("observables")
    behind = of(drawn.examples([70])["showers"])["light"][0]
    assert behind == drawn.points().light[70]


@pytest.mark.parametrize("chosen", [[], [-1], [120], [0] * 5001])
def test_points_that_are_not_on_the_map_are_refused_in_one_line(asked, chosen):
    with pytest.raises(WrongInput, match="points") as caught:
        asked("latent").examples(chosen)
    assert "\n" not in str(caught.value)


def test_each_kind_of_data_has_its_own_space_and_refuses_the_others():
    showers, digits, toy = (datasets.load(name) for name in ("zdc_geant4", "mnist", "toy_spirals"))
    sae, flow = models.get("e2e_sae"), models.get("flow_matching")
    for data, own in ((showers, "observables"), (digits, "features"), (toy, "pixels")):
        assert points.settled(None, sae, data) == "latent"
        assert points.settled(None, flow, data) == own
        assert points.settled("pixels", flow, data) == "pixels"
        with pytest.raises(WrongInput, match=f"no encoder.*choose {own}"):
            points.settled("latent", flow, data)
    with pytest.raises(WrongInput, match="LeNet"):
        points.settled("features", sae, showers)
    with pytest.raises(WrongInput, match="holds images"):
        points.settled("observables", sae, digits)


def test_digits_are_compared_in_lenet_s_features_and_toys_by_their_coordinates(host):
    for name, space, width in (("mnist", "features", 84), ("mnist", "pixels", 50), ("toy_spirals", "pixels", 2)):
        data = datasets.load(name)
        untrained = model("gan", data)
        request = MapRequest(run="x", n=60, space=space)
        found = points.gather(host, untrained, data, request)
        assert found.features.shape == (120, width)
        assert "pdg" not in found.arrays(data)
        shown = found.examples(host, untrained, data, [0, 60])["showers"]
        assert shown.shape == (2, *data.space.shape)


def test_components_keep_the_distances_of_pictures_that_they_can_say_and_show_what_they_cannot():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 300))
    axes = points.components(flat - flat.mean(axis=0), 49)
    assert axes.shape == (300, 5)
    np.testing.assert_allclose(axes.T @ axes, np.eye(5), atol=1e-10)
    inside = (flat - flat.mean(axis=0)) @ axes
    np.testing.assert_allclose(
        np.linalg.norm(inside[:50, None] - inside[None, :50], axis=2),
        np.linalg.norm(flat[:50, None] - flat[None, :50], axis=2),
        atol=1e-9,
    )
    tall = points.components(rng.normal(size=(400, 60)), 49)
    assert tall.shape == (60, 49)


def test_the_density_ratio_counts_neighbours_of_either_layer():
    rng = np.random.default_rng(0)
    alike = rng.normal(size=(400, 4))
    k = manifold.about(200)
    assert k == 20
    near, apart = manifold.nearest(alike, k)
    distances = np.linalg.norm(alike[:, None] - alike[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(near, np.argsort(distances, axis=1)[:, :k])
    np.testing.assert_allclose(apart, np.sort(distances, axis=1)[:, :k])
    ratio = manifold.log_ratio(near, 200)
    made = (near >= 200).sum(axis=1)
    np.testing.assert_allclose(ratio, np.log((made + 0.5) / (k - made + 0.5)), rtol=1e-6)
    assert abs(ratio.mean()) < 0.1
    away = alike.copy()
    away[200:] += 100
    apart_ratio = manifold.log_ratio(manifold.nearest(away, k)[0], 200)
    np.testing.assert_allclose(apart_ratio, np.repeat([-np.log(41), np.log(41)], 200), rtol=1e-5)


def test_showers_that_coincide_are_nobody_s_neighbours_by_their_number(asked):
    features = asked("observables", n=200).points().features
    assert len(np.unique(features, axis=0)) == len(features)


@pytest.mark.slow
def test_a_model_without_an_encoder_is_mapped_by_what_it_draws(service):
    info = train_here(service, TrainSpec(model="flow_matching", config={"epochs": 1, "batch": 200, "width": 4}))
    assert info.state == "finished", info.error
    request = MapRequest(run=info.run_id, n=60, perplexity=10)
    with pytest.raises(WrongInput, match="no encoder"):
        service.map(request.model_copy(update={"space": "latent"}))
    wait_for(lambda: service.map(request).meta["state"] == "done", 60)
    done = service.map(request)
    assert done.meta["space"] == "observables"
    assert "latent" not in done
    assert service.map_showers(request, [0, 119])["showers"].shape == (2, 44, 44)


@pytest.mark.slow
def test_maps_of_two_spaces_stand_side_by_side_and_repeat_bit_for_bit(trained):
    service, run = trained
    requests = {space: MapRequest(run=run, n=60, perplexity=10, space=space) for space in SHOWERS}
    first = {}
    for space, request in requests.items():
        wait_for(lambda request=request: service.map(request).meta["state"] == "done", 60)
        first[space] = service.map(request)
        assert first[space].meta["space"] == space
        assert np.abs(first[space]["density"]).max() > 0
    assert len({first[space]["xy"].tobytes() for space in SHOWERS}) == 3
    # None is the space of codes here, and answered by the same map
    np.testing.assert_array_equal(
        service.map(requests["latent"].model_copy(update={"space": None}))["xy"], first["latent"]["xy"]
    )
    for path in (service.home / "maps" / run).glob("*observables*"):
        path.unlink()
    service.maps._maps.clear()
    again = requests["observables"]
    wait_for(lambda: service.map(again).meta["state"] == "done", 60)
    np.testing.assert_array_equal(service.map(again)["xy"], first["observables"]["xy"])

"""Maps: what t-SNE keeps, that they repeat, and that they move instead of jumping."""

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import wait_for
from openTSNE.tsne import kl_divergence_bh

from engine import manifold
from engine.latent import BOXES, Maps, principal, pull, tsne
from engine.schema import MapRequest, WrongInput


def clusters(n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(5 * np.eye(6)[k], 0.3, (n, 6)) for k in range(3)])


def test_neighbours_in_latent_space_are_neighbours_on_the_map_and_equal_seeds_give_equal_maps():
    seen = []
    first = tsne(clusters(), None, 15, 3, lambda share, xy: seen.append((share, len(xy))))
    again = tsne(clusters(), None, 15, 3, lambda *_: None)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (180, 2)
    owner = np.repeat(np.arange(3), 60)
    apart = np.linalg.norm(first[:, None] - first[None], axis=2) + 1e9 * np.eye(180)
    assert (owner[apart.argmin(1)] == owner).mean() > 0.98
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_neighbours_that_are_known_and_threads_change_nothing_but_the_time():
    points = clusters()
    plain, seen = tsne(points, None, 15, 3, lambda *_: None), manifold.nearest(points, 60)
    np.testing.assert_array_equal(plain, tsne(points, None, 15, 3, lambda *_: None, seen, 2))


@pytest.mark.parametrize("side", [30.0, 300.0])
def test_points_push_each_other_as_by_brute_force_on_narrow_and_on_wide_maps(side):
    rng = np.random.default_rng(0)
    centres = rng.uniform(-0.4 * side, 0.4 * side, (20, 1, 2))
    places = (centres + side / 25 * rng.normal(size=(20, 350, 2))).reshape(-1, 2)
    assert (np.ptp(places, axis=0).max() ** 2 > BOXES * len(places)) == (side == 300.0)
    free = sp.csr_matrix((len(places), len(places)))
    settings = {"n_interpolation_points": 3, "min_num_intervals": 50, "ints_in_interval": 1}
    _, found = pull(places, free, dof=1, bh_params={"theta": 0.5}, fft_params=settings)
    apart = places[:200, None] - places
    true = -(apart / (1 + (apart**2).sum(axis=2, keepdims=True)) ** 2).sum(axis=1)
    scale = (found[:200] * true).sum() / (true * true).sum()  # the sum over all pairs
    assert scale > 0
    assert np.linalg.norm(found[:200] / scale - true) < 0.04 * np.linalg.norm(true)


def test_the_tree_gives_the_cost_and_the_gradient_of_opentsne():
    rng = np.random.default_rng(0)
    places = rng.uniform(-40, 40, (500, 2))
    affinities = sp.csr_matrix(rng.random((500, 500)) * (rng.random((500, 500)) < 0.05))
    affinities /= affinities.sum()
    given = {"dof": 1, "bh_params": {"theta": 0.5}, "should_eval_error": True}
    assert np.ptp(places, axis=0).max() ** 2 > BOXES * len(places)
    cost, gradient = pull(places, affinities, **given)
    plain, expected = kl_divergence_bh(places, affinities, **given)
    assert cost == pytest.approx(plain, rel=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_a_map_from_another_moves_little():
    before = tsne(clusters(), None, 15, 3, lambda *_: None)
    moved = clusters() + 0.02
    after = tsne(moved, before, 15, 3, lambda *_: None)
    jump = tsne(np.random.default_rng(1).permutation(moved), None, 15, 4, lambda *_: None)
    size = before.std()
    assert np.median(np.linalg.norm(after - before, axis=1)) < 0.5 * size
    assert np.median(np.linalg.norm(jump - before, axis=1)) > size


def test_principal_components_have_fixed_signs_and_survive_one_dimension():
    latent = clusters()
    np.testing.assert_allclose(principal(latent), principal(latent[:, :]))
    xy = principal(np.random.default_rng(0).normal(size=(10, 1)))
    assert xy.shape == (10, 2)
    assert (xy[:, 1] == 0).all()


def test_codes_that_are_not_finite_are_refused():
    bad = clusters()
    bad[3, 2] = np.nan
    with pytest.raises(WrongInput, match="not finite"):
        tsne(bad, None, 15, 0, lambda *_: None)


@pytest.mark.slow
def test_a_map_is_drawn_at_once_refined_in_the_background_and_kept(trained):
    service, run = trained
    steps = [c.step for c in service.status(run).checkpoints]
    request = MapRequest(run=run, step=steps[-2], n=60, perplexity=10)
    assert service.map(request).meta["state"] in ("queued", "running")
    wait_for(lambda: len(service.map(request)["xy"]) == 120, 3)  # the first picture within three seconds
    wait_for(lambda: service.map(request).meta["state"] == "done", 60)
    done = service.map(request)
    assert done["layer"].tolist() == [0] * 60 + [1] * 60
    assert (done["row"][:60] == done["row"][60:]).all()
    assert done["latent"].shape == (120, 20)
    data = service.shelf.data("zdc_geant4")
    assert (data.split[done["row"]] == 1).all()
    assert done.meta["step"] == steps[-2]
    later = request.model_copy(update={"step": steps[-1]})
    service.map(later)
    wait_for(lambda: service.map(later).meta["state"] == "done", 60)
    np.testing.assert_array_equal(service.map(later)["row"], done["row"])
    # another engine of this home finds it drawn
    maps = Maps(service.home / "maps", lambda *_: None)
    settings = {"n": 60, "perplexity": 10.0, "seed": 0, "space": "latent"}
    found = maps.ask(run, steps[-2], 1, settings, lambda: pytest.fail("computed again"))
    np.testing.assert_array_equal(found["xy"], done["xy"])


def test_a_map_of_more_showers_than_there_are_is_refused(trained):
    service, run = trained
    with pytest.raises(WrongInput, match="ask for fewer"):
        service.map(MapRequest(run=run, n=20_000))


def test_a_map_that_fails_says_so_and_the_next_one_gets_its_chance(tmp_path):
    def broken() -> tuple[dict[str, np.ndarray], np.ndarray]:
        raise WrongInput("no such checkpoint")

    def ask(maps: Maps, n: int, prepare):
        return maps.ask("run", 1, 0, {"n": n, "perplexity": 5.0, "seed": 0}, prepare).meta

    maps = Maps(tmp_path, lambda *_: None)
    wait_for(lambda: ask(maps, 1, broken)["state"] == "failed", 5)
    assert ask(maps, 1, broken)["error"] == "no such checkpoint"
    wait_for(lambda: ask(maps, 2, lambda: ({}, clusters(20)))["state"] == "done", 60)
    maps.close()

"""Clouds judged by a known manifold, and the plane by clusters: closed forms, brute force, and what is refused."""

import dataclasses
import itertools
import json

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import KDTree

from engine import manifolds
from engine.datasets import base as datasets
from engine.datasets import toys
from engine.host import Host
from engine.manifolds import Source
from engine.models.sc_gan import KEPT
from engine.schema import Checkpoint, CloudRequest, PartitionRequest, RunInfo, WrongInput
from engine.server import call, methods
from engine.train import Training

SMALL = {"epochs": 5, "batch": 500, "hidden": 16, "conditional": False}
TOY = "toy_eight_gaussians"
MODES = ["mapping", "centres", "single", "real"]


def trained(model: str, data: str = TOY, **config) -> Source:
    """A model after a training of a second, at its end."""
    run = Training(model, {**SMALL, **config}, datasets.load(data), 3)
    for _ in run.run():
        pass
    info = RunInfo(run_id="run", name="", data=data, model=model, step=run.step, steps=run.steps)
    return Source(run.model.eval(), run.data, info, Checkpoint(step=run.step, epoch=run.epoch))


@pytest.fixture(scope="module")
def host() -> Host:
    return Host("cpu", 1)


@pytest.fixture(scope="module")
def scgan() -> Source:
    return trained("sc_gan", clusters=6, mapping_hidden=8)


@pytest.fixture(scope="module")
def others() -> dict[str, Source]:
    return {name: trained(name, epochs=1) for name in ("e2e_sae", "gan", "flow_matching")}


def ask(**changes) -> CloudRequest:
    return CloudRequest(run="run", **{"n": 200, "seed": 4, **changes})


def plane(**changes) -> PartitionRequest:
    """A request that nobody has checked."""
    given = {"run": "run", "step": None, "clusters": None, "x": (-3.0, 3.0), "y": (-2.0, 2.0), "side": 24}
    return PartitionRequest.model_construct(**{**given, **changes})


def early(source: Source) -> Source:
    """The same model as if its encoder still learned."""
    return dataclasses.replace(source, checkpoint=Checkpoint(step=1, epoch=0))


# ------------------------------------------------------------------------------------------------------------------ W1
points = arrays(np.float64, st.tuples(st.integers(1, 5), st.just(2)), elements=st.integers(-3, 3).map(float))


@given(points, st.randoms(use_true_random=False))
def test_the_transport_distance_is_the_least_over_all_pairings(first, random):
    second = np.array([[random.uniform(-3, 3) for _ in range(2)] for _ in first])
    lengths = [
        np.linalg.norm(first - second[list(order)], axis=1) for order in itertools.permutations(range(len(first)))
    ]
    assert toys.w1(first, second) == pytest.approx(min(length.mean() for length in lengths), abs=1e-12)


@pytest.mark.parametrize("size", [1.0, 1e-3, 0.0, 50.0])
def test_the_transport_distance_is_that_of_an_independent_solver_however_small_a_cloud_is(size):
    rng = np.random.default_rng(0)
    first, second = size * rng.normal(size=(80, 2)), rng.normal(1, 2, (80, 2))
    assert toys.w1(first, second) == pytest.approx(ot.emd2([], [], ot.dist(first, second, "euclidean")), rel=1e-9)
    assert toys.w1(second, first) == pytest.approx(toys.w1(first, second), rel=1e-9)
    assert toys.w1(second, second + np.array([3.0, 4.0])) == pytest.approx(5)
    assert toys.w1(second, second[::-1]) == 0


@pytest.mark.parametrize("name", toys.NAMES)
def test_the_floor_is_what_pairs_of_exact_clouds_read(name):
    toy = toys.get(name)
    small, large = toy.floor(60), toy.floor(500)
    assert toy.floor(500) is large, "found once"
    assert 0 < large.w1 < small.w1
    assert 0 < large.spread < large.w1
    # clouds of other seeds read the same
    again = [toys.w1(toy.sample(500, 70 + k)[0], toy.sample(500, 90 + k)[0]) for k in range(8)]
    assert np.mean(again) == pytest.approx(large.w1, abs=4 * np.hypot(np.std(again, ddof=1), large.spread) / 8**0.5)
    assert large.off == 0 if name == "toy_checkerboard" else large.off < 0.004


@pytest.mark.parametrize("name", ["toy_spirals", "toy_sine_cube"])
def test_a_curve_keeps_the_tree_of_its_knots(name, monkeypatch):
    toy = toys.get(name)
    cloud = toy.sample(100, 1)[0]
    found = toy.distance(cloud)
    monkeypatch.setattr(toys, "KDTree", lambda points: pytest.fail("there is one"))
    np.testing.assert_array_equal(toy.distance(cloud), found)


# -------------------------------------------------------------------------------------------------------------- clouds
@pytest.mark.parametrize("name", toys.NAMES)
def test_an_exact_generator_reads_the_floors_and_a_moved_one_how_far_it_was_moved(name, host, others, monkeypatch):
    source = dataclasses.replace(others["gan"], data=datasets.load(name))
    toy = toys.get(name)

    def read(move: float) -> dict:
        exact = (toy.sample(400, 12)[0] + [0.6 * move, 0.8 * move]).astype(np.float32)
        monkeypatch.setattr(manifolds, "drawn", lambda *_: exact)
        return manifolds.cloud(host, source, ask(n=400)).meta

    exact, moved = read(0.0), read(1000.0)
    assert exact["w1"] == pytest.approx(exact["w1_floor"], abs=5 * exact["w1_floor_spread"])
    assert exact["off"] <= 0.01
    assert moved["w1"] == pytest.approx(1000, abs=3 * exact["w1_floor"])
    assert (moved["off"], moved["off_error"]) == (1, 0)
    assert (exact["reach"], exact["gaps"], exact["data"]) == (toy.reach, toy.gaps, name)
    assert exact["off_error"] == pytest.approx((exact["off"] * (1 - exact["off"]) / 400) ** 0.5)


@pytest.mark.parametrize("mode", ["own", *MODES])
def test_a_cloud_says_what_its_arrays_hold_and_is_the_same_for_the_same_request(mode, host, scgan):
    made, again = (manifolds.cloud(host, scgan, ask(latents=mode)) for _ in range(2))
    assert {name: array.shape for name, array in made.arrays.items()} == {
        "points": (200, 2), "distance": (200,), "off": (200,), "target": (200, 2)
    }  # fmt: skip
    for name, array in made.arrays.items():
        np.testing.assert_array_equal(array, again[name])
    assert made.meta | {"ms": 0} == again.meta | {"ms": 0}
    toy, cloud = toys.get(TOY), made["points"].astype(float)
    assert made.meta["w1"] == toys.w1(cloud, made["target"])
    np.testing.assert_array_equal(made["distance"], toy.distance(cloud))
    np.testing.assert_array_equal(made["off"], toy.off(cloud))
    assert made.meta["off"] == made["off"].mean()
    assert (made.meta["latents"], made.meta["clusters"], made.meta["model"]) == (mode, 6, "sc_gan")
    other = manifolds.cloud(host, scgan, ask(latents=mode, seed=5))
    assert not np.isin(other["points"], made["points"]).any()
    assert not np.isin(other["target"], made["target"]).any()


def test_the_target_is_the_same_for_every_model_and_none_has_learned_from_it(host, scgan, others):
    target = manifolds.cloud(host, scgan, ask())["target"]
    for source in others.values():
        np.testing.assert_array_equal(manifolds.cloud(host, source, ask())["target"], target)
    assert not np.isin(target.astype(np.float32), scgan.data.showers).any()
    assert not toys.get(TOY).off(target).sum() > 3


@pytest.mark.parametrize("mode", MODES)
def test_sc_gan_draws_in_each_mode_what_it_decodes_of_that_mode_s_codes(mode, host, scgan):
    made, model = manifolds.cloud(host, scgan, ask(latents=mode)), scgan.model
    with torch.no_grad():
        nothing = torch.zeros(200, 1)
        noise = model.noise(nothing, torch.Generator().manual_seed(4))
        expected = model.decode(model.drawn(noise, mode), nothing)
    np.testing.assert_array_equal(made["points"], expected)
    assert (mode == "mapping") is np.array_equal(made["points"], manifolds.cloud(host, scgan, ask())["points"])


def test_real_codes_of_another_model_are_those_of_training_examples(host, others):
    source = others["e2e_sae"]
    made = manifolds.cloud(host, source, ask(latents="real"))["points"]
    rows = source.data.rows("train")
    codes = host.encode(source.model, source.data.showers[rows], source.data.conditions[rows])
    rebuilt = host.decode(source.model, codes, source.data.conditions[rows])
    assert KDTree(rebuilt).query(made)[0].max() < 1e-5
    assert len(np.unique(made, axis=0)) > 190


@pytest.mark.parametrize("name", ["e2e_sae", "flow_matching", "sc_gan"])
def test_a_model_that_sees_the_pieces_draws_at_all_of_them(name, host, monkeypatch):
    source, seen = trained(name, conditional=True, epochs=1), []
    draw = host.draw

    def watched(model, conditions, *args, **named):
        seen.extend(conditions)
        return draw(model, seen, *args, **named)

    monkeypatch.setattr(host, "draw", watched)
    manifolds.cloud(host, source, ask(n=500))
    pieces = np.concatenate(seen)[:, 0].astype(int)
    assert np.bincount(pieces, minlength=8).min() > 30
    assert not np.array_equal(pieces, toys.get(TOY).sample(500, toys.FRESH + 8)[1]), "the target has its own"


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("gan", {"latents": "real"}, "Generative adversarial network has no encoder: take codes of its own"),
        ("gan", {"latents": "centres"}, "has no clusters of codes: take codes of its own"),
        ("flow_matching", {"latents": "mapping"}, "has no clusters of codes: take codes of its own"),
        ("e2e_sae", {"latents": "single"}, "has no clusters of codes: take codes of its own or real"),
        ("e2e_sae", {"clusters": 8}, "has no clusters of codes: leave their number out"),
        ("sc_gan", {"clusters": 7}, "its mapping networks were made for K = 6: train again, or take K = 6"),
        ("sc_gan", {"clusters": 7, "latents": "mapping"}, "train again, or take K = 6"),
    ],
)
def test_codes_that_a_model_has_not_are_refused_with_the_mend(name, changes, words, host, scgan, others):
    with pytest.raises(WrongInput, match=words) as caught:
        manifolds.cloud(host, {"sc_gan": scgan, **others}[name], ask(**changes))
    assert "\n" not in str(caught.value)


def test_data_without_a_known_manifold_are_refused(host, others):
    mine = dataclasses.replace(others["gan"], data=dataclasses.replace(datasets.load(TOY), name="mine"))
    with pytest.raises(WrongInput, match="mine has no known manifold: choose a model of one of toy_eight_gaussians"):
        manifolds.cloud(host, mine, ask())


@pytest.mark.parametrize("mode", ["own", "real"])
def test_a_model_that_has_lost_its_numbers_is_refused(mode, host):
    source = trained("e2e_sae", epochs=1)
    with torch.no_grad():
        next(source.model.decoder.parameters()).fill_(float("nan"))
    with pytest.raises(WrongInput, match="finite"):
        manifolds.cloud(host, source, ask(latents=mode))


# ------------------------------------------------------------------------------------------------------------ clusters
def test_another_k_divides_the_kept_codes_anew_and_leaves_the_model_as_it_is(host, scgan):
    model = scgan.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    six, nine, one = (manifolds.cloud(host, scgan, ask(latents="centres", clusters=k)) for k in (6, 9, 1))
    assert [made.meta["clusters"] for made in (six, nine, one)] == [6, 9, 1]
    np.testing.assert_array_equal(six["points"], manifolds.cloud(host, scgan, ask(latents="centres"))["points"])
    assert not np.array_equal(six["points"], nine["points"])
    for mode in ("single", "real"):  # they ask no cluster
        with_k, without = (manifolds.cloud(host, scgan, ask(latents=mode, clusters=k)) for k in (9, None))
        np.testing.assert_array_equal(with_k["points"], without["points"])
    assert model.config.clusters == 6
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    whole = manifolds.regrouped(host, model, 1)
    torch.testing.assert_close(whole.centres[0], model.kept.mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(whole.spread[0] ** 2, model.kept.var(0, correction=0).mean(), atol=1e-5, rtol=1e-4)
    assert whole.count.tolist() == [KEPT]


def test_other_clusters_are_found_once_for_each_held_model(host, scgan, monkeypatch):
    first = manifolds.regrouped(host, scgan.model, 11)
    monkeypatch.setattr(manifolds, "divided", lambda *_: pytest.fail("they are held with the model"))
    assert manifolds.regrouped(host, scgan.model, 11) is first


def test_a_model_trained_on_centres_takes_any_k_for_its_own_codes(host):
    source = trained("sc_gan", clusters=4, latents="centres", mapping_hidden=8, epochs=3)
    own, named = (manifolds.cloud(host, source, ask(latents=mode, clusters=9)) for mode in ("own", "centres"))
    np.testing.assert_array_equal(own["points"], named["points"])
    assert own.meta["clusters"] == 9


# ----------------------------------------------------------------------------------------------------------- partition
@pytest.mark.parametrize("k", [None, 6, 15])
@pytest.mark.parametrize("settled", [True, False])
def test_a_place_belongs_to_the_centre_that_is_nearest_to_its_code(k, settled, host, scgan):
    source = scgan if settled else early(scgan)
    found = manifolds.partition(host, source, plane(clusters=k))
    clusters = manifolds.current(host, scgan.model, source, k or 6)
    xs, ys = -3 + 6 * (np.arange(24) + 0.5) / 24, -2 + 4 * (np.arange(24) + 0.5) / 24
    for row, y in enumerate(ys):
        with torch.no_grad():
            places = torch.tensor([[x, y] for x in xs], dtype=torch.float32)
            codes = scgan.model.encode(places, torch.zeros(24, 1))[:, : scgan.model.config.latent]
        apart = np.linalg.norm(codes.numpy()[:, None] - clusters.centres.numpy(), axis=2)
        mine = apart[np.arange(24), found["cluster"][row]]
        assert (mine - apart.min(axis=1)).max() < 2e-3  # two that are as near, as torch's distance rounds
    assert found["count"].sum() == KEPT
    assert found.meta == {
        "clusters": k or 6, "trained": 6, "step": source.checkpoint.step, "epoch": source.checkpoint.epoch
    }  # fmt: skip
    if settled and k != 15:
        assert found["count"].tolist() == scgan.model.count.tolist()


def test_x_goes_to_the_right_and_y_up(host, monkeypatch):
    source = trained("sc_gan", clusters=4, latent=2, mapping_hidden=8, epochs=2)
    model = source.model
    # codes that are the points, and a centre in each quadrant: number 1 if x > 0, and 2 more if y > 0
    monkeypatch.setattr(model, "codes", lambda seen: model.modality.restored(seen))
    model.centres.copy_(torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]))
    found = manifolds.partition(host, source, plane(x=(-1.0, 7.0), y=(-6.0, 2.0), side=8))["cluster"]
    assert found[0].tolist() == [0] + 7 * [1], "the first row is the lowest"
    assert found[-1].tolist() == [2] + 7 * [3]
    assert found[:, 0].tolist() == 6 * [0] + 2 * [2]
    assert found[:, -1].tolist() == 6 * [1] + 2 * [3]


def test_while_the_encoder_learns_the_clusters_are_those_of_what_it_says_now(host):
    source = trained("sc_gan", clusters=5, mapping_hidden=8, epochs=2)
    with torch.no_grad():
        for parameter in source.model.encoder.parameters():
            parameter.copy_(-parameter + 0.1)
        rows = source.data.rows("train")[:3000]
        codes = source.model.codes(source.model.modality.view(torch.from_numpy(source.data.showers[rows])))
    kept, now = (manifolds.current(host, source.model, one, 1).centres[0] for one in (source, early(source)))
    torch.testing.assert_close(kept, source.model.kept.mean(0), atol=1e-5, rtol=0)
    # 4096 of the codes, each coordinate of which is 1 wide at most
    assert float((now - codes.mean(0)).abs().max()) < 0.1
    assert float((now - kept).abs().max()) > 0.5
    assert torch.equal(manifolds.current(host, source.model, source, 5).centres, source.model.centres)
    assert not torch.equal(manifolds.current(host, source.model, early(source), 5).centres, source.model.centres)


def test_models_without_clusters_and_data_that_are_no_plane_have_no_partition(host, scgan, others):
    for source in others.values():
        with pytest.raises(WrongInput, match="has no clusters of codes: choose an SC-GAN"):
            manifolds.partition(host, source, plane())
    digits = dataclasses.replace(scgan, data=datasets.load("mnist"))
    with pytest.raises(WrongInput, match="mnist holds no points of the plane"):
        manifolds.partition(host, digits, plane())


numbers = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, -1e6, 1e6, 1e7, 1e-300, 1e300, -1e300]))


@settings(max_examples=200, deadline=None)
@given(st.tuples(numbers, numbers), st.integers(8, 256))
def test_any_two_bounds_give_middles_between_them_or_one_sentence(bounds, side):
    low, high = bounds
    if not -1e6 <= low < high <= 1e6:
        with pytest.raises(WrongInput, match=r"\Ax from [^\n]* the lower one first\Z"):
            manifolds.middles("x", bounds, side)
        return
    found = manifolds.middles("x", bounds, side)
    assert len(found) == side
    assert low <= found[0] <= found[-1] <= high
    assert found.mean() == pytest.approx((low + high) / 2, rel=1e-9, abs=1e-9)


class Asked:
    """A service of this one method."""

    def __init__(self, host: Host, source: Source) -> None:
        self.partition = lambda request: manifolds.partition(host, source, request)


@settings(max_examples=100, deadline=None)
@given(st.tuples(numbers, numbers), st.tuples(numbers, numbers), st.integers(0, 40), st.integers(0, 300))
def test_what_the_wire_asks_of_the_plane_is_answered_or_refused_in_one_line(host, scgan, x, y, side, k):
    body = json.dumps({"request": {"run": "run", "x": x, "y": y, "side": side, "clusters": k or None}})
    asked = Asked(host, scgan), methods()["partition"], body.encode()
    if all(-1e6 <= low < high <= 1e6 for low, high in (x, y)) and side >= 8 and k <= 256:
        assert call(*asked).status_code == 200
    else:
        with pytest.raises(WrongInput, match=r"\A[^\n]+\Z"):
            call(*asked)

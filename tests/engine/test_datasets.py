"""One suite over every registered data set, and the facts of the bundled one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import KDTree

from engine import zdc
from engine.conditions import Nearness
from engine.datasets import base as datasets
from engine.datasets import toys
from engine.schema import CONDITIONS, NotFound, WrongInput
from engine.spaces import check_rows


@pytest.fixture(params=datasets.names(), scope="module")
def data(request):
    return datasets.load(request.param)


def test_arrays_agree_and_are_frozen(data):
    if data.kind == "showers":
        assert data.showers.shape[1:] == zdc.DETECTORS[data.detector].shape
        assert data.conditions.shape == (len(data.showers), len(CONDITIONS))
    assert data.conditions.shape == (len(data.showers), len(data.columns))
    assert data.space.shape == data.showers.shape[1:]
    assert np.isfinite(data.conditions).all()
    for values, column in zip(data.conditions.T, data.columns, strict=True):
        if column.classes:
            assert set(values.tolist()) == set(range(len(column.classes)))
    with pytest.raises(ValueError, match="read-only"):
        data.showers[0] = 1


def test_no_primary_is_on_both_sides_of_a_split(data):
    sides = [set(data.primary_id[data.rows(split)].tolist()) for split in datasets.SPLITS]
    assert all(sides)
    assert len(set.union(*sides)) == sum(len(side) for side in sides)
    assert sum(len(data.rows(split)) for split in datasets.SPLITS) == len(data.showers)


def test_info_counts_what_the_arrays_hold(data):
    info = data.info()
    assert info.showers == sum(info.splits.values()) == len(data.showers)
    assert info.primaries == len(np.unique(data.primary_id))
    for condition in info.conditions:
        assert condition.minimum <= condition.quantiles[0] <= condition.quantiles[-1] <= condition.maximum
    assert info.label
    assert info.provenance


@pytest.mark.parametrize("name", datasets.names())
def test_a_set_is_ready_once_loaded_or_says_before_what_it_will_be(name, tmp_path, monkeypatch):
    data = datasets.load(name)
    assert datasets.ready(name)
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(tmp_path))
    if not datasets.ready(name):
        promised, found = datasets.describe(name), data.info()
        assert (promised.ready, found.ready) == (False, True)
        for field in ("name", "title", "label", "detector", "shape", "showers", "primaries"):
            assert getattr(promised, field) == getattr(found, field)
        assert set(found.pdg) <= set(promised.pdg)


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(NotFound, match=r"there are .*zdc_geant4"):
        datasets.load("../../etc/passwd")
    with pytest.raises(WrongInput, match="train, validation, test"):
        datasets.load("zdc_geant4").rows("all")


def test_geant4_figures_stand_as_published_with_the_data():
    """assets/data/zn_geant4.md: mean pixel 0.213, largest 1 021, quartiles 112/253/529, 2.6 % empty, floor 12.06."""
    data = datasets.load("zdc_geant4")
    assert data.showers.mean() == pytest.approx(0.213, abs=5e-4)
    assert data.showers.max() == 1021
    np.testing.assert_allclose(np.quantile(data.photon_sum, [0.25, 0.5, 0.75]), [112, 253, 529], atol=1)
    assert (data.photon_sum == 0).mean() == pytest.approx(0.026, abs=5e-4)
    rows = np.lexsort((data.replica, data.primary_id))
    channels = data.channels("paper")[rows].reshape(-1, 3, 5)
    pairs = [np.abs(channels[:, a] - channels[:, b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert np.mean(pairs) == pytest.approx(12.06, abs=0.3)


@given(
    ids=st.lists(st.integers(0, 40), min_size=30, max_size=200),
    seed=st.integers(0, 1000),
)
def test_split_is_a_function_of_the_primary(ids, seed):
    ids = np.array(ids)
    side = datasets.split_by_primary(ids, seed)
    assert all(len(set(side[ids == i].tolist())) == 1 for i in set(ids.tolist()))
    np.testing.assert_array_equal(side, datasets.split_by_primary(ids, seed))


# ------------------------------------------------------------------------------------------------------------- toys
@pytest.mark.parametrize("name", toys.NAMES)
def test_toys_are_drawn_from_their_seed_and_know_their_piece(name):
    toy = toys.get(name)
    points, piece = toy.sample(4000, 1)
    assert np.array_equal(points, toy.sample(4000, 1)[0])
    assert not np.array_equal(points, toy.sample(4000, 2)[0])
    assert set(piece.tolist()) == set(range(toy.pieces))
    with pytest.raises(WrongInput, match="at least one"):
        toy.sample(0, 1)


def test_eight_gaussians_stand_on_their_circle():
    points, piece = toys.get("toy_eight_gaussians").sample(20_000, 0)
    for k in range(8):
        cloud = points[piece == k]
        np.testing.assert_allclose(
            cloud.mean(axis=0), [2 * np.cos(np.pi * k / 4), 2 * np.sin(np.pi * k / 4)], atol=0.01
        )
        np.testing.assert_allclose(np.cov(cloud.T), 0.01 * np.eye(2), atol=0.001)


def test_the_second_spiral_is_the_first_one_turned_by_half():
    points, piece = toys.get("toy_spirals").sample(20_000, 0)
    first, second = points[piece == 0], -points[piece == 1]
    np.testing.assert_allclose(first.mean(axis=0), second.mean(axis=0), atol=0.05)
    # on an Archimedean spiral the radius tells the angle, up to the noise
    radius, angle = np.hypot(*first.T), np.arctan2(first[:, 1], first[:, 0])
    outer = radius > 0.5
    off = (3 * np.pi * radius / 2 - angle + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(off[outer] * radius[outer]).mean() < 0.3


@pytest.mark.parametrize("name", toys.NAMES)
def test_a_toy_is_a_set_of_points_of_the_plane_whose_pieces_are_its_condition(name):
    data = datasets.load(name)
    assert (data.kind, data.space.shape, data.space.classes) == ("points", (2,), toys.get(name).pieces)
    assert (data.name, len(data.showers), data.showers.dtype) == (name, toys.POINTS, np.float32)
    assert [len(data.rows(split)) for split in datasets.SPLITS] == [14_000, 3000, 3000]
    assert np.isfinite(data.showers).all()


def test_a_checkerboard_is_uniform_on_its_dark_squares_and_empty_on_the_others():
    points, piece = toys.get("toy_checkerboard").sample(40_000, 0)
    i, j = np.floor((points + 4) / 2).astype(int).T
    assert ((i + j) % 2 == 0).all()
    assert ((i >= 0) & (i < 4) & (j >= 0) & (j < 4)).all()
    assert len({(a, b, k) for a, b, k in zip(i, j, piece, strict=True)}) == 8, "a square is a piece"
    inner = (points + 4) % 2
    np.testing.assert_allclose([inner.mean(), inner.var()], [1, 1 / 3], atol=0.01)


@pytest.mark.parametrize(
    ("name", "curve", "noise"),
    [
        ("toy_abs", lambda x: np.abs(x) - 1, np.exp(-1.5)),
        ("toy_sine_cube", lambda x: 0.2 * x**3 + np.sin(5 * x), 0.1),
    ],
)
def test_functions_have_a_normal_argument_and_their_noise_in_y(name, curve, noise):
    points, piece = toys.get(name).sample(40_000, 0)
    x, y = points.T
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=0.02)
    assert np.array_equal(piece, x > 0)
    off = y - curve(x)
    np.testing.assert_allclose([off.mean(), off.std()], [0, noise], atol=0.01)
    assert abs(np.corrcoef(off, x)[0, 1]) < 0.02


def test_four_circles_have_radius_two_about_the_corners_of_a_square():
    points, piece = toys.get("toy_four_circles").sample(40_000, 0)
    corners = np.array([points[piece == k].mean(axis=0) for k in range(4)])
    np.testing.assert_allclose(np.sort(corners, axis=0), [[-1, -1], [-1, -1], [1, 1], [1, 1]], atol=0.05)
    radius = np.linalg.norm(points - np.round(corners)[piece], axis=1)
    # of a normal vector added to one of length 2, to second order
    np.testing.assert_allclose([radius.mean(), radius.std()], [2 + 0.01 / 4, 0.1], atol=0.003)


def _manifold(name: str) -> np.ndarray:
    """Many points of a set without its noise, written down a second time."""
    if name == "toy_eight_gaussians":
        return 2 * np.exp(1j * np.pi * np.arange(8) / 4).view(float).reshape(-1, 2)
    if name == "toy_checkerboard":
        side = np.arange(-3.995, 4, 0.01)
        x, y = (grid.ravel() for grid in np.meshgrid(side, side))
        return np.column_stack([x, y])[(np.floor(x / 2) + np.floor(y / 2)) % 2 == 0]
    if name == "toy_spirals":
        angle = np.linspace(0, 3 * np.pi, 20_000)
        arm = (2 / 3 / np.pi * angle * np.exp(1j * angle)).view(float).reshape(-1, 2)
        return np.concatenate([arm, -arm])
    if name == "toy_four_circles":
        ring = 2 * np.exp(2j * np.pi * np.arange(20_000) / 20_000)
        return np.concatenate([(ring + a + 1j * b).view(float).reshape(-1, 2) for a in (-1, 1) for b in (-1, 1)])
    x = np.linspace(-6, 6, 400_000)
    return np.column_stack([x, np.abs(x) - 1 if name == "toy_abs" else 0.2 * x**3 + np.sin(5 * x)])


@pytest.mark.parametrize("name", toys.NAMES)
def test_the_distance_to_a_manifold_is_that_to_the_nearest_of_very_many_of_its_points(name):
    points = np.random.default_rng(0).uniform(-4.2, 4.2, (500, 2))
    found = toys.get(name).distance(points)
    nearest = KDTree(_manifold(name)).query(points)[0]
    # a grid of squares ends half a step within their edges, and has gaps of a step
    grain = 0.01 if name == "toy_checkerboard" else 0.001
    np.testing.assert_allclose(found, nearest, atol=grain)
    assert (found <= nearest + 1e-6).all(), "no point of the manifold is nearer than the nearest"


@pytest.mark.parametrize("name", toys.NAMES)
def test_one_of_a_thousand_exact_points_lies_off_the_manifold_and_most_of_a_wide_cloud_does(name):
    toy = toys.get(name)
    points, _ = toy.sample(50_000, 7)
    share = toy.off(points).mean()
    assert share == 0 if name == "toy_checkerboard" else 0.0003 < share < 0.002
    moved = points + 2 * toy.reach * np.array([0.6, 0.8])
    assert toy.off(moved).mean() > 10 * max(share, 0.001)


def test_the_pieces_of_a_set_with_gaps_leave_room_between_them():
    """Halfway between neighbouring Gaussians, amid a light square and between two turns nothing may lie."""
    amid = {"toy_eight_gaussians": [1.7, 0.7], "toy_checkerboard": [-1, -3], "toy_spirals": [1.0, 0.0]}
    assert set(amid) == {toy.name for toy in toys.SETS.values() if toy.gaps}
    for name, point in amid.items():
        assert toys.get(name).off(np.array([point])).all(), name


# ------------------------------------------------------------------------------------------- what is no calorimeter
def test_points_have_no_photons_particles_or_impact_point():
    toy = datasets.load("toy_spirals")
    for asked in (lambda: toy.photon_sum, lambda: toy.impact_cm, toy.channels, lambda: Nearness(toy)):
        with pytest.raises(WrongInput, match="toy_spirals holds points"):
            asked()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "0 condition rows"),
        ([[1.0, 2.0]], "row 1 has 2 numbers"),
        ([[1.0], [0.5]], "row 2, piece is 0.5"),
        ([[2.0]], "row 1, piece is 2"),
        ([[-1.0]], "piece is -1"),
        ([[float("nan")]], "piece is nan"),
        ([[float("inf")]], "piece is inf"),
    ],
)
def test_conditions_that_are_no_class_are_refused_with_row_and_column(rows, words):
    with pytest.raises(WrongInput, match=words):
        check_rows(rows, datasets.load("toy_spirals").columns)


def test_classes_and_particles_pass_as_they_are():
    np.testing.assert_array_equal(check_rows([[1.0], [0.0]], datasets.load("toy_spirals").columns), [[1], [0]])
    real = datasets.load("zdc_geant4")
    np.testing.assert_array_equal(check_rows(real.conditions[:3].tolist(), real.columns), real.conditions[:3])

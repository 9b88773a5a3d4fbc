"""Pure parts of the Manifolds page: tones of regions, the clock and the packing of frames, the verdict, the race."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from app.charts import bridging, looks, partition, race, replay
from app.charts.bridging import Share
from engine.schema import Arrays

SPAN = ((-2.0, 2.0), (1.0, 5.0))


def cloud(points: np.ndarray, off: list[bool], w1: float = 0.3) -> Arrays:
    share = float(np.mean(off))
    meta = {
        "w1": w1, "w1_floor": 0.15, "w1_floor_spread": 0.02, "off": share, "off_error": 0.01, "off_floor": 0.001,
    }  # fmt: skip
    return Arrays({"points": points, "off": np.array(off)}, meta)


# --------------------------------------------------------------------------------------------------------- partition
PLANES = st.integers(1, 40).flatmap(
    lambda k: arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, k - 1)).map(
        lambda plane: (plane, k)
    )
)


@given(PLANES)
def test_clusters_that_touch_never_have_the_same_tone(found: tuple[np.ndarray, int]):
    plane, clusters = found
    tone = partition.tones(plane, clusters)
    assert tone.shape == (clusters,)
    assert tone.min() >= 0
    painted = tone[plane]
    for here, there, a, b in (
        (plane[:, :-1], plane[:, 1:], painted[:, :-1], painted[:, 1:]),
        (plane[:-1], plane[1:], painted[:-1], painted[1:]),
    ):
        assert (a != b)[here != there].all()


@given(PLANES)
def test_what_touches_is_mutual_and_nothing_touches_itself(found: tuple[np.ndarray, int]):
    near = partition.touching(*found)
    assert (near == near.T).all()
    assert not near.diagonal().any()


def cut(plane: np.ndarray, rng: np.random.Generator, most: int) -> int:
    """Divide a plane into rectangles, each a cluster; how many there are."""
    plane[:] = 0
    boxes = [(0, plane.shape[0], 0, plane.shape[1])]
    while len(boxes) < most:
        k = int(rng.integers(len(boxes)))
        a, b, c, d = boxes[k]
        if b - a < 2 and d - c < 2:
            break
        if d - c < 2 or (b - a >= 2 and rng.integers(2)):
            at = int(rng.integers(a + 1, b))
            boxes[k], new = (a, at, c, d), (at, b, c, d)
        else:
            at = int(rng.integers(c + 1, d))
            boxes[k], new = (a, b, c, at), (a, b, at, d)
        boxes.append(new)
        plane[new[0] : new[1], new[2] : new[3]] = len(boxes) - 1
    return len(boxes)


@given(st.integers(0, 2**32 - 1), st.integers(1, 120))
def test_connected_regions_need_no_more_than_six_tones(seed: int, most: int):
    plane = np.zeros((24, 24), int)
    clusters = cut(plane, np.random.default_rng(seed), most)
    assert partition.tones(plane, clusters).max() < len(partition.PALE)


def test_six_tones_are_six_colours_on_both_themes():
    for dark in (False, True):
        assert len(set(partition.colours(range(6), dark))) == 6
    assert set(partition.colours(range(6), True)).isdisjoint(partition.colours(range(6), False))


# ------------------------------------------------------------------------------------------------------------ frames
@given(arrays(np.float64, st.tuples(st.integers(0, 30), st.just(2)), elements=st.floats(-9, 9)))
def test_packed_points_come_back_to_half_a_step_and_strays_stand_at_the_ends(points: np.ndarray):
    back = replay.unpacked(replay.packed(points, SPAN), SPAN)
    low, high = np.array(SPAN).T
    assert back.shape == points.shape
    assert np.abs(back - np.clip(points, low, high)).max(initial=0) <= 1 / replay.FULL + 1e-9


def test_a_coordinate_that_is_no_number_is_drawn_at_an_end():
    back = replay.unpacked(replay.packed(np.array([[np.nan, 3.0], [-np.inf, np.inf]]), SPAN), SPAN)
    assert back.tolist()[0] == [2.0, pytest.approx(3.0)]
    assert back.tolist()[1] == [-2.0, 5.0]


SHARES = st.lists(st.floats(0, 1), max_size=8, unique=True).map(sorted)


@given(st.lists(SHARES, max_size=4))
def test_a_panel_shows_its_last_frame_until_each_moment_and_none_from_later(panels: list[list[float]]):
    clock = replay.stops(panels)
    assert all(b - a > replay.SAME for a, b in pairwise(clock))
    for shares in panels:
        at = replay.shown_at(shares, clock)
        assert len(at) == len(clock)
        for k, moment in zip(at, clock, strict=True):
            assert k == sum(share <= moment + replay.SAME for share in shares) - 1
        if shares and clock:
            assert at[-1] == len(shares) - 1


def test_models_that_keep_pace_share_their_moments():
    assert replay.stops([[0.5, 1.0], [0.5 + 1e-9, 1.0]]) == [0.5, 1.0]


def test_points_off_the_manifold_come_last_and_are_counted():
    points = np.array([[0.0, 3.0], [1.0, 2.0], [-1.0, 4.0]])
    drawn = replay.drawn(replay.Frame(10, 0.5, cloud(points, [True, False, False])), SPAN)
    assert drawn["on"] == 2
    back = replay.unpacked(drawn["points"], SPAN)
    assert np.allclose(back, points[[1, 2, 0]], atol=1e-3)
    assert "1 off the manifold" in drawn["alt"]


def test_words_hold_distance_floor_ratio_and_both_shares():
    said = replay.words(cloud(np.zeros((4, 2)), [True, False, False, False]))
    assert said == ["W₁ 0.3 = 2.00 × floor", "floor 0.150 ± 0.020", "off 25.0 ± 1.0 %, floor 0.1 %"]


# ----------------------------------------------------------------------------------------------------------- verdict
def test_a_share_has_the_binomial_error_and_a_rare_one_is_not_certain():
    share = bridging.share_of(500, 2000)
    assert share.value == 0.25
    assert share.error == pytest.approx(math.sqrt(0.25 * 0.75 / 2000), rel=1e-3)
    assert bridging.share_of(0, 2000).error == pytest.approx(1 / 2001, rel=0.3)
    assert bridging.share_of(0, 50).error > bridging.share_of(0, 2000).error


def test_several_clouds_give_the_mean_distance_its_error_and_one_share():
    found = bridging.judge([cloud(np.zeros((4, 2)), [k == 0, False, False, False], 0.2 + 0.1 * k) for k in range(3)])
    assert found.w1 == pytest.approx(0.3)
    assert found.w1_error == pytest.approx(0.1 / math.sqrt(3))
    assert found.off.value == pytest.approx(1 / 12)
    assert (found.points, found.floor, found.spread) == (12, 0.15, 0.02)


FEW, MANY, MORE, NONE = Share(0.012, 0.002), Share(0.283, 0.01), Share(0.35, 0.01), Share(0.001, 0.0007)


@pytest.mark.parametrize(
    ("own", "real", "gaps", "begins"),
    [
        (MANY, FEW, True, "**Yes:** 28.3 ± 1.0 % of the e2e SAE's points lie off the manifold, against 1.20 ± 0.20 %"),
        (MORE, MANY, True, "**In part:**"),
        (MANY, Share(0.275, 0.01), True, "**No, the decoder does:**"),
        (MANY, MORE, True, "**No, the decoder does:**"),
        (NONE, NONE, True, "**No:**"),
        (MANY, FEW, False, "**There are no gaps to bridge:**"),
        (FEW, FEW, False, "**There are no gaps to bridge:**"),
        (FEW, MANY, False, "**There are no gaps to bridge:**"),
        (MANY, None, True, "**28.3 ± 1.0 % of the e2e SAE's points lie off the manifold**, but no record"),
        (NONE, None, True, "**No:** 0.100 ± 0.070 %"),
    ],
)
def test_the_verdict_is_what_the_numbers_say(own: Share, real: Share | None, gaps: bool, begins: str):
    said = bridging.verdict(own, real, 0.001, gaps)
    assert said.startswith(begins)
    assert str(own) in said
    assert real is None or str(real) in said


def test_without_gaps_the_verdict_tells_more_from_none_and_fewer():
    said = [bridging.verdict(own, real, 0.001, gaps=False) for own, real in ((MANY, FEW), (FEW, FEW), (FEW, MANY))]
    assert "27.1 ± 1.0 % more" in said[0]
    assert "adds nothing beyond errors" in said[1]
    assert "fewer points stray" in said[2]


@given(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(1e-4, 0.1), st.floats(0, 0.01), st.booleans())
def test_no_difference_within_two_errors_is_ever_called_one(
    own: float, real: float, error: float, floor: float, gaps: bool
):
    said = bridging.verdict(Share(own, error), Share(real, error), floor, gaps)
    within = own - real <= 2 * math.hypot(error, error)
    assert not (within and said.startswith(("**Yes", "**In part")))
    assert not (within and "more." in said)


@pytest.mark.parametrize(
    ("mapping", "single", "words"),
    [
        (FEW, MORE, ("leave fewer", "leaves more")),
        (Share(0.28, 0.01), None, ("as many within errors",)),
        (MORE, MORE, ("leave more", "no different beyond errors")),
        (MORE, FEW, ("leave more", "leaves fewer")),
    ],
)
def test_sc_gan_is_set_beside_it_within_errors(mapping: Share, single: Share | None, words: tuple[str, ...]):
    said = bridging.against(MANY, mapping, single)
    assert all(word in said for word in words)


# -------------------------------------------------------------------------------------------------------------- race
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=9))
def test_octaves_hold_all_values_between_different_powers_of_two(values: list[float]):
    low, high = race.octaves(values)
    assert low <= min(values)
    assert max(values) <= high
    assert low < high
    assert math.log2(low).is_integer()
    assert math.log2(high).is_integer()


def test_the_race_has_a_line_a_model_in_both_panes_and_a_band_for_the_floor():
    courses = [
        race.Course(look, [0.0, 100.0], [1.0, 0.3], [0.9, 0.1]) for look in looks.looks(list("abcdef"), dark=False)
    ]
    spec = race.curves(courses, 0.15, 0.02, 0.001, 100.0, dark=False)
    lines = [s for s in spec["series"] if s["name"] != "floor"]
    assert [s["xAxisIndex"] for s in lines] == [0, 1] * 6
    assert len({(str(s["lineStyle"]["type"]), s["lineStyle"]["color"]) for s in lines}) == 6
    assert len({s["symbol"] for s in lines}) == 6
    assert lines[1]["data"][-1] == [0.1, 10.0], "in thousands and per cent"
    (band,) = [s["markArea"]["data"][0] for s in spec["series"] if "markArea" in s]
    assert [edge["yAxis"] for edge in band] == [pytest.approx(0.13), pytest.approx(0.17)]
    assert spec["yAxis"][0]["type"] == "log"
    assert spec["yAxis"][0]["min"] <= 0.13


@pytest.mark.parametrize(("shares", "end"), [([], 1.0), ([0.004], 1.0), ([0.013, 0.02], 2.0), ([0.7], 100.0)])
def test_the_axis_of_shares_ends_at_the_next_round_number(shares: list[float], end: float):
    assert race.ceiling(shares) == end

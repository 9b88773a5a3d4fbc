"""Charts of images, points and classes: what they claim about their numbers."""

import base64
import io
import json

import numpy as np
import pytest
from fake_kinds import ARC_RUN, DIGIT_RUN, KindsEngine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.charts import classes, grey, groups, histogram, points, scatter
from app.components import digits
from engine.schema import MapRequest


def pixels(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))).convert("RGBA"))


def test_an_image_stands_as_it_was_written_with_black_at_zero():
    image = np.zeros((3, 4))
    image[0, 3] = 255
    drawn = pixels(grey.image_url(image))
    assert drawn.shape == (3, 4, 4)
    assert drawn[0, 3, :3].tolist() == [255, 255, 255]
    assert drawn[2, 0, :3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("image", [np.full((2, 2), np.nan), np.full((2, 2), 1e9), np.full((2, 2), -5.0)])
def test_absurd_grey_values_are_drawn(image: np.ndarray):
    assert grey.image_url(image).startswith("data:image/png")
    assert grey.sheet_url(image[None], 3, signed=True).startswith("data:image/png")


def test_a_sheet_holds_every_image_in_its_place_and_nothing_between():
    images = np.array([0.0, 100, 255])[:, None, None] * np.ones((3, 2, 2))
    drawn = pixels(grey.sheet_url(images, 2, gap=1))
    assert drawn.shape == (5, 5, 4)
    assert drawn[0, 3, 0] == pytest.approx(100, abs=2)
    assert drawn[3, 0, 0] >= 253
    assert drawn[0, 2, 3] == 0
    assert drawn[3, 3, 3] == 0


def test_differences_are_white_at_zero_blue_below_red_above():
    drawn = pixels(grey.sheet_url(np.array([[[0.0, -9.0, 9.0]]]), 1, top=9.0, signed=True))[0].astype(int)
    assert (drawn[0, :3] > 240).all()
    assert drawn[1, 2] > drawn[1, 0] + 50
    assert drawn[2, 0] > drawn[2, 2] + 50


def test_words_from_outside_are_escaped_in_tiles():
    drawn = grey.tiles_html(np.zeros((1, 2, 2)), ["<b>"], ['"><script>'], 1)
    assert "<script>" not in drawn
    assert "<b>" not in drawn


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=30),
    st.sampled_from([200, 460]),
)
def test_axes_of_points_are_equal(xy: list[tuple[float, float]], side: int):
    spec = points.plane([points.Cloud("a", np.array(xy), "#000")], side)
    spans = [spec[axis]["max"] - spec[axis]["min"] for axis in ("xAxis", "yAxis")]
    assert spans[0] == pytest.approx(spans[1])
    assert spec["grid"]["width"] == spec["grid"]["height"] == side
    assert points.size_of(side)[0] >= side


def test_stray_points_do_not_set_the_axes():
    xy = np.concatenate([np.random.default_rng(0).normal(0, 1, (5000, 2)), [[1e6, -1e6]]])
    (low, high), _ = points.span_of([xy])
    assert high - low < 20


def test_points_that_are_not_finite_are_left_out():
    xy = np.array([[0.0, 0], [np.nan, 1], [np.inf, 1], [1, 1]])
    (low, high), _ = points.span_of([xy])
    assert np.isfinite([low, high]).all()
    assert points.cloud_url([points.Cloud("a", xy, "#000")], ((-1, 1), (-1, 1)), 100, False).startswith(
        "data:image/svg"
    )
    assert points.span_of([np.zeros((0, 2))]) == ((-1.0, 1.0), (-1.0, 1.0))


def test_real_and_generated_differ_in_colour_and_shape():
    real, made = points.real_and_generated(np.zeros((2, 2)), np.ones((2, 2)), False)
    assert real.colour != made.colour
    assert real.symbol != made.symbol


def test_neighbouring_classes_differ_in_colour_and_shape():
    groups = points.by_class(np.zeros((4, 2)), np.arange(4), {k: str(k) for k in range(4)})
    assert [len(g.xy) for g in groups] == [1, 1, 1, 1]
    for one, other in zip(groups, groups[1:], strict=False):
        assert one.colour != other.colour
        assert one.symbol != other.symbol


@given(st.floats(-100, 100), st.floats(1e-3, 1e3))
def test_bins_of_a_coordinate_hold_the_data(low: float, width: float):
    values = low + width * np.linspace(0, 1, 50)
    edges = points.edges_of(values)
    assert (np.diff(edges) > 0).all()
    inside = (values >= edges[0]) & (values <= edges[-1])
    assert inside.mean() > 0.9
    assert histogram.count(values, edges).sum() == 50


def test_the_nearest_distance_is_the_smallest_of_all():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (20, 3, 3)), rng.normal(0, 1, (30, 3, 3))
    direct = np.sqrt(((a[:, None] - b[None]) ** 2).sum((2, 3))).min(1)
    np.testing.assert_allclose(points.nearest_distance(a, b), direct, rtol=1e-3)
    np.testing.assert_allclose(points.nearest_distance(a, a), 0, atol=1e-2)
    assert len(points.nearest_distance(a, b[:0])) == 0


def test_a_tally_counts_every_class_and_none_twice():
    counted = classes.tally(np.array([0, 0, 2]), {0: "a", 1: "b", 2: "c"})
    assert counted.tolist() == [2, 0, 1]


def test_shares_add_up_with_binomial_errors():
    share, error = classes.share_of(np.array([25, 75]))
    assert share.tolist() == [25.0, 75.0]
    np.testing.assert_allclose(error, 100 * np.sqrt(0.25 * 0.75 / 100))
    assert classes.share_of(np.zeros(2))[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dark", [True, False])
def test_charts_of_classes_name_their_axes_and_are_json(dark: bool):
    counts = classes.counts(["0", "1"], {"train": np.array([5, 7]), "test": np.array([1, 0])}, "digit", "images", dark)
    shares = classes.shares(["0", "1"], np.array([5, 0]), np.array([1, 9]), ("selection", "rest"), "digit", dark)
    for spec in (counts, shares):
        json.dumps(spec, allow_nan=False)
        assert spec["xAxis"]["name"] == "digit"
        assert spec["yAxis"]["name"]
    assert counts["series"][0]["data"] == [5, 7]


@pytest.mark.parametrize("run", [DIGIT_RUN, ARC_RUN])
@pytest.mark.parametrize("colour_by", ["layer", "class"])
def test_a_selection_of_classes_finds_the_points_that_were_drawn(run: str, colour_by: str):
    found = KindsEngine().map(MapRequest(run=run, n=60))
    names = dict(enumerate("0123456789" if run == DIGIT_RUN else "01"))
    option = scatter.latent_map(found, colour_by, names)
    drawn = groups.groups_of(found, colour_by, names)
    assert sum(len(d["source"]) for d in option["dataset"]) == 120
    for k, series in enumerate(option["series"]):
        source = option["dataset"][series["datasetIndex"]]["source"]
        if not len(source):
            continue
        picked = list(scatter.clicked(drawn, [{"series_index": k, "data_indices": [0]}]))
        np.testing.assert_allclose(found["xy"][picked[0]], source[["x", "y"]].iloc[0], rtol=1e-6)
        assert series["symbol"] == ("diamond" if found["layer"][picked[0]] else "circle")
        assert series["selectedMode"] == "single"
    if colour_by == "class":
        assert len({s["name"] for s in option["series"]}) == len(names)


def test_a_map_to_look_at_offers_no_click():
    option = scatter.latent_map(KindsEngine().map(MapRequest(run="bundled:e2e_sae", n=60)), lasso=False)
    assert all("selectedMode" not in series for series in option["series"])


def test_a_sheet_by_class_has_a_class_a_column():
    order = digits.per_class(np.array([0, 1, 0, 1, 1, 0]), [0, 1], 2)
    assert order.tolist() == [0, 1, 2, 3]
    assert digits.per_class(np.array([0, 0]), [0, 1], 2).tolist() == []


def test_panels_take_their_own_bins_and_say_what_they_count():
    edges = np.linspace(-3, 3, 7)
    option = histogram.panels(
        ["x1"], [np.array([-2.5, 2.5])], [np.array([0.0])], False, counted="points", edges=[edges]
    )
    assert option["xAxis"][0]["min"] == -3
    assert option["yAxis"][0]["name"] == "points"

"""Charts are pure functions: what they claim about their numbers, and that every axis is named."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.charts import checks, colour, curves, histogram, picture, ratio, response
from engine.schema import History, Series


def open_url(url: str) -> np.ndarray:
    import base64

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))).convert("RGB"))


def axes_are_named(option: dict) -> bool:
    axes = [option["xAxis"], option["yAxis"]]
    return all(axis["name"] for axis in axes)


def test_picture_has_x_to_the_right_and_y_up():
    shower = np.zeros((4, 6))
    shower[3, 0] = 10  # largest x, smallest y
    pixels = open_url(picture.shower_url(shower, 10))
    assert pixels.shape == (6, 4, 3)
    assert tuple(pixels[5, 3]) == tuple(colour.VIRIDIS[255])
    assert tuple(pixels[0, 0]) == tuple(colour.VIRIDIS[0])


def test_residual_is_white_at_zero_blue_below_red_above():
    pixels = open_url(picture.residual_url(np.array([[0.0, -5.0, 5.0]]), 5.0))[::-1, 0].astype(int)
    assert (pixels[0] > 240).all()
    assert pixels[1][2] > pixels[1][0] + 50
    assert pixels[2][0] > pixels[2][2] + 50


@pytest.mark.parametrize("shower", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.full((3, 3), 1e9)])
def test_pictures_of_empty_and_absurd_showers_exist(shower: np.ndarray):
    assert picture.shower_url(shower, 0.0).startswith("data:image/png")
    assert picture.residual_url(np.nan_to_num(shower), 0.0).startswith("data:image/png")


def test_sprite_holds_every_shower_in_its_place():
    showers = np.arange(5)[:, None, None] * np.ones((5, 4, 4))
    pixels = open_url(picture.sprite_url(showers, 3, log=False, shared=True, gap=1))
    assert pixels.shape == (9, 14, 3)
    assert tuple(pixels[0, 0]) == tuple(colour.VIRIDIS[0])
    assert tuple(pixels[5, 5]) == tuple(colour.VIRIDIS[254])


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=60))
def test_no_shower_is_lost_from_a_histogram(values: list[float]):
    edges = histogram.edges_of([np.array(values)])
    assert histogram.count(np.array(values), edges).sum() == len(values)


def test_garwood_covers_the_textbook_values():
    low, high = histogram.garwood(np.array([0, 1, 10]))
    np.testing.assert_allclose(low, [0, 0.173, 6.891], atol=2e-3)
    np.testing.assert_allclose(high, [1.841, 3.300, 14.267], atol=2e-3)


def test_generated_counts_are_scaled_to_the_simulated_ones():
    rng = np.random.default_rng(0)
    option = histogram.panels(["a"], [rng.normal(50, 5, 40)], [rng.normal(50, 5, 400)], dark=False)
    line = next(s for s in option["series"] if s["name"] == "generated")
    assert sum(y for _, y in line["data"][:-1]) == pytest.approx(40)
    json.dumps(option)


def test_each_panel_has_its_ratio_below():
    option = histogram.panels(["a", "b"], [np.ones(3)] * 2, [np.ones(3)] * 2, dark=True)
    assert len(option["grid"]) == 4
    assert option["yAxis"][1]["name"] == "gen / sim"
    assert option["xAxis"][1]["name"] == "photons"


def test_empty_selections_still_draw():
    json.dumps(histogram.panels(["a"], [np.zeros(0)], [np.zeros(0)], dark=False))
    json.dumps(histogram.spectrum({"none": np.zeros(0)}, "photon sum", "photons", True, False))


@pytest.mark.parametrize("log", [True, False])
def test_spectra_name_their_axes(log: bool):
    option = histogram.spectrum({"all": np.array([0.0, 1, 10, 100])}, "photon sum", "photons", log, False)
    assert option["xAxis"]["name"] == "photon sum [photons]"
    assert axes_are_named(option)
    json.dumps(option)


def history() -> History:
    step = list(range(100))
    return History(run_id="r", last_step=99, series={
        "loss/a": Series(step=step, value=[1.0 / (s + 1) for s in step]),
        "loss/total": Series(step=step, value=[2.0, float("nan"), -1.0, *[1.0] * 97]),
        "validation/mae": Series(step=[0, 50], value=[3, 2]),
    })  # fmt: skip


@pytest.mark.parametrize("axes", ["linear", "log y", "log-log"])
def test_curves_survive_what_logs_cannot_show(axes: str):
    option = curves.curves([history()], ["r"], "loss", axes, 0.5)
    json.dumps(option, allow_nan=False)
    assert option["series"][0]["name"] == "total"
    assert axes_are_named(option)


def test_smoothing_keeps_the_raw_trace():
    names = [s["name"] for s in curves.curves([history()], ["r"], "loss", "linear", 0.9)["series"]]
    assert {"a", "a (raw)"} <= set(names)


def test_smoothing_a_constant_changes_nothing():
    np.testing.assert_allclose(curves.smooth(np.full(20, 3.0), 0.95), 3.0)


@given(st.integers(0, 4999))
def test_decimation_keeps_every_spike(where: int):
    value = np.ones(5000)
    value[where] = 100.0
    step, kept = curves.decimate(np.arange(5000.0), value)
    assert len(step) <= curves.MOST_POINTS
    assert kept.max() == 100.0
    assert (np.diff(step) > 0).all()


def test_profile_of_a_line_is_the_line():
    x = np.linspace(1, 10, 400)
    centre, mean, error = response.profile(x, 3 * x, log_x=False)
    np.testing.assert_allclose(mean, 3 * centre, rtol=0.05)
    assert (error > 0).all()
    assert axes_are_named(response.response(x, 3 * x, "Energy", "GeV", True, False))


def test_whole_counts_leave_no_bin_without_a_count():
    edges = histogram.whole_counts([np.array([1.0, 3000.0])])
    assert (edges % 1 == 0.5).all()
    assert (np.diff(edges) >= 1).all()
    assert edges[0] == 0.5
    assert edges[-1] > 3000


@given(st.integers(1, 500), st.integers(1, 500))
def test_the_overlay_scales_to_the_reference_and_propagates_both_errors(n: int, m: int):
    edges = np.array([0.5, 1.5])
    panel = ratio.histograms("photon sum", "photons", np.ones(n), np.ones(m), edges)
    found = ratio.ratio_of(panel)
    assert panel.value.sum() == pytest.approx(n)
    np.testing.assert_allclose(found.ratio, 1)
    np.testing.assert_allclose(found.error, np.sqrt(1 / n + 1 / m))


def test_an_empty_bin_of_the_reference_has_no_ratio_one_of_the_other_an_error():
    edges = np.array([0.5, 1.5, 2.5])
    panel = ratio.histograms("a", "photons", np.ones(4), np.full(4, 2.0), edges)
    found = ratio.ratio_of(panel)
    assert found.ratio.tolist() == [0.0]
    assert found.error[0] == pytest.approx(1 / 4)


@pytest.mark.parametrize("dark", [True, False])
def test_an_overlay_names_its_axes_and_marks_one(dark: bool):
    panel = ratio.histograms("photon sum", "photons", np.arange(1, 50), np.arange(1, 90), np.array([0.5, 9.5, 89.5]))
    option = ratio.overlay(panel, ("reference", "other"), dark)
    json.dumps(option, allow_nan=False)
    assert option["xAxis"][1]["name"] == "photon sum [photons]"
    assert "showers per bin" in option["title"]["text"]
    assert any(s.get("markLine", {}).get("data") == [{"yAxis": 1}] for s in option["series"])
    assert option["legend"]["data"] == ["reference", "other"]


def test_a_ratio_beyond_the_axis_is_an_arrowhead_at_its_end():
    panel = ratio.histograms(
        "a", "photons", np.array([1.0, 1, 2]), np.array([1.0, 2, 2, 2, 2]), np.array([0.5, 1.5, 2.5])
    )
    points = ratio.overlay(panel, ("r", "o"), False)["series"][-1]["data"]
    assert points[1]["symbol"] == "triangle"
    assert points[1]["value"][1] == ratio.LARGEST_RATIO


@pytest.mark.parametrize("x", [[1.0, 2, 3], [0.5, 1.5, 2.5, 3.5], [5.0], [0.01, 1, 100]])
def test_curves_take_edges_and_centres(x: list[float]):
    n = 3 if len(x) > 1 else 1
    panel = ratio.curve("a", "r [cm]", "share", x, [1.0] * n, [0.1] * n, [1.1] * n)
    assert len(panel.edges) == n + 1
    assert (np.diff(panel.edges) > 0).all()
    json.dumps(ratio.overlay(panel, ("r", "o"), False), allow_nan=False)


def test_empty_parts_still_have_edges():
    assert len(ratio.value_edges([np.zeros(0)])) > 2
    assert len(histogram.whole_counts([np.zeros(0)])) >= 2


def test_ratios_within_and_beyond_differ_in_shape():
    option = checks.ratios(["a", "b", "c", "d"], [1.0, 3.0, None, 99.0], 2.0, False)
    json.dumps(option, allow_nan=False)
    inside, beyond = option["series"]
    assert inside["symbol"] != beyond["symbol"]
    assert inside["data"] == [[1.0, 0]]
    assert beyond["data"] == [[3.0, 1], [checks.FARTHEST, 3]]
    assert [line["xAxis"] for line in inside["markLine"]["data"]] == [1, 2.0]


def test_many_showers_are_drawn_as_bands_of_quantiles():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 100, response.MANY + 1)
    option = response.response(x, rng.normal(10 * x, 5), "Energy", "GeV", True, False)
    json.dumps(option, allow_nan=False)
    assert "dataset" not in option
    assert {"90 % of showers", "68 % of showers"} <= {s.get("name") for s in option["series"]}
    centre, found = response.quantile_bands(x, rng.normal(0, 1, len(x)), True)
    np.testing.assert_allclose(found[0.84], 1, atol=0.2)
    np.testing.assert_allclose(found[0.05], -1.64, atol=0.3)
    assert (np.diff(centre) > 0).all()


def test_a_sprite_can_be_scaled_to_a_given_top():
    showers = np.full((1, 4, 4), 5.0)
    assert tuple(open_url(picture.sprite_url(showers, 1, shared=True, top=5.0))[0, 0]) == tuple(colour.VIRIDIS[254])
    dim = open_url(picture.sprite_url(showers, 1, log=False, shared=True, top=50.0))[0, 0]
    assert tuple(dim) == tuple(colour.VIRIDIS[25])

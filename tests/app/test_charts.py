"""Charts are pure functions: what they claim about their numbers, and that every axis is named."""

import io
import json

import numpy as np
import pytest
from fake import BUNDLED, FakeEngine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.charts import colour, curves, histogram, picture, response, scatter
from engine.schema import History, MapRequest, Series


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


@pytest.mark.parametrize("colour_by", ["layer", "species", "energy", "photon sum"])
def test_selection_finds_the_points_that_were_drawn(colour_by: str):
    engine = FakeEngine()
    points = engine.map(MapRequest(run=BUNDLED, n=80))
    names = {p.pdg: p.symbol for p in engine.catalogue().particles}
    option = scatter.latent_map(points, colour_by, names)
    for k, series in enumerate(option["series"]):
        source = option["dataset"][series["datasetIndex"]]["source"]
        picked = scatter.selected_points(
            points, colour_by, {"selected": [{"series_index": k, "data_indices": [0, 10**6]}]}, names
        )
        assert len(picked) == 1
        np.testing.assert_allclose(points["xy"][picked[0]], source[["x", "y"]].iloc[0], rtol=1e-6)
        assert series["symbol"] == ("diamond" if points["layer"][picked[0]] else "circle")
    assert sum(len(d["source"]) for d in option["dataset"]) == 160


def test_profile_of_a_line_is_the_line():
    x = np.linspace(1, 10, 400)
    centre, mean, error = response.profile(x, 3 * x, log_x=False)
    np.testing.assert_allclose(mean, 3 * centre, rtol=0.05)
    assert (error > 0).all()
    assert axes_are_named(response.response(x, 3 * x, "Energy", "GeV", True, False))

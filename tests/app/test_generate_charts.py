"""Charts of the Generate page on data whose answers are known in closed form."""

import csv
import json

import numpy as np
import pytest
from fake import channel_map

from app.charts import face, histogram, numbers, radial, resolution
from app.charts.resolution import Points


def points(energy: np.ndarray, a: float, b: float, light: float = 0.7, relative: float = 0.01) -> Points:
    """Exactly a/√E ⊕ b wide light of so many photons a GeV, with errors of that size."""
    mean = light * energy
    sigma = resolution.resolution_law(energy, a, b) * mean
    return Points(energy, mean, relative * mean, sigma, relative * sigma)


ENERGY = np.geomspace(10, 3000, 12)
NONE = Points(*(np.zeros(0) for _ in range(5)))


# ---------------------------------------------------------------------------------------------------- resolution
def test_a_fit_finds_the_parameters_that_made_the_points():
    fit = resolution.fit_resolution(points(ENERGY, a=2.5, b=0.08))
    assert fit is not None
    assert (fit.a, fit.b) == (pytest.approx(2.5, rel=1e-4), pytest.approx(0.08, rel=1e-4))
    assert fit.chi2 < 1e-6
    assert fit.ndf == len(ENERGY) - 2


def test_the_errors_of_a_fit_are_those_of_its_parameters_over_repeats():
    rng = np.random.default_rng(2)
    exact = points(ENERGY, a=2.5, b=0.08)
    _, error = exact.resolution()
    found = []
    for _ in range(300):
        wide = (exact.resolution()[0] + rng.normal(0, error)) * exact.mean
        fit = resolution.fit_resolution(Points(exact.energy_gev, exact.mean, exact.mean_error, wide, exact.sigma_error))
        assert fit is not None
        found.append((fit.a, fit.a_error, fit.b, fit.b_error))
    a, a_error, b, b_error = np.array(found).T
    assert a.std() == pytest.approx(a_error.mean(), rel=0.2)
    assert b.std() == pytest.approx(b_error.mean(), rel=0.2)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_points_are_not_fitted(n: int):
    assert resolution.fit_resolution(points(ENERGY[:n], 2.5, 0.08)) is None


def test_dark_energies_are_left_out_and_nothing_divides_by_zero():
    some = points(ENERGY, 2.5, 0.08)
    some.mean[3] = some.sigma[3] = 0.0
    assert len(some.lit().energy_gev) == len(ENERGY) - 1
    assert resolution.fit_resolution(some) is not None


def test_the_errors_of_resolution_add_in_quadrature():
    one = Points(np.array([100.0]), np.array([50.0]), np.array([0.5]), np.array([10.0]), np.array([0.2]))
    value, error = one.resolution()
    assert value[0] == 0.2
    assert error[0] == pytest.approx(0.2 * np.hypot(0.02, 0.01))


def test_the_constant_is_the_weighted_mean_of_light_over_energy():
    energy = np.array([10.0, 100.0])
    two = Points(energy, np.array([7.0, 80.0]), np.array([1.0, 5.0]), np.ones(2), np.ones(2))
    weight = 1 / np.array([0.1, 0.05]) ** 2
    value, error = resolution.fit_constant(two)
    assert value == pytest.approx((weight * [0.7, 0.8]).sum() / weight.sum())
    assert error == pytest.approx(weight.sum() ** -0.5)
    assert np.isnan(resolution.fit_constant(NONE)[0])


@pytest.mark.parametrize("simulated", [points(ENERGY[2:9], 2.4, 0.07), NONE])
def test_both_charts_name_every_axis_and_are_json(simulated: Points):
    model = points(ENERGY, 2.5, 0.08)
    fits = resolution.fit_resolution(model), resolution.fit_resolution(simulated)
    for chart in (
        resolution.response_chart(model, simulated, simulated, dark=False),
        resolution.resolution_chart(model, simulated, simulated, fits, dark=True),
    ):
        json.dumps(chart)
        assert chart["xAxis"][1]["name"] == "energy E [GeV]"
        assert all(axis["name"] for axis in chart["yAxis"])
        assert chart["xAxis"][0]["type"] == "log"


def test_simulation_is_drawn_as_points_and_matched_showers_as_open_diamonds():
    model = points(ENERGY, 2.5, 0.08)
    series = resolution.response_chart(model, model, model, dark=False)["series"]
    looks = {s["name"]: s for s in series if s["type"] == "scatter"}
    assert looks["simulated"]["symbol"] == "circle"
    assert looks["generated, same conditions"]["symbol"] == "diamond"
    assert looks["generated, same conditions"]["itemStyle"]["color"] == "transparent"


# -------------------------------------------------------------------------------------------------------- radial
def test_even_light_has_a_flat_profile_of_one_over_the_face():
    found = radial.profile(np.ones((3, 44, 44)), np.zeros((3, 2)), 1.6)
    np.testing.assert_allclose(found.density, 1 / (44 * 1.6) ** 2)
    np.testing.assert_allclose(found.error, 0, atol=1e-15)


def test_all_light_in_one_ring_is_found_there_wherever_the_particle_hits():
    showers = np.zeros((2, 44, 44))
    showers[0, 22, 22], showers[1, 30, 10] = 50, 80
    impact = 1.6 * (np.array([[22, 22], [30, 10]]) + 0.5 - 22)
    found = radial.profile(showers, impact, 1.6)
    area = 1.6**2 * 5  # the fibre and its four neighbours are nearer than 1.25 pitches
    assert found.density[0] == pytest.approx(1 / area)
    assert (found.density[1:] == 0).all()


def test_the_error_of_a_profile_is_the_scatter_of_its_mean_over_repeats():
    rng = np.random.default_rng(3)
    means, errors = [], []
    for _ in range(200):
        light = rng.poisson(rng.gamma(4.0, size=(40, 1, 1)) * np.full((40, 20, 20), 0.3))
        found = radial.profile(light, np.zeros((40, 2)), 1.0)
        means.append(found.density)
        errors.append(found.error)
    np.testing.assert_allclose(np.std(means, axis=0)[:6], np.mean(errors, axis=0)[:6], rtol=0.25)


def test_dark_showers_and_particles_that_miss_have_a_profile_of_zero():
    found = radial.profile(np.zeros((2, 8, 8)), np.full((2, 2), 1e4), 1.6)
    assert (found.density == 0).all()
    assert (found.error == 0).all()
    json.dumps(histogram.compose([radial.panel(found, found)], False, "r", ("a", "b"), None, 300, "showers"))


# ------------------------------------------------------------------------------------------------------- numbers
def test_the_table_holds_means_errors_and_ratio_with_what_it_is_of():
    reference, generated = np.array([[1.0], [3.0]]), np.array([[4.0], [8.0], [6.0]])
    text = numbers.table({"run": "bundled:x", "two": "a\nb"}, numbers.rows_of(["sum"], "photons", reference, generated))
    lines = text.splitlines()
    assert lines[:2] == ["# run: bundled:x", "# two: a b"]
    (row,) = csv.DictReader(lines[2:])
    assert float(row["reference_mean"]) == 2
    assert float(row["reference_mean_error"]) == pytest.approx(1)
    assert float(row["generated_mean"]) == 6
    assert float(row["ratio"]) == 3
    assert float(row["ratio_error"]) == pytest.approx(np.hypot(2 / 3**0.5 / 2, 6 * 1 / 2**2), rel=1e-5)


def test_a_single_shower_has_no_error_and_a_dark_reference_no_ratio():
    (row,) = numbers.rows_of(["sum"], "photons", np.zeros((1, 1)), np.ones((5, 1)))
    assert np.isnan(row.reference[1])
    assert np.isnan(row.ratio()[0])


# ---------------------------------------------------------------------------------------------------------- face
@pytest.mark.parametrize("name", ["paper", "moe", "o2"])
def test_the_common_channel_is_the_checkerboard_and_the_rest_are_four_towers(name: str):
    channel = np.array(channel_map(name))
    found = face.readout(channel)
    assert found.common_channel == {"paper": 4, "moe": 4, "o2": 0}[name]
    assert (found.common == (channel == found.common_channel)).all()
    assert (found.towers[~found.common] == channel[~found.common]).all()
    for tower in np.unique(found.towers):
        i, j = np.nonzero(found.towers == tower)
        assert len(i) == 22 * 22
        assert (np.ptp(i), np.ptp(j)) == (21, 21)
    assert {at for _, at in found.corners()} == {(0, 21), (0, 43), (22, 21), (22, 43)}


def test_four_slabs_of_zp_are_four_towers():
    found = face.readout(np.array(channel_map("o2", (56, 30))))
    assert [int((found.towers == tower).sum()) for tower in np.unique(found.towers)] == [14 * 30] * 4


def test_a_mask_without_checkerboard_has_no_common_channel():
    channel = np.repeat([[0, 0, 1, 1]], 4, 0)
    found = face.readout(channel)
    assert found.common_channel == -1
    assert not found.common.any()
    assert (found.towers == channel).all()


def test_every_particle_on_the_pad_counts_in_its_density():
    found = face.impact_density(
        np.array([[0.0, 0.0], [0.0, 0.0], [30.0, -30.0], [900.0, 0.0], [np.nan, 0]]), (35.2, 35.2), 4
    )
    assert found[2, 2] == 255
    assert found[3, 0] == round(255 / 2**0.5)
    assert (found > 0).sum() == 2


def test_impact_points_follow_the_line_of_flight_on_both_sides():
    rows = np.array([[500, 0.1, 0, 10, 0.5, 0, 400, 0, 0], [500, 0.1, 0, 10, 0.5, 0, -400, 0, 0], [1] + [0] * 8])
    found = face.impact_mm(rows, 1000.0)
    np.testing.assert_allclose(found[0], [10 * (0.1 + 0.5 / 400 * 990), 0])
    np.testing.assert_allclose(found[1], [10 * (0.1 + 0.5 / 400 * 1010), 0])
    assert np.isnan(found[2]).all()


# ---------------------------------------------------------------------------------------------------- histograms
def test_bars_of_root_n_are_root_n():
    low, high = histogram.interval_of(np.array([0.0, 9.0]), "sqrt")
    np.testing.assert_allclose(low, [0, 6])
    np.testing.assert_allclose(high, [0, 12])


def test_logarithmic_counts_have_no_zero_on_their_axis():
    rng = np.random.default_rng(0)
    option = histogram.panels(["a"], [rng.normal(50, 9, 99)], [rng.normal(50, 9, 99)], dark=False, log=True)
    assert option["yAxis"][0]["type"] == "log"
    least = option["yAxis"][0]["min"]
    heights = [y for s in option["series"] if s.get("xAxisIndex") == 0 for _, y in s["data"] if y is not None]
    assert least > 0
    assert min(heights) >= least

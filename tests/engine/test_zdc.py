"""Detector facts against slow, obvious code and against Geant4's own numbers."""

import numpy as np
import pytest

from engine import zdc
from engine.datasets import base as datasets
from engine.schema import Particle, WrongInput


def slow_channels(image: np.ndarray, detector: str, convention: str) -> list[float]:
    """SPEC §4, table of conventions, one fibre at a time."""
    nx, ny = image.shape
    sums = [0.0] * 5
    for x in range(nx):
        for y in range(ny):
            odd = (x + y) % 2 == 1
            left, bottom = x < nx // 2, y < ny // 2
            if convention in ("paper", "o2-debug"):
                corner = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[left, bottom]
                channel = 4 if odd else corner
            elif convention == "moe":
                corner = {(False, True): 0, (False, False): 1, (True, True): 2, (True, False): 3}[left, bottom]
                channel = corner if odd else 4
            elif detector == "zn":
                corner = {(True, True): 1, (False, True): 2, (True, False): 3, (False, False): 4}[left, bottom]
                channel = corner if odd else 0
            else:
                channel = 1 + int(4 * x / nx) if odd else 0
            sums[channel] += image[x, y]
    return sums


@pytest.mark.parametrize("convention", zdc.CONVENTIONS)
@pytest.mark.parametrize("detector", zdc.DETECTORS)
def test_channel_sums_equal_a_slow_loop(detector, convention):
    images = np.random.default_rng(0).poisson(0.3, (3, *zdc.DETECTORS[detector].shape)).astype(np.uint16)
    expected = [slow_channels(image, detector, convention) for image in images]
    np.testing.assert_array_equal(zdc.channels(images, detector, convention), expected)


@pytest.mark.parametrize("convention", zdc.CONVENTIONS)
def test_channels_add_up_to_the_photon_sum(convention):
    data = datasets.load("zdc_geant4")
    np.testing.assert_array_equal(data.channels(convention).sum(axis=1), data.photon_sum)


def test_unknown_convention_and_wrong_shape_are_refused():
    with pytest.raises(WrongInput, match="read-out convention 'papr'"):
        zdc.channel_index("zn", "papr")
    with pytest.raises(WrongInput, match="do not fit zn"):
        zdc.channels(np.zeros((2, 30, 56)), "zn")


def test_impact_follows_the_straight_line_of_the_simulation():
    data = datasets.load("zdc_geant4")
    with np.load("assets/data/zn_geant4.npz", allow_pickle=False) as file:
        np.testing.assert_allclose(data.impact_cm, file["impact_cm"], atol=1e-5)


def test_showers_stand_where_the_straight_line_meets_the_face():
    """Axis 0 is x: exchanging the axes, or the sign of Px, would lose this agreement."""
    data = datasets.load("zdc_geant4")
    bright = data.photon_sum > 200
    weights = data.showers[bright].astype(float)
    total = weights.sum(axis=(1, 2))
    centre = (np.arange(44) - 21.5) * 0.16
    x = (weights.sum(axis=2) @ centre) / total
    y = (weights.sum(axis=1) @ centre) / total
    impact = data.impact_cm[bright]
    assert np.corrcoef(x, impact[:, 0])[0, 1] > 0.95
    assert np.corrcoef(y, impact[:, 1])[0, 1] > 0.95
    assert abs(np.corrcoef(x, impact[:, 1])[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({0: np.nan}, "row 2, Energy is nan"),
        ({0: 0.5, 7: 939.565}, "below the mass"),
        ({0: -5.0}, "below the mass"),
        ({0: 1e9, 6: 1e9}, "beam's 7000 GeV"),
        ({6: 0.0}, "Pz is 0"),
        ({6: 900.0}, "off shell"),
        ({7: -1.0}, "negative"),
    ],
)
def test_conditions_outside_physics_are_refused_with_row_and_column(change, words):
    rows = np.array([Particle(pdg=22).conditions(0.0, 0.0)] * 3)
    for column, value in change.items():
        rows[1, column] = value
    with pytest.raises(WrongInput, match="row 2") as refusal:
        zdc.check_conditions(rows)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_conditions_of_the_wrong_width_or_none_are_refused():
    for bad in (np.zeros((2, 8)), np.zeros((0, 9)), [["a"] * 9]):
        with pytest.raises(WrongInput):
            zdc.check_conditions(bad)


def test_simulated_conditions_pass_the_check():
    zdc.check_conditions(datasets.load("zdc_geant4").conditions)


@pytest.mark.parametrize("pdg", [22, 2112, 130, -2112])
def test_particles_carry_the_mass_and_charge_of_the_simulated_rows(pdg):
    data = datasets.load("zdc_geant4")
    found = zdc.particle(pdg)
    row = data.conditions[data.pdg == pdg][0]
    assert found.mass_mev == pytest.approx(row[zdc.MASS], abs=0.05)
    assert found.charge_e == row[zdc.CHARGE]


def test_a_particle_on_the_slider_is_on_shell():
    neutron = zdc.particle(2112)
    row = Particle(energy_gev=500, px_gev=0.1, py_gev=-0.2, side=-1).conditions(neutron.mass_mev, neutron.charge_e)
    assert row[zdc.PZ] < 0
    momentum = np.linalg.norm(row[zdc.PX : zdc.PZ + 1])
    assert row[zdc.ENERGY] ** 2 == pytest.approx(momentum**2 + (row[zdc.MASS] / 1000) ** 2)
    zdc.check_conditions([row])


def test_energy_below_mass_or_momentum_is_refused_before_it_reaches_a_model():
    with pytest.raises(WrongInput, match="not above the mass"):
        Particle(energy_gev=0.5).conditions(939.565, 0)
    with pytest.raises(WrongInput, match="need more than the energy"):
        Particle(pdg=22, energy_gev=1, px_gev=2).conditions(0, 0)


@pytest.mark.parametrize("pdg", [0, 99_999_999, -22, 7_777_777, 2**31, -(10**12)])
def test_a_pdg_id_that_is_no_particle_is_refused(pdg):
    with pytest.raises(WrongInput, match=f"PDG id {pdg} is no particle"):
        zdc.particle(pdg)

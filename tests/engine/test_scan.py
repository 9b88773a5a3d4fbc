"""Light against energy: closed forms, errors that hold, and simulated showers chosen where there are enough."""

import dataclasses

import numpy as np
import pytest
import torch

from engine import scan, zdc
from engine.conditions import along, conditions_of
from engine.datasets import base as datasets
from engine.datasets.base import Dataset
from engine.generation import Generator
from engine.host import Host
from engine.scan import clustered, independent, nearest, ranges, scaled
from engine.schema import Particle, ScanRequest, WrongInput
from engine.spaces import Space

PER_GEV, WIDTH = 0.7, 0.1
"""Photons a GeV of the fake calorimeter, and its relative resolution."""


class Linear(torch.nn.Module):
    """Light is k·E, with a relative width, all of it in one fibre."""

    noise_width = 1
    space = Space()

    def noise(self, conditions, rng):
        return torch.randn((len(conditions), 1), generator=rng)

    def carry(self, noise, conditions):
        return noise

    def decode(self, latent, conditions):
        light = PER_GEV * conditions[:, zdc.ENERGY] * (1 + WIDTH * latent[:, 0])
        showers = torch.zeros(len(latent), 44, 44)
        showers[:, 3, 4] = light  # odd: the common channel of `paper`
        return showers

    def observed(self, expected, rng):
        return expected


def simulated(primaries: int = 400, replicas: int = 3, seed: int = 0) -> Dataset:
    """Neutrons at random energies and places whose light is k·E with the same relative width."""
    rng = np.random.default_rng(seed)
    energy = np.exp(rng.uniform(np.log(50), np.log(2000), primaries))
    aims = rng.uniform(0, 0.1, primaries)
    rows = np.concatenate([along(Particle(px_gev=x), [e]) for e, x in zip(energy, aims, strict=True)])
    owner = np.repeat(np.arange(primaries), replicas)
    showers = np.zeros((len(owner), 44, 44), np.float32)
    showers[:, 3, 4] = PER_GEV * energy[owner] * (1 + WIDTH * rng.standard_normal(len(owner)))
    return Dataset(
        "fake", "Fake", "fake showers", "zn", "made", showers, rows[owner], np.full(len(owner), 2112), owner,
        np.tile(np.arange(replicas), primaries), np.zeros(len(owner), np.uint8),
    )  # fmt: skip


@pytest.fixture(scope="module")
def fake() -> Generator:
    return Generator(Linear(), simulated(), None, "fake", 0, "linear")


@pytest.fixture(scope="module")
def host() -> Host:
    return Host(device="cpu", threads=1)


def asked(**more) -> ScanRequest:
    return ScanRequest(run="fake", particle=Particle(px_gev=0.02), **more)


def agree(value, wanted, error, most: float = 4.5) -> bool:
    return bool((np.abs(value - wanted) <= most * error + 1e-9 * np.abs(wanted)).all())


def test_response_and_resolution_of_light_that_is_proportional_to_energy(fake, host):
    energies = [50.0, 200.0, 1000.0]
    found = scan.scan(host, fake, asked(energies_gev=energies, n=1500, simulated=True))
    for prefix, at in (
        ("", "energy_gev"),
        ("simulated_", "simulated_energy_gev"),
        ("matched_", "simulated_energy_gev"),
    ):
        wanted = PER_GEV * found[at]
        assert agree(found[f"{prefix}mean"][:, 0], wanted, found[f"{prefix}mean_error"][:, 0])
        n = found["simulated_n"] if prefix else 1500  # of a normal law σ_σ = σ/√(2n)
        assert agree(found[f"{prefix}sigma"][:, 0], WIDTH * wanted, WIDTH * wanted / np.sqrt(2 * n), 4)
        np.testing.assert_allclose(
            found[f"{prefix}sigma_error"][:, 0], WIDTH * wanted / np.sqrt(2 * n), rtol=0.7 if prefix else 0.15
        )
        # all light is in the fifth channel
        np.testing.assert_allclose(found[f"{prefix}mean"][:, 5], found[f"{prefix}mean"][:, 0])
        assert not found[f"{prefix}mean"][:, 1:5].any()
        assert not found[f"{prefix}sigma_error"][:, 1:5].any()
    np.testing.assert_allclose(found["mean_error"], found["sigma"] / np.sqrt(1500))
    assert found.meta["showers"] == found["simulated_n"].sum()
    assert (found["simulated_low_gev"] <= found["simulated_energy_gev"]).all()
    assert (found["simulated_energy_gev"] <= found["simulated_high_gev"]).all()


def test_the_convention_is_the_one_that_is_asked_for(fake, host):
    found = scan.scan(host, fake, asked(energies_gev=[100.0], n=50, convention="o2"))
    assert found["mean"][0, 1] == 0, "an odd fibre is none of the common channel's, which comes first"
    np.testing.assert_allclose(found["mean"][0, 2], found["mean"][0, 0])
    with pytest.raises(WrongInput, match="convention"):
        scan.scan(host, fake, asked(energies_gev=[100.0], convention="nonsense"))


def test_errors_of_independent_showers_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    light = rng.gamma(2.0, 3.0, size=(1000, 300, 6))  # skewed, with heavy tails
    found = independent(light)
    means, sigmas = 6.0, np.sqrt(18.0)
    assert abs((np.abs(found.mean - means) < found.mean_error).mean() - 0.683) < 0.02
    assert abs(found.sigma_error.mean() / found.sigma.std(axis=0).mean() - 1) < 0.1
    assert abs((np.abs(found.sigma - sigmas) < found.sigma_error).mean() - 0.683) < 0.08


def test_errors_respect_that_replicas_share_their_primary():
    """Light of a primary plus light of a replica: three replicas are worth hardly more than one."""
    rng = np.random.default_rng(2)
    owner = np.repeat(np.arange(30), 3)
    found = []
    for _ in range(400):
        light = rng.normal(0, 3, (30, 6))[owner] + rng.normal(0, 1, (90, 6))
        found.append(clustered(light, owner))
    means, sigmas = (np.array([getattr(one, name) for one in found]) for name in ("mean", "sigma"))
    for values, name in ((means, "mean_error"), (sigmas, "sigma_error")):
        claimed = np.mean([getattr(one, name) for one in found])
        assert abs(claimed / values.std(axis=0).mean() - 1) < 0.1, name
    naive = sigmas.mean() / np.sqrt(90)
    assert np.mean([one.mean_error for one in found]) > 1.5 * naive


def test_replicas_that_are_independent_have_the_errors_of_independent_showers():
    light = np.random.default_rng(3).normal(50, 5, (600, 6))
    one, other = clustered(light, np.arange(600)), independent(light[None])
    np.testing.assert_allclose(one.mean, other.mean)
    np.testing.assert_allclose(one.sigma, other.sigma)
    np.testing.assert_allclose(one.mean_error, other.mean_error, rtol=1e-6)
    np.testing.assert_allclose(one.sigma_error, other.sigma_error, rtol=0.05)


def test_light_is_scaled_shower_by_shower_to_the_mean_energy():
    energy = np.array([100.0, 200.0, 300.0])
    np.testing.assert_allclose(scaled(np.outer(energy, np.ones(6)), energy), 200.0)


def test_a_range_of_energy_has_enough_showers_of_enough_primaries_and_is_not_too_wide():
    data = datasets.load("zdc_geant4")
    rows = np.flatnonzero(data.pdg == 2112)
    found = list(ranges(data, rows))
    assert found
    seen = np.concatenate([one.rows for one in found])
    assert len(seen) == len(set(seen.tolist()))
    for one in found:
        energy = data.conditions[one.rows, zdc.ENERGY]
        assert len(one.rows) >= scan.SHOWERS
        assert len(np.unique(data.primary_id[one.rows])) >= scan.PRIMARIES
        assert one.low * 0.999 <= energy.min() <= energy.max() <= one.high * 1.001
        assert one.high / one.low <= 10 ** (scan.WIDEST / scan.DECADE) * 1.001
    assert list(ranges(data, rows[:5])) == list(ranges(data, rows[:0])) == []


def test_the_nearest_showers_are_the_particle_s_species_and_lie_within_the_radius_that_is_said():
    data = datasets.load("zdc_geant4")
    particle = Particle(px_gev=0.03)
    found, radius_mm = nearest(data, particle)
    rows = np.concatenate([one.rows for one in found])
    assert (data.pdg[rows] == 2112).all()
    apart = 10 * np.linalg.norm(data.impact_cm[rows] - zdc.impact_cm(conditions_of(particle)), axis=1)
    assert apart.max() == pytest.approx(radius_mm)
    assert len(found) >= scan.RANGES
    scarce, further_mm = nearest(data, Particle(pdg=130))
    assert 0 < len(scarce) < len(found), "fewer ranges rather than noisier ones"
    assert further_mm > radius_mm, "the radius is widened"
    assert nearest(data, Particle(pdg=2212)) == ([], 0.0)
    assert nearest(data, Particle(px_gev=3.0)) == ([], 0.0), "a miss has no neighbours on the face"


def test_a_simulation_agrees_with_itself_within_the_errors():
    """Half the primaries of each range against the other half, as the scan treats them."""
    data = datasets.load("zdc_geant4")
    pulls = []
    for pdg in (2112, 22):
        for one in nearest(data, Particle(pdg=pdg))[0]:
            energy = data.conditions[one.rows, zdc.ENERGY]
            light = scaled(data.channels()[one.rows].sum(axis=1, keepdims=True), energy)
            odd = data.primary_id[one.rows] % 2 == 1
            a, b = (clustered(light[side], data.primary_id[one.rows][side]) for side in (odd, ~odd))
            pulls.append(float((a.mean - b.mean)[0, 0] / np.hypot(a.mean_error, b.mean_error)[0, 0]))
    assert len(pulls) > 10
    assert np.mean(np.square(pulls)) < 2.5
    assert np.max(np.abs(pulls)) < 4.5


def test_data_without_the_species_say_so_and_answer_all_the_same(fake, host):
    found = scan.scan(host, fake, asked(energies_gev=[100.0], n=20, simulated=True).model_copy(
        update={"particle": Particle(pdg=22)}
    ))  # fmt: skip
    assert found["simulated_mean"].shape == found["matched_sigma_error"].shape == (0, 6)
    assert found["simulated_n"].shape == found["simulated_energy_gev"].shape == (0,)
    assert any("too few showers" in warning for warning in found.meta["warnings"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "no energies"),
        ({"energies_gev": [0.5]}, "not above the mass"),
        ({"energies_gev": [-3.0]}, "not above the mass"),
        ({"energies_gev": [1e9]}, "above the beam"),
        ({"energies_gev": [1e300]}, "above the beam"),
        ({"energies_gev": [100.0] * 64, "n": 10_000}, "at most"),
    ],
)
def test_energies_that_make_no_sense_are_refused_in_one_line(fake, host, more, said):
    with pytest.raises(WrongInput, match=said) as caught:
        scan.scan(host, fake, asked(**more))
    assert "\n" not in str(caught.value)


def test_data_of_another_kind_have_no_energies(fake, host):
    toy = dataclasses.replace(fake, data=datasets.load("toy_spirals"))
    with pytest.raises(WrongInput, match="choose a set of showers"):
        scan.scan(host, toy, asked(energies_gev=[100.0]))

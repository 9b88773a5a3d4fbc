"""The parametrised Monte Carlo: reproducible, physical, kept in the home folder, documented parameter by parameter."""

import hashlib
import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import zdc
from engine.bench import fit_zdc_fast
from engine.datasets import zdc_fast, zdc_geant4
from engine.schema import EngineError, WrongInput
from engine.showers import cascade, flight, species
from engine.showers.parameters import PARAMETERS, Parameters, fit_record, parameters, table

P = parameters("zn")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def row(pdg=2112, energy=500.0, x=0.0, y=0.0, detector=zdc.ZN):
    """Conditions of a particle that flies straight to x, y [cm] on the face."""
    mass = {**species.MASS_GEV, species.LAMBDA: species.LAMBDA_GEV}.get(pdg, 0.0)
    pz = math.sqrt((energy**2 - mass**2) / (1 + (x**2 + y**2) / detector.z_cm**2))
    slope_x, slope_y = x / detector.z_cm, y / detector.z_cm
    return [energy, 0, 0, 0, pz * slope_x, pz * slope_y, pz, 1000 * mass, species.CHARGE.get(pdg, 0.0)]


def light(conditions, pdg, n, detector="zn", seed=0):
    """Photon sums of n showers of one particle."""
    return np.concatenate([b.sum((1, 2)) for b in zdc_fast.blocks([conditions], pdg, n, detector, seed)]).astype(float)


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv(zdc_fast.SIZE, "300")
    return tmp_path / "data"


# --------------------------------------------------------------------------------------------------- reproducibility
@pytest.mark.parametrize(("detector", "spectrum"), [("zn", "geant4"), ("zn", "published"), ("zp", "protons")])
def test_the_same_seed_gives_the_same_bytes_with_any_number_of_threads(detector, spectrum):
    before = torch.get_num_threads()
    try:
        made = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            made.append(zdc_fast.generate(200, 2, detector, spectrum, seed=5))
    finally:
        torch.set_num_threads(before)
    assert made[0]["showers"].shape == (400, *zdc.DETECTORS[detector].shape)
    assert made[0]["showers"].dtype == np.uint16
    for name, array in made[0].items():
        assert array.tobytes() == made[1][name].tobytes(), name
    other = zdc_fast.generate(200, 2, detector, spectrum, seed=6)
    assert not np.array_equal(other["showers"], made[0]["showers"])
    assert not np.array_equal(other["conditions"], made[0]["conditions"])


def test_replicas_share_the_particle_and_nothing_else():
    made = zdc_fast.generate(150, 3, seed=1)
    np.testing.assert_array_equal(made["primary_id"], np.repeat(np.arange(150), 3))
    np.testing.assert_array_equal(made["replica"], np.tile([0, 1, 2], 150))
    groups = made["conditions"].reshape(150, 3, 9)
    assert (groups == groups[:, :1]).all()
    images = made["showers"].reshape(150, 3, -1)
    bright = images.sum(2).min(1) > 20
    assert bright.sum() > 100
    assert (images[bright, 0] != images[bright, 1]).any(axis=1).all()


def test_showers_do_not_depend_on_those_that_follow():
    c, pdg = zdc_fast.primaries(zdc_fast.CHUNK + 40, "geant4", 2)
    short = next(zdc_fast.blocks(c[: zdc_fast.CHUNK], pdg[: zdc_fast.CHUNK], seed=3))
    np.testing.assert_array_equal(short, next(zdc_fast.blocks(c, pdg, seed=3)))


def test_progress_counts_every_shower():
    seen = []
    zdc_fast.generate(300, 2, seed=0, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(256, 600), (512, 600), (600, 600)]


# ---------------------------------------------------------------------------------------------------------- physics
def test_what_misses_the_face_leaves_no_light():
    for pdg in (22, 2112):
        assert light(row(pdg, x=3.53), pdg, 50).sum() == 0
        assert light(row(pdg, x=3.4), pdg, 50).min() > 0


def test_light_per_gev_is_as_geant4s_well_inside_the_face():
    """assets/data/zn_geant4.md: 1.10 photons per GeV for photons, 0.69–0.70 for hadrons, over all of the inside."""
    x = np.linspace(-1.5, 1.5, 31)
    photon = np.mean([light(row(22, 300.0, v, 0.3), 22, 12).mean() for v in x]) / 300
    neutron = np.mean([light(row(2112, 300.0, v, 0.3), 2112, 12).mean() for v in x]) / 300
    assert photon == pytest.approx(1.12, rel=0.05)
    assert neutron == pytest.approx(0.735, rel=0.1)


def test_a_photon_beside_a_fibre_gives_more_light_than_one_between_four():
    beside = light(row(22, 500.0, 0.08 + 0.028, 0.08), 22, 200).mean()
    between = light(row(22, 500.0, 0.16, 0.16), 22, 200).mean()
    assert 1.1 < beside / between < 1.4


def test_hadrons_give_more_light_per_gev_the_harder_they_are_and_scatter_more_than_photons():
    soft, hard = light(row(2112, 60.0, 0.5, 0.5), 2112, 400) / 60, light(row(2112, 2000.0, 0.5, 0.5), 2112, 400) / 2000
    assert hard.mean() > 1.15 * soft.mean()
    photon = light(row(22, 2000.0, 0.5, 0.5), 22, 400) / 2000
    assert hard.std() / hard.mean() > 1.5 * photon.std() / photon.mean()


def test_a_meson_gives_more_light_than_a_baryon_of_the_same_energy():
    """A baryon leads with a baryon, a meson may lead with a π⁰: Gabriel et al., NIM A 338 (1994) 336."""
    baryon = light(row(2112, 400.0, 0.5, 0.5), 2112, 600)
    meson = light(row(130, 400.0, 0.5, 0.5), 130, 600)
    assert 1.01 < meson.mean() / baryon.mean() < 1.12


def test_a_photon_shower_moves_light_between_core_and_halo_and_keeps_the_sum():
    """Without a fluctuation of its own the expected light is constant well inside; what lies far out is not."""
    still = replace(P, em_light_sigma=0.0)
    middle = at_face(22, 0.0, 0.0, 300)
    expected = cascade.rates(middle, 300, zdc.ZN, still, rng())
    total, far = expected.sum((1, 2)), expected[:, :14].sum((1, 2))
    assert (total.std() / total.mean()).item() < 0.02
    assert (far.std() / far.mean()).item() > 0.2


def test_half_of_a_photons_light_is_lost_on_the_edge():
    ratio = light(row(22, 500.0, 3.515, 0.3), 22, 100).mean() / light(row(22, 500.0, 1.0, 0.3), 22, 100).mean()
    assert 0.3 < ratio < 0.65


def test_light_scatters_about_its_expectation_as_tracks_of_several_photons_do():
    mean = torch.full((200_000,), 0.8)
    counted = cascade.count(mean, P, rng())
    assert counted.mean().item() == pytest.approx(0.8, rel=0.01)
    assert (counted.var() / counted.mean()).item() == pytest.approx(1 + P.photons_per_track, rel=0.02)
    assert torch.equal(counted, counted.round())


def at_face(pdg, x, y, n=40_000):
    ones = torch.ones(n)
    return flight.Arrivals(
        torch.arange(n),
        torch.full((n,), pdg),
        500 * ones,
        torch.tensor([[x, y]]).repeat(n, 1),
        torch.zeros(n, 2),
    )


def test_a_hadron_in_the_absorber_interacts_at_its_interaction_length_and_one_along_a_fibre_may_pass():
    depth = cascade.interaction_depth(at_face(2112, 0.0, 0.0), zdc.ZN, P, rng())
    assert depth.mean().item() == pytest.approx(P.absorber_length_cm, rel=0.03)
    depth = cascade.interaction_depth(at_face(2112, 0.08, 0.08), zdc.ZN, P, rng())
    untouched = (depth == P.length_cm).float().mean().item()
    assert untouched == pytest.approx(math.exp(-P.length_cm / P.quartz_length_cm), rel=0.05)
    meson = cascade.interaction_depth(at_face(130, 0.0, 0.0), zdc.ZN, P, rng()).mean().item()
    assert meson == pytest.approx(P.meson_length * P.absorber_length_cm, rel=0.03)


def test_a_neutron_along_a_fibre_can_leave_an_empty_shower_as_in_geant4():
    empty = (light(row(2112, 450.0, 0.08, 0.08), 2112, 300) == 0).mean()
    assert 0.02 < empty < 0.25
    assert (light(row(2112, 450.0, 0.0, 0.0), 2112, 300) == 0).mean() < 0.01


@given(
    energy=st.floats(1.2, 7000),
    seed=st.integers(0, 10_000),
    masses=st.sampled_from([(0.938272, 0.13957), (0.939565, 0.134977), (0.0, 0.0)]),
)
@settings(deadline=None)
def test_two_body_decays_conserve_energy_momentum_and_mass(energy, seed, masses):
    n, slope = 20, torch.tensor([[2e-4, -1e-4]], dtype=torch.float64)
    parent = torch.full((n,), energy, dtype=torch.float64)
    first, second = flight.two_body(parent, 1.115683, masses, slope.repeat(n, 1), rng(seed))
    torch.testing.assert_close(first[0] + second[0], parent)
    both = first[2] & second[2]
    along = [(e**2 - m**2).clamp_min(0).sqrt() for (e, _, _), m in zip((first, second), masses, strict=True)]
    # slopes are tangents, so the longitudinal momentum follows from the angle to the parent
    pz = [p / (1 + (s - slope).square().sum(1)).sqrt() for p, (_, s, _) in zip(along, (first, second), strict=True)]
    across = sum(p[:, None] * (s - slope) for p, (_, s, _) in zip(pz, (first, second), strict=True))
    torch.testing.assert_close(across[both], torch.zeros_like(across[both]), atol=1e-6 * energy, rtol=0)
    total = (pz[0] + pz[1])[both]
    expected = math.sqrt(energy**2 - 1.115683**2)
    torch.testing.assert_close(total, torch.full_like(total, expected), rtol=1e-6, atol=1e-6)


def test_lambdas_arrive_as_nucleons_and_photons_or_whole():
    c = torch.tensor([row(species.LAMBDA, 1000.0)] * 3000, dtype=torch.float64)
    pdg = torch.full((3000,), species.LAMBDA)
    arrived = flight.arrive(c, pdg, zdc.ZN, P, rng())
    gamma_ct = math.sqrt((1000 / species.LAMBDA_GEV) ** 2 - 1) * P.lambda_ctau_cm
    whole = (arrived.pdg == species.LAMBDA).float().sum().item() / 3000
    assert whole == pytest.approx(math.exp(-zdc.ZN.z_cm / gamma_ct), rel=0.1)
    assert {2112, 2212, 22} <= set(arrived.pdg.tolist())
    sums = torch.zeros(3000).index_add_(0, arrived.event, arrived.energy)
    assert sums.max().item() <= 1000.1
    # a decay at once leaves the nucleon near the axis with most of the energy
    at_once = flight.arrive(c, pdg, zdc.ZN, replace(P, lambda_ctau_cm=1e-6), rng())
    nucleons = (at_once.pdg == 2112) | (at_once.pdg == 2212)
    assert nucleons.float().sum().item() > 0.9 * 3000
    assert at_once.energy[nucleons].mean().item() == pytest.approx(850, rel=0.05)
    assert (at_once.pdg == species.LAMBDA).sum() == 0


def test_the_dipole_sends_protons_to_zp_by_momentum_and_nothing_neutral_or_negative():
    p = parameters("zp")
    codes = torch.tensor([2212, 2212, 211, -211, 2112, 22])
    energies = [2760.0, 2000.0, 2760.0, 2760.0, 2760.0, 2760.0]
    c = torch.tensor([row(int(code), e) for code, e in zip(codes, energies, strict=True)], dtype=torch.float64)
    arrived = flight.arrive(c, codes, zdc.ZP, p, rng())
    assert arrived.event.tolist() == [0, 1, 2]
    assert abs(arrived.position[0, 0].item()) < 0.2
    assert arrived.position[1, 0].item() == pytest.approx(p.bend_gev_rad / 2000 * 4960 - p.centre_x_cm, rel=1e-3)


def test_side_a_and_side_c_are_alike():
    c, pdg = zdc_fast.primaries(200, "geant4", 4)
    mirrored = c * np.where(np.isin(np.arange(9), (zdc.VZ, zdc.PZ)), -1, 1)
    first = flight.arrive(torch.from_numpy(c), torch.from_numpy(pdg), zdc.ZN, P, rng())
    second = flight.arrive(torch.from_numpy(mirrored), torch.from_numpy(pdg), zdc.ZN, P, rng())
    torch.testing.assert_close(first.position, second.position)
    hit = torch.from_numpy(zdc.impact_cm(c)[first.event.numpy()]).float()
    torch.testing.assert_close(first.position, hit, atol=1e-4, rtol=1e-4)


# ------------------------------------------------------------------------------------------------------- conditions
def test_conditions_are_distributed_as_the_geant4_samples():
    c, pdg = zdc_fast.primaries(20_000, "geant4", 0)
    sample = zdc_geant4.load()
    first = sample.replica == 0
    known, codes = sample.conditions[first], sample.pdg[first]
    for column in (zdc.ENERGY, zdc.PX, zdc.PY, zdc.PZ):
        a, b = np.sort(c[:, column]), np.sort(known[:, column])
        apart = np.abs(np.searchsorted(a, b) / len(a) - np.arange(len(b)) / len(b)).max()
        assert apart < 1.63 / math.sqrt(len(b)), column
    for code in (22, 2112, 130, -2112):
        assert (pdg == code).mean() == pytest.approx((codes == code).mean(), abs=0.03)
    assert np.abs(zdc.impact_cm(c)).max() <= 3.6 + 1e-3


def test_published_conditions_have_the_published_moments():
    """SPEC §3; mass and charge within a few per cent, tails of the energy are cut at 7 TeV."""
    c, _ = zdc_fast.primaries(100_000, "published", 0)
    for column, mean, std in (
        (zdc.ENERGY, 1067, 1190), (zdc.PX, 0.035, 0.297), (zdc.PY, 0.008, 0.293), (zdc.MASS, 293, 423),
        (zdc.CHARGE, 0.11, 0.39),
    ):  # fmt: skip
        assert c[:, column].mean() == pytest.approx(mean, rel=0.08, abs=0.004)
        assert c[:, column].std() == pytest.approx(std, rel=0.08)
    assert np.median(c[:, zdc.ENERGY]) == pytest.approx(547, rel=0.05)


@given(seed=st.integers(0, 2**31 - 1), spectrum=st.sampled_from(sorted(zdc_fast.SPECTRA)))
@settings(deadline=None, max_examples=20)
def test_every_spectrum_is_on_shell(seed, spectrum):
    c, pdg = zdc_fast.primaries(200, spectrum, seed)
    zdc.check_conditions(c)
    for code in set(pdg.tolist()):
        assert np.ptp(c[pdg == code, zdc.MASS]) == 0


def test_what_is_not_known_is_refused_by_name():
    for wrong, say in (
        (lambda: zdc_fast.generate(1, spectrum="beam"), "unknown spectrum 'beam': choose one of geant4, published"),
        (lambda: zdc_fast.generate(1, detector="zem"), "unknown detector 'zem'"),
        (lambda: zdc_fast.generate(0), "0 primaries"),
        (lambda: zdc_fast.generate(1, replicas=0), "0 replicas"),
        (lambda: next(zdc_fast.blocks([row(13)], 13)), r"no showers of PDG \[13\]"),
        (lambda: next(zdc_fast.blocks([[1.0, 0, 0, 0, 0, 0, 0, 0, 0]], 22)), "Pz is 0"),
    ):
        with pytest.raises(WrongInput, match=say):
            wrong()


# ------------------------------------------------------------------------------------------------------------ cache
def test_the_set_is_simulated_once_and_kept(small, monkeypatch):
    assert not zdc_fast.ready()
    seen = []
    data = zdc_fast.load(lambda done, total: seen.append((done, total)))
    assert seen[-1] == (300, 300)
    assert zdc_fast.ready()
    assert data.showers.shape == (300, 44, 44)
    assert isinstance(data.showers, np.memmap)
    assert not data.showers.flags.writeable
    assert [p.name for p in small.iterdir()] == [zdc_fast.folder(100).name]
    monkeypatch.setattr(zdc_fast, "blocks", lambda *_: pytest.fail("simulated twice"))
    again = zdc_fast.load()
    np.testing.assert_array_equal(again.showers, data.showers)
    np.testing.assert_array_equal(again.split, data.split)


def test_kept_showers_are_those_that_generate_gives(small):
    made = zdc_fast.generate(100, 3, seed=zdc_fast.SEED)
    data = zdc_fast.load()
    np.testing.assert_array_equal(made["showers"], data.showers)
    np.testing.assert_array_equal(made["conditions"], data.conditions)


def test_other_parameters_or_sizes_are_kept_apart(small, monkeypatch):
    first = zdc_fast.folder(100)
    assert zdc_fast.folder(101) != first
    changed = replace(P, photons_per_gev=2.0)
    monkeypatch.setattr(zdc_fast, "parameters", lambda *_: changed)
    assert zdc_fast.folder(100) != first


@pytest.mark.parametrize("name", ["showers", "pdg"])
def test_a_damaged_file_is_simulated_anew(small, name):
    whole = np.array(zdc_fast.load().showers)
    path = zdc_fast.folder(100) / f"{name}.npy"
    path.write_bytes(path.read_bytes()[:-100])
    np.testing.assert_array_equal(zdc_fast.load().showers, whole)


def test_a_full_disk_leaves_nothing_behind(small, monkeypatch):
    real = zdc_fast.blocks

    def full(*args):
        yield next(real(*args))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zdc_fast, "blocks", full)
    with pytest.raises(EngineError, match="No space left on device"):
        zdc_fast.load()
    assert list(small.iterdir()) == []


def test_another_process_that_was_faster_is_no_error(small, monkeypatch):
    real = zdc_fast.blocks

    def slow(*args):
        monkeypatch.setattr(zdc_fast, "blocks", real)
        zdc_fast.load()
        yield from real(*args)

    monkeypatch.setattr(zdc_fast, "blocks", slow)
    assert len(zdc_fast.load().showers) == 300
    assert len(list(small.iterdir())) == 1


@pytest.mark.parametrize("asked", ["many", "-5", "3", "1e5"])
def test_a_size_that_is_none_is_refused(small, monkeypatch, asked):
    monkeypatch.setenv(zdc_fast.SIZE, asked)
    with pytest.raises(WrongInput, match=zdc_fast.SIZE):
        zdc_fast.load()


def test_the_size_is_the_papers_unless_said_otherwise(monkeypatch):
    monkeypatch.delenv(zdc_fast.SIZE, raising=False)
    assert 0 <= zdc_fast.size() * zdc_fast.REPLICAS - 117_817 < zdc_fast.REPLICAS


# ------------------------------------------------------------------------------------------------- parameters and fit
def test_every_parameter_has_a_value_a_meaning_and_a_source():
    entries = table()
    names = {f.name for f in fields(Parameters)}
    assert {key.removeprefix("zn.").removeprefix("zp.") for key in entries} == names
    for key, entry in entries.items():
        assert set(entry) == {"value", "unit", "meaning", "source"}, key
        assert math.isfinite(entry["value"]), key
        assert entry["meaning"], key
        assert entry["source"], key
    for detector in ("zn", "zp"):
        assert parameters(detector).length_cm > 0
    assert parameters("zp").photons_per_gev != P.photons_per_gev


def test_fitted_parameters_are_those_that_say_so_and_come_from_the_data_of_the_project():
    entries = table()
    said = {key.removeprefix("zn.") for key, entry in entries.items() if entry["source"].startswith("fitted")}
    assert set(fit_zdc_fast.EM) | set(fit_zdc_fast.HADRONIC) < said
    record = fit_record()
    assert set(record["stages"]) == {"profile", "em", "hadronic"}
    assert record["sha256"] == hashlib.sha256(zdc_geant4.FILE.read_bytes()).hexdigest()
    assert "engine.bench.fit_zdc_fast" in record["command"]


def test_a_parameter_file_that_lacks_one_is_refused_by_its_name(tmp_path):
    whole = json.loads(PARAMETERS.read_text(encoding="utf-8"))
    del whole["parameters"]["quartz_length_cm"]
    path = tmp_path / "parameters.json"
    path.write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(WrongInput, match="quartz_length_cm"):
        parameters("zn", path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(WrongInput, match="cannot be read"):
        parameters("zn", path)


def test_the_evolution_finds_the_minimum_of_an_ill_scaled_bowl():
    goal = {"photons_per_gev": 3.0, "halo_share": 0.2, "spot_many_power": -0.4}

    def loss(values, seed):
        return sum(s * (values[k] - goal[k]) ** 2 for s, k in zip((1, 100, 10), goal, strict=True))

    start = {"photons_per_gev": 1.0, "halo_share": 0.5, "spot_many_power": 0.0}
    found = fit_zdc_fast.evolve(loss, start, seconds=0.6)
    assert loss(found, 0) < 1e-3


def test_derivatives_lead_back_to_the_parameters_that_made_the_target(monkeypatch):
    """Showers of known parameters are the target, and the light starts 20 % too high."""
    monkeypatch.setattr(fit_zdc_fast, "SEEDS", 2)
    target = fit_zdc_fast.Target(zdc_geant4.load(), hadrons=False)
    target.value = target.measure(P, 77)
    wrong = replace(P, photons_per_gev=1.2 * P.photons_per_gev)
    found = fit_zdc_fast.refine(target, wrong, ["photons_per_gev"], 2)
    assert found["photons_per_gev"] == pytest.approx(P.photons_per_gev, rel=0.03)


def test_the_parameters_in_use_describe_the_training_primaries():
    """χ² per statistic: 1 is chance where a statistic counts once, 4 where it counts twice."""
    chi2 = fit_zdc_fast.run(quick=True)["chi2_per_statistic"]
    assert chi2["em"] < 2.6
    assert chi2["hadronic"] < 3.2
    brighter = fit_zdc_fast.Target(zdc_geant4.load(), hadrons=False).chi2(replace(P, photons_per_gev=1.5), 0)
    assert brighter > 5 * chi2["em"]


def test_written_values_are_read_back(tmp_path):
    path = tmp_path / "parameters.json"
    path.write_text(PARAMETERS.read_text(encoding="utf-8"), encoding="utf-8")
    fit_zdc_fast.write({"photons_per_gev": 1.23456, "halo_share": 0.25}, "python -m x", "em", path)
    read = parameters("zn", path)
    assert (read.photons_per_gev, read.halo_share) == (1.235, 0.25)
    assert read.em_core_cm == P.em_core_cm
    record = fit_record(path)
    assert record["command"] == record["stages"]["em"]["command"] == "python -m x"
    assert record["stages"].get("hadronic") == fit_record()["stages"].get("hadronic")

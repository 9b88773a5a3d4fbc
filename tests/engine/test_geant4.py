"""Geant4: the approximate tables and the process around it always; showers where geant4-pybind is installed."""

import importlib.util
import math
import os
import sys

import numpy as np
import pytest

from engine import zdc
from engine.datasets import base as datasets
from engine.geant4 import simulation, tables, worker
from engine.geant4.simulation import simulate
from engine.schema import EngineError, Particle, WrongInput

HERE = bool(importlib.util.find_spec("geant4_pybind") or os.environ.get(simulation.PYTHON))
needs_geant4 = pytest.mark.skipif(
    not HERE, reason="geant4-pybind is not installed: pip install 'showerscope[geant4]', or SHOWERSCOPE_GEANT4_PYTHON"
)


def conditions(pdg: int = 2112, **settings: float) -> list[float]:
    info = zdc.particle(pdg)
    return Particle(pdg=pdg, **settings).conditions(info.mass_mev, info.charge_e)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("geant4")


@pytest.fixture
def fake(tmp_path, monkeypatch, home):
    """Put a script in the worker's place."""

    def put(code: str) -> None:
        script = tmp_path / "worker.py"
        script.write_text(code)
        monkeypatch.setattr(simulation, "WORKER", script)
        monkeypatch.setenv(simulation.PYTHON, sys.executable)
        monkeypatch.setenv("SHOWERSCOPE_HOME", str(home))

    return put


# ---------------------------------------------------------------------------------------------------------- physics
def test_captured_part_of_the_cone_equals_a_count_of_its_photons():
    phi = np.linspace(0, 2 * np.pi, 200_001)
    for cos_track in (-0.5, 0.0, 0.3, 0.68, 0.75, 0.9, 1.0):
        for cos_cherenkov in (1 / 1.46, 0.8, 0.99):
            across = math.sqrt((1 - cos_track**2) * (1 - cos_cherenkov**2))
            led = cos_track * cos_cherenkov + across * np.cos(phi) > worker.COS_REFLECTED
            assert worker.captured_fraction(cos_track, cos_cherenkov) == pytest.approx(led.mean(), abs=1e-3)


def test_high_energy_bremsstrahlung_gives_the_radiation_length():
    """1/X0 = N/A · ∫k dσ/dk dk / E: tungsten 6.76, lead 6.37, copper 12.86 g/cm² (PDG)."""
    x = np.linspace(1e-9, 1, 20_001)
    for z, length in ((74, 6.76), (82, 6.37), (29, 12.86)):
        loss_mb = np.trapezoid(tables.bremsstrahlung_mb(z, 1e6, x), x) * z**2
        assert tables.WEIGHTS[z] / (0.602214 * loss_mb * 1e-3) == pytest.approx(length, rel=0.06)


def test_neutrons_interact_within_a_tenth_of_the_published_length():
    """Nuclear interaction lengths of the PDG: tungsten 191.9, lead 199.6, copper 137.3, silicon 108.4 g/cm²."""
    for z, length in ((74, 191.9), (82, 199.6), (29, 137.3), (14, 108.4)):
        a = tables.WEIGHTS[z]
        barn = tables.neutron_inelastic_mb(z, a)(np.array([1e5]))[0] / 1000
        assert a / (0.602214 * barn) == pytest.approx(length, rel=0.1)


def test_tables_are_positive_and_finite():
    energy = np.geomspace(2, 1e5, 300)
    for z, a in tables.WEIGHTS.items():
        for curve in (tables.neutron_inelastic_mb, tables.neutron_elastic_mb, tables.photonuclear_mb):
            values = curve(z, a)(energy)
            assert np.isfinite(values).all()
            assert (values >= 0).all()


# ------------------------------------------------------------------------------------------------------------ tables
def test_tables_are_written_once_and_whole(home):
    first = tables.find(home, {"HOME": "/nowhere"})
    stamp = {p: p.stat().st_mtime_ns for p in home.rglob("*")}
    assert first.label == tables.APPROXIMATE
    assert tables.find(home, {"HOME": "/nowhere"}) == first
    assert {p: p.stat().st_mtime_ns for p in home.rglob("*")} == stamp
    assert set(first.environment) == {*tables.VARIABLES, "GEANT4_DATA_DIR"}
    assert not list(home.rglob(".tables-*"))


def test_the_users_own_data_sets_are_preferred_when_all_are_there(tmp_path, home):
    for variable in tables.NEEDED:
        (tmp_path / f"{tables.VARIABLES[variable]}9.9").mkdir()
    own = tables.find(home, {"HOME": "/nowhere", "GEANT4_DATA_DIR": str(tmp_path)})
    assert own.label == tables.OFFICIAL
    assert own.environment["G4LEDATA"] == str(tmp_path / "G4EMLOW9.9")
    (tmp_path / "G4EMLOW9.9").rmdir()
    assert tables.find(home, {"HOME": "/nowhere", "GEANT4_DATA_DIR": str(tmp_path)}).label == tables.APPROXIMATE
    named = {"HOME": "/nowhere", "GEANT4_DATA_DIR": str(tmp_path), "G4LEDATA": str(home)}
    assert tables.find(home, named).label == tables.OFFICIAL


# ----------------------------------------------------------------------------------------------- the process around it
def test_without_geant4_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.delenv(simulation.PYTHON, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"pip install 'showerscope\[geant4\]'"):
        simulate(conditions(), 2112)


def test_a_python_without_geant4_says_so_too(fake):
    fake("import sys; sys.exit(\"ModuleNotFoundError: No module named 'geant4_pybind'\")")
    with pytest.raises(EngineError, match=r"not installed: pip install"):
        simulate(conditions(), 2112)


def test_the_time_limit_kills_the_worker_and_says_so(fake, tmp_path):
    fake(
        "import os, time\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        'print(\'{"ready": "geant4-11-04"}\', flush=True)\n'
        'print(\'{"cpu": 1.0, "fibres": []}\', flush=True)\n'
        "time.sleep(600)"
    )
    with pytest.raises(EngineError, match=r"time limit of 1 s after 1 of 3 showers"):
        simulate(conditions(), 2112, replicas=3, time_limit_s=1)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_failure_is_told_in_geant4s_own_words(fake):
    fake(
        "import sys, os\n"
        "sys.stderr.write('-------- EEEE ------- G4Exception-START -------- EEEE -------\\n"
        "*** G4Exception : had014\\n      issued by : G4GammaNuclearXS\\nData file is not opened!\\n')\n"
        "sys.stderr.flush(); os.abort()"
    )
    with pytest.raises(EngineError, match=r"Geant4 stopped: .*had014.*Data file is not opened!"):
        simulate(conditions(), 2112)


def test_a_cancelled_simulation_leaves_no_process(fake, tmp_path):
    fake(
        "import os, time\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        'print(\'{"cpu": 1.0, "fibres": []}\', flush=True)\n'
        "time.sleep(600)"
    )

    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(conditions(), 2112, replicas=2, progress=cancel)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"detector": "zem"}, "unknown detector"),
        ({"pdg": 22}, "is not that of PDG 22"),
        ({"pdg": 4}, "PDG"),
        ({"replicas": 0}, "1 to 10000 showers"),
        ({"replicas": 10**6}, "1 to 10000 showers"),
    ],
)
def test_what_cannot_be_simulated_is_refused(settings, said):
    with pytest.raises(WrongInput, match=said):
        simulate(conditions(), **{"pdg": 2112, **settings})


# ------------------------------------------------------------------------------------------------------- real showers
@needs_geant4
@pytest.mark.slow
def test_showers_depend_on_seed_row_and_replica_alone(home):
    rows = [conditions(energy_gev=40), conditions(22, energy_gev=30, px_gev=0.002)]
    both = simulate(rows, [2112, 22], replicas=2, seed=5, home=home)
    assert both.showers.shape == (4, 44, 44)
    assert "approximate" in both.label or "data sets" in both.label
    assert (both.cpu_seconds > 0).all()
    alone = simulate(rows[:1], 2112, replicas=1, seed=5, home=home)
    np.testing.assert_array_equal(alone.showers[0], both.showers[0])
    assert (both.showers[0] != both.showers[1]).any()


@needs_geant4
@pytest.mark.slow
@pytest.mark.parametrize("detector", ["zn", "zp"])
def test_light_lies_where_the_line_from_the_vertex_meets_the_face(detector, home):
    px = 1.5 / 11_260 * 60
    c = conditions(22, energy_gev=60, px_gev=px, py_gev=-px / 2, side=-1, vz_cm=5)
    shower = simulate(c, 22, detector, home=home).showers[0].astype(float)
    facts = zdc.DETECTORS[detector]
    x, y = zdc.impact_cm([c], facts.z_cm)[0]
    centre = [(shower.sum(1 - axis) @ np.arange(n)) / shower.sum() for axis, n in enumerate(facts.shape)]
    found = (np.array(centre) + 0.5 - np.array(facts.shape) / 2) * facts.pitch_cm
    np.testing.assert_allclose(found, [x, y], atol=0.35)


@needs_geant4
@pytest.mark.slow
def test_no_photon_crosses_the_brass_unseen(home):
    """Photonuclear tables beyond 130 MeV would let some of 30–70 GeV."""
    energies = [20, 30, 35, 45, 60, 66]
    rows = [conditions(22, energy_gev=e, px_gev=1.5 / 11_260 * e, py_gev=-0.3 / 11_260 * e) for e in energies]
    assert simulate(rows, 22, "zp", home=home).showers.any(axis=(1, 2)).all()


@needs_geant4
@pytest.mark.slow
def test_photons_per_gev_agree_with_the_bundled_showers_of_the_same_primaries(home):
    data = datasets.load("zdc_geant4")
    inside = (np.abs(data.impact_cm) < 2.5).all(axis=1)
    rows = np.flatnonzero(inside & (data.pdg == 2112) & (data.replica == 0) & (data.conditions[:, 0] < 150))[:12]
    new = simulate(data.conditions[rows], data.pdg[rows], seed=1, home=home)
    energy = data.conditions[rows, 0]
    new_light = new.showers.sum(axis=(1, 2)) / energy
    same = np.isin(data.primary_id, data.primary_id[rows])
    old_light = data.photon_sum[same] / data.conditions[same, 0]
    spread = old_light.std() * math.sqrt(1 / len(new_light) + 1 / len(old_light))
    assert abs(new_light.mean() - old_light.mean()) < 4 * spread


@needs_geant4
@pytest.mark.slow
def test_a_particle_beside_the_face_leaves_no_light(home):
    shower = simulate(conditions(energy_gev=100, px_gev=0.1), 2112, home=home).showers
    assert shower.sum() == 0


@needs_geant4
@pytest.mark.slow
def test_geant4_refuses_what_it_does_not_know(home):
    with pytest.raises(WrongInput, match="knows no particle of PDG id"):
        simulate(conditions(100443, energy_gev=500), 100443, home=home)

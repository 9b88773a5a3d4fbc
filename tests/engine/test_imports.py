"""Importing: what was written comes back, for every format, and the report says what was found."""

from pathlib import Path
from tempfile import TemporaryDirectory

import import_files as files
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import zdc
from engine.datasets.base import SPLITS
from engine.export import files as exported
from engine.imports import store
from engine.imports.intake import import_file
from engine.schema import Arrays, NotFound


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.mark.parametrize("form", files.WRITERS)
@settings(max_examples=8, deadline=None)
@given(
    n=st.integers(1, 9),
    seed=st.integers(0, 2**31),
    detector=st.sampled_from(["zn", "zp"]),
    largest=st.sampled_from([0, 1, 300, 65_535]),
)
def test_what_was_written_comes_back(form, n, seed, detector, largest):
    data = files.sample(n, seed, detector)
    data["showers"] = np.random.default_rng(seed).integers(0, largest + 1, data["showers"].shape).astype(np.uint16)
    with TemporaryDirectory() as folder:
        paths = files.WRITERS[form](Path(folder), data)
        report = import_file(paths, "mine", Path(folder, "home"))
        back = store.load_imported(Path(folder, "home"), "mine")
        np.testing.assert_array_equal(back.showers, data["showers"])
        np.testing.assert_array_equal(back.conditions, data["conditions"])
        np.testing.assert_array_equal(back.pdg, data["pdg"])
        np.testing.assert_array_equal(np.unique(back.primary_id, return_inverse=True)[1].size, n)
        np.testing.assert_array_equal(back.replica, data["replica"])
        assert (back.detector, report.rows_read, report.rows_kept) == (detector, n, n)
        assert report.findings["detector"].value == detector


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), protocol=st.integers(0, 5), dtype=st.sampled_from(["u1", "i2", ">i4", "f4", "f8"]))
def test_pickles_of_every_protocol_and_number_type_come_back(seed, protocol, dtype):
    data = files.sample(4, seed)
    data["showers"] = data["showers"].astype(dtype)
    with TemporaryDirectory() as folder:
        import_file(files.write_pickle(Path(folder), data, protocol), "mine", folder)
        np.testing.assert_array_equal(store.load_imported(folder, "mine").showers, data["showers"])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), largest=st.sampled_from([1, 40, 1000, 65_535]), dtype=st.sampled_from(["f4", "f8"]))
def test_no_photon_is_lost_by_storing_log1p(seed, largest, dtype):
    data = files.sample(3, seed)
    counts = np.random.default_rng(seed).integers(0, largest + 1, data["showers"].shape)
    data["showers"] = np.log1p(counts).astype(dtype)
    with TemporaryDirectory() as folder:
        report = import_file(files.write_npz(Path(folder), data), "mine", folder)
        np.testing.assert_array_equal(store.load_imported(folder, "mine").showers, counts)
        assert report.findings["photons"].value == "log1p"
        assert report.findings["truncated"].value == "no"


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), energy=st.booleans(), mass=st.booleans(), third=st.booleans())
def test_units_are_found_and_made_the_houses(seed, energy, mass, third):
    data = files.sample(12, seed)
    data["conditions"][0] = [1000, 0, 0, 0, 0, 0, np.sqrt(1000**2 - 0.938272**2), 938.272, 1]
    stored = data["conditions"].copy()
    stored[:, [0, 4, 5, 6]] *= 1000 if energy else 1
    stored[:, 7] /= 1000 if mass else 1
    stored[:, 8] *= 3 if third else 1
    with TemporaryDirectory() as folder:
        paths = files.write_npz(Path(folder), {**data, "conditions": stored})
        found = import_file(paths, "mine", folder).findings
        np.testing.assert_allclose(store.load_imported(folder, "mine").conditions, data["conditions"], rtol=1e-12)
    assert found["energy_unit"].value == ("MeV" if energy else "GeV")
    assert found["mass_unit"].value == ("GeV" if mass else "MeV")
    assert found["charge_unit"].value == ("e/3" if third else "e")
    assert all(found[unit].override for unit in ("energy_unit", "mass_unit", "charge_unit"))


def test_energies_in_mev_below_the_beam_are_told_by_the_mass_shell(tmp_path, home):
    data = files.sample(10)
    momentum = np.linspace(1.0, 5.0, 10)
    data["conditions"][:] = 0
    data["conditions"][:, 6], data["conditions"][:, 7] = momentum * 1000, 939.565
    data["conditions"][:, 0] = np.hypot(momentum, 0.939565) * 1000
    report = import_file(files.write_npz(tmp_path, data), "slow", home)
    assert report.findings["energy_unit"].value == "MeV"
    assert store.load_imported(home, "slow").conditions[:, 6].max() == 5.0


@pytest.mark.parametrize("form", ["npz", "parquet", "root"])
@pytest.mark.parametrize("detector", ["zn", "zp"])
def test_what_the_exporter_writes_comes_back(form, detector, tmp_path, home):
    data = files.sample(40, 3, detector)
    pictures = {**data, "showers": data["showers"].astype(np.float32)}
    made = Arrays({**pictures, "channels": zdc.channels(data["showers"], detector)}, {"model": "any", "seed": 1})
    exported.write(tmp_path / f"made.{form}", made)
    assert not import_file(tmp_path / f"made.{form}", "mine", home).warnings
    back = store.load_imported(home, "mine")
    for name, array in data.items():
        np.testing.assert_array_equal(getattr(back, name), array)


def test_what_the_user_says_goes_before_the_guess(tmp_path, home):
    data = files.sample(8)
    data["conditions"][:, [0, 4, 5, 6]] /= 1000
    data["conditions"][:, 7] /= 1000
    paths = files.write_npz(tmp_path, data)
    report = import_file(paths, "told", home, {"energy_unit": "GeV", "mass_unit": "MeV", "skip_bad_rows": True})
    assert report.findings["energy_unit"].why == "as told"
    np.testing.assert_array_equal(store.load_imported(home, "told").conditions[:, 0], data["conditions"][:, 0])


def test_species_are_known_by_mass_and_charge(tmp_path, home):
    data = files.sample(40)
    pdg = data.pop("pdg")
    report = import_file(files.write_npz(tmp_path, data), "mine", home)
    np.testing.assert_array_equal(store.load_imported(home, "mine").pdg, pdg)
    assert report.findings["pdg"].value == "inferred"


def test_equal_conditions_are_one_primary_on_one_side_of_the_split(tmp_path, home):
    data = files.sample(60, replicas=3)
    del data["primary_id"], data["replica"]
    report = import_file(files.write_npz(tmp_path, data), "mine", home)
    back = store.load_imported(home, "mine")
    assert report.primaries == 20
    np.testing.assert_array_equal(back.replica, np.arange(60) % 3)
    sides = [set(back.primary_id[back.rows(split)].tolist()) for split in SPLITS]
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]


@pytest.mark.parametrize("detector", ["zn", "zp"])
def test_swapped_axes_are_turned_when_told_or_by_the_evidence(tmp_path, home, detector):
    data = files.sample(80, 2, detector)
    swapped = {**data, "showers": data["showers"].transpose(0, 2, 1)}
    paths = files.write_npz(tmp_path, swapped)
    for axes in ("y-first", "auto"):
        report = import_file(paths, axes, home, {"axes": axes})
        np.testing.assert_array_equal(store.load_imported(home, axes).showers, data["showers"])
        assert report.findings["axes"].value == "y-first"
        assert "correlation" in report.findings["axes"].why


def test_x_first_is_found_by_the_correlation_with_the_impact_point(tmp_path, home):
    report = import_file(files.write_npz(tmp_path, files.sample(80)), "mine", home)
    assert report.findings["axes"].value == "x-first"
    assert "impact's x 1.00" in report.findings["axes"].why
    assert not report.warnings


def test_a_set_too_small_to_tell_its_axes_says_so(tmp_path, home):
    report = import_file(files.write_npz(tmp_path, files.sample(4)), "mine", home)
    assert any("order of axes" in w for w in report.warnings)


def test_a_mirrored_axis_is_warned_of(tmp_path, home):
    data = files.sample(80)
    data["showers"] = data["showers"][:, ::-1]
    report = import_file(files.write_npz(tmp_path, data), "mine", home)
    assert any(w.startswith("x runs against") for w in report.warnings)


def test_repeated_showers_are_counted_with_their_rows(tmp_path, home):
    data = files.sample(10, replicas=1)
    for array in data.values():
        array[7] = array[2]
    report = import_file(files.write_npz(tmp_path, data), "mine", home)
    assert (report.duplicates, report.duplicate_rows) == (1, [8])


def test_refused_rows_are_left_out_on_request_and_listed(tmp_path, home):
    data = files.sample(20)
    data["showers"] = data["showers"].astype(np.float32)
    data["showers"][4, 10, 11] = np.nan
    data["showers"][9, 0, 3] = -1
    data["conditions"][13, 0] = 9000
    report = import_file(files.write_npz(tmp_path, data), "mine", home, {"skip_bad_rows": True, "energy_unit": "GeV"})
    kept = np.delete(np.arange(20), [4, 9, 13])
    back = store.load_imported(home, "mine")
    np.testing.assert_array_equal(back.showers, data["showers"][kept])
    np.testing.assert_array_equal(back.conditions, data["conditions"][kept])
    reasons = {r.row: r.reason for r in report.refused}
    assert set(reasons) == {5, 10, 14}
    assert "fibre (10, 11) is nan" in reasons[5]
    assert "negative" in reasons[10]
    assert "7000" in reasons[14]
    assert (report.rows_read, report.rows_kept, report.refused_total) == (20, 17, 3)
    assert report.lines()[0] == "mine: 17 of 20 rows, 3 refused, 10 primaries"
    assert any(line.startswith("row 10 refused: fibre (0, 3) is -1, negative") for line in report.lines())


def test_blocks_leave_no_seam(tmp_path, home, monkeypatch):
    monkeypatch.setattr("engine.imports.base.BLOCK_ROWS", 7)
    data = files.sample(50)
    seen = []
    import_file(files.write_npz(tmp_path, data), "mine", home, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(store.load_imported(home, "mine").showers, data["showers"])
    assert seen[0] == (7, 50)
    assert seen[-1] == (50, 50)


def test_columns_may_stand_in_any_order_under_names_with_units(tmp_path, home):
    data = files.sample(6)
    whole = files.parquet_table(data).drop_columns(["primary_id", "replica"])
    names = {"Energy": "energy_mev", "mass": "mass_mev", "Vx": "Vx_cm", "charge": "q", "pdg": "PDG_id"}
    whole = whole.set_column(1, "Energy", [data["conditions"][:, 0] * 1000])
    for i, name in ((5, "Px"), (6, "Py"), (7, "Pz")):
        whole = whole.set_column(i, name, [data["conditions"][:, i - 1] * 1000])
    whole = whole.rename_columns([names.get(n, n) for n in whole.column_names])
    pq.write_table(whole.select(whole.column_names[::-1]), tmp_path / "mine.parquet")
    import_file(tmp_path / "mine.parquet", "mine", home)
    np.testing.assert_allclose(store.load_imported(home, "mine").conditions, data["conditions"])


def test_o2_results_are_channels_under_their_convention(tmp_path, home):
    (tmp_path / "o2sim-FullSimResult").write_text("10 1 2 3 4\n0 0 0 0 0\n")
    (tmp_path / "o2sim-FastSimResult").write_text("1, 2, 3, 4, 10\n")
    report = import_file(tmp_path / "o2sim-FullSimResult", "full", home)
    assert report.kind == "channels"
    assert report.findings["convention"].value == "o2"
    assert store.load_channels(home, "full").channels.tolist() == [[10, 1, 2, 3, 4], [0, 0, 0, 0, 0]]
    fast = import_file(tmp_path / "o2sim-FastSimResult", "fast", home)
    assert fast.findings["convention"].value == "o2-debug"
    assert any("int" in w for w in fast.warnings)
    assert set(zdc.CONVENTIONS) >= {"o2", "o2-debug"}


def test_a_particle_list_alone_is_kept_as_one(tmp_path, home):
    data = files.sample(5)
    paths = files.write_text(tmp_path, data)
    report = import_file(paths[1], "list", home)
    assert (report.kind, report.rows_kept) == ("particles", 5)
    np.testing.assert_array_equal(np.load(home / "data" / "list" / "conditions.npy"), data["conditions"])


def test_the_store_lists_reports_and_removes(tmp_path, home):
    report = import_file(files.write_npz(tmp_path, files.sample(6)), "mine", home, {"title": "My showers"})
    assert store.imported(home) == ["mine"]
    assert store.report_of(home, "mine") == report
    back = store.load_imported(home, "mine")
    assert (back.title, back.info().showers) == ("My showers", 6)
    assert isinstance(back.showers, np.memmap)
    store.remove(home, "mine")
    assert store.imported(home) == []
    with pytest.raises(NotFound, match="there are none"):
        store.load_imported(home, "mine")

"""Importing what is broken or malicious: one line with the place, and the store as before."""

import json
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import h5py
import import_files as files
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.imports import base, store
from engine.imports.intake import import_file
from engine.schema import WrongInput


@pytest.fixture
def refused(tmp_path):
    """Import must fail with one line that matches, naming the file; the store keeps exactly what it had."""
    home = tmp_path / "home"
    (tmp_path / "before").mkdir()
    import_file(files.write_npz(tmp_path / "before", files.sample(2)), "before", home)

    def check(paths, pattern: str, overrides: dict | None = None, name: str = "new") -> str:
        before = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
        with pytest.raises(WrongInput, match=pattern) as error:
            import_file(paths, name, home, overrides)
        assert {p: p.read_bytes() for p in home.rglob("*") if p.is_file()} == before
        assert [p.name for p in (home / "data").iterdir()] == ["before"]
        line = str(error.value)
        assert "\n" not in line
        return line

    return check


@pytest.mark.parametrize("form", files.WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_file_cut_off_is_refused(form, share, tmp_path, refused):
    data = files.sample(40)
    data["showers"] = np.random.default_rng(0).integers(0, 2000, data["showers"].shape).astype(np.uint16)
    paths = files.WRITERS[form](tmp_path, data)
    path = sorted(paths[0].glob("*.parquet"))[0] if paths[0].is_dir() else paths[0]
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    line = refused(paths, ".")
    assert path.name in line


@pytest.mark.parametrize("form", files.WRITERS)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.nan, "is nan"),
        (np.inf, "is inf"),
        (-3, "is -3, negative"),
        (0.5, "not a whole number"),
        (7e4, "above 65535"),
    ],
)
def test_what_is_no_photon_count_is_refused_with_row_and_fibre(form, value, said, tmp_path, refused):
    data = files.sample(6)
    data["showers"] = data["showers"].astype(np.float32)
    data["showers"][3, 20, 21] = value
    line = refused(files.WRITERS[form](tmp_path, data), said)
    assert "row 4: fibre (20, 21)" in line


@pytest.mark.parametrize("form", files.WRITERS)
def test_swapped_axes_are_refused_with_the_mend(form, tmp_path, refused):
    for detector in ("zn", "zp"):
        data = files.sample(80, 2, detector)
        data["showers"] = np.ascontiguousarray(data["showers"].transpose(0, 2, 1))
        folder = tmp_path / detector
        folder.mkdir()
        refused(files.WRITERS[form](folder, data), "axes are swapped.*axes=y-first")


def test_a_missing_column_is_named(tmp_path, refused):
    pq.write_table(files.parquet_table(files.sample(4)).drop_columns(["Vz", "mass"]), tmp_path / "mine.parquet")
    refused(tmp_path / "mine.parquet", r"mine\.parquet: missing column Vz, mass")


def test_a_table_of_eight_columns_is_refused(tmp_path, refused):
    data = files.sample(4)
    data["conditions"] = data["conditions"][:, :8]
    refused(files.write_npz(tmp_path, data), "8 columns, expected 9")


@pytest.mark.parametrize("form", ["npz", "alice", "pickle", "hdf5", "parquet", "text"])
def test_no_rows_are_refused(form, tmp_path, refused):
    data = {name: array[:0] for name, array in files.sample(2).items()}
    refused(files.WRITERS[form](tmp_path, data), "0 rows")


@pytest.mark.parametrize("dtype", ["S4", "U3", "complex64", "bool"])
def test_a_wrong_type_is_refused_by_its_name(dtype, tmp_path, refused):
    data = files.sample(3)
    data["showers"] = data["showers"].astype(dtype)
    refused(files.write_npz(tmp_path, data), "is not a photon count")


def test_python_objects_in_an_npz_are_never_read(tmp_path, refused):
    data = files.sample(2)
    data["showers"] = data["showers"].astype(object)
    refused(files.write_npz(tmp_path, data), "Python objects")


def test_different_numbers_of_rows_are_refused(tmp_path, refused):
    data = files.sample(6)
    data["conditions"] = data["conditions"][:5]
    refused(files.write_npz(tmp_path, {k: data[k] for k in ("showers", "conditions")}), "6 rows.*5")


def test_a_shape_of_no_calorimeter_is_refused(tmp_path, refused):
    data = files.sample(3)
    last = {**data, "showers": data["showers"].transpose(1, 2, 0)}
    refused(files.write_npz(tmp_path, {**data, "showers": np.zeros((3, 28, 28))}), r"fit no calorimeter")
    refused(files.write_npz(tmp_path, last), "last axis")


def test_showers_without_conditions_are_refused(tmp_path, refused):
    np.savez(tmp_path / "only.npz", files.sample(3)["showers"])
    refused(tmp_path / "only.npz", "showers without conditions")


def test_conditions_that_are_no_particle_are_refused_with_their_row(tmp_path, refused):
    for column, value, said in (
        (0, 0.1, "below the mass"),
        (6, 0.0, "Pz is 0"),
        (7, -1.0, "negative"),
        (2, np.nan, "Vy is nan"),
    ):
        data = files.sample(6)
        data["conditions"][:, 7], data["conditions"][:, 0] = 939.565, np.hypot(data["conditions"][:, 6], 0.939565)
        data["conditions"][2, column] = value
        refused(files.write_npz(tmp_path, data), f"row 3: .*{said}")


def test_standard_scaled_conditions_are_recognised(tmp_path, refused):
    data = files.sample(30)
    data["conditions"] = np.random.default_rng(0).normal(size=(30, 9))
    refused(files.write_npz(tmp_path, data), "standard-scaled")


# ------------------------------------------------------------------------------------------------- malicious files
def test_a_zip_bomb_is_refused_before_it_is_read(tmp_path, refused):
    path = tmp_path / "bomb.npz"
    rows = 100_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("showers.npy", "w") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, 44, 44)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(100):
            file.write(bytes(rows * 44 * 44 // 100))
    assert path.stat().st_size < 1e6
    refused(path, "bomb.npz, showers.npy: declares 194 MB in .* MB")


def test_a_header_that_promises_more_than_the_zip_holds_is_refused(tmp_path, refused):
    path = tmp_path / "liar.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("showers.npy", "w") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 44, 44)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(1000))
    refused(path, "bytes do not hold")


def test_an_hdf5_bomb_is_refused(tmp_path, refused):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("showers", shape=(10**7, 44, 44), dtype="f8", chunks=(1, 44, 44), compression="gzip")
    refused(tmp_path / "bomb.h5", "bomb.h5, showers: declares")


def test_a_parquet_bomb_is_refused(tmp_path, refused):
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(60_000 * 1936, np.uint8)), 1936)
    pq.write_table(pa.table({"showers": lists}), tmp_path / "bomb.parquet")
    refused(tmp_path / "bomb.parquet", "declares")


class Shell:
    def __reduce__(self):
        return os.system, ("touch pwned",)


class Sneaky:
    def __reduce__(self):
        return eval, ("__import__('os').system('touch pwned')",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("thing", "named"), [(Shell(), r"(posix|nt)\.system"), (Sneaky(), r"(builtins|__builtin__)\.eval")]
)
def test_a_pickle_that_calls_something_is_refused_by_its_name(thing, named, protocol, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("evil.pkl").write_bytes(pickle.dumps([np.zeros(3), thing], protocol=protocol))
    refused(tmp_path / "evil.pkl", f"evil.pkl: the pickle asks for {named}.*not called")
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (pd.DataFrame({"Energy": [1.0]}), r"pandas\..*parquet"),
        (OrderedDict(a=1), "collections.OrderedDict"),
        (np.array([{"a": 1}], dtype=object), "is no plain number"),
        ({"showers": "none"}, "a str, not a numpy array"),
        (42, "a int, not a numpy array"),
    ],
)
def test_a_pickle_of_anything_but_arrays_is_refused(value, said, tmp_path, refused):
    (tmp_path / "other.pkl").write_bytes(pickle.dumps(value))
    refused(tmp_path / "other.pkl", said)


def test_a_pickle_may_not_ask_numpy_for_a_huge_array(tmp_path, refused):
    huge = b"cnumpy\nndarray\n((I1000000\nI1000000\nI1000000\nttR."
    (tmp_path / "huge.pkl").write_bytes(huge)
    refused(tmp_path / "huge.pkl", "not a whole pickle")
    reconstruct = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR."
    (tmp_path / "huge.pkl").write_bytes(reconstruct)
    refused(tmp_path / "huge.pkl", "something other than a numpy array")


def test_hdf5_links_to_other_files_are_not_followed(tmp_path, refused):
    data = files.sample(3)
    secret = files.write_hdf5(tmp_path, data)[0]
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["conditions"] = data["conditions"]
        file["showers"] = h5py.ExternalLink(str(secret), "showers")
    refused(tmp_path / "link.h5", "link.h5, showers: a link elsewhere")
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_dataset("showers", (3, 44, 44), "u1", external=[("/etc/passwd", 0, 3 * 44 * 44)])
    refused(tmp_path / "outside.h5", "lie in another file")


def test_a_manifest_cannot_reach_outside_its_folder(tmp_path, refused):
    files.write_parquet(tmp_path, files.sample(4))
    for bad in ("../../etc/passwd", "/etc/passwd", 7):
        (tmp_path / "manifest.json").write_text(json.dumps({"files": [bad]}))
        refused(tmp_path, "must stand beside")
    (tmp_path / "manifest.json").write_text(json.dumps({"files": ["a.parquet", "b.parquet"], "rows": 5}))
    refused(tmp_path, "hold 4 rows")
    (tmp_path / "manifest.json").write_text("{")
    refused(tmp_path, "cannot be read as JSON")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "A", "x" * 65, "zdc_geant4", "before", "a\n"])
def test_a_name_with_tricks_or_taken_is_refused(name, tmp_path, refused):
    refused(files.write_npz(tmp_path, files.sample(2)), "name", name=name)


def test_text_at_fault_is_named_with_its_line(tmp_path, refused):
    rows = ["1 2 3 4 5 6 7 8 9"] * 3
    for line, said in (
        ("1 2 3", "line 4: 3 numbers"),
        ("1 2 3 x 5 6 7 8 9", "line 4: could not convert"),
        ("\x00" * 10**5, "line 4: longer"),
    ):
        (tmp_path / "list.txt").write_text("\n".join([*rows, line]))
        refused(tmp_path / "list.txt", said)
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00 1")
    refused(tmp_path / "list.txt", "not a text file")
    (tmp_path / "o2sim-FastSimResult").write_text("1, 2, 3, 4, -5\n")
    refused(tmp_path / "o2sim-FastSimResult", "line 1: channel 5 is -5")
    (tmp_path / "o2sim-FullSimResult").write_text("1 2 3\n")
    refused(tmp_path / "o2sim-FullSimResult", "line 1: 3 numbers, expected five")


def test_unknown_files_and_options_are_refused_with_what_there_is(tmp_path, refused):
    (tmp_path / "a.xyz").write_text("")
    refused(tmp_path / "a.xyz", "hdf5, npz, o2, parquet, pickle, root, text")
    refused(tmp_path / "none.npz", "no such file")
    refused(files.write_npz(tmp_path, files.sample(2)), "'axis'.*options: detector, axes", {"axis": "x"})
    refused(files.write_npz(tmp_path, files.sample(2)), "pictures of .* are of zn, not zp", {"detector": "zp"})


def test_a_failure_while_writing_leaves_no_trace(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setattr(base, "BLOCK_ROWS", 4)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(files.write_npz(tmp_path, files.sample(9)), "mine", home, progress=stop)
    assert not (home / "data").exists()


def test_a_damaged_store_says_which_file(tmp_path):
    import_file(files.write_npz(tmp_path, files.sample(4)), "mine", tmp_path)
    showers = tmp_path / "data" / "mine" / "showers.npy"
    with showers.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(WrongInput, match=r"showers\.npy is damaged"):
        store.load_imported(tmp_path, "mine")
    (tmp_path / "data" / "mine" / "manifest.json").write_text("{")
    with pytest.raises(WrongInput, match=r"manifest\.json is damaged"):
        store.load_imported(tmp_path, "mine")

"""Files out: what other programs read back. Files in: what is refused, and where."""

import io
import json
import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import zdc
from engine.export import files
from engine.schema import CONDITIONS, Arrays, Particle, WrongInput
from engine.spaces import Column


def rows(n: int = 3) -> np.ndarray:
    return np.array([Particle(energy_gev=100.0 * (i + 1), px_gev=0.1 * i).conditions(939.565, 0) for i in range(n)])


@pytest.fixture
def made() -> Arrays:
    showers = np.random.default_rng(0).poisson(0.3, (6, 44, 44)).astype(np.float32)
    conditions = np.repeat(rows(), 2, axis=0)
    arrays = {"showers": showers, "conditions": conditions, "channels": zdc.channels(showers, "zn")}
    return files.label(Arrays(arrays, {"seed": 7, "label": "σ"}), 2, np.array([2112, 2112, 22]))


def test_npz_holds_what_the_design_promises(made):
    with np.load(io.BytesIO(files.pack(made, "npz")), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["showers"], made["showers"])
        np.testing.assert_array_equal(file["conditions"], made["conditions"])
        assert file["primary_id"].tolist() == [0, 0, 1, 1, 2, 2]
        assert file["replica"].tolist() == [0, 1] * 3
        assert file["pdg"].tolist() == [2112] * 4 + [22] * 2
        assert tuple(file["columns"].tolist()) == CONDITIONS
        assert json.loads(str(file["meta"])) == made.meta


def test_parquet_has_a_fixed_size_list_and_nine_columns(made):
    table = pq.read_table(io.BytesIO(files.pack(made, "parquet")))
    assert table.schema.field("showers").type.list_size == 44 * 44
    pixels = table.column("showers").combine_chunks().flatten().to_numpy().reshape(-1, 44, 44)
    np.testing.assert_array_equal(pixels, made["showers"])
    for i, name in enumerate(CONDITIONS):
        np.testing.assert_array_equal(table.column(name).to_numpy(), made["conditions"][:, i])
    assert json.loads(table.schema.metadata[b"showerscope"])["shape"] == [44, 44]


def test_root_holds_a_tree_of_showers(made, tmp_path):
    (tmp_path / "a.root").write_bytes(files.pack(made, "root"))
    with uproot.open(tmp_path / "a.root") as file:
        tree = file["showers"]
        np.testing.assert_array_equal(tree["showers"].array(library="np"), made["showers"])
        np.testing.assert_array_equal(tree["Energy"].array(library="np"), made["conditions"][:, 0])
        assert tree["pdg"].array(library="np").tolist() == made["pdg"].tolist()


def test_csv_has_channels_and_photon_sums_but_no_pictures(made):
    head, *lines = files.pack(made, "csv").decode().splitlines()
    assert head.split(",")[:9] == list(CONDITIONS)
    assert "showers" not in head
    first = dict(zip(head.split(","), lines[0].split(","), strict=True))
    assert float(first["photon_sum"]) == made["showers"][0].sum()
    assert sum(float(first[f"channel_{i}"]) for i in range(1, 6)) == made["showers"][0].sum()


def test_a_file_is_written_whole_or_not_at_all(made, tmp_path):
    files.write(tmp_path / "out.npz", made)
    assert [p.name for p in tmp_path.iterdir()] == ["out.npz"]
    with pytest.raises(WrongInput, match="cannot be written"):
        files.write(tmp_path / "no" / "out.npz", made)
    with pytest.raises(WrongInput, match=r"unknown ending '\.txt'"):
        files.write(tmp_path / "out.txt", made)


def write_table(path, table: np.ndarray, columns=CONDITIONS) -> None:
    import pyarrow as pa

    named = {name: table[:, i] for i, name in enumerate(columns)}
    if path.suffix == ".npz":
        np.savez(path, **named)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(named), path)
    else:
        lines = [",".join(columns), *(",".join(repr(float(v)) for v in row) for row in table)]
        path.write_text("\n".join(lines))


@pytest.mark.parametrize("ending", ["npz", "parquet", "csv"])
def test_conditions_come_back_as_they_were_written(tmp_path, ending):
    path = tmp_path / f"c.{ending}"
    order = list(reversed(CONDITIONS))
    write_table(path, rows()[:, ::-1], order)
    read, pdg = files.read_conditions(path)
    np.testing.assert_array_equal(read, rows())
    assert pdg is None


@pytest.mark.parametrize("ending", ["npz", "parquet", "csv"])
def test_a_missing_column_and_a_nan_are_named(tmp_path, ending):
    path = tmp_path / f"c.{ending}"
    write_table(path, rows()[:, :8], CONDITIONS[:8])
    with pytest.raises(WrongInput, match=r"missing column charge"):
        files.read_conditions(path)
    bad = rows()
    bad[1, 4] = np.nan
    write_table(path, bad)
    with pytest.raises(WrongInput, match=r"row 2, Px is nan") as caught:
        files.read_conditions(path)
    assert str(path) in str(caught.value)


def test_showers_of_our_own_are_read_by_their_conditions(made, tmp_path):
    files.write(tmp_path / "own.npz", made)
    read, pdg = files.read_conditions(tmp_path / "own.npz")
    np.testing.assert_array_equal(read, made["conditions"])
    assert pdg is not None
    assert pdg.tolist() == made["pdg"].tolist()


def test_a_pickle_is_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    np.savez(tmp_path / "a.npz", conditions=np.array([Trap()], dtype=object))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Trap()))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(WrongInput, match="npz of plain numbers"):
            files.read_conditions(tmp_path / name)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["npz", "parquet", "csv"]))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, data, ending):
    path = tmp_path_factory.mktemp("any") / f"c.{ending}"
    path.write_bytes(data)
    with pytest.raises(WrongInput) as caught:
        files.read_conditions(path)
    assert str(path) in str(caught.value)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["1", "-2.5", "nan", "inf", "", "x", "1e400"]), min_size=9, max_size=10))
def test_a_csv_row_is_physics_or_refused(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("csv") / "c.csv"
    path.write_text(",".join(CONDITIONS) + "\n" + ",".join(cells))
    try:
        read, _ = files.read_conditions(path)
    except WrongInput as refused:
        said = str(refused)
    else:
        said = "row 1" if np.isfinite(read).all() else "not finite"
    assert "row 1" in said


def test_conditions_of_classes_are_read_by_the_name_of_their_column(tmp_path):
    (tmp_path / "digits.csv").write_text("digit\n3\n0\n")
    columns = (Column("digit", "", tuple("0123456789")),)
    read, pdg = files.read_conditions(tmp_path / "digits.csv", columns)
    assert read.tolist() == [[3.0], [0.0]]
    assert pdg is None
    (tmp_path / "digits.csv").write_text("digit\n3\n11\n")
    with pytest.raises(WrongInput, match=r"digits\.csv, row 2, digit is 11"):
        files.read_conditions(tmp_path / "digits.csv", columns)
    (tmp_path / "digits.csv").write_text("number\n3\n")
    with pytest.raises(WrongInput, match="missing column digit"):
        files.read_conditions(tmp_path / "digits.csv", columns)

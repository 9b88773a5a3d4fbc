"""`showerscope data …`: sets go out as files and come back the same; what is found is said; the store stays whole."""

import json
import subprocess
import sys
from pathlib import Path

import import_files as files
import numpy as np
import pytest

from engine import sets
from engine.cli import main
from engine.datasets import base as datasets
from engine.geant4 import simulation


def run_json(capsys, *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_data_alone_lists_sets_ready_or_not_and_imports(home, tmp_path, capsys):
    (path,) = files.write_npz(tmp_path, files.sample(6))
    np.savetxt(tmp_path / "o2sim-FastSimResult", np.ones((3, 5), int), delimiter=", ", fmt="%d")
    assert main(["data", "import", str(path), "--name", "mine"]) == 0
    assert main(["data", "import", str(tmp_path / "o2sim-FastSimResult"), "--name", "debug"]) == 0
    capsys.readouterr()
    shown = run_json(capsys, "data")
    assert shown == run_json(capsys, "data", "list")
    found = {info["name"]: info for info in shown["datasets"]}
    assert found["zdc_geant4"]["ready"]
    assert not found["zdc_fast"]["ready"], "listing simulates nothing"
    assert found["mine"]["imported"]
    assert not found["zdc_geant4"]["imported"]
    assert [other["name"] for other in shown["others"]] == ["debug"]


@pytest.mark.parametrize("ending", ["npz", "parquet", "root"])
def test_an_exported_set_is_imported_the_same(home, tmp_path, capsys, ending):
    out = tmp_path / f"test.{ending}"
    said = run_json(capsys, "data", "export", "zdc_geant4", "--split", "test", "--out", str(out))
    data = datasets.load("zdc_geant4")
    rows = data.rows("test")
    assert said["showers"] == len(rows)
    assert said["bytes"] == out.stat().st_size
    report = run_json(capsys, "data", "import", str(out), "--name", f"back_{ending}")
    assert report["rows_kept"] == len(rows)
    again = sets.load(f"back_{ending}", home)
    np.testing.assert_array_equal(again.showers, data.showers[rows])
    np.testing.assert_array_equal(again.conditions, data.conditions[rows])
    np.testing.assert_array_equal(again.pdg, data.pdg[rows])
    assert len(np.unique(again.primary_id)) == len(np.unique(data.primary_id[rows]))


def test_an_exported_file_is_written_in_pieces(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("engine.shelf.BLOCK", 100)
    for ending in ("npz", "csv", "root", "parquet"):
        out = tmp_path / f"a.{ending}"
        said = run_json(capsys, "data", "export", "zdc_geant4", "--split", "validation", "--out", str(out))
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert len(lines) == 1 + said["showers"]
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert len(file["showers"]) == len(file["conditions"]) == said["showers"]
        assert np.array_equal(file["showers"].sum(axis=(1, 2)), [int(float(row.split(",")[-1])) for row in lines[1:]])


def test_check_of_a_file_is_a_trial_that_keeps_nothing(home, tmp_path, capsys):
    (path,) = files.write_npz(tmp_path, files.sample(6))
    before = sorted(p.name for p in home.iterdir())
    report = run_json(capsys, "data", "check", str(path))
    assert report["rows_kept"] == 6
    assert report["findings"]["detector"]["value"] == "zn"
    assert sorted(p.name for p in home.iterdir()) == before
    broken = files.sample(6)
    broken["conditions"][2, 0] = np.nan
    (path,) = files.write_npz(tmp_path, broken)
    assert main(["data", "check", str(path)]) == 2
    assert "row 3" in capsys.readouterr().err
    assert sorted(p.name for p in home.iterdir()) == before


def test_check_of_an_import_repeats_its_report_and_rm_deletes_it(home, tmp_path, capsys):
    (path,) = files.write_npz(tmp_path, files.sample(6))
    report = run_json(capsys, "data", "import", str(path), "--name", "mine", "--set", "energy_unit=GeV")
    assert report["findings"]["energy_unit"]["why"] == "as told"
    assert run_json(capsys, "data", "check", "mine") == report
    assert run_json(capsys, "data", "rm", "mine") == {"removed": "mine"}
    assert main(["data", "rm", "mine"]) == 2


def test_an_imported_set_is_trained_on(home, tmp_path, capsys):
    (path,) = files.write_npz(tmp_path, files.sample(60))
    assert main(["data", "import", str(path), "--name", "mine"]) == 0
    capsys.readouterr()
    small = {"epochs": 1, "batch": 20, "width": 4, "hidden": 16, "spots": 2, "blur": 5.0}
    chosen = [text for name, value in small.items() for text in ("--set", f"{name}={value}")]
    run = run_json(capsys, "train", "--data", "mine", *chosen)
    assert (run["state"], run["data"]) == ("finished", "mine")
    result = run_json(capsys, "evaluate", "--run", run["run_id"], "--metrics", "mae")
    assert result["data"] == "mine"


def test_check_of_the_parametrised_set_prints_the_validation(home, capsys):
    table = run_json(capsys, "data", "check", "zdc_fast", "--split", "validation")
    assert table["of"] == len(table["rows"]) > 10
    assert table["within"] == sum(row["within"] for row in table["rows"])
    for row in table["rows"]:
        assert row["within"] == (row["distance"] <= table["target"] * row["floor"])
    assert main(["data", "check", "zdc_fast", "--split", "validation"]) == 0
    assert f"{table['within']} of {table['of']} within 2" in capsys.readouterr().out


def test_simulate_without_geant4_says_how_to_get_it(home, capsys, monkeypatch):
    monkeypatch.setattr(simulation, "python", lambda: None)
    assert main(["data", "simulate", "--energy", "100"]) == 1
    assert "showerscope[geant4]" in capsys.readouterr().err


@pytest.mark.skipif(not simulation.installed(), reason="geant4-pybind is not installed")
def test_simulate_reports_photons_and_cpu_seconds_per_shower(home, tmp_path, capsys):
    out = tmp_path / "a.npz"
    said = run_json(capsys, "data", "simulate", "--energy", "100", "--n", "2", "--out", str(out))
    assert len(said["photons"]) == len(said["cpu_seconds"]) == 2
    assert min(said["cpu_seconds"]) > 0
    assert "Geant4" in said["label"]
    with np.load(out, allow_pickle=False) as file:
        assert file["showers"].sum(axis=(1, 2)).tolist() == said["photons"]


def test_progress_goes_to_stderr_on_a_terminal_only(home, tmp_path):
    command = [sys.executable, "-m", "engine.cli", "data", "export", "zdc_geant4", "--out", str(tmp_path / "a.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stderr == ""
    assert done.stdout.startswith("3642 showers")

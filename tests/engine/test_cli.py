"""The command line: its exit states, its JSON, and what it refuses."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import redirect_stderr

import numpy as np
import pytest
from conftest import SMALL, wait_for
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.cli import duration, main, settings
from engine.imports.base import read
from engine.schema import FormField, WrongInput
from engine.up import served

BUNDLED = "bundled:zdc_geant4_e2e_sae"
SETS = [text for name, value in SMALL.items() for text in ("--set", f"{name}={value}")]
FORM = [
    FormField(name="epochs", kind="int", default=1),
    FormField(name="rate", kind="float", default=1.0),
    FormField(name="augment", kind="bool", default=True),
    FormField(name="pixels", kind="choice", default="poisson", choices=["poisson", "log_mse"]),
]


def run_json(capsys, *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def here(trained, monkeypatch) -> str:
    """The command line works in the home of the trained run."""
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(trained[0].home))
    return trained[1]


def test_settings_are_typed_by_the_form():
    found = settings(["epochs=3", "rate=1e-3", "augment=no", "pixels=log_mse"], FORM)
    assert found == {"epochs": 3, "rate": 1e-3, "augment": False, "pixels": "log_mse"}
    assert settings(["epochs=1e3"], FORM) == {"epochs": 1000}


@pytest.mark.parametrize("pair", ["epochs", "nope=1", "epochs=1.5", "epochs=x", "rate=", "augment=maybe", "epochs=inf"])
def test_a_setting_that_does_not_fit_is_named(pair):
    with pytest.raises(WrongInput, match=f"--set {pair.partition('=')[0]}"):
        settings([pair], FORM)


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_a_setting_or_refused(text):
    for pair in (text, f"epochs={text}", f"rate={text}", f"augment={text}"):
        try:
            found = settings([pair], FORM)
            assert set(found) <= {"epochs", "rate", "augment", "pixels"}
        except WrongInput:
            pass


@given(st.integers(-(10**30), 10**30))
def test_whole_numbers_stay_what_they_are(number):
    assert settings([f"epochs={number}"], FORM) == {"epochs": number}


def test_a_command_trains_and_its_run_is_found(home, capsys):
    info = run_json(capsys, "train", *SETS, "--seed", "4", "--name", "from the shell")
    assert (info["state"], info["seed"], info["name"]) == ("finished", 4, "from the shell")
    assert all(np.isfinite(value) for value in info["metrics"].values())
    (found,) = [r for r in run_json(capsys, "runs")["runs"] if not r["bundled"]]
    assert found == info
    assert run_json(capsys, "runs", "show", info["run_id"]) == info
    assert run_json(capsys, "runs", "rm", info["run_id"]) == {"removed": info["run_id"]}
    assert [r for r in run_json(capsys, "runs")["runs"] if not r["bundled"]] == []


@pytest.mark.parametrize("ending", ["npz", "parquet", "root", "csv"])
def test_generate_writes_a_file(here, capsys, tmp_path, ending):
    out = tmp_path / f"showers.{ending}"
    result = run_json(
        capsys, "generate", "--run", here, "--n", "5", "--energy", "300", "--seed", "2", "--out", str(out)
    )
    assert (result["showers"], result["seed"], result["out"]) == (5, 2, str(out))
    assert out.stat().st_size > 100


def test_generate_reads_a_table_of_conditions_and_repeats_by_seed(here, capsys, tmp_path):
    table, first, again = (str(tmp_path / name) for name in ("c.npz", "a.npz", "b.npz"))
    common = ["generate", "--run", here, "--seed", "9", "--n", "2"]
    run_json(capsys, *common, "--pdg", "22", "--energy", "100", "--out", first)
    run_json(capsys, "generate", "--run", here, "--conditions", first, "--out", table)
    run_json(capsys, *common, "--conditions", table, "--out", again)
    with np.load(first) as a, np.load(again) as b:
        assert len(b["showers"]) == 4
        assert b["pdg"].tolist() == [22] * 4
        assert b["replica"].tolist() == [0, 1, 0, 1]
        np.testing.assert_array_equal(a["conditions"][0], b["conditions"][0])


def test_generate_takes_vertex_side_and_step_of_a_particle(here, trained, capsys, tmp_path):
    out = tmp_path / "a.npz"
    words = ["generate", "--run", here, "--vx", "0.1", "--vy", "-0.2", "--vz", "3", "--side", "-1", "--out", str(out)]
    step = trained[0].status(here).checkpoints[0].step
    result = run_json(capsys, *words, "--step", str(step))
    assert result["step"] == step
    with np.load(out) as file:
        assert file["conditions"][0, 1:4].tolist() == [0.1, -0.2, 3]
        assert file["conditions"][0, 6] < 0
    assert main([*words, "--step", "12345"]) == 2
    assert "no checkpoint at step" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["npz", "parquet", "root", "csv"])
def test_generate_streams_any_number_into_its_file(here, monkeypatch, capsys, tmp_path, ending):
    whole, pieces = (tmp_path / f"{name}.{ending}" for name in ("whole", "pieces"))
    words = ["generate", "--run", here, "--n", "2500", "--seed", "5", "--out"]
    run_json(capsys, *words, str(whole))
    monkeypatch.setattr("engine.bulk.ROW_GROUP", 1024)
    run_json(capsys, *words, str(pieces))
    if ending == "csv":
        assert whole.read_text() == pieces.read_text()
        return
    one, other = (read(path) for path in (whole, pieces))
    np.testing.assert_array_equal(*(np.concatenate(list(part.images.blocks())) for part in (one, other)))
    for name, column in one.table.named.items():
        np.testing.assert_array_equal(column, other.table.named[name])


def test_generate_leaves_nothing_where_it_is_cut_off(here, monkeypatch, tmp_path):
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.bulk.joined", interrupted)
    for ending in ("npz", "parquet", "root", "csv"):
        assert main(["generate", "--run", here, "--out", str(tmp_path / f"a.{ending}")]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_long_generation_says_how_far_it_is(here, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("engine.terminal.LINE_S", 0.0)
    assert main(["generate", "--run", here, "--n", "9000", "--out", str(tmp_path / "a.csv")]) == 0
    said = capsys.readouterr().err
    assert "46 % of 9000 showers" in said
    assert " left" in said


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["n", "energy", "px", "vz", "side", "step", "seed", "index", "energy-min"]), st.text(max_size=12)
)
def test_any_text_for_a_number_is_taken_or_refused_in_one_line(name, text):
    words = ["generate", "--run", "bundled:nope", f"--{name}={text}", "--spectrum", "power", "--out", "/nope/a.npz"]
    err = io.StringIO()
    with redirect_stderr(err):
        assert main(words) == 2
    assert err.getvalue().startswith("showerscope: ")


def test_evaluate_prints_values_with_error_unit_and_floor(here, capsys):
    result = run_json(capsys, "evaluate", "--run", here, "--metrics", "mae,wasserstein", "--channels", "moe")
    assert set(result["metrics"]) == {"mae", "wasserstein"}
    assert {"value", "error", "unit", "floor"} <= result["metrics"]["mae"].keys()
    assert result["convention"] == "moe"
    assert main(["evaluate", "--run", here, "--metrics", "mae"]) == 0
    assert "floor" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--model", "nope"],
        ["train", "--data", "nope"],
        ["train", "--set", "epochs=0"],
        ["train", "--seed", "-3"],
        ["generate", "--run", "nope", "--out", "a.npz"],
        ["generate", "--run", "nope", "--out", "a.txt"],
        ["generate", "--run", "bundled:nope", "--energy", "nan", "--out", "a.npz"],
        ["generate", "--run", "nope", "--n", "0", "--out", "a.npz"],
        ["generate", "--run", "nope", "--conditions", "nope.npz", "--out", "a.npz"],
        ["generate", "--run", "nope", "--conditions", "nope.npz", "--energy", "3", "--out", "a.npz"],
        ["generate", "--run", "nope", "--n", "200000000", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--energy", "1e9", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--energy", "1e300", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--energy", "-inf", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--px", "501", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--vx", "1e300", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--side", "0", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--step", "7", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--channels", "nope", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--spectrum", "data", "--energy", "3", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--spectrum", "data", "--index", "3", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--spectrum", "power", "--energy-max", "5", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--spectrum", "power", "--energy-max", "1e9", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--spectrum", "power", "--index", "99", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--spectrum", "power", "--conditions", "nope.npz", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--index", "1", "--out", "a.npz"],
        ["generate", "--run", BUNDLED, "--out", "/nope/a.npz"],
        ["evaluate", "--run", "nope"],
        ["evaluate", "--run", "bundled:zdc_geant4_e2e_sae", "--threshold", "-1"],
        ["evaluate", "--run", "bundled:zdc_geant4_e2e_sae", "--metrics", "mae", "--report", "/nope/report.html"],
        ["evaluate", "--run", "bundled:zdc_geant4_e2e_sae", "--metrics", "mae", "--report", "/"],
        ["runs", "show"],
        ["runs", "resume", "nope"],
        ["data", "check", "nope"],
        ["data", "check", "zdc_geant4"],
        ["data", "import", "nope.npz", "--name", "a"],
        ["data", "import", "nope.npz", "--name", "Not A Name"],
        ["data", "import", "nope.npz", "--name", "a", "--set", "detector=ze"],
        ["data", "import", "nope.npz", "--name", "a", "--set", "detector"],
        ["data", "export", "zdc_geant4", "--out", "a.exe"],
        ["data", "export", "nope", "--out", "a.npz"],
        ["data", "rm", "zdc_geant4"],
        ["data", "rm", "nope"],
        ["data", "simulate", "--energy", "-1"],
        ["data", "simulate", "--energy", "nan"],
        ["data", "nonsense"],
        ["nonsense"],
        ["generate"],
        [],
    ],
)
def test_wrong_input_ends_with_status_2_and_one_line(home, capsys, arguments):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("showerscope: ")
    assert shown.err.count("\n") == 1


def test_an_unwritable_home_and_a_busy_port_end_with_status_2(tmp_path, monkeypatch, capsys, home):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        for command in ("up", "engine", "app"):
            assert main([command, "--port", port]) == 2
            assert f"port {port}" in capsys.readouterr().err
    (tmp_path / "file").touch()
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(tmp_path / "file"))
    for command in (["runs"], ["train"], ["up", "--port", "0"], ["engine", "--port", "0"]):
        assert main(command) == 2
        assert "cannot be written" in capsys.readouterr().err


def test_help_and_listings_do_not_wait_for_torch():
    code = (
        "import sys\nfrom engine.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "main(['data', 'list']); main(['runs'])\n"
        "assert not {'torch', 'mlflow', 'fastapi'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_durations_read_well():
    assert [duration(s) for s in (3.2, 125, 4200)] == ["3 s", "2 min 5 s", "1 h 10 min"]


@pytest.mark.slow
def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(home):
    command = [sys.executable, "-m", "engine.cli", "train", *SETS, "--set", "epochs=2000", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ), text=True)
    status = home / "jobs"
    wait_for(lambda: any(json.loads(p.read_text())["step"] > 0 for p in status.glob("*/status.json")), 60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    info = json.loads(out)
    assert (process.returncode, info["state"]) == (1, "cancelled")
    assert info["checkpoints"][-1]["step"] == info["step"]
    assert f"showerscope runs resume {info['run_id']}" in err


@pytest.mark.slow
def test_up_serves_engine_and_app_and_ends_both(home):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begin = time.monotonic()
    command = [sys.executable, "-m", "engine.cli", "up", "--port", str(port), "--no-train"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ), text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert f"http://127.0.0.1:{port}" in line
        assert time.monotonic() - begin < 60
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            assert page.status == 200
        children = subprocess.run(
            ["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(children) == 2
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)
    assert process.returncode == 0
    assert not served(f"http://127.0.0.1:{port}/")
    assert not any(os.path.exists(f"/proc/{pid}") for pid in children)

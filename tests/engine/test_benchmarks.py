"""Records of benchmarks: what a command leaves, what is read again, and that a damaged file ends nothing."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

import engine.bench.generate
from engine import benchmarks
from engine.cli import main
from engine.once import Once
from engine.schema import Benchmark

AT = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
METRIC = {"value": 2.0, "error": 0.1, "unit": "photons", "floor": 1.0, "floor_error": 0.05}
ROW = {"title": "cond. VAE", "model": "vae", "config": {"beta": 1}, "published": "cond VAE", "seeds": [0, 2],
       "metrics": {"mae": METRIC}, "train_seconds": 3.0, "ms_per_shower": 0.1, "parameters": 10.0, "showers": 60,
       "epochs": 1}  # fmt: skip
RESULT = {"command": "showerscope bench table1 --quick", "bench": "table1", "data": "some showers",
          "budget": {"data": "zdc_fast", "showers": 500, "primaries": 20}, "commit": "abc", "torch": "2.13.0",
          "rows": [ROW], "missing": ["cond. GAN"], "table": "| |"}  # fmt: skip


def written(folder: Path, text: str | dict, name: str = "a.json") -> Path:
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def test_the_record_of_the_house_is_read_whole():
    raw = json.loads((benchmarks.REFERENCE / "table1_quick.json").read_text(encoding="utf-8"))
    found = benchmarks.read(benchmarks.REFERENCE / "table1_quick.json", house=True)
    assert found
    assert [row.title for row in found.rows] == [row["title"] for row in raw["rows"]]
    assert found.rows[3].config == raw["rows"][3]["config"]
    assert found.rows[0].metrics["mae"].model_dump() == raw["rows"][0]["metrics"]["mae"]
    assert (found.name, found.data, found.label, found.convention) == ("table1_quick", "zdc_fast", raw["data"], "paper")
    assert (found.quick, found.house, found.commit, found.seeds) == (True, True, raw["commit"], [0])


def test_what_is_kept_is_read_again(tmp_path):
    path = benchmarks.keep(RESULT, tmp_path, AT)
    assert path == tmp_path / "bench" / "table1-zdc_fast-20261121T120000Z.json"
    found = benchmarks.read(path)
    assert found
    assert (found.name, found.title, found.quick) == (f"home:{path.stem}", "Table 1, ZDC", True)
    assert (found.seeds, found.missing, found.versions) == ([0, 2], ["cond. GAN"], {"torch": "2.13.0"})
    assert found.rows[0].parameters == 10
    assert Benchmark.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    "damaged",
    ["", "not json", '{"bench": "table1", "rows": 3}', '{"bench": "table1", "rows": [{}]}',
     '{"bench": "table1", "rows": [[]]}', '{"bench": 1, "rows": []}', '{"bench": "a", "rows": [], "budget": [1]}',
     json.dumps({**RESULT, "rows": [{**ROW, "metrics": {"mae": {}}}]}), json.dumps(RESULT)[:-40]],
)  # fmt: skip
def test_a_damaged_record_is_left_out_with_one_line_and_the_others_stand(tmp_path, caplog, damaged):
    good = benchmarks.keep(RESULT, tmp_path, AT)
    written(tmp_path / "bench", damaged, "damaged.json")
    (tmp_path / "bench" / "bytes.json").write_bytes(b"\xff\xfe\x00")
    once = Once()
    with caplog.at_level(logging.WARNING):
        found = benchmarks.records(tmp_path, once, tmp_path / "nowhere")
        again = benchmarks.records(tmp_path, once, tmp_path / "nowhere")
    assert [record.name for record in found] == [f"home:{good.stem}"]
    assert found == again
    said = [record.message for record in caplog.records]
    assert len(said) == 2, "each once, however often they are asked for"
    assert any("damaged.json is left out" in line for line in said)
    assert not any("\n" in line for line in said)


def test_files_that_are_no_records_are_passed_over_silently(tmp_path, caplog):
    written(tmp_path, {"bench": "generate", "ms_per_shower": {}}, "generate.json")
    written(tmp_path, [1, 2], "list.json")
    written(tmp_path, {**RESULT, "source": "a paper"}, "published_a.json")
    assert benchmarks.records(tmp_path / "home", Once(), tmp_path) == []
    assert caplog.records == []


def test_figures_of_a_training_that_diverged_are_absent(tmp_path):
    row = {**ROW, "metrics": {"mae": {**METRIC, "value": float("nan")}, "spread": {**METRIC, "floor": float("inf")}}}
    found = benchmarks.read(written(tmp_path, json.dumps({**RESULT, "rows": [row]}).replace("3.0", "1e999")))
    assert found
    assert list(found.rows[0].metrics) == ["spread"]
    assert found.rows[0].metrics["spread"].floor is None
    assert found.rows[0].train_seconds is None


def test_published_rows_know_their_benchmark_and_every_figure(tmp_path):
    rows = benchmarks.published()
    floor = next(row for row in rows if row.floor)
    assert (floor.bench, floor.figures()) == ("table1", {"mae": 6.59, "wasserstein": 2.89})
    assert sum(row.floor for row in rows if row.bench == "table1") == 1
    digits = [{"model": "cond VAE", "fid": 6.61, "fid_std": 1, "sinkhorn_features": 30.13},
              {"model": "original", "fid": 0.33, "sinkhorn_features": 0}]  # fmt: skip
    written(tmp_path, {"source": "a paper", "rows": digits}, "published_mnist.json")
    first, last = benchmarks.published(tmp_path)
    assert (first.bench, first.figures(), first.floor) == ("mnist", {"fid": 6.61, "sinkhorn_features": 30.13}, False)
    assert (last.figures(), last.floor) == ({"fid": 0.33, "sinkhorn_features": 0}, True)


def test_a_benchmark_leaves_its_record(home, monkeypatch, capsys):
    monkeypatch.setattr(engine.bench.generate, "run", lambda quick=False, data="": {**RESULT, "command": "?"})
    assert main(["bench", "generate", "--quick", "--data", "zdc_fast", "--json"]) == 0
    out, said = capsys.readouterr()
    (path,) = (home / "bench").glob("*.json")
    assert str(path) in said
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept == json.loads(out)
    assert kept["quick"] is True
    assert kept["made"].endswith("Z")


def test_a_record_that_cannot_be_kept_does_not_lose_the_result(home, monkeypatch, capsys):
    (home / "bench").write_text("in the way")
    monkeypatch.setattr(engine.bench.generate, "run", lambda quick=False: {"bench": "generate"})
    assert main(["bench", "generate", "--json"]) == 0
    out, said = capsys.readouterr()
    assert json.loads(out)["command"] == "showerscope bench generate"
    assert "no record is kept" in said


def test_the_record_of_broken_generators_begins_with_a_control_that_nothing_catches():
    first, *others = benchmarks.broken()
    assert first.name == "unbroken"
    assert not any(reading.caught for reading in first.metrics.values())
    for row in others:
        assert any(reading.caught for reading in row.metrics.values()), row.title


def test_without_a_record_of_broken_generators_there_is_none_and_the_log_says_so(tmp_path, caplog):
    assert benchmarks.broken(tmp_path) == []
    written(tmp_path, {"bench": "broken", "generators": [{}]}, "broken.json")
    assert benchmarks.broken(tmp_path) == []
    assert len(caplog.records) == 2

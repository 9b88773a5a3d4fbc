"""The benchmark of MNIST: its rows, what it keeps, and what it prints."""

import json

import pytest

from engine import benchmarks
from engine.bench import mnist, rows
from engine.models import base as models
from engine.schema import WrongInput


def test_every_row_can_be_configured_for_pictures_and_is_conditional():
    table = mnist.table()
    assert len({row.key for row in table}) == len({row.title for row in table}) == len(table)
    for row in table:
        assert getattr(models.configure(models.get(row.model), row.config, "images"), "conditional", True)


def test_rows_of_the_paper_are_named_as_its_table_names_them_and_told_beside_ours():
    published = [row for row in benchmarks.published() if row.bench == "mnist"]
    names = " ".join(row.model.lower() for row in published)
    wanted = [row.published.removeprefix("cond ").lower() for row in mnist.table() if row.published]
    assert len(wanted) == 4
    assert all(name in names for name in wanted)
    (floor,) = (row for row in published if row.floor)
    assert floor.figures() == {"fid": 0.33, "sinkhorn_features": 0.0}


def test_an_unknown_row_is_refused(home):
    with pytest.raises(WrongInput, match=r"cond\. VAE"):
        mnist.run(rows=["nope"])


@pytest.mark.slow
def test_a_row_is_trained_judged_kept_and_not_trained_again(home, monkeypatch):
    monkeypatch.setattr(mnist, "table", lambda: [rows.Row("small", "vae", {"width": 4, "batch": 50, "hidden": 16})])
    said: list[str] = []
    made = mnist.run(quick=True, showers=220, say=said.append)
    (row,) = made["rows"]
    assert row["metrics"].keys() == {"fid", "sinkhorn_features", "accuracy"}
    assert row["metrics"]["fid"]["floor"] > 0
    assert (row["seeds"], row["showers"], row["epochs"]) == ([0], 60, 1)
    assert "original data" in made["table"]
    assert len(said) == 1
    assert said[0].startswith("1/1 small, seed 0: FID ")
    assert mnist.run(quick=True, showers=220, say=said.append)["rows"] == made["rows"]
    assert len(said) == 1, "nothing was trained again"
    path = home / "record.json"
    path.write_text(json.dumps(made))
    record = benchmarks.read(path)
    assert record is not None
    assert (record.title, record.data, record.convention) == ("Table 1, MNIST", "mnist", "")

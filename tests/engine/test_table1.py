"""The benchmark of Table 1: rows that are trained alike, kept as they end, and put together over seeds."""

import json

import numpy as np
import pytest

from engine.bench import rows, table1
from engine.datasets import base as datasets
from engine.models import base as models
from engine.schema import WrongInput


def test_every_model_of_the_family_is_a_row_and_every_row_can_be_configured():
    table = table1.table()
    assert {row.model for row in table} == set(models.names())
    assert len({row.key("showers") for row in table}) == len({row.title for row in table}) == len(table)
    for row in table:
        models.configure(models.get(row.model), row.config)


def test_rows_of_the_paper_are_named_as_its_table_names_them():
    published = json.loads((rows.ROOT / "assets" / "reference" / "published_zdc.json").read_text(encoding="utf-8"))
    names = " ".join(row["model"].lower().replace(".", "") for row in published["rows"])
    for row in table1.table():
        if row.published:
            assert row.published.removeprefix("cond ").lower() in names, row


def test_every_row_sees_the_same_number_of_showers_whoever_of_its_networks_sees_them():
    def passes(showers):
        return {row.model: rows.passes(row.settings("showers"), showers, 82_000) for row in table1.table()}

    full, quick = passes(1_000_000), passes(82_000)
    assert full["e2e_sae"] == full["gan"] == (12, 1)
    assert full["wgan"] == full["wgan_gp"] == (2, 1)  # five turns of the critic a step
    assert quick["e2e_sae"] == (1, 1)
    assert quick["wgan"] == quick["wgan_gp"] == (1, pytest.approx(0.2))


def test_a_part_of_the_training_primaries_leaves_the_other_splits_whole_and_no_primary_apart():
    data = datasets.load("zdc_geant4")
    part = rows.thinned(data, 0.25)
    kept = part.rows("train")
    assert len(kept) == pytest.approx(0.25 * len(data.rows("train")), abs=3)
    assert len(kept) % 3 == 0
    assert set(kept) < set(data.rows("train"))
    for split in ("validation", "test"):
        np.testing.assert_array_equal(part.rows(split), data.rows(split))
    assert rows.thinned(data, 1.0) is data


@pytest.mark.slow
def test_a_simulation_that_is_made_again_reads_the_floor(home):
    """The row of original data: nothing that is honest reads better, and δ of three replicas has a floor far from 0."""
    found = table1.again(rows.Budget("zdc_fast", 500, 40), 2)
    for name in ("mae", "wasserstein"):
        assert found[name]["value"] == pytest.approx(found[name]["floor"], rel=0.5)
    assert found["spread"]["value"] == pytest.approx(1, abs=0.4)
    assert 0.15 < found["dispersion"]["value"] < 0.5


def test_an_unknown_row_is_refused(home):
    with pytest.raises(WrongInput, match=r"cond\. VAE"):
        table1.run(rows=["nope"])


@pytest.mark.slow
def test_a_row_is_trained_judged_kept_and_not_trained_again(home, monkeypatch):
    monkeypatch.setattr(table1, "QUICK_PRIMARIES", 20)
    said: list[str] = []
    budget = {"quick": True, "data": "zdc_geant4", "rows": ["cond. VAE"], "showers": 500}
    made = table1.run(**budget, say=said.append)
    (row,) = made["rows"]
    assert (row["title"], row["seeds"], row["showers"]) == ("cond. VAE", [0], 60)
    assert {"mae", "wasserstein", "spread", "f_div", "dispersion"} <= row["metrics"].keys()
    assert row["metrics"]["mae"]["floor"] > 0
    assert len(said) == 1
    assert "simulation against simulation" in made["table"]
    again = table1.run(**budget, say=said.append)
    assert again["rows"] == made["rows"]
    assert len(said) == 1, "nothing was trained again"
    table1.run(**budget, say=said.append, fresh=True)
    assert len(said) == 2, "trained again where that is asked for"


def test_a_row_that_fails_is_told_and_ends_no_other(home, monkeypatch):
    def apart(row, budget, seed, module):
        if row.model == "vae":
            raise RuntimeError("the loss became nan")
        metric = {"value": 1.0, "error": 0.1, "floor": 1.0, "floor_error": 0.1, "unit": ""}
        did = {"train_seconds": 1.0, "ms_per_shower": 1.0, "parameters": 1, "showers": 60, "epochs": 1, "commit": "c"}
        names = ("mae", "wasserstein", "spread", "f_div", "dispersion")
        return {"metrics": dict.fromkeys(names, metric), **did}

    monkeypatch.setattr(rows, "apart", apart)
    said: list[str] = []
    made = table1.run(quick=True, data="zdc_geant4", rows=["cond. VAE", "cond. SWAE"], say=said.append)
    assert [row["title"] for row in made["rows"]] == ["cond. SWAE"]
    assert made["missing"] == ["cond. VAE"]
    assert "cond. VAE, seed 0: the loss became nan" in said


def test_what_went_wrong_in_a_row_s_process_is_told_in_its_last_line(home):
    broken = rows.Row("broken", "vae", {"latent_dim": -1})
    with pytest.raises(RuntimeError, match="latent_dim"):
        rows.apart(broken, rows.Budget("zdc_geant4", 500, 20), 0)


def test_seeds_are_averaged_with_the_error_of_their_mean(tmp_path):
    row = rows.Row("a", "vae")
    for seed, value in enumerate((1.0, 2.0, 3.0)):
        metric = {"value": value, "error": 9.0, "floor": 1.5, "floor_error": 0.1, "unit": "photons"}
        found = {"metrics": {"mae": metric}, "train_seconds": 1.0, "ms_per_shower": 2.0, "parameters": 3}
        more = {"showers": 60, "epochs": 1, "commit": f"c{seed % 2}"}
        (tmp_path / f"{seed}.json").write_text(json.dumps({**found, **more}))
    whole = rows.gather(row, [tmp_path / f"{seed}.json" for seed in range(4)])
    assert whole["seeds"] == [0, 1, 2]
    assert whole["commits"] == ["c0", "c1"]
    made = whole["metrics"]["mae"]
    assert made["value"] == pytest.approx(2.0)
    assert made["error"] == pytest.approx(1 / 3**0.5)
    assert made["floor"] == 1.5

"""An engine whose data are no showers: every question has an answer, or one sentence that says why not."""

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import serving, train_here, wait_for

from app.client import Client
from engine import cli
from engine.datasets import base as datasets
from engine.schema import (
    CloudRequest,
    Engine,
    EvaluateRequest,
    GenerateRequest,
    MapRequest,
    Particle,
    PartitionRequest,
    PrepareTask,
    TrainSpec,
    WrongInput,
)
from engine.server import LOCAL_NAMES, make_app
from engine.service import CLOUD, Service, strip
from engine.work import unit_of

TOY = "toy_spirals"


@pytest.fixture(scope="module")
def service(make_home, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOWERSCOPE_HOME", str(make_home()))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        made = Service(models=tmp_path_factory.mktemp("no_models"))
        yield made
        made.close()


@pytest.fixture(scope="module")
def run(service) -> str:
    info = train_here(service, TrainSpec(data=TOY, model="e2e_sae", config={"epochs": 2, "batch": 1000}))
    assert info.state == "finished", info.error
    return info.run_id


@pytest.fixture(scope="module")
def informed(service) -> str:
    """A model of two spirals whose decoder sees the class."""
    config = {"epochs": 1, "batch": 2000, "hidden": 16, "informed": True, "blur": 5.0}
    info = train_here(service, TrainSpec(data=TOY, config=config))
    assert info.state == "finished", info.error
    return info.run_id


@pytest.fixture(scope="module")
def pieces(service) -> str:
    """A model of two spirals by clusters of codes, as it is after each epoch."""
    config = {"epochs": 3, "batch": 1000, "hidden": 16, "clusters": 5, "mapping_hidden": 8, "checkpoint_epochs": 1}
    info = train_here(service, TrainSpec(data=TOY, model="sc_gan", config=config))
    assert info.state == "finished", info.error
    return info.run_id


@pytest.fixture(scope="module")
def client(service):
    with serving(make_app(service, "secret", LOCAL_NAMES)) as address:
        made = Client(address, "secret")
        yield made
        made.close()


@pytest.fixture(params=["in process", "over HTTP"])
def engine(request, service) -> Engine:
    return service if request.param == "in process" else request.getfixturevalue("client")


def test_a_set_says_its_kind_and_the_classes_of_its_condition(engine):
    info = next(d for d in engine.datasets() if d.name == TOY)
    assert (info.kind, info.shape, info.detector, info.pdg) == ("points", (2,), "", [])
    assert [c.name for c in info.conditions] == ["piece"]
    assert info.conditions[0].classes == ["0", "1"]


def test_columns_and_examples_come_without_photons(engine):
    columns = engine.columns(TOY)
    assert columns["conditions"].shape == (20_000, 1)
    assert "photon_sum" not in columns
    assert "channels" not in columns
    found = engine.showers(TOY, [5, 3])
    assert found["showers"].shape == (2, 2)
    assert found["row"].tolist() == [5, 3]


def test_the_form_and_the_run_know_only_settings_of_points(engine, run):
    model = next(m for m in engine.catalogue().models if m.name == "e2e_sae")
    names = {field.name for field in model.fields_for("points")}
    assert names == set(engine.status(run).config)
    assert "spots" not in names
    assert {f.name: f.default for f in model.fields_for("points")}["latent"] == 2
    with pytest.raises(WrongInput, match="spots is for showers, not for points"):
        engine.submit(TrainSpec(data=TOY, config={"spots": 3}))


def test_settings_that_do_not_suit_the_data_are_refused_before_a_run_is_entered(service):
    known = len(service.runs())
    with pytest.raises(WrongInput, match="spots are of showers: choose decoder"):
        service.submit(TrainSpec(data="mnist", model="dcgan", config={"decoder": "spots"}))
    assert len(service.runs()) == known


def test_generation_follows_its_classes_and_its_seed(engine, run):
    request = GenerateRequest(run=run, conditions=[[0.0], [1.0]], n=3, seed=4)
    made = engine.generate(request)
    assert made["showers"].shape == (6, 2)
    assert made["conditions"][:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert "channels" not in made
    assert (made.meta["kind"], made.meta["columns"], made.meta["warnings"]) == ("points", ["piece"], [])
    np.testing.assert_array_equal(made["showers"], engine.generate(request)["showers"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"particle": Particle()}, "holds points, which have no particles"),
        ({"conditions": [[2.0]]}, "row 1, piece is 2"),
        ({"conditions": [[0.0, 1.0]]}, "row 1 has 2 numbers"),
        ({}, "one of the two"),
    ],
)
def test_what_is_no_class_is_refused_in_one_line(engine, run, change, words):
    with pytest.raises(WrongInput, match=words) as caught:
        engine.generate(GenerateRequest(run=run, **change))
    assert "\n" not in str(caught.value)


def test_strip_codes_and_maps_are_there(engine, run):
    strip = engine.samples(run)
    assert strip["simulated"].shape == strip["generated"].shape == strip["reconstructed"].shape == (CLOUD, 2)
    assert set(strip["conditions"][:, 0].tolist()) == {0.0, 1.0}
    codes = engine.encode(run, TOY, [0, 1, 2])["latent"]
    assert codes.shape == (3, 2)
    assert engine.decode(run, codes.tolist())["showers"].shape == (3, 2)
    request = MapRequest(run=run, n=60)
    wait_for(lambda: engine.map(request).meta["state"] == "done")
    drawn = engine.map(request)
    assert drawn["conditions"].shape == (120, 1)
    assert "energy" not in drawn


@pytest.mark.parametrize("latents", ["own", "mapping", "centres", "single", "real"])
def test_a_cloud_is_judged_by_the_manifold_of_its_set(engine, service, pieces, latents):
    request = CloudRequest(run=pieces, n=60, seed=3, latents=latents)
    made, again = engine.cloud(request), service.cloud(request)
    assert {name: array.shape for name, array in made.arrays.items()} == {
        "points": (60, 2), "distance": (60,), "off": (60,), "target": (60, 2)
    }  # fmt: skip
    for name, array in made.arrays.items():
        np.testing.assert_array_equal(array, again[name])
    assert (made["off"] == (made["distance"] > made.meta["reach"])).all()
    said = {"data": TOY, "model": "sc_gan", "latents": latents, "clusters": 5, "gaps": True, "seed": 3, "epoch": 3}
    assert said.items() <= made.meta.items()
    assert made.meta["step"] == engine.status(pieces).checkpoints[-1].step
    figures = ("w1", "w1_floor", "w1_floor_spread", "off", "off_error", "off_floor", "reach", "ms")
    assert all(isinstance(made.meta[name], float) for name in figures)
    first = engine.cloud(request.model_copy(update={"step": 0}))
    assert (first.meta["step"], first.meta["epoch"]) == (0, 0)
    assert not np.array_equal(first["points"], made["points"])
    np.testing.assert_array_equal(first["target"], made["target"])


def test_a_model_s_own_cloud_is_what_it_generates(engine, run, pieces):
    cloud = engine.cloud(CloudRequest(run=pieces, n=60, seed=3))
    drawn = engine.generate(GenerateRequest(run=pieces, conditions=[[0.0]], n=60, seed=3))
    np.testing.assert_array_equal(cloud["points"], drawn["showers"])
    assert engine.cloud(CloudRequest(run=run, n=60)).meta["clusters"] == 0


def test_the_plane_is_parted_by_clusters_of_codes(engine, pieces):
    request = PartitionRequest(run=pieces, x=(-3.0, 3.0), y=(-2.0, 2.5), side=20)
    found = engine.partition(request)
    assert found["cluster"].shape == (20, 20)
    assert set(found["cluster"].ravel().tolist()) <= set(range(5))
    assert (len(found["count"]), found["count"].sum()) == (5, 4096)
    last = engine.status(pieces).checkpoints[-1]
    assert found.meta == {"clusters": 5, "trained": 5, "step": last.step, "epoch": last.epoch}
    finer = engine.partition(request.model_copy(update={"clusters": 9, "step": 0}))
    assert finer.meta == {"clusters": 9, "trained": 5, "step": 0, "epoch": 0}
    assert len(finer["count"]) == 9
    np.testing.assert_array_equal(engine.partition(request)["cluster"], found["cluster"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clusters": 8}, "its mapping networks were made for K = 5: train again, or take K = 5"),
        ({"clusters": 8, "latents": "mapping"}, "train again, or take K = 5"),
        ({"run": "nope"}, "no run"),
        ({"step": 12345}, "no checkpoint at step"),
    ],
)
def test_a_cloud_that_cannot_be_drawn_is_refused_in_one_line(engine, pieces, changes, words):
    with pytest.raises(WrongInput, match=words) as caught:
        engine.cloud(CloudRequest(run=pieces).model_copy(update=changes))
    assert "\n" not in str(caught.value)


def test_other_models_have_no_latent_modes_and_no_clusters(engine, run):
    for mode in ("mapping", "centres", "single"):
        with pytest.raises(WrongInput, match="has no clusters of codes: take codes of its own or real"):
            engine.cloud(CloudRequest(run=run, latents=mode))
    with pytest.raises(WrongInput, match="leave their number out"):
        engine.cloud(CloudRequest(run=run, clusters=3))
    with pytest.raises(WrongInput, match="choose an SC-GAN"):
        engine.partition(PartitionRequest(run=run, x=(-1, 1), y=(-1, 1)))


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2.0, 1.0), (-1e7, 1.0), (0.0, 1e300)])
def test_bounds_of_no_plane_are_refused_in_one_line(engine, pieces, bounds):
    for x, y in ((bounds, (0, 1)), ((0, 1), bounds)):
        with pytest.raises(WrongInput, match=r"\A[xy] from [^\n]* the lower one first\Z"):
            engine.partition(PartitionRequest(run=pieces, x=x, y=y))


def test_what_needs_a_calorimeter_says_so(engine, run):
    with pytest.raises(WrongInput, match="holds points"):
        engine.nearest(TOY, Particle())
    with pytest.raises(WrongInput, match="like those it learned from"):
        engine.encode(run, "zdc_geant4", [0])
    with pytest.raises(WrongInput, match="holds something else"):
        engine.evaluate(EvaluateRequest(run=run, data="zdc_geant4"))
    with pytest.raises(WrongInput, match="mae is of showers, not of points"):
        engine.evaluate(EvaluateRequest(run=run, metrics=["mae"]))


def test_files_hold_points_under_the_names_of_their_conditions(engine, run):
    request = GenerateRequest(run=run, conditions=[[0.0], [1.0]], n=2)
    with np.load(io.BytesIO(engine.export(request, "npz")), allow_pickle=False) as file:
        assert file["showers"].shape == (4, 2)
        assert file["columns"].tolist() == ["piece"]
    table = pq.read_table(io.BytesIO(engine.export(request, "parquet")))
    assert table["piece"].to_pylist() == [0, 0, 1, 1]
    assert "photon_sum" not in table.column_names
    assert "piece" in engine.save_rows(TOY, [0, 1, 2], "csv").decode().splitlines()[0].split(",")


def test_the_command_line_draws_n_of_each_class(service, run, tmp_path, capsys):
    out = tmp_path / "points.npz"
    assert cli.main(["generate", "--run", run, "--n", "5", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["showers"] == 10
    with np.load(out, allow_pickle=False) as file:
        assert np.bincount(file["conditions"][:, 0].astype(int)).tolist() == [5, 5]
    assert cli.main(["generate", "--run", run, "--pdg", "22", "--out", str(out)]) == 2
    assert "--pdg is for showers" in capsys.readouterr().err


def test_a_strip_of_points_is_a_cloud_that_the_model_has_not_seen():
    data = datasets.load("toy_spirals")
    rows = strip(data)
    assert len(rows) == CLOUD
    assert (data.split[rows] == 1).all()
    assert set(data.conditions[rows, 0]) == {0, 1}


def test_a_strip_of_images_has_one_of_each_class():
    data = datasets.load("mnist")
    assert data.conditions[strip(data), 0].tolist() == list(range(10))


def test_a_code_is_decoded_at_the_class_that_is_given(service, informed):
    run = informed
    codes = [[0.3, -0.2]] * 2
    both = service.decode(run, codes, None, [[0.0], [1.0]])["showers"]
    assert np.abs(both[0] - both[1]).max() > 0
    alike = service.decode(run, codes, None, [[1.0], [1.0]])["showers"]
    np.testing.assert_array_equal(alike[0], alike[1])
    assert service.decode(run, codes)["showers"].shape == (2, 2)


@pytest.mark.parametrize("conditions", [[[0.0]], [[0.0], [2.0]], [[0.0], [0.5]], [[0.0, 1.0], [0.0, 1.0]]])
def test_a_code_without_its_class_is_refused(service, informed, conditions: list[list[float]]):
    run = informed
    with pytest.raises(WrongInput):
        service.decode(run, [[0.3, -0.2]] * 2, None, conditions)


def test_a_table_of_points_has_their_coordinates(service, informed):
    run = informed
    request = GenerateRequest(run=run, conditions=[[0.0], [1.0]], n=3)
    made = service.generate(request)
    rows = list(csv.DictReader(io.StringIO(service.export(request, "csv").decode())))
    np.testing.assert_allclose([[float(r["x1"]), float(r["x2"])] for r in rows], made["showers"], rtol=1e-5)
    assert [float(r["piece"]) for r in rows] == [0, 0, 0, 1, 1, 1]


def test_digits_that_are_not_fetched_are_said_to_be(home, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SHOWERSCOPE_MNIST")
    fresh = Service(models=tmp_path)
    with pytest.raises(WrongInput, match="not fetched yet"):
        fresh.columns("mnist")
    fresh.close()


def test_progress_counts_what_a_set_holds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SHOWERSCOPE_MNIST")
    assert unit_of(PrepareTask(data="mnist")) == "images"
    assert unit_of(PrepareTask(data="zdc_fast")) == "showers"
    assert unit_of(PrepareTask(data="no such set")) == "showers"

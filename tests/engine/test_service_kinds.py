"""What the engine answers of models of points: strips, decoding at given classes, files."""

import csv
import io

import numpy as np
import pytest
from conftest import train_here

from engine.datasets import base as datasets
from engine.schema import GenerateRequest, PrepareTask, TrainSpec, WrongInput
from engine.service import CLOUD, Service, strip
from engine.work import unit_of

TINY = {"epochs": 1, "batch": 2000, "hidden": 16, "informed": True, "blur": 5.0}


@pytest.fixture(scope="module")
def points(make_home, tmp_path_factory):
    """An engine with a model of two spirals whose decoder sees the class."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOWERSCOPE_HOME", str(make_home()))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        made = Service(models=tmp_path_factory.mktemp("no_models"))
        run = train_here(made, TrainSpec(data="toy_spirals", config=TINY))
    assert run.state == "finished", run.error
    yield made, run.run_id
    made.close()


def test_a_strip_of_points_is_a_cloud_that_the_model_has_not_seen():
    data = datasets.load("toy_spirals")
    rows = strip(data)
    assert len(rows) == CLOUD
    assert (data.split[rows] == 1).all()
    assert set(data.conditions[rows, 0]) == {0, 1}


def test_a_strip_of_images_has_one_of_each_class():
    data = datasets.load("mnist")
    assert data.conditions[strip(data), 0].tolist() == list(range(10))


def test_a_code_is_decoded_at_the_class_that_is_given(points):
    service, run = points
    codes = [[0.3, -0.2]] * 2
    both = service.decode(run, codes, None, [[0.0], [1.0]])["showers"]
    assert np.abs(both[0] - both[1]).max() > 0
    alike = service.decode(run, codes, None, [[1.0], [1.0]])["showers"]
    np.testing.assert_array_equal(alike[0], alike[1])
    assert service.decode(run, codes)["showers"].shape == (2, 2)


@pytest.mark.parametrize("conditions", [[[0.0]], [[0.0], [2.0]], [[0.0], [0.5]], [[0.0, 1.0], [0.0, 1.0]]])
def test_a_code_without_its_class_is_refused(points, conditions: list[list[float]]):
    service, run = points
    with pytest.raises(WrongInput):
        service.decode(run, [[0.3, -0.2]] * 2, None, conditions)


def test_a_table_of_points_has_their_coordinates(points):
    service, run = points
    request = GenerateRequest(run=run, conditions=[[0.0], [1.0]], n=3)
    made = service.generate(request)
    rows = list(csv.DictReader(io.StringIO(service.export(request, "csv").decode())))
    np.testing.assert_allclose([[float(r["x1"]), float(r["x2"])] for r in rows], made["showers"], rtol=1e-5)
    assert [float(r["piece"]) for r in rows] == [0, 0, 0, 1, 1, 1]


def test_digits_that_are_not_fetched_are_said_to_be(service: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SHOWERSCOPE_MNIST")
    with pytest.raises(WrongInput, match="not fetched yet"):
        service.columns("mnist")


def test_progress_counts_what_a_set_holds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SHOWERSCOPE_MNIST")
    assert unit_of(PrepareTask(data="mnist")) == "images"
    assert unit_of(PrepareTask(data="zdc_fast")) == "showers"
    assert unit_of(PrepareTask(data="no such set")) == "showers"

"""What the engine answers, in process and over HTTP: one suite over both ways."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import import_files
import numpy as np
import pytest
from conftest import SMALL, serving, wait_for

from app.client import Client
from engine import benchmarks, zdc
from engine.imports.base import read
from engine.schema import (
    CONDITIONS,
    BulkRequest,
    BulkTask,
    CloudRequest,
    CoverageTask,
    Engine,
    EngineError,
    EvaluateRequest,
    EvaluateTask,
    GenerateRequest,
    ImportTask,
    MapRequest,
    NotFound,
    Overrides,
    Particle,
    PartitionRequest,
    ScanRequest,
    Spectrum,
    TrainSpec,
    WrongInput,
)
from engine.server import LOCAL_NAMES, make_app


@pytest.fixture(scope="module")
def client(trained) -> Iterator[Client]:
    """The app's client on a served engine."""
    with serving(make_app(trained[0], "secret", LOCAL_NAMES)) as address:
        made = Client(address, "secret")
        yield made
        made.close()


@pytest.fixture(params=["in process", "over HTTP"])
def engine(request, trained) -> Engine:
    return trained[0] if request.param == "in process" else request.getfixturevalue("client")


@pytest.fixture
def run(trained) -> str:
    return trained[1]


def test_health_says_what_the_engine_is(engine):
    health = engine.health()
    assert (health.status, health.running, health.training_allowed) == ("ready", 0, True)
    assert health.threads >= 1
    assert health.memory_mb > 50


def test_the_catalogue_names_models_metrics_detectors_particles_and_published_rows(engine):
    book = engine.catalogue()
    assert book.models[0].name == "e2e_sae", "the first is what a form opens with"
    assert len(book.models) > 10
    assert {"mae", "wasserstein", "spread"} <= {m.name for m in book.metrics}
    assert {p.pdg for p in book.particles} >= {22, 2112}
    assert [c.name for c in book.detectors[0].conventions][:2] == ["paper", "moe"]
    row = next(r for r in book.published if "e2e SAE" in r.model)
    assert (row.mae, row.mae_std, row.wasserstein) == (13.50, 29.82, 7.91)
    assert "2006.06704" in row.source
    assert book.versions["torch"].startswith("2.")


def test_records_of_benchmarks_are_those_of_the_house_then_the_home_s(engine, trained):
    house = next(record for record in engine.benchmarks() if record.name == "table1_quick")
    assert (house.house, house.data, house.convention) == (True, "zdc_fast", "paper")
    assert house.rows[0].metrics["mae"].floor
    kept = {"bench": "table1", "budget": {"data": "mine"}, "rows": [row.model_dump() for row in house.rows]}
    path = benchmarks.keep(kept, trained[0].home, datetime(2026, 11, 21, tzinfo=UTC))
    try:
        (mine,) = [record for record in engine.benchmarks() if not record.house]
    finally:
        path.unlink()
    assert (mine.name, mine.data, mine.rows) == (f"home:{path.stem}", "mine", house.rows)
    assert mine not in engine.benchmarks()


def test_columns_are_a_row_a_shower(engine):
    (info,) = [d for d in engine.datasets() if d.name == "zdc_geant4"]
    columns = engine.columns("zdc_geant4", "moe")
    assert {len(a) for a in columns.arrays.values()} == {info.showers}
    np.testing.assert_allclose(columns["channels"].sum(1), columns["photon_sum"])
    shown = engine.showers("zdc_geant4", [5, 3])
    assert shown["showers"].shape == (2, 44, 44)
    assert shown["showers"].sum(axis=(1, 2)).tolist() == columns["photon_sum"][[5, 3]].tolist()
    with pytest.raises(WrongInput, match="rows run from 0"):
        engine.showers("zdc_geant4", [10**6])
    with pytest.raises(WrongInput, match="convention"):
        engine.columns("zdc_geant4", "nonsense")
    with pytest.raises(NotFound, match="unknown data set"):
        engine.columns("nope")


@pytest.mark.parametrize("format", ["npz", "parquet", "root", "csv"])
def test_rows_of_a_set_go_out_as_a_file(engine, format, tmp_path):
    path = tmp_path / f"rows.{format}"
    path.write_bytes(engine.save_rows("zdc_geant4", [7, 2], format))
    sums = engine.columns("zdc_geant4")["photon_sum"][[7, 2]].tolist()
    if format == "csv":
        assert [float(line.split(",")[-1]) for line in path.read_text().splitlines()[1:]] == sums
    else:
        part = read(path)
        assert part.images
        assert next(iter(part.images.blocks())).reshape(2, -1).sum(axis=1).tolist() == sums
    with pytest.raises(WrongInput, match="1 to 20000"):
        engine.save_rows("zdc_geant4", list(range(3000)) * 7, "npz")


def test_a_file_is_handed_over_imported_and_removed(engine, request, tmp_path):
    name = "wired" if "HTTP" in request.node.name else "direct"
    (path,) = import_files.write_npz(tmp_path, import_files.sample(6))
    ticket = engine.upload(path.name, path.read_bytes())
    options = Overrides(title="Six showers")
    started = engine.start_task(ImportTask(data=name, uploads=[ticket], options=options))
    wait_for(lambda: engine.task(started.task_id).ended)
    done = engine.task(started.task_id)
    assert done.report, done.error
    assert (done.state, done.report.rows_kept) == ("finished", 6)
    assert done.report in engine.imports()
    assert "Six showers" in [info.title for info in engine.datasets()]
    with pytest.raises(NotFound, match="no showers"):
        engine.task_arrays(started.task_id)
    with pytest.raises(WrongInput, match="taken by an earlier import"):
        engine.start_task(ImportTask(data=name, uploads=[ticket]))
    engine.cancel_task(started.task_id)  # of what has ended: nothing
    engine.remove_task(started.task_id)
    for forgotten in (engine.task, engine.remove_task):
        with pytest.raises(NotFound, match="no task"):
            forgotten(started.task_id)
    engine.remove_data(name)
    assert name not in [info.name for info in engine.datasets()]
    with pytest.raises(WrongInput, match="comes with Showerscope"):
        engine.remove_data("zdc_geant4")


def test_nearest_showers_come_with_their_distance(engine):
    found = engine.nearest("zdc_geant4", Particle(px_gev=0.04), 6)
    assert found["showers"].shape == (6, 44, 44)
    assert (np.diff(found["distance"]) >= 0).all()
    assert {"conditions", "pdg", "primary_id", "row", "split"} <= found.arrays.keys()


def test_generated_showers_repeat_by_seed_and_say_what_they_are(engine, run):
    request = GenerateRequest(run=run, particle=Particle(px_gev=0.04), n=3, seed=4, convention="o2")
    made = engine.generate(request)
    assert made["showers"].shape == (3, 44, 44)
    assert made["showers"].dtype == np.float32
    np.testing.assert_array_equal(made["showers"], engine.generate(request)["showers"])
    np.testing.assert_allclose(made["channels"], zdc.channels(made["showers"], "zn", "o2"))
    assert made["conditions"][0, 0] == 500
    np.testing.assert_allclose(made["impact_mm"][0], 10 * zdc.impact_cm(made["conditions"][:1])[0], rtol=1e-5)
    assert {"ms", "model", "data", "label", "convention", "seed", "ood", "warnings"} <= made.meta.keys()
    assert 0 <= made.meta["ood"] <= 1


def test_a_table_of_particles_gives_n_showers_each_in_its_order(engine, run):
    rows = [Particle(energy_gev=e).conditions(939.565, 0) for e in (100.0, 1000.0)]
    made = engine.generate(GenerateRequest(run=run, conditions=rows, n=2))
    assert made["conditions"][:, 0].tolist() == [100, 100, 1000, 1000]


def test_a_walk_moves_the_showers_of_a_seed_along_two_directions(engine, run):
    request = GenerateRequest(run=run, particle=Particle(), n=2, seed=4, light="expected")
    still, walked, again, further = (
        engine.generate(request.model_copy(update={"walk": at})) for at in (None, (0.5, -1.0), (0.5, -1.0), (3.0, -1.0))
    )
    np.testing.assert_array_equal(walked["showers"], again["showers"])
    for other in (still, further):
        assert not np.array_equal(walked["showers"], other["showers"])
    assert walked.meta["directions"]
    assert "directions" not in still.meta


def test_moments_stand_for_the_showers_of_the_same_request(engine, run):
    rows = [Particle(energy_gev=e).conditions(939.565, 0) for e in (100.0, 1000.0)]
    request = GenerateRequest(run=run, conditions=rows, n=30, seed=2)
    showers, moments = engine.generate(request), engine.generate(request.model_copy(update={"moments": True}))
    assert "showers" not in moments
    whole = showers["showers"].reshape(2, 30, 44, 44)
    assert moments["mean"].dtype == moments["sigma"].dtype == np.float32
    np.testing.assert_allclose(moments["mean"], whole.mean(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moments["sigma"], whole.std(axis=1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moments["photon_sum"], showers["showers"].sum(axis=(1, 2)))
    np.testing.assert_array_equal(moments["channels"], showers["channels"])


def test_a_scan_gives_response_and_resolution_with_simulated_and_matched_ranges(engine, run):
    request = ScanRequest(run=run, particle=Particle(), energies_gev=[100.0, 400.0], n=50, seed=1, simulated=True)
    found = engine.scan(request)
    assert found["energy_gev"].tolist() == [100, 400]
    ranges = len(found["simulated_n"])
    assert ranges >= 3
    for prefix, rows in (("", 2), ("simulated_", ranges), ("matched_", ranges)):
        for name in ("mean", "mean_error", "sigma", "sigma_error"):
            assert found[f"{prefix}{name}"].shape == (rows, 6)
            assert np.isfinite(found[f"{prefix}{name}"]).all()
        np.testing.assert_allclose(found[f"{prefix}mean"][:, 0], found[f"{prefix}mean"][:, 1:].sum(axis=1))
    for name in ("energy", "low", "high"):
        assert found[f"simulated_{name}_gev"].shape == (ranges,)
    # the simulation is Geant4's: 0.70 photons a GeV, less at the edges of the face
    response = found["simulated_mean"][:, 0] / found["simulated_energy_gev"]
    assert ((response > 0.5) & (response < 0.9)).all()
    assert 0 < found.meta["radius_mm"] <= 48
    assert found.meta["showers"] == found["simulated_n"].sum()
    assert {"label", "warnings", "ms"} <= found.meta.keys()
    again = engine.scan(request)
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(array, again[name])
    alone = engine.scan(request.model_copy(update={"simulated": False}))
    assert not any(name.startswith(("simulated", "matched")) for name in alone.arrays)
    np.testing.assert_array_equal(alone["mean"], found["mean"])
    for change, match in (
        ({"energies_gev": [], "simulated": False}, "no energies"),
        ({"energies_gev": [1e9]}, "above the beam"),
        ({"energies_gev": [0.1]}, "not above the mass"),
        ({"convention": "nonsense"}, "convention"),
        ({"run": "nope"}, "no run"),
    ):
        with pytest.raises(WrongInput, match=match):
            engine.scan(request.model_copy(update=change))


def test_showers_in_bulk_are_a_task_whose_file_is_kept(engine, run):
    seed = 1 if isinstance(engine, Client) else 2
    spectrum = Spectrum(law="power", particle=Particle(pdg=22), minimum_gev=100, maximum_gev=200)
    request = BulkRequest(run=run, spectrum=spectrum, n=700, seed=seed)
    started = engine.start_task(BulkTask(request=request))
    assert started.kind == "bulk"
    wait_for(lambda: engine.task(started.task_id).ended)
    done = engine.task(started.task_id)
    assert done.state == "finished", done.error
    assert (done.done, done.total, done.unit) == (700, 700, "showers")
    assert (done.bulk.showers, done.bulk.format) == (700, "parquet")
    assert done.bulk.file.endswith(f"_700_seed{seed}.parquet")
    assert read(Path(done.bulk.path)).images.rows == 700
    assert done.bulk.bytes == Path(done.bulk.path).stat().st_size
    step = engine.status(run).checkpoints[-1].step
    named = BulkTask(request=request.model_copy(update={"step": step}))
    assert engine.start_task(named).task_id == started.task_id, "what would come out the same is not done again"
    for change, match in (
        ({"spectrum": None}, "one of the two"),
        ({"upload": "0" * 16 + "/a.csv", "spectrum": None}, "upload it again"),
        ({"run": "nope"}, "no run"),
    ):
        with pytest.raises(WrongInput, match=match):
            engine.start_task(BulkTask(request=request.model_copy(update=change)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"particle": Particle(energy_gev=0.1)}, "raise the energy"),
        ({"particle": Particle(energy_gev=9000)}, "7000"),
        ({"particle": Particle(pdg=99999999)}, "PDG"),
        ({"particle": None}, "one of the two"),
        ({"conditions": [[1.0] * 9]}, "one of the two"),
        ({"particle": None, "conditions": [[1.0] * 8]}, "nine columns"),
        ({"particle": None, "conditions": []}, "nine columns"),
        ({"convention": "nonsense"}, "convention"),
        ({"run": "nope"}, "no run"),
        ({"run": "bundled:nope"}, "no bundled model"),
        ({"step": 12345}, "no checkpoint at step"),
    ],
)
def test_what_cannot_be_generated_is_refused_in_one_line(engine, run, change, match):
    request = GenerateRequest(run=run, particle=Particle()).model_copy(update=change)
    with pytest.raises(WrongInput, match=match) as caught:
        engine.generate(request)
    assert "\n" not in str(caught.value)


def test_the_strip_is_eight_validation_particles_at_fixed_noise(engine, run, trained):
    first, again = engine.samples(run), engine.samples(run)
    for name in ("simulated", "generated", "reconstructed"):
        assert first[name].shape == (8, 44, 44)
        np.testing.assert_array_equal(first[name], again[name])
    early = engine.samples(run, 0)
    np.testing.assert_array_equal(first["simulated"], early["simulated"])
    assert not np.array_equal(first["generated"], early["generated"])
    columns = engine.columns("zdc_geant4")
    assert (columns["split"][first["row"]] == 1).all()
    assert len(set(columns["primary_id"][first["row"]].tolist())) == 8


def test_codes_decode_to_showers(engine, run):
    codes = engine.encode(run, "zdc_geant4", [1, 2, 3])["latent"]
    assert codes.shape == (3, 20)
    assert engine.decode(run, codes.tolist())["showers"].shape == (3, 44, 44)
    for bad in ([], [[1.0]], [[0.0] * 20, [0.0]]):
        with pytest.raises(WrongInput):
            engine.decode(run, bad)


def test_behind_the_points_of_a_map_stand_showers(engine, run):
    request = MapRequest(run=run, n=60, perplexity=10)
    wait_for(lambda: engine.map(request).meta["state"] == "done")
    made = engine.map(request)
    assert {name: len(made[name]) for name in made.arrays} == dict.fromkeys(
        ("xy", "layer", "row", "conditions", "density", "pdg", "energy", "photon_sum", "impact_mm", "latent"), 120
    )
    assert (made.meta["space"], made.meta["neighbours"]) == ("latent", 15)
    shown = engine.map_showers(request, [5, 65, 64])
    assert shown["showers"].shape == (3, 44, 44)
    assert shown["layer"].tolist() == [0, 1, 1]
    assert shown["row"].tolist() == made["row"][[5, 65, 64]].tolist()
    np.testing.assert_allclose(shown["showers"].sum(axis=(1, 2)), made["photon_sum"][[5, 65, 64]], rtol=1e-4)
    expected = engine.decode(run, made["latent"][[65]].tolist(), conditions=made["conditions"][[65]].tolist())
    np.testing.assert_allclose(shown["showers"][1], expected["showers"][0], rtol=1e-4, atol=1e-5)
    for points in ([], [120], [-1]):
        with pytest.raises(WrongInput, match="points"):
            engine.map_showers(request, points)
    with pytest.raises(WrongInput, match="LeNet"):
        engine.map(request.model_copy(update={"space": "features"}))


def test_showers_have_no_known_manifold_and_a_model_without_clusters_no_partition(engine, run):
    with pytest.raises(WrongInput, match="zdc_geant4 has no known manifold: choose a model of one of toy_eight"):
        engine.cloud(CloudRequest(run=run))
    with pytest.raises(WrongInput, match="Sinkhorn autoencoder has no clusters of codes: choose an SC-GAN"):
        engine.partition(PartitionRequest(run=run, x=(-1, 1), y=(-1, 1)))
    for unknown, words in (({"run": "nope"}, "no run"), ({"run": run, "step": 12345}, "no checkpoint at step")):
        with pytest.raises(NotFound, match=words):
            engine.cloud(CloudRequest(**unknown))
        with pytest.raises(NotFound, match=words):
            engine.partition(PartitionRequest(**unknown, x=(-1, 1), y=(-1, 1)))


def test_what_noise_covers_of_the_data_is_a_task_kept_with_its_run(engine, run, trained):
    request = MapRequest(run=run, n=200)
    started = engine.start_task(CoverageTask(request=request))
    # checkpoint and space are named before it starts, and the perplexity is the map's alone
    step = engine.status(run).checkpoints[-1].step
    named = request.model_copy(update={"step": step, "space": "latent", "perplexity": 50.0})
    assert engine.start_task(CoverageTask(request=named)).task_id == started.task_id
    other = engine.start_task(CoverageTask(request=request.model_copy(update={"space": "observables"})))
    assert other.task_id != started.task_id
    for task in (started, other):
        wait_for(lambda task=task: engine.task(task.task_id).ended)
        done = engine.task(task.task_id)
        assert (done.kind, done.state) == ("coverage", "finished"), done.error
        assert (done.done, done.total) == (1, 1)
        found = done.coverage
        assert (found.run_id, found.step, found.n, found.k) == (run, step, 200, 5)
        assert set(found.metrics) == {"density", "coverage", "precision", "recall", "sinkhorn"}
        assert all(metric.floor is not None for metric in found.metrics.values())
        assert sum(part.n for part in found.parts if part.by == "species") == 200
        assert found.separates == "species"
        assert all(0 <= point < 400 for region in found.regions for point in region.points)
    assert engine.task(other.task_id).coverage.space == "observables"
    kept = trained[0].store._artifacts(run).list_artifacts("coverage")
    assert f"coverage/{started.task_id}.json" in [file.path for file in kept]
    with pytest.raises(WrongInput, match="ask for fewer"):
        engine.start_task(CoverageTask(request=request.model_copy(update={"n": 20_000})))
    with pytest.raises(WrongInput, match="LeNet"):
        engine.start_task(CoverageTask(request=request.model_copy(update={"space": "features"})))
    with pytest.raises(NotFound, match="no run"):
        engine.start_task(CoverageTask(request=request.model_copy(update={"run": "nope"})))


def test_metrics_come_with_error_floor_and_unit(engine, run):
    report = engine.evaluate(EvaluateRequest(run=run, metrics=["mae", "wasserstein"]))
    assert (report.showers, report.primaries, report.split) == (546, 182, "test")
    assert set(report.metrics) == {"mae", "wasserstein"}
    mae = report.metrics["mae"]
    assert mae.unit == "photons"
    assert mae.floor is not None
    assert mae.value > mae.floor > 5
    assert mae.error > 0
    with pytest.raises(NotFound, match="unknown metric"):
        engine.evaluate(EvaluateRequest(run=run, metrics=["nope"]))


def test_an_evaluation_is_a_task_with_arrays_and_a_report(engine, run):
    asked = EvaluateTask(request=EvaluateRequest(run=run, primaries=12))
    task = engine.start_task(asked).task_id
    wait_for(lambda: engine.task(task).ended, 180)
    done = engine.task(task)
    assert done.state == "finished", done.error
    assert done.evaluation
    assert done.evaluation.primaries == len(engine.task_arrays(task)["primary_id"]) == 12
    assert engine.report([task]).startswith(b"<!doctype html>")
    assert engine.start_task(asked).task_id == task, "what would come out the same is not done again"
    with pytest.raises(NotFound):
        engine.report(["evaluate-0123456789abcdef"])


def test_broken_generators_are_told_with_the_control_first(engine):
    found = engine.broken()
    assert found[0].name == "unbroken"
    assert len(found) > 3


@pytest.mark.parametrize("format", ["npz", "parquet", "root", "csv"])
def test_showers_export_as_files(engine, run, format):
    data = engine.export(GenerateRequest(run=run, particle=Particle(), n=2), format)
    start = {"npz": b"PK", "parquet": b"PAR1", "root": b"root", "csv": CONDITIONS[0].encode()}
    assert data.startswith(start[format])


def test_runs_and_history_are_the_run_s(engine, run):
    (info,) = [r for r in engine.runs() if r.run_id == run]
    assert info == engine.status(run)
    assert info.config["epochs"] == SMALL["epochs"]
    assert info.provenance["command"].startswith("showerscope train --data zdc_geant4 --model e2e_sae --set epochs=2")
    history = engine.history(run)
    assert history.last_step == info.steps
    assert engine.history(run, history.last_step).series["loss/total"].step == []
    with pytest.raises(NotFound):
        engine.history("nope")


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (TrainSpec(model="nope"), "unknown model"),
        (TrainSpec(data="nope"), "unknown data set"),
        (TrainSpec(config={"nonsense": 1}), "no setting 'nonsense'"),
        (TrainSpec(config={"epochs": 0}), "epochs = 0"),
        (TrainSpec(config={"learning_rate": "fast"}), "learning_rate"),
    ],
)
def test_a_training_that_makes_no_sense_is_refused_before_it_starts(engine, spec, match):
    before = len(engine.runs())
    with pytest.raises(WrongInput, match=match):
        engine.submit(spec)
    assert len(engine.runs()) == before


def test_a_submitted_run_waits_in_the_queue_and_can_be_taken_out(engine):
    run = engine.submit(TrainSpec(config=SMALL, name="mine"))
    info = engine.status(run)
    assert (info.state, info.queue_place, info.name, info.epochs) == ("queued", 1, "mine", SMALL["epochs"])
    assert engine.history(run).series == {}
    with pytest.raises(NotFound, match="no checkpoint yet"):
        engine.samples(run)
    with pytest.raises(WrongInput, match="only a running one"):
        engine.pause(run)
    engine.cancel(run)
    assert engine.status(run).state == "cancelled"
    engine.remove(run)
    with pytest.raises(EngineError):
        engine.status(run)


def test_a_bundled_model_is_a_run_that_cannot_be_steered(trained, tmp_path):
    service, run = trained
    (tmp_path / "small.safetensors").write_bytes(service.store.weights(run).read_bytes())
    service.rack.bundle, before = tmp_path, service.rack.bundle
    try:
        info = service.status("bundled:small")
        assert (info.bundled, info.state, info.data, info.model) == (True, "finished", "zdc_geant4", "e2e_sae")
        assert info in service.runs()
        request = GenerateRequest(run="bundled:small", particle=Particle())
        assert service.generate(request)["showers"].shape == (1, 44, 44)
        assert service.history("bundled:small").series == {}
        with pytest.raises(WrongInput, match="not trained here"):
            service.cancel("bundled:small")
        with pytest.raises(NotFound):
            service.status("bundled:../small")
    finally:
        service.rack.bundle = before


def test_the_newest_snapshot_cut_off_by_a_kill_leaves_the_one_before_in_use(trained):
    service, run = trained
    path = service.store.weights(run)
    data = path.read_bytes()
    try:
        path.write_bytes(data[:1000])
        step = service.samples(run).meta["step"]
        assert step == service.status(run).checkpoints[-2].step
    finally:
        path.write_bytes(data)

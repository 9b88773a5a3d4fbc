"""Evaluations whole: one code for page and command line, breakdowns, readings, times, calibration, the report."""

import html.parser
import json

import numpy as np
import pytest
import torch

from engine import evaluation
from engine.cli import main
from engine.datasets import base as datasets
from engine.export import report as page
from engine.host import Host
from engine.judge import held_out
from engine.schema import EvaluateRequest, EvaluateTask, NotFound, RunInfo, WrongInput

DATA = datasets.load("zdc_geant4")


class Replay(torch.nn.Module):
    """A model that answers with simulated showers of the very particles that are asked for, times a factor."""

    title = "replay"
    has_latent = False

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor, self.space = factor, DATA.space
        self.weight = torch.nn.Parameter(torch.zeros(3))
        self.rows = {tuple(np.float32(DATA.conditions[row])): row for row in range(len(DATA.showers))}

    def noise(self, conditions, rng):
        return torch.randint(0, 3, (1,), generator=rng).expand(len(conditions))

    def carry(self, noise, conditions):
        return noise

    def observed(self, expected, rng):
        return expected

    def decode(self, latent, conditions):
        rows = np.array([self.rows[tuple(c)] for c in conditions.numpy()])
        replica = (latent.numpy() + np.arange(len(rows))) % 3
        same = [np.flatnonzero(DATA.primary_id == DATA.primary_id[row]) for row in rows]
        picked = np.array([one[r % len(one)] for one, r in zip(same, replica, strict=True)])
        return torch.from_numpy(self.factor * DATA.showers[picked].astype(np.float32))


def judged(factor=1.0, **asked):
    request = EvaluateRequest(run="replay", **asked)
    info = RunInfo(run_id="replay", name="replay", data=DATA.name, model="vae")
    return evaluation.evaluate(Host("cpu", 1), Replay(factor), DATA, request, info)


@pytest.fixture(scope="module")
def whole():
    return judged()


def test_a_simulation_that_is_played_again_reads_its_floor_everywhere(whole):
    report, _ = whole
    assert report.metrics["mae"].value < report.metrics["mae"].floor  # it meets itself in one pair of three
    assert report.metrics["spread"].value == pytest.approx(1, abs=1e-6)
    assert report.metrics["empty_rate"].value == 0
    assert report.calibration.factor == pytest.approx(1, abs=1e-6)


def test_parts_hold_all_primaries_once_by_species_and_by_energy(whole):
    report, _ = whole
    first = held_out(DATA, "test")[::3]
    rare = sum(n for n in np.unique(DATA.pdg[first], return_counts=True)[1] if n < evaluation.LEAST_PRIMARIES)
    of = {by: [part for part in report.parts if part.by == by] for by in ("species", "energy", "channel")}
    assert sum(part.primaries for part in of["species"]) == report.primaries - rare
    assert sum(part.primaries for part in of["energy"]) == report.primaries
    assert len(of["channel"]) == 5
    mean = np.mean([part.metrics["mae"].value for part in of["channel"]])
    assert mean == pytest.approx(report.metrics["mae"].value)


def test_per_primary_errors_average_to_the_metric_and_rows_point_at_the_particles(whole):
    report, arrays = whole
    assert arrays["mae"].mean() == pytest.approx(report.metrics["mae"].value)
    assert arrays["mae_floor"].mean() == pytest.approx(report.metrics["mae"].floor)
    np.testing.assert_array_equal(DATA.primary_id[arrays["row"]], arrays["primary_id"])
    np.testing.assert_array_equal(DATA.conditions[arrays["row"]], arrays["conditions"])
    assert arrays["simulated"].shape == arrays["generated"].shape == (182, 3, 5)


def test_profiles_are_shares_of_light_and_correlations_are_coefficients(whole):
    _, arrays = whole
    assert len(arrays["radius_mm"]) == len(arrays["profile_simulated"]) + 1
    for name in ("simulated", "generated"):
        assert arrays[f"profile_{name}"].sum() == pytest.approx(1)
        assert (arrays[f"profile_{name}_error"] >= 0).all()
        matrix = arrays[f"correlation_{name}"]
        np.testing.assert_allclose(matrix, matrix.T)
        np.testing.assert_allclose(np.diag(matrix), 1)
        assert np.abs(matrix).max() <= 1 + 1e-9


def test_a_factor_for_all_light_is_found_on_validation_and_mends_the_judged_primaries():
    report, _ = judged(1.25)
    found = report.calibration
    assert found.split == "validation"
    assert found.factor == pytest.approx(0.8, rel=1e-6)
    assert found.after["wasserstein"].value < found.before["wasserstein"].value
    assert found.before["wasserstein"].value == pytest.approx(report.metrics["wasserstein"].value)


def test_validation_primaries_are_never_calibrated_on_themselves():
    report, _ = judged(1.25, split="validation", primaries=20)
    assert report.calibration.split == "train"


def test_truncated_light_is_never_more_than_raw_light_and_whole():
    raw, cut = (judged(0.7, reading=reading, metrics=["mae"])[1]["generated"] for reading in ("raw", "truncated"))
    assert (cut <= raw).all()
    assert cut.sum() < raw.sum()
    np.testing.assert_array_equal(cut, np.round(cut))


def test_a_threshold_leaves_out_primaries_by_their_simulated_light_alone():
    report, arrays = judged(0.01, threshold=18, metrics=["mae"])
    light = arrays["simulated"].sum(axis=2).mean(axis=1)
    assert light.min() >= 18
    assert report.primaries == len(light) < 182
    with pytest.raises(WrongInput, match="threshold"):
        judged(threshold=1_000_000)


def test_a_request_that_names_metrics_gets_these_alone():
    report, _ = judged(metrics=["mae"])
    assert set(report.metrics) == {"mae"}
    assert (report.parts, report.timing, report.calibration) == ([], [], None)


def test_times_are_given_for_each_batch_with_their_scatter(whole):
    report, _ = whole
    assert [t.batch for t in report.timing] == [1, 100, 10_000]
    assert all(t.ms > 0 and t.repeats >= 2 for t in report.timing)


def test_progress_rises_to_its_end():
    seen = []
    request = EvaluateRequest(run="replay", primaries=20)
    info = RunInfo(run_id="replay", name="replay", data=DATA.name, model="vae")
    evaluation.evaluate(Host("cpu", 1), Replay(), DATA, request, info, lambda done, of: seen.append(done / of))
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) > 5


# ------------------------------------------------------------------------------------------------- task and command
def test_page_and_command_line_read_the_same_numbers(trained, capsys, monkeypatch, tmp_path):
    """A task in a process of its own, and the command, of the same request."""
    from conftest import wait_for

    service, run = trained
    info = service.start_task(EvaluateTask(request=EvaluateRequest(run=run, primaries=30)))
    wait_for(lambda: service.task(info.task_id).ended, 120)
    done = service.task(info.task_id)
    assert done.state == "finished", done.error
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(service.home))
    out = tmp_path / "report.html"
    assert main(["evaluate", "--run", run, "--primaries", "30", "--json", "--report", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"] == {name: value.model_dump() for name, value in done.evaluation.metrics.items()}
    assert told["parts"] == [part.model_dump() for part in done.evaluation.parts]
    assert service.start_task(EvaluateTask(request=EvaluateRequest(run=run, primaries=30))).task_id == info.task_id
    assert out.read_bytes().startswith(b"<!doctype html>")
    assert service.report([info.task_id]).startswith(b"<!doctype html>")
    arrays = service.task_arrays(info.task_id)
    assert len(arrays["primary_id"]) == 30
    kept = [file.path for file in service.store._artifacts(run).list_artifacts("evaluations")]
    assert [path for path in kept if info.task_id in path] == [f"evaluations/{info.task_id}.json"], kept


def test_what_cannot_be_judged_is_refused_before_a_process_starts(trained):
    service, run = trained
    for wrong, error, words in (
        ({"run": "nope"}, NotFound, "no run"),
        ({"run": run, "step": 123456}, NotFound, "no checkpoint at step"),
        ({"run": run, "data": "nope"}, NotFound, "unknown data set"),
        ({"run": run, "metrics": ["nope"]}, NotFound, "unknown metric"),
        ({"run": run, "convention": "nope"}, WrongInput, "convention"),
    ):
        with pytest.raises(error, match=words):
            service.start_task(EvaluateTask(request=EvaluateRequest(**wrong)))


# ------------------------------------------------------------------------------------------------------- the report
class Text(html.parser.HTMLParser):
    """Tags that stay open, and what a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.foreign: list[str] = []
        self.words = ""

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag in ("script", "link", "iframe", "img"):
            self.foreign.append(tag)
        self.foreign += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v and not v.startswith("#")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def test_the_report_stands_alone_and_holds_every_number(whole):
    report, arrays = whole
    other = report.model_copy(update={"name": "<b>other</b>", "run_id": "other"})
    reader = Text()
    reader.feed(page.page([(report, arrays), (other, arrays)]).decode())
    assert reader.open == []
    assert reader.foreign == []
    for value in report.metrics.values():
        assert page.both(value) in reader.words
    assert "<b>other</b>" in reader.words, "a name is text, never markup"
    assert "convention paper" in reader.words
    assert report.label in reader.words


def test_the_best_is_marked_only_beyond_errors(whole):
    mae = whole[0].metrics["mae"]
    close = mae.model_copy(update={"value": mae.value + 0.5 * mae.error})
    far = mae.model_copy(update={"value": mae.value + 10 * mae.error})
    assert page.best([mae, close], "lower") == []
    assert page.best([far, mae], "lower") == [1]
    assert page.best([far, mae], "higher") == [0]
    assert page.best([mae, None], "lower") == []


def test_evaluations_of_different_primaries_are_not_put_side_by_side(whole):
    report, arrays = whole
    other = report.model_copy(update={"threshold": 5})
    with pytest.raises(WrongInput, match="threshold"):
        page.page([(report, arrays), (other, arrays)])
    with pytest.raises(WrongInput, match="1 to 6"):
        page.page([])

"""Compare, models side by side: what is judged, what is shown of it, and what is said when it cannot be."""

import json
from typing import Any, cast

import numpy as np
import pytest
from fake import BUNDLED, STEPS, DownEngine, FakeEngine
from fake_kinds import ARC_RUN, DIGIT_RUN, KindsEngine
from streamlit.testing.v1 import AppTest
from test_pages import page, words

from app import state
from app.charts import judged, looks, matrices, ranking, regions, stacks
from app.components import header
from app.views import showers, standing
from engine.schema import (
    Arrays,
    Checkpoint,
    Engine,
    EvaluateRequest,
    EvaluateTask,
    MetricInfo,
    NotFound,
    RunInfo,
    TrainSpec,
)

MINE = "mine"


def trained(engine: FakeEngine, *names: str) -> FakeEngine:
    """The same with finished runs of these names."""
    for name in names:
        run = engine.submit(TrainSpec(name=name))
        engine.store[run].update(at=STEPS, state="finished")
    state.use_engine(lambda: engine)
    return engine


@pytest.fixture
def two() -> FakeEngine:
    """An engine with the bundled model and one more, that judges at once."""
    return trained(FakeEngine(task_s=0.0), MINE)


def opened(**query: Any) -> AppTest:
    test = page("compare")
    test.query_params.update(query)
    return test.run()


def label(engine: FakeEngine, run: str) -> str:
    return header.label(engine.status(run))


def requests(engine: FakeEngine) -> list[EvaluateRequest]:
    return [b.task.request for b in engine.begun.values() if isinstance(b.task, EvaluateTask)]


def metrics(test: AppTest) -> Any:
    return test.dataframe[0].value


# ----------------------------------------------------------------------------------------------------------- switch
def test_two_models_open_side_by_side_and_one_opens_the_records(two: FakeEngine):
    assert opened().segmented_control(key=state.HALF).value == "Models"
    state.use_engine(FakeEngine)
    test = opened()
    assert test.segmented_control(key=state.HALF).value == "Benchmarks"
    assert "no verdict" in words(test)


@pytest.mark.parametrize("query", [{"record": "gone"}, {"row": "cond. VAE"}, {"half": "Benchmarks"}])
def test_links_to_records_open_records(two: FakeEngine, query: dict[str, str]):
    test = opened(**query)
    assert not test.exception
    assert "no verdict" in words(test)
    assert not requests(two)


def test_one_model_is_judged_and_a_second_is_one_training_away():
    engine = trained(FakeEngine(task_s=0.0))
    test = opened(half="Models")
    assert not test.exception
    assert "Train a second one" in words(test)
    assert list(metrics(test)["row"][:2]) == [ranking.FLOOR, "bundled e2e SAE"]
    assert len(requests(engine)) == 1


def test_without_a_model_the_way_to_one_is_said():
    state.use_engine(lambda: FakeEngine(empty=True))
    test = opened(half="Models")
    assert not test.exception
    assert "No trained model here yet" in words(test)


# ---------------------------------------------------------------------------------------------------------- judging
def test_choosing_begins_to_judge_and_what_is_judged_is_said(two: FakeEngine):
    test = opened()
    assert not test.exception
    assert not test.error
    assert {r.run for r in requests(two)} == {BUNDLED, "run1"}
    said = words(test)
    for fact in ("257 test primaries", "771 generated showers", "convention `paper`", "whole photons drawn", "seed 0",
                 "Geant4 11.4.1"):  # fmt: skip
        assert fact in said, fact


def test_split_reading_threshold_seed_and_read_out_reach_the_engine(two: FakeEngine):
    opened(of="validation", reading="truncated", least="5", seed="7", convention="moe")
    found = requests(two)[0]
    asked = (found.split, found.reading, found.threshold, found.seed, found.convention, found.data, found.slow)
    assert asked == ("validation", "truncated", 5, 7, "moe", "zdc_geant4", False)


def test_the_same_choice_is_not_judged_twice(two: FakeEngine):
    test = opened()
    before = len(two.begun)
    test.run()
    opened()
    assert len(two.begun) == before


def test_while_models_are_judged_each_has_a_bar_and_can_be_cancelled_and_judged_again(two: FakeEngine):
    two.task_s = 1000.0
    test = opened()
    assert not test.exception
    assert [b.label for b in test.button if b.label == "Cancel"] == ["Cancel"] * 2
    assert not test.dataframe
    next(b for b in test.button if b.label == "Cancel").click().run()
    test.run()
    assert "Cancelled; nothing was kept" in words(test)
    assert sorted(b.ended for b in two.begun.values()) == ["", "cancelled"]
    next(b for b in test.button if b.label == "Judge again").click().run()
    assert [b.ended for b in two.begun.values()] == ["", ""]


def test_a_failed_model_says_why_beside_the_numbers_of_the_other(two: FakeEngine):
    two.faults["run1"] = "its weights are not finite: resume it from an earlier checkpoint"
    test = opened()
    assert not test.exception
    assert "its weights are not finite" in words(test)
    assert list(metrics(test)["row"][:2]) == [ranking.FLOOR, "bundled e2e SAE"]
    two.faults.clear()
    next(b for b in test.button if b.label == "Judge again").click().run()
    assert MINE in list(metrics(test)["row"])


def test_an_interrupted_task_offers_to_judge_again(two: FakeEngine):
    two.task_s = 1000.0
    test = opened()
    for began in two.begun.values():
        began.ended, began.error = "interrupted", "the engine was restarted"
    test.run()
    assert not test.exception
    assert words(test).count("the engine was restarted") == 2
    assert len([b for b in test.button if b.label == "Judge again"]) == 2


def test_a_task_that_the_engine_has_forgotten_is_begun_anew(two: FakeEngine):
    test = opened()
    two.begun.clear()
    test.run()
    assert not test.exception
    assert len(requests(two)) == 2


def test_a_refusal_is_said_in_its_words(two: FakeEngine, monkeypatch):
    def refuse(task: Any) -> Any:
        raise NotFound("this engine judges nothing: start it without --no-train")

    monkeypatch.setattr(two, "start_task", refuse)
    test = opened()
    assert not test.exception
    assert words(test).count("this engine judges nothing") == 2


def test_when_the_engine_goes_the_last_numbers_stay_and_are_marked(two: FakeEngine):
    engine: list[Any] = [two]
    state.use_engine(lambda: cast(Engine, engine[0]))
    test = opened()
    engine[0] = DownEngine()
    test.run()
    assert not test.exception
    assert "Stale" in words(test)
    assert MINE in list(metrics(test)["row"])


def test_a_model_that_has_learned_on_can_be_judged_anew(two: FakeEngine, monkeypatch):
    test = opened()
    assert "has learned on" not in words(test)
    status, later = two.status, Checkpoint(step=STEPS + 200, epoch=70)

    def learned_on(run: str) -> RunInfo:
        info = status(run)
        return info.model_copy(update={"checkpoints": [*info.checkpoints, later]}) if run == "run1" else info

    monkeypatch.setattr(two, "status", learned_on)
    test.run()
    assert not test.exception
    assert f"mine has learned on to step {STEPS + 200:,}" in words(test)
    test.button(key="newest run1").click().run()
    assert not test.exception


def test_classifiers_are_asked_for_and_only_then_have_columns(two: FakeEngine):
    test = opened(group="all")
    assert "AUC" not in metrics(test)
    assert not any(r.slow for r in requests(two))
    test.toggle(key=state.SLOW).set_value(True).run()
    assert not test.exception
    assert sum(r.slow for r in requests(two)) == 2
    assert "AUC" in metrics(test)


def test_while_classifiers_are_trained_the_other_numbers_stand(two: FakeEngine):
    opened()
    two.task_s = 1000.0
    test = opened(slow="true")
    assert not test.exception
    assert MINE in list(metrics(test)["row"])
    assert [b.label for b in test.button if b.label == "Cancel"] == ["Cancel"] * 2


# ------------------------------------------------------------------------------------------------- odd links, odd homes
def test_names_that_a_link_knows_and_this_home_does_not_are_said(two: FakeEngine):
    test = opened(half="Models", models=["lost one · zdc_geant4 · 0123456789ab", label(two, "run1")])
    assert not test.exception
    assert "models that are not here: lost one" in words(test)
    assert list(metrics(test)["row"][:2]) == [ranking.FLOOR, MINE]


def test_a_link_of_unknown_names_alone_opens_a_choice_of_ours(two: FakeEngine):
    test = opened(models=["lost"])
    assert not test.exception
    assert "not here: lost" in words(test)
    assert MINE in list(metrics(test)["row"])


def test_models_of_other_data_are_left_out_and_named():
    engine = trained(KindsEngine(task_s=0.0))
    test = opened(half="Models", models=[label(engine, BUNDLED), label(engine, DIGIT_RUN)])
    assert not test.exception
    assert "Left out" in words(test)
    assert "my digits" in words(test)
    assert {r.run for r in requests(engine)} == {BUNDLED}


def test_a_data_set_that_is_gone_is_said_and_another_is_taken(two: FakeEngine, monkeypatch):
    status = two.status
    monkeypatch.setattr(
        two, "status",
        lambda run: status(run).model_copy(update={"data": "my_import"} if run == "run1" else {}),
    )  # fmt: skip
    test = opened(models=[label(two, "run1")])
    assert not test.exception
    assert "learned from my\\_import" in words(test)
    assert requests(two)[0].data == "zdc_geant4"


def test_no_model_chosen_is_no_error(two: FakeEngine):
    test = opened()
    test.multiselect(key=state.COMPARED).set_value([]).run()
    assert not test.exception
    assert "Choose one to six models" in words(test)


@pytest.mark.parametrize("run", [DIGIT_RUN, ARC_RUN])
def test_images_and_points_have_a_table_and_examples_but_no_channels(run: str):
    engine = trained(KindsEngine(task_s=0.0))
    test = opened(half="Models", models=[label(engine, run)])
    assert not test.exception
    assert not test.error
    said = words(test)
    assert "side by side" in said
    assert "Read-out channels" not in said
    assert "convention" not in said
    if run == DIGIT_RUN:
        assert {"FID", "Accuracy of labels [%]"} <= set(metrics(test).columns)
    else:
        assert "No metric" in said


def test_six_models_at_once_are_shown():
    engine = trained(FakeEngine(task_s=0.0), *"abcde")
    test = opened(models=[label(engine, run) for run in engine.store])
    assert not test.exception
    assert len(set(metrics(test)["row"])) == 6 + 1 + 4


# -------------------------------------------------------------------------------------------------------------- table
def test_the_table_has_the_floor_first_and_published_rows_marked_and_unranked(two: FakeEngine):
    table = metrics(opened())
    assert list(table["row"][:3]) == [ranking.FLOOR, "bundled e2e SAE", MINE]
    assert list(table["remark"][3:]) == ["other subsets"] * 4
    assert table["MAE [photons]"].iloc[3] == 23.13


def infos(*named: tuple[str, str]) -> list[MetricInfo]:
    return [
        MetricInfo(name=n, title=n, short=n, unit="", direction="lower", formula="", group=g)  # pyright: ignore[reportArgumentType]
        for n, g in named
    ]


TWENTY = infos(
    *((n, "channels") for n in ("mae", "wasserstein", "jaccard", "separation", "empty_rate", "photon_sum")),
    *((n, "replicas") for n in ("mae_cond", "dispersion", "f_div", "spread")),
    *((n, "shape") for n in ("radial_profile", "centre", "correlation")),
    *((n, "features") for n in ("fpd", "kpd", "precision", "recall", "density", "coverage")),
    *((n, "classifiers") for n in ("auc", "auc_features", "auc_conditions", "jsd")),
)  # fmt: skip


def grouped(two: FakeEngine, some: list[MetricInfo]) -> dict[str, list[str]]:
    book = two.catalogue().model_copy(update={"metrics": some})
    columns = [ranking.Column(m.name, m.title, m.short, m.unit, m.direction) for m in some]
    return {name: [c.name for c in found] for name, found in judged.groups_of(columns, book).items()}


@pytest.mark.parametrize("n", [0, 1, 4, 7, 23])
def test_an_mae_never_stands_without_the_spread_and_no_metric_is_lost(two: FakeEngine, n: int):
    some = TWENTY[:n]
    groups = grouped(two, some)
    held = {m.name for m in some}
    assert set().union(*map(set, groups.values())) == held
    for names in groups.values():
        assert len(names) == len(set(names))
        if {"mae", "mae_cond"} & set(names) and "spread" in held:
            assert "spread" in names
    assert next(iter(groups)) == judged.FIRST
    assert len(groups[judged.FIRST]) <= judged.MOST_MAIN


def test_groups_that_the_engine_invents_are_shown_too(two: FakeEngine):
    columns = [ranking.Column("new", "New", "new", "", "")]
    assert [c.name for c in judged.groups_of(columns, two.catalogue())[judged.FIRST]] == ["new"]


def test_the_csv_holds_every_number(two: FakeEngine):
    report, _ = two.judge(EvaluateRequest(run=BUNDLED))
    table = judged.numbers([report], ["one"])
    assert set(table["by"]) == {"all", "species", "energy", "channel", "batch", "calibration"}
    inner = sum(len(p.metrics) for p in report.parts)
    assert len(table) == len(report.metrics) + inner + len(report.timing) + 1 + 4
    assert np.isfinite(table["value"].to_numpy(float)).all()


def test_reports_of_other_particles_are_not_compared(two: FakeEngine):
    one, _ = two.judge(EvaluateRequest(run=BUNDLED))
    other, _ = two.judge(EvaluateRequest(run="run1", threshold=18))
    assert judged.same_primaries([one, one, other]) == [True, True, False]


def test_the_calibration_says_where_it_was_fitted(two: FakeEngine):
    said = words(opened())
    assert "validation** particles, never on the ones judged" in said


def test_report_numbers_and_page_can_be_taken_away(two: FakeEngine):
    test = opened()
    assert [b.label for b in test.download_button] == [
        "Report, one HTML page",
        ".csv, every number",
        ".json, the reports",
    ]
    assert two.report(list(two.begun)).startswith(b"<!doctype html>")


# ------------------------------------------------------------------------------------------------------ side by side
def test_next_and_previous_walk_through_the_particles_and_stop_at_the_ends(two: FakeEngine):
    test = opened()
    assert "1 of 257" in words(test)
    test.button(key="previous_particle").click().run()
    assert "1 of 257" in words(test)
    test.button(key="next_particle").click().run()
    assert "2 of 257" in words(test)
    assert "257 of 257" in words(opened(place="257"))


def test_few_typical_and_many_photons_are_what_they_say(two: FakeEngine):
    _, arrays = two.judge(EvaluateRequest(run=BUNDLED))
    light = np.asarray(arrays["simulated"]).sum(2).mean(1)
    few, typical, many = (
        light[showers.order_of(arrays, w)[:9]].mean() for w in ("few photons", "typical", "many photons")
    )
    assert few < typical < many
    assert sorted(showers.order_of(arrays, "typical")) == list(range(len(light)))


def test_worst_here_begins_furthest_above_the_floor_in_the_cell_chosen(two: FakeEngine):
    test = opened(like_which="worst here")
    assert not test.exception
    cell = test.selectbox(key=state.CELL).value
    _, arrays = two.judge(EvaluateRequest(run=BUNDLED))
    assert f"of {len(regions.members_of(arrays, regions.ENERGY, cell))}" in words(test)


def test_the_map_s_button_leads_to_its_particles_above(two: FakeEngine):
    test = opened(place="9")
    test.button(key="show_worst").click().run()
    assert not test.exception
    assert test.segmented_control(key=state.LIKE_WHICH).value == showers.WORST
    assert test.number_input(key=state.PLACE).value == 1


# ------------------------------------------------------------------------------------------------------------- charts
def test_every_shower_is_in_a_bin_and_models_are_scaled_to_the_simulation():
    rng = np.random.default_rng(0)
    simulated, made = rng.poisson(30, 900), rng.poisson(40, 300)
    panel = stacks.counted("channel 1", "photons", simulated, [made, np.array([10**6])])
    assert panel.simulated.sum() == 900
    assert [m.sum() for m in panel.models] == [900, 900]
    assert panel.models[1][-1] == 900, "overflow goes into the last bin"
    assert (panel.low <= panel.simulated).all()
    assert (panel.simulated <= panel.high).all()


@pytest.mark.parametrize("values", [np.zeros(5), np.array([3.0]), np.array([])])
def test_panels_of_nothing_are_drawn(values: np.ndarray):
    panel = stacks.counted("channel 1", "photons", values, [values])
    json.dumps(stacks.draw([panel], looks.looks(["a"], False), False, 1, 300, True), allow_nan=False)


def test_models_differ_in_colour_and_in_dash_and_in_symbol():
    for dark in (False, True):
        found = looks.looks(list("abcdef"), dark)
        for field in ("colour", "dash", "symbol"):
            assert len({str(getattr(look, field)) for look in found}) == 6


@pytest.mark.parametrize("over", regions.AXES)
def test_cells_hold_every_primary_once_and_few_are_not_judged(two: FakeEngine, over: str):
    _, arrays = two.judge(EvaluateRequest(run=BUNDLED))
    grid = regions.grid_of(arrays, over)
    held = np.concatenate([c.members for c in grid.cells])
    assert sorted(held) == list(range(len(arrays["primary_id"])))
    assert len({c.title for c in grid.cells}) == len(grid.cells)
    assert all(c.judged == (len(c.members) >= regions.FEW) for c in grid.cells)
    ratios = [c.ratio for c in grid.worst()]
    assert ratios == sorted(ratios, reverse=True)
    json.dumps(regions.draw(grid, grid.worst()[0].title, True), allow_nan=False)


def test_a_map_of_one_primary_has_no_cell_to_judge():
    one = {"impact_mm": np.zeros((1, 2)), "conditions": np.full((1, 9), 5.0), "mae": np.ones(1),
           "mae_floor": np.zeros(1), "primary_id": np.ones(1)}  # fmt: skip
    grid = regions.grid_of(Arrays(one), regions.ENERGY)
    assert grid.worst() == []
    json.dumps(regions.draw(grid, None, False), allow_nan=False)


def test_correlations_of_models_are_given_as_differences():
    base = np.eye(5)
    spec = matrices.draw(base, {"a": base + 0.2}, False, 0.2)
    assert [s["data"][0]["value"][2] for s in spec["series"]] == [1.0, pytest.approx(0.2)]
    assert matrices.farthest(base, {"a": base + 0.2, "b": base - 0.3}) == pytest.approx(0.3)
    json.dumps(matrices.draw(np.full((5, 5), np.nan), {"a": base}, True, 0.1, first=False), allow_nan=False)


def test_every_chart_has_its_words(two: FakeEngine):
    test = opened()
    charts = [element for element in test.main if element.type == "echarts_chart"]
    found = [c.proto.alt for c in charts if hasattr(c.proto, "alt")]
    assert all(found)
    assert standing.READ.keys() == {"drawn", "raw", "truncated"}

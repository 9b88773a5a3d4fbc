"""The latent page with a fake engine: what is selected and how it is said, holes, points, ways, a second model, epochs,
and what is said when something is missing."""

import json
from typing import cast

import pytest
from fake import BUNDLED, STEPS, DownEngine, FakeEngine
from fake_kinds import ARC_RUN, DIGIT_RUN, KindsEngine
from streamlit.testing.v1 import AppTest
from test_pages import markup, page, sound, words

from app import state
from app.components import header, maps
from app.views import holes, interpolation
from engine.schema import Engine, MapRequest, TrainSpec, WrongInput


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine(task_s=0.0)
    state.use_engine(lambda: engine)
    return engine


def opened(run: str = "", **link: str) -> AppTest:
    test = page("latent")
    if run:
        test.session_state[state.RUN] = run
    for key, value in link.items():
        test.query_params[key] = value
    return test.run()


def everything(test: AppTest) -> str:
    return words(test) + markup(test)


def trained(engine: FakeEngine, name: str) -> str:
    run = engine.submit(TrainSpec(name=name))
    engine.store[run].update(at=STEPS, state="finished")
    return run


# ----------------------------------------------------------------------------------------------------------- selection
def test_the_page_opens_with_a_sample_of_the_whole_map(engine: FakeEngine):
    test = opened()
    sound(test)
    assert "Nothing selected" in words(test)
    assert "never on the map" in words(test)
    assert test.selectbox(key=state.MAP_COLOUR).options == [
        "layer", "species", "energy", "impact x", "impact y", "impact radius", "photon sum", "density ratio"
    ]  # fmt: skip
    assert "<b>Simulation</b>, 30 of n/N = 1,000/1,000" in markup(test)


def test_gates_are_said_in_numbers_and_open_a_gallery_and_histograms(engine: FakeEngine):
    test = opened()
    test.number_input(key="energy_from").set_value(500.0).run()
    sound(test)
    assert "energy ≥ 500 GeV" in markup(test)
    assert "Selection against the rest: n/N" in words(test)
    test.number_input(key="radius_to").set_value(20.0)
    test.multiselect(key=state.GATE_KINDS).select(2112).run()
    assert "energy ≥ 500 GeV and impact radius ≤ 20 mm and species n" in markup(test)
    test.button(key="clear_selection").click().run()
    sound(test)
    assert "Nothing selected" in words(test)


def test_gates_that_keep_nothing_say_so(engine: FakeEngine):
    test = opened(energy_from="5000")
    sound(test)
    assert "No point fulfils all of that together" in words(test)


def test_a_link_reopens_colour_gates_and_lasso(engine: FakeEngine):
    test = opened(colour="energy", energy_to="300", lasso="-60,-60_60,-60_60,0_-60,0@1200")
    sound(test)
    assert test.selectbox(key=state.MAP_COLOUR).value == "energy"
    assert "inside a lasso of 4 corners on the map of step 1,200 and energy ≤ 300 GeV" in markup(test)
    assert "Selection against the rest" in words(test)


def test_a_broken_lasso_in_a_link_is_left_out(engine: FakeEngine):
    test = opened(lasso="what,is_this")
    sound(test)
    assert "Nothing selected" in words(test)


def test_a_lasso_of_another_epoch_follows_its_points(engine: FakeEngine):
    run = trained(engine, "mine")
    engine.map_s = 0.0
    test = opened(run, lasso="-60,-60_60,-60_60,0_-60,0@1200")
    before = markup(test)
    test.select_slider(key=state.TRAIN_STEP).set_value("200").run()
    sound(test)
    assert "lasso of 4 corners on the map of step 1,200" in before
    assert before.split("n/N: ")[1].split("</b>")[0] in markup(test)


def test_another_map_drops_the_lasso_of_the_last_one(engine: FakeEngine):
    test = opened(lasso="-60,-60_60,-60_60,0_-60,0@1200")
    test.selectbox(key=state.MAP_SPACE).set_value("observables").run()
    sound(test)
    assert "lasso" not in markup(test)
    assert state.LASSO not in test.query_params


# -------------------------------------------------------------------------------------------------- holes and coverage
def test_the_planted_hole_is_found_said_and_chosen(engine: FakeEngine):
    test = opened()
    listed = test.radio(key=holes.CHOICE)
    assert any("Hole 1" in option for option in listed.options)
    listed.set_value("Hole 1").run()
    sound(test)
    assert "hole (" in markup(test)
    assert "mostly n" in markup(test)
    assert "generated 0/1,000" in markup(test)
    assert test.query_params[state.MAP_REGION] == "Hole 1"


def test_a_link_reopens_a_hole_when_it_is_found(engine: FakeEngine):
    engine.task_s = 60.0
    test = opened(region="Hole 1")
    assert "The link asks for hole 1" in words(test)
    engine.task_s = 0.0
    test.run()
    sound(test)
    assert test.radio(key=holes.CHOICE).value == "Hole 1"
    assert "Selection against the rest" in words(test)


def test_a_hole_that_is_not_there_is_said(engine: FakeEngine):
    test = opened(region="Hole 99")
    assert "hole 99 is not among" in words(test)
    assert "Nothing selected" in words(test)


def test_coverage_has_errors_floors_k_and_n_by_species_and_energy(engine: FakeEngine):
    test = opened()
    assert "n = 1,000 points a layer with k = 5 neighbours" in words(test)
    for name in ("density", "coverage", "precision", "recall", "sinkhorn"):
        assert f">{name}<" in markup(test)
    assert test.segmented_control(key=state.COVERED).value == "coverage"
    test.segmented_control(key=state.COVERED).set_value("recall").run()
    sound(test)


def test_large_maps_wait_to_be_asked(engine: FakeEngine):
    large = FakeEngine(task_s=0.0, copies=3)
    state.use_engine(lambda: large)
    test = opened(points="5000")
    sound(test)
    assert not large.begun
    test.button(key="cover_regions").click().run()
    sound(test)
    assert "Hole 1" in str(test.radio(key=holes.CHOICE).options)


def test_a_look_under_way_can_be_cancelled_and_begun_again(engine: FakeEngine):
    engine.task_s = 60.0
    test = opened()
    (stop,) = [b for b in test.button if str(b.key).startswith("cancel coverage")]
    stop.click().run()
    assert "Cancelled" in words(test)
    engine.task_s = 0.0
    test.button(key="cover_regions").click().run()
    sound(test)
    assert "never on the map" in words(test)
    assert test.radio(key=holes.CHOICE)


def test_a_look_that_failed_says_why(engine: FakeEngine):
    engine.faults[BUNDLED] = "codes are not finite at step 1200"
    test = opened()
    assert "codes are not finite at step 1200" in "".join(e.value for e in test.error).replace("\\", "")
    assert test.button(key="cover_regions").label == "Look again"


# -------------------------------------------------------------------------------------------------------- single points
def test_two_points_make_a_way_through_codes_or_along_conditions(engine: FakeEngine):
    test = opened(a="5", b="1300")
    sound(test)
    assert "point 5, data" in words(test)
    assert "point 1,300, generated" in words(test)
    walk = test.selectbox(key=state.WALK)
    assert walk.options == [
        interpolation.CODES, interpolation.CODES_HERE, interpolation.ENERGY, interpolation.ALL
    ]  # fmt: skip
    assert engine.decoded is not None
    assert len({tuple(row) for row in engine.decoded}) > 1
    walk.set_value(interpolation.CODES_HERE).run()
    assert len({tuple(row) for row in engine.decoded}) == 1
    test.selectbox(key=state.WALK).set_value(interpolation.ENERGY).run()
    sound(test)
    assert "same noise (seed 0)" in words(test)
    test.select_slider(key=state.WALK_AT).set_value("B").run()
    sound(test)
    assert "Place 9 of 9" in markup(test)


def test_a_third_point_pushes_the_oldest_out():
    def picks() -> None:
        import streamlit as st

        from app.views import interpolation

        for number in (3, 7, 7, 9):
            interpolation.mark(number)
        st.write(st.session_state["a"], st.session_state["b"])

    assert "`7` `9`" in AppTest.from_function(picks).run().markdown[0].value


def test_points_of_a_larger_map_are_dropped(engine: FakeEngine):
    test = opened(points="300", a="1900")
    sound(test)
    assert "A click on the map" in words(test)


# ------------------------------------------------------------------------------------------- models without an encoder
def test_a_model_without_encoder_gets_a_space_of_observables_and_ways_along_conditions(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
):
    book = engine.catalogue()
    bare = book.models[0].model_copy(update={"has_latent": False})
    monkeypatch.setattr(engine, "catalogue", lambda: book.model_copy(update={"models": [bare]}))
    state.catalogue.clear()
    test = opened(a="5", b="1300")
    sound(test)
    assert test.selectbox(key=state.MAP_SPACE).options == ["observables", "pixels"]
    assert test.selectbox(key=state.WALK).options == [interpolation.ENERGY, interpolation.ALL]
    assert "observables space" in words(test)
    state.catalogue.clear()


@pytest.mark.parametrize(("run", "spaces"), [(DIGIT_RUN, 3), (ARC_RUN, 2)])
def test_images_and_points_have_spaces_gates_coverage_and_ways(run: str, spaces: int):
    kinds = KindsEngine(task_s=0.0)
    state.use_engine(lambda: kinds)
    test = opened(run, points="300", a="3", b="8")
    sound(test)
    assert len(test.selectbox(key=state.MAP_SPACE).options) == spaces
    for way in test.selectbox(key=state.WALK).options:
        test.selectbox(key=state.WALK).set_value(way).run()
        sound(test)
    test.multiselect(key=state.GATE_KINDS).select("1").run()
    sound(test)
    assert "Selection against the rest" in words(test)


# --------------------------------------------------------------------------------------------------------------- epochs
def test_play_walks_the_epochs_and_ends_at_the_last(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(maps, "STAND_S", 0.0)
    run, engine.map_s = trained(engine, "mine"), 0.0
    test = opened(run)
    test.button(key="play_epochs").click().run()
    sound(test)
    assert test.select_slider(key=state.TRAIN_STEP).value == str(STEPS)
    assert test.button(key="play_epochs").label == "Play"
    asked = [json.loads(key)["step"] for key in (k.split("}")[0] + "}" for k in engine.maps)]
    assert [s for s in dict.fromkeys(asked) if s is not None] == [1200, 0, 200, 400, 600, 800, 1000]


def test_a_training_run_is_followed_to_its_newest_snapshot(engine: FakeEngine):
    run, engine.map_s = engine.submit(TrainSpec(name="mine")), 0.0
    engine.steps_per_s = 1e-6
    engine.store[run].update(at=450)
    test = opened(run)
    sound(test)
    assert "Following the training of mine" in words(test)
    assert "at step 400" in words(test)
    assert not engine.begun  # nothing is looked at while it moves
    engine.store[run].update(at=650)
    test.run()
    assert "at step 600" in words(test)


def test_a_map_under_way_shows_how_far_it_is(engine: FakeEngine):
    run, engine.map_s = trained(engine, "mine"), 600.0
    test = opened(run)
    sound(test)
    assert "Computing the map of step 1,200" in str(test.get("progress")[0].proto)
    assert not engine.begun


# --------------------------------------------------------------------------------------------------------- second model
def test_a_second_model_stands_beside_with_the_same_rows_selected(engine: FakeEngine):
    run, engine.map_s = trained(engine, "cond. VAE"), 0.0
    test = opened(beside=header.label(engine.status(run)), lasso="2:-60,-60_60,-60_60,0_-60,0@1200")
    sound(test)
    assert words(test).count("Separability of species: **0.830 ± 0.020**, floor 0.520 ± 0.020") == 2
    assert "on the second map" in markup(test)
    assert len(test.get("echarts_chart")) >= 2 or "cond. VAE" in words(test)


def test_a_second_model_needs_the_same_data_set():
    kinds = KindsEngine(task_s=0.0)
    state.use_engine(lambda: kinds)
    options = opened().selectbox(key=state.MAP_BESIDE).options
    assert options == ["none"]


# ----------------------------------------------------------------------------------------------- something is gone
def test_a_map_that_failed_says_why(engine: FakeEngine):
    engine.map_faults[BUNDLED] = "latent codes are not finite: choose another checkpoint"
    test = opened()
    assert not test.exception
    assert "could not be computed: latent codes are not finite" in words(test)


def test_a_data_set_that_is_gone_is_named(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "datasets", list)
    state.datasets.clear()
    test = opened()
    assert not test.exception
    assert "A data set is gone" in words(test)
    state.datasets.clear()


def test_the_last_map_stays_when_the_engine_goes_and_is_marked():
    live: list = [FakeEngine(task_s=0.0)]
    state.use_engine(lambda: live[0])
    test = opened(region="Hole 1", a="5", b="1300")
    sound(test)
    live[0] = cast(Engine, DownEngine())
    test.run()
    assert not test.exception
    assert "Stale" in words(test)
    assert "Selection against the rest" in words(test)


def test_showers_that_are_refused_leave_the_map(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    def refuse(request: MapRequest, points: list[int]) -> None:
        raise WrongInput("the map was computed anew: ask for it again")

    monkeypatch.setattr(engine, "map_showers", refuse)
    test = opened()
    assert not test.exception
    assert "computed anew" in words(test)
    assert "t-SNE of latent codes" in words(test)
    assert test.radio(key=holes.CHOICE)

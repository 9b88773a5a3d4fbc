"""Every page with a model or a set of images and of points: what fits is there, what does not is said, nothing stays
from before."""

import numpy as np
import pytest
from fake import BUNDLED, DownEngine
from fake_kinds import ARC_RUN, ARCS, DIGIT_RUN, DIGITS, FEW, KindsEngine
from streamlit.testing.v1 import AppTest
from test_pages import markup, page, sound, words

from app import state
from app.components import form, header, kinds
from app.components.words import plain
from app.views import collection
from engine.schema import FormField, ModelInfo

PAGES = ("generate", "train", "latent", "compare", "data", "manifolds", "about")
OTHERS = (DIGIT_RUN, ARC_RUN)


@pytest.fixture
def engine() -> KindsEngine:
    engine = KindsEngine()
    state.use_engine(lambda: engine)
    return engine


def opened(name: str, run: str = "", **session: object) -> AppTest:
    test = page(name)
    if run:
        test.session_state[state.RUN] = run
    for key, value in session.items():
        test.session_state[key] = value
    return test.run()


# ---------------------------------------------------------------------------------------------------------- all pages
@pytest.mark.parametrize("run", OTHERS)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_runs_with_a_model_of_each_kind(engine: KindsEngine, name: str, run: str):
    test = opened(name, run)
    sound(test)
    assert test.selectbox(key=state.RUN).value == run


@pytest.mark.parametrize("name", ["generate", "latent"])
def test_switching_between_kinds_leaves_nothing_behind(engine: KindsEngine, name: str):
    test = opened(name)
    for run in (DIGIT_RUN, BUNDLED, ARC_RUN, DIGIT_RUN, ARC_RUN, BUNDLED):
        if name == "latent":
            colours = test.selectbox(key=state.MAP_COLOUR)
            colours.set_value(colours.options[-1])
        elif picker := [w for w in test.segmented_control if w.key == state.CLASS]:
            picker[0].set_value(picker[0].options[-1])
        test.run()
        sound(test)
        test.selectbox(key=state.RUN).set_value(run).run()
        sound(test)
    assert ("Read-out convention" in words(test)) == (name == "generate")


def test_runs_are_listed_with_their_data(engine: KindsEngine):
    options = opened("about").selectbox(key=state.RUN).options
    assert BUNDLED in options
    assert any("my digits" in o and DIGITS in o for o in options)
    assert [o.count(ARCS) for o in options if ARCS in o] == [1]
    assert header.label(engine.status(DIGIT_RUN)) in options


@pytest.mark.parametrize("name", ["generate", "train", "latent", "data"])
@pytest.mark.parametrize("run", OTHERS)
def test_a_page_keeps_its_last_picture_of_each_kind_when_the_engine_goes(name: str, run: str):
    engine: list = [KindsEngine()]
    state.use_engine(lambda: engine[0])
    test = opened(name, run)
    sound(test)
    engine[0] = DownEngine()
    test.run()
    assert not test.exception
    assert "engine does not answer" in words(test)


@pytest.mark.parametrize("first", ["all", "1"])
@pytest.mark.parametrize("run", OTHERS)
def test_a_class_chosen_while_the_engine_is_gone_leaves_the_last_picture(run: str, first: str):
    engine: list = [KindsEngine()]
    state.use_engine(lambda: engine[0])
    test = opened("generate", run, **{state.CLASS: first})
    sound(test)
    engine[0] = DownEngine()
    test.segmented_control(key=state.CLASS).set_value("0" if first == "all" else "all").run()
    assert not test.exception
    assert "Stale" in words(test)


# ----------------------------------------------------------------------------------------------------------- generate
def test_digits_are_drawn_beside_real_ones_and_no_particle_is_asked_for(engine: KindsEngine):
    test = opened("generate", DIGIT_RUN)
    sound(test)
    text = words(test)
    assert "Read-out channels, generated" not in text
    assert "Geant4 belong to calorimeter showers" in text
    assert "split test of MNIST" in text
    assert test.segmented_control(key=state.CLASS).options == ["all", *"0123456789"]
    drawn = markup(test)
    assert "<b>Generated</b>" in drawn
    assert "<b>Real</b>" in drawn
    assert "<b>Mean</b>" in drawn
    assert "<b>σ</b>" in drawn


def test_a_link_reopens_the_class_and_the_number(engine: KindsEngine):
    test = page("generate")
    test.query_params.update(
        {"run": header.label(engine.status(DIGIT_RUN)), "class": "7", "samples": "300", "seed": "4"}
    )
    test.run()
    sound(test)
    assert test.selectbox(key=state.RUN).value == DIGIT_RUN
    assert test.segmented_control(key=state.CLASS).value == "7"
    assert test.selectbox(key=state.SAMPLES).value == 300
    assert "<b>Generated</b>, 80 of 300" in markup(test)


def test_one_class_is_asked_of_the_engine_alone(engine: KindsEngine, monkeypatch: pytest.MonkeyPatch):
    asked = []
    generate = engine.generate
    monkeypatch.setattr(engine, "generate", lambda request: asked.append(request) or generate(request))
    test = opened("generate", DIGIT_RUN)
    test.segmented_control(key=state.CLASS).set_value("3").run()
    sound(test)
    assert [len(r.conditions) for r in asked] == [10, 1]
    assert asked[-1].conditions == [[3.0]]
    assert asked[-1].n == 10 * asked[0].n


def test_points_are_drawn_over_real_ones(engine: KindsEngine):
    test = opened("generate", ARC_RUN)
    sound(test)
    assert "Both axes have the same scale" in words(test)
    assert test.segmented_control(key=state.CLASS).options == ["all", "0", "1"]


def test_an_unconditional_model_says_that_the_class_does_not_reach_it(engine: KindsEngine, monkeypatch):
    status = engine.status
    monkeypatch.setattr(
        engine, "status", lambda run: status(run).model_copy(update={"config": {"conditional": False}})
    )  # fmt: skip
    assert "is unconditional" in words(opened("generate", DIGIT_RUN))


def test_a_model_whose_digits_are_gone_offers_to_fetch_them():
    engine = KindsEngine(digits_ready=False)
    state.use_engine(lambda: engine)
    for name in ("generate", "latent"):
        test = opened(name, DIGIT_RUN)
        sound(test)
        assert test.button(key="start_prepare").label == "Fetch 600 images"


# -------------------------------------------------------------------------------------------------------------- latent
@pytest.mark.parametrize(("run", "word"), [(DIGIT_RUN, "digit"), (ARC_RUN, "piece")])
def test_classes_colour_the_map_and_gate_it(engine: KindsEngine, run: str, word: str):
    test = opened("latent", run)
    sound(test)
    assert test.selectbox(key=state.MAP_COLOUR).options == ["layer", "class", "density ratio"]
    assert "Nothing selected" in words(test)
    test.multiselect(key=state.GATE_KINDS).select("1").run()
    sound(test)
    assert "Selection against the rest: n/N" in words(test)
    assert f"carry the {word}" in words(test)
    assert "<b>Generated</b>" in markup(test)


# --------------------------------------------------------------------------------------------------------------- train
def test_the_form_follows_the_kind_of_data(engine: KindsEngine):
    test = opened("train", group_Model=True)
    assert test.number_input(key="field_e2e_sae_epochs").value == 60
    assert test.checkbox(key="field_e2e_sae_photons").value
    test.selectbox(key=state.TRAIN_DATA).select(DIGITS).run()
    sound(test)
    assert "MNIST (600 images)" in test.selectbox(key=state.TRAIN_DATA).options
    assert test.number_input(key="field_e2e_sae_images_epochs").value == 30
    assert not [box for box in test.checkbox if "photons" in str(box.key)]
    test.button(key="start_training").click().run()
    assert engine.specs[0].data == DIGITS
    assert engine.specs[0].config["batch"] == 1000
    assert "photons" not in engine.specs[0].config


@pytest.mark.parametrize(("run", "said"), [(DIGIT_RUN, "one held-out image of each"), (ARC_RUN, "held-out points")])
def test_the_strip_shows_what_the_model_learns(engine: KindsEngine, run: str, said: str):
    test = opened("train", **{state.TRAIN_RUNS: [run]})
    sound(test)
    assert said in words(test)
    assert "shower on its own" not in words(test)
    for title in ("Real", "Reconstructed", "Generated"):
        assert f"<b>{title}</b>" in markup(test)


def test_fields_for_showers_keep_their_keys_and_others_get_their_own():
    field = FormField(name="epochs", kind="int", default=60, minimum=1, maximum=100)
    model = ModelInfo(name="m", title="M", summary="", fields=[field], presets={"points": {"epochs": 7}})

    def draw(kind: str) -> None:
        from app.components import form
        from engine.schema import FormField, ModelInfo

        field = FormField(name="epochs", kind="int", default=60, minimum=1, maximum=100)
        model = ModelInfo(name="m", title="M", summary="", fields=[field], presets={"points": {"epochs": 7}})
        form.show(model, kind=kind)

    assert form.fits(model.fields_for("points")[0], 7)
    for kind, key, value in (("showers", "field_m_epochs", 60), ("points", "field_m_points_epochs", 7)):
        test = AppTest.from_function(draw, kwargs={"kind": kind}).run()
        assert test.number_input(key=key).value == value


# ---------------------------------------------------------------------------------------------------------------- data
def shown(title: str, view: str = "") -> AppTest:
    test = page("data")
    test.query_params["set"] = title
    if view:
        test.query_params["view"] = view
    return test.run()


def test_images_are_browsed_by_class_and_split(engine: KindsEngine):
    test = shown("MNIST")
    sound(test)
    assert "600 images, 28×28 pixels, grey values 0–255" in words(test)
    assert markup(test).count("row ") >= collection.PAGE
    test.pills(key=f"classes_{DIGITS}").set_value([4]).run()
    sound(test)
    assert "**60** of 600 images" in words(test)
    test.pills(key="split").set_value(["test"]).run()
    assert "**12** of 600 images" in words(test)
    assert "digit 4, test" in markup(test)
    assert "digit 5" not in markup(test)


def test_a_link_reopens_the_classes_and_the_order(engine: KindsEngine):
    test = page("data")
    test.query_params.update({"set": "MNIST", f"classes_{DIGITS}": ["3", "5"], state.SHUFFLE: "9"})
    test.run()
    sound(test)
    assert test.pills(key=f"classes_{DIGITS}").value == [3, 5]
    assert test.number_input(key=state.SHUFFLE).value == 9
    assert "**120** of 600 images" in words(test)


def test_the_order_of_images_follows_its_number(engine: KindsEngine):
    test = shown("MNIST")
    first = markup(test)
    test.number_input(key=state.SHUFFLE).set_value(3).run()
    second = markup(test)
    test.number_input(key=state.SHUFFLE).set_value(0).run()
    assert first != second
    assert markup(test) == first


def test_the_pages_of_a_gallery_end_with_its_images(engine: KindsEngine):
    test = shown("MNIST")
    test.number_input(key="page").set_value(-(-600 // collection.PAGE)).run()
    sound(test)
    assert markup(test).count("<figcaption>") > 0
    test.pills(key=f"classes_{DIGITS}").set_value([1]).run()
    sound(test)
    assert test.number_input(key="page").value == 1


def test_points_are_shown_by_piece(engine: KindsEngine):
    test = shown("Two spirals")
    sound(test)
    assert "300 points, 2 coordinates, no unit" in words(test)
    test.pills(key=f"classes_{ARCS}").set_value([0]).run()
    sound(test)
    assert "**150** of 300 points" in words(test)


@pytest.mark.parametrize("title", ["MNIST", "Two spirals"])
def test_views_of_showers_are_not_offered_and_the_page_says_why(engine: KindsEngine, title: str):
    test = shown(title, "Ratio to another set")
    sound(test)
    assert len(test.segmented_control(key=state.VIEW).options) == 2
    assert "Choose a set of showers above" in words(test)
    assert test.download_button(key="save_npz")


def test_a_ratio_compares_with_showers_only(engine: KindsEngine):
    test = shown("ZN, Geant4", "Ratio to another set")
    sound(test)
    assert "no other data set" in words(test)


def test_few_digits_are_said_to_be_few(engine: KindsEngine):
    assert plain(FEW) in words(shown("MNIST"))


def test_digits_that_are_not_there_are_fetched_on_a_press():
    engine = KindsEngine(digits_ready=False, task_s=0.0)
    state.use_engine(lambda: engine)
    test = shown("MNIST")
    sound(test)
    assert "is not here yet" in words(test)
    test.button(key="start_prepare").click().run()
    assert not test.exception


def test_switching_sets_on_the_data_page_leaves_nothing_behind(engine: KindsEngine):
    test = page("data").run()
    for name in (DIGITS, "zdc_geant4", ARCS, DIGITS):
        test.selectbox(key=state.SET).select(name).run()
        sound(test)
        views = test.segmented_control(key=state.VIEW)
        views.set_value(views.options[-1]).run()
        sound(test)
        views = test.segmented_control(key=state.VIEW)
        views.set_value(views.options[0]).run()
        sound(test)


def test_rows_of_each_class_come_from_their_split(engine: KindsEngine):
    columns = engine.columns(DIGITS)
    rows = kinds.rows_each(columns, [2, 5], 4, "test", seed=1)
    assert np.asarray(columns["conditions"])[rows, 0].tolist() == [2] * 4 + [5] * 4
    assert set(np.asarray(columns["split"])[rows].tolist()) == {2}
    assert len(kinds.rows_each(columns, [2], 10**6, "test", 1)) == 12

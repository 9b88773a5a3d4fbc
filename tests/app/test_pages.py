"""Every page with a fake engine: as usual, with nothing in it, and with no engine at all."""

from typing import cast

import pytest
from fake import BUNDLED, DownEngine, FakeEngine
from streamlit.testing.v1 import AppTest

from app import state
from app.components import header
from app.views import about
from engine.schema import Engine, EngineDown, TrainSpec

PAGES = ("generate", "train", "latent", "compare", "data", "manifolds", "about")


def script(name: str) -> None:
    import importlib

    from app.components import header, notices

    header.show()
    notices.protected(importlib.import_module(f"app.views.{name}").show)


def page(name: str) -> AppTest:
    return AppTest.from_function(script, default_timeout=60, kwargs={"name": name})


def words(test: AppTest) -> str:
    """Everything that stands on the page as text."""
    kinds = (test.markdown, test.caption, test.warning, test.info, test.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def markup(test: AppTest) -> str:
    """Pictures and lists of the page."""
    return "\n".join(str(element.proto.body) for element in test.get("html"))


def sound(test: AppTest) -> None:
    assert not test.exception
    assert not test.error
    assert not test.warning


@pytest.mark.parametrize("name", PAGES)
def test_page_runs(fake: FakeEngine, name: str):
    test = page(name).run()
    assert not test.exception
    assert not test.error
    assert not test.warning
    assert test.selectbox(key=state.RUN).value == BUNDLED


def test_a_model_without_encoder_has_no_live_map_and_says_why(fake: FakeEngine, monkeypatch):
    book = fake.catalogue()
    model = book.models[0].model_copy(update={"has_latent": False})
    monkeypatch.setattr(fake, "catalogue", lambda: book.model_copy(update={"models": [model]}))
    fake.submit(TrainSpec(name="a run without encoder"))
    test = page("train").run()
    assert not test.exception
    assert not test.error
    assert "has no encoder" in words(test)
    assert "map" not in fake.calls


@pytest.mark.parametrize("name", PAGES)
def test_page_without_runs_offers_a_way_on(name: str):
    state.use_engine(lambda: FakeEngine(empty=True))
    test = page(name).run()
    assert not test.exception
    assert not test.error
    if name in ("generate", "latent"):
        assert "No trained model here yet" in words(test)
    if name == "train":
        assert "No run yet" in words(test)


@pytest.mark.parametrize("name", PAGES)
def test_page_without_engine_says_so_and_how_to_mend_it(name: str):
    state.use_engine(lambda: cast(Engine, DownEngine()))
    test = page(name).run()
    assert not test.exception
    assert "The engine does not answer" in words(test)
    assert "showerscope up" in words(test)
    assert "Traceback" not in words(test)


@pytest.mark.parametrize("name", PAGES[:-1])
def test_page_keeps_its_last_good_picture_when_the_engine_goes(name: str):
    engine: list = [FakeEngine()]
    state.use_engine(lambda: engine[0])
    test = page(name).run()
    engine[0] = DownEngine()
    test.run()
    assert not test.exception
    assert "engine does not answer" in words(test)
    assert "Stale" in words(test)


def test_landing_is_the_generate_page_with_navigation(fake: FakeEngine):
    test = AppTest.from_file("../../app/views/shell.py", default_timeout=60).run()
    assert not test.exception
    assert "Read-out channels" in words(test)


def test_generate_names_the_simulation_and_the_convention(fake: FakeEngine):
    test = page("generate").run()
    assert "Geant4 11.4.1 FTFP_BERT" in words(test)
    assert "Read-out convention **paper**" in words(test)
    test.selectbox(key=state.CONVENTION).select("o2").run()
    assert "Read-out convention **o2**" in words(test)


def test_link_reopens_the_same_particle(fake: FakeEngine):
    test = page("generate")
    test.query_params.update({"pdg": "22", "E": "77", "px": "0.1", "seed": "5"})
    test.run()
    particle = test.session_state[state.PARTICLE]
    assert (particle.pdg, particle.energy_gev, particle.px_gev) == (22, 77.0, 0.1)
    assert test.number_input(key=state.SEED).value == 5


@pytest.mark.parametrize("query", [{"E": "much"}, {"E": "nan"}, {"pdg": "neutron"}, {"side": "0"}])
def test_link_that_describes_no_particle_opens_the_first_page(query: dict[str, str]):
    assert state.particle_from_link(query) == state.DEFAULT_PARTICLE


def test_train_starts_a_run_with_the_form_of_the_model(fake: FakeEngine):
    test = page("train").run()
    test.number_input(key="field_e2e_sae_epochs").set_value(3)
    test.button(key="start_training").click().run()
    assert not test.exception
    started = [run for run in fake.runs() if not run.bundled]
    assert len(started) == 1
    assert test.session_state[state.TRAIN_RUNS] == [started[0].run_id]


def test_what_is_set_in_a_group_of_the_form_stays_while_it_is_closed(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    asked: list[TrainSpec] = []
    submit = fake.submit
    monkeypatch.setattr(fake, "submit", lambda spec: asked.append(spec) or submit(spec))
    test = page("train").run()
    beta = "field_e2e_sae_beta"
    assert not [w for w in test.number_input if w.key == beta], "a closed group draws nothing"
    test.session_state["group_Model"] = True
    test.run().number_input(key=beta).set_value(0.02).run()
    test.session_state["group_Model"] = False
    assert not [w for w in test.run().number_input if w.key == beta]
    assert "Changed: beta 0.02" in words(test), "the page says what a closed group hides"
    test.button(key="start_training").click().run()
    assert asked[0].config["beta"] == 0.02
    test.session_state["group_Model"] = True
    assert test.run().number_input(key=beta).value == 0.02
    test.button(key="defaults").click().run()
    assert not [b for b in test.button if b.key == "defaults"], "nothing is changed any more"
    test.session_state["group_Model"] = True
    assert test.run().number_input(key=beta).value == 0.003
    assert not test.exception


def test_train_starts_from_the_weights_of_a_run_that_fits(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    asked: list[TrainSpec] = []
    submit = fake.submit
    monkeypatch.setattr(fake, "submit", lambda spec: asked.append(spec) or submit(spec))
    bundled = next(run for run in fake.runs() if run.bundled)
    test = page("train")
    test.query_params["from"] = header.label(bundled)
    test.run()
    assert test.selectbox(key=state.TRAIN_START).value == bundled.run_id
    assert "Networks and losses as in that run" in words(test)
    test.button(key="start_training").click().run()
    assert not test.exception
    assert asked[0].start == bundled.run_id
    training = {f.name for f in fake.catalogue().models[0].fields if f.group == "Training"}
    assert asked[0].config.keys() == training, "settings of networks would be refused"
    page("train").run().button(key="start_training").click().run()
    assert asked[1].start == ""
    assert asked[1].config.keys() > training


def test_a_link_to_a_start_that_is_gone_opens_with_new_weights(fake: FakeEngine):
    test = page("train")
    test.query_params["from"] = "gone"
    test.run()
    assert not test.exception
    assert test.selectbox(key=state.TRAIN_START).value == ""


def test_train_buttons_do_what_they_say(fake: FakeEngine):
    run = fake.submit(TrainSpec())
    test = page("train")
    test.session_state[state.TRAIN_RUNS] = [run]
    test.run()
    test.button(key="button_Pause").click().run()
    assert fake.status(run).state == "paused"
    test.button(key="button_Resume").click().run()
    assert fake.status(run).state == "running"
    test.button(key="button_Stop").click().run()
    assert fake.status(run).state == "cancelled"
    assert not test.exception


def test_failed_run_shows_its_error_and_its_last_checkpoint(fake: FakeEngine):
    run = fake.submit(TrainSpec())
    fake.store[run].update(state="failed", at=650, error="loss/sinkhorn is nan in phase joint at step 650")
    test = page("train")
    test.session_state[state.TRAIN_RUNS] = [run]
    test.run()
    said = "\n".join(e.value for e in test.error)
    assert "nan in phase joint at step 650" in said
    assert "checkpoint at step 600" in said
    assert not test.button(key="button_Resume").disabled


def test_filters_narrow_the_table(fake: FakeEngine):
    test = page("data").run()
    everything = len(test.dataframe[0].value)
    assert everything == 50
    test.slider(key="energy_zdc_geant4").set_range(10.0, 20.0).run()
    assert not test.exception
    assert 0 < len(test.dataframe[0].value) < 50


def test_filters_that_keep_nothing_say_so(fake: FakeEngine):
    test = page("data").run()
    test.slider(key="energy_zdc_geant4").set_range(2733.0, 2733.0).run()
    assert not test.exception
    assert "No shower passes these filters" in words(test)


def test_about_defines_every_metric(fake: FakeEngine):
    test = page("about").run()
    text = words(test) + "".join(table.value.to_string() for table in test.table)
    for metric in fake.catalogue().metrics:
        assert metric.title in text
        assert about.plain(metric.formula) in text
    assert "check with ALICE" in text


def test_about_says_by_how_many_sigma_a_metric_catches_a_broken_generator(fake: FakeEngine):
    tables = [table.value for table in page("about").run().table]
    (found,) = [table for table in tables if "brighter" in table.columns]
    assert found.loc["MAE", "unbroken"] == "·"
    assert found.loc["MAE", "brighter"] == "57 σ"  # (9 − 1) / √(0.1² + 0.1²)
    assert (found.loc["spread"] == "·").all()


def test_engine_refusal_becomes_a_sentence(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise EngineDown("gone in the middle")

    monkeypatch.setattr(fake, "generate", refuse)
    test = page("generate").run()
    assert not test.exception
    assert "gone in the middle" in words(test)

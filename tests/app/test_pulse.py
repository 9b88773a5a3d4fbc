"""The bar of a training: what it says, and when it has the rest of the page drawn again."""

from typing import cast

import pytest
from fake import DownEngine, FakeEngine
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from app import state
from app.components import pulse
from app.views import progress
from engine.schema import Engine, EngineDown, MapRequest, RunInfo, TrainSpec


@pytest.fixture
def run(fake: FakeEngine) -> str:
    made = fake.submit(TrainSpec(name="beside"))
    fake.steps_per_s = 1e-6
    fake.store[made].update(state="running", at=200)
    return made


def drawn(fake: FakeEngine, run: str, **more) -> pulse.Asked:
    """What a page asks that was drawn just now."""
    everyone = fake.runs()
    shown = [one for one in everyone if one.run_id == run]
    return pulse.Asked(runs=[run], stamp=pulse.stamp(everyone, shown), last={run: fake.history(run).last_step}, **more)


def test_a_page_that_was_just_drawn_has_no_news_and_a_bar(fake: FakeEngine, run: str):
    now = fake.status(run)
    said = pulse.beat(fake, drawn(fake, run))
    assert not said["news"]
    assert said["name"] == "beside"
    assert f"step {now.step:,} / {now.steps:,}" in said["words"]
    assert said["share"] == pytest.approx(now.step / now.steps)


@pytest.mark.parametrize("change", [{"state": "cancelled"}, {"state": "failed", "error": "loss is nan"}])
def test_another_state_is_news(fake: FakeEngine, run: str, change: dict[str, str]):
    asked = drawn(fake, run)
    fake.store[run].update(change)
    assert pulse.beat(fake, asked)["news"] == pulse.PAGE


def test_another_runs_place_in_the_queue_is_news(fake: FakeEngine, run: str):
    asked = drawn(fake, run)
    fake.submit(TrainSpec(name="another"))
    assert pulse.beat(fake, asked)["news"] == pulse.PAGE


def test_points_on_a_curve_are_news_and_points_that_are_known_are_none(fake: FakeEngine, run: str):
    asked = drawn(fake, run)
    last = asked.last[run]
    said = pulse.beat(fake, asked.model_copy(update={"last": {run: last - 1}}))
    assert (said["news"], said["known"]) == (pulse.CURVES, {"last": {run: last}})
    assert not pulse.beat(fake, asked.model_copy(update={"last": {run: last + 10**6}}))["news"]


def test_a_map_is_news_as_it_moves_and_news_for_all_when_it_ends(fake: FakeEngine, run: str):
    asked = drawn(fake, run, map=MapRequest(run=run, step=200, n=300), progress=0.5)
    fake.map_s = 1e6
    said = pulse.beat(fake, asked)
    assert said["news"] == pulse.MAP
    assert 0 <= said["known"]["progress"] < 0.5
    fake.map_s = 0.0
    assert pulse.beat(fake, asked)["news"] == pulse.PAGE


def test_what_is_not_whole_and_what_is_gone_is_news(fake: FakeEngine, run: str):
    asked = drawn(fake, run)
    assert pulse.beat(fake, asked.model_copy(update={"again": True}))["news"] == pulse.PAGE
    assert pulse.beat(fake, asked.model_copy(update={"runs": ["gone"]}))["news"] == pulse.PAGE


def test_an_engine_that_is_gone_is_no_answer(fake: FakeEngine, run: str):
    asked = drawn(fake, run)
    with pytest.raises(EngineDown):
        pulse.beat(cast(Engine, DownEngine()), asked)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.floats(0, 1e6), st.floats(0, 1e7))
def test_a_bar_is_between_empty_and_full(step: int, steps: int, rate: float, left: float):
    run = RunInfo(run_id="r", name="", data="d", model="e2e_sae", state="running", step=step, steps=steps,
                  samples_per_s=rate, eta_s=left)  # fmt: skip
    said = pulse.told(run)
    assert 0 <= said["share"] <= 1
    assert said["name"] == "e2e_sae"
    assert "left" in said["words"]


def train_page() -> None:
    """What AppTest runs as the page."""
    from app.views import train

    train.show()


def test_the_map_of_a_newer_checkpoint_begins_where_the_one_before_has_ended(fake: FakeEngine, run: str):
    test = AppTest.from_function(train_page, default_timeout=60)
    test.session_state[state.TRAIN_RUNS] = [run]
    fake.map_s = 1e6
    test.run()
    assert test.session_state[progress.MAPS][run]["asked"] == 200
    fake.store[run]["at"] = 400.0
    test.run()
    assert test.session_state[progress.MAPS][run]["asked"] == 200, "one map at a time"
    fake.map_s = 0.0
    test.run()
    assert not test.exception
    assert test.session_state[progress.MAPS][run]["asked"] == 400, "nothing else would draw it"

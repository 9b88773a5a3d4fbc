"""Geant4 beside the model on the Generate page: missing, asked for, running, done, failed."""

import html

import numpy as np
import pytest
from fake import LABEL, FakeEngine
from test_pages import markup, page, words

from app import state
from app.components import geant4
from engine.schema import Particle, SimulateTask


def test_without_geant4_the_button_says_how_to_get_it(fake: FakeEngine):
    fake.geant4 = False
    test = page("generate").run()
    assert not test.exception
    assert test.button(key="start_geant4").disabled
    assert "pip install" in words(test)


def test_the_time_is_estimated_before_anything_is_done(fake: FakeEngine):
    test = page("generate").run()
    assert "1 shower, about 3 s on one core" in words(test)
    test.segmented_control(key=state.REPLICAS).set_value(16).run()
    assert "16 showers, about 36 s on one core" in words(test)
    assert not fake.begun


def test_geant4_runs_and_can_be_cancelled(fake: FakeEngine):
    fake.task_s = 100
    test = page("generate").run()
    test.button(key="start_geant4").click().run()
    assert not test.exception
    assert test.button(key="start_geant4").disabled
    test.button(key="cancel simulate").click().run()
    assert "Cancelled" in words(test)
    assert not test.button(key="start_geant4").disabled


@pytest.mark.parametrize("n", geant4.REPLICAS)
def test_its_showers_carry_their_label_and_stand_beside_the_models(fake: FakeEngine, n: int):
    fake.task_s = 0
    test = page("generate")
    test.query_params["replicas"] = str(n)
    test.run()
    test.button(key="start_geant4").click().run()
    assert not test.exception
    drawn = markup(test)
    assert drawn.count(f'<span class="ss-label">{html.escape(LABEL)}</span>') == (1 if n == 1 else 2)
    assert "s CPU per shower" in drawn
    assert "speed-up" in drawn
    assert "Magnets are not simulated: every particle flies straight." in words(test).replace("\\", "")
    [began] = fake.begun.values()
    assert isinstance(began.task, SimulateTask)
    assert began.task.n == n
    assert began.task.particle == state.DEFAULT_PARTICLE


def test_what_belongs_to_another_particle_is_not_shown_as_this_ones(fake: FakeEngine):
    fake.task_s = 0
    test = page("generate").run()
    test.button(key="start_geant4").click().run()
    test.session_state[state.PARTICLE] = Particle(energy_gev=80.0)
    test.run()
    assert not test.exception
    assert "s CPU per shower" not in markup(test)
    assert "Simulated before: Geant4: 1 × n of 500 GeV" in words(test)


def test_a_simulation_that_fails_says_why(fake: FakeEngine):
    fake.task_s = 0
    test = page("generate")
    test.query_params["E"] = "6000"
    test.run()
    test.button(key="start_geant4").click().run()
    assert not test.exception
    assert "passed the time limit" in words(test)


def test_speed_up_carries_both_errors():
    assert geant4.speed_up((2.0, 0.2), (0.001, 0.0001)) == (2000.0, pytest.approx(2000 * np.hypot(0.1, 0.1)))
    assert geant4.speed_up((2.0, None), (0.001, 0.0001))[1] is None


def test_one_value_has_no_error():
    assert geant4.mean_error(np.array([3.0])) == (3.0, None)
    assert geant4.mean_error(np.array([1.0, 3.0])) == (2.0, pytest.approx(1.0))

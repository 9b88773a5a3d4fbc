"""The lines that make a shower again: they are Python and a command line, and say what the page asked."""

import shlex
from typing import Any

import numpy as np
import pytest

from app.components import lines
from app.components.sights import Sight
from app.main import LiveShower
from app.views import takeaway
from engine.schema import PARTICLE_OPTIONS, GenerateRequest, Particle

PARTICLE = Particle(pdg=-2112, energy_gev=250.5, px_gev=-1e-05, py_gev=0.02, vx_cm=-0.001, vz_cm=3.0, side=-1)
REQUESTS = [
    GenerateRequest(run="bundled:zdc_geant4_e2e_sae", particle=PARTICLE, n=3, seed=11),
    GenerateRequest(run="it's", step=400, particle=Particle(), convention="o2", walk=(0.5, -2.0), moments=True, n=16),
]


class Recorder:
    """Stands for the engine's service."""

    asked: GenerateRequest

    def generate(self, request: GenerateRequest) -> dict[str, Any]:
        Recorder.asked = request
        return {"showers": None, "mean": None, "sigma": None}


@pytest.mark.parametrize("request_", REQUESTS, ids=["showers", "moments"])
def test_the_python_lines_ask_exactly_what_the_page_asked(request_: GenerateRequest, monkeypatch: pytest.MonkeyPatch):
    import engine.service

    monkeypatch.setattr(engine.service, "Service", Recorder)
    exec(lines.python_lines(request_), {})
    assert Recorder.asked == request_


def test_the_python_lines_make_the_same_showers_in_the_engines_own_process(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(tmp_path))
    from engine.service import Service

    made: dict[str, Any] = {}
    exec(lines.python_lines(REQUESTS[0]), made)
    assert made["showers"].shape == (3, 44, 44)
    again = Service().generate(REQUESTS[0])
    assert (made["showers"] == again["showers"]).all()


@pytest.mark.parametrize("request_", REQUESTS, ids=["showers", "moments"])
def test_the_command_line_is_understood_by_the_command(request_: GenerateRequest):
    from engine.cli import parser

    program, *words = shlex.split(lines.command_line(request_))
    assert program == "showerscope"
    found = vars(parser().parse_args(words))
    assert request_.particle is not None
    for option, name in PARTICLE_OPTIONS.items():
        assert found[option] == getattr(request_.particle, name), option
    assert (found["run"], found["n"], found["seed"]) == (request_.run, request_.n, request_.seed)
    assert (found["step"], found["channels"]) == (request_.step, request_.convention)


def test_page_python_and_command_line_make_the_same_photons(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(tmp_path))
    from engine.cli import main as command
    from engine.service import Service

    ensemble = GenerateRequest(run="bundled:zdc_geant4_e2e_sae", particle=PARTICLE, n=128, seed=11)
    picture = takeaway.asked(ensemble, Sight(), picture=True)
    live = LiveShower(run=picture.run, particle=PARTICLE, seed=11)
    assert GenerateRequest(**live.model_dump()) == picture
    drawn = Service().generate(picture)["showers"]
    made: dict[str, Any] = {}
    exec(lines.python_lines(picture), made)
    assert (made["showers"] == drawn).all()
    assert command(shlex.split(lines.command_line(picture, str(tmp_path / "one.npz")))[1:]) == 0
    with np.load(tmp_path / "one.npz", allow_pickle=False) as file:
        assert (file["showers"] == drawn).all()


def test_a_command_line_takes_one_particle():
    with pytest.raises(ValueError, match="one particle"):
        lines.command_line(GenerateRequest(run="r", conditions=[[1.0] * 9]))

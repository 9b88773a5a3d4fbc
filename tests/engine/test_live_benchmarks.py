"""Benchmarks of the running app: what they read, how they judge it, and what they say where they cannot run."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from engine.bench import bare, figures, latency, live, memory
from engine.cli import main
from engine.schema import EngineError, WrongInput
from engine.up import served

SMAPS = """\
5581f5a1e000-7ffd3b7d5000 ---p 00000000 00:00 0                          [rollup]
Rss:              250000 kB
Pss:              200000 kB
Pss_Anon:         150000 kB
Private_Dirty:    140000 kB
"""


def test_sizes_of_a_process_are_read_in_megabytes_of_a_million_bytes():
    found = memory.resident(SMAPS)
    assert found["Rss"] == pytest.approx(256.0)
    assert found["Pss"] == pytest.approx(204.8)


@given(st.floats(-50, 50), st.floats(0, 1000))
def test_the_growth_of_a_straight_line_is_its_slope_without_error(slope: float, start: float):
    x = np.arange(0, 11, 2)
    found, error = figures.slope(x, start + slope * x)
    assert found == pytest.approx(slope, abs=1e-9)
    assert error == pytest.approx(0, abs=1e-9)


def test_the_error_of_a_growth_is_that_of_a_least_squares_line():
    rng = np.random.default_rng(0)
    x, y = np.arange(30.0), rng.normal(size=30)
    slope, error = figures.slope(x, y)
    expected: Any = linregress(x, y)
    assert slope == pytest.approx(expected.slope)
    assert error == pytest.approx(expected.stderr)


def test_data_count_at_two_bytes_a_pixel_once_they_are_made():
    made = {"showers": 1000, "shape": [44, 44], "ready": True}
    assert memory.held_mb([made, {**made, "ready": False}]) == pytest.approx(3.872)
    assert memory.held_mb([made, made]) == pytest.approx(7.744)


def test_interactions_open_every_page_and_come_back(monkeypatch: pytest.MonkeyPatch):
    seen: list[str] = []
    monkeypatch.setattr(live, "visit", lambda page, name: seen.append(name))
    monkeypatch.setattr(live, "instrument", lambda page: None)
    for k in range(9, 1000, 10):
        memory.interact(None, k)  # pyright: ignore[reportArgumentType]
        memory.interact(None, k + 1)  # pyright: ignore[reportArgumentType]
    assert set(seen[::2]) == set(live.PAGES[1:])
    assert set(seen[1::2]) == {"Generate"}


# -------------------------------------------------------------------------------------------------------------- latency
def samples() -> dict[str, list[float]]:
    """Of each figure three at its bound."""
    return {name: [next(iter(bound.values()), 1.0)] * 3 for name, (_, _, bound) in latency.TARGETS.items()}


def test_a_wait_that_is_too_long_is_named_and_the_one_alone_stands_beside():
    found = samples() | {"release": [190.0, 210.0, 230.0]}
    made = {one["name"]: one for one in latency.summary(found, {"release": [150.0], "rate": [30.0]})}
    assert [name for name, one in made.items() if not one.get("met", True)] == ["release to whole page"]
    late = made["release to whole page"]
    assert (late["value"], late["quartiles"], late["alone_ms"], late["n"]) == (210.0, [200.0, 220.0], 150.0, 3)
    assert made["pictures during a drag"]["alone"] == 30.0
    assert "alone_ms" not in made["cold page"]


def test_what_a_bare_page_takes_stands_beside_and_decides_nothing():
    beside, alone = {latency.FLOOR + "release": [50.0, 70.0]}, {latency.FLOOR + "release": [40.0]}
    made = {one["name"]: one for one in latency.summary(samples() | beside, alone)}
    release = made["release to whole page"]
    assert (release["bare_page_ms"], release["bare_page_alone_ms"], release["met"]) == (60.0, 40.0, True)
    assert len(made) == len(latency.TARGETS)
    assert "bare_page_ms" not in made["a move of the hand to its shower"]


def test_the_bare_page_is_served_as_long_as_it_is_wanted():
    with bare.page() as address:
        assert served(f"{address}/_stcore/health")
    assert not served(f"{address}/_stcore/health")


def test_fewer_pictures_than_wanted_miss_their_target():
    made = latency.summary(samples() | {"rate": [19.0, 19.5]}, {})
    assert [one["name"] for one in made if one.get("met") is False] == ["pictures during a drag"]


@pytest.mark.parametrize("name", latency.TARGETS)
def test_what_the_page_never_showed_is_no_figure(name: str):
    with pytest.raises(EngineError, match="never showed it"):
        latency.summary(samples() | {name: []}, {})


def test_works_are_measured_in_turn_beside_a_training_and_alone_and_it_goes_on_afterwards():
    resting: list[bool] = []

    class App:
        def pause(self, run: str, pause: bool) -> None:
            resting.append(pause)

    def work() -> latency.Samples:
        return {"drag": [float(resting[-1])]}

    app: Any = App()
    found, alone = latency.in_turn(app, "run", [work, work], 2)
    assert found["drag"] == [0.0] * 4
    assert alone["drag"] == [1.0] * 4
    assert resting[-1] is False


# ----------------------------------------------------------------------------------------------------- processes, words
def test_processes_are_found_by_who_started_them():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], stdin=0)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        assert process.pid in live.children(os.getpid())
        while not (found := live.family(process.pid)):
            assert process.poll() is None
        assert process.pid not in found
        assert 0 < memory.of(process.pid)["Pss"] <= memory.of(process.pid)["Rss"]
    finally:
        process.communicate(b"\n")
    assert live.command_of(process.pid) == []


@pytest.mark.parametrize("run", [latency.run, memory.run])
def test_without_playwright_the_mend_is_said_before_anything_starts(run: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    monkeypatch.setattr(live, "started", lambda **_: pytest.fail("the app was started"))
    with pytest.raises(WrongInput, match="pip install playwright"):
        run(quick=True)


def test_without_a_browser_the_mend_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    pytest.importorskip("playwright")
    monkeypatch.setattr(live.shutil, "which", lambda name: str(tmp_path / name))
    with pytest.raises(WrongInput, match="apt install chromium"), live.browser():
        pass


def test_shared_parts_are_no_benchmarks(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "live"]) == 2
    said = capsys.readouterr().err
    offered = said.partition("there are ")[2].strip().split(", ")
    assert {"latency", "memory"} <= set(offered)
    assert "live" not in offered

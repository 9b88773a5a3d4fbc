"""The Generate page in each of its states: references, scans, bulks, take-away, and an engine that goes in between."""

import csv
import time
from typing import Any, cast

import numpy as np
import pytest
from fake import BUNDLED, STEPS, DownEngine, FakeEngine
from streamlit.testing.v1 import AppTest
from test_pages import markup, page, words

from app import state
from app.charts import numbers
from app.components import panel
from app.components.sights import Sight
from app.views import bulk, distributions, response, takeaway
from engine.schema import (
    BulkTask,
    Engine,
    EngineDown,
    EngineError,
    GenerateRequest,
    Particle,
    ScanRequest,
    TrainSpec,
    WrongInput,
)


def opened(**query: str) -> AppTest:
    test = page("generate")
    test.query_params.update(query)
    return test


def codes(test: AppTest) -> list[str]:
    return [str(cast(Any, element).value) for element in test.get("code")]


def link_of(test: AppTest, name: str) -> str:
    """A query parameter; a list where the page has set it."""
    value = test.query_params[name]
    return value if isinstance(value, str) else value[0]


def trained(fake: FakeEngine, name: str) -> str:
    run = fake.submit(TrainSpec(name=name))
    fake.store[run].update(at=STEPS, state="finished")
    return run


# ----------------------------------------------------------------------------------------------------------- panel
def test_the_panel_gets_the_face_once_and_what_the_link_says(fake: FakeEngine):
    book, dataset = fake.catalogue(), fake.datasets()[-1]
    run = fake.runs()[0]
    test = opened(shown="sigma", mean_of="256", overlay="towers", noise="1,-2", E="700").run()
    assert not test.exception
    assert test.session_state[state.SIGHT] == Sight(shown="sigma", of=256, towers=True, walk=(1, -2))
    data = panel.panel_data([run], dataset, book, Particle(), Sight(), dark=False)
    assert len(data["pad"]["density"]) < 4000
    assert {"pdg", "name", "symbol", "mass_mev", "charge_e", "trained"} <= data["particles"][0].keys()
    assert data["readout"]["commonChannel"] == 4
    assert all(preset["why"] for preset in data["presets"])
    assert state.API_KEY not in str({k: v for k, v in data.items() if k != "key"})


def test_a_choice_of_the_panel_goes_into_the_link_and_defaults_leave_it(fake: FakeEngine):
    test = opened(scale="linear", shown="mean").run()
    assert (link_of(test, "scale"), link_of(test, "shown")) == ("linear", "mean")
    test.session_state[state.SIGHT] = Sight(walk=(0.5, 0))
    test.run()
    assert "scale" not in test.query_params
    assert link_of(test, "noise") == "0.5,0"


def test_other_models_are_asked_for_by_link_and_at_most_three(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    names = [trained(fake, f"net {k}") for k in range(4)]
    seen: list[list[str]] = []
    show = panel.show
    monkeypatch.setattr(panel, "show", lambda runs, *a: seen.append([r.run_id for r in runs]) or show(runs, *a))
    test = page("generate").run()
    assert seen[-1] == [BUNDLED]
    test.multiselect(key=state.ALSO).set_value(names[:3]).run()
    assert not test.exception
    assert seen[-1] == [BUNDLED, *names[:3]]
    fake.remove(names[0])
    test.run()
    assert not test.exception
    assert seen[-1] == [BUNDLED, *names[1:3]]


@pytest.mark.parametrize(
    "query",
    [
        {"E": "1e9"},
        {"E": "0.5"},
        {"px": "900"},
        {"E": "nan"},
        {"E": "-5"},
        {"pdg": "12345"},
        {"vx": "1e12"},
        {"top": "inf"},
    ],
)
def test_conditions_off_shell_absurd_or_no_numbers_end_in_words(fake: FakeEngine, query: dict[str, str]):
    check = fake.generate

    def generate(request: GenerateRequest):
        if request.particle:
            kind = state.particle_named(request.particle.pdg, fake.catalogue())
            request.particle.conditions(kind.mass_mev, kind.charge_e)
            if not any(p.pdg == request.particle.pdg for p in fake.catalogue().particles):
                raise WrongInput(f"PDG {request.particle.pdg} is unknown")
        return check(request)

    fake.generate = generate  # pyright: ignore[reportAttributeAccessIssue]
    test = opened(**query, scan="true", bulk="true").run()
    assert not test.exception
    assert "met an error it does not know" not in words(test)


def test_an_unconditional_model_says_what_the_sliders_move(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    book = fake.catalogue()
    model = book.models[0].model_copy(update={"conditional": False})
    monkeypatch.setattr(fake, "catalogue", lambda: book.model_copy(update={"models": [model]}))
    assert "is unconditional" in words(page("generate").run())


# ------------------------------------------------------------------------------------------------------ references
@pytest.mark.parametrize("reference", list(distributions.REFERENCES))
def test_every_reference_is_compared_at_its_own_particles(
    fake: FakeEngine, reference: str, monkeypatch: pytest.MonkeyPatch
):
    asked: list[GenerateRequest] = []
    generate = fake.generate
    monkeypatch.setattr(fake, "generate", lambda request: asked.append(request) or generate(request))
    test = page("generate").run()
    asked.clear()
    test.segmented_control(key=state.REFERENCE).set_value(reference).run()
    assert not test.exception
    matched = [r for r in asked if r.conditions]
    if reference == "geant4":
        assert "Geant4 has not simulated this particle here yet" in words(test)
    rows = np.array(matched[0].conditions)
    near = fake.nearest("zdc_geant4", state.DEFAULT_PARTICLE, distributions.NEIGHBOURS)
    wanted = near["conditions"][:1] if reference == "replicas" else near["conditions"]
    np.testing.assert_array_equal(rows, wanted)
    assert len(rows) * matched[0].n == distributions.NEIGHBOURS * distributions.MATCHED


def test_geant4s_showers_of_this_particle_become_the_reference(fake: FakeEngine):
    fake.task_s = 0
    test = page("generate").run()
    test.segmented_control(key=state.REFERENCE).set_value("geant4").run()
    test.segmented_control(key=state.REPLICAS).set_value(16).run()
    test.button(key="start_geant4").click().run().run()
    assert not test.exception
    assert "Points: Geant4's showers of this very particle" in words(test)
    test.session_state[state.PARTICLE] = Particle(energy_gev=80.0)
    test.run()
    assert "Geant4 has not simulated this particle here yet" in words(test)


def test_bars_and_logarithmic_counts_are_said_with_the_chart(fake: FakeEngine):
    test = page("generate").run()
    assert "68 % Garwood intervals" in words(test)
    test.segmented_control(key=state.INTERVAL).set_value("sqrt").run()
    assert "√N bars" in words(test)
    test.toggle(key=state.LOG_COUNTS).set_value(True).run()
    assert not test.exception


# ------------------------------------------------------------------------------------------------------------- scan
def scanned(fake: FakeEngine, **query: str) -> AppTest:
    test = opened(scan="true", **query).run()
    assert not test.exception
    test.button(key="start_scan").click().run()
    return test


def finish(test: AppTest) -> AppTest:
    for _ in range(10):
        if state_of(test, response.RUNNING) is None or state_of(test, response.RUNNING).state != "running":
            return test
        test.run()
    raise AssertionError("the scan does not end")


def state_of(test: AppTest, key: str) -> Any:
    return test.session_state[key] if key in test.session_state else None  # noqa: SIM401 - it has no get


def test_a_closed_scan_asks_nothing(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fake, "scan", lambda _: pytest.fail("asked"))
    assert "Scan energies" not in [b.label for b in page("generate").run().button]


def test_a_scan_comes_in_pieces_and_says_fits_radius_and_numbers(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    asked: list[ScanRequest] = []
    scan = fake.scan
    monkeypatch.setattr(fake, "scan", lambda request: asked.append(request) or scan(request))
    test = finish(scanned(fake))
    assert not test.exception
    assert [r.simulated for r in asked] == [True, False, False, False, False]
    assert [len(r.energies_gev) for r in asked] == [0, 4, 4, 4, 4]
    assert asked[1].energies_gev[0] < asked[4].energies_gev[-1]
    said = words(test).replace("\\", "")
    for part in ("photons/GeV", "/ √E ⊕", "χ²/ndf", "600 showers simulated", "mm of this particle's impact point"):
        assert part in said, part
    for light in response.LIGHTS:
        test.segmented_control(key=state.SCAN_LIGHT).set_value(light).run()
        assert not test.exception
    assert len(asked) == 5, "another channel asks nothing again"


def test_a_scan_of_another_direction_is_stale_of_another_energy_it_is_not(fake: FakeEngine):
    test = finish(scanned(fake))
    assert "Stale" not in words(test)
    particle = test.session_state[state.PARTICLE]
    test.session_state[state.PARTICLE] = particle.model_copy(update={"px_gev": 0.1})
    assert "Stale" in words(test.run())
    double = {"energy_gev": 1000.0, "px_gev": 0.08, "py_gev": 0.05}
    test.session_state[state.PARTICLE] = particle.model_copy(update=double)
    assert "Stale" not in words(test.run())
    test.number_input(key=state.SEED).set_value(5).run()
    assert "Stale" in words(test)


def test_an_engine_that_dies_in_a_scan_leaves_its_pieces_to_go_on_from(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
):
    scan, alive = fake.scan, [True, True, False]

    def dying(request: ScanRequest):
        if not alive.pop(0):
            raise EngineDown("No engine answers at http://127.0.0.1:8511 (connection refused).")
        return scan(request)

    monkeypatch.setattr(fake, "scan", dying)
    test = finish(scanned(fake))
    assert not test.exception
    assert "The scan stopped" in "\n".join(e.value for e in test.error)
    assert "4 of 16 energies are kept" in "\n".join(e.value for e in test.error)
    monkeypatch.setattr(fake, "scan", scan)
    test.button(key="resume_scan").click().run()
    finish(test)
    assert state_of(test, response.DONE) is not None
    assert len(state_of(test, response.DONE).generated(0).energy_gev) == response.ENERGIES


def test_a_cancelled_scan_keeps_what_it_has(fake: FakeEngine):
    scan = response.Scan(ScanRequest(run=BUNDLED, particle=Particle(), energies_gev=[1.0] * 16), "n")
    scan.pieces = [cast(Any, None)] * 3
    response.cancel(scan)
    test = page("generate")
    test.query_params["scan"] = "true"
    test.session_state[response.RUNNING] = scan
    test.run()
    assert "Cancelled; 8 of 16 energies are kept." in words(test)


def test_a_species_without_simulated_showers_is_scanned_without_points(fake: FakeEngine):
    test = finish(scanned(fake, pdg="2212"))
    assert not test.exception
    assert "No simulated showers to compare with" in words(test).replace("\\", "")
    assert "too few points for a fit" in words(test)


# ------------------------------------------------------------------------------------------------------------- bulk
def start_bulk(test: AppTest) -> AppTest:
    return test.button(key="start_bulk").click().run()


def test_the_cost_of_a_bulk_is_said_before(fake: FakeEngine):
    test = opened(bulk="true").run()
    assert not test.exception
    assert "1,000,000 showers: about" in words(test)
    assert "bytes a shower, measured here" in words(test)
    assert not fake.begun


def test_a_bulk_runs_is_cancelled_goes_on_and_is_downloaded(fake: FakeEngine):
    fake.task_s = 100
    test = start_bulk(opened(bulk="true").run())
    assert test.button(key="start_bulk").disabled
    [began] = fake.begun.values()
    began.at -= 30
    test.button(key="cancel bulk").click().run()
    assert "Cancelled: 1,000,000 showers, as the training data, parquet" in words(test)
    assert "written and kept" in words(test)
    test.button(key="resume_bulk").click().run()
    [began] = fake.begun.values()
    assert time.time() - began.at >= 30, "it goes on from there"
    fake.task_s = 0
    test.run()
    assert not test.exception
    drawn = markup(test)
    assert 'href="/api/file/bulk-' in drawn
    assert "a second" in drawn
    assert state.API_KEY not in drawn
    test.button(key="remove_bulk").click().run()
    assert not test.exception
    assert not fake.begun
    assert "/api/file/" not in markup(test)


def test_a_power_law_takes_the_particle_that_stands_above(fake: FakeEngine):
    fake.task_s = 100
    test = opened(bulk="true", pdg="22").run()
    test.segmented_control(key="bulk_source").set_value("power").run()
    test.number_input(key="bulk_low").set_value(20.0).run()
    test.number_input(key="bulk_index").set_value(2.0).run()
    start_bulk(test)
    [began] = fake.begun.values()
    assert isinstance(began.task, BulkTask)
    spectrum = began.task.request.spectrum
    assert spectrum
    assert (spectrum.law, spectrum.minimum_gev, spectrum.index) == ("power", 20.0, 2.0)
    assert spectrum.particle == test.session_state[state.PARTICLE]


def test_bounds_the_wrong_way_round_cannot_be_started(fake: FakeEngine):
    test = opened(bulk="true").run()
    test.segmented_control(key="bulk_source").set_value("power").run()
    test.number_input(key="bulk_low").set_value(9000.0).run()
    assert "The lower energy must lie below the upper one" in words(test)
    assert test.button(key="start_bulk").disabled


def test_no_page_asks_for_none_or_for_a_hundred_million(fake: FakeEngine):
    test = opened(bulk="true").run()
    number = test.number_input(key="bulk_n")
    assert (number.min, number.max) == (1, bulk.MOST)


class Upload:
    """What Streamlit's uploader hands out."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content

    def getvalue(self) -> bytes:
        return self.content


@pytest.mark.parametrize("content", [b"Energy,Vx\n1,2\n", b"no such columns\n"])
def test_a_table_is_handed_over_and_a_wrong_one_refused_in_words(fake: FakeEngine, content: bytes):
    fake.task_s = 100
    asked = GenerateRequest(run=BUNDLED)

    def script(content: bytes) -> None:
        from test_generate_states import Upload

        from app.components import tasks
        from app.views import bulk
        from engine.schema import BulkRequest

        bulk.begin(BulkRequest(run="bundled:e2e_sae", n=3), Upload("table.csv", content))  # pyright: ignore
        tasks.refusal(bulk.SLOT)

    test = AppTest.from_function(script, kwargs={"content": content}).run()
    assert not test.exception
    assert asked.run == BUNDLED
    if content.startswith(b"Energy"):
        [began] = fake.begun.values()
        assert isinstance(began.task, BulkTask)
        assert began.task.request.upload.endswith("table.csv")
    else:
        assert "no column Energy" in "\n".join(e.value for e in test.error).replace("\\", "")
        assert not fake.begun


def test_a_bulk_whose_engine_died_says_so_and_can_go_on(fake: FakeEngine):
    fake.task_s = 100
    test = start_bulk(opened(bulk="true").run())
    [began] = fake.begun.values()
    began.ended, began.error = "interrupted", "the engine ended"
    test.run()
    assert not test.exception
    assert "Interrupted" in "\n".join(e.value for e in test.error)
    assert test.button(key="resume_bulk")


def test_a_running_bulk_is_found_by_another_window(fake: FakeEngine):
    fake.task_s = 100
    start_bulk(opened(bulk="true").run())
    other = opened(bulk="true").run()
    assert other.button(key="cancel bulk")


# --------------------------------------------------------------------------------------------------------- take away
def taken(test: AppTest) -> AppTest:
    test.session_state[takeaway.OPEN] = True
    return test.run()


def test_take_away_offers_link_files_numbers_lines_and_command(fake: FakeEngine):
    test = taken(opened(noise="1,0", seed="4").run())
    assert not test.exception
    link, python, command = codes(test)
    assert "noise=1%2C0" in link
    assert "walk=(1.0, 0.0)" in python
    assert "seed=4" in python
    assert command.startswith("showerscope generate --run bundled:e2e_sae --pdg 2112 --energy 500.0")
    assert "A walk through the noise is Python's" in words(test)
    assert {cast(Any, b).label for b in test.get("download_button")} >= {".npz", ".parquet", ".root", ".csv"}


def test_the_picture_is_one_shower_or_the_moments_that_are_drawn():
    request = GenerateRequest(run="r", particle=Particle(), n=128, seed=3)
    one = takeaway.asked(request, Sight(), picture=True)
    assert (one.n, one.moments, one.walk) == (1, False, None)
    many = takeaway.asked(request, Sight(shown="sigma", of=256, walk=(1, 2)), picture=True)
    assert (many.n, many.moments, many.walk) == (256, True, (1, 2))
    assert takeaway.asked(request, Sight(), picture=False) == request


def test_the_numbers_of_the_page_are_those_of_the_showers(fake: FakeEngine):
    near = fake.nearest("zdc_geant4", state.DEFAULT_PARTICLE, 48)
    made = fake.generate(GenerateRequest(run=BUNDLED, particle=state.DEFAULT_PARTICLE, n=64))
    book, dataset = fake.catalogue(), fake.datasets()[-1]
    detector = book.detectors[0]
    channel = np.array(detector.conventions[0].channel)
    sides = [distributions.side(a, channel, detector, "x") for a in (near, made)]
    compared = distributions.Compared(sides[0], sides[1], "said")
    request = GenerateRequest(run=BUNDLED, particle=state.DEFAULT_PARTICLE, n=64)
    text = numbers.table(distributions.about(compared, request, state.DEFAULT_PARTICLE, dataset), compared.rows())
    rows = {r["quantity"]: r for r in csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))}
    light = made["showers"].reshape(64, -1).sum(1)
    assert float(rows["photon sum"]["generated_mean"]) == pytest.approx(light.mean(), rel=1e-5)
    assert float(rows["channel 1"]["generated_mean"]) == pytest.approx(made["channels"][:, 0].mean(), rel=1e-5)
    assert "# convention: paper" in text


# ------------------------------------------------------------------------------------------------------ engine gone
def test_everything_open_survives_an_engine_that_goes(fake: FakeEngine):
    engine: list = [fake]
    state.use_engine(lambda: engine[0])
    test = finish(scanned(fake, bulk="true"))
    taken(test)
    engine[0] = DownEngine()
    test.run()
    assert not test.exception
    assert "Stale" in words(test)
    assert "does not answer" in words(test)


def test_everything_open_without_any_engine_says_so():
    state.use_engine(lambda: cast(Engine, DownEngine()))
    test = opened(scan="true", bulk="true").run()
    assert not test.exception
    assert "The engine does not answer" in words(test)


def test_a_pad_without_columns_is_drawn_without_its_density(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    def gone(*_: object) -> None:
        raise EngineError("no columns now")

    monkeypatch.setattr(fake, "columns", gone)
    test = page("generate").run()
    assert not test.exception
    assert not test.error


def test_sights_of_two_sessions_do_not_mix(fake: FakeEngine):
    first, second = opened(shown="mean").run(), page("generate").run()
    assert first.session_state[state.SIGHT].shown == "mean"
    assert second.session_state[state.SIGHT] == Sight()

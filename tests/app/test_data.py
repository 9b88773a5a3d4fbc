"""The Data page: sets that are not made yet, imports and their reports, two sets over each other, agreement."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from fake import VALIDATION, DownEngine, FakeEngine
from streamlit.testing.v1 import AppTest
from test_pages import page, words

from app import state
from app.components import filters
from app.components.words import measured
from app.views import data, importing, overlay, validation
from engine.schema import ImportTask, NotFound, WrongInput

FAST = "ZN, parametrised Monte Carlo"


def opened(view: str = "", dataset: str = "") -> AppTest:
    test = page("data")
    if view:
        test.query_params["view"] = view
    if dataset:
        test.query_params["set"] = dataset
    return test.run()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def showers(fake: FakeEngine, n: int = 30) -> bytes:
    return npz(showers=fake.pictures[:n], conditions=fake.conditions[:n], pdg=fake.pdg[:n])


def imported(fake: FakeEngine, name: str = "mine", content: bytes | None = None) -> None:
    """An import that has ended, as the command line would have done it."""
    task_s, fake.task_s = fake.task_s, 0
    ticket = fake.upload(f"{name}.npz", content or showers(fake))
    fake.start_task(ImportTask(data=name, uploads=[ticket]))
    fake.task_s = task_s


def hand_in(test: AppTest, file_name: str, content: bytes) -> AppTest:
    test.file_uploader[0].set_value([(file_name, content, "application/octet-stream")]).run()
    return test.button(key="start_import").click().run()


# ---------------------------------------------------------------------------------------------------- not made yet
def test_the_page_opens_with_a_set_that_is_there(fake: FakeEngine):
    assert fake.datasets()[0].name == "zdc_fast"
    test = opened()
    assert test.selectbox(key=state.SET).value == "zdc_geant4"
    assert FAST in test.selectbox(key=state.SET).options


def test_a_set_that_is_not_made_says_its_cost_and_offers_to_make_it(fake: FakeEngine):
    test = opened(dataset=FAST)
    assert not test.exception
    assert "is not made yet" in words(test)
    assert "about a minute" in words(test)
    assert not test.dataframe


def test_a_set_under_way_shows_how_far_and_can_be_cancelled(fake: FakeEngine):
    fake.task_s = 100
    test = opened(dataset=FAST)
    test.button(key="start_prepare").click().run()
    assert not test.exception
    assert not [b for b in test.button if b.key == "start_prepare"]
    test.button(key="cancel prepare zdc_fast").click().run()
    assert "Cancelled; nothing was kept" in words(test)
    assert not fake.datasets()[0].ready


def test_a_set_under_way_is_found_by_another_session(fake: FakeEngine):
    fake.task_s = 100
    opened(dataset=FAST).button(key="start_prepare").click().run()
    assert opened(dataset=FAST).button(key="cancel prepare zdc_fast")


def test_a_finished_set_is_shown_without_a_press(fake: FakeEngine):
    fake.task_s = 100
    test = opened(dataset=FAST)
    test.button(key="start_prepare").click().run()
    fake.task_s = 0
    test.run()
    assert not test.exception
    assert len(test.dataframe[0].value) == 50


def test_train_says_that_a_set_is_not_made_and_makes_it(fake: FakeEngine):
    test = page("train").run()
    test.selectbox(key=state.TRAIN_DATA).select("zdc_fast").run()
    assert "once it is simulated" in words(test)
    assert not [b for b in test.button if b.key == "start_training"]
    fake.task_s = 0
    test.button(key="start_prepare").click().run()
    assert not test.exception
    assert test.button(key="start_training")


def test_an_engine_that_goes_while_a_set_is_made_is_said(fake: FakeEngine):
    fake.task_s = 100
    engine: list = [fake]
    state.use_engine(lambda: engine[0])
    test = opened(dataset=FAST)
    test.button(key="start_prepare").click().run()
    engine[0] = DownEngine()
    test.run()
    assert not test.exception
    assert "engine does not answer" in test.get("progress")[0].proto.text
    test.button(key="cancel prepare zdc_fast").click().run()
    assert not test.exception
    assert "No engine answers" in words(test)


# -------------------------------------------------------------------------------------------------------- importing
def test_a_name_is_suggested_from_the_file():
    assert importing.suggestion(["My Showers.v2.npz"], set()) == "my_showers"
    assert importing.suggestion(["ä€.npz"], set()) == "imported"
    assert importing.suggestion(["a.npz"], {"a", "a_2"}) == "a_3"
    assert importing.NAME.fullmatch(importing.suggestion(["x" * 200 + ".npz"], {"x" * 60}))


@pytest.mark.parametrize("name", ["", "Upper", "a b", "-a", "a" * 65, "mine"])
def test_a_name_that_cannot_be_is_said(name: str):
    assert importing.wrong_name(name, {"mine"})


def test_import_shows_what_was_understood(fake: FakeEngine):
    fake.task_s = 0
    test = hand_in(opened("Import"), "Mine.npz", showers(fake))
    assert not test.exception
    assert not test.error
    assert [m.value for m in test.metric] == ["32", "30", "10", "1", "2"]
    table = test.table[0].value
    assert list(table.columns) == ["what", "value", "why", "to say otherwise"]
    assert "mass unit" in set(table["what"])
    assert "Energy is nan" in set(test.dataframe[0].value["reason"])
    assert "median 141" in words(test)
    assert "2.6 % of the showers are empty" in words(test)
    assert "no replicas are marked" in words(test)
    test.button(key="show_set").click().run()
    assert test.selectbox(key=state.SET).value == "mine"
    assert "imported from Mine.npz" in words(test)
    assert len(test.dataframe[0].value) == 30


def test_an_import_under_way_can_be_cancelled(fake: FakeEngine):
    fake.task_s = 100
    test = hand_in(opened("Import"), "mine.npz", showers(fake))
    assert test.button(key="start_import").disabled
    test.button(key="cancel import").click().run()
    assert not test.exception
    assert "Cancelled; nothing was kept" in words(test)
    assert fake.imports() == []


def test_a_bad_file_is_one_clear_line_and_can_be_tried_again(fake: FakeEngine):
    fake.task_s = 0
    test = hand_in(opened("Import"), "bad.npz", b"nothing of the kind")
    assert not test.exception
    assert len(test.error) == 1
    assert "Not imported, nothing was stored" in test.error[0].value
    assert "no reader for this kind of file" in test.error[0].value
    assert fake.imports() == []
    assert not test.button(key="start_import").disabled


def test_a_refused_upload_is_said(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> str:
        raise WrongInput("this engine does not train")

    monkeypatch.setattr(fake, "upload", refuse)
    test = hand_in(opened("Import"), "mine.npz", showers(fake))
    assert not test.exception
    assert "does not train" in words(test)


def test_three_files_and_taken_names_are_not_sent(fake: FakeEngine):
    imported(fake)
    test = opened("Import")
    test.file_uploader[0].set_value([(f"{k}.npz", b"", "") for k in range(3)]).run()
    assert test.button(key="start_import").disabled
    assert "Two files at most" in words(test)
    test.file_uploader[0].set_value([("mine.npz", b"", "")]).run()
    assert test.text_input(key="import_name").value == "mine_2"
    test.text_input(key="import_name").set_value("mine").run()
    assert test.button(key="start_import").disabled
    assert "is in use" in words(test)


def test_options_travel_with_the_import(fake: FakeEngine):
    fake.task_s = 100
    test = opened("Import")
    test.selectbox(key="import_energy_unit").select("MeV")
    test.checkbox(key="import_skip").check()
    test.text_input(key="import_columns").set_value("Energy, Vx ,")
    hand_in(test, "mine.npz", showers(fake))
    [began] = fake.begun.values()
    assert isinstance(began.task, ImportTask)
    said = began.task.options
    assert (said.energy_unit, said.detector, said.skip_bad_rows, said.columns) == ("MeV", None, True, ["Energy", "Vx"])


def test_files_above_the_limit_have_a_command(fake: FakeEngine):
    test = opened("Import")
    assert any("showerscope data import FILE --name" in code.value for code in test.code)


def test_earlier_imports_keep_their_reports_also_those_that_are_no_sets(fake: FakeEngine):
    imported(fake)
    imported(fake, "table", npz(conditions=fake.conditions[:9]))
    test = opened("Import")
    assert test.selectbox(key=state.REPORT).options == ["mine", "table"]
    test.selectbox(key=state.REPORT).select("table").run()
    assert "no data set" in words(test)
    assert test.button(key="show_set").disabled
    assert "table" not in test.selectbox(key=state.SET).options


def test_an_import_is_removed_after_a_second_press(fake: FakeEngine):
    imported(fake)
    test = opened(dataset="ZN, mine (imported)")
    assert test.selectbox(key=state.SET).value == "mine"
    test.button(key="remove_set_yes").click().run()
    assert not test.exception
    assert fake.imports() == []
    assert test.selectbox(key=state.SET).value == "zdc_geant4"


def test_a_set_of_the_house_has_no_remove_button(fake: FakeEngine):
    assert not [b for b in opened().button if str(b.key).startswith("remove")]


def test_a_removal_that_fails_is_said(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    imported(fake)

    def refuse(*_: object) -> None:
        raise NotFound("no imported set 'mine'")

    monkeypatch.setattr(fake, "remove_data", refuse)
    test = opened(dataset="ZN, mine (imported)")
    test.button(key="remove_set_yes").click().run()
    assert not test.exception
    assert "no imported set" in words(test)


def test_two_imports_of_one_title_are_told_apart(fake: FakeEngine):
    imported(fake, "a")
    imported(fake, "b")
    titles = [state.title_of(d.model_copy(update={"title": "same"})) for d in fake.datasets() if d.imported]
    assert len(set(titles)) == 2


# -------------------------------------------------------------------------------------------- two sets, and downloads
def test_two_sets_stand_over_each_other_with_their_normalisation(fake: FakeEngine):
    imported(fake)
    test = opened("Ratio to another set", "ZN, mine (imported)")
    assert not test.exception
    assert "(30 showers, line) scaled to the 3,642 showers" in words(test)
    assert "read-out convention **paper**" in words(test)
    assert list(test.table[0].value["quantity"])[:2] == ["energy", "photon sum"]
    test.selectbox(key=state.CONVENTION).select("o2").run()
    assert "read-out convention **o2**" in words(test)


def test_without_a_second_set_the_ratio_says_how_to_get_one(fake: FakeEngine):
    test = opened("Ratio to another set")
    assert not test.exception
    assert "no other data set" in words(test)


def test_the_same_filters_hold_for_both_sets(fake: FakeEngine):
    imported(fake)
    test = opened("Ratio to another set")
    test.segmented_control(key=state.PHOTONS).set_value(18).run()
    kept = int((fake.sums >= 18).sum())
    assert f"({kept:,} showers, line)" in words(test)
    assert f"scaled to the {int((fake.sums[:30] >= 18).sum())} showers" in words(test)


def test_the_error_of_a_mean_counts_primaries():
    values = np.repeat(np.arange(10.0), 3)
    mean, error = overlay.mean_of(values, np.repeat(np.arange(10), 3))
    assert mean == 4.5
    assert error == pytest.approx(np.arange(10.0).std() / np.sqrt(10))


def test_filters_pass_what_they_say():
    columns = FakeEngine().columns("zdc_geant4")
    kept = filters.Filter((22,), ("test",), (100.0, 200.0), 5.0).rows(columns)
    assert len(kept) > 0
    assert (np.asarray(columns["pdg"])[kept] == 22).all()
    assert (np.asarray(columns["split"])[kept] == 2).all()
    assert (np.asarray(columns["photon_sum"])[kept] >= 5).all()
    energy = np.asarray(columns["conditions"])[kept, 0]
    assert energy.min() >= 100
    assert energy.max() <= 200
    assert len(filters.Filter().rows(columns)) == len(columns["pdg"])


def test_rows_are_downloaded_in_every_format_up_to_a_size(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch):
    def able(test: AppTest) -> list[str]:
        return [b.label for b in test.download_button if str(b.key).startswith("save_") and not b.disabled]

    assert able(opened()) == [".npz", ".parquet", ".root", ".csv"]
    monkeypatch.setattr(data, "MOST_SAVED", 100)
    test = opened()
    assert able(test) == [".csv"]
    assert any("showerscope data export zdc_geant4 --out" in code.value for code in test.code)


# ---------------------------------------------------------------------------------------------------------- agreement
def test_agreement_is_offered_for_sets_that_can_be_checked_only(fake: FakeEngine):
    assert "Check against Geant4" not in [b.label for b in opened("Agreement with Geant4").button]
    test = opened("Agreement with Geant4", FAST)
    assert not test.exception
    assert test.button(key="start_check").label == "Check against Geant4"


def test_a_check_says_how_many_statistics_agree(fake: FakeEngine):
    fake.task_s = 0
    test = opened("Agreement with Geant4", FAST)
    test.button(key="start_check").click().run()
    assert not test.exception
    assert "3 of 5 statistics within 2×" in words(test)
    table = test.dataframe[0].value
    assert list(table["judgement"]) == [validation.sign(row, 2.0) for row in VALIDATION.rows]
    assert {label[0] for label in table["judgement"]} == {"✓", "✗"}
    assert [b.label for b in test.download_button] == [".json", ".csv"]


def test_a_finished_check_is_there_after_a_reload(fake: FakeEngine):
    fake.task_s = 0
    opened("Agreement with Geant4", FAST).button(key="start_check").click().run()
    assert "3 of 5 statistics" in words(opened("Agreement with Geant4", FAST))


def test_a_running_check_can_be_cancelled(fake: FakeEngine):
    fake.task_s = 100
    test = opened("Agreement with Geant4", FAST)
    test.button(key="start_check").click().run()
    assert test.button(key="start_check").disabled
    test.button(key="cancel check zdc_fast test").click().run()
    assert "Cancelled" in words(test)
    assert not test.button(key="start_check").disabled


def test_a_check_is_saved_as_it_is_shown():
    table = pd.read_csv(io.BytesIO(validation.csv_of(VALIDATION)))
    assert list(table["statistic"]) == [row.name for row in VALIDATION.rows]
    assert json.loads(VALIDATION.model_dump_json())["within"] == 3


@pytest.mark.parametrize(
    ("label", "shown"), [("r / cm", "r [cm]"), ("photons per GeV", "photons per GeV"), ("energy / GeV", "energy [GeV]")]
)
def test_units_stand_in_brackets(label: str, shown: str):
    assert validation.bracketed(label) == shown


# ----------------------------------------------------------------------------------------------------------- read-out
def test_masks_of_both_detectors_are_explained(fake: FakeEngine):
    test = opened("Read-out masks")
    assert "**ZN, neutron calorimeter**, 44×44 fibres" in words(test)
    test.segmented_control(key=state.DETECTOR).set_value("zp").run()
    assert not test.exception
    assert "**ZP, proton calorimeter**, 56×30 fibres" in words(test)
    assert words(test).count("check with ALICE") == 3
    assert "four vertical slabs" in words(test)


@pytest.mark.parametrize("view", ["nothing", "Agreement with Geant4"])
def test_a_view_that_is_not_there_opens_the_showers(fake: FakeEngine, view: str):
    test = opened(view)
    assert not test.exception
    assert len(test.dataframe[0].value) == 50


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [(5109.2, 797.9, "5,110 ± 800"), (2.113, 0.0491, "2.113 ± 0.049"), (0.0834, None, "0.0834"), (1e4, None, "10,000")],
)
def test_numbers_are_written_to_their_error(value: float, error: float | None, said: str):
    assert measured(value, error) == said

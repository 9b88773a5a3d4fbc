"""The Compare page: records of benchmarks, their tables and charts, and the way back to a training."""

import io
import json

import pandas as pd
import pytest
from fake import FakeEngine
from fake_benchmarks import MNIST, QUICK, zdc_row
from streamlit.testing.v1 import AppTest
from test_pages import page, words

from app import state
from app.charts import ranking, standings
from app.components import again
from app.views import benchmarks, recipe
from engine.schema import MetricValue


def opened(**query: str) -> AppTest:
    test = page("compare")
    test.query_params.update(query)
    return test.run()


def titles(fake: FakeEngine) -> dict[str, str]:
    return benchmarks.titles_of(fake.records)


def test_the_headline_says_data_budget_seeds_commit_and_read_out(fake: FakeEngine):
    test = opened()
    assert not test.exception
    said = words(test)
    for fact in ("parametrised Monte Carlo fitted to Geant4", "20,000 training showers", "1,000 test primaries",
                 "3,000 showers", "seed 0", "convention `paper`", "commit `8416c8ee2dee`"):  # fmt: skip
        assert fact in said, fact
    assert "**Quick: no verdict.**" in said
    assert "not of another training" in said


def test_the_table_holds_the_floor_and_every_row_with_its_remark(fake: FakeEngine):
    test = opened()
    table = test.dataframe[0].value
    assert list(table["row"]) == [ranking.FLOOR, *(row.title for row in QUICK.rows)]
    assert list(table["remark"][1:]) == ["▲ too wide", "", "", "▲ too wide", "", "▼ collapsed"]
    assert {"MAE [photons]", "MAE × floor", "W₁ [photons]", "W₁ × floor", "spread", "δ"} <= set(table.columns)


def test_published_rows_stand_apart_and_are_not_ranked(fake: FakeEngine):
    test = opened()
    assert "Other subsets, not ranked against ours" in words(test)
    assert list(test.dataframe[1].value["published"])[-1] == "original data (again)"


def test_a_record_of_digits_has_its_own_metrics_and_no_read_out(fake: FakeEngine):
    test = opened(record=titles(fake)[MNIST.name])
    assert not test.exception
    assert test.selectbox(key=state.RECORD).value == MNIST.name
    table = test.dataframe[0].value
    assert {"FID", "FID × floor", "Sinkhorn of features", "Accuracy of labels [%]"} <= set(table.columns)
    assert not [name for name in table.columns if "photons" in name]
    assert table["row"][0] == ranking.FLOOR_OF_DATA
    assert not {"remark", standings.TIME, standings.EACH, standings.WEIGHTS} & set(table.columns), "nothing in them"
    said = words(test)
    assert "convention" not in said
    assert "Quick" not in said
    assert "collapsed" not in said
    assert "error of the mean over seeds" in said


def test_titles_in_links_are_unique_and_tell_quick_from_full():
    again = MNIST.model_copy(update={"name": "home:other"})
    found = benchmarks.titles_of([QUICK, MNIST, again])
    assert len(set(found.values())) == 3
    assert "quick" in found[QUICK.name]
    assert "full" in found[MNIST.name]


def test_a_link_to_a_record_that_is_gone_opens_the_first(fake: FakeEngine):
    test = opened(record="gone")
    assert not test.exception
    assert test.selectbox(key=state.RECORD).value == QUICK.name


def test_without_records_the_page_says_how_to_make_one():
    state.use_engine(lambda: FakeEngine(empty=True))
    test = opened()
    assert not test.exception
    assert "showerscope bench table1 --quick" in words(test)
    assert not test.dataframe


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [zdc_row("bare", "unknown", 1, 1, 1, metrics={}, train_seconds=None, ms_per_shower=None, parameters=None)],
        [zdc_row("odd", "vae", 0, -1, 1, ms_per_shower=0, epochs=None, seeds=[], config={"a": True})],
        [zdc_row("one", "vae", 1, 1, 1, metrics={"mae": MetricValue(value=1e9, error=0, unit="photons")})],
        [zdc_row("same", "vae", 1, 1, 1), zdc_row("same", "vae", 1, 1, 1)],
    ],
)
def test_records_with_gaps_are_shown_as_far_as_they_go(fake: FakeEngine, rows: list):
    fake.records = [QUICK.model_copy(update={"rows": rows, "budget": {}, "seeds": [], "missing": ["a row"]})]
    test = opened()
    assert not test.exception
    assert not test.error
    if rows:
        assert "Ended badly" in words(test)
        assert len(test.dataframe[0].value) == len(rows) + 1


def test_the_downloads_are_what_is_shown(fake: FakeEngine):
    test = opened()
    assert [b.label for b in test.download_button] == [".csv", ".json"]
    columns = ranking.columns(QUICK, fake.catalogue())
    table = pd.read_csv(io.BytesIO(standings.numbers(QUICK, columns).to_csv(index=False).encode()))
    shown = test.dataframe[0].value
    assert table["MAE [photons]"].tolist() == shown["MAE [photons]"].tolist()
    assert json.loads(QUICK.model_dump_json())["commit"] == "8416c8ee2dee"


# ------------------------------------------------------------------------------------------------------------ a row
def test_a_row_tells_the_settings_that_are_no_defaults_and_its_command(fake: FakeEngine):
    test = opened(row="cond. e2e SAE")
    assert test.selectbox(key=state.RECORD_ROW).value == "cond. e2e SAE"
    settings = test.dataframe[2].value.set_index("setting")
    assert list(settings.index) == ["beta", "gone", "derived"], "the batch is today's default"
    assert settings["default"].tolist() == ["0.003", "no such setting now", "True"]
    assert test.code[0].value == (
        "showerscope train --data zdc_fast --model e2e_sae --set beta=0.01 --set batch=256 --set gone=1 "
        "--set derived=false --set epochs=1 --seed 0"
    )


def test_a_row_of_defaults_says_so(fake: FakeEngine):
    assert "The model's defaults throughout" in words(opened(row="cond. VAE"))


def test_a_command_survives_foreign_words():
    row = zdc_row("a", "vae", 1, 1, 1, config={"name": "two words; rm -rf"})
    assert "'name=two words; rm -rf'" in recipe.command_of(QUICK, row)


def test_a_model_or_data_set_that_is_not_here_is_said(fake: FakeEngine):
    assert "no such model" in words(opened(row="cond. DCGAN"))
    assert "no such data set" in words(opened(record=titles(fake)[MNIST.name]))


def train_like(fake: FakeEngine, title: str, **row: object) -> AppTest:
    """The Train page as the link of a row opens it."""
    rows = [zdc_row(title, "e2e_sae", 1, 1, 1, **row)]
    fake.records = [QUICK.model_copy(update={"data": "zdc_geant4", "rows": rows})]
    test = page("train")
    test.session_state["group_Model"] = True
    test.query_params.update(again.link(fake.records[0], rows[0]))
    return test.run()


def values_of(test: AppTest) -> dict[str, object]:
    return {w.label: w.value for w in (*test.number_input, *test.checkbox, *test.selectbox)}


def test_train_opens_with_a_row_s_settings_and_goes_back_to_defaults(fake: FakeEngine):
    test = train_like(fake, "cond. e2e SAE", config={"beta": 0.01, "derived": False, "gone": 1}, seeds=[7])
    assert not test.exception
    assert not test.warning
    assert "settings of **cond. e2e SAE**" in words(test)
    found = values_of(test)
    assert (found["beta"], found["derived"], found["epochs"], found["learning rate"]) == (0.01, False, 1, 3e-4)
    assert test.number_input(key="train_seed7").value == 7
    test.number_input[-1].set_value(8).run()
    assert values_of(test)["beta"] == 0.01
    test.button(key="unfill").click().run()
    found = values_of(test)
    assert (found["beta"], found["derived"], found["epochs"]) == (0.003, True, 60)
    assert "settings of" not in words(test)


def test_settings_of_another_version_do_not_enter_the_form(fake: FakeEngine):
    config = {"learning_rate": True, "likelihood": "nonsense", "derived": 1, "batch": 300.5}
    test = train_like(fake, "old", config=config, epochs=10**9)
    assert not test.exception
    found = values_of(test)
    assert (found["epochs"], found["learning rate"], found["likelihood"]) == (60, 3e-4, "poisson")
    assert (found["derived"], found["batch [showers]"]) == (True, 256)


def test_a_link_to_a_row_that_is_gone_opens_the_defaults(fake: FakeEngine):
    test = page("train")
    test.query_params["like"] = "table1_quick/nothing"
    test.run()
    assert not test.exception
    assert values_of(test)["epochs"] == 60

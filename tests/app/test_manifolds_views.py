"""The Manifolds page in each of its states: nothing trained, training, done, failed, refused, and without an engine."""

import csv
import io
import time
from typing import Any, cast

import numpy as np
import pytest
from fake import DownEngine
from fake_manifolds import TRAINED_K, ManifoldsEngine, record
from streamlit.testing.v1 import AppTest
from test_pages import markup, page, sound, words

from app import state
from app.charts import bridging as shares
from app.components import checkpoints, frames, trainings
from app.components import replay as player
from app.components.checkpoints import Source
from app.views import bridging, manifolds, modes, race, toy_table
from engine.datasets.toys import SETS
from engine.schema import CloudRequest, Engine, EngineError, PartitionRequest

GAUSSIANS, SPIRALS, CIRCLES = "toy_eight_gaussians", "toy_spirals", "toy_four_circles"
TITLES = {name: toy.title for name, toy in SETS.items()}


@pytest.fixture
def engine() -> ManifoldsEngine:
    engine = ManifoldsEngine()
    state.use_engine(lambda: engine)
    return engine


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the replay was given, in order."""
    seen: list[dict[str, Any]] = []
    show = player.show

    def note(key: str, data: dict[str, Any]) -> None:
        seen.append(data)
        show(key, data)

    monkeypatch.setattr(player, "show", note)
    return seen


def opened(toy: str = GAUSSIANS, **query: str) -> AppTest:
    test = page("manifolds")
    test.query_params.update({state.TOY: TITLES[toy], **query})
    return test.run()


def settled(test: AppTest) -> AppTest:
    """Once everything is fetched; each look at the page waits a little for it."""
    until, held = time.monotonic() + 60, -1
    while frames.shelf().under_way or len(frames.shelf().held) != held:
        assert time.monotonic() < until
        held = len(frames.shelf().held)
        test.run()
    return test


def panels(drawn: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {panel["title"]: panel for panel in drawn[-1]["panels"]}


def button(test: AppTest, key: str) -> Any:
    return next((b for b in test.button if b.key == key), None)


# ------------------------------------------------------------------------------------------------------ nothing trained
@pytest.mark.parametrize("view", manifolds.VIEWS)
@pytest.mark.parametrize("toy", SETS)
def test_every_set_opens_in_both_views_before_anything_has_learned(
    engine: ManifoldsEngine, drawn: list[dict[str, Any]], toy: str, view: str
):
    test = opened(toy, **{state.TOY_VIEW: view})
    sound(test)
    assert test.selectbox(key=state.TOY).value == TITLES[toy]
    assert drawn[-1]["clock"] == []
    assert len(drawn[-1]["panels"]) == 6
    assert all(panel["frames"] == [] for panel in drawn[-1]["panels"])
    assert "Press" in words(test) or "press" in words(test)
    assert engine.asked == []


def test_the_target_stands_there_before_any_run(engine: ManifoldsEngine, drawn: list[dict[str, Any]]):
    opened(SPIRALS)
    (span, real) = drawn[-1]["span"], drawn[-1]["real"]
    assert span[0][1] - span[0][0] == pytest.approx(span[1][1] - span[1][0])
    points = player.replay.unpacked(real, span)
    assert len(points) == checkpoints.EXACT
    assert np.mean(SETS[SPIRALS].off(points)) < 0.01


def test_a_link_that_says_nothing_possible_opens_with_what_there_is(engine: ManifoldsEngine):
    test = page("manifolds")
    test.query_params.update(
        {state.TOY: "Moebius strip", state.CLUSTERS: "77", state.EPOCHS: "many", state.TOY_VIEW: "?"}
    )
    sound(test.run())
    assert test.select_slider(key=state.CLUSTERS).value == TRAINED_K


# ------------------------------------------------------------------------------------------------------------- training
def test_the_button_trains_with_the_sliders_k_and_the_page_says_how_far_it_is(engine: ManifoldsEngine):
    engine.train_s = 60
    test = opened(SPIRALS)
    test.select_slider(key=state.CLUSTERS).set_value(16).run()
    button(test, "modes_train").click().run()
    (spec,) = engine.specs
    assert (spec.data, spec.model, spec.seed) == (SPIRALS, "sc_gan", 0)
    assert spec.config == {"conditional": False, "epochs": 20, "checkpoint_epochs": 1, "clusters": 16}
    sound(test.run())
    assert button(test, "modes_train").disabled
    button(test, "modes_stop").click().run()
    assert engine.runs()[-1].state == "cancelled"
    assert "cancelled at" in words(test)
    assert not button(test, "modes_train").disabled


def test_a_second_training_with_the_same_k_has_another_seed(engine: ManifoldsEngine):
    engine.train("sc_gan", GAUSSIANS, clusters=64)
    test = settled(opened())
    assert "again" in button(test, "modes_train").label
    button(test, "modes_train").click().run()
    assert engine.specs[-1].seed == 1


def test_where_training_is_not_allowed_the_buttons_say_why():
    engine = ManifoldsEngine(allowed=False)
    state.use_engine(lambda: engine)
    for view, key in zip(manifolds.VIEWS, ("modes_train", "race_start"), strict=True):
        test = opened(**{state.TOY_VIEW: view})
        sound(test)
        assert button(test, key).disabled
        assert "--no-train" in words(test)


def test_what_the_engine_refuses_is_said(engine: ManifoldsEngine, monkeypatch: pytest.MonkeyPatch):
    def full(spec: object) -> str:
        raise EngineError("the disk is full: free some space")

    monkeypatch.setattr(engine, "submit", full)
    test = opened()
    button(test, "modes_train").click().run()
    assert [e.value for e in test.error] == ["the disk is full: free some space"]


def test_a_failed_run_says_its_error_and_keeps_its_pictures(engine: ManifoldsEngine, drawn: list[dict[str, Any]]):
    run = engine.train("sc_gan", GAUSSIANS, share=0.5)
    engine.toys[run].update(state="failed", error="the loss of stage 2 is nan at step 1200")
    test = settled(opened())
    assert "nan at step 1200" in test.error[0].value
    assert "Train again" in test.error[0].value
    assert len(panels(drawn)["Real codes"]["frames"]) == 10


# ---------------------------------------------------------------------------------------------------------------- modes
def test_four_modes_stand_on_one_clock_with_a_frame_a_checkpoint(engine: ManifoldsEngine, drawn: list[dict[str, Any]]):
    engine.train("sc_gan", GAUSSIANS)
    sound(settled(opened()))
    found = panels(drawn)
    assert list(found) == ["Target", "Clusters, K = 64", *(title for title, _ in modes.MODES.values())]
    assert len(drawn[-1]["clock"]) == 20
    for title, _ in modes.MODES.values():
        assert len(found[title]["frames"]) == 20
        assert found[title]["at"] == list(range(20))
        assert found[title]["note"]
    assert "the encoder learns" in drawn[-1]["moments"][0]
    assert "the mapping networks learn" in drawn[-1]["moments"][10]
    assert "the decoder learns" in drawn[-1]["moments"][-1]


def test_the_last_pictures_come_first(engine: ManifoldsEngine, drawn: list[dict[str, Any]]):
    run = engine.train("sc_gan", GAUSSIANS)
    opened()
    asked = [r for r in engine.asked if isinstance(r, CloudRequest) and r.run == run]
    assert {r.step for r in asked[:3]} == {800}
    steps = [r.step or 0 for r in checkpoints.wanted(modes.sources_of(engine.status(run), 64))]
    pictures = steps[: 4 * 20]
    assert pictures == sorted(pictures, reverse=True)
    assert set(steps[80:]) == {800}


def test_below_the_last_picture_stand_means_of_several_clouds(engine: ManifoldsEngine, drawn: list[dict[str, Any]]):
    run = engine.train("sc_gan", GAUSSIANS)
    settled(opened())
    info = engine.status(run)
    clouds = [
        engine.cloud(CloudRequest(run=run, step=800, n=checkpoints.POINTS, seed=k, latents="single"))
        for k in range(checkpoints.SEEDS)
    ]
    judged = shares.judge(clouds)
    assert Source("", info, "single").judged() == judged
    said = panels(drawn)["Single Gaussian"]["frames"]
    assert said[-1]["words"][0].startswith(f"W₁ {judged.w1:.3f}"[:7])
    assert " ± " in said[-1]["words"][0]
    assert " ± " not in said[-2]["words"][0]


def test_another_k_divides_anew_at_once_and_says_what_the_networks_were_trained_for(
    engine: ManifoldsEngine, drawn: list[dict[str, Any]]
):
    engine.train("sc_gan", GAUSSIANS)
    test = settled(opened())
    before = panels(drawn)["Clusters, K = 64"]["plane"]
    test.select_slider(key=state.CLUSTERS).set_value(8).run()
    sound(settled(test))
    found = panels(drawn)
    assert found["Clusters, K = 8"]["plane"]["cluster"] != before["cluster"]
    assert len(found["Clusters, K = 8"]["plane"]["colours"]) == 8
    assert "trained for K = 64" in found["Mapping network, K = 64"]["note"]
    assert "train SC-GAN with K = 8" in found["Mapping network, K = 64"]["note"]
    assert len(found["Mapping network, K = 64"]["frames"]) == 20
    clouds = [r for r in engine.asked if isinstance(r, CloudRequest)]
    assert {r.latents for r in clouds if r.clusters == 8} == {"centres"}
    assert {r.clusters for r in engine.asked if isinstance(r, PartitionRequest)} == {None, 8}


def test_a_run_with_the_sliders_k_is_preferred_to_a_newer_one(engine: ManifoldsEngine):
    old = engine.train("sc_gan", GAUSSIANS, clusters=8)
    new = engine.train("sc_gan", GAUSSIANS, clusters=32)
    engine.train("sc_gan", SPIRALS, clusters=8)
    runs = engine.runs()
    chosen = {k: trainings.of_clusters(runs, GAUSSIANS, k, 20) for k in (8, 32, 64)}
    assert {k: run and run.run_id for k, run in chosen.items()} == {8: old, 32: new, 64: new}
    assert trainings.of_clusters(runs, CIRCLES, 8, 20) is None


def test_the_seed_of_the_strip_draws_other_points(engine: ManifoldsEngine):
    run = engine.train("sc_gan", GAUSSIANS)
    settled(opened(**{state.SEED: "7"}))
    seeds = {r.seed for r in engine.asked if isinstance(r, CloudRequest) and r.run == run}
    assert seeds == set(range(7, 7 + checkpoints.SEEDS))


def test_nothing_is_asked_twice(engine: ManifoldsEngine):
    engine.train("sc_gan", GAUSSIANS)
    engine.train("e2e_sae", GAUSSIANS)
    test = settled(opened())
    test.run()
    settled(opened())
    asked = [request.model_dump_json() for request in engine.asked]
    assert len(asked) == len(set(asked))


# ----------------------------------------------------------------------------------------------------------------- race
def test_the_race_submits_every_model_with_the_same_budget_and_then_says_where_each_stands(
    engine: ManifoldsEngine, drawn: list[dict[str, Any]]
):
    engine.train_s = 60
    test = opened(SPIRALS, show="Race")
    button(test, "race_start").click().run()
    assert [s.model for s in engine.specs] == list(race.ENTRANTS)
    assert all(s.config == trainings.budget(20) and s.seed == 0 for s in engine.specs)
    sound(test)
    said = [panel["status"] for panel in drawn[-1]["panels"]]
    assert said[0].startswith("training, ")
    assert said[1:] == [f"queued, place {k}" for k in range(1, 6)]
    button(test, "race_stop").click().run()
    assert {run.state for run in engine.runs() if run.data == SPIRALS} == {"cancelled"}
    assert button(test, "race_start").label == "Start the race"


def test_a_longer_race_takes_as_many_pictures_and_leaves_shorter_trainings_out(engine: ManifoldsEngine):
    engine.train_s = 0
    engine.train("gan", SPIRALS)
    test = opened(SPIRALS, show="Race", epochs="60")
    assert button(test, "race_start").label == "Start the race"
    button(test, "race_start").click().run()
    assert [s.model for s in engine.specs] == list(race.ENTRANTS)
    assert all(s.config == {"conditional": False, "epochs": 60, "checkpoint_epochs": 3} for s in engine.specs)


def test_the_card_compares_trainings_of_one_length_the_longest_first(engine: ManifoldsEngine):
    short = {model: engine.train(model, SPIRALS) for model in ("e2e_sae", "sc_gan")}
    engine.train("sc_gan", SPIRALS, epochs=60)
    found = bridging.pair(engine.runs(), SPIRALS)
    assert found is not None
    assert [run.run_id for run in found] == [short["e2e_sae"], short["sc_gan"]]
    engine.train("e2e_sae", SPIRALS, epochs=60)
    found = bridging.pair(engine.runs(), SPIRALS)
    assert found is not None
    assert [run.epochs for run in found] == [60, 60]
    assert bridging.pair(engine.runs(), CIRCLES) is None


def test_only_those_that_have_not_finished_are_started_and_then_all_with_another_seed(engine: ManifoldsEngine):
    engine.train_s = 0
    for model in ("gan", "sc_gan"):
        engine.train(model, SPIRALS)
    engine.train("wgan", SPIRALS, share=0.4)
    engine.train("flow_matching", SPIRALS, epochs=5)
    test = opened(SPIRALS, show="Race")
    assert button(test, "race_start").label == "Start the rest"
    button(test, "race_start").click().run()
    assert [s.model for s in engine.specs] == ["wgan", "wgan_gp", "e2e_sae", "flow_matching"]
    assert button(test.run(), "race_start").label == "Start again"
    button(test, "race_start").click().run()
    assert [(s.model, s.seed) for s in engine.specs[4:]] == [(model, 1) for model in race.ENTRANTS]


def test_a_finished_race_stands_on_one_clock_with_curves_below(engine: ManifoldsEngine, drawn: list[dict[str, Any]]):
    for model in race.ENTRANTS:
        engine.train(model, SPIRALS)
    test = settled(opened(SPIRALS, show="Race"))
    sound(test)
    assert len(drawn[-1]["clock"]) == 20
    assert all(panel["at"] == list(range(20)) for panel in drawn[-1]["panels"])
    assert drawn[-1]["moments"][-1].startswith("280,000 points seen")
    assert len(test.get("echarts_chart")) == 1
    assert "6 of 6 done" in words(test)


def test_a_model_that_has_not_run_is_on_the_clock_of_the_others_without_a_frame(
    engine: ManifoldsEngine, drawn: list[dict[str, Any]]
):
    engine.train("gan", SPIRALS, share=0.5)
    settled(opened(SPIRALS, show="Race"))
    found = panels(drawn)
    assert found["GAN"]["status"] == "cancelled"
    assert len(found["GAN"]["frames"]) == 10
    assert found["WGAN"]["at"] == [-1] * 10
    assert found["WGAN"]["empty"] == "not trained yet"


def test_an_sc_gan_of_another_k_is_no_entrant(engine: ManifoldsEngine):
    engine.train("sc_gan", SPIRALS, clusters=8)
    dataset = next(d for d in engine.datasets() if d.name == SPIRALS)
    assert race.entrants(engine.runs(), dataset, ["sc_gan"], TRAINED_K, 20) == {"sc_gan": None}


# ----------------------------------------------------------------------------------------------------------------- card
def test_the_card_answers_from_the_runs_of_the_set(engine: ManifoldsEngine):
    e2e, sc = engine.train("e2e_sae", SPIRALS), engine.train("sc_gan", SPIRALS)
    test = settled(opened(SPIRALS))
    sources = bridging.sources_of(engine.status(e2e), engine.status(sc))
    real, own, mapping, single = [source.judged() for source in sources]
    assert real
    assert own
    assert mapping
    assert single
    assert own.points == 2000
    said = words(test)
    assert shares.verdict(own.off, real.off, own.off_floor, gaps=True) in said
    assert shares.against(own.off, mapping.off, single.off) in said
    assert said.count("**Yes:**") == 1
    for found in (real, own, mapping, single):
        assert str(found.off) in markup(test)


def test_a_set_without_gaps_is_not_said_to_be_bridged(engine: ManifoldsEngine):
    engine.train("e2e_sae", CIRCLES)
    engine.train("sc_gan", CIRCLES)
    said = words(settled(opened(CIRCLES)))
    assert "There are no gaps to bridge" in said
    assert "so it is the noise generator" not in said


def test_without_runs_the_card_takes_the_record_and_says_what_it_cannot_know(engine: ManifoldsEngine):
    said = words(opened(GAUSSIANS))
    assert "28.3 ± 1.0 % of the e2e SAE's points lie off the manifold" in said
    assert "no record says" in said
    assert "From the record" in said
    assert "neither runs nor a record" in words(opened(SPIRALS))


# ---------------------------------------------------------------------------------------------------------------- table
def test_our_rows_stand_beside_the_published_ones_with_errors_and_floors(engine: ManifoldsEngine):
    dataset = next(d for d in engine.datasets() if d.name == GAUSSIANS)
    published = {
        (r.bench, r.model): r.others[toy_table.MSE] for r in engine.catalogue().published if toy_table.MSE in r.others
    }
    frame = toy_table.rows_of(dataset, record(GAUSSIANS), published).set_index("row")
    mapping = frame.loc["SC-GAN, mapping network"]
    assert mapping["MSE [10⁻³]"] == "3.50 ± 0.40"
    assert mapping["paper [10⁻³]"] == "65"
    assert mapping["× floor"] == f"{0.1159 / 0.113:.2f}"
    assert mapping["off [%]"] == "5.03 ± 0.40"
    assert frame.loc["e2e SAE", "paper [10⁻³]"] == "–"
    alone = toy_table.rows_of(dataset, None, published)
    assert list(alone["paper [10⁻³]"]) == ["2339", "53", "65", "16"]
    assert set(alone["MSE [10⁻³]"]) == {"–"}


def test_a_set_without_a_record_says_the_command_that_makes_one(engine: ManifoldsEngine):
    assert f"{toy_table.COMMAND} --data {SPIRALS}" in words(opened(SPIRALS))
    assert toy_table.COMMAND not in words(opened(GAUSSIANS))


def test_a_full_record_is_preferred_to_a_quick_one(engine: ManifoldsEngine):
    records = [record(SPIRALS, quick=True), record(SPIRALS), record(GAUSSIANS)]
    assert toy_table.record_of(SPIRALS, records) is records[1]
    assert toy_table.record_of(SPIRALS, records[:1]) is records[0]
    assert toy_table.record_of(CIRCLES, records) is None


# --------------------------------------------------------------------------------------------------------- taking away
def test_numbers_and_clouds_can_be_taken_away(engine: ManifoldsEngine):
    run = engine.train("sc_gan", GAUSSIANS)
    settled(opened())
    sources = modes.sources_of(engine.status(run), 64)
    rows = list(csv.DictReader(io.StringIO(checkpoints.table(sources).decode())))
    assert len(rows) == 4 * (20 + 1)
    last = [row for row in rows if row["clouds"] == str(checkpoints.SEEDS)]
    assert [row["points"] for row in last] == ["2000"] * 4
    assert all(float(row["w1_error"]) > 0 for row in last)
    with np.load(io.BytesIO(checkpoints.archive(sources, np.zeros((5, 2)))), allow_pickle=False) as file:
        assert file["mapping_network_points"].shape == (20, checkpoints.POINTS, 2)
        assert file["mapping_network_off"].shape == (20, checkpoints.POINTS)
        assert file["mapping_network_step"].tolist() == list(range(40, 801, 40))
        assert file["exact"].shape == (5, 2)


# ------------------------------------------------------------------------------------------------------------ bad times
@pytest.mark.parametrize("view", manifolds.VIEWS)
def test_the_last_good_picture_stays_when_the_engine_goes(view: str, drawn: list[dict[str, Any]]):
    good = ManifoldsEngine()
    for model in race.ENTRANTS:
        good.train(model, GAUSSIANS)
    engine: list = [good]
    state.use_engine(lambda: engine[0])
    test = settled(opened(**{state.TOY_VIEW: view}))
    sound(test)
    before = drawn[-1]
    engine[0] = DownEngine()
    test.run()
    assert not test.exception
    assert "Stale" in words(test)
    assert drawn[-1] == before


def test_without_an_engine_the_page_says_so():
    state.use_engine(lambda: cast(Engine, DownEngine()))
    test = page("manifolds").run()
    assert not test.exception
    assert "engine does not answer" in words(test)


def test_an_engine_without_toys_is_told_apart(fake: Any):
    test = page("manifolds").run()
    sound(test)
    assert "offers no toy set" in words(test)


def test_a_cloud_that_the_engine_refuses_says_why_in_its_panel(
    engine: ManifoldsEngine, drawn: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    cloud = engine.cloud

    def picky(request: CloudRequest):
        if request.latents == "centres":
            raise EngineError("this checkpoint has no clusters yet: choose a later one")
        return cloud(request)

    monkeypatch.setattr(engine, "cloud", picky)
    engine.train("sc_gan", GAUSSIANS)
    sound(settled(opened()))
    assert panels(drawn)["Noisy cluster centres"]["note"].startswith("this checkpoint has no clusters yet")
    assert len(panels(drawn)["Mapping network"]["frames"]) == 20


def test_an_engine_that_goes_while_clouds_are_fetched_is_asked_again_later(engine: ManifoldsEngine):
    run = engine.train("sc_gan", GAUSSIANS)
    wanted = Source("", engine.status(run), "real").requests()
    state.use_engine(lambda: cast(Engine, DownEngine()))
    assert frames.fetch(wanted, wait_s=5).down
    state.use_engine(lambda: engine)
    until = time.monotonic() + 60
    while frames.fetch(wanted, wait_s=1).missing:
        assert time.monotonic() < until
    assert all(frames.get(request) is not None for request in wanted)

"""What may be said of rows beside each other, and the tables and charts that say it."""

import io
import json
import math

import pandas as pd
import pytest
from fake import FakeEngine
from fake_benchmarks import MNIST, PUBLISHED, QUICK, zdc_row
from hypothesis import given
from hypothesis import strategies as st

from app.charts import benchmark, planes, ranking, standings
from app.charts.benchmark import Axis, Point
from engine.schema import Benchmark, MetricValue

BOOK = FakeEngine(empty=True).catalogue()
COLUMNS = ranking.columns(QUICK, BOOK)
MAE, W = COLUMNS[:2]
some = st.builds(
    lambda v, e: MetricValue(value=v, error=e, unit=""), st.floats(0.01, 1e4), st.floats(0, 10)
) | st.none()  # fmt: skip


def value(v: float, e: float = 0.0) -> MetricValue:
    return MetricValue(value=v, error=e, unit="")


# --------------------------------------------------------------------------------------------------------------- best
def test_a_row_is_best_unless_another_is_better_beyond_both_errors():
    values = [value(10, 3), value(14, 4), value(15.1, 4), value(30, 1)]
    assert ranking.best(values, "lower", [True] * 4) == [True, True, False, False]  # √(9 + 16) = 5
    assert ranking.best(values, "higher", [True] * 4) == [False, False, False, True]


def test_nothing_is_best_where_rows_do_not_differ():
    assert ranking.best([value(10, 3), value(12, 3)], "lower", [True, True]) == [False, False]
    assert ranking.best([value(10, 3)], "lower", [True]) == [False]


def test_a_ratio_is_best_nearest_to_one_from_either_side():
    values = [value(0.9, 0.01), value(1.1, 0.01), value(1.5, 0.01), value(0.2, 0.01)]
    assert ranking.best(values, "one", [True] * 4) == [True, True, False, False]


def test_a_collapsed_row_neither_wins_nor_keeps_another_from_winning():
    values = [value(1, 0.1), value(5, 0.1), value(9, 0.1), None]
    assert ranking.best(values, "lower", [False, True, True, True]) == [False, True, False, False]


def test_an_unknown_direction_has_no_best():
    assert ranking.best([value(1), value(2)], "", [True, True]) == [False, False]


@given(st.lists(st.tuples(some, st.booleans()), max_size=8), st.sampled_from(["lower", "higher", "one"]))
def test_the_best_are_sound_and_unbeaten_and_not_all(rows: list[tuple[MetricValue | None, bool]], direction: str):
    values, sound = [v for v, _ in rows], [s for _, s in rows]
    found = ranking.best(values, direction, sound)
    able = [k for k, v in enumerate(values) if v is not None and sound[k]]
    assert {k for k, b in enumerate(found) if b} <= set(able)
    assert sum(found) < max(1, len(able))
    reads = {"lower": lambda v: v.value, "higher": lambda v: -v.value, "one": lambda v: abs(v.value - 1)}[direction]
    if any(found):
        front = min(able, key=lambda k: reads(values[k]))
        assert found[front], "the leading value itself is never beaten"


@pytest.mark.parametrize(
    ("spread", "said"),
    [(0.84, "collapsed"), (0.85, ""), (1.0, ""), (1.15, ""), (1.16, "too wide"), (0.0, "collapsed")],
)
def test_spread_outside_its_range_is_a_fault(spread: float, said: str):
    assert ranking.fault(zdc_row("a", "vae", 1, 1, spread)) == said


def test_without_a_spread_nothing_is_held_against_a_row():
    assert [ranking.fault(row) for row in MNIST.rows] == ["", ""]


# ----------------------------------------------------------------------------------------------- columns and partners
def test_columns_are_those_of_the_record_the_published_first():
    assert [c.name for c in COLUMNS] == ["mae", "wasserstein", "spread", "dispersion"]
    assert [c.name for c in ranking.columns(MNIST, BOOK)] == ["fid", "sinkhorn_features", "accuracy"]
    assert MAE.head == "MAE [photons]"
    assert ranking.columns(MNIST, BOOK)[1].head == "Sinkhorn of features"


def test_a_metric_that_the_catalogue_does_not_know_is_still_a_column():
    found = ranking.columns(MNIST, BOOK.model_copy(update={"metrics": [], "published": []}))
    assert {c.head for c in found} == {"fid", "sinkhorn_features", "accuracy [%]"}
    assert {c.direction for c in found} == {""}


def test_multiples_are_given_where_the_floor_is_clear_of_zero():
    assert [c.name for c in COLUMNS if ranking.measures(QUICK, c)] == ["mae", "wasserstein"]
    assert [c.name for c in ranking.columns(MNIST, BOOK) if ranking.measures(MNIST, c)] == ["fid"]
    assert ranking.multiple(QUICK.rows[0].metrics["mae"]) == pytest.approx((28.5 / 13.9, 28.5 / 20 / 13.9))
    assert ranking.multiple(value(3)) is None
    assert ranking.multiple(None) is None


def test_published_rows_meet_ours_by_name_and_models_of_others_stand_alone():
    rows = ranking.published(QUICK, BOOK)
    assert [row.model for row in rows] == [row.model for row in PUBLISHED if row.bench == "table1"]
    found = {theirs.model: ours.title if ours else None for theirs, ours in ranking.pairs(QUICK, rows)}
    assert found == {
        "conditional VAE": "cond. VAE", "conditional e2e SAE": "cond. e2e SAE", "conditional DCGAN": "cond. DCGAN",
        "original data (again)": None,
    }  # fmt: skip
    fewer = QUICK.model_copy(update={"rows": QUICK.rows[2:3]})
    assert all(ours is None for _, ours in ranking.pairs(fewer, rows))


def test_a_metric_without_a_floor_takes_that_of_a_simulation_made_again():
    delta = MetricValue(value=0.31, error=0.002, unit="")
    assert ranking.floor(QUICK, "dispersion") is None
    again = QUICK.model_copy(update={"again": {"dispersion": delta, "mae": value(99, 1)}})
    assert ranking.floor(again, "dispersion") == delta
    assert [c.name for c in COLUMNS if ranking.measures(again, c)] == ["mae", "wasserstein"], "rows have no δ floor"
    own = ranking.floor(QUICK, "mae")
    assert own is not None
    assert ranking.floor(again, "mae") == own, "replicas that are there come first"


def test_published_multiples_are_of_their_own_floor():
    rows = ranking.published(QUICK, BOOK)
    assert ranking.their_multiple(rows[0], "mae", rows) == pytest.approx(23.13 / 6.59)
    assert ranking.their_multiple(rows[0], "fid", rows) is None
    digits = ranking.published(MNIST, BOOK)
    assert ranking.their_multiple(digits[0], "sinkhorn_features", digits) is None, "their floor is 0"


@pytest.mark.parametrize(
    ("model", "kin"),
    [("vae", "VAE"), ("conditional VAE", "VAE"), ("wae_gan", "WAE, SAE"), ("swae", "WAE, SAE"), ("sae", "WAE, SAE"),
     ("e2e_sae", "e2e SAE"), ("conditional e2e SAE", "e2e SAE"), ("wgan_gp", "GAN"), ("conditional DCGAN", "GAN"),
     ("latent_flow", "flow"), ("flow_matching", "flow"), ("sc_net", "other")],
)  # fmt: skip
def test_every_model_has_a_family_with_a_look(model: str, kin: str):
    assert ranking.family(model) == kin
    assert kin in benchmark.LOOKS


def test_no_two_families_look_alike():
    shapes, colours = zip(*benchmark.LOOKS.values(), strict=True)
    assert len(set(shapes)) == len(set(colours)) == len(benchmark.LOOKS)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), max_size=12))
def test_the_pareto_line_holds_exactly_what_nothing_betters(points: list[tuple[float, float]]):
    front = ranking.pareto([x for x, _ in points], [y for _, y in points])
    line = [points[k] for k in front]
    assert line == sorted(line)
    assert all(a[1] > b[1] for a, b in zip(line, line[1:], strict=False))
    for x, y in points:
        assert any(a <= x and b <= y for a, b in line)
    for x, y in line:
        assert not any(a <= x and b <= y and (a, b) != (x, y) for a, b in points)


# -------------------------------------------------------------------------------------------------------------- tables
def test_the_numbers_hold_every_row_and_the_floor_first():
    frame = standings.numbers(QUICK, COLUMNS)
    again = pd.read_csv(io.BytesIO(frame.to_csv(index=False).encode()))
    assert list(again["row"]) == [ranking.FLOOR, *(row.title for row in QUICK.rows)]
    assert again["MAE [photons]"].tolist() == [13.9, *(row.metrics["mae"].value for row in QUICK.rows)]
    assert again["MAE × floor"][0] == 1
    assert again["remark"].fillna("").tolist() == ["", "too wide", "", "", "too wide", "", "collapsed"]
    assert again["parameters"].isna().tolist() == [True, *[False] * 6]
    assert "spread × floor" not in again


def test_cells_hold_numbers_that_sort_and_show_their_errors():
    style = standings.shown(QUICK, COLUMNS, dark=False)
    assert style.data["MAE [photons]"].dtype == float
    text = style.to_html()
    assert "13.9 ± 1.4" in text
    assert "★ 16.90 ± 0.84" in text
    assert text.count("★") == 3
    assert "★ 9.00" not in text, "the mean of all answers does not win the MAE"


def test_stars_stand_at_sound_rows_that_are_ahead_beyond_errors():
    found = standings.marks(QUICK, COLUMNS)
    titles = {n: [r.title for r, m in zip(QUICK.rows, marked, strict=True) if m] for n, marked in found.items()}
    assert titles["mae"] == ["cond. e2e SAE", "flow matching"]
    assert titles["wasserstein"] == ["cond. e2e SAE"]
    assert titles["dispersion"] == []


@pytest.mark.parametrize(
    ("v", "e", "text"),
    [(13.934, 0.7446, "13.93 ± 0.74"), (962.69, 21.49, "963 ± 21"), (1.0, 0.0, "1"),
     (0.3201, 0.0048, "0.3201 ± 0.0048"), (12345.6, 100, "12,346 ± 100")],
)  # fmt: skip
def test_values_are_written_to_the_second_digit_of_their_error(v: float, e: float, text: str):
    assert standings.both(value(v, e)) == text
    assert standings.both(None) == "–"


def test_the_published_table_stands_beside_ours_the_floors_last():
    frame = standings.beside(QUICK, COLUMNS, ranking.published(QUICK, BOOK))
    assert list(frame["ours"]) == ["cond. VAE", "cond. e2e SAE", "cond. DCGAN", ranking.FLOOR]
    assert frame["MAE × their floor"].tolist() == pytest.approx([23.13 / 6.59, 13.5 / 6.59, 68.27 / 6.59, 1])
    assert frame["MAE × our floor"].tolist() == pytest.approx([28.5 / 13.9, 16.9 / 13.9, 962.7 / 13.9, 1])
    assert frame["MAE theirs"][0] == "23.13 (σ 65.53)"
    assert list(frame["remark"]) == ["▲ too wide", "", "▲ too wide", ""]
    digits = standings.beside(MNIST, ranking.columns(MNIST, BOOK), ranking.published(MNIST, BOOK))
    assert {"FID theirs", "FID × their floor", "Sinkhorn of features theirs"} <= set(digits.columns)
    assert "Sinkhorn of features × their floor" not in digits


# -------------------------------------------------------------------------------------------------------------- charts
@pytest.mark.parametrize("dark", [True, False])
def test_the_plane_has_a_shape_a_family_error_bars_and_the_floor_at_one(dark: bool):
    plane = planes.quality(QUICK, COLUMNS, ranking.published(QUICK, BOOK))
    assert plane
    option = benchmark.plane(*plane, dark)
    json.dumps(option, allow_nan=False)
    series = {s["name"]: s for s in option["series"] if s.get("name")}
    assert (option["xAxis"]["name"], option["yAxis"]["name"]) == ("MAE × floor", "W₁ × floor")
    assert option["xAxis"]["type"] == option["yAxis"]["type"] == "log"
    assert series["floor"]["data"][0]["value"] == [1, 1]
    assert series["floor"]["markLine"]["data"] == [{"xAxis": 1}, {"yAxis": 1}]
    assert series["published"]["itemStyle"]["color"] == "rgba(0,0,0,0)"
    assert len({s["symbol"] for s in option["series"] if s["type"] == "scatter"}) >= 5
    (point,) = series["e2e SAE"]["data"]
    assert point["value"] == pytest.approx([16.9 / 13.9, 4.3 / 2.7])
    assert "16.90 ± 0.84 photons" in point["name"]
    bars = next(s for s in option["series"] if s["type"] == "line")["data"]
    assert bars[0][1] < plane[0][0].y < bars[1][1]
    assert sum(p.open_ for p in plane[0]) == 3, "floors are no points"


def test_an_axis_counts_floors_only_where_the_floor_is_clear_of_zero():
    plane = planes.quality(MNIST, ranking.columns(MNIST, BOOK), ranking.published(MNIST, BOOK))
    assert plane
    option = benchmark.plane(*plane, False)
    json.dumps(option, allow_nan=False)
    assert (option["xAxis"]["name"], option["yAxis"]["name"]) == (
        "Short FID × floor".removeprefix("Short "),
        "Sinkhorn of features",
    )
    assert not any(p.open_ for p in plane[0])
    assert planes.speed(MNIST, ranking.columns(MNIST, BOOK)) is None, "no row says its time"


def test_the_pareto_line_leaves_out_rows_that_collapsed():
    plane = planes.speed(QUICK, COLUMNS)
    assert plane
    assert plane[1].name == "ms per shower"
    option = benchmark.plane(*plane, False, front=True)
    line = next(s for s in option["series"] if s.get("name") == "Pareto line")
    titles = {(p.x, p.y): p.title for p in plane[0]}
    told = dict.fromkeys(titles[x, y] for x, y in line["data"] if (x, y) in titles)
    assert list(told) == ["cond. SWAE", "cond. e2e SAE", "flow matching"]


@pytest.mark.parametrize("numbers", [[1.0, 1.0], [5.0, 7.0], [0.0, 3.0], [-1.0, 2.0], [1e-3, 1e4], []])
def test_axes_survive_any_values(numbers: list[float]):
    points = [Point("{a}", "GAN", x, x, 0.5, 0.5) for x in numbers]
    for axis in (Axis("a"), Axis("a × floor", True, 0.1)):
        option = benchmark.plane(points, axis, axis, False, front=True)
        json.dumps(option, allow_nan=False)
        for side in ("xAxis", "yAxis"):
            low, high = option[side].get("min", -math.inf), option[side].get("max", math.inf)
            assert all(low < x < high for x in numbers)
            assert option[side]["type"] == "value" or (low < 1 < high or not axis.floors)


def test_training_times_are_bars_the_shortest_on_top():
    option = benchmark.times(["a", "b"], ["GAN", "VAE"], [84.2, 3.14159], True)
    json.dumps(option, allow_nan=False)
    assert option["yAxis"]["data"] == ["b", "a"]
    assert [bar["value"] for bar in option["series"][0]["data"]] == [3.1, 84]


def test_a_record_without_metrics_has_no_planes():
    bare = Benchmark(name="a", bench="a", title="a", rows=[zdc_row("a", "vae", 1, 1, 1, metrics={})])
    assert ranking.columns(bare, BOOK) == []
    assert planes.quality(bare, [], []) is None
    assert planes.speed(bare, []) is None
    assert len(standings.numbers(bare, [])) == 2

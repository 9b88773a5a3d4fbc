"""What the latent page computes by itself: colours, gates, lassos, ways; every series of a map is found again."""

import json

import numpy as np
import pytest
from fake import BUNDLED, FakeEngine
from hypothesis import given
from hypothesis import strategies as st

from app.charts import covered, gates, groups, scatter, walks
from engine.schema import Arrays, Distinction, MapRequest, MetricValue, Region

ENGINE = FakeEngine()
POINTS = ENGINE.map(MapRequest(run=BUNDLED, n=150))
NAMES = {p.pdg: p.symbol for p in ENGINE.catalogue().particles}
MANY = ENGINE.map(MapRequest(run=BUNDLED, n=2500))
SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)


@pytest.mark.parametrize("chosen", [None, np.arange(100, 200)])
@pytest.mark.parametrize("colour_by", [c for c in groups.COLOURS if c != "class"])
@pytest.mark.parametrize("points", [POINTS, MANY], ids=["few", "many"])
def test_a_click_finds_the_point_that_was_drawn(points: Arrays, colour_by: str, chosen: np.ndarray | None):
    option = scatter.latent_map(points, colour_by, NAMES, chosen=chosen)
    drawn = groups.groups_of(points, colour_by, NAMES, chosen=chosen)
    assert sum(len(d["source"]) for d in option["dataset"]) == len(points["xy"])
    for k, group in enumerate(drawn):
        series = option["series"][k]
        source = option["dataset"][series["datasetIndex"]]["source"]
        (picked,) = scatter.clicked(drawn, [{"series_index": k, "data_indices": [0, 10**6]}])
        np.testing.assert_allclose(points["xy"][picked], source[["x", "y"]].iloc[0], rtol=1e-6)
        assert series["symbol"] == ("diamond" if points["layer"][picked] else "circle")
        assert group.quiet == (chosen is not None and picked not in chosen)
        assert len(group.index) <= groups.PIECE


def test_a_layer_that_is_switched_off_is_not_drawn():
    drawn = groups.groups_of(POINTS, "layer", NAMES, layers=["generated"], chosen=np.arange(10))
    assert {g.symbol for g in drawn} == {"diamond"}


@pytest.mark.parametrize("dark", [True, False])
def test_the_density_ratio_is_centred_at_zero(dark: bool):
    ramp = groups.ramp_of(np.array([-3.0, 0.1, 0.2]), "density ratio", dark)
    assert ramp.low == -ramp.high
    assert len(ramp.colours) == groups.STEPS
    assert ramp.colours[0] != ramp.colours[-1]


def test_points_without_densities_or_impacts_do_without_their_colours():
    bare = Arrays({k: v for k, v in POINTS.arrays.items() if k not in ("density", "impact_mm")})
    assert groups.colours_for(bare, False) == ["layer", "species", "energy", "photon sum"]


def test_marks_and_outlines_come_after_the_points():
    option = scatter.latent_map(POINTS, outlines=[SQUARE], marks={"A": 3, "B": 160, "C": 10**6})
    rings, line = option["series"][-2:]
    assert [d["name"] for d in rings["data"]] == ["A", "B"]
    np.testing.assert_allclose(line["data"][0], POINTS["xy"][3])
    assert option["series"][-3]["data"][0] == option["series"][-3]["data"][-1]


def test_a_spec_carries_no_numbers_that_json_refuses():
    option = scatter.latent_map(POINTS, "density ratio", NAMES, chosen=np.arange(5), marks={"A": 1}, outlines=[SQUARE])
    json.dumps({k: v for k, v in option.items() if k != "dataset"}, allow_nan=False)


# --------------------------------------------------------------------------------------------------------------- lasso
@given(st.floats(-5, 9), st.floats(-5, 9))
def test_a_square_holds_what_is_within_its_sides(x: float, y: float):
    if min(abs(x - a) for a in (0, 4)) < 1e-6 or min(abs(y - a) for a in (0, 4)) < 1e-6:
        return
    assert gates.inside(np.array([[x, y]]), SQUARE)[0] == (0 < x < 4 and 0 < y < 4)


def test_a_lasso_survives_its_text():
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    corners = np.column_stack([30 * np.cos(angle), 20 * np.sin(angle)])
    text = gates.lasso_text({"brush_type": "polygon", "coord_range": corners.tolist()}, POINTS["xy"])
    again = gates.polygon_of(text)
    assert len(text) < gates.LONGEST
    assert 8 < len(again) < 100
    before, after = (gates.inside(MANY["xy"], p) for p in (corners, again))
    assert (before != after).mean() < 0.02


def test_a_rectangle_is_a_lasso_of_four_corners():
    text = gates.lasso_text({"brush_type": "rect", "coord_range": [[0, 4], [0, 4]]}, SQUARE)
    np.testing.assert_allclose(gates.polygon_of(text), SQUARE)


@pytest.mark.parametrize("text", ["", "1,2", "a,b_c,d_e,f", "1,2_3,4", "nan,1_2,3_4,5", "1,2,3_1,2_3,4"])
def test_a_broken_lasso_selects_nothing(text: str):
    assert len(gates.polygon_of(text)) == 0


@pytest.mark.parametrize("area", [{}, {"brush_type": "lineX", "coord_range": [0, 1]}, {"brush_type": "polygon"}])
def test_other_brushes_are_no_lasso(area: dict):
    assert gates.lasso_text(area, SQUARE) == ""


# --------------------------------------------------------------------------------------------------------------- gates
def test_gates_pass_what_their_words_say():
    gate = gates.Gates({"energy": (100.0, 500.0), "impact radius": (None, 20.0)}, (2112,), "data")
    kept = gate.passes(POINTS)
    energy, radius = (groups.values_of(POINTS, name) for name in ("energy", "impact radius"))
    expected = (energy >= 100) & (energy <= 500) & (radius <= 20)
    expected &= (np.asarray(POINTS["pdg"]) == 2112) & (np.asarray(POINTS["layer"]) == 0)
    np.testing.assert_array_equal(kept, expected)
    assert gate.words(NAMES, "species") == [
        "100 ≤ energy ≤ 500 GeV", "impact radius ≤ 20 mm", "species n", "layer data"
    ]  # fmt: skip
    assert gates.Gates({"energy": (None, None)}).open


def test_a_record_holds_words_numbers_and_points():
    index = np.array([1, 151])
    selection = gates.Selection(index, ["inside a lasso"], SQUARE)
    found = gates.record(selection, gates.Gates({"energy": (1.0, None)}), POINTS, {"run": BUNDLED}, None)
    assert json.loads(json.dumps(found))["points"] == [1, 151]
    assert found["counts"]["data"] == {"n": 1, "N": 150}
    assert found["gates"] == {"energy": [1.0, None]}
    table = gates.table(POINTS, index, NAMES)
    assert {len(column) for column in table.values()} == {2}
    assert table["layer"].tolist() == ["data", "generated"]


# ---------------------------------------------------------------------------------------------------------------- ways
@pytest.mark.parametrize("way", [walks.conditions, walks.energies])
def test_every_place_of_a_way_is_on_the_mass_shell(way):
    first, last = np.asarray(POINTS["conditions"], float)[[0, 7]]
    rows = way(first, last)
    mass, momentum = rows[:, walks.MASS] / 1000, np.linalg.norm(rows[:, walks.PX : walks.PZ + 1], axis=1)
    np.testing.assert_allclose(rows[:, 0] ** 2, mass**2 + momentum**2, rtol=1e-9)
    np.testing.assert_allclose(rows[[0, -1], 0], [first[0], last[0]])
    assert len(rows) == walks.PLACES


def test_a_way_of_conditions_begins_and_ends_at_its_points():
    first, last = np.asarray(POINTS["conditions"], float)[[0, 7]]
    np.testing.assert_allclose(walks.conditions(first, last)[[0, -1]], [first, last], rtol=2e-4, atol=1e-3)


def test_classes_are_walked_in_both_directions():
    assert walks.class_steps(3, 6)[:, 0].tolist() == [3, 4, 5, 6]
    assert walks.class_steps(2, 0)[:, 0].tolist() == [2, 1, 0]


# ------------------------------------------------------------------------------------------------------------ coverage
def test_a_region_is_told_with_its_share_and_what_distinguishes_it():
    hole = Region(
        kind="hole", share=0.04, points=[1], expected=5, found=0.6, words="mostly n",
        distinctions=[
            Distinction(name="energy", unit="GeV", low=700, high=2100, statistic=0.8),
            Distinction(name="<b>", value="n 98 %", statistic=3),
        ],
    )  # fmt: skip
    drawn = covered.distinctions_html(hole)
    assert "700 – 2,100 GeV" in drawn
    assert "<b>" not in drawn.replace("<b>0", "").replace("<b>3", "")
    assert "width:100%" in drawn
    assert covered.names([hole, hole.model_copy(update={"kind": "island"}), hole]) == ["Hole 1", "Island 1", "Hole 2"]
    assert covered.summary(hole).startswith("4.0 % of data")


def test_the_table_of_coverage_says_how_far_a_value_is_from_its_floor():
    value = MetricValue(value=0.8, error=0.03, unit="", floor=0.95, floor_error=0.04)
    drawn = covered.table_html({"coverage": value}, "coverage")
    assert "-3.0 σ" in drawn
    assert "0.800 ± 0.030" in drawn

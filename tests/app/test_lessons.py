"""The lecture's formulas against closed forms, brute force and other people's solvers."""

import json
import math

import numpy as np
import ot
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from app import state
from app.charts.sketch import HEIGHT
from app.lessons import bakeries, discriminator, entropic, gradients, lines, mean, nash, piles
from app.lessons.base import Board, Piles, Rungs, Slider, Switch, lessons, signed, tex

LESSONS = lessons()
REACHED = {lesson.title: lesson for lesson in LESSONS}


def ends(control) -> list:
    """Values at which a control may break."""
    match control:
        case Slider():
            return [control.low, (control.low + control.high) / 2, control.high]
        case Rungs():
            return [control.options[0], control.options[1], control.options[-1]]
        case Switch():
            return [False, True]
        case Piles():
            n = len(control.value)
            return [(0,) * n, (control.high,) * n, (control.high, *(0,) * (n - 1))]
        case Board():
            together = tuple((5.0, 5.0) for _ in control.places)
            return [together, tuple((float(k), 0.0) for k in range(len(control.places)))]


# ------------------------------------------------------------------------------------------------------------- registry
LECTURE = (
    "Mean collapse", "Optimal discriminator", "Two lines", "Earth mover", "Bakeries and cafés", "Entropic plans",
    "Nash oscillation", "Vanishing gradients",
)  # fmt: skip


def test_the_eight_demonstrations_stand_in_the_lectures_order():
    assert [lesson.title for lesson in LESSONS if lesson.title in LECTURE] == list(LECTURE)


def test_no_control_takes_a_name_that_links_use_already():
    taken = {value for name, value in vars(state).items() if name.isupper() and isinstance(value, str)}
    taken |= set(state.PARTICLE_URL.values())
    mine = {c.name for lesson in LESSONS for c in lesson.controls}
    mine |= {
        f"{c.name}{k + 1}" for x in LESSONS for c in x.controls if isinstance(c, Piles) for k in range(len(c.value))
    }
    assert not mine & taken


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.title)
def test_a_lesson_has_two_sentences_and_no_name_of_another(lesson):
    assert lesson.words.count(". ") == 1
    assert lesson.words.endswith(".")
    others = {c.name for other in LESSONS if other is not lesson for c in other.controls}
    assert not others & {c.name for c in lesson.controls}
    assert lesson.question.endswith("?")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.title)
def test_every_end_of_every_control_gives_a_sound_sheet(lesson, dark: bool):
    for control in lesson.controls:
        for value in [control.value, *ends(control)]:
            sheet = lesson.sheet(dark, **(lesson.first() | {control.name: value}))
            text = json.dumps(sheet.spec, allow_nan=False)
            assert "NaN" not in text
            assert sheet.formula.count("{") == sheet.formula.count("}")
            assert len(sheet.alt) > 40
            for grid in sheet.spec["grid"]:
                assert grid["top"] >= 20
                assert grid["top"] + grid["height"] <= HEIGHT - 30, "room for the axis"


def test_numbers_in_formulas_read_as_numbers():
    assert [tex(0.5), tex(-math.inf), tex(1.23e-5), tex(12)] == ["0.5", r"-\infty", r"1.23\cdot10^{-5}", "12"]
    assert [signed(-3), signed(4)] == ["- 3", "+ 4"]


# -------------------------------------------------------------------------------------------------------- mean collapse
def test_squared_and_absolute_error_are_those_of_many_draws():
    rng = np.random.default_rng(1)
    y = rng.normal(rng.choice(mean.MODES, 400_000), mean.SIGMA)
    for answer in (0.0, 30.0, 60.0, 81.0):
        assert float(mean.squared(answer)) == pytest.approx(((y - answer) ** 2).mean(), rel=0.01)
        assert float(mean.absolute(answer)) == pytest.approx(np.abs(y - answer).mean(), rel=0.01)
    assert mean.replica_error() == pytest.approx(np.abs(y[::2] - y[1::2]).mean(), rel=0.01)
    assert np.trapezoid(mean.density(mean.X), mean.X) == pytest.approx(1, abs=1e-3)


def test_the_mean_has_the_smallest_squared_error_where_almost_no_replica_is():
    assert mean.X[mean.squared(mean.X).argmin()] == mean.moments()[0]
    assert mean.density(np.array(mean.moments()[0])) < 1e-2 * mean.density(np.array(mean.DIM))


def test_the_average_has_a_lower_mae_than_any_real_replica():
    average = float(mean.absolute(mean.moments()[0]))
    assert average <= mean.absolute(mean.X).min() + 1e-12
    assert average < 0.9 * mean.replica_error()


# -------------------------------------------------------------------------------------------------------- discriminator
@pytest.mark.parametrize("apart", [0.0, 0.7, 3.0, 6.0])
def test_no_other_answer_beats_the_optimal_discriminator_anywhere(apart: float):
    answers = np.linspace(1e-4, 1 - 1e-4, 20_001)
    for x in (-2.0, 0.3, 1.5, 4.0):
        p, q = discriminator.density(np.array(x), 0), discriminator.density(np.array(x), apart)
        assert discriminator.best(x, apart) == pytest.approx(p / (p + q), rel=1e-9)
        found = answers[(p * np.log(answers) + q * np.log(1 - answers)).argmax()]
        assert found == pytest.approx(np.clip(discriminator.best(x, apart), 1e-4, 1 - 1e-4), abs=1e-4)


@given(st.floats(0, discriminator.FARTHEST))
@settings(max_examples=40, deadline=None)
def test_the_value_of_the_game_is_twice_the_divergence_less_log_four(apart: float):
    assert discriminator.value(apart) == pytest.approx(2 * discriminator.shannon(apart) - 2 * math.log(2), abs=1e-9)


def test_the_divergence_goes_from_nothing_to_log_two():
    read = [discriminator.shannon(d) for d in np.linspace(0, discriminator.FARTHEST, 13)]
    assert read[0] == pytest.approx(0, abs=1e-12)
    assert np.all(np.diff(read) > 0)
    assert read[-1] == pytest.approx(math.log(2), abs=0.01)


# ------------------------------------------------------------------------------------------------------------ two lines
@given(st.floats(-1, 1).map(lambda v: round(v, 2)))
def test_divergences_of_two_lines_are_those_of_their_grains(theta: float):
    y = (np.arange(50) + 0.5) / 50
    here = {(0.0, v): 1 / 50 for v in y}
    there: dict[tuple[float, float], float] = {}
    for v in y:
        there[(theta + 0.0, v)] = 1 / 50
    every = here.keys() | there.keys()
    p, q = (np.array([side.get(k, 0.0) for k in every]) for side in (here, there))
    with np.errstate(divide="ignore"):
        kl = float(sum(a * math.log(a / b) if b else math.inf for a, b in zip(p, q, strict=True) if a))
    middle = (p + q) / 2
    jsd = sum(0.5 * a * math.log(a / m) for side in (p, q) for a, m in zip(side, middle, strict=True) if a)
    assert lines.kullback(theta) == pytest.approx(kl, abs=1e-12)
    assert lines.shannon(theta) == pytest.approx(jsd, abs=1e-12)
    assert lines.earth_mover(theta) == pytest.approx(wasserstein_distance([0.0], [theta]))


def test_the_jump_is_at_zero_alone():
    assert [lines.shannon(t) for t in (-1e-12, 0.0, 1e-12)] == [math.log(2), 0, math.log(2)]
    assert [lines.kullback(t) for t in (-1e-12, 0.0, 1e-12)] == [math.inf, 0, math.inf]
    assert "undefined" in REACHED["Two lines"].sheet(False, theta=0.0).formula
    assert r"\infty" in REACHED["Two lines"].sheet(False, theta=0.05).formula


# ---------------------------------------------------------------------------------------------------------- earth mover
@st.composite
def rows(draw, n: int = 2) -> list[list[int]]:
    """Piles that hold the same."""
    size = draw(st.integers(1, 6))
    made = [draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)) for _ in range(n)]
    most = max(map(sum, made))
    for row in made:
        row[draw(st.integers(0, size - 1))] += most - sum(row)
    return made


def test_the_lectures_piles_need_five():
    assert piles.running(piles.FIRST, piles.SECOND) == [0, 2, 2, -1, 0]
    assert piles.distance(piles.FIRST, piles.SECOND) == 5
    assert "= 5" in REACHED["Earth mover"].sheet(False, p=piles.FIRST, q=piles.SECOND).formula


@given(rows())
def test_the_sum_of_crossings_is_the_cost_of_the_plan_and_of_pots_best(pair):
    p, q = pair
    assume(sum(p))
    moved = piles.plan(p, q)
    cost = np.abs(np.subtract.outer(np.arange(len(p)), np.arange(len(q)))).astype(float)
    assert (moved >= 0).all()
    assert moved.sum(1).tolist() == p
    assert moved.sum(0).tolist() == q
    assert (moved * cost).sum() == piles.distance(p, q)
    assert ot.emd2(np.array(p, float), np.array(q, float), cost) == pytest.approx(piles.distance(p, q), abs=1e-9)


@given(rows(3))
def test_the_distance_of_piles_is_a_distance(three):
    p, q, r = three
    assert piles.distance(p, q) == piles.distance(q, p)
    assert piles.distance(p, r) <= piles.distance(p, q) + piles.distance(q, r)
    assert (piles.distance(p, q) == 0) == (p == q)


@given(rows())
def test_no_two_loads_cross(pair):
    moved = piles.plan(*pair)
    ways = np.argwhere(moved > 0)
    assert all(not (a[0] < b[0] and a[1] > b[1]) for a in ways for b in ways)


def test_piles_of_different_mass_have_no_distance_and_the_page_says_what_to_do():
    with pytest.raises(ValueError, match="no plan moves all"):
        piles.distance((1, 2), (2, 2))
    sheet = REACHED["Earth mover"].sheet(False, p=(3, 2, 1, 4), q=(1, 2, 4, 4))
    assert "Give P 1 more" in sheet.notice
    assert "no distance" in sheet.formula


# --------------------------------------------------------------------------------------------------- bakeries and cafés
SPOT = st.tuples(st.floats(0, 10).map(lambda v: round(v, 1)), st.floats(0, 10).map(lambda v: round(v, 1)))
MADE, SOLD = (np.array([p.mass for p in side], float) for side in (bakeries.BAKERIES, bakeries.CAFES))


def ways_of(places) -> np.ndarray:
    spots = np.array(places)
    return bakeries.distances(spots[: len(MADE)], spots[len(MADE) :])


@given(st.lists(SPOT, min_size=7, max_size=7))
@settings(max_examples=40, deadline=None)
def test_prices_and_plan_agree_wherever_the_places_are(places):
    cost = ways_of(places)
    found = bakeries.solve(MADE, SOLD, cost)
    assert found.cost - found.revenue == pytest.approx(0, abs=1e-9 * max(1.0, found.cost))
    assert found.plan.sum(1) == pytest.approx(MADE)
    assert found.plan.sum(0) == pytest.approx(SOLD)
    assert found.plan.min() >= -1e-9
    taken = found.sells - found.buys[:, None]
    assert (taken <= cost + 1e-9).all(), "nowhere more than the way costs"
    assert np.abs((cost - taken)[found.plan > bakeries.LEAST]).max() < 1e-9, "and as much where something is driven"
    assert found.buys.min() == 0


@given(st.lists(SPOT, min_size=7, max_size=7))
@settings(max_examples=25, deadline=None)
def test_pot_finds_the_same_cost(places):
    cost = ways_of(places)
    assert bakeries.solve(MADE, SOLD, cost).cost == pytest.approx(ot.emd2(MADE, SOLD, cost), abs=1e-6)


@given(st.lists(SPOT, min_size=7, max_size=7), st.lists(st.floats(-5, 5), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_no_allowed_prices_earn_more_than_the_least_to_drive(places, buys):
    cost = ways_of(places)
    sells = (np.array(buys)[:, None] + cost).min(0)  # the highest that are allowed
    assert SOLD @ sells - MADE @ np.array(buys) <= bakeries.solve(MADE, SOLD, cost).cost + 1e-7


@given(st.lists(SPOT, min_size=7, max_size=7))
@settings(max_examples=15, deadline=None)
def test_driving_back_costs_the_same(places):
    cost = ways_of(places)
    back = bakeries.solve(SOLD, MADE, cost.T)
    assert back.cost == pytest.approx(bakeries.solve(MADE, SOLD, cost).cost, abs=1e-7)


def test_no_group_of_bakeries_bakes_what_a_group_of_cafes_sells():
    def sums(masses):
        return {
            sum(m for k, m in enumerate(masses) if chosen >> k & 1) for chosen in range(1, 2 ** len(masses) - 1)
        }  # fmt: skip

    assert not sums(MADE.tolist()) & sums(SOLD.tolist())
    assert MADE.sum() == SOLD.sum()
    with pytest.raises(ValueError, match="are made"):
        bakeries.solve(MADE, SOLD + 1, ways_of(bakeries.START))


# ------------------------------------------------------------------------------------------------------- entropic plans
@pytest.mark.parametrize("epsilon", [0.05, 0.1, 1.0, 10.0])
def test_the_blurred_plan_is_pots(epsilon: float):
    found = entropic.between("P", "Q", epsilon)
    theirs = ot.sinkhorn(
        entropic.P, entropic.Q, entropic.COST, epsilon, method="sinkhorn_log", numItermax=20_000, stopThr=1e-11
    )  # fmt: skip
    assert np.abs(found.plan - theirs).max() < 1e-8
    product = entropic.P[:, None] * entropic.Q
    inside = theirs > 0
    blur = float((theirs[inside] * np.log(theirs[inside] / product[inside])).sum())
    assert found.total == pytest.approx((theirs * entropic.COST).sum() + epsilon * blur, abs=1e-6)


@pytest.mark.parametrize("pair", ["PQ", "PP", "QQ"])
@pytest.mark.parametrize("epsilon", entropic.RUNGS)
def test_every_plan_keeps_both_clouds(pair: str, epsilon: float):
    plan = entropic.between(*pair, epsilon).plan
    assert np.abs(plan.sum(1) - entropic.CLOUDS[pair[0]]).sum() < 1e-8
    assert np.abs(plan.sum(0) - entropic.CLOUDS[pair[1]]).sum() < 1e-8


@pytest.mark.parametrize("epsilon", entropic.LADDER)
def test_potentials_pay_for_the_plan(epsilon: float):
    found = entropic.between("P", "Q", epsilon)
    assert entropic.P @ found.f + entropic.Q @ found.g == pytest.approx(found.total, abs=1e-7)


def test_without_blur_the_plan_is_exact_and_with_all_blur_the_product():
    exact = entropic.between("P", "Q", 0.0)
    assert exact.total == pytest.approx(ot.emd2(entropic.P, entropic.Q, entropic.COST), abs=1e-9)
    assert entropic.between("P", "P", 0.0).total == pytest.approx(0, abs=1e-12)
    least, most = entropic.between("P", "Q", 0.02).total, entropic.between("P", "Q", 100.0).total
    assert exact.total < least < exact.total + 0.06
    assert most == pytest.approx(entropic.between("P", "Q", math.inf).total, rel=0.01)
    assert np.abs(entropic.between("P", "Q", 100.0).plan - entropic.P[:, None] * entropic.Q).max() < 1e-3


def test_debiasing_makes_equal_clouds_equal_and_keeps_the_means_at_the_end():
    for epsilon in entropic.RUNGS:
        total = entropic.between("P", "P", epsilon).total
        assert (total > 0.01) == (epsilon > 0)
        assert entropic.divergence(epsilon) > 0
    means = entropic.P @ entropic.X - entropic.Q @ entropic.X
    assert entropic.divergence(math.inf) == pytest.approx(means**2 / 2, abs=1e-9)
    assert entropic.divergence(0.0) == pytest.approx(entropic.between("P", "Q", 0.0).total)


@pytest.mark.parametrize("epsilon", [1.0, 5.0, 20.0])
def test_both_ways_to_a_clouds_own_cost_agree(epsilon: float):
    in_turn = entropic.sinkhorn(entropic.P, entropic.P, entropic.COST, epsilon)
    assert in_turn.total == pytest.approx(entropic.between("P", "P", epsilon).total, abs=1e-8)


def test_the_entropic_cost_grows_with_the_blur_and_the_plan_blurs():
    cost, clean = entropic.curves()
    assert np.all(np.diff(cost) > 0)
    assert np.all(clean < cost)
    blur = [entropic.between("P", "Q", e).blur for e in entropic.LADDER]
    assert np.all(np.diff(blur) < 0)


# ----------------------------------------------------------------------------------------------------- nash oscillation
ETA = st.floats(0.02, 1.2)


@given(ETA)
def test_radii_of_simultaneous_and_extragradient_steps_are_their_closed_forms(eta: float):
    for rule, growth in (("simultaneous", 1 + eta**2), ("extragradient", 1 - eta**2 + eta**4)):
        radius = np.hypot(*nash.path(rule, eta, 30).T)
        assert radius == pytest.approx(math.sqrt(growth) ** np.arange(31), rel=1e-9)
        assert nash.factor(rule, eta) == pytest.approx(math.sqrt(growth))


@given(ETA)
def test_alternating_steps_stay_on_their_ellipse(eta: float):
    assert nash.kept(nash.path("alternating", eta, 200), eta) == pytest.approx(np.ones(201), abs=1e-9)
    assert nash.factor("alternating", eta) == 1


def test_a_look_ahead_comes_in_only_below_one():
    assert (
        nash.factor("extragradient", 0.99) < 1 == nash.factor("extragradient", 1.0) < nash.factor("extragradient", 1.1)
    )


# -------------------------------------------------------------------------------------------------- vanishing gradients
@given(st.floats(0.5, gradients.FARTHEST), st.floats(-2, 8))
def test_slopes_are_those_of_the_losses(apart: float, x: float):
    h = 1e-5

    def slope(loss):
        return abs(loss(x + h) - loss(x - h)) / (2 * h)

    score = discriminator.logit
    assert gradients.minimax(x, apart) == pytest.approx(
        slope(lambda v: -np.logaddexp(0, score(v, apart))), abs=1e-6, rel=1e-4
    )  # fmt: skip
    assert gradients.saturating_not(x, apart) == pytest.approx(
        slope(lambda v: np.logaddexp(0, -score(v, apart))), abs=1e-6, rel=1e-4
    )  # fmt: skip


@pytest.mark.parametrize("apart", [0.5, 2.0, 5.0])
def test_mean_slopes_are_derivatives_of_divergences(apart: float):
    h = 1e-4
    jensen = (discriminator.shannon(apart + h) - discriminator.shannon(apart - h)) / (2 * h)
    assert gradients.mean_slope(gradients.minimax, apart) == pytest.approx(2 * jensen, abs=1e-6)
    # KL(q‖p) = d²/2 of equal Gaussians, whose derivative is d
    assert gradients.mean_slope(gradients.saturating_not, apart) == pytest.approx(apart - 2 * jensen, abs=1e-6)


def test_minimax_vanishes_non_saturating_grows_and_the_critic_stays():
    far = gradients.FARTHEST
    assert gradients.mean_slope(gradients.minimax, far) < 1e-3
    assert gradients.mean_slope(gradients.saturating_not, far) == pytest.approx(far, rel=1e-3)
    assert gradients.minimax(far, far) == pytest.approx(far / (1 + math.exp(far**2 / 2)), rel=1e-9)
    rng = np.random.default_rng(2)
    x = np.sort(rng.normal(0, 1, 20_000))
    w = [wasserstein_distance(x, x + d) for d in (1.0, 2.0)]
    assert w[1] - w[0] == pytest.approx(gradients.CRITIC)

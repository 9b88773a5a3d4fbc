"""Coverage: numbers as their papers define them, holes and islands that are there, and none where there are none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine import coverage, losses, manifold, observables, regions, sinkhorn, zdc
from engine.datasets import base as datasets
from engine.datasets.base import Dataset
from engine.metrics.base import standardised
from engine.points import Points, map_rows
from engine.schema import MapRequest, WrongInput
from engine.spaces import Column

N = 600
NEUTRON, PHOTON, KAON = 2112, 22, 130
REQUEST = MapRequest(run="some", step=7, n=N)


def showers(rng: np.random.Generator, n: int = N, replicas: int = 2) -> Dataset:
    """Particles of three species at conditions that `codes` are made of; nothing is in the pictures."""
    primaries = -(-n // replicas)
    primary = np.repeat(np.arange(primaries), replicas)[:n]
    conditions = np.zeros((primaries, 9))
    conditions[:, zdc.ENERGY] = rng.uniform(50, 1000, primaries)
    conditions[:, zdc.PZ] = conditions[:, zdc.ENERGY]
    conditions[:, zdc.PX] = conditions[:, zdc.ENERGY] * rng.uniform(-2.5e-4, 2.5e-4, primaries)
    pdg = rng.choice([NEUTRON, PHOTON, KAON], primaries, p=[0.5, 0.3, 0.2])
    return Dataset(
        name="made", title="made", label="made", detector="zn", provenance="", showers=np.zeros((n, 44, 44), np.uint8),
        conditions=conditions[primary], pdg=pdg[primary], primary_id=primary, replica=np.arange(n) % replicas,
        split=np.ones(n, np.uint8),
    )  # fmt: skip


def classes(rng: np.random.Generator, n: int = N) -> Dataset:
    kinds = rng.integers(0, 5, n)
    return Dataset(
        name="made", title="made", label="made", detector="", provenance="", showers=np.zeros((n, 28, 28), np.uint8),
        conditions=kinds[:, None].astype(float), pdg=np.zeros(n, int), primary_id=np.arange(n),
        replica=np.zeros(n, int), split=np.ones(n, np.uint8), kind="images",
        columns=(Column("class", "", tuple("abcde")),),
    )  # fmt: skip


def codes(data: Dataset, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws of a model that knows the truth: what is known of each row, and chance, in six directions."""
    found = rng.normal(size=(len(rows), 6))
    if data.kind == "showers":
        found[:, 0] += 3 * (data.pdg[rows] == NEUTRON) - 3 * (data.pdg[rows] == KAON)
        found[:, 1] = data.conditions[rows, zdc.ENERGY] / 150
        found[:, 2] = 3 * data.impact_cm[rows, 0]
    else:
        found[:, :5] += 4 * np.eye(5)[data.conditions[rows, 0].astype(int)]
    return found


def points(data: Dataset, seed: int = 0, kept=None, made: np.ndarray | None = None) -> Points:
    """A map of all rows; a generator that cannot make those that are not `kept` makes others in their place."""
    rng = np.random.default_rng(seed)
    rows = np.arange(len(data.showers))
    answered = rows
    if kept is not None:
        answered = np.where(kept, rows, rng.choice(rows[kept], len(rows)))
    both = [codes(data, rows, rng), codes(data, answered, rng) if made is None else made]
    light = np.concatenate([data.conditions[one, 0] if data.kind == "showers" else one for one in (rows, answered)])
    return Points("latent", rows, np.concatenate(both), both[1], light.astype(float))


def find(data: Dataset, some: Points):
    return regions.find(some, data, np.random.default_rng(0))


# ----------------------------------------------------------------------------------------------------------- numbers
def test_the_four_are_those_of_their_papers_by_brute_force():
    rng = np.random.default_rng(0)
    real, made, primary = rng.normal(size=(90, 3)), rng.normal(0.4, 0.8, (90, 3)), np.arange(90)
    halves = coverage.halve(primary, rng)
    found, floor = coverage.balls(real, made, halves, lambda share: None)

    def apart(one, other):
        return np.linalg.norm(one[:, None] - other[None], axis=2)

    def radius(one):  # of the ball that reaches to the k-th neighbour, itself not counted
        return np.sort(apart(one, one), axis=1)[:, coverage.K]

    for half, other in ((halves.first, halves.second), (halves.second, halves.first)):
        for values, y in ((found, made[other]), (floor, real[other])):
            x = real[half]
            within = apart(x, y) < radius(x)[:, None]  # whether a made one lies in the ball of a real one
            np.testing.assert_allclose(values["density"][other], within.sum(0) / coverage.K)
            np.testing.assert_array_equal(values["coverage"][half], within.any(1))
            np.testing.assert_array_equal(values["precision"][other], within.any(0))
            np.testing.assert_array_equal(values["recall"][half], (apart(x, y) < radius(y)[None]).any(1))


def test_halves_share_no_primary_and_are_equally_large():
    primary = np.repeat(np.arange(50), np.random.default_rng(0).integers(1, 6, 50))
    halves = coverage.halve(primary, np.random.default_rng(1))
    assert len(halves.first) == len(halves.second) >= len(primary) // 2 - 3
    assert not set(primary[halves.first]) & set(primary[halves.second])
    with pytest.raises(WrongInput, match="larger map"):
        coverage.halve(np.repeat([0, 1], [60, 5]), np.random.default_rng(0))


def test_the_sinkhorn_divergence_is_the_sum_of_what_points_add_and_nothing_of_a_cloud_against_itself():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 5)), rng.normal(0.3, 1.2, (200, 5))
    of_x, of_y = coverage.divergence(x, y, 1.0)
    known = losses.sinkhorn_divergence(torch.from_numpy(x), torch.from_numpy(y), 1.0, coverage.SCALING)
    assert of_x.mean() + of_y.mean() == pytest.approx(float(known), rel=1e-9)
    assert abs(np.concatenate(coverage.divergence(x, x, 1.0)).mean()) < 1e-9
    moved = coverage.divergence(x, x + 2.0, 1.0)
    assert moved[0].mean() + moved[1].mean() == pytest.approx(0.5 * 5 * 4, rel=1e-3), "½‖shift‖²"


def test_what_points_add_is_how_the_divergence_changes_when_one_of_them_goes():
    rng = np.random.default_rng(0)
    x, y = (torch.from_numpy(rng.normal(size=(150, 3)) + shift) for shift in (0.0, 0.7))
    descent = sinkhorn.blurs(1.0, 0.9, 10.0)

    def divergence_of(cloud: torch.Tensor) -> float:
        return float(sinkhorn.divergence(cloud[None], y[None], 1.0, 0.9, 10.0))

    of_x, _ = sinkhorn.by_point(x, y, descent)
    whole = divergence_of(x)
    # a point in another's place: the first order of the change is the difference of what they add
    guessed, found = [], []
    for one, other in ((0, 1), (2, 3), (4, 5), (6, 7)):
        changed = x.clone()
        changed[one] = x[other]
        found.append(divergence_of(changed) - whole)
        guessed.append(float(of_x[other] - of_x[one]) / 150)
    np.testing.assert_allclose(found, guessed, atol=0.15 * np.abs(guessed).max())


def test_a_perfect_model_reads_the_floor_and_a_narrow_one_does_not():
    data = showers(np.random.default_rng(0))
    perfect = coverage.judge(points(data), data, REQUEST)
    for name, metric in perfect.metrics.items():
        assert metric.floor is not None
        assert abs(metric.value - metric.floor) < 4 * np.hypot(metric.error, metric.floor_error) + 1e-9, name
        assert metric.error > 0
    narrow = points(data)
    narrow.features[N:] = narrow.features[:N].mean(axis=0) + 0.3 * (narrow.features[N:] - narrow.features[:N].mean(0))
    judged = coverage.judge(narrow, data, REQUEST).metrics
    assert judged["coverage"].value < judged["coverage"].floor - 0.2
    assert judged["recall"].value < judged["recall"].floor - 0.2
    assert judged["sinkhorn"].value > 3 * judged["sinkhorn"].floor
    assert judged["precision"].value > 0.9


def test_the_four_do_not_depend_on_units_and_the_divergence_is_in_standard_deviations():
    data = showers(np.random.default_rng(0))
    one = points(data)
    other = replace(one, features=1000 * one.features)
    first, second = (coverage.judge(some, data, REQUEST).metrics for some in (one, other))
    for name, metric in first.items():
        assert second[name].value == pytest.approx(metric.value, rel=1e-6), name


def test_the_same_seed_gives_the_same_answer():
    data = showers(np.random.default_rng(0))
    kept = data.pdg != NEUTRON
    first, again = (coverage.judge(points(data, kept=kept), data, REQUEST) for _ in range(2))
    assert first.model_copy(update={"seconds": 0}) == again.model_copy(update={"seconds": 0})
    assert first.regions


@pytest.mark.parametrize("make", [showers, classes])
def test_the_parts_add_up_in_each_way_of_parting(make):
    data = make(np.random.default_rng(0))
    found = coverage.judge(points(data), data, REQUEST)
    ways = {part.by for part in found.parts}
    assert ways == ({"species", "energy"} if data.kind == "showers" else {"class"})
    for way in ways:
        assert sum(part.n for part in found.parts if part.by == way) == N
    assert all(set(part.metrics) == set(coverage.FOUR) for part in found.parts if part.n >= 50)
    mean = sum(part.n * part.metrics["coverage"].value for part in found.parts if part.by != "energy") / N
    assert mean == pytest.approx(found.metrics["coverage"].value, abs=0.02)


def test_progress_only_grows_and_ends_at_one():
    data, seen = showers(np.random.default_rng(0)), []
    coverage.judge(points(data), data, REQUEST, lambda done, of: seen.append(done / of))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_missing_species_shows_in_its_part():
    data = showers(np.random.default_rng(0))
    found = coverage.judge(points(data, kept=data.pdg != KAON), data, REQUEST)
    by = {part.title: part.metrics["coverage"] for part in found.parts if part.by == "species"}
    assert by["K⁰L"].value < by["K⁰L"].floor - 0.3
    assert by["n"].value > by["n"].floor - 0.1


# ------------------------------------------------------------------------------------------------- holes and islands
def test_where_both_sides_are_draws_of_one_distribution_nothing_is_found():
    false, regions_found = 0, 0
    for seed in range(10):
        data = showers(np.random.default_rng(seed))
        some = points(data, seed)
        regions_found += len(find(data, some))
        k = manifold.about(N)
        near = manifold.nearest(some.features, k)[0]
        false += regions.lonely_points([(near[:N] >= N).sum(axis=1)], [k], N).sum()
    assert regions_found == 0
    assert false <= regions.FALSE * N * 10


@pytest.mark.parametrize(("species", "symbol"), [(NEUTRON, "n"), (KAON, "K⁰L")], ids=["neutrons", "the rarest species"])
def test_a_species_that_is_never_generated_is_a_hole_with_its_name(species, symbol):
    data = showers(np.random.default_rng(1), 2000)
    holes = [one for one in find(data, points(data, kept=data.pdg != species)) if one.kind == "hole"]
    assert holes
    first = holes[0]
    assert (data.pdg[first.points] == species).mean() > 0.95
    covered = np.isin(np.flatnonzero(data.pdg == species), np.concatenate([one.points for one in holes])).mean()
    assert covered > 0.5
    assert first.distinctions[0].name == "species"
    assert f"{symbol} (" in first.words or f"all {symbol}" in first.words
    assert first.found < 0.5 * first.expected


def test_a_range_of_energy_that_is_never_generated_is_a_hole_with_its_range():
    data = showers(np.random.default_rng(2), 1000)
    energy = data.conditions[:, zdc.ENERGY]
    missing = (energy > 400) & (energy < 700)
    some = points(data, kept=~missing)
    some.features[:, 1] *= 3  # energies that codes tell apart as well as species
    holes = [one for one in find(data, some) if one.kind == "hole"]
    assert holes
    assert missing[np.concatenate([one.points for one in holes])].mean() > 0.95
    said = next(one for one in holes[0].distinctions if one.name == "energy")
    assert 380 < said.low < said.high < 720
    assert "GeV" in holes[0].words


def test_a_class_that_is_never_generated_is_a_hole_with_its_name():
    data = classes(np.random.default_rng(3))
    kind = data.conditions[:, 0]
    (hole,) = [one for one in find(data, points(data, kept=kind != 2)) if one.kind == "hole"]
    assert (kind[hole.points] == 2).mean() > 0.95
    assert "class c" in hole.words


def test_generated_points_where_there_are_no_data_are_an_island_by_their_numbers_on_the_map():
    data = showers(np.random.default_rng(4))
    rng = np.random.default_rng(5)
    made = codes(data, np.arange(N), rng)
    lost = np.flatnonzero((data.pdg == PHOTON) & (data.impact_cm[:, 0] > 0))
    made[lost, 4] += 12
    found = find(data, points(data, made=made))
    island = next(one for one in found if one.kind == "island")
    assert np.isin(lost + N, island.points).mean() > 0.95
    assert np.isin(island.points, lost + N).mean() > 0.95
    assert island.share == len(island.points) / N
    assert "γ" in island.words
    assert "impact x" in island.words
    assert [one.share for one in found] == sorted((one.share for one in found), reverse=True)


def replicas(kept: np.ndarray | None = None, seed: int = 0, n: int = 1000) -> tuple[Dataset, Points]:
    """Simulated showers against others of the same primaries, as a perfect model draws them, in their observables."""
    data = datasets.load("zdc_geant4")
    rng = np.random.default_rng(seed)
    rows = map_rows(data, n, seed)
    others = {one: np.flatnonzero(data.primary_id == data.primary_id[one]) for one in rows}
    made = np.array([rng.choice(some[some != one]) if len(some) > 1 else one for one, some in others.items()])
    if kept is not None:
        made = np.where(kept[made], made, rng.choice(made[kept[made]], n))
    columns = [observables.of(data.showers[some]).features(data.channels()[some]) for some in (rows, made)]
    features = manifold.moved_apart(np.concatenate(standardised(columns[0], *columns)), rng)
    light = data.photon_sum[np.concatenate([rows, made])].astype(float)
    return data, Points("observables", rows, features, data.showers[made], light)


def test_geant4_against_geant4_has_no_holes_and_one_without_neutrons_has_that_one():
    for seed in range(5):
        data, some = replicas(seed=seed)
        assert find(data, some) == []
    data, some = replicas(data.pdg != NEUTRON)
    holes = [one for one in find(data, some) if one.kind == "hole"]
    assert "mostly n" in holes[0].words
    assert (data.pdg[some.rows[holes[0].points]] == NEUTRON).mean() > 0.8


def test_two_holes_apart_are_two_regions_and_each_has_enough_points():
    data = classes(np.random.default_rng(6), 1000)
    kind = data.conditions[:, 0]
    holes = [one for one in find(data, points(data, kept=(kind != 0) & (kind != 3))) if one.kind == "hole"]
    assert len(holes) == 2
    assert {one.words.split(" (")[0].split("class ")[1] for one in holes} == {"a", "d"}
    assert len(set(holes[0].points) | set(holes[1].points)) > 350, "those between the two are of one of them"
    assert all(len(one.points) >= regions.LEAST for one in holes)


def test_distances_between_distributions_are_those_of_their_definitions():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    one, other = rng.normal(size=80), rng.normal(0.5, 1, 50)
    assert regions.kolmogorov(one, other) == pytest.approx(ks_2samp(one, other).statistic)
    assert regions.kolmogorov(one, one) == 0
    assert regions.variation(np.array([2, 1, 1]), np.array([1, 0, 3])) == pytest.approx(0.5)


def test_differences_that_chance_makes_are_not_told():
    data = showers(np.random.default_rng(0), replicas=1)
    here = np.zeros(N, bool)
    told = 0
    for seed in range(20):
        here[:] = False
        here[np.random.default_rng(seed).choice(N, 15, replace=False)] = True
        told += len(list(regions.differences(points(data), data, 0, here, np.random.default_rng(seed))))
    assert told <= 6, "six columns, twenty times, one in a hundred"


# ------------------------------------------------------------------------------------------------------ separability
def test_separability_is_learned_from_other_primaries():
    rng = np.random.default_rng(0)
    primary = np.repeat(np.arange(120), 4)
    labels = rng.integers(0, 2, 120)[primary]
    told = rng.normal(size=(120, 40))[primary]  # each primary is known by its code, its label is not
    found = coverage.separate(told + 0.01 * rng.normal(size=told.shape), labels, primary, rng)
    assert found is not None
    assert abs(found.value - 0.5) < 4 * found.error
    clear = coverage.separate(told + 5 * labels[:, None], labels, primary, rng)
    assert clear is not None
    assert clear.value > 0.98
    assert clear.floor == pytest.approx(max(labels.mean(), 1 - labels.mean()))
    assert coverage.separate(told, np.zeros(480, int), primary, rng) is None


def test_rare_species_are_left_out_of_separability():
    data = showers(np.random.default_rng(0))
    pdg = data.pdg.copy()
    pdg[:4] = 3122
    found = coverage.judge(points(data), replace(data, pdg=pdg), REQUEST)
    assert found.separates == "species"
    assert found.separability is not None
    assert found.separability.value > found.separability.floor + 0.2

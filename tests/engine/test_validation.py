"""The validation table: what equals Geant4 reads 1, each way of being wrong is seen by the row that is meant for it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from engine import validation
from engine.datasets import zdc_geant4
from engine.schema import WrongInput


@pytest.fixture(scope="module")
def geant4():
    """Held-out primaries alone, so that tables are quick."""
    data = zdc_geant4.load()
    rows = data.rows("test")
    names = ("showers", "conditions", "pdg", "primary_id", "replica", "split")
    return replace(data, **{name: np.array(getattr(data, name)[rows]) for name in names})


def table(data, reference):
    return {row.name: row for row in validation.compare(data, reference)}


def with_showers(data, images):
    return replace(data, name="changed", showers=images.astype(np.uint16))


def test_geant4_against_itself_reads_one_in_every_row(geant4):
    rows = table(geant4, geant4)
    assert len(rows) == 19
    for row in rows.values():
        assert row.distance == pytest.approx(row.floor, rel=1e-9), row.name
        assert row.within


def test_too_much_light_is_seen(geant4):
    rows = table(with_showers(geant4, geant4.showers * 2), geant4)
    for name in ("light of γ", "light of n", "channels (paper), Wasserstein", "pixel spectrum"):
        assert not rows[name].within, name
    assert rows["light of γ"].value == pytest.approx(2 * rows["light of γ"].reference, rel=0.05)
    assert rows["empty showers"].within


def test_a_wrong_place_is_seen_by_profile_and_mae_but_not_by_the_light(geant4):
    rows = table(with_showers(geant4, np.roll(geant4.showers, 3, axis=1)), geant4)
    assert not rows["radial profile"].within
    assert rows["channels (paper), MAE at equal conditions"].ratio > 1.2
    assert rows["light of γ"].within
    assert rows["pixel spectrum"].within
    assert rows["empty pixels"].within


def test_replicas_that_are_too_alike_are_seen(geant4):
    groups = geant4.showers.reshape(-1, 3, 44, 44)
    rows = table(with_showers(geant4, np.repeat(groups[:, :1], 3, axis=1).reshape(-1, 44, 44)), geant4)
    assert rows["MAE between replicas"].value == 0
    spread = [row for name, row in rows.items() if "between replicas" in name or "f_div" in name or "spread" in name]
    assert len(spread) == 9
    assert not any(row.within for row in spread)
    assert rows["channels (paper), Wasserstein"].within


def test_showers_of_other_primaries_are_seen_by_the_mae_and_not_by_spectra(geant4):
    groups = geant4.showers.reshape(-1, 3, 44, 44)
    order = np.random.default_rng(0).permutation(len(groups))
    rows = table(with_showers(geant4, groups[order].reshape(-1, 44, 44)), geant4)
    assert not rows["channels (paper), MAE at equal conditions"].within
    assert rows["channels (paper), Wasserstein"].within
    assert rows["empty pixels"].within


def test_lost_showers_are_seen(geant4):
    lost = np.random.default_rng(0).random(len(geant4.showers)) < 0.1
    rows = table(with_showers(geant4, np.where(lost[:, None, None], 0, geant4.showers)), geant4)
    assert not rows["empty showers"].within
    assert rows["empty showers"].value == pytest.approx(rows["empty showers"].reference + 10, abs=3)


def test_values_are_those_of_a_slow_loop(geant4):
    rows = table(geant4, geant4)
    images = geant4.showers.reshape(-1, 3, 44, 44).astype(float)
    assert rows["empty pixels"].reference == pytest.approx(100 * (images == 0).mean(), abs=0.05)
    apart = [np.abs(a - b).mean() for a, b in ((images[:, 0], images[:, 1]), (images[:, 1], images[:, 2]))]
    every = geant4.conditions[::3, 0]
    bins = [(every >= low) & (every < high) for low, high in ((0, 100), (100, 250), (250, 600), (600, 1e9))]
    f_div = [rows[f"f_div, {name}"].reference for name in ("0–100 GeV", "100–250 GeV", "250–600 GeV", "above 600 GeV")]
    overall = sum(value * some.sum() for value, some in zip(f_div, bins, strict=True)) / len(every)
    # the deviation of two replicas from their mean is half their difference
    assert overall == pytest.approx(np.mean(apart) * 1936 / 2, rel=0.03)


def test_the_same_seed_gives_the_same_table(geant4, monkeypatch):
    monkeypatch.setattr(validation, "SHUFFLES", 20)
    changed = with_showers(geant4, geant4.showers + 1)
    assert validation.compare(changed, geant4, seed=1) == validation.compare(changed, geant4, seed=1)
    assert validation.compare(changed, geant4, seed=1) != validation.compare(changed, geant4, seed=2)


def test_sets_that_are_not_the_same_primaries_are_refused(geant4):
    moved = np.array(geant4.conditions)
    moved[7, 0] += 1
    with pytest.raises(WrongInput, match="row 8 of zdc_geant4"):
        validation.compare(replace(geant4, conditions=moved), geant4)
    with pytest.raises(WrongInput, match="simulate the same primaries"):
        validation.compare(replace(geant4, showers=geant4.showers[:, :30]), geant4)
    with pytest.raises(WrongInput, match="unknown split"):
        validation.compare(geant4, geant4, split="all")
    two = np.array(geant4.replica) < 2
    names = ("showers", "conditions", "pdg", "primary_id", "replica", "split")
    fewer = replace(geant4, **{name: np.array(getattr(geant4, name)[two]) for name in names})
    with pytest.raises(WrongInput, match="3 or more"):
        validation.compare(fewer, fewer)
    with pytest.raises(WrongInput, match="zdc_geant4"):
        validation.check("zdc_geant4")


# ------------------------------------------------------------------------------------------------------------ curves
def lines(data, reference):
    return {line.name: line for line in validation.curves(data, reference)}


def test_a_set_lies_on_its_own_curves(geant4):
    found = lines(geant4, geant4)
    assert {"radial profile", "pixel spectrum", "f_div", "light of γ", "light of n", "photon sum of γ",
            "photon sum of hadrons"} <= set(found)  # fmt: skip
    for line in found.values():
        assert line.value == line.reference
        assert len(line.x) == len(line.reference) == len(line.error) > 0
        assert line.x == sorted(line.x)
        assert np.isfinite([*line.x, *line.reference, *line.error]).all()
        assert line.x_label
        assert line.y_label


def test_twice_the_light_doubles_every_curve_of_light_and_shifts_the_spectra(geant4):
    found = lines(with_showers(geant4, geant4.showers * 2), geant4)
    for name in ("radial profile", "f_div", "light of γ", "light of n"):
        np.testing.assert_allclose(found[name].value, 2 * np.array(found[name].reference))
    assert found["pixel spectrum"].value[0] == 0
    hadrons = found["photon sum of hadrons"]
    assert np.argmax(hadrons.value) > 1.5 * np.argmax(hadrons.reference)


def test_points_of_curves_are_those_of_a_slow_loop(geant4):
    found = lines(geant4, geant4)
    x = (np.arange(44) - 21.5) * 0.16
    light = fibres = 0
    for image, (cx, cy) in zip(geant4.showers, geant4.impact_cm, strict=True):
        radius = np.hypot(x[:, None] - cx, x[None, :] - cy)
        ring = (radius >= 0.2) & (radius < 0.3)
        light, fibres = light + image[ring].sum(), fibres + ring.sum()
    profile = found["radial profile"]
    assert profile.reference[profile.x.index(2.5)] == pytest.approx(light / fibres)
    spectrum = found["pixel spectrum"]
    assert spectrum.reference[1] == pytest.approx((geant4.showers == 2).mean())
    density = np.array(found["photon sum of hadrons"].reference)
    assert density.sum() * 0.1 == pytest.approx(1, abs=0.02)


def test_the_error_of_a_point_is_what_drawing_primaries_again_moves_it(geant4):
    line = lines(geant4, geant4)["f_div"]
    images = geant4.showers.reshape(-1, 3, 1936).astype(float)
    energy = geant4.conditions[::3, 0]
    some = (energy >= 250) & (energy < 450)
    each = np.mean([np.abs(images[:, a] - images[:, b]).sum(1) / 2 for a, b in ((0, 1), (0, 2), (1, 2))], axis=0)[some]
    at = int(np.argmin(np.abs(np.array(line.x) - energy[some].mean())))
    assert line.reference[at] == pytest.approx(each.mean())
    assert line.error[at] == pytest.approx(each.std() / np.sqrt(some.sum()), rel=0.2)


# ------------------------------------------------------------------------------------------------------------- check
def test_zdc_fast_stands_within_twice_the_floor_on_held_out_primaries():
    shares = []
    report = validation.check("zdc_fast", "validation", progress=shares.append)
    assert json.loads(json.dumps(report)) == report
    assert report["showers"] == 546
    assert report["primaries"] == 182
    assert report["of"] == len(report["rows"]) == 19
    assert report["within"] >= 17
    assert max(row["ratio"] for row in report["rows"]) < 3
    assert {"radial profile", "light of γ"} <= {line["name"] for line in report["curves"]}
    assert 0 < report["seconds"] < 300
    assert (shares[0], shares[-1]) == (0, 1)
    assert shares == sorted(shares)
    assert len(shares) > 10

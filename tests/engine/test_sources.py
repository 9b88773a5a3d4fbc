"""Particles of many showers: tables in their order, spectra by their law, each batch by its number alone."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import sources, zdc
from engine.conditions import along, conditions_of
from engine.datasets import base as datasets
from engine.host import BATCH
from engine.schema import BulkRequest, Particle, Spectrum, WrongInput
from engine.sources import PowerLaw, Source, Table, TrainingPrimaries, of_particle, source_of, spectrum_of


@pytest.fixture(scope="module")
def data():
    return datasets.load("zdc_geant4")


def whole(source: Source) -> dict[str, np.ndarray]:
    """All rows of a source."""
    batches = [source.batch(k) for k in range(-(-source.showers // BATCH))]
    labels = {name: np.concatenate([b.labels[name] for b in batches]) for name in batches[0].labels}
    return {"conditions": np.concatenate([b.conditions for b in batches]), **labels}


def test_a_table_is_repeated_row_by_row_over_the_ends_of_batches():
    rows = along(Particle(), [100, 200, 300])
    found = whole(Table(rows, 700, np.array([2112, 22, 130])))
    np.testing.assert_array_equal(found["conditions"], np.repeat(rows, 700, axis=0))
    assert found["primary_id"].tolist() == np.repeat(np.arange(3), 700).tolist()
    assert found["replica"].tolist() == np.tile(np.arange(700), 3).tolist()
    assert found["pdg"].tolist() == np.repeat([2112, 22, 130], 700).tolist()
    assert "pdg" not in Table(rows, 2).batch(0).labels
    assert whole(of_particle(Particle(pdg=22), 5))["pdg"].tolist() == [22] * 5


def test_a_spectrum_of_the_data_draws_training_primaries_with_their_species(data):
    found = whole(TrainingPrimaries(data, 3000, 1))
    train = {tuple(row): pdg for row, pdg in zip(data.conditions, data.pdg, strict=True)}
    assert all(train[tuple(row)] == pdg for row, pdg in zip(found["conditions"], found["pdg"], strict=True))
    held_out = {tuple(row) for row in data.conditions[data.split != 0]}
    assert not held_out & {tuple(row) for row in found["conditions"]}
    assert len(np.unique(found["conditions"], axis=0)) > 0.9 * 850
    assert found["primary_id"].tolist() == list(range(3000)), "each shower is of a primary of its own"


@pytest.mark.parametrize("index", [-2.0, 0.0, 1.0, 1.0 + 1e-10, 2.7, 10.0, -10.0])
def test_energies_follow_the_power_law(index):
    law = PowerLaw(Particle(px_gev=0.02), Spectrum(law="power", index=index), 20_000, 3)
    energy = whole(law)["conditions"][:, zdc.ENERGY]
    assert (energy >= 10).all()
    assert (energy <= 5000).all()
    grid = np.geomspace(10, 5000, 200_001)
    weight = np.exp((1 - index) * np.log(grid / np.sqrt(10 * 5000)))  # E·dN/dE on a grid of log E
    below = np.concatenate([[0], np.cumsum((weight[1:] + weight[:-1]) / 2)])
    share = np.interp(np.sort(energy), grid, below / below[-1])
    distance = np.abs(share - (np.arange(20_000) + 0.5) / 20_000).max()
    assert distance < 1.63 / np.sqrt(20_000), "Kolmogorov's bound at 1 %"


def test_a_power_law_keeps_species_vertex_and_direction():
    particle = Particle(pdg=22, px_gev=0.1, py_gev=-0.05, vx_cm=0.1, side=-1)
    rows = whole(PowerLaw(particle, Spectrum(law="power"), 50, 0))["conditions"]
    impact = zdc.impact_cm(np.concatenate([conditions_of(particle), rows]))
    np.testing.assert_allclose(impact, impact[:1].repeat(51, axis=0), rtol=1e-9)
    assert (rows[:, zdc.PZ] < 0).all()
    assert not rows[:, zdc.MASS].any()


@pytest.mark.parametrize("law", ["data", "power"])
def test_a_batch_is_drawn_by_seed_and_number_alone(data, law):
    def made(showers: int, seed: int) -> Source:
        return spectrum_of(Spectrum(law=law), data, showers, seed)

    last = made(3 * BATCH, 4).batch(2)
    np.testing.assert_array_equal(made(3 * BATCH, 4).batch(2).conditions, last.conditions)
    np.testing.assert_array_equal(made(2 * BATCH + 9, 4).batch(2).conditions, last.conditions[:9])
    assert not np.array_equal(made(3 * BATCH, 5).batch(2).conditions, last.conditions)
    assert not np.array_equal(made(3 * BATCH, 4).batch(1).conditions, last.conditions)


@settings(max_examples=100, deadline=None)
@example(1.0, 64.0, 10.0, [1.0])  # all of a spectrum so steep that its end rounds away
@given(st.floats(1, 6000), st.floats(1, 6999), st.floats(-10, 10), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_any_power_law_between_bounds_gives_energies_between_them(low, high, index, shares):
    spectrum = Spectrum(law="power", minimum_gev=low, maximum_gev=high, index=index)
    if not low < high:
        with pytest.raises(WrongInput, match="holds no energies"):
            PowerLaw(Particle(), spectrum, 5, 0)
        return
    found = PowerLaw(Particle(), spectrum, 5, 0).energies(np.array(shares))
    assert np.isfinite(found).all()
    assert ((found >= low) & (found <= high)).all()
    assert (np.diff(found[np.argsort(shares)]) >= -1e-9 * high).all()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "one of the two"),
        ({"spectrum": Spectrum(law="data", particle=Particle())}, "leave the particle out"),
        ({"spectrum": Spectrum(law="power", minimum_gev=0.1)}, "not above the mass"),
        ({"spectrum": Spectrum(law="power", maximum_gev=1e9)}, "above the beam"),
        ({"spectrum": Spectrum(law="power", particle=Particle(px_gev=501))}, "lower them"),
        ({"spectrum": Spectrum(law="power", particle=Particle(pdg=99999999))}, "PDG"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_one_line(data, request_, said):
    with pytest.raises(WrongInput, match=said) as caught:
        source_of(BulkRequest(run="a", **request_), data, None)
    assert "\n" not in str(caught.value)


def test_a_table_is_named_as_its_owner_named_it(data, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("Energy\n1\n")
    with pytest.raises(WrongInput, match=r"^mine.csv: missing column") as caught:
        source_of(BulkRequest(run="a"), data, path)
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(WrongInput, match="one of the two"):
        source_of(BulkRequest(run="a", spectrum=Spectrum()), data, path)


def test_more_showers_than_are_made_at_once_are_refused():
    rows = along(Particle(), [100, 200])
    with pytest.raises(WrongInput, match=f"1 to {sources.MOST_SHOWERS}"):
        Table(rows, sources.MOST_SHOWERS)

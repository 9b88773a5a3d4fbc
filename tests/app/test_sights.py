"""How pictures are looked at stands in the link and comes back from it; presets are what they say."""

import numpy as np
import pytest
from fake import FakeEngine
from hypothesis import given
from hypothesis import strategies as st

from app import state
from app.charts import face
from app.components import presets, sights
from app.components.sights import Sight
from engine.schema import Particle, WrongInput

STEP = st.floats(-3, 3).map(lambda x: round(x, 2))


@given(
    st.builds(
        Sight,
        shown=st.sampled_from(["one", "mean", "sigma"]), of=st.sampled_from([16, 64, 256]), log=st.booleans(),
        top=st.none() | st.integers(1, 10**5).map(float), towers=st.booleans(), common=st.booleans(),
        held=st.sampled_from(["energy", "momentum", "kinetic"]), aimed=st.booleans(),
        walk=st.none() | st.tuples(STEP, STEP),
    )
)  # fmt: skip
def test_a_link_brings_every_choice_back(sight: Sight):
    link = {name: value for name, value in sights.link_of(sight).items() if value}
    assert sights.from_link(link) == sight


def test_the_first_page_has_a_bare_link():
    assert not any(sights.link_of(Sight()).values())


@pytest.mark.parametrize(
    "query",
    [
        {"shown": "all"},
        {"mean_of": "7"},
        {"mean_of": "x"},
        {"noise": "9,9"},
        {"noise": "1"},
        {"noise": "nan,0"},
        {"top": "-1"},
    ],
)
def test_a_link_that_describes_nothing_possible_opens_the_first_page(query: dict[str, str]):
    assert sights.from_link(query) == Sight()


def impact(particle: Particle, fake: FakeEngine) -> np.ndarray:
    kind = state.particle_named(particle.pdg, fake.catalogue())
    return face.impact_mm(np.array([particle.conditions(kind.mass_mev, kind.charge_e)]), 11260)[0]


def test_presets_hit_where_they_say(fake: FakeEngine):
    book, dataset = fake.catalogue(), fake.datasets()[-1]
    made = {p.name: p for p in presets.presets(dataset, book.detectors[0], book)}
    half = 44 * 1.6 / 2
    assert impact(made["Grazing"].particle, fake)[0] == pytest.approx(half - 1, abs=0.01)
    assert impact(made["Miss"].particle, fake)[0] > half
    assert impact(made["Direct neutron hit"].particle, fake) == pytest.approx([0, 0])
    assert made["Beyond training"].particle.energy_gev > max(
        c.maximum for c in dataset.conditions if c.name == "Energy"
    )
    assert made["Smoke particle"].particle == Particle(pdg=22, energy_gev=513.318, side=-1)
    assert all(preset.why for preset in made.values())


def test_the_two_photons_of_that_pion_cannot_both_hit():
    least = 2 * np.arcsin(0.1349768 / 100)  # opening angle of a π⁰ of 100 GeV that decays evenly
    assert least * 112.6e3 == pytest.approx(304, abs=0.5)
    assert least * 112.6e3 > 44 * 1.6 * 2**0.5


def test_aiming_from_a_vertex_leads_to_the_point(fake: FakeEngine):
    start = Particle(energy_gev=300, vx_cm=0.3, vz_cm=-12, side=-1)
    aimed = presets.aimed(start, 12.0, -7.0, fake.catalogue().detectors[0], 939.565)
    assert impact(aimed, fake) == pytest.approx([12.0, -7.0], abs=1e-2)
    with pytest.raises(WrongInput, match="raise it"):
        presets.aimed(Particle(energy_gev=0.5), 0, 0, fake.catalogue().detectors[0], 939.565)

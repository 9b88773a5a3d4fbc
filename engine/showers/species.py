"""Particles that the shower Monte Carlo knows; PDG 2024."""

from __future__ import annotations

MASS_GEV = {22: 0.0, 2112: 0.939565, -2112: 0.939565, 2212: 0.938272, 130: 0.497611, 211: 0.139570, -211: 0.139570}
"""Particles that make showers; PDG 2024."""
CHARGE = {2212: 1.0, 211: 1.0, -211: -1.0}
LAMBDA, LAMBDA_GEV, PI0_GEV = 3122, 1.115683, 0.134977
LIGHT_MESONS = (130, 211, -211)
"""Their interaction length is `meson_length` of a nucleon's."""
SPECIES = (*MASS_GEV, LAMBDA)

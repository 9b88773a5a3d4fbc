// The particle: what follows from what, on the mass shell and along a straight line to the face.

const HELD = [["energy", "Energy E"], ["momentum", "Momentum |p|"], ["kinetic", "Kinetic energy T"]];

function kindOf(live, pdg = live.particle.pdg) {
  return live.config.particles.find((p) => p.pdg === pdg) ?? { name: `PDG ${pdg}`, symbol: String(pdg), mass_mev: 0, charge_e: 0 };
}

function massOf(live) { return kindOf(live).mass_mev / 1000; } // GeV

function momentumOf(live) { // |p| in GeV; NaN where the energy does not carry the mass
  const energy = live.particle.energy_gev, mass = massOf(live);
  return energy > mass ? Math.sqrt(energy ** 2 - mass ** 2) : NaN;
}

function pzOf(live) { // GeV; NaN off the mass shell
  const p = live.particle, square = momentumOf(live) ** 2 - p.px_gev ** 2 - p.py_gev ** 2;
  return square > 0 ? p.side * Math.sqrt(square) : NaN;
}

function pathOf(live, p) { return live.config.detector.z_cm - p.side * p.vz_cm; } // cm along z from vertex to face

function impactOf(live, p, pz) { // mm on the face
  const path = pathOf(live, p) / Math.abs(pz);
  return [10 * (p.vx_cm + p.px_gev * path), 10 * (p.vy_cm + p.py_gev * path)];
}

function aim(live, [xmm, ymm]) { // px and py that lead there from the present vertex with the present energy
  const p = live.particle, total = momentumOf(live), path = pathOf(live, p);
  live.target = [xmm, ymm];
  if (Number.isNaN(total)) return;
  const tx = (xmm / 10 - p.vx_cm) / path, ty = (ymm / 10 - p.vy_cm) / path;
  const along = total / Math.hypot(1, tx, ty);
  p.px_gev = round(along * tx, 6); p.py_gev = round(along * ty, 6);
}

function noteTarget(live) { // where the particle goes now, to be kept when its energy changes
  const at = impactOf(live, live.particle, pzOf(live));
  if (at.every(Number.isFinite)) live.target = at;
}

function setEnergy(live, energy) {
  live.particle.energy_gev = energy;
  if (live.sight.aimed && live.target) aim(live, live.target); else noteTarget(live);
}

function heldOf(live) { // the quantity that the number entry holds, in GeV
  const energy = live.particle.energy_gev, held = live.sight.held;
  return held === "momentum" ? momentumOf(live) : held === "kinetic" ? energy - massOf(live) : energy;
}

function energyFrom(live, value) {
  const mass = massOf(live), held = live.sight.held;
  return round(held === "momentum" ? Math.hypot(value, mass) : held === "kinetic" ? value + mass : value, 9);
}

function setSpecies(live, pdg) { // the held quantity stays, the others follow
  const value = heldOf(live);
  live.particle.pdg = pdg;
  setEnergy(live, Number.isFinite(value) ? energyFrom(live, value) : live.particle.energy_gev);
}

"""Geant4 in a process of its own: reads a job from stdin, writes one line of JSON per shower.

Run by `engine.geant4.simulation` with any Python that has geant4-pybind; needs nothing else. Geant4 allows one run a
process and does not survive Python's clean-up, so the process leaves with `os._exit`. What Geant4 prints goes to
stderr; stdout carries only the answers: `{"ready": version}`, then `{"cpu": s, "fibres": [[x, y, captured], …]}` a
shower, in order.

Light: a charged step in a fibre's core emits Cherenkov photons on a cone about its direction, N = 370 /(cm eV) ·
ΔE · L · z² · sin²θc (PDG, Passage of particles through matter); the part of the cone within the angle of
total reflection, sin θ = NA/n from the axis towards the back, is captured.

Lengths in mm, energies in GeV, times in s.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import Any

PHOTONS_PER_MM = 370.0 * (4.1 - 1.8) / 10
"""Of a particle of charge 1 at sin²θc = 1, photon energies 1.8–4.1 eV."""
REFRACTIVE_INDEX = 1.46
APERTURE = 0.22
"""Numerical aperture of the fibres."""
COS_REFLECTED = math.sqrt(1 - (APERTURE / REFRACTIVE_INDEX) ** 2)
PHYSICS = (
    "G4EmStandardPhysics_option1",
    "G4EmExtraPhysics",
    "G4DecayPhysics",
    "G4HadronElasticPhysics",
    "G4HadronPhysicsFTFP_BERT",
    "G4StoppingPhysics",
    "G4IonPhysics",
    "G4NeutronTrackingCut",
)
COMMANDS = ("/process/em/fluo false", "/process/em/verbose 0", "/process/had/verbose 0", "/run/printProgress 0")
WORLD_HALF_MM = (1_000.0, 1_000.0, 116_000.0)


def captured_fraction(cos_track: float, cos_cherenkov: float) -> float:
    """Part of a Cherenkov cone that a fibre leads to its back; cos_track: of the track with the fibre's axis.

    A photon at azimuth φ of the cone has cos θ = cos_track·cos_cherenkov + sin_track·sin_cherenkov·cos φ, and is led
    where that is above cos θ of total reflection.
    """
    across = math.sqrt(max(0.0, (1 - cos_track**2) * (1 - cos_cherenkov**2)))
    missing = COS_REFLECTED - cos_track * cos_cherenkov
    if missing <= -across:
        return 1.0
    if missing >= across:
        return 0.0
    return math.acos(missing / across) / math.pi


def build(g4: Any, detector: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Detector construction, generator and the fibres' sensitive volume."""
    nx, ny = detector["shape"]
    pitch, length = detector["pitch_mm"], detector["length_mm"]
    alive: list[Any] = []  # Geant4 keeps pointers to what Python would collect

    def keep(thing: Any) -> Any:
        alive.append(thing)
        return thing

    class Fibres(g4.G4VSensitiveDetector):
        light: dict[tuple[int, int], float]

        def ProcessHits(self, step: Any, history: Any) -> bool:  # noqa: N802
            before = step.GetPreStepPoint()
            charge = before.GetCharge()
            beta_n = before.GetBeta() * REFRACTIVE_INDEX
            length = step.GetStepLength()
            if charge == 0 or beta_n <= 1 or length <= 0:
                return True
            cos_cherenkov = 1 / beta_n
            part = captured_fraction(before.GetMomentumDirection().z, cos_cherenkov)
            if part > 0:
                touched = before.GetTouchable()
                fibre = (touched.GetReplicaNumber(3), touched.GetReplicaNumber(2))
                photons = PHOTONS_PER_MM * length * charge**2 * (1 - cos_cherenkov**2) * part
                self.light[fibre] = self.light.get(fibre, 0.0) + photons
            return True

    class Calorimeter(g4.G4VUserDetectorConstruction):
        def Construct(self) -> Any:  # noqa: N802
            nist = g4.G4NistManager.Instance()
            vacuum = nist.FindOrBuildMaterial("G4_Galactic")
            quartz = nist.FindOrBuildMaterial("G4_SILICON_DIOXIDE")
            density, parts = detector["density_g_cm3"], detector["absorber"]
            absorber = keep(g4.G4Material("absorber", density * g4.g / g4.cm3, len(parts)))
            for symbol, fraction in parts.items():
                absorber.AddElement(nist.FindOrBuildElement(symbol), fraction)

            def box(name: str, half: tuple[float, float, float], material: Any) -> Any:
                return keep(g4.G4LogicalVolume(keep(g4.G4Box(name, *half)), material, name))

            def tube(name: str, radius: float, mother: Any) -> Any:
                solid = keep(g4.G4Tubs(name, 0, radius, length / 2, 0, 2 * math.pi))
                inside = keep(g4.G4LogicalVolume(solid, quartz, name))
                keep(g4.G4PVPlacement(None, g4.G4ThreeVector(), inside, name, mother, False, 0, False))
                return inside

            world = box("world", WORLD_HALF_MM, vacuum)
            block = box("block", (nx * pitch / 2, ny * pitch / 2, length / 2), absorber)
            at = g4.G4ThreeVector(0, 0, length / 2)  # the face stands at z = 0
            keep(g4.G4PVPlacement(None, at, block, "block", world, False, 0, False))
            column = box("column", (pitch / 2, ny * pitch / 2, length / 2), absorber)
            keep(g4.G4PVReplica("column", column, block, g4.EAxis.kXAxis, nx, pitch))
            cell = box("cell", (pitch / 2, pitch / 2, length / 2), absorber)
            keep(g4.G4PVReplica("cell", cell, column, g4.EAxis.kYAxis, ny, pitch))
            self.core = tube("core", detector["core_mm"] / 2, tube("cladding", detector["cladding_mm"] / 2, cell))
            return keep(g4.G4PVPlacement(None, g4.G4ThreeVector(), world, "world", None, False, 0, False))

        def ConstructSDandField(self) -> None:  # noqa: N802
            g4.G4SDManager.GetSDMpointer().AddNewDetector(fibres)
            self.SetSensitiveDetector(self.core, fibres)

    class Gun(g4.G4VUserPrimaryGeneratorAction):
        def __init__(self) -> None:
            super().__init__()
            self.gun = g4.G4ParticleGun(1)
            self.event: dict[str, Any] = {}

        def GeneratePrimaries(self, event: Any) -> None:  # noqa: N802
            table = g4.G4ParticleTable.GetParticleTable()
            self.gun.SetParticleDefinition(table.FindParticle(self.event["pdg"]))
            self.gun.SetParticleEnergy(self.event["kinetic_gev"] * g4.GeV)
            self.gun.SetParticlePosition(g4.G4ThreeVector(*self.event["start_mm"]))
            self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(*self.event["direction"]).unit())
            self.gun.GeneratePrimaryVertex(event)

    class Actions(g4.G4VUserActionInitialization):
        def Build(self) -> None:  # noqa: N802
            self.gun = Gun()
            self.SetUserAction(self.gun)

    fibres = keep(Fibres("fibres"))
    fibres.light = {}
    return keep(Calorimeter()), keep(Actions()), fibres


def physics(g4: Any) -> Any:
    """The modular physics list of `PHYSICS`."""

    class Physics(g4.G4VModularPhysicsList):
        def __init__(self) -> None:
            super().__init__()
            self.SetVerboseLevel(0)
            for name in PHYSICS:
                self.RegisterPhysics(getattr(g4, name)())

    return Physics()


def run(job: dict[str, Any], answer: Any) -> None:
    """Simulate the job's events one by one, answering each."""
    import geant4_pybind as g4  # type: ignore[import-not-found]

    calorimeter, actions, fibres = build(g4, job["detector"])
    manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.Serial)
    manager.SetUserInitialization(calorimeter)
    manager.SetUserInitialization(physics(g4))
    manager.SetUserInitialization(actions)
    command = g4.G4UImanager.GetUIpointer().ApplyCommand
    for line in COMMANDS:
        command(line)
    command(f"/run/setCut {job['cut_mm']} mm")  # set from Python it has no effect
    manager.Initialize()
    table = g4.G4ParticleTable.GetParticleTable()
    for pdg in sorted({event["pdg"] for event in job["events"]}):
        if table.FindParticle(pdg) is None:
            answer({"error": f"Geant4 knows no particle of PDG id {pdg}"})
            return
    # physics tables are built by the first run: not the first shower's time
    actions.gun.event = {"pdg": 2112, "kinetic_gev": 0.01, "start_mm": [0, 0, -1], "direction": [0, 0, 1]}
    manager.BeamOn(1)
    answer({"ready": str(manager.GetVersionString())})
    for event in job["events"]:
        fibres.light.clear()
        command("/random/setSeeds {} {}".format(*event["seeds"]))
        actions.gun.event = event
        begun = time.process_time()
        manager.BeamOn(1)
        cpu = time.process_time() - begun
        answer({"cpu": cpu, "fibres": [[x, y, light] for (x, y), light in sorted(fibres.light.items())]})


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(line: dict[str, Any]) -> None:
        answers.write(json.dumps(line) + "\n")
        answers.flush()

    run(json.load(sys.stdin), answer)
    answers.close()
    os._exit(0)


if __name__ == "__main__":
    main()

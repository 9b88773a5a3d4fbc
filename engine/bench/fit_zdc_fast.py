"""Fits the parameters of `zdc_fast` to the Geant4 showers, training primaries alone.

Stage `profile`: the mean radial profile of photon showers, four exponentials by least squares. Stages `em` and
`hadronic`: showers at the training primaries' conditions, summary statistics compared with Geant4's (light per GeV and
its spread between replicas, edge and fibre phase, radial profile, fluctuation of fibres, pixel spectrum, width,
centroid, common share, channels); χ² takes as errors what statistics move between seeds, and 1 %, and an evolution
strategy, then steps along its derivatives, minimise it. Start values are those of the JSON file, which is rewritten.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares

from engine import zdc
from engine.datasets import zdc_geant4
from engine.datasets.base import Dataset
from engine.showers import cascade, flight
from engine.showers.parameters import PARAMETERS, Parameters, fit_record, parameters
from engine.showers.summary import Statistics

Floats = NDArray[np.float64]

EM = [
    "photons_per_gev", "photons_per_track", "em_axis_cm", "em_width_sigma", "em_light_sigma", "em_tail_sigma",
    "em_halo_sigma", "em_tail_axis_cm", "em_sigma_power", "em_fibre_light", "em_fibre_sigma", "em_edge_loss",
    "em_edge_cm",
]  # fmt: skip
HADRONIC = [
    "hadron_response", "hadron_response_power", "hadron_power", "hadron_em_sigma", "hadron_em_sigma_power",
    "hadron_light_sigma", "depth_shape", "depth_cm", "spot_many", "spot_many_power", "spot_offset_cm",
    "spot_offset_power", "spot_core_cm", "spot_tail_cm", "spot_tail_share", "spot_width_sigma", "spot_width_power",
    "halo_share", "halo_share_sigma", "halo_near_cm", "halo_near_power", "halo_near_follow", "halo_far_cm",
    "halo_far_share", "halo_sigma", "halo_sigma_power", "halo_offset_cm", "halo_offset_power", "edge_loss", "edge_cm",
]  # fmt: skip
SIGNED = {
    "hadron_response_power", "hadron_em_sigma_power", "spot_many_power", "spot_width_power", "halo_near_power",
    "halo_sigma_power",
}  # fmt: skip
"""Moved by steps of their own; all others, being positive, by factors."""
BELOW_ONE = {
    "spot_tail_share", "halo_share", "halo_far_share", "hadron_power", "edge_loss", "em_edge_loss", "halo_near_follow",
}  # fmt: skip
JUDGED = ("light", "channel replica gap", "pixel replica gap")
"""Statistics that the validation table judges as they are count twice."""
SEEDS = 8
"""Simulations that say how much a statistic moves by chance, and what its mean is."""
STEP = 0.15
"""Of a finite difference, relative."""
BELOW_ONE = {"spot_tail_share", "halo_share", "halo_far_share", "hadron_power", "edge_loss", "em_edge_loss"}


class Target:
    """Geant4's statistics with their errors for some primaries, and the χ² of parameters."""

    def __init__(self, data: Dataset, hadrons: bool) -> None:
        rows = data.rows("train")
        rows = rows[(data.pdg[rows] != 22) == hadrons].reshape(-1, 3)
        rows = rows[(np.abs(data.impact_cm[rows[:, 0]]) < 3.52).all(axis=1)]
        self.conditions, self.pdg = data.conditions[rows[:, 0]], data.pdg[rows[:, 0]]
        self.rows, self.statistics = rows, Statistics(self.conditions)
        self.names, above, below = self.statistics.of(data.showers[rows])
        rng = np.random.default_rng(1)
        draws = rng.integers(0, len(rows), (300, len(rows)))
        again = np.array([above[d].sum(0) / np.maximum(below[d].sum(0), 1e-9) for d in draws])
        self.value = above.sum(0) / np.maximum(below.sum(0), 1e-9)
        # conditions are shared, so most statistics move less between sets than a bootstrap over primaries says: take
        # what they move in simulations that differ by their seed; two sets are compared
        p = parameters("zn")
        moved = np.std([self.measure(p, 1000 + seed) for seed in range(SEEDS)], axis=0) * math.sqrt(2)
        self.error = np.hypot(np.maximum(moved, 0.3 * again.std(0)), 0.01 * np.abs(self.value)) + 1e-9
        self.error[[name.startswith(JUDGED) for name in self.names]] /= 2
        self.used = (self.value > 0) & (above > 0).any(0) & ((below > 0).sum(0) >= 5)

    def measure(self, p: Parameters, seed: int) -> Floats:
        _, above, below = self.statistics.of(draw(self.conditions, self.pdg, 3, p, seed))
        return above.sum(0) / np.maximum(below.sum(0), 1e-9)

    def chi2(self, p: Parameters, seed: int) -> float:
        """Mean of (difference / error)², cut at 50 so that no single statistic rules."""
        pulls = self.pulls(p, (seed,))
        return float(np.minimum(pulls**2, 50 + np.abs(pulls)).mean())

    def pulls(self, p: Parameters, seeds: Iterable[int]) -> Floats:
        """(mean of simulations − Geant4) / error of the statistics in use, (S,)."""
        mean = np.mean([self.measure(p, seed) for seed in seeds], axis=0)
        return ((mean - self.value) / self.error)[self.used]


def draw(conditions: Floats, pdg: NDArray, replicas: int, p: Parameters, seed: int) -> NDArray:
    """Showers (P, R, 44, 44) of ZN. Each chunk has noise of its own, so that showers of parameters that differ a
    little differ a little."""
    c = torch.from_numpy(conditions).repeat_interleave(replicas, 0)
    codes = torch.from_numpy(pdg).repeat_interleave(replicas)
    made = []
    for chunk, (part, some) in enumerate(zip(c.split(256), codes.split(256), strict=True)):
        rng = torch.Generator().manual_seed(1000 * seed + chunk)
        expected = cascade.rates(flight.arrive(part, some, zdc.ZN, p, rng), len(part), zdc.ZN, p, rng)
        made.append(cascade.count(expected, p, rng))
    return torch.cat(made).numpy().reshape(len(conditions), replicas, 44, 44)


def evolve(
    loss: Callable[[dict[str, float], int], float],
    start: dict[str, float],
    seconds: float,
    seed: int = 0,
    population: int = 14,
    sigma: float = 0.1,
) -> dict[str, float]:
    """Minimise by a (μ, λ) evolution strategy with one step per parameter (sep-CMA-ES, Ros and Hansen 2008)."""
    names = list(start)
    rng = np.random.default_rng(seed)
    mean = np.array([_inner(n, start[n]) for n in names])
    n, parents = len(names), population // 2
    weight = np.log(parents + 0.5) - np.log(np.arange(1, parents + 1))
    weight /= weight.sum()
    strength = 1 / (weight**2).sum()
    c_sigma = (strength + 2) / (n + strength + 5)
    damping = 1 + c_sigma + 2 * max(0.0, math.sqrt((strength - 1) / (n + 1)) - 1)
    c_path = (4 + strength / n) / (n + 4 + 2 * strength / n)
    c_one = (n + 2) / 3 * 2 / ((n + 1.3) ** 2 + strength)
    c_many = min(1 - c_one, (n + 2) / 3 * 2 * (strength - 2 + 1 / strength) / ((n + 2) ** 2 + strength))
    diagonal, path, path_sigma = np.ones(n), np.zeros(n), np.zeros(n)
    expected = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
    end, generation = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        noise = rng.normal(size=(population, n))
        tried = mean + sigma * np.sqrt(diagonal) * noise
        values = [loss({k: _outer(k, v) for k, v in zip(names, row, strict=True)}, generation) for row in tried]
        best = np.argsort(values)[:parents]
        step = weight @ noise[best]
        mean = mean + sigma * np.sqrt(diagonal) * step
        path_sigma = (1 - c_sigma) * path_sigma + math.sqrt(c_sigma * (2 - c_sigma) * strength) * step
        path = (1 - c_path) * path + math.sqrt(c_path * (2 - c_path) * strength) * np.sqrt(diagonal) * step
        spread = weight @ (diagonal * noise[best] ** 2)
        diagonal = (1 - c_one - c_many) * diagonal + c_one * path**2 + c_many * spread
        sigma *= math.exp(min(1.0, c_sigma / damping * (np.linalg.norm(path_sigma) / expected - 1)))
        generation += 1
        if generation % 5 == 0:
            print(f"generation {generation}: χ² {min(values):.3f}, median {np.median(values):.3f}, step {sigma:.3f}",
                  file=sys.stderr, flush=True)  # fmt: skip
    return {k: _outer(k, v) for k, v in zip(names, mean, strict=True)}


def refine(target: Target, base: Parameters, names: list[str], rounds: int) -> dict[str, float]:
    """Levenberg-Marquardt steps with derivatives by finite differences at equal noise: precise near the minimum, where
    an evolution sees noise. Of several dampings, noise that the derivatives have not seen chooses; none may be best."""
    mean = np.array([_inner(name, getattr(base, name)) for name in names])

    def pulls(row: Floats, first: int) -> Floats:
        changed = base.with_values({k: _outer(k, v) for k, v in zip(names, row, strict=True)})
        return target.pulls(changed, range(first, first + SEEDS))

    for round_ in range(rounds):
        first = 10_000 * (round_ + 1)
        here, slope = pulls(mean, first), np.empty((int(target.used.sum()), len(names)))
        for k in range(len(names)):
            moved = mean.copy()
            moved[k] += STEP
            slope[:, k] = (pulls(moved, first) - here) / STEP
        # outliers pull no harder than at 4 standard deviations (Huber)
        weight = np.minimum(1.0, 4 / np.maximum(np.abs(here), 1e-9))
        square = slope.T @ (weight[:, None] * slope)
        tried = [mean]
        for damping in (1.0, 10.0, 100.0):
            step = np.linalg.solve(square + damping * np.eye(len(names)), -slope.T @ (weight * here))
            tried += [mean + share * np.clip(step, -0.5, 0.5) for share in (1.0, 0.5)]
        found = [float(_huber(pulls(row, first + 5000)).mean()) for row in tried]
        mean = tried[int(np.argmin(found))]
        print(f"round {round_ + 1}: χ² {found[0]:.3f} → {min(found):.3f} of {[round(f, 3) for f in found]}",
              file=sys.stderr, flush=True)  # fmt: skip
    return {k: _outer(k, v) for k, v in zip(names, mean, strict=True)}


def _huber(pulls: Floats) -> Floats:
    return np.where(np.abs(pulls) < 4, pulls**2, 8 * np.abs(pulls) - 16)


def _inner(name: str, value: float) -> float:
    if name in SIGNED:
        return value
    value = max(value, 1e-4)
    return math.log(value / (1 - value)) if name in BELOW_ONE else math.log(value)


def _outer(name: str, value: float) -> float:
    if name in SIGNED:
        return value
    value = min(max(value, -8.0), 8.0)
    return 1 / (1 + math.exp(-value)) if name in BELOW_ONE else math.exp(value)


def profile(target: Target, data: Dataset) -> dict[str, float]:
    """Four exponentials for the mean light per GeV and fibre of photons away from edges that enter no fibre."""
    st = target.statistics
    pick = (st.edge > 0.6) & (st.phase > 0.0215)
    edges = np.concatenate([np.linspace(0, 0.3, 31), np.geomspace(0.32, 5, 30)])
    radius = st.radius[pick].ravel()
    weight = np.broadcast_to(st.energy[pick, None, None], st.radius[pick].shape).ravel()
    photons = data.showers[target.rows[pick]].mean(1).ravel()
    light, energy, moment = (np.histogram(radius, edges, weights=w)[0] for w in (photons, weight, weight * radius))
    some = light > 0
    r, measured = moment[some] / energy[some], light[some] / energy[some]
    error = np.hypot(np.sqrt(0.5 / light[some]), 0.02)

    def pulls(q: Floats) -> Floats:
        b, share = np.exp(q[:4]), np.exp(q[4:])
        model = (share * zdc.ZN.pitch_cm**2 / (2 * np.pi * b**2) * np.exp(-r[:, None] / b)).sum(1)
        return (np.log(model) - np.log(measured)) / error

    found = least_squares(pulls, np.log([0.05, 0.12, 0.3, 0.8, 0.3, 0.6, 0.2, 0.1]))
    order = np.argsort(found.x[:4])
    b, share = np.exp(found.x[:4])[order], np.exp(found.x[4:])[order]
    print(f"profile: χ² {2 * found.cost / (len(r) - 8):.3f} per degree of freedom", file=sys.stderr, flush=True)
    lengths = dict(zip(("em_core_cm", "em_middle_cm", "em_tail_cm", "em_halo_cm"), b.tolist(), strict=True))
    shares = {"em_middle_share": share[1] / (share[0] + share[1]), "em_tail_share": share[2] / share.sum()}
    return {**lengths, **shares, "em_halo_share": share[3] / share.sum()}


def fit(seconds: float, stages: str = "profile,em,hadronic", step: float = 0.1, rounds: int = 2) -> dict[str, float]:
    """The stages in turn, `seconds` for each evolution, then `rounds` of `refine`; returns all fitted values."""
    data = zdc_geant4.load()
    found: dict[str, float] = {}
    if "profile" in stages:
        found |= profile(Target(data, hadrons=False), data)
    for name, chosen, hadrons in (("em", EM, False), ("hadronic", HADRONIC, True)):
        if name not in stages:
            continue
        base = parameters("zn").with_values(found)
        target = Target(data, hadrons)
        start = {key: getattr(base, key) for key in chosen}
        print(f"{name}: χ² {target.chi2(base, 1):.3f} of {target.used.sum()} statistics", file=sys.stderr, flush=True)

        if seconds:
            found |= evolve(partial(_loss, base, target), start, seconds, sigma=step)
        found |= refine(target, base.with_values(found), chosen, rounds)
        print(f"{name}: χ² {target.chi2(base.with_values(found), 2):.3f}", file=sys.stderr, flush=True)
    return {name: float(value) for name, value in found.items()}


def _loss(base: Parameters, target: Target, values: dict[str, float], seed: int) -> float:
    return target.chi2(base.with_values(values), 17 * seed)


def write(found: dict[str, float], command: str, stage: str, path: Path = PARAMETERS) -> None:
    """Values of a stage into the JSON, four digits, with command, date and the data's checksum."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    for name, value in found.items():
        key = f"zn.{name}" if f"zn.{name}" in whole["parameters"] else name
        whole["parameters"][key]["value"] = float(f"{value:.4g}")
    today, digest = date.today().isoformat(), hashlib.sha256(zdc_geant4.FILE.read_bytes()).hexdigest()
    stages = {**whole.get("fit", {}).get("stages", {}), stage: {"command": command, "date": today}}
    whole["fit"] = {
        "command": command, "date": today, "data": "zdc_geant4, train", "sha256": digest, "stages": stages,
    }  # fmt: skip
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    parameters.cache_clear()


def run(quick: bool = False) -> dict[str, Any]:
    """χ² per statistic of the parameters in use, on training primaries; fits nothing."""
    data, p = zdc_geant4.load(), parameters("zn")
    chi2 = {
        name: float(np.mean([Target(data, hadrons).chi2(p, seed) for seed in range(1 if quick else 5)]))
        for name, hadrons in (("em", False), ("hadronic", True))
    }
    return {"bench": "fit_zdc_fast", "chi2_per_statistic": chi2, "fit": fit_record()}


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--seconds", type=float, default=300.0, help="for each of em and hadronic")
    made.add_argument("--stages", default="profile,em,hadronic")
    made.add_argument("--step", type=float, default=0.1, help="first step of the evolution, relative")
    made.add_argument("--rounds", type=int, default=2, help="steps with derivatives after each evolution")
    args = made.parse_args()
    torch.set_num_threads(1)
    for stage in args.stages.split(","):
        # each stage is kept, and the next one starts from it
        found = fit(args.seconds, stage, args.step, args.rounds)
        write(found, " ".join(["python -m engine.bench.fit_zdc_fast", *sys.argv[1:]]), stage)
        print(json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    main()

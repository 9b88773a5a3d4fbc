"""Maps of the fake engine: small features of real showers, a generator that leaves a hole and an island, and what
coverage makes of both."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from engine.schema import Coverage, CoveragePart, Distinction, MetricValue, Region

HOLE = "neutrons above 700 GeV"
NEIGHBOURS, K = 10, 5
SPECIES = {22: "γ", 2112: "n", -2112: "n̄", 130: "K⁰"}


def missed(pdg: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """The showers that the fake's model never draws."""
    return (pdg == 2112) & (energy > 700)


def features(conditions: np.ndarray, pdg: np.ndarray, impact_mm: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Code of a shower (n, 6): the first two are where its map draws it, before noise."""
    angle = np.log(conditions[:, 0]) * 1.1 + (pdg == 22) * 3.3
    far = 4 + impact_mm[:, 0] / 14
    return np.column_stack(
        [np.cos(angle) * far, np.sin(angle) * far, impact_mm / 20, np.log1p(light) / 3, 2.0 * (pdg == 22)]
    )


def layers(real: np.ndarray, hole: np.ndarray, rng: np.random.Generator, mix: float) -> tuple[np.ndarray, np.ndarray]:
    """Codes of data (n, d) and of the model's noise at the same conditions; mix: 0 untrained, 1 trained."""
    n = len(real)
    there = np.flatnonzero(~hole) if (~hole).any() else np.arange(n)
    made = np.where(hole[:, None], real[rng.choice(there, n)], real)
    made = mix * made + (1 - mix) * rng.normal(0, 2, real.shape)
    made[: n // 33] = np.array([0.0, 0.0, 4.0, 4.0, -2.0, 4.0])[: real.shape[1]]  # an island, in the middle of the ring
    return real + rng.normal(0, 0.08, real.shape), made + rng.normal(0, 0.08, real.shape)


def density(codes: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """log of generated over real neighbours, each counted from one half."""
    _, near = cKDTree(codes).query(codes, min(NEIGHBOURS + 1, len(codes)))
    made = layer[near[:, 1:]].sum(1)
    return np.log((made + 0.5) / (near.shape[1] - 1 - made + 0.5)).astype(np.float32)


def reach(points: np.ndarray, k: int) -> np.ndarray:
    """Distance of each point to its k-th neighbour."""
    return cKDTree(points).query(points, min(k + 1, len(points)))[0][:, -1]


def scores(real: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """Naeem's density and coverage, Kynkäänniemi's precision and recall, a Sinkhorn divergence of some points."""
    if min(len(real), len(made)) <= K:
        return {}
    around, own = reach(real, K), reach(made, K)
    here, there = cKDTree(real), cKDTree(made)
    covered = there.query(real, 1)[0] <= around
    held = there.query_ball_point(real, around)
    hits = sum(len(found) for found in held)
    precise = np.zeros(len(made), bool)
    for found in held:
        precise[found] = True
    recalled = np.zeros(len(real), bool)
    for found in here.query_ball_point(made, own):
        recalled[found] = True
    return {
        "density": hits / (K * len(made)), "coverage": float(covered.mean()), "precision": float(precise.mean()),
        "recall": float(recalled.mean()), "sinkhorn": sinkhorn(*(x[:: max(1, len(x) // 150)] for x in (real, made))),
    }  # fmt: skip


def sinkhorn(x: np.ndarray, y: np.ndarray, blur: float = 1.0) -> float:
    def cost(a: np.ndarray, b: np.ndarray) -> float:
        c = 0.5 * ((a[:, None] - b[None]) ** 2).sum(2)
        eps, f, g = blur**2, np.zeros(len(a)), np.zeros(len(b))
        for _ in range(30):
            f = -eps * np.log(np.exp((g - c) / eps - np.log(len(b))).sum(1) + 1e-300)
            g = -eps * np.log(np.exp((f[:, None] - c) / eps - np.log(len(a))).sum(0) + 1e-300)
        return float(f.mean() + g.mean())

    return cost(x, y) - 0.5 * (cost(x, x) + cost(y, y))


def values(real: np.ndarray, made: np.ndarray, rng: np.random.Generator) -> dict[str, MetricValue]:
    """With errors by drawing halves, and floors of one half of the data against the other."""
    whole = scores(real, made)
    drawn = [scores(real[rng.permutation(len(real))[: len(real) // 2]], made) for _ in range(3)]
    halves = []
    for _ in range(3):
        order = rng.permutation(len(real))
        halves.append(scores(real[order[: len(real) // 2]], real[order[len(real) // 2 :]]))
    found = {}
    for name, value in whole.items():
        floor = [h[name] for h in halves if name in h]
        found[name] = MetricValue(
            value=value, error=float(np.std([d[name] for d in drawn if name in d])) + 1e-3, unit="",
            floor=float(np.mean(floor)) if floor else None, floor_error=float(np.std(floor)) if floor else None,
        )  # fmt: skip
    return found


def regions(codes: np.ndarray, layer: np.ndarray, about: dict[str, np.ndarray]) -> list[Region]:
    """Points of a layer without any of the other among their neighbours, together where they are near."""
    found: list[Region] = []
    for own, kind in ((0, "hole"), (1, "island")):
        mine, other = np.flatnonzero(layer == own), codes[layer != own]
        _, near = cKDTree(codes).query(codes[mine], NEIGHBOURS + 1)
        alone = (layer[near[:, 1:]] == own).mean(1)
        lonely = mine[alone >= 0.8]
        if len(lonely) < 5 or not len(other):
            continue
        pairs = cKDTree(codes[lonely]).query_pairs(1.0, output_type="ndarray")
        graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(lonely), len(lonely)))
        _, label = connected_components(graph, directed=False)
        for part in np.unique(label):
            points = lonely[label == part]
            if len(points) >= max(5, len(mine) // 100):
                found.append(region(kind, points, len(mine), about, layer == own))
    return sorted(found, key=lambda r: -r.share)


def region(kind: Any, points: np.ndarray, of: int, about: dict[str, np.ndarray], mine: np.ndarray) -> Region:
    rest = mine.copy()
    rest[points] = False
    found: list[Distinction] = []
    units = {"energy": "GeV", "impact radius": "mm", "photon sum": "photons"}
    for name, column in about.items():
        here, there = column[points], column[rest]
        if name in units:
            at = np.sort(np.concatenate([here, there]))
            gap = np.abs(
                np.searchsorted(np.sort(here), at, "right") / len(here)
                - np.searchsorted(np.sort(there), at, "right") / len(there)
            )
            low, high = np.quantile(here, [0.05, 0.95])
            found.append(Distinction(name=name, unit=units[name], low=low, high=high, statistic=float(gap.max())))
            continue
        kinds = np.unique(column)
        apart = 0.5 * sum(abs((here == k).mean() - (there == k).mean()) for k in kinds)
        most = max(kinds, key=lambda k: (here == k).sum())
        title = SPECIES.get(int(most), str(most)) if name == "species" else str(int(most))
        found.append(Distinction(name=name, value=f"{title} {(here == most).mean():.0%}", statistic=float(apart)))
    found.sort(key=lambda d: -d.statistic)
    said = [
        f"mostly {d.value.split()[0]}" if d.value else f"{d.name} {d.low:.0f}–{d.high:.0f} {d.unit}" for d in found[:3]
    ]
    return Region(
        kind=kind, share=len(points) / of, points=points.tolist(), expected=NEIGHBOURS / 2, found=0.6,
        words=", ".join(said), distinctions=found,
    )  # fmt: skip


def coverage(
    run: str, step: int, space: Any, codes: np.ndarray, layer: np.ndarray, about: dict[str, np.ndarray]
) -> Coverage:
    """What a finished look at coverage answers. about: quantities of each point."""
    rng = np.random.default_rng(0)
    real, made = codes[layer == 0], codes[layer == 1]
    parts: list[CoveragePart] = []
    for by, column, cuts in parts_of(about, layer):
        for title, low, high in cuts:
            here = [(column[layer == k] >= low) & (column[layer == k] < high) for k in range(2)]
            if min(here[0].sum(), here[1].sum()) > 4 * K:
                found = values(real[here[0]], made[here[1]], rng)
                parts.append(CoveragePart(by=by, title=title, n=int(here[0].sum()), metrics=found))
    return Coverage(
        run_id=run, step=step, space=space, n=len(real), k=K, metrics=values(real, made, rng), parts=parts,
        regions=regions(codes, layer, about), seconds=0.5,
        separability=MetricValue(value=0.83, error=0.02, unit="", floor=0.52, floor_error=0.02)
        if space == "latent" else None,
        separates="species" if "species" in about else "class",
    )  # fmt: skip


def parts_of(about: dict[str, np.ndarray], layer: np.ndarray) -> list[tuple[Any, np.ndarray, list[Any]]]:
    found: list[tuple[Any, np.ndarray, list[Any]]] = []
    for by in ("species", "class"):
        if by in about:
            kinds = list(dict.fromkeys(about[by].tolist()))
            found.append((by, about[by], [(SPECIES.get(int(k), str(k)), k, k + 1) for k in kinds]))
    if "energy" in about:
        edges = [0, 100, 250, 500, 1000, np.inf]
        names = ["0–100 GeV", "100–250 GeV", "250–500 GeV", "500–1000 GeV", "≥ 1000 GeV"]
        found.append(("energy", about["energy"], list(zip(names, edges[:-1], edges[1:], strict=True))))
    return found

"""A network that is trained to tell generated showers from simulated ones: what it can do on primaries that it never
saw is what a generator has left to learn.

D. Lopez-Paz, M. Oquab, Revisiting classifier two-sample tests, arXiv:1610.06545; for showers C. Krause, D. Shih,
CaloFlow, arXiv:2106.05285. Primaries are split between training, stopping and test: replicas of one are never on two
sides. Both classes hold the same primaries, equally often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

Floats = NDArray[np.float64]
TRAINING, STOPPING = 0.6, 0.1
"""Shares of the primaries; the rest is the test."""
STEPS, BATCH, RATE = 900, 256, 2e-3
LOOK = 50
"""Steps between two looks at the primaries that tell when to stop."""
AT_ONCE = 1024
"""Showers that are scored at once."""
SCALES = np.linspace(0.05, 1.5, 30)
"""By which log-odds may be multiplied, so that they are probabilities on primaries that were not learned from."""


@dataclass(frozen=True)
class Side:
    """What the network sees of one class: columns (P, R, C), and pictures (P, R, H, W) [photons] or none."""

    columns: Floats
    pictures: NDArray | None = None

    def rows(self, primaries: NDArray[np.int64]) -> Side:
        return Side(self.columns[primaries], None if self.pictures is None else self.pictures[primaries])


@dataclass(frozen=True)
class Scores:
    """Log-odds that a shower is generated, of the test primaries, simulated (T, R) and generated (T, R)."""

    real: Floats
    made: Floats


class Critic(nn.Module):
    """Log-odds (N,) of columns (N, C) and pictures (N, H, W): three strided convolutions, which keep where the light
    is, and two layers over what they and the columns say."""

    def __init__(self, columns: int, shape: tuple[int, ...] | None) -> None:
        super().__init__()
        self.eye = None
        seen = 0
        if shape is not None:
            self.eye = nn.Sequential(
                nn.Conv2d(1, 8, 5, 2, 2), nn.LeakyReLU(0.1), nn.Conv2d(8, 16, 3, 2, 1), nn.LeakyReLU(0.1),
                nn.Conv2d(16, 32, 3, 2, 1), nn.LeakyReLU(0.1), nn.Flatten(),
            )  # fmt: skip
            seen = self.eye(torch.zeros(1, 1, *shape)).shape[1]
        self.head = nn.Sequential(
            nn.Linear(seen + columns, 96), nn.LeakyReLU(0.1), nn.Linear(96, 48), nn.LeakyReLU(0.1), nn.Linear(48, 1)
        )

    def forward(self, columns: Tensor, pictures: Tensor | None) -> Tensor:
        if self.eye is not None and pictures is not None:
            columns = torch.cat([self.eye(0.5 * pictures.log1p().unsqueeze(1)), columns], dim=1)
        return self.head(columns).squeeze(1)


def tell_apart(real: Side, made: Side, seed: int) -> Scores:
    """Train on some primaries, and score others. The same samples and seed give the same scores on one machine."""
    order = np.random.default_rng(seed).permutation(len(real.columns))
    edges = [round(TRAINING * len(order)), round((TRAINING + STOPPING) * len(order))]
    learned, watched, tested = np.split(order, edges)
    mean, std = _scale(np.concatenate([real.columns[learned].ravel(), made.columns[learned].ravel()]), real.columns)
    sides = [Side(((side.columns - mean) / std).clip(-10, 10), side.pictures) for side in (real, made)]
    net = _fit(*(side.rows(learned) for side in sides), *(side.rows(watched) for side in sides), seed=seed)
    watching = [_score(net, side.rows(watched)) for side in sides]
    scale = min(SCALES, key=lambda by: entropy(by * watching[0], by * watching[1]))
    return Scores(*(scale * _score(net, side.rows(tested)) for side in sides))


def auc(real: Floats, made: Floats) -> float:
    """Area under the curve: how often a generated shower has the higher log-odds of two; a draw counts half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([made.ravel(), real.ravel()]))
    n, m = made.size, real.size
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def entropy(real: Floats, made: Floats) -> float:
    """Binary cross-entropy [nats] of log-odds, both classes weighing the same; log 2 for one who cannot tell."""
    return float(0.5 * np.logaddexp(0, real).mean() + 0.5 * np.logaddexp(0, -made).mean())


def _scale(values: Floats, like: Floats) -> tuple[Floats, Floats]:
    columns = values.reshape(-1, like.shape[2])
    mean, std = columns.mean(axis=0), columns.std(axis=0)
    return mean, np.where(std > 1e-9 * (1 + np.abs(mean)), std, 1.0)


def _fit(real: Side, made: Side, watched_real: Side, watched_made: Side, seed: int) -> Critic:
    """The network as it was when it told the watched primaries apart best."""
    shape = None if real.pictures is None else real.pictures.shape[2:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Critic(real.columns.shape[2], shape)
    rng = np.random.default_rng(seed + 1)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    best, kept = np.inf, {name: value.clone() for name, value in net.state_dict().items()}
    rows = len(real.columns) * real.columns.shape[1]
    half = min(BATCH // 2, rows)
    label = torch.cat([torch.zeros(half), torch.ones(half)])
    for step in range(1, STEPS + 1):
        chosen = rng.integers(0, rows, (2, half))
        seen = [_tensors(side, some) for side, some in zip((real, made), chosen, strict=True)]
        columns = torch.cat([one for one, _ in seen])
        pictures = None if shape is None else torch.cat([one for _, one in seen if one is not None])
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(net(columns, pictures), label).backward()
        optimiser.step()
        schedule.step()
        if step % LOOK == 0:
            found = entropy(_score(net, watched_real), _score(net, watched_made))
            if found < best:
                best, kept = found, {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(kept)
    return net


def _tensors(side: Side, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
    """Rows of all replicas of all primaries, as the network takes them."""
    primary, replica = np.divmod(rows, side.columns.shape[1])
    columns = torch.from_numpy(side.columns[primary, replica].astype(np.float32))
    if side.pictures is None:
        return columns, None
    return columns, torch.from_numpy(side.pictures[primary, replica].astype(np.float32))


@torch.no_grad()
def _score(net: Critic, side: Side) -> Floats:
    shape = side.columns.shape[:2]
    rows = np.arange(shape[0] * shape[1])
    found = [net(*_tensors(side, rows[start : start + AT_ONCE])) for start in range(0, len(rows), AT_ONCE)]
    return torch.cat(found).numpy().astype(np.float64).reshape(shape)

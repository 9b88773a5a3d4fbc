"""Models of points in the plane beside a manifold that is known: clouds that they draw, judged by it, and to which
cluster of codes each place of the plane belongs.

M. Drozdova et al., Generation of data on discontinuous manifolds via continuous stochastic non-invertible networks.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.datasets import toys
from engine.datasets.base import Dataset
from engine.host import Host, batches
from engine.models.base import Model
from engine.models.sc_gan import KEPT, SCGAN, Clusters, Mode, divided
from engine.schema import Arrays, Checkpoint, CloudRequest, PartitionRequest, RunInfo, WrongInput

FARTHEST = 1e6
"""Bound of the plane."""


@dataclass(frozen=True)
class Source:
    """A checkpoint's model with the data that it learned from."""

    model: Model
    data: Dataset
    info: RunInfo
    checkpoint: Checkpoint


# ------------------------------------------------------------------------------------------------------------ clouds
def cloud(host: Host, source: Source, request: CloudRequest) -> Arrays:
    """`engine.schema.Engine.cloud`."""
    begin = time.perf_counter()
    toy = known(source.data.name)
    clusters = chosen(host, source.model, request)
    # two draws: points and target then share no more than two draws of the set do
    target = toy.sample(request.n, toys.FRESH + 2 * request.seed)[0]
    pieces = toy.sample(request.n, toys.FRESH + 2 * request.seed + 1)[1]
    points = drawn(host, source, request, pieces[:, None], clusters)
    if not np.isfinite(points).all():
        raise WrongInput(f"at step {source.checkpoint.step} the model has points that are not finite: take another")
    exact = points.astype(np.float64)
    distance, floor = toy.distance(exact), toy.floor(request.n)
    off = distance > toy.reach
    share = float(off.mean())
    meta = {
        "w1": toys.w1(exact, target),
        "w1_floor": floor.w1,
        "w1_floor_spread": floor.spread,
        "off": share,
        "off_error": math.sqrt(share * (1 - share) / request.n),
        "off_floor": floor.off,
        "reach": toy.reach,
        "gaps": toy.gaps,
        "clusters": 0 if clusters is None else len(clusters.count),
        "latents": request.latents,
        "model": source.info.model,
        "data": source.data.name,
        "label": source.data.label,
        "step": source.checkpoint.step,
        "epoch": source.checkpoint.epoch,
        "seed": request.seed,
    }
    arrays = {"points": points, "distance": distance, "off": off, "target": target}
    return Arrays(arrays, meta | {"ms": 1000 * (time.perf_counter() - begin)})


def known(data: str) -> toys.Toy:
    """The toy set of this name. Raises `WrongInput` for other data."""
    if data not in toys.NAMES:
        raise WrongInput(f"{data} has no known manifold: choose a model of one of {', '.join(toys.NAMES)}")
    return toys.get(data)


def chosen(host: Host, model: Model, request: CloudRequest) -> Clusters | None:
    """The clusters that a cloud is drawn with, None for a model that has none. Raises `WrongInput` for latents, or a
    number of clusters, that the model has not."""
    if isinstance(model, SCGAN):
        trained = model.config.clusters
        if request.clusters in (None, trained):
            return model.clusters
        if mode(model, request) == "mapping":
            raise WrongInput(f"its mapping networks were made for K = {trained}: train again, or take K = {trained}")
        return regrouped(host, model, request.clusters)
    ways = ("own", "real") if model.has_latent else ("own",)
    if request.latents not in ways:
        lacking = "encoder" if request.latents == "real" else "clusters of codes"
        raise WrongInput(f"{model.title} has no {lacking}: take codes of its {' or '.join(ways)}")
    if request.clusters is not None:
        raise WrongInput(f"{model.title} has no clusters of codes: leave their number out")
    return None


def mode(model: SCGAN, request: CloudRequest) -> Mode:
    """Where the codes of a request come from."""
    return model.config.latents if request.latents == "own" else request.latents


def drawn(
    host: Host, source: Source, request: CloudRequest, conditions: NDArray, clusters: Clusters | None
) -> NDArray[np.float32]:
    """Points (n, 2) at conditions (n, C), or of training examples, encoded and decoded at their own."""
    model, carry = source.model, None
    if isinstance(model, SCGAN):
        carry = partial(model.drawn, mode=mode(model, request), clusters=clusters)
    elif request.latents == "real":
        rows = np.random.default_rng(request.seed).choice(source.data.rows("train"), request.n)
        conditions = source.data.conditions[rows]
        return host.decode(model, host.encode(model, source.data.showers[rows], conditions), conditions)
    return np.concatenate([*host.draw(model, batches(conditions), host.rng(request.seed), "expected", carry=carry)])


# --------------------------------------------------------------------------------------------------------- partition
def partition(host: Host, source: Source, request: PartitionRequest) -> Arrays:
    """`engine.schema.Engine.partition`."""
    model, data = source.model, source.data
    if not isinstance(model, SCGAN):
        raise WrongInput(f"{model.title} has no clusters of codes: choose an SC-GAN")
    if data.kind != "points" or data.space.shape != (2,):
        raise WrongInput(f"{data.name} holds no points of the plane: choose a model that learned from such")
    x, y = middles("x", request.x, request.side), middles("y", request.y, request.side)
    clusters = current(host, model, source, request.clusters or model.config.clusters)
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    conditions = np.zeros((len(places), len(data.columns)))
    label = host.batched(lambda part, q: clusters.nearest(model.encode(part, q)), places, conditions)
    arrays = {"cluster": label.astype(np.int64).reshape(len(y), len(x)), "count": clusters.count.cpu().numpy()}
    meta = {"clusters": len(clusters.count), "trained": model.config.clusters}
    return Arrays(arrays, meta | {"step": source.checkpoint.step, "epoch": source.checkpoint.epoch})


def middles(name: str, bounds: tuple[float, float], side: int) -> NDArray[np.float64]:
    """The middles (side,) of equal cells between two bounds. Raises `WrongInput` unless these are in order and within
    `FARTHEST`."""
    low, high = bounds
    if not -FARTHEST <= low < high <= FARTHEST:
        raise WrongInput(f"{name} from {low:g} to {high:g}: give two bounds within ±{FARTHEST:g}, the lower one first")
    return low + (high - low) * (np.arange(side) + 0.5) / side


def current(host: Host, model: SCGAN, source: Source, clusters: int) -> Clusters:
    """So many clusters of what the encoder says. While it learns they are found anew from training examples, as stage 2
    would find them now: those that the model keeps are of what it said at the start."""
    if not model.settled(source.checkpoint.step, source.info.steps):
        return regrouped(host, model, clusters, source.data)
    return model.clusters if clusters == model.config.clusters else regrouped(host, model, clusters)


def regrouped(host: Host, model: SCGAN, clusters: int, data: Dataset | None = None) -> Clusters:
    """So many clusters of the codes that a model keeps, or of the training examples of data, by K-means with a seed of
    its own. Found once for each held model, which stays as it is."""

    def codes() -> Tensor:
        if data is None:
            return model.kept
        rows = np.random.default_rng(0).choice(data.rows("train"), KEPT)
        return model.codes(model.modality.view(torch.from_numpy(data.showers[rows]).to(host.device)))

    return host.known(model, (clusters, data is None), lambda: divided(codes(), clusters, host.rng(0))[0])

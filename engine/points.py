"""What a map shows and coverage judges: examples of the data, as many generated ones that answer the same condition
rows, and the space in which distances between them are taken.

A space is settled before anything is computed, so that a map's name and a task's say it. Nothing here depends on what
else was asked before: the same request gives the same points, bit for bit.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import lenet, manifold, observables, zdc
from engine.datasets.base import Dataset
from engine.host import Host
from engine.metrics.base import standardised
from engine.models.base import Model
from engine.schema import Arrays, DataKind, FeatureSpace, MapRequest, WrongInput

Floats = NDArray[np.float64]
MOST_SHOWN = 5000
"""Examples behind points in one answer."""
COMPONENTS = 49
"""Of pictures, beside how far each is from all that these can say."""
LEARNED = 2000
"""Simulated pictures from which the components come."""
KEPT = 2
"""Requests whose points are held: a lasso asks for showers again and again."""
BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Points:
    """Points of a request, those of data first. rows: (n,) of the data set, of either layer. features: (2n, d), finite,
    no two coincident. made: the generated codes (n, d), in the space of codes, or examples (n, ...). light: (2n,)
    photons, expected ones where a point is a code; empty where there are none."""

    space: FeatureSpace
    rows: NDArray[np.int64]
    features: Floats
    made: NDArray
    light: Floats

    def arrays(self, data: Dataset) -> dict[str, NDArray]:
        """What `Engine.map` answers beside the places on the map; densities are 0 until they are known."""
        both = np.concatenate([self.rows, self.rows])
        found: dict[str, NDArray] = {
            "layer": np.repeat(np.arange(2, dtype=np.int8), len(self.rows)),
            "row": both,
            "conditions": data.conditions[both].astype(np.float32),
            "density": np.zeros(len(both), np.float32),
        }
        if self.space == "latent":
            found["latent"] = self.features.astype(np.float32)
        if data.kind == "showers":
            found["pdg"] = data.pdg[both]
            found["energy"] = data.conditions[both, zdc.ENERGY].astype(np.float32)
            found["photon_sum"] = self.light.astype(np.float32)
            found["impact_mm"] = (10 * data.impact_cm[both]).astype(np.float32)
        return found

    def examples(self, host: Host, model: Model, data: Dataset, chosen: list[int]) -> Arrays:
        """What stands behind these points: data as they are; generated examples as they were drawn, or expected where
        the point is a code. Raises `WrongInput` for none, too many, or numbers that are no points."""
        n = len(self.rows)
        if not 1 <= len(chosen) <= MOST_SHOWN:
            raise WrongInput(f"{len(chosen)} points: ask for the examples of 1 to {MOST_SHOWN}")
        number = np.asarray(chosen, np.int64)
        if number.min() < 0 or number.max() >= 2 * n:
            raise WrongInput(f"points run from 0 to {2 * n - 1} on a map of {n} and {n}")
        layer, place = np.divmod(number, n)
        rows, own = self.rows[place], layer == 1
        showers = np.empty((len(number), *data.showers.shape[1:]), np.float32)
        showers[~own] = data.showers[rows[~own]]
        if own.any():
            made = self.made[place[own]]
            showers[own] = host.decode(model, made, data.conditions[rows[own]]) if self.space == "latent" else made
        conditions = data.conditions[rows].astype(np.float32)
        arrays = {"showers": showers, "conditions": conditions, "row": rows, "layer": layer.astype(np.int8)}
        return Arrays(arrays, {"label": data.label, "space": self.space})


def settled(space: FeatureSpace | None, model: type[Model] | Model, data: Dataset) -> FeatureSpace:
    """The space that a request means. Raises `WrongInput` for one that this model or these data do not have."""
    digits = data.kind == "images" and data.space.shape == (lenet.SIDE, lenet.SIDE)
    own: dict[DataKind, FeatureSpace] = {
        "showers": "observables", "images": "features" if digits else "pixels", "points": "pixels"
    }  # fmt: skip
    if space is None:
        return "latent" if model.has_latent else own[data.kind]
    if space == "latent" and not model.has_latent:
        raise WrongInput(f"{model.title} has no encoder, so there are no codes: choose {own[data.kind]}")
    if space == "observables":
        data.needs_showers("observables")
    if space == "features" and not digits:
        raise WrongInput(f"features are LeNet's, of pictures of 28×28: choose {own[data.kind]} for {data.name}")
    return space


def named(request: MapRequest, model: type[Model] | Model, data: Dataset) -> MapRequest:
    """The request with its space settled. Raises `WrongInput` for what cannot be mapped."""
    map_rows(data, request.n, request.seed)
    return request.model_copy(update={"space": settled(request.space, model, data)})


def map_rows(data: Dataset, n: int, seed: int) -> NDArray[np.int64]:
    """n rows for a map: validation showers, and training ones where these are not enough."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(data.rows(name)) for name in ("validation", "train")])
    if n > len(rows):
        raise WrongInput(f"a map of {n} showers: {data.name} has {len(rows)} for it, ask for fewer")
    return rows[:n]


def gather(host: Host, model: Model, data: Dataset, request: MapRequest) -> Points:
    """The points of a request with its space settled. Raises `WrongInput` for too many, a model of other data, and
    showers or codes that are not finite."""
    if data.space != model.space:
        raise WrongInput(f"the model is of {model.space.kind} {model.space.shape}: {data.name} holds something else")
    space = settled(request.space, model, data)
    rows = map_rows(data, request.n, request.seed)
    conditions, real = data.conditions[rows], data.showers[rows]
    if space == "latent":
        made = host.prior(model, conditions, request.seed)
        features = np.concatenate([host.encode(model, real, conditions), made]).astype(np.float64)
    else:
        made = host.sample(model, conditions, request.seed, "poisson")
        if not np.isfinite(made).all():
            raise WrongInput("generated examples are not finite: choose another checkpoint")
        made = _compact(made)
        views = {"observables": _observables, "features": _digits, "pixels": _pictures}
        features = views[space](real, made, data)
    if not np.isfinite(features).all():
        raise WrongInput(f"points in the space {space} are not finite: choose another checkpoint")
    light = np.zeros(0)
    if data.kind == "showers":
        drawn = _expected_light(host, model, made, conditions) if space == "latent" else made.sum(axis=(1, 2))
        light = np.concatenate([data.photon_sum[rows], drawn]).astype(np.float64)
    # points that coincide, as empty showers do, have no nearest neighbour: whose comes first would follow the layer
    size = max(float(np.sqrt(features[: len(rows)].var(axis=0).mean())), 1e-12)
    features = size * manifold.moved_apart(features / size, np.random.default_rng(request.seed))
    return Points(space, rows, features, made, light)


# ------------------------------------------------------------------------------------------------------------- views
def _observables(real: NDArray, made: NDArray, data: Dataset) -> Floats:
    """What a calorimetrist reads off a shower and its channels as `paper` has them, in standard deviations of the
    simulation."""
    columns = [observables.of(one).features(zdc.channels(one, data.detector)) for one in (real, made)]
    return np.concatenate(standardised(columns[0], *columns))


def _digits(real: NDArray, made: NDArray, data: Dataset) -> Floats:
    return np.concatenate([lenet.features(one) for one in (real, made)])


def _pictures(real: NDArray, made: NDArray, data: Dataset) -> Floats:
    """Pictures as networks see them, in the principal components of simulated ones, and how far each is from the space
    of these, without which what lies aside of all data would not show. Points keep their coordinates."""
    if data.kind == "points":
        return np.concatenate([real, made]).astype(np.float64)

    def view(pictures: NDArray) -> Floats:
        flat = pictures.reshape(len(pictures), -1).astype(np.float64)
        return np.log1p(flat) if data.kind == "showers" else flat / 255

    learned = view(real[:LEARNED])
    mean = learned.mean(axis=0)
    axes = components(learned - mean, COMPONENTS)
    found = []
    for pictures in (real, made):
        for start in range(0, len(pictures), BLOCK):
            apart = view(pictures[start : start + BLOCK]) - mean
            inside = apart @ axes
            aside = np.square(apart).sum(axis=1) - np.square(inside).sum(axis=1)
            found.append(np.column_stack([inside, np.sqrt(aside.clip(min=0))]))
    return np.concatenate(found)


def components(centred: Floats, most: int) -> Floats:
    """The strongest principal axes (d, ≤ most) of centred points (N, d)."""
    from scipy.linalg import eigh

    n, d = centred.shape
    wide = n < d
    gram = centred @ centred.T if wide else centred.T @ centred
    values, vectors = eigh(gram, subset_by_index=(max(0, len(gram) - most), len(gram) - 1))
    kept = values > 1e-10 * max(values[-1], 1e-300)
    vectors = vectors[:, kept][:, ::-1]
    return np.linalg.qr(centred.T @ vectors)[0] if wide else vectors


def _expected_light(host: Host, model: Model, codes: NDArray, conditions: NDArray) -> Floats:
    blocks = range(0, len(codes), BLOCK)
    sums = [
        host.decode(model, codes[a : a + BLOCK], conditions[a : a + BLOCK]).sum(axis=(1, 2), dtype=np.float64)
        for a in blocks
    ]
    return np.concatenate(sums)


def _compact(made: NDArray) -> NDArray:
    """Whole photons in half the memory."""
    small = made.astype(np.uint16) if made.min() >= 0 and made.max() < 2**16 else made
    return small if small is not made and np.array_equal(small, made) else made


class Recent:
    """What was made last, by key. Safe to use from several threads: the second to ask waits for the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, Points] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Points]) -> Points:
        with self._lock:
            if key not in self._held:
                self._held[key] = make()
                while len(self._held) > KEPT:
                    self._held.popitem(last=False)
            self._held.move_to_end(key)
            return self._held[key]


class Asked:
    """A request that makes sense, its space settled; its points are made when they are needed."""

    def __init__(
        self, host: Host, model: Model, data: Dataset, request: MapRequest, recent: Recent, stamp: Hashable
    ) -> None:
        """stamp: what tells model and data from others. Raises `WrongInput` for what cannot be mapped."""
        self.request = named(request, model, data)
        self.host, self.model, self.data, self.recent = host, model, data, recent
        self.key = stamp, request.n, request.seed, self.request.space

    def points(self) -> Points:
        return self.recent.get(self.key, lambda: gather(self.host, self.model, self.data, self.request))

    def prepare(self) -> tuple[dict[str, NDArray], Floats]:
        """What a map begins with."""
        points = self.points()
        return points.arrays(self.data), points.features

    def examples(self, chosen: list[int]) -> Arrays:
        return self.points().examples(self.host, self.model, self.data, chosen)

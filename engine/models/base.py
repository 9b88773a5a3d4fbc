"""What a model is: a config that is also its form, networks, losses by phase, and four verbs.

One module beside this a model; its file name is its registry name.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Generator, Tensor, nn

import engine.models
from engine import losses, nets
from engine.config import Config, configured, form
from engine.features import ConditionFeatures
from engine.modality import modality
from engine.schema import DataKind, ModelInfo, NotFound, WrongInput
from engine.spaces import Space

FORMAT = "showerscope-model-1"


@dataclass(frozen=True)
class Batch:
    """What a loss sees. showers: (B, H, W) float photons, or other examples. conditions: (B, C) by the data's columns.
    primary: (B,) consecutive numbers, equal for replicas of one primary."""

    showers: Tensor
    conditions: Tensor
    primary: Tensor


@dataclass(frozen=True)
class Phase:
    """One optimiser's share of a step. `loss(batch, rng)` returns named scalar terms; `total` is differentiated
    with respect to `parameters` and to nothing else.

    Runs `steps` times each training step, each time on a batch of its own. `learning_rate` None is the config's;
    the schedule goes over the phase's `span`, its first and last share of the training. `clip` bounds each weight
    after a step. `begin(showers, conditions, rng)`, of all training examples, is called once, before the first step of
    the span: for what follows from an earlier phase and is no gradient's to find. What it leaves in buffers is saved.
    """

    name: str
    parameters: list[nn.Parameter]
    loss: Callable[[Batch, Generator], dict[str, Tensor]]
    steps: int = 1
    optimiser: Literal["adam", "rmsprop"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    learning_rate: float | None = None
    clip: float | None = None
    span: tuple[float, float] = (0.0, 1.0)
    begin: Callable[[Tensor, Tensor, Generator], None] | None = None


class Model(nn.Module):
    """Base of all models. Examples in, examples out: every scaler is a buffer, fitted on the training split only, so
    that it is saved with the weights."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str] = ""
    Config: ClassVar[type[Config]]
    has_latent: ClassVar[bool] = True
    floor: ClassVar[float] = 0.0
    """As in `engine.modality.modality`."""
    watched: ClassVar[int] = 600
    """Validation examples that `readings` looks at."""

    def __init__(self, config: Config, space: Space) -> None:
        super().__init__()
        self.config = config
        self.space = space
        self.modality = modality(config, space, self.floor)
        self.features = ConditionFeatures(config.conditions, space) if config.conditional and space.columns else None

    def fit(self, showers: Tensor, conditions: Tensor) -> None:
        """Set all buffers from the training split: showers (N, H, W) [photons] or other examples, conditions (N, C)."""
        self.modality.fit(showers)
        if self.features:
            self.features.fit(conditions)

    def seen(self, conditions: Tensor) -> Tensor | None:
        """What networks see of the conditions."""
        return self.features(conditions) if self.features else None

    def phases(self) -> list[Phase]:
        raise NotImplementedError

    def encode(self, showers: Tensor, conditions: Tensor) -> Tensor:
        """Latent codes (N, d) of showers (N, H, W) [photons], or other examples."""
        raise NotImplementedError

    @property
    def noise_width(self) -> int:
        """k, standard normal numbers that each shower begins with."""
        raise NotImplementedError

    def noise(self, conditions: Tensor, rng: Generator) -> Tensor:
        """Standard normal noise (N, k), one row for each condition row (N, C)."""
        return nets.normal(conditions, self.noise_width, rng)

    def carry(self, noise: Tensor, conditions: Tensor) -> Tensor:
        """The latent codes (N, d) that noise (N, k) becomes: here noise itself."""
        return noise

    def prior(self, conditions: Tensor, rng: Generator) -> Tensor:
        """Generated latent codes (N, d), one for each condition row (N, C)."""
        return self.carry(self.noise(conditions, rng), conditions)

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """Expected photons (N, H, W) ≥ 0, or other examples, of latent codes."""
        raise NotImplementedError

    def sample(self, conditions: Tensor, rng: Generator, light: str = "poisson") -> Tensor:
        """Examples for condition rows; `light` as in `engine.schema.GenerateRequest`."""
        expected = self.decode(self.prior(conditions, rng), conditions)
        return self.observed(expected, rng) if light == "poisson" else expected

    def observed(self, expected: Tensor, rng: Generator) -> Tensor:
        """What a detector counts where this is expected."""
        return self.modality.drawn(expected, rng)

    @torch.no_grad()
    def readings(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """What a run records of a validation batch beside its loss terms: spread and effective rank of encoded and
        generated codes, and what the modality reads off generated and reconstructed examples."""
        x, q = batch.showers, batch.conditions
        found: dict[str, Tensor] = {}
        rebuilt = None
        if self.has_latent:
            codes, drawn = self.encode(x, q), self.prior(q, rng)
            found["latent/std"] = codes.std(0).mean()
            # Poisson light hides a generated spread that is too narrow
            found["latent/spread_ratio"] = drawn.std(0).mean() / codes.std(0).mean().clamp(min=1e-12)
            found["latent/effective_rank"] = losses.effective_rank(codes)
            found["latent/generated_rank"] = losses.effective_rank(drawn)
            rebuilt = self.decode(codes, q)
        made = self.sample(q, rng), self.sample(q, rng)
        return found | self.modality.readings(x, made, rebuilt, batch.primary, rng)


# --------------------------------------------------------------------------------------------------------- registry
def names() -> list[str]:
    """Registered models: the modules of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(engine.models.__path__) if m.name != "base")


def get(name: str) -> type[Model]:
    """The model class of this name. Raises `NotFound` with the names there are."""
    if name not in names():
        raise NotFound(f"unknown model {name!r}: there are {', '.join(names())}")
    module = importlib.import_module(f"engine.models.{name}")
    own = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    return next(c for c in own if issubclass(c, Model) and c.name == name)


def configure(model: type[Model], values: Mapping[str, Any], kind: DataKind = "showers") -> Config:
    """A checked config for data of a kind. Raises `WrongInput` naming the first field at fault and its range."""
    return configured(model.Config, model.name, values, kind)


def info(model: type[Model]) -> ModelInfo:
    """The model as the app's form shows it."""
    return ModelInfo(
        name=model.name,
        title=model.title,
        summary=model.summary,
        paper=model.paper,
        conditional=True,
        has_latent=model.has_latent,
        fields=form(model.Config),
        presets=model.Config.presets,
    )


# ------------------------------------------------------------------------------------------------------------ files
def write_atomic(path: Path, data: bytes) -> None:
    """Write beside and rename, so that a kill at any moment leaves the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def save(model: Model, path: Path, **meta: str) -> None:
    """Weights, scalers, config and `meta` in one safetensors file."""
    header = {
        "format": FORMAT,
        "model": model.name,
        "config": model.config.model_dump_json(),
        "space": json.dumps(model.space.as_dict()),
        **meta,
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomic(path, save_tensors(tensors, metadata=header))


def adopt(model: Model, path: Path) -> None:
    """Take over the weights and scalers of a saved model. Raises `WrongInput` where its networks are others."""
    other, meta = load(path)
    whose = meta.get("run") or path.stem
    if other.name != model.name or other.space != model.space:
        raise WrongInput(f"{whose} is a {other.name} of {other.space.kind} {other.space.shape}: start from a like one")
    try:
        model.load_state_dict(other.state_dict())
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WrongInput(f"the networks of {whose} are others ({reason}): leave their settings as they were") from error


def load(path: Path, device: str | torch.device = "cpu") -> tuple[Model, dict[str, str]]:
    """A model in evaluation mode and its meta. Raises `WrongInput` for a missing, cut-off or foreign file."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise WrongInput(f"checkpoint {path} is missing or broken ({error}): use another one or train again") from error
    if meta.get("format") != FORMAT:
        raise WrongInput(f"checkpoint {path} was not written by Showerscope: its header lacks {FORMAT!r}")
    kind = get(meta["model"])
    try:
        model = kind(kind.Config.model_validate_json(meta["config"]), Space.of(json.loads(meta["space"])))
        model.load_state_dict(tensors)
    except (ValidationError, RuntimeError, KeyError, TypeError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise WrongInput(f"checkpoint {path} does not fit this version of {kind.name}: {reason}") from error
    return model.to(device).eval(), meta

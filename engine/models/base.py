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
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Generator, Tensor, nn

import engine.models
from engine import losses, nets
from engine.schema import FormField, ModelInfo, NotFound, WrongInput
from engine.spaces import Space

FORMAT = "showerscope-model-1"


def option(default: Any, help: str, *, unit: str = "", source: str = "", group: str = "Model", **bounds: Any) -> Any:
    """A config field with all that the Train page's form needs: default, range, unit, help, source, group."""
    extra: dict[str, Any] = {"unit": unit, "source": source, "group": group}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


class Config(BaseModel):
    """Settings that every model shares; a model's own config extends it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = option(60, "Passes over the training showers.", ge=1, le=100_000, group="Training")
    batch: int = option(
        1000, "Showers a step; optimal transport costs its square.", ge=8, le=20_000, group="Training",
        source="arXiv:2006.06704 §4",
    )  # fmt: skip
    learning_rate: float = option(
        3e-4, "Adam's step size at the start.", gt=0, le=0.1, group="Training", source="SPEC §1, known ZDC values"
    )
    schedule: Literal["cosine", "constant"] = option(
        "cosine", "How the learning rate goes: to zero along a half cosine, or not at all.", group="Training"
    )
    grouping: Literal["rows", "primaries"] = option(
        "rows",
        "What a batch is drawn from: single showers, or primaries with all their replicas.",
        group="Training",
    )
    clumps: bool = option(
        True,
        "Draw photons in clumps, as a particle leaves several in a fibre that it crosses; how many is measured on lit "
        "fibres with dark neighbours. Otherwise as independent Poisson numbers.",
        source="own; Geant4's Cherenkov light",
        group="Training",
    )
    augment: bool = option(
        False,
        "Mirror and transpose showers together with (Vx, Px), (Vy, Py): the face is symmetric eight-fold. "
        "Mirroring exchanges common and tower fibres.",
        group="Training",
    )
    checkpoint_epochs: int = option(
        10, "Epochs between checkpoints; a killed training loses at most this.", ge=1, le=10_000, group="Training"
    )


@dataclass(frozen=True)
class Batch:
    """What a loss sees. showers: (B, H, W) float photons. conditions: (B, 9) as in `engine.schema`.
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
    after a step.
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


class Model(nn.Module):
    """Base of all models. Photons in, photons out: every scaler is a buffer, fitted on the training split only,
    so that it is saved with the weights."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str] = ""
    Config: ClassVar[type[Config]]
    photons_per_track: Tensor
    has_latent: ClassVar[bool] = True
    watched: ClassVar[int] = 600
    """Validation showers that `readings` looks at."""

    def __init__(self, config: Config, space: Space) -> None:
        super().__init__()
        self.config = config
        self.space = space
        self.shape = space.shape
        self.register_buffer("photons_per_track", torch.zeros(()))

    def fit(self, showers: Tensor, conditions: Tensor) -> None:
        """Set all buffers from the training split: showers (N, H, W) [photons], conditions (N, 9)."""
        if self.config.clumps:
            self.photons_per_track.copy_(nets.photons_per_track(showers))
        self.fit_scalers(showers, conditions)

    def fit_scalers(self, showers: Tensor, conditions: Tensor) -> None:
        """Set the buffers that standardise inputs, from (a sample of) the training split."""
        raise NotImplementedError

    def phases(self) -> list[Phase]:
        raise NotImplementedError

    def encode(self, showers: Tensor, conditions: Tensor) -> Tensor:
        """Latent codes (N, d) of showers (N, H, W) [photons]."""
        raise NotImplementedError

    def prior(self, conditions: Tensor, rng: Generator) -> Tensor:
        """Generated latent codes (N, d), one for each condition row (N, 9)."""
        raise NotImplementedError

    def decode(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """Expected photons (N, H, W) ≥ 0 of latent codes."""
        raise NotImplementedError

    def sample(self, conditions: Tensor, rng: Generator, light: str = "poisson") -> Tensor:
        """Showers (N, H, W) [photons] for condition rows; `light` as in `engine.schema.GenerateRequest`."""
        rate = self.decode(self.prior(conditions, rng), conditions)
        return self.counts(rate, rng) if light == "poisson" else rate

    def counts(self, rate: Tensor, rng: Generator) -> Tensor:
        """Whole photons of expected light, in clumps where the config says so."""
        return nets.clumped(rate, self.photons_per_track, rng)

    @torch.no_grad()
    def readings(self, batch: Batch, rng: Generator) -> dict[str, Tensor]:
        """What a run records of a validation batch beside its loss terms: spread and effective rank of encoded and
        generated codes, and how much light is reconstructed and generated, each over the simulated light."""
        x, q = batch.showers, batch.conditions
        seen = x.sum((1, 2))
        light = seen.sum().clamp(min=1)
        found: dict[str, Tensor] = {}
        if self.has_latent:
            codes, drawn = self.encode(x, q), self.prior(q, rng)
            found["latent/std"] = codes.std(0).mean()
            # Poisson light hides a generated spread that is too narrow
            found["latent/spread_ratio"] = drawn.std(0).mean() / codes.std(0).mean().clamp(min=1e-12)
            found["latent/effective_rank"] = losses.effective_rank(codes)
            found["latent/generated_rank"] = losses.effective_rank(drawn)
            found["validation/reconstructed_light"] = self.decode(codes, q).sum() / light
        made = self.sample(q, rng).sum((1, 2))
        found["validation/generated_light"] = made.sum() / light
        found["validation/generated_sum_distance"] = (made.sort().values - seen.sort().values).abs().mean()
        roots = made.sqrt()[:, None], seen.sqrt()[:, None]
        repeated = torch.cat([roots[0], self.sample(q, rng).sum((1, 2)).sqrt()[:, None]])
        owner = batch.primary
        found["validation/generated_score"] = losses.energy_score(repeated, torch.cat([owner, owner]), roots[1], owner)
        return found


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


def configure(model: type[Model], values: Mapping[str, Any]) -> Config:
    """A checked config. Raises `WrongInput` naming the first field at fault and its range."""
    try:
        return model.Config(**values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.Config.model_fields)
            raise WrongInput(f"{model.name} has no setting {field!r}: it has {known}") from error
        raise WrongInput(f"{model.name} setting {field} = {first['input']!r}: {first['msg'].lower()}") from error


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
    )


def form(config: type[Config]) -> list[FormField]:
    """A config class as form fields, the model's own first."""
    fields = []
    for name, field in config.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        choices = [str(c) for c in getattr(field.annotation, "__args__", ())]
        kinds = {bool: "bool", int: "int", float: "float"}
        bounds: dict[str, float] = {}
        for constraint in field.metadata:
            match constraint:
                case Ge(ge=low) | Gt(gt=low):
                    bounds["minimum"] = float(low)  # pyright: ignore[reportArgumentType]
                case Le(le=high) | Lt(lt=high):
                    bounds["maximum"] = float(high)  # pyright: ignore[reportArgumentType]
        fields.append(
            FormField(
                name=name,
                kind="choice" if choices else kinds.get(field.annotation, "text"),  # pyright: ignore
                default=field.default,
                choices=choices,
                help=field.description or "",
                unit=str(extra.get("unit", "")),
                source=str(extra.get("source", "")),
                group=str(extra.get("group", "Model")),
                **bounds,
            )
        )
    return sorted(fields, key=lambda f: f.group == "Training")


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

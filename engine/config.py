"""Settings of models, which are also the forms that the Train page draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.schema import DataKind, FormField, WrongInput

PAPER = "arXiv:2006.06704"
SHOWERS: tuple[DataKind, ...] = ("showers",)
PICTURES: tuple[DataKind, ...] = ("showers", "images")

Presets = dict[DataKind, dict[str, Any]]
C = TypeVar("C", bound="Config")


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    source: str = "",
    group: str = "Model",
    kinds: tuple[DataKind, ...] = (),
    **bounds: Any,
) -> Any:
    """A config field with all that the Train page's form needs: default, range, unit, help, source, group, and the
    kinds of data that it is for, all where none is named."""
    extra: dict[str, Any] = {"unit": unit, "source": source, "group": group, "kinds": list(kinds)}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


def merged(presets: Presets, **more: dict[str, Any]) -> Presets:
    """Presets with more, or other, values for some kinds of data."""
    return {kind: {**presets.get(kind, {}), **more.get(kind, {})} for kind in {**presets, **more}}  # pyright: ignore


class Config(BaseModel):
    """Settings that every model shares; a model's own config extends it. `presets`: defaults for other data."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    presets: ClassVar[Presets] = {
        "images": {
            "grouping": "rows", "epochs": 30, "batch": 500, "learning_rate": 1e-3, "checkpoint_epochs": 5,
            "decoder": "convolutions", "latent": 16, "width": 16,
        },
        "points": {
            "grouping": "rows", "epochs": 100, "batch": 500, "learning_rate": 2e-3, "latent": 2, "hidden": 64,
        },
    }  # fmt: skip

    conditional: bool = option(True, "Give the conditions to the networks.", source=f"{PAPER} §3.4")
    decoder: Literal["spots", "convolutions", "subpixel"] = option(
        "spots",
        "A sum of Gaussian spots in fibre coordinates; the paper's four transposed convolutions, four times slower; or "
        "3×3 convolutions whose channels become pixels.",
        source=f"convolutions: {PAPER} §4; sub-pixel: arXiv:1609.05158; spots: own",
        kinds=PICTURES,
    )
    conditions: Literal["derived", "raw"] = option(
        "derived",
        "What networks see of the particle: impact point, log energy, species, edges and fibre lattice, or the nine "
        "columns.",
        source=f"raw: {PAPER}; derived: own",
        kinds=SHOWERS,
    )
    intensity: bool = option(
        False,
        "Predict the photon sum by a head of its own and impose it on the picture.",
        source="own; auxiliary regressors of the photon sum are usual for GANs on ZDC showers",
        kinds=SHOWERS,
    )
    latent: int = option(20, "Dimensions of the latent space.", ge=1, le=512, source="SPEC §1, known ZDC values")
    width: int = option(
        8,
        "Channels of the first convolution; the next have two, four and eight times as many.",
        ge=1,
        le=256,
        kinds=PICTURES,
    )
    hidden: int = option(256, "Units of the fully connected layers.", ge=4, le=4096)
    spots: int = option(16, "Gaussian spots of the decoder.", ge=1, le=256, source="own", kinds=SHOWERS)
    clumps: bool = option(
        True,
        "Draw photons in clumps, as a particle leaves several in a fibre that it crosses; how many is measured on lit "
        "fibres with dark neighbours. Otherwise as independent Poisson numbers.",
        source="own; Geant4's Cherenkov light",
        group="Training",
        kinds=SHOWERS,
    )
    epochs: int = option(200, "Passes over the training examples.", ge=1, le=100_000, group="Training")
    batch: int = option(
        100, "Examples a step; optimal transport costs its square.", ge=8, le=20_000, group="Training",
        source=f"1000 in {PAPER} §4",
    )  # fmt: skip
    learning_rate: float = option(
        3e-3, "Adam's step size at the start.", gt=0, le=0.1, group="Training", source="3e-4 in known ZDC values"
    )
    schedule: Literal["cosine", "constant"] = option(
        "cosine", "How the learning rate goes: to zero along a half cosine, or not at all.", group="Training"
    )
    grouping: Literal["rows", "primaries"] = option(
        "primaries",
        "What a batch is drawn from: single showers, or primaries with all their replicas.",
        group="Training",
        kinds=SHOWERS,
    )
    augment: bool = option(
        True,
        "Mirror showers together with (Vx, Px), (Vy, Py), and transpose them where the face is square: ZN's is "
        "symmetric eight-fold. Mirroring exchanges common and tower fibres.",
        group="Training",
        kinds=SHOWERS,
    )
    checkpoint_epochs: int = option(
        20, "Epochs between checkpoints; a killed training loses at most this.", ge=1, le=10_000, group="Training"
    )


def configured(config: type[C], name: str, values: Mapping[str, Any], kind: DataKind = "showers") -> C:
    """A checked config of the model `name` for data of a kind. Raises `WrongInput` naming the first field at fault and
    its range, or a setting that is for other data."""
    for field in config.model_fields.keys() & values.keys():
        wanted = kinds_of(config, field)
        if wanted and kind not in wanted:
            raise WrongInput(f"{name} setting {field} is for {' and '.join(wanted)}, not for {kind}: leave it out")
    try:
        return config(**{**config.presets.get(kind, {}), **values})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(f.name for f in form(config) if not f.kinds or kind in f.kinds)
            raise WrongInput(f"{name} has no setting {field!r}: it has {known}") from error
        raise WrongInput(f"{name} setting {field} = {first['input']!r}: {first['msg'].lower()}") from error


def settings(config: Config, kind: DataKind) -> dict[str, Any]:
    """The settings that count for data of a kind, as `configured` takes them."""
    names = [name for name in type(config).model_fields if kind in (kinds_of(type(config), name) or [kind])]
    return {name: getattr(config, name) for name in names}


def kinds_of(config: type[Config], field: str) -> list[DataKind]:
    """The kinds of data that a field is for; none is all."""
    extra = config.model_fields[field].json_schema_extra
    return extra["kinds"] if isinstance(extra, dict) else []  # pyright: ignore[reportReturnType]


def form(config: type[Config]) -> list[FormField]:
    """A config class as form fields, the model's own first."""
    fields = []
    for name, field in config.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        choices = [str(c) for c in getattr(field.annotation, "__args__", ())]
        kinds = {bool: "bool", int: "int", float: "float"}
        bounds: dict[str, Any] = {}
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
                kinds=kinds_of(config, name),
                **bounds,
            )
        )
    return sorted(fields, key=lambda f: f.group == "Training")

"""Models of points in the plane, judged by a manifold that is known exactly (SPEC §5)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Latents = Literal["own", "mapping", "centres", "single", "real"]
"""Where codes come from. `own`: as the model draws them. Of SC-GAN `mapping`: its mapping networks; `centres`: cluster
centres with noise; `single`: one Gaussian over all codes. `real`: of training examples, for every model that encodes.
"""
Clusters = Annotated[int, Field(ge=1, le=256)]


class CloudRequest(BaseModel):
    """Points that a model of a toy set draws, at conditions drawn as the set's own."""

    model_config = ConfigDict(extra="forbid")
    run: str
    step: int | None = None
    n: Annotated[int, Field(ge=50, le=2000)] = 500
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    latents: Latents = "own"
    clusters: Clusters | None = None
    """SC-GAN's K. Another than it was trained with divides its codes anew, for `centres`; the mapping networks are
    refused then. None: the trained one."""


class PartitionRequest(BaseModel):
    """The plane by the cluster to which SC-GAN's encoder and K-means put each point of it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    run: str
    step: int | None = None
    clusters: Clusters | None = None
    """As in `CloudRequest`."""
    x: tuple[float, float]
    y: tuple[float, float]
    """Bounds, low before high."""
    side: Annotated[int, Field(ge=8, le=256)] = 96
    """Places along each axis."""

"""What crosses the seam besides JSON: errors in plain words, and arrays as safetensors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors


class EngineError(Exception):
    """Anything the engine cannot do, said in one plain sentence with the mend."""


class WrongInput(EngineError):
    """The request is at fault: unknown name, value outside physics, broken file. Exit status 2, HTTP 422."""


class NotFound(WrongInput):
    """The named run, model, data set or checkpoint does not exist. HTTP 404."""


class EngineDown(EngineError):
    """No engine answers at the address the app was given."""


@dataclass(frozen=True)
class Arrays:
    """Named arrays with JSON-able `meta`; the one container for everything that holds pictures or points."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    def to_bytes(self) -> bytes:
        """The wire format: safetensors, `meta` as JSON in its header."""
        arrays = {name: np.ascontiguousarray(value) for name, value in self.arrays.items()}
        return save_safetensors(arrays, metadata={"meta": json.dumps(self.meta)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Arrays:
        """Read `to_bytes`. Raises `WrongInput` when the bytes are cut off or not safetensors."""
        try:
            size = int.from_bytes(data[:8], "little")
            meta = json.loads(data[8 : 8 + size])["__metadata__"]["meta"]
            return cls(load_safetensors(data), json.loads(meta))
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise WrongInput(f"these bytes are not an array answer of the engine: {error}") from error


def read_metadata(path: str) -> dict[str, str]:
    """The header metadata of a safetensors file. Raises `WrongInput` when the file is broken or missing."""
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WrongInput(f"{path} cannot be read as safetensors: {error}") from error

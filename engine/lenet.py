"""LeNet, the classifier of digits in whose features the paper compares generated with original ones.

Two 5×5 convolutions with pooling and three fully connected layers of 120, 84 and 10 units, 61 706 parameters; the
features are the 84 activations before the last layer. Weights stand in `assets/reference/lenet.safetensors`, trained by
`python -m engine.bench.fit_lenet`; how well they read stands beside them in `lenet.json`. Distances between features
depend on the weights: numbers by another LeNet are on another scale.

References: Y. LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 86 (1998) 2278.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from engine.schema import EngineError, WrongInput

WEIGHTS = Path(__file__).parents[1] / "assets" / "reference" / "lenet.safetensors"
FORMAT = "showerscope-lenet-1"
FEATURES = 84
SIDE = 28
GREY = 255.0
MEAN, STD = 0.1307, 0.3081
"""Of the training digits' pixels, in units of white."""
BATCH = 500


class LeNet(nn.Module):
    """Class scores (N, 10) of pictures (N, 28, 28), grey values from 0 to 255; ReLU and maxima where the original has
    sigmoids and means."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Linear(FEATURES, 10)

    def features(self, pictures: Tensor) -> Tensor:
        """Activations (N, 84) ≥ 0 before the last layer."""
        return self.body(((pictures / GREY - MEAN) / STD).unsqueeze(1))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.last(self.features(pictures))


@cache
def load(path: Path = WEIGHTS) -> LeNet:
    """The trained network in evaluation mode. Raises `EngineError` for a missing or foreign file."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if meta.get("format") != FORMAT:
            raise EngineError(f"{path} holds no weights of LeNet: its header lacks {FORMAT!r}")
        net = LeNet()
        net.load_state_dict(tensors)
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise EngineError(
            f"the weights of LeNet {path} are missing or broken ({reason}): run `python -m engine.bench.fit_lenet`"
        ) from error
    return net.eval().requires_grad_(False)


def features(pictures: NDArray) -> NDArray[np.float64]:
    """Features (N, 84) of pictures (N, 28, 28), grey values from 0 to 255."""
    return read(pictures)[0]


def classes(pictures: NDArray) -> NDArray[np.int64]:
    """The digit (N,) that LeNet reads in each picture."""
    return read(pictures)[1]


@torch.no_grad()
def read(pictures: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features (N, 84) and classes (N,) of pictures (N, 28, 28), in batches. Raises `WrongInput` for other shapes or
    values that are not finite."""
    if pictures.ndim != 3 or pictures.shape[1:] != (SIDE, SIDE):
        raise WrongInput(f"pictures have shape {pictures.shape}: LeNet reads digits of 28×28 pixels")
    net, found, said = load(), [np.empty((0, FEATURES), np.float32)], [np.empty(0, np.int64)]
    for start in range(0, len(pictures), BATCH):
        part = torch.from_numpy(np.array(pictures[start : start + BATCH], np.float32))
        if not torch.isfinite(part).all():
            raise WrongInput("a picture has pixels that are not finite: LeNet cannot read it")
        seen = net.features(part)
        found.append(seen.numpy())
        said.append(net.last(seen).argmax(1).numpy())
    return np.concatenate(found).astype(np.float64), np.concatenate(said)

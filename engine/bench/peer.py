"""The training that pythae makes of one of our models: its loss, its loop, its loader, around layers of the same sizes.

C. Chadebec, L. Vincent, S. Allassonnière, Pythae: Unifying Generative Autoencoders in Python, NeurIPS 2022,
https://arxiv.org/abs/2206.08309.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine import nets
from engine.decoders import ConvolutionDecoder
from engine.schema import WrongInput
from engine.train import Training

MEND = "pythae is not installed: pip install 'showerscope[speed]'"


def epochs(training: Training, folder: Path) -> Callable[[], None]:
    """A call trains one epoch: pythae's VAE or WAE-MMD with copies of this training's networks, its batch, showers and
    learning rate, on the same device. folder: where pythae writes. Raises `WrongInput` where it is not installed."""
    try:
        from pythae.data.datasets import BaseDataset
        from pythae.models import VAE, WAE_MMD, VAEConfig, WAE_MMD_Config
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.trainers import BaseTrainer, BaseTrainerConfig
    except ImportError as error:
        raise WrongInput(MEND) from error

    encoder, decoder = (plain(training.model.get_submodule(name)) for name in ("encoder", "decoder"))
    showers = torch.log1p(training.examples()[0]).cpu()

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = encoder

        def forward(self, x: Tensor) -> Any:
            codes = self.network(x)
            if training.model.name == "wae_mmd":
                return ModelOutput(embedding=codes)
            mean, log_variance = codes.chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=torch.log1p(self.network(z)))

    sizes = {"input_dim": tuple(showers.shape[1:]), "latent_dim": training.config.latent}
    if training.model.name == "wae_mmd":
        model = WAE_MMD(WAE_MMD_Config(**sizes), Encoder(), Decoder())
    else:
        model = VAE(VAEConfig(**sizes), Encoder(), Decoder())
    settings = BaseTrainerConfig(
        output_dir=str(folder), per_device_train_batch_size=training.config.batch, num_epochs=1,
        learning_rate=training.config.learning_rate, no_cuda=training.device.type == "cpu",
    )  # fmt: skip
    logging.getLogger(BaseTrainer.__module__).setLevel(logging.WARNING)  # it has a console of its own
    trainer = BaseTrainer(model, BaseDataset(showers, torch.zeros(len(showers))), None, settings)
    trainer.prepare_training()
    done = 0

    def epoch() -> None:
        nonlocal done
        done += 1
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():  # its progress bar
            warnings.simplefilter("ignore")
            trainer.train_step(done)

    return epoch


def plain(network: nn.Module) -> nn.Module:
    """A copy of a network as one writes it down in torch: same layers and weights, in torch's own layout of images."""
    made = copy.deepcopy(network)
    if isinstance(made, ConvolutionDecoder):
        return Mirror(made)
    for parent in list(made.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nets.ChannelsLast):
                setattr(parent, name, nn.Unflatten(1, (1, -1)))
    return made


class Mirror(nn.Module):
    """`ConvolutionDecoder` layer by layer."""

    def __init__(self, ours: ConvolutionDecoder) -> None:
        super().__init__()
        self.ours = ours

    def forward(self, codes: Tensor) -> Tensor:
        ours = self.ours
        image = ours.first(codes).view(-1, ours.channels, *ours.sizes[0])
        for norm, layer, size in zip(ours.norms, ours.layers, ours.sizes[1:], strict=True):
            image = layer(torch.relu(norm(image)), output_size=size)
        return ours.head(image.squeeze(1))

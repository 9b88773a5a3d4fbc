"""Benchmarks of speed: what they print holds together; no time decides."""

import math
import sys

import pytest
import torch

from engine.bench import generate, peer, sinkhorn, train
from engine.datasets import base as datasets
from engine.decoders import ConvolutionDecoder
from engine.models import base as models
from engine.schema import WrongInput
from engine.train import Training


@pytest.fixture(scope="module")
def data():
    return datasets.load("zdc_geant4")


def test_solvers_are_compared_on_the_same_clouds_with_errors_and_a_floor(monkeypatch):
    monkeypatch.setattr(sinkhorn, "SIZES", {"cpu": (40,)})
    monkeypatch.setattr(sinkhorn.torch.cuda, "is_available", lambda: False)
    whole, classes = sinkhorn.run(quick=True)["figures"]
    assert (whole["points"], classes["points"]) == (40, 40)
    assert whole["value_error"] < 1e-5
    assert whole["gradient_error"] < 1e-3
    assert 0 < whole["floor_ms"] < math.inf
    assert whole["share_of_floor"] == pytest.approx(whole["floor_ms"] / whole["ms"])
    assert "met" not in whole


def test_a_target_holds_at_its_size_alone(monkeypatch):
    def second(work):
        work()
        return 1.0

    monkeypatch.setattr(sinkhorn.figures, "own_time", second)
    found = [sinkhorn.compared(n, "cpu", of, 1) for n in (100, 1000) for of in ("whole", "classes")]
    assert [one.get("at_most") for one in found] == [None, None, 0.2, 0.03]
    assert [one.get("met") for one in found] == [None, None, False, False]


# ------------------------------------------------------------------------------------------------------------ training
def convolutional(data, model: str = "vae") -> Training:
    return Training(model, train.COMMON | {"decoder": "convolutions", "width": 4, "batch": 64}, data, 0)


def test_the_peers_networks_are_ours_in_another_layout(data):
    model = convolutional(data).model.eval()
    x = torch.log1p(torch.rand(6, 44, 44))
    codes = torch.randn(6, model.config.latent)
    for ours, given in ((model.get_submodule("encoder"), x), (model.get_submodule("decoder"), codes)):
        theirs = peer.plain(ours).eval()
        torch.testing.assert_close(theirs(given), ours(given))
        assert all(a is not b for a, b in zip(theirs.parameters(), ours.parameters(), strict=True))


def test_without_pythae_the_mend_is_said(data, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pythae.models", None)
    monkeypatch.setitem(sys.modules, "pythae", None)
    with pytest.raises(WrongInput, match=r"pip install 'showerscope\[speed\]'"):
        peer.epochs(convolutional(data), tmp_path)


@pytest.mark.parametrize("model", ["vae", "wae_mmd"])
def test_an_epoch_of_the_peer_trains_its_copies_and_leaves_ours_alone(data, model, tmp_path):
    pytest.importorskip("pythae", reason="pythae is not installed")
    training = convolutional(data, model)
    before = [p.detach().clone() for p in training.model.parameters()]
    held = {}
    monkey = peer.plain
    try:
        peer.plain = lambda network: held.setdefault(id(network), monkey(network))
        epoch = peer.epochs(training, tmp_path)
    finally:
        peer.plain = monkey
    copies = [[p.detach().clone() for p in network.parameters()] for network in held.values()]
    epoch()
    for network, copy in zip(held.values(), copies, strict=True):
        assert any(not torch.equal(p, old) for p, old in zip(network.parameters(), copy, strict=True))
    assert all(torch.equal(p, old) for p, old in zip(training.model.parameters(), before, strict=True))


def test_the_floor_holds_every_convolution_of_a_network_at_its_shapes():
    decoder = ConvolutionDecoder((44, 44), 3, 2)
    codes = torch.randn(5, 3)
    with train.Convolutions() as noted:
        decoder(codes)
    assert [tuple(one[1]) for one in noted.made] == [(5, 16, 3, 3), (5, 8, 6, 6), (5, 4, 11, 11), (5, 2, 22, 22)]
    layers = train.convolutions(lambda: decoder(codes), "cpu")
    shapes = [[tuple(gradient.shape) for gradient in layer()] for layer in layers]
    assert [len(both) for both in shapes] == [2, 2, 2, 2]
    assert shapes[0] == [(5, 16, 3, 3), (16, 8, 5, 5)]


def test_a_first_convolution_takes_no_gradient_of_the_showers(data):
    encoder = convolutional(data).model.get_submodule("encoder")
    first, *_ = train.convolutions(lambda: encoder(torch.rand(4, 44, 44)), "cpu")
    (only,) = first()
    assert tuple(only.shape) == (4, 1, 5, 5)


# ---------------------------------------------------------------------------------------------------------- generation
def test_the_exported_graph_is_generation_without_its_draws(data):
    model, _ = models.load(generate.default(), "cpu")
    conditions = torch.tensor(data.conditions[:7], dtype=torch.float32)
    noise = torch.randn(7, model.noise_width)
    with torch.no_grad():
        found = generate.Graph(model)(noise, conditions)
        torch.testing.assert_close(found, model.decode(model.carry(noise, conditions), conditions))
    assert generate.multiplications(model, conditions[:1]) * 7 == generate.multiplications(model, conditions)


def test_onnx_runtime_gives_the_light_that_torch_does(data):
    for name in ("onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    model, _ = models.load(generate.default(), "cpu")
    found = generate.exported(model, torch.tensor(data.conditions[:1], dtype=torch.float32), 2)
    assert [one["name"].split(":")[0] for one in found] == ["torch", "ONNX Runtime"]
    assert found[0]["apart"] < 1e-4

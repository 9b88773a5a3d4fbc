"""Blocks: what the features know of the face, and that decoders count light right."""

import math

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from engine import light, nets, zdc
from engine.datasets import base as datasets
from engine.decoders import ConvolutionDecoder, IntensityDecoder, SpotDecoder, SubpixelDecoder, doubled, greys
from engine.features import ConditionFeatures, LightSums, Moments
from engine.schema import CONDITIONS, Particle, WrongInput
from engine.spaces import Space

SHAPES = [(44, 44), (56, 30)]


@pytest.fixture(scope="module")
def conditions():
    data = datasets.load("zdc_geant4")
    return torch.from_numpy(data.conditions[data.rows("train")].astype(np.float32))


def seed(n: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(n)


def row(**values: float) -> torch.Tensor:
    info = zdc.particle(2112)
    return torch.tensor([Particle(pdg=2112, **values).conditions(info.mass_mev, info.charge_e)])


# ------------------------------------------------------------------------------------------------------ conditions
def test_raw_features_are_standardised_and_constant_columns_are_silent(conditions):
    features = ConditionFeatures("raw", Space())
    features.fit(conditions)
    out = features(conditions)
    changing = conditions.std(0) > 0
    torch.testing.assert_close(out[:, changing].mean(0), torch.zeros(int(changing.sum())), atol=1e-3, rtol=0)
    torch.testing.assert_close(out[:, changing].std(0), torch.ones(int(changing.sum())), atol=1e-3, rtol=0)
    assert not changing[CONDITIONS.index("charge")]
    assert (out[:, ~changing] == 0).all()


def test_derived_features_start_with_the_impact_point_and_log_energy(conditions):
    features = ConditionFeatures("derived", Space())
    features.fit(conditions)
    out = features(conditions) * features.std + features.mean
    impact = zdc.impact_cm(conditions.numpy())
    np.testing.assert_allclose(out[:, :2].numpy(), impact, atol=1e-4)
    np.testing.assert_allclose(out[:, 2].numpy(), np.log(conditions[:, 0].numpy()), rtol=1e-5)
    outside = (np.abs(impact) > 3.52).any(axis=1)
    assert outside.any()
    np.testing.assert_array_equal(out[:, 6].numpy() == 1, outside)
    assert features.transport(out).shape == (len(conditions), 7)


@pytest.mark.parametrize("kind", ["raw", "derived"])
def test_features_are_finite_for_any_particle_that_physics_allows(kind, conditions):
    features = ConditionFeatures(kind, Space())
    features.fit(conditions)
    rows = torch.cat([row(energy_gev=e, px_gev=p) for e, p in ((1.0, 0.0), (7000.0, 0.0), (1.2, 0.5), (3000.0, -2.0))])
    proton = rows.clone()
    proton[:, zdc.CHARGE] = 1
    assert torch.isfinite(features(torch.cat([rows, proton]))).all()


def test_the_parity_feature_is_one_on_even_fibres_and_minus_one_on_odd_ones():
    features = ConditionFeatures("derived", Space())
    for i, j in ((22, 22), (23, 22), (20, 31), (0, 43)):
        x, y = ((k - 21.5) * 0.16 for k in (i, j))
        at = row(energy_gev=1000.0, px_gev=x / 11_260 * 1000, py_gev=y / 11_260 * 1000)
        expected = 1.0 if (i + j) % 2 == 0 else -1.0
        assert float(features(at)[0, -2]) == pytest.approx(expected, abs=0.02)


def test_wrong_width_and_unknown_face_are_refused():
    with pytest.raises(WrongInput, match="9 columns"):
        ConditionFeatures("raw", Space())(torch.zeros(3, 8))
    with pytest.raises(WrongInput, match="raw"):
        ConditionFeatures("derived", Space((28, 28)))


# --------------------------------------------------------------------------------------------------------- showers
@pytest.mark.parametrize("shape", SHAPES)
def test_light_sums_add_up_tell_parity_and_quadrant_and_hold_the_moments(shape):
    sums = LightSums(shape)
    showers = torch.poisson(torch.ones(3, *shape), generator=seed())
    out = sums(showers)
    x, y = (torch.arange(n) - (n - 1) / 2 for n in shape)
    torch.testing.assert_close(out[:, :8].sum(1), showers.sum((1, 2)))
    by_x, by_y = showers.sum(2), showers.sum(1)
    torch.testing.assert_close(out[:, 8:12], torch.stack([by_x @ x, by_y @ y, by_x @ x**2, by_y @ y**2], dim=1))
    waves = [by @ wave(torch.pi / 2 * u) for by, u in ((by_x, x), (by_y, y)) for wave in (torch.cos, torch.sin)]
    torch.testing.assert_close(out[:, 12:], torch.stack(waves, dim=1), rtol=1e-4, atol=1e-3)
    single = torch.zeros(1, *shape)
    single[0, shape[0] - 1, 0] = 5  # high x, low y, odd fibre
    torch.testing.assert_close(sums(single)[:, :8], torch.tensor([[0.0, 0, 0, 0, 0, 0, 5, 0]]))


def test_light_sums_give_the_channels_of_the_papers_read_out():
    showers = torch.poisson(torch.ones(4, 44, 44), generator=seed())
    sums = LightSums((44, 44))(showers).numpy()
    expected = np.column_stack([sums[:, :4], sums[:, 4:8].sum(axis=1)])
    np.testing.assert_allclose(zdc.channels(showers.numpy(), "zn", "paper"), expected)


def test_moments_find_the_centre_and_are_finite_for_an_empty_shower():
    showers = torch.zeros(2, 44, 44)
    showers[0, 32, 10] = 7
    out = Moments((44, 44))(showers)
    assert out.shape == (2, 52)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out[0, :3], torch.tensor([math.log(8), 10.5 / 22, -11.5 / 22]))
    assert (out[1, :3] == 0).all()


def test_moments_show_the_brightest_fibre_and_its_neighbours_up_to_the_edge():
    showers = torch.zeros(1, 44, 44)
    showers[0, 43, 5], showers[0, 42, 7], showers[0, 2, 2] = 9, 3, 8
    core = Moments((44, 44))(showers)[0, 25:]
    torch.testing.assert_close(core[:2], torch.tensor([21.5 / 22, -16.5 / 22]))
    expected = torch.zeros(5, 5)
    expected[2, 2], expected[1, 4] = math.log(10), math.log(4)
    torch.testing.assert_close(core[2:].view(5, 5), expected)


def test_batch_renorm_has_the_values_of_its_memory_and_the_gradient_of_its_batch():
    norm = nets.BatchRenorm(3)
    for n in range(200):
        norm(5 + 2 * torch.randn(100, 3, generator=seed(n)))
    x = (5 + 2 * torch.randn(40, 3, generator=seed(999))).requires_grad_()
    out = norm(x)
    torch.testing.assert_close(out, (x - 5) / 2, atol=0.15, rtol=0)
    weights = torch.randn(40, 3, generator=seed(7))
    (gradient,) = torch.autograd.grad((out * weights).sum(), x)
    # neither a common shift nor a common stretch of the batch has any effect on the loss
    torch.testing.assert_close(gradient.sum(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close((gradient * (x - x.mean(0))).sum(0), torch.zeros(3), atol=1e-2, rtol=0)
    before = norm.mean.clone()
    norm.eval()(x)
    assert torch.equal(norm.mean, before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["spots", "convolutions", "subpixel"])
def test_decoders_give_finite_light_on_every_face_and_know_its_sums(kind, shape):
    torch.manual_seed(0)
    pictures = {"convolutions": ConvolutionDecoder, "subpixel": SubpixelDecoder}
    decoder = SpotDecoder(shape, 5, 32, 6) if kind == "spots" else pictures[kind](shape, 5, 4)
    for scale in (1.0, 100.0):
        codes = scale * torch.randn(4, 5, generator=seed())
        image = decoder(codes)
        assert image.shape == (4, *shape)
        assert torch.isfinite(image).all()
        assert (image >= 0).all()
    decoder.eval()
    codes = torch.randn(4, 5, generator=seed())
    expected = LightSums(shape)(decoder(codes))
    torch.testing.assert_close(decoder.light_sums(codes), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", [ConvolutionDecoder, SubpixelDecoder])
def test_grey_values_stay_between_black_and_white(kind):
    torch.manual_seed(0)
    image = kind((28, 28), 5, 4, greys)(100 * torch.randn(4, 5, generator=seed())).detach()
    assert image.shape == (4, 28, 28)
    assert float(image.min()) >= 0
    assert float(image.max()) <= 255


def test_a_class_is_an_indicator_and_classes_are_equally_far_apart():
    features = ConditionFeatures("derived", Space((28, 28), "images", 1, 4))
    features.fit(torch.tensor([[0.0], [0.0], [3.0]]))
    out = features(torch.tensor([[0.0], [3.0], [1.0]]))
    assert torch.equal(out, torch.eye(4)[[0, 3, 1]])
    assert torch.equal(features.transport(out), out)
    with pytest.raises(WrongInput, match="1 columns"):
        features(torch.zeros(3, 2))


def test_a_wide_spot_keeps_its_light_and_loses_what_falls_beyond_the_face():
    fibres = torch.arange(44) - 21.5
    width = torch.tensor([[2.0, 2.0]]).log()
    inside, edge = SpotDecoder.profile(fibres, torch.tensor([[0.3, 22.0]]), width)[0].sum(1)
    assert float(inside) == pytest.approx(1, abs=1e-4)
    assert float(edge) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_encoder_takes_every_face_and_keeps_its_code_at_unit_spread(shape):
    torch.manual_seed(0)
    encoder = nets.Encoder(nets.convolutions(4, norm=True), nets.convolved(shape, 4), 3, 4, 32)
    showers = torch.poisson(torch.rand(64, 1, 1, generator=seed()).expand(64, *shape) * 9, generator=seed())
    codes = encoder(torch.log1p(showers), torch.randn(64, 3, generator=seed()))
    torch.testing.assert_close(codes.std(0, unbiased=False), torch.ones(4), atol=0.01, rtol=0)


def test_generator_has_three_hidden_layers_and_listens_to_noise_and_conditions():
    torch.manual_seed(0)
    generator = nets.NoiseGenerator(3, 2, 5, 16)
    assert sum(isinstance(layer, torch.nn.ReLU) for layer in generator.layers) == 3
    noise, q = torch.randn(4, 3), torch.randn(4, 2)
    out = generator(noise, q)
    assert not torch.equal(out, generator(noise + 1, q))
    assert not torch.equal(out, generator(noise, q + 1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["spots", "convolutions"])
def test_an_intensity_head_imposes_its_sum_and_keeps_the_picture(kind, shape):
    torch.manual_seed(0)
    inner = SpotDecoder(shape, 5, 32, 6) if kind == "spots" else ConvolutionDecoder(shape, 5, 4)
    decoder = IntensityDecoder(inner, 5, 32).eval()
    codes = torch.randn(4, 5, generator=seed())
    image, inner = decoder(codes), decoder.decoder(codes)
    torch.testing.assert_close(image.sum((1, 2)), decoder.total(codes))
    torch.testing.assert_close(image / image.sum((1, 2), keepdim=True), inner / inner.sum((1, 2), keepdim=True))
    torch.testing.assert_close(decoder.light_sums(codes), LightSums(shape)(image), rtol=1e-4, atol=1e-3)


def test_an_encoder_that_is_told_the_conditions_listens_to_them():
    torch.manual_seed(0)
    encoder = nets.Encoder(nets.convolutions(4, True), nets.convolved((44, 44), 4), 3, 4, 32, normalise=False).eval()
    showers = torch.poisson(torch.ones(5, 44, 44), generator=seed())
    q = torch.randn(5, 3, generator=seed())
    assert not torch.equal(encoder(showers, q), encoder(showers, q + 1))
    assert list(encoder.normalise.parameters()) == list(encoder.normalise.buffers()) == []


def test_normal_noise_follows_its_generator_and_the_dtype_of_its_rows():
    rows = torch.zeros(4, 9, dtype=torch.float64)
    assert torch.equal(nets.normal(rows, 3, seed()), nets.normal(rows, 3, seed()))
    assert nets.normal(rows, 3, seed()).dtype == torch.float64
    assert nets.normal(rows, 3, seed()).shape == (4, 3)


def test_a_resting_module_leaves_its_statistics_alone():
    norm = torch.nn.BatchNorm1d(3)
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    with nets.resting(norm):
        norm(torch.randn(9, 3, generator=torch.Generator().manual_seed(0)) + 5)
    assert torch.equal(norm.running_mean, before)
    assert norm.training


# ------------------------------------------------------------------------------------------------------------- light
@pytest.mark.parametrize("size", [0.0, 0.5, 2.0])
def test_clumped_light_keeps_its_mean_and_scatters_by_one_plus_the_clump(size):
    rng = torch.Generator().manual_seed(0)
    drawn = light.clumped(torch.full((200_000,), 3.0), torch.tensor(size), rng)
    assert float(drawn.mean()) == pytest.approx(3.0, rel=0.01)
    assert float(drawn.var() / drawn.mean()) == pytest.approx(1 + size, rel=0.02)


@pytest.mark.parametrize("size", [0.3, 0.54, 1.2])
def test_the_clump_is_read_off_lit_fibres_with_dark_neighbours(size):
    rng = torch.Generator().manual_seed(1)
    rate = torch.full((3000, 44, 44), 0.005)
    found = light.photons_per_track(light.clumped(rate, torch.tensor(size), rng))
    assert float(found) == pytest.approx(size, rel=0.1)


def test_without_enough_sparse_light_it_counts_as_poisson():
    assert float(light.photons_per_track(torch.zeros(10, 44, 44))) == 0
    assert float(light.photons_per_track(torch.full((10, 44, 44), 7.0))) == 0


def test_a_noise_generator_may_have_batch_normalisation_and_then_draws_alone_as_in_company():
    made = nets.NoiseGenerator(4, 3, 2, 8, norm=True)
    assert sum(isinstance(layer, torch.nn.BatchNorm1d) for layer in made.layers) == 3
    assert isinstance(made.layers[-1], torch.nn.Linear)
    rng = seed()
    noise, features = torch.randn(6, 4, generator=rng), torch.randn(6, 3, generator=rng)
    made(noise, features)
    made.eval()
    torch.testing.assert_close(made(noise[:1], features[:1]), made(noise, features)[:1])


# ------------------------------------------------------------------------------------------------------- in groups
def test_networks_in_groups_are_so_many_networks():
    torch.manual_seed(0)
    made = nets.GroupedMLP(3, [4, 5, 2])
    x = torch.randn(3, 7, 4, generator=seed())
    group = torch.tensor([2, 0, 1, 1, 0, 2, 2])
    for k in range(3):
        one = nets.mlp([4, 5, 2])
        with torch.no_grad():
            for layer, weight, bias in zip([one[0], one[2]], made.weights, made.biases, strict=True):
                layer.weight.copy_(weight[k].T)
                layer.bias.copy_(bias[k, 0])
        torch.testing.assert_close(made(x)[k], one(x[k]))
        mine = group == k
        torch.testing.assert_close(made.of(x[0], group)[mine], one(x[0][mine]))


def test_noise_enters_a_decoder_along_orthonormal_bases_and_without_it_the_decoder_is_an_ordinary_network():
    torch.manual_seed(0)
    made = nets.EigenDecoder(3, 16, 2, 4, torch.nn.Linear(16, 2))
    for basis in made.bases():
        torch.testing.assert_close(basis.T @ basis, torch.eye(4), atol=1e-5, rtol=0)
    codes = torch.randn(5, 3, generator=seed())
    plain = made.head(torch.relu(made.layers[1](torch.relu(made.layers[0](codes)))))
    torch.testing.assert_close(made(codes, torch.zeros(5, 8)), plain)
    assert not torch.allclose(made(codes, torch.randn(5, 8, generator=seed(1))), plain)


def test_the_bases_of_a_decoder_stay_orthonormal_while_it_learns():
    torch.manual_seed(0)
    made = nets.EigenDecoder(3, 16, 2, 4, torch.nn.Linear(16, 2))
    optimiser = torch.optim.Adam(made.parameters(), lr=0.1)
    before = [basis.detach().clone() for basis in made.bases()]
    for k in range(5):
        optimiser.zero_grad()
        made(torch.randn(9, 3, generator=seed(k)), torch.randn(9, 8, generator=seed(k))).square().sum().backward()
        optimiser.step()
    for basis, old in zip(made.bases(), before, strict=True):
        assert not torch.allclose(basis, old, atol=0.01)
        torch.testing.assert_close(basis.T @ basis, torch.eye(4), atol=1e-5, rtol=0)


# --------------------------------------------------------------------------------------------------------- k-means
def test_k_means_finds_clouds_that_lie_apart_and_the_mean_of_each():
    middles = 10 * torch.randn(6, 3, generator=seed(3))
    own = torch.arange(600) % 6
    points = middles[own] + 0.1 * torch.randn(600, 3, generator=seed(1))
    centres, label = nets.kmeans(points, 6, seed(2))
    for k in range(6):
        assert len(label[own == k].unique()) == 1
        torch.testing.assert_close(centres[label[own == k][0]], points[own == k].mean(0))
    assert torch.equal(label, torch.cdist(points, centres).argmin(1))


def test_k_means_is_as_good_as_the_library_s_and_follows_its_generator():
    points = torch.randn(800, 2, generator=seed())
    centres, label = nets.kmeans(points, 12, seed(1), rounds=60)
    own = float((points - centres[label]).square().sum())
    assert own < 1.1 * KMeans(12, n_init=5, random_state=0).fit(points.numpy()).inertia_
    assert torch.equal(nets.kmeans(points, 12, seed(1), rounds=60)[0], centres)
    assert not torch.equal(nets.kmeans(points, 12, seed(2), rounds=60)[0], centres)


def test_k_means_of_fewer_points_than_clusters_leaves_some_empty_and_stays_finite():
    points = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    centres, label = nets.kmeans(points, 5, seed())
    assert torch.isfinite(centres).all()
    torch.testing.assert_close(centres[label], points)


@pytest.mark.parametrize("size", [(14, 10), (13, 9), (14, 9)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_doubling_an_image_is_the_transposed_convolution(size: tuple[int, int], outputs: int):
    torch.manual_seed(0)
    layer = torch.nn.ConvTranspose2d(4, outputs, 5, stride=2, padding=2).double()
    image = torch.randn(2, 4, 7, 5, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        torch.nn.init.normal_(layer.bias)
    weight = torch.randn(2, outputs, *size, dtype=torch.float64)
    wanted = [image, *layer.parameters()]
    found, reference = doubled(layer, image, size), layer(image, output_size=size)
    torch.testing.assert_close(found, reference)
    for one, other in zip(
        torch.autograd.grad((found * weight).sum(), wanted),
        torch.autograd.grad((reference * weight).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(one, other)

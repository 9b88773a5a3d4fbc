"""The mathematics of each loss, by closed forms, brute force and independent computations."""

import math

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve1d

from engine import losses


def cloud(n: int, d: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn((n, d), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def entropic_cost(x: torch.Tensor, y: torch.Tensor, epsilon: float) -> float:
    """Eq. (3) by POT: inf <Γ, c> + ε KL(Γ, P⊗Q) with c = ½‖x − y‖²."""
    cost = 0.5 * ot.dist(x.numpy(), y.numpy())
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    plan = ot.sinkhorn(a, b, cost, epsilon, method="sinkhorn_log", numItermax=5000, stopThr=1e-8)
    return float((plan * cost).sum() + epsilon * (plan * np.log(plan / np.outer(a, b) + 1e-300)).sum())


# -------------------------------------------------------------------------------------------------------- sinkhorn
def test_sinkhorn_divergence_is_the_debiased_entropic_cost_of_an_independent_solver():
    x, y = cloud(20, 3, 0), cloud(25, 3, 1) * 1.5 + 0.7
    blur = 0.8
    expected = entropic_cost(x, y, blur**2) - 0.5 * (entropic_cost(x, x, blur**2) + entropic_cost(y, y, blur**2))
    assert float(losses.sinkhorn_divergence(x, y, blur, scaling=0.99)) == pytest.approx(expected, rel=2e-3)


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 30), st.integers(1, 5), st.integers(0, 100), st.floats(0.05, 1.0))
def test_sinkhorn_divergence_of_a_cloud_with_itself_is_zero_and_the_order_does_not_matter(n, d, seed, blur):
    x, y = cloud(n, d, seed), cloud(n + 3, d, seed + 1)
    assert float(losses.sinkhorn_divergence(x, x.clone(), blur)) == pytest.approx(0, abs=1e-9)
    forth, back = losses.sinkhorn_divergence(x, y, blur), losses.sinkhorn_divergence(y, x, blur)
    assert float(forth) == pytest.approx(float(back), rel=1e-9)


def test_moving_a_gaussian_cloud_costs_half_the_squared_distance():
    x, step = cloud(400, 2, 3), torch.tensor([3.0, -4.0], dtype=torch.float64)
    assert float(losses.sinkhorn_divergence(x, x + step, 0.05, scaling=0.9)) == pytest.approx(12.5, rel=1e-3)


def test_sinkhorn_gradient_points_along_the_displacement():
    """S of a translated cloud is ½‖m‖², so its gradient with respect to the moved points adds up to m."""
    x, step = cloud(200, 2, 4), torch.tensor([1.0, 2.0], dtype=torch.float64)
    moved = (x + step).requires_grad_()
    (gradient,) = torch.autograd.grad(losses.sinkhorn_divergence(x, moved, 0.1, scaling=0.9), moved)
    torch.testing.assert_close(gradient.sum(0), step, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sinkhorn_of_coinciding_points_is_zero_with_finite_gradients(dtype):
    x = torch.ones(8, 3, dtype=dtype).requires_grad_()
    value = losses.sinkhorn_divergence(x, torch.ones(8, 3, dtype=dtype))
    (gradient,) = torch.autograd.grad(value, x)
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(gradient).all()
    assert value.dtype == dtype


def test_sinkhorn_stays_exact_far_from_the_origin():
    x = cloud(50, 3, 5, torch.float32)
    near, far = (losses.sinkhorn_divergence(x + c, x + c + 0.5, 0.05, 0.8) for c in (0.0, 300.0))
    assert float(far) == pytest.approx(float(near), rel=1e-2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_sinkhorn_of_a_point_that_is_not_finite_is_nan_and_does_not_raise(bad):
    x = cloud(5, 2, 0)
    x[2, 1] = bad
    assert math.isnan(float(losses.sinkhorn_divergence(x, cloud(5, 2, 1))))


def test_dear_conditions_keep_particles_apart():
    """With a small scale the swapped codes of two particles are for free; with a large one they cost their way."""
    codes, q = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]])
    cheap, dear = (
        float(
            losses.sinkhorn_divergence(losses.with_conditions(codes, q, s), losses.with_conditions(codes.flip(0), q, s))
        )
        for s in (0.0, 10.0)
    )
    assert cheap == pytest.approx(0, abs=1e-4)
    assert dear == pytest.approx(0.5, rel=1e-2)


def cut(n: int, most: int, seed: int = 0) -> list[torch.Tensor]:
    """Rows of each block of n points."""
    owner = losses.blocks(torch.zeros(n), most, torch.Generator().manual_seed(seed))
    return [(owner == k).nonzero().squeeze(1) for k in range(int(owner.max()) + 1)]


@given(st.integers(1, 200), st.integers(1, 250), st.integers(0, 100))
def test_blocks_are_the_fewest_of_their_size_hold_every_row_once_and_differ_by_one_at_most(n, most, seed):
    sizes = [len(rows) for rows in cut(n, most, seed)]
    assert sum(sizes) == n
    assert len(sizes) == math.ceil(n / most)
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(1, 30))
def test_no_block_holds_two_classes_and_a_class_that_fits_is_one_block(classes, most):
    told = torch.tensor(classes)
    owner = losses.blocks(told, most, torch.Generator().manual_seed(0))
    for k in owner.unique():
        assert len(told[owner == k].unique()) == 1
    for c in told.unique():
        assert len(owner[told == c].unique()) == math.ceil(int((told == c).sum()) / most)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 60), st.integers(1, 70), st.integers(0, 50))
def test_transport_in_blocks_is_the_mean_of_blocks_by_brute_force_and_draws_both_clouds(n, most, seed):
    x, y = cloud(n, 3, seed).requires_grad_(), (1.5 * cloud(n, 3, seed + 1)).requires_grad_()
    more = {"blur": 0.5, "scaling": 0.999}  # so slow a descent that the diameter it begins at does not matter
    value = losses.sinkhorn_in_blocks(x, y, most, torch.Generator().manual_seed(seed), **more)
    whole = sum((len(r) / n * losses.sinkhorn_divergence(x[r], y[r], **more) for r in cut(n, most, seed)), x.sum() * 0)
    assert float(value.detach()) == pytest.approx(float(whole.detach()), rel=1e-4, abs=1e-9)
    mine, brute = (torch.autograd.grad(one, (x, y)) for one in (value, whole))
    for one, other in zip(mine, brute, strict=True):
        assert (one.norm(dim=1) > 0).all()
        assert float((one - other).norm() / other.norm()) < 1e-3


@pytest.mark.parametrize("solver", ["own", "geomloss"])
def test_a_block_that_holds_the_whole_cloud_is_the_whole_cloud(solver):
    x, y = cloud(40, 3, 0), cloud(40, 3, 1) + 0.3
    block = losses.sinkhorn_in_blocks(x, y, 40, torch.Generator().manual_seed(5), 0.2, solver=solver)
    assert float(block) == pytest.approx(float(losses.sinkhorn_divergence(x, y, 0.2, solver=solver)), rel=1e-9)


def test_a_seed_cuts_the_same_blocks_and_another_seed_others():
    x, y = cloud(50, 3, 0, torch.float32), cloud(50, 3, 1, torch.float32)
    one, again, other = (losses.sinkhorn_in_blocks(x, y, 16, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_smaller_blocks_tell_two_samples_of_one_distribution_farther_apart():
    x, y = cloud(512, 8, 0), cloud(512, 8, 1)
    apart = [float(losses.sinkhorn_in_blocks(x, y, most, torch.Generator().manual_seed(0))) for most in (8, 64, 512)]
    assert apart == sorted(apart, reverse=True)
    assert apart[0] > 1.5 * apart[2]


# --------------------------------------------------------------------------------------------------------- pyramid
@settings(deadline=None, max_examples=20)
@given(st.integers(5, 47), st.integers(5, 47), st.integers(1, 5))
def test_a_pyramid_collapses_to_its_image(h, w, levels):
    images = cloud(2, h * w, h + w).view(2, h, w)
    pyramid = losses.laplacian_pyramid(images, levels)
    torch.testing.assert_close(losses.collapse(pyramid), images)
    assert pyramid[0].shape == images.shape


def test_the_fine_levels_of_a_flat_image_are_dark():
    *fine, rest = losses.laplacian_pyramid(torch.full((1, 44, 44), 7.0), 3)
    assert all(float(level.abs().max()) < 1e-5 for level in fine)
    torch.testing.assert_close(rest, torch.full((1, 11, 11), 7.0))


@pytest.mark.parametrize(("h", "w"), [(44, 44), (56, 30), (7, 9)])
def test_a_level_is_what_the_binomial_filter_leaves(h, w):
    image = torch.rand(h, w, generator=torch.Generator().manual_seed(h), dtype=torch.float64)
    smooth = image.numpy()
    for axis in (0, 1):
        smooth = convolve1d(smooth, np.array(losses.BINOMIAL) / 16, axis=axis, mode="nearest")
    coarse = torch.from_numpy(smooth)[::2, ::2]
    large = torch.nn.functional.interpolate(coarse[None, None], size=(h, w), mode="bilinear", align_corners=False)
    fine, rest = losses.laplacian_pyramid(image[None], 2)
    torch.testing.assert_close(fine[0], image - large[0, 0])
    torch.testing.assert_close(rest[0], coarse)


def test_lap1_weighs_levels_by_powers_of_four_and_is_zero_for_equal_images():
    x, y = cloud(3, 256, 0).view(3, 16, 16), cloud(3, 256, 1).view(3, 16, 16)
    assert float(losses.lap1(x, x)) == 0
    levels = zip(losses.laplacian_pyramid(x, 3), losses.laplacian_pyramid(y, 3), strict=True)
    brute = sum(4**j * float((a - b).abs().sum()) for j, (a, b) in enumerate(levels)) / x.numel()
    assert float(losses.lap1(x, y, 3)) == pytest.approx(brute)
    assert float(losses.lap1(3 * x, 3 * y)) == pytest.approx(3 * float(losses.lap1(x, y)))


def test_reconstruction_adds_alpha_times_lap1_to_the_squared_error():
    x, y = cloud(3, 256, 0).view(3, 16, 16), cloud(3, 256, 1).view(3, 16, 16)
    expected = float(((x - y) ** 2).mean()) + 0.3 * float(losses.lap1(x, y))
    assert float(losses.reconstruction(x, y, alpha=0.3)) == pytest.approx(expected)


# ------------------------------------------------------------------------------------------------------ likelihood
def test_poisson_likelihood_is_that_of_torch_and_is_best_at_the_photons():
    photons = torch.tensor([[[0.0, 3.0], [10.0, 1.0]]])
    rate = torch.tensor([[[0.5, 2.0], [9.0, 1.0]]])
    exact = -torch.distributions.Poisson(rate).log_prob(photons) - torch.lgamma(photons + 1)
    assert float(losses.poisson_nll(photons, rate)) == pytest.approx(float(exact.mean()), rel=1e-5)
    best = photons.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(losses.poisson_nll(photons, best), best)
    torch.testing.assert_close(gradient[photons > 0], torch.zeros(3), atol=1e-6, rtol=0)


def test_poisson_likelihood_of_dark_fibres_is_finite():
    rate = torch.zeros(1, 2, 2, requires_grad=True)
    value = losses.poisson_nll(torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]), rate)
    (gradient,) = torch.autograd.grad(value, rate)
    assert math.isfinite(float(value.detach()))
    assert torch.isfinite(gradient).all()


def test_sum_penalty_is_one_at_photon_statistics():
    sums = torch.poisson(torch.full((3000, 8), 200.0), generator=torch.Generator().manual_seed(0))
    assert float(losses.sum_penalty(sums, torch.full((3000, 8), 200.0))) == pytest.approx(1, abs=0.05)
    assert float(losses.sum_penalty(sums, sums)) == pytest.approx(0, abs=1e-9)
    assert float(losses.sum_penalty(torch.zeros(1, 8), torch.full((1, 8), 0.5))) == pytest.approx(2, rel=1e-2)


# ---------------------------------------------------------------------------------------------------- energy score
PRIMARIES = st.lists(st.integers(-2, 6), min_size=1, max_size=24)


@given(PRIMARIES, PRIMARIES)
def test_energy_score_is_the_mean_over_pairs_of_each_primary(owners: list[int], seen_owners: list[int]):
    g, owner = cloud(len(owners), 3, 0), torch.tensor(owners)
    x, seen = cloud(len(seen_owners), 3, 1), torch.tensor(seen_owners)
    brute, primaries = 0.0, set(owners)
    for k in primaries:
        ours, theirs = g[owner == k], x[seen == k]
        n = len(ours)
        if len(theirs):
            brute += np.mean([float((a - b).norm()) for a in ours for b in theirs])
        if n > 1:
            brute -= 0.5 * np.mean([float((ours[i] - ours[j]).norm()) for i in range(n) for j in range(n) if i != j])
    assert float(losses.energy_score(g, owner, x, seen)) == pytest.approx(brute / len(primaries), rel=1e-5, abs=1e-6)


def test_energy_score_prefers_the_true_distribution_to_narrower_and_wider_ones():
    owner = torch.zeros(1500, dtype=torch.long)
    x, g = cloud(1500, 2, 0), cloud(1500, 2, 1)
    true, narrow, wide = (float(losses.energy_score(s * g, owner, x, owner)) for s in (1.0, 0.3, 2.0))
    assert true < narrow
    assert true < wide


def test_energy_score_of_equal_points_has_finite_gradients():
    g = torch.zeros(4, 2, requires_grad=True)
    owner = torch.tensor([0, 0, 1, 1])
    (gradient,) = torch.autograd.grad(losses.energy_score(g, owner, torch.zeros(4, 2), owner), g)
    assert torch.isfinite(gradient).all()


# -------------------------------------------------------------------------------------------------- regularisation
@pytest.mark.parametrize("tau", [0.0, 0.4, 0.95])
def test_diversity_by_brute_force(tau):
    y = cloud(9, 4, 0)
    total = 0.0
    for i in range(9):
        for j in range(9):
            cosine = float(y[i] @ y[j] / (y[i].norm() * y[j].norm()))
            if i != j and abs(cosine) >= tau:
                total += cosine**2
    assert float(losses.diversity(y, tau, scale=2.5)) == pytest.approx(2.5 * total / 72, abs=1e-12)


def test_diversity_is_one_for_parallel_codes_zero_for_orthogonal_ones_and_finite_at_the_origin():
    assert float(losses.diversity(torch.ones(5, 3))) == pytest.approx(1)
    assert float(losses.diversity(torch.eye(4))) == 0
    codes = torch.zeros(3, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(losses.diversity(codes), codes)
    assert torch.isfinite(gradient).all()


def test_last_layer_l2_is_the_squared_frobenius_norm():
    layer = torch.nn.Linear(3, 2, bias=False)
    assert float(losses.last_layer_l2(layer).detach()) == pytest.approx(
        sum(w**2 for row in layer.weight.tolist() for w in row)
    )


# ------------------------------------------------------------------------------------------------ codes and priors
def test_kl_to_normal_is_that_of_torch():
    mean, log_variance = cloud(7, 3, 0), cloud(7, 3, 1)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    exact = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(losses.kl_to_normal(mean, log_variance), exact)
    assert float(losses.kl_to_normal(torch.zeros(2, 3), torch.zeros(2, 3))) == 0


def test_mmd_by_brute_force():
    x, y = cloud(6, 3, 0), cloud(5, 3, 1) + 0.4

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return sum(6 * s / (6 * s + float(((a - b) ** 2).sum())) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))

    among = [np.mean([k(a, b) for i, a in enumerate(c) for j, b in enumerate(c) if i != j]) for c in (x, y)]
    expected = sum(among) - 2 * np.mean([k(a, b) for a in x for b in y])
    assert float(losses.mmd(x, y)) == pytest.approx(expected)


def test_mmd_is_unbiased_where_distributions_agree_and_positive_where_they_do_not():
    equal = [float(losses.mmd(cloud(40, 4, k), cloud(40, 4, 100 + k))) for k in range(60)]
    assert abs(np.mean(equal)) < 3 * np.std(equal) / math.sqrt(60)
    assert float(losses.mmd(cloud(40, 4, 0), cloud(40, 4, 1) + 1)) > 10 * np.std(equal)


def test_1d_sliced_equals_emd():
    x, y = cloud(30, 1, 0), cloud(30, 1, 1) + 0.5
    value = losses.sliced_wasserstein(x, y, torch.tensor([[1.0], [-1.0]], dtype=x.dtype))
    assert float(value) == pytest.approx(ot.emd2_1d(x[:, 0].numpy(), y[:, 0].numpy(), metric="sqeuclidean"))


def test_sliced_wasserstein_is_that_of_an_independent_library():
    x, y = cloud(25, 4, 0), cloud(25, 4, 1) * 1.5
    directions = losses.sphere(40, 4, torch.Generator().manual_seed(2), x)
    expected = ot.sliced_wasserstein_distance(x.numpy(), y.numpy(), projections=directions.T.numpy()) ** 2
    assert float(losses.sliced_wasserstein(x, y, directions)) == pytest.approx(expected)


def test_the_hypersphere_is_of_unit_radius_and_has_no_preferred_direction():
    points = losses.sphere(20_000, 3, torch.Generator().manual_seed(0), torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(points.norm(dim=1), torch.ones(20_000, dtype=torch.float64))
    assert float(points.mean(0).abs().max()) < 0.02
    torch.testing.assert_close(points.T @ points / 20_000, torch.eye(3, dtype=torch.float64) / 3, atol=0.01, rtol=0)


def test_effective_rank_counts_directions_in_use():
    flat = torch.cat([cloud(4000, 3, 0), torch.zeros(4000, 5, dtype=torch.float64)], dim=1)
    assert float(losses.effective_rank(flat)) == pytest.approx(3, abs=0.01)
    assert float(losses.effective_rank(cloud(9, 1, 0).expand(9, 6))) == pytest.approx(1)
    assert float(losses.effective_rank(torch.ones(5, 4))) == 0


# ------------------------------------------------------------------------------------------------------ adversaries
def test_the_logistic_loss_is_that_of_goodfellow_and_log_four_where_nothing_can_be_told():
    real, fake = cloud(9, 1, 0)[:, 0], cloud(9, 1, 1)[:, 0]
    brute = -(torch.sigmoid(real).log().mean() + (1 - torch.sigmoid(fake)).log().mean())
    torch.testing.assert_close(losses.logistic(real, fake), brute)
    assert float(losses.logistic(torch.zeros(3), torch.zeros(3))) == pytest.approx(math.log(4))


def test_gradient_penalty_of_a_linear_critic_is_that_of_its_slope():
    slope = cloud(1, 12, 0)[0]
    real, fake = cloud(5, 12, 1).view(5, 3, 4), cloud(5, 12, 2).view(5, 3, 4)
    rng = torch.Generator().manual_seed(0)
    value = losses.gradient_penalty(lambda x: x.flatten(1) @ slope, real, fake, rng)
    assert float(value) == pytest.approx((float(slope.norm()) - 1) ** 2)
    assert float(losses.gradient_penalty(lambda x: x.flatten(1) @ slope / slope.norm(), real, fake, rng)) < 1e-12


def test_gradient_penalty_is_taken_between_the_points_and_reaches_the_critic():
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    real, fake = torch.zeros(400, 1, dtype=torch.float64), torch.ones(400, 1, dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    # f = w·x²: the slope is 2·w·x, so the penalty is E (2x − 1)² = 1/3 for x uniform in [0, 1]
    value = losses.gradient_penalty(lambda x: weight * x.square().sum(1), real, fake, rng)
    assert float(value.detach()) == pytest.approx(1 / 3, abs=0.05)
    assert float(torch.autograd.grad(value, weight)[0]) == pytest.approx(2 / 3, abs=0.1)


def test_replica_spread_is_zero_for_equal_replicas_and_one_on_average():
    showers = torch.poisson(torch.full((6, 5, 5), 4.0), generator=torch.Generator().manual_seed(0))
    primary = torch.tensor([0, 0, 1, 1, 2, 3])
    showers[1] = showers[0]
    spread = losses.replica_spread(showers, primary)
    assert spread[[0, 1, 4, 5]].abs().max() < 1e-3
    brute = torch.log1p(showers[2:4]).std(0, unbiased=False).mean()
    torch.testing.assert_close(spread[2] / spread.mean(), spread[2])
    torch.testing.assert_close(spread[2] * (2 * brute / 6), brute, rtol=1e-3, atol=0)


def test_selective_diversity_falls_with_unlike_pictures_where_they_are_wanted():
    noise, again = cloud(4, 3, 0), cloud(4, 3, 1)
    picture, shift = cloud(4, 6, 2).view(4, 2, 3), cloud(4, 6, 3).view(4, 2, 3)
    wanted = torch.tensor([1.0, 0.0, 2.0, 0.0], dtype=torch.float64)
    near, far = (losses.selective_diversity(picture, picture + s * shift, noise, again, wanted) for s in (1.0, 2.0))
    assert float(far) == pytest.approx(float(near) / 2, rel=0.01)
    alone = losses.selective_diversity(picture[::2], picture[::2] + shift[::2], noise[::2], again[::2], wanted[::2])
    torch.testing.assert_close(near, alone / 2)


# ------------------------------------------------------------------------------------------------------------ flows
def test_a_flow_path_runs_straight_from_noise_to_data_at_its_velocity():
    noise, data = cloud(5, 6, 0).view(5, 2, 3), cloud(5, 6, 1).view(5, 2, 3)
    for time, expected in ((0.0, noise), (1.0, data)):
        torch.testing.assert_close(losses.flow_path(noise, data, torch.full((5,), time).double())[0], expected)
    time = torch.rand(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (here, velocity), (there, _) = (losses.flow_path(noise, data, time + step) for step in (0.0, 0.01))
    torch.testing.assert_close((there - here) / 0.01, velocity)


def test_the_penalty_at_real_points_is_half_the_squared_slope():
    """Of a linear critic everywhere ½‖a‖², and its gradient reaches the critic."""
    slope = torch.tensor([3.0, 4.0], requires_grad=True)
    value = losses.real_penalty(lambda x: x @ slope, torch.rand(5, 2, generator=torch.Generator().manual_seed(0)))
    assert float(value.detach()) == pytest.approx(12.5)
    torch.testing.assert_close(torch.autograd.grad(value, slope)[0], slope.detach())


# ------------------------------------------------------------------------------------------------------- contrast
def test_the_contrastive_loss_is_the_cross_entropy_of_finding_one_s_partner_by_brute_force():
    first, second, temperature = cloud(5, 3, 0), cloud(5, 3, 1), 0.2
    both = torch.cat([first, second])
    unit = both / both.norm(dim=1, keepdim=True)
    total = 0.0
    for i in range(10):
        likes = [math.exp(float(unit[i] @ unit[j]) / temperature) for j in range(10)]
        total -= math.log(likes[(i + 5) % 10] / (sum(likes) - likes[i]))
    assert float(losses.info_nce(first, second, temperature)) == pytest.approx(total / 10, rel=1e-5)


def test_codes_that_tell_every_example_apart_have_no_contrastive_loss_and_equal_ones_the_log_of_all_others():
    apart = torch.eye(6)
    assert float(losses.info_nce(apart, apart, 0.01)) == pytest.approx(0, abs=1e-6)
    alike = torch.ones(6, 3)
    assert float(losses.info_nce(alike, alike, 0.5)) == pytest.approx(math.log(11), rel=1e-5)

"""The loss functions that models share: pure, differentiable, device and dtype of their inputs.

Equation numbers are those of K. Deja et al., End-to-end Sinkhorn Autoencoder with Noise Generator,
https://arxiv.org/abs/2006.06704. Images are (N, H, W), point clouds (N, d), all sums over a batch are means.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from geomloss import SamplesLoss
from torch import Generator, Tensor

from engine import sinkhorn

EMPTY = 1e-6
"""Photons a fibre that no expectation falls below, so that the logarithm of an empty fibre is finite."""

BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)
"""Burt and Adelson's 5-tap smoothing kernel, over 16."""


# -------------------------------------------------------------------------------------------------- reconstruction
@cache
def _halving(n: int) -> tuple[Tensor, Tensor]:
    """Along one axis of n pixels: what smooths it and leaves every other pixel (⌈n/2⌉, n), mirrored at the border so
    that a constant stays constant; and what enlarges that linearly again (n, ⌈n/2⌉)."""
    taps = torch.tensor(BINOMIAL, dtype=torch.float64)[None, None] / 16
    padded = F.pad(torch.eye(n, dtype=torch.float64)[:, None], (2, 2), mode="replicate")
    coarse = F.conv1d(padded, taps)[:, 0, ::2].T
    small = torch.eye(len(coarse), dtype=torch.float64)[:, None]
    return coarse, F.interpolate(small, size=n, mode="linear", align_corners=False)[:, 0].T


def _along(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images (N, H, W) with a matrix (h, H) along their first axis and one (w, W) along their second: (N, h, w)."""
    return rows.to(images) @ images @ columns.to(images).T


def laplacian_pyramid(images: Tensor, levels: int = 3) -> list[Tensor]:
    """Band-pass levels of (N, H, W) images, finest first; the last holds what is left. `collapse` adds them up.

    References: P. Burt and E. Adelson, The Laplacian pyramid as a compact image code, 1983.
    """
    current, pyramid = images, []
    for _ in range(levels - 1):
        if min(current.shape[-2:]) < 4:  # nothing coarser is left to split off
            break
        # smoothing and enlarging are linear and separable: products of small matrices, a tenth of the time of filters
        (down, up), (left, right) = (_halving(n) for n in current.shape[-2:])
        coarse = _along(current, down, left)
        pyramid.append(current - _along(coarse, up, right))
        current = coarse
    return [*pyramid, current]


def collapse(pyramid: list[Tensor]) -> Tensor:
    """The images (N, H, W) of a Laplacian pyramid, exactly."""
    current = pyramid[-1]
    for level in reversed(pyramid[:-1]):
        current = level + _along(current, *(_halving(n)[1] for n in level.shape[-2:]))
    return current


def lap1(x: Tensor, y: Tensor, levels: int = 3) -> Tensor:
    """Eq. (1): Σ_j 2^{2j} |L^j(x) − L^j(y)|_1, mean over the batch and over the pixels of the image.

    The pyramid is linear, so that of the difference is enough."""
    pyramid = laplacian_pyramid(x - y, levels)
    total = sum((4.0**j * level.abs().sum() for j, level in enumerate(pyramid)), x.new_zeros(()))
    return total / x.numel()


def reconstruction(x: Tensor, y: Tensor, alpha: float = 0.0, levels: int = 3) -> Tensor:
    """Eq. (2): α·Lap1 + MSE, mean over pixels."""
    error = (x - y).square().mean()
    return error + alpha * lap1(x, y, levels) if alpha else error


def poisson_nll(photons: Tensor, rate: Tensor) -> Tensor:
    """−log p(photons | rate) of independent Poisson counts without its constant log(photons!), mean over pixels."""
    rate = rate + EMPTY
    return (rate - photons * rate.log()).mean()


def sum_penalty(seen: Tensor, expected: Tensor) -> Tensor:
    """4 (√expected − √seen)² of sums of photons (N, k), mean: 1 is as far off as photon statistics alone.

    The square root makes the error of bright and of dim sums alike, so that a shower without light stays dark."""
    return 4 * ((expected + EMPTY).sqrt() - seen.sqrt()).square().mean()


# ------------------------------------------------------------------------------------------------------- transport
def with_conditions(points: Tensor, conditions: Tensor, scale: float) -> Tensor:
    """Eq. (8): points ⌢ scale·conditions; the scale says how dear it is to carry light to another particle."""
    return torch.cat([points, scale * conditions], dim=1)


def sinkhorn_divergence(
    x: Tensor, y: Tensor, blur: float = 0.05, scaling: float = 0.5, solver: Literal["own", "geomloss"] = "own"
) -> Tensor:
    """Eqs. (3, 4): debiased entropic transport between two clouds of equal weights, cost ½‖x − y‖², ε = blur².

    `scaling` is the factor from one blur to the next on the way down: nearer to 1 is more exact and slower.
    Computed by GeomLoss, J. Feydy et al., https://arxiv.org/abs/1810.08278, or for clouds of one size by
    `engine.sinkhorn`, which gives the same sooner. NaN where a point is not finite.
    """
    centre, reach = sinkhorn.box(x, y)
    if not math.isfinite(reach):
        return (x.sum() + y.sum()) * math.nan  # GeomLoss would raise: let the loop name the step
    # distances are expanded as x² + y² − 2xy, which loses digits far from the origin; clouds in one point have no
    # diameter, from which no descent could start
    diameter = max(reach, blur)
    if solver == "own":
        return sinkhorn.divergence((x - centre)[None], (y - centre)[None], blur, scaling, diameter)[0]
    return _geomloss(blur, scaling, diameter)(x - centre, y - centre)


def _geomloss(blur: float, scaling: float, diameter: float) -> SamplesLoss:
    return SamplesLoss(
        "sinkhorn", p=2, blur=blur, scaling=scaling, diameter=diameter, debias=True, backend="tensorized"
    )


def sinkhorn_by_class(
    x: Tensor,
    y: Tensor,
    classes: Tensor,
    blur: float = 0.05,
    scaling: float = 0.5,
    solver: Literal["own", "geomloss"] = "own",
) -> Tensor:
    """Σ_c n_c/N · S_ε(x_c, y_c) of clouds (N, d) whose rows are of the same `classes` (N,): what `sinkhorn_divergence`
    of clouds beside their classes is where classes lie so far apart that the plan carries nothing between them. Its
    cost is that of the blocks, a tenth of the whole for ten classes."""
    groups = Groups(classes.unique(return_inverse=True)[1])
    order = groups.count.argsort(descending=True, stable=True)  # so that neighbours are about as large
    # classes of one batch in one solver, the smaller ones filled up
    sizes, first, second = groups.count[order], groups.of(x, order)[0], groups.of(y, order)[0]
    centre, reach = sinkhorn.box(first, second)
    if not math.isfinite(reach):
        return (x.sum() + y.sum()) * math.nan
    diameter = max(reach, blur)
    if solver == "own":
        parts = sinkhorn.divergence(first - centre, second - centre, blur, scaling, diameter, sizes)
    else:
        solve = _geomloss(blur, scaling, diameter)
        pairs = zip(first - centre, second - centre, sizes.tolist(), strict=True)
        parts = torch.stack([solve(a[:n], b[:n]) for a, b, n in pairs])
    return (sizes / len(x) * parts).sum()


def blocks(classes: Tensor, most: int, rng: Generator) -> Tensor:
    """The number (N,) of each row's transport problem: the rows of each class (N,) are cut at random into the fewest
    problems of at most `most` points, whose sizes differ by one at most."""
    found, known = torch.zeros(len(classes), dtype=torch.long, device=classes.device), 0
    for c in classes.unique():
        rows = (classes == c).nonzero().squeeze(1)
        parts = math.ceil(len(rows) / most)
        order = torch.randperm(len(rows), generator=rng, device=classes.device)
        found[rows[order]] = known + torch.arange(len(rows), device=classes.device) % parts
        known += parts
    return found


def sinkhorn_in_blocks(
    x: Tensor,
    y: Tensor,
    most: int,
    rng: Generator,
    blur: float = 0.05,
    scaling: float = 0.5,
    solver: Literal["own", "geomloss"] = "own",
    classes: Tensor | None = None,
) -> Tensor:
    """Σ_b n_b/N · S_ε(x_b, y_b) over `blocks` of rows of (N, d) and (N, d), each of at most `most` points and within
    one of the `classes` (N,): N·most pairs of points instead of N². A batch of no more than that, or `most` 0, is not
    cut.

    Its expectation and gradient are those of blocks, not of the whole: two samples of one distribution are apart, the
    more the smaller a block is, and a cloud narrower than the other comes nearer to it.

    References: K. Fatras et al., Learning with minibatch Wasserstein, https://arxiv.org/abs/1910.04091, §3.
    """
    if 0 < most < len(x):
        classes = blocks(torch.zeros(len(x), device=x.device) if classes is None else classes, most, rng)
    if classes is None:
        return sinkhorn_divergence(x, y, blur, scaling, solver)
    return sinkhorn_by_class(x, y, classes, blur, scaling, solver)


def energy_score(generated: Tensor, owner: Tensor, seen: Tensor, seen_owner: Tensor) -> Tensor:
    """E‖g − x‖ − ½ E‖g − g′‖ over the replicas of each primary, mean over primaries; lowest for the true
    distribution of replicas, and only for it.

    generated: (G, d) with primaries `owner` (G,); seen: (N, d) with `seen_owner` (N,). Pairs g, g′ are distinct
    draws; a primary with one draw only contributes its first term.

    References: T. Gneiting and A. Raftery, Strictly proper scoring rules, 2007, Eq. (22).
    """
    _, primary = torch.unique(torch.cat([owner, seen_owner]), return_inverse=True)
    draws, shown = (Groups(part, int(primary.max()) + 1) for part in primary.split([len(owner), len(seen_owner)]))
    total = generated.new_zeros(())
    # only pairs within a primary count: primaries of about a size together, so that few places stay empty
    octave = 64 * torch.log2(draws.count).ceil() + torch.log2(shown.count.clamp(min=1)).ceil()
    for k in octave[draws.count > 0].unique():
        these = (octave == k).nonzero().squeeze(1)
        (g, within), (x, there) = draws.of(generated, these), shown.of(seen, these)
        n, m = draws.count[these, None, None], shown.count[these, None, None]
        # every primary weighs the same: each pair by one over the number of pairs of its primary
        first = torch.cdist(g, x) * (within[:, :, None] & there[:, None, :]) / (n * m).clamp(min=1)
        second = torch.cdist(g, g) * (within[:, :, None] & within[:, None, :]) / (n * (n - 1)).clamp(min=1)
        total = total + first.sum() - 0.5 * second.sum()
    return total / (draws.count > 0).sum()


class Groups:
    """The rows of each group, by its number (N,) among at least `groups`. count: (groups,), how many each has."""

    def __init__(self, number: Tensor, groups: int = 0) -> None:
        self.count = torch.bincount(number, minlength=groups)
        self.order, self.end = number.argsort(stable=True), self.count.cumsum(0)

    def of(self, points: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        """The points (G, most, d) of groups (G,), each filled up with the last of its own, and which places are not
        filled up (G, most)."""
        count, end = self.count[groups, None], self.end[groups, None]
        step = torch.arange(int(count.max()), device=points.device)
        place = torch.minimum(end - count + step, end - 1).clamp(min=0)
        return points[self.order[place]], step < count


# -------------------------------------------------------------------------------------------------- regularisation
def diversity(codes: Tensor, threshold: float = 0.0, scale: float = 1.0) -> Tensor:
    """Eqs. (5, 6): R_s = p Σ_{i≠j} m_ij cos(y_i, y_j)², m_ij = 1 where |cos(y_i, y_j)| ≥ τ, over the number of pairs,
    so that the weight does not depend on the batch; p is `scale`, τ `threshold`."""
    unit = F.normalize(codes, dim=1, eps=1e-12)
    cosine = unit @ unit.T
    apart = ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    kept = cosine.square() * (apart & (cosine.abs() >= threshold))
    return scale * kept.sum() / max(1, len(codes) * (len(codes) - 1))


def last_layer_l2(layer: torch.nn.Linear) -> Tensor:
    """Eq. (7): ‖θ‖² of the encoder's last layer."""
    return layer.weight.square().sum()


# ----------------------------------------------------------------------------------------------- codes and priors
def kl_to_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ_d (μ² + σ² − 1 − log σ²) of (N, d), mean over the batch.

    References: D. Kingma and M. Welling, Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114, App. B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def mmd(x: Tensor, y: Tensor, scales: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)) -> Tensor:
    """Unbiased squared maximum mean discrepancy of (n, d) and (m, d) with inverse multiquadratic kernels
    k(a, b) = Σ_s C/(C + ‖a − b‖²), C = 2·d·s: 2·d is what two standard normal points expect of ‖a − b‖².

    References: I. Tolstikhin et al., Wasserstein Auto-Encoders, https://arxiv.org/abs/1711.01558, Alg. 2 and §4.
    """

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
        constants = [2 * a.shape[1] * scale for scale in scales]
        return torch.stack([c / (c + distance) for c in constants]).sum(0)

    def among(a: Tensor) -> Tensor:
        # a point is at no distance of itself, where each kernel is 1
        return (kernel(a, a).sum() - len(scales) * len(a)) / (len(a) * (len(a) - 1))

    return among(x) + among(y) - 2 * kernel(x, y).mean()


def sliced_wasserstein(x: Tensor, y: Tensor, directions: Tensor) -> Tensor:
    """Mean over `directions` (L, d), of unit length, of the squared 2-Wasserstein distance between the projections of
    (n, d) and (n, d), which in one dimension pairs sorted values.

    References: S. Kolouri et al., Sliced-Wasserstein Autoencoder, https://arxiv.org/abs/1804.01947.
    """
    first, second = (torch.sort(cloud @ directions.T, dim=0).values for cloud in (x, y))
    return (first - second).square().mean()


def sphere(n: int, d: int, rng: Generator, like: Tensor) -> Tensor:
    """Points (n, d) drawn uniformly from the unit hypersphere, of the dtype and device of `like`.

    References: G. Patrini et al., Sinkhorn AutoEncoders, https://arxiv.org/abs/1810.01118.
    """
    return F.normalize(torch.randn((n, d), generator=rng, device=like.device, dtype=like.dtype), dim=1)


def effective_rank(codes: Tensor) -> Tensor:
    """exp of the entropy of the normalised singular values of centred codes (N, d): how many directions are in use,
    between 1 and d; 0 for codes in one point.

    References: O. Roy and M. Vetterli, The effective rank, 2007.
    """
    values = torch.linalg.svdvals(codes - codes.mean(0))
    share = values / values.sum().clamp(min=1e-12)
    return torch.exp(-torch.special.xlogy(share, share).sum()) * (values.sum() > 1e-12)


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """−E log softmax of ⟨a_i, b_i⟩/T among the pairs of a_i with every other of both views: low where a code (N, d)
    tells its example from all others, whatever the augmentation; a, b the views' codes on the unit sphere.

    References: T. Chen et al., A Simple Framework for Contrastive Learning, https://arxiv.org/abs/2002.05709, Eq. (1);
    A. van den Oord et al., https://arxiv.org/abs/1807.03748, Eq. (4).
    """
    both = F.normalize(torch.cat([first, second]), dim=1)
    alike = both @ both.T / temperature
    own = torch.eye(len(both), dtype=torch.bool, device=both.device)
    partner = torch.arange(len(both), device=both.device).roll(len(first))
    return F.cross_entropy(alike.masked_fill(own, -math.inf), partner)


# ------------------------------------------------------------------------------------------------------ adversaries
def logistic(real: Tensor, fake: Tensor) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z))) of logits (N,): what a discriminator minimises.

    References: I. Goodfellow et al., Generative Adversarial Networks, https://arxiv.org/abs/1406.2661, Eq. (1).
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: Generator) -> Tensor:
    """E (‖∇f(x̂)‖₂ − 1)² of a critic f, x̂ uniform on the line between each real and its generated point, (N, ...).

    References: I. Gulrajani et al., Improved Training of Wasserstein GANs, https://arxiv.org/abs/1704.00028, Eq. (3).
    """
    shape = (len(real), *[1] * (real.ndim - 1))
    share = torch.rand(shape, generator=rng, device=real.device, dtype=real.dtype)
    between = torch.lerp(real, fake, share).detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    # the tiny term keeps the root differentiable where a gradient vanishes
    return ((gradient.flatten(1).square().sum(1) + 1e-12).sqrt() - 1).square().mean()


def real_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """½ E ‖∇f(x)‖² of a critic f at real points (N, ...), R₁: where generated points have come near the real ones a
    critic should rest, and must not push on.

    References: L. Mescheder, A. Geiger, S. Nowozin, Which Training Methods for GANs do actually Converge?,
    https://arxiv.org/abs/1801.04406, Eq. (9).
    """
    real = real.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
    return 0.5 * gradient.flatten(1).square().sum(1).mean()


def replica_spread(showers: Tensor, primary: Tensor) -> Tensor:
    """How much the replicas of each shower's primary differ, (N,): standard deviation of log(1 + photons), mean over
    fibres, over the mean of the batch; 0 for a primary that is there once."""
    logs = torch.log1p(showers).flatten(1)
    member = (primary[:, None] == primary[None, :]).to(logs.dtype)
    mean = member @ logs / member.sum(1, keepdim=True)
    square = member @ logs.square() / member.sum(1, keepdim=True)
    spread = (square - mean.square()).clamp(min=0).sqrt().mean(1)
    return spread / spread.mean().clamp(min=1e-12)


def selective_diversity(
    first: Tensor, second: Tensor, noise_first: Tensor, noise_second: Tensor, wanted: Tensor
) -> Tensor:
    """E f·|z − z′| / |G(z, q) − G(z′, q)|, distances in the mean absolute difference: small where unlike noise makes
    unlike pictures (N, ...), counted as much as `wanted` f (N,) says, the spread of replicas.

    References: J. Dubiński et al., Selectively increasing the diversity of GAN-generated samples,
    https://arxiv.org/abs/2207.01561.
    """
    apart = (first - second).flatten(1).abs().mean(1)
    steps = (noise_first - noise_second).abs().mean(1)
    return (wanted * steps / (apart + 1e-3)).mean()


# ------------------------------------------------------------------------------------------------------------ flows
def flow_path(noise: Tensor, data: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """The point x_t = (1 − t)·noise + t·data on the straight path and its velocity data − noise, which a flow learns
    by squared error. noise, data: (N, ...); time: (N,) in [0, 1].

    References: Y. Lipman et al., Flow Matching for Generative Modeling, https://arxiv.org/abs/2210.02747, Eqs. (22, 23)
    with σ_min = 0.
    """
    share = time.view(-1, *[1] * (data.ndim - 1))
    return torch.lerp(noise, data, share), data - noise

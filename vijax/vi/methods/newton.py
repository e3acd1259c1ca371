r"""Newton's step on the fixed-draws objective: linear algebra that knows no model.

With whitened gradients g_s = Lᵀ ∇log p(m + L ε_s) of a batch of draws,

    gradient   ḡ = (1/S) Σ_s g_s
    curvature  A = −(1/S) Σ_s ε_s g_sᵀ, symmetrised    E_q[−∇²log p], by Stein's lemma

a step moves the precision of q to a blend of I and A and the mean by A⁻¹ ḡ, both in the
coordinates u = m + L v. See `fixed_draws` for the objective.

Outside of a trace the step is NumPy's: linear algebra with as many numbers as there
are unknowns takes microseconds, and most of a second to compile.
"""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from vijax.array_module import array_module, eigh
from vijax.types import Scalar
from vijax.vi.families.base import LOG_2PI
from vijax.vi.methods import linear_response


class Normal(NamedTuple):
    """N(loc, root rootᵀ); the root of a full rank is not triangular on the way."""

    loc: Float[Array, "..."]
    root: Float[Array, "..."]
    log_det: Float[Array, "..."]  # log |det root|


class Totals(NamedTuple):
    """Sums over the draws of the batches that have been added."""

    value: Scalar  # of log p
    gradient: Float[Array, " dim"]
    product: Float[Array, "dim dim"]  # Σ ε gᵀ
    third: Float[Array, "dim products"]
    last: Float[Array, "draws dim"]  # g of the last batch, whose spread gives errors


class Moments(NamedTuple):
    """What the fixed draws say at one q."""

    loss: Float[Array, "..."]  # F, the negative ELBO, in nats
    gradient: Float[Array, "..."]  # ḡ
    eigenvalues: Float[Array, "..."]  # of A
    vectors: Float[Array, "..."]
    loc_error: Float[Array, "..."]  # standard error of the mean, in sds of q
    scale_error: Float[Array, "..."]  # standard error of the log sd
    third: Float[Array, "..."]  # B, E_q[−∇³log p], in the whitened coordinates
    third_noise: Float[Array, "..."]  # what the draws' noise adds to B Bᵀ


def no_totals(noise: Any, num_products: int) -> Totals:
    """Return sums of nothing; the noise is (batches, draws, dim)."""
    xp = array_module(noise)
    _, num_draws, dim = noise.shape
    shapes = (), (dim,), (dim, dim), (dim, num_products), (num_draws, dim)
    return Totals(*(xp.zeros(shape, noise.dtype) for shape in shapes))


def add(totals: Totals, eps: Any, value: Any, gradient: Any) -> Totals:
    """Add a batch of draws: noise and whitened gradients (draws, dim), and log p."""
    xp = array_module(totals, eps, value, gradient)
    products = linear_response.products(eps, totals.third.shape[1])
    return Totals(
        totals.value + xp.sum(value),
        totals.gradient + xp.sum(gradient, axis=0),
        totals.product + eps.T @ gradient,
        totals.third - gradient.T @ products,
        gradient,
    )


def moments(totals: Totals, normal: Normal, eps: Any, num_batches: Any) -> Moments:
    """Return F, its gradient, curvature and errors; `eps` is the last batch's."""
    xp = array_module(totals, normal, eps)
    totals, root, eps = jax.tree.map(xp.asarray, (totals, normal.root, eps))
    dim = eps.shape[1]
    num_batches = xp.asarray(num_batches, eps.dtype)  # NumPy makes float64 of int32
    number = eps.shape[0] * num_batches
    product = totals.product
    eigenvalues, vectors = eigh(-0.5 * (product + product.T) / number)
    # The noise's mean and covariance are exact, so a g linear in ε costs no accuracy:
    # the errors are those of what is left, in the last batch, in sds of q.
    turned = eps @ vectors
    rest = totals.last @ vectors + turned * eigenvalues
    to_sds = root @ vectors / xp.sqrt(xp.sum(root**2, axis=1))[:, None]
    mean_move = (rest / magnitude(eigenvalues)) @ to_sds.T
    scale_move = (rest @ to_sds.T) * (turned @ to_sds.T)
    num_products = totals.third.shape[1]
    noise = linear_response.third_noise(rest @ vectors.T, eps, num_products)
    return Moments(
        -totals.value / number - normal.log_det - 0.5 * dim * (1 + LOG_2PI),
        totals.gradient / number,
        eigenvalues,
        vectors,
        _pair_error(mean_move, num_batches),
        0.5 * _pair_error(scale_move, num_batches),
        totals.third / number,
        noise / num_batches,
    )


def residual(moments: Moments, diagonal: bool) -> Any:
    """Return the largest move that a full step would make, in sds of q."""
    xp = array_module(moments)
    _, gradient, eigenvalues, vectors, *_ = moments
    if diagonal:
        move = vectors @ ((vectors.T @ gradient) / magnitude(eigenvalues))
        stretch = vectors**2 @ eigenvalues - 1
    else:
        move, stretch = gradient, eigenvalues - 1
    return xp.maximum(xp.max(xp.abs(move)), 0.5 * xp.max(xp.abs(stretch)))


def step(normal: Normal, moments: Moments, share: Any, diagonal: bool) -> Normal:
    """Return the next q, after a share of a full step."""
    xp = array_module(normal, moments, share)
    loc, root, log_det = normal
    _, gradient, eigenvalues, vectors, *_ = moments
    along = vectors.T @ gradient
    # Saddle-free: |λ| descends where log p is not concave; 0.05 lets q grow by no
    # more than a factor 4.5 a step.
    if diagonal:
        size = xp.maximum(vectors**2 @ eigenvalues, 0.05)
        stretch = 1 / xp.sqrt((1 - share) + share * size)
        move, new_root = vectors @ (along / magnitude(eigenvalues)), root * stretch
    else:
        precision = (1 - share) + share * xp.maximum(xp.abs(eigenvalues), 0.05)
        stretch = 1 / xp.sqrt(precision)
        move, new_root = vectors @ (along / precision), root @ (vectors * stretch)
        new_root = new_root @ vectors.T
    log_det = log_det + xp.sum(xp.log(stretch))
    return Normal(loc + share * root @ move, new_root, log_det)


def next_share(share: Any, old: Moments, new: Moments, better: Any, ratio: Any) -> Any:
    """Return the next share of a full step: less after a step too far, else more.

    Args:
        share: of the step that was tried.
        old: before it.
        new: after it.
        better: whether it was taken.
        ratio: of the residuals, new by old.
    """
    xp = array_module(share, old, new, better)
    # Gradient and curvature that change sign and stay large: the steps go to and fro.
    product = xp.vdot(new.gradient, old.gradient)
    product += xp.sum(new.eigenvalues - 1) * xp.sum(old.eigenvalues - 1)
    swings = (product < 0) & (ratio > 0.25)
    accepted = xp.where(swings, xp.maximum(0.25, 0.6 * share), 1.5 * share)
    return xp.where(better, xp.minimum(1, accepted), 0.25 * share)


def lower_root(root: Any) -> Any:
    """Return the lower triangular L with L Lᵀ = root rootᵀ."""
    xp = array_module(root)
    r = xp.linalg.qr(xp.asarray(root).T, mode="r")
    return (r * xp.sign(xp.diag(r))[:, None]).T


def covariance(normal: Normal, moments: Moments) -> Any:
    """Return the posterior's covariance by linear response; see linear_response."""
    return linear_response.covariance(
        normal.root,
        moments.eigenvalues,
        moments.vectors,
        moments.third,
        moments.third_noise,
    )


def magnitude(eigenvalues: Any) -> Any:
    """Return |λ|, small ones raised to 1e-5 of the largest."""
    xp = array_module(eigenvalues)
    size = xp.abs(xp.asarray(eigenvalues))
    return xp.maximum(size, 1e-5 * xp.max(size))


def _pair_error(values: Any, num_batches: Any) -> Any:
    """Return the standard error of a mean over antithetic pairs."""
    xp = array_module(values, num_batches)
    half = values.shape[0] // 2
    pairs = 0.5 * (values[:half] + values[half:])
    return xp.std(pairs, axis=0) / (half * num_batches) ** 0.5

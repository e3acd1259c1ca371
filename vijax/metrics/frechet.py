r"""The Fréchet distance of two sets of feature vectors, its error and its noise floor.

    ‖μ₁ - μ₂‖² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)     0 for equal means μ and covariances C

Two finite sets are at a distance above zero even where both are real, so a distance is
read beside `frechet_noise_floor`: real against real, for sets of the same sizes.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.metrics.feature_sets import Features, check_number, check_sets
from vijax.printing import Estimate
from vijax.types import Key, Scalar
from vijax.validate import real_numbers, where_valid


class GaussianMoments(NamedTuple):
    """Mean and covariance of feature vectors, all that the Fréchet distance sees."""

    mean: Float[Array, " features"]
    covariance: Float[Array, "features features"]


def mean_and_covariance(
    y: Features, weights: Float[ArrayLike, " _"] | None = None
) -> GaussianMoments:
    """Return the weighted mean and the unbiased covariance of feature vectors.

    Args:
        y: (n, features).
        weights: (n,), of any sum; equal ones by default.

    Raises:
        ValueError: weights that are not one for each vector.

    Example:
        >>> mean_and_covariance(jnp.array([[0.0], [2.0]])).covariance.item()
        2.0
    """
    y = jnp.asarray(real_numbers("y", y))
    if y.ndim != 2:
        raise ValueError(f"y has shape {y.shape}: give vectors (examples, features)")
    if weights is None:
        weights = jnp.ones_like(y[:, 0])
    weights = jnp.asarray(real_numbers("weights", weights))
    if weights.shape != y.shape[:1]:
        raise ValueError(
            f"weights have shape {weights.shape}: give one for each of {len(y)} vectors"
        )
    weights = weights / jnp.sum(weights)
    mean = weights @ y
    covariance = (weights[:, None] * (y - mean)).T @ (y - mean)
    return GaussianMoments(mean, covariance / (1 - jnp.sum(weights**2)))


def squared_wasserstein(a: GaussianMoments, b: GaussianMoments) -> Scalar:
    r"""Return W₂² between two Gaussians, the Fréchet distance of Heusel et al.

    The trace of (C₁ C₂)^½ is Σ √λ over the eigenvalues λ of C₁^½ C₂ C₁^½. That matrix
    is symmetric, so everything stays real.

    References:
        Dowson & Landau (1982), J. Multivariate Anal. 12, 450; Heusel et al. (2017),
        arXiv:1706.08500.

    Example:
        >>> a = GaussianMoments(jnp.zeros(2), jnp.eye(2))
        >>> b = GaussianMoments(jnp.ones(2), 4 * jnp.eye(2))
        >>> round(squared_wasserstein(a, b).item(), 4)  # 1 + 1 + (2 - 1)² + (2 - 1)²
        4.0
    """
    values, vectors = jnp.linalg.eigh(a.covariance)
    root = vectors * jnp.sqrt(jnp.maximum(values, 0)) @ vectors.T
    product = jnp.linalg.eigvalsh(root @ b.covariance @ root)
    overlap = jnp.sum(jnp.sqrt(jnp.maximum(product, 0)))
    traces = jnp.trace(a.covariance) + jnp.trace(b.covariance)
    return jnp.sum((a.mean - b.mean) ** 2) + traces - 2 * overlap


def frechet_distance(real: Features, generated: Features) -> Scalar:
    """Return the Fréchet distance of two sets, in squared units of the features.

    Args:
        real: (n, features).
        generated: (m, features).

    Raises:
        ValueError: unlike features, fewer than two examples, NaN or infinities.

    References:
        Heusel et al. (2017), arXiv:1706.08500.

    Example:
        >>> y = jnp.array([[0.0], [2.0]])
        >>> frechet_distance(y, y + 3).item()
        9.0
    """
    valid = check_sets(real, generated)
    return where_valid(valid, _frechet(jnp.asarray(real), jnp.asarray(generated)))


@jax.jit
def _frechet(real: Array, generated: Array) -> Scalar:
    return squared_wasserstein(
        mean_and_covariance(real), mean_and_covariance(generated)
    )


def frechet_distance_with_error(
    key: Key, real: Features, generated: Features, *, num_resamples: int = 100
) -> Estimate:
    """Return the Fréchet distance and its standard error by the Bayesian bootstrap.

    The error comes from the finite size of both sets. Finite sets also bias the
    distance upwards, and the error does not cover that: compare with
    `frechet_noise_floor`.

    Args:
        key: for the weights.
        real: (n, features).
        generated: (m, features).
        num_resamples: bootstrap resamples, 2 or more.

    Raises:
        ValueError: unlike features, fewer than two examples or resamples, NaN or
            infinities.

    Example:
        >>> y = jnp.arange(100.0)[:, None]  # two means, each known to 29 / √100 = 2.9
        >>> value, error = frechet_distance_with_error(jax.random.key(0), y, y + 10)
        >>> round(value.item()), 60 < error.item() < 110  # 2 · 10 · 2.9 · √2 = 82
        (100, True)
    """
    valid = check_sets(real, generated)
    check_number("num_resamples", num_resamples)
    union = jnp.concatenate([jnp.asarray(real), jnp.asarray(generated)])
    sizes = len(jnp.asarray(real)), len(jnp.asarray(generated))
    draws = _distances(union, _bootstrap_weights(key, sizes, num_resamples))
    return where_valid(valid, Estimate(draws[0], jnp.std(draws[1:], ddof=1)))


def frechet_noise_floor(
    key: Key, first: Features, second: Features, *, num_splits: int = 100
) -> Estimate:
    """Return `noise_floor` of the Fréchet distance.

    The distances run in the compiled program of `frechet_distance_with_error`, for as
    many draws and sets of these sizes.

    Args:
        key: for the splits.
        first: real examples, as many as the model is held against.
        second: other real examples, as many as the model generated.
        num_splits: 2 or more.

    Raises:
        ValueError: unlike features, fewer than two examples or splits, NaN or
            infinities.

    Example:
        >>> y = jnp.arange(200.0)[:, None]  # of halves: 2 · 57.7² / 100
        >>> floor = frechet_noise_floor(jax.random.key(0), y[:100], y[100:])
        >>> 40 < floor.value.item() < 100
        True
    """
    valid = check_sets(first, second, ("first", "second"))
    check_number("num_splits", num_splits)
    union = jnp.concatenate([jnp.asarray(first), jnp.asarray(second)])
    sizes = len(jnp.asarray(first)), len(jnp.asarray(second))
    draws = _distances(union, _split_weights(key, sizes, num_splits + 1))
    return where_valid(valid, Estimate(jnp.mean(draws), jnp.std(draws, ddof=1)))


@partial(jax.jit, static_argnums=(1, 2))
def _bootstrap_weights(
    key: Key, sizes: tuple[int, int], num_resamples: int
) -> Float[Array, "draws 2 vectors"]:
    """Return weights of both sets: equal ones, then Exp(1) for each resample."""
    weights = jax.random.exponential(key, (num_resamples, sum(sizes)))
    weights = jnp.concatenate([jnp.ones((1, sum(sizes))), weights])
    is_first = jnp.arange(sum(sizes)) < sizes[0]
    return jnp.where(jnp.stack([is_first, ~is_first]), weights[:, None], 0.0)


@partial(jax.jit, static_argnums=(1, 2))
def _split_weights(
    key: Key, sizes: tuple[int, int], num_splits: int
) -> Float[Array, "draws 2 vectors"]:
    """Return weights that choose each vector for one of two sets, at random."""
    rows = jnp.broadcast_to(jnp.arange(sum(sizes)), (num_splits, sum(sizes)))
    rows = jax.random.permutation(key, rows, axis=1, independent=True)
    is_first = rows < sizes[0]
    return jnp.stack([is_first, ~is_first], axis=1).astype(float)


@jax.jit
def _distances(
    union: Array, weights: Float[Array, "draws 2 vectors"]
) -> Float[Array, " draws"]:
    """Return distances between two weighted sets of all vectors, one for each draw."""

    def one(weights: Array) -> Scalar:
        return squared_wasserstein(
            mean_and_covariance(union, weights[0]),
            mean_and_covariance(union, weights[1]),
        )

    return jax.lax.map(one, weights.astype(union.dtype), batch_size=10)

r"""How good generated examples are: numbers that tell a good model from a bad one.

All compare two sets of feature vectors, real and generated, drawn independently:

    frechet_distance     ‖μ₁ - μ₂‖² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)     0 for equal moments
    two_sample_accuracy  how often a classifier knows them apart     ½ for equal sets

A distance between finite sets is above zero even where both are real. That noise
floor depends on the sizes of the sets and on the features, so no value means anything
without it: `noise_floor` measures it, real against real.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.types import Key, Scalar
from vijax.validate import check

Features = Float[ArrayLike, "_ features"]


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: Scalar
    standard_error: Scalar


class GaussianMoments(NamedTuple):
    """Mean and covariance."""

    mean: Float[Array, " features"]
    covariance: Float[Array, "features features"]


def mean_and_covariance(
    y: Features, weights: Float[ArrayLike, " _"] | None = None
) -> GaussianMoments:
    """Return the weighted mean and the unbiased covariance of feature vectors.

    Example:
        >>> mean_and_covariance(jnp.array([[0.0], [2.0]])).covariance.item()
        2.0
    """
    y = jnp.asarray(y)
    weights = jnp.ones_like(y[:, 0]) if weights is None else jnp.asarray(weights)
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

    The trace of (C₁ C₂)^½ is the sum of the roots of the eigenvalues of the symmetric
    C₁^½ C₂ C₁^½, which keeps everything real.

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

    References:
        Heusel et al. (2017), arXiv:1706.08500.

    Example:
        >>> y = jnp.array([[0.0], [2.0]])
        >>> frechet_distance(y, y + 3).item()
        9.0
    """
    _check(real, generated)
    return squared_wasserstein(
        mean_and_covariance(real), mean_and_covariance(generated)
    )


def frechet_distance_with_error(
    key: Key, real: Features, generated: Features, *, num_resamples: int = 100
) -> Estimate:
    """Return the Fréchet distance and its standard error by the Bayesian bootstrap.

    The error is that of both sets being finite. The bias which they share with every
    other pair of such sizes is not in it: compare with `frechet_noise_floor`.

    Args:
        key: for the weights.
        real: (n, features).
        generated: (m, features).
        num_resamples: of the bootstrap; 2 or more.

    Example:
        >>> y = jnp.arange(100.0)[:, None]  # two means, each known to 29 / √100 = 2.9
        >>> value, error = frechet_distance_with_error(jax.random.key(0), y, y + 10)
        >>> round(value.item()), 60 < error.item() < 110  # 2 · 10 · 2.9 · √2 = 82
        (100, True)
    """
    _check(real, generated)
    check(num_resamples >= 2, "num_resamples", num_resamples, "give 2 or more")
    size, other = len(jnp.asarray(real)), len(jnp.asarray(generated))
    first = np.arange(size + other) < size
    rng = _generator(key)
    weights = rng.exponential(size=(num_resamples, size + other))
    weights = np.concatenate([np.ones((1, size + other)), weights])
    draws = _between(real, generated, weights * first, weights * ~first)
    return Estimate(draws[0], jnp.asarray(np.std(draws[1:], ddof=1)))


def frechet_noise_floor(
    key: Key, first: Features, second: Features, *, num_splits: int = 100
) -> Estimate:
    """Return `noise_floor` of the Fréchet distance.

    It runs the program of `frechet_distance_with_error`, of as many draws and sets of
    these sizes: no other compilation.

    Args:
        key: for the splits.
        first: real examples, as many as the model is held against.
        second: other real examples, as many as the model generated.
        num_splits: 2 or more.

    Example:
        >>> y = jnp.arange(200.0)[:, None]  # of halves: 2 · 57.7² / 100
        >>> floor = frechet_noise_floor(jax.random.key(0), y[:100], y[100:])
        >>> 40 < floor.value.item() < 100
        True
    """
    _check(first, second)
    check(num_splits >= 2, "num_splits", num_splits, "give 2 or more")
    size, other = len(jnp.asarray(first)), len(jnp.asarray(second))
    rng = _generator(key)
    chosen = np.stack(
        [rng.permutation(size + other) < size for _ in range(num_splits + 1)]
    )
    draws = _between(first, second, 1.0 * chosen, 1.0 * ~chosen)
    return Estimate(jnp.mean(draws), jnp.asarray(np.std(draws, ddof=1)))


def _generator(key: Key) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())


def _between(
    first: Features, second: Features, weights: np.ndarray, others: np.ndarray
) -> Float[Array, " draws"]:
    """Return distances between two weighted sets of all vectors, one for each draw."""
    union = jnp.concatenate([jnp.asarray(first), jnp.asarray(second)])
    weights = np.stack([weights, others], axis=1)  # (draws, 2, vectors)
    return _distances(union, jnp.asarray(weights, union.dtype))


@jax.jit
def _distances(union: Array, weights: Array) -> Float[Array, " draws"]:
    def one(weights: Array) -> Scalar:
        return squared_wasserstein(
            mean_and_covariance(union, weights[0]),
            mean_and_covariance(union, weights[1]),
        )

    return jax.lax.map(one, weights, batch_size=10)


def noise_floor(
    key: Key,
    first: Features,
    second: Features,
    distance: Callable[[Any, Any], Scalar],
    *,
    num_splits: int = 50,
) -> Estimate:
    """Return a distance's mean between random halves of real data, and its spread.

    Args:
        key: for the splits.
        first: real examples, as many as the model is held against.
        second: other real examples, as many as the model generated.
        distance: of two sets.
        num_splits: random splits of the union into sets of these two sizes.

    Returns:
        The mean over the splits, and their standard deviation: that of one set's
        distance where nothing is wrong, so values beyond a few of it tell a model
        from the data.

    Example:
        >>> y = jnp.arange(200.0)[:, None]  # of halves: 2 · 57.7² / 100
        >>> key = jax.random.key(0)
        >>> floor = noise_floor(key, y[:100], y[100:], frechet_distance, num_splits=100)
        >>> 40 < floor.value.item() < 100
        True
    """
    _check(first, second)
    check(num_splits >= 2, "num_splits", num_splits, "give 2 or more")
    first, second = jnp.asarray(first), jnp.asarray(second)
    union, size = jnp.concatenate([first, second]), len(first)

    keys = jax.random.split(key, num_splits)
    draws = _splits(distance, size, union, keys)
    return Estimate(jnp.mean(draws), jnp.std(draws, ddof=1))


@partial(jax.jit, static_argnums=(0, 1))
def _splits(
    distance: Callable[[Any, Any], Scalar], size: int, union: Array, keys: Key
) -> Float[Array, " splits"]:
    def one(key: Key) -> Scalar:
        rows = jax.random.permutation(key, len(union))
        return distance(union[rows[:size]], union[rows[size:]])

    return jax.lax.map(one, keys, batch_size=10)


def two_sample_accuracy(real: Features, generated: Features) -> Estimate:
    """Return how often a nearest-neighbour classifier tells real from generated.

    Every second vector of both sets is known with its label; each of the others gets
    the label of the nearest known one. Given the known half these are independent
    trials, so the binomial error holds. ½ means that no difference was found.

    Args:
        real: (n, features).
        generated: as many; of a longer set the first n are taken.

    References:
        Lopez-Paz & Oquab (2017), arXiv:1610.06545.

    Example:
        >>> real, generated = jnp.arange(8.0)[:, None], jnp.arange(8.0)[:, None] + 100
        >>> two_sample_accuracy(real, generated).value.item()
        1.0
    """
    _check(real, generated)
    real, generated = jnp.asarray(real), jnp.asarray(generated)
    size = min(len(real), len(generated)) // 2 * 2
    real, generated = real[:size], generated[:size]
    known = jnp.concatenate([real[::2], generated[::2]])
    asked = jnp.concatenate([real[1::2], generated[1::2]])
    is_real = jnp.arange(size) < size // 2
    squares = jnp.sum(known**2, axis=1)

    def nearest_is_real(y: Float[Array, " features"]) -> Array:
        # ‖k - y‖² without ‖y‖², which is the same for all.
        return is_real[jnp.argmin(squares - 2 * known @ y)]

    answers = jax.lax.map(nearest_is_real, asked, batch_size=500)
    value = jnp.mean((answers == is_real).astype(real.dtype))
    return Estimate(value, jnp.sqrt(value * (1 - value) / size))


def _check(real: Features, generated: Features) -> None:
    shapes = jnp.shape(real), jnp.shape(generated)
    if len(shapes[0]) != 2 or shapes[0][1:] != shapes[1][1:]:
        raise ValueError(
            f"real has shape {shapes[0]} and generated {shapes[1]}: give vectors "
            "(examples, features) of equally many features"
        )
    for name, y in (("real", jnp.asarray(real)), ("generated", jnp.asarray(generated))):
        check(len(y) >= 2, name, y, "give two examples or more")
        check(jnp.isfinite(y), name, y, "remove NaN and infinities")

r"""How far generated examples are from real ones, by any distance.

    noise_floor          any distance, real against real: what it means to be close
    two_sample_accuracy  how often a classifier tells the sets apart; ½ for equal sets

Two finite sets are at a distance above zero even where both are real. That noise floor
depends on the sizes of the sets and on the features, and a distance means nothing
without it. `frechet` and `wasserstein` are distances.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.metrics.feature_sets import Features, check_number, check_sets
from vijax.printing import Estimate
from vijax.types import Key, Scalar
from vijax.validate import where_valid


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
        The mean over the splits, and their standard deviation. A perfect model's
        distance scatters by that much about the mean, so a distance several of them
        above it tells a model from the data.

    Raises:
        ValueError: unlike features, fewer than two examples or splits, NaN or
            infinities.

    Example:
        >>> from vijax.metrics import frechet_distance
        >>> y = jnp.arange(200.0)[:, None]  # of halves: 2 · 57.7² / 100
        >>> key = jax.random.key(0)
        >>> floor = noise_floor(key, y[:100], y[100:], frechet_distance, num_splits=100)
        >>> 40 < floor.value.item() < 100
        True
    """
    valid = check_sets(first, second, ("first", "second"))
    check_number("num_splits", num_splits)
    first, second = jnp.asarray(first), jnp.asarray(second)
    union, size = jnp.concatenate([first, second]), len(first)

    keys = jax.random.split(key, num_splits)
    draws = _splits(distance, size, union, keys)
    return where_valid(valid, Estimate(jnp.mean(draws), jnp.std(draws, ddof=1)))


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

    The classifier knows every second vector of both sets, with its label. Each other
    vector gets the label of the nearest known one. Given the known half these are
    independent trials, so the binomial error holds. ½ means that no difference was
    found.

    Args:
        real: (n, features).
        generated: (m, features); the longer set is cut to the length of the shorter.

    Raises:
        ValueError: unlike features, fewer than two examples, NaN or infinities.

    References:
        Lopez-Paz & Oquab (2017), arXiv:1610.06545.

    Example:
        >>> real, generated = jnp.arange(8.0)[:, None], jnp.arange(8.0)[:, None] + 100
        >>> two_sample_accuracy(real, generated).value.item()
        1.0
    """
    valid = check_sets(real, generated)
    found = _two_sample_accuracy(jnp.asarray(real), jnp.asarray(generated))
    return where_valid(valid, found)


@jax.jit
def _two_sample_accuracy(real: Array, generated: Array) -> Estimate:
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

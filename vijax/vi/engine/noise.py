"""Standard normal noise whose first moments are exact."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax.types import Key


def whitened(key: Key, num_draws: int, dim: int, dtype: Any) -> Array:
    """Draw noise with mean 0 and covariance I exactly, without pairs.

    (draws, dim). What is linear in it has no error at all, which takes most of the
    noise from moments. With no more draws than dimensions it is plain noise.

    Example:
        >>> eps = whitened(jax.random.key(0), 64, 3, "float32")
        >>> bool(abs(eps.mean(0)).max() < 1e-6)
        True
        >>> bool(abs(eps.T @ eps / 64 - jnp.eye(3)).max() < 1e-6)
        True
    """
    noise = jax.random.normal(key, (num_draws, dim), dtype)
    return _whiten(noise - noise.mean(axis=0)) if num_draws > dim + 1 else noise


def standardized(
    key: Key, num_batches: int, num_draws: int, dim: int, dtype: Any
) -> Array:
    """Draw antithetic noise whose batches each have mean 0 and covariance I exactly.

    (batches, draws, dim); the covariance is exact where `num_draws` is above twice
    the dimension.

    Example:
        >>> eps = standardized(jax.random.key(0), 2, 64, 3, "float32")[1]
        >>> bool(abs(eps.mean(0)).max() < 1e-6)
        True
        >>> bool(abs(eps.T @ eps / 64 - jnp.eye(3)).max() < 1e-6)
        True
    """
    noise = jax.random.normal(key, (num_batches, num_draws // 2, dim), dtype)
    if num_draws // 2 > dim:
        noise = _whiten(noise)
    return jnp.concatenate([noise, -noise], axis=1)


def _whiten(
    noise: Float[Array, "*batch draws dim"],
) -> Float[Array, "*batch draws dim"]:
    """Return ε L⁻ᵀ with εᵀ ε / draws = L Lᵀ."""
    transposed = jnp.swapaxes(noise, -2, -1)
    lower = jnp.linalg.cholesky(transposed @ noise / noise.shape[-2])
    return jnp.swapaxes(solve_triangular(lower, transposed, lower=True), -2, -1)

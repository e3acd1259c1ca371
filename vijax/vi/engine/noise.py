"""Standard normal noise, drawn without compiling anything where that is possible."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vijax.types import Key
from vijax.validate import is_traced


def normal(key: Key, shape: tuple[int, ...], dtype: Any, *, stream: int = 0) -> Any:
    """Draw from N(0, 1); each stream of a key is independent of the others.

    Inside a trace the draws are JAX's own. Outside they are NumPy's, seeded by the
    key: the same key gives the same draws, and no time goes into compiling a
    generator for every shape, which costs more than many a fit.

    Example:
        >>> key = jax.random.key(0)
        >>> a, b = (normal(key, (2, 3), "float32", stream=s) for s in (1, 2))
        >>> a.shape, bool((a == normal(key, (2, 3), "float32", stream=1)).all())
        ((2, 3), True)
        >>> bool((a != b).all())
        True
    """
    if is_traced(key):
        return jax.random.normal(jax.random.fold_in(key, stream), shape, dtype)
    words = np.asarray(jax.random.key_data(key)).ravel().tolist()
    rng = np.random.default_rng([stream, *words])
    return rng.standard_normal(shape, np.dtype(dtype))


def whitened(key: Key, num_draws: int, dim: int, dtype: Any, *, stream: int = 0) -> Any:
    """Draw noise with mean 0 and covariance I exactly, without pairs.

    (draws, dim). What is linear in it has no error at all, which takes most of the
    noise from moments. With draws no more than dimensions it is plain noise.

    Example:
        >>> eps = whitened(jax.random.key(0), 64, 3, "float32")
        >>> bool(abs(eps.mean(0)).max() < 1e-6)
        True
        >>> bool(abs(eps.T @ eps / 64 - np.eye(3)).max() < 1e-6)
        True
    """
    noise = normal(key, (num_draws, dim), dtype, stream=stream)
    return _whiten(noise - noise.mean(axis=0)) if num_draws > dim + 1 else noise


def standardized(
    key: Key, num_batches: int, num_draws: int, dim: int, dtype: Any, *, stream: int = 0
) -> Any:
    """Draw antithetic noise whose batches each have mean 0 and covariance I exactly.

    (batches, draws, dim); the covariance is exact where `num_draws` is above twice
    the dimension.

    Example:
        >>> eps = standardized(jax.random.key(0), 2, 64, 3, "float32")[1]
        >>> bool(abs(eps.mean(0)).max() < 1e-6)
        True
        >>> bool(abs(eps.T @ eps / 64 - np.eye(3)).max() < 1e-6)
        True
    """
    half = num_draws // 2
    noise = normal(key, (num_batches, half, dim), dtype, stream=stream)
    if half > dim:
        noise = _whiten(noise)
    xp: Any = jnp if is_traced(noise) else np
    return xp.concatenate([noise, -noise], axis=1)


def _whiten(noise: Any) -> Any:
    """Return ε L⁻ᵀ with εᵀ ε / draws = L Lᵀ."""
    xp: Any = jnp if is_traced(noise) else np
    covariance = xp.swapaxes(noise, -2, -1) @ noise / noise.shape[-2]
    inverse = xp.linalg.inv(xp.linalg.cholesky(covariance))
    return (noise @ xp.swapaxes(inverse, -2, -1)).astype(noise.dtype)

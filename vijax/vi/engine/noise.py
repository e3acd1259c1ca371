"""Standard normal noise made to have its first moments exactly.

The functions take plain noise, `jax.random.normal(key, shape, dtype)`. Draw it outside
of programs that are compiled with little optimisation, where a random number costs
microseconds.
"""

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float


def whitened(noise: Float[Array, "draws dim"]) -> Float[Array, "draws dim"]:
    """Return noise with mean 0 and covariance I exactly.

    What is linear in it has no error at all, which takes most of the noise from
    moments. With no more draws than dimensions it is left as it is.

    Example:
        >>> import jax
        >>> eps = whitened(jax.random.normal(jax.random.key(0), (64, 3)))
        >>> bool(abs(eps.mean(0)).max() < 1e-6)
        True
        >>> bool(abs(eps.T @ eps / 64 - jnp.eye(3)).max() < 1e-6)
        True
    """
    if noise.shape[0] <= noise.shape[1] + 1:
        return noise
    return _whiten(noise - noise.mean(axis=0))


def standardized(
    half: Float[Array, "batches half dim"],
) -> Float[Array, "batches draws dim"]:
    """Return antithetic pairs whose batches each have mean 0 and covariance I exactly.

    The covariance is exact where half a batch is more than the dimension.

    Example:
        >>> import jax
        >>> eps = standardized(jax.random.normal(jax.random.key(0), (2, 32, 3)))[1]
        >>> bool(abs(eps.mean(0)).max() < 1e-6)
        True
        >>> bool(abs(eps.T @ eps / 64 - jnp.eye(3)).max() < 1e-6)
        True
    """
    if half.shape[1] > half.shape[2]:
        half = _whiten(half)
    return jnp.concatenate([half, -half], axis=1)


def _whiten(
    noise: Float[Array, "*batch draws dim"],
) -> Float[Array, "*batch draws dim"]:
    """Return ε L⁻ᵀ with εᵀ ε / draws = L Lᵀ."""
    transposed = jnp.swapaxes(noise, -2, -1)
    lower = jnp.linalg.cholesky(transposed @ noise / noise.shape[-2])
    return jnp.swapaxes(solve_triangular(lower, transposed, lower=True), -2, -1)

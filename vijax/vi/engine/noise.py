"""Standard normal noise: drawn by one program, and with its first moments exact.

`jax.random.normal` compiles anew for every shape, which takes longer than many a fit.
`normal` draws blocks of one size, so that a process compiles it once, and few numbers
from bits that NumPy makes (see `threefry`): the same numbers either way.
"""

from functools import partial
from math import ceil, prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.array_module import array_module
from vijax.types import Key
from vijax.vi.engine import threefry
from vijax.vi.engine.compilation import in_trace

SMALL, LARGE = 2**13, 2**18  # numbers in a block; the large one for many
MAX_WHITENED = 1000  # dimensions; above, a covariance is too large to be made


def normal(key: Key, shape: tuple[int, ...], dtype: Any) -> Any:
    """Draw from N(0, 1), block by block; the same numbers in a trace and outside.

    Example:
        >>> key = jax.random.key(0)
        >>> eps = normal(key, (3, 2), "float32")
        >>> traced = jax.jit(lambda key: normal(key, (3, 2), "float32"))(key)
        >>> bool((traced == eps).all())
        True
    """
    count = prod(shape)
    size = SMALL if count <= LARGE else LARGE
    draw: Any = partial(_block, key, size=size, dtype=np.dtype(dtype).name)
    numbers: Any = np.arange(ceil(count / size), dtype=np.int32)
    if in_trace():
        drawn: Any = jax.lax.map(draw, jnp.asarray(numbers)).reshape(-1)
        return drawn[:count].reshape(shape)
    # Folded all at once, where NumPy makes the bits.
    if size == SMALL and np.dtype(dtype) == np.float32 and threefry.is_ours(key):
        draw = _small_block
        numbers = zip(*threefry.folded(threefry.words(key), numbers), strict=True)
    blocks = [draw(number) for number in numbers]  # one is made as others begin
    drawn = np.concatenate([np.asarray(block) for block in blocks])
    return drawn[:count].reshape(shape)


@partial(jax.jit, static_argnames=("size", "dtype"))
def _block(key: Key, number: Any, *, size: int, dtype: str) -> Float[Array, " size"]:
    return jax.random.normal(jax.random.fold_in(key, number), (size,), dtype)


def _small_block(folded: threefry.Words) -> Any:
    """Return `_block` of float32, from the words of a folded key."""
    return _of_bits(threefry.bits(folded, SMALL))


@jax.jit
def _of_bits(bits: Array) -> Float[Array, " size"]:
    """Return the normal numbers that `jax.random.normal` makes of its bits."""
    # 23 bits of mantissa under the exponent of [1, 2): uniform on (−1, 1).
    one_to_two = bits >> np.uint32(9) | np.uint32(0x3F800000)
    fraction = jax.lax.bitcast_convert_type(one_to_two, jnp.float32) - 1
    least = np.nextafter(np.float32(-1), np.float32(0))
    uniform = jnp.maximum(least, fraction * (np.float32(1) - least) + least)
    return np.float32(np.sqrt(2)) * jax.lax.erf_inv(uniform)


def whitened(noise: Any) -> Any:
    """Return noise, (draws, dim), with mean 0 and covariance I exactly.

    What is linear in it has no error at all, which takes most of the noise from
    moments. With no more draws than dimensions, or more than 1000 dimensions, it is
    left as it is.

    Example:
        >>> eps = whitened(jax.random.normal(jax.random.key(0), (64, 3)))
        >>> bool(abs(eps.mean(0)).max() < 1e-6)
        True
        >>> bool(abs(eps.T @ eps / 64 - jnp.eye(3)).max() < 1e-6)
        True
    """
    noise = array_module(noise).asarray(noise)
    if not can_be_whitened(*noise.shape):
        return noise
    return _whiten(noise - noise.mean(axis=0))


def can_be_whitened(num_draws: int, dim: int) -> bool:
    """Say whether `whitened` gives so many draws their exact moments.

    Example:
        >>> can_be_whitened(10, 3), can_be_whitened(10, 10)
        (True, False)
    """
    return num_draws > dim + 1 and dim <= MAX_WHITENED


def standardized(half: Any) -> Any:
    """Return antithetic pairs, (batches, 2 half, dim), of mean 0 and covariance I.

    The covariance is exact where half a batch is more than the dimension.

    Example:
        >>> eps = standardized(jax.random.normal(jax.random.key(0), (2, 32, 3)))[1]
        >>> bool(abs(eps.mean(0)).max() < 1e-6)
        True
        >>> bool(abs(eps.T @ eps / 64 - jnp.eye(3)).max() < 1e-6)
        True
    """
    xp = array_module(half)
    half = xp.asarray(half)
    if half.shape[1] > half.shape[2]:
        half = _whiten(half)
    return xp.concatenate([half, -half], axis=1)


def _whiten(noise: Any) -> Any:
    """Return ε L⁻ᵀ with εᵀ ε / draws = L Lᵀ, for one batch of draws or several."""
    xp = array_module(noise)
    transposed = xp.swapaxes(noise, -2, -1)
    lower = xp.linalg.cholesky(transposed @ noise / noise.shape[-2])
    return noise @ xp.swapaxes(xp.linalg.inv(lower), -2, -1)

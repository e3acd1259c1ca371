"""JAX's counter-based random bits by NumPy: the same bits, and nothing to compile.

Threefry-2x32 with 20 rounds, the default generator of `jax.random`. Its unrolled rounds
take XLA longer to compile than many a fit takes to run.

References:
    Salmon, Moraes, Dror & Shaw (2011), SC '11, doi:10.1145/2063384.2063405.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vijax.types import Key
from vijax.validate import is_traced
from vijax.vi.engine.compilation import in_trace

ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
PARTITIONED = "jax_threefry_partitionable"  # counters as they are used here
PARITY = np.uint32(0x1BD11BDA)
Words = tuple[Any, Any]  # of 32 bits


def is_ours(key: Key) -> bool:
    """Say whether a key's bits can be had here: JAX's defaults, outside of a trace."""
    return (
        not in_trace()
        and not is_traced(key)
        and str(jax.random.key_impl(key)) == "threefry2x32"
        and bool(getattr(jax.config, PARTITIONED))
    )


def fold_in(key: Key, number: Any) -> Key:
    """Return `jax.random.fold_in(key, number)`.

    Example:
        >>> key = jax.random.key(0)
        >>> bool(fold_in(key, 3) == jax.random.fold_in(key, 3))
        True
    """
    if not is_ours(key):
        return jax.random.fold_in(key, number)
    both = np.concatenate(folded(words(key), number))
    found: Key = jax.random.wrap_key_data(jnp.asarray(both))
    return found


def words(key: Key) -> Words:
    """Return the two words of a key."""
    first, second = np.asarray(jax.random.key_data(key))
    return first, second


def folded(key: Words, number: Any) -> Words:
    """Return the words of a key with a number folded in, or with each of several."""
    numbers = np.atleast_1d(number).astype(np.uint32)
    return _threefry(key, (np.zeros_like(numbers), numbers))


def bits(key: Words, size: int) -> np.ndarray:
    """Return `jax.random.bits` of a key's words, 32 each, of at most 2³² numbers.

    Example:
        >>> key = jax.random.key(0)
        >>> bool((bits(words(key), 5) == jax.random.bits(key, (5,))).all())
        True
    """
    counts = np.arange(size, dtype=np.uint32)
    high, low = _threefry(key, (np.zeros_like(counts), counts))
    return np.asarray(high ^ low)


def _threefry(key: Words, counts: Words) -> Words:
    """Encrypt two words by two words; overflow is meant."""
    first, second = np.atleast_1d(*key)  # of which NumPy does not warn in arrays
    keys = first, second, first ^ second ^ PARITY
    x, y = counts[0] + keys[0], counts[1] + keys[1]
    for block in range(5):
        for turn in ROTATIONS[block % 2]:
            x = x + y
            y = (y << np.uint32(turn) | y >> np.uint32(32 - turn)) ^ x
        x = x + keys[(block + 1) % 3]
        y = y + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x, y

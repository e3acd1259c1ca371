"""Compiled functions on data of any size: in batches of one shape, compiled once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import PyTree

from vijax.precision import full_precision
from vijax.validate import check, is_traced, is_whole


def map_batches(
    function: Callable[..., PyTree], *arrays: ArrayLike, batch_size: int
) -> Any:
    """Apply a compiled function to batches of rows and put the results together.

    The last batch is filled up by repeating rows, whose results are dropped: every
    call has the same shape, whatever the number of rows. Inside a trace the loop over
    batches is unrolled.

    Args:
        function: of one batch of each array; returns a pytree of batches.
        *arrays: with as many rows each.
        batch_size: rows in a batch; bounds the memory.

    Raises:
        ValueError: no rows, not as many rows in each, no batch size.

    Example:
        >>> map_batches(jax.jit(lambda x: 2 * x), jnp.arange(5), batch_size=2).tolist()
        [0, 2, 4, 6, 8]
    """
    rows = np.shape(arrays[0])[0]
    remedy = "give 1 or more"
    check(is_whole(batch_size) and batch_size >= 1, "batch_size", batch_size, remedy)
    check(rows >= 1, "rows", rows, remedy)
    for array in arrays:
        length = np.shape(array)[0]
        check(length == rows, "rows", length, f"give {rows}, as in the first array")
    parts, apply = [], full_precision(function)
    for start in range(0, rows, batch_size):
        index = np.minimum(np.arange(start, start + batch_size), rows - 1)
        parts.append(apply(*(_take(array, index) for array in arrays)))
    return jax.tree.map(lambda *leaves: _join(leaves, rows), *parts)


# NumPy indexes, joins and cuts, and device_put hands over, without compiling a program
# for every number of rows, as JAX's own indexing and asarray do.
def _take(array: ArrayLike, index: np.ndarray) -> ArrayLike:
    return jnp.asarray(array)[index] if is_traced(array) else np.asarray(array)[index]


def _join(leaves: tuple[ArrayLike, ...], rows: int) -> jax.Array:
    if is_traced(leaves):
        return jnp.concatenate(leaves)[:rows]
    return jax.device_put(np.concatenate(leaves)[:rows])

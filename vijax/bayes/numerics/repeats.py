"""Elementwise functions of data that repeat themselves: each value is computed once.

A million experiments with one background have a few dozen counts between them. Where an
answer takes a fraction of a millisecond, finding the equal ones first is all the speed.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from vijax.validate import is_traced

LEAST = 64  # elements, below which nothing is looked for


def once_each(function: Callable[..., Any], *arrays: Array) -> Any:
    """Return function(*arrays), computed once for each set of arguments.

    Inside of a trace, and where few are equal, all are computed.

    Args:
        function: element by element; returns a pytree of arrays of their shape.
        *arrays: arguments, all of one shape.

    Example:
        >>> import jax.numpy as jnp
        >>> def square(x):
        ...     print(x.shape)
        ...     return x**2
        >>> once_each(square, jnp.arange(1000.0) % 3).shape
        (4,)
        (1000,)
    """
    size = arrays[0].size
    if is_traced(*arrays) or size < LEAST:
        return function(*arrays)
    code = np.zeros(size, np.int64)
    for array in arrays:
        values, place = np.unique(np.asarray(array).ravel(), return_inverse=True)
        # Numbered anew after each, so that no product of sizes overflows.
        code = np.unique(code * len(values) + place, return_inverse=True)[1]
    where = np.unique(code, return_index=True)[1]
    if 2 * len(where) > size:
        return function(*arrays)
    # A power of two, so that few sizes are compiled.
    padded = np.resize(where, 1 << (len(where) - 1).bit_length())
    found = function(*(array.ravel()[padded] for array in arrays))
    return jax.tree.map(lambda x: x[code].reshape(arrays[0].shape), found)

"""How many components a mixture over a count needs, such that counts stay data.

The number of components is a shape, and every shape is a program. So it is padded, and
what has no weight is left out.
"""

from functools import partial

import jax
import numpy as np
from jaxtyping import Array

from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import is_traced, seen

_SMALLEST = 64  # components; their number is a power of four times this one
_NEGLIGIBLE = 140.0  # log weight below the largest: 1e-61


def max_count_of(n_on: Numbers, max_count: int | None, name: str = "n_on") -> int:
    """Return the number of components less one, before anything is traced."""
    if max_count is not None:
        return value_checks.whole("max_count", max_count)
    if is_traced(n_on):
        raise ValueError(
            f"max_count is needed where {name} is traced: give one >= {name}"
        )
    count, _ = value_checks.counts(name, n_on)
    return int(np.asarray(n_on, float).max()) if np.ndim(n_on) == 0 else count.size


def is_enough(n_on: Array, max_count: int) -> Array:
    """Say whether all counts up to n_on have a component."""
    remedy = "give a number >= n_on"
    return value_checks.checked(seen(n_on) <= max_count, "max_count", max_count, remedy)


def padded(max_count: int) -> int:
    """Return a number of components that few other counts exceed."""
    size = _SMALLEST
    while size < max_count + 1:
        size *= 4
    return size


def crop(counts: Array, log_weights: Array) -> tuple[Array, Array]:
    """Leave out components without weight: of many counts most have none."""
    weights = np.asarray(log_weights)
    (index,) = np.nonzero(weights > weights.max() - _NEGLIGIBLE)
    if not index.size:
        return counts, log_weights
    size = padded(int(index[-1] - index[0]))
    first = min(int(index[0]), len(weights) - size)
    return _slice(counts, first, size), _slice(log_weights, first, size)


@partial(jax.jit, static_argnums=2)
def _slice(values: Array, first: Numbers, size: int) -> Array:
    return jax.lax.dynamic_slice(values, (first,), (size,))

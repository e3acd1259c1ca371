"""Ends of score intervals: where the estimate is z standard errors away.

The standard error is the one that holds at the end, not at the estimate.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vijax.bayes.numerics import roots


def score_end(
    misfit: Callable[[Array], tuple[Array, Array]], inside: Array, outside: Array
) -> Array:
    """Return x with gap² = allowed, between one inside and one outside.

    Args:
        misfit: x -> gap and allowed: how far the estimate is, and z² times the variance
            that it would have.
        inside: the estimate, where the gap is 0.
        outside: where the gap is larger than allowed, or the end of what is possible.

    Example:
        >>> zero, far = jnp.asarray(0.0), jnp.asarray(9.0)
        >>> print(f"{score_end(lambda x: (x, 1 + x), zero, far):.4f}")  # x² = 1 + x
        1.6180
    """

    def excess(x: Array) -> Array:
        # Between -1/2 and 1/2, however large the gap is.
        gap, allowed = misfit(x)
        total = gap**2 + allowed
        some = total > 0
        share = gap**2 / jnp.where(some, total, 1.0)
        return jnp.where(some, share, 0.0) - 0.5

    def solve(excess: roots.Residual, outside: Array) -> Array:
        low, high = jax.lax.stop_gradient((inside, outside))
        return roots.bracketed(excess, low, high)

    return roots.implicit_root(excess, jax.lax.stop_gradient(outside), solve)

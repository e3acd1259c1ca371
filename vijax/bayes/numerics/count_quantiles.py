"""Quantiles of counts: whole numbers, found by bisection between whole numbers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vijax import special

_STEPS = 64  # of any range of whole numbers that a float64 knows


def smallest_count(holds: Callable[[Array], Array], high: Array) -> Array:
    """Return the smallest count, up to `high`, where a condition does not hold.

    It holds for all smaller ones. The result has no derivative.

    Example:
        >>> smallest_count(lambda n: n**2 < 10, jnp.asarray(100.0)).item()
        4.0
    """
    high = jax.lax.stop_gradient(high)

    def is_open(state: tuple[Array, Array, Array]) -> Array:
        low, high, count = state
        return (high - low > 1).any() & (count < _STEPS)

    def halve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        low, high, count = state
        middle = jnp.floor(0.5 * (low + high))
        inside = (middle < 0) | holds(jnp.maximum(middle, 0.0))
        low, high = jnp.where(inside, middle, low), jnp.where(inside, high, middle)
        return low, high, count + 1

    start = -jnp.ones_like(high), high, jnp.zeros((), int)
    return jax.lax.while_loop(is_open, halve, start)[1]


def poisson_count(mean: Array, log_probability: Array) -> Array:
    """Return the smallest n with log P(N <= n) >= the log of a probability.

    It is below 1 - 1e-9.

    Example:
        >>> poisson_count(jnp.asarray(3.0), jnp.log(jnp.asarray(0.5))).item()
        3.0
    """

    def is_less(n: Array) -> Array:
        return special.log_poisson_tails(n, mean).at_most < log_probability

    return smallest_count(is_less, jnp.ceil(mean + 6 * jnp.sqrt(mean) + 12))


def count_quantile(
    log_tails: Callable[[Array], tuple[Array, Array]],
    q: Array,
    high: Array,
    *,
    upper: bool,
) -> Array:
    """Return the smallest n with P(N <= n) >= q, or with P(N > n) <= q where `upper`.

    Args:
        log_tails: n -> log P(N <= n) and log P(N > n), element by element.
        q: in [0, 1].
        high: a count beyond which there is less than any q, or infinity: then one is
            looked for.
        upper: whether q is the upper tail.

    Example:
        >>> def tails_of(n):  # P(N > n) = 2^-(n + 1)
        ...     above = -(n + 1) * jnp.log(2.0)
        ...     return jnp.log1p(-jnp.exp(above)), above
        >>> q = jnp.asarray(0.1)
        >>> count_quantile(tails_of, q, jnp.asarray(jnp.inf), upper=True).item()
        3.0
    """
    some = q > 0
    log_q = jnp.where(some, jnp.log(jnp.where(some, q, 1.0)), -jnp.inf)
    # A quantile that is reached exactly stays reached after rounding.
    slack = 8 * jnp.finfo(q.dtype).eps

    def is_less(n: Array) -> Array:
        below, above = log_tails(n)
        return above > log_q + slack if upper else below < log_q - slack

    ends = jnp.broadcast_to(high, q.shape)
    none = (~some if upper else q >= 1) & jnp.isinf(ends)

    def grow(end: Array) -> Array:
        return jnp.where(is_less(end) & ~none, 2 * end + 1, end)

    start = jnp.where(jnp.isinf(ends), 15.0, ends)
    far = jax.lax.while_loop(lambda n: (is_less(n) & ~none).any(), grow, start)
    return jnp.where(none, jnp.inf, smallest_count(is_less, far))

"""Both tails of counts whose probability or mean is uncertain, in logs.

Of a Gamma distributed mean they are an incomplete beta function, of a Beta distributed
probability sums of probabilities, each exact, over as many counts as there are.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array

from vijax.bayes.numerics import count_pmfs
from vijax.bayes.validation import Numbers
from vijax.bayes.validation.value_checks import as_float
from vijax.special.log_tails import log_beta_tails

Tails = tuple[Array, Array]
_CHUNK = 64  # counts that are summed at once


def gamma_poisson(count: Numbers, concentration: Numbers, rate: Numbers) -> Tails:
    """Return log P(N <= n) and log P(N > n), N ~ Poisson(m), m ~ Gamma(a, rate r).

    P(N <= n) = I_x(a, n + 1), x = r / (1 + r).

    Example:
        >>> below, above = gamma_poisson(0.0, 1.0, 1.0)
        >>> print(f"{jnp.exp(above):.4f}")
        0.5000
    """
    count = jnp.floor(as_float(count))
    some = count >= 0
    rate = as_float(rate)
    # Of x and 1 - x the smaller one keeps its digits.
    few = rate <= 1
    small = jnp.where(few, rate, 1.0) / (1 + jnp.maximum(rate, 0.0))
    safe = jnp.where(some, count, 0.0) + 1
    a = as_float(concentration)
    lower, upper = log_beta_tails(
        jnp.where(few, a, safe), jnp.where(few, safe, a), small
    )
    below, above = jnp.where(few, lower, upper), jnp.where(few, upper, lower)
    return jnp.where(some, below, -jnp.inf), jnp.where(some, above, 0.0)


def beta_binomial(
    count: Numbers, trials: Numbers, concentration1: Numbers, concentration0: Numbers
) -> Tails:
    """Return log P(K <= k) and log P(K > k), K successes, their probability Beta.

    It costs the sum over all counts up to the trials.

    Example:
        >>> below, above = beta_binomial(0.0, 2.0, 1.0, 1.0)
        >>> print(f"{jnp.exp(above):.4f}")
        0.6667
    """
    arrays = map(as_float, (count, trials, concentration1, concentration0))
    count, trials, a, b = jnp.broadcast_arrays(*arrays)
    return _sums(jnp.floor(count), trials, a, b)


def beta_negative_binomial(
    count: Numbers, number: Numbers, concentration1: Numbers, concentration0: Numbers
) -> Tails:
    """Return log P(N <= k) and log P(N > k), N before the n-th of the other kind.

    More than k come before the n-th if of the first n + k fewer than n are of its kind.
    The sum is over these n + k.

    Example:
        >>> below, above = beta_negative_binomial(0.0, 1.0, 5.0, 11.0)
        >>> print(f"{jnp.exp(below):.4f}")  # 11 / 16
        0.6875
    """
    arrays = map(as_float, (count, number, concentration1, concentration0))
    count, number, a, b = jnp.broadcast_arrays(*arrays)
    count = jnp.floor(count)
    some = count >= 0
    above, below = _sums(number - 1, number + jnp.where(some, count, 0.0), b, a)
    return jnp.where(some, below, -jnp.inf), jnp.where(some, above, 0.0)


@jax.jit
def _sums(count: Array, trials: Array, a: Array, b: Array) -> Tails:
    """Sum the beta-binomial probabilities up to a count, and above it."""
    shares = jnp.stack([a, b], axis=-1)[..., None, :]

    def add(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        first, below, above = state
        k = first + jnp.arange(_CHUNK, dtype=count.dtype)
        inside = k <= trials[..., None]
        counts = jnp.stack(
            jnp.broadcast_arrays(
                jnp.where(inside, k, 0.0),
                jnp.where(inside, trials[..., None] - k, 0.0),
            ),
            axis=-1,
        )
        log_pmf = count_pmfs.dirichlet_multinomial_log_pmf(counts, shares)
        log_pmf = jnp.where(inside, log_pmf, -jnp.inf)
        is_below = k <= count[..., None]
        lower = logsumexp(jnp.where(is_below, log_pmf, -jnp.inf), axis=-1)
        upper = logsumexp(jnp.where(is_below, -jnp.inf, log_pmf), axis=-1)
        return first + _CHUNK, jnp.logaddexp(below, lower), jnp.logaddexp(above, upper)

    none = jnp.full_like(count, -jnp.inf)
    zero = jnp.zeros((), count.dtype)
    _, below, above = jax.lax.while_loop(
        lambda state: state[0] <= trials.max(), add, (zero, none, none)
    )
    return jnp.minimum(below, 0.0), jnp.minimum(above, 0.0)

"""Exact tails of binomial and Poisson counts in logs: p-values of any exponent."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike

from vijax.special.elementary import Elements, Mask
from vijax.special.elementwise import call
from vijax.special.log_tails import (
    log_betainc,
    log_betaincc,
    log_gammainc,
    log_gammaincc,
)


class LogTails(NamedTuple):
    """Log probabilities of a count at most, and at least, the one observed."""

    at_most: Elements
    at_least: Elements


def log_binomial_tails(
    successes: ArrayLike, trials: ArrayLike, probability: ArrayLike
) -> LogTails:
    r"""Return log P(X <= k) and log P(X >= k) for X ~ Binomial(n, p).

    P(X >= k) = I_p(k, n - k + 1),  P(X <= k) = 1 - I_p(k + 1, n - k)

    Exact for n up to 1e12 in float64, and far below the smallest float. The arguments
    broadcast; k outside 0 … n has one tail of probability 0; NaN outside n >= 0,
    0 <= p <= 1.

    Raises:
        ValueError: arguments that are not real numbers, or whose shapes do not fit.

    References:
        DLMF 8.17.24.

    Example:
        >>> tails = log_binomial_tails(10, 14, 0.5)
        >>> round(jnp.exp(tails.at_least).item(), 4)
        0.0898
    """
    return LogTails(*call(_binomial, successes, trials, probability))


def log_poisson_tails(count: ArrayLike, mean: ArrayLike) -> LogTails:
    r"""Return log P(X <= k) and log P(X >= k) for X ~ Poisson(μ).

    P(X >= k) = P(k, μ),  P(X <= k) = Q(k + 1, μ)

    The arguments broadcast; a negative k is below every count; NaN outside μ >= 0.

    Raises:
        ValueError: arguments that are not real numbers, or whose shapes do not fit.

    References:
        DLMF 8.4.10, with 8.2.4.

    Example:
        >>> tails = log_poisson_tails(10, 3.0)
        >>> round(jnp.exp(tails.at_least).item(), 6)
        0.001102
    """
    return LogTails(*call(_poisson, count, mean))


def _binomial(k: Elements, n: Elements, p: Elements) -> tuple[Elements, Elements]:
    valid = (n >= 0) & (p >= 0) & (p <= 1) & ~jnp.isnan(k)
    inside_most, inside_least = (k >= 0) & (k < n), (k > 0) & (k <= n)
    k_most, k_least = jnp.where(inside_most, k, 0.0), jnp.where(inside_least, k, 1.0)
    n_most, n_least = jnp.where(inside_most, n, 1.0), jnp.where(inside_least, n, 1.0)
    # 1 - I_p(k + 1, n - k), since 1 - p may have lost digits of p
    at_most = log_betaincc(k_most + 1, n_most - k_most, p)
    at_least = log_betainc(k_least, n_least - k_least + 1, p)
    return (
        _at_edges(at_most, inside_most, k >= n, valid),
        _at_edges(at_least, inside_least, k <= 0, valid),
    )


def _poisson(k: Elements, mean: Elements) -> tuple[Elements, Elements]:
    valid = (mean >= 0) & ~jnp.isnan(k)
    at_most = log_gammaincc(jnp.where(k >= 0, k, 0.0) + 1, mean)
    at_least = log_gammainc(jnp.where(k > 0, k, 1.0), mean)
    return (
        _at_edges(at_most, k >= 0, k == jnp.inf, valid),
        _at_edges(at_least, k > 0, k <= 0, valid),
    )


def _at_edges(value: Elements, inside: Mask, certain: Mask, valid: Mask) -> Elements:
    edge = jnp.where(certain, 0.0, -jnp.inf).astype(value.dtype)
    return jnp.where(valid, jnp.where(inside, value, edge), jnp.nan)

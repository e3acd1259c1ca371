"""Both tails of Beta and Gamma in logs, exact also below the smallest float."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from vijax.special import beta, gamma
from vijax.special.elementary import Elements, Mask
from vijax.special.elementwise import call


def log_betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Elements:
    r"""Return log I_x(a, b), the log probability that Beta(a, b) is at most x.

    I_x(a, b) = ∫_0^x t^(a-1) (1-t)^(b-1) dt / B(a, b)

    The arguments broadcast; NaN outside a, b > 0, 0 <= x <= 1. Differentiable in all
    three. In float64 the error of the log is a few 1e-15 of its size (or of 1) for a
    and b from 1e-8 to 1e12, in float32 a few 1e-6.

    Raises:
        ValueError: arguments that are not real numbers, or whose shapes do not fit.

    References:
        DLMF 8.17.

    Example:
        >>> round(log_betainc(10.0, 5.0, 0.5).item(), 4)  # log(1471 / 16384)
        -2.4104
    """
    return log_beta_tails(a, b, x)[0]


def log_betaincc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Elements:
    r"""Return log(1 - I_x(a, b)) without cancellation; else as `log_betainc`.

    With x near 1, give what is small instead: log_betainc(b, a, 1 - x).

    Arguments, shapes, units and source as in `log_betainc`.

    Raises:
        ValueError: arguments that are not real numbers, or whose shapes do not fit.

    Example:
        >>> round(log_betaincc(1.0, 3.0, 0.5).item(), 4)  # log(1 / 8)
        -2.0794
    """
    return log_beta_tails(a, b, x)[1]


def log_beta_tails(
    a: ArrayLike, b: ArrayLike, x: ArrayLike
) -> tuple[Elements, Elements]:
    """Return `log_betainc` and `log_betaincc`, at the price of one.

    Arguments, shapes, accuracy and source as in `log_betainc`.

    Raises:
        ValueError: arguments that are not real numbers, or whose shapes do not fit.

    Example:
        >>> lower, upper = log_beta_tails(2.0, 3.0, 0.5)
        >>> print(f"{jnp.exp(lower) + jnp.exp(upper):.4f}")
        1.0000
    """
    return call(_log_beta_tails, a, b, x)


def log_gammainc(a: ArrayLike, x: ArrayLike) -> Elements:
    r"""Return log P(a, x), the log probability that Gamma(a, rate 1) is at most x.

    P(a, x) = ∫_0^x t^(a-1) e^-t dt / Γ(a)

    The arguments broadcast; NaN outside a > 0, x >= 0. Differentiable in both. The
    accuracy is that of `log_betainc`.

    Raises:
        ValueError: arguments that are not real numbers, or whose shapes do not fit.

    References:
        DLMF 8.2.

    Example:
        >>> round(log_gammainc(1.0, 0.5).item(), 4)  # log(1 - exp(-0.5))
        -0.9328
    """
    return log_gamma_tails(a, x)[0]


def log_gammaincc(a: ArrayLike, x: ArrayLike) -> Elements:
    r"""Return log Q(a, x) = log(1 - P(a, x)) without cancellation.

    Arguments, shapes, accuracy and source as in `log_gammainc`.

    Raises:
        ValueError: arguments that are not real numbers, or whose shapes do not fit.

    Example:
        >>> round(log_gammaincc(1.0, 700.0).item(), 2)  # Q = exp(-700)
        -700.0
    """
    return log_gamma_tails(a, x)[1]


def log_gamma_tails(a: ArrayLike, x: ArrayLike) -> tuple[Elements, Elements]:
    """Return `log_gammainc` and `log_gammaincc`, at the price of one.

    Arguments, shapes, accuracy and source as in `log_gammainc`.

    Raises:
        ValueError: arguments that are not real numbers, or whose shapes do not fit.

    Example:
        >>> lower, upper = log_gamma_tails(1.0, 0.5)
        >>> print(f"{jnp.exp(lower) + jnp.exp(upper):.4f}")
        1.0000
    """
    return call(_log_gamma_tails, a, x)


@jax.custom_jvp
def _log_beta_tails(a: Elements, b: Elements, x: Elements) -> tuple[Elements, Elements]:
    valid = (a > 0) & (b > 0) & (x >= 0) & (x <= 1) & jnp.isfinite(a + b)
    inside = valid & (x > 0) & (x < 1)
    a, b, safe = (jnp.where(inside, v, 0.5) for v in (a, b, x))
    return _with_edges(beta.log_tails(a, b, safe, 1 - safe), inside, valid, x <= 0)


@_log_beta_tails.defjvp
def _log_beta_tails_jvp(primals: tuple, tangents: tuple) -> tuple:
    a, b, x = primals
    a_dot, b_dot, x_dot = tangents
    tails = _log_beta_tails(a, b, x)
    inside = jnp.isfinite(tails[0] + tails[1])
    a, b, x = (jnp.where(inside, v, 0.5) for v in primals)
    by_a, by_b = beta.slopes(a, b, x, 1 - x)
    change = by_a * a_dot + by_b * b_dot + x_dot / (x * (1 - x))
    return tails, _tails_dot(tails, inside, beta.log_density(a, b, x, 1 - x), change)


@jax.custom_jvp
def _log_gamma_tails(a: Elements, x: Elements) -> tuple[Elements, Elements]:
    valid = (a > 0) & (x >= 0) & jnp.isfinite(a)
    inside = valid & (x > 0) & (x < jnp.inf)
    a, safe = (jnp.where(inside, v, 0.5) for v in (a, x))
    return _with_edges(gamma.log_tails(a, safe), inside, valid, x <= 0)


@_log_gamma_tails.defjvp
def _log_gamma_tails_jvp(primals: tuple, tangents: tuple) -> tuple:
    a_dot, x_dot = tangents
    tails = _log_gamma_tails(*primals)
    inside = jnp.isfinite(tails[0] + tails[1])
    a, x = (jnp.where(inside, v, 0.5) for v in primals)
    change = gamma.slope(a, x) * a_dot + x_dot / x
    return tails, _tails_dot(tails, inside, gamma.log_density(a, x), change)


def _with_edges(
    tails: tuple[Elements, Elements], inside: Mask, valid: Mask, left: Mask
) -> tuple[Elements, Elements]:
    edges = jnp.where(left, -jnp.inf, 0.0), jnp.where(left, 0.0, -jnp.inf)
    lower, upper = (
        jnp.where(inside, tail, jnp.where(valid, edge.astype(tail.dtype), jnp.nan))
        for tail, edge in zip(tails, edges, strict=True)
    )
    return lower, upper


def _tails_dot(
    tails: tuple[Elements, Elements],
    inside: Mask,
    log_density: Elements,
    change: Elements,
) -> tuple[Elements, Elements]:
    """Return the derivative of both logs; none at the edges."""
    lower, upper = (
        jnp.where(inside, jnp.exp(log_density - tail), 0.0) * change for tail in tails
    )
    return lower, -upper

"""Quantiles that JAX lacks: of the Beta and of the Gamma distribution."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import special
from jax.typing import ArrayLike
from jaxtyping import Array, Float

_BISECTIONS = 62  # halve [-746, 746] until neighbouring floats are reached


def betaincinv(a: ArrayLike, b: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    r"""Return x with I_x(a, b) = p: the p-quantile of Beta(a, b).

    The arguments broadcast. Outside a > 0, b > 0, 0 <= p <= 1 the result is NaN.

    Example:
        >>> round(betaincinv(1.0, 1.0, 0.25).item(), 5)
        0.25
    """
    a, b, p = jnp.broadcast_arrays(*_promote(a, b, p))
    return _betaincinv(a, b, p)


def gammaincinv(a: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    r"""Return x with P(a, x) = p: the p-quantile of Gamma(a, rate 1).

    The arguments broadcast. Outside a > 0, 0 <= p <= 1 the result is NaN.

    Example:
        >>> round(gammaincinv(1.0, 0.5).item(), 5)  # ln 2
        0.69315
    """
    a, p = jnp.broadcast_arrays(*_promote(a, p))
    return _gammaincinv(a, p)


def _promote(*values: ArrayLike) -> list[Array]:
    return [jnp.asarray(value, jnp.result_type(float, *values)) for value in values]


def _bisect(cdf: Callable[[Array], Array], p: Array, low: Array, high: Array) -> Array:
    """Find t with cdf(t) = p between low and high."""

    def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        below = cdf(middle) < p
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (low, high))
    return 0.5 * (low + high)


@jax.custom_jvp
def _betaincinv(a: Array, b: Array, p: Array) -> Array:
    bound = jnp.full_like(p, 746.0 if p.dtype == jnp.float64 else 104.0)
    t = _bisect(lambda t: special.betainc(a, b, jax.nn.sigmoid(t)), p, -bound, bound)
    x = jax.nn.sigmoid(t)
    x = jnp.where(p == 0, 0.0, jnp.where(p == 1, 1.0, x))
    valid = (a > 0) & (b > 0) & (p >= 0) & (p <= 1)
    return jnp.where(valid, x, jnp.nan)


@_betaincinv.defjvp
def _betaincinv_jvp(
    primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    a, b, p = primals
    x = _betaincinv(a, b, p)
    log_pdf = (
        special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x) - special.betaln(a, b)
    )
    cdf_a = _difference(lambda a: special.betainc(a, b, x), a)
    cdf_b = _difference(lambda b: special.betainc(a, b, x), b)
    a_dot, b_dot, p_dot = tangents
    return x, (p_dot - cdf_a * a_dot - cdf_b * b_dot) * jnp.exp(-log_pdf)


@jax.custom_jvp
def _gammaincinv(a: Array, p: Array) -> Array:
    low, high = (-746.0, 709.0) if p.dtype == jnp.float64 else (-104.0, 88.0)
    t = _bisect(
        lambda t: special.gammainc(a, jnp.exp(t)),
        p,
        jnp.full_like(p, low),
        jnp.full_like(p, high),
    )
    x = jnp.where(p == 0, 0.0, jnp.where(p == 1, jnp.inf, jnp.exp(t)))
    return jnp.where((a > 0) & (p >= 0) & (p <= 1), x, jnp.nan)


@_gammaincinv.defjvp
def _gammaincinv_jvp(
    primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    a, p = primals
    x = _gammaincinv(a, p)
    log_pdf = special.xlogy(a - 1, x) - x - special.gammaln(a)
    cdf_a = _difference(lambda a: special.gammainc(a, x), a)
    a_dot, p_dot = tangents
    return x, (p_dot - cdf_a * a_dot) * jnp.exp(-log_pdf)


def _difference(function: Callable[[Array], Array], value: Array) -> Array:
    """Differentiate by a central difference."""
    step = value * jnp.finfo(value.dtype).eps ** (1 / 3)
    return (function(value + step) - function(value - step)) / (2 * step)

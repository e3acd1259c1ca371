"""Quantiles in closed form, each from the tail that is asked for.

Where the lower tail is q the formula takes q, and where the upper one is q, too: 1 - q
is never formed of a small q.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy import special as jsp
from jaxtyping import Array

from vijax.bayes.numerics import student
from vijax.bayes.validation.value_checks import as_float


def standard(distribution: Any, q: Array, upper: bool) -> Array | None:
    """Return the quantile of a family that is known here, else None.

    Example:
        >>> far = standard(dist.Cauchy(0.0, 1.0), jnp.asarray(1e-20), True)
        >>> print(f"{far:.4e}")  # 1 / (π q)
        3.1831e+19
    """
    for family, function in _SYMMETRIC:
        if isinstance(distribution, family):
            # The quantile of the smaller tail, mirrored.
            small = q <= 0.5
            below = function(distribution, jnp.where(small, q, 1 - q))
            below = jnp.where(small != upper, below, -below)
            return distribution.loc + distribution.scale * below
    for family, function in _BY_HAZARD:
        if isinstance(distribution, family):
            # -log P(X > x)
            return function(distribution, -jnp.log(q) if upper else -jnp.log1p(-q))
    for family, of_tail in _BY_TAIL:
        if isinstance(distribution, family):
            return of_tail(distribution, q, upper)
    return None


def _student(t: Any, q: Array) -> Array:
    return student.lower_quantile(as_float(t.df), q)


def _cauchy(_: Any, q: Array) -> Array:
    far = q < 0.25
    angle = jnp.pi * jnp.where(far, q, 0.25)
    near = jnp.tan(jnp.pi * (jnp.where(far, 0.5, q) - 0.5))
    return jnp.where(far, -1 / jnp.tan(angle), near)


def _half_cauchy(half: Any, q: Array, upper: bool) -> Array:
    small = jnp.tan(0.5 * jnp.pi * jnp.where(q <= 0.5, q, 1 - q))
    is_small = (q <= 0.5) != upper
    # Guarded: an infinite slope of the branch not taken would be NaN backwards.
    return half.scale * jnp.where(is_small, small, 1 / jnp.where(is_small, 1.0, small))


def _half_normal(half: Any, q: Array, upper: bool) -> Array:
    return half.scale * (
        -jsp.ndtri(0.5 * q) if upper else jnp.sqrt(2.0) * jsp.erfinv(q)
    )


def _kumaraswamy(d: Any, q: Array, upper: bool) -> Array:
    """x^c1 = 1 - P(X > x)^(1 / c0), as a power far out: a slope at the end itself."""
    power = 1 / as_float(d.concentration0)
    far = -power * (jnp.log(q) if upper else jnp.log1p(-q)) > 1
    rest = jnp.where(far, q if upper else 1 - q, 0.25)
    near = jnp.where(far, 0.5, q)
    log_rest = jnp.log(near) if upper else jnp.log1p(-near)
    part = jnp.where(far, 1 - rest**power, -jnp.expm1(power * log_rest))
    return part ** (1 / as_float(d.concentration1))


def _uniform(uniform: Any, q: Array, upper: bool) -> Array:
    width = as_float(uniform.high) - uniform.low
    return uniform.high - q * width if upper else uniform.low + q * width


def _gumbel(gumbel: Any, q: Array, upper: bool) -> Array:
    log_cdf = jnp.log1p(-q) if upper else jnp.log(q)
    return gumbel.loc - gumbel.scale * jnp.log(-log_cdf)


def _levy(levy: Any, q: Array, upper: bool) -> Array:
    root = jnp.sqrt(2.0) * jsp.erfinv(q) if upper else jsp.ndtri(0.5 * q)
    return levy.loc + levy.scale / root**2


_SYMMETRIC: tuple[tuple[Any, Callable[[Any, Array], Array]], ...] = (
    (dist.Normal, lambda _, q: jsp.ndtri(q)),
    (dist.StudentT, _student),
    (dist.Cauchy, _cauchy),
    (dist.Laplace, lambda _, q: jnp.log(2 * q)),
    (dist.Logistic, lambda _, q: jnp.log(q) - jnp.log1p(-q)),
)
_BY_HAZARD: tuple[tuple[Any, Callable[[Any, Array], Array]], ...] = (
    (dist.Exponential, lambda d, h: h / d.rate),
    (dist.Weibull, lambda d, h: d.scale * h ** (1 / as_float(d.concentration))),
    (dist.Gompertz, lambda d, h: jnp.log1p(h / d.concentration) / d.rate),
)
_BY_TAIL: tuple[tuple[Any, Callable[[Any, Array, bool], Array]], ...] = (
    (dist.Uniform, _uniform),
    (dist.Kumaraswamy, _kumaraswamy),
    (dist.HalfCauchy, _half_cauchy),
    (dist.HalfNormal, _half_normal),
    (dist.Gumbel, _gumbel),
    (dist.Levy, _levy),
)

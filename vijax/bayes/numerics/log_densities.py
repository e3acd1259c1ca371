"""Log densities that keep their digits where the parameters are huge or tiny.

The textbook form of a Beta density with parameters near 10^12 subtracts numbers near
10^13. Here they are deviances from the mean, which do not cancel: see `log_gamma`.
"""

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from vijax.bayes.numerics.log_gamma import deviance, excess
from vijax.bayes.validation import Numbers, value_checks


def log_density(distribution: dist.Distribution, value: Numbers) -> Float[Array, "..."]:
    """Return the log density; for all but Beta and Gamma kin NumPyro's own.

    Example:
        >>> print(f"{log_density(dist.Beta(11.0, 5.0), 0.5):.4f}")
        -0.0873
    """
    value = value_checks.as_float(value)
    if isinstance(distribution, dist.Beta):
        c1, c0 = distribution.concentration1, distribution.concentration0
        return beta_log_density(c1, c0, value)
    if isinstance(distribution, dist.Gamma):
        log_rate = jnp.log(distribution.rate)
        scaled = distribution.rate * value
        return gamma_log_density(distribution.concentration, scaled) + log_rate
    if isinstance(distribution, dist.InverseGamma):
        scaled = distribution.rate / value
        log_scale = jnp.log(scaled) - jnp.log(value)
        return gamma_log_density(distribution.concentration, scaled) + log_scale
    return jnp.asarray(distribution.log_prob(value))


def beta_log_density(a: Numbers, b: Numbers, x: Numbers) -> Float[Array, "..."]:
    """Return log of x^(a - 1) (1 - x)^(b - 1) / B(a, b), -inf outside [0, 1].

    Example:
        >>> print(f"{beta_log_density(2.0, 1.0, 0.5):.4f}")
        0.0000
    """
    a, b, x = jnp.broadcast_arrays(*map(value_checks.as_float, (a, b, x)))
    inside = (x > 0) & (x < 1)
    safe = jnp.where(inside, x, 0.5)
    total = a + b
    log_density = (
        _log_curvature(a)
        + _log_curvature(b)
        - _log_curvature(total)
        - deviance(a, total * safe)
        - deviance(b, total * (1 - safe))
        - jnp.log(safe)
        - jnp.log1p(-safe)
    )
    at_edge = jnp.where(x == 0, a, b)
    edge = jnp.where(at_edge < 1, jnp.inf, jnp.where(at_edge > 1, -jnp.inf, 0.0))
    edge = jnp.where(at_edge == 1, jnp.log(jnp.where(x == 0, b, a)), edge)
    is_edge = (x == 0) | (x == 1)
    return jnp.where(inside, log_density, jnp.where(is_edge, edge, -jnp.inf))


def gamma_log_density(a: Numbers, x: Numbers) -> Float[Array, "..."]:
    """Return log of x^(a - 1) exp(-x) / Γ(a), -inf below 0.

    Example:
        >>> print(f"{gamma_log_density(1.0, 2.0):.4f}")
        -2.0000
    """
    a, x = jnp.broadcast_arrays(value_checks.as_float(a), value_checks.as_float(x))
    inside = (x > 0) & (x < jnp.inf)
    safe = jnp.where(inside, x, 1.0)
    log_density = _log_curvature(a) - deviance(a, safe) - jnp.log(safe)
    edge = jnp.where(a < 1, jnp.inf, jnp.where(a > 1, -jnp.inf, 0.0))
    return jnp.where(inside, log_density, jnp.where(x == 0, edge, -jnp.inf))


def _log_curvature(a: Array) -> Array:
    """Return log of a^a e^-a / Γ(a)."""
    return jnp.log(a) - excess(a)

"""Differences of log-gamma functions, exact from tiny arguments to 10^12.

The textbook formulas for probabilities of counts subtract logarithms of gamma
functions. Each is about n log n, so the difference loses as many digits as n log n has
in front of the point. Here every such difference is taken analytically (Loader 2000),
with two functions that lose none:

    excess(x)      = log Γ(x + 1) - (x log x - x)      ½ log(2πx) + 1/(12x) - ...
    deviance(x, m) = x log(x / m) + m - x              >= 0, and 0 where x = m

References:
    C. Loader (2000), Fast and accurate computation of binomial probabilities.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from vijax.bayes.validation import Numbers, value_checks

_SERIES_FROM = 16.0
_SHIFT = 16
_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def excess(x: Numbers) -> Float[Array, "..."]:
    """Return log Γ(x + 1) - (x log x - x) for x >= 0: 0 at 0, then ½ log(2πx) + ...

    Example:
        >>> print(f"{excess(jnp.asarray(1e6)):.4f}")  # 7.826693...
        7.8267
    """
    x = value_checks.as_float(x)
    large = jnp.maximum(x, _SERIES_FROM)
    small = jnp.clip(x, jnp.finfo(x.dtype).tiny, _SERIES_FROM)
    by_series = 0.5 * jnp.log(2 * jnp.pi * large) + 1 / (12 * large) + _series(large)
    direct = gammaln(small + 1) - small * jnp.log(small) + small
    return jnp.where(x == 0, 0.0, jnp.where(x >= _SERIES_FROM, by_series, direct))


@jax.custom_jvp
def deviance(x: Numbers, mean: Numbers) -> Float[Array, "..."]:
    """Return x log(x / mean) + mean - x, with all digits where x is near the mean.

    Example:
        >>> deviance(jnp.asarray(0.0), jnp.asarray(3.0)).item()
        3.0
    """
    x, mean = jnp.broadcast_arrays(
        value_checks.as_float(x), value_checks.as_float(mean)
    )
    total = x + mean
    ratio = (x - mean) / jnp.where(total > 0, total, 1.0)
    near = jnp.abs(ratio) < 0.1
    # log(x / mean) = 2 atanh(ratio), and 2 x ratio - (x - mean) = (x - mean) ratio
    v = jnp.where(near, ratio, 0.0)
    tail = jnp.zeros_like(v)
    for odd in range(17, 1, -2):
        tail = tail * v**2 + 1.0 / odd
    by_series = (x - mean) * ratio + 2 * x * v**3 * tail
    direct = x * _log_ratio(x, mean) + mean - x
    return jnp.where(near, by_series, direct)


@deviance.defjvp
def _deviance_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    x, mean = primals
    x_dot, mean_dot = tangents
    slope = 1 - x / jnp.where(mean > 0, mean, 1.0)
    return deviance(x, mean), _log_ratio(x, mean) * x_dot + slope * mean_dot


def signed_root(
    x: Float[Array, "..."],
    mean: Float[Array, "..."],
    y: Float[Array, "..."],
    other_mean: Float[Array, "..."],
    differences: tuple[Array, Array] | None = None,
) -> Float[Array, "..."]:
    """Return sqrt(2 (deviance(x, mean) + deviance(y, other_mean))), signed as x - mean.

    x + y is mean + other_mean. The root is smooth where x is the mean, so its
    derivatives are right there too. `differences` are x - mean and y - other_mean,
    where they are known with more digits than the sums have.

    Example:
        >>> five, ten = jnp.asarray(5.0), jnp.asarray(10.0)
        >>> jax.grad(signed_root, 1)(five, five, ten, ten).item() < 0
        True
    """
    x, mean, y, other_mean = jnp.broadcast_arrays(x, mean, y, other_mean)
    difference, other = differences or (x - mean, y - other_mean)
    near = jnp.abs(difference) < 0.1 * jnp.minimum(x + mean, y + other_mean)
    safe = [jnp.where(near, v, 1.0) for v in (x, mean, y, other_mean)]
    gaps = [jnp.where(near, v, 0.0) for v in (difference, other)]
    # deviance(x, m) = (x - m)² curvature(x, m), and both differences are the same
    of_x, of_y = (safe[0], safe[1], gaps[0]), (safe[2], safe[3], gaps[1])
    curvature = _curvature(*of_x) + _curvature(*of_y)
    by_curvature = difference * jnp.sqrt(2 * curvature)
    total = deviance(x, mean) + deviance(y, other_mean)
    far = ~near & (total > 0)
    by_total = jnp.sign(difference) * jnp.sqrt(2 * jnp.where(far, total, 1.0))
    return jnp.where(near, by_curvature, jnp.where(far, by_total, 0.0))


def _curvature(x: Array, mean: Array, difference: Array) -> Array:
    """Return deviance(x, mean) / (x - mean)² where both are near to each other."""
    total = x + mean
    v = difference / total
    tail = jnp.zeros_like(v)
    for odd in range(17, 1, -2):
        tail = tail * v**2 + 1.0 / odd
    return (1 + 2 * (x / total) * v * tail) / total


def _log_ratio(x: Numbers, mean: Numbers) -> Float[Array, "..."]:
    """Return log(x / mean), and 0 where x is 0."""
    some = (x > 0) & (mean > 0)
    ratio = jnp.log(jnp.where(some, x, 1.0) / jnp.where(some, mean, 1.0))
    return jnp.where((x > 0) & (mean <= 0), jnp.inf, ratio)


def log_gamma_ratio(x: Numbers, d: Numbers) -> Float[Array, "..."]:
    """Return log Γ(x + d) - log Γ(x) for x > 0, d >= 0, whichever is the larger.

    Example:
        >>> value = log_gamma_ratio(jnp.asarray(3.0), jnp.asarray(2.0))  # ln 12
        >>> print(f"{value:.4f}")
        2.4849
    """
    x = value_checks.as_float(x)
    y = x + d
    linear = d * jnp.log(y) - deviance(x, y)
    return linear + excess(y) - excess(x) - jnp.log(y) + jnp.log(x)


def log_gamma_cross(x: Numbers, d: Numbers, e: Numbers) -> Float[Array, "..."]:
    """Return log Γ(x + d + e) - log Γ(x + d) - log Γ(x + e) + log Γ(x), never negative.

    All digits also where d e / x is tiny and the four terms cancel.

    Example:
        >>> value = log_gamma_cross(2.0, 1.0, 1.0)  # ln 3! - 2 ln 2! + ln 1!
        >>> print(f"{value:.4f}")
        0.4055
    """
    x, d, e = (value_checks.as_float(value) for value in (x, d, e))
    # Γ(x) = Γ(x + 1) / x moves x to where Stirling's series holds; each step leaves
    # a factor 1 + de / ((x + d + e) x), and `product` is the product of them less 1.
    zero = jnp.zeros(jnp.broadcast_shapes(x.shape, d.shape, e.shape), x.dtype)
    log_product, product = zero, zero
    for i in range(_SHIFT):
        step = d * (e / ((x + d + e + i) * (x + i)))
        product = product + step + product * step
        if i % 4 == 3:  # before it overflows in float32
            log_product, product = log_product + jnp.log1p(product), zero
    y = x + _SHIFT
    after = y + d + e
    stirling = deviance(d, d * ((y + d) / after)) + d * (e / after)
    stirling += deviance(y, (y + d) * ((y + e) / after))
    stirling += deviance(e, e * ((y + e) / after))
    half_log = 0.5 * jnp.log1p(d * (e / (after * y)))
    # The first term of the series, factored so that it does not cancel.
    first = d / (y * (y + d)) * (e / (y + e)) * ((y + after) / after)
    series = _series(after) - _series(y + d) - _series(y + e) + _series(y)
    return log_product + stirling + half_log + first / 12 + series


def _series(x: Array) -> Array:
    """Return Stirling's series for log Γ(x) from its second term on, for x >= 16."""
    total = jnp.zeros_like(x)
    for coefficient in reversed(_SERIES[1:]):
        total = total / x**2 + coefficient
    return total / x**3

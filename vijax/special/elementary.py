"""Elementary functions to the last digit, where the plain formula would cancel.

All are elementwise, take floating arrays of one dtype, and keep it.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

Elements = Float[Array, "..."]
Mask = Bool[Array, "..."]

_LOG_2, _SQRT_HALF = math.log(2.0), math.sqrt(0.5)
STIRLING_FROM = 8.0  # from here on the eight terms reach float64's last digit
# B_2k / (2k (2k - 1)), the coefficients of Stirling's series.
_STIRLING = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
)


def _zeta_minus_1(k: int) -> float:
    """Return ζ(k) - 1 for k >= 2: 19 terms, and the rest by Euler and Maclaurin.

    SciPy has it, but would take longer to import than all of this package.
    """
    n = 20
    terms = [j**-k for j in range(n - 1, 1, -1)]
    rest = [n ** (1 - k) / (k - 1), 0.5 * n**-k, k * n ** (-k - 1) / 12]
    rest.append(-k * (k + 1) * (k + 2) * n ** (-k - 3) / 720)
    rest.append(math.perm(k + 4, 5) * n ** (-k - 5) / 30240)
    rest.append(-math.perm(k + 6, 7) * n ** (-k - 7) / 1209600)
    rest.append(math.perm(k + 8, 9) * n ** (-k - 9) / 47900160)
    return math.fsum(terms + rest)


# log Γ(1 + f) = -log(1 + f) + (1 - γ) f + sum_k (ζ(k) - 1) (-f)^k / k, k >= 2.
_ZETA = [1 - np.euler_gamma]
_ZETA += [(-1) ** k * _zeta_minus_1(k) / k for k in range(2, 29)]


class Log(NamedTuple):
    """log w = exponent log 2 + log_mantissa, neither of them rounded in the sum."""

    exponent: Elements
    log_mantissa: Elements

    @property
    def value(self) -> Elements:
        """The sum."""
        return self.exponent * _LOG_2 + self.log_mantissa


def polynomial(coefficients: Sequence[Any], x: Any) -> Elements:
    """Return c0 + c1 x + c2 x² + … by Horner's rule."""
    result = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        result = result * x + coefficient
    return result


def exact_product(a: Elements, b: Elements) -> tuple[Elements, Elements]:
    """Return a b rounded, and what rounding took (Dekker 1971)."""
    format_ = jnp.finfo(a.dtype)
    half = (format_.nmant - 1) // 2  # bits such that products of halves are exact
    a_high = jax.lax.reduce_precision(a, format_.nexp, half)
    b_high = jax.lax.reduce_precision(b, format_.nexp, half)
    a_low, b_low, product = a - a_high, b - b_high, a * b
    rest = a_high * b_high - product
    return product, ((rest + a_high * b_low) + a_low * b_high) + a_low * b_low


def log1p_excess(u: Elements, log1p_u: Elements) -> Elements:
    """Return u - log(1 + u) >= 0, given the logarithm, which serves for |u| > 0.4."""
    near = jnp.abs(u) < 0.4
    w = jnp.where(near, u, 0.0)
    w = w / (2 + w)  # log(1 + u) = 2 artanh w
    tail = polynomial([1 / (2 * k + 3) for k in range(14)], w * w)
    return jnp.where(near, w * (u - 2 * w * w * tail), u - log1p_u)


def expm1_excess(s: Elements) -> Elements:
    """Return e^s - 1 - s >= 0."""
    near = jnp.abs(s) < 0.5
    t = jnp.where(near, s, 0.0)
    series = t * t * polynomial([1 / math.factorial(k) for k in range(2, 18)], t)
    return jnp.where(near, series, jnp.expm1(s) - s)


def stirling_remainder(z: Elements) -> Elements:
    """Return log Γ(z) - [(z - ½) log z - z + ½ log 2π] for z >= 8."""
    inverse = 1 / z
    return inverse * polynomial(_STIRLING, inverse * inverse)


def digamma_rest(z: Elements) -> Elements:
    """Return ψ(z) - log z."""
    few = z < STIRLING_FROM
    low, inverse = jnp.where(few, z, 1.0), 1 / jnp.where(few, STIRLING_FROM, z)
    # the derivative of Stirling's series, and of -½ log z
    terms = [-(2 * k + 1) * c for k, c in enumerate(_STIRLING)]
    square = inverse * inverse
    series = square * polynomial(terms, square) - 0.5 * inverse
    return jnp.where(few, jax.lax.digamma(low) - jnp.log(low), series)


def log_gamma1p(z: Elements) -> Elements:
    """Return log Γ(1 + z) for 0 <= z <= 8, to full relative accuracy near 0."""
    whole = jnp.round(z)
    f = z - whole  # Γ(1 + z) = z (z - 1) … (f + 1) Γ(1 + f)
    product = jnp.ones_like(z)
    for k in range(8):
        product = product * jnp.where(k < whole, z - k, 1.0)
    return f * polynomial(_ZETA, f) + jnp.log1p(((product - 1) - f) / (1 + f))


def split_log(w: Elements) -> Log:
    """Return log w for w > 0."""
    mantissa, exponent = _split(w)
    return Log(exponent, jnp.log(mantissa))


def log_power_over(x: Elements, a: Elements, log_w: Log) -> Elements:
    """Return log(x^a / w); small x and w cost no absolute accuracy."""
    mantissa, exponent = _split(x)
    power, rest = exact_product(a, exponent)
    whole = (power - log_w.exponent) + rest
    return whole * _LOG_2 + (a * jnp.log(mantissa) - log_w.log_mantissa)


def _split(x: Elements) -> tuple[Elements, Elements]:
    """Return the mantissa, in [0.7, 1.4), and the exponent, both as floats."""
    mantissa, exponent = jnp.frexp(x)
    exponent = exponent.astype(x.dtype)
    low = mantissa < _SQRT_HALF
    return (
        jnp.where(low, 2 * mantissa, mantissa),
        jnp.where(low, exponent - 1, exponent),
    )

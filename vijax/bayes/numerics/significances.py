"""p-values and Gaussian significances, converted into each other without loss.

    one-sided   p = P(Z > z)          two-sided   p = P(|Z| > z)

A p-value below the smallest float still has a logarithm, so each function has a twin
that works with log p.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special as jsp
from jaxtyping import Array, Float

from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import where_valid

_FRACTION_FROM = 4.0
_FRACTION_DEPTH = 40
_NEWTON_STEPS = 6


def significance(p_value: Numbers, *, sides: int = 1) -> Float[Array, "..."]:
    r"""Return z with P(Z > z) = p, in sigmas; with `sides=2`, P(|Z| > z) = p.

    Relative error below 1e-12 in x64 for p from 1e-300 to 1/2; float32 ends at 1e-38,
    `significance_from_log` does not.

    Args:
        p_value: any shape.
        sides: 1 or 2.

    Raises:
        ValueError: a p-value outside [0, 1]. In a trace such input gives NaN.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, eq. 1.

    Example:
        >>> print(f"{significance(0.0897827):.4f}")
        1.3421
        >>> print(f"{significance(2.866516e-7):.4f}")
        5.0000
    """
    p_value, valid = value_checks.probability("p_value", p_value)
    p_value = p_value / _sides(sides)
    # Above 1/2 the other tail is the small one, and 1 - p is exact there.
    lower = p_value <= 0.5
    small = jnp.where(lower, p_value, 1 - p_value)
    some = small > 0
    z = _from_log_tail(jnp.log(jnp.where(some, small, 0.5)))
    z = jnp.where(some, z, jnp.inf)
    return where_valid(valid, jnp.where(lower, z, -z))


def significance_from_log(
    log_p_value: Numbers, *, sides: int = 1
) -> Float[Array, "..."]:
    """Return the significance of a p-value that is given by its natural logarithm.

    Shapes as in `significance`: any p-value down to exp(-1e300).

    Raises:
        ValueError: as in `significance`.

    Example:
        >>> print(f"{significance_from_log(-1000.0):.4f}")
        44.6157
    """
    log_p_value = value_checks.not_empty("log_p_value", log_p_value)
    below = log_p_value <= 0
    valid = value_checks.checked(
        below, "log_p_value", log_p_value, "give a logarithm <= 0"
    )
    log_p_value = log_p_value - jnp.log(_sides(sides))
    in_tail = log_p_value < -jnp.log(2.0)
    other = jnp.log(-jnp.expm1(jnp.where(in_tail, -1.0, log_p_value)))
    log_tail = jnp.where(in_tail, log_p_value, other)
    z = _from_log_tail(log_tail)
    return where_valid(valid, jnp.where(in_tail, z, -z))


def p_value(significance: Numbers, *, sides: int = 1) -> Float[Array, "..."]:
    """Return P(Z > z), or P(|Z| > z) with `sides=2`.

    P(Z > z) = ½ erfc(z / √2). Any shape; `sides` is 1 or 2; NaN is a ValueError.

    Raises:
        ValueError: NaN, or `sides` other than 1 or 2.

    Example:
        >>> print(f"{p_value(5.0):.3e}")
        2.867e-07
    """
    return jnp.exp(log_p_value(significance, sides=sides))


def log_p_value(significance: Numbers, *, sides: int = 1) -> Float[Array, "..."]:
    """Return log P(Z > z), or log P(|Z| > z) with `sides=2`.

    In nats, without underflow at any z; arguments as in `p_value`.

    Raises:
        ValueError: as in `p_value`.

    Example:
        >>> print(f"{log_p_value(44.6157):.1f}")
        -1000.0
    """
    z = value_checks.not_empty("significance", significance)
    valid = value_checks.checked(~jnp.isnan(z), "significance", z, "give a number")
    if _sides(sides) == 2:
        z = jnp.abs(z)
    return where_valid(valid, _log_tail(z) + jnp.log(float(sides)))


def _sides(sides: int) -> int:
    if sides not in (1, 2):
        raise ValueError(f"sides = {sides!r} is not valid: give 1 or 2")
    return sides


@jax.jit
def _log_tail(z: Array) -> Array:
    """Return log P(Z > z), all digits at any z."""
    far = jnp.maximum(z, _FRACTION_FROM)
    near = jnp.minimum(z, _FRACTION_FROM)
    # Laplace's continued fraction of the Mills ratio P(Z > z) / φ(z)
    fraction = jax.lax.fori_loop(
        0, _FRACTION_DEPTH, lambda i, f: far + (_FRACTION_DEPTH - i) / f, far
    )
    log_far = -0.5 * far**2 - 0.5 * jnp.log(2 * jnp.pi) - jnp.log(fraction)
    below = 0.5 * jsp.erfc(-near / jnp.sqrt(2.0))
    above = 0.5 * jsp.erfc(near / jnp.sqrt(2.0))
    log_near = jnp.where(near < 0, jnp.log1p(-below * (near < 0)), jnp.log(above))
    return jnp.where(z > _FRACTION_FROM, log_far, log_near)


@jax.custom_jvp
@jax.jit
def _from_log_tail(log_tail: Array) -> Array:
    """Return z >= 0 with log P(Z > z) = log_tail <= log 1/2, by Newton's method."""
    # P(Z > z) <= exp(-z² / 2) / 2 for z >= 0, so this start lies beyond the root.
    start = jnp.sqrt(2 * jnp.maximum(-log_tail - np.log(2.0), 0.0))

    def newton(_: Array, z: Array) -> Array:
        return z + (_log_tail(z) - log_tail) * jnp.exp(_log_mills(z))

    return jax.lax.fori_loop(0, _NEWTON_STEPS, newton, start)


@_from_log_tail.defjvp
def _from_log_tail_jvp(
    primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    z = _from_log_tail(*primals)
    return z, -jnp.exp(_log_mills(z)) * tangents[0]


def _log_mills(z: Array) -> Array:
    return _log_tail(z) + 0.5 * z**2 + 0.5 * jnp.log(2 * jnp.pi)

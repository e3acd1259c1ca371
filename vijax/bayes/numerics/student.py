"""Student's t: its quantile and its tails, from one degree of freedom to the normal.

With z = df / (df + t²) the two-sided tail P(|T| > t) is I_z(df / 2, 1/2). Both z and
1 - z = t² / (df + t²) are needed with all digits: the first far out, the second for
many degrees of freedom, where z is next to 1.
"""

import jax
import jax.numpy as jnp
from jax.scipy import special as jsp
from jaxtyping import Array

from vijax.bayes.numerics.log_gamma import log_gamma_ratio
from vijax.bayes.numerics.significances import log_p_value
from vijax.special.log_tails import log_beta_tails
from vijax.special.quantiles import beta_quantile_pair

_NEARLY_NORMAL = {4: 1e4, 8: 1e9}  # degrees of freedom, by the bytes of a float


def lower_quantile(df: Array, tail: Array) -> Array:
    """Return t <= 0 with P(T <= t) = tail <= 1/2.

    Example:
        >>> value = lower_quantile(jnp.asarray(3.0), jnp.asarray(0.025))
        >>> print(f"{value:.4f}")
        -3.1824
    """
    df, tail = jnp.broadcast_arrays(df, tail)
    many = df > _NEARLY_NORMAL[tail.dtype.itemsize]
    few_df = jnp.where(many, 1.0, df)
    many_df = jnp.where(many, df, 1e12)
    return jnp.where(many, _expansion(many_df, tail), _by_beta(few_df, tail))


def log_tails(df: Array, t: Array) -> tuple[Array, Array]:
    """Return log P(T <= t) and log P(T > t).

    Example:
        >>> lower, upper = log_tails(jnp.asarray(1.0), jnp.asarray(1.0))
        >>> print(f"{jnp.exp(lower):.4f} {jnp.exp(upper):.4f}")
        0.7500 0.2500
    """
    df, t = jnp.broadcast_arrays(df, t)
    many = df > 1e12
    few_df = jnp.where(many, 1.0, df)
    square = jnp.where(t == 0, 1.0, t) ** 2
    # The variable that is small has the digits; the square of t may overflow.
    near = square < few_df
    u = jnp.where(near, square / few_df, 1.0)
    v = jnp.where(near, 1.0, few_df / jnp.where(near, 1.0, square))
    half = jnp.full_like(t, 0.5)
    small = jnp.where(near, u / (1 + u), v / (1 + v))
    lower, upper = log_beta_tails(
        jnp.where(near, half, 0.5 * few_df), jnp.where(near, 0.5 * few_df, half), small
    )
    log_both = jnp.where(near, upper, lower)  # log P(|T| > |t|)
    log_far = jnp.where(t == 0, 0.0, log_both) - jnp.log(2.0)
    log_far = jnp.where(many, log_p_value(jnp.abs(t)), log_far)
    log_near = jnp.log1p(-jnp.exp(log_far))
    return jnp.where(t < 0, log_far, log_near), jnp.where(t < 0, log_near, log_far)


def density(df: Array, t: Array) -> Array:
    """Return the density of t.

    Example:
        >>> print(f"{density(jnp.asarray(4.0), jnp.asarray(0.0)):.4f}")
        0.3750
    """
    df = jnp.minimum(df, 1e12)
    at_zero = jnp.exp(log_gamma_ratio(0.5 * df, 0.5)) / jnp.sqrt(df * jnp.pi)
    return at_zero * jnp.exp(-0.5 * (df + 1) * jnp.log1p(t * (t / df)))


@jax.custom_jvp
def _by_beta(df: Array, tail: Array) -> Array:
    z, rest = beta_quantile_pair(0.5 * df, jnp.full_like(df, 0.5), 2 * tail)
    return -jnp.sqrt(df * (rest / z))


@_by_beta.defjvp
def _by_beta_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (df, tail), (df_dot, tail_dot) = primals, tangents
    t = _by_beta(df, tail)
    inside = (t < 0) & (t > -jnp.inf)
    safe = jnp.where(inside, t, -1.0)

    def log_tail(df: Array) -> Array:
        return log_tails(df, safe)[0]

    log_below, log_dot = jax.jvp(log_tail, (df,), (df_dot,))
    moved = jnp.where(inside, jnp.exp(log_below) * log_dot, 0.0)
    return t, (tail_dot - moved) / density(df, t)


def _expansion(df: Array, tail: Array) -> Array:
    """Return the quantile by the expansion in 1 / df (Abramowitz and Stegun 26.7.5)."""
    z = jsp.ndtri(tail)
    square, small = z * z, 1 / df
    first = small * (square + 1) / 4
    second = small * small * ((5 * square + 16) * square + 3) / 96
    third = small**3 * (((3 * square + 19) * square + 17) * square - 15) / 384
    return jnp.where(jnp.isinf(z), z, z * (1 + first + second + third))

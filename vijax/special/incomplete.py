r"""The incomplete beta and gamma functions in factors that lose no digit.

    I_x(a, b) = (m / a) e^(W - K) F        m = min(a, b)
    P(a, x)   = e^(W - K) F                lower tail of Gamma(a, 1)
    Q(a, x)   = a e^(W - K) U              upper tail of Gamma(a, 1)

The deviance K is zero at the mean and positive elsewhere, the weight W is what is left
of the normalisation, and F >= 1 and U, of order sqrt(a) near the mean, are the tail
over the density. F and U come here from continued fractions, which are short enough
for parameters up to `FRACTION_LIMIT`, and in `quadrature` from integrals, for any.
F is for x below the mean or little beyond it, U for x above that, as F(b, a, 1 - x) is
for Beta; `beta` and `gamma` draw the borders.

Source: DLMF 8.9.2, 8.17.22, and their even contractions.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vijax.special.elementary import (
    STIRLING_FROM,
    Elements,
    Log,
    Mask,
    exact_product,
    log1p_excess,
    log_gamma1p,
    log_power_over,
    stirling_remainder,
)

FRACTION_LIMIT = 1000.0
BETA_TERMS, GAMMA_TERMS = 52, 60
UNROLL_FROM = 8192  # elements: a loop compiles faster, straight code runs faster

Index = int | Elements
Convergents = tuple[Elements, Elements, Elements, Elements, Elements]


def gamma_weight(a: Elements) -> Elements:
    """Return W = a log a - a - log Γ(1 + a)."""
    few = a < STIRLING_FROM
    low, high = jnp.where(few, a, 1.0), jnp.where(few, STIRLING_FROM, a)
    log_a = jnp.log(jnp.where(few, a, 2 * np.pi * a))
    return jnp.where(
        few,
        low * log_a - low - log_gamma1p(low),
        -0.5 * log_a - stirling_remainder(high),
    )


def beta_weight(a: Elements, b: Elements) -> Elements:
    """Return W, which is symmetric in a and b."""
    small, large = jnp.minimum(a, b), jnp.maximum(a, b)
    return gamma_weight(small) + _stirling_change(large, small)


def _stirling_change(z: Elements, h: Elements) -> Elements:
    """Return log Γ(z + h) - log Γ(z) - (z + h) log(1 + h / z) - h log z + h.

    For small h it is of order h, and so is its rounding error.
    """
    shift = jnp.where(z < STIRLING_FROM, STIRLING_FROM, 0.0)
    far = z + shift
    log1p_far = jnp.log1p(h / far)
    change = stirling_remainder(far + h) - stirling_remainder(far) - 0.5 * log1p_far
    # Γ(z + h) / Γ(z) = Γ(z + 8 + h) / Γ(z + 8) / prod_j (1 + h / (z + j)); the product
    # is (n + excess) / n, a sum of positive terms.
    n, excess = jnp.ones_like(z), jnp.zeros_like(z)
    for j in range(int(STIRLING_FROM)):
        n, excess = n * (z + j), excess * (z + j + h) + n * h
    inverse = 1 / z
    moved = (
        (far + h) * log1p_far
        - (z + h) * jnp.log1p(h * inverse)
        + h * jnp.log1p(shift * inverse)
        - jnp.log1p(excess / jnp.where(shift > 0, n, 1.0))
    )
    return change + jnp.where(shift > 0, moved, 0.0)


def beta_slope(a: Elements, b: Elements, x: Elements, y: Elements) -> Elements:
    """Return a y - b x, where y = 1 - x and the smaller of the two is exact."""
    rest = 1 - jnp.maximum(x, y) - jnp.minimum(x, y)  # what the larger was rounded by
    (ay, ay_rest), (bx, bx_rest) = exact_product(a, y), exact_product(b, x)
    return ((ay - bx) + (ay_rest - bx_rest)) + jnp.where(x < y, a, -b) * rest


def beta_deviance(
    a: Elements,
    b: Elements,
    x: Elements,
    y: Elements,
    slope: Elements,
    log_w: Log | None = None,
) -> Elements:
    """Return K, or K + log w, at x = 1 - y, where slope = a y - b x."""
    total = a + b
    v = slope / b  # 1 + v = y / E[y]
    of_y = b * log1p_excess(v, jnp.log(y * (total / b)))
    return _deviance(a, -slope / a, x * (total / a), log_w) + of_y


def gamma_deviance(a: Elements, x: Elements, log_w: Log | None = None) -> Elements:
    """Return K, or K + log w, at x."""
    return _deviance(a, (x - a) / a, x / a, log_w)


def _deviance(
    a: Elements, u: Elements, one_plus_u: Elements, log_w: Log | None
) -> Elements:
    """Return a (u - log(1 + u)) + log w; far off, where both are large, in one."""
    if log_w is None:
        return a * log1p_excess(u, jnp.log(one_plus_u))
    near = jnp.abs(u) < 0.4
    u_near = jnp.where(near, u, 0.0)
    close = a * log1p_excess(u_near, u_near) + log_w.value
    return jnp.where(near, close, a * u - log_power_over(one_plus_u, a, log_w))


def beta_fraction(
    a: Elements,
    b: Elements,
    x: Elements,
    y: Elements,
    slope: Elements,
    *,
    terms: int = BETA_TERMS,
) -> Elements:
    """Return F(a, b, x), where slope = a y - b x, by every second convergent.

    With e = 2 / (a + 2m - 1), numerator and denominator obey

    p_{m+1} = β p_m + α p_{m-1},   α = (1 + e) m (a + m - 1) (b - m) x (a + b + m - 1) x
    β = a + 2m + e m a + slope (a - e m) + m (a + m) (2 (1 + y) - e (1 - y)).

    Written with the slope, β has positive terms only: near the mean, where F is large,
    the plain form would lose as many digits as F has.
    """
    width = 1 + jnp.maximum(slope, 0.0)
    first = 1 / ((a + 1) * width)
    start = (1 / width, jnp.zeros_like(a), (slope + 1) * first, 1 / a, first)
    bx, sx = b * x, (a + b) * x

    def advance(m: Index, state: Convergents) -> Convergents:
        wide = width + 4 * m
        scale = 1 / ((a + (2 * m - 1)) * wide)  # about 1 / β, against overflow
        e = 2 * wide * scale
        beta = (a + 2 * m) + e * (m * a) + slope * (a - e * m)
        beta = (beta + m * (a + m) * (2 * (1 + y) - e * (1 - y))) * scale
        alpha = (1 + e) * (m * (a + (m - 1))) * (bx - m * x) * (sx + (m - 1) * x)
        return _next(state, alpha * scale, beta, scale)

    return _convergent(advance, start, terms)


def gamma_fraction(
    a: Elements, x: Elements, lower: Mask, *, terms: int = GAMMA_TERMS
) -> Elements:
    """Return F(a, x) where `lower`, a U(a, x) elsewhere.

    F's fraction is the limit b x → x of Beta's; U's is Legendre's, α = m (a - m),
    β = x - a + 2m + 1. The one recurrence serves both.
    """
    # The barrier ties a to x, or XLA moves what depends on a alone, an array for each
    # term, out of a loop over x.
    a, x = jax.lax.optimization_barrier((a, x))
    slope, square = a - x, x * x
    width = 1 + jnp.maximum(slope, 0.0)
    first = 1 / jnp.where(lower, (a + 1) * width, 1 - slope)
    start = (
        jnp.where(lower, 1 / width, a * first),
        jnp.zeros_like(a),
        jnp.where(lower, (slope + 1) * first, 1.0),
        jnp.where(lower, 1 / a, 1.0),
        first,
    )

    def advance(m: Index, state: Convergents) -> Convergents:
        wide = width + 4 * m
        beta_upper = (2 * m + 1) - slope
        scale = 1 / jnp.where(lower, (a + (2 * m - 1)) * wide, beta_upper + m)
        e = 2 * wide * scale
        beta = (a + 2 * m) + e * (m * a) + slope * (a - e * m) + 4 * m * (a + m)
        alpha = (1 + e) * (m * (a + (m - 1))) * square
        beta = jnp.where(lower, beta, beta_upper) * scale
        alpha = jnp.where(lower, alpha, m * (a - m))
        return _next(state, alpha * scale, beta, scale)

    return _convergent(advance, start, terms)


def _next(
    state: Convergents, alpha: Elements, beta: Elements, scale: Elements
) -> Convergents:
    p, p0, q, q0, last = state
    alpha = alpha * last
    return beta * p + alpha * p0, p, beta * q + alpha * q0, q, scale


def _convergent(
    advance: Callable[[Index, Convergents], Convergents],
    state: Convergents,
    terms: int,
) -> Elements:
    """Return p / q after the steps of (p, previous p, q, previous q, last scale)."""
    if state[0].size < UNROLL_FROM:
        dtype = state[0].dtype

        def step(m: Any, state: Convergents) -> Convergents:
            return advance(jnp.asarray(m, dtype), state)

        state = jax.lax.fori_loop(1, terms + 1, step, state)
    else:
        for m in range(1, terms + 1):
            state = advance(m, state)
    # The barrier keeps XLA from rewriting a / F as a q / p, computing q and p twice.
    return jax.lax.optimization_barrier(state[0] / state[2])

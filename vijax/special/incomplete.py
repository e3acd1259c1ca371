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

from collections.abc import Callable, Sequence
from itertools import zip_longest
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
    polynomial,
    stirling_remainder,
)

FRACTION_LIMIT = 1000.0
BETA_BLOCKS, GAMMA_BLOCKS = 6, 7  # of terms, for float64's digits up to the limit
BLOCK = 8
UNROLL_FROM = 8192  # elements: a loop compiles faster, straight code runs faster

Polynomial = Sequence[Elements | float]  # in n, lowest power first
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
    blocks: int = BETA_BLOCKS,
) -> Elements:
    """Return F(a, b, x), where slope = a y - b x, by every second convergent.

    With e = 2 / (a + 2m - 1), numerator and denominator obey

    p_{m+1} = β p_m + α p_{m-1},   α = (1 + e) m (a + m - 1) (b - m) x (a + b + m - 1) x
    β = a + 2m + e m a + slope (a - e m) + m (a + m) (2 (1 + y) - e (1 - y)).

    Written with the slope, β has positive terms only: near the mean, where F is large,
    the plain form would lose as many digits as F has. Times a + 2m - 1, all are
    polynomials in n = m - 1.
    """
    lower = slope * (a - 1)
    beta = _sum(
        _product((a + 1, 2.0), (a + 2, 2.0)),
        (2 * a, 2 * a),
        (lower * (a + 2), 2 * lower),
        _product(
            _product((1.0, 1.0), (a + 1, 1.0)),
            (2 * ((1 + y) * (a + 1) - x), 4 * (1 + y)),
        ),
    )
    square = x * x
    last = (b - 1) * (a + b)
    alpha = (
        _scaled(((a + 3) * (a - 1), 4 * (a + 1), 4.0), square),
        (a, 1.0),
        (b - 1, -1.0),
        (a + b, 1.0),
    )
    width = 1 + jnp.maximum(slope, 0.0)

    def size(m: Elements | float) -> Elements:
        return (a + (2 * m - 1)) ** 2 * (width + 4 * m)

    start = a + 1, slope + 1, (a + 3) * last * square
    return _convergent(beta, alpha, size, start, blocks)


def gamma_fraction(
    a: Elements, x: Elements, lower: Mask, *, blocks: int = GAMMA_BLOCKS
) -> Elements:
    """Return F(a, x) where `lower`, a U(a, x) elsewhere.

    F's fraction is the limit b x → x of Beta's; U's is Legendre's, α = m (a - m),
    β = x - a + 2m + 1. The one recurrence serves both.
    """
    # The barrier ties a to x, or XLA moves what depends on a alone, an array for each
    # term, out of a loop over x.
    a, x = jax.lax.optimization_barrier((a, x))
    slope, square = a - x, x * x
    bend = slope * (a - 1)
    of_lower = _sum(
        _product((a + 1, 2.0), (a + 2, 2.0)),
        (2 * a, 2 * a),
        (bend * (a + 2), 2 * bend),
        _product(_product((1.0, 1.0), (a + 1, 1.0)), (4 * (a + 1), 8.0)),
    )
    of_upper = 3 - slope, 2.0, 0.0, 0.0
    alpha_lower = _scaled(((a + 3) * (a - 1), 4 * (a + 1), 4.0), square)
    alpha = (
        _where(lower, alpha_lower, (1.0, 0.0, 0.0)),
        _where(lower, (a, 1.0), (a - 1, -1.0)),
    )
    width = 1 + jnp.maximum(slope, 0.0)

    def size(m: Elements | float) -> Elements:
        wide = (a + (2 * m - 1)) ** 2 * (width + 4 * m)
        return jnp.where(lower, wide, (3 * m + 1) - slope)

    start = (
        jnp.where(lower, a + 1, a),
        jnp.where(lower, slope + 1, 1 - slope),
        jnp.where(lower, (a + 3) * square, a - 1),
    )
    return _convergent(_where(lower, of_lower, of_upper), alpha, size, start, blocks)


def _convergent(
    beta: Polynomial,
    alpha: Sequence[Polynomial],
    size: Callable[[Elements | float], Elements],
    start: tuple[Elements, Elements, Elements],
    blocks: int,
) -> Elements:
    """Return the limit of p / q, p_{m+1} = β p_m + α p_{m-1}, and q likewise.

    Args:
        beta: β at m = n + 1.
        alpha: the factors of α / m.
        size: m -> about β, by which a block of terms is scaled against overflow.
        start: p_1, q_1 and α_1 q_0; p_0 = 0.
        blocks: of terms, beyond which the fraction is taken to go on as it is there.
    """
    p, q, first = start
    scale = 1 / size(1.0)
    p, q = scale * p, scale * q
    of_one = scale * beta[0]
    state = of_one * p, p, of_one * q + scale * scale * first, q, scale

    def coefficients(n: Elements | float, scale: Elements) -> tuple[Elements, Elements]:
        scaled = [_scaled(alpha[0], scale * scale), *alpha[1:]]
        of_n = polynomial(scaled[0], n) * (n + 1)
        for factor in scaled[1:]:
            of_n = of_n * polynomial(factor, n)
        return of_n, polynomial(_scaled(beta, scale), n)

    def advance(block: Elements | int, state: Convergents) -> Convergents:
        p, p0, q, q0, last = state
        first = BLOCK * block + 1.0
        inverse = size(first + 1)
        scale = 1 / inverse
        p0, q0 = (last * inverse) * p0, (last * inverse) * q0
        for k in range(BLOCK):
            of_n, beta_n = coefficients(first + k, scale)
            p, p0 = beta_n * p + of_n * p0, p
            q, q0 = beta_n * q + of_n * q0, q
        return p, p0, q, q0, scale

    if p.size < UNROLL_FROM:
        state = jax.lax.fori_loop(
            0, blocks, lambda k, state: advance(jnp.asarray(k, p.dtype), state), state
        )
    else:
        for block in range(blocks):
            state = advance(block, state)
    p, p0, q, q0, scale = state
    # The rest of the fraction t, were its terms to stay the same: t = β + α / t.
    of_n, beta_n = coefficients(BLOCK * blocks + 1.0, scale)
    rest = beta_n + jnp.sqrt(jnp.maximum(beta_n * beta_n + 4 * of_n, 0.0))
    p, q = rest * p + 2 * of_n * p0, rest * q + 2 * of_n * q0
    # The barrier keeps XLA from rewriting a / F as a q / p, computing q and p twice.
    return jax.lax.optimization_barrier(p / q)


def _product(p: Polynomial, q: Polynomial) -> Polynomial:
    out: list[Any] = [0.0] * (len(p) + len(q) - 1)
    for i, u in enumerate(p):
        for j, v in enumerate(q):
            out[i + j] = out[i + j] + u * v
    return out


def _sum(*polynomials: Polynomial) -> Polynomial:
    columns = zip_longest(*polynomials, fillvalue=0.0)
    return [sum(column) for column in columns]


def _scaled(p: Polynomial, factor: Elements) -> Polynomial:
    return [c * factor for c in p]


def _where(condition: Mask, p: Polynomial, q: Polynomial) -> Polynomial:
    return [jnp.where(condition, u, v) for u, v in zip(p, q, strict=True)]

"""The Beta(a, b) distribution: its tails, their derivatives, its quantile; flat arrays.

All arrays of a call have one dtype. On either side of the mean the smaller tail is
computed, and the other is its complement. t = logit x, and D = m e^(W - K) is the
density of t, in the notation of `incomplete`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vijax.special import incomplete, quadrature, quantile_steps
from vijax.special.elementary import Elements, Log, Mask, digamma_rest, split_log
from vijax.special.elementwise import elementwise

ROUGH_BLOCKS = 2
SMALL = 0.5  # below this parameter 1 - tail, which is of its order, is computed apart

Ratio = Callable[[Elements, Elements, Elements, Elements, Elements], Elements]


@elementwise
def log_tails(
    a: Elements, b: Elements, x: Elements, y: Elements
) -> tuple[Elements, Elements]:
    """Return the logs of both tails, for 0 < x < 1 and y = 1 - x."""
    lower = _is_lower(a, b, x, y)
    a, b, x, y = _sided(lower, a, b, x, y)
    slope = incomplete.beta_slope(a, b, x, y)
    weight = incomplete.beta_weight(a, b)
    f = _ratio(a, b, x, y, slope)
    log_tail = weight - incomplete.beta_deviance(a, b, x, y, slope)
    log_tail = jnp.minimum(log_tail + jnp.log(f * (jnp.minimum(a, b) / a)), 0.0)
    rest = _complement(a < SMALL, a, b, x, weight, -jnp.expm1(log_tail))
    # Near 1 a tail's log is that of 1 minus the other.
    log_rest = jnp.where(rest < 0.5, jnp.log(rest), jnp.log1p(-jnp.exp(log_tail)))
    log_tail = jnp.where(rest < 0.5, jnp.log1p(-rest), log_tail)
    return jnp.where(lower, log_tail, log_rest), jnp.where(lower, log_rest, log_tail)


@jax.jit
def log_density(a: Elements, b: Elements, x: Elements, y: Elements) -> Elements:
    """Return log D, differentiably."""
    deviance = incomplete.beta_deviance(a, b, x, y, incomplete.beta_slope(a, b, x, y))
    return jnp.log(jnp.minimum(a, b)) + incomplete.beta_weight(a, b) - deviance


@jax.jit
def slopes(
    a: Elements, b: Elements, x: Elements, y: Elements
) -> tuple[Elements, Elements]:
    """Return d/da and d/db of the lower tail at fixed x, over D."""
    lower = _is_lower(a, b, x, y)
    a, b, x, y = _sided(lower, a, b, x, y)
    f = quadrature.beta_ratio(a, b, x, y)
    # log x + ψ(a + b) - ψ(a + 1), and log y + ψ(a + b) - ψ(b), y / E[y] = 1 + v
    v = incomplete.beta_slope(a, b, x, y) / b
    rest = digamma_rest(a + b)
    of_x = jnp.log(x * ((a + b) / (a + 1))) + rest - digamma_rest(a + 1)
    of_y = jnp.log1p(v) + rest - digamma_rest(b)
    by_a, by_b = (f.value * of_x + f.d_a) / a, (f.value * of_y + f.d_b) / a
    return jnp.where(lower, by_a, -by_b), jnp.where(lower, by_b, -by_a)


@elementwise
def quantile(a: Elements, b: Elements, w: Elements) -> tuple[Elements, Elements]:
    """Return x and 1 - x at which the lower tail is w, 0 < w <= 1/2."""
    tiny = 16 * float(jnp.finfo(w.dtype).tiny)
    # Barriers: what several stages need is computed once.
    weight, log_w = jax.lax.optimization_barrier(
        (incomplete.beta_weight(a, b), split_log(w))
    )
    args = a, b, w, log_w, weight
    single = [v.astype(jnp.float32) for v in (a, b, log_w.value, weight)]
    guess = _guess(*single, log_tiny=math.log(tiny))
    large = a.size >= incomplete.UNROLL_FROM
    t = _refine(*single, guess=guess) if large else guess.t
    t, known = jax.lax.optimization_barrier((t, guess.known))
    x, y = (jnp.maximum(v, tiny) for v in _from_logit(t.astype(w.dtype)))

    def advance(args: Any, state: Any) -> tuple[Any, Mask]:
        return _advance(args, state, tiny, _ratio, exact=True)

    if large:
        # Few are left by one step, which has neither branches nor loops.
        fraction = incomplete.beta_fraction
        moved, done = _advance(args, (x, y), tiny, fraction, exact=False)
        apt = _is_moderate(a, b) & ~_wants_complement(a, b, x, y)
        x, y = (
            jnp.where(apt, new, old) for new, old in zip(moved, (x, y), strict=True)
        )
        x, y = quantile_steps.finish(advance, args, (x, y), known | (apt & done))
    else:
        x, y = quantile_steps.until_done(advance, args, (x, y), known)

    def by_power_law() -> tuple[Elements, Elements]:
        low = x < y
        log_tail = jnp.where(low, log_w.value, jnp.log1p(-w))
        p, q = jnp.where(low, a, b), jnp.where(low, b, a)
        small = jnp.exp(_log_power_law(p, q, log_tail, weight))
        return (
            jnp.where(known, jnp.where(low, small, 1 - small), x),
            jnp.where(known, jnp.where(low, 1 - small, small), y),
        )

    return jax.lax.cond(jnp.any(known), by_power_law, lambda: (x, y))


def _advance(
    args: Any, state: Any, tiny: float, ratio: Ratio, *, exact: bool
) -> tuple[Any, Mask]:
    """Return x and y after a step, and whether they need no other."""
    (a, b, w, log_w, weight), (x, y) = args, state
    step = _step(a, b, w, log_w, weight, x, y, ratio, exact=exact)
    x, y = (jnp.maximum(v, tiny) for v in _move(x, y, step.value))
    still = jnp.abs(step.value) < 4 * jnp.finfo(x.dtype).eps
    return (x, y), still | (step.size < quantile_steps.EXACT)


def _is_lower(a: Elements, b: Elements, x: Elements, y: Elements) -> Mask:
    return x * (b + 1.6) <= y * (a + 1.6)


def _sided(
    lower: Mask, a: Elements, b: Elements, x: Elements, y: Elements
) -> tuple[Elements, ...]:
    """Swap Beta(a, b) with its mirror image where it is the upper tail's turn."""
    return (
        jnp.where(lower, a, b),
        jnp.where(lower, b, a),
        jnp.where(lower, x, y),
        jnp.where(lower, y, x),
    )


def _is_moderate(a: Elements, b: Elements) -> Mask:
    """Whether the fraction has the terms that it needs."""
    return jnp.maximum(a, b) <= incomplete.FRACTION_LIMIT


def _wants_complement(a: Elements, b: Elements, x: Elements, y: Elements) -> Mask:
    """Whether 1 minus the upper tail would lose digits."""
    return ~_is_lower(a, b, x, y) & (b < SMALL)


def _ratio(
    a: Elements, b: Elements, x: Elements, y: Elements, slope: Elements
) -> Elements:
    """Return F: of small batches the integral, which compiles sooner."""
    if a.size < incomplete.UNROLL_FROM:
        return quadrature.beta_ratio(a, b, x, y).value
    moderate = _is_moderate(a, b)
    fraction = incomplete.beta_fraction(a, b, x, y, slope)

    def with_integral() -> Elements:
        return jnp.where(moderate, fraction, quadrature.beta_ratio(a, b, x, y).value)

    return jax.lax.cond(jnp.all(moderate), lambda: fraction, with_integral)


def _complement(
    small: Mask,
    a: Elements,
    b: Elements,
    x: Elements,
    weight: Elements,
    rest: Elements,
) -> Elements:
    """Return 1 - tail, which is `rest` unless a is small."""

    def with_integral() -> Elements:
        return jnp.where(small, quadrature.beta_complement(a, b, x, weight), rest)

    return jax.lax.cond(jnp.any(small), with_integral, lambda: rest)


def _step(
    a: Elements,
    b: Elements,
    w: Elements,
    log_w: Log,
    weight: Elements,
    x: Elements,
    y: Elements,
    ratio: Ratio,
    *,
    exact: bool,
) -> quantile_steps.Step:
    """Return the step in logit x that brings the lower tail to w."""
    lower, small = _is_lower(a, b, x, y), jnp.minimum(a, b)
    a_side, b_side, x_side, y_side = _sided(lower, a, b, x, y)
    slope = incomplete.beta_slope(a_side, b_side, x_side, y_side)
    log_part = Log(*(jnp.where(lower, v, 0.0) for v in log_w))
    log_front = weight - incomplete.beta_deviance(
        a_side, b_side, x_side, y_side, slope, log_part
    )
    f = ratio(a_side, b_side, x_side, y_side, slope)
    # lower: the tail is small / a e^(W - K) F; upper: 1 - that
    density = small * jnp.exp(jnp.where(lower, 0.0, log_front))
    part = f * (jnp.where(lower, small, density) / a_side)
    rest = 1 - part
    if exact:
        wanted = _wants_complement(a, b, x, y)
        rest = _complement(wanted, a_side, b_side, x_side, weight, rest)
    g = jnp.log(jnp.where(lower, part, rest / w)) + jnp.where(lower, log_front, 0.0)
    rise = jnp.where(lower, a_side, density) / jnp.where(lower, f, rest)
    return quantile_steps.householder(
        g, rise, jnp.where(lower, slope, -slope), -(a + b) * x * y
    )


class _Guess(NamedTuple):
    """t to a tenth of its scale, its bounds, and where x or y is next to nothing."""

    t: Elements
    low: Elements
    high: Elements
    known: Mask  # there the power law is exact


def _guess(
    a: Elements, b: Elements, log_w: Elements, weight: Elements, *, log_tiny: float
) -> _Guess:
    # t is the difference of two logs of Gamma variables.
    of_a, of_b = (
        quantile_steps.log_gamma_cumulants(a),
        quantile_steps.log_gamma_cumulants(b),
    )
    cumulants = [
        p + (-1) ** k * q for k, (p, q) in enumerate(zip(of_a, of_b, strict=True), 1)
    ]
    t = quantile_steps.cornish_fisher(quantile_steps.normal_quantile(log_w), cumulants)
    # I_x(a, b) is between x^a and x^a / (a B(a, b)), and 1 - I likewise.
    log_rest = jnp.log(-jnp.expm1(log_w))
    lows, highs, known = [], [], jnp.zeros(a.shape, bool)
    for sign, log_tail, p, q in ((1, log_w, a, b), (-1, log_rest, b, a)):
        bounds = log_tail / p, _log_power_law(p, q, log_tail, weight)
        ends = [_logit(v) for v in (jnp.minimum(*bounds), jnp.maximum(*bounds))]
        lows.append(ends[0] if sign == 1 else -ends[1])
        highs.append(ends[1] if sign == 1 else -ends[0])
        known |= bounds[1] < log_tiny
    low, high = jnp.maximum(*lows), jnp.minimum(*highs)
    return _Guess(jnp.clip(t, low, high), low, high, known)


def _refine(
    a: Elements, b: Elements, log_w: Elements, weight: Elements, *, guess: _Guess
) -> Elements:
    """Return t to about 1e-5 of its scale by a step in single precision."""
    inside = _is_moderate(a, b) & (jnp.abs(guess.t) < 80)
    x, y = _from_logit(jnp.where(inside, guess.t, 0.0))
    log = Log(jnp.zeros_like(log_w), log_w)
    fraction = partial(incomplete.beta_fraction, blocks=ROUGH_BLOCKS)
    step = _step(a, b, jnp.exp(log_w), log, weight, x, y, fraction, exact=False)
    use = inside & jnp.isfinite(step.value)
    t = guess.t + jnp.where(use, step.value, 0.0)
    return jnp.clip(t, guess.low, guess.high)


def _log_power_law(
    a: Elements, b: Elements, log_tail: Elements, weight: Elements
) -> Elements:
    """Return log x where the tail is x^a / (a B(a, b)), as for small x; 0 at most."""
    log_constant = weight + jnp.log(jnp.minimum(a, b) / a) + b * jnp.log1p(a / b)
    return jnp.minimum((log_tail - log_constant) / a - jnp.log((a + b) / a), 0.0)


def _logit(log_x: Elements) -> Elements:
    return log_x - jnp.log(-jnp.expm1(jnp.minimum(log_x, -1e-7)))


def _from_logit(t: Elements) -> tuple[Elements, Elements]:
    small = jnp.exp(-jnp.abs(t))
    large = 1 / (1 + small)
    small = small * large
    return jnp.where(t < 0, small, large), jnp.where(t < 0, large, small)


def _move(x: Elements, y: Elements, step: Elements) -> tuple[Elements, Elements]:
    """Add a step to logit x by a factor on the smaller of x and y."""
    step = jnp.clip(step, -600.0, 600.0)
    growth = jnp.expm1(jnp.where(x < y, step, -step))
    small = jnp.minimum(x, y)
    small = small * (1 + growth) / (1 + small * growth)
    return jnp.where(x < y, small, 1 - small), jnp.where(x < y, 1 - small, small)

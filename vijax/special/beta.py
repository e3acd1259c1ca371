"""Beta(a, b): its tails, their slopes, and its quantile; flat arrays of one dtype.

Of the two tails, that is computed whose quantile is on its side of the mean; the other
is its complement. t = logit x, and D = m e^(W - K) is the density of t.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vijax.special import incomplete, quadrature, solve
from vijax.special.elementary import Elements, Log, Mask, digamma_rest, split_log
from vijax.special.elementwise import elementwise

ROUGH_TERMS = 24
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
    tiny = 16 * jnp.finfo(w.dtype).tiny
    weight, log_w = incomplete.beta_weight(a, b), split_log(w)
    log_x = _log_power_law(a, b, log_w.value, weight)
    log_y = _log_power_law(b, a, jnp.log1p(-w), weight)
    t = _rough(*(v.astype(jnp.float32) for v in (a, b, log_w.value, weight)))
    x, y = (jnp.maximum(v, tiny) for v in _from_logit(t.astype(w.dtype)))
    # Where x or y is next to nothing, the power law is exact and the answer known.
    known = jnp.minimum(log_x, log_y) < jnp.log(tiny)

    def advance(args: Any, state: Any) -> tuple[Any, Mask]:
        (a, b, w, log_w, weight), (x, y) = args, state
        step = _step(a, b, w, log_w, weight, x, y, _ratio, exact=True)
        x, y = (jnp.maximum(v, tiny) for v in _move(x, y, step.value))
        still = jnp.abs(step.value) < 4 * jnp.finfo(x.dtype).eps
        return (x, y), still | (step.size < solve.EXACT)

    x, y = solve.until_done(advance, (a, b, w, log_w, weight), (x, y), known)
    return (
        jnp.where(known, jnp.exp(log_x), x),
        jnp.where(known, jnp.exp(log_y), y),
    )


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


def _ratio(
    a: Elements, b: Elements, x: Elements, y: Elements, slope: Elements
) -> Elements:
    """Return F; the integral is computed only if an element needs it."""
    moderate = jnp.maximum(a, b) <= incomplete.FRACTION_LIMIT
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
) -> solve.Step:
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
        wanted = ~lower & (a_side < SMALL)
        rest = _complement(wanted, a_side, b_side, x_side, weight, rest)
    g = jnp.log(jnp.where(lower, part, rest / w)) + jnp.where(lower, log_front, 0.0)
    rise = jnp.where(lower, a_side, density) / jnp.where(lower, f, rest)
    return solve.householder(g, rise, jnp.where(lower, slope, -slope), -(a + b) * x * y)


def _rough(a: Elements, b: Elements, log_w: Elements, weight: Elements) -> Elements:
    """Return t to about 1e-4 of its scale, all in single precision."""
    # t is the difference of two logs of Gamma variables.
    of_a, of_b = solve.log_gamma_cumulants(a), solve.log_gamma_cumulants(b)
    cumulants = [
        p + (-1) ** k * q for k, (p, q) in enumerate(zip(of_a, of_b, strict=True), 1)
    ]
    t = solve.cornish_fisher(solve.normal_quantile(log_w), cumulants)
    # I_x(a, b) is between x^a and x^a / (a B(a, b)), and 1 - I likewise.
    log_rest = jnp.log(-jnp.expm1(log_w))
    lows, highs = [], []
    for sign, log_tail, p, q in ((1, log_w, a, b), (-1, log_rest, b, a)):
        bounds = log_tail / p, _log_power_law(p, q, log_tail, weight)
        ends = [_logit(v) for v in (jnp.minimum(*bounds), jnp.maximum(*bounds))]
        lows.append(ends[0] if sign == 1 else -ends[1])
        highs.append(ends[1] if sign == 1 else -ends[0])
    low, high = jnp.maximum(*lows), jnp.minimum(*highs)
    t = jnp.clip(t, low, high)
    if t.size < incomplete.UNROLL_FROM:
        return t  # exact steps from here on: fewer lines to compile
    moderate = jnp.maximum(a, b) <= incomplete.FRACTION_LIMIT
    w, no_exponent = jnp.exp(log_w), jnp.zeros_like(log_w)

    def ratio(
        a: Elements, b: Elements, x: Elements, y: Elements, slope: Elements
    ) -> Elements:
        return incomplete.beta_fraction(a, b, x, y, slope, terms=ROUGH_TERMS)

    def advance(state: tuple[Any, ...]) -> tuple[Any, ...]:
        t, _, count = state
        inside = moderate & (jnp.abs(t) < 80)
        x, y = _from_logit(jnp.where(inside, t, 0.0))
        log = Log(no_exponent, log_w)
        step = _step(a, b, w, log, weight, x, y, ratio, exact=False)
        use = inside & jnp.isfinite(step.value)
        t = jnp.clip(t + jnp.where(use, step.value, 0.0), low, high)
        return t, jnp.any(use & (step.size > solve.ROUGH)), count + 1

    def unfinished(state: tuple[Any, ...]) -> Mask:
        return state[1] & (state[2] < solve.MAX_ROUGH_STEPS)

    start: tuple[Any, ...] = (t, jnp.any(moderate), 0)
    return jax.lax.while_loop(unfinished, advance, start)[0]


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

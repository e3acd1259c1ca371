"""Gamma(a, rate 1): its tails, their slope, and its quantile; flat arrays of one dtype.

As `beta`, of which it is the limit b → ∞ at x b; t = log x, D = a e^(W - K).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vijax.special import incomplete, quadrature, solve
from vijax.special.beta import ROUGH_TERMS, SMALL
from vijax.special.elementary import Elements, Log, Mask, digamma_rest, split_log
from vijax.special.elementwise import elementwise

Ratio = Callable[[Elements, Elements, Mask], Elements]


@elementwise
def log_tails(a: Elements, x: Elements) -> tuple[Elements, Elements]:
    """Return the logs of both tails, for x > 0."""
    lower = _is_lower(a, x)
    weight = incomplete.gamma_weight(a)
    log_tail = weight - incomplete.gamma_deviance(a, x)
    log_tail = log_tail + jnp.log(_ratio(a, x, lower))
    log_tail = jnp.minimum(log_tail, 0.0)
    wanted = lower & (a < SMALL)
    rest = _complement(wanted, a, x, weight, -jnp.expm1(log_tail))
    # Near 1 a tail's log is that of 1 minus the other.
    log_rest = jnp.where(rest < 0.5, jnp.log(rest), jnp.log1p(-jnp.exp(log_tail)))
    log_tail = jnp.where(rest < 0.5, jnp.log1p(-rest), log_tail)
    return jnp.where(lower, log_tail, log_rest), jnp.where(lower, log_rest, log_tail)


@jax.jit
def log_density(a: Elements, x: Elements) -> Elements:
    """Return log D, differentiably."""
    deviance = incomplete.gamma_deviance(a, x)
    return jnp.log(a) + incomplete.gamma_weight(a) - deviance


@jax.jit
def slope(a: Elements, x: Elements) -> Elements:
    """Return d/da of the lower tail at fixed x, over D."""
    lower = _is_lower(a, x)
    below, above = _sides(a, x)
    f, u = quadrature.gamma_ratio(a, below), quadrature.gamma_upper_ratio(a, above)
    # log x - ψ(a + 1), and log x - ψ(a)
    shifted = jnp.log(x / (a + 1)) - digamma_rest(a + 1)
    of_lower = (f.value * shifted + f.d_a) / a
    of_upper = u.value * (shifted + 1 / a) + u.d_a
    return jnp.where(lower, of_lower, -of_upper)


@elementwise
def quantile(a: Elements, w: Elements, upper: Mask) -> Elements:
    """Return x at which the lower tail, or the upper one, is w, 0 < w <= 1/2."""
    tiny = 16 * jnp.finfo(w.dtype).tiny
    weight, log_w = incomplete.gamma_weight(a), split_log(w)
    log_x = _log_power_law(a, jnp.where(upper, jnp.log1p(-w), log_w.value), weight)
    single = [v.astype(jnp.float32) for v in (a, log_w.value, weight)]
    t = _rough(single[0], single[1], single[2], upper)
    x = jnp.maximum(jnp.exp(t.astype(w.dtype)), tiny)
    known = log_x < jnp.log(tiny)  # where x is next to nothing the power law is exact

    def advance(args: Any, x: Elements) -> tuple[Elements, Mask]:
        a, w, log_w, weight, upper = args
        step = _step(a, w, log_w, weight, x, upper, _ratio, exact=True)
        moved = x + x * jnp.expm1(jnp.clip(step.value, -600.0, 600.0))
        still = jnp.abs(step.value) < 4 * jnp.finfo(x.dtype).eps
        return jnp.maximum(moved, tiny), still | (step.size < solve.EXACT)

    x = solve.until_done(advance, (a, w, log_w, weight, upper), x, known)
    return jnp.where(known, jnp.exp(log_x), x)


def _is_lower(a: Elements, x: Elements) -> Mask:
    return x <= _border(a)


def _border(a: Elements) -> Elements:
    # Here the two fractions converge equally well for a = FRACTION_LIMIT; Legendre's
    # takes ever more terms below 1.5 for small a.
    return jnp.maximum(a + 0.5 + 0.6 * jnp.sqrt(a), 1.5)


def _sides(a: Elements, x: Elements) -> tuple[Elements, Elements]:
    """Keep x to either side, where the ratio that is not wanted is harmless."""
    return jnp.minimum(x, _border(a)), jnp.maximum(x, _border(a))


def _ratio(a: Elements, x: Elements, lower: Mask) -> Elements:
    """Return F or a U; the integrals are computed only if an element needs one."""
    moderate = a <= incomplete.FRACTION_LIMIT
    fraction = incomplete.gamma_fraction(a, x, lower)

    def with_integral() -> Elements:
        below, above = _sides(a, x)
        f = quadrature.gamma_ratio(a, below).value
        u = quadrature.gamma_upper_ratio(a, above).value
        return jnp.where(moderate, fraction, jnp.where(lower, f, a * u))

    return jax.lax.cond(jnp.all(moderate), lambda: fraction, with_integral)


def _complement(
    small: Mask, a: Elements, x: Elements, weight: Elements, rest: Elements
) -> Elements:
    """Return 1 - lower tail, which is `rest` unless a is small."""

    def with_integral() -> Elements:
        return jnp.where(small, quadrature.gamma_complement(a, x, weight), rest)

    return jax.lax.cond(jnp.any(small), with_integral, lambda: rest)


def _step(
    a: Elements,
    w: Elements,
    log_w: Log,
    weight: Elements,
    x: Elements,
    upper: Mask,
    ratio: Ratio,
    *,
    exact: bool,
) -> solve.Step:
    """Return the step in log x that brings the tail to w."""
    lower = _is_lower(a, x)
    direct = lower != upper  # the tail that is known is the one that is asked for
    log_part = Log(*(jnp.where(direct, v, 0.0) for v in log_w))
    log_front = weight - incomplete.gamma_deviance(a, x, log_part)
    f = ratio(a, x, lower)
    front = jnp.exp(jnp.where(direct, 0.0, log_front))
    part = front * f
    rest = 1 - part
    if exact:
        wanted = ~direct & lower & (a < SMALL)
        rest = _complement(wanted, a, x, weight, rest)
    g = jnp.log(jnp.where(direct, part, rest / w)) + jnp.where(direct, log_front, 0.0)
    rise = a * front / jnp.where(direct, f, rest)
    sign = jnp.where(upper, -1.0, 1.0).astype(x.dtype)
    step = solve.householder(g, rise, sign * (a - x), -x)
    return solve.Step(sign * step.value, step.size)


def _rough(a: Elements, log_w: Elements, weight: Elements, upper: Mask) -> Elements:
    """Return t to about 1e-4 of its scale, all in single precision."""
    z = solve.normal_quantile(log_w)
    z = jnp.where(upper, -z, z)
    t = solve.cornish_fisher(z, solve.log_gamma_cumulants(a))
    # The lower tail is below x^a / Γ(a + 1), the upper one below e^-K (Chernoff), and
    # the median below the mean.
    log_lower = jnp.where(upper, jnp.log(-jnp.expm1(log_w)), log_w)
    low = _log_power_law(a, log_lower, weight)
    chernoff = jnp.log(a - log_w + jnp.sqrt(-2 * a * log_w))
    high = jnp.where(upper, chernoff, jnp.log(a))
    t = jnp.clip(t, low, high)
    if t.size < incomplete.UNROLL_FROM:
        return t  # exact steps from here on: fewer lines to compile
    moderate = a <= incomplete.FRACTION_LIMIT
    w, no_exponent = jnp.exp(log_w), jnp.zeros_like(log_w)

    def ratio(a: Elements, x: Elements, lower: Mask) -> Elements:
        return incomplete.gamma_fraction(a, x, lower, terms=ROUGH_TERMS)

    def advance(state: tuple[Any, ...]) -> tuple[Any, ...]:
        t, _, count = state
        inside = moderate & (jnp.abs(t) < 80)
        x = jnp.exp(jnp.where(inside, t, 0.0))
        log = Log(no_exponent, log_w)
        step = _step(a, w, log, weight, x, upper, ratio, exact=False)
        use = inside & jnp.isfinite(step.value)
        t = jnp.clip(t + jnp.where(use, step.value, 0.0), low, high)
        return t, jnp.any(use & (step.size > solve.ROUGH)), count + 1

    def unfinished(state: tuple[Any, ...]) -> Mask:
        return state[1] & (state[2] < solve.MAX_ROUGH_STEPS)

    start: tuple[Any, ...] = (t, jnp.any(moderate), 0)
    return jax.lax.while_loop(unfinished, advance, start)[0]


def _log_power_law(a: Elements, log_tail: Elements, weight: Elements) -> Elements:
    """Return log x where the lower tail is x^a / Γ(a + 1), as for small x."""
    return (log_tail - weight) / a + jnp.log(a) - 1

"""The Gamma(a, rate 1) distribution: its tails, their derivative, its quantile.

The method is that of `beta`, of which this is the limit b → ∞ at x b. t = log x, and
D = a e^(W - K) is the density of t, in the notation of `incomplete`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vijax.special import incomplete, quadrature, quantile_steps
from vijax.special.beta import ROUGH_BLOCKS, SMALL
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
    ratio = quadrature.gamma_ratio(a, x, lower)
    # log x - ψ(a + 1), and log x - ψ(a)
    shifted = jnp.log(x / (a + 1)) - digamma_rest(a + 1)
    of_lower = (ratio.value * shifted + ratio.d_a) / a
    of_upper = ratio.value * (shifted + 1 / a) + ratio.d_a
    return jnp.where(lower, of_lower, -of_upper)


@elementwise
def quantile(a: Elements, w: Elements, upper: Mask) -> Elements:
    """Return x at which the lower tail, or the upper one, is w, 0 < w <= 1/2."""
    tiny = 16 * float(jnp.finfo(w.dtype).tiny)
    # Barriers: what several stages need is computed once.
    weight, log_w = jax.lax.optimization_barrier(
        (incomplete.gamma_weight(a), split_log(w))
    )
    args = a, w, log_w, weight, upper
    single = [v.astype(jnp.float32) for v in (a, log_w.value, weight)]
    guess = _guess(*single, upper=upper)
    large = a.size >= incomplete.UNROLL_FROM
    t = _refine(*single, upper=upper, guess=guess) if large else guess.t
    # where x is next to nothing the power law is exact
    known = guess.low < math.log(tiny)
    t, known = jax.lax.optimization_barrier((t, known))
    x = jnp.maximum(jnp.exp(t.astype(w.dtype)), tiny)

    def advance(args: Any, x: Elements) -> tuple[Elements, Mask]:
        return _advance(args, x, tiny, _ratio, exact=True)

    if large:
        # Few are left by one step, which has neither branches nor loops.
        fraction = incomplete.gamma_fraction
        moved, done = _advance(args, x, tiny, fraction, exact=False)
        apt = _is_moderate(a) & ~_wants_complement(a, x, upper)
        x = jnp.where(apt, moved, x)
        x = quantile_steps.finish(advance, args, x, known | (apt & done))
    else:
        x = quantile_steps.until_done(advance, args, x, known)

    def by_power_law() -> Elements:
        log_tail = jnp.where(upper, jnp.log1p(-w), log_w.value)
        return jnp.where(known, jnp.exp(_log_power_law(a, log_tail, weight)), x)

    return jax.lax.cond(jnp.any(known), by_power_law, lambda: x)


def _advance(
    args: Any, x: Elements, tiny: float, ratio: Ratio, *, exact: bool
) -> tuple[Elements, Mask]:
    """Return x after a step, and whether it needs no other."""
    a, w, log_w, weight, upper = args
    step = _step(a, w, log_w, weight, x, upper, ratio, exact=exact)
    moved = x + x * jnp.expm1(jnp.clip(step.value, -600.0, 600.0))
    still = jnp.abs(step.value) < 4 * jnp.finfo(x.dtype).eps
    return jnp.maximum(moved, tiny), still | (step.size < quantile_steps.EXACT)


def _is_lower(a: Elements, x: Elements) -> Mask:
    return x <= _border(a)


def _border(a: Elements) -> Elements:
    # Here the two fractions converge equally well for a = FRACTION_LIMIT; Legendre's
    # takes ever more terms below 1.5 for small a.
    return jnp.maximum(a + 0.5 + 0.6 * jnp.sqrt(a), 1.5)


def _is_moderate(a: Elements) -> Mask:
    """Whether the fraction has the terms that it needs."""
    return a <= incomplete.FRACTION_LIMIT


def _wants_complement(a: Elements, x: Elements, upper: Mask) -> Mask:
    """Whether 1 minus the lower tail would lose digits."""
    return upper & _is_lower(a, x) & (a < SMALL)


def _ratio(a: Elements, x: Elements, lower: Mask) -> Elements:
    """Return F or a U: of small batches the integral, which compiles sooner."""

    def integral() -> Elements:
        return quadrature.gamma_ratio(a, x, lower).value * jnp.where(lower, 1.0, a)

    if a.size < incomplete.UNROLL_FROM:
        return integral()
    moderate = _is_moderate(a)
    fraction = incomplete.gamma_fraction(a, x, lower)
    return jax.lax.cond(
        jnp.all(moderate),
        lambda: fraction,
        lambda: jnp.where(moderate, fraction, integral()),
    )


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
) -> quantile_steps.Step:
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
        rest = _complement(_wants_complement(a, x, upper), a, x, weight, rest)
    g = jnp.log(jnp.where(direct, part, rest / w)) + jnp.where(direct, log_front, 0.0)
    rise = a * front / jnp.where(direct, f, rest)
    sign = jnp.where(upper, -1.0, 1.0).astype(x.dtype)
    step = quantile_steps.householder(g, rise, sign * (a - x), -x)
    return quantile_steps.Step(sign * step.value, step.size)


class _Guess(NamedTuple):
    """t to a tenth of its scale, and its bounds."""

    t: Elements
    low: Elements
    high: Elements


def _guess(a: Elements, log_w: Elements, weight: Elements, *, upper: Mask) -> _Guess:
    z = quantile_steps.normal_quantile(log_w)
    z = jnp.where(upper, -z, z)
    t = quantile_steps.cornish_fisher(z, quantile_steps.log_gamma_cumulants(a))
    # The lower tail is below x^a / Γ(a + 1), the upper one below e^-K (Chernoff), and
    # the median below the mean.
    log_lower = jnp.where(upper, jnp.log(-jnp.expm1(log_w)), log_w)
    low = _log_power_law(a, log_lower, weight)
    chernoff = jnp.log(a - log_w + jnp.sqrt(-2 * a * log_w))
    high = jnp.where(upper, chernoff, jnp.log(a))
    return _Guess(jnp.clip(t, low, high), low, high)


def _refine(
    a: Elements, log_w: Elements, weight: Elements, *, upper: Mask, guess: _Guess
) -> Elements:
    """Return t to about 1e-5 of its scale by a step in single precision."""
    inside = _is_moderate(a) & (jnp.abs(guess.t) < 80)
    x = jnp.exp(jnp.where(inside, guess.t, 0.0))
    log = Log(jnp.zeros_like(log_w), log_w)
    fraction = partial(incomplete.gamma_fraction, blocks=ROUGH_BLOCKS)
    step = _step(a, jnp.exp(log_w), log, weight, x, upper, fraction, exact=False)
    use = inside & jnp.isfinite(step.value)
    t = guess.t + jnp.where(use, step.value, 0.0)
    return jnp.clip(t, guess.low, guess.high)


def _log_power_law(a: Elements, log_tail: Elements, weight: Elements) -> Elements:
    """Return log x where the lower tail is x^a / Γ(a + 1), as for small x."""
    return (log_tail - weight) / a + jnp.log(a) - 1

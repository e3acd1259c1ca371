"""Profile likelihood intervals of a signal with uncertain background and efficiency."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.bayes.frequentist.signals import nuisances
from vijax.bayes.frequentist.signals.nuisances import Measured, Pair, Selected, Sideband
from vijax.bayes.numerics import roots, significances
from vijax.bayes.numerics.interval import Ends, Interval
from vijax.bayes.numerics.log_gamma import deviance
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import seen, where_valid

_STEPS = 80
_MOST_GROWTHS = 60
Kinds = tuple[str, str]


def uncertain_signal_interval(
    counts: Numbers,
    background: Numbers | Measured | Sideband,
    efficiency: Numbers | Measured | Selected = 1.0,
    level: Numbers = 0.95,
    *,
    bounded: bool = True,
) -> Interval:
    r"""Return the signals s >= 0 with -2 log profile likelihood ratio <= z² (Rolke).

    n ~ Poisson(e s + b), with background and efficiency at their best for each s; z is
    the two-sided significance of 1 - level.

    Args:
        counts: n, any shape, element by element.
        background: mean count b, or `Measured(b, error)`, or `Sideband(counts, ratio)`.
        efficiency: e, or `Measured(e, error)`, or `Selected(passed, trials)`; all
            broadcast.
        level: of confidence, in (0, 1).
        bounded: compare with the best s >= 0; False with the best s of any sign, as
            TRolke does by default: where no s >= 0 is allowed, the smallest larger
            count that allows one stands in for n.

    Returns:
        Signal counts before the efficiency. The upper end is infinite where an
        efficiency of 0 is not excluded.

    Raises:
        ValueError: a count that is negative or fractional; a background that is
            negative; an efficiency, error or ratio that is not positive; a level
            outside (0, 1); shapes that do not fit.

    References:
        Rolke, López & Conrad (2005), Nucl. Instrum. Meth. A 551, 493; Lundberg et al.
        (2010), Comput. Phys. Commun. 181, 683 (TRolke 2.0).

    Example:
        >>> lower, upper = uncertain_signal_interval(
        ...     10, Sideband(3, 2.5), Measured(0.9, 0.05)
        ... )
        >>> print(f"{lower:.3f} {upper:.3f}")  # ROOT: 3.88417 18.4584
        3.884 18.458
    """
    level, level_valid = value_checks.fraction("level", level)
    level, data, kinds, valid = _data(counts, background, efficiency, level=level)
    ends = _ends(*data, level, kinds, bool(bounded))
    found = Interval.of(ends, level, "confidence, profile likelihood")
    return where_valid(valid & level_valid, found)


def uncertain_signal_limit(
    counts: Numbers,
    background: Numbers | Measured | Sideband,
    efficiency: Numbers | Measured | Selected = 1.0,
    level: Numbers = 0.95,
    *,
    bounded: bool = True,
) -> Float[Array, "..."]:
    r"""Return the upper limit of the signal by the profile likelihood (Rolke).

    The upper end of the two-sided interval of level 2 level - 1: -2 log profile
    likelihood ratio = z², z the one-sided significance of 1 - level.

    Args:
        counts: n, any shape, element by element.
        background: as in `uncertain_signal_interval`.
        efficiency: as in `uncertain_signal_interval`; all broadcast.
        level: of confidence, in (1/2, 1).
        bounded: as in `uncertain_signal_interval`.

    Returns:
        Signal counts before the efficiency; infinite where an efficiency of 0 is not
        excluded.

    Raises:
        ValueError: as in `uncertain_signal_interval`, and for a level below 1/2.

    References:
        Rolke, López & Conrad (2005), Nucl. Instrum. Meth. A 551, 493, section 4.

    Example:
        >>> print(f"{uncertain_signal_limit(10, Sideband(3, 2.5)):.3f}")
        15.023
    """
    level = value_checks.numbers("level", level)
    high = (seen(level) > 0.5) & (seen(level) < 1)
    valid = value_checks.checked(high, "level", level, "give a number in (1/2, 1)")
    both = jnp.where(valid, 2 * level - 1, 0.5)
    _, limit = uncertain_signal_interval(
        counts, background, efficiency, both, bounded=bounded
    )
    return where_valid(valid, limit)


def uncertain_signal_log_likelihood(
    signal: Numbers,
    counts: Numbers,
    background: Numbers | Measured | Sideband,
    efficiency: Numbers | Measured | Selected = 1.0,
) -> Float[Array, "..."]:
    r"""Return log L(s, b̂(s), ê(s)) less the largest value that any s has.

    Arguments and source as in `uncertain_signal_interval`.

    Args:
        signal: s >= 0, counts before the efficiency, any shape.
        counts: n.
        background: of three kinds.
        efficiency: of three kinds; all broadcast.

    Returns:
        Nats, at most 0.

    Raises:
        ValueError: as in `uncertain_signal_interval`, and for a negative signal.

    Example:
        >>> value = uncertain_signal_log_likelihood(0.0, 140, Sideband(100, 1.0))
        >>> print(f"{jnp.sqrt(-2 * value):.4f}")  # Li and Ma's significance
        2.5880
    """
    signal, signal_valid = value_checks.nonnegative("signal", signal)
    signal, data, kinds, valid = _data(counts, background, efficiency, signal=signal)
    value = _profile(signal, *data, kinds)
    return where_valid(valid & signal_valid, value)


def _data(
    counts: Numbers, background: Any, efficiency: Any, **other: Array
) -> tuple[Array, tuple[Array, Pair, Pair], Kinds, Array]:
    """Return one other argument, the data and the kinds, and where all is valid."""
    counts, valid = value_checks.counts("counts", counts)
    kind_b, of_b, b_valid = nuisances.background(background)
    kind_e, of_e, e_valid = nuisances.efficiency(efficiency)
    value, counts, *rest = shape_checks.broadcast(
        **other,
        counts=counts,
        background=of_b[0],
        of_background=of_b[1],
        efficiency=of_e[0],
        of_efficiency=of_e[1],
    )
    data = counts, (rest[0], rest[1]), (rest[2], rest[3])
    return value, data, (kind_b, kind_e), valid & b_valid & e_valid


@partial(jax.jit, static_argnums=4)
def _profile(signal: Array, n: Array, of_b: Pair, of_e: Pair, kinds: Kinds) -> Array:
    """Return the log likelihood at the best background and efficiency."""
    kind_b, kind_e = kinds
    signal, n, *of_both = jnp.broadcast_arrays(signal, n, *of_b, *of_e)
    of_b, of_e = (of_both[0], of_both[1]), (of_both[2], of_both[3])

    def total(e: Array) -> Array:
        return nuisances.best_total(kind_b, n, e * signal, of_b)

    if kind_e == "known":
        e = of_e[0]
    else:

        def slope(e: Array) -> Array:
            # That of the counts is s (n / t - 1), whatever the background does, but
            # where no count leaves no total: then b = -e s, and has a slope itself.
            at = total(e)
            fit = n / jnp.where(at > 0, at, 1.0) - 1
            if kind_b == "measured":
                no_total = -(e * signal + of_b[0]) / of_b[1] ** 2
            else:
                no_total = -jnp.ones_like(at)
            fit = jnp.where(at > 0, fit, no_total)
            return signal * fit + nuisances.efficiency_slope(kind_e, e, of_e)

        best = of_e[0] if kind_e == "measured" else of_e[0] / of_e[1]
        low = jnp.zeros_like(signal)
        if kind_e == "measured":
            # The counts pull e up by less than σ² n / e.
            high = best + of_e[1] ** 2 * n / best
        else:
            high = jnp.ones_like(signal)

        def solve(slope: roots.Residual, start: Array) -> Array:
            return roots.bisect(lambda e: slope(e) > 0, low, high, num_steps=_STEPS)[0]

        e = roots.implicit_root(slope, jax.lax.stop_gradient(best), solve)
    at = total(e)
    return (
        -deviance(n, at)
        + nuisances.background_log_likelihood(kind_b, at - e * signal, of_b)
        + nuisances.efficiency_log_likelihood(kind_e, e, of_e)
    )


@partial(jax.jit, static_argnums=(4, 5))
def _ends(
    n: Array, of_b: Pair, of_e: Pair, level: Array, kinds: Kinds, bounded: bool
) -> Ends:
    z_square = significances.significance(1 - level, sides=2) ** 2
    b = of_b[0] / of_b[1] if kinds[0] == "sideband" else of_b[0]
    e = of_e[0] / of_e[1] if kinds[1] == "selected" else of_e[0]
    none = jnp.zeros_like(n)

    def misfit(signal: Array, n: Array) -> Array:
        return -2 * _profile(signal, n, of_b, of_e, kinds)

    if not bounded:
        n = _allowed(lambda n: misfit(none, n) <= z_square, n, b)
    best = jax.lax.stop_gradient(jnp.maximum(n - b, 0.0) / e)
    peak = jnp.where(bounded & (n < b), misfit(none, n), 0.0)

    def excess(signal: Array) -> Array:
        # Of order one, for the search; the roots are those of the difference.
        gap = misfit(signal, n) - peak
        return (gap - z_square) / (gap + z_square)

    spread = (jnp.sqrt(n + b + 1) + z_square) / e
    far, is_open = _beyond(excess, best, spread)

    def solve(excess: roots.Residual, outer: Array) -> Array:
        return roots.bracketed(excess, jnp.stack([best] * 2), outer)

    outer = jax.lax.stop_gradient(jnp.stack([none, far]))
    lower, upper = roots.implicit_root(excess, outer, solve)
    includes_zero = excess(none) <= 0
    return jnp.where(includes_zero, 0.0, lower), jnp.where(is_open, jnp.inf, upper)


def _beyond(excess: roots.Residual, best: Array, spread: Array) -> tuple[Array, Array]:
    """Return a signal above the interval, and where there is none."""

    def is_inside(state: tuple[Array, Array]) -> Array:
        return (excess(state[0]) <= 0) & (state[1] < _MOST_GROWTHS)

    def grow(state: tuple[Array, Array]) -> tuple[Array, Array]:
        far, count = state
        inside = is_inside(state)
        return jnp.where(inside, best + 2 * (far - best), far), count + inside

    start = best + 4 * spread, jnp.zeros(best.shape, int)
    far, count = jax.lax.while_loop(lambda state: is_inside(state).any(), grow, start)
    return jax.lax.stop_gradient(far), count >= _MOST_GROWTHS


def _allowed(holds: roots.Residual, n: Array, b: Array) -> Array:
    """Return n, or the smallest larger count with which no signal is allowed, too."""
    low, high = jnp.minimum(n, jnp.ceil(b)) - 1, jnp.ceil(b)
    _, found = roots.bisect(
        lambda n: ~holds(jnp.maximum(n, 0.0)),
        low,
        high,
        num_steps=64,
        midpoint=lambda low, high: jnp.floor(0.5 * (low + high)),
    )
    return jnp.maximum(n, jax.lax.stop_gradient(found))

"""How often limits and intervals hold the signal where the background is measured."""

from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from vijax.bayes.frequentist.signals import critical_counts
from vijax.bayes.frequentist.signals.nuisances import Measured, Sideband
from vijax.bayes.frequentist.signals.signal_limits import signal_limit
from vijax.bayes.frequentist.signals.uncertain_signals import (
    uncertain_signal_interval,
    uncertain_signal_limit,
)
from vijax.bayes.numerics import count_pmfs, roots
from vijax.bayes.numerics.interval import Ends
from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import is_traced, where_valid

_METHODS = ("profile", "profile_limit", "cls", "classical")
_STEPS = 45
OfData = Callable[[Array, Measured | Sideband, Array], Ends]


def uncertain_signal_coverage(
    signals: Numbers,
    background: Measured | Sideband,
    level: Numbers = 0.95,
    *,
    method: str = "profile",
    interval: OfData | None = None,
    max_count: int | None = None,
) -> Float[Array, "..."]:
    r"""Return the probability that an interval holds s, over counts and measurements.

    Σ_n Σ_y P(n | s + b) P(y | τ b) [lower(n, y) <= s <= upper(n, y)], and with a
    Gaussian estimate its probability instead of the sum over y. Nothing is drawn.

    Args:
        signals: true signals s >= 0, any shape.
        background: how the true background b will be measured: `Sideband(τ b, τ)`, of
            expected counts of any shape, or `Measured(b, error)`, where an estimate
            below 0 counts as 0. One ratio, or one error.
        level: of the intervals, one number.
        method: "profile" of `uncertain_signal_interval`; "profile_limit", from 0 to
            `uncertain_signal_limit`; "cls" or "classical" of `signal_limit`, which take
            the background that was measured as if it were the true one.
        interval: any function (counts, background, level) -> (lower, upper), instead:
            it gets data, `Sideband(y, τ)` or `Measured(estimate, error)`, whose shape
            broadcasts against the counts. With `Measured` it must be traceable, and
            both ends must fall as the estimate grows.
        max_count: counts, in and off, above it are taken as not covered; needed in a
            trace, far above s + b and τ b.

    Returns:
        Probabilities, shape (*background.shape, *signals.shape).

    Raises:
        ValueError: a negative signal or background; an error or a ratio that is not
            positive or not one number; a known background; a level outside (0, 1) or
            more than one; an unknown method; traced truths without `max_count`.

    References:
        Rolke, López & Conrad (2005), Nucl. Instrum. Meth. A 551, 493, section 5;
        Cousins, Linnemann & Tucker (2008), Nucl. Instrum. Meth. A 595, 480.

    Example:
        >>> plan = Sideband(6.0, 2.0)  # b = 3
        >>> for method in ("profile", "profile_limit", "classical"):
        ...     value = uncertain_signal_coverage(4.0, plan, 0.9, method=method)
        ...     print(f"{value:.4f}")
        0.8980
        0.8851
        0.9134
    """
    value_checks.one_of("method", method, _METHODS)
    signals, valid = value_checks.nonnegative("signals", signals)
    level, level_valid = value_checks.fraction("level", level)
    kind, (first, second), b_valid = critical_counts.plan(background)
    if kind == "known":
        remedy = "give a Sideband or Measured; `signal_coverage` has known ones"
        raise ValueError(f"background is a number: {remedy}")
    for name, one in (("level", level), ("the ratio or error", second)):
        if one.ndim:
            raise ValueError(f"{name} has shape {one.shape}: give one number, and vmap")
    b = critical_counts.mean_background(kind, (first, second))
    off = first if kind == "sideband" else jnp.zeros_like(first)
    if max_count is None:
        if is_traced(signals, first, second):
            raise ValueError(
                "max_count is needed in a trace: give one, far above s + b and τ b"
            )
        most = float(np.max(np.asarray(signals)) + np.max(np.asarray(b)))
        most = max(most, float(np.max(np.asarray(off))))
        max_count = int(most + 8 * most**0.5 + 20)
    max_count = value_checks.whole("max_count", max_count)
    counts = jnp.arange(max_count + 1, dtype=signals.dtype)
    ends = interval or _of_name(method)
    data = counts, signals.ravel(), b.ravel(), second, level
    if kind == "sideband":
        lower, upper = ends(counts[:, None], Sideband(counts, second), level)
        shape = lower.shape, upper.shape, (counts.size, counts.size)
        size = np.broadcast_shapes(*shape)
        lower, upper = jnp.broadcast_to(lower, size), jnp.broadcast_to(upper, size)
        flat = _of_counts(*data[:-1], lower, upper)
    else:
        flat = _of_estimates(ends, *data)
    all_valid = valid & b_valid.reshape(b_valid.shape + (1,) * signals.ndim)
    # Rounding may take a sum of all counts above 1.
    value = jnp.minimum(flat, 1.0).reshape(b.shape + signals.shape)
    return where_valid(all_valid & level_valid, value)


@cache
def _of_name(method: str) -> OfData:
    """Return one function for each name: another one would be compiled anew."""
    return partial(_by_name, method)


def _by_name(
    method: str, counts: Array, background: Measured | Sideband, level: Array
) -> Ends:
    if method == "profile":
        return uncertain_signal_interval(counts, background, level=level)
    if method == "profile_limit":
        limit = uncertain_signal_limit(counts, background, level=level)
    else:
        if isinstance(background, Sideband):
            known = background.counts / background.ratio
        else:
            known = background.estimate
        limit = signal_limit(counts, known, level, method=method)
    return jnp.zeros_like(limit), limit


@jax.jit
def _of_counts(
    counts: Array, signals: Array, b: Array, ratio: Array, lower: Array, upper: Array
) -> Array:
    """Return the coverage of a table of intervals, counts by off counts."""
    of_off = jnp.exp(count_pmfs.poisson_log_pmf(counts, (ratio * b)[:, None]))

    def of_one(signal: Array) -> Array:
        covered = (lower <= signal) & (signal <= upper)
        of_on = jnp.exp(count_pmfs.poisson_log_pmf(counts, (signal + b)[:, None]))
        return jnp.sum(of_on * (of_off @ covered.T.astype(of_off.dtype)), axis=-1)

    return jax.lax.map(of_one, signals).T


@partial(jax.jit, static_argnums=0)
def _of_estimates(
    ends: OfData, counts: Array, signals: Array, b: Array, error: Array, level: Array
) -> Array:
    """Find, for each count and signal, the estimates whose interval holds the signal.

    The upper end does up to one estimate, the lower end from one on.
    """
    top = jnp.max(b) + critical_counts.WIDTH * error

    def of_one(signal: Array) -> Array:
        def excludes(estimates: Array) -> Array:
            """Return whether the lower end is too high; the upper one high enough."""
            lower, upper = ends(counts, Measured(estimates, error), level)
            return jnp.stack([lower[0] > signal, upper[1] >= signal])

        low = jnp.zeros((2, counts.size), counts.dtype)
        high = jnp.full_like(low, top)
        edge, _ = roots.bisect(excludes, low, high, num_steps=_STEPS)
        edge = jnp.where(excludes(low), edge, -jnp.inf)
        first, last = ndtr((edge[:, None, :] - b[:, None]) / error)
        weights = jnp.exp(count_pmfs.poisson_log_pmf(counts, (signal + b)[:, None]))
        return jnp.sum(weights * jnp.maximum(last - first, 0.0), axis=-1)

    return jax.lax.map(of_one, signals).T

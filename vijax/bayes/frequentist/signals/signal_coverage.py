"""How often limits and intervals of a signal contain it: exact, by sums over counts."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.bayes.frequentist.signals.signal_intervals import signal_interval
from vijax.bayes.frequentist.signals.signal_limits import signal_limit
from vijax.bayes.numerics import count_pmfs
from vijax.bayes.numerics.interval import Ends
from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import is_traced, where_valid

_INTERVALS = ("feldman_cousins", "kraft_burrows_nousek")
_LIMITS = ("cls", "helene", "classical")


def signal_coverage(
    signals: Numbers,
    backgrounds: Numbers,
    level: Numbers = 0.95,
    *,
    method: str = "feldman_cousins",
    interval: Callable[..., Ends] | None = None,
    max_count: int | None = None,
) -> Float[Array, "..."]:
    r"""Return Σ_n P(n | s + b) [lower(n, b) <= s <= upper(n, b)] at every truth.

    Args:
        signals: true signals s >= 0, any shape.
        backgrounds: known backgrounds b >= 0, any shape.
        level: of the intervals, one number.
        method: of `signal_interval`, or of `signal_limit`, whose interval is from 0 to
            the limit.
        interval: any function (counts, background, level) -> (lower, upper), instead.
        max_count: counts above it are taken as not covered; needed in a trace, far
            above s + b.

    Returns:
        Probabilities, shape (*backgrounds.shape, *signals.shape).

    Raises:
        ValueError: a negative signal or background, a level outside (0, 1) or more than
            one, an unknown method, traced truths without `max_count`.

    References:
        G. Feldman, R. Cousins (1998), Phys. Rev. D 57, 3873, section 4.

    Example:
        >>> for method in ("feldman_cousins", "cls", "classical"):
        ...     print(f"{signal_coverage(2.0, 3.0, 0.9, method=method):.4f}")
        0.9277
        1.0000
        0.9596
    """
    value_checks.one_of("method", method, _INTERVALS + _LIMITS)
    signals, valid = value_checks.nonnegative("signals", signals)
    backgrounds, b_valid = value_checks.nonnegative("backgrounds", backgrounds)
    level, level_valid = value_checks.fraction("level", level)
    if level.ndim:
        raise ValueError(f"level has shape {level.shape}: give one number, and vmap")
    if max_count is None:
        if is_traced(signals, backgrounds):
            raise ValueError(
                "max_count is needed in a trace: give one, far above s + b"
            )
        most = float(np.max(np.asarray(signals)) + np.max(np.asarray(backgrounds)))
        max_count = int(most + 8 * most**0.5 + 20)
    max_count = value_checks.whole("max_count", max_count)
    counts = jnp.arange(max_count + 1, dtype=signals.dtype)
    b = backgrounds.ravel()[:, None]
    ends = (interval or partial(_by_name, method))(counts, b, level)
    lower, upper = jnp.broadcast_arrays(*ends)
    flat = _coverage(signals.ravel(), b[:, 0], counts, lower, upper)
    shape = backgrounds.shape + signals.shape
    all_valid = valid & b_valid.reshape(b_valid.shape + (1,) * signals.ndim)
    return where_valid(all_valid & level_valid, flat.reshape(shape))


def _by_name(method: str, counts: Array, b: Array, level: Array) -> Ends:
    if method in _LIMITS:
        limit = signal_limit(counts, b, level, method=method)
        return jnp.zeros_like(limit), limit
    belt = 2 * counts.size + 64  # counts that the unified belt knows
    return signal_interval(counts, b, level, method=method, max_count=belt)


@jax.jit
def _coverage(
    signals: Array, backgrounds: Array, counts: Array, lower: Array, upper: Array
) -> Array:
    def of_one(signal: Array) -> Array:
        log_pmf = count_pmfs.poisson_log_pmf(counts, (signal + backgrounds)[:, None])
        covered = (lower <= signal) & (signal <= upper)
        # Rounding may take a sum of all counts above 1.
        return jnp.minimum(jnp.sum(jnp.exp(log_pmf) * covered, axis=-1), 1.0)

    return jax.vmap(of_one, out_axes=1)(signals)

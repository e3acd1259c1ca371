"""Upper limits of a signal above a background whose mean is known.

    n ~ Poisson(s + b),  s >= 0 unknown, b known

Every function works element by element over arrays of counts and backgrounds.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax import printing, special
from vijax.bayes.numerics import count_quantiles, roots, significances
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import where_valid

_BANDS = (-2.0, -1.0, 0.0, 1.0, 2.0)


class ExpectedLimits(NamedTuple):
    """Limits that experiments without a signal would set, by their quantiles."""

    minus_two_sigma: Float[Array, "..."]
    minus_one_sigma: Float[Array, "..."]
    median: Float[Array, "..."]
    plus_one_sigma: Float[Array, "..."]
    plus_two_sigma: Float[Array, "..."]

    def __str__(self) -> str:
        values = dict(zip(printing.BANDS, self, strict=True))
        return printing.described("Upper limits expected without a signal", values)

    def __repr__(self) -> str:
        return str(self)


def signal_limit(
    counts: Numbers,
    background: Numbers,
    level: Numbers = 0.95,
    *,
    method: str = "cls",
) -> Float[Array, "..."]:
    r"""Return an upper limit of the signal.

    cls:        P(N <= n | s + b) / P(N <= n | b) = 1 - level
    classical:  P(N <= n | s + b) = 1 - level, and 0 where no s >= 0 has it

    CLs never excludes a signal to which the experiment is blind. With one count and a
    known background it is Helene's Bayesian limit with a flat prior, too.

    Args:
        counts: n, any shape, element by element.
        background: mean count b >= 0 without a signal.
        level: of confidence, in (0, 1); all broadcast.
        method: "cls", "helene" (the same number) or "classical".

    Returns:
        Signal counts, in the exposure of n and b.

    Raises:
        ValueError: a negative or fractional count, a negative background, a level
            outside (0, 1), shapes that do not fit, an unknown method.

    References:
        A. L. Read (2002), J. Phys. G 28, 2693; O. Helene (1983), Nucl. Instrum. Meth.
        212, 319.

    Example:
        >>> print(f"{signal_limit(0, 2.0):.4f}")  # -ln 0.05, whatever the background
        2.9957
        >>> print(f"{signal_limit(3, 2.0):.4f}")
        5.9835
    """
    value_checks.one_of("method", method, ("cls", "helene", "classical"))
    counts, background, level, valid = signal_data(counts, background, level)
    limit = _limit(counts, background, 1 - level, method == "classical")
    return where_valid(valid, limit)


def expected_signal_limits(
    background: Numbers, level: Numbers = 0.95, *, method: str = "cls"
) -> ExpectedLimits:
    r"""Return the limits at the quantiles of n ~ Poisson(b): the Brazil band.

    The count at z sigmas is the smallest n with P(N <= n | b) >= Φ(z), z = -2 … 2.

    Args:
        background: mean count b >= 0, any shape, element by element.
        level: of confidence, broadcast against it.
        method: as in `signal_limit`.

    Raises:
        ValueError: as in `signal_limit`.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, section 4.

    Example:
        >>> band = expected_signal_limits(3.0)
        >>> print(band)
        Upper limits expected without a signal
          −2σ     2.9957
          −1σ     3.6433
          median  5.3954
          +1σ     7.6631
          +2σ     10.171
    """
    background, valid = value_checks.nonnegative("background", background)
    level, level_valid = value_checks.fraction("level", level)
    background, level = shape_checks.broadcast(background=background, level=level)
    counts = _counts_of_bands(background)
    limits = signal_limit(counts, background, level, method=method)
    return where_valid(valid & level_valid, ExpectedLimits(*limits))


def signal_data(
    counts: Numbers, background: Numbers, level: Numbers
) -> tuple[Array, Array, Array, Array]:
    """Return counts, background and level in one shape, and where they are valid.

    Raises:
        ValueError: as in `signal_limit`.

    Example:
        >>> counts, *_ = signal_data([3, 5], 2.0, 0.95)
        >>> counts.shape
        (2,)
    """
    counts, valid = value_checks.counts("counts", counts)
    background, background_valid = value_checks.nonnegative("background", background)
    level, level_valid = value_checks.fraction("level", level)
    counts, background, level = shape_checks.broadcast(
        counts=counts, background=background, level=level
    )
    return counts, background, level, valid & background_valid & level_valid


@partial(jax.jit, static_argnums=3)
def _limit(counts: Array, background: Array, alpha: Array, classical: bool) -> Array:
    # Without a background the limit is largest, and known.
    highest = special.gammainccinv(counts + 1, alpha)
    if classical:
        return jnp.maximum(highest - background, 0.0)
    return (
        mean_above(counts, background, background, jnp.log(alpha), highest) - background
    )


def mean_above(
    counts: Array, low: Array, start: Array, log_ratio: Array, reach: Array
) -> Array:
    """Return x with Q(n + 1, x) = Q(n + 1, low) exp(log_ratio), x - start < reach.

    Q is the upper incomplete gamma function, P(N <= n) of a Poisson mean x.

    Example:
        >>> zero = jnp.asarray(0.0)
        >>> x = mean_above(zero, zero, zero, jnp.log(0.05), jnp.asarray(4.0))
        >>> print(f"{x:.4f}")  # exp(-x) = 0.05
        2.9957
    """
    wanted = special.log_gammaincc(counts + 1, low) + log_ratio

    def excess(x: Array) -> Array:
        return wanted - special.log_gammaincc(counts + 1, x)

    def solve(excess: roots.Residual, start: Array) -> Array:
        end = start + jax.lax.stop_gradient(reach)
        return roots.bracketed(excess, start, end * (1 + 1e-6) + 1e-6)

    return roots.implicit_root(excess, jax.lax.stop_gradient(start), solve)


@jax.jit
def _counts_of_bands(mean: Array) -> Array:
    """Return the smallest n with P(N <= n) >= Φ(z), a band on each row."""
    z = jnp.asarray(_BANDS, mean.dtype).reshape(-1, *[1] * mean.ndim)
    z, mean = jnp.broadcast_arrays(z, mean)
    log_wanted = significances.log_p_value(-z)

    return count_quantiles.poisson_count(mean, log_wanted)

"""A signal above a background whose mean is known: intervals, limits, what to expect.

    n ~ Poisson(s + b),  s >= 0 unknown, b known

Every function works element by element over arrays of counts and backgrounds.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax import special
from vijax.bayes.frequentist.confidence_intervals import Interval
from vijax.bayes.numerics import count_pmfs, roots, significances
from vijax.bayes.numerics.log_gamma import signed_root
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import is_traced, where_valid

_BANDS = (-2.0, -1.0, 0.0, 1.0, 2.0)
_GRID = 512  # signals at which a belt is looked at, before its ends are refined
_REFINEMENTS = 50


class ExpectedLimits(NamedTuple):
    """Limits that experiments without a signal would set, by their quantiles."""

    minus_two_sigma: Float[Array, "..."]
    minus_one_sigma: Float[Array, "..."]
    median: Float[Array, "..."]
    plus_one_sigma: Float[Array, "..."]
    plus_two_sigma: Float[Array, "..."]


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
    counts, background, level, valid = _data(counts, background, level)
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
        >>> print(f"{band.minus_two_sigma:.3f} {band.median:.3f}")
        2.996 5.395
    """
    background, valid = value_checks.nonnegative("background", background)
    counts = [_poisson_quantile(background, z) for z in _BANDS]
    limits = [signal_limit(n, background, level, method=method) for n in counts]
    return where_valid(valid, ExpectedLimits(*limits))


def signal_interval(
    counts: Numbers,
    background: Numbers,
    level: Numbers = 0.95,
    *,
    method: str = "feldman_cousins",
    max_count: int | None = None,
) -> Interval:
    r"""Return an interval of the signal s >= 0.

    Args:
        counts: n, any shape, element by element.
        background: mean count b >= 0 without a signal.
        level: of confidence, in (0, 1); all broadcast.
        method: "feldman_cousins", the unified interval: all s whose acceptance region
            holds n, where counts are taken in the order of P(n | s + b) over
            P(n | ŝ + b), ŝ = max(0, n - b), of the belt as it is: the published tables
            raise a few upper ends, such that none grows with the background;
            "kraft_burrows_nousek", the narrowest
            Bayesian interval under a flat prior.
        max_count: of the belt of Feldman and Cousins; needed where counts or the
            background are traced, far above both.

    Returns:
        Signal counts; the lower end is 0 where no signal is needed.

    Raises:
        ValueError: as in `signal_limit`; traced data without `max_count`.

    References:
        G. Feldman, R. Cousins (1998), Phys. Rev. D 57, 3873; R. Kraft, D. Burrows,
        J. Nousek (1991), Astrophys. J. 374, 344.

    Example:
        >>> lower, upper = signal_interval(5, 0.0, 0.9)  # table IV: 1.84, 9.99
        >>> print(f"{lower:.2f} {upper:.2f}")
        1.84 9.99
        >>> lower, upper = signal_interval(5, 2.5, method="kraft_burrows_nousek")
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.0000 8.0867
    """
    methods = ("feldman_cousins", "kraft_burrows_nousek")
    value_checks.one_of("method", method, methods)
    counts, background, level, valid = _data(counts, background, level)
    if method == "kraft_burrows_nousek":
        return where_valid(valid, _narrowest(counts, background, level))
    if max_count is None:
        if is_traced(counts, background, level):
            raise ValueError("max_count is needed in a trace: give one, far above b")
        safe = jnp.where(valid, level, 0.5)
        highest = special.gammainccinv(counts + 1, 0.25 * (1 - safe)) + background
        highest = np.asarray(highest).max()
        max_count = 1 << int(highest + 8 * highest**0.5 + 20).bit_length()
    ends = _unified(counts, background, level, int(max_count))
    return where_valid(valid, ends)


def asimov_significance(
    signal: Numbers, background: Numbers, background_error: Numbers = 0.0
) -> Float[Array, "..."]:
    r"""Return the median significance that a signal would have.

    Z = sqrt(2 [(s + b) ln(1 + s / b) - s]) for a known background, and with an error σ
    that of an off region with b² / σ² counts.

    Args:
        signal: expected signal counts s >= 0, any shape, element by element.
        background: expected background counts b > 0.
        background_error: standard error σ >= 0 of b.

    Returns:
        One-sided Gaussian sigmas.

    Raises:
        ValueError: a negative signal or error, a background that is not positive,
            shapes that do not fit.

    References:
        Cowan, Cranmer, Gross & Vitells (2011), Eur. Phys. J. C 71, 1554, eq. 97;
        G. Cowan (2012), Discovery sensitivity for a counting experiment, eq. 20.

    Example:
        >>> print(f"{asimov_significance(10.0, 9.0):.4f}")
        2.8973
        >>> print(f"{asimov_significance(10.0, 9.0, 3.0):.4f}")
        1.9109
    """
    signal, valid = value_checks.nonnegative("signal", signal)
    background, background_valid = value_checks.positive("background", background)
    error, error_valid = value_checks.nonnegative("background_error", background_error)
    signal, background, error = shape_checks.broadcast(
        signal=signal, background=background, background_error=error
    )
    valid &= background_valid & error_valid
    return where_valid(valid, _asimov(signal, background, error))


def uncertain_background_log_p_value(
    counts: Numbers, background: Numbers, background_error: Numbers
) -> Float[Array, "..."]:
    r"""Return log P(N >= n) where the background is b ± σ, as of an off region.

    I_x(n, τ b + 1) with τ = b / σ² and x = 1 / (1 + τ): the exact test of n_on = n
    against n_off = τ b, which need not be whole. `significance_from_log` makes it Z_Bi.

    Args:
        counts: n, any shape, element by element.
        background: b > 0.
        background_error: σ > 0, its standard error; all broadcast.

    Returns:
        Nats.

    Raises:
        ValueError: a negative or fractional count, a background or an error that is not
            positive, shapes that do not fit.

    References:
        Cousins, Linnemann & Tucker (2008), Nucl. Instrum. Meth. A 595, 480, section 4.

    Example:
        >>> value = uncertain_background_log_p_value(140, 83.33, 8.333)
        >>> print(f"{significances.significance_from_log(value):.2f}")
        3.93
    """
    counts, valid = value_checks.counts("counts", counts)
    background, background_valid = value_checks.positive("background", background)
    error, error_valid = value_checks.positive("background_error", background_error)
    counts, background, error = shape_checks.broadcast(
        counts=counts, background=background, background_error=error
    )
    ratio = background / error**2
    some = jnp.maximum(counts, 1)
    tail = special.log_betainc(some, ratio * background + 1, 1 / (1 + ratio))
    log_p_value = jnp.where(counts > 0, tail, 0.0)
    return where_valid(valid & background_valid & error_valid, log_p_value)


def _data(
    counts: Numbers, background: Numbers, level: Numbers
) -> tuple[Array, Array, Array, Array]:
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
    return _above(counts, background, background, jnp.log(alpha), highest) - background


def _above(
    counts: Array, low: Array, start: Array, log_ratio: Array, reach: Array
) -> Array:
    """Return x with Q(n + 1, x) = Q(n + 1, low) exp(log_ratio), x - start < reach."""
    wanted = special.log_gammaincc(counts + 1, low) + log_ratio

    def excess(x: Array) -> Array:
        return wanted - special.log_gammaincc(counts + 1, x)

    def solve(excess: roots.Residual, start: Array) -> Array:
        end = start + jax.lax.stop_gradient(reach)
        return roots.bracketed(excess, start, end * (1 + 1e-6) + 1e-6)

    return roots.implicit_root(excess, jax.lax.stop_gradient(start), solve)


@jax.jit
def _narrowest(counts: Array, background: Array, level: Array) -> Interval:
    """Return the densest part of Gamma(n + 1) cut at b, in which s + b lies."""
    log_rest = jnp.log1p(-level)
    reach = special.gammainccinv(counts + 1, 1 - level)
    log_above_cut = special.log_gammaincc(counts + 1, background)

    def upper_end(x: Array) -> Array:
        # Q(x_2) = Q(x_1) - level Q(b), relative to Q(b)
        share = jnp.exp(special.log_gammaincc(counts + 1, x) - log_above_cut) - level
        log_share = jnp.log(jnp.maximum(share, jnp.finfo(x.dtype).tiny))
        return _above(counts, background, x, log_share, reach + x)

    def gap(x: Array) -> Array:
        """Return log density at the upper end over that at the lower one."""
        other = upper_end(x)
        return counts * jnp.log(other / jnp.maximum(x, 1e-30)) - (other - x)

    def solve(gap: roots.Residual, start: Array) -> Array:
        mode = jnp.maximum(counts, background)
        mode = jax.lax.stop_gradient(mode)
        return roots.bisect(lambda x: gap(x) > 0, start, mode, num_steps=50)[0]

    low = roots.implicit_root(gap, jax.lax.stop_gradient(background), solve)
    touches = gap(background) <= 0
    lower = jnp.where(touches, background, low)
    whole = _above(counts, background, background, log_rest, reach)
    upper = jnp.where(touches, whole, upper_end(lower))
    return lower - background, upper - background


@partial(jax.jit, static_argnums=3)
def _unified(
    counts: Array, background: Array, level: Array, max_count: int
) -> Interval:
    """Return the smallest and the largest signal that accept the count."""
    others = jnp.arange(max_count + 1, dtype=counts.dtype)

    def log_ratio(n: Array, mean: Array, background: Array) -> Array:
        best = jnp.maximum(n, background)
        return count_pmfs.poisson_log_pmf(n, mean) - count_pmfs.poisson_log_pmf(n, best)

    def accepts(signal: Array) -> Array:
        """Σ of P(n | s + b) over all counts that come before this one < level."""
        mean = (signal + background)[..., None]
        ratio = log_ratio(others, mean, background[..., None])
        own = log_ratio(counts, signal + background, background)[..., None]
        before = ratio > own + 1e-9
        weights = jnp.exp(count_pmfs.poisson_log_pmf(others, mean))
        return jnp.sum(weights * before, axis=-1) < level

    highest = special.gammainccinv(counts + 1, 0.25 * (1 - level))

    def at(share: Array) -> Array:
        return highest * share

    shares = jnp.linspace(0.0, 1.0, _GRID).astype(counts.dtype) ** 2
    inside = jax.lax.map(lambda share: accepts(at(share)), shares)
    first = jnp.argmax(inside, axis=0)
    last = len(shares) - 1 - jnp.argmax(inside[::-1], axis=0)
    lower, _ = roots.bisect(
        accepts,
        at(shares[first]),
        at(shares[jnp.maximum(first - 1, 0)]),
        num_steps=_REFINEMENTS,
    )
    upper, _ = roots.bisect(
        accepts,
        at(shares[last]),
        at(shares[jnp.minimum(last + 1, len(shares) - 1)]),
        num_steps=_REFINEMENTS,
    )
    return jnp.where(first == 0, 0.0, lower), upper


@jax.jit
def _asimov(signal: Array, background: Array, error: Array) -> Array:
    total = signal + background
    known = error == 0
    alpha = jnp.where(known, 1.0, error) ** 2 / background
    off = background / alpha
    mean = (total + off) / (1 + alpha)
    measured = signed_root(total, alpha * mean, off, mean)
    # Twice one deviance is that of two halves.
    plain = signed_root(total, background, total, background) / jnp.sqrt(2.0)
    return jnp.where(known, plain, measured)


def _poisson_quantile(mean: Array, z: float) -> Array:
    """Return the smallest n with P(N <= n) >= Φ(z)."""
    log_wanted = significances.log_p_value(-z)

    def is_less(n: Array) -> Array:
        return special.log_poisson_tails(n, mean).at_most < log_wanted

    high = jnp.ceil(mean + 6 * jnp.sqrt(mean) + 12)
    _, count = roots.bisect(
        is_less,
        -jnp.ones_like(mean),
        high,
        num_steps=64,
        midpoint=lambda low, high: jnp.floor(0.5 * (low + high)),
    )
    return count

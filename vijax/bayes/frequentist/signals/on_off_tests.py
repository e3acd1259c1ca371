"""The on/off counting experiment: is there a signal above a measured background?

    n_on  ~ Poisson(s + α b)      the region (or time) where the signal would be
    n_off ~ Poisson(b)            a region with background only, 1/α times as large

The frequentist answers: Li and Ma's significance, the exact binomial test, the profile
likelihood. The Bayesian one is in `vijax.bayes.on_off`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax import special
from vijax.bayes.frequentist.binomial_tests import (
    ALTERNATIVES,
    binomial_log_p_value,
    both_tails,
    opposite_count,
)
from vijax.bayes.numerics import count_pmfs, roots, significances
from vijax.bayes.numerics.interval import Ends, Interval
from vijax.bayes.numerics.log_gamma import deviance, signed_root
from vijax.bayes.validation import Numbers, count_checks, shape_checks, value_checks
from vijax.validate import where_valid


def poisson_log_p_value(
    counts: Numbers, background: Numbers, *, alternative: str = "greater"
) -> Float[Array, "..."]:
    """Return the log of the exact p-value of a count whose mean is known.

    log P in nats, of the arguments' common shape.

    Args:
        counts: n, any shape, element by element.
        background: mean count b >= 0 without a signal.
        alternative: "greater" for P(N >= n), "less" for P(N <= n), "two-sided" for the
            probability of all counts that are not more probable than n.

    Raises:
        ValueError: a count that is negative or fractional, a negative background, an
            unknown alternative.

    References:
        Cousins, Linnemann & Tucker (2008), Nucl. Instrum. Meth. A 595, 480, section 3;
        two-sided as R's poisson.test.

    Example:
        >>> value = poisson_log_p_value(9, 2.0)
        >>> sigmas = significances.significance_from_log(value)
        >>> print(f"{jnp.exp(value):.6f} {sigmas:.4f}")
        0.000237 3.4945
    """
    value_checks.one_of("alternative", alternative, ALTERNATIVES)
    counts, valid = value_checks.counts("counts", counts)
    background, background_valid = value_checks.nonnegative("background", background)
    counts, background = shape_checks.broadcast(counts=counts, background=background)
    tails = special.log_poisson_tails(counts, background)
    if alternative == "two-sided":
        others = special.log_poisson_tails(_opposite(counts, background), background)
        log_p_value = both_tails(counts, background, tails, others)
    else:
        log_p_value = tails.at_least if alternative == "greater" else tails.at_most
    return where_valid(valid & background_valid, log_p_value)


@jax.jit
def _opposite(counts: Array, mean: Array) -> Array:
    # Of no count the equally rare one is at e times the mean.
    largest = jnp.ceil(3 * mean) + 50
    return opposite_count(
        lambda count: count_pmfs.poisson_log_pmf(jnp.maximum(count, 0), mean),
        counts,
        mean,
        largest,
    )


def li_ma_significance(
    n_on: Numbers, n_off: Numbers, alpha: Numbers
) -> Float[Array, "..."]:
    r"""Return the likelihood-ratio significance of a signal, negative for a deficit.

    S = sqrt(2) [n_on ln((1 + α)/α · n_on/N) + n_off ln((1 + α) n_off/N)]^½, N = n_on +
    n_off. Asymptotically Gaussian: good from some ten counts in each region.

    Args:
        n_on: counts in the on region, any shape, element by element.
        n_off: counts in the off region, broadcast against them.
        alpha: exposure of the on region over that of the off region.

    Returns:
        One-sided Gaussian sigmas.

    Raises:
        ValueError: a negative or fractional count, an alpha that is not positive.

    References:
        T.-P. Li, Y.-Q. Ma (1983), Astrophys. J. 272, 317, eq. 17.

    Example:
        >>> print(f"{li_ma_significance(140, 100, 1.0):.4f}")
        2.5880
    """
    n_on, n_off, alpha, valid = count_checks.on_off(n_on, n_off, alpha)
    share = alpha / (1 + alpha)
    total = n_on + n_off
    z = signed_root(n_on, total * share, n_off, total / (1 + alpha))
    return where_valid(valid, z)


def on_off_log_p_value(
    n_on: Numbers, n_off: Numbers, alpha: Numbers, *, alternative: str = "greater"
) -> Float[Array, "..."]:
    r"""Return the log of the exact p-value: P(K >= n_on | n_on + n_off, α / (1 + α)).

    Without a signal the total tells nothing about the split, which is binomial.
    `significance_from_log` turns it into Z_Bi.

    In nats; arguments and shapes as in `li_ma_significance`, the alternative as in
    `binomial_p_value`.

    Raises:
        ValueError: as in `li_ma_significance`, and for an unknown alternative.

    References:
        Cousins, Linnemann & Tucker (2008), Nucl. Instrum. Meth. A 595, 480, section 4.

    Example:
        >>> value = on_off_log_p_value(140, 100, 1.0)
        >>> print(f"{significances.significance_from_log(value):.4f}")
        2.5221
    """
    n_on, n_off, alpha, valid = count_checks.on_off(n_on, n_off, alpha)
    total = n_on + n_off
    log_p_value = binomial_log_p_value(
        jnp.where(valid, n_on, 0),
        jnp.where(valid & (total > 0), total, 1),
        null=alpha / (1 + alpha),
        alternative=alternative,
    )
    return where_valid(valid, jnp.where(total > 0, log_p_value, 0.0))


def profile_log_likelihood(
    signal: Numbers,
    n_on: Numbers,
    n_off: Numbers,
    alpha: Numbers,
) -> Float[Array, "..."]:
    r"""Return log L(s, b̂(s)) - log L(ŝ, b̂): the background is at its best for each s.

    b̂ is the positive root of α(1 + α) b² + [(1 + α) s - α N] b - s n_off = 0.

    Args:
        signal: expected signal counts s in the on region; below 0 allowed as long as
            s + α b̂ >= 0.
        n_on: counts in the on region.
        n_off: counts in the off region.
        alpha: exposure of the on region over that of the off region.

    Returns:
        Nats, at most 0, of the arguments' common shape.

    Raises:
        ValueError: counts or alpha as in `li_ma_significance`, an infinite signal.

    References:
        Rolke, López & Conrad (2005), Nucl. Instrum. Meth. A 551, 493, section 3.

    Example:
        >>> value = profile_log_likelihood(0.0, 140, 100, 1.0)
        >>> print(f"{jnp.sqrt(-2 * value):.4f}")  # Li and Ma's significance
        2.5880
    """
    n_on, n_off, alpha, valid = count_checks.on_off(n_on, n_off, alpha)
    signal, signal_valid = value_checks.finite("signal", signal)
    signal, n_on, n_off, alpha = shape_checks.broadcast(
        signal=signal, n_on=n_on, n_off=n_off, alpha=alpha
    )
    log_likelihood = _profile(signal, n_on, n_off, alpha)
    return where_valid(valid & signal_valid, log_likelihood)


def profile_interval(
    n_on: Numbers,
    n_off: Numbers,
    alpha: Numbers,
    level: Numbers = 0.95,
) -> Interval:
    r"""Return the signals s >= 0 with -2 log profile likelihood ratio <= z².

    z is the two-sided significance of 1 - level, 1 for 68.27 %.

    Args:
        n_on: counts in the on region, any shape, element by element.
        n_off: counts in the off region.
        alpha: exposure of the on region over that of the off region.
        level: of confidence, in (0, 1); all broadcast.

    Returns:
        Signal counts in the on region.

    Raises:
        ValueError: counts or alpha as in `li_ma_significance`, a level outside (0, 1).

    References:
        Rolke, López & Conrad (2005), Nucl. Instrum. Meth. A 551, 493, section 3.

    Example:
        >>> lower, upper = profile_interval(140, 100, 1.0, 0.6827)
        >>> print(f"{lower:.2f} {upper:.2f}")
        24.55 55.56
    """
    n_on, n_off, alpha, valid = count_checks.on_off(n_on, n_off, alpha)
    level, level_valid = value_checks.fraction("level", level)
    n_on, n_off, alpha, level = shape_checks.broadcast(
        n_on=n_on, n_off=n_off, alpha=alpha, level=level
    )
    z = significances.significance(1 - level, sides=2)
    ends = _profile_ends(n_on, n_off, alpha, z)
    found = Interval.of(ends, level, "confidence, profile likelihood")
    return where_valid(valid & level_valid, found)


@jax.jit
def _profile_ends(n_on: Array, n_off: Array, alpha: Array, z: Array) -> Ends:
    best = jnp.maximum(n_on - alpha * n_off, 0.0)
    at_zero = _profile(jnp.zeros_like(best), n_on, n_off, alpha)
    peak = jnp.where(n_on >= alpha * n_off, 0.0, at_zero)

    def excess(signal: Array) -> Array:
        return 2 * (peak - _profile(signal, n_on, n_off, alpha)) - z**2

    def solve(excess: roots.Residual, outer: Array) -> Array:
        """Bisect between the best signal, inside of the interval, and one outside."""
        return roots.bisect(lambda signal: excess(signal) <= 0, best, outer)[0]

    spread = jnp.sqrt(n_on + alpha**2 * n_off + 1)
    beyond = best + (z + 1) * 4 * spread + 2 * z**2 + 10
    upper = roots.implicit_root(excess, beyond, solve)
    lower = roots.implicit_root(excess, jnp.zeros_like(best), solve)
    includes_zero = 2 * (peak - at_zero) <= z**2
    return jnp.where(includes_zero, 0.0, lower), upper


def _profile(signal: Array, n_on: Array, n_off: Array, alpha: Array) -> Array:
    linear = (1 + alpha) * signal - alpha * (n_on + n_off)
    constant = 4 * alpha * (1 + alpha) * signal * n_off
    root = jnp.sqrt(jnp.maximum(linear**2 + constant, 0.0))
    # The larger root, in the form that does not cancel.
    by_sum = (root - linear) / (2 * alpha * (1 + alpha))
    safe = jnp.where(linear > 0, root + linear, 1.0)
    background = jnp.where(linear > 0, 2 * signal * n_off / safe, by_sum)
    return -deviance(n_on, signal + alpha * background) - deviance(n_off, background)

"""Two Poisson rates: is the second the larger one, and by how much?

Every function works element by element over arrays, each element a pair of counts.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.bayes.frequentist.binomial_tests import binomial_log_p_value
from vijax.bayes.frequentist.confidence_intervals import binomial_interval
from vijax.bayes.frequentist.two_samples import pairs
from vijax.bayes.frequentist.two_samples.score_intervals import score_end
from vijax.bayes.numerics import significances
from vijax.bayes.numerics.interval import Ends, Interval
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import where_valid


def rate_ratio_interval(
    first: pairs.Pair,
    second: pairs.Pair,
    level: Numbers = 0.95,
) -> Interval:
    r"""Return the exact interval of the ratio of two Poisson rates, λ_2 / λ_1.

    Given both counts together, the second is binomial with probability
    p = λ_2 t_2 / (λ_1 t_1 + λ_2 t_2), whose interval is Clopper and Pearson's.

    Args:
        first: counts and exposure of the first sample, any shape.
        second: the same of the second sample.
        level: of confidence, in (0, 1); all broadcast.

    Returns:
        The upper end is infinite where the first count is 0.

    Raises:
        ValueError: a negative or fractional count, an exposure that is not positive, a
            level outside (0, 1), shapes that do not fit.

    References:
        J. Przyborowski, H. Wilenski (1940), Biometrika 31, 313.

    Example:
        >>> lower, upper = rate_ratio_interval((10, 1.0), (20, 1.0))
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.8935 4.7846
    """
    (k1, t1), (k2, t2), valid = pairs.rates(first, second)
    exposure = t1 / t2
    share = binomial_interval(k2, k1 + k2, level)
    lower, upper = share
    whole = upper == 1
    odds = upper / jnp.where(whole, 1.0, 1 - upper)
    ends = exposure * lower / (1 - lower), exposure * jnp.where(whole, jnp.inf, odds)
    return where_valid(valid, Interval.of(ends, share.level, share.about))


def rate_log_p_value(
    first: pairs.Pair,
    second: pairs.Pair,
    *,
    alternative: str = "greater",
) -> Float[Array, "..."]:
    """Return the log of the exact p-value of two equal Poisson rates.

    Arguments as in `rate_ratio_interval`; "greater" says that the second is larger.

    Returns:
        Nats.

    Raises:
        ValueError: as in `rate_ratio_interval`, and for an unknown alternative.

    References:
        J. Przyborowski, H. Wilenski (1940), Biometrika 31, 313.

    Example:
        >>> value = rate_log_p_value((10, 1.0), (20, 1.0))
        >>> print(f"{jnp.exp(value):.4f}")
        0.0494
    """
    (k1, t1), (k2, t2), valid = pairs.rates(first, second)
    exposure = t1 / t2
    null = 1 / (1 + exposure)
    value = binomial_log_p_value(k2, k1 + k2, null=null, alternative=alternative)
    return where_valid(valid, value)


def rate_difference_interval(
    first: pairs.Pair,
    second: pairs.Pair,
    level: Numbers = 0.95,
) -> Interval:
    r"""Return the score interval of the difference of two Poisson rates, λ_2 - λ_1.

    All δ with (λ̂_2 - λ̂_1 - δ)² <= z² (λ̃_1 / t_1 + λ̃_2 / t_2), λ̃ the most likely
    rates that differ by δ. It covers about the level.

    Args:
        first: counts and exposure of the first sample, any shape.
        second: the same of the second sample.
        level: of confidence, in (0, 1); all broadcast.

    Returns:
        Rates, in the unit of one over the exposure.

    Raises:
        ValueError: as in `rate_ratio_interval`.

    References:
        O. Miettinen, M. Nurminen (1985), Stat. Med. 4, 213, section 3.

    Example:
        >>> lower, upper = rate_difference_interval((10, 1.0), (20, 1.0))
        >>> print(f"{lower:.4f} {upper:.4f}")
        -0.7851 21.9318
    """
    (k1, t1), (k2, t2), valid = pairs.rates(first, second)
    level, level_valid = value_checks.fraction("level", level)
    k1, t1, k2, t2, level = shape_checks.broadcast(
        first=k1, first_exposure=t1, second=k2, second_exposure=t2, level=level
    )
    ends = _difference_ends(k1, t1, k2, t2, level)
    found = Interval.of(ends, level, "confidence, score")
    return where_valid(valid & level_valid, found)


@jax.jit
def _difference_ends(k1: Array, t1: Array, k2: Array, t2: Array, level: Array) -> Ends:
    z_square = significances.significance(1 - level, sides=2) ** 2
    best = k2 / t2 - k1 / t1

    def misfit(difference: Array) -> tuple[Array, Array]:
        # The larger root of (t_1 + t_2) λ² - linear λ - k_1 δ = 0 is λ_1; of the two
        # rates the one that is small comes from the product of the roots.
        both, linear = t1 + t2, k1 + k2 - (t1 + t2) * difference
        root = jnp.sqrt(jnp.maximum(linear**2 + 4 * both * k1 * difference, 0.0))
        above = linear > 0
        safe = jnp.where(above, 1.0, root - linear)
        safe = jnp.where(safe == 0, 1.0, safe)
        rate = jnp.where(
            above, (linear + root) / (2 * both), 2 * k1 * difference / safe
        )
        rate = jnp.maximum(rate, jnp.maximum(0.0, -difference))
        variance = rate / t1 + (rate + difference) / t2
        return best - difference, z_square * jnp.maximum(variance, 0.0)

    spread = jnp.sqrt((k1 + 1) / t1**2 + (k2 + 1) / t2**2)
    reach = 4 * (jnp.sqrt(z_square) + 1) * spread + 2 * (z_square + 1) * (
        1 / t1 + 1 / t2
    )
    return score_end(misfit, best, best - reach), score_end(misfit, best, best + reach)

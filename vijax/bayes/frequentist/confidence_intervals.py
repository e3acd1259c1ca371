"""Confidence intervals of a probability and of a Poisson mean, and their coverage.

Every interval has one signature, element by element over arrays:

    interval(successes, trials, level) -> (lower, upper)
    poisson_interval(counts, level)    -> (lower, upper)

A confidence interval promises coverage. Over repeated experiments it contains the true
value with a frequency of at least the level (the exact ones) or about the level (all
others), whatever the true value is.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.bayes.numerics import count_pmfs, significances
from vijax.bayes.numerics.interval import Ends, Interval
from vijax.bayes.validation import Numbers, count_checks, shape_checks, value_checks
from vijax.special.quantiles import beta_quantile, gamma_quantile
from vijax.validate import is_traced, where_valid


def binomial_interval(
    successes: Numbers,
    trials: Numbers,
    level: Numbers = 0.95,
    *,
    method: str = "clopper_pearson",
) -> Interval:
    r"""Return a confidence interval of the probability of success.

    Args:
        successes: k, any shape, element by element.
        trials: n, broadcast against k. Without any trial the interval is (0, 1), so
            that empty bins of an efficiency need no care; Wald's needs n >= 1.
        level: of confidence, between 0 and 1, broadcast against them.
        method: "clopper_pearson" inverts the two one-sided exact tests and never covers
            less than the level; "jeffreys" is the equal-tailed credible interval under
            Beta(1/2, 1/2), ending at 0 for k = 0 and at 1 for k = n; "wilson" inverts
            the score test; "agresti_coull" is Wald's with z²/2 successes and failures
            added; "wald" is p ± z sqrt(p (1 - p) / n), which undercovers.

    Raises:
        ValueError: counts that are impossible, a level outside (0, 1), an unknown
            method. In a trace such input gives NaN.

    References:
        Brown, Cai & DasGupta (2001), Statistical Science 16, 101.

    Example:
        >>> lower, upper = binomial_interval(10, 14)
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.4190 0.9161
        >>> lower, upper = binomial_interval(10, 14, method="wilson")
        >>> print(f"{lower:.4f} {upper:.4f}")
        0.4535 0.8828
    """
    value_checks.one_of("method", method, tuple(_METHODS))
    few = 1 if method == "wald" else 0
    successes, trials, valid = count_checks.binomial(successes, trials, min_trials=few)
    level, level_valid = value_checks.fraction("level", level)
    successes, trials, level = shape_checks.broadcast(
        successes=successes, trials=trials, level=level
    )
    lower, upper = _METHODS[method](successes, trials, level)
    lower, upper = jnp.where(trials > 0, lower, 0.0), jnp.where(trials > 0, upper, 1.0)
    about = f"confidence, {_NAMES[method]}"
    found = Interval.of((lower, upper), level, about)
    return where_valid(valid & level_valid, found)


def poisson_interval(counts: Numbers, level: Numbers = 0.95) -> Interval:
    r"""Return Garwood's exact central confidence interval of a Poisson mean.

    lower = χ²(α/2; 2n) / 2, upper = χ²(1 - α/2; 2n + 2) / 2 with α = 1 - level.

    Args:
        counts: n, any shape.
        level: of confidence, in (0, 1), broadcast against n.

    Returns:
        Two means, counts in the exposure that n has; the lower one 0 for n = 0.

    Raises:
        ValueError: a count that is negative or fractional, a level outside (0, 1).

    References:
        F. Garwood (1936), Biometrika 28, 437.

    Example:
        >>> lower, upper = poisson_interval(3, 0.6827)
        >>> print(f"{lower:.4f} {upper:.4f}")
        1.3673 5.9182
    """
    counts, valid = value_checks.counts("counts", counts)
    level, level_valid = value_checks.fraction("level", level)
    counts, level = shape_checks.broadcast(counts=counts, level=level)
    tail = 0.5 * (1 - level)
    shapes = jnp.stack([jnp.maximum(counts, 1), counts + 1])
    is_upper = jnp.array([False, True]).reshape(2, *[1] * tail.ndim)
    lower, upper = gamma_quantile(shapes, tail, is_upper)
    lower = jnp.where(counts > 0, lower, 0.0)
    found = Interval.of((lower, upper), level, "confidence, Garwood")
    return where_valid(valid & level_valid, found)


def binomial_coverage(
    probs: Numbers,
    trials: Numbers,
    level: Numbers = 0.95,
    *,
    interval: Callable[..., Ends] | None = None,
    method: str = "clopper_pearson",
) -> Float[Array, "..."]:
    r"""Return the exact coverage Σ_k P(k | n, p) [lower(k) <= p <= upper(k)].

    Args:
        probs: true probabilities, any shape.
        trials: n, any shape; the intervals of all k = 0 … n are computed, so they must
            be known when this is compiled.
        level: of the intervals.
        interval: any function (successes, trials, level) -> (lower, upper); without it
            `binomial_interval` with `method`.
        method: of `binomial_interval`.

    Returns:
        Coverage of every n at every p, shape (*trials.shape, *probs.shape).

    Raises:
        ValueError: a probability outside [0, 1], trials that are no whole number >= 1.

    References:
        Brown, Cai & DasGupta (2001), Statistical Science 16, 101, section 2.

    Example:
        >>> print(f"{binomial_coverage(0.3, 14):.4f}")
        0.9849
        >>> few, more = binomial_coverage(0.3, [14, 100], method="wald")
        >>> print(f"{few:.4f} {more:.4f}")
        0.9211 0.9502
    """
    probs, valid = value_checks.probability("probs", probs)
    level, level_valid = _one_level(level)
    if is_traced(trials):
        raise ValueError("trials are traced: they fix shapes, give known numbers")
    sizes = np.asarray(value_checks.counts("trials", trials)[0])
    value_checks.checked(sizes > 0, "trials", sizes, "give whole numbers >= 1")
    sizes = sizes.astype(int)
    counts = jnp.arange(sizes.max() + 1, dtype=probs.dtype)
    rows = jnp.asarray(sizes.reshape(-1, 1), probs.dtype)
    k = jnp.minimum(counts, rows)  # beyond n, where it does not count
    own = partial(binomial_interval, method=method) if interval is None else interval
    ends = own(k, rows, level)
    flat = _coverage(probs.ravel(), counts, rows, *jnp.broadcast_arrays(*ends))
    return where_valid(valid & level_valid, flat.reshape(sizes.shape + probs.shape))


def _one_level(level: Numbers) -> tuple[Array, Array]:
    level, valid = value_checks.fraction("level", level)
    if level.ndim:
        raise ValueError(f"level has shape {level.shape}: give one number, and vmap")
    return level, valid


@jax.jit
def _coverage(
    probs: Array, counts: Array, trials: Array, lower: Array, upper: Array
) -> Array:
    """Return the coverage of each row's intervals at each probability."""

    def of_one(prob: Array) -> Array:
        k = jnp.minimum(counts, trials)
        outcomes, both = (
            jnp.stack([k, trials - k], axis=-1),
            jnp.stack([prob, 1 - prob]),
        )
        covered = (lower <= prob) & (prob <= upper) & (counts <= trials)
        weights = jnp.exp(count_pmfs.multinomial_log_pmf(outcomes, both))
        # Rounding may take a sum of all counts above 1.
        return jnp.minimum(jnp.sum(weights * covered, axis=-1), 1.0)

    return jax.vmap(of_one, out_axes=1)(probs)


def poisson_coverage(
    means: Numbers,
    max_count: int,
    level: Numbers = 0.95,
    *,
    interval: Callable[..., Ends] = poisson_interval,
) -> Float[Array, "..."]:
    r"""Return the exact coverage Σ_n P(n | mean) [lower(n) <= mean <= upper(n)].

    Args:
        means: true means, any shape.
        max_count: counts above it are taken as not covered: put it far above the means.
        level: of the intervals.
        interval: any function (counts, level) -> (lower, upper).

    Returns:
        Coverage, a probability for each mean.

    Raises:
        ValueError: a negative mean, a negative `max_count`.

    References:
        Cousins (1995), Am. J. Phys. 63, 398.

    Example:
        >>> print(f"{poisson_coverage(3.0, 40):.4f}")
        0.9881
    """
    means, valid = value_checks.nonnegative("means", means)
    level, level_valid = _one_level(level)
    max_count = value_checks.whole("max_count", max_count)
    counts = jnp.arange(max_count + 1, dtype=means.dtype)
    lower, upper = interval(counts, level)

    return where_valid(
        valid & level_valid, _poisson_coverage(means, counts, lower, upper)
    )


@jax.jit
def _poisson_coverage(means: Array, counts: Array, lower: Array, upper: Array) -> Array:
    at = means[..., None]
    weights = jnp.exp(count_pmfs.poisson_log_pmf(counts, at))
    covered = (lower <= at) & (at <= upper)
    return jnp.minimum(jnp.sum(weights * covered, axis=-1), 1.0)


def _clopper_pearson(k: Array, n: Array, level: Array) -> Ends:
    # The upper end is 1 minus the lower one for the failures, without the difference.
    successes = jnp.maximum(k, 1), k + 1
    failures = n - k + 1, jnp.maximum(n - k, 1)
    return _beta_ends(k, n, successes, failures, 0.5 * (1 - level))


def _jeffreys(k: Array, n: Array, level: Array) -> Ends:
    successes, failures = (k + 0.5,) * 2, (n - k + 0.5,) * 2
    return _beta_ends(k, n, successes, failures, 0.5 * (1 - level))


def _beta_ends(k: Array, n: Array, a: Ends, b: Ends, tail: Array) -> Ends:
    """Return the lower tail's end and the upper one's, 0 or 1 where k is."""
    *ends, tail = jnp.broadcast_arrays(*a, *b, tail)
    is_upper = jnp.array([False, True]).reshape(2, *[1] * tail.ndim)
    lower, upper = beta_quantile(
        jnp.stack(ends[:2]), jnp.stack(ends[2:]), tail, is_upper
    )
    return jnp.where(k > 0, lower, 0.0), jnp.where(k < n, upper, 1.0)


def _wilson(k: Array, n: Array, level: Array) -> Ends:
    z = _z(level)
    estimate = k / n
    half = z * jnp.sqrt(estimate * (1 - estimate) / n + (z / (2 * n)) ** 2)
    centre, shrink = estimate + z**2 / (2 * n), 1 + z**2 / n
    # the root that cancels comes from the product of the roots, k² / (n² shrink)
    lower = estimate**2 / (centre + half)
    return lower, jnp.minimum((centre + half) / shrink, 1.0)


def _agresti_coull(k: Array, n: Array, level: Array) -> Ends:
    z = _z(level)
    return _wald(k + 0.5 * z**2, n + z**2, level)


def _wald(k: Array, n: Array, level: Array) -> Ends:
    estimate = k / n
    half = _z(level) * jnp.sqrt(estimate * (1 - estimate) / n)
    return jnp.maximum(estimate - half, 0.0), jnp.minimum(estimate + half, 1.0)


def _z(level: Array) -> Array:
    return significances.significance(1 - level, sides=2)


_NAMES = {
    "clopper_pearson": "Clopper–Pearson",
    "jeffreys": "Jeffreys",
    "wilson": "Wilson",
    "agresti_coull": "Agresti–Coull",
    "wald": "Wald",
}
_METHODS: dict[str, Callable[[Array, Array, Array], Ends]] = {
    "clopper_pearson": _clopper_pearson,
    "jeffreys": _jeffreys,
    "wilson": jax.jit(_wilson),
    "agresti_coull": jax.jit(_agresti_coull),
    "wald": jax.jit(_wald),
}

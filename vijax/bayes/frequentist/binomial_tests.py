"""Binomial data, the frequentist way: estimate, standard error and p-values."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax import special
from vijax.bayes.numerics import count_pmfs, roots, significances
from vijax.bayes.numerics.log_gamma import signed_root
from vijax.bayes.validation import Numbers, count_checks, shape_checks, value_checks
from vijax.printing import Estimate
from vijax.validate import where_valid

ALTERNATIVES = ("greater", "less", "two-sided")
_METHODS = ("exact", "score", "wald", "likelihood_ratio")


def binomial_estimate(successes: Numbers, trials: Numbers) -> Estimate:
    r"""Return the estimate k / n and its standard error sqrt(p (1 - p) / n).

    Args:
        successes: k, any shape, element by element.
        trials: n >= 1, broadcast against k.

    Returns:
        Both between 0 and 1, shape of k against n.

    Raises:
        ValueError: counts that are impossible. In a trace such input gives NaN.

    References:
        Lyons (1986), Statistics for nuclear and particle physicists, section 1.4.

    Example:
        >>> estimate, standard_error = binomial_estimate(10, 14)
        >>> print(f"{estimate:.4f} {standard_error:.4f}")
        0.7143 0.1207
        >>> print(binomial_estimate(10, 14))
        0.71 ± 0.12
    """
    successes, trials, valid = count_checks.binomial(successes, trials, min_trials=1)
    estimate = successes / trials
    rest = (trials - successes) / trials
    return where_valid(valid, Estimate(estimate, jnp.sqrt(estimate * rest / trials)))


def binomial_p_value(
    successes: Numbers,
    trials: Numbers,
    *,
    null: Numbers = 0.5,
    alternative: str = "greater",
    method: str = "exact",
) -> Float[Array, "..."]:
    r"""Return the p-value of k successes in n trials under p = null.

    Args:
        successes: k, any shape, element by element.
        trials: n, broadcast against k; without any trial the exact p-value is 1.
        null: probability of success under the hypothesis that is tested.
        alternative: "greater" for P(K >= k), "less" for P(K <= k), "two-sided" for the
            probability of all counts that are not more probable than k.
        method: "exact" from the binomial distribution; the others take a Gaussian
            significance: "score" (k - n p) / sqrt(n p (1 - p)), "wald" with the
            estimate in place of p in the root, "likelihood_ratio" the signed root of
            the deviance.
            Their two-sided p-value is P(|Z| > |z|).

    Raises:
        ValueError: counts that are impossible, a null that is no probability, an
            unknown alternative or method. In a trace such input gives NaN.

    References:
        C. Clopper, E. Pearson (1934), Biometrika 26, 404; two-sided as R's binom.test.

    Example:
        >>> print(f"{binomial_p_value(10, 14):.4f}")
        0.0898
        >>> print(f"{binomial_p_value(10, 14, alternative='two-sided'):.4f}")
        0.1796
    """
    log_p_value = binomial_log_p_value(
        successes, trials, null=null, alternative=alternative, method=method
    )
    return jnp.exp(log_p_value)


def binomial_log_p_value(
    successes: Numbers,
    trials: Numbers,
    *,
    null: Numbers = 0.5,
    alternative: str = "greater",
    method: str = "exact",
) -> Float[Array, "..."]:
    """Return the natural logarithm of `binomial_p_value`, which does not underflow.

    log P in nats; arguments, shapes and source as in `binomial_p_value`.

    Raises:
        ValueError: as in `binomial_p_value`.

    Example:
        >>> print(f"{binomial_log_p_value(2000, 2000):.2f}")  # -2000 ln 2
        -1386.29
    """
    value_checks.one_of("alternative", alternative, ALTERNATIVES)
    successes, trials, valid = count_checks.binomial(successes, trials)
    null, null_valid = value_checks.probability("null", null)
    successes, trials, null = shape_checks.broadcast(
        successes=successes, trials=trials, null=null
    )
    value_checks.one_of("method", method, _METHODS)
    if method == "exact":
        log_p_value = _exact(successes, trials, null, alternative)
    else:
        z = _z(successes, trials, null, method)
        if alternative == "two-sided":
            log_p_value = significances.log_p_value(z, sides=2)
        else:
            log_p_value = significances.log_p_value(
                z if alternative == "greater" else -z
            )
    return where_valid(valid & null_valid, log_p_value)


def _exact(k: Array, n: Array, null: Array, alternative: str) -> Array:
    tails = special.log_binomial_tails(k, n, null)
    if alternative == "greater":
        return tails.at_least
    if alternative == "less":
        return tails.at_most
    opposite = _opposite(k, n, null)
    return both_tails(k, n * null, tails, special.log_binomial_tails(opposite, n, null))


def both_tails(
    count: Array, mean: Array, tails: special.LogTails, others: special.LogTails
) -> Array:
    """Return the log probability of a count's own tail and of the opposite one.

    Example:
        >>> count, mean = jnp.asarray(3.0), jnp.asarray(2.0)
        >>> tails = special.log_poisson_tails(3, 2.0)
        >>> none = special.log_poisson_tails(-1, 2.0)
        >>> print(f"{jnp.exp(both_tails(count, mean, tails, none)):.4f}")
        0.3233
    """
    above = count > mean
    near = jnp.where(above, tails.at_least, tails.at_most)
    far = jnp.where(above, others.at_most, others.at_least)
    return jnp.where(count == mean, 0.0, jnp.minimum(jnp.logaddexp(near, far), 0.0))


@jax.jit
def _opposite(k: Array, n: Array, null: Array) -> Array:
    probs = jnp.stack([null, 1 - null], axis=-1)

    def log_pmf(count: Array) -> Array:
        outcomes = jnp.stack([count, n - count], axis=-1)
        return count_pmfs.multinomial_log_pmf(jnp.clip(outcomes, 0), probs)

    return opposite_count(log_pmf, k, n * null, n)


def opposite_count(
    log_pmf: Callable[[Array], Array], count: Array, mean: Array, largest: Array
) -> Array:
    """Return the count nearest to one beyond the mean that is not more probable.

    Below the mean -1, and above it `largest` + 1, where there is none.

    Example:
        >>> def log_pmf(count):
        ...     return count_pmfs.poisson_log_pmf(count, 2.0)
        >>> opposite_count(log_pmf, *map(jnp.asarray, (4.0, 2.0, 9.0))).item()
        -1.0
    """
    # As SciPy, forgive rounding: a count as probable as this one belongs to the tail.
    limit = log_pmf(count) + 1e-7
    # Distances from the mean's neighbour outwards; the last is beyond the range.
    above = count > mean
    start = jnp.where(above, jnp.floor(mean), jnp.ceil(mean))
    room = jnp.where(above, start, largest - start)
    sign = jnp.where(above, -1.0, 1.0)

    def is_probable(distance: Array) -> Array:
        return log_pmf(start + sign * distance) > limit

    # The near end is always too probable (or just before the start), the far one is
    # rare or beyond the range.
    _, far = roots.bisect(
        is_probable,
        -jnp.ones_like(room),
        room + 1,
        num_steps=64,
        midpoint=lambda near, far: jnp.floor(0.5 * (near + far)),
    )
    return start + sign * far


def _z(k: Array, n: Array, null: Array, method: str) -> Array:
    excess = k - n * null
    if method == "likelihood_ratio":
        return signed_root(k, n * null, n - k, n * (1 - null))
    variance = n * null * (1 - null) if method == "score" else k * (n - k) / n
    # Without any spread an excess is infinitely many sigmas, and none is none.
    some = variance > 0
    z = excess / jnp.sqrt(jnp.where(some, variance, 1.0))
    return jnp.where(some, z, jnp.where(excess == 0, 0.0, jnp.sign(excess) * jnp.inf))

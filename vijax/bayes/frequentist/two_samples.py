"""Two counts: is the second probability or rate the larger one, and by how much?

Every function works element by element over arrays, each element a pair of samples.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.bayes.frequentist.binomial_tests import ALTERNATIVES, binomial_log_p_value
from vijax.bayes.frequentist.confidence_intervals import Interval, binomial_interval
from vijax.bayes.numerics import log_gamma
from vijax.bayes.validation import Numbers, count_checks, shape_checks, value_checks
from vijax.validate import is_traced, where_valid


def fisher_log_p_value(
    first: tuple[Numbers, Numbers],
    second: tuple[Numbers, Numbers],
    *,
    alternative: str = "greater",
    max_successes: int | None = None,
) -> Float[Array, "..."]:
    r"""Return the log of Fisher's exact p-value of two equal probabilities.

    Given all successes K = k_1 + k_2, k_2 is hypergeometric:
    P(k_2) = C(n_1, K - k_2) C(n_2, k_2) / C(n_1 + n_2, K).

    Args:
        first: successes and trials of the first sample, any shape.
        second: the same of the second sample; all broadcast.
        alternative: "greater": the second probability is larger, P(K_2 >= k_2);
            "less": P(K_2 <= k_2); "two-sided": all tables that are not more probable.
        max_successes: of both samples together; needed where they are traced.

    Returns:
        Nats.

    Raises:
        ValueError: impossible counts, shapes that do not fit, an unknown alternative,
            traced counts without `max_successes`.

    References:
        R. A. Fisher (1922), J. R. Stat. Soc. 85, 87; two-sided as R's fisher.test.

    Example:
        >>> value = fisher_log_p_value((2, 20), (8, 20))
        >>> print(f"{jnp.exp(value):.4f}")
        0.0324
    """
    value_checks.one_of("alternative", alternative, ALTERNATIVES)
    (k1, n1), (k2, n2), valid = _pairs(first, second)
    if max_successes is None:
        if is_traced(k1, k2):
            raise ValueError("max_successes is needed where the counts are traced")
        most = int(np.max(np.asarray(jnp.where(valid, k1 + k2, 0))))
        max_successes = max(16, 1 << most.bit_length())
    log_p_value = _fisher(k1, n1, k2, n2, alternative, int(max_successes))
    return where_valid(valid & (k1 + k2 <= max_successes), log_p_value)


def probability_difference_interval(
    first: tuple[Numbers, Numbers],
    second: tuple[Numbers, Numbers],
    level: Numbers = 0.95,
) -> Interval:
    r"""Return Newcombe's interval of p_2 - p_1, from Wilson's of both.

    d - sqrt((p_2 - l_2)² + (u_1 - p_1)²), d + sqrt((u_2 - p_2)² + (p_1 - l_1)²)

    Args:
        first: successes and trials (>= 1) of the first sample, any shape.
        second: the same of the second sample.
        level: of confidence, in (0, 1); all broadcast.

    Raises:
        ValueError: impossible counts, a level outside (0, 1), shapes that do not fit.

    References:
        R. G. Newcombe (1998), Stat. Med. 17, 873, method 10.

    Example:
        >>> lower, upper = probability_difference_interval((48, 80), (56, 70))
        >>> print(f"{lower:.4f} {upper:.4f}")  # Newcombe's table II, example (a)
        0.0524 0.3339
    """
    (k1, n1), (k2, n2), valid = _pairs(first, second, min_trials=1)
    one = binomial_interval(k1, n1, level, method="wilson")
    two = binomial_interval(k2, n2, level, method="wilson")
    p1, p2 = k1 / n1, k2 / n2
    below = jnp.hypot(p2 - two[0], one[1] - p1)
    above = jnp.hypot(two[1] - p2, p1 - one[0])
    return where_valid(valid, (p2 - p1 - below, p2 - p1 + above))


def rate_ratio_interval(
    first: tuple[Numbers, Numbers],
    second: tuple[Numbers, Numbers],
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
    k1, k2, exposure, valid = _rates(first, second)
    lower, upper = binomial_interval(k2, k1 + k2, level)
    whole = upper == 1
    odds = upper / jnp.where(whole, 1.0, 1 - upper)
    ends = exposure * lower / (1 - lower), exposure * jnp.where(whole, jnp.inf, odds)
    return where_valid(valid, ends)


def rate_log_p_value(
    first: tuple[Numbers, Numbers],
    second: tuple[Numbers, Numbers],
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
    k1, k2, exposure, valid = _rates(first, second)
    null = 1 / (1 + exposure)
    value = binomial_log_p_value(k2, k1 + k2, null=null, alternative=alternative)
    return where_valid(valid, value)


def _pairs(
    first: tuple[Numbers, Numbers], second: tuple[Numbers, Numbers], min_trials: int = 0
) -> tuple[tuple[Array, Array], tuple[Array, Array], Array]:
    k1, n1, valid = count_checks.binomial(*_two("first", first), min_trials=min_trials)
    k2, n2, more = count_checks.binomial(*_two("second", second), min_trials=min_trials)
    k1, n1, k2, n2 = shape_checks.broadcast(first=k1, trials=n1, second=k2, others=n2)
    return (k1, n1), (k2, n2), valid & more


def _two(name: str, pair: tuple[Numbers, Numbers]) -> tuple[Numbers, Numbers]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"{name} = {pair!r} is not valid: give a pair, counts first")
    return pair[0], pair[1]


def _rates(
    first: tuple[Numbers, Numbers], second: tuple[Numbers, Numbers]
) -> tuple[Array, Array, Array, Array]:
    """Return both counts, t_1 / t_2, and where they are valid."""
    (k1, t1), (k2, t2) = _two("first", first), _two("second", second)
    k1, valid = value_checks.counts("first", k1)
    k2, second_valid = value_checks.counts("second", k2)
    t1, t1_valid = value_checks.positive("first exposure", t1)
    t2, t2_valid = value_checks.positive("second exposure", t2)
    k1, k2, t1, t2 = shape_checks.broadcast(
        first=k1, second=k2, first_exposure=t1, second_exposure=t2
    )
    return k1, k2, t1 / t2, valid & second_valid & t1_valid & t2_valid


@partial(jax.jit, static_argnums=(4, 5))
def _fisher(
    k1: Array, n1: Array, k2: Array, n2: Array, alternative: str, size: int
) -> Array:
    total, trials = k1 + k2, n1 + n2
    j = jnp.arange(size + 1, dtype=k1.dtype)
    k, first_n, second_n, both, own = (
        x[..., None] for x in (total, n1, n2, trials, k2)
    )
    possible = (j <= k) & (j <= second_n) & (k - j <= first_n)
    safe = jnp.where(possible, j, jnp.clip(k - first_n, 0))
    log_pmf = _log_choose(first_n, k - safe) + _log_choose(second_n, safe)
    log_pmf = jnp.where(possible, log_pmf - _log_choose(both, k), -jnp.inf)
    if alternative == "two-sided":
        at = jnp.max(jnp.where(j == own, log_pmf, -jnp.inf), axis=-1, keepdims=True)
        chosen = log_pmf <= at + 1e-7  # as SciPy, forgive rounding
    else:
        chosen = j >= own if alternative == "greater" else j <= own
    terms = jnp.where(chosen, log_pmf, -jnp.inf)
    return jnp.minimum(jax.scipy.special.logsumexp(terms, axis=-1), 0.0)


def _log_choose(n: Array, k: Array) -> Array:
    """Return log C(n, k) as a binomial probability at k / n, over its power."""
    rest = n - k
    excess = log_gamma.excess(n) - log_gamma.excess(k) - log_gamma.excess(rest)
    return excess + _entropy(k, n) + _entropy(rest, n)


def _entropy(k: Array, n: Array) -> Array:
    return jax.scipy.special.entr(k / jnp.maximum(n, 1)) * n

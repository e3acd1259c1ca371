"""Fisher's exact test of two equal probabilities: all totals are given."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vijax.bayes.frequentist.binomial_tests import ALTERNATIVES
from vijax.bayes.frequentist.two_samples import pairs
from vijax.bayes.numerics import log_gamma
from vijax.bayes.validation import value_checks
from vijax.validate import is_traced, seen, where_valid


def fisher_log_p_value(
    first: pairs.Pair,
    second: pairs.Pair,
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
    (k1, n1), (k2, n2), valid = pairs.proportions(first, second)
    if max_successes is None:
        if is_traced(k1, k2):
            raise ValueError("max_successes is needed where the counts are traced")
        most = int(np.max(np.asarray(jnp.where(valid, k1 + k2, 0))))
        max_successes = max(16, 1 << most.bit_length())
    max_successes = value_checks.whole("max_successes", max_successes)
    enough = value_checks.checked(
        seen(k1 + k2) <= max_successes,
        "max_successes",
        max_successes,
        "give the successes of both samples together, or more",
    )
    log_p_value = _fisher(k1, n1, k2, n2, alternative, max_successes)
    return where_valid(valid & enough, log_p_value)


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

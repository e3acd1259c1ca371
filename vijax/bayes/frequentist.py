"""The frequentist answers: estimate, p-value, significance."""

from typing import Literal

import jax.numpy as jnp
from jax.scipy import special
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes import inputs
from vijax.validate import check, where_valid

Alternative = Literal["greater", "less", "two-sided"]


def binomial_estimate(
    successes: ArrayLike, trials: ArrayLike
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    r"""Return the estimate k / n and its standard error sqrt(p (1 - p) / n).

    Example:
        >>> estimate, standard_error = binomial_estimate(10, 14)
        >>> round(estimate.item(), 4), round(standard_error.item(), 4)
        (0.7143, 0.1207)
    """
    successes, trials, valid = _binomial_data(successes, trials)
    estimate = successes / trials
    standard_error = jnp.sqrt(estimate * (1 - estimate) / trials)
    return where_valid(valid, (estimate, standard_error))


def binomial_p_value(
    successes: ArrayLike,
    trials: ArrayLike,
    *,
    null: ArrayLike = 0.5,
    alternative: Alternative = "greater",
) -> Float[Array, "..."]:
    r"""Return the exact p-value: P(K >= k), P(K <= k), or the sum over what is rarer.

    Two-sided is the sum of all probabilities that are not larger than that of k (as
    SciPy's and R's binomial tests).

    Example:
        >>> round(binomial_p_value(10, 14).item(), 6)
        0.089783
    """
    successes, trials, valid = _binomial_data(successes, trials)
    null = inputs.as_float(null)
    inside = check((null >= 0) & (null <= 1), "null", null, "give a probability")
    upper = jnp.where(
        successes > 0,
        special.betainc(jnp.maximum(successes, 1), trials - successes + 1, null),
        1.0,
    )
    below = trials - successes
    lower = jnp.where(
        below > 0,
        special.betainc(jnp.maximum(below, 1), successes + 1, 1 - null),
        1.0,
    )
    if alternative == "greater":
        p_value = upper
    elif alternative == "less":
        p_value = lower
    else:
        raise ValueError(
            f"alternative = {alternative!r} is not valid: give 'greater' or 'less'"
        )
    return where_valid(valid & inside, p_value)


def significance(p_value: ArrayLike) -> Float[Array, "..."]:
    r"""Return the one-sided Gaussian significance z with P(Z > z) = p, in sigmas.

    Example:
        >>> round(significance(0.0897827).item(), 4)
        1.3421
    """
    p_value = inputs.as_float(p_value)
    valid = check(
        (p_value >= 0) & (p_value <= 1), "p_value", p_value, "give a probability"
    )
    return where_valid(valid, -special.ndtri(p_value))


def _binomial_data(
    successes: ArrayLike, trials: ArrayLike
) -> tuple[Array, Array, Array]:
    successes, successes_valid = inputs.counts("successes", successes)
    trials, trials_valid = inputs.counts("trials", trials)
    at_least_one = check(trials > 0, "trials", trials, "give at least one trial")
    remedy = "give a count between 0 and trials"
    possible = check(successes <= trials, "successes", successes, remedy)
    return successes, trials, successes_valid & trials_valid & at_least_one & possible

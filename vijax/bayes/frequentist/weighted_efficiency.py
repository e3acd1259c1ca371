"""The efficiency of a selection on weighted events, as simulations have them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from vijax import printing
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import seen, where_valid


class Efficiency(NamedTuple):
    """An efficiency, and the counts without weights that would be as good."""

    estimate: Float[Array, "..."]
    standard_error: Float[Array, "..."]
    effective_trials: Float[Array, "..."]  # (Σ w)² / Σ w²
    effective_successes: Float[Array, "..."]  # the estimate times the trials

    def __str__(self) -> str:
        return printing.described("Efficiency of weighted events", self._asdict())

    def __repr__(self) -> str:
        return str(self)


def weighted_efficiency(weights: Numbers, passed: Numbers) -> Efficiency:
    r"""Return ε = Σ_passed w / Σ w and its error, sqrt(Σ w² (passed - ε)²) / Σ w.

    Args:
        weights: w, shape (..., events); they may be negative, their sum must not.
        passed: 1 or True for events that passed, 0 for others, of a shape that
            broadcasts.

    Returns:
        All of the shape (...). The error is 0 where all or none passed: there ask
        `efficiency_posterior`.

    Raises:
        ValueError: weights that are not finite, or whose sum is not positive; a
            `passed` other than 0 and 1; shapes that do not fit.

    References:
        ROOT, class TEfficiency, section on weighted events.

    Example:
        >>> result = weighted_efficiency([1.0, 2.0, 0.5, 0.5], [1, 1, 0, 0])
        >>> print(f"{result.estimate:.4f} ± {result.standard_error:.4f}")
        0.7500 ± 0.1926
    """
    weights, valid = value_checks.finite("weights", weights)
    passed = value_checks.numbers("passed", passed)
    at = seen(passed)
    binary = value_checks.checked(
        (at == 0) | (at == 1), "passed", passed, "give 0 or 1, or booleans"
    )
    weights, passed = shape_checks.broadcast(weights=weights, passed=passed)
    if not weights.ndim:
        raise ValueError("weights is one number: give an array of events")
    total, squares = weights.sum(axis=-1), jnp.square(weights).sum(axis=-1)
    positive = value_checks.checked(
        seen(total) > 0, "the sum of weights", total, "give weights of a positive sum"
    )
    safe = jnp.where(total > 0, total, 1.0)
    estimate = (weights * passed).sum(axis=-1) / safe
    scatter = jnp.square(weights * (passed - estimate[..., None])).sum(axis=-1)
    some = scatter > 0
    error = jnp.where(some, jnp.sqrt(jnp.where(some, scatter, 1.0)), 0.0) / safe
    trials = total**2 / squares
    valid = jnp.broadcast_to(valid & binary, passed.shape).all(axis=-1)
    result = Efficiency(estimate, error, trials, estimate * trials)
    return where_valid(valid & positive, result)


def efficiency_posterior(
    prior: dist.Beta, weights: Numbers, passed: Numbers
) -> dist.Beta:
    r"""Return Beta(α + ε n, β + (1 - ε) n), n = (Σ w)² / Σ w² effective trials.

    With equal weights that of `bayes.beta_binomial`; else an approximation, as ROOT's.

    Args:
        prior: Beta(α, β) of the efficiency.
        weights: w >= 0, shape (..., events).
        passed: 1 or True for events that passed.

    Raises:
        ValueError: as in `weighted_efficiency`, and for a negative weight or a prior of
            another family.

    References:
        ROOT, class TEfficiency, section on weighted events.

    Example:
        >>> result = efficiency_posterior(dist.Beta(1.0, 1.0), [2.0, 2.0], [1, 0])
        >>> result.concentration1.item(), result.concentration0.item()
        (2.0, 2.0)
    """
    shape_checks.of_type("prior", prior, dist.Beta)
    weights, valid = value_checks.nonnegative("weights", weights)
    valid = jnp.atleast_1d(valid)
    result = weighted_efficiency(weights, passed)
    successes, trials = result.effective_successes, result.effective_trials
    parameters = (
        prior.concentration1 + successes,
        prior.concentration0 + trials - successes,
    )
    return dist.Beta(*where_valid(valid.all(axis=-1), parameters))

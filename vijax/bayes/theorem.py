"""Bayes' theorem over a partition of hypotheses A_i.

P(A_i | B) = P(B | A_i) P(A_i) / Σ_j P(B | A_j) P(A_j)
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import where_valid


def posterior(prior: Numbers, likelihood: Numbers) -> Float[Array, "... hypotheses"]:
    r"""Return P(A_i | B), normalised over the last axis.

    Args:
        prior: P(A_i), shape (..., hypotheses); it need not be normalised.
        likelihood: P(B | A_i), in any common unit, broadcast against the prior.

    Returns:
        Probabilities, shape (..., hypotheses).

    Raises:
        ValueError: a negative or NaN entry, or no hypothesis with both a prior and a
            likelihood above 0.

    References:
        T. Bayes (1763), Phil. Trans. 53, 370.

    Example:
        Ten coins, one of them with two tails; one draw shows tail:

        >>> fair, unfair = posterior([0.9, 0.1], [0.5, 1.0])  # unfair: 2 / 11
        >>> print(f"{fair:.6f} {unfair:.6f}")
        0.818182 0.181818
    """
    prior, prior_valid = _weights("prior", prior)
    likelihood, likelihood_valid = _weights("likelihood", likelihood)
    prior, likelihood = shape_checks.broadcast(prior=prior, likelihood=likelihood)
    # Each scaled by its largest entry: tiny likelihoods must not underflow.
    prior = prior / _largest(prior)
    likelihood = likelihood / _largest(likelihood)
    joint = prior * likelihood
    total = joint.sum(axis=-1, keepdims=True)
    possible = value_checks.checked(
        total > 0, "likelihood", total, "some hypothesis must explain the data"
    )
    valid = prior_valid & likelihood_valid & possible
    return where_valid(valid, joint / total)


def log_posterior(
    log_prior: Numbers, log_likelihood: Numbers
) -> Float[Array, "... hypotheses"]:
    """Return log P(A_i | B) from logarithms, where the likelihoods would underflow.

    log P(A_i | B) = a_i - log Σ_j exp a_j, with a_i = log P(B | A_i) + log P(A_i), in
    nats.

    Args:
        log_prior: shape (..., hypotheses), up to a constant; -inf where impossible.
        log_likelihood: broadcast against it.

    Raises:
        ValueError: NaN or inf, or no hypothesis that is possible.

    Example:
        >>> first, second = log_posterior([0.0, 0.0], [-1000.0, -1001.0])
        >>> print(f"{first:.4f} {second:.4f}")
        -0.3133 -1.3133
    """
    log_prior, prior_valid = _log_weights("log_prior", log_prior)
    log_likelihood, likelihood_valid = _log_weights("log_likelihood", log_likelihood)
    log_prior, log_likelihood = shape_checks.broadcast(
        log_prior=log_prior, log_likelihood=log_likelihood
    )
    log_joint = log_prior + log_likelihood
    top = log_joint.max(axis=-1, keepdims=True)
    remedy = "some hypothesis must explain the data"
    possible = value_checks.checked(top > -jnp.inf, "log_likelihood", top, remedy)
    valid = prior_valid & likelihood_valid & possible
    return where_valid(valid, jax.nn.log_softmax(log_joint, axis=-1))


def _weights(name: str, value: Numbers) -> tuple[Array, Array]:
    array = jnp.atleast_1d(value_checks.not_empty(name, value))
    valid = (array >= 0) & jnp.isfinite(array)
    valid = value_checks.checked(valid, name, array, "give finite numbers >= 0")
    return array, jnp.all(valid, axis=-1, keepdims=True)


def _log_weights(name: str, value: Numbers) -> tuple[Array, Array]:
    array = jnp.atleast_1d(value_checks.not_empty(name, value))
    valid = array < jnp.inf
    valid = value_checks.checked(valid, name, array, "give numbers below inf, or -inf")
    return array, jnp.all(valid, axis=-1, keepdims=True)


def _largest(array: Array) -> Float[Array, "... hypotheses"]:
    largest = array.max(axis=-1, keepdims=True)
    return jnp.where(largest > 0, largest, 1.0)

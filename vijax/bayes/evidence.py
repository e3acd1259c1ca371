"""Comparing models by their evidence p(data | model), always in logs."""

import jax
from jaxtyping import Array, Float

from vijax.bayes import inputs


def log_bayes_factor(
    log_evidence_1: inputs.Data, log_evidence_2: inputs.Data
) -> Float[Array, "..."]:
    """Return log K, K = p(data | model 1) / p(data | model 2), in nats.

    Both must be evidences of the same data: a binomial coefficient may be left out of
    both, never of one.

    References:
        R. E. Kass, A. E. Raftery (1995), J. Am. Stat. Assoc. 90, 773, eq. 2.

    Example:
        >>> log_bayes_factor(-2.5, -3.0).item()
        0.5
    """
    return inputs.as_float(log_evidence_1) - inputs.as_float(log_evidence_2)


def model_probabilities(
    log_evidences: inputs.Data, log_prior: inputs.Data = 0.0
) -> Float[Array, "... models"]:
    """Return P(model | data) over the last axis; the models are equal a priori.

    Example:
        >>> first, second = model_probabilities([-2000.0, -2001.0])
        >>> print(f"{first:.4f} {second:.4f}")
        0.7311 0.2689
    """
    return jax.nn.softmax(
        inputs.as_float(log_evidences) + inputs.as_float(log_prior), axis=-1
    )

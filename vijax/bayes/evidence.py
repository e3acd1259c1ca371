"""Comparing models by their evidence p(data | model), always in logs.

An evidence is an average over the prior, so the prior must be proper. An improper prior
has an arbitrary factor, and every Bayes factor would inherit it; the families refuse
such a prior.
"""

import math

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

from vijax.bayes.numerics import log_densities
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import where_valid

# log10 K above which each wording holds, weakest first.
_JEFFREYS = (
    (0.0, "barely worth mentioning"),
    (0.5, "substantial"),
    (1.0, "strong"),
    (1.5, "very strong"),
    (2.0, "decisive"),
)
# 2 ln K above which each wording holds, weakest first.
_KASS_RAFTERY = (
    (0.0, "not worth more than a bare mention"),
    (2.0, "positive"),
    (6.0, "strong"),
    (10.0, "very strong"),
)


def log_bayes_factor(
    log_evidence_1: Numbers, log_evidence_2: Numbers
) -> Float[Array, "..."]:
    """Return log K, K = p(data | model 1) / p(data | model 2), in nats.

    Both must be evidences of the same data: a binomial coefficient may be left out of
    both, never of one.

    Args:
        log_evidence_1: log p(data | model 1), any shape.
        log_evidence_2: log p(data | model 2), broadcast against it.

    Raises:
        ValueError: an evidence that is NaN or infinite; improper priors have none. In a
            trace such input gives NaN.

    References:
        R. E. Kass, A. E. Raftery (1995), J. Am. Stat. Assoc. 90, 773, eq. 2.

    Example:
        >>> log_bayes_factor(-2.5, -3.0).item()
        0.5
    """
    first, first_valid = value_checks.finite("log_evidence_1", log_evidence_1)
    second, second_valid = value_checks.finite("log_evidence_2", log_evidence_2)
    return where_valid(first_valid & second_valid, first - second)


def model_probabilities(
    log_evidences: Numbers, prior: Numbers = 1.0
) -> Float[Array, "... models"]:
    """Return P(model | data) over the last axis.

    P(m | data) = P(m) p(data | m) / Σ_m' P(m') p(data | m')

    Args:
        log_evidences: shape (..., models), of the same data.
        prior: P(model) up to a factor, broadcast against them; equal without it.

    Raises:
        ValueError: an evidence that is not finite, a negative prior, or none above 0.

    References:
        R. E. Kass, A. E. Raftery (1995), J. Am. Stat. Assoc. 90, 773, eq. 1.

    Example:
        >>> first, second = model_probabilities([-2000.0, -2001.0])
        >>> print(f"{first:.4f} {second:.4f}")
        0.7311 0.2689
        >>> first, second = model_probabilities([-2000.0, -2001.0], prior=[0.1, 0.9])
        >>> print(f"{first:.4f} {second:.4f}")
        0.2320 0.7680
    """
    log_evidences, valid = value_checks.finite("log_evidences", log_evidences)
    prior, prior_valid = value_checks.nonnegative("prior", prior)
    log_evidences, prior = shape_checks.broadcast(
        log_evidences=jnp.atleast_1d(log_evidences), prior=prior
    )
    some = prior.sum(axis=-1) > 0
    valid = (
        valid
        & value_checks.checked(some, "prior", prior, "some model must be possible")[
            ..., None
        ]
    )
    log_joint = log_evidences + jnp.log(prior)
    valid = jnp.all(valid & prior_valid, axis=-1, keepdims=True)
    return where_valid(valid, jax.nn.softmax(log_joint, axis=-1))


def jeffreys(log_bayes_factor: Numbers) -> str:
    """Return Jeffreys' words for a Bayes factor, and for which model they are.

    Steps at log10 K = ½, 1, 3/2 and 2.

    Args:
        log_bayes_factor: ln K of model 1 over model 2, one number.

    Raises:
        ValueError: NaN, or more than one number.

    References:
        H. Jeffreys (1961), Theory of Probability, 3rd ed., appendix B.

    Example:
        >>> jeffreys(jnp.log(1.21))
        'barely worth mentioning, for model 1'
        >>> jeffreys(-4.0)
        'very strong, for model 2'
    """
    return _wording(_JEFFREYS, log_bayes_factor, 1 / math.log(10))


def kass_raftery(log_bayes_factor: Numbers) -> str:
    """Return Kass and Raftery's words for a Bayes factor, and for which model they are.

    Steps at 2 ln K = 2, 6 and 10.

    Args:
        log_bayes_factor: ln K of model 1 over model 2, one number.

    Raises:
        ValueError: NaN, or more than one number.

    References:
        R. E. Kass, A. E. Raftery (1995), J. Am. Stat. Assoc. 90, 773, section 3.2.

    Example:
        >>> kass_raftery(4.0)
        'strong, for model 1'
    """
    return _wording(_KASS_RAFTERY, log_bayes_factor, 2.0)


def savage_dickey(
    prior: dist.Distribution, posterior: dist.Distribution, point: Numbers
) -> Float[Array, "..."]:
    r"""Return log K of the model θ = point against the one where θ has the prior.

    K = p(θ = point | data) / p(θ = point), with the marginal densities of θ. It holds
    where the two models are nested and share the prior of all other parameters.

    Args:
        prior: of θ alone, any batch shape.
        posterior: its marginal after the data.
        point: θ of the simpler model, in θ's unit.

    Returns:
        Nats, of the arguments' common shape.

    Raises:
        ValueError: an improper prior, or a point where the prior has no density.

    References:
        J. M. Dickey (1971), Ann. Math. Stat. 42, 204.

    Example:
        >>> value = savage_dickey(dist.Beta(1.0, 1.0), dist.Beta(11.0, 5.0), 0.5)
        >>> print(f"{value:.4f}")  # log of C(14, 10) / 2^14 · 15
        -0.0873
    """
    if isinstance(prior, dist.ImproperUniform):
        raise ValueError(
            "prior is improper: its density has an arbitrary factor, and so would the "
            "Bayes factor; give a proper prior"
        )
    log_prior, prior_valid = value_checks.finite(
        "log prior density at point", log_densities.log_density(prior, point)
    )
    log_posterior = log_densities.log_density(posterior, point)
    return where_valid(prior_valid, log_posterior - log_prior)


def _wording(
    scale: tuple[tuple[float, str], ...],
    log_bayes_factor: Numbers,
    unit: float,
) -> str:
    number = value_checks.numbers("log_bayes_factor", log_bayes_factor)
    is_one = (number.ndim == 0) & ~jnp.isnan(number)
    value_checks.checked(is_one, "log_bayes_factor", number, "give one number")
    value = unit * float(number)
    words = [word for bound, word in scale if abs(value) >= bound][-1]
    return f"{words}, for model {1 if value >= 0 else 2}"

"""Beta prior, geometric counts: p ~ Beta(a, b), k_i = failures before a success."""

import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate import beta_binomial, beta_negative_binomial
from vijax.bayes.conjugate.beta_binomial import Statistics, update
from vijax.bayes.conjugate.distributions.count_distributions import BetaNegativeBinomial
from vijax.bayes.validation import Sample

__all__ = [
    "Statistics",
    "log_evidence",
    "model",
    "posterior",
    "predictive",
    "sufficient_statistics",
    "update",
]


def posterior(prior: dist.Beta, failures: Sample) -> dist.Beta:
    r"""Return Beta(a + n, b + Σ k_i) after n counts.

    Args:
        prior: Beta(a, b) of the probability p of success.
        failures: k_i = 0, 1, …, any shape; all of them are one data set.

    Raises:
        ValueError: a prior of another family, a count that is negative or fractional,
            an improper posterior. In a trace such input gives NaN.

    References:
        Raiffa & Schlaifer (1961), Applied Statistical Decision Theory, section 7.3.

    Example:
        >>> result = posterior(dist.Beta(1.0, 1.0), [0, 3, 1])
        >>> result.concentration1.item(), result.concentration0.item()
        (4.0, 5.0)
    """
    return update(prior, sufficient_statistics(failures))


def sufficient_statistics(failures: Sample) -> Statistics:
    """Return n and Σ k_i, as successes and failures.

    Data and source as in `posterior`; two single counts that add with `+`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> data = sufficient_statistics([0, 3, 1])
        >>> data.successes.item(), data.failures.item()
        (3.0, 4.0)
    """
    return beta_negative_binomial.sufficient_statistics(failures, 1)


def log_evidence(prior: dist.Beta, failures: Sample) -> Float[Array, "..."]:
    r"""Return log p(k) = log B(a + n, b + Σ k_i) - log B(a, b), in nats.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.Beta(1.0, 1.0), 1)  # -ln 6
        >>> print(f"{value:.4f}")
        -1.7918
    """
    return beta_binomial.log_sequence_evidence(prior, sufficient_statistics(failures))


def predictive(posterior: dist.Beta) -> BetaNegativeBinomial:
    """Return the distribution of the failures before the next success.

    P(k) = B(a + 1, b + k) / B(a, b), a count of trials.

    Returns:
        The distribution, in the shape of the posterior's batch.

    Example:
        >>> value = predictive(dist.Beta(11.0, 5.0)).log_prob(0)  # ln(11 / 16)
        >>> print(f"{value:.4f}")
        -0.3747
    """
    return beta_negative_binomial.predictive(posterior, 1)


def model(prior: dist.Beta, failures: ArrayLike | None = None) -> None:
    """Declare the model in NumPyro, with the site `probs`.

    p ~ Beta(a, b), P(k_i | p) = p (1 - p)^k_i; arguments as in `posterior`, without
    failures they are drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Beta(1.0, 1.0), {"failures": 2}
        >>> value = log_density(model, (prior,), data, {"probs": 0.5})[0]
        >>> print(f"{value:.4f}")  # ln(1 / 8)
        -2.0794
    """
    probs = numpyro.sample("probs", prior)
    numpyro.sample("failures", dist.GeometricProbs(probs), obs=failures)

"""Beta prior, Bernoulli outcomes: p ~ Beta(a, b), x_i ~ Bernoulli(p)."""

import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate import beta_binomial
from vijax.bayes.conjugate.beta_binomial import Statistics, update
from vijax.bayes.conjugate.distributions.count_distributions import Bernoulli
from vijax.bayes.validation import Sample, value_checks
from vijax.validate import where_valid

__all__ = [
    "Statistics",
    "log_evidence",
    "model",
    "posterior",
    "predictive",
    "sufficient_statistics",
    "update",
]


def posterior(prior: dist.Beta, outcomes: Sample) -> dist.Beta:
    r"""Return Beta(a + number of ones, b + number of zeros).

    Args:
        prior: Beta(a, b); a batch of priors gives a batch of posteriors;
            an improper one from `bayes.improper.beta`.
        outcomes: 0 or 1 (or booleans), any shape; all of them are one data set.

    Raises:
        ValueError: a prior of another family, an outcome that is not 0 or 1, an
            improper posterior. In a trace such input gives NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.4.

    Example:
        >>> result = posterior(dist.Beta(1.0, 1.0), [1, 0, 1])
        >>> result.concentration1.item(), result.concentration0.item()
        (3.0, 2.0)
    """
    return update(prior, sufficient_statistics(outcomes))


def sufficient_statistics(outcomes: Sample) -> Statistics:
    """Return the numbers of ones and of zeros.

    x_i as in `posterior`, which has the source; two single counts that add with `+`,
    exact up to 2^53 (float32: 2^24).

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> data = sufficient_statistics([1, 0, 1])
        >>> data.successes.item(), data.failures.item()
        (2.0, 1.0)
    """
    outcomes, valid = value_checks.counts("outcomes", outcomes)
    valid &= value_checks.checked(outcomes <= 1, "outcomes", outcomes, "give 0 or 1")
    result = Statistics(outcomes.sum(), (1 - outcomes).sum())
    return where_valid(value_checks.all_of(valid), result)


def log_evidence(prior: dist.Beta, outcomes: Sample) -> Float[Array, "..."]:
    r"""Return log p(x) = log B(a + ones, b + zeros) - log B(a, b), in nats.

    The evidence of the sequence: without a binomial coefficient.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.Beta(1.0, 1.0), [1, 0, 1])  # -ln 12
        >>> print(f"{value:.4f}")
        -2.4849
    """
    return beta_binomial.log_sequence_evidence(prior, sufficient_statistics(outcomes))


def predictive(posterior: dist.Beta) -> Bernoulli:
    """Return the distribution of the next outcome.

    P(1) = a / (a + b).

    Returns:
        The distribution, in the shape of the posterior's batch.

    Example:
        >>> print(f"{predictive(dist.Beta(3.0, 2.0)).mean:.4f}")
        0.6000
    """
    total = posterior.concentration1 + posterior.concentration0
    return Bernoulli(posterior.concentration1 / total)


def model(prior: dist.Beta, outcomes: ArrayLike | None = None) -> None:
    """Declare the model in NumPyro, with the site `probs`.

    p ~ Beta(a, b), x_i ~ Bernoulli(p); arguments as in `posterior`, without outcomes
    one is drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Beta(1.0, 1.0), {"outcomes": 1}
        >>> value = log_density(model, (prior,), data, {"probs": 0.25})[0]
        >>> print(f"{value:.4f}")  # ln(1 / 4)
        -1.3863
    """
    probs = numpyro.sample("probs", prior)
    numpyro.sample("outcomes", dist.BernoulliProbs(probs), obs=outcomes)

"""Beta prior, negative binomial counts: trials go on until r_i successes are seen.

    p ~ Beta(a, b),  k_i = failures before success number r_i

The convention of `scipy.stats.nbinom(r, p)`; NumPyro's NegativeBinomial counts the
other outcome, so its probability is 1 - p.
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate import beta_binomial
from vijax.bayes.conjugate.beta_binomial import Statistics, update
from vijax.bayes.conjugate.distributions.count_distributions import (
    BetaNegativeBinomial,
    GammaPoisson,
)
from vijax.bayes.validation import Sample, shape_checks, value_checks
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


def posterior(prior: dist.Beta, failures: Sample, successes: Sample) -> dist.Beta:
    r"""Return Beta(a + Σ r_i, b + Σ k_i).

    Args:
        prior: Beta(a, b) of the probability p of success.
        failures: k_i, any shape; all of them are one data set.
        successes: r_i >= 1, after which the trials stopped, broadcast against k_i.

    Raises:
        ValueError: a prior of another family, a count that is negative or fractional,
            an improper posterior. In a trace such input gives NaN.

    References:
        Raiffa & Schlaifer (1961), Applied Statistical Decision Theory, section 7.3.

    Example:
        >>> result = posterior(dist.Beta(1.0, 1.0), failures=4, successes=10)
        >>> result.concentration1.item(), result.concentration0.item()
        (11.0, 5.0)
    """
    return update(prior, sufficient_statistics(failures, successes))


def sufficient_statistics(failures: Sample, successes: Sample) -> Statistics:
    """Return Σ r_i and Σ k_i.

    Data and source as in `posterior`; two single counts that add with `+`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> data = sufficient_statistics([4, 0], 2)
        >>> data.successes.item(), data.failures.item()
        (4.0, 4.0)
    """
    failures, successes, valid = _data(failures, successes)
    return where_valid(valid, Statistics(successes.sum(), failures.sum()))


def log_evidence(
    prior: dist.Beta, failures: Sample, successes: Sample
) -> Float[Array, "..."]:
    r"""Return log p(k) in nats, with the coefficients C(k_i + r_i - 1, k_i).

    Σ log C(k_i + r_i - 1, k_i) + log B(a + Σ r_i, b + Σ k_i) - log B(a, b). The Bayes
    factor of two priors is that of binomial data: when to stop tells nothing of p.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.Beta(1.0, 1.0), 4, 10)
        >>> print(f"{value:.4f}")  # ln(10 / 14) - ln 15
        -3.0445
    """
    failures, successes, valid = _data(failures, successes)
    # C(k + r - 1, k) = C(k + r, k) r / (k + r): a binomial datum that ends in success.
    trials = failures + successes
    of_binomial = beta_binomial.log_evidence(
        prior, jnp.where(valid, successes, 0), jnp.where(valid, trials, 1)
    )
    return where_valid(valid, of_binomial + jnp.log(successes / trials).sum())


def predictive(posterior: dist.Beta, successes: ArrayLike = 1) -> BetaNegativeBinomial:
    """Return the distribution of the failures before the next `successes` successes.

    P(k) = C(k + r - 1, k) B(a + r, b + k) / B(a, b).

    Returns:
        The distribution, in the shape of the posterior's batch broadcast against the
        successes r.

    Example:
        >>> value = predictive(dist.Beta(11.0, 5.0)).log_prob(0)  # ln(11 / 16)
        >>> print(f"{value:.4f}")
        -0.3747
    """
    return BetaNegativeBinomial(
        posterior.concentration0, posterior.concentration1, n=successes
    )


def model(
    prior: dist.Beta,
    failures: ArrayLike | None = None,
    successes: ArrayLike = 1,
) -> None:
    """Declare the model in NumPyro, with the site `probs`.

    p ~ Beta(a, b), P(k_i | p) = C(k_i + r_i - 1, k_i) p^r_i (1 - p)^k_i; arguments as
    in `posterior`, without failures they are drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Beta(1.0, 1.0), {"failures": 2, "successes": 1}
        >>> value = log_density(model, (prior,), data, {"probs": 0.5})[0]
        >>> print(f"{value:.4f}")  # ln(1 / 8)
        -2.0794
    """
    probs = numpyro.sample("probs", prior)
    counts = GammaPoisson(successes, probs / (1 - probs))  # negative binomial
    numpyro.sample("failures", counts, obs=failures)


def _data(failures: Sample, successes: Sample) -> tuple[Array, Array, Array]:
    failures, failures_valid = value_checks.counts("failures", failures)
    successes, successes_valid = value_checks.counts("successes", successes)
    remedy = "give a whole number >= 1"
    some = value_checks.checked(successes >= 1, "successes", successes, remedy)
    failures, successes = shape_checks.broadcast(failures=failures, successes=successes)
    return (
        failures,
        successes,
        value_checks.all_of(failures_valid, successes_valid, some),
    )

"""Gamma prior, Gamma data of known shape: λ ~ Gamma(a, rate b), x_i ~ Gamma(k, λ).

Waiting times for the k-th event, energies shared by k modes; k = 1 is exponential.
"""

from typing import NamedTuple

import numpyro
import numpyro.distributions as dist
from jax.scipy.special import gammaln, xlogy
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate import streaming
from vijax.bayes.conjugate.distributions.beta_prime import BetaPrime
from vijax.bayes.conjugate.support import gamma_rates
from vijax.bayes.validation import Sample, shape_checks, value_checks
from vijax.validate import where_valid


class Statistics(NamedTuple):
    """What the posterior depends on."""

    total_shape: Float[Array, "..."]
    total: Float[Array, "..."]

    def __add__(self, other: "Statistics") -> "Statistics":  # type: ignore[override]
        """Return the statistics of both data sets together."""
        return streaming.add(self, other)


def posterior(
    prior: dist.Gamma, observations: Sample, shape: Sample = 1.0
) -> dist.Gamma:
    r"""Return Gamma(a + Σ k_i, b + Σ x_i).

    Args:
        prior: Gamma(a, rate b) of the rate λ;
            an improper one from `bayes.improper.gamma`.
        observations: x_i >= 0 in the unit of 1/λ, any shape; all are one data set.
        shape: k_i > 0, known, broadcast against them.

    Raises:
        ValueError: a prior of another family, a negative or NaN observation, a shape
            that is not positive, an improper posterior. In a trace such input gives
            NaN.

    References:
        D. Fink (1997), A compendium of conjugate priors, section 3.4.

    Example:
        >>> result = posterior(dist.Gamma(1.0, 2.0), [0.5, 1.5], shape=3.0)
        >>> result.concentration.item(), result.rate.item()
        (7.0, 4.0)
    """
    return update(prior, sufficient_statistics(observations, shape))


def sufficient_statistics(observations: Sample, shape: Sample = 1.0) -> Statistics:
    """Return Σ k_i and Σ x_i.

    Data and source as in `posterior`; single numbers, which add with `+`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> data = sufficient_statistics([0.5, 1.5], 3.0)
        >>> data.total_shape.item(), data.total.item()
        (6.0, 2.0)
    """
    observations, shape, valid = _data(observations, shape)
    return where_valid(valid, Statistics(shape.sum(), observations.sum()))


def update(prior: dist.Gamma, data: Statistics) -> dist.Gamma:
    """Return the posterior from sufficient statistics.

    Gamma(a + Σ k_i, b + Σ x_i); batches and source as in `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> data = sufficient_statistics([0.5, 1.5], 3.0)
        >>> update(dist.Gamma(1.0, 2.0), data).concentration.item()
        7.0
    """
    return gamma_rates.updated(prior, data.total_shape, data.total)


def log_evidence(
    prior: dist.Gamma, observations: Sample, shape: Sample = 1.0
) -> Float[Array, "..."]:
    r"""Return log p(x) in nats, of a density in the unit of x to the power -n.

    log Γ(a + K) / Γ(a) · b^a / (b + Σ x_i)^(a + K) · Π x_i^(k_i - 1) / Γ(k_i), with K =
    Σ k_i.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.Gamma(1.0, 1.0), 1.0, shape=2.0)  # -2 ln 2
        >>> print(f"{value:.4f}")
        -1.3863
    """
    observations, shape, valid = _data(observations, shape)
    of_rate = gamma_rates.log_mean_density(prior, shape.sum(), observations.sum())
    of_data = (xlogy(shape - 1, observations) - gammaln(shape)).sum()
    return where_valid(valid, of_rate + of_data)


def predictive(posterior: dist.Gamma, shape: ArrayLike = 1.0) -> BetaPrime:
    """Return the distribution of the next observation: beta prime.

    p(x) = x^(k - 1) b^a / (B(k, a) (b + x)^(k + a)), x in the unit of b.

    Returns:
        The distribution, in the shape of the posterior's batch against the shape's.

    Example:
        >>> value = predictive(dist.Gamma(3.0, 4.0)).log_prob(0.0)  # ln(3 / 4)
        >>> print(f"{value:.4f}")
        -0.2877
    """
    return BetaPrime(shape, posterior.concentration, posterior.rate)


def model(
    prior: dist.Gamma,
    observations: ArrayLike | None = None,
    shape: ArrayLike = 1.0,
) -> None:
    """Declare the model in NumPyro, with the site `rate`.

    λ ~ Gamma(a, b), x_i ~ Gamma(k_i, λ); arguments as in `posterior`, without
    observations they are drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Gamma(1.0, 1.0), {"observations": 2.0}
        >>> value = log_density(model, (prior,), data, {"rate": 1.0})[0]
        >>> print(f"{value:.4f}")
        -3.0000
    """
    rate = numpyro.sample("rate", prior)
    numpyro.sample("observations", dist.Gamma(shape, rate), obs=observations)


def _data(observations: Sample, shape: Sample) -> tuple[Array, Array, Array]:
    observations, valid = value_checks.nonnegative("observations", observations)
    shape, shape_valid = value_checks.positive("shape", shape)
    observations, shape = shape_checks.broadcast(observations=observations, shape=shape)
    return observations, shape, value_checks.all_of(valid, shape_valid)

"""Uniform prior up to a limit, Poisson counts: λ ~ Uniform(0, h), n_i ~ Poisson(λ t_i).

The lecture's two sensors. The posterior is a Gamma distribution cut off at h, and such
a posterior is a prior for the next data: every function takes either.
"""

from typing import TypeAlias

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate import gamma_poisson
from vijax.bayes.conjugate.distributions.truncated_gamma import (
    TruncatedGamma,
    TruncatedGammaPoisson,
)
from vijax.bayes.validation import Sample, shape_checks, value_checks
from vijax.validate import where_valid

Prior: TypeAlias = dist.Uniform | TruncatedGamma


def posterior(prior: Prior, counts: Sample, exposure: Sample = 1.0) -> TruncatedGamma:
    r"""Return Gamma(1 + Σ n_i, Σ t_i) cut off at h.

    Args:
        prior: Uniform(0, h) of the rate λ, or an earlier posterior.
        counts: n_i, any shape; all of them are one data set.
        exposure: t_i (time, luminosity, area), broadcast against the counts.

    Raises:
        ValueError: a prior of another family, a negative or fractional count, an
            exposure that is not positive, a uniform prior that does not begin at 0. In
            a trace such input gives NaN.

    References:
        Gamma prior: Gelman et al. (2013), Bayesian Data Analysis, section 2.6; the cut
        only changes the normalising constant.

    Example:
        >>> result = posterior(dist.Uniform(0.0, 5.0), counts=[3, 4, 2])
        >>> result.concentration.item(), result.rate.item(), result.high.item()
        (10.0, 3.0, 5.0)
    """
    return update(prior, gamma_poisson.sufficient_statistics(counts, exposure))


sufficient_statistics = gamma_poisson.sufficient_statistics


def update(prior: Prior, data: gamma_poisson.Statistics) -> TruncatedGamma:
    """Return the posterior from sufficient statistics.

    Gamma(a + Σ n_i, b + Σ t_i) cut off at h; Uniform(0, h) has a = 1, b = 0. Batches
    and source as in `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> data = sufficient_statistics([3, 4, 2])
        >>> update(dist.Uniform(0.0, 5.0), data).concentration.item()
        10.0
    """
    concentration, rate, high, valid = _parameters(prior)
    after = (concentration + data.counts, rate + data.exposure, high)
    return TruncatedGamma(*where_valid(valid, after))


def log_evidence(
    prior: Prior, counts: Sample, exposure: Sample = 1.0
) -> Float[Array, "..."]:
    r"""Return log p(n): for one count log P(n + 1, t h) - log(t h), P from `gammainc`.

    In nats.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> print(f"{log_evidence(dist.Uniform(0.0, 5.0), 3):.4f}")
        -1.9174
    """
    data = gamma_poisson.sufficient_statistics(counts, exposure)
    concentration, rate, high, valid = _parameters(prior)
    count = TruncatedGammaPoisson(concentration, rate, high, data.exposure)
    of_total = count.log_prob(data.counts)
    log_split = gamma_poisson.log_split(counts, exposure)
    return where_valid(valid, of_total + log_split)


def predictive(
    posterior: TruncatedGamma, exposure: ArrayLike = 1.0
) -> TruncatedGammaPoisson:
    """Return the distribution of the next count in `exposure`.

    P(n) = ∫ Poisson(n; λ t) p(λ) dλ with t = `exposure` > 0.

    Returns:
        The distribution, in the shape of the posterior's batch broadcast against the
        exposure.

    Example:
        >>> value = predictive(TruncatedGamma(10.0, 3.0, 5.0)).log_prob(3)
        >>> print(f"{value:.4f}")
        -1.6095
    """
    return TruncatedGammaPoisson(
        posterior.concentration, posterior.rate, posterior.high, exposure
    )


def model(
    prior: Prior, counts: ArrayLike | None = None, exposure: ArrayLike = 1.0
) -> None:
    """Declare the model in NumPyro, with the site `rate`.

    λ ~ Uniform(0, h) or what it became, n_i ~ Poisson(λ t_i); arguments as in
    `posterior`, without counts they are drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Uniform(0.0, 5.0), {"counts": 2}
        >>> value = log_density(model, (prior,), data, {"rate": 1.0})[0]
        >>> print(f"{value:.4f}")
        -3.3026
    """
    rate = numpyro.sample("rate", prior)
    numpyro.sample("counts", dist.Poisson(rate * exposure), obs=counts)


def _parameters(prior: Prior) -> tuple[Array, Array, Array, Array]:
    """Return concentration, rate and high; Uniform(0, h) is Gamma(1, 0) cut at h."""
    shape_checks.of_type("prior", prior, dist.Uniform, TruncatedGamma)
    if isinstance(prior, dist.Uniform):
        low, high = value_checks.as_float(prior.low), value_checks.as_float(prior.high)
        valid = value_checks.checked(
            low == 0, "prior.low", low, "a rate's uniform prior begins at 0"
        )
        one = jnp.ones_like(high)
        return one, jnp.zeros_like(high), high, valid & _valid(high=high)
    valid = _valid(concentration=prior.concentration, rate=prior.rate, high=prior.high)
    return prior.concentration, prior.rate, prior.high, valid


_valid = value_checks.proper

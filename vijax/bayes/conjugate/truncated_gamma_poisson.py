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

from vijax.bayes import inputs
from vijax.bayes.conjugate import gamma_poisson
from vijax.bayes.truncated_gamma import TruncatedGamma, TruncatedGammaPoisson
from vijax.validate import where_valid

Prior: TypeAlias = dist.Uniform | TruncatedGamma


def posterior(
    prior: Prior, counts: inputs.Data, exposure: inputs.Data = 1.0
) -> TruncatedGamma:
    r"""Return Gamma(1 + Σ n_i, Σ t_i) cut off at h.

    Args:
        prior: Uniform(0, h) of the rate λ, or an earlier posterior.
        counts: n_i, any shape; all of them are one data set.
        exposure: t_i (time, luminosity, area), broadcast against the counts.

    Raises:
        ValueError: a negative or fractional count, an exposure that is not positive, a
            uniform prior that does not begin at 0. In a trace such input gives NaN.

    Example:
        >>> result = posterior(dist.Uniform(0.0, 5.0), counts=[3, 4, 2])
        >>> result.concentration.item(), result.rate.item(), result.high.item()
        (10.0, 3.0, 5.0)
    """
    return update(prior, gamma_poisson.sufficient_statistics(counts, exposure))


sufficient_statistics = gamma_poisson.sufficient_statistics


def update(prior: Prior, data: gamma_poisson.Statistics) -> TruncatedGamma:
    """Return the posterior from sufficient statistics."""
    concentration, rate, high, valid = _parameters(prior)
    after = (concentration + data.counts, rate + data.exposure, high)
    return TruncatedGamma(*where_valid(valid, after))


def log_evidence(
    prior: Prior, counts: inputs.Data, exposure: inputs.Data = 1.0
) -> Float[Array, "..."]:
    r"""Return log p(n): for one count log P(n + 1, t h) - log(t h), P from `gammainc`.

    In nats.

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
    if isinstance(prior, dist.Uniform):
        low, high = inputs.as_float(prior.low), inputs.as_float(prior.high)
        valid = inputs.checked(
            low == 0, "prior.low", low, "a rate's uniform prior begins at 0"
        )
        one = jnp.ones_like(high)
        return one, jnp.zeros_like(high), high, valid & _valid(high=high)
    valid = _valid(concentration=prior.concentration, rate=prior.rate, high=prior.high)
    return prior.concentration, prior.rate, prior.high, valid


_valid = inputs.proper

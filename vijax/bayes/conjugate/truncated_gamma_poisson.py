"""Uniform prior up to a limit, Poisson counts: λ ~ Uniform(0, h), n_i ~ Poisson(λ t_i).

The lecture's two sensors. The posterior is a Gamma distribution cut off at h, and such
a posterior is a prior for the next data: every function takes either.
"""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from vijax.bayes import exact, inputs
from vijax.bayes.conjugate import gamma_poisson
from vijax.bayes.truncated_gamma import TruncatedGamma, log_gammainc
from vijax.types import Key
from vijax.validate import check, where_valid

Prior = dist.Uniform | TruncatedGamma


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
    of_total = _log_evidence(concentration, rate, high, data.counts, data.exposure)
    log_split = gamma_poisson.log_split(counts, exposure)
    return where_valid(valid, of_total + log_split)


def predictive(
    posterior: TruncatedGamma, exposure: ArrayLike = 1.0
) -> "TruncatedGammaPoisson":
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


class TruncatedGammaPoisson(dist.Distribution):
    """A Poisson count whose rate has the truncated Gamma distribution."""

    arg_constraints = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
        "high": constraints.positive,
        "exposure": constraints.positive,
    }
    support = constraints.nonnegative_integer
    pytree_data_fields = ("concentration", "rate", "high", "exposure")

    def __init__(
        self,
        concentration: ArrayLike,
        rate: ArrayLike,
        high: ArrayLike,
        exposure: ArrayLike = 1.0,
        *,
        validate_args: bool | None = None,
    ) -> None:
        values = [inputs.as_float(v) for v in (concentration, rate, high, exposure)]
        self.concentration, self.rate, self.high, self.exposure = values
        shape = jnp.broadcast_shapes(*(v.shape for v in values))
        super().__init__(batch_shape=shape, validate_args=validate_args)

    def log_prob(
        self, value: ArrayLike, intermediates: None = None
    ) -> Float[Array, "..."]:
        """Return the log probability of a count."""
        return _log_evidence(
            self.concentration,
            self.rate,
            self.high,
            inputs.as_float(value),
            self.exposure,
        )

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw a rate, then a count."""
        rate_key, count_key = jax.random.split(key)
        gamma = TruncatedGamma(self.concentration, self.rate, self.high)
        gamma = gamma.expand(self.batch_shape)
        rate = gamma.sample(rate_key, sample_shape)
        return dist.Poisson(rate * self.exposure).sample(count_key)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the mean count."""
        gamma = TruncatedGamma(self.concentration, self.rate, self.high)
        return gamma.mean * self.exposure


def _log_evidence(concentration, rate, high, count, exposure):
    """Return the log probability of one count."""
    uniform = rate == 0
    safe_rate = jnp.where(uniform, 1.0, rate)
    after = log_gammainc(concentration + count, (rate + exposure) * high)
    of_gamma = exact.gamma_poisson_log_pmf(count, concentration, safe_rate, exposure)
    before = log_gammainc(concentration, safe_rate * high)
    return after + jnp.where(uniform, -jnp.log(exposure * high), of_gamma - before)


def _parameters(prior):
    """Return concentration, rate and high; Uniform(0, h) is Gamma(1, 0) cut at h."""
    if isinstance(prior, dist.Uniform):
        low, high = inputs.as_float(prior.low), inputs.as_float(prior.high)
        valid = check(low == 0, "prior.low", low, "a rate's uniform prior begins at 0")
        one = jnp.ones_like(high)
        return one, jnp.zeros_like(high), high, valid & _valid(high=high)
    valid = _valid(concentration=prior.concentration, rate=prior.rate, high=prior.high)
    return prior.concentration, prior.rate, prior.high, valid


_valid = inputs.positive_parameters

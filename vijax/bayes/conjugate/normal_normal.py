"""Normal prior of a mean, data with known errors: μ ~ N(m, s²), x_i ~ N(μ, σ_i²)."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate.streaming import Moments, moments
from vijax.bayes.validation import Sample, shape_checks, value_checks
from vijax.validate import where_valid


def posterior(prior: dist.Normal, observations: Sample, scale: Sample) -> dist.Normal:
    r"""Return N(m', s'²): 1/s'² = 1/s² + Σ 1/σ_i², m'/s'² = m/s² + Σ x_i/σ_i².

    Args:
        prior: N(m, s²) of the mean μ.
        observations: x_i, any shape; all of them are one data set.
        scale: standard deviation σ_i of each observation, broadcast against them.

    Raises:
        ValueError: a prior of another family, NaN among the observations, a scale that
            is not positive, an improper prior. In a trace such input gives NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.5.

    Example:
        >>> result = posterior(dist.Normal(0.0, 1.0), [1.0, 2.0, 3.0], scale=1.0)
        >>> result.loc.item(), result.scale.item()
        (1.5, 0.5)
    """
    return update(prior, sufficient_statistics(observations, scale))


def sufficient_statistics(observations: Sample, scale: Sample) -> Moments:
    """Return Σ w_i, the weighted mean and scatter, with w_i = 1 / σ_i².

    Data and source as in `posterior`; three single numbers, which add with `+`. The
    weight has the unit of x to the power -2.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> sufficient_statistics([1.0, 3.0], 0.5).weight.item()
        8.0
    """
    observations, scale, valid = _data(observations, scale)
    return where_valid(valid, moments(observations, scale**-2))


def update(prior: dist.Normal, data: Moments) -> dist.Normal:
    """Return the posterior from sufficient statistics.

    The formulas, batches and source of `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> data = sufficient_statistics([1.0, 2.0, 3.0], scale=1.0)
        >>> update(dist.Normal(0.0, 1.0), data).scale.item()
        0.5
    """
    shape_checks.of_type("prior", prior, dist.Normal)
    precision = value_checks.as_float(prior.scale) ** -2 + data.weight
    loc = prior.loc + (data.mean - prior.loc) * (data.weight / precision)
    # scale = inf is the flat prior
    valid = value_checks.locations(loc=prior.loc) & value_checks.proper_posterior(
        precision=precision
    )
    return dist.Normal(*where_valid(valid, (loc, precision**-0.5)))


def log_evidence(
    prior: dist.Normal, observations: Sample, scale: Sample
) -> Float[Array, "..."]:
    r"""Return log N(x; m, diag(σ²) + s²), all entries of the second term s².

    In nats.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.Normal(0.0, 1.0), 0.0, 1.0)  # N(0; 0, 2)
        >>> print(f"{value:.4f}")
        -1.2655
    """
    shape_checks.of_type("prior", prior, dist.Normal)
    observations, scale, valid = _data(observations, scale)
    weight, mean, scatter = moments(observations, scale**-2)
    # p(data) = p(their mean) p(data | their mean)
    variance = value_checks.as_float(prior.scale) ** 2 + 1 / weight
    of_mean = -0.5 * (
        jnp.log(2 * jnp.pi * variance) + (mean - prior.loc) ** 2 / variance
    )
    log_scales = jnp.log(2 * jnp.pi) * observations.size + 2 * jnp.log(scale).sum()
    split = -0.5 * (scatter + log_scales - jnp.log(2 * jnp.pi / weight))
    valid &= value_checks.locations(loc=prior.loc) & value_checks.proper(
        scale=prior.scale
    )
    return where_valid(valid, of_mean + split)


def predictive(posterior: dist.Normal, scale: ArrayLike) -> dist.Normal:
    """Return the distribution of the next observation with standard deviation `scale`.

    N(m, s² + σ²), in the data's unit.

    Returns:
        The distribution, in the shape of the posterior's batch broadcast against
        `scale`.

    Example:
        >>> predictive(dist.Normal(1.5, 3.0), 4.0).scale.item()
        5.0
    """
    return dist.Normal(posterior.loc, jnp.hypot(posterior.scale, scale))


def model(
    prior: dist.Normal,
    observations: ArrayLike | None = None,
    scale: ArrayLike = 1.0,
) -> None:
    """Declare the model in NumPyro, with the site `loc`.

    μ ~ N(m, s²), x_i ~ N(μ, σ_i²); arguments as in `posterior`, without observations
    they are drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.Normal(0.0, 1.0), {"observations": 0.0}
        >>> value = log_density(model, (prior,), data, {"loc": 0.0})[0]
        >>> print(f"{value:.4f}")
        -1.8379
    """
    loc = numpyro.sample("loc", prior)
    numpyro.sample("observations", dist.Normal(loc, scale), obs=observations)


def _data(observations: Sample, scale: Sample) -> tuple[Array, Array, Array]:
    observations, finite = value_checks.finite("observations", observations)
    scale, positive = value_checks.positive("scale", scale)
    observations, scale = shape_checks.broadcast(observations=observations, scale=scale)
    return observations.ravel(), scale.ravel(), value_checks.all_of(finite, positive)

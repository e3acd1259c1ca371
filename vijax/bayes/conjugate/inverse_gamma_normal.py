"""Inverse-gamma prior of a variance, mean known: x_i ~ N(μ, σ²)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate import streaming
from vijax.bayes.numerics import log_gamma
from vijax.bayes.validation import Sample, shape_checks, value_checks
from vijax.validate import where_valid


class Statistics(NamedTuple):
    """What the posterior depends on."""

    num_data: Float[Array, "..."]
    sum_squares: Float[Array, "..."]  # Σ (x_i - μ)²

    def __add__(self, other: "Statistics") -> "Statistics":  # type: ignore[override]
        """Return the statistics of both data sets together."""
        return streaming.add(self, other)


def posterior(
    prior: dist.InverseGamma,
    observations: Sample,
    loc: Sample = 0.0,
) -> dist.InverseGamma:
    r"""Return InverseGamma(a + n/2, b + ½ Σ (x_i - μ)²).

    Args:
        prior: InverseGamma(a, b) of σ², NumPyro's (concentration, rate).
        observations: x_i, any shape; all of them are one data set.
        loc: their known mean μ, broadcast against them.

    Raises:
        ValueError: a prior of another family, NaN among the data, an improper
            posterior. In a trace such input gives NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.6.

    Example:
        >>> result = posterior(dist.InverseGamma(2.0, 1.0), [1.0, 2.0, 3.0], loc=2.0)
        >>> result.concentration.item(), result.rate.item()
        (3.5, 2.0)
    """
    return update(prior, sufficient_statistics(observations, loc))


def sufficient_statistics(observations: Sample, loc: Sample = 0.0) -> Statistics:
    """Return n and Σ (x_i - μ)².

    Data and source as in `posterior`; two single numbers, the second in the square of
    the data's unit, which add with `+`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> data = sufficient_statistics([1.0, 2.0, 3.0], loc=2.0)
        >>> data.num_data.item(), data.sum_squares.item()
        (3.0, 2.0)
    """
    observations, valid = value_checks.finite("observations", observations)
    loc, loc_valid = value_checks.finite("loc", loc)
    observations, loc = shape_checks.broadcast(observations=observations, loc=loc)
    deviations = observations - loc
    count = jnp.asarray(deviations.size, deviations.dtype)
    result = Statistics(count, jnp.sum(deviations**2))
    return where_valid(value_checks.all_of(valid, loc_valid), result)


def update(prior: dist.InverseGamma, data: Statistics) -> dist.InverseGamma:
    """Return the posterior from sufficient statistics.

    InverseGamma(a + n/2, b + ½ Σ (x_i - μ)²); batches and source as in `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> data = sufficient_statistics([1.0, 2.0, 3.0], loc=2.0)
        >>> update(dist.InverseGamma(2.0, 1.0), data).rate.item()
        2.0
    """
    shape_checks.of_type("prior", prior, dist.InverseGamma)
    concentration = prior.concentration + 0.5 * data.num_data
    rate = prior.rate + 0.5 * data.sum_squares
    valid = value_checks.parameters(concentration=prior.concentration, rate=prior.rate)
    valid &= value_checks.proper_posterior(concentration=concentration, rate=rate)
    return dist.InverseGamma(*where_valid(valid, (concentration, rate)))


def log_evidence(
    prior: dist.InverseGamma,
    observations: Sample,
    loc: Sample = 0.0,
) -> Float[Array, "..."]:
    r"""Return log p(x) = log of Γ(a') b^a / (Γ(a) b'^a') - n/2 log 2π.

    a and b are concentration and rate, primed after the data. In nats, of a density.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> value = log_evidence(dist.InverseGamma(0.5, 0.5), 0.0)  # Cauchy: -ln π
        >>> print(f"{value:.4f}")
        -1.1447
    """
    shape_checks.of_type("prior", prior, dist.InverseGamma)
    data = sufficient_statistics(observations, loc)
    half, gain = 0.5 * data.num_data, 0.5 * data.sum_squares
    value = log_gamma.log_gamma_ratio(prior.concentration, half)
    value -= prior.concentration * jnp.log1p(gain / prior.rate)
    value -= half * jnp.log(2 * jnp.pi * (prior.rate + gain))
    valid = value_checks.proper(concentration=prior.concentration, rate=prior.rate)
    return where_valid(valid, value)


def predictive(posterior: dist.InverseGamma, loc: ArrayLike = 0.0) -> dist.StudentT:
    """Return the distribution of the next observation: Student's t.

    t with 2a degrees of freedom, location μ and scale √(b / a), in the data's unit.

    Returns:
        The distribution, in the shape of the posterior's batch broadcast against `loc`.

    Example:
        >>> t = predictive(dist.InverseGamma(3.5, 3.5))
        >>> t.df, t.scale.item()
        (7.0, 1.0)
    """
    scale = jnp.sqrt(posterior.rate / posterior.concentration)
    return dist.StudentT(2 * posterior.concentration, loc, scale)


def model(
    prior: dist.InverseGamma,
    observations: ArrayLike | None = None,
    loc: ArrayLike = 0.0,
) -> None:
    """Declare the model in NumPyro, with the site `variance`.

    σ² ~ InverseGamma(a, b), x_i ~ N(μ, σ²); arguments as in `posterior`, without
    observations they are drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior, data = dist.InverseGamma(2.0, 1.0), {"observations": 0.0}
        >>> value = log_density(model, (prior,), data, {"variance": 1.0})[0]
        >>> print(f"{value:.4f}")
        -1.9189
    """
    variance = numpyro.sample("variance", prior)
    numpyro.sample(
        "observations", dist.Normal(loc, jnp.sqrt(variance)), obs=observations
    )

"""A mean and a variance, both unknown: the Normal-inverse-gamma family.

σ² ~ InverseGamma(concentration, rate),  μ | σ² ~ N(loc, σ² / precision)
x_i ~ N(μ, σ²)
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax import printing
from vijax.bayes.conjugate.streaming import Moments, moments
from vijax.bayes.numerics import log_gamma
from vijax.bayes.validation import Numbers, Sample, shape_checks, value_checks
from vijax.validate import where_valid


class NormalInverseGamma(NamedTuple):
    """Parameters of a location and a variance; regression uses them with vectors.

    μ | σ² ~ N(loc, σ² / precision),  σ² ~ InverseGamma(concentration, rate)
    """

    loc: Numbers  # () here, (features,) in a regression
    precision: Numbers  # in units of 1/σ²; a matrix in a regression
    concentration: Numbers
    rate: Numbers

    def __str__(self) -> str:
        return printing.described("NormalInverseGamma", self._asdict())

    def __repr__(self) -> str:
        return str(self)


def posterior(prior: NormalInverseGamma, observations: Sample) -> NormalInverseGamma:
    r"""Return the family's parameters after n observations with mean x̄.

    precision' = precision + n,  loc' = (precision · loc + n x̄) / precision',
    concentration' = concentration + n / 2,
    rate' = rate + ½ Σ (x_i - x̄)² + ½ (x̄ - loc)² n · precision / precision'.

    Args:
        prior: scalars, or a batch of priors of one shape.
        observations: x_i, any shape; all of them are one data set.

    Raises:
        ValueError: a prior of another family, NaN among the observations, an improper
            prior. In a trace such input gives NaN.

    References:
        Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution, sec. 6.

    Example:
        >>> prior = NormalInverseGamma(0.0, 1.0, 2.0, 1.0)
        >>> [round(float(v), 4) for v in posterior(prior, [1.0, 2.0, 3.0])]
        [1.5, 4.0, 3.5, 3.5]
    """
    return update(prior, sufficient_statistics(observations))


def sufficient_statistics(observations: Sample) -> Moments:
    """Return number, mean and scatter of the observations.

    Data and source as in `posterior`: three single numbers, which add with `+`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> sufficient_statistics([1.0, 3.0]).scatter.item()
        2.0
    """
    observations, valid = value_checks.finite("observations", observations)
    observations = observations.ravel()
    result = moments(observations, jnp.ones_like(observations))
    return where_valid(value_checks.all_of(valid), result)


def update(prior: NormalInverseGamma, data: Moments) -> NormalInverseGamma:
    """Return the posterior from sufficient statistics.

    The formulas, batches and source of `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> prior = NormalInverseGamma(0.0, 1.0, 2.0, 1.0)
        >>> update(prior, sufficient_statistics([1.0, 2.0, 3.0])).loc.item()
        1.5
    """
    shape_checks.of_type("prior", prior, NormalInverseGamma)
    _scalars(prior)
    precision = prior.precision + data.weight
    shift = data.mean - prior.loc
    concentration = prior.concentration + 0.5 * data.weight
    rate = prior.rate + _rate_gain(prior, data)
    # Precision 0, concentration -1/2 and rate 0 is the flat prior in loc and log σ.
    valid = value_checks.locations(loc=prior.loc, concentration=prior.concentration)
    valid &= value_checks.parameters(precision=prior.precision, rate=prior.rate)
    valid &= value_checks.proper_posterior(concentration=concentration, rate=rate)
    loc = prior.loc + shift * (data.weight / precision)
    result = NormalInverseGamma(loc, precision, concentration, rate)
    return where_valid(valid, result)


def log_evidence(
    prior: NormalInverseGamma, observations: Sample
) -> Float[Array, "..."]:
    r"""Return log p(x) = log Γ(a') b^a / (Γ(a) b'^a') + ½ log(κ / κ') - n/2 log 2π.

    a, b and κ are concentration, rate and precision, primed after the data. In nats.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> prior = NormalInverseGamma(0.0, 1.0, 2.0, 1.0)
        >>> print(f"{log_evidence(prior, [1.0, 2.0, 3.0]):.4f}")
        -6.6337
    """
    shape_checks.of_type("prior", prior, NormalInverseGamma)
    _scalars(prior)
    data = sufficient_statistics(observations)
    half = 0.5 * data.weight
    gain = _rate_gain(prior, data)
    value = (
        log_gamma.log_gamma_ratio(value_checks.as_float(prior.concentration), half)
        - prior.concentration * jnp.log1p(gain / prior.rate)
        - half * jnp.log(2 * jnp.pi * (prior.rate + gain))
        - 0.5 * jnp.log1p(data.weight / prior.precision)
    )
    valid = value_checks.locations(loc=prior.loc) & value_checks.proper(
        precision=prior.precision, concentration=prior.concentration, rate=prior.rate
    )
    return where_valid(valid, value)


def predictive(posterior: NormalInverseGamma) -> dist.StudentT:
    """Return the distribution of the next observation: Student's t.

    2a degrees of freedom, location loc and the square of the scale b/a · (1 + 1/κ),
    with a, b, κ as in `log_evidence`.

    Returns:
        The distribution, in the shape of the parameters' batch; in the data's unit.

    Example:
        >>> t = predictive(NormalInverseGamma(1.5, 4.0, 3.5, 3.5))
        >>> print(f"{t.df:.1f} {t.scale:.4f}")
        7.0 1.1180
    """
    variance = posterior.rate / posterior.concentration
    scale = jnp.sqrt(variance * (1 + 1 / posterior.precision))
    return dist.StudentT(2 * posterior.concentration, posterior.loc, scale)


def loc_marginal(params: NormalInverseGamma) -> dist.StudentT:
    """Return the distribution of μ alone: Student's t.

    2a degrees of freedom, location loc, and the square of the scale b / (a κ), with a,
    b, κ as in `log_evidence`.

    Returns:
        The distribution, in the shape of the parameters' batch; in the data's unit.

    References:
        Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution, sec. 6.

    Example:
        >>> loc_marginal(NormalInverseGamma(1.5, 4.0, 3.5, 3.5)).scale.item()
        0.5
    """
    variance = params.rate / params.concentration
    scale = jnp.sqrt(variance / params.precision)
    return dist.StudentT(2 * params.concentration, params.loc, scale)


def variance_marginal(params: NormalInverseGamma) -> dist.InverseGamma:
    """Return the distribution of σ² alone: inverse gamma.

    InverseGamma(concentration, rate).

    Returns:
        The distribution, in the shape of the parameters' batch; in the square of the
        data's unit.

    Example:
        >>> variance = variance_marginal(NormalInverseGamma(1.5, 4.0, 3.5, 3.5))
        >>> print(f"{variance.mean:.4f}")
        1.4000
    """
    return dist.InverseGamma(params.concentration, params.rate)


def model(prior: NormalInverseGamma, observations: ArrayLike | None = None) -> None:
    """Declare the model in NumPyro, with the sites `variance` and `loc`.

    σ² ~ InverseGamma(a, b), μ | σ² ~ N(loc, σ² / κ), x_i ~ N(μ, σ²); arguments as in
    `posterior`, without observations one is drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior = NormalInverseGamma(0.0, 1.0, 2.0, 1.0)
        >>> values = {"variance": 1.0, "loc": 0.0}
        >>> data = {"observations": 1.0}
        >>> print(f"{log_density(model, (prior,), data, values)[0]:.4f}")
        -3.3379
    """
    variance = numpyro.sample("variance", variance_marginal(prior))
    loc = numpyro.sample(
        "loc", dist.Normal(prior.loc, jnp.sqrt(variance / prior.precision))
    )
    numpyro.sample(
        "observations", dist.Normal(loc, jnp.sqrt(variance)), obs=observations
    )


def _scalars(prior: NormalInverseGamma) -> None:
    if jnp.ndim(prior.precision) > jnp.ndim(prior.loc):
        raise ValueError(
            f"prior.precision has shape {jnp.shape(prior.precision)}: give one number; "
            "a matrix is the prior of a linear regression"
        )


def _rate_gain(prior: NormalInverseGamma, data: Moments) -> Float[Array, "..."]:
    share = prior.precision / (prior.precision + data.weight)
    return 0.5 * (data.scatter + (data.mean - prior.loc) ** 2 * data.weight * share)

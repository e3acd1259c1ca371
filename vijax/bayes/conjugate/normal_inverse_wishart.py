"""A mean vector and a covariance, both unknown: the Normal-inverse-Wishart family.

Σ ~ InverseWishart(df, scale),  μ | Σ ~ N(loc, Σ / precision),  x_i ~ N(μ, Σ)
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax import printing
from vijax.bayes.conjugate.multivariate_normal import sufficient_statistics
from vijax.bayes.conjugate.streaming import Moments
from vijax.bayes.numerics import log_gamma
from vijax.bayes.validation import Numbers, Sample, shape_checks, value_checks
from vijax.validate import where_valid

__all__ = [
    "NormalInverseWishart",
    "covariance_marginal",
    "loc_marginal",
    "log_evidence",
    "model",
    "posterior",
    "predictive",
    "sufficient_statistics",
    "update",
]


class NormalInverseWishart(NamedTuple):
    """Parameters of a mean vector and a covariance.

    μ | Σ ~ N(loc, Σ / precision),  Σ ~ InverseWishart(df, scale)
    """

    loc: Numbers  # (dims,)
    precision: Numbers  # in units of Σ⁻¹: how many data the prior mean is worth
    df: Numbers  # > dims - 1
    scale: Numbers  # (dims, dims); the prior mean of Σ is scale / (df - dims - 1)

    def __str__(self) -> str:
        return printing.described("NormalInverseWishart", self._asdict())

    def __repr__(self) -> str:
        return str(self)


def posterior(
    prior: NormalInverseWishart, observations: Sample
) -> NormalInverseWishart:
    r"""Return the family's parameters after n observations with mean x̄.

    precision' = precision + n,  loc' = (precision · loc + n x̄) / precision',
    df' = df + n,  scale' = scale + Σ_i (x_i - x̄)(x_i - x̄)ᵀ
    + (n · precision / precision') (x̄ - loc)(x̄ - loc)ᵀ.

    Args:
        prior: loc (dims,), scale (dims, dims), precision and df scalars.
        observations: x_i, shape (data, dims), or (dims,) for one.

    Raises:
        ValueError: a prior of another family, NaN in the data, an improper prior. In a
            trace such input gives NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 3.6.

    Example:
        >>> prior = NormalInverseWishart(jnp.zeros(1), 1.0, 4.0, 2 * jnp.eye(1))
        >>> result = posterior(prior, [[1.0], [2.0], [3.0]])
        >>> result.loc.item(), result.df.item(), result.scale.item()
        (1.5, 7.0, 7.0)
    """
    return update(prior, sufficient_statistics(observations))


def update(prior: NormalInverseWishart, data: Moments) -> NormalInverseWishart:
    """Return the posterior from sufficient statistics.

    The formulas and source of `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> prior = NormalInverseWishart(jnp.zeros(1), 1.0, 4.0, 2 * jnp.eye(1))
        >>> data = sufficient_statistics([[1.0], [2.0], [3.0]])
        >>> update(prior, data).loc.item()
        1.5
    """
    shape_checks.of_type("prior", prior, NormalInverseWishart)
    shape_checks.last_axis("observations", data.mean, jnp.shape(prior.loc)[-1])
    valid = _proper(prior)
    precision = prior.precision + data.weight
    loc = prior.loc + (data.mean - prior.loc) * (data.weight / precision)
    scale = prior.scale + _scale_gain(prior, data)
    result = NormalInverseWishart(loc, precision, prior.df + data.weight, scale)
    return where_valid(valid, result)


def log_evidence(prior: NormalInverseWishart, observations: Sample) -> Float[Array, ""]:
    r"""Return log p(x) in nats.

    Log of π^(-nd/2) · Γ_d(df'/2) / Γ_d(df/2) · |scale|^(df/2) / |scale'|^(df'/2) ·
    (precision / precision')^(d/2), primed after the data.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> prior = NormalInverseWishart(jnp.zeros(1), 1.0, 4.0, 2 * jnp.eye(1))
        >>> value = log_evidence(prior, [[1.0], [2.0], [3.0]])
        >>> print(f"{value:.4f}")
        -6.6337
    """
    shape_checks.of_type("prior", prior, NormalInverseWishart)
    data = sufficient_statistics(observations)
    shape_checks.last_axis("observations", data.mean, jnp.shape(prior.loc)[-1])
    valid = _proper(prior)
    scale = value_checks.as_float(prior.scale)
    dims, half = scale.shape[-1], 0.5 * data.weight
    factor = jnp.linalg.cholesky(scale)
    white = solve_triangular(factor, _scale_gain(prior, data), lower=True)
    white = solve_triangular(factor, white.T, lower=True)
    # log |scale'| - log |scale|, without the difference
    log_growth = jnp.log1p(jnp.linalg.eigvalsh(0.5 * (white + white.T))).sum()
    log_det = 2 * jnp.log(jnp.diagonal(factor)).sum() + log_growth
    gammas = log_gamma.log_gamma_ratio(0.5 * (prior.df - jnp.arange(dims)), half)
    value = (
        gammas.sum()
        - 0.5 * prior.df * log_growth
        - half * (log_det + dims * jnp.log(jnp.pi))
        - 0.5 * dims * jnp.log1p(data.weight / prior.precision)
    )
    return where_valid(valid, value)


def predictive(posterior: NormalInverseWishart) -> dist.MultivariateStudentT:
    """Return the distribution of the next observation: a multivariate Student's t.

    df - dims + 1 degrees of freedom, location loc, and the scale matrix scale · (1 + 1
    / precision) / (df - dims + 1). Event shape (dims,), in the data's unit.

    Example:
        >>> t = predictive(NormalInverseWishart(jnp.zeros(1), 1.0, 4.0, 2 * jnp.eye(1)))
        >>> t.df.item(), t.scale_tril.item()
        (4.0, 1.0)
    """
    return _student(posterior, 1 + 1 / posterior.precision)


def loc_marginal(params: NormalInverseWishart) -> dist.MultivariateStudentT:
    """Return the distribution of μ alone: a multivariate Student's t.

    df - dims + 1 degrees of freedom, location loc, and the scale matrix scale /
    (precision (df - dims + 1)). Event shape (dims,).

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 3.6.

    Example:
        >>> params = NormalInverseWishart(jnp.zeros(1), 2.0, 4.0, 2 * jnp.eye(1))
        >>> loc_marginal(params).scale_tril.item()
        0.5
    """
    return _student(params, 1 / params.precision)


def covariance_marginal(params: NormalInverseWishart) -> dist.InverseWishart:
    """Return the distribution of Σ alone: inverse Wishart.

    InverseWishart(df, scale), event shape (dims, dims).

    Example:
        >>> params = NormalInverseWishart(jnp.zeros(1), 2.0, 4.0, 2 * jnp.eye(1))
        >>> covariance_marginal(params).mean.item()
        1.0
    """
    return dist.InverseWishart(params.df, scale_matrix=params.scale)


def model(prior: NormalInverseWishart, observations: ArrayLike | None = None) -> None:
    """Declare the model in NumPyro, with the sites `covariance` and `loc`.

    Σ ~ InverseWishart(df, scale), μ | Σ ~ N(loc, Σ / precision), x_i ~ N(μ, Σ);
    arguments as in `posterior`, without observations one is drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior = NormalInverseWishart(jnp.zeros(1), 1.0, 4.0, 2 * jnp.eye(1))
        >>> values = {"covariance": jnp.eye(1), "loc": jnp.zeros(1)}
        >>> data = {"observations": jnp.ones((1, 1))}
        >>> value = log_density(model, (prior,), data, values)[0]
        >>> print(f"{value:.4f}")
        -3.3379
    """
    covariance = numpyro.sample("covariance", covariance_marginal(prior))
    factor = jnp.linalg.cholesky(covariance)
    loc_factor = factor / jnp.sqrt(prior.precision)
    loc = numpyro.sample(
        "loc", dist.MultivariateNormal(prior.loc, scale_tril=loc_factor)
    )
    noise = dist.MultivariateNormal(loc, scale_tril=factor)
    numpyro.sample("observations", noise, obs=observations)


def _student(
    params: NormalInverseWishart, widening: ArrayLike
) -> dist.MultivariateStudentT:
    scale = value_checks.as_float(params.scale)
    df = value_checks.as_float(params.df) - scale.shape[-1] + 1
    factor = jnp.linalg.cholesky(scale * (widening / df))
    return dist.MultivariateStudentT(df, params.loc, factor)


def _scale_gain(prior: NormalInverseWishart, data: Moments) -> Array:
    shift = data.mean - prior.loc
    share = prior.precision / (prior.precision + data.weight)
    return data.scatter + data.weight * share * jnp.outer(shift, shift)


def _proper(prior: NormalInverseWishart) -> Array:
    dims = jnp.shape(prior.loc)[-1]
    _, definite = shape_checks.cholesky("prior.scale", prior.scale, dims)
    excess_df = value_checks.as_float(prior.df) - (dims - 1)
    valid = value_checks.locations(loc=prior.loc).all()
    valid &= value_checks.proper(precision=prior.precision)
    remedy = "the prior is improper; give df > dims - 1"
    return (
        valid
        & definite
        & value_checks.checked(excess_df > 0, "prior.df", prior.df, remedy)
    )

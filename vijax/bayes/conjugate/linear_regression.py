"""Bayesian linear regression with unknown noise: y ~ N(X β, σ² I).

    σ² ~ InverseGamma(concentration, rate),  β | σ² ~ N(loc, σ² precision⁻¹)

All is computed from triangular factors of the data (QR), never from XᵀX: its inverse
would lose twice the digits.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate.normal_inverse_gamma import (
    NormalInverseGamma,
    variance_marginal,
)
from vijax.bayes.conjugate.support import regression_factors
from vijax.bayes.conjugate.support.regression_factors import FactoredPrecision
from vijax.bayes.conjugate.support.regression_priors import (
    flat_prior,
    improper_sites,
    is_improper,
)
from vijax.bayes.numerics import log_gamma
from vijax.bayes.validation import Numbers, Sample, shape_checks, value_checks
from vijax.validate import where_valid

__all__ = [
    "FactoredPrecision",
    "Statistics",
    "coefficient_marginals",
    "flat_prior",
    "log_evidence",
    "model",
    "posterior",
    "predictive",
    "sufficient_statistics",
    "update",
]


class Statistics(NamedTuple):
    """The triangular factor R of [X y] = Q R, all that the posterior depends on."""

    num_data: Float[Array, "..."]
    factor: Float[Array, "columns columns"]  # features + 1 columns

    def __add__(self, other: "Statistics") -> "Statistics":  # type: ignore[override]
        """Return the factor of both data sets together."""
        rows = jnp.concatenate([self.factor, other.factor])
        return Statistics(self.num_data + other.num_data, jnp.linalg.qr(rows, mode="r"))


def posterior(
    prior: NormalInverseGamma, features: Sample, targets: Sample
) -> NormalInverseGamma:
    r"""Return the parameters after n data.

    precision' = precision + XᵀX,  precision' loc' = precision loc + Xᵀy,
    concentration' = concentration + n/2,
    rate' = rate + ½ ‖y - X loc'‖² + ½ (loc' - loc)ᵀ precision (loc' - loc).
    The precision keeps its triangular factor (`FactoredPrecision`), so that intervals
    of columns that nearly depend on each other keep their digits.

    Args:
        prior: loc (features,), precision (features, features), concentration and rate
            scalars; `flat_prior` for an improper flat one.
        features: X, shape (data, features); put a column of ones for an intercept.
        targets: y, shape (data,).

    Raises:
        ValueError: a prior of another family, NaN in the data, shapes that do not fit,
            fewer data than a flat prior needs.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 14.2 and 14.8.

    Example:
        >>> prior = NormalInverseGamma(jnp.zeros(1), jnp.eye(1), 2.0, 1.0)
        >>> result = posterior(prior, [[1.0], [1.0], [1.0]], [1.0, 2.0, 3.0])
        >>> print(f"{result.loc[0]:.4f} {result.rate:.4f}")
        1.5000 3.5000
    """
    return update(prior, sufficient_statistics(features, targets))


def sufficient_statistics(features: Sample, targets: Sample) -> Statistics:
    """Return the triangular factor of [X y].

    [X y] = Q R with R upper triangular, (features + 1) in both axes: `+` takes the
    factor of two stacked. Data and source as in `posterior`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> sufficient_statistics([[3.0], [4.0]], [0.0, 0.0]).factor.shape
        (2, 2)
    """
    features, targets, valid = _data(features, targets)
    rows = jnp.column_stack([features, targets])
    padding = jnp.zeros((rows.shape[1], rows.shape[1]), rows.dtype)
    factor = jnp.linalg.qr(jnp.concatenate([rows, padding]), mode="r")
    count = jnp.asarray(targets.size, rows.dtype)
    return where_valid(valid, Statistics(count, factor))


def update(prior: NormalInverseGamma, data: Statistics) -> NormalInverseGamma:
    """Return the posterior from sufficient statistics.

    The formulas and source of `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> prior = NormalInverseGamma(jnp.zeros(1), jnp.eye(1), 2.0, 1.0)
        >>> data = sufficient_statistics([[1.0], [1.0], [1.0]], [1.0, 2.0, 3.0])
        >>> print(f"{update(prior, data).loc[0]:.4f}")
        1.5000
    """
    shape_checks.of_type("prior", prior, NormalInverseGamma)
    loc, factor, gain = regression_factors.solve(prior, data.factor)
    result = NormalInverseGamma(
        loc,
        FactoredPrecision(factor),
        prior.concentration + 0.5 * data.num_data,
        prior.rate + gain,
    )
    valid = value_checks.locations(loc=prior.loc, precision=prior.precision)
    valid = valid.all() & value_checks.locations(concentration=prior.concentration)
    valid &= value_checks.parameters(rate=prior.rate) & value_checks.proper_posterior(
        precision=regression_factors.smallest_pivot(factor),
        concentration=result.concentration,
        rate=result.rate,
    )
    return where_valid(valid, result)


def log_evidence(
    prior: NormalInverseGamma, features: Sample, targets: Sample
) -> Float[Array, ""]:
    r"""Return log p(y | X) in nats.

    log Γ(a') b^a / (Γ(a) b'^a') + ½ log |precision| / |precision'| - n/2 log 2π, with
    a = concentration, b = rate, primed after the data.

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for an improper prior, whose evidence has an
            arbitrary factor.

    Example:
        >>> prior = NormalInverseGamma(jnp.zeros(1), jnp.eye(1), 2.0, 1.0)
        >>> value = log_evidence(prior, [[1.0], [1.0], [1.0]], [1.0, 2.0, 3.0])
        >>> print(f"{value:.4f}")
        -6.6337
    """
    shape_checks.of_type("prior", prior, NormalInverseGamma)
    data = sufficient_statistics(features, targets)
    valid = value_checks.proper(concentration=prior.concentration, rate=prior.rate)
    diagonal = jnp.diagonal(regression_factors.precision_factor(prior))
    valid &= value_checks.proper(precision=jnp.min(diagonal))
    _, factor, gain = regression_factors.solve(prior, data.factor)
    half = 0.5 * data.num_data
    value = (
        log_gamma.log_gamma_ratio(value_checks.as_float(prior.concentration), half)
        - prior.concentration * jnp.log1p(gain / prior.rate)
        - half * jnp.log(2 * jnp.pi * (prior.rate + gain))
        + jnp.log(diagonal).sum()
        - jnp.log(jnp.abs(jnp.diagonal(factor))).sum()
    )
    return where_valid(valid, value)


def predictive(posterior: NormalInverseGamma, features: Numbers) -> dist.StudentT:
    """Return the distribution of the target at each row of features: Student's t.

    At features x: 2a degrees of freedom, location x · loc, and the square of the scale
    b/a · (1 + xᵀ precision⁻¹ x), with a = concentration and b = rate.

    Args:
        posterior: as `posterior` returns it.
        features: shape (data, features).

    Returns:
        Batch shape (data,), in the targets' unit.

    Raises:
        ValueError: features with another number of columns than the posterior has.

    References:
        Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution.

    Example:
        >>> prior = NormalInverseGamma(jnp.zeros(1), jnp.eye(1), 2.0, 1.0)
        >>> at_zero, at_one = predictive(prior, [[0.0], [1.0]]).scale
        >>> print(f"{at_zero:.4f} {at_one:.4f}")
        0.7071 1.0000
    """
    features = value_checks.not_empty("features", features)
    shape_checks.last_axis("features", features, jnp.shape(posterior.loc)[-1])
    factor = regression_factors.precision_factor(posterior)
    whitened = solve_triangular(factor, features.T, trans="T")
    variance = posterior.rate / posterior.concentration
    scale = jnp.sqrt(variance * (1 + (whitened**2).sum(axis=0)))
    return dist.StudentT(2 * posterior.concentration, features @ posterior.loc, scale)


def coefficient_marginals(params: NormalInverseGamma) -> dist.StudentT:
    """Return the distribution of each coefficient alone, shape (features,).

    2a degrees of freedom, location loc_j, and the square of the scale b/a ·
    (precision⁻¹)_jj, with a = concentration and b = rate.

    References:
        Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution.

    Example:
        >>> params = NormalInverseGamma(jnp.array([1.5]), 4 * jnp.eye(1), 3.5, 3.5)
        >>> coefficient_marginals(params).scale.tolist()
        [0.5]
    """
    factor = regression_factors.precision_factor(params)
    inverse = solve_triangular(factor, jnp.eye(factor.shape[0], dtype=factor.dtype))
    variance = params.rate / params.concentration
    # (RᵀR)⁻¹ = R⁻¹ R⁻ᵀ: its diagonal is a sum of squares, along the rows of R⁻¹.
    scale = jnp.sqrt(variance * (inverse**2).sum(axis=1))
    return dist.StudentT(2 * params.concentration, params.loc, scale)


def model(
    prior: NormalInverseGamma,
    features: ArrayLike,
    targets: ArrayLike | None = None,
) -> None:
    """Declare the model in NumPyro, with the sites `variance` and `coefficients`.

    σ² ~ InverseGamma(a, b), β | σ² ~ N(loc, σ² precision⁻¹), y ~ N(X β, σ² I);
    arguments as in `posterior`, without targets they are drawn. Improper priors are
    declared by their density.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior = NormalInverseGamma(jnp.zeros(1), jnp.eye(1), 2.0, 1.0)
        >>> values = {"variance": 1.0, "coefficients": jnp.zeros(1)}
        >>> data = {"features": jnp.ones((1, 1)), "targets": jnp.ones(1)}
        >>> print(f"{log_density(model, (prior,), data, values)[0]:.4f}")
        -3.3379
    """
    features = value_checks.as_float(features)
    if is_improper(prior):
        variance, coefficients = improper_sites(prior)
    else:
        variance = numpyro.sample("variance", variance_marginal(prior))
        precision = prior.precision / variance
        normal = dist.MultivariateNormal(prior.loc, precision_matrix=precision)
        coefficients = numpyro.sample("coefficients", normal)
    noise = dist.Normal(features @ coefficients, jnp.sqrt(variance))
    numpyro.sample("targets", noise, obs=targets)


def _data(features: Sample, targets: Sample) -> tuple[Array, Array, Array]:
    features, features_valid = value_checks.finite("features", features)
    targets, targets_valid = value_checks.finite("targets", targets)
    if features.ndim != 2 or targets.shape != features.shape[:1]:
        raise ValueError(
            f"features of shape {features.shape} and targets of shape {targets.shape} "
            "do not fit: give (data, features) and (data,)"
        )
    return features, targets, value_checks.all_of(features_valid, targets_valid)

"""Normal prior of a mean vector, covariance known: μ ~ N(m, S), x_i ~ N(μ, Σ)."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from vijax.bayes.conjugate.streaming import Moments, moments
from vijax.bayes.validation import Numbers, Sample, shape_checks, value_checks
from vijax.validate import where_valid


def posterior(
    prior: dist.MultivariateNormal,
    observations: Sample,
    covariance: Sample,
) -> dist.MultivariateNormal:
    r"""Return N(m', S'): S'⁻¹ = S⁻¹ + n Σ⁻¹, S'⁻¹ m' = S⁻¹ m + n Σ⁻¹ x̄.

    Args:
        prior: N(m, S) of the mean μ, event shape (dims,).
        observations: x_i, shape (data, dims), or (dims,) for one.
        covariance: Σ of one observation, shape (dims, dims).

    Raises:
        ValueError: a prior of another family, NaN in the data, shapes that do not fit,
            a covariance that is not positive definite. In a trace such input gives NaN.

    References:
        Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution, sec. 8.

    Example:
        >>> prior = dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2))
        >>> result = posterior(prior, jnp.ones((3, 2)), jnp.eye(2))
        >>> print(f"{result.loc[0]:.4f} {result.variance[0]:.4f}")
        0.7500 0.2500
    """
    return update(prior, sufficient_statistics(observations), covariance)


def sufficient_statistics(observations: Sample) -> Moments:
    """Return number, mean and scatter matrix of the observations.

    Data and source as in `posterior`: a single number, (dims,) and (dims, dims), which
    add with `+`.

    Raises:
        ValueError: data that `posterior` refuses.

    Example:
        >>> sufficient_statistics([[1.0, 0.0], [3.0, 0.0]]).scatter.tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """
    observations, valid = value_checks.finite("observations", observations)
    observations = jnp.atleast_2d(observations)
    ones = jnp.ones(observations.shape[0], observations.dtype)
    return where_valid(value_checks.all_of(valid), moments(observations, ones))


def update(
    prior: dist.MultivariateNormal, data: Moments, covariance: Numbers
) -> dist.MultivariateNormal:
    """Return the posterior from sufficient statistics.

    The formulas and source of `posterior`.

    Raises:
        ValueError: a prior of another family, or one that these data leave improper.

    Example:
        >>> prior = dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2))
        >>> data = sufficient_statistics(jnp.ones((3, 2)))
        >>> print(f"{update(prior, data, jnp.eye(2)).loc[0]:.4f}")
        0.7500
    """
    shape_checks.of_type("prior", prior, dist.MultivariateNormal)
    shape_checks.last_axis("observations", data.mean, prior.event_shape[0])
    noise, valid = shape_checks.cholesky("covariance", covariance, prior.event_shape[0])
    # In units where the prior is N(0, I) the data have the design matrix √n L⁻¹ A,
    # and the posterior's precision is RᵀR of the two stacked.
    prior_factor = value_checks.as_float(prior.scale_tril)
    design = jnp.sqrt(data.weight) * solve_triangular(noise, prior_factor, lower=True)
    shift = jnp.sqrt(data.weight) * solve_triangular(
        noise, data.mean - prior.loc, lower=True
    )
    identity = jnp.eye(design.shape[0], dtype=design.dtype)
    basis, factor = jnp.linalg.qr(jnp.concatenate([identity, design]))
    solution = solve_triangular(factor, basis[design.shape[0] :].T @ shift)
    root = solve_triangular(factor, prior_factor.T, trans="T")
    upper = jnp.linalg.qr(root, mode="r")
    signs = jnp.where(jnp.diagonal(upper) < 0, -1.0, 1.0)
    loc = prior.loc + prior_factor @ solution
    return dist.MultivariateNormal(
        where_valid(valid, loc), scale_tril=where_valid(valid, (upper.T * signs))
    )


def log_evidence(
    prior: dist.MultivariateNormal,
    observations: Sample,
    covariance: Sample,
) -> Float[Array, ""]:
    r"""Return log p(x) in nats: log N(x̄; m, S + Σ/n) + log p(x | x̄).

    Arguments and source as in `posterior`.

    Returns:
        Nats, in the shape of the prior's batch.

    Raises:
        ValueError: as in `posterior`, and for a prior that is not proper.

    Example:
        >>> prior = dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2))
        >>> value = log_evidence(prior, jnp.zeros(2), jnp.eye(2))  # -2 · ½ ln 4π
        >>> print(f"{value:.4f}")
        -2.5310
    """
    shape_checks.of_type("prior", prior, dist.MultivariateNormal)
    weight, mean, scatter = sufficient_statistics(observations)
    shape_checks.last_axis("observations", mean, prior.event_shape[0])
    noise, valid = shape_checks.cholesky("covariance", covariance, prior.event_shape[0])
    dims = noise.shape[0]
    of_mean = predictive(prior, value_checks.as_float(covariance) / weight).log_prob(
        mean
    )
    half = solve_triangular(noise, scatter, lower=True)
    misfit = jnp.trace(solve_triangular(noise, half.T, lower=True))
    log_volume = dims * jnp.log(2 * jnp.pi) + 2 * jnp.log(jnp.diagonal(noise)).sum()
    split = (weight - 1) * log_volume + dims * jnp.log(weight) + misfit
    return where_valid(valid, of_mean - 0.5 * split)


def predictive(
    posterior: dist.MultivariateNormal, covariance: Numbers
) -> dist.MultivariateNormal:
    """Return the distribution of the next observation.

    N(m, S + Σ), event shape (dims,); Σ as in `posterior`.

    Raises:
        ValueError: a covariance that is not symmetric, or of another size.

    Example:
        >>> after = dist.MultivariateNormal(jnp.zeros(2), jnp.eye(2))
        >>> predictive(after, 3 * jnp.eye(2)).scale_tril.tolist()
        [[2.0, 0.0], [0.0, 2.0]]
    """
    covariance = shape_checks.square("covariance", covariance, posterior.event_shape[0])
    total = posterior.covariance_matrix + covariance
    return dist.MultivariateNormal(posterior.loc, total)


def model(
    prior: dist.MultivariateNormal,
    observations: ArrayLike | None = None,
    covariance: ArrayLike | None = None,
) -> None:
    """Declare the model in NumPyro, with the site `loc`.

    μ ~ N(m, S), x_i ~ N(μ, Σ); arguments as in `posterior`, without observations one is
    drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior = dist.MultivariateNormal(jnp.zeros(1), jnp.eye(1))
        >>> data = {"observations": jnp.zeros((1, 1)), "covariance": jnp.eye(1)}
        >>> value = log_density(model, (prior,), data, {"loc": jnp.zeros(1)})[0]
        >>> print(f"{value:.4f}")
        -1.8379
    """
    loc = numpyro.sample("loc", prior)
    noise = dist.MultivariateNormal(loc, covariance)
    numpyro.sample("observations", noise, obs=observations)

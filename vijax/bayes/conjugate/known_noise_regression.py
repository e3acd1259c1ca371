"""Linear regression with known errors: β ~ N(m, S) or flat, y ~ N(X β, Σ), Σ known.

Σ are standard errors of the targets, or their full covariance: generalised least
squares, with a prior. All is computed from triangular factors (QR), never from XᵀΣ⁻¹X.
"""

from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax.bayes.conjugate.support.regression_factors import smallest_pivot
from vijax.bayes.validation import Numbers, Sample, shape_checks, value_checks
from vijax.validate import where_valid

Prior: TypeAlias = dist.MultivariateNormal | None


def posterior(
    prior: Prior, features: Sample, targets: Sample, errors: Numbers
) -> dist.MultivariateNormal:
    r"""Return N(m', S'): S'⁻¹ = S⁻¹ + XᵀΣ⁻¹X, S'⁻¹ m' = S⁻¹ m + XᵀΣ⁻¹y.

    Args:
        prior: N(m, S) of the coefficients β, event shape (features,); None for a flat
            one, where the posterior is the generalised least squares' estimate with its
            covariance.
        features: X, shape (data, features); put a column of ones for an intercept.
        targets: y, shape (data,).
        errors: standard errors of the targets, one number or (data,), > 0; or their
            covariance Σ, shape (data, data).

    Raises:
        ValueError: a prior of another family, NaN in the data, shapes that do not fit,
            errors that are not positive, a covariance that is not positive definite, a
            flat prior with features that depend on each other. In a trace such input
            gives NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 14.7.

    Example:
        >>> line = jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> result = posterior(None, line, [1.0, 3.0, 4.0], errors=[0.5, 0.5, 1.0])
        >>> error = result.variance[1] ** 0.5
        >>> print(f"slope {result.loc[1]:.4f} ± {error:.4f}")
        slope 1.6667 ± 0.5000
    """
    _check_prior(prior)
    rows, values, _, valid = _whitened(features, targets, errors)
    loc, factor, _ = _solve(prior, rows, values)
    pivot = smallest_pivot(factor)
    valid &= value_checks.proper_posterior(precision=pivot)
    scale_tril = _lower(factor)
    loc, scale_tril = where_valid(valid, (loc, scale_tril))
    return dist.MultivariateNormal(loc, scale_tril=scale_tril)


def log_evidence(
    prior: dist.MultivariateNormal, features: Sample, targets: Sample, errors: Numbers
) -> Float[Array, ""]:
    r"""Return log p(y | X) = log N(y; X m, Σ + X S Xᵀ), in nats.

    Arguments and source as in `posterior`; a flat prior has none.

    Raises:
        ValueError: as in `posterior`, and for a prior that is None.

    Example:
        >>> prior = dist.MultivariateNormal(jnp.zeros(1), jnp.eye(1))
        >>> value = log_evidence(prior, [[1.0]], [1.0], errors=1.0)  # N(1; 0, 2)
        >>> print(f"{value:.4f}")
        -1.5155
    """
    shape_checks.of_type("prior", prior, dist.MultivariateNormal)
    rows, values, log_scale, valid = _whitened(features, targets, errors)
    _, factor, misfit = _solve(prior, rows, values)
    log_prior = jnp.log(jnp.diagonal(value_checks.as_float(prior.scale_tril))).sum()
    log_posterior = jnp.log(jnp.abs(jnp.diagonal(factor))).sum()
    value = -0.5 * misfit - log_scale - log_prior - log_posterior
    return where_valid(valid, value - 0.5 * values.size * jnp.log(2 * jnp.pi))


def predictive(
    posterior: dist.MultivariateNormal, features: Numbers, errors: Numbers = 0.0
) -> dist.Normal:
    """Return the distribution of the target at each row of features: N(x m, xᵀSx + σ²).

    Args:
        posterior: as `posterior` returns it.
        features: shape (data, features).
        errors: standard errors σ of the new targets; 0 for the line itself.

    Returns:
        Batch shape (data,), in the targets' unit.

    Raises:
        ValueError: features with another number of columns than the posterior has,
            negative errors.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 14.7.

    Example:
        >>> line = dist.MultivariateNormal(jnp.array([1.0, 2.0]), jnp.eye(2))
        >>> predictive(line, [[1.0, 0.0]], 0.75).scale.tolist()
        [1.25]
    """
    features = value_checks.not_empty("features", features)
    shape_checks.last_axis("features", features, posterior.event_shape[-1])
    errors, valid = value_checks.nonnegative("errors", errors)
    spread = jnp.linalg.norm(features @ posterior.scale_tril, axis=-1)
    scale = where_valid(valid, jnp.hypot(spread, errors))
    return dist.Normal(features @ posterior.loc, scale)


def model(
    prior: Prior, features: Numbers, targets: Numbers | None, errors: Numbers
) -> None:
    """Declare the model in NumPyro, with the site `coefficients`.

    β ~ N(m, S), y ~ N(X β, Σ); arguments as in `posterior`, without targets they are
    drawn.

    Example:
        >>> from numpyro.infer.util import log_density
        >>> prior = dist.MultivariateNormal(jnp.zeros(1), jnp.eye(1))
        >>> data = (prior, jnp.ones((1, 1)), jnp.ones(1), 1.0)
        >>> value = log_density(model, data, {}, {"coefficients": jnp.zeros(1)})[0]
        >>> print(f"{value:.4f}")
        -2.3379
    """
    features = value_checks.as_float(features)
    if prior is None:
        size = features.shape[-1]
        flat = dist.ImproperUniform(dist.constraints.real_vector, (), (size,))
        coefficients = numpyro.sample("coefficients", flat)
    else:
        coefficients = numpyro.sample("coefficients", prior)
    mean, errors = features @ coefficients, value_checks.as_float(errors)
    if errors.ndim == 2:
        noise: Any = dist.MultivariateNormal(mean, errors)
    else:
        noise = dist.Normal(mean, errors).to_event(1)
    numpyro.sample("targets", noise, obs=targets)


def _check_prior(prior: Prior) -> None:
    if prior is not None:
        shape_checks.of_type("prior", prior, dist.MultivariateNormal)


def _whitened(
    features: Sample, targets: Sample, errors: Numbers
) -> tuple[Array, Array, Array, Array]:
    """Return Σ^(-1/2) X, Σ^(-1/2) y, ½ log |Σ| and whether all is valid."""
    features, valid = value_checks.finite("features", features)
    targets, targets_valid = value_checks.finite("targets", targets)
    if features.ndim != 2 or targets.shape != features.shape[:1]:
        raise ValueError(
            f"features of shape {features.shape} and targets of shape {targets.shape} "
            "do not fit: give (data, features) and (data,)"
        )
    valid = value_checks.all_of(valid, targets_valid)
    size = targets.size
    if np.ndim(errors) == 2:
        factor, positive = shape_checks.cholesky("errors", errors, size)
        both = jnp.column_stack([features, targets])
        both = solve_triangular(factor, both, lower=True)
        log_scale = jnp.log(jnp.diagonal(factor)).sum()
        return both[:, :-1], both[:, -1], log_scale, valid & positive
    errors, positive = value_checks.positive("errors", errors)
    if errors.shape not in ((), (size,)):
        raise ValueError(
            f"errors has shape {errors.shape}: give one number, {(size,)}, or the "
            f"covariance {(size, size)}"
        )
    errors = jnp.broadcast_to(errors, (size,))
    rows = features / errors[:, None]
    return rows, targets / errors, jnp.log(errors).sum(), valid & positive.all()


def _solve(prior: Prior, rows: Array, values: Array) -> tuple[Array, Array, Array]:
    """Return m', R with RᵀR = S'⁻¹, and the sum of squares that is left."""
    size = rows.shape[-1]
    if prior is not None:
        shape_checks.last_axis("features", rows, prior.event_shape[-1])
        whiten = solve_triangular(
            value_checks.as_float(prior.scale_tril), jnp.eye(size), lower=True
        )
        rows = jnp.concatenate([whiten, rows])
        values = jnp.concatenate([whiten @ prior.loc, values])
    elif rows.shape[0] < size:
        raise ValueError(
            f"features has shape {rows.shape}: a flat prior needs as many data as "
            "features, or more; give a prior"
        )
    basis, factor = jnp.linalg.qr(rows)
    safe = factor + jnp.diag(jnp.where(jnp.diagonal(factor) == 0, 1.0, 0.0))
    loc = solve_triangular(safe, basis.T @ values)
    # One step of refinement costs little and repairs what the solve rounds.
    loc = loc + solve_triangular(safe, basis.T @ (values - rows @ loc))
    return loc, factor, jnp.sum((values - rows @ loc) ** 2)


def _lower(factor: Array) -> Array:
    """Return the lower triangular L with LLᵀ = (RᵀR)⁻¹."""
    safe = factor + jnp.diag(jnp.where(jnp.diagonal(factor) == 0, 1.0, 0.0))
    inverse = solve_triangular(safe, jnp.eye(len(factor), dtype=factor.dtype))
    upper = jnp.linalg.qr(inverse.T, mode="r")
    signs = jnp.where(jnp.diagonal(upper) < 0, -1.0, 1.0).astype(factor.dtype)
    return (signs[:, None] * upper).T

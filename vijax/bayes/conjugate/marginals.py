"""The distribution of each single number in a posterior of several.

Intervals and one-dimensional densities need it wherever a posterior holds a vector, or
a location and a variance.
"""

from typing import TypeAlias

import jax.numpy as jnp
import numpyro.distributions as dist

from vijax.bayes.conjugate import linear_regression, normal_inverse_gamma
from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.bayes.conjugate.normal_inverse_wishart import NormalInverseWishart
from vijax.bayes.validation import Numbers, value_checks

Joint: TypeAlias = dist.Distribution | NormalInverseGamma | NormalInverseWishart


def marginals(posterior: Joint) -> dist.Distribution | dict[str, dist.Distribution]:
    r"""Return the distribution of each number alone.

    Dirichlet(α) gives Beta(α_j, Σ_i α_i - α_j); a multivariate Normal or Student's t
    the same in one dimension; the Normal-inverse-gamma family Student's t of the mean
    or of each coefficient, and an inverse gamma distribution of the variance; the
    Normal-inverse-Wishart family the same for every coordinate, with the covariance
    matrix's diagonal. A distribution of one number is its own marginal.

    Args:
        posterior: of any family of `vijax.bayes`.

    Returns:
        A distribution whose last batch axis is the vector's, in its unit; of a location
        and a variance a dict, with the names that they have in the family's `model`
        ("variance" for the covariance's diagonal).

    Raises:
        ValueError: another distribution of vectors or matrices.

    References:
        Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution, sec. 6
        and 8; Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., appendix A.

    Example:
        >>> share = marginals(dist.Dirichlet(jnp.array([2.0, 1.0, 5.0])))
        >>> share.concentration0.tolist()
        [6.0, 7.0, 3.0]
        >>> both = marginals(NormalInverseGamma(1.5, 4.0, 3.5, 3.5))
        >>> print(f"{both['loc'].scale:.4f} {both['variance'].mean:.4f}")
        0.5000 1.4000
    """
    if isinstance(posterior, NormalInverseGamma):
        variance = normal_inverse_gamma.variance_marginal(posterior)
        if jnp.ndim(posterior.precision) > jnp.ndim(posterior.loc):
            coefficients = linear_regression.coefficient_marginals(posterior)
            return {"coefficients": coefficients, "variance": variance}
        loc = normal_inverse_gamma.loc_marginal(posterior)
        return {"loc": loc, "variance": variance}
    if isinstance(posterior, NormalInverseWishart):
        return _of_wishart(posterior)
    if isinstance(posterior, dist.Dirichlet):
        concentration = value_checks.as_float(posterior.concentration)
        others = 1 - jnp.eye(concentration.shape[-1], dtype=concentration.dtype)
        return dist.Beta(concentration, concentration @ others)
    if isinstance(posterior, dist.MultivariateNormal):
        return dist.Normal(posterior.loc, _norms(posterior.scale_tril))
    if isinstance(posterior, dist.MultivariateStudentT):
        df = jnp.expand_dims(posterior.df, -1)
        return dist.StudentT(df, posterior.loc, _norms(posterior.scale_tril))
    if posterior.event_shape:
        raise ValueError(
            f"posterior is a {type(posterior).__name__} of shape "
            f"{posterior.event_shape}: give the distribution of one number, or draws"
        )
    return posterior


def _of_wishart(params: NormalInverseWishart) -> dict[str, dist.Distribution]:
    diagonal = jnp.diagonal(value_checks.as_float(params.scale))
    df = value_checks.as_float(params.df) - diagonal.shape[-1] + 1
    scale = jnp.sqrt(diagonal / (params.precision * df))
    return {
        "loc": dist.StudentT(df, params.loc, scale),
        "variance": dist.InverseGamma(0.5 * df, 0.5 * diagonal),
    }


def _norms(rows: Numbers) -> Numbers:
    return jnp.sqrt(jnp.sum(jnp.square(rows), axis=-1))

"""Improper priors of a linear regression, and their density as a NumPyro model."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.bayes.validation import value_checks
from vijax.validate import is_traced


def flat_prior(num_features: int, *, flat_in: str = "log_scale") -> NormalInverseGamma:
    """Return the improper prior that is flat in β and in log σ, or in σ.

    The posterior is proper with more data than features; there is no evidence.

    Args:
        num_features: number of coefficients.
        flat_in: "log_scale" for p(β, σ) ∝ 1/σ, the reference prior; "scale" for a
            constant p(β, σ), which Stan programs without a prior have.

    Raises:
        ValueError: no feature, another `flat_in`.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 14.2.

    Example:
        >>> from vijax.bayes.conjugate.linear_regression import posterior
        >>> after = posterior(flat_prior(1), [[1.0], [1.0], [1.0]], [1.0, 2.0, 3.0])
        >>> print(f"{after.loc[0]:.4f} {after.concentration:.1f} {after.rate:.4f}")
        2.0000 1.0 1.0000
    """
    if flat_in not in ("log_scale", "scale"):
        raise ValueError(f"flat_in = {flat_in!r} is not valid: give log_scale or scale")
    remedy = "give a whole number >= 1"
    value_checks.counts("num_features", num_features)
    value_checks.checked(num_features >= 1, "num_features", num_features, remedy)
    concentration = -0.5 * num_features - (0.5 if flat_in == "scale" else 0.0)
    return NormalInverseGamma(
        jnp.zeros(num_features),
        jnp.zeros((num_features, num_features)),
        jnp.asarray(concentration),
        jnp.zeros(()),
    )


def is_improper(prior: NormalInverseGamma) -> bool:
    """Say whether the prior is known to be improper; a traced one counts as proper."""
    if is_traced(prior):
        return False
    # NumPy, since under a trace JAX would trace these constants too.
    diagonal = np.diagonal(np.asarray(prior.precision))
    return bool(np.any(diagonal <= 0) or np.any(np.asarray(prior.rate) <= 0))


def improper_sites(prior: NormalInverseGamma) -> tuple[Array, Array]:
    """Declare both sites by their joint density, which has no normalising constant."""
    loc, precision = (
        value_checks.as_float(prior.loc),
        value_checks.as_float(prior.precision),
    )
    flat = dist.ImproperUniform(dist.constraints.positive, (), ())
    variance = numpyro.sample("variance", flat)
    flat = dist.ImproperUniform(dist.constraints.real_vector, (), loc.shape)
    coefficients = numpyro.sample("coefficients", flat)
    shift = coefficients - loc
    misfit = prior.rate + 0.5 * shift @ precision @ shift
    power = prior.concentration + 1 + 0.5 * loc.size
    numpyro.factor("prior", -power * jnp.log(variance) - misfit / variance)
    return variance, coefficients

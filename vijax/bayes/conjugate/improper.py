"""Improper priors, which NumPyro refuses to build where it validates its arguments.

An improper prior has no normalising constant. Its posterior may be proper all the same,
and every family here says so or refuses. It has no evidence, no draws and no intervals.
"""

from collections.abc import Callable
from typing import TypeVar

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from vijax.bayes.validation import Numbers, value_checks
from vijax.validate import where_valid

D = TypeVar("D", bound=dist.Distribution)


def beta(concentration1: Numbers = 0.0, concentration0: Numbers = 0.0) -> dist.Beta:
    """Return p^(a - 1) (1 - p)^(b - 1) as a prior; a = b = 0 is Haldane's.

    Args:
        concentration1: a >= 0, any shape.
        concentration0: b >= 0, broadcast against it.

    Raises:
        ValueError: a negative or infinite parameter. In a trace it is NaN.

    References:
        J. B. S. Haldane (1932), Math. Proc. Camb. Phil. Soc. 28, 55.

    Example:
        >>> from vijax.bayes import beta_binomial
        >>> after = beta_binomial.posterior(beta(), successes=10, trials=14)
        >>> after.concentration1.item(), after.concentration0.item()
        (10.0, 4.0)
    """
    return _of(dist.Beta, concentration1=concentration1, concentration0=concentration0)


def dirichlet(concentration: Numbers) -> dist.Dirichlet:
    """Return Π p_j^(α_j - 1) as a prior of probabilities.

    Args:
        concentration: α >= 0, the categories on the last axis.

    Raises:
        ValueError: a negative or infinite parameter. In a trace it is NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 3.4.

    Example:
        >>> from vijax.bayes import dirichlet_multinomial
        >>> after = dirichlet_multinomial.posterior(dirichlet([0.0, 0.0]), [3, 4])
        >>> after.concentration.tolist()
        [3.0, 4.0]
    """
    return _of(dist.Dirichlet, concentration=concentration)


def gamma(concentration: Numbers = 1.0, rate: Numbers = 0.0) -> dist.Gamma:
    """Return λ^(a - 1) exp(-b λ) as a prior of a rate.

    Gamma(1, 0) is flat, Gamma(1/2, 0) is Jeffreys' for counts, Gamma(0, 0) is flat in
    log λ.

    Args:
        concentration: a >= 0, any shape.
        rate: b >= 0, broadcast against it.

    Raises:
        ValueError: a negative or infinite parameter. In a trace it is NaN.

    References:
        H. Jeffreys (1961), Theory of Probability, 3rd ed., section 3.3.

    Example:
        >>> from vijax.bayes import gamma_poisson
        >>> after = gamma_poisson.posterior(gamma(), [3, 4, 2])
        >>> after.concentration.item(), after.rate.item()
        (10.0, 3.0)
    """
    return _of(dist.Gamma, concentration=concentration, rate=rate)


def inverse_gamma(
    concentration: Numbers = 0.0, rate: Numbers = 0.0
) -> dist.InverseGamma:
    """Return v^(-a - 1) exp(-b / v) as a prior of a variance; (0, 0) is flat in log v.

    Args:
        concentration: a >= 0, any shape.
        rate: b >= 0, broadcast against it.

    Raises:
        ValueError: a negative or infinite parameter. In a trace it is NaN.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.8.

    Example:
        >>> from vijax.bayes import inverse_gamma_normal
        >>> after = inverse_gamma_normal.posterior(inverse_gamma(), [1.0, -1.0], 0.0)
        >>> after.concentration.item(), after.rate.item()
        (1.0, 1.0)
    """
    return _of(dist.InverseGamma, concentration=concentration, rate=rate)


def normal(loc: Numbers = 0.0) -> dist.Normal:
    """Return the flat prior of a location: a normal of infinite scale.

    Args:
        loc: it does not matter; its shape is the batch's.

    Raises:
        ValueError: a location that is not finite.

    References:
        Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 2.8.

    Example:
        >>> from vijax.bayes import normal_normal
        >>> after = normal_normal.posterior(normal(), [1.0, 3.0], 1.0)
        >>> print(f"{after.loc:.4f} {after.scale:.4f}")
        2.0000 0.7071
    """
    loc, valid = value_checks.finite("loc", loc)
    return dist.Normal(where_valid(valid, loc), jnp.full_like(loc, jnp.inf))


def _of(family: Callable[..., D], **parameters: Numbers) -> D:
    """Build a member of a family whose parameters may be 0."""
    checked = {k: value_checks.nonnegative(k, v) for k, v in parameters.items()}
    values = {k: where_valid(valid, value) for k, (value, valid) in checked.items()}
    with numpyro.validation_enabled(False):  # also of what the family is made of
        return family(**values)

"""One number from several measurements of it, with all their correlations."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax import printing, special
from vijax.bayes.validation import Numbers, shape_checks, value_checks
from vijax.validate import where_valid


class Combination(NamedTuple):
    """The best linear unbiased estimate, and whether the measurements agree."""

    estimate: Float[Array, ""]
    standard_error: Float[Array, ""]
    weights: Float[Array, " measurements"]  # they sum to 1; some may be negative
    chi_squared: Float[Array, ""]
    log_p_value: Float[Array, ""]  # of so large a chi_squared, in nats
    scale_factor: Float[Array, ""]  # max(1, sqrt(chi_squared / (n - 1)))

    def __str__(self) -> str:
        degrees = np.shape(self.weights)[-1] - 1
        values = {
            "estimate": printing.in_digits(self.estimate, self.standard_error),
            "weights": printing.number(self.weights),
            "chi-squared": self.chi_squared,
            "degrees of freedom": degrees,
            "p-value": printing.p_value(self.log_p_value),
            "scale factor": self.scale_factor,
        }
        return printing.described("Combination (BLUE)", values)

    def __repr__(self) -> str:
        return str(self)


def combine(measurements: Numbers, covariance: Numbers) -> Combination:
    r"""Return the best linear unbiased estimate (BLUE) of a common value.

    w = C⁻¹ 1 / (1ᵀ C⁻¹ 1), estimate wᵀx, variance 1 / (1ᵀ C⁻¹ 1),
    χ² = (x - estimate)ᵀ C⁻¹ (x - estimate) with n - 1 degrees of freedom.

    The scale factor is the Particle Data Group's: multiply the standard error by it
    where the measurements disagree more than their errors say.

    Args:
        measurements: x, shape (measurements,), all of one value: pooled.
        covariance: C of their errors, (measurements, measurements); or their standard
            errors, (measurements,), if they are independent.

    Raises:
        ValueError: a single measurement or NaN, errors that are not positive, a
            covariance that is not positive definite or does not fit. In a trace such
            input gives NaN.

    References:
        L. Lyons, D. Gibaut, P. Clifford (1988), Nucl. Instrum. Meth. A 270, 110; Review
        of Particle Physics, introduction, section 5.2.

    Example:
        >>> both = combine([10.5, 13.5], [[1.0, 0.0], [0.0, 9.0]])
        >>> print(both)
        Combination (BLUE)
          estimate            10.80 ± 0.95
          weights             [0.9, 0.1]
          chi-squared         0.9
          degrees of freedom  1
          p-value             0.34278
          scale factor        1
    """
    x, valid = value_checks.finite("measurements", measurements)
    if x.ndim != 1 or x.size < 2:
        raise ValueError(
            f"measurements has shape {x.shape}: give two or more, on one axis"
        )
    errors = value_checks.not_empty("covariance", covariance)
    if errors.ndim == 1:
        errors, more = value_checks.positive("covariance", errors)
        if errors.shape != x.shape:
            raise ValueError(f"covariance has shape {errors.shape}: give {x.shape}")
        whitened = jnp.stack([x / errors, 1 / errors])
        ones = whitened[1] / errors
        more = more.all()
    else:
        factor, more = shape_checks.cholesky("covariance", errors, x.size)
        columns = jnp.stack([x, jnp.ones_like(x)], axis=1)
        whitened = solve_triangular(factor, columns, lower=True).T
        ones = solve_triangular(factor.T, whitened[1])
    precision = jnp.sum(whitened[1] ** 2)
    weights = ones / precision
    estimate = weights @ x
    chi_squared = jnp.sum((whitened[0] - estimate * whitened[1]) ** 2)
    df = x.size - 1
    result = Combination(
        estimate,
        1 / jnp.sqrt(precision),
        weights,
        chi_squared,
        special.log_gammaincc(0.5 * df, 0.5 * chi_squared),
        jnp.maximum(1.0, jnp.sqrt(chi_squared / df)),
    )
    return where_valid(valid.all() & more, result)

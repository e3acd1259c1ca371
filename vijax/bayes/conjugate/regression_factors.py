"""Triangular factors of a regression: the prior counts as more rows of data.

Nothing here forms XᵀX or inverts it, which would lose twice the digits.
"""

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.bayes.validation import shape_checks


def solve(
    prior: NormalInverseGamma, data_factor: Float[Array, "columns columns"]
) -> tuple[Array, Array, Array]:
    """Return loc', the triangular factor of precision', and rate' - rate.

    The prior counts as `features` more rows of data: precision = LLᵀ, rows Lᵀ, targets
    Lᵀ loc.

    Args:
        prior: of the coefficients and the variance.
        data_factor: R of [X y] = Q R.

    Raises:
        ValueError: another number of features than the prior has.
    """
    rows, targets = data_factor[:-1, :-1], data_factor[:-1, -1]
    shape_checks.last_axis("features", rows, jnp.shape(prior.loc)[-1])
    prior_rows = precision_factor(prior).T
    rows = jnp.concatenate([prior_rows, rows])
    targets = jnp.concatenate([prior_rows @ prior.loc, targets])
    basis, factor = jnp.linalg.qr(rows)
    loc = solve_triangular(factor, basis.T @ targets)
    misfit = targets - rows @ loc
    # One step of refinement costs little and repairs what the solve rounds.
    loc = loc + solve_triangular(factor, basis.T @ misfit)
    misfit = targets - rows @ loc
    return loc, factor, 0.5 * (jnp.sum(misfit**2) + data_factor[-1, -1] ** 2)


def precision_factor(prior: NormalInverseGamma) -> Array:
    """Return L with LLᵀ = precision; rows of zeros (a flat prior) stay zeros.

    Raises:
        ValueError: a precision that is not (features, features).
    """
    precision = shape_checks.square(
        "prior.precision", prior.precision, jnp.shape(prior.loc)[-1]
    )
    flat = jnp.diagonal(precision) == 0
    filled = precision + jnp.diag(flat.astype(precision.dtype))
    return jnp.where(flat[:, None], 0.0, jnp.linalg.cholesky(filled))


def smallest_pivot(factor: Array) -> Array:
    """Return the smallest diagonal entry, 0 where a column depends on the others."""
    diagonal, lengths = jnp.abs(jnp.diagonal(factor)), jnp.linalg.norm(factor, axis=0)
    rounding = 8 * len(diagonal) * jnp.finfo(factor.dtype).eps
    return jnp.where(diagonal > rounding * lengths, diagonal, 0.0).min()

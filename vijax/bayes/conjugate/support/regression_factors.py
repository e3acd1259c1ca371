"""Triangular factors of a regression: the prior counts as more rows of data.

Nothing here forms XᵀX or inverts it, which would lose twice the digits.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.bayes.validation import Numbers, shape_checks


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FactoredPrecision:
    """A precision matrix RᵀR that keeps its factor R, upper triangular.

    It goes wherever an array goes; what needs its inverse asks for the factor, because
    the product has lost half of the digits that R still has.

    Example:
        >>> precision = FactoredPrecision(jnp.array([[2.0, 1.0], [0.0, 3.0]]))
        >>> (precision / 2).tolist()
        [[2.0, 1.0], [1.0, 5.0]]
    """

    factor: Float[Array, "*batch features features"]

    @property
    def matrix(self) -> Float[Array, "*batch features features"]:
        """Return RᵀR."""
        return jnp.swapaxes(self.factor, -1, -2) @ self.factor

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the matrix."""
        return jnp.shape(self.factor)

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return jnp.ndim(self.factor)

    @property
    def dtype(self) -> Any:
        """Return the precision of the numbers."""
        return self.factor.dtype

    def __jax_array__(self) -> Array:
        """Return RᵀR where JAX asks for an array."""
        return self.matrix

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return RᵀR where NumPy asks for an array."""
        return np.asarray(self.matrix, dtype)

    def __getitem__(self, index: Any) -> Array:
        """Return entries of RᵀR."""
        return self.matrix[index]

    def __truediv__(self, other: Numbers) -> Array:
        """Return RᵀR over a number."""
        return self.matrix / other

    def __mul__(self, other: Numbers) -> Array:
        """Return RᵀR times a number."""
        return self.matrix * other

    def __matmul__(self, other: Numbers) -> Array:
        """Return the product with a vector or a matrix."""
        return self.matrix @ other

    def __rmatmul__(self, other: Numbers) -> Array:
        """Return the product from the left."""
        return other @ self.matrix


def solve(
    prior: NormalInverseGamma, data_factor: Float[Array, "columns columns"]
) -> tuple[Array, Array, Array]:
    """Return loc', the triangular factor of precision', and rate' - rate.

    The prior counts as `features` more rows of data: precision = RᵀR, rows R, targets
    R loc.

    Args:
        prior: of the coefficients and the variance.
        data_factor: R of [X y] = Q R.

    Raises:
        ValueError: another number of features than the prior has.
    """
    rows, targets = data_factor[:-1, :-1], data_factor[:-1, -1]
    shape_checks.last_axis("features", rows, jnp.shape(prior.loc)[-1])
    prior_rows = precision_factor(prior)
    rows = jnp.concatenate([prior_rows, rows])
    targets = jnp.concatenate([prior_rows @ prior.loc, targets])
    basis, factor = jnp.linalg.qr(rows)
    loc = solve_triangular(factor, basis.T @ targets)
    misfit = targets - rows @ loc
    # One step of refinement costs little and repairs what the solve rounds.
    loc = loc + solve_triangular(factor, basis.T @ misfit)
    misfit = targets - rows @ loc
    gain = 0.5 * (jnp.sum(misfit**2) + data_factor[-1, -1] ** 2)
    # Of the factors that differ by signs the one of Cholesky: a positive diagonal.
    signs = jnp.where(jnp.diagonal(factor) < 0, -1.0, 1.0).astype(factor.dtype)
    return loc, signs[:, None] * factor, gain


def precision_factor(prior: NormalInverseGamma) -> Array:
    """Return the upper triangular R with RᵀR = precision; rows of zeros stay zeros.

    Raises:
        ValueError: a precision that is not (features, features).
    """
    size = jnp.shape(prior.loc)[-1]
    if isinstance(prior.precision, FactoredPrecision):
        if prior.precision.shape[-1] != size:
            raise ValueError(
                f"prior.precision has shape {prior.precision.shape}: give {size, size}"
            )
        return prior.precision.factor
    precision = shape_checks.square("prior.precision", prior.precision, size)
    flat = jnp.diagonal(precision) == 0
    filled = precision + jnp.diag(flat.astype(precision.dtype))
    return jnp.where(flat[:, None], 0.0, jnp.linalg.cholesky(filled)).T


def smallest_pivot(factor: Array) -> Array:
    """Return the smallest diagonal entry, 0 where a column depends on the others."""
    diagonal, lengths = jnp.abs(jnp.diagonal(factor)), jnp.linalg.norm(factor, axis=0)
    rounding = 8 * len(diagonal) * jnp.finfo(factor.dtype).eps
    return jnp.where(diagonal > rounding * lengths, diagonal, 0.0).min()

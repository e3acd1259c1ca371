r"""Cholesky factors of many banded symmetric matrices, in time linear in their size.

A matrix H of T rows in which only entries of |i − j| <= w are not zero is kept as its
lower bands, `bands[t, k] = H[t, t − k]`, k = 0 … w; entries before the first column are
zero. A leading axis holds C such matrices. Blocks of size b on a diagonal are C blocks
with T = b and w = b − 1; one chain whose neighbours meet is C = 1 with w = 1.

Where H is not positive definite, the factor is that of a nearby matrix that is: a
pivot takes its magnitude, and at least 1e-5 of its diagonal entry.

References:
    Golub & Van Loan (2013), Matrix Computations, 4th ed., section 4.3.5.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vijax.types import Scalar

LEAST_PIVOT = 1e-5  # of a diagonal entry
MAX_UNROLLED = 8  # rows that are written out in the place of a loop

Bands = Float[Array, "matrices rows width"]
Rows = Float[Array, "matrices rows"]


def cholesky(bands: Bands) -> Bands:
    """Return the bands of the lower triangular L with L Lᵀ = H.

    Example:
        >>> bands = jnp.array([[[4.0, 0.0], [5.0, 2.0]]])  # [[4, 2], [2, 5]]
        >>> cholesky(bands).tolist()  # [[2, 0], [1, 2]]
        [[[2.0, 0.0], [2.0, 1.0]]]
    """
    width = bands.shape[-1] - 1

    def step(before: tuple[Array, ...], row: Array) -> tuple[tuple[Array, ...], Array]:
        new: dict[int, Array] = {}
        for k in range(width, -1, -1):
            rest = row[:, k]
            for m in range(k + 1, width + 1):
                partner = new[m] if k == 0 else before[k - 1][:, m - k]
                rest = rest - new[m] * partner
            if k:
                new[k] = rest / before[k - 1][:, 0]
            else:
                least = LEAST_PIVOT * jnp.abs(row[:, 0]) + jnp.finfo(row.dtype).tiny
                new[0] = jnp.sqrt(jnp.maximum(jnp.abs(rest), least))
        found = jnp.stack([new[k] for k in range(width + 1)], axis=-1)
        return (found, *before)[:width], found

    nothing = jnp.zeros_like(bands[:, 0]).at[:, 0].set(1.0)
    return _along_rows(step, (nothing,) * width, bands)


def solve_lower(factor: Bands, right: Rows) -> Rows:
    """Return x with L x = right.

    Example:
        >>> factor = jnp.array([[[2.0, 0.0], [2.0, 1.0]]])
        >>> solve_lower(factor, jnp.array([[2.0, 5.0]])).tolist()
        [[1.0, 2.0]]
    """
    return _substitute(factor, right, reverse=False)


def solve_upper(factor: Bands, right: Rows) -> Rows:
    """Return x with Lᵀ x = right.

    Example:
        >>> factor = jnp.array([[[2.0, 0.0], [2.0, 1.0]]])
        >>> solve_upper(factor, jnp.array([[4.0, 4.0]])).tolist()
        [[1.0, 2.0]]
    """
    return _substitute(_shifted_up(factor), right, reverse=True)


def solve(factor: Bands, right: Rows) -> Rows:
    """Return x with L Lᵀ x = right.

    Example:
        >>> factor = jnp.array([[[2.0, 0.0], [2.0, 1.0]]])
        >>> solve(factor, jnp.array([[6.0, 7.0]])).tolist()
        [[1.0, 1.0]]
    """
    return solve_upper(factor, solve_lower(factor, right))


def times_lower(factor: Bands, x: Rows) -> Rows:
    """Return L x.

    Example:
        >>> factor = jnp.array([[[2.0, 0.0], [2.0, 1.0]]])
        >>> times_lower(factor, jnp.array([[1.0, 2.0]])).tolist()
        [[2.0, 5.0]]
    """
    total = factor[:, :, 0] * x
    for k in range(1, factor.shape[-1]):
        total = total.at[:, k:].add(factor[:, k:, k] * x[:, :-k])
    return total


def times_upper(factor: Bands, x: Rows) -> Rows:
    """Return Lᵀ x.

    Example:
        >>> factor = jnp.array([[[2.0, 0.0], [2.0, 1.0]]])
        >>> times_upper(factor, jnp.array([[1.0, 2.0]])).tolist()
        [[4.0, 4.0]]
    """
    total = factor[:, :, 0] * x
    for k in range(1, factor.shape[-1]):
        total = total.at[:, :-k].add(factor[:, k:, k] * x[:, k:])
    return total


def times_symmetric(bands: Bands, x: Rows) -> Rows:
    """Return H x.

    Example:
        >>> bands = jnp.array([[[4.0, 0.0], [5.0, 2.0]]])
        >>> times_symmetric(bands, jnp.array([[1.0, 1.0]])).tolist()
        [[6.0, 7.0]]
    """
    total = times_upper(bands, x)
    for k in range(1, bands.shape[-1]):
        total = total.at[:, k:].add(bands[:, k:, k] * x[:, :-k])
    return total


def half_log_det(factor: Bands) -> Scalar:
    """Return ½ log det H, summed over the matrices: the log of L's diagonal.

    Example:
        >>> half_log_det(jnp.ones((3, 2, 1))).item()
        0.0
    """
    return jnp.sum(jnp.log(factor[:, :, 0]))


def _substitute(factor: Array, right: Array, *, reverse: bool) -> Array:
    width = factor.shape[-1] - 1

    def step(
        before: tuple[Array, ...], row: tuple[Array, Array]
    ) -> tuple[tuple[Array, ...], Array]:
        coefficients, rest = row
        for k in range(1, width + 1):
            rest = rest - coefficients[:, k] * before[k - 1]
        found = rest / coefficients[:, 0]
        return (found, *before)[:width], found

    nothing = (jnp.zeros_like(right[:, 0]),) * width
    return _along_rows(step, nothing, (factor, right), reverse=reverse)


def _shifted_up(factor: Array) -> Array:
    """Return U[t, k] = L[t + k, k], the rows of Lᵀ."""
    columns = [factor[:, :, 0]]
    for k in range(1, factor.shape[-1]):
        columns.append(jnp.pad(factor[:, k:, k], ((0, 0), (0, k))))
    return jnp.stack(columns, axis=-1)


def _along_rows(
    step: Callable[..., Any], carry: Any, rows: Any, *, reverse: bool = False
) -> Array:
    """Run a recursion along axis 1; short ones are written out."""
    number = jax.tree.leaves(rows)[0].shape[1]
    if number > MAX_UNROLLED:
        rows = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), rows)
        return jnp.moveaxis(jax.lax.scan(step, carry, rows, reverse=reverse)[1], 0, 1)
    found = []
    for t in reversed(range(number)) if reverse else range(number):
        carry, row = step(carry, jax.tree.map(lambda x, t=t: x[:, t], rows))
        found.append(row)
    return jnp.stack(found[::-1] if reverse else found, axis=1)

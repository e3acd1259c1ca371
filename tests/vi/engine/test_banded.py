"""Banded Cholesky against NumPy's dense one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vi.engine import banded


def dense_and_bands(rows, width, matrices=3):
    """Random positive definite banded matrices, dense and as lower bands."""
    rng = np.random.default_rng(rows + width)
    lower = np.tril(rng.normal(size=(matrices, rows, rows)))
    i, j = np.indices((rows, rows))
    lower = np.where(i - j <= width, lower, 0.0) + 3 * np.eye(rows)
    dense = lower @ np.swapaxes(lower, 1, 2)
    bands = np.zeros((matrices, rows, width + 1))
    for k in range(width + 1):
        bands[:, k:, k] = np.diagonal(dense, -k, 1, 2)
    return dense, jnp.asarray(bands)


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("rows", "width"), [(1, 0), (3, 2), (12, 1), (11, 3)])
def test_factor_and_solutions_are_those_of_the_dense_matrix(rows, width):
    dense, bands = dense_and_bands(rows, width)
    x = jnp.asarray(np.random.default_rng(1).normal(size=dense.shape[:2]))
    factor = banded.cholesky(bands)
    lower = np.linalg.cholesky(dense)
    for k in range(width + 1):
        np.testing.assert_allclose(factor[:, k:, k], np.diagonal(lower, -k, 1, 2))
    np.testing.assert_allclose(
        banded.solve(factor, x), np.linalg.solve(dense, x[..., None])[..., 0]
    )
    upper = np.swapaxes(lower, 1, 2)
    np.testing.assert_allclose(
        banded.times_upper(factor, x), (upper @ x[..., None])[..., 0]
    )
    np.testing.assert_allclose(
        banded.times_symmetric(bands, x), (dense @ x[..., None])[..., 0]
    )
    np.testing.assert_allclose(
        banded.solve_upper(factor, (upper @ x[..., None])[..., 0]), x
    )
    half = 0.5 * np.sum(np.linalg.slogdet(dense)[1])
    np.testing.assert_allclose(banded.half_log_det(factor), half)


@pytest.mark.thorough
@pytest.mark.usefixtures("x64")
def test_gradient_of_the_log_determinant_is_the_inverse():
    dense, bands = dense_and_bands(12, 1)
    gradient = jax.grad(lambda b: 2 * banded.half_log_det(banded.cholesky(b)))(bands)
    inverse = np.linalg.inv(dense)
    np.testing.assert_allclose(gradient[..., 0], np.diagonal(inverse, 0, 1, 2))
    np.testing.assert_allclose(gradient[:, 1:, 1], 2 * np.diagonal(inverse, -1, 1, 2))


def test_indefinite_matrix_takes_the_magnitude_of_its_pivots():
    factor = banded.cholesky(jnp.array([[[-4.0], [9.0], [0.0]]]))
    np.testing.assert_allclose(factor[0, :2, 0], [2.0, 3.0])
    assert factor[0, 2, 0] > 0

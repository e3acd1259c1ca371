"""Linear response's pieces: the formula, its bound, and the noise taken off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.vi.engine import noise
from vijax.vi.methods import linear_response


def test_covariance_is_the_formula_and_doubles_an_sd_at_most(x64):
    rng = np.random.default_rng(0)
    root = np.tril(rng.normal(size=(3, 3)))
    a = rng.normal(size=(3, 3))
    a = a @ a.T + 3 * np.eye(3)
    third, taken_off = 0.4 * rng.normal(size=(3, 9)), 0.05 * np.eye(3)
    eigenvalues, vectors = np.linalg.eigh(a)

    def found(third, taken_off):
        given = root, eigenvalues, vectors, third, taken_off
        return linear_response.covariance(*(jnp.asarray(x) for x in given))

    half = 0.5 * (third @ third.T - taken_off)
    exact = root @ np.linalg.inv(a - half) @ root.T
    np.testing.assert_allclose(found(third, taken_off), exact, rtol=1e-9)
    # A scale that would run away: each direction is cut at twice its sd.
    without = root @ np.linalg.inv(a) @ root.T
    np.testing.assert_allclose(found(100 * third, 0 * a), 4 * without, rtol=1e-9)


def test_products_average_to_zero_over_whitened_noise(x64, key):
    eps = noise.whitened(jax.random.normal(key, (50, 3)))
    for number in (3, 9):
        products = linear_response.products(eps, number)
        assert products.shape == (50, number)
        np.testing.assert_allclose(jnp.mean(products, axis=0), 0.0, atol=1e-12)


@pytest.mark.thorough
def test_noise_of_the_third_derivatives_is_what_noise_alone_gives(x64, key):
    half, dim = 64, 2

    def one(key):
        first, second = jax.random.split(key)
        eps = jax.random.normal(first, (half, dim))
        eps = jnp.concatenate([eps, -eps])
        rest = jax.random.normal(second, (2 * half, dim)) * jnp.array([1.0, 2.0])
        third = rest.T @ linear_response.products(eps, dim * dim) / (2 * half)
        return third @ third.T, linear_response.third_noise(rest, eps, dim * dim)

    measured, said = jax.jit(jax.vmap(one))(jax.random.split(key, 2000))
    error = np.std(measured, axis=0) / 2000**0.5
    difference = np.mean(measured, axis=0) - np.mean(said, axis=0)
    assert np.all(np.abs(difference) < 4 * error)
    assert np.all(np.diag(error) < 0.1 * np.diag(np.mean(said, axis=0)))

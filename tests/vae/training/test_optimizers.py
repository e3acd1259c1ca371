"""Muon: the polar factor, its first step, and what its epochs are worth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import data
from vijax.vae.models import autoencoders
from vijax.vae.training import muon, train


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_singular_vectors_are_kept_and_values_go_to_one(key, shape):
    # Jordan's coefficients leave singular values between 0.7 and 1.2, from 2e-2 up.
    matrix = np.asarray(jax.random.normal(key, shape), np.float64)
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    values = np.logspace(0, -1.5, 8)
    found = muon.orthogonalise(jnp.asarray((u * values) @ vt, jnp.float32))
    inner = u.T @ np.asarray(found) @ vt.T
    diagonal = np.diag(inner)
    np.testing.assert_allclose(inner, np.diag(diagonal), atol=1e-4)
    assert diagonal.min() > 0.68
    assert diagonal.max() < 1.21


def test_quintic_iterated_on_each_singular_value(key):
    # The same polynomial on numbers, five times, without any matrix.
    values = np.array([1.0, 0.3, 0.05, 1e-3])
    a, b, c = muon.COEFFICIENTS
    expected = values / np.linalg.norm(values)
    for _ in range(muon.NUM_STEPS):
        expected = a * expected + b * expected**3 + c * expected**5
    found = muon.orthogonalise(jnp.diag(jnp.asarray(values, jnp.float32)))
    np.testing.assert_allclose(np.diag(found), expected, rtol=1e-3)


def test_a_zero_gradient_is_a_zero_step():
    np.testing.assert_array_equal(muon.orthogonalise(jnp.zeros((4, 3))), 0)


def test_first_step_of_each_kind_of_leaf(key):
    # Matrices: the polar factor, times sqrt(outputs / inputs) where that is above 1.
    # Others: Adam's first step, the sign, times `vectors`.
    gradient = {
        "kernel": jax.random.normal(key, (4, 16)),
        "convolution": jax.random.normal(key, (3, 3, 2, 5)),
        "bias": jnp.array([3.0, -2e-3]),
    }
    optimizer = muon.scale_by_muon(vectors=0.1)
    steps, state = optimizer.update(gradient, optimizer.init(gradient))
    kernel = 2 * muon.orthogonalise(gradient["kernel"])
    np.testing.assert_allclose(steps["kernel"], kernel, atol=1e-5)
    convolution = muon.orthogonalise(gradient["convolution"].reshape(18, 5))
    np.testing.assert_allclose(
        steps["convolution"].reshape(18, 5), convolution, atol=1e-5
    )
    np.testing.assert_allclose(steps["bias"], [0.1, -0.1], rtol=1e-3)
    assert int(state.step) == 1


def test_fit_takes_the_optimiser_by_name():
    # One step on all images: biases move by 0.1 × learning_rate, as Adam's do.
    images = data.load("digits").train[:64]
    model = autoencoders.autoencoder((8, 8), hidden=(), output="identity")
    start = autoencoders.init(model, jax.random.split(jax.random.key(0))[0])
    settings = {"epochs": 1, "batch_size": 64, "learning_rate": 3e-2}
    trained = train.fit(
        model, jax.random.key(0), images, optimizer="muon", **settings
    ).params.decoder["output"]
    moved = trained["bias"] - start.decoder["output"]["bias"]
    np.testing.assert_allclose(np.abs(moved).max(), 3e-3, rtol=1e-3)
    moved = np.asarray(trained["kernel"] - start.decoder["output"]["kernel"])
    # 2 latents -> 64 outputs: both singular values are 3e-2 × sqrt(32), nearly.
    values = np.linalg.svd(moved, compute_uv=False) / (3e-2 * np.sqrt(32))
    assert 0.68 < values.min() <= values.max() < 1.21
    with pytest.raises(ValueError, match=r"optimizer = 'sgd' .*adam, muon"):
        train.fit(model, jax.random.key(0), images, optimizer="sgd", **settings)

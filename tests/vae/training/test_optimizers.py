"""Muon: the polar factor, its first step, and what its epochs are worth."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from vijax import data
from vijax.vae import models, training
from vijax.vae.training import Muon, muon, optimizers


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


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_one_step_of_a_training():
    # One step on all images: biases move by 0.1 × learning_rate, as Adam's do.
    images = data.load("digits").train[:64]
    model = models.autoencoder((8, 8), hidden=(), output="identity")
    start = models.init(model, jax.random.split(jax.random.key(0))[0])
    settings = {"epochs": 1, "batch_size": 64, "optimizer": Muon(3e-2)}
    trained = training.fit(model, jax.random.key(0), images, **settings).params.decoder[
        "output"
    ]
    moved = trained["bias"] - start.decoder["output"]["bias"]
    np.testing.assert_allclose(np.abs(moved).max(), 3e-3, rtol=1e-3)
    moved = np.asarray(trained["kernel"] - start.decoder["output"]["kernel"])
    # 2 latents -> 64 outputs: both singular values are 3e-2 × sqrt(32), nearly.
    values = np.linalg.svd(moved, compute_uv=False) / (3e-2 * np.sqrt(32))
    assert 0.68 < values.min() <= values.max() < 1.21


@pytest.mark.thorough
def test_matrix_steps_are_those_of_optax(key):
    gradient = {"kernel": jax.random.normal(key, (4, 16))}
    ours = muon.scale_by_muon(beta=0.9)
    theirs = optax.contrib.muon(1.0, beta=0.9)
    states = [optimizer.init(gradient) for optimizer in (ours, theirs)]
    for factor in (1.0, -0.3, 2.0):
        scaled = {"kernel": factor * gradient["kernel"] ** 2}
        found, states[0] = ours.update(scaled, states[0])
        expected, states[1] = theirs.update(scaled, states[1], gradient)
        np.testing.assert_allclose(found["kernel"], -expected["kernel"], atol=2e-3)


@pytest.mark.parametrize("step", [0, 3, 10, 12])
def test_the_rate_on_its_way(step):
    # scale_by_adam's first direction is the gradient's sign; 12 is beyond the end.
    state = optimizers.start(
        jnp.ones(1), training.Adam(0.2, final_fraction=0.1), num_steps=10
    )
    state = state.opt_state._replace(
        inner_state=(
            state.opt_state.inner_state[0],
            optax.ScaleByScheduleState(jnp.asarray(step)),
        )
    )
    transformation = optimizers.transformation("adam")
    updates, _ = transformation.update(jnp.ones(1), state, jnp.ones(1))
    half_cosine = 0.5 * (1 + np.cos(np.pi * min(step, 10) / 10))
    expected = 0.2 * (0.1 + 0.9 * half_cosine)
    np.testing.assert_allclose(updates, [-expected], rtol=1e-4)

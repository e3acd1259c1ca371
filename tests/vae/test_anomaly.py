"""Scores by their definition, and runs in one vmap against runs one by one."""

from functools import partial

import jax
import numpy as np
import pytest

from vijax import data
from vijax.vae import anomaly, ensemble, likelihoods, models, roc


@pytest.fixture(scope="module")
def linear():
    """A linear-Gaussian VAE, whose expectations under q are known."""
    model = models.vae((4,), latent=2, hidden=(), likelihood=likelihoods.gaussian(0.7))
    params = jax.jit(models.init, static_argnums=0)(model, jax.random.key(0))
    return model, params


def test_scores_of_a_linear_gaussian_vae_are_exact(linear):
    model, params = linear
    score = jax.jit(partial(anomaly.scores, model, params, num_samples=4_000))
    x = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    s = score(jax.random.key(2), x)
    q = models.encode(model, params, x)
    kernel, bias = (params.decoder["output"][name] for name in ("kernel", "bias"))
    variance = np.exp(2 * q.log_scale)
    mean = q.loc @ kernel + bias
    # E_q ‖x - W z - b‖² = ‖x - W loc - b‖² + Σ_j scale_j² ‖W_j‖²
    squares = np.sum((x - mean) ** 2, axis=1) + variance @ np.sum(kernel**2, axis=1)
    reconstruction = squares / (2 * 0.7**2) + 2 * np.log(2 * np.pi * 0.7**2)
    kl = 0.5 * np.sum(variance + q.loc**2 - 1 - 2 * q.log_scale, axis=1)
    # 4,000 draws know the first to about 0.05 nats of some 10; 4 such errors.
    np.testing.assert_allclose(s.reconstruction, reconstruction, rtol=0.05)
    np.testing.assert_allclose(s.kl, kl, rtol=1e-5)
    np.testing.assert_allclose(s.negative_elbo, s.reconstruction + s.kl, rtol=1e-6)
    np.testing.assert_allclose(s.latent_norm, np.linalg.norm(q.loc, axis=1), rtol=1e-5)
    for near, far in zip(s, score(jax.random.key(3), x + 50), strict=True):
        assert roc.auc(np.concatenate([near, far]), np.arange(12) >= 6) == 1


@pytest.fixture(scope="module")
def lines():
    """Fit linear autoencoders of one latent to rows along x, along y, along x."""
    model = models.autoencoder((2,), latent=1, hidden=(), output="identity")
    t = np.linspace(-1, 1, 64, dtype=np.float32)
    images = np.concatenate([np.stack([t, 0 * t], 1), np.stack([0 * t, t], 1)])
    rows = np.stack([np.arange(64), np.arange(64, 128), np.arange(64)])
    traces = []

    def make_batch(images, setting):
        traces.append(1)
        return ensemble.Batch(images, setting)

    def fit(seed, learning_rate):
        return ensemble.fit(
            model,
            jax.random.key(seed),
            images,
            rows,
            epochs=60,
            batch_size=16,
            learning_rate=learning_rate,
            make_batch=make_batch,
        )

    return model, images, fit, traces


def test_a_run_sees_its_own_rows_alone(lines):
    model, images, fit, _ = lines
    params = fit(0, 0.03)
    errors = jax.vmap(
        lambda params: anomaly.reconstruction_error(model, params, images)
    )(params)
    encoder, decoder = params.encoder["output"], params.decoder["output"]
    z = images @ encoder["kernel"] + encoder["bias"][:, None]
    decoded = z @ decoder["kernel"] + decoder["bias"][:, None]
    np.testing.assert_allclose(errors, np.mean((decoded - images) ** 2, 2), atol=1e-6)
    own = np.array([[1, 0], [0, 1], [1, 0]], bool).repeat(64, axis=1)
    assert np.mean(errors[own]) < 1e-4
    # Of the other direction nothing is drawn: half the sum of its squares is missing,
    # and what the encoder takes of it is drawn along the wrong one.
    assert np.mean(errors[~own]) > 0.999 * np.mean(images[:64, 0] ** 2) / 2


def test_runs_repeat_by_key_and_differ_among_themselves(lines):
    _, _, fit, traces = lines
    once, again = fit(0, 0.03), fit(0, 0.03)
    for leaf, other in zip(*map(jax.tree.leaves, (once, again)), strict=True):
        np.testing.assert_array_equal(leaf, other)
    kernels = once.encoder["output"]["kernel"]
    assert not np.allclose(kernels[0], kernels[2])  # same rows, another start
    first = len(traces)
    fit(1, 0.01)
    assert len(traces) == first  # another seed and learning rate compile nothing


def test_rows_without_leave_one_class_out():
    labels = data.load("digits").train_labels
    rows = ensemble.rows_without(labels, jax.random.key(0))
    size = len(labels) - np.bincount(labels).max()
    assert rows.shape == (10, size)
    for digit, own in enumerate(rows):
        assert len(np.unique(own)) == size
        assert set(labels[own]) == set(range(10)) - {digit}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([[0, 99]])}, r"rows = 99 .* give 0 to 19"),
        ({"batch_size": 3}, "batch_size = 3 is not valid: give 1 to .*rows of a run"),
        ({"epochs": 0}, "epochs = 0"),
        ({"images": np.full((20, 3), 2.0, np.float32)}, "images"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {
        "images": np.zeros((20, 3), np.float32),
        "rows": np.array([[0, 1]]),
        "epochs": 1,
        "batch_size": 2,
    } | change
    model = models.vae((3,), latent=1, hidden=(4,))
    with pytest.raises(ValueError, match=message):
        ensemble.fit(
            model,
            jax.random.key(0),
            arguments.pop("images"),
            arguments.pop("rows"),
            **arguments,
        )

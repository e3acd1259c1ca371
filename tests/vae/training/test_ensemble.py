"""Runs in one vmap: their rows, their repeatability, their masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import data
from vijax.vae.anomaly import scores
from vijax.vae.models import autoencoders, losses
from vijax.vae.training import ensemble


@pytest.fixture(scope="module")
def lines():
    """Fit linear autoencoders of one latent to rows along x, along y, along x."""
    model = autoencoders.autoencoder((2,), latent=1, hidden=(), output="identity")
    t = np.linspace(-1, 1, 64, dtype=np.float32)
    images = np.concatenate([np.stack([t, 0 * t], 1), np.stack([0 * t, t], 1)])
    rows = np.stack([np.arange(64), np.arange(64, 128), np.arange(64)])
    traces = []
    mse = losses.mean_squared_error(model)

    def loss(*arguments):
        traces.append(1)
        return mse(*arguments)

    def fit(seed, learning_rate):
        return ensemble.fit(
            model,
            jax.random.key(seed),
            images,
            rows,
            epochs=60,
            batch_size=16,
            learning_rate=learning_rate,
            loss=loss,
        )

    return model, images, fit, traces


def test_a_run_sees_its_own_rows_alone(lines):
    model, images, fit, _ = lines
    params = fit(0, 0.03)
    errors = jax.vmap(
        lambda params: scores.reconstruction_error(model, params, images)
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


def test_every_epoch_shuffles_anew():
    # Batches of two leave one of three rows out, whose weights then stay as they are:
    # of one epoch one, of twenty none (but once in 10^9).
    model = autoencoders.autoencoder((3,), latent=1, hidden=(), output="identity")
    images, rows = np.eye(3, dtype=np.float32), np.arange(3)[None]
    one, twenty = (
        ensemble.fit(
            model, jax.random.key(0), images, rows, epochs=epochs, batch_size=2
        ).encoder["output"]["kernel"]
        for epochs in (1, 20)
    )
    assert np.all(one != twenty)


def test_rows_without_leave_one_class_out():
    labels = data.load("digits").train_labels
    rows = ensemble.rows_without(labels, jax.random.key(0))
    size = len(labels) - np.bincount(labels).max()
    assert rows.shape == (10, size)
    for digit, own in enumerate(rows):
        assert len(np.unique(own)) == size
        assert set(labels[own]) == set(range(10)) - {digit}


@pytest.fixture(scope="module")
def wide_and_small():
    """A VAE of three latents with the last one masked, and the one of two."""
    wide = ensemble.masked(autoencoders.vae((4,), latent=3, hidden=()))
    small = autoencoders.vae((4,), latent=2, hidden=())
    params = jax.jit(autoencoders.init, static_argnums=0)(wide, jax.random.key(0))
    encoder, decoder = (part["network"]["output"] for part in params)
    cut = autoencoders.ModelParams(
        {
            "output": {
                "kernel": encoder["kernel"].reshape(4, 2, 3)[:, :, :2].reshape(4, 4),
                "bias": encoder["bias"].reshape(2, 3)[:, :2].reshape(4),
            }
        },
        {"output": decoder | {"kernel": decoder["kernel"][:2]}},
    )
    mask = np.array([1, 1, 0], np.float32)
    params = autoencoders.ModelParams(*(part | {"mask": mask} for part in params))
    return wide, params, small, cut


def test_masked_model_is_the_smaller_one(wide_and_small):
    wide, params, small, cut = wide_and_small
    x = jnp.array(np.random.default_rng(0).random((5, 4)) < 0.5, jnp.float32)
    q, p = autoencoders.encode(wide, params, x), autoencoders.encode(small, cut, x)
    np.testing.assert_allclose(losses.kl_to_prior(q), losses.kl_to_prior(p), rtol=1e-5)
    z = jax.random.normal(jax.random.key(1), (5, 3))
    np.testing.assert_allclose(
        losses.log_likelihood(wide, params, x, z),
        losses.log_likelihood(small, cut, x, z[:, :2]),
        rtol=1e-5,
    )


def test_masked_latents_stay_masked(wide_and_small):
    """Training moves what a mask lets through, and never the mask."""
    wide = wide_and_small[0]
    images = np.random.default_rng(1).random((32, 4)).astype(np.float32)
    masks = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
    params = ensemble.fit(
        wide,
        jax.random.key(0),
        images,
        np.tile(np.arange(32), (2, 1)),
        masks=masks,
        epochs=20,
        batch_size=16,
        learning_rate=0.1,
    )
    for part in params:
        np.testing.assert_array_equal(part["mask"], masks)
    start = jax.jit(autoencoders.init, static_argnums=0)
    for index in range(2):
        key = jax.random.split(jax.random.key(0), (2, 2))[0, index]
        before = start(wide, key).decoder["network"]["output"]["kernel"]
        after = ensemble.run(params, index).decoder["network"]["output"]["kernel"]
        moved = np.any(before != after, axis=1)
        np.testing.assert_array_equal(moved, masks[index] == 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([[0, 99]])}, r"rows = 99 .* give 0 to 19"),
        ({"batch_size": 3}, "batch_size = 3 is not valid: give 1 to .*rows of a run"),
        ({"epochs": 0}, "epochs = 0"),
        ({"masks": np.ones((1, 1), np.float32)}, "masks need a model"),
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
    model = autoencoders.vae((3,), latent=1, hidden=(4,))
    with pytest.raises(ValueError, match=message):
        ensemble.fit(
            model,
            jax.random.key(0),
            arguments.pop("images"),
            arguments.pop("rows"),
            **arguments,
        )

"""Runs in one vmap: their rows, their repeatability, their masks."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import data, optimize
from vijax.vae import models, training
from vijax.vae.anomaly import scores
from vijax.vae.models import bound_terms, losses
from vijax.vae.training import Adam, optimizers, runner


@pytest.fixture(scope="module")
def lines():
    """Fit linear autoencoders of one latent to rows along x, along y, along x."""
    model = models.autoencoder((2,), latent=1, hidden=(), output="identity")
    t = np.linspace(-1, 1, 64, dtype=np.float32)
    images = np.concatenate([np.stack([t, 0 * t], 1), np.stack([0 * t, t], 1)])
    rows = np.stack([np.arange(64), np.arange(64, 128), np.arange(64)])
    traces = []
    mse = losses.mean_squared_error(model)

    def loss(*arguments):
        traces.append(1)
        return mse(*arguments)

    def fit(seed, learning_rate, epochs=60, **settings):
        return training.fit_ensemble(
            model,
            jax.random.key(seed),
            images,
            rows,
            epochs=epochs,
            batch_size=16,
            optimizer=Adam(learning_rate),
            loss=loss,
            **settings,
        )

    return model, images, fit, traces


@pytest.mark.thorough
def test_a_run_sees_its_own_rows_alone(lines):
    model, images, fit, _ = lines
    params = fit(0, 0.03).params
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


@pytest.mark.thorough
def test_runs_repeat_by_key_and_differ_among_themselves(lines):
    _, _, fit, traces = lines
    once, again = fit(0, 0.03).params, fit(0, 0.03).params
    for leaf, other in zip(*map(jax.tree.leaves, (once, again)), strict=True):
        np.testing.assert_array_equal(leaf, other)
    kernels = once.encoder["output"]["kernel"]
    assert not np.allclose(kernels[0], kernels[2])  # same rows, another start
    first = len(traces)
    fit(1, 0.01)
    assert len(traces) == first  # another seed and learning rate compile nothing


@pytest.mark.thorough
def test_one_run_of_many_is_the_run_alone(lines):
    """The same runner: an ensemble's run is `fit` from its start, with its key."""
    model, images, fit, _ = lines
    many = fit(0, 0.03, epochs=3)
    init_key, run_key = jax.random.split(jax.random.key(0), (2, 3))[:, 1]
    alone = optimize.minimize(
        losses.mean_squared_error(model),
        optimizers.start(models.init(model, init_key), Adam(0.03), num_steps=12),
        run_key,
        runner.Data(jnp.asarray(images), jnp.arange(64, 128), jnp.ones(())),
        optimizer=optimizers.transformation("adam"),
        num_chunks=3,
        chunk_size=4,
        make_batches=runner.shuffled_rows(16),
        select=runner.select(),
    )
    state, history = alone
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-5),
        training.take_run(many.params, 1),
        state.params,
    )
    expected = history.loss.reshape(3, 4).mean(axis=1)
    np.testing.assert_allclose(many.loss[:, 1], expected, rtol=1e-5)
    assert many.terms["mse"].shape == many.loss.shape == (3, 3)


class Interrupted(Exception):
    """Stands for whatever ends a run."""


@pytest.mark.thorough
@pytest.mark.parametrize("interrupt_at", [1, 3])
def test_a_resumed_ensemble_ends_the_same_bit_for_bit(lines, tmp_path, interrupt_at):
    fit = lines[2]
    seen = []

    def on_epoch(epoch, params, terms):
        seen.append((epoch, np.array(terms["loss"]), np.array(terms["held_out"])))
        if len(seen) == interrupt_at:
            raise Interrupted

    settings = {
        "epochs": 4,
        "stopping": training.EarlyStopping(first_weight, patience=9),
        "on_epoch": on_epoch,
    }
    saved = {"checkpoint": training.Checkpoint(tmp_path, seconds=0.0)}
    with pytest.raises(Interrupted):
        fit(0, 0.03, **settings, **saved)
    resumed = fit(0, 0.03, **settings, **saved)
    # The interrupted epoch was not saved: it is run again, and seen twice.
    epochs = [*range(1, interrupt_at + 1), *range(interrupt_at, 5)]
    assert [epoch for epoch, _, _ in seen] == epochs
    whole = fit(0, 0.03, **settings)
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)
    found = whole.held_out.argmax(axis=0)
    assert len(set(found)) > 1  # a resumed run has to remember earlier epochs
    np.testing.assert_array_equal(whole.best.epoch, found + 1)
    kernels = whole.best.params.encoder["output"]["kernel"]
    np.testing.assert_array_equal(kernels[:, 0, 0], whole.held_out.max(axis=0))
    for epoch, loss, held_out in seen:
        np.testing.assert_array_equal(loss, whole.loss[epoch - 1])
        np.testing.assert_array_equal(held_out, whole.held_out[epoch - 1])
    with pytest.raises(ValueError, match=r"another run's checkpoint: images and first"):
        fit(1, 0.03, **settings, **saved)


def first_weight(params):
    """Rise in some runs and fall in others, from the parameters of one run."""
    return float(params.encoder["output"]["kernel"][0, 0])


def test_an_ensemble_ends_when_every_run_has_waited(lines):
    # Of the first epoch all are best; no run improves, so patience decides.
    stopping = training.EarlyStopping(lambda params: 0.0, patience=2)
    trained = lines[2](0, 0.03, stopping=stopping)
    assert trained.stopped
    assert trained.loss.shape == trained.held_out.shape == (3, 3)
    assert str(trained).splitlines()[0] == "runs      3"
    assert "2×1, 3 parameters a run" in str(trained)
    assert "0 (0 to 0) at epoch 1" in str(trained)


@pytest.mark.thorough
def test_every_epoch_shuffles_anew():
    # Batches of two leave one of three rows out, whose weights then stay as they are:
    # of one epoch one, of twenty none (but once in 10^9).
    model = models.autoencoder((3,), latent=1, hidden=(), output="identity")
    images, rows = np.eye(3, dtype=np.float32), np.arange(3)[None]
    one, twenty = (
        training.fit_ensemble(
            model, jax.random.key(0), images, rows, epochs=epochs, batch_size=2
        ).params.encoder["output"]["kernel"]
        for epochs in (1, 20)
    )
    assert np.all(one != twenty)


def test_rows_without_leave_one_class_out():
    labels = data.load("digits").train_labels
    rows = training.rows_without(labels, jax.random.key(0), num_images=len(labels))
    with pytest.raises(ValueError, match="give one label for each image"):
        training.rows_without(labels, jax.random.key(0), num_images=len(labels) + 1)
    size = len(labels) - np.bincount(labels).max()
    assert rows.shape == (10, size)
    again, other = (training.rows_without(labels, jax.random.key(i)) for i in (0, 1))
    np.testing.assert_array_equal(rows, again)
    assert np.any(rows != other)
    for digit, own in enumerate(rows):
        assert len(np.unique(own)) == size
        assert set(labels[own]) == set(range(10)) - {digit}


@pytest.fixture(scope="module")
def wide_and_small():
    """A VAE of three latents with the last one masked, and the one of two."""
    wide = training.masked(models.vae((4,), latent=3, hidden=()))
    small = models.vae((4,), latent=2, hidden=())
    params = jax.jit(models.init, static_argnums=0)(wide, jax.random.key(0))
    encoder, decoder = (part["network"]["output"] for part in params[:2])
    cut = models.ModelParams(
        {
            "output": {
                "kernel": encoder["kernel"].reshape(4, 2, 3)[:, :, :2].reshape(4, 4),
                "bias": encoder["bias"].reshape(2, 3)[:, :2].reshape(4),
            }
        },
        {"output": decoder | {"kernel": decoder["kernel"][:2]}},
    )
    mask = np.array([1, 1, 0], np.float32)
    params = models.ModelParams(*(part | {"mask": mask} for part in params[:2]))
    return wide, params, small, cut


@pytest.mark.thorough
def test_masked_model_is_the_smaller_one(wide_and_small):
    wide, params, small, cut = wide_and_small
    x = jnp.array(np.random.default_rng(0).random((5, 4)) < 0.5, jnp.float32)
    q, p = models.encode(wide, params, x), models.encode(small, cut, x)
    np.testing.assert_allclose(
        bound_terms.kl_to_prior(q), bound_terms.kl_to_prior(p), rtol=1e-5
    )
    z = jax.random.normal(jax.random.key(1), (5, 3))
    np.testing.assert_allclose(
        bound_terms.log_likelihood(wide, params, x, z),
        bound_terms.log_likelihood(small, cut, x, z[:, :2]),
        rtol=1e-5,
    )


@pytest.mark.slow
def test_masked_latents_stay_masked(wide_and_small):
    """Training moves what a mask lets through, and never the mask."""
    wide = wide_and_small[0]
    images = np.random.default_rng(1).random((32, 4)).astype(np.float32)
    masks = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
    params = training.fit_ensemble(
        wide,
        jax.random.key(0),
        images,
        np.tile(np.arange(32), (2, 1)),
        masks=masks,
        epochs=20,
        batch_size=16,
        optimizer=Adam(0.1),
    ).params
    for part in params[:2]:
        np.testing.assert_array_equal(part["mask"], masks)
    start = jax.jit(models.init, static_argnums=0)
    for index in range(2):
        key = jax.random.split(jax.random.key(0), (2, 2))[0, index]
        before = start(wide, key).decoder["network"]["output"]["kernel"]
        after = training.take_run(params, index).decoder["network"]["output"]["kernel"]
        moved = np.any(before != after, axis=1)
        np.testing.assert_array_equal(moved, masks[index] == 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([[0, 99]])}, r"rows = 99 .* give 0 to 19"),
        ({"batch_size": 3}, "batch_size = 3 is not valid: give 1 to .*images in a run"),
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
    model = models.vae((3,), latent=1, hidden=(4,))
    with pytest.raises(ValueError, match=message):
        training.fit_ensemble(
            model,
            jax.random.key(0),
            arguments.pop("images"),
            arguments.pop("rows"),
            **arguments,
        )

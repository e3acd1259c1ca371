"""Training: reaches known optima, compiles once, resumes exactly, refuses bad input."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint
import pytest
from sklearn.decomposition import PCA

from vijax import checkpoint, data
from vijax.vae.models import autoencoders, losses
from vijax.vae.training import train

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return data.load("digits").train


def assert_equal(left: train.Trained, right: train.Trained) -> None:
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_linear_autoencoder_reaches_principal_components(digits):
    model = autoencoders.autoencoder((8, 8), latent=2, hidden=(), output="identity")
    trained = train.fit(
        model, jax.random.key(0), digits, epochs=120, learning_rate=3e-2
    )
    flat = digits.reshape(len(digits), -1)
    pca = PCA(2, svd_solver="covariance_eigh").fit(flat)
    best = np.mean((pca.inverse_transform(pca.transform(flat)) - flat) ** 2)
    rebuilt = autoencoders.reconstruct(model, trained.params, digits)
    error = float(np.mean((rebuilt - digits) ** 2))
    assert best <= error + 1e-6 < 1.001 * best


def test_linear_vae_reaches_the_maximum_likelihood(linear_vae):
    # Tipping & Bishop (1999): with s² given, W = U (Λ - s²)^½ maximises the evidence.
    vae = linear_vae
    x = np.asarray(vae.x, np.float64)
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    s2 = 0.5**2
    kept, rest = np.maximum(eigenvalues[:2], s2), eigenvalues[2:]
    best = -0.5 * (
        6 * np.log(2 * np.pi)
        + np.log(kept).sum()
        + 2
        + 4 * np.log(s2)
        + rest.sum() / s2
    )
    trained = train.fit(
        vae.model,
        jax.random.key(1),
        np.tile(x, (40, 1)),
        params=vae.params,
        epochs=60,
        batch_size=50,
        learning_rate=1e-2,
        loss=losses.negative_elbo(vae.model, num_samples=10),
    )
    # The last five epochs have 5 × 2000 × 10 draws of sd 1: an error of 0.003 nats.
    assert vae.log_evidence.mean() < best - 0.2
    assert abs(-trained.loss[-5:].mean() - best) < 0.02


def test_a_second_run_compiles_nothing(digits):
    model = autoencoders.vae((8, 8), hidden=(16,))
    count = 0

    def counted(params, key, batch):
        nonlocal count
        count += 1
        return losses.negative_elbo(model)(params, key, batch)

    def run(seed, **settings):
        settings = {"epochs": 2, "learning_rate": 1e-3} | settings
        return train.fit(
            model, jax.random.key(seed), digits[:256], loss=counted, **settings
        )

    first = run(0)
    traces = count
    others = [
        run(1),
        run(0, epochs=3),
        run(0, learning_rate=2e-3),
        run(0, kl_warm_up=1),
        run(0, final_fraction=0.5),
    ]
    assert count == traces
    assert all(other.loss[-1] != first.loss[-1] for other in others)
    assert_equal(run(0), first)


def test_the_kl_weight_rises_during_the_warm_up(digits):
    model = autoencoders.vae((8, 8), hidden=(16,))
    trained = train.fit(model, jax.random.key(0), digits[:512], epochs=4, kl_warm_up=3)
    terms = trained.terms
    weight = (trained.loss + terms["log_likelihood"]) / terms["kl"]
    np.testing.assert_allclose(weight, [0.25, 0.5, 0.75, 1], rtol=1e-4)


def test_learning_rate_falls_along_half_a_cosine(digits):
    # Without gradient noise Adam's first steps are learning_rate × sign(gradient).
    model = autoencoders.autoencoder((8, 8), hidden=(), output="identity")
    start = autoencoders.init(model, jax.random.split(jax.random.key(0))[0])
    trained = train.fit(
        model,
        jax.random.key(0),
        digits[:64],
        epochs=1,
        batch_size=64,
        learning_rate=3e-3,
    )
    step = trained.params.decoder["output"]["bias"] - start.decoder["output"]["bias"]
    np.testing.assert_allclose(np.abs(step).max(), 3e-3, rtol=1e-3)


def test_stops_when_asked(digits):
    model = autoencoders.autoencoder((8, 8), hidden=(4,))
    seen = []

    def on_epoch(epoch, params, terms):
        seen.append((epoch, terms["mse"]))
        return epoch == 2

    trained = train.fit(model, jax.random.key(0), digits, epochs=5, on_epoch=on_epoch)
    assert [epoch for epoch, _ in seen] == [1, 2]
    np.testing.assert_allclose(trained.terms["mse"], [mse for _, mse in seen])


class Interrupted(Exception):
    """Stands for whatever ends a run."""


def run_with_checkpoint(images, folder, interrupt_at=None):
    model = autoencoders.vae((8, 8), hidden=(16,))

    def on_epoch(epoch, params, terms):
        if epoch == interrupt_at:
            raise Interrupted

    return train.fit(
        model,
        jax.random.key(0),
        images,
        epochs=5,
        kl_warm_up=2,
        on_epoch=on_epoch,
        checkpoint=folder,
        checkpoint_seconds=0.0,
    )


@pytest.mark.parametrize("interrupt_at", [1, 2, 4])
def test_a_run_taken_up_again_ends_the_same_bit_for_bit(digits, tmp_path, interrupt_at):
    images = digits[:256]
    whole = run_with_checkpoint(images, None)
    with pytest.raises(Interrupted):
        run_with_checkpoint(images, tmp_path, interrupt_at)
    assert_equal(run_with_checkpoint(images, tmp_path), whole)
    # Once more: nothing is left to do, and the result is the same.
    assert_equal(run_with_checkpoint(images, tmp_path, interrupt_at=5), whole)


def test_another_runs_checkpoint_is_refused(digits, tmp_path):
    run_with_checkpoint(digits[:256], tmp_path)
    with pytest.raises(ValueError, match="another run's checkpoint: images and first"):
        run_with_checkpoint(digits[256:512], tmp_path)


@pytest.mark.parametrize("final_fraction", [1.0, 0.0])
def test_a_finished_run_goes_on_at_a_constant_rate(digits, tmp_path, final_fraction):
    model = autoencoders.vae((8, 8), hidden=(16,))

    def run(epochs, folder=None):
        return train.fit(
            model,
            jax.random.key(0),
            digits[:256],
            epochs=epochs,
            kl_warm_up=3,
            final_fraction=final_fraction,
            checkpoint=folder,
        )

    run(2, tmp_path)
    if final_fraction < 1:
        message = "learning rate's fall is over 2 epochs there and over 5 epochs here"
        with pytest.raises(ValueError, match=message):
            run(5, tmp_path)
        return
    assert_equal(run(5, tmp_path), run(5))
    with pytest.raises(ValueError, match=r"epochs = 4 .*has a run of 5: give as many"):
        run(4, tmp_path)


def test_a_full_disk_leaves_the_earlier_checkpoint(digits, tmp_path, monkeypatch):
    images = digits[:256]
    with pytest.raises(Interrupted):
        run_with_checkpoint(images, tmp_path, interrupt_at=3)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(orbax.checkpoint.StandardCheckpointer, "save", full)
        with pytest.raises(OSError, match=r"cannot write a checkpoint .*No space left"):
            run_with_checkpoint(images, tmp_path)
    assert checkpoint.latest(tmp_path) == 2
    assert_equal(
        run_with_checkpoint(images, tmp_path), run_with_checkpoint(images, None)
    )


KILLED = """
import os, signal, sys, jax
from vijax import checkpoint, data
from vijax.vae import models, train

def on_epoch(epoch, params, terms):
    if epoch == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

trained = train.fit(
    models.vae((8, 8), hidden=(16,)), jax.random.key(0), data.load("digits").train,
    epochs=6, on_epoch=on_epoch, checkpoint=sys.argv[1], checkpoint_seconds=0.0,
)
print([float.hex(float(x)) for x in jax.flatten_util.ravel_pytree(trained.params)[0]])
"""


@pytest.mark.slow
def test_killed_and_taken_up_again(tmp_path):
    def run(folder, kill_at):
        return subprocess.run(
            [sys.executable, "-c", KILLED, folder, str(kill_at)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )

    whole = run(tmp_path / "whole", 0)
    assert whole.returncode == 0, whole.stderr
    assert run(tmp_path / "killed", 4).returncode == -signal.SIGKILL
    again = run(tmp_path / "killed", 0)
    assert again.stdout == whole.stdout


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs = 0"),
        ({"batch_size": 300}, r"batch_size = 300 .*number of images, 256"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"learning_rate": -1.0}, r"learning_rate = -1.0"),
        ({"kl_warm_up": -1}, "kl_warm_up = -1"),
        ({"final_fraction": -0.5}, "final_fraction = -0.5"),
        (
            {
                "params": autoencoders.init(
                    autoencoders.vae((8, 8), hidden=(5,)), jax.random.key(0)
                )
            },
            r"params.decoder\['Dense_0'\]\['bias'\] is \(5,\), the model's is \(4,\)",
        ),
    ],
)
def test_bad_settings(digits, settings, message):
    model = autoencoders.vae((8, 8), hidden=(4,))
    with pytest.raises(ValueError, match=message):
        train.fit(model, jax.random.key(0), digits[:256], **{"epochs": 1} | settings)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((0, 8, 8)), r"shape \(0, 8, 8\): give \(n, 8, 8\), n >= 1"),
        (np.zeros((5, 28, 28)), r"shape \(5, 28, 28\): give \(n, 8, 8\)"),
        (np.full((200, 8, 8), np.nan), r"images = nan \(at index 0, 0, 0\)"),
        (np.full((200, 8, 8), 16.0), r"images = 16.0 .*divide by the highest level"),
    ],
)
def test_bad_images(images, message):
    with pytest.raises(ValueError, match=message):
        train.fit(
            autoencoders.vae((8, 8), hidden=(4,)), jax.random.key(0), images, epochs=1
        )


def test_a_table_of_any_real_numbers(key):
    x = 100 * jax.random.normal(key, (64, 3))
    model = autoencoders.autoencoder((3,), hidden=(4,), output="identity")
    trained = train.fit(model, key, x, epochs=2, batch_size=32)
    assert trained.num_rejected == 0

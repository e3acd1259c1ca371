"""Training: reaches known optima, compiles once, resumes exactly, refuses bad input."""

import errno
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import orbax.checkpoint
import pytest
from sklearn.decomposition import PCA

from tests.cases import slow_except
from vijax import checkpoint
from vijax.vae import models, training
from vijax.vae.models import losses
from vijax.vae.training import Adam, Checkpoint

ROOT = Path(__file__).resolve().parents[3]


def assert_equal(left: training.Trained, right: training.Trained) -> None:
    jax.tree.map(np.testing.assert_array_equal, left, right)


@pytest.mark.thorough
def test_linear_autoencoder_reaches_principal_components(digits):
    model = models.autoencoder((8, 8), latent=2, hidden=(), output="identity")
    trained = training.fit(
        model, jax.random.key(0), digits, epochs=120, optimizer=Adam(3e-2)
    )
    flat = digits.reshape(len(digits), -1)
    pca = PCA(2, svd_solver="covariance_eigh").fit(flat)
    best = np.mean((pca.inverse_transform(pca.transform(flat)) - flat) ** 2)
    rebuilt = models.reconstruct(model, trained.params, digits)
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
    trained = training.fit(
        vae.model,
        jax.random.key(1),
        np.tile(x, (40, 1)),
        params=vae.params,
        epochs=60,
        batch_size=50,
        optimizer=Adam(1e-2),
        loss=losses.negative_elbo(vae.model, num_samples=10),
    )
    # The last five epochs have 5 × 2000 × 10 draws of sd 1: an error of 0.003 nats.
    assert vae.log_evidence.mean() < best - 0.2
    assert abs(-trained.loss[-5:].mean() - best) < 0.02


@pytest.fixture(scope="module")
def counted(digits, small_vae):
    """Train the VAE on 256 digits with any settings, and count how often it traces."""
    traces = []

    def loss(params, key, batch):
        traces.append(1)
        return losses.negative_elbo(small_vae)(params, key, batch)

    def run(seed=0, **settings):
        settings = {"epochs": 2, "loss": loss} | settings
        return training.fit(small_vae, jax.random.key(seed), digits[:256], **settings)

    return run, traces


@pytest.mark.thorough
def test_a_second_run_compiles_nothing(counted):
    run, traces = counted
    first = run()
    count = len(traces)
    others = [
        run(seed=1),
        run(epochs=3),
        run(optimizer=Adam(2e-3)),
        run(kl_warm_up=1),
        run(optimizer=Adam(final_fraction=0.5)),
    ]
    assert len(traces) == count
    assert all(other.loss[-1] != first.loss[-1] for other in others)
    assert_equal(run(optimizer="adam"), first)


@pytest.mark.thorough
def test_the_kl_weight_rises_during_the_warm_up(counted):
    trained = counted[0](epochs=4, kl_warm_up=3)
    terms = trained.terms
    weight = (trained.loss + terms["log_likelihood"]) / terms["kl"]
    np.testing.assert_allclose(weight, [0.25, 0.5, 0.75, 1], rtol=1e-4)


def test_learning_rate_falls_along_half_a_cosine(digits):
    # Without gradient noise Adam's first steps are learning_rate × sign(gradient).
    model = models.autoencoder((8, 8), hidden=(), output="identity")
    start = models.init(model, jax.random.split(jax.random.key(0))[0])
    trained = training.fit(
        model,
        jax.random.key(0),
        digits[:64],
        epochs=1,
        batch_size=64,
        optimizer=Adam(3e-3),
    )
    step = trained.params.decoder["output"]["bias"] - start.decoder["output"]["bias"]
    np.testing.assert_allclose(np.abs(step).max(), 3e-3, rtol=1e-3)


@pytest.mark.slow
def test_an_optax_transformation_is_taken_as_it_is(counted):
    # Ours at a constant rate is optax.adam, whose state holds no rate.
    run, _ = counted
    ours = run(optimizer=Adam(1e-3, final_fraction=1.0))
    theirs = run(optimizer=optax.adam(1e-3))
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-6)
    other = run(optimizer=optax.sgd(1e-3))
    assert abs(other.loss[-1] - ours.loss[-1]) > 0.1


def test_stops_when_asked(counted):
    seen = []

    def on_epoch(epoch, params, terms):
        seen.append((epoch, terms["kl"]))
        return epoch == 2

    trained = counted[0](epochs=5, on_epoch=on_epoch)
    assert trained.stopped
    assert [epoch for epoch, _ in seen] == [1, 2]
    np.testing.assert_allclose(trained.terms["kl"], [kl for _, kl in seen])


def test_prints_what_a_person_reads(counted, float32):
    trained = counted[0](
        stopping=training.EarlyStopping(lambda params: -1.25, patience=9)
    )
    lines = str(trained).splitlines()
    assert lines[:3] == [
        "encoder           64×16, 16×4, 1,108 parameters",
        "decoder           2×16, 16×64, 1,136 parameters",
        "epochs            2",
    ]
    assert lines[3].startswith(f"loss              {trained.loss[-1]:.4g} (first")
    assert lines[4] == f"  log_likelihood  {trained.terms['log_likelihood'][-1]:.4g}"
    assert lines[6:] == [
        "held out          -1.25 at epoch 1",
        "steps             0 rejected: all finite",
        "verdict           still improving: give more epochs, twice as many to begin "
        "with",
    ]
    assert repr(trained) == str(trained)
    page = trained._repr_html_()
    assert page.count("<tr>") == len(lines)
    assert "1,108 parameters" in page


class Interrupted(Exception):
    """Stands for whatever ends a run."""


@pytest.fixture(scope="module")
def run_with_checkpoint(digits, small_vae):
    """Train on images in a folder, with everything that a checkpoint has to keep."""

    def run(folder, interrupt_at=None, images=digits[:256], **settings):
        def on_epoch(epoch, params, terms):
            if epoch == interrupt_at:
                raise Interrupted

        where = None if folder is None else Checkpoint(folder, seconds=0.0)
        stopping = training.EarlyStopping(held_out, patience=9)
        settings = {"epochs": 5, "kl_warm_up": 2, "stopping": stopping} | settings
        return training.fit(
            small_vae,
            jax.random.key(0),
            images,
            on_epoch=on_epoch,
            checkpoint=where,
            **settings,
        )

    return run


def held_out(params):
    """Fall from the first epoch on: what comes after it cannot be the best."""
    return -np.abs(params.decoder["output"]["bias"]).sum()


@pytest.mark.thorough
@pytest.mark.parametrize("interrupt_at", slow_except({1}, [1, 2, 4]))
def test_a_resumed_run_ends_the_same_bit_for_bit(
    run_with_checkpoint, tmp_path, interrupt_at
):
    whole = run_with_checkpoint(None)
    assert whole.best.epoch == 1
    with pytest.raises(Interrupted):
        run_with_checkpoint(tmp_path, interrupt_at)
    assert_equal(run_with_checkpoint(tmp_path), whole)
    # Once more: nothing is left to do, and the result is the same.
    assert_equal(run_with_checkpoint(tmp_path, interrupt_at=5), whole)


@pytest.mark.thorough
def test_another_runs_checkpoint_is_refused(
    run_with_checkpoint, digits, small_vae, tmp_path
):
    run_with_checkpoint(tmp_path)

    def edited(params, key, batch):
        return losses.negative_elbo(small_vae)(params, key, batch)

    for settings, name in (
        ({"images": digits[256:512]}, "images and first parameters is"),
        ({"loss": losses.negative_elbo(small_vae, beta=2.0)}, "loss is negative_elbo"),
        ({"loss": edited}, "loss is negative_elbo"),
        ({"optimizer": Adam(2e-3)}, r"optimizer is adam there and Adam\(learning_rate"),
        ({"kl_warm_up": 1}, "kl_warm_up is 2 there and 1 here"),
    ):
        with pytest.raises(ValueError, match=f"another run's checkpoint: {name}"):
            run_with_checkpoint(tmp_path, **settings)


LOSS = """
def make(shift):
    def loss(params, key, batch):
        bias = params.decoder["output"]["bias"]
        return FACTOR * 0.5 * (bias - shift - batch.images.mean()) @ bias, {}
    return loss
"""


@pytest.mark.thorough
def test_an_edited_loss_is_refused(run_with_checkpoint, tmp_path):
    """The name stays; the text, a global number or a closure's value changes."""

    def loss_of(text, name, factor=1.0, shift=0.0):
        (tmp_path / f"{name}.py").write_text(text)
        spec = importlib.util.spec_from_file_location("mine", tmp_path / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        module.FACTOR = factor
        spec.loader.exec_module(module)
        return module.make(shift)

    def run(loss):
        return run_with_checkpoint(tmp_path / "run", loss=loss, epochs=1, kl_warm_up=0)

    first = run(loss_of(LOSS, "a"))
    assert_equal(run(loss_of(LOSS, "b")), first)
    for edited in (
        loss_of(LOSS.replace("0.5", "0.25"), "c"),
        loss_of(LOSS, "d", factor=2.0),
        loss_of(LOSS, "e", shift=0.5),
    ):
        with pytest.raises(ValueError, match="another run's checkpoint: loss is make"):
            run(edited)


@pytest.mark.thorough
@pytest.mark.parametrize("final_fraction", [1.0, 0.0])
def test_a_finished_run_goes_on_at_a_constant_rate(
    run_with_checkpoint, tmp_path, final_fraction
):
    def run(epochs, folder=None):
        optimizer = Adam(final_fraction=final_fraction)
        return run_with_checkpoint(folder, epochs=epochs, optimizer=optimizer)

    run(2, tmp_path)
    if final_fraction < 1:
        message = "learning rate's fall is over 2 epochs there and over 5 epochs here"
        with pytest.raises(ValueError, match=message):
            run(5, tmp_path)
        return
    assert_equal(run(5, tmp_path), run(5))
    with pytest.raises(ValueError, match=r"epochs = 4 .*has a run of 5: give as many"):
        run(4, tmp_path)


@pytest.mark.thorough
def test_a_full_disk_leaves_the_earlier_checkpoint(
    run_with_checkpoint, tmp_path, monkeypatch
):
    with pytest.raises(Interrupted):
        run_with_checkpoint(tmp_path, interrupt_at=3)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(orbax.checkpoint.StandardCheckpointer, "save", full)
        with pytest.raises(OSError, match=r"cannot write a checkpoint .*No space left"):
            run_with_checkpoint(tmp_path)
    assert checkpoint.latest(tmp_path) == 2
    assert_equal(run_with_checkpoint(tmp_path), run_with_checkpoint(None))


KILLED = """
import os, signal, sys, jax
from vijax import data
from vijax.vae import models, training

def on_epoch(epoch, params, terms):
    if epoch == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

trained = training.fit(
    models.vae((8, 8), hidden=(16,)), jax.random.key(0), data.load("digits").train,
    epochs=6, on_epoch=on_epoch, checkpoint=training.Checkpoint(sys.argv[1], 0.0),
)
print([float.hex(float(x)) for x in jax.flatten_util.ravel_pytree(trained.params)[0]])
"""


@pytest.mark.slow
def test_killed_and_resumed(tmp_path):
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
        ({"batch_size": 300}, r"batch_size = 300 .*images in a run, 256"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"kl_warm_up": -1}, "kl_warm_up = -1"),
        ({"optimizer": "sgd"}, "optimizer = 'sgd' .*adam, muon"),
        (
            {"params": models.init(models.vae((8, 8), hidden=(5,)), jax.random.key(0))},
            r"params.decoder\['Dense_0'\]\['bias'\] is \(5,\), the model's is \(4,\)",
        ),
    ],
)
def test_bad_settings(digits, settings, message):
    model = models.vae((8, 8), hidden=(4,))
    with pytest.raises(ValueError, match=message):
        training.fit(model, jax.random.key(0), digits[:256], **{"epochs": 1} | settings)


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
        training.fit(
            models.vae((8, 8), hidden=(4,)), jax.random.key(0), images, epochs=1
        )


@pytest.mark.parametrize("kind", [training.Adam, training.Muon])
def test_bad_learning_rates(kind):
    with pytest.raises(ValueError, match=r"learning_rate = -1.0"):
        kind(-1.0)
    with pytest.raises(ValueError, match=r"final_fraction = -0.5"):
        kind(final_fraction=-0.5)


@pytest.mark.thorough
def test_a_table_of_any_real_numbers(key):
    x = 100 * jax.random.normal(key, (64, 3))
    model = models.autoencoder((3,), hidden=(4,), output="identity")
    with pytest.warns(RuntimeWarning, match="networks learn from numbers near 1"):
        trained = training.fit(model, key, x, epochs=2, batch_size=32)
    assert trained.num_rejected == 0

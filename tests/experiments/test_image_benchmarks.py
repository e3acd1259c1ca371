"""The benchmarks of models and detectors of images, small."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from experiments import common
from experiments.benchmarks import deep_ladder, one_class, stochastic_layers
from vijax import data, vae
from vijax.vae.command_line import commands


def test_the_nearest_image_of_a_class_is_found():
    digits = data.load("digits")
    own = digits.train[digits.train_labels == 3]
    found = one_class.nearest_distance(own, digits.test[:50])
    exact = np.sum((digits.test[:50, None] - own) ** 2, axis=(2, 3)).min(axis=1)
    np.testing.assert_allclose(found, exact, atol=1e-3)
    area = roc_auc_score(
        digits.test_labels != 3, one_class.nearest_distance(own, digits.test)
    )
    assert area > 0.95


@pytest.mark.slow
def test_every_class_is_the_one_in_turn(tmp_path):
    config = one_class.Config(trainings=2, steps=20)
    record = common.execute("one_class", config, one_class.run, tmp_path)
    metrics = record["metrics"]
    assert len(metrics["detector"]["auc"]) == 10
    assert metrics["nearest image"]["mean_auc"] > 0.97
    assert 0.5 < metrics["detector"]["mean_auc"] < 1
    assert metrics["published_mean_auc"] is None  # of the digits


@pytest.mark.slow
def test_a_class_is_left_out(tmp_path):
    config = one_class.Config(
        trainings=2, steps=60, left_out=True, images=400, classes=(0, 6)
    )
    metrics = common.execute("left_out", config, one_class.run, tmp_path)["metrics"]
    assert metrics["classes"] == [0, 6]
    # The other way round the areas would be below one half.
    assert min(metrics["nearest image"]["auc"]) > 0.8
    assert min(metrics["detector"]["auc"]) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("ladder", [True, False])
def test_two_layers_are_trained_in_two_stages(tmp_path, ladder):
    config = stochastic_layers.Config(
        dataset="digits",
        latents=(3, 2),
        widths=(16, 8),
        ladder=ladder,
        components=4 if ladder else 0,
        num_samples=3,
        epochs=1,
        epochs_before=2,
        evaluation_samples=50,
        max_evaluated=40,
        runs=tmp_path / "runs",
    )
    record = common.execute("layers", config, stochastic_layers.run, tmp_path)
    metrics = record["metrics"]
    assert metrics["images"] == 40
    assert metrics["test_elbo"] < metrics["log_evidence"] < -10
    assert (tmp_path / "runs" / "model.npz").is_file()
    assert len(metrics["train_bound"]) == 1


@pytest.mark.slow
def test_a_deep_ladder_is_trained_saved_and_compresses(tmp_path):
    config = deep_ladder.Config(
        dataset="digits",
        groups=(2, 1),
        latents=(1, 2),
        channels=16,
        width=8,
        dtype=None,
        epochs=6,
        every=2,
        batch_size=100,
        warm_up=1,
        evaluation_samples=50,
        max_evaluated=40,
        runs=tmp_path,
    )
    metrics = common.execute("deep", config, deep_ladder.run, tmp_path)["metrics"]
    assert metrics["images"] == 40
    assert metrics["best_epoch"] in (2, 4, 6)
    assert metrics["test_elbo"] < metrics["log_evidence"] < 0
    assert metrics["held_out_elbo"] > -64 * np.log(2)  # of pixels by coin
    assert vae.load(tmp_path / "model.npz").model.latent == 2 * 16 + 2 * 4
    bits = (data.load("digits").test[:20] > 0.5).astype(np.float32)
    np.save(tmp_path / "x.npy", bits)
    commands.compress(tmp_path / "model.npz", tmp_path / "x.npy", tmp_path / "x.vx")
    commands.decompress(tmp_path / "model.npz", tmp_path / "x.vx", tmp_path / "y.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), bits)

"""The benchmarks of models and detectors of images, small."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from experiments import common
from experiments.benchmarks import one_class, stochastic_layers
from vijax import data


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

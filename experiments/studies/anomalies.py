"""The lecture's anomaly detection: leave out each class in turn, and find it."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from vijax.data import Dataset
from vijax.plot.vae import use_cases as plot
from vijax.types import Key
from vijax.vae import anomaly, training
from vijax.vae.anomaly import stroke_codes
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, ModelParams

RECONSTRUCTION, KL, BOUND = "reconstruction", "KL", "−ELBO"
COMPLEXITY, PRODUCT = "−ELBO − complexity", "share × distance"
# In the report's order.
SCORES = (RECONSTRUCTION, KL, BOUND, COMPLEXITY, PRODUCT)
PRIMARY = BOUND  # chosen beforehand: the bound on -log p(x)
FALSE_POSITIVES = 0.05
RATES = np.linspace(0, 1, 201)  # of background called anomalous, on the ROC curves
NEIGHBOURS = 3000  # training images that a latent's nearest one is sought among


class Finders(NamedTuple):
    """VAEs that have not seen a class, and one that has seen all."""

    model: VAE
    params: ModelParams  # (classes + 1, ...), the last has seen all
    rows: np.ndarray  # (classes + 1, rows), the images that each has seen

    @property
    def all_params(self) -> ModelParams:
        """Of the VAE that has seen all classes."""
        return training.take_run(self.params, -1)

    @property
    def without(self) -> tuple[ModelParams, np.ndarray]:
        """Of the VAEs that miss a class: parameters and rows, (classes, ...) each."""
        return jax.tree.map(lambda leaf: leaf[:-1], (self.params, self.rows))


def fit(
    dataset: Dataset,
    key: Key,
    *,
    latent: int,
    hidden: tuple[int, ...],
    steps: int,
    **options: Any,
) -> Finders:
    """Train them all in one vmap, on equally many images.

    Args:
        dataset: labelled images.
        key: random key.
        latent: latents of every VAE.
        hidden: widths of the encoders' hidden layers.
        steps: of optimisation, for each VAE.
        **options: of `training.fit_ensemble`.
    """
    row_key, fit_key, any_key = (jax.random.fold_in(key, i) for i in range(3))
    without = training.rows_without(
        dataset.train_labels, row_key, num_images=len(dataset.train)
    )
    anything = np.asarray(jax.random.permutation(any_key, len(dataset.train)))
    rows = np.stack([*without, anything[: without.shape[1]]])
    model = autoencoders.vae(dataset.train.shape[1:], latent=latent, hidden=hidden)
    trained = training.fit_ensemble(
        model,
        fit_key,
        dataset.train,
        rows,
        epochs=training.num_epochs(rows.shape[1], steps, options["batch_size"]),
        description="VAEs",
        **options,
    )
    return Finders(model, trained.params, rows)


def study(
    finders: Finders, dataset: Dataset, binary: Array, key: Key
) -> tuple[dict[str, Any], dict[str, Figure], np.ndarray]:
    """Score the test images with every VAE and measure how well its class is found.

    Args:
        finders: the VAEs.
        dataset: labelled images.
        binary: its test images, binarised once.
        key: random key.

    Returns:
        Metrics, figures, and each test image's -ELBO under the VAE that has seen all.
    """
    score_key, bootstrap_key = (jax.random.fold_in(key, i) for i in range(2))
    masks = anomaly.class_masks(dataset.train_labels, dataset.test_labels)
    every = anomaly.scores_by_model(finders.model, finders.params, score_key, binary)
    bound = np.asarray(every.negative_elbo)[:-1]
    params, rows = finders.without
    share, distance = anomaly.distances_by_model(
        finders.model, params, rows[:, :NEIGHBOURS], dataset.train, dataset.test
    )
    scores = {
        RECONSTRUCTION: every.reconstruction[:-1],
        KL: every.kl[:-1],
        BOUND: bound,
        COMPLEXITY: bound - np.asarray(stroke_codes.complexity(binary)),
        PRODUCT: share**0.5 * distance,
    }
    found = anomaly.class_areas(
        bootstrap_key, scores, masks, false_positive_rates=RATES
    )
    at = np.searchsorted(RATES, FALSE_POSITIVES)
    primary = found[PRIMARY]
    ink = np.asarray(binary).mean(axis=(1, 2))
    classes = np.unique(np.asarray(dataset.train_labels))
    metrics = {
        "classes": classes,
        "anomaly_auc": primary.auc,
        "anomaly_auc_standard_error": primary.auc_standard_error,
        "mean_auc": primary.mean_auc,
        "mean_auc_standard_error": primary.mean_auc_standard_error,
        "auc_by_score": {name: area_metrics(one) for name, one in found.items()},
        "best_score": max(found, key=lambda name: found[name].mean_auc),
        "false_positive_rate": FALSE_POSITIVES,
        "true_positive_rate": primary.true_positive_rate[:, at],
        "true_positive_rate_standard_error": (
            primary.true_positive_rate_standard_error[:, at]
        ),
        "negative_elbo_left_out": class_means(bound, masks),
        "negative_elbo_kept": class_means(bound, ~masks),
        "ink": [ink[mask].mean() for mask in masks],  # share of black pixels
    }
    figure = plot.classes_left_out(
        np.tile(RATES, (len(classes), 1)),
        primary.true_positive_rate,
        {name: one.auc for name, one in found.items()},
        {name: one.auc_standard_error for name, one in found.items()},
        names=[str(label) for label in classes],
        shown=PRIMARY,
    )
    return metrics, {"anomaly": figure}, np.asarray(every.negative_elbo)[-1]


def area_metrics(found: anomaly.ClassAreas) -> dict[str, Any]:
    """Return a score's areas, without its curve, for metrics.json."""
    curve = ("true_positive_rate", "true_positive_rate_standard_error")
    return {name: v for name, v in found._asdict().items() if name not in curve}


def class_means(values: np.ndarray, masks: np.ndarray) -> list[float]:
    """Return each row's mean over its own mask; (classes, images) both."""
    return [row[mask].mean() for row, mask in zip(values, masks, strict=True)]

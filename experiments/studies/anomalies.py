"""Anomaly detection: leave each class out in turn and measure how well it is found."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from experiments.studies import classes_out
from vijax.data import Dataset
from vijax.metrics import roc
from vijax.metrics.bootstrap import with_bootstrap_error
from vijax.plot import use_cases as plot
from vijax.types import Key
from vijax.vae import training
from vijax.vae.anomaly import scores as anomaly
from vijax.vae.anomaly import stroke_codes
from vijax.vae.models import autoencoders
from vijax.vae.models.autoencoders import VAE, ModelParams

# The last is classes_out.PRODUCT, spelt out.
SCORES = ("reconstruction", "KL", "−ELBO", classes_out.COMPLEXITY, "share × distance")
PRIMARY = SCORES.index("−ELBO")  # chosen beforehand: the bound on -log p(x)
FALSE_POSITIVES = 0.05
RATES = np.linspace(0, 1, 201)  # of background called anomalous, on the ROC curves
NUM_SAMPLES = 8  # draws of z for a score
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
    row_key, fit_key = (jax.random.fold_in(key, i) for i in range(2))
    without = training.rows_without(dataset.train_labels, row_key)
    rng = np.random.default_rng(int(jax.random.bits(key)))
    anything = rng.permutation(len(dataset.train))[: without.shape[1]]
    rows = np.stack([*without, anything])
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
    classes = np.unique(np.asarray(dataset.train_labels))
    masks = np.asarray(dataset.test_labels) == classes[:, None]
    every = np.asarray(_scores(finders.model, finders.params, score_key, binary))
    bound = every[PRIMARY, :-1]
    params, rows = finders.without
    share, distance = classes_out.distances(
        finders.model, params, dataset, rows[:, :NEIGHBOURS]
    )
    others = bound - stroke_codes.complexity(binary), share**0.5 * distance
    scores = np.concatenate([every[:, :-1], others])  # (scores, classes, images)
    # One weight for each test image, in all areas at once: they share the images.
    found, spread = with_bootstrap_error(
        bootstrap_key, _measure, len(binary), scores, masks, num_resamples=100
    )
    areas, at = found["auc"], np.searchsorted(RATES, FALSE_POSITIVES)
    by_score = {
        name: {
            "auc": areas[i],
            "auc_standard_error": spread["auc"][i],
            "mean_auc": found["mean_auc"][i],
            "mean_auc_standard_error": spread["mean_auc"][i],
        }
        for i, name in enumerate(SCORES)
    }
    is_anomaly = masks
    ink = np.asarray(binary).mean(axis=(1, 2))
    metrics = {
        "classes": classes,
        "anomaly_auc": areas[PRIMARY],
        "anomaly_auc_standard_error": spread["auc"][PRIMARY],
        "mean_auc": by_score[SCORES[PRIMARY]]["mean_auc"],
        "mean_auc_standard_error": spread["mean_auc"][PRIMARY],
        "auc_by_score": by_score,
        "best_score": max(by_score, key=lambda name: by_score[name]["mean_auc"]),
        "false_positive_rate": FALSE_POSITIVES,
        "true_positive_rate": found["rates"][:, at],
        "true_positive_rate_standard_error": spread["rates"][:, at],
        "negative_elbo_left_out": _means(bound, is_anomaly),
        "negative_elbo_kept": _means(bound, ~is_anomaly),
        "ink": [ink[mask].mean() for mask in is_anomaly],  # share of black pixels
    }
    figure = plot.classes_left_out(
        np.tile(RATES, (len(classes), 1)),
        found["rates"],
        dict(zip(SCORES, areas, strict=True)),
        dict(zip(SCORES, spread["auc"], strict=True)),
        names=[str(label) for label in classes],
        shown=SCORES[PRIMARY],
    )
    return metrics, {"anomaly": figure}, every[PRIMARY, -1]


@partial(jax.jit, static_argnums=0)
def _scores(model: VAE, params: ModelParams, key: Key, x: Array) -> Array:
    def one(params: ModelParams) -> Array:
        found = anomaly.anomaly_scores(model, params, key, x, num_samples=NUM_SAMPLES)
        return jnp.stack([found.reconstruction, found.kl, found.negative_elbo])

    return jnp.moveaxis(jax.lax.map(one, params), 0, 1)  # (scores, runs, images)


def _measure(weights: Array, scores: Array, masks: Array) -> dict[str, Array]:
    def one(scores: Array, mask: Array) -> tuple[Array, Array]:
        curve = roc.roc_curve(scores, mask, weights)
        rates = roc.true_positive_rate(curve, jnp.asarray(RATES))
        return roc.auc(scores, mask, weights), rates

    areas, rates = jax.vmap(jax.vmap(one), in_axes=(0, None))(scores, masks)
    return {"auc": areas, "mean_auc": areas.mean(axis=1), "rates": rates[PRIMARY]}


def _means(values: np.ndarray, masks: np.ndarray) -> list[float]:
    return [row[mask].mean() for row, mask in zip(values, masks, strict=True)]

"""Anomaly detection: leave each class out in turn and measure how well it is found."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from vijax.data import Dataset
from vijax.plot import use_cases as plot
from vijax.types import Key
from vijax.vae import anomaly, ensemble, models, roc
from vijax.vae.bootstrap import bootstrap
from vijax.vae.models import VAE, ModelParams

SCORES = ("reconstruction", "KL", "−ELBO", "−log p(x)", "latent norm")
PRIMARY = SCORES.index("−ELBO")  # chosen beforehand: the bound on -log p(x)
FALSE_POSITIVES = 0.05


class Finders(NamedTuple):
    """VAEs that have not seen a class, and one that has seen all."""

    model: VAE
    params: ModelParams  # (runs, ...), a run for each class in turn
    all_params: ModelParams  # of the VAE that has seen all classes


def fit(
    dataset: Dataset,
    key: Key,
    *,
    latent: int,
    all_latent: int,
    hidden: tuple[int, ...],
    steps: int,
    **options: Any,
) -> Finders:
    """Train them all in one vmap, on equally many images.

    Args:
        dataset: labelled images.
        key: random key.
        latent: latents of the VAEs that miss a class.
        all_latent: latents of the VAE that does not.
        hidden: widths of the encoders' hidden layers.
        steps: of optimisation, for each VAE.
        **options: of `ensemble.fit`.
    """
    row_key, all_key, fit_key = jax.random.split(key, 3)
    without = ensemble.rows_without(dataset.train_labels, row_key)
    anything = jax.random.permutation(all_key, len(dataset.train))
    rows = np.stack([*without, np.asarray(anything)[: without.shape[1]]])
    latents = [latent] * len(without) + [all_latent]
    model = ensemble.masked(
        models.vae(dataset.train.shape[1:], latent=max(latents), hidden=hidden)
    )
    params = ensemble.fit(
        model,
        fit_key,
        dataset.train,
        rows,
        masks=ensemble.masks(latents),
        epochs=ensemble.epochs(rows.shape[1], steps, options["batch_size"]),
        description="VAEs",
        **options,
    )
    return Finders(
        model,
        jax.tree.map(lambda leaf: leaf[:-1], params),
        ensemble.run(params, -1),
    )


def study(
    finders: Finders, dataset: Dataset, binary: Array, key: Key
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Score the test images with every VAE and measure how well its class is found.

    Args:
        finders: the VAEs.
        dataset: labelled images.
        binary: its test images, binarised once.
        key: random key.

    Returns:
        Metrics and figures.
    """
    score_key, bootstrap_key = jax.random.split(key)
    classes = np.unique(np.asarray(dataset.train_labels))
    masks = jnp.asarray(dataset.test_labels == classes[:, None])
    scores = _scores(
        finders.model, finders.params, score_key, binary
    )  # (scores, classes, images)
    areas, rates, curves = jax.tree.map(np.asarray, _areas(scores, masks))
    # One weight for each test image, in all areas at once: they share the images.
    draws = bootstrap(bootstrap_key, _resampled, len(binary), scores, masks)
    spread = {name: np.std(values, axis=0, ddof=1) for name, values in draws.items()}
    by_score = {
        name: {
            "auc": areas.value[i],
            "auc_standard_error": areas.standard_error[i],
            "mean_auc": areas.value[i].mean(),
            "mean_auc_standard_error": spread["mean_auc"][i],
        }
        for i, name in enumerate(SCORES)
    }
    loss, is_anomaly = np.asarray(scores[PRIMARY]), np.asarray(masks)
    ink = np.asarray(binary).mean(axis=(1, 2))
    metrics = {
        "classes": classes,
        "anomaly_auc": areas.value[PRIMARY],
        "anomaly_auc_standard_error": areas.standard_error[PRIMARY],
        "mean_auc": by_score[SCORES[PRIMARY]]["mean_auc"],
        "mean_auc_standard_error": spread["mean_auc"][PRIMARY],
        "auc_by_score": by_score,
        "best_score": max(by_score, key=lambda name: by_score[name]["mean_auc"]),
        "false_positive_rate": FALSE_POSITIVES,
        "true_positive_rate": rates[PRIMARY],
        "true_positive_rate_standard_error": spread["rate"][PRIMARY],
        "negative_elbo_left_out": _means(loss, is_anomaly),
        "negative_elbo_kept": _means(loss, ~is_anomaly),
        "ink": [ink[mask].mean() for mask in is_anomaly],  # share of black pixels
    }
    figure = plot.anomaly(
        curves.false_positive_rate[PRIMARY],
        curves.true_positive_rate[PRIMARY],
        dict(zip(SCORES, areas.value, strict=True)),
        dict(zip(SCORES, areas.standard_error, strict=True)),
        names=[str(label) for label in classes],
        shown=SCORES[PRIMARY],
    )
    return metrics, {"anomaly": figure}


@partial(jax.jit, static_argnums=0)
def _scores(model: VAE, params: ModelParams, key: Key, x: Array) -> Array:
    def one(params: ModelParams) -> anomaly.Scores:
        return anomaly.scores(model, params, key, x)

    return jnp.stack(jax.vmap(one)(params))


@jax.jit
def _areas(scores: Array, masks: Array) -> tuple[roc.AUC, Array, roc.ROC]:
    def one(scores: Array, mask: Array) -> tuple[roc.AUC, Array, roc.ROC]:
        curve = roc.curve(scores, mask)
        rate = roc.true_positive_rate(curve, FALSE_POSITIVES)
        return roc.auc_with_error(scores, mask), rate, curve

    return jax.vmap(jax.vmap(one), in_axes=(0, None))(scores, masks)


def _resampled(weights: Array, scores: Array, masks: Array) -> dict[str, Array]:
    def one(scores: Array, mask: Array) -> tuple[Array, Array]:
        curve = roc.curve(scores, mask, weights)
        rate = roc.true_positive_rate(curve, FALSE_POSITIVES)
        return roc.auc(scores, mask, weights), rate

    areas, rates = jax.vmap(jax.vmap(one), in_axes=(0, None))(scores, masks)
    return {"mean_auc": areas.mean(axis=1), "rate": rates}


def _means(values: np.ndarray, masks: np.ndarray) -> list[float]:
    return [row[mask].mean() for row, mask in zip(values, masks, strict=True)]

"""Images with a class left out: which score finds it, and why a likelihood may not."""

from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from vijax.data import Dataset
from vijax.metrics import roc
from vijax.metrics.bootstrap import with_bootstrap_error
from vijax.plot import anomaly_detection as plot
from vijax.types import Key
from vijax.vae import training
from vijax.vae.anomaly import scores as anomaly
from vijax.vae.anomaly import stroke_codes
from vijax.vae.models import autoencoders, likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams

BOUND, COMPLEXITY, LOCAL = "−ELBO", "−ELBO − complexity", "−ELBO − local code"
SHARE, LATENT, PRODUCT = "share unexplained", "latent distance", "their product"
# Tonnaer's thesis, p. 41: MNIST in greys, -ELBO of a VAE of two latents with a Gaussian
# likelihood of scale 1/√2, digits 0 to 9.
PUBLISHED = (0.96, 0.73, 0.97, 0.94, 0.73, 0.92, 0.95, 0.77, 0.92, 0.66)


class Settings(NamedTuple):
    """Of the VAEs, one for each class, which it has not seen; None: by image size."""

    latent: int | None
    hidden: tuple[int, ...]  # widths of the encoders' hidden layers
    steps: int | None  # of optimisation


def study(
    dataset: Dataset, key: Key, settings: Settings
) -> tuple[dict[str, Any], Figure]:
    """Train without each class, score the test images, measure how well it is found.

    Args:
        dataset: labelled images.
        key: random key.
        settings: of the VAEs.
    """
    keys = [jax.random.fold_in(key, i) for i in range(5)]
    classes = np.unique(np.asarray(dataset.train_labels))
    masks = np.asarray(dataset.test_labels) == classes[:, None]
    rows = training.rows_without(dataset.train_labels, keys[1])
    binary = likelihoods.binarize(keys[0], jnp.asarray(dataset.test))
    complexity = np.tile(stroke_codes.complexity(binary), (len(classes), 1))
    local = local_costs(dataset, binary, keys[3])
    model, params = fit(dataset, rows, keys[2], settings)
    bound = bounds(model, params, binary, keys[4])
    share, latent = distances(model, params, dataset, rows)
    panels = {
        "Likelihoods": {
            BOUND: bound,
            COMPLEXITY: bound - complexity,
            LOCAL: bound - local,
        },
        "Distances": {SHARE: share, LATENT: latent, PRODUCT: share**0.5 * latent},
    }
    results = areas(panels, masks, keys[3])
    best = max(results, key=lambda name: results[name]["mean_auc"])
    ink = np.asarray(dataset.test).mean(axis=(1, 2))
    every = {
        "ink": np.tile(ink, (len(classes), 1)),
        "complexity": complexity,
        "local_code": local,
        "bound": bound,
        "share": share,
        "distance": latent,
    }
    published = PUBLISHED if dataset.name == "mnist" else None
    metrics = {
        "classes": classes,
        "latent": model.latent,
        "left_out": {name: _means(values, masks) for name, values in every.items()},
        "kept": {name: _means(values, ~masks) for name, values in every.items()},
        "published_auc": published,
        "scores": results,
        "best": {"score": best} | results[best],
    }
    shown = {
        title: {
            name: (results[name]["auc"], results[name]["auc_standard_error"])
            for name in panel
        }
        for title, panel in panels.items()
    }
    names = [str(label) for label in classes]
    return metrics, plot.auc_by_class(shown, names=names, published=published)


def fit(
    dataset: Dataset, rows: np.ndarray, key: Key, settings: Settings
) -> tuple[VAE, ModelParams]:
    """Train a VAE of binary pixels on each set of rows, all in one vmap."""
    small = prod(dataset.train.shape[1:]) < 400
    batch_size = min(64 if small else 1000, rows.shape[1])
    steps = settings.steps or (1500 if small else 270)
    model = autoencoders.vae(
        dataset.train.shape[1:],
        latent=settings.latent or (8 if small else 16),
        hidden=settings.hidden,
        activation="silu",
    )
    trained = training.fit_ensemble(
        model,
        key,
        dataset.train,
        rows,
        epochs=training.num_epochs(rows.shape[1], steps, batch_size),
        batch_size=batch_size,
        optimizer=training.Adam(8e-3) if small else training.Muon(0.08),
        description="one class out",
    )
    return model, trained.params


def bounds(model: VAE, params: ModelParams, x: Array, key: Key) -> np.ndarray:
    """Return the -ELBO of each image under every VAE, (classes, images)."""

    @jax.jit
    def over_classes(params: ModelParams, x: Array) -> Array:
        def one(params: ModelParams) -> Array:
            return anomaly.anomaly_scores(
                model, params, key, x, num_samples=8
            ).negative_elbo

        return jax.lax.map(one, params)

    return np.asarray(over_classes(params, x))


def distances(
    model: VAE, params: ModelParams, dataset: Dataset, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what every VAE cannot draw, and how far it puts each image from all.

    Grey images: nothing is drawn at random here.
    """

    @jax.jit
    def over_classes(
        params: ModelParams, rows: Array, train: Array, x: Array
    ) -> tuple[Array, Array]:
        def one(run: tuple[ModelParams, Array]) -> tuple[Array, Array]:
            params, rows = run
            share = anomaly.unexplained_share(model, params, x)
            return share, anomaly.latent_distance(model, params, x, train[rows])

        return jax.lax.map(one, (params, rows))

    train, x = (jnp.asarray(y, jnp.float32) for y in (dataset.train, dataset.test))
    share, latent = over_classes(params, jnp.asarray(rows), train, x)
    return np.asarray(share), np.asarray(latent)


def local_costs(dataset: Dataset, x: Array, key: Key) -> np.ndarray:
    """Return what the test images cost in local codes, each without a class."""
    some = np.asarray(dataset.train[:20_000])
    labels = np.asarray(dataset.train_labels)[: len(some)]
    train = np.asarray(likelihoods.binarize(key, jnp.asarray(some)))
    counts = np.stack(
        [
            stroke_codes.count_patterns(train[labels == label])
            for label in np.unique(labels)
        ]
    )
    left = counts.sum(axis=0) - counts
    return np.stack([np.asarray(stroke_codes.local_code(own, x)) for own in left])


def areas(
    panels: dict[str, dict[str, np.ndarray]], masks: np.ndarray, key: Key
) -> dict[str, dict[str, Any]]:
    """Return every score's areas, with their errors for a finite test set.

    Args:
        panels: title -> score -> (classes, images).
        masks: (classes, images), whether the image is of the class.
        key: for the bootstrap.
    """
    scores = {name: one for panel in panels.values() for name, one in panel.items()}
    # One weight for each test image, in all areas at once: they share the images.
    value, error = with_bootstrap_error(
        key,
        _areas,
        masks.shape[1],
        np.stack(list(scores.values())),
        masks,
        num_resamples=100,
        batch_size=5,
    )
    return {
        name: {
            "auc": value["auc"][i],
            "auc_standard_error": error["auc"][i],
            "mean_auc": value["mean_auc"][i],
            "mean_auc_standard_error": error["mean_auc"][i],
        }
        for i, name in enumerate(scores)
    }


def _areas(weights: Array, scores: Array, masks: Array) -> dict[str, Array]:
    """Return the areas of (scores, classes, images)."""
    by_class = jax.vmap(lambda score, mask: roc.auc(score, mask, weights))
    found = jax.vmap(by_class, (0, None))(scores, masks)
    return {"auc": found, "mean_auc": found.mean(axis=1)}


def _means(values: np.ndarray, masks: np.ndarray) -> list[float]:
    return [row[mask].mean() for row, mask in zip(values, masks, strict=True)]

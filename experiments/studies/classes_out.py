"""Leave a class of images out: which score finds it, and why a likelihood may not."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.studies import image_data
from experiments.studies.anomalies import area_metrics, class_means
from vijax.data import Dataset
from vijax.plot.vae import anomaly_detection as plot
from vijax.types import Key
from vijax.vae import anomaly, training
from vijax.vae.anomaly import stroke_codes
from vijax.vae.models import autoencoders, likelihoods
from vijax.vae.models.autoencoders import VAE, ModelParams

BOUND, COMPLEXITY, LOCAL = "−ELBO", "−ELBO − complexity", "−ELBO − local code"
SHARE, LATENT, PRODUCT = "share unexplained", "latent distance", "their product"
LOCAL_IMAGES = 20_000  # training images that the local codes are learned from
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
    masks = anomaly.class_masks(dataset.train_labels, dataset.test_labels)
    rows = training.rows_without(
        dataset.train_labels, keys[1], num_images=len(dataset.train)
    )
    binary = likelihoods.binarize(keys[0], jnp.asarray(dataset.test))
    some = likelihoods.binarize(keys[3], jnp.asarray(dataset.train[:LOCAL_IMAGES]))
    local = anomaly.local_code_without_class(
        some, np.asarray(dataset.train_labels)[:LOCAL_IMAGES], binary
    )
    complexity = np.tile(stroke_codes.complexity(binary), (len(masks), 1))
    model, params = fit(dataset, rows, keys[2], settings)
    found = anomaly.scores_by_model(model, params, keys[4], binary)
    bound = np.asarray(found.negative_elbo)
    share, latent = map(
        np.asarray,
        anomaly.distances_by_model(model, params, rows, dataset.train, dataset.test),
    )
    panels = {
        "Likelihoods": {
            BOUND: bound,
            COMPLEXITY: bound - complexity,
            LOCAL: bound - local,
        },
        "Distances": {SHARE: share, LATENT: latent, PRODUCT: share**0.5 * latent},
    }
    scores = {name: one for panel in panels.values() for name, one in panel.items()}
    areas = anomaly.class_areas(keys[3], scores, masks)
    results = {name: area_metrics(one) for name, one in areas.items()}
    best = max(results, key=lambda name: results[name]["mean_auc"])
    ink = np.asarray(dataset.test).mean(axis=(1, 2))
    every = {
        "ink": np.tile(ink, (len(masks), 1)),
        "complexity": complexity,
        "local_code": local,
        "bound": bound,
        "share": share,
        "distance": latent,
    }
    published = PUBLISHED if dataset.name == "mnist" else None
    classes = np.unique(np.asarray(dataset.train_labels))
    metrics = {
        "classes": classes,
        "latent": model.latent,
        "left_out": {
            name: class_means(values, masks) for name, values in every.items()
        },
        "kept": {name: class_means(values, ~masks) for name, values in every.items()},
        "published_auc": published,
        "scores": results,
        "best": {"score": best} | results[best],
    }
    shown = {
        title: {
            name: (areas[name].auc, areas[name].auc_standard_error) for name in panel
        }
        for title, panel in panels.items()
    }
    names = [str(label) for label in classes]
    return metrics, plot.auc_by_class(shown, names=names, published=published)


def fit(
    dataset: Dataset, rows: np.ndarray, key: Key, settings: Settings
) -> tuple[VAE, ModelParams]:
    """Train a VAE of binary pixels on each set of rows, all in one vmap."""
    small, recipe = image_data.is_small(dataset), image_data.recipe(dataset)
    batch_size = min(recipe.batch_size, rows.shape[1])
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
        optimizer=image_data.optimizer(recipe),
        description="one class out",
    )
    return model, trained.params

"""Generation: how far samples are from real images, real against real beside it."""

from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.studies.compression import Squeezers
from vijax.data import Dataset
from vijax.metrics import sample_distances
from vijax.plot import use_cases as plot
from vijax.types import Key
from vijax.vae import training
from vijax.vae.evaluation import latent_maps
from vijax.vae.generation import feature_classifier
from vijax.vae.models.autoencoders import VAE, ModelParams

REAL = "real images"
SHOWN = 8


def study(
    squeezers: Squeezers,
    coder: VAE,
    coder_params: ModelParams,
    dataset: Dataset,
    key: Key,
    *,
    max_images: int,
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Compare generators with held-out images in a classifier's features.

    Args:
        squeezers: autoencoders; uniform draws of their latent boxes are decoded.
        coder: a VAE; draws from its prior are decoded.
        coder_params: its parameters.
        dataset: labelled images.
        key: random key.
        max_images: images of each kind at most.
    """
    images = draw(
        squeezers,
        coder,
        coder_params,
        dataset,
        jax.random.fold_in(key, 1),
        num_images(dataset, max_images),
    )
    return compare(images, dataset, key)


def num_images(dataset: Dataset, max_images: int) -> int:
    """Return how many images of each kind are compared."""
    return min(max_images, len(dataset.test), len(dataset.train) // 4)


def compare(
    images: dict[str, np.ndarray], dataset: Dataset, key: Key
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Measure how far each generator's images are from held-out ones.

    Args:
        images: generator -> `num_images` images.
        dataset: labelled images.
        key: random key.
    """
    rng = np.random.default_rng(int(jax.random.bits(key)))
    keys = [jax.random.fold_in(key, i) for i in range(4)]
    # Real images that neither the classifier nor the test set has: the noise floor's.
    size = len(next(iter(images.values())))
    order = rng.permutation(len(dataset.train))
    kept, rest = order[:size], order[size:][:20_000]
    classifier = feature_classifier.train_classifier(
        keys[0], dataset.train[rest], np.asarray(dataset.train_labels)[rest]
    )
    images = {REAL: dataset.train[kept]} | images
    order = rng.permutation(len(dataset.test))
    y = feature_classifier.classifier_features(
        classifier, np.concatenate([dataset.test[order[:size]], *images.values()])
    )
    real, *generated = np.split(np.asarray(y), 1 + len(images))
    measured = {
        name: measure(keys[2], real, y)
        for name, y in zip(images, generated, strict=True)
    }
    floor = jax.tree.map(
        float, sample_distances.frechet_noise_floor(keys[3], real, generated[0])
    )
    metrics = {
        "classifier_accuracy": float(
            feature_classifier.classifier_accuracy(
                classifier, dataset.test, dataset.test_labels
            )
        ),
        "images_compared": size,
        "frechet_distance": {name: m["frechet"] for name, m in measured.items()},
        "frechet_distance_standard_error": {
            name: m["frechet_error"] for name, m in measured.items()
        },
        "frechet_noise_floor": floor.value,
        "frechet_noise_floor_spread": floor.standard_error,
        "two_sample_accuracy": {name: m["accuracy"] for name, m in measured.items()},
        "two_sample_accuracy_standard_error": {
            name: m["accuracy_error"] for name, m in measured.items()
        },
    }
    figure = plot.samples_and_distances(
        {name: x[:SHOWN] for name, x in images.items()},
        metrics["frechet_distance"],
        metrics["frechet_distance_standard_error"],
        metrics["two_sample_accuracy"],
        metrics["two_sample_accuracy_standard_error"],
        floor=floor,
    )
    return metrics, {"generation": figure}


def draw(
    squeezers: Squeezers,
    coder: VAE,
    coder_params: ModelParams,
    dataset: Dataset,
    key: Key,
    size: int,
) -> dict[str, np.ndarray]:
    """Return images of every generator, best first by expectation."""
    rng = np.random.default_rng(int(jax.random.bits(key)))
    noise = rng.normal(size=(size, coder.latent)).astype(np.float32)
    images = {"VAE, prior": latent_maps.decoded_means(coder, coder_params, noise)}
    ends = sorted({0, len(squeezers.latents) - 1})
    for run in ends:
        params = training.take_run(squeezers.params, run)
        z = latent_maps.latent_means(squeezers.model, params, dataset.train)
        box = latent_maps.uniform_in_box(
            jax.random.fold_in(key, run), z, num_samples=size
        )
        name = f"autoencoder {squeezers.latents[run]}, box"
        images[name] = latent_maps.decoded_means(squeezers.model, params, box)
    # Every pixel from its own distribution, independent of the others.
    shuffled = {"shuffled pixels": rng.permuted(dataset.train, axis=0)[:size]}
    return {name: np.asarray(x) for name, x in images.items()} | shuffled


def measure(key: Key, real: Any, generated: Any) -> dict[str, float]:
    """Return both figures of merit and their errors, of two sets of features."""
    frechet = sample_distances.frechet_distance_with_error(key, real, generated)
    accuracy = _accuracy(real, generated)
    return {
        "frechet": float(frechet.value),
        "frechet_error": float(frechet.standard_error),
        "accuracy": float(accuracy.value),
        "accuracy_error": float(accuracy.standard_error),
    }


_accuracy = jax.jit(sample_distances.two_sample_accuracy)

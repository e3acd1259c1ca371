"""The lecture's generation: samples of a VAE, drawn and measured beside real images."""

from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.studies.compression import Squeezers
from vijax.data import Dataset
from vijax.plot.vae import use_cases as plot
from vijax.types import Key
from vijax.vae import training
from vijax.vae.evaluation import latent_maps
from vijax.vae.generation import draw_from_prior, image_samples
from vijax.vae.models.autoencoders import VAE, ModelParams

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
    return image_samples.num_comparable_images(
        len(dataset.train), len(dataset.test), max_images
    )


def compare(
    images: dict[str, np.ndarray], dataset: Dataset, key: Key
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Measure how far each generator's images are from held-out ones, and draw it.

    Args:
        images: generator -> `num_images` images.
        dataset: labelled images.
        key: random key.
    """
    found = image_samples.compare_images(
        key,
        images,
        dataset.train,
        dataset.train_labels,
        dataset.test,
        dataset.test_labels,
    )
    floor = jax.tree.map(float, found.noise_floor)

    def of_each(field: str) -> dict[str, float]:
        return {name: getattr(q, field) for name, q in found.by_generator.items()}

    metrics: dict[str, Any] = {
        "classifier_accuracy": found.classifier_accuracy,
        "images_compared": len(found.images[image_samples.REAL]),
        "frechet_distance": of_each("frechet"),
        "frechet_distance_standard_error": of_each("frechet_standard_error"),
        "frechet_noise_floor": floor.value,
        "frechet_noise_floor_spread": floor.standard_error,
        "two_sample_accuracy": of_each("accuracy"),
        "two_sample_accuracy_standard_error": of_each("accuracy_standard_error"),
    }
    figure = plot.samples_and_distances(
        {name: x[:SHOWN] for name, x in found.images.items()},
        metrics["frechet_distance"],
        metrics["frechet_distance_standard_error"],
        metrics["two_sample_accuracy"],
        metrics["two_sample_accuracy_standard_error"],
        floor=(floor.value, floor.standard_error),
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
    prior_key, box_key, shuffle_key = jax.random.split(key, 3)
    drawn = draw_from_prior(prior_key, coder, coder_params, num_samples=size)
    images = {"VAE, prior": drawn.mean}
    ends = sorted({0, len(squeezers.latents) - 1})
    for run in ends:
        params = training.take_run(squeezers.params, run)
        z = latent_maps.latent_means(squeezers.model, params, dataset.train)
        box = latent_maps.uniform_in_box(
            jax.random.fold_in(box_key, run), z, num_samples=size
        )
        name = f"autoencoder {squeezers.latents[run]}, box"
        images[name] = latent_maps.decoded_means(squeezers.model, params, box)
    shuffled = shuffled_pixels(shuffle_key, dataset.train, size)
    decoded = {name: np.asarray(x) for name, x in images.items()}
    return decoded | {"shuffled pixels": shuffled}


def shuffled_pixels(key: Key, images: np.ndarray, size: int) -> np.ndarray:
    """Draw every pixel from its own distribution, independent of the others."""
    rows = jax.random.randint(key, (size, *images.shape[1:]), 0, len(images))
    return np.take_along_axis(images, np.asarray(rows), axis=0)

"""Generation: how far samples are from real images, real against real beside it."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from experiments.uses.compression import Squeezers
from vijax.data import Dataset
from vijax.plot import use_cases as plot
from vijax.types import Key
from vijax.vae import ensemble, features, generate, latent
from vijax.vae.models import VAE, ModelParams

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
    split_key, classifier_key, draw_key, *keys = jax.random.split(key, 5)
    # Real images that neither the classifier nor the test set has: the noise floor's.
    size = min(max_images, len(dataset.test), len(dataset.train) // 4)
    order = np.asarray(jax.random.permutation(split_key, len(dataset.train)))
    kept, rest = order[:size], order[size:][:20_000]
    classifier = features.train(
        classifier_key, dataset.train[rest], np.asarray(dataset.train_labels)[rest]
    )
    images = {REAL: dataset.train[kept]} | draw(
        squeezers, coder, coder_params, dataset, draw_key, size
    )
    order = np.asarray(jax.random.permutation(split_key, len(dataset.test)))
    real = features.features(classifier, dataset.test[order[:size]])
    measured = {
        name: _measure(keys[0], real, features.features(classifier, x))
        for name, x in images.items()
    }
    kept_features = features.features(classifier, images[REAL])
    floor = jax.tree.map(float, _floor(keys[1], real, kept_features))
    metrics = {
        "classifier_accuracy": float(
            features.accuracy(classifier, dataset.test, dataset.test_labels)
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
    figure = plot.generation(
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
    prior_key, pixel_key, *box_keys = jax.random.split(key, 2 + len(squeezers.latents))
    z = jax.random.normal(prior_key, (size, coder.latent))
    images = {"VAE, prior": latent.decode(coder, coder_params, z)}
    ends = sorted({0, len(squeezers.latents) - 1})
    for run in ends:
        params = ensemble.run(squeezers.params, run)
        z = latent.encode(squeezers.model, params, dataset.train)
        box = latent.uniform(box_keys[run], z, size)
        name = f"autoencoder {squeezers.latents[run]}, box"
        images[name] = latent.decode(squeezers.model, params, box)
    # Every pixel from its own distribution, independent of the others.
    rng = np.random.default_rng(int(jax.random.bits(pixel_key)))
    shuffled = {"shuffled pixels": rng.permuted(dataset.train, axis=0)[:size]}
    return {name: np.asarray(x) for name, x in images.items()} | shuffled


def _measure(key: Key, real: Array, generated: Array) -> dict[str, float]:
    frechet, accuracy = _estimates(key, real, generated)
    return {
        "frechet": float(frechet.value),
        "frechet_error": float(frechet.standard_error),
        "accuracy": float(accuracy.value),
        "accuracy_error": float(accuracy.standard_error),
    }


@jax.jit
def _estimates(
    key: Key, real: Array, generated: Array
) -> tuple[generate.Estimate, generate.Estimate]:
    return (
        generate.frechet_distance_with_error(key, real, generated),
        generate.two_sample_accuracy(real, generated),
    )


_floor = jax.jit(partial(generate.noise_floor, distance=generate.frechet_distance))

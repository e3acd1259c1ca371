"""Compression in depth: images without loss in a real file, events within a bound.

Images: a VAE codes the binary test images into one file by bits-back coding. The file
is decoded again and compared pixel by pixel. Its size stands beside that of gzip, bz2,
xz and PNG, and beside that of the network, which the receiver needs too. Events (CMS
multijets): every number of the table comes back within a bound, and the effect on the
quantities of an analysis is measured. This half is left out where the table is missing.

Found on static binarised MNIST with these settings (--dataset mnist, seed 0, 2 cores),
one draw of z an image, before a file could take several: 10,000 images in 167,328
bytes, 0.1707 bits per pixel, decoded to every pixel; bz2 has 0.2485, xz 0.2704, gzip
0.3168, PNG 0.3445. With 1.68 MB of weights it is 1.88, which pays for itself against
bz2 after 220,000 images. A VampPrior and 16 draws make it 0.1596, and there are grey
images and SZ3 beside it, in experiments/benchmarks/compression.py.

Speed, 2,000 of these images, untrained networks of these sizes, two quiet cores of an
AMD EPYC, median of 3: 6,100 images a second coded, 6,400 decoded; once each: gzip
23,000, bz2 169,000, xz 8,400 coded. The rate of such a file is its model's, the time is
that of the two networks and of 784 + 40 symbols an image.
"""

import time
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments import common
from experiments.studies import (
    cms_multijet,
    image_data,
    images_and_events,
    rate_distortion,
)
from vijax import data
from vijax.data import Dataset
from vijax.plot.vae import compression_rates as plot
from vijax.vae import training
from vijax.vae.compression import image_files, lossy, table_files
from vijax.vae.compression.table_files import TableCoderSettings
from vijax.vae.evaluation import Walk
from vijax.vae.models import autoencoders, likelihoods

# Townsend, Bird & Barber's coder run again, static binarised MNIST, bits per pixel.
BITS_BACK_RERUN = 0.194
NUMBERS = (1, 3, 10, 30, 100, 300, 1000, 3000)  # of images in a file of the first ones


@dataclass(frozen=True)
class Config:
    """Settings; None takes what suits the size of the images."""

    dataset: str = "digits"  # digits, mnist, fashion_mnist, or auto
    latent: int | None = None  # latents of the VAE of images
    hidden: tuple[int, ...] | None = None  # widths of its encoder's hidden layers
    epochs: int | None = None  # passes over the images
    batch_size: int | None = None  # images in a step
    optimizer: str | None = None  # adam or muon
    learning_rate: float | None = None  # at the first step; falls along a cosine
    curve_images: int = 100  # whose rates are traced against their distortion
    curve_steps: int = 200  # temperatures of that curve
    checkpoint: Path | None = None  # folder to save in and to take the run up from
    bounds: tuple[float, ...] = (0.1, 0.01, 0.001)  # relative, of the events' numbers
    shown_bound: float = 0.01  # the one whose errors are drawn
    table_epochs: int = 15  # passes over the events
    seed: int = 0  # of every random number


def run(config: Config) -> common.Result:
    """Code images, then events."""
    check(config)
    return images_and_events.run(config, images, events)


def check(config: Config) -> None:
    """Raise a ValueError for a setting that means nothing."""
    common.check_at_least(
        1,
        latent=config.latent,
        epochs=config.epochs,
        batch_size=config.batch_size,
        table_epochs=config.table_epochs,
        curve_steps=config.curve_steps,
    )
    common.check_at_least(2, curve_images=config.curve_images)
    common.check_positive(learning_rate=config.learning_rate)
    if not config.bounds or not all(0 < bound < 1 for bound in config.bounds):
        raise ValueError(f"bounds = {config.bounds} is not valid: give (0, 1)")
    if config.shown_bound not in config.bounds:
        raise ValueError(
            f"shown_bound = {config.shown_bound} is not valid: give one of "
            f"bounds = {config.bounds}"
        )


def binary_test(dataset: Dataset, key: jax.Array) -> tuple[np.ndarray, str]:
    """Return the binary test images, and where they are from."""
    if dataset.name == "mnist" and data.is_available("binarized_mnist"):
        static = data.load("binarized_mnist").test
        return np.asarray(static, np.float32), "static binarised MNIST"
    x = likelihoods.binarize(key, jnp.asarray(dataset.test))
    return np.asarray(x), "binarised once, here"


def images(
    config: Config, dataset: Dataset, key: jax.Array
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Train a VAE on grey images, binarised anew in each step; code binary ones."""
    small, recipe = image_data.is_small(dataset), image_data.recipe(dataset)
    keys = [jax.random.fold_in(key, i) for i in range(5)]
    x, source = binary_test(dataset, keys[0])
    model = autoencoders.vae(
        dataset.train.shape[1:],
        latent=config.latent or (8 if small else 40),
        hidden=config.hidden or ((128,) if small else (200, 200)),
        activation="silu",
    )
    start = time.perf_counter()
    trained = training.fit(
        model,
        keys[1],
        dataset.train,
        epochs=config.epochs or (60 if small else 40),
        batch_size=min(config.batch_size or recipe.batch_size, len(dataset.train)),
        optimizer=training.named_optimizer(
            config.optimizer or recipe.optimizer,
            learning_rate=config.learning_rate or (4e-3 if small else 0.08),
        ),
        params=autoencoders.init_at_mean(model, keys[2], dataset.train),
        checkpoint=config.checkpoint and training.Checkpoint(config.checkpoint, 60.0),
        description="VAE of images",
    )
    minutes = (time.perf_counter() - start) / 60
    cost = image_files.measure_image_file(model, trained.params, keys[3], x)
    numbers = [n for n in NUMBERS if n < len(x)] + [len(x)]
    growth = image_files.rates_of_first_images(model, trained.params, x, numbers)
    metrics: dict[str, Any] = cost._asdict() | {
        "test_set": source,
        "test_images": len(x),
        "pixels": prod(model.shape),
        "latent": model.latent,
        "parameters": autoencoders.num_params(trained.params),
        "epochs": len(trained.loss),
        "training_minutes": minutes,
        "bits_back_rerun": BITS_BACK_RERUN if source.startswith("static") else None,
        "growth": {"images": numbers} | growth,
    }
    rates = dict(metrics["others"]) | {"VAE, file": metrics["bits_per_pixel"]}
    if metrics["bits_back_rerun"]:
        rates["BB-ANS, rerun"] = BITS_BACK_RERUN
    figure = plot.lossless_rates(
        rates,
        metrics["growth"],
        bound=(
            metrics["bound_bits_per_pixel"],
            metrics["bound_bits_per_pixel_standard_error"],
        ),
        weights_bits=8 * metrics["weights_bytes"] / metrics["pixels"],
    )
    metrics["quality"], curve = rate_distortion.study(
        model,
        trained.params,
        x[: config.curve_images],
        keys[4],
        Walk(num_steps=config.curve_steps, num_chains=8),
    )
    return metrics, {"images": figure, "rates": curve}


def events(
    config: Config, table: Dataset, key: jax.Array
) -> tuple[dict[str, Any], Figure]:
    """Train on the training events, code the test events."""
    before, held_out = np.asarray(table.train, float), np.asarray(table.test, float)
    finest = cms_multijet.bounds(min(config.bounds), counts=0.5)
    coder = table_files.fit_table_coder(
        key,
        before,
        bound=finest,
        logarithm=cms_multijet.LOGARITHM,
        settings=TableCoderSettings(epochs=config.table_epochs),
    )
    coded = [
        table_files.measure_table_file(
            coder, before, held_out, bound=cms_multijet.bounds(relative)
        )
        for relative in config.bounds
    ]
    shown = coded[config.bounds.index(config.shown_bound)].decoded
    true, found = (cms_multijet.quantities(events) for events in (held_out, shown))
    figure = plot.bounded_errors(
        config.bounds,
        {
            "VAE, file": [one.bits_per_number for one in coded],
            "columns one by one": [one.columns_bits_per_number for one in coded],
            "best of gzip, bz2, xz": [min(one.others.values()) for one in coded],
        },
        {name: found[name] / true[name] - 1 for name in true},
        shown=config.shown_bound,
    )
    metrics = {
        "columns": list(table.feature_names or ()),
        "test_events": len(held_out),
        "weights_bits_per_number": lossy.parameter_bits(coder.params) / held_out.size,
        "rows": [
            {"bound": relative} | _without_events(one)
            for relative, one in zip(config.bounds, coded, strict=True)
        ],
        "shown": config.bounds.index(config.shown_bound),
        "physics": table_files.quantity_errors(true, found),
    }
    return metrics, figure


def _without_events(coded: table_files.TableFileCost) -> dict[str, Any]:
    """Return the numbers without the events themselves, for metrics.json."""
    return {name: v for name, v in coded._asdict().items() if name != "decoded"}


def main() -> None:
    """Run from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

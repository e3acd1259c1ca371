"""Three uses of autoencoders, each with a figure of merit (L25).

Anomaly detection: each class in turn is left out of the training, and the VAE's scores
have to find it. Compression: latents are rounded and coded, beside the same for
principal components; without loss the −ELBO is the size of a file, beside gzip's.
Generation: how far samples are from real images, beside how far real images are from
each other.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

from experiments import common
from experiments.studies import anomalies, compression, generation, image_data
from vijax.vae.models import likelihoods


@dataclass(frozen=True)
class Config:
    """Settings; None takes what suits the size of the images."""

    dataset: str = "digits"  # digits, mnist, fashion_mnist, or auto
    hidden: tuple[int, ...] | None = None  # widths of every encoder's hidden layers
    steps: int | None = None  # optimisation steps of every model
    batch_size: int | None = None  # images in a step
    learning_rate: float | None = None  # at the first step; falls to zero
    latent: int | None = None  # latents of every VAE
    latents: tuple[int, ...] = (2, 4, 8, 16)  # of the autoencoders that compress
    levels: tuple[int, ...] = (3, 4, 6, 8, 12, 16, 24, 32, 64)  # on a latent's axis
    max_images: int = 2000  # real and generated images at most, for distances
    seed: int = 0  # of every random number


def run(config: Config) -> common.Result:
    """Find anomalies, compress, generate."""
    check(config)
    dataset = image_data.load_labelled(config.dataset)
    small, recipe = image_data.is_small(dataset), image_data.recipe(dataset)
    batch_size = config.batch_size or recipe.batch_size
    options: dict[str, Any] = {
        "hidden": config.hidden or (128,),
        "steps": config.steps or (1000 if small else 240),
        "batch_size": min(batch_size, len(dataset.train) // 2),
    }
    if config.learning_rate:
        recipe = recipe._replace(learning_rate=config.learning_rate)
    optimizer = image_data.optimizer(recipe)
    key = jax.random.key(config.seed)
    keys = [jax.random.fold_in(key, i) for i in range(5)]
    binary = likelihoods.binarize(keys[0], jnp.asarray(dataset.test))

    finders = anomalies.fit(
        dataset,
        keys[1],
        latent=config.latent or (8 if small else 16),
        optimizer=optimizer,
        **options,
    )
    squeezers = compression.fit(
        dataset, keys[2], latents=config.latents, optimizer=optimizer, **options
    )
    coder, params = finders.model, finders.all_params
    *found, coded = anomalies.study(finders, dataset, binary, keys[3])
    parts = (
        tuple(found),
        compression.study(
            squeezers, params, coded, dataset, binary, levels=config.levels
        ),
        generation.study(
            squeezers, coder, params, dataset, keys[4], max_images=config.max_images
        ),
    )
    metrics = options | {
        "optimizer": recipe.optimizer,
        "learning_rate": recipe.learning_rate,
        "latent": coder.latent,
    }
    figures: dict[str, Figure] = {}
    for more_metrics, more_figures in parts:
        metrics |= more_metrics
        figures |= more_figures
    return common.Result(metrics, figures, dataset.name)


def check(config: Config) -> None:
    """Raise a ValueError for a setting that means nothing."""
    common.check_at_least(
        1, steps=config.steps, batch_size=config.batch_size, latent=config.latent
    )
    common.check_at_least(10, max_images=config.max_images)
    common.check_positive(learning_rate=config.learning_rate)
    for name, least in (("latents", 1), ("levels", 2)):
        values = getattr(config, name)
        if min(values, default=0) < least:
            raise ValueError(
                f"{name} = {values} is not valid: give numbers of {least} or more"
            )


def main() -> None:
    """Run from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

"""Anomaly detection in depth: images, air showers, collisions (L25).

Images: each class left out in turn, by VAEs of few and of many latents; why a high
likelihood is not normality, and what helps. Air showers (MAGIC): gamma rays against
hadrons and hadrons against gamma rays. Collisions (CMS multijets): a signal that is
among the training events too. Tables that are not at hand are left out.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from experiments import common, use_cases
from experiments.uses import events
from vijax import data
from vijax.data import Dataset
from vijax.plot import anomalies as plot
from vijax.types import Key
from vijax.vae import anomaly, ensemble, likelihoods, models, roc

BOUND, CORRECTED = "−ELBO", "−ELBO − complexity"
# Tonnaer's thesis, p. 41: MNIST, -ELBO of a two-dimensional VAE, digits 0 to 9.
PUBLISHED = (0.96, 0.73, 0.97, 0.94, 0.73, 0.92, 0.95, 0.77, 0.92, 0.66)


@dataclass(frozen=True)
class Config:
    """Settings; None takes what suits the size of the images."""

    dataset: str = "digits"  # digits, mnist, fashion_mnist, or auto
    latents: tuple[int, ...] = (2, 8)  # of the VAEs of images; a panel each
    hidden: tuple[int, ...] | None = None  # widths of the image encoder's layers
    steps: int | None = None  # optimisation steps of every VAE of images
    table_steps: int = 2500  # of every VAE of a table
    trainings: int = 5  # VAEs of a table that differ in their random numbers only
    fractions: tuple[float, ...] = (0.0, 0.01, 0.05, 0.2)  # of signal in training
    mean_energy: float = 100.0  # GeV that the signal's invisible particle carries
    seed: int = 0  # of every random number


def run(config: Config) -> common.Result:
    """Score images, showers and collisions."""
    check(config)
    dataset = use_cases.load(config.dataset)
    keys = jax.random.split(jax.random.key(config.seed), 3)
    metrics, figures = images(config, dataset, keys[0])
    network = events.Network(steps=config.table_steps)
    metrics |= {"magic": None, "collisions": None}
    if data.is_available("magic"):
        metrics["magic"], figure = showers(config, network, keys[1])
        figures["showers"] = figure
    if data.is_available("cms_multijet"):
        metrics["collisions"], figure = collisions(config, network, keys[2])
        figures["collisions"] = figure
    return common.Result(metrics, figures, dataset.name)


def check(config: Config) -> None:
    """Raise a ValueError for a setting that means nothing."""
    for name, least in (("steps", 1), ("table_steps", 1), ("trainings", 2)):
        value = getattr(config, name)
        if value is not None and value < least:
            raise ValueError(f"{name} = {value} is not valid: give {least} or more")
    if min(config.latents, default=0) < 1:
        raise ValueError(f"latents = {config.latents} is not valid: give 1 or more")
    if not config.fractions or not all(0 <= f < 1 for f in config.fractions):
        raise ValueError(f"fractions = {config.fractions} is not valid: give [0, 1)")
    if not config.mean_energy > 0:
        raise ValueError(f"mean_energy = {config.mean_energy}: give more than 0 GeV")


def images(
    config: Config, dataset: Dataset, key: Key
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Leave each class out, with every number of latents, in one vmap."""
    small = prod(dataset.train.shape[1:]) < 400
    binary_key, row_key, fit_key, score_key = jax.random.split(key, 4)
    binary = likelihoods.binarize(binary_key, jnp.asarray(dataset.test))
    without = ensemble.rows_without(dataset.train_labels, row_key)
    classes = np.unique(np.asarray(dataset.train_labels))
    batch_size = min(64 if small else 128, without.shape[1])
    model = ensemble.masked(
        models.vae(
            dataset.train.shape[1:],
            latent=max(config.latents),
            hidden=config.hidden or ((128, 64) if small else (256, 128)),
        )
    )
    params = ensemble.fit(
        model,
        fit_key,
        dataset.train,
        np.tile(without, (len(config.latents), 1)),
        masks=ensemble.masks(np.repeat(config.latents, len(classes)).tolist()),
        epochs=ensemble.epochs(
            without.shape[1], config.steps or (1500 if small else 4000), batch_size
        ),
        batch_size=batch_size,
        learning_rate=8e-3 if small else 2e-3,
        description="one class out",
    )

    @jax.jit
    def bound(params: Any) -> Array:
        def one(params: Any) -> Array:
            return anomaly.scores(model, params, score_key, binary).negative_elbo

        return jax.lax.map(one, params)

    masks = jnp.asarray(dataset.test_labels == classes[:, None])
    scores = bound(params).reshape(len(config.latents), len(classes), -1)
    complexity = anomaly.complexity(binary)
    measure = jax.jit(jax.vmap(jax.vmap(roc.auc_with_error), in_axes=(0, None)))
    areas = {
        BOUND: jax.tree.map(np.asarray, measure(scores, masks)),
        CORRECTED: jax.tree.map(np.asarray, measure(scores - complexity, masks)),
    }
    panels = {
        f"{latent} latents": {
            name: (area.value[i], area.standard_error[i])
            for name, area in areas.items()
        }
        for i, latent in enumerate(config.latents)
    }
    metrics = {
        "classes": classes,
        "complexity": [np.asarray(complexity)[m].mean() for m in np.asarray(masks)],
        "published_auc": PUBLISHED if dataset.name == "mnist" else None,
        "images": {
            title: {
                name: {
                    "auc": value,
                    "auc_standard_error": error,
                    "mean_auc": value.mean(),
                }
                for name, (value, error) in scores_of.items()
            }
            for title, scores_of in panels.items()
        },
    }
    names = [str(label) for label in classes]
    return metrics, {"images": plot.by_class(panels, names=names)}


def showers(
    config: Config, network: events.Network, key: Key
) -> tuple[dict[str, Any], Figure]:
    """Gamma rays against hadrons, and the other way round."""
    result = events.both_directions(
        data.load("magic"),
        key,
        network,
        trainings=config.trainings,
        names=("hadron", "gamma"),
    )
    panels = {
        title: {
            name: (events.RATES, found.true_positive_rate, found.auc)
            for name, found in scores.items()
        }
        for title, scores in result.items()
    }
    metrics = {title: _plain(scores) for title, scores in result.items()}
    return metrics, plot.directions(panels)


def collisions(
    config: Config, network: events.Network, key: Key
) -> tuple[dict[str, Any], Figure]:
    """Find an injected signal, with more and more of it among the training events."""
    results, missing = events.injected(
        data.load("cms_multijet"),
        key,
        network,
        fractions=config.fractions,
        mean_energy=config.mean_energy,
        trainings=config.trainings,
    )

    def gain(found: events.Found) -> tuple[np.ndarray, np.ndarray]:
        kept = events.RATES >= 1e-3  # below, a handful of test events decides
        rates = events.RATES[kept]
        return rates, found.true_positive_rate[kept] / np.sqrt(rates)

    areas = {
        name: (
            [found[name].auc for found in results],
            [found[name].auc_standard_error for found in results],
        )
        for name in events.SCORES
    }
    curves = {
        f"−ELBO, {100 * fraction:g} % in training": gain(found["−ELBO"])
        for fraction, found in zip(config.fractions, results, strict=True)
    } | {events.MET: gain(missing)}
    metrics = {
        "fractions": config.fractions,
        "scores": [_plain(found) for found in results],
        "missing_energy": _plain({events.MET: missing})[events.MET],
        "largest_gain": {name: y.max() for name, (_, y) in curves.items()},
    }
    figure = plot.injection(
        config.fractions, areas, curves, yardstick=(events.MET, missing.auc)
    )
    return metrics, figure


def _plain(found: dict[str, events.Found]) -> dict[str, dict[str, float]]:
    """Return the numbers without the curve."""
    return {
        name: {
            "auc": one.auc,
            "auc_standard_error": one.auc_standard_error,
            "training_spread": one.training_spread,
        }
        for name, one in found.items()
    }


def main() -> None:
    """Run from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

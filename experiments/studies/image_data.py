"""Images for experiments: loaded, checked, and what suits small ones and large ones."""

from math import prod
from typing import NamedTuple

from experiments import common
from vijax import data
from vijax.data import Dataset
from vijax.vae import training

SMALL_PIXELS = 400  # the digits of scikit-learn have 64, MNIST 784


class Recipe(NamedTuple):
    """How a model of images is trained, all together some seconds to minutes."""

    batch_size: int  # images in a step
    optimizer: str  # its name: adam or muon
    learning_rate: float  # at the first step


def is_small(dataset: Dataset) -> bool:
    """Say whether the images are small, so that small networks are enough."""
    return prod(dataset.train.shape[1:]) < SMALL_PIXELS


def recipe(dataset: Dataset) -> Recipe:
    """Return Adam and small batches for small images, Muon and large ones for others.

    Muon at batches of 1,000 needs a tenth of the epochs that Adam does on MNIST.
    """
    return Recipe(64, "adam", 8e-3) if is_small(dataset) else Recipe(1000, "muon", 0.08)


def optimizer(recipe: Recipe) -> training.Adam | training.Muon:
    """Return a recipe's optimiser."""
    return training.named_optimizer(
        recipe.optimizer, learning_rate=recipe.learning_rate
    )


def load(name: str) -> Dataset:
    """Load a data set of grey images."""
    dataset = data.load(common.resolve_dataset(name))
    if dataset.train.ndim != 3:
        raise ValueError(
            f"dataset = {name!r} has examples of shape {dataset.train.shape[1:]}: this "
            "experiment draws images (height, width)"
        )
    return dataset


def load_labelled(name: str) -> Dataset:
    """Load labelled grey images."""
    dataset = load(name)
    if dataset.train_labels is None:
        raise ValueError(
            f"dataset = {name!r} has no labels: choose digits, mnist or fashion_mnist"
        )
    return dataset

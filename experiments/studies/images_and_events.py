"""The frame of the experiments that study images first, then events (CMS multijets)."""

from collections.abc import Callable
from typing import Any

import jax
from matplotlib.figure import Figure

from experiments import common
from experiments.studies import image_data
from vijax import data
from vijax.data import Dataset
from vijax.types import Key


def run(
    config: Any,
    images: Callable[[Any, Dataset, Key], tuple[dict[str, Any], dict[str, Figure]]],
    events: Callable[[Any, Dataset, Key], tuple[dict[str, Any], Figure]],
) -> common.Result:
    """Run both halves; the one of events only where the table is at hand.

    Args:
        config: with `dataset`, the name of the images, and `seed`.
        images: (config, images, key) -> metrics and figures.
        events: (config, table, key) -> metrics and one figure, both named "events" in
            the result.
    """
    dataset = image_data.load_labelled(config.dataset)
    key = jax.random.key(config.seed)
    metrics, figures = images(config, dataset, jax.random.fold_in(key, 0))
    metrics["events"] = None
    if data.is_available("cms_multijet"):
        metrics["events"], figures["events"] = events(
            config, data.load("cms_multijet"), jax.random.fold_in(key, 1)
        )
    return common.Result(metrics, figures, dataset.name)

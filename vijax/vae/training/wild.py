"""Numbers that a network cannot learn from: found, named, and what to do about them."""

import warnings
from typing import Any

import numpy as np

from vijax.vae.training.optimizers import Adam, Muon, as_optimizer

LARGE = 100.0  # a value that a network learns from slowly or not at all
FAR = 100.0  # typical deviations from its column's median


def warn_of_scale(images: Any) -> None:
    """Warn where data are so far from 1 that training will be slow or fail."""
    array = np.asarray(images)
    largest = np.abs(array).max()
    if largest > LARGE:
        index = np.unravel_index(int(np.abs(array).argmax()), array.shape)
        warnings.warn(
            f"images reach {array[index]:.6g} (at index {_show(index)}), and networks "
            "learn from numbers near 1: divide grey levels by the highest, scale a "
            "table by event_tables.fit_scale, with logarithms or without an outlier",
            RuntimeWarning,
            stacklevel=4,
        )


def warn_of_rejected(num_rejected: Any, num_steps: int, images: Any) -> None:
    """Warn of steps that were rolled back, and name the row that may be why."""
    number, runs = int(np.sum(num_rejected)), int(np.size(num_rejected))
    warnings.warn(
        f"{number} of {num_steps * runs} steps were not finite and were left out"
        f"{because(images)}: see the verdict, lower the learning rate, or remove what "
        "is wild",
        RuntimeWarning,
        stacklevel=4,
    )


def no_step_was_finite(optimizer: Any, images: Any) -> str:
    """Return the message for an epoch in which no step could be taken."""
    optimizer = as_optimizer(optimizer)
    rate = ""
    if isinstance(optimizer, Adam | Muon):
        rate = f", at a learning rate of {optimizer.learning_rate:g}"
    low, high = np.min(images), np.max(images)
    return (
        f"no step of the first epoch was finite{rate}, with images from {low:.4g} to "
        f"{high:.4g}{because(images)}: lower the learning rate, and bring the data "
        "near 1 (event_tables.fit_scale for a table)"
    )


def because(images: Any) -> str:
    """Name the value that is farthest from its column, in brackets, if it is far."""
    array = np.asarray(images, np.float64)
    centred = np.abs(array - np.median(array, axis=0))
    typical = np.mean(centred, axis=0)
    typical = np.minimum(typical, 1.5 * np.median(centred, axis=0))
    far = np.divide(centred, typical, out=np.zeros_like(centred), where=typical > 0)
    if far.max() < FAR:
        return ""
    index = np.unravel_index(int(far.argmax()), far.shape)
    return (
        f" (row {index[0]} holds {array[index]:.6g} at index {_show(index)}, "
        f"{far.max():.0f} times its column's typical deviation)"
    )


def _show(index: tuple[Any, ...]) -> str:
    return ", ".join(str(int(i)) for i in index)

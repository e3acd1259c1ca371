"""What every loader returns."""

from typing import NamedTuple

import numpy as np


class Dataset(NamedTuple):
    """A data set as NumPy arrays: images or a table, already split.

    Images are float32 in [0, 1] of shape (n, height, width); tables are (n, features)
    in the units of their source. Labels are int64 of shape (n,).
    """

    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray | None
    test_labels: np.ndarray | None
    name: str
    num_levels: int | None  # grey levels of the source: 17 digits, 256 MNIST, 2 binary
    valid: np.ndarray | None = None  # where the source has a third part
    valid_labels: np.ndarray | None = None
    feature_names: tuple[str, ...] | None = None  # columns of a table, with [units]


def images(levels: np.ndarray, num_levels: int) -> np.ndarray:
    """Scale integer grey levels 0 … num_levels - 1 to float32 in [0, 1].

    Example:
        >>> images(np.array([0, 51, 255], np.uint8), 256)
        array([0. , 0.2, 1. ], dtype=float32)
    """
    return np.divide(levels, np.float32(num_levels - 1), dtype=np.float32)

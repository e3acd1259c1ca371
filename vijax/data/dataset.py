"""`Dataset`, which every loader returns, and what several loaders share."""

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
    feature_names: tuple[str, ...] | None = None  # a table's columns, with their units
    label_names: tuple[str, ...] | None = None  # of the labels 0, 1, …

    def __str__(self) -> str:
        """Return what is in the data set, in one line."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        sizes = [f"{len(x)} {part}" for part, x in parts.items() if x is not None]
        shape, dtype = self.train.shape[1:], self.train.dtype
        facts = [f"{', '.join(sizes)} examples of shape {shape}, {dtype}"]
        if self.train_labels is not None:
            facts.append(f"{len(np.unique(self.train_labels))} classes")
        if self.num_levels is not None:
            facts.append(f"{self.num_levels} grey levels")
        if self.feature_names is not None:
            facts.append(f"columns {', '.join(self.feature_names)}")
        return f"{self.name}: {'; '.join(facts)}"


def images(levels: np.ndarray, num_levels: int) -> np.ndarray:
    """Scale whole grey levels 0 … num_levels - 1 to float32 in [0, 1].

    Example:
        >>> images(np.array([0, 51, 255], np.uint8), 256)
        array([0. , 0.2, 1. ], dtype=float32)
    """
    return np.divide(levels, np.float32(num_levels - 1), dtype=np.float32)


def hold_out(num_examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the train and the test part, a random fifth of examples.

    The draw is the same at every call. Both parts keep the order of the source.

    Example:
        >>> hold_out(10)
        (array([0, 1, 2, 3, 5, 7, 8, 9]), array([4, 6]))
    """
    # PCG64 by name: NumPy keeps its stream, while default_rng may change.
    generator = np.random.Generator(np.random.PCG64(0))
    order = generator.permutation(num_examples)
    num_test = max(1, num_examples // 5)
    return np.sort(order[num_test:]), np.sort(order[:num_test])

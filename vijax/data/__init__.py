"""Names -> data sets as NumPy arrays.

    load("digits")                            embedded, offline: the default everywhere
    load("mnist"), load("fashion_mnist")      prepared, from a folder, or downloaded

Nothing here imports JAX; scikit-learn and tensorflow-datasets load when they are used.
"""

import os
from pathlib import Path

from vijax.data import digits, idx
from vijax.data.dataset import Dataset

__all__ = ["Dataset", "is_available", "load", "names"]

NAMES = ("digits", "mnist", "fashion_mnist")


def names() -> tuple[str, ...]:
    """Return the names that `load` knows."""
    return NAMES


def load(name: str, *, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Return a data set by name.

    Example:
        >>> load("digits").train.shape
        (1437, 8, 8)
    """
    if name == "digits":
        return digits.load()
    if name not in NAMES:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(NAMES)}")
    folder = _folder(name, data_dir)
    if folder is None:
        raise FileNotFoundError(
            f"{name} is not at hand: give data_dir or set VIJAX_DATA_DIR to the folder "
            "of the four original .gz files"
        )
    return idx.load(name, folder)


def is_available(name: str, *, data_dir: str | os.PathLike[str] | None = None) -> bool:
    """Say whether `load` would find the data set without a download."""
    if name not in NAMES:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(NAMES)}")
    return name == "digits" or _folder(name, data_dir) is not None


def _folder(name: str, data_dir: str | os.PathLike[str] | None) -> Path | None:
    given = data_dir or os.environ.get("VIJAX_DATA_DIR")
    if not given:
        return None
    for folder in (Path(given) / name, Path(given)):
        if all((folder / file).is_file() for file in idx.FILES[name]):
            return folder
    return None

"""Data sets by name, as NumPy arrays.

    dataset = load("digits")         Dataset(train, test, train_labels, …)
    print(dataset)                   what is in it

| name | what | from where |
|---|---|---|
| `digits` | 1,797 handwritten digits, 8×8 | embedded, offline |
| `mnist`, `fashion_mnist` | 70,000 images, 28×28 | prepared by tensorflow-datasets, \
a folder of the original files, or a download |
| `binarized_mnist` | 70,000 images of bits, static | a folder |
| `magic`, `cms_multijet`, `zmumu` | tables of physics events | a folder |
| a path | your own `.npy`, `.npz` or `.csv` | that file; see `vijax.data.own_files` |

The folder is `data_dir` if given, else the environment's VIJAX_DATA_DIR: the one that
holds the files, or the one above it. Nothing here imports JAX. scikit-learn, Pillow and
tensorflow-datasets load when they are needed.
"""

import difflib
import os
from pathlib import Path

from vijax.data import binarized, digits, mnist, own_files, physics_tables
from vijax.data.dataset import Dataset

__all__ = ["Dataset", "is_available", "load", "names"]


def __dir__() -> list[str]:
    return sorted(__all__)


def names() -> tuple[str, ...]:
    """Return the names that `load` knows.

    Example:
        >>> names()[:3]
        ('digits', 'mnist', 'fashion_mnist')
    """
    return ("digits", *mnist.NAMES, "binarized_mnist", *physics_tables.SOURCES)


def load(
    name: str | os.PathLike[str], *, data_dir: str | os.PathLike[str] | None = None
) -> Dataset:
    """Return a data set by its name, or a user's own by its path.

    Args:
        name: one of `names()`, or a path that ends in .npy, .npz or .csv.
        data_dir: the folder of the files. MNIST and Fashion-MNIST need none: they are
            read where tensorflow-datasets has prepared them, else downloaded.

    Raises:
        ValueError: an unknown name, a file that is not what it should be.
        FileNotFoundError: a missing folder or file.
        ConnectionError: a download that fails, or a network silent for 8 s.

    Example:
        >>> dataset = load("digits")
        >>> dataset.train.shape, dataset.test.shape, dataset.num_levels
        ((1437, 8, 8), (360, 8, 8), 17)
        >>> print(dataset)
        digits: 1437 train, 360 test examples of shape (8, 8), float32;
        10 classes; 17 grey levels
    """
    if (path := _own_file(name)) is not None:
        return own_files.load(path)
    name = _known(name)
    if name == "digits":
        return digits.load()
    folder = _folder(data_dir)
    if name in mnist.NAMES:
        return mnist.load(name, folder, may_download=data_dir is None)
    if folder is None:
        raise FileNotFoundError(
            f"{name} is read from a folder: give data_dir or set VIJAX_DATA_DIR"
        )
    if name == "binarized_mnist":
        if (source := binarized.find(folder)) is None:
            raise FileNotFoundError(
                f"{folder}: expected {binarized.PACKED} or the three .amat files, here "
                "or in binarized_mnist/, found none"
            )
        return binarized.load(source)
    if (source := physics_tables.find(name, folder)) is None:
        table = physics_tables.SOURCES[name]
        raise FileNotFoundError(
            f"{folder}: expected {table.file}, here or in {table.folder}/, found none"
        )
    return physics_tables.load(name, source)


def is_available(
    name: str | os.PathLike[str], *, data_dir: str | os.PathLike[str] | None = None
) -> bool:
    """Say whether `load` would find the data set without a download; reads no data.

    Args:
        name: as for `load`.
        data_dir: as for `load`.

    Raises:
        ValueError: an unknown name.
        FileNotFoundError: a missing folder.

    Example:
        >>> is_available("digits")
        True
    """
    if (path := _own_file(name)) is not None:
        return path.is_file()
    name = _known(name)
    if name == "digits":
        return True
    folder = _folder(data_dir)
    if name in mnist.NAMES:
        return mnist.is_available(name, folder)
    if folder is None:
        return False
    if name == "binarized_mnist":
        return binarized.find(folder) is not None
    return physics_tables.find(name, folder) is not None


def _own_file(name: str | os.PathLike[str]) -> Path | None:
    path = Path(name).expanduser()
    return path if path.suffix.lower() in own_files.SUFFIXES else None


def _known(name: str | os.PathLike[str]) -> str:
    name = os.fspath(name)
    if name not in names():
        close = difflib.get_close_matches(name.lower(), names(), n=1)
        hint = f"did you mean {close[0]!r}? or " if close else ""
        raise ValueError(
            f"unknown data set {name!r}: {hint}give one of {', '.join(names())}, or "
            f"the path of a {', '.join(own_files.SUFFIXES)} file"
        )
    return name


def _folder(data_dir: str | os.PathLike[str] | None) -> Path | None:
    """Return the folder that the user names, which must exist."""
    if data_dir is None:
        given, source = os.environ.get("VIJAX_DATA_DIR") or None, "VIJAX_DATA_DIR"
    else:
        given, source = os.fspath(data_dir), "data_dir"
    if given is None:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{source}: there is no folder {folder}")
    return folder

"""Data sets by name or by path, as NumPy arrays; tables by batches; histograms.

    dataset = load("digits")         Dataset(train, test, train_labels, …)
    print(dataset)                   what is in it
    events = load("events.root", columns=["pt", "eta"], select="pt > 20")

| name | what | from where |
|---|---|---|
| `digits` | 1,797 handwritten digits, 8×8 | embedded, offline |
| `mnist`, `fashion_mnist` | 70,000 images, 28×28 | prepared by tensorflow-datasets, \
a folder of the original files, or a download |
| `binarized_mnist` | 70,000 images of bits, static | a folder |
| `magic`, `cms_multijet`, `zmumu` | tables of physics events | a folder |
| a path | your own arrays (`.npy`, `.npz`, `.h5`), tables (`.csv`, `.root`, `.h5`, \
`.parquet`, `.feather`) or folder of images | there; see `vijax.data.own_files` |

The folder is `data_dir` if given, else the environment's VIJAX_DATA_DIR: the one that
holds the files, or the one above it. `batches` reads tables that do not fit in memory,
`read_histogram` the histograms of a ROOT file. Nothing here imports JAX. What reads a
kind of file loads when it is needed; the extras `root`, `hdf5`, `parquet` and `data`
install it.
"""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from vijax.data import binarized, digits, mnist, own_files, physics_tables
from vijax.data.dataset import Dataset
from vijax.data.event_files import Batches, batches, checked_names
from vijax.data.histograms import Histogram, from_hist, to_hist
from vijax.data.own_tables import Choice
from vijax.data.root_histograms import (
    histogram_names,
    read_histogram,
    write_histograms,
)
from vijax.data.selection import Select

__all__ = [
    "Batches",
    "Dataset",
    "Histogram",
    "batches",
    "from_hist",
    "histogram_names",
    "is_available",
    "load",
    "names",
    "read_histogram",
    "to_hist",
    "write_histograms",
]


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
    name: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    columns: Sequence[str] | None = None,
    table: str | None = None,
    select: Select | None = None,
    label: str | None = None,
) -> Dataset:
    """Return a data set by its name, or a user's own by its path.

    Args:
        name: one of `names()`; or the path of a .npy, .npz, .csv, .root, .h5, .hdf5,
            .parquet, .feather or .arrow file, or of a folder of images.
        data_dir: the folder of the files. MNIST and Fashion-MNIST need none: they are
            read where tensorflow-datasets has prepared them, else downloaded.
        columns: of a table in a file, in this order; by default all. Each must be
            numbers; one of k numbers per row becomes k columns name[0], ….
        table: the tree of a ROOT file, the group or data set of an HDF5 file; needed
            where there are several.
        select: rows of a table to keep: a text such as "pt > 20 and abs(eta) < 2.5",
            which may use other columns too (`vijax.data.selection`), or a function of
            the columns that are read, a dict of arrays, to a bool for each row.
        label: column of a table that holds the classes; by default `label`, if there.

    Returns:
        `Dataset`: float32 or float64 arrays, split into train and test.

    Raises:
        ValueError: an unknown name; a damaged or foreign file; a column or a table
            that is not there; lists of different lengths, text, missing values; a
            selection that keeps no row.
        FileNotFoundError: a missing folder or file.
        ImportError: what reads such a file is not installed; names the extra.
        ConnectionError: a download that fails, or a network silent for 8 s.

    Example:
        >>> dataset = load("digits")
        >>> dataset.train.shape, dataset.test.shape, dataset.num_levels
        ((1437, 8, 8), (360, 8, 8), 17)
        >>> print(dataset)
        digits: 1437 train, 360 test examples of shape (8, 8), float32;
        10 classes; 17 grey levels
    """
    choice = Choice(checked_names(columns), table, select, label)
    if (path := _own_file(name)) is not None:
        return own_files.load(path, choice)
    name = _known(name)
    if choice != Choice():
        raise ValueError(
            f"{choice} is for files of your own: {name} is as it is, leave it out"
        )
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
        published = physics_tables.SOURCES[name]
        raise FileNotFoundError(
            f"{folder}: expected {published.file}, here or in {published.folder}/, "
            "found none"
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
        return path.exists()
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
    is_own = path.suffix.lower() in own_files.SUFFIXES
    if not is_own and os.fspath(name) not in names():
        is_own = path.is_dir()  # of images
    return path if is_own else None


def _known(name: str | os.PathLike[str]) -> str:
    name = os.fspath(name)
    if name not in names():
        close = difflib.get_close_matches(name.lower(), names(), n=1)
        hint = f"did you mean {close[0]!r}? or " if close else ""
        raise ValueError(
            f"unknown data set {name!r}: {hint}give one of {', '.join(names())}, or "
            f"the path of a {', '.join(own_files.SUFFIXES)} file or of a folder of "
            "images"
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

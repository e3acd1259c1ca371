"""MNIST and Fashion-MNIST from a prepared folder, the original files, or a download.

The sources, in order, give the same arrays, bit for bit and in the same order:

1. a folder that tensorflow-datasets has prepared, below TFDS_DATA_DIR;
2. the four original .gz files in `data_dir` or VIJAX_DATA_DIR: read as they are,
   nothing is written;
3. a download, which leaves a prepared folder for the next time.
"""

from pathlib import Path

import numpy as np

from vijax.data import download, tfds_folder
from vijax.data.dataset import Dataset, images
from vijax.data.files import idx

NAMES = tuple(idx.FILES)
LABEL_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}


def load(name: str, folder: Path | None, *, may_download: bool) -> Dataset:
    """Return the data set from the first source that has it.

    Raises:
        ValueError: files that are not the published ones.
        FileNotFoundError: no source has it, and a download is not allowed.
        ConnectionError: a download that fails.
        OSError: the folder of prepared data sets cannot be written to.
    """
    source = tfds_folder.find(name, tfds_folder.root())
    if source is not None:
        return _dataset(name, tfds_folder.read(name, source))
    source = folder and idx.find(name, folder)
    if source is not None:
        return _dataset(name, idx.load(name, source))
    source = folder and tfds_folder.find(name, folder)
    if source is not None:
        return _dataset(name, tfds_folder.read(name, source))
    if not may_download:
        wanted = ", ".join(file.name for file in idx.FILES[name])
        raise FileNotFoundError(
            f"{folder}: expected the files {wanted}, here or in {name}/, found none"
        )
    with tfds_folder.temporary(tfds_folder.root()) as part:  # fails before the download
        download.fetch(name, part)
        arrays = idx.load(name, part)
    tfds_folder.write(name, arrays, tfds_folder.root())
    return _dataset(name, arrays)


def is_available(name: str, folder: Path | None) -> bool:
    """Say whether a source other than a download has it."""
    found = tfds_folder.find(name, tfds_folder.root())
    if found is None and folder is not None:
        found = idx.find(name, folder) or tfds_folder.find(name, folder)
    return found is not None


def _dataset(name: str, arrays: idx.Arrays) -> Dataset:
    return Dataset(
        train=images(arrays.train_images, 256),
        test=images(arrays.test_images, 256),
        train_labels=arrays.train_labels.astype(np.int64),
        test_labels=arrays.test_labels.astype(np.int64),
        name=name,
        num_levels=256,
        label_names=LABEL_NAMES[name],
    )

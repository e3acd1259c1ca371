"""A user's own data, by path: arrays, tables, or a folder of images.

- `.npy`: one array, the examples along its first axis.
- `.npz`: arrays `train` and, if wanted, `test`, `valid`, `train_labels`,
  `test_labels`, `valid_labels`; or one array of any name and, if wanted, `labels`.
- `.h5`, `.hdf5`: the same arrays, or a table: a group of columns, or records.
- `.csv`: a table with commas, with or without a header line of column names; without
  one its columns are called 1, 2, ….
- `.root`, `.parquet`, `.feather`, `.arrow`: a table (`event_files`).
- a folder of images (`image_folder`), or of files in MNIST's idx format (`idx`).

A table's column named `label`, or as the argument `label` says, holds classes:
integers, or text, numbered in alphabetical order. Where there is no `test`, a fifth of
the examples becomes the test part, the same fifth each time. float32 and float64 are
kept, other numbers become float64. Two types of arrays are taken as images and become
float32 in [0, 1]: uint8 as grey levels 0 … 255, bool as black and white. Nothing is
ever unpickled.
"""

from pathlib import Path

import numpy as np

from vijax.data import event_files
from vijax.data.dataset import Dataset, hold_out, images
from vijax.data.files import idx, image_folder
from vijax.data.files.open_tables import named_errors
from vijax.data.own_tables import (
    ALL,
    ARRAYS,
    KEYS,
    Choice,
    Content,
    read_csv,
    read_events,
    refuse,
)

SUFFIXES = (*ARRAYS, ".csv", *event_files.READERS)
LEVELS = {"bool": 2, "uint8": 256}  # types that mean grey levels


def load(path: Path, choice: Choice = ALL) -> Dataset:
    """Read a user's file and split it.

    Raises:
        FileNotFoundError: no such file.
        ImportError: what reads such a file is not installed.
        ValueError: as `read`; one example that cannot be split.
    """
    content = read(path, choice)
    arrays = content.arrays
    num_levels = LEVELS.get(arrays["train"].dtype.name)
    if "test" not in arrays:
        if len(arrays["train"]) < 2:
            raise ValueError(
                f"{path}: expected two examples or more to split, found one"
            )
        train, test = hold_out(len(arrays["train"]))
        for key in [key for key in ("train", "train_labels") if key in arrays]:
            arrays[key.replace("train", "test")] = arrays[key][test]
            arrays[key] = arrays[key][train]
    return Dataset(
        train=_examples(arrays["train"]),
        test=_examples(arrays["test"]),
        train_labels=_labels(arrays.get("train_labels")),
        test_labels=_labels(arrays.get("test_labels")),
        name=str(path),
        num_levels=num_levels,
        valid=_examples(arrays["valid"]) if "valid" in arrays else None,
        valid_labels=_labels(arrays.get("valid_labels")),
        feature_names=content.names,
        label_names=content.label_names,
    )


def read(path: Path, choice: Choice = ALL, *, missing: bool = False) -> Content:
    """Read a user's file as it is, its types too.

    Args:
        path: of the file, or the folder.
        choice: what is read.
        missing: whether arrays (rows, columns) may hold NaN, a missing value.

    Raises:
        FileNotFoundError: no such file.
        ImportError: what reads such a file is not installed.
        ValueError: a damaged file, one that holds anything but finite numbers, columns
            or a table that are not there, options that the kind of file has not.
    """
    if path.is_dir() and path.suffix.lower() in SUFFIXES:
        raise ValueError(
            f"{path} is a folder: give one file of it, or several to data.batches"
        )
    if path.is_dir():
        refuse(path, choice, "columns", "table", "select", "label")
        if idx.is_folder(path):
            content = Content(idx.read_folder(path))
        else:
            pictures = image_folder.read(path)
            content = Content(pictures.arrays, None, pictures.label_names)
    elif not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file, found none")
    elif path.suffix.lower() in ARRAYS:
        refuse(path, choice, "columns", "table", "select", "label")
        content = Content(_read_numpy(path))
    elif path.suffix.lower() == ".csv":
        refuse(path, choice, "table")
        content = read_csv(path, choice)
    elif path.suffix.lower() in event_files.READERS:
        content = read_events(path, choice)
    else:
        raise ValueError(
            f"{path}: give a folder of images or idx files, or a file that ends in "
            f"{', '.join(SUFFIXES)}"
        )
    _check(path, content.arrays, missing)
    return content


def _read_numpy(path: Path) -> dict[str, np.ndarray]:
    # NumPy and zipfile raise errors of many types for damaged bytes.
    with named_errors(path, "arrays of numbers"), path.open("rb") as stream:
        # Objects could be had by unpickling only, and that can run any code.
        content = np.load(stream, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {"train": content}
        arrays = {name: content[name] for name in content.files}
    if len(arrays) - ("labels" in arrays) == 1 and not set(arrays) & set(KEYS):
        renamed = {"labels": "train_labels"}
        return {renamed.get(name, "train"): array for name, array in arrays.items()}
    if "train" not in arrays or not set(arrays) <= set(KEYS):
        raise ValueError(
            f"{path}: expected an array named train, with others of "
            f"{', '.join(KEYS[1:])}, or a single one, "
            f"found {', '.join(arrays) or 'none'}"
        )
    return arrays


def _check(path: Path, arrays: dict[str, np.ndarray], missing: bool) -> None:
    """Raise ValueError unless the arrays can be parts of one data set."""
    first = arrays["train"]
    for key, array in arrays.items():
        found = f"found {array.dtype} of shape {array.shape}"
        if key.endswith("labels"):
            examples = arrays.get(key.removesuffix("_labels"))
            if examples is None or array.shape != examples.shape[:1]:
                raise ValueError(
                    f"{path}, {key}: expected one label for each example, {found}"
                )
            if array.dtype.kind not in "iu":
                raise ValueError(f"{path}, {key}: expected integers, {found}")
            continue
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{path}, {key}: expected real numbers, {found}")
        if array.ndim < 2 or array.size == 0:
            raise ValueError(
                f"{path}, {key}: expected examples along the first axis and their "
                f"values along others, none of length 0, {found}"
            )
        if array.dtype != first.dtype or array.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"{path}, {key}: expected the same type and the same shape of an "
                f"example as in train ({first.dtype} {first.shape[1:]}), {found}"
            )
        finite = np.isfinite(array) | (np.isnan(array) & missing & (array.ndim == 2))
        if not finite.all():
            where = np.unravel_index(int(np.argmin(finite)), array.shape)
            raise ValueError(
                f"{path}, {key}: expected finite numbers, found {array[where]} at "
                f"index {', '.join(str(int(i)) for i in where)}"
            )


def _examples(array: np.ndarray) -> np.ndarray:
    if array.dtype.name in LEVELS:
        return images(array, LEVELS[array.dtype.name])
    kept = array.dtype in (np.dtype(np.float32), np.dtype(np.float64))
    return array if kept else array.astype(np.float64)


def _labels(array: np.ndarray | None) -> np.ndarray | None:
    return None if array is None else array.astype(np.int64)

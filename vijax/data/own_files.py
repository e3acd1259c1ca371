"""A user's own data, by path: arrays, tables, or a folder of images.

- `.npy`: one array, the examples along its first axis.
- `.npz`: arrays `train` and, if wanted, `test`, `valid`, `train_labels`,
  `test_labels`, `valid_labels`; or one array of any name and, if wanted, `labels`.
- `.h5`, `.hdf5`: the same arrays, or a table: a group of columns, or records.
- `.csv`: a table with commas, with or without a header line of column names; without
  one its columns are called 1, 2, ….
- `.root`, `.parquet`, `.feather`, `.arrow`: a table (`event_files`).
- a folder of images (`image_folder`).

A table's column named `label`, or as the argument `label` says, holds classes:
integers, or text, numbered in alphabetical order. Where there is no `test`, a fifth of
the examples becomes the test part, the same fifth each time. float32 and float64 are
kept, other numbers become float64. Two types of arrays are taken as images and become
float32 in [0, 1]: uint8 as grey levels 0 … 255, bool as black and white. Nothing is
ever unpickled.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vijax.data import event_files, hdf5_files, image_folder, text_table
from vijax.data.dataset import Dataset, hold_out, images
from vijax.data.selection import Select, parse

ARRAYS = (".npy", ".npz")
SUFFIXES = (*ARRAYS, ".csv", *event_files.READERS)
PARTS = ("train", "test", "valid")
KEYS = (*PARTS, *(f"{part}_labels" for part in PARTS))
LEVELS = {"bool": 2, "uint8": 256}  # types that mean grey levels


class Content(NamedTuple):
    """All that a file holds, in the order of its rows."""

    arrays: dict[str, np.ndarray]  # `train`, and of KEYS what else there is
    names: tuple[str, ...] | None  # of a table's columns
    label_names: tuple[str, ...] | None


def load(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    table: str | None = None,
    select: Select | None = None,
    label: str | None = None,
) -> Dataset:
    """Read a user's file and split it.

    Raises:
        FileNotFoundError: no such file.
        ImportError: what reads such a file is not installed.
        ValueError: as `read`; one example that cannot be split.
    """
    content = read(path, columns=columns, table=table, select=select, label=label)
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


def read(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    table: str | None = None,
    select: Select | None = None,
    label: str | None = None,
) -> Content:
    """Read a user's file as it is, its types too.

    Raises:
        FileNotFoundError: no such file.
        ImportError: what reads such a file is not installed.
        ValueError: a damaged file, one that holds anything but finite numbers, columns
            or a table that are not there, options that the kind of file has not.
    """
    if path.is_dir():
        _no_options(path, columns=columns, table=table, select=select, label=label)
        pixels, labels, label_names = image_folder.read(path)
        arrays = {"train": pixels}
        content = Content(_with(arrays, labels), None, label_names)
    elif not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file, found none")
    elif path.suffix.lower() in ARRAYS:
        _no_options(path, columns=columns, table=table, select=select, label=label)
        content = Content(_read_numpy(path), None, None)
    elif path.suffix.lower() == ".csv":
        _no_options(path, table=table)
        content = _read_csv(path, columns, select, label)
    elif path.suffix.lower() in event_files.READERS:
        content = _read_events(path, columns, table, select, label)
    else:
        raise ValueError(
            f"{path}: give a folder of images, or a file that ends in "
            f"{', '.join(SUFFIXES)}"
        )
    _check(path, content.arrays)
    return content


def _no_options(path: Path, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"{name} = {value!r} is not valid for {path}: this kind of file has no "
                "such thing, leave it out"
            )


def _with(
    arrays: dict[str, np.ndarray], labels: np.ndarray | None
) -> dict[str, np.ndarray]:
    return arrays if labels is None else arrays | {"train_labels": labels}


def _read_csv(
    path: Path,
    columns: Sequence[str] | None,
    select: Select | None,
    label: str | None,
) -> Content:
    cells = text_table.read(path)
    wanted = event_files.checked_names(columns)
    if (selection := parse(select)) is not None:
        cells = text_table.select_rows(cells, selection)
    there = text_table.column_names(cells)
    label = _label(path, label, there)
    if wanted is None:
        kept = [i for i, name in enumerate(there) if name != label]
    else:
        found = [text_table.column_index(cells, name) for name in wanted]
        kept = [index for index in found if there[index] != label]
    arrays = {"train": text_table.numbers(cells, kept)}
    labels = label_names = None
    if label is not None and (column := text_table.column(cells, label)) is not None:
        labels, label_names = text_table.classes(column, path)
    has_names = cells.names is not None or columns is not None
    names = tuple(there[i] for i in kept) if has_names else None
    return Content(_with(arrays, labels), names, label_names)


def _read_events(
    path: Path,
    columns: Sequence[str] | None,
    table: str | None,
    select: Select | None,
    label: str | None,
) -> Content:
    if path.suffix.lower() in (".h5", ".hdf5"):
        arrays = hdf5_files.read_arrays(path, table, KEYS)
        if arrays is not None:
            _no_options(path, columns=columns, select=select, label=label)
            return Content(arrays, None, None)
    columns = event_files.checked_names(columns)
    label = _label(path, label, event_files.column_names(path, table))
    found = event_files.read(path, columns, table, select, label)
    labels = label_names = None
    if label is not None:
        labels, label_names = _classes(path, label, found.pop(label))
    values, names = event_files.matrix(path, found)
    return Content(_with({"train": values}, labels), names, label_names)


def _label(path: Path, label: str | None, there: tuple[str, ...]) -> str | None:
    """Return the column of classes; None if there is none and none was named."""
    if label is None:
        return "label" if "label" in there else None
    if label not in there:
        raise ValueError(
            f"{path}: there is no column {label!r} for the labels: give one of "
            f"{', '.join(there)}"
        )
    return label


def _classes(
    path: Path, name: str, values: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return a column of labels as int64, and the names of those that are text."""
    if values.dtype.kind in "OU":
        return text_table.classes(values.tolist(), path)
    if values.ndim > 1 or (values != np.rint(values)).any():
        raise ValueError(
            f"{path}, column {name}: expected labels that are all integers or all text"
        )
    return values.astype(np.int64), None


def _read_numpy(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as stream:
            # Objects could be had by unpickling only, and that can run any code.
            content = np.load(stream, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return {"train": content}
            arrays = {name: content[name] for name in content.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path}: expected arrays of numbers, found something else ({error})"
        ) from error
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


def _check(path: Path, arrays: dict[str, np.ndarray]) -> None:
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
        finite = np.isfinite(array)
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

"""Tables of one's own: text with commas, and files of events, with their labels.

`read_csv` and `read_events` give numbers for networks, `read_mixed` every column as it
is, for a detector of anomalies.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vijax.data import event_files
from vijax.data.files import hdf5_files, text_table
from vijax.data.files.open_tables import LEAVE, Block, FileContentError
from vijax.data.selection import Select, parse

ARRAYS = (".npy", ".npz")
HDF5 = (".h5", ".hdf5")
PARTS = ("train", "test", "valid")
KEYS = (*PARTS, *(f"{part}_labels" for part in PARTS))


@dataclass(frozen=True)
class Choice:
    """What is read of a table; see `vijax.data.load`."""

    columns: tuple[str, ...] | None = None
    table: str | None = None
    select: Select | None = None
    label: str | None = None


ALL = Choice()


class Content(NamedTuple):
    """All that a file holds, in the order of its rows."""

    arrays: dict[str, np.ndarray]  # `train`, and of KEYS what else there is
    names: tuple[str, ...] | None = None  # of a table's columns
    label_names: tuple[str, ...] | None = None


def read_csv(path: Path, choice: Choice) -> Content:
    """Read a text file with commas.

    Raises:
        ValueError: a cell that is no number, columns that are not there.
    """
    cells = _selected(path, choice)
    there = text_table.column_names(cells)
    label = _label(path, choice.label, there)
    if choice.columns is None:
        kept = [i for i, name in enumerate(there) if name != label]
    else:
        found = [text_table.column_index(cells, name) for name in choice.columns]
        kept = [index for index in found if there[index] != label]
    arrays = {
        "train": text_table.numbers(cells, kept, remedy=f": fill it in, or {LEAVE}")
    }
    label_names = None
    if label is not None:
        column = text_table.column(cells, label) or []
        arrays["train_labels"], label_names = text_table.classes(column, path)
    has_names = cells.names is not None or choice.columns is not None
    names = tuple(there[i] for i in kept) if has_names else None
    return Content(arrays, names, label_names)


def read_events(path: Path, choice: Choice) -> Content:
    """Read a file of events, or an HDF5 file of arrays.

    Raises:
        ImportError: what reads such a file is not installed.
        ValueError: as `event_files.batches`; whole numbers above 2^53.
    """
    if _holds_arrays(path, choice.table):
        refuse(path, choice, "columns", "select", "label")
        return Content(hdf5_files.read_arrays(path, choice.table, KEYS))
    label = _label(path, choice.label, event_files.column_names(path, choice.table))
    columns = _all_rows(path, choice, label)
    found = {}
    label_names = None
    if label is not None:
        labels = columns.pop(label)
        found["train_labels"], label_names = _classes(path, label, labels)
    values, names = matrix(path, columns)
    return Content({"train": values} | found, names, label_names)


def read_mixed(
    path: Path, choice: Choice, text: Sequence[str] = ()
) -> dict[str, np.ndarray] | None:
    """Return a table's columns as they are, without the label; None of other files.

    Text stays text, and missing values NaN or None. In a text file a column is numbers
    if all its cells are, but those of `text`.

    Raises:
        FileNotFoundError: no such file.
        ImportError: what reads such a file is not installed.
        ValueError: as `own_files.read`.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv" and path.is_file():
        refuse(path, choice, "table")
        cells = _selected(path, choice)
        there = text_table.column_names(cells)
        label, columns = _label(path, choice.label, there), {}
        for name in choice.columns or there:
            index = text_table.column_index(cells, name)
            read = text_table.text if name in text else text_table.typed
            columns[name] = read([row[index].strip() for row in cells.rows])
    elif suffix in event_files.READERS and path.is_file():
        if _holds_arrays(path, choice.table):
            return None
        label = _label(path, choice.label, event_files.column_names(path, choice.table))
        columns = _all_rows(path, choice, label, raw=True)
    else:
        return None
    return {name: array for name, array in columns.items() if name != label}


def source_columns(
    path: Path, names: tuple[str, ...] | None, table: str | None
) -> tuple[str, ...] | None:
    """Return the columns of a file that give features of those names; None for all.

    A column x of two numbers per row gives the features x[0] and x[1].

    Raises:
        ImportError: what reads such a file is not installed.
        ValueError: a damaged or foreign file.
    """
    there = () if names is None else column_names(path, table)
    if names is None or not there:
        return None
    found = [n if n in there else re.sub(r"\[\d+\]$", "", n) for n in names]
    return tuple(dict.fromkeys(found))


def column_names(path: Path, table: str | None) -> tuple[str, ...]:
    """Return the names of a table's columns, the label's too; () of other files.

    Raises:
        ImportError: what reads such a file is not installed.
        ValueError: a damaged or foreign file.
    """
    if not path.is_file():
        return ()
    if path.suffix.lower() == ".csv":
        return text_table.read(path).names or ()
    if path.suffix.lower() in event_files.READERS and not _holds_arrays(path, table):
        return event_files.column_names(path, table)
    return ()


def refuse(path: Path, choice: Choice, *options: str) -> None:
    """Raise a ValueError if one of these options is chosen."""
    for name in options:
        value = getattr(choice, name)
        if value is not None:
            raise ValueError(
                f"{name} = {value!r} is not valid for {path}: this kind of file has no "
                "such thing, leave it out"
            )


def matrix(path: Path, columns: Block) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return columns beside each other as floats (rows, features), and their names.

    float32 stays where all columns are; else float64, which must hold whole numbers as
    they are. A column of k numbers per row becomes name[0], …, name[k - 1].

    Raises:
        ValueError: no column; whole numbers above 2^53.

    Example:
        >>> matrix(Path("a.h5"), {"n": np.array([1, 2]), "x": np.ones((2, 2))})
        (array([[1., 1., 1.],
               [2., 1., 1.]]), ('n', 'x[0]', 'x[1]'))
    """
    names: list[str] = []
    parts: list[np.ndarray] = []
    for name, array in columns.items():
        whole = array.dtype.kind in "iu" and array.size > 0
        if whole and max(int(array.max()), -int(array.min())) > text_table.EXACT:
            raise FileContentError(
                f"{path}, column {name}: whole numbers above 2^53 would be rounded: "
                f"{LEAVE}"
            )
        width = array.shape[1] if array.ndim == 2 else None
        names += [name] if width is None else [f"{name}[{i}]" for i in range(width)]
        parts.append(array.reshape(len(array), -1))
    if not names:
        raise FileContentError(f"{path}: expected columns beside the label, found none")
    single = all(part.dtype == np.float32 for part in parts)
    dtype = np.float32 if single else np.float64
    return np.concatenate(parts, axis=1, dtype=dtype, casting="unsafe"), tuple(names)


def _all_rows(
    path: Path, choice: Choice, label: str | None, *, raw: bool = False
) -> Block:
    """Return all selected rows as columns; the label, which may be text, among them.

    If `raw`, other columns may hold text too, and missing values stay as NaN or None.
    """
    columns = choice.columns
    if columns is not None and label is not None and label not in columns:
        columns = (*columns, label)
    blocks = list(
        event_files.of_suffix(
            None,
            path,
            columns,
            choice.table,
            choice.select,
            text=() if label is None else (label,),
            raw=raw,
        )
    )
    return {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def _holds_arrays(path: Path, table: str | None) -> bool:
    is_hdf5 = path.suffix.lower() in HDF5
    return is_hdf5 and hdf5_files.holds_arrays(path, table, KEYS)


def _selected(path: Path, choice: Choice) -> text_table.TextTable:
    cells, selection = text_table.read(path), parse(choice.select)
    return cells if selection is None else text_table.select_rows(cells, selection)


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

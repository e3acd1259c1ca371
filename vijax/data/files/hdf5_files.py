"""Arrays and tables in HDF5 files, by h5py.

A group of data sets of equal length is a table whose columns they are; so is one data
set of records (a compound type). `read_arrays` is for the other form: one array of
examples along its first axis, or the parts that `own_files` describes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vijax.data.files.open_tables import (
    Block,
    FileContentError,
    OpenTable,
    check_column,
    listed,
    named_errors,
)
from vijax.extras import require

KIND = "an HDF5 file"


@contextmanager
def open_table(path: Path, table: str | None) -> Iterator[OpenTable]:
    """Open the group or the data set of that name, or the only one.

    Raises:
        ImportError: h5py is not installed.
        ValueError: a damaged or foreign file; no such group; columns of different
            lengths; arrays that are no columns.
    """
    with _open(path) as file:
        with named_errors(path, KIND):
            columns = _columns(path, _found(path, file, table))

        def blocks(names: Sequence[str], size: int) -> Iterator[Block]:
            # Others, a date say, may be of another length.
            num_rows = _num_rows(path, {n: columns[n] for n in names or columns})
            for start in range(0, num_rows, size):
                rows = slice(start, min(start + size, num_rows))
                with named_errors(path, KIND):
                    yield {
                        name: check_column(path, name, _read(columns[name], rows))
                        for name in names or columns
                    }

        yield OpenTable(tuple(columns), blocks)


def read_arrays(
    path: Path, table: str | None, keys: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return arrays of examples and labels, where `holds_arrays` says so.

    Args:
        path: the file.
        table: name of a data set or a group.
        keys: names that make a group one of parts: train, test, ….

    Raises:
        ImportError: h5py is not installed.
        ValueError: as for `open_table`.
    """
    with _open(path) as file, named_errors(path, KIND):
        found = _arrays(_found(path, file, table), keys) or {}
        return {name: np.asarray(item[()]) for name, item in found.items()}


def holds_arrays(path: Path, table: str | None, keys: Sequence[str]) -> bool:
    """Say whether a file has arrays of examples, no table; reads none of them.

    Args:
        path: the file.
        table: name of a data set or a group.
        keys: as for `read_arrays`.

    Raises:
        ImportError: h5py is not installed.
        ValueError: as for `open_table`.
    """
    with _open(path) as file, named_errors(path, KIND):
        return _arrays(_found(path, file, table), keys) is not None


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    h5py = require("h5py", extra="hdf5", purpose=f"reading {path.name}")
    with named_errors(path, KIND):
        opened = h5py.File(path, "r")
    with opened as file:
        yield file


def _found(path: Path, file: Any, table: str | None) -> Any:
    """Return the group or the data set of that name, or the only one."""
    if table is not None and table not in file:
        names: list[str] = []
        file.visit(names.append)
        raise FileContentError(
            f"{path}: there is no {table!r}: give one of {listed(names)}"
        )
    found = file if table is None else file[table]
    while not _is_data(found) and len(found) == 1:
        (found,) = found.values()
    if not _is_data(found):  # PyTables keeps its records beside an index
        data = [item for item in found.values() if _is_data(item)]
        if len(data) == 1 and data[0].dtype.names:
            return data[0]
    if not _is_data(found) and not any(map(_is_data, found.values())):
        raise FileContentError(
            f"{path}: expected columns or one group of them, found "
            f"{listed(list(found))}: name a group or a data set by table="
        )
    return found


def _arrays(found: Any, keys: Sequence[str]) -> dict[str, Any] | None:
    """Return the data sets of examples and labels by part; None of a table."""
    if _is_data(found):
        return None if _is_column(found) else {"train": found}
    members = {name: item for name, item in found.items() if _is_data(item)}
    arrays = [name for name, item in members.items() if not _is_column(item)]
    if not arrays or ("train" not in members and len(arrays) > 1):
        return None
    if set(members) <= set(keys):
        return members
    others = set(members) - set(arrays)
    if len(arrays) == 1 and others <= {"labels", "label"}:
        names = {arrays[0]: "train"} | dict.fromkeys(others, "train_labels")
        return {names[name]: item for name, item in members.items()}
    return None


def _is_data(item: Any) -> bool:
    return hasattr(item, "dtype") and hasattr(item, "shape")


def _is_column(item: Any) -> bool:
    """Say whether a data set is one column, or records of several."""
    return item.dtype.names is not None or len(item.shape or ()) <= 1


def _columns(path: Path, found: Any) -> dict[str, tuple[Any, str | None]]:
    """Return where each column is: its data set, and the field of its records."""
    if not _is_data(found):
        members = {name: item for name, item in found.items() if _is_data(item)}
        return {name: (item, None) for name, item in members.items()}
    if found.dtype.names:
        return {name: (found, name) for name in found.dtype.names}
    name = found.name.rpartition("/")[2]
    if len(found.shape or ()) != 1:
        raise FileContentError(
            f"{path}: {name} is an array of shape {found.shape}, not a table of named "
            "columns: leave out columns= and select="
        )
    return {name: (found, None)}


def _num_rows(path: Path, columns: dict[str, tuple[Any, str | None]]) -> int:
    lengths = {
        n: item.shape[0] if item.shape else None for n, (item, _) in columns.items()
    }
    if len(set(lengths.values())) != 1 or None in lengths.values():
        raise FileContentError(
            f"{path}: expected columns of one length, found {lengths}: name those of "
            "one length by columns=, or one group or data set by table="
        )
    return next(iter(lengths.values())) or 0


def _read(column: tuple[Any, str | None], rows: slice) -> np.ndarray:
    item, field = column
    array = np.asarray((item if field is None else item.fields(field))[rows])
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8")
    if array.dtype.kind == "O" and all(isinstance(value, bytes) for value in array):
        return np.array([value.decode("utf-8") for value in array], object)
    return array

"""Tables of numbers in text files with commas: read, and checked cell by cell."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np


class TextTable(NamedTuple):
    """The cells of a text file, not yet numbers."""

    path: Path
    names: tuple[str, ...] | None  # of the columns, if the file has a header
    lines: list[int]  # line number of each row
    rows: list[list[str]]


def read(path: Path, columns: tuple[str, ...] | None = None) -> TextTable:
    """Read the rows; the first is a header if no cell of it is a number.

    Args:
        path: the file.
        columns: the names that a header must have, where they are known.

    Raises:
        FileNotFoundError: no such file.
        ValueError: rows of unequal length, no row, other columns than expected.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file, found none")
    lines, rows = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, skipinitialspace=True)
            for row in reader:
                if row:
                    lines.append(reader.line_num)
                    rows.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: expected a table as text ({error})") from error
    names = columns
    first = tuple(cell.strip() for cell in rows[0]) if rows else ()
    if first == columns or not any(map(_is_number, first)):
        names, lines, rows = first, lines[1:], rows[1:]
    if columns is not None and names != columns:
        raise ValueError(
            f"{path}: expected the columns {', '.join(columns)}, found "
            f"{', '.join(first) or 'none'}"
        )
    if not rows:
        raise ValueError(f"{path}: expected rows of numbers, found none")
    width = len(names or rows[0])
    for line, row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise ValueError(
                f"{path}, line {line}: expected {width} cells as in other lines, "
                f"found {len(row)}"
            )
    return TextTable(path, names, lines, rows)


def column(table: TextTable, name: str) -> list[str] | None:
    """Return a column's cells by the header's name for it, or None."""
    if table.names is None or name not in table.names:
        return None
    index = table.names.index(name)
    return [row[index].strip() for row in table.rows]


def numbers(table: TextTable, *, without: tuple[str, ...] = ()) -> np.ndarray:
    """Return the cells as float64 of shape (rows, columns), without some columns.

    Raises:
        ValueError: a cell that is not a finite number; names its line and column.
    """
    width = len(table.rows[0])
    names = table.names or tuple(str(index + 1) for index in range(width))
    kept = [index for index in range(width) if names[index] not in without]
    values = np.empty((len(table.rows), len(kept)))
    for i, row in enumerate(table.rows):
        try:
            values[i] = [float(row[index]) for index in kept]
        except ValueError:
            values[i] = np.nan
        if not np.isfinite(values[i]).all():
            bad = next(index for index in kept if not _is_finite(row[index]))
            raise ValueError(
                f"{table.path}, line {table.lines[i]}, column {names[bad]}: expected "
                f"a finite number, found {row[bad]!r}"
            )
    return values


def classes(cells: list[str], path: Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return labels as int64; text is numbered in alphabetical order and named.

    Raises:
        ValueError: an empty cell, a mixture of numbers and text.

    Example:
        >>> classes(["photon", "electron", "photon"], Path("events.csv"))
        (array([1, 0, 1]), ('electron', 'photon'))
    """
    if "" in cells:
        raise ValueError(f"{path}: expected a label in every row, found an empty cell")
    try:
        return np.array([int(cell) for cell in cells], np.int64), None
    except ValueError:
        pass  # not integers: they must be text
    if any(map(_is_number, cells)):
        found = next(cell for cell in cells if _is_number(cell))
        raise ValueError(
            f"{path}: expected labels that are all integers or all text, found {found}"
        )
    names, labels = np.unique(cells, return_inverse=True)
    return labels.astype(np.int64), tuple(str(name) for name in names)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_finite(cell: str) -> bool:
    return _is_number(cell) and math.isfinite(float(cell))

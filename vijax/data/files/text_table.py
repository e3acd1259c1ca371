"""Tables of numbers in text files with commas: read, and checked cell by cell."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vijax.data.selection import Selection

EXACT = 2**53  # whole numbers up to here are float64's
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")  # in small letters


class TextTable(NamedTuple):
    """The cells of a text file, not yet numbers."""

    path: Path
    names: tuple[str, ...] | None  # of the columns, if the file has a header
    lines: list[int]  # line number of each row
    rows: list[list[str]]


def read(path: Path, columns: tuple[str, ...] | None = None) -> TextTable:
    """Read the rows; the first is a header if no cell of it is a number.

    A column without a name in the header is called by its number, from 1 on.

    Args:
        path: the file.
        columns: the names that a header must have, where they are known.

    Raises:
        FileNotFoundError: no such file.
        ValueError: rows of unequal length, no row, other columns than expected, cells
            that are separated by other signs than commas.
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
        names = tuple(name or str(i) for i, name in enumerate(first, 1))
        lines, rows = lines[1:], rows[1:]
    if columns is not None and names != columns:
        raise ValueError(
            f"{path}: expected the columns {', '.join(columns)}, found "
            f"{', '.join(first) or 'none'}"
        )
    _check_commas(path, first, rows)
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


def _check_commas(path: Path, first: Sequence[str], rows: list[list[str]]) -> None:
    for sign, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        # Decimal commas may have parted the numbers below a header.
        if len(first) == 1 and all(sign in ",".join(row) for row in [first, *rows]):
            raise ValueError(
                f"{path}: expected cells between commas, found {called} in every line: "
                "write the table with commas, and decimal points"
            )


def column(table: TextTable, name: str) -> list[str] | None:
    """Return a column's cells by its name, or None."""
    if name not in column_names(table):
        return None
    index = column_index(table, name)
    return [row[index].strip() for row in table.rows]


def column_index(table: TextTable, name: str) -> int:
    """Return where the column of a name stands.

    Raises:
        ValueError: no column or more than one has the name.
    """
    names = column_names(table)
    if names.count(name) != 1:
        found = "no column" if name not in names else "more than one column"
        raise ValueError(
            f"{table.path}: expected one column {name!r}, found {found} of that name "
            f"among {', '.join(names)}"
        )
    return names.index(name)


def column_names(table: TextTable) -> tuple[str, ...]:
    """Return the header's names, or the columns' numbers from 1 on."""
    return table.names or tuple(str(i + 1) for i in range(len(table.rows[0])))


def select_rows(table: TextTable, selection: Selection) -> TextTable:
    """Return the rows that a selection keeps, with their line numbers.

    A column is numbers or text to it, as `typed` says.

    Raises:
        ValueError: a column that is not there, no row is kept.
    """
    columns = {}
    for name in selection.names or column_names(table):
        index = column_index(table, name)
        columns[name] = typed([row[index].strip() for row in table.rows])
    kept = np.flatnonzero(selection.mask(columns)).tolist()
    if not kept:
        raise ValueError(f"{table.path}: select keeps none of {len(table.rows)} rows")
    lines = [table.lines[row] for row in kept]
    return table._replace(lines=lines, rows=[table.rows[row] for row in kept])


def typed(cells: list[str]) -> np.ndarray:
    """Return numbers if all cells are or are missing (NaN); else `text`.

    Among numbers, the words of other programs say that one is missing: NA, null, ?.

    Example:
        >>> typed(["1", "", "NA"]), typed(["1", "", "a"])
        (array([ 1., nan, nan]), array(['1', None, 'a'], dtype=object))
    """
    words = ["nan" if cell.lower() in MISSING else cell for cell in cells]
    try:
        return np.array([_number(word) for word in words])
    except ValueError:
        return text(cells)


def text(cells: list[str]) -> np.ndarray:
    """Return cells as they are; None where they are empty.

    Example:
        >>> text(["01", ""])
        array(['01', None], dtype=object)
    """
    return np.array([cell or None for cell in cells], object)


def numbers(
    table: TextTable, kept: Sequence[int] | None = None, *, remedy: str = ""
) -> np.ndarray:
    """Return the cells of all columns, or of those kept, as float64 (rows, columns).

    Args:
        table: the cells.
        kept: where the columns stand.
        remedy: that an error ends with.

    Raises:
        ValueError: a cell that is not a finite number, or a whole one that float64
            rounds; names its line and column.
    """
    names = column_names(table)
    kept = range(len(names)) if kept is None else kept
    values = np.empty((len(table.rows), len(kept)))
    for i, row in enumerate(table.rows):
        try:
            values[i] = [_number(row[index]) for index in kept]
        except ValueError:
            values[i] = np.nan
        if not np.isfinite(values[i]).all():
            bad = next(index for index in kept if not _is_finite(row[index]))
            raise ValueError(
                f"{table.path}, line {table.lines[i]}, column {names[bad]}: expected "
                f"a finite number, found {row[bad]!r}{remedy}"
            )
        if (np.abs(values[i]) >= EXACT).any():
            _check_exact(table, i, kept)
    return values


def _check_exact(table: TextTable, i: int, kept: Sequence[int]) -> None:
    """Raise ValueError at a whole number that is another one as a float."""
    for index in kept:
        cell = table.rows[i][index].strip()
        digits = cell.removeprefix("-").removeprefix("+")
        if digits.isdecimal() and int(cell) != int(float(cell)):
            raise ValueError(
                f"{table.path}, line {table.lines[i]}, column "
                f"{column_names(table)[index]}: {cell} is above 2^53 and would be "
                "rounded: leave the column out"
            )


def classes(
    cells: Sequence[str], path: Path
) -> tuple[np.ndarray, tuple[str, ...] | None]:
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
        return np.array([int(_plain(cell)) for cell in cells], np.int64), None
    except ValueError:
        pass  # not integers: they must be text
    if any(map(_is_number, cells)):
        found = next(cell for cell in cells if _is_number(cell))
        raise ValueError(
            f"{path}: expected labels that are all integers or all text, found {found}"
        )
    names, labels = np.unique(cells, return_inverse=True)
    return labels.astype(np.int64), tuple(str(name) for name in names)


def _plain(cell: str) -> str:
    """Return a cell that may be a number: Python alone reads 2024_01 as 202401."""
    if "_" in cell:
        raise ValueError(f"{cell} is no number")
    return cell


def _number(cell: str) -> float:
    return float(_plain(cell))


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def _is_finite(cell: str) -> bool:
    return _is_number(cell) and math.isfinite(float(cell))

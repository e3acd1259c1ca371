"""What a reader of files gives: an open table, and errors that name the file.

Each kind of file has a reader, a context manager `open_table(path, table)` that yields
an `OpenTable`: `root_files`, `hdf5_files`, `arrow_files`. A column is an array with one
entry a row: numbers (rows,) or (rows, k), or text. Whole numbers of which some are
missing are a masked array.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

Block = dict[str, np.ndarray]
SHOWN = 30  # names that an error lists
EXPECTED = "expected a number or a text, or equally many numbers, per row"
LEAVE = "leave it out by columns=[…] (--columns, --leave-out)"


class FileContentError(ValueError):
    """A ValueError that names the file and the remedy already."""


class OpenTable(NamedTuple):
    """A table in a file that is open."""

    names: tuple[str, ...]  # of the columns that are there
    # The rows by blocks: columns, and most rows of a block -> blocks. No names: all.
    blocks: Callable[[Sequence[str], int], Iterator[Block]]


@contextmanager
def named_errors(path: Path, kind: str) -> Iterator[None]:
    """Turn what a library raises at a file's content into a ValueError.

    Libraries of file formats raise errors of many types for damaged bytes.

    Raises:
        ValueError: of another text, which names the file.
    """
    try:
        yield
    except (ImportError, PermissionError, MemoryError, FileContentError):
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise FileContentError(
            f"{path}: expected {kind}, found something else or a damaged file "
            f"({type(error).__name__}: {text})"
        ) from error


def listed(names: Sequence[str]) -> str:
    """Return names for an error, not more than fit.

    Example:
        >>> listed(["pt", "eta"])
        'pt, eta'
        >>> listed([])
        'none'
    """
    more = f", … ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more or "none"


def check_column(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    """Return a column of numbers or of text, as an array of either type.

    Raises:
        ValueError: lists of different lengths, records, times, objects.
    """
    if array.dtype.kind in "biufU" and array.ndim in (1, 2):
        return array
    if array.dtype.kind == "O" and array.ndim == 1:
        kept = [value for value in array if value is not None]
        if all(isinstance(value, str) for value in kept):
            return array
    if array.dtype.kind == "O":
        raise lists_of_different_lengths(path, name)
    is_time = array.dtype.kind in "mM"
    found = "times" if is_time else f"{array.dtype} of shape {array.shape}"
    raise FileContentError(f"{path}, column {name}: {EXPECTED}, found {found}: {LEAVE}")


def lists_of_different_lengths(path: Path, name: str) -> FileContentError:
    """Return the error of a column that has no fixed number of values per row."""
    return FileContentError(
        f"{path}, column {name}: {EXPECTED}, found lists of different lengths, or "
        f"objects: {LEAVE}, or write one number per row in columns of its own"
    )

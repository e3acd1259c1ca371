"""Tables of events in ROOT, HDF5, Parquet and Feather files, block by block.

    for block in batches("events.root", ["pt", "eta"], select="pt > 20"):
        block["pt"], block["eta"]          arrays of up to 65,536 rows

Every kind of file goes the same way: a reader yields blocks of columns, a selection
keeps rows, and what is kept must be finite numbers.
"""

import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vijax.data.files import arrow_files, hdf5_files, root_files
from vijax.data.files.open_tables import (
    LEAVE,
    Block,
    FileContentError,
    OpenTable,
    listed,
)
from vijax.data.selection import Select, Selection, parse

BATCH_SIZE = 2**16
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

READERS: dict[str, Callable[[Path, str | None], AbstractContextManager[OpenTable]]] = {
    ".root": root_files.open_table,
    ".h5": hdf5_files.open_table,
    ".hdf5": hdf5_files.open_table,
    ".parquet": arrow_files.open_parquet,
    ".feather": arrow_files.open_feather,
    ".arrow": arrow_files.open_feather,
}


@dataclass(frozen=True)
class Batches:
    """Rows of files by blocks of columns; each `iter` begins a new pass.

    From `batches`. `vi.Stream(batches(…))` fits a model to rows that do not fit in
    memory.
    """

    paths: tuple[Path, ...]
    columns: tuple[str, ...] | None  # None: all
    table: str | None
    selection: Selection | None
    select: Select | None
    batch_size: int
    suffix: str | None  # the kind of file where its name does not say it
    text: tuple[str, ...] = ()  # columns that may hold text
    raw: bool = False  # whether all may, and missing values stay as NaN or None

    def __iter__(self) -> Iterator[Block]:
        """Read all files from the first row on.

        Raises:
            FileNotFoundError: no such file.
            ImportError: what reads such a file is not installed.
            ValueError: a damaged or foreign file; a column that is not there or is no
                column of finite numbers; a selection that keeps no row.
        """
        read = kept = 0
        for path in self.paths:
            for block, rows in self._of_file(path):
                read += rows
                kept += _length(block)
                if _length(block):
                    yield block
        if not kept:
            where = ", ".join(map(str, self.paths))
            if not read:
                raise FileContentError(f"{where}: expected rows, found none")
            raise FileContentError(
                f"{where}: select = {self.select!r} keeps none of {read} rows"
            )

    def _of_file(self, path: Path) -> Iterator[tuple[Block, int]]:
        """Yield the rows that are kept, and how many were read."""
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected a file, found none")
        with READERS[self.suffix or path.suffix.lower()](path, self.table) as opened:
            wanted = list(self.columns or opened.names)
            also = self.selection.names if self.selection else ()
            names = list(dict.fromkeys([*wanted, *also]))
            _check_names(path, names, opened.names)
            # Leaves of one branch are read by its name, and found by their own.
            ask = list(dict.fromkeys(_source(n, opened.names) for n in names))
            start = 0
            for block in opened.blocks(ask, self.batch_size):
                given = wanted if self.columns else list(block)
                yield self._kept(path, block, given, start), _length(block)
                start += _length(block)

    def _kept(self, path: Path, block: Block, names: list[str], start: int) -> Block:
        for name in names:
            if name not in block:
                raise FileContentError(
                    f"{path}: there is no column {name!r}: give one of "
                    f"{listed(list(block))}"
                )
        mask = None
        if self.selection is not None:
            mask = self.selection.mask({n: _seen(block[n]) for n in block})
        kept = {}
        for name in names:
            array = block[name] if mask is None else block[name][mask]
            rows = np.arange(len(block[name])) if mask is None else np.flatnonzero(mask)
            kept[name] = self._checked(path, name, array, start + rows)
        return kept

    def _checked(
        self, path: Path, name: str, array: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return a column of finite numbers, or of text where that may be."""
        if self.raw:
            return _seen(array)
        where = f"{path}, column {name}"
        is_text = array.dtype.kind == "U" or (
            array.dtype.kind == "O" and any(value is not None for value in array)
        )
        if is_text and name not in self.text:
            raise FileContentError(f"{where}: expected numbers, found text: {LEAVE}")
        missing = ~_is_there(array)
        if missing.any():
            first = int(np.argmax(missing))
            where += f", row {int(rows[first])}"
            if is_text:
                raise FileContentError(
                    f"{where}: expected a text, found a missing value: fill it in"
                )
            quoted = name if name.isidentifier() else f"`{name}`"
            if array.ndim == 2:
                quoted += f"[{int(np.argmin(np.isfinite(_seen(array[first]))))}]"
            raise FileContentError(
                f"{where}: expected a finite number, found a missing value, NaN or an "
                "infinity: fill it in, or leave such rows out by "
                f'select="isfinite({quoted})"'
            )
        return np.ma.getdata(array)


def batches(
    paths: Paths,
    columns: Sequence[str] | None = None,
    *,
    table: str | None = None,
    select: Select | None = None,
    batch_size: int = BATCH_SIZE,
) -> Batches:
    """Return the rows of files as blocks of columns, as often as they are asked for.

    At most about `batch_size` rows are in memory. A block is a dict of arrays, in the
    order of `columns` and in the types of the file. Nothing is read before a pass
    begins.

    Args:
        paths: of one or more files: .root, .h5, .hdf5, .parquet, .feather, .arrow.
        columns: to read; by default all, which must be numbers. Columns of equally
            many numbers per row are arrays (rows, k).
        table: name of the tree of a ROOT file, or of the group or data set of an HDF5
            file; needed where there are several.
        select: rows to keep: a text such as "pt > 20 and abs(eta) < 2.5", which may
            use other columns too (`vijax.data.selection`), or a function of the
            columns that are read, a dict of arrays, to a bool for each row.
        batch_size: rows that are read at a time, 1 or more.

    Returns:
        `Batches`: iterate over it, or give it to `vi.Stream`.

    Raises:
        ValueError: another kind of file, no file, a selection that is no condition, a
            batch size below 1. Iterating over it raises what `load` raises.

    Example:
        >>> import tempfile
        >>> import h5py
        >>> path = Path(tempfile.mkdtemp()) / "events.h5"
        >>> with h5py.File(path, "w") as file:
        ...     file["pt"], file["n"] = np.array([25.0, 10.0, 40.0]), np.arange(3)
        >>> [block["n"].tolist() for block in batches(path, ["n"], select="pt > 20")]
        [[0, 2]]
    """
    return of_suffix(None, paths, columns, table, select, batch_size)


def of_suffix(
    suffix: str | None,
    paths: Paths,
    columns: Sequence[str] | None = None,
    table: str | None = None,
    select: Select | None = None,
    batch_size: int = BATCH_SIZE,
    *,
    text: tuple[str, ...] = (),
    raw: bool = False,
) -> Batches:
    """Return the batches of files of one kind, whatever their names end in.

    Raises:
        ValueError: as `batches`.
    """
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = tuple(Path(path).expanduser() for path in files)
    if not found:
        raise ValueError(f"paths = {paths!r} is not valid: give one path or more")
    for path in found:
        if suffix is None and path.suffix.lower() not in READERS:
            raise ValueError(
                f"paths: {path} is not valid: give files that end in "
                f"{', '.join(READERS)}"
            )
    whole = isinstance(batch_size, int | np.integer) and not isinstance(
        batch_size, bool
    )
    if not whole or batch_size < 1:
        raise ValueError(
            f"batch_size = {batch_size!r} is not valid: give a whole number, 1 or more"
        )
    return Batches(
        paths=found,
        columns=checked_names(columns),
        table=table,
        selection=parse(select),
        select=select,
        batch_size=int(batch_size),
        suffix=suffix,
        text=text,
        raw=raw,
    )


def checked_names(columns: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the columns asked for.

    Raises:
        ValueError: a text instead of a list, no name, one name twice.
    """
    if columns is None:
        return None
    names = () if isinstance(columns, str) else tuple(columns)
    valid = names and all(isinstance(name, str) for name in names)
    if not valid or len(set(names)) < len(names):
        raise ValueError(
            f"columns = {columns!r} is not valid: give a list of different names"
        )
    return names


def column_names(path: Path, table: str | None) -> tuple[str, ...]:
    """Return the columns that are in a file, without reading rows.

    Raises:
        ImportError: what reads such a file is not installed.
        ValueError: as `batches`.
    """
    with READERS[path.suffix.lower()](path, table) as opened:
        return opened.names


def _length(block: Block) -> int:
    return len(next(iter(block.values()), ()))


def _source(name: str, names: tuple[str, ...]) -> str:
    """Return the column that is read for a name: itself, or the branch of a leaf."""
    return name if name in names else name.rpartition(".")[0]


def _check_names(path: Path, names: Sequence[str], there: tuple[str, ...]) -> None:
    missing = [n for n in names if n not in there and _source(n, there) not in there]
    if missing:
        lower = {name.lower(): name for name in there}
        close = difflib.get_close_matches(missing[0].lower(), lower, n=1)
        hint = f"did you mean {lower[close[0]]!r}? or " if close else ""
        raise FileContentError(
            f"{path}: there is no column {', '.join(map(repr, missing))}: {hint}give "
            f"some of {listed(there)}"
        )


def _seen(array: np.ndarray) -> np.ndarray:
    """Return a column as a selection sees it: what is missing is NaN."""
    if isinstance(array, np.ma.MaskedArray):
        return np.ma.filled(array.astype(np.float64), np.nan)
    return array


def _is_there(array: np.ndarray) -> np.ndarray:
    """Return which rows have finite numbers, or text."""
    if not len(array):
        return np.ones(0, bool)
    if isinstance(array, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(array).reshape(len(array), -1)
        return np.asarray(~mask.any(axis=1))
    if array.dtype.kind == "f":
        return np.asarray(np.isfinite(array).reshape(len(array), -1).all(axis=1))
    if array.dtype.kind == "O":
        return np.array([value is not None for value in array], bool)
    return np.ones(len(array), bool)

"""Tables in Parquet and Feather files, by pyarrow.

A column is numbers, text, categories (which become their values), or lists of equally
many numbers. The index that pandas writes beside the columns is none of them.
"""

import re
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
    lists_of_different_lengths,
    named_errors,
)
from vijax.extras import require


@contextmanager
def open_parquet(path: Path, table: str | None) -> Iterator[OpenTable]:
    """Open a Parquet file.

    Raises:
        ImportError: pyarrow is not installed.
        ValueError: a damaged or foreign file; a table's name.
    """
    kind = "a Parquet file"
    _no_tables(path, table)
    parquet = _require("pyarrow.parquet", path)
    with named_errors(path, kind):
        # What is buffered ahead stays in memory until the file is closed.
        opened = parquet.ParquetFile(
            path, page_checksum_verification=True, pre_buffer=False
        )
    with opened as file:
        names = _names(path, file.schema_arrow)

        def blocks(columns: Sequence[str], size: int) -> Iterator[Block]:
            with named_errors(path, kind):
                chosen = list(columns or names)
                for batch in file.iter_batches(batch_size=size, columns=chosen):
                    yield _block(path, batch, chosen)

        yield OpenTable(names, blocks)


@contextmanager
def open_feather(path: Path, table: str | None) -> Iterator[OpenTable]:
    """Open a Feather file, which is an Arrow file.

    Raises:
        ImportError: pyarrow is not installed.
        ValueError: a damaged or foreign file; a table's name.
    """
    kind = "a Feather (version 2) or Arrow file"
    _no_tables(path, table)
    arrow, ipc = _require("pyarrow", path), _require("pyarrow.ipc", path)
    with named_errors(path, kind):
        source = arrow.memory_map(str(path))
    with source:
        with named_errors(path, kind):
            file = ipc.open_file(source)
        names = _names(path, file.schema)

        def blocks(columns: Sequence[str], size: int) -> Iterator[Block]:
            with named_errors(path, kind):
                for index in range(file.num_record_batches):
                    batch = file.get_batch(index)
                    batch.validate(full=True)
                    for start in range(0, len(batch), size):
                        yield _block(
                            path, batch[start : start + size], columns or names
                        )

        yield OpenTable(names, blocks)


def _require(module: str, path: Path) -> Any:
    return require(module, extra="parquet", purpose=f"reading {path.name}")


def _no_tables(path: Path, table: str | None) -> None:
    if table is not None:
        raise FileContentError(
            f"{path}: table = {table!r} is not valid: this kind of file has one table, "
            "leave it out"
        )


def _names(path: Path, schema: Any) -> tuple[str, ...]:
    names = [name for name in schema.names if not re.match("__index_level_", name)]
    if len(set(names)) < len(names):
        raise FileContentError(f"{path}: expected columns of different names: {names}")
    return tuple(names)


def _block(path: Path, batch: Any, names: Sequence[str]) -> Block:
    return {
        name: check_column(path, name, _array(path, name, batch.column(name)))
        for name in names
    }


def _array(path: Path, name: str, column: Any) -> np.ndarray:
    types = require("pyarrow.types", extra="parquet", purpose="reading a column")
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if (width := _width(path, name, column)) is not None:
        flat = _array(path, name, column.flatten())
        return flat.reshape(len(column), width)
    if column.null_count and (
        types.is_integer(column.type) or types.is_boolean(column.type)
    ):
        missing = np.asarray(column.is_null())
        filled = column.fill_null(0).to_numpy(zero_copy_only=False)
        return np.ma.MaskedArray(filled, missing)
    if types.is_decimal(column.type):
        column = column.cast("float64")
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _width(path: Path, name: str, column: Any) -> int | None:
    """Return how many numbers each row of a column of lists has; None of no list."""
    kind = column.type
    is_fixed = hasattr(kind, "list_size")
    if not is_fixed and not hasattr(column, "offsets"):
        return None
    lengths = {int(kind.list_size)} if is_fixed else set(_lengths(column))
    if len(lengths) > 1 or column.null_count:
        raise lists_of_different_lengths(path, name)
    return lengths.pop() if lengths else 0


def _lengths(column: Any) -> list[int]:
    return np.unique(np.diff(np.asarray(column.offsets))).tolist()

"""Rows that do not fit in memory, read block by block, as often as they are asked for.

    Stream({"x": np.memmap(…), "y": np.memmap(…)})     columns of arrays
    Stream.parquet("rows.parquet", ["x", "y"])         columns of Parquet files
    Stream(data.batches("rows.root", ["x", "y"]))      of ROOT, HDF5, Feather files too
    Stream(begin)                   any iterable of batches: begin() makes a new one

A block is a dict of arrays by column, `block_size` rows each. All rows are read once
when the stream is made: they are counted, checked for NaN, and each block's checksum is
kept. A later pass that does not give the same rows is refused, for a fit takes many.
"""

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vijax.data.event_files import Batches, of_suffix
from vijax.extras import require
from vijax.validate import check, is_whole, unmasked
from vijax.vi.targets.arguments.data_arguments import moved_by_float32, refuse_blur
from vijax.vi.targets.arguments.user_arguments import check_whole

BLOCK_SIZE = 2**14
Block = dict[str, np.ndarray]
Source = Mapping[str, Any] | Callable[[], Iterable[Mapping[str, Any]]] | Batches


class Stream:
    """Rows by blocks; see the module's docstring.

    Args:
        source: arrays by column, which are sliced (`np.memmap` reads what is asked
            for); or a function that begins a pass: it returns an iterable of dicts of
            arrays by column, of any number of rows each; or `data.batches(…)`.
        block_size: rows in memory at a time.

    Raises:
        ValueError: there are no rows or no columns; columns of different lengths, of
            something else than numbers, or with NaN; batches whose columns, shapes or
            types differ; a block size below 1.

    Example:
        >>> rows = Stream({"x": np.arange(10.0), "y": np.arange(10)}, block_size=4)
        >>> rows.num_rows, rows.num_blocks, rows.read(2)["y"].tolist()
        (10, 3, [8, 9])
    """

    def __init__(self, source: Source, *, block_size: int = BLOCK_SIZE) -> None:
        valid = is_whole(block_size) and block_size >= 1
        check(valid, "block_size", block_size, "give a whole number, 1 or more")
        self.block_size = int(block_size)
        self._arrays: Block | None = None
        if isinstance(source, Mapping):
            self._arrays = _columns(source, "source")
            source = self._slices
        elif isinstance(source, Batches):
            source = source.__iter__
        elif not callable(source):
            raise ValueError(
                f"source = {type(source).__name__} is not valid: give a dict of "
                "arrays, or a function that returns a new iterable of such dicts at "
                "each call"
            )
        self._begin_pass = source
        self._lock = threading.Lock()
        self._pass: Iterator[Block] = iter(())
        self._next = -1  # the block that the pass will give
        self.failure = ""  # of the last read
        self._look_at_all()

    @classmethod
    def parquet(
        cls,
        paths: str | Path | list[str] | list[Path],
        columns: list[str],
        *,
        block_size: int = BLOCK_SIZE,
    ) -> "Stream":
        """Return the rows of one or more Parquet files, one after the other.

        The files may have any suffix; else it is `Stream(data.batches(…))`.

        Args:
            paths: of the files.
            columns: to read; of numbers, or of lists of equal length.
            block_size: rows in memory at a time.

        Raises:
            ImportError: pyarrow is not installed.
            ValueError: as for the class; a damaged file; no such column in a file.
        """
        require("pyarrow", extra="parquet", purpose="vi.Stream.parquet")
        found = of_suffix(".parquet", paths, columns, batch_size=block_size)
        return cls(found, block_size=block_size)

    @property
    def num_blocks(self) -> int:
        """Blocks of a pass; the last one may have fewer rows."""
        return -(-self.num_rows // self.block_size)

    def regrouped(self, block_size: int) -> "Stream":
        """Return the same rows in blocks of another size."""
        source = self._begin_pass if self._arrays is None else self._arrays
        return Stream(source, block_size=block_size)

    def read(self, index: int) -> Block:
        """Return a block; in any order, though a pass is read fastest in its own.

        Raises:
            ValueError: the rows are not those that were there at first.
        """
        with self._lock:
            self.failure = ""
            try:
                block = self._read(int(index))
                if _checksum(block) != self.checksums[index]:
                    raise ValueError(
                        f"block {index} of the stream has other rows than at first: "
                        "give a source that is the same at each pass"
                    )
            except Exception as error:
                self.failure = str(error)
                raise
        return block

    def sample(self, num_rows: int, *, seed: int = 0) -> Block:
        """Return rows chosen at random from all over the stream, by one pass.

        The generator is NumPy's: rows are chosen on the host, the same for every seed.
        """
        number = min(num_rows, self.num_rows)
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(self.num_rows, number, replace=False))
        parts: list[Block] = []
        for index in range(self.num_blocks):
            start = index * self.block_size
            low, high = np.searchsorted(chosen, [start, start + self.block_size])
            if low < high:
                block, rows = self.read(index), chosen[low:high] - start
                parts.append({name: array[rows] for name, array in block.items()})
        order = rng.permutation(number)
        return {
            name: np.concatenate([part[name] for part in parts])[order]
            for name in self.columns
        }

    def __repr__(self) -> str:
        kinds = (f"{n}: {dtype}{list(s)}" for n, (s, dtype) in self.columns.items())
        return f"Stream of {self.num_rows} rows ({', '.join(kinds)})"

    def _look_at_all(self) -> None:
        """Count the rows, check them, and keep what they must be at each pass."""
        self.num_rows, self.checksums = 0, list[int]()
        self.columns: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        seen: dict[str, list[tuple[float, float, float]]] = {}
        for index, block in enumerate(self._blocks()):
            if not self.columns:
                self.columns = {n: (a.shape[1:], a.dtype) for n, a in block.items()}
            for name, array in block.items():
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
                    row = index * self.block_size + int(np.argmax(bad))
                    raise ValueError(
                        f"column {name!r} is not finite in row {row}: leave such rows "
                        "out, or fill them in"
                    )
                check_whole(f"column {name!r}", array)
                if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype == float:
                    found = array.min(), array.max(), moved_by_float32(array)
                    seen.setdefault(name, []).append(found)
            self.checksums.append(_checksum(block))
            self.num_rows += len(next(iter(block.values())))
        check(self.num_rows > 0, "the stream's rows", 0, "give at least one row")
        for name, parts in seen.items():
            low, high, moved = np.array(parts).T
            low, high = low.min(), high.max()
            largest, spread = max(-low, high), (high - low) / 12**0.5  # if uniform
            refuse_blur(f"column {name!r} has", low, largest, spread, moved.max())

    def _read(self, index: int) -> Block:
        if self._arrays is not None:
            start = index * self.block_size
            rows = slice(start, start + self.block_size)
            return {name: np.array(array[rows]) for name, array in self._arrays.items()}
        if index < self._next or self._next < 0:
            self._pass, self._next = self._blocks(), 0
        found = next(islice(self._pass, index - self._next, None), None)
        self._next = index + 1
        if found is None:
            self._next = -1
            raise ValueError(
                f"the stream ends before block {index}, and had {self.num_blocks} at "
                "first: give a source that is the same at each pass"
            )
        return found

    def _slices(self) -> Iterator[Block]:
        assert self._arrays is not None
        length = len(next(iter(self._arrays.values())))
        for start in range(0, length, self.block_size):
            rows = slice(start, start + self.block_size)
            yield {name: np.array(array[rows]) for name, array in self._arrays.items()}

    def _blocks(self) -> Iterator[Block]:
        """Begin a pass, and cut its batches into blocks of the stream's size."""
        kept: list[Block] = []
        number, kinds = 0, None
        for index, batch in enumerate(self._begin_pass()):
            columns = _columns(batch, f"batch {index} of the source")
            found = {name: (a.shape[1:], a.dtype) for name, a in columns.items()}
            kinds = kinds or found
            if found != kinds:
                raise ValueError(
                    f"batch {index} of the source has columns {found}, and the first "
                    f"one {kinds}: give the same columns, shapes and types"
                )
            kept.append(columns)
            number += len(next(iter(columns.values())))
            while number >= self.block_size:
                whole = _joined(kept)
                yield {name: a[: self.block_size] for name, a in whole.items()}
                kept = [{name: a[self.block_size :] for name, a in whole.items()}]
                number -= self.block_size
        if number:
            yield _joined(kept)


def _columns(given: Any, what: str) -> Block:
    """Return the columns as arrays, or raise a ValueError that says why not."""
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"{what} is not valid: give a dict of arrays by column")
    columns = {
        str(name): a if isinstance(a, np.ndarray) else np.asarray(a)
        for name, a in given.items()
    }
    lengths = {name: len(a) if a.ndim else None for name, a in columns.items()}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        raise ValueError(
            f"{what} is not valid: its columns have lengths {lengths}; give rows along "
            "the first axis of each, equally many"
        )
    for name, array in columns.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"column {name!r} of {what} is of {array.dtype}: give real numbers"
            )
        unmasked(f"column {name!r} of {what}", array)
    return columns


def _joined(parts: list[Block]) -> Block:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _checksum(block: Block) -> int:
    found = 0
    for name in sorted(block):
        found = zlib.crc32(np.ascontiguousarray(block[name]).data, found)
    return found

"""Tables in ROOT files: a TTree or an RNTuple, by uproot.

A branch is a column if it has one number or text per entry, or equally many numbers; a
branch of leaves a and b is the columns branch.a and branch.b.
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
    lists_of_different_lengths,
    named_errors,
)
from vijax.extras import require

KIND = "a ROOT file"
AT_ONCE = 2**20  # entries that are read at once, fewer of many columns
NUMBERS_AT_ONCE = 2**24
LISTS = ("std::vector", "ROOT::VecOps::RVec")
TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")


@contextmanager
def open_table(path: Path, table: str | None) -> Iterator[OpenTable]:
    """Open the tree of that name, or the only one.

    Raises:
        ImportError: uproot is not installed.
        ValueError: a damaged or foreign file, no such tree, more than one.
    """
    with open_root(path) as file:
        with named_errors(path, KIND):
            tree = _tree(path, file, table)
            branches = _branches(tree)

        def blocks(columns: Sequence[str], size: int) -> Iterator[Block]:
            chosen = {name: branches[name] for name in columns or branches}
            with named_errors(path, KIND):
                ranges = list(_ranges(tree, size, len(chosen)))
            for start, stop in ranges:
                with named_errors(path, KIND):
                    found = _block(path, chosen, start, stop)
                for row in range(0, stop - start, size):
                    yield {name: a[row : row + size] for name, a in found.items()}

        yield OpenTable(tuple(branches), blocks)


@contextmanager
def open_root(path: Path) -> Iterator[Any]:
    """Open a ROOT file, which must be as long as it says.

    Raises:
        ImportError: uproot is not installed.
        ValueError: a damaged or foreign file.
    """
    uproot = require("uproot", extra="root", purpose=f"reading {path.name}")
    with named_errors(path, KIND):
        # By a dict, for a colon in a path would end it.
        opened = uproot.open({str(path): None}, handler=uproot.MemmapSource)
    with opened as file:
        size = path.stat().st_size
        if size < file.file.fEND:  # uproot would read what is left without a word
            raise FileContentError(
                f"{path}: expected {file.file.fEND} bytes, found {size}: the file is "
                "cut short; copy it again"
            )
        yield file


def _tree(path: Path, file: Any, table: str | None) -> Any:
    kinds = file.classnames(cycle=False)
    trees = [name for name, kind in kinds.items() if kind in TREES]
    if table is None and len(trees) != 1:
        raise FileContentError(
            f"{path}: expected one tree, found {listed(trees)}: name it by table="
        )
    name = (table or trees[0]).strip("/")
    if name.partition(";")[0] not in trees:
        raise FileContentError(
            f"{path}: there is no tree {name!r}: give one of {listed(trees)}"
        )
    return file[name]


def _branches(tree: Any) -> dict[str, Any]:
    """Return the branches that hold data; of an object that is split, its parts."""
    if not hasattr(tree, "branches"):  # an RNTuple
        return {name: tree[name] for name in tree.keys(recursive=False)}
    found: dict[str, Any] = {}
    for path, branch in tree.items(recursive=True, full_paths=True):
        if not branch.branches:
            name = path.rpartition("/")[2]
            found[path if name in found else name] = branch
    return found


def _ranges(tree: Any, size: int, num_columns: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of entries to be read at once, each of `size` rows or more.

    A basket is decompressed whole, whatever is wanted of it: small ranges would
    decompress it again and again, and ranges that end where baskets do never.
    """
    most = max(size, min(AT_ONCE, NUMBERS_AT_ONCE // num_columns))
    ends = np.array([tree.num_entries])
    if hasattr(tree, "common_entry_offsets"):
        ends = np.asarray(tree.common_entry_offsets())
    start = 0
    while start < tree.num_entries:
        stop = min(start + most, tree.num_entries)
        within = ends[(ends > start) & (ends <= stop)]
        stop = int(within[-1]) if len(within) else stop
        yield start, stop
        start = stop


def _block(path: Path, branches: dict[str, Any], start: int, stop: int) -> Block:
    found: Block = {}
    for name, branch in branches.items():
        if branch.typename.startswith(LISTS):
            raise lists_of_different_lengths(path, name)
        # One by one: of some branches uproot makes several arrays.
        array = branch.array(entry_start=start, entry_stop=stop, library="np")
        if len(array) != stop - start:
            raise FileContentError(
                f"{path}, branch {name}: expected {stop - start} entries from {start} "
                f"on, found {len(array)}: the file is damaged"
            )
        if array.dtype.names:
            for leaf in array.dtype.names:
                key = f"{name}.{leaf}"
                found[key] = check_column(path, key, array[leaf])
        else:
            found[name] = check_column(path, name, np.asarray(array))
    return found

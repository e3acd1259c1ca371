"""What every process that runs tests does, whatever the folder of the test."""

import gc
import math
import resource
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

MAX_MEMORY = 1.5e9  # bytes that a process may hold between two files
LONGEST = "tests/experiments/test_experiments.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, so that all workers end together."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(autouse=True, scope="module")
def forget_programs() -> Iterator[None]:
    """Free what was compiled, once a file's tests are done and the process is large.

    A compiled program keeps some hundred kB and three mappings of memory. All tests in
    one process compile twenty thousand: 10 GB, and more mappings than Linux allows
    (65,530), upon which the next compilation aborts the process.
    """
    yield
    if memory() > MAX_MEMORY:
        jax.clear_caches()
        gc.collect()


def memory() -> float:
    """Return the memory of this process in bytes; infinity where it is not known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return math.inf
    return pages * resource.getpagesize()

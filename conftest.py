"""What every process that runs tests does, whatever the folder of the test."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

STATUS = Path("/proc/self/statm")  # Linux: in pages, the second number is resident
LARGE = 1.5e9  # bytes


def is_large() -> bool:
    """Say whether this process holds much memory, or that cannot be asked."""
    if not STATUS.exists():
        return True
    pages = int(STATUS.read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") > LARGE


@pytest.fixture(autouse=True, scope="module")
def forget_programs() -> Iterator[None]:
    """Free what has been compiled when a file of tests is done and much is held.

    A compiled program keeps 0.4 MB and three mappings of memory. Those of all tests
    together are 10 GB, and more mappings than Linux allows a process (65,530), upon
    which the next compilation aborts it.
    """
    yield
    if is_large():
        jax.clear_caches()
        gc.collect()

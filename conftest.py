"""What every process that runs tests does, whatever the folder of the test."""

import gc
from collections.abc import Iterator

import jax
import pytest

LONGEST = "tests/experiments/test_experiments.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, so that all workers end together."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(autouse=True, scope="module")
def forget_programs() -> Iterator[None]:
    """Free what a file has compiled, once its tests are done.

    A compiled program keeps some hundred kB and three mappings of memory. All tests in
    one process compile twenty thousand: 10 GB, and more mappings than Linux allows
    (65,530), upon which the next compilation aborts the process.
    """
    yield
    jax.clear_caches()
    gc.collect()

"""What every process that runs tests does, whatever the folder of the test."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest

LONGEST = "tests/experiments/test_experiments.py"
ROOMY = 1.2e9  # bytes of memory in use, up to which nothing has to be freed

# Tracing makes objects by the million, few of them garbage: look for it less often.
gc.set_threshold(50_000, 10, 10)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, so that all workers end together."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a folder in one process: they share compiled programs."""
    from xdist.scheduler import LoadFileScheduling

    class LoadFolderScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.split("::")[0].rpartition("/")[0]

    is_by_file = config.getvalue("dist") == "loadfile"
    return LoadFolderScheduling(config, log) if is_by_file else None


def memory_in_use() -> float:
    """Return the bytes that this process holds; infinity where Linux does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return float("inf")
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True, scope="module")
def forget_programs() -> Iterator[None]:
    """Free the compiled programs once they fill the memory, after a file's last test.

    The files of a folder share many programs, so to forget them after each file would
    double the time. But a program keeps one or two MB and three mappings of memory. All
    tests in one process compile twenty thousand: more mappings than Linux allows
    (65,530), upon which the next compilation aborts the process.
    """
    yield
    if memory_in_use() > ROOMY:
        jax.clear_caches()
        gc.collect()

"""What every process that runs tests does, whatever the folder of the test."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from typing import Any

import jax
import pytest

LONGEST = "tests/experiments/test_experiments.py"
WIDE = jax.config.values["jax_enable_x64"]
MANY = 1100  # compiled programs, which keep about 1.2 GB

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


@pytest.fixture(scope="session")
def programs() -> list[str]:
    """Names of the programs that XLA has compiled in this process."""
    names: list[str] = []

    def hear(event: str, seconds: float, **about: str) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(about.get("fun_name", ""))

    jax.monitoring.register_event_duration_secs_listener(hear)
    return names


@pytest.fixture(autouse=True)
def forget_programs(programs: list[str]) -> Iterator[None]:
    """Free the compiled programs, after a test that makes them many.

    The files of a folder share programs: to forget them after each file would double
    the time. But a program keeps one or two MB and three mappings of memory, and all
    tests in one process compile twenty thousand: more mappings than Linux allows
    (65,530), upon which the next compilation aborts the process.
    """
    yield
    if len(programs) > MANY:
        programs.clear()
        jax.clear_caches()
        gc.collect()
        give_back_memory()


@pytest.fixture(autouse=True, scope="module")
def own_precision() -> Iterator[None]:
    """Begin each file in the session's precision: pyhf's JAX backend changes it."""
    jax.config.update("jax_enable_x64", WIDE)
    yield
    jax.config.update("jax_enable_x64", WIDE)


@pytest.fixture(autouse=True)
def precision_stays() -> Iterator[None]:
    """Fail a test that leaves JAX in another precision: those after it would."""
    wide = jax.config.jax_enable_x64
    yield
    if jax.config.jax_enable_x64 != wide:
        jax.config.update("jax_enable_x64", wide)
        pytest.fail("jax_enable_x64 was changed and not set back")


def give_back_memory() -> None:
    """Return freed memory to the system: glibc keeps what lies in pieces."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

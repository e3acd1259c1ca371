"""Fixtures that every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import jax
import jaxtyping
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
COMPILATION = "/jax/core/compile/backend_compile_duration"  # JAX's name of the event


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)


@pytest.fixture
def x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture
def float32() -> Iterator[None]:
    """Run in float32 whatever the session's default is."""
    with jax.enable_x64(False):
        yield


@pytest.fixture
def nan_is_an_answer() -> Iterator[None]:
    """Let NaN through where it is meant, also when the session stops at each."""
    with jax.debug_nans(False):
        yield


@pytest.fixture
def as_users_do() -> Iterator[None]:
    """Call without the type checker of the tests, which would object first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def compiled() -> Iterator[list[str]]:
    """Programs that XLA has compiled since the test began, by name."""
    programs: list[str] = []

    def hear(event: str, seconds: float, **about: str) -> None:
        if event == COMPILATION:
            programs.append(about.get("fun_name", ""))

    jax.monitoring.register_event_duration_secs_listener(hear)
    yield programs
    jax.monitoring.unregister_event_duration_listener(hear)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data that developers and CI have beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data not on this machine: {SHARED} is missing")
    return SHARED

"""Fixtures that every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import jax
import jaxtyping
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)


@pytest.fixture
def x64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture
def as_users_do() -> Iterator[None]:
    """Call without the type checker of the tests, which would object first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data that developers and CI have beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data not on this machine: {SHARED} is missing")
    return SHARED

"""What the packages show, and what importing them costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from vijax import bayes, special
from vijax.bayes import conjugate, frequentist, grid, intervals, numerics, validation

ROOT = Path(__file__).parents[2]
ROOMS = [
    bayes,
    conjugate,
    frequentist,
    grid,
    intervals,
    numerics,
    special,
    validation,
]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_a_room_shows_its_public_names(room):
    assert dir(room) == sorted(room.__all__)
    for name in room.__all__:
        assert getattr(room, name)


CODE = """
import sys
import jax
from vijax import special
assert "scipy" not in sys.modules
from vijax import bayes
assert "scipy.stats" not in sys.modules and "scipy.optimize" not in sys.modules
assert not jax.live_arrays()
"""


@pytest.mark.thorough
def test_importing_loads_no_statistics_and_makes_no_arrays():
    run = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr

"""The package hands on the figures, and matplotlib with the first of them."""

import importlib
import subprocess
import sys

import pytest

from vijax import plot

ROOMS = ("bayes", "physics", "vi", "vae")


def test_every_name_is_there():
    assert dir(plot) == plot.__all__
    for name in plot.__all__:
        assert getattr(plot, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        plot.nothing  # noqa: B018


def test_each_room_hands_on_what_the_package_does():
    rooms = [importlib.import_module(f"vijax.plot.{room}") for room in ROOMS]
    names = [name for room in rooms for name in dir(room)]
    assert sorted([*names, "figure", "style"]) == plot.__all__


def test_matplotlib_loads_when_a_figure_is_asked_for():
    code = (
        "import sys; from vijax import plot; assert 'matplotlib' not in sys.modules; "
        "plot.image_grid; assert 'matplotlib' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

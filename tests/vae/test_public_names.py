"""A folder hands on what a user wants: each name once, none that hides a module."""

import importlib
import pkgutil

import pytest

PACKAGES = [
    "vijax.data",
    "vijax.metrics",
    "vijax.plot",
    "vijax.vae.anomaly",
    "vijax.vae.compression",
    "vijax.vae.evaluation",
    "vijax.vae.generation",
]


@pytest.mark.parametrize("name", PACKAGES)
def test_names_are_handed_on(name):
    package = importlib.import_module(name)
    assert dir(package) == sorted(package.__all__)
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert modules & set(package.__all__) <= {"style"}  # which is that module
    for public in package.__all__:
        assert getattr(package, public).__doc__


def test_no_two_folders_hand_on_one_name():
    names = [name for p in PACKAGES for name in importlib.import_module(p).__all__]
    names = [name for name in names if name not in ("load", "save")]  # of each its own
    assert len(names) == len(set(names))

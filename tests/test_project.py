"""What a user meets first: the import, and `make`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("matplotlib", "flax", "tensorflow_datasets", "sklearn", "numpyro")


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout


def test_import_is_light() -> None:
    modules = python("import vijax, sys; print(*sys.modules)").split()
    assert "vijax" in modules
    assert not set(HEAVY) & set(modules)


@pytest.mark.parametrize("module", ["bayes", "vi", "vae", "data", "special", "sweep"])
def test_import_allocates_no_device_array(module: str) -> None:
    code = f"import vijax.{module}, jax; print(len(jax.live_arrays()))"
    assert python(code) == "0\n"


@pytest.mark.parametrize("module", ["bayes", "vi", "data", "optimize", "sweep"])
def test_inference_needs_no_plots_networks_or_data_sets(module: str) -> None:
    modules = python(f"import vijax.{module}, sys; print(*sys.modules)").split()
    assert not {*HEAVY[:4]} & set(modules)


def test_make_alone_lists_every_target() -> None:
    output = subprocess.run(
        ["make"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    names = {line.split()[0] for line in output.splitlines() if line[:2] == "  "}
    targets = [
        "setup",
        "lecture",
        "report",
        "test",
        "test-all",
        "lint",
        "bench",
        "clean",
        "coin-flip",
        "vae",
    ]
    assert names >= set(targets)
    assert all(len(line.split()) > 1 for line in output.splitlines())

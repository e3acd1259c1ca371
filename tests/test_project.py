"""What a user meets first: the import, and `make`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = ("matplotlib", "flax", "tensorflow_datasets", "sklearn", "numpyro")


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout


def test_imports_are_light_and_allocate_no_device_array() -> None:
    """One process imports all, the lightest first: what is absent, none of them has."""
    modules = ["vijax", "special", "sweep", "optimize", "data", "bayes", "vi", "vae"]
    lines = ["import sys, jax"]
    for name in modules:
        lines.append(f"import {'vijax' if name == 'vijax' else f'vijax.{name}'}")
        lines.append("print(len(jax.live_arrays()), *sys.modules)")
    output = python("\n".join(lines)).splitlines()
    for name, line in zip(modules, output, strict=True):
        live, *loaded = line.split()
        assert live == "0", name
        absent = {"vijax": HEAVY, "vae": ()}.get(name, HEAVY[:4])
        assert not set(absent) & set(loaded), name


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

"""The command line, and results that are whole or not there."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from experiments import common
from vijax.plot import style

EXPERIMENT = '''
"""A small experiment."""
import signal, sys, time
from dataclasses import dataclass
from experiments import common
# Where the tests run as a shell's background job, SIGINT is not heard.
signal.signal(signal.SIGINT, signal.default_int_handler)

@dataclass(frozen=True)
class Config:
    seed: int = 0
    trials: int = 14  # number of trials
    sleep: float = 0.0

def run(config):
    print("started", flush=True)
    time.sleep(config.sleep)
    if config.trials < 0:
        raise ValueError(f"trials = {config.trials} is not valid:\\n give 0 or more")
    return common.Result({"trials": config.trials}, {})

common.main(__file__, Config, run)
'''


@dataclass(frozen=True)
class Config:
    seed: int = 3


def run(config: Config) -> common.Result:
    figure, axes = style.figure()
    axes[0, 0].plot([0, 1], [0, 1])
    metrics = {"array": np.arange(2), "nan": float("nan"), "nested": {1: (0.5,)}}
    return common.Result(metrics, {"line": figure}, "digits")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "small.py"
    path.write_text(EXPERIMENT)
    return path


def start(script: Path, *arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
        **options,
    )


def test_record_has_the_contract_keys_and_plain_values(tmp_path: Path) -> None:
    common.execute("small", Config(), run, tmp_path)
    record = json.loads((tmp_path / "small" / "metrics.json").read_text())
    assert set(record) == {
        "experiment",
        "config",
        "dataset",
        "metrics",
        "environment",
    }
    assert record["config"] == {"seed": 3}
    assert record["dataset"] == "digits"
    assert record["metrics"] == {
        "array": [0, 1],
        "nan": None,
        "nested": {"1": [0.5]},
    }
    assert record["environment"]["versions"]["jax"]
    assert (tmp_path / "small" / "line.png").read_bytes().startswith(b"\x89PNG")


def test_failed_run_leaves_earlier_results_as_they_were(tmp_path: Path) -> None:
    common.execute("small", Config(), run, tmp_path)
    before = {p.name: p.read_bytes() for p in (tmp_path / "small").iterdir()}

    def unwritable(config: Config) -> common.Result:
        return run(config)._replace(metrics={"x": object()})

    with pytest.raises(TypeError):
        common.execute("small", Config(), unwritable, tmp_path)
    assert {p.name: p.read_bytes() for p in (tmp_path / "small").iterdir()} == before


def test_bad_value_ends_in_one_line(script: Path, tmp_path: Path) -> None:
    process = start(script, "--trials", "-1", "--results", str(tmp_path / "r"))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert stderr == "small: trials = -1 is not valid: give 0 or more\n"


@pytest.mark.thorough
@pytest.mark.parametrize("arguments", [("--trials", "2.5"), ("--trails", "2")])
def test_unreadable_arguments_are_refused(
    script: Path, arguments: tuple[str, str]
) -> None:
    process = start(script, *arguments)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "--trials INT" in stderr
    assert "Traceback" not in stderr


@pytest.mark.thorough
def test_unwritable_results_end_in_one_line(script: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = start(script, "--results", str(tmp_path / "file" / "r"))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert stderr.startswith("small: cannot write to")
    assert stderr.endswith("choose another folder with --results\n")
    assert stderr.count("\n") == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("stop", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
)
def test_stopped_run_leaves_earlier_results(
    script: Path, tmp_path: Path, stop: signal.Signals, status: int
) -> None:
    earlier = tmp_path / "r" / "small" / "metrics.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("earlier")
    process = start(script, "--sleep", "60", "--results", str(tmp_path / "r"))
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(0.2)
    process.send_signal(stop)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in stderr
    assert earlier.read_text() == "earlier"
    assert [p.name for p in earlier.parent.iterdir()] == ["metrics.json"]

"""The lecture runs every experiment of the report, and stops cleanly."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.lecture import run_all
from experiments.report import page


def test_lecture_runs_what_the_report_shows() -> None:
    parts = [part for part in page.PARTS if part.is_lecture]
    names = [section.experiment for part in parts for section in part.sections]
    assert sorted(run_all.TIMED + run_all.OTHERS) == sorted(names)


def test_output_and_failure_of_an_experiment_are_passed_on(tmp_path: Path) -> None:
    jobs = run_all.Jobs(run_all.Config(results=tmp_path), "digits")
    code = "import sys; print('vae: no disk space'); sys.exit(2)"
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    jobs.running["vae"] = process
    with pytest.raises(ValueError, match=r"^vae: no disk space$"):
        jobs.wait(0)
    jobs.stop()


def test_stop_ends_what_is_running(tmp_path: Path) -> None:
    jobs = run_all.Jobs(run_all.Config(results=tmp_path), "digits")
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    jobs.running["vae"] = process
    jobs.stop()
    assert process.returncode == -15


def test_unknown_dataset_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mnits"):
        run_all.run(run_all.Config(dataset="mnits", results=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_no_jobs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="jobs = 0"):
        run_all.run(run_all.Config(jobs=0, results=tmp_path))

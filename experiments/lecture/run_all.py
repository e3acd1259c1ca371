"""The whole lecture: every experiment, two at a time, then the report."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from experiments import common
from experiments.report import page
from vijax import data

# Alone and first: it compares seconds, which a neighbour would spoil.
TIMED = ("vi_vs_mcmc",)
# The longest first, so that no long one is left over at the end.
OTHERS = (
    "vae",
    "use_cases",
    "autoencoder",
    "elbo",
    "prior_sweep",
    "poisson_sensors",
    "coin_flip",
    "bayes_theorem",
)
IMAGES = ("autoencoder", "vae", "use_cases")  # experiments on a data set


@dataclass(frozen=True)
class Config:
    """Options that reach every experiment."""

    dataset: str = "auto"  # auto: MNIST where it is at hand, else the digits
    seed: int = 0
    results: Path = Path("results")  # folder that results are written to
    jobs: int = 2  # experiments at once; most of their time is one-core compilation


class Jobs:
    """Experiments in processes of their own, stopped together."""

    def __init__(self, config: Config, dataset: str) -> None:
        self.config, self.dataset = config, dataset
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.bar = tqdm(total=len(TIMED) + len(OTHERS), desc="lecture", disable=None)

    def start(self, name: str) -> None:
        """Start an experiment; what it has to say is shown when it ends."""
        command = [sys.executable, "-m", f"experiments.lecture.{name}"]
        command += ["--seed", str(self.config.seed)]
        command += ["--results", str(self.config.results)]
        if name in IMAGES:
            command += ["--dataset", self.dataset]
        # Several processes share an accelerator only if none takes all its memory.
        environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        self.running[name] = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self.bar.set_postfix_str(", ".join(self.running))

    def wait(self, most: int) -> None:
        """Wait until at most so many are running; raise what one failed with."""
        while len(self.running) > most:
            time.sleep(0.05)
            self.bar.refresh()
            for name, process in list(self.running.items()):
                if process.poll() is None:
                    continue
                output, _ = process.communicate()
                del self.running[name]
                if process.returncode:
                    raise ValueError(output.strip() or f"{name} was stopped")
                self.bar.write(output.strip())
                self.bar.update()

    def stop(self) -> None:
        """Stop what is still running, and wait until it has."""
        self.bar.close()
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.communicate()


def run(config: Config) -> Path:
    """Run all experiments; return the report."""
    if config.jobs < 1:
        raise ValueError(f"jobs = {config.jobs} is not valid: give 1 or more")
    common.writable_folder(config.results)
    dataset = common.resolve_dataset(config.dataset)
    data.load(dataset)  # a wrong name, or a download: now, once, not in some minutes
    jobs = Jobs(config, dataset)
    try:
        for name in TIMED:
            jobs.start(name)
        for name in OTHERS:
            timed = any(name in jobs.running for name in TIMED)
            jobs.wait(0 if timed else config.jobs - 1)
            jobs.start(name)
        jobs.wait(0)
    finally:
        jobs.stop()
    return page.write(config.results)


def main() -> None:
    """Run the lecture from the command line."""
    config = tyro.cli(Config, prog="python -m experiments.lecture", description=__doc__)
    with common.errors_in_one_line("lecture"):
        start = time.perf_counter()
        path = run(config)
        rows = page.check_results(config.results)
        seconds = time.perf_counter() - start
        print(f"lecture: {seconds:.0f} s; {page.verdict(rows)}; open {path}")
        sys.exit(0 if all(row.agrees for row in rows) else 1)


if __name__ == "__main__":
    main()

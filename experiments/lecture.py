"""The whole lecture: every experiment in the lecture's order, then the report."""

import importlib
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import tyro

from experiments import common, report


@dataclass(frozen=True)
class Config:
    """Options that reach every experiment."""

    dataset: str = "auto"  # auto: MNIST where it is at hand, else the digits
    seed: int = 0
    results: Path = Path("results")  # folder that results are written to


def run(config: Config) -> Path:
    """Run the experiments one after the other in this process; return the report."""
    options = {
        "seed": config.seed,
        "dataset": common.resolve_dataset(config.dataset),
    }
    names = [section.experiment for section in report.SECTIONS]
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name.replace('_', '-')}", flush=True)
        module = importlib.import_module(f"experiments.{name}")
        known = {field.name for field in fields(module.Config)}
        experiment = module.Config(**{k: options[k] for k in options if k in known})
        common.execute(name, experiment, module.run, config.results)
    return report.write(config.results)


def main() -> None:
    """Run the lecture from the command line."""
    config = tyro.cli(Config, prog="python -m experiments.lecture", description=__doc__)
    with common.errors_in_one_line("lecture"):
        path = run(config)
        rows = report.check_results(config.results)
        print(f"{report.verdict(rows)}; open {path}")
        sys.exit(0 if all(row.agrees for row in rows) else 1)


if __name__ == "__main__":
    main()

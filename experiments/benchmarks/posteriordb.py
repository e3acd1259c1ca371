"""Seconds to the right answer on twenty posteriors: vijax beside its peers.

From the call, compilation included, until all means are within 0.1 sd and all sds
within 5 % of the truth (10 % for mean-field families); defaults of each system. vijax
and Pathfinder stop by themselves; the others, which have no stop rule that is on by
default, are given 10,000 steps (PyMC's default), then 1000 where these were enough, and
pay for the faster run that arrived. vijax's answer is the one that its verdict tells to
use; none where it tells to use none. An answer that is not right is a failure, whatever
it cost: it counts as infinitely slow in the medians. ARMA(1, 1) is not written in PyMC
here: that one cell is a failure of ours.

    python -m experiments.benchmarks.posteriordb [--folder FOLDER] [--posteriors NAMES]

Each result is a line of a file, written as it comes, and a second call goes on from
there. On a machine with other work, take the times once more when it is quiet: --again
repeats what arrived, with the steps that were enough.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro

from experiments import common
from experiments.benchmarks.posteriordb_systems import SYSTEMS, Moments
from experiments.studies import posteriordb
from vijax.plot.vi.reference_posteriors import short_name
from vijax.vi.targets import target as vijax_target

Rows = dict[tuple[str, str], dict[str, Any]]  # (posterior, system) -> last result
STEPS = (10_000, 1000)
MEAN_LIMIT = 0.1  # sds that a mean may be off


@dataclass(frozen=True)
class Config:
    """What to run, and where the results go."""

    posteriors: tuple[str, ...] = posteriordb.NAMES  # by posteriordb's names
    systems: tuple[str, ...] = tuple(SYSTEMS)
    file: Path = Path("results/benchmark_posteriordb.jsonl")  # one result a line
    again: bool = False  # take the time again of what arrived
    folder: Path | None = None  # of posteriordb; by default $VIJAX_POSTERIORDB
    seed: int = 0


class Totals(NamedTuple):
    """One system over all posteriors; a failure is infinitely slow."""

    arrived: int
    asked: int
    median_seconds: float  # of all posteriors
    median_ratio: float  # to the first system's median seconds; NaN if that is infinite
    ratio_where_both: float  # median over posteriors where both arrived; NaN for none
    both_arrived: int


def run(config: Config) -> dict[str, Totals]:
    """Measure what is not in the file yet; print and return the totals of all."""
    folder = posteriordb.find_folder(config.folder)
    config.file.parent.mkdir(parents=True, exist_ok=True)
    known = read(config.file)
    wanted = [(p, s) for p in config.posteriors for s in config.systems]
    if config.again:
        arrived = {cell for cell, row in known.items() if row["seconds"] is not None}
        todo = [cell for cell in wanted if cell in arrived]
    else:
        todo = [cell for cell in wanted if cell not in known]
        if old := len(wanted) - len(todo):
            print(f"{old} results are from {config.file}: delete it to start anew")
    for system in dict.fromkeys(system for _, system in todo):
        warm_up(folder, system, config.seed)
    for name, system in todo:
        posterior = posteriordb.load(folder, name)
        steps = (known[name, system]["steps"],) if config.again else STEPS
        row = {"posterior": name, "system": system}
        row |= measure(posterior, system, steps, config.seed)
        with config.file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{name}, {system}: {_cell(row)}", flush=True)
    known = read(config.file)
    print(table(known, config.posteriors, config.systems))
    return totals(known, config.posteriors, config.systems)


def read(path: Path) -> Rows:
    """Return the last result of each posterior and system."""
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines]
    return {(row["posterior"], row["system"]): row for row in rows}


def warm_up(folder: Path, system: str, seed: int) -> None:
    """Run once: imports and the libraries' own start are nobody's fault."""
    measure(posteriordb.load(folder, posteriordb.SCHOOLS), system, (10,), seed)


def measure(
    posterior: posteriordb.Posterior,
    system: str,
    steps: tuple[int, ...],
    seed: int,
) -> dict[str, Any]:
    """Return the seconds of the run that arrived, or None and why not."""
    run, sd_limit, grows = SYSTEMS[system]
    best: dict[str, Any] = {"seconds": None, "reason": "wrong"}
    for number in steps if grows else steps[:1]:
        jax.clear_caches()  # every run is a first one
        vijax_target._remembered.cache_clear()
        start = time.perf_counter()
        try:
            found = run(posterior, seed, number)
        except (ValueError, RuntimeError, FloatingPointError) as error:
            return best | {"reason": type(error).__name__}
        seconds = time.perf_counter() - start
        if found is None:
            return best | {"reason": "gives no answer"}
        mean_error, sd_error = errors(found, posterior)
        row = {"steps": number, "mean_error": mean_error, "sd_error": sd_error}
        if not (mean_error < MEAN_LIMIT and sd_error < sd_limit):
            return best if best["seconds"] else best | row
        if best["seconds"] is None or seconds < best["seconds"]:
            best = row | {"seconds": seconds}
    return best


def errors(found: Moments, posterior: posteriordb.Posterior) -> tuple[float, float]:
    """Return the largest error of a mean in sds, and of an sd as a fraction."""
    mean, sd = found
    mean_error = np.max(np.abs(mean - posterior.mean) / posterior.sd)
    return float(mean_error), float(np.max(np.abs(sd / posterior.sd - 1)))


def totals(
    rows: Rows, posteriors: tuple[str, ...], systems: tuple[str, ...]
) -> dict[str, Totals]:
    """Return how often and how fast each system arrived, beside the first one."""
    seconds = {
        system: [_seconds(rows.get((name, system))) for name in posteriors]
        for system in systems
    }
    ours = seconds[systems[0]]
    ours_median = median(ours)
    result = {}
    for system, theirs in seconds.items():
        pairs = zip(theirs, ours, strict=True)
        ratios = [a / b for a, b in pairs if np.isfinite(a) and np.isfinite(b)]
        finite = np.isfinite(ours_median)
        result[system] = Totals(
            arrived=int(np.isfinite(theirs).sum()),
            asked=len(theirs),
            median_seconds=median(theirs),
            median_ratio=median(theirs) / ours_median if finite else np.nan,
            ratio_where_both=median(ratios) if ratios else np.nan,
            both_arrived=len(ratios),
        )
    return result


def _seconds(row: dict[str, Any] | None) -> float:
    return np.inf if row is None or row["seconds"] is None else row["seconds"]


def table(rows: Rows, posteriors: tuple[str, ...], systems: tuple[str, ...]) -> str:
    """Return a line for each posterior, then the totals, as text."""
    lines = [(__doc__ or "").splitlines()[0], _line("", systems)]
    for name in posteriors:
        cells = [_cell(rows.get((name, system))) for system in systems]
        lines.append(_line(short_name(name), cells))
    found = totals(rows, posteriors, systems).values()
    lines += [
        _line("arrived", [f"{t.arrived} of {t.asked}" for t in found]),
        _line("median of all, s", [f"{t.median_seconds:.2f}" for t in found]),
        _line(f"ratio to {systems[0]}", [_ratio(t.median_ratio) for t in found]),
        _line(
            "where both arrived",
            [f"{_ratio(t.ratio_where_both)} ({t.both_arrived})" for t in found],
        ),
    ]
    return "\n".join(lines)


def _ratio(ratio: float) -> str:
    return "-" if np.isnan(ratio) else f"{ratio:.1f}"


def _line(label: str, cells: Iterable[str]) -> str:
    return f"{label:26}" + "".join(f"{cell:>22}" for cell in cells)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "not run"
    if row["seconds"] is not None:
        return f"{row['seconds']:.2f} s"
    if row["reason"] != "wrong":
        return str(row["reason"])
    return f"{row['mean_error']:.2g} sd, {100 * row['sd_error']:.0f} %"


def main() -> None:
    """Run the benchmark from the command line."""
    with common.errors_in_one_line("posteriordb"):
        run(tyro.cli(Config, prog="python -m experiments.benchmarks.posteriordb"))


if __name__ == "__main__":
    main()

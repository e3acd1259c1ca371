"""Is the verdict right? Every family on models that nobody tuned to, beside the truth.

A row is a fit. Its answer is what the verdict told to use: q's own moments where the
fit is trusted, else the corrected ones where these may be used, else none. An answer is
wrong where a mean is off by more than 0.1 sd or an sd by more than 10 %, numbers that
are said to be not known left out.

    python -m experiments.benchmarks.verdicts --families mean_field auto

Rows go to a file as they come, one JSON a line; a second run goes on after them.
"""

import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from tqdm import tqdm

from experiments.benchmarks.posteriors import collection
from vijax import vi

MEAN_LIMIT, SD_LIMIT = 0.1, 0.1


@dataclass(frozen=True)
class Config:
    """What is run."""

    families: tuple[str, ...] = ("mean_field", "full_rank", "flow", "auto")
    names: tuple[str, ...] = ()  # of models; all of the collection by default
    seeds: int = 1
    rows: Path = Path("results/vi-benchmark/rows.jsonl")  # where rows are kept


def answer(fit: vi.Fit, table: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return what the verdict tells to use: whose moments, means and sds."""
    if fit.trusted:
        used, prefix = "own", ""
    elif table.correctable:
        used, prefix = "corrected", "corrected_"
    else:
        return "none", {}, {}
    means = {name: columns[f"{prefix}mean"] for name, columns in table.items()}
    sds = {name: columns[f"{prefix}sd"] for name, columns in table.items()}
    return used, means, sds


def run_one(entry: collection.Entry, family: str, seed: int) -> dict[str, Any]:
    """Fit one model and compare its answer with the truth."""
    began, worked = time.perf_counter(), time.process_time()
    row: dict[str, Any] = {"model": entry.name, "kind": entry.kind, "family": family}
    row |= {"seed": seed}
    try:
        target = vi.from_numpyro(entry.model, *entry.args)
        row["dim"] = target.dim
        fit = vi.fit(target, jax.random.key(seed), family=family)
        table = vi.summary(fit, key=jax.random.key(seed + 1))
    except ValueError as error:
        row |= {"seconds": round(time.perf_counter() - began, 2)}
        row |= {"cpu_seconds": round(time.process_time() - worked, 2)}
        return row | {"used": "refused", "advice": str(error)[:300]}
    row |= {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - worked, 2),
        "gradients": int(fit.num_gradients),
        "verdict": fit.verdict,
        "q": type(fit.q).__name__,
        "chains": fit.chains is not None,
        "khat": round(float(table.khat), 3),
        "advice": table.advice,
    }
    reference = entry.reference or {}
    used, means, sds = answer(fit, table)
    row["used"] = used
    filled: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    unknown = 0
    for site, truth in reference.items() if used != "none" else ():
        for moments, exact, kept in zip(
            (means, sds), (truth.mean, truth.sd), filled, strict=True
        ):
            value = np.asarray(moments[site], float)
            unknown += int(np.sum(np.isnan(value)))
            kept[site] = np.where(np.isnan(value), exact, value)
    if used != "none":
        found = collection.errors(entry, *filled)
        row |= {"mean_error": found.mean, "sd_error": found.sd, "unknown": unknown}
        row["wrong"] = found.mean > MEAN_LIMIT or found.sd > SD_LIMIT
    return row


def summarise(rows: list[dict[str, Any]]) -> str:
    """Return the table of the verdict's right and wrong answers, by family."""
    lines = [f"{'family':12} fits  right  wrong  none  refused  median s"]
    for family in dict.fromkeys(row["family"] for row in rows):
        chosen = [row for row in rows if row["family"] == family]
        right = sum(row.get("wrong") is False for row in chosen)
        wrong = sum(row.get("wrong") is True for row in chosen)
        none = sum(row["used"] == "none" for row in chosen)
        refused = sum(row["used"] == "refused" for row in chosen)
        seconds = float(np.median([row["seconds"] for row in chosen]))
        lines.append(
            f"{family:12} {len(chosen):4} {right:6} {wrong:6} {none:5} {refused:8} "
            f"{seconds:9.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, and print the table."""
    config = tyro.cli(Config)
    warnings.simplefilter("ignore")
    config.rows.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    if config.rows.is_file():
        rows = [json.loads(line) for line in config.rows.read_text().splitlines()]
    done = {(row["model"], row["family"], row["seed"]) for row in rows}
    entries = [entry for entry in collection.load() if entry.reference is not None]
    if config.names:
        entries = [entry for entry in entries if entry.name in config.names]
    jobs = [
        (entry, family, seed)
        for entry in entries
        for family in config.families
        for seed in range(config.seeds)
        if (entry.name, family, seed) not in done
    ]
    for entry, family, seed in tqdm(jobs, disable=None):
        row = run_one(entry, family, seed)
        rows.append(row)
        with config.rows.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if row.get("wrong"):
            tqdm.write(f"wrong: {json.dumps(row)}")
        if len(rows) % 20 == 0:  # a process has room for some thousand programs
            jax.clear_caches()
    print(summarise(rows))


if __name__ == "__main__":
    main()

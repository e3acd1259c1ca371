"""Is the verdict right? Four families on 148 models, beside the truth.

A row is a fit. Its answer is what the verdict told to use: q's own moments where the
fit is trusted, else the corrected ones where these may be used, else none. An answer is
wrong where a mean is off by more than 0.1 sd or an sd by more than 10 %, numbers that
are said to be not known left out. Peers give no verdict: all their answers are used. A
row without an answer says why: "refused" is a model that we turn down (a ValueError),
"failed" a peer that raised something. Any other error of ours ends the run.

    python -m experiments.benchmarks.verdicts --families mean_field auto
    python -m experiments.benchmarks.verdicts --families --peers "NumPyro NUTS"

Rows go to a file as they come, one JSON a line; a second run goes on after them. Their
seconds are cold, compilation included; `warm_seconds` are those of a second fit with
another key, taken where the first was short.
"""

import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from numpyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from tqdm import tqdm

from experiments.benchmarks import peers
from experiments.benchmarks.posteriors import collection
from experiments.studies.verdicts import (
    MEAN_LIMIT,
    NO_VERDICT,
    ROWS,
    SD_LIMIT,
    Row,
)
from vijax import vi

LARGEST = 1e6  # that an error is said to be
LEAST_KNOWN = 0.5  # of the numbers, by which a corrected answer counts as one
SHORT = 20.0  # seconds of a first fit that is repeated warm
# What a user would pick instead, as its documentation shows it; and for fairness once
# more with unknowns that are scaled, and more steps: name -> (system, steps).
PEERS: dict[str, tuple[peers.System, int]] = {
    "NumPyro NUTS": (peers.numpyro_nuts, 0),
    "NumPyro AutoNormal": (peers.numpyro_guide(AutoNormal), 10_000),
    "NumPyro AutoMVN": (peers.numpyro_guide(AutoMultivariateNormal), 10_000),
    "NumPyro AutoMVN, 50,000 falling": (
        peers.numpyro_guide(AutoMultivariateNormal, falling=True),
        50_000,
    ),
    "BlackJAX mean-field": (peers.blackjax_mean_field(), 10_000),
    "BlackJAX Pathfinder": (peers.blackjax_pathfinder, 0),
    "PyMC ADVI": (peers.pymc_advi, 10_000),
    "nutpie NUTS": (peers.nutpie_nuts, 0),
    "NumPyro AutoNormal, scaled, 50,000 falling": (
        peers.scaled(peers.numpyro_guide(AutoNormal, falling=True)),
        50_000,
    ),
    "NumPyro AutoMVN, scaled, 50,000 falling": (
        peers.scaled(peers.numpyro_guide(AutoMultivariateNormal, falling=True)),
        50_000,
    ),
    "BlackJAX mean-field, scaled, 50,000 falling": (
        peers.scaled(peers.blackjax_mean_field(falling=True)),
        50_000,
    ),
    "BlackJAX Pathfinder, scaled": (peers.scaled(peers.blackjax_pathfinder), 0),
    "PyMC ADVI, scaled, 50,000": (peers.scaled(peers.pymc_advi), 50_000),
}


@dataclass(frozen=True)
class Config:
    """What is run."""

    families: tuple[str, ...] = ("mean_field", "full_rank", "flow", "auto")
    names: tuple[str, ...] = ()  # of models; all of the collection by default
    peers: tuple[str, ...] = ()  # of PEERS, run too
    seeds: int = 1
    rows: Path = ROWS  # where rows are kept


def moments(table: Any, prefix: str) -> tuple[Row, Row]:
    """Return means and sds of a summary: "" for q's own, "corrected_"."""
    means = {name: columns[f"{prefix}mean"] for name, columns in table.items()}
    return means, {name: columns[f"{prefix}sd"] for name, columns in table.items()}


def run_one(entry: collection.Entry, system: str, seed: int) -> Row:
    """Fit one model and compare its answer with the truth."""
    row: Row = {"model": entry.name, "kind": entry.kind, "history": entry.history}
    row |= {"family": system, "seed": seed}
    began, worked = time.perf_counter(), time.process_time()

    def clocks() -> Row:
        wall, cpu = time.perf_counter() - began, time.process_time() - worked
        return {"seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}

    if system in PEERS:
        try:
            return row | run_peer(entry, system, seed, clocks)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            row |= {"verdict": NO_VERDICT, "used": "failed", "advice": text[:300]}
            return row | clocks()
    try:
        return row | run_vijax(entry, system, seed, clocks)
    except ValueError as error:
        row |= {"verdict": "refused", "used": "refused", "advice": str(error)[:300]}
        return row | clocks()


def run_vijax(
    entry: collection.Entry, family: str, seed: int, clocks: Callable[[], Row]
) -> Row:
    """Return the row of one of our families."""
    target = vi.from_numpyro(entry.model, *entry.args)

    def once(key: jax.Array) -> tuple[vi.Fit, Any]:
        fit = vi.fit(target, key, family=family)
        return fit, vi.summary(fit, key=jax.random.fold_in(key, 1))

    fit, table = once(jax.random.key(seed))
    corrected = table.correctable and table.known >= LEAST_KNOWN
    used = "own" if table.trusted else "corrected" if corrected else "none"
    errors = {
        "own": compare(entry, *moments(table, "")),
        "corrected": compare(entry, *moments(table, "corrected_")),
    }
    row = clocks() | {
        "dim": target.dim,
        "gradients": int(fit.num_gradients),
        "verdict": fit.verdict,
        "q": type(fit.q).__name__,
        "chains": fit.chains is not None,
        "khat": round(float(table.khat), 3),
        "advice": table.advice,
        "used": used,
        "could_be_used": [name for name, row in errors.items() if not row["wrong"]],
        "errors": {
            name: [row["mean_error"], row["sd_error"]] for name, row in errors.items()
        },
    }
    row |= errors.get(used, {})
    if row["seconds"] < SHORT:
        began = time.perf_counter()
        once(jax.random.key(seed + 1000))
        row["warm_seconds"] = round(time.perf_counter() - began, 3)
    return row


def run_peer(
    entry: collection.Entry, system: str, seed: int, clocks: Callable[[], Row]
) -> Row:
    """Return the row of another system, whose answer is always used."""
    run, steps = PEERS[system]
    jax.clear_caches()
    draws = jax.tree.map(
        lambda x: np.asarray(x, float), run(entry.model, entry.args, seed, steps)
    )
    row = clocks() | {"used": "own", "verdict": NO_VERDICT}
    means, sds = (
        {k: f(x, axis=0) for k, x in draws.items()} for f in (np.mean, np.std)
    )
    found = collection.errors(entry, means, sds)
    return row | _errors(found)


def compare(entry: collection.Entry, means: Row, sds: Row) -> Row:
    """Return the errors of an answer; numbers that are not known count as no error."""
    filled: tuple[Row, Row] = ({}, {})
    unknown = 0
    for site, truth in (entry.reference or {}).items():
        for moments, exact, kept in zip(
            (means, sds), (truth.mean, truth.sd), filled, strict=True
        ):
            value = np.asarray(moments[site], float)
            unknown += int(np.sum(np.isnan(value)))
            kept[site] = np.where(np.isnan(value), exact, value)
    return _errors(collection.errors(entry, *filled)) | {"unknown": unknown}


def _errors(found: collection.Errors) -> Row:
    mean, sd = (round(min(error, LARGEST), 4) for error in found)
    wrong = not (found.mean <= MEAN_LIMIT and found.sd <= SD_LIMIT)
    return {"mean_error": mean, "sd_error": sd, "wrong": wrong}


def summarise(rows: list[dict[str, Any]]) -> str:
    """Return the table of the verdict's right and wrong answers, by family."""
    lines = [f"{'family':32} fits  right  wrong  none  refused  failed  median s"]
    for family in dict.fromkeys(row["family"] for row in rows):
        chosen = [row for row in rows if row["family"] == family]
        right = sum(row.get("wrong") is False for row in chosen)
        wrong = sum(row.get("wrong") is True for row in chosen)
        none, refused, failed = (
            sum(row["used"] == why for row in chosen)
            for why in ("none", "refused", "failed")
        )
        seconds = float(np.median([row["seconds"] for row in chosen]))
        lines.append(
            f"{family:32} {len(chosen):4} {right:6} {wrong:6} {none:5} {refused:8} "
            f"{failed:7} {seconds:9.1f}"
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
        for family in (*config.families, *config.peers)
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
        if len(rows) % 8 == 0:  # a process has room for some thousand programs
            jax.clear_caches()
    print(summarise(rows))


if __name__ == "__main__":
    main()

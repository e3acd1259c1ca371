"""Is the verdict right? What became of fits of models with known answers.

The rows are those of `make vi-benchmark`: this machine's where it has been run (it
takes hours), else those that are kept in experiments/studies/verdicts.jsonl, with
the machine and the versions in verdicts.json. An answer is wrong where a mean is off by
more than 0.1 sd or an sd by more than 10 %; peers give no verdict, and all their
answers are used. PyMC and nutpie reach these models through a bridge to JAX, which most
of their seconds are of.

Our fits are also counted apart by what the verdict's rules owe to the model: "tuned",
of the first list, on which they were made; "mended", written afterwards to mislead the
verdict, with success, after which a rule was changed; "new", written afterwards too,
and no rule was changed. What is "new" is so because it needed no mending, or because
none was found: its share of wrong answers flatters. The fair number of what a verdict
did before it was mended is in docs/explained/verdict.md.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from experiments import common
from experiments.studies import verdicts
from experiments.studies.verdicts import (
    Row,
    by_history,
    outcome,
    shares,
    totals,
    worst_error,
)
from vijax.plot.vi import verdicts as plot
from vijax.validate import check

KEPT = Path(verdicts.__file__).with_suffix(".jsonl")


@dataclass(frozen=True)
class Config:
    """Which rows to draw."""

    rows: Path = verdicts.ROWS  # where they are not, those that are kept
    seed: int = 0  # of the fits that are drawn


def run(config: Config) -> common.Result:
    """Count outcomes, and draw them."""
    own = config.rows.is_file()
    path = config.rows if own else KEPT
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row for row in rows if row["seed"] == config.seed]
    check(len(rows) > 0, "seed", config.seed, f"{path} has no fits of it: give another")
    ours = [row for row in rows if row.get("verdict") != verdicts.NO_VERDICT]
    compared = on_the_same_models(rows)
    metrics: Row = {
        "about": {} if own else json.loads(KEPT.with_suffix(".json").read_text()),
        "models": len({row["model"] for row in ours}),
        "systems": {name: totals(ours, name) for name in systems(ours)},
        "beside_peers": {
            "models": len({row["model"] for row in compared}),
            "systems": {name: totals(compared, name) for name in systems(compared)},
        },
        "ours": shares(ours),
        "ours_by_history": by_history(ours),
        "auto": shares([row for row in ours if row["family"] == "auto"]),
        "wrong": [
            {key: row[key] for key in ("model", "family", "mean_error", "sd_error")}
            for row in ours
            if outcome(row) == "wrong and used"
        ],
        "none": [
            {"model": row["model"], "advice": row["advice"]}
            for row in ours
            if row["family"] == "auto" and row["used"] in ("none", *verdicts.NO_ANSWER)
        ],
    }
    points = [
        {
            "system": row["family"],
            "seconds": row["cpu_seconds"],
            "error": worst_error(row),
            "used": row["used"] != "none",
        }
        for row in rows
        if row["used"] not in verdicts.NO_ANSWER
    ]
    figures = {
        "outcomes": plot.outcomes(counts(ours)),
        "seconds": plot.error_against_seconds(points),
    }
    if compared:
        figures["peers"] = plot.outcomes(counts(compared))
    return common.Result(metrics, figures)


def systems(rows: list[Row]) -> list[str]:
    """Return the names of the systems, in the order of their first rows."""
    return list(dict.fromkeys(row["family"] for row in rows))


def counts(rows: list[Row]) -> dict[str, Counter[str]]:
    """Return how often each outcome came, by system."""
    return {
        name: Counter(outcome(row) for row in rows if row["family"] == name)
        for name in systems(rows)
    }


def on_the_same_models(rows: list[Row]) -> list[Row]:
    """Return the rows of models on which every system was run; none without peers."""
    if all(row.get("verdict") != verdicts.NO_VERDICT for row in rows):
        return []
    run_on = Counter(row["model"] for row in rows)
    return [row for row in rows if run_on[row["model"]] == len(systems(rows))]


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

"""Is the verdict right? What became of fits of models that nobody tuned to.

The rows are those of `make vi-benchmark`: this machine's where it has been run (it
takes hours), else those that are kept in experiments/benchmarks/verdicts.jsonl, with
the machine and the versions in verdicts.json. An answer is wrong where a mean is off by
more than 0.1 sd or an sd by more than 10 %; peers give no verdict, and all their
answers are used.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments import common
from experiments.benchmarks import verdicts
from vijax.plot.vi import verdicts as plot
from vijax.validate import check

KEPT = Path(verdicts.__file__).with_suffix(".jsonl")
Row = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """Which rows to draw."""

    rows: Path = verdicts.Config.rows  # where they are not, those that are kept
    seed: int = 0  # of the fits that are drawn


def run(config: Config) -> common.Result:
    """Count outcomes, and draw them."""
    own = config.rows.is_file()
    path = config.rows if own else KEPT
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row for row in rows if row["seed"] == config.seed]
    check(len(rows) > 0, "seed", config.seed, f"{path} has no fits of it: give another")
    systems = list(dict.fromkeys(row["family"] for row in rows))
    counts = {
        name: Counter(outcome(row) for row in rows if row["family"] == name)
        for name in systems
    }
    ours = [row for row in rows if row["family"] not in verdicts.PEERS]
    metrics: Row = {
        "about": {} if own else json.loads(KEPT.with_suffix(".json").read_text()),
        "models": len({row["model"] for row in rows}),
        "systems": {name: totals(rows, name) for name in systems},
        "ours": shares(ours),
        "auto": shares([row for row in ours if row["family"] == "auto"]),
        "wrong": [
            {key: row[key] for key in ("model", "family", "mean_error", "sd_error")}
            for row in ours
            if outcome(row) == "wrong and used"
        ],
        "none": [
            {"model": row["model"], "advice": row["advice"]}
            for row in ours
            if row["family"] == "auto" and row["used"] in ("none", "refused")
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
        if row["used"] != "refused"
    ]
    figures = {
        "outcomes": plot.outcomes(counts),
        "seconds": plot.error_against_seconds(points),
    }
    return common.Result(metrics, figures)


def outcome(row: Row) -> str:
    """Return what became of a fit, one of the figure's outcomes."""
    if row["used"] in ("own", "corrected"):
        return "wrong and used" if row["wrong"] else "right and used"
    could = bool(row.get("could_be_used"))
    return "right but refused" if could else "wrong and refused"


def worst_error(row: Row) -> float:
    """Return the worst error of the answer, or of the better one that is refused.

    In units of the limit between right and wrong.
    """
    errors: Iterable[Any] = [(row.get("mean_error"), row.get("sd_error"))]
    if row["used"] == "none":
        errors = row["errors"].values()
    return min(
        max(mean / verdicts.MEAN_LIMIT, sd / verdicts.SD_LIMIT) for mean, sd in errors
    )


def totals(rows: list[Row], system: str) -> Row:
    """Return the counts of one system and its median seconds."""
    chosen = [row for row in rows if row["family"] == system]
    found = shares(chosen)
    for name in ("cpu_seconds", "warm_seconds", "gradients"):
        values = [row[name] for row in chosen if name in row]
        if values:
            found[f"median_{name}"] = float(np.median(values))
    return found


def shares(rows: list[Row]) -> Row:
    """Return counts, and the shares that the verdict is held to, with their errors.

    Wrong and used are a share of all fits; right and refused one of the fits whose
    answer would be right.
    """
    count = Counter(outcome(row) for row in rows)
    used, right = count["right and used"], count["right but refused"]
    found: Row = {"fits": len(rows)} | {name: count[name] for name in plot.OUTCOMES}
    for name, number, total in (
        ("wrong_and_used_share", count["wrong and used"], len(rows)),
        ("right_but_refused_share", right, used + right),
        ("right_and_used_share", used, len(rows)),
    ):
        share = number / max(total, 1)
        found[name] = share
        found[f"{name}_standard_error"] = (share * (1 - share) / max(total, 1)) ** 0.5
    return found


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

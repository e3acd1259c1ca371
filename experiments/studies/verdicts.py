"""Rows of the verdict's benchmark: what became of a fit, and shares of many.

A row is what `experiments.benchmarks.verdicts` writes of one fit.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from vijax.plot.vi.verdicts import OUTCOMES

ROWS = Path("results/vi-benchmark/rows.jsonl")  # where the benchmark leaves them
NO_VERDICT = "gives none"  # of a system whose answers are all used
MEAN_LIMIT, SD_LIMIT = 0.1, 0.1  # errors of a mean in sds, and of an sd, that are wrong
HISTORIES = ("tuned", "mended", "new")  # as in experiments.benchmarks.posteriors
NO_ANSWER = ("refused", "failed")  # by us, with advice; of a peer, with its error
Row = dict[str, Any]


def outcome(row: Row) -> str:
    """Return what became of a fit, one of the figure's outcomes."""
    if row["used"] in NO_ANSWER:
        return "no answer"
    if row["used"] in ("own", "corrected"):
        return "wrong and used" if row["wrong"] else "right and used"
    # An error of 0 is of no number at all: none was said to be known.
    could = any(min(row["errors"][name]) > 0 for name in row["could_be_used"])
    return "right but refused" if could else "wrong and refused"


def worst_error(row: Row) -> float:
    """Return the worst error of the answer, or of the better one that is refused.

    In units of the limit between right and wrong; NaN where no number was given.
    """
    errors: Iterable[Any] = [(row.get("mean_error"), row.get("sd_error"))]
    if row["used"] == "none":
        errors = [pair for pair in row["errors"].values() if min(pair) > 0]
    if not errors:
        return float("nan")
    return min(max(mean / MEAN_LIMIT, sd / SD_LIMIT) for mean, sd in errors)


def totals(rows: list[Row], system: str) -> Row:
    """Return the counts of one system and its median seconds."""
    chosen = [row for row in rows if row["family"] == system]
    found = shares(chosen)
    for name in ("cpu_seconds", "warm_seconds", "gradients"):
        values = [row[name] for row in chosen if name in row]
        if values:
            found[f"median_{name}"] = float(np.median(values))
    return found


def by_history(rows: list[Row]) -> dict[str, Row]:
    """Return the shares apart for models that the rules were made on, and new ones.

    A row's history is what the verdict's rules owed to its model when it was fitted:
    one of HISTORIES. Rows that do not say are of the first list, all of it tuned on.
    """
    found = {}
    for history in HISTORIES:
        chosen = [row for row in rows if row.get("history", "tuned") == history]
        if chosen:
            models = len({row["model"] for row in chosen})
            found[history] = {"models": models} | shares(chosen)
    return found


def shares(rows: list[Row]) -> Row:
    """Return counts, and the shares that the verdict is held to, with their errors.

    Wrong and used are a share of all fits; right and refused one of the fits whose
    answer would be right.
    """
    count = Counter(outcome(row) for row in rows)
    used, right = count["right and used"], count["right but refused"]
    found: Row = {"fits": len(rows)} | {name: count[name] for name in OUTCOMES}
    for name, number, total in (
        ("wrong_and_used_share", count["wrong and used"], len(rows)),
        ("right_but_refused_share", right, used + right),
        ("right_and_used_share", used, len(rows)),
    ):
        share = number / max(total, 1)
        found[name] = share
        found[f"{name}_standard_error"] = (share * (1 - share) / max(total, 1)) ** 0.5
    return found

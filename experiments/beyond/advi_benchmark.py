"""Variational fits of twenty reference posteriors, by defaults alone, beside the truth.

The posteriors are those of posteriordb, and the centred eight schools, whose fits must
be flagged. Eleven are known exactly, the others from long reference runs. Every fit is
`vi.fit` with nothing set but the family. Besides q's own moments, two corrections of
them are measured: importance weights and linear response. A second table counts how
often the stochastic method's rule stops too early, see `advi_oracles`.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jax
import numpy as np

from experiments import common
from experiments.studies import advi_oracles, flat_regression, posteriordb
from vijax import vi
from vijax.plot.vi import reference_posteriors as plot
from vijax.validate import check

FAMILIES = ("mean_field", "full_rank", "flow")
ALL = (*posteriordb.NAMES, posteriordb.CENTERED)
# A moment that is off by more is a wrong answer.
MEAN_LIMIT, SD_LIMIT = 0.05, 0.05


@dataclass(frozen=True)
class Config:
    """Which posteriors, which families, and where the data are."""

    posteriors: tuple[str, ...] = ALL  # by posteriordb's names
    families: tuple[str, ...] = FAMILIES  # of q
    oracles: tuple[str, ...] = advi_oracles.NAMES  # models to count false stops on
    num_seeds: int = 200  # fits of each of them
    folder: Path | None = None  # of posteriordb; by default $VIJAX_POSTERIORDB
    seed: int = 0


def run(config: Config) -> common.Result:
    """Fit all of them and draw the errors."""
    for name in ("posteriors", "families", "oracles"):
        values = getattr(config, name)
        check(len(values) >= 1, name, values, "give at least one name")
    check(config.num_seeds >= 1, "num_seeds", config.num_seeds, "give at least 1")
    folder = posteriordb.find_folder(config.folder)
    rows = []
    for name in config.posteriors:
        posterior = posteriordb.load(folder, name)
        rows += [measure(posterior, family, config.seed) for family in config.families]
    stops = advi_oracles.false_stops(config.oracles, config.num_seeds, config.seed)
    metrics: dict[str, Any] = {
        "rows": rows,
        "families": {
            family: _totals([row for row in rows if row["family"] == family])
            for family in config.families
        },
        "wrong_but_trusted": sum(row["trusted"] and wrong(row, "q") for row in rows),
        "wrong_but_correctable": sum(
            row["correctable"] and wrong(row, "corrected") for row in rows
        ),
        "limits": {"mean": MEAN_LIMIT, "sd": SD_LIMIT},
        "oracles": stops,
        "worst_false_stop_rate": max(row["false_stop_rate"] for row in stops),
    }
    return common.Result(
        metrics, {"errors": plot.posterior_errors(rows, MEAN_LIMIT, SD_LIMIT)}
    )


def measure(posterior: posteriordb.Posterior, family: str, seed: int) -> dict[str, Any]:
    """Fit twice, for the seconds of both calls; errors and verdict of the second."""
    seconds = []
    for number in range(2):
        start = time.perf_counter()
        target = vi.from_numpyro(posterior.model, *posterior.arguments)
        fit = vi.fit(target, jax.random.key(seed + number), family=family)
        seconds.append(time.perf_counter() - start)
    table = vi.summary(fit)
    return {
        "name": posterior.name,
        "family": family,
        "dim": target.dim,
        "exact": posterior.exact,
        "verdict": fit.verdict,
        "trusted": bool(fit.trusted),
        "correctable": table.correctable,
        "khat": float(fit.khat),
        "khat_standard_error": float(fit.khat_se),
        "effective_samples": float(fit.effective_sample_size),
        "corrected_khat": table.khat,
        "corrected_effective_samples": table.effective_sample_size,
        "elbo": float(fit.elbo),
        "elbo_standard_error": float(fit.elbo_se),
        "importance_log_evidence": float(fit.log_evidence),
        "importance_log_evidence_standard_error": float(fit.log_evidence_se),
        "gradients": int(fit.num_gradients),
        "seconds_cold": seconds[0],
        "seconds_warm": seconds[1],
        "q": _errors(table, posterior, "mean", "sd"),
        "corrected": _errors(table, posterior, "corrected_mean", "corrected_sd"),
        # A flow has no linear response: q's own again.
        "response": _errors(
            table, posterior, "mean", "sd" if fit.covariance is None else "response_sd"
        ),
        "advice": table.advice,
        "best_normal": _of_best_normal(posterior) if posterior.exact else None,
    }


def _of_best_normal(posterior: posteriordb.Posterior) -> dict[str, float]:
    """Errors of the normal q with the largest ELBO, which no optimiser can improve."""
    mean, sd = flat_regression.best_normal_moments(*posterior.arguments)
    return {
        "mean_error": float(np.max(np.abs(mean - posterior.mean) / posterior.sd)),
        "sd_error": float(np.max(np.abs(sd / posterior.sd - 1))),
    }


def wrong(row: dict[str, Any], kind: str) -> bool:
    """Say whether a moment is off by more than the limits and twice its own error."""
    found = row[kind]
    return bool(
        found["mean_error"] > MEAN_LIMIT + 2 * found["mean_error_standard_error"]
        or found["sd_error"] > SD_LIMIT + 2 * found["sd_error_standard_error"]
    )


def _errors(
    table: vi.Summary, posterior: posteriordb.Posterior, mean: str, sd: str
) -> dict[str, float]:
    """Largest error of a mean in true sds, and of an sd as a fraction, with errors.

    The errors' errors are those of the fit and of the reference draws, if any.
    """

    def column(name: str) -> np.ndarray:
        values = {
            site: columns[name] if name in columns else 0 * columns["mean"]
            for site, columns in table.items()
        }
        return posteriordb.flatten(values, posterior.parameters)

    # 10,000 draws, of chains that mix well.
    reference = 0.0 if posterior.exact else len(posterior.draws) ** -0.5
    mean_error = np.abs(column(mean) - posterior.mean) / posterior.sd
    sd_error = np.abs(column(sd) / posterior.sd - 1)
    first, second = int(np.argmax(mean_error)), int(np.argmax(sd_error))
    mean_se = np.hypot(column(f"{mean}_se") / posterior.sd, reference)
    sd_se = np.hypot(column(f"{sd}_se") / posterior.sd, reference / 2**0.5)
    return {
        "mean_error": float(mean_error[first]),
        "mean_error_standard_error": float(mean_se[first]),
        "sd_error": float(sd_error[second]),
        "sd_error_standard_error": float(sd_se[second]),
        "median_sd_error": float(np.median(sd_error)),
    }


def _totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    flat = [row for row in rows if row["exact"]]
    totals: dict[str, Any] = {
        "fits": len(rows),
        "converged": sum(row["verdict"] == "converged" for row in rows),
        "trusted": sum(row["trusted"] for row in rows),
        "correctable": sum(row["correctable"] for row in rows),
        "flat": len(flat),
        "median_gradients": float(median(row["gradients"] for row in rows)),
        "median_seconds_cold": median(row["seconds_cold"] for row in rows),
        "median_seconds_warm": median(row["seconds_warm"] for row in rows),
    }
    for kind in ("q", "corrected", "response"):
        for error in ("mean_error", "sd_error"):
            values = [row[kind][error] for row in rows]
            exact = [row[kind][error] for row in flat]
            totals[f"{kind}_{error}_median"] = median(values)
            totals[f"{kind}_{error}_flat_worst"] = max(exact, default=0.0)
            totals[f"{kind}_{error}_flat_median"] = median(exact) if exact else 0.0
    return totals


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

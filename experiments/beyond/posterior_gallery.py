"""Marginals of mean-field, full-rank and flow fits, drawn over reference draws.

One panel a posterior of posteriordb: the unknown whose sd the full-rank q misses most,
in the model's own units. Grey is what long chains of MCMC found, the lines are the
densities of q, smoothed from its draws.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy import stats

from experiments import common
from experiments.studies import posteriordb
from vijax import vi
from vijax.plot.vi import reference_posteriors as plot
from vijax.validate import check

ALL = (*posteriordb.NAMES, posteriordb.CENTERED)
NUM_SMOOTHED = 4000  # draws that a density is smoothed from


@dataclass(frozen=True)
class Config:
    """Which posteriors, which families, and where the data are."""

    posteriors: tuple[str, ...] = ALL  # by posteriordb's names
    families: tuple[str, ...] = ("mean_field", "full_rank", "flow")
    bins: int = 50  # of the reference draws
    folder: Path | None = None  # of posteriordb; by default $VIJAX_POSTERIORDB
    seed: int = 0


def run(config: Config) -> common.Result:
    """Fit all of them and draw a marginal of each."""
    for name in ("posteriors", "families"):
        values = getattr(config, name)
        check(len(values) >= 1, name, values, "give at least one name")
    check(config.bins >= 5, "bins", config.bins, "give at least 5")
    folder = posteriordb.find_folder(config.folder)
    rows, panels = [], []
    for name in config.posteriors:
        row, panel = _panel(posteriordb.load(folder, name), config)
        rows.append(row)
        panels.append(panel)
    return common.Result(
        {"rows": rows}, {"marginals": plot.posterior_marginals(panels)}
    )


def _panel(
    posterior: posteriordb.Posterior, config: Config
) -> tuple[dict[str, Any], dict[str, Any]]:
    draws, trusted = {}, {}
    for family in config.families:
        target = vi.from_numpyro(posterior.model, *posterior.arguments)
        fit = vi.fit(target, jax.random.key(config.seed), family=family)
        sampled = vi.sample(fit, jax.random.key(config.seed + 1), 10_000)
        draws[family] = posteriordb.flatten(sampled, posterior.parameters)
        trusted[family] = bool(fit.trusted)
    judge = "full_rank" if "full_rank" in draws else config.families[0]
    last = draws[judge]
    off = np.abs(last.std(axis=0) / posterior.sd - 1)
    index = int(np.argmax(off))
    reference = posterior.draws[:, index]
    low, high = np.quantile(reference, [0.001, 0.995])
    histogram, edges = np.histogram(
        reference, bins=config.bins, range=(low, high), density=True
    )
    x = np.linspace(low, high, 300)
    row = {
        "name": posterior.name,
        "unknown": posterior.parameters[index],
        "sd_ratio": {
            family: float(sample[:, index].std() / posterior.sd[index])
            for family, sample in draws.items()
        },
        "sd_ratio_standard_error": {
            family: _sd_error(sample[:, index], posterior)
            for family, sample in draws.items()
        },
        "trusted": trusted,
    }
    panel = {
        "title": plot.short_name(posterior.name),
        "label": posterior.parameters[index],
        "x": x,
        "histogram": histogram,
        "edges": edges,
        "fits": {
            family: stats.gaussian_kde(sample[:NUM_SMOOTHED, index])(x)
            for family, sample in draws.items()
        },
    }
    return row, panel


def _sd_error(draws: np.ndarray, posterior: posteriordb.Posterior) -> float:
    """Relative standard error of an sd from draws, and of the reference's, if any."""
    # Var[sd] / sd² = (kurtosis − 1) / 4n, kurtosis 3 for a normal.
    own = (stats.kurtosis(draws, fisher=False) - 1) / (4 * len(draws))
    reference = 0.0 if posterior.exact else 0.5 / len(posterior.draws)
    return float((own + reference) ** 0.5)


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

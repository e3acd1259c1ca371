"""Do limits of a signal keep their promise? Their coverage over signal and background.

Four ways to report a signal above a known background: the unified interval of Feldman
and Cousins, the classical upper limit, CLs (with one count also Helene's Bayesian
limit) and the narrowest Bayesian interval. Coverage is a sum over counts: nothing is
drawn.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from experiments import common
from vijax.bayes import frequentist
from vijax.plot.bayes.interval_coverage import coverage_maps
from vijax.validate import check

METHODS = {
    "feldman_cousins": "Feldman–Cousins",
    "classical": "classical limit",
    "cls": "CLs = Bayes, flat prior",
    "kraft_burrows_nousek": "narrowest Bayesian",
}


@dataclass(frozen=True)
class Config:
    """The truths at which coverage is computed."""

    level: float = 0.9
    max_signal: float = 12.0
    max_background: float = 10.0
    num_signals: int = 241
    num_backgrounds: int = 21
    seed: int = 0  # nothing is drawn


def run(config: Config) -> common.Result:
    """Compute the coverage of each method at every truth, and map it."""
    check(0 < config.level < 1, "level", config.level, "give a number in (0, 1)")
    for name in ("num_signals", "num_backgrounds"):
        value = getattr(config, name)
        check(value >= 2, name, value, "give 2 or more")
    for name in ("max_signal", "max_background"):
        value = getattr(config, name)
        check(value > 0, name, value, "give a number > 0")
    signals = np.linspace(0.0, config.max_signal, config.num_signals)
    backgrounds = np.linspace(0.0, config.max_background, config.num_backgrounds)
    with jax.enable_x64(True):
        maps = {
            name: np.asarray(
                frequentist.signal_coverage(
                    signals, backgrounds, config.level, method=name
                )
            )
            for name in METHODS
        }
        limits = _limits(config)
    metrics = {"coverage": {k: _summary(v, config.level) for k, v in maps.items()}}
    figure = coverage_maps(
        backgrounds,
        signals,
        {METHODS[name]: values for name, values in maps.items()},
        level=config.level,
        labels=("known background b", "true signal s"),
    )
    return common.Result(metrics | limits, {"limit_coverage": figure})


def _summary(coverage: np.ndarray, level: float) -> dict[str, float]:
    return {
        "min": float(coverage.min()),
        "mean": float(coverage.mean()),
        "max": float(coverage.max()),
        "share_enough": float((coverage >= level - 1e-9).mean()),
    }


def _limits(config: Config) -> dict[str, Any]:
    """Return the upper ends of an experiment that saw nothing where 3 were expected."""
    counts, background = 0, 3.0
    ends = {}
    for name in METHODS:
        if name in ("classical", "cls"):
            end = frequentist.signal_limit(
                counts, background, config.level, method=name
            )
        else:
            end = frequentist.signal_interval(
                counts, background, config.level, method=name
            )[1]
        ends[name] = float(end)
    return {"upper_ends_of_nothing": ends}


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

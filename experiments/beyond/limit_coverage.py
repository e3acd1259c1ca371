"""Do limits of a signal keep their promise? Their coverage over signal and background.

Four ways to report a signal above a known background: the unified interval of Feldman
and Cousins, the classical upper limit, CLs (with one count also Helene's Bayesian
limit) and the narrowest Bayesian interval. The same where the background is measured in
a sideband, and what a claim of a discovery is then worth. All are sums over counts:
nothing is drawn.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments import common
from vijax.bayes import frequentist
from vijax.plot.bayes.discovery import discovery_claims
from vijax.plot.bayes.interval_coverage import coverage_maps
from vijax.validate import check

METHODS = {
    "feldman_cousins": "Feldman–Cousins",
    "classical": "classical limit",
    "cls": "CLs = Bayes, flat prior",
    "kraft_burrows_nousek": "narrowest Bayesian",
}
MEASURED = {
    "profile": "profile likelihood",
    "profile_limit": "its upper limit",
    "cls": "CLs, b as measured",
    "classical": "classical, b as measured",
}
TESTS = {"exact": "binomial test", "profile": "Li and Ma"}


@dataclass(frozen=True)
class Config:
    """The truths at which coverage is computed."""

    level: float = 0.9
    max_signal: float = 12.0
    max_background: float = 10.0
    num_signals: int = 241
    num_backgrounds: int = 21
    ratio: float = 1.0  # of the sideband to the signal region
    claim: float = 3.0  # sigmas
    num_claims: int = 30  # backgrounds, and ratios, at which claims are judged
    seed: int = 0  # nothing is drawn


def run(config: Config) -> common.Result:
    """Compute the coverage of each method at every truth, and map it."""
    check(0 < config.level < 1, "level", config.level, "give a number in (0, 1)")
    for name in ("num_signals", "num_backgrounds", "num_claims"):
        value = getattr(config, name)
        check(value >= 2, name, value, "give 2 or more")
    for name in ("max_signal", "max_background", "ratio", "claim"):
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
        plan = frequentist.Sideband(config.ratio * backgrounds, config.ratio)
        measured = {
            name: np.asarray(
                frequentist.uncertain_signal_coverage(
                    signals, plan, config.level, method=name
                )
            )
            for name in MEASURED
        }
        claims, claims_figure = _claims(config)
    metrics = {"coverage": {k: _summary(v, config.level) for k, v in maps.items()}}
    figure = coverage_maps(
        backgrounds,
        signals,
        {METHODS[name]: values for name, values in maps.items()},
        level=config.level,
        labels=("known background b", "true signal s"),
    )
    metrics["measured"] = {k: _summary(v, config.level) for k, v in measured.items()}
    measured_figure = coverage_maps(
        backgrounds,
        signals,
        {MEASURED[name]: values for name, values in measured.items()},
        level=config.level,
        labels=("true background b", "true signal s"),
    )
    figures = {
        "limit_coverage": figure,
        "measured_coverage": measured_figure,
        "discovery_claims": claims_figure,
    }
    return common.Result(metrics | limits | claims, figures)


def _claims(config: Config) -> tuple[dict[str, Any], Figure]:
    """Return what claims are worth where the background is measured, and draw it."""
    backgrounds = np.geomspace(0.3, 100.0, config.num_claims)
    ratios = np.geomspace(0.1, 10.0, config.num_claims)
    off = backgrounds[:, None] * ratios
    true_sigmas = {}
    for test in TESTS:
        # A vertical line at a time: the sums of all are as long as the longest one.
        p_values = [
            frequentist.discovery_probability(
                0.0, frequentist.Sideband(row, ratios), config.claim, test=test
            )
            for row in off
        ]
        true_sigmas[test] = np.asarray(frequentist.significance(np.stack(p_values)))
    reach = {"known": frequentist.discoverable_signal(backgrounds)}
    for ratio in (3.0, 1.0):
        plan = frequentist.Sideband(ratio * backgrounds, ratio)
        reach[f"sideband, τ = {ratio:g}"] = frequentist.discoverable_signal(plan)
    figure = discovery_claims(
        backgrounds,
        ratios,
        {TESTS[test]: values for test, values in true_sigmas.items()},
        reach,
        claimed=config.claim,
        reach_label="found at 5 σ, half the time",
    )
    worth = {
        test: {"min": float(values.min()), "max": float(values.max())}
        for test, values in true_sigmas.items()
    }
    return {"true_sigmas": worth}, figure


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

"""A template fit as the LHC experiments do it, answered three ways.

How strong is the signal, in units of what is expected, and how strong may it be at
most? A frequentist answers by the profile likelihood and CLs, a Bayesian by NUTS, and
variational inference by a fit with its verdict. The data are the example that comes
with HistFactory.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from experiments import common
from experiments.studies import histfactory_example as example
from vijax import physics, plot, vi
from vijax.validate import check
from vijax.vi.targets.target import Target


@dataclass(frozen=True)
class Config:
    """The levels of the answers, and how much is simulated."""

    level: float = 0.95  # of the upper limits
    strongest: float = 3.0  # signal strength of the plots
    num_points: int = 31  # of a scan
    num_toys: int = 2000  # of each hypothesis; 0: none
    family: str = "full_rank"
    chains: bool = True  # draw NUTS beside the fit
    seed: int = 0


def run(config: Config) -> common.Result:
    """Give the three answers and draw them."""
    check(0.5 <= config.level < 1, "level", config.level, "give one in [0.5, 1)")
    common.check_positive(strongest=config.strongest)
    common.check_at_least(5, num_points=config.num_points)
    check(
        config.num_toys == 0 or config.num_toys >= 100,
        "num_toys",
        config.num_toys,
        "give at least 100, or 0",
    )
    for_fit, for_chains, for_toys = jax.random.split(jax.random.key(config.seed), 3)
    target = physics.from_pyhf(example.workspace())
    frequentist, scan = _frequentist(target, config, for_toys)
    metrics: dict[str, Any] = {
        "observed": example.OBSERVED,
        "frequentist": frequentist,
    }
    fit = vi.fit(target, for_fit, family=config.family)
    metrics["variational"] = _posterior(fit, config)
    if config.chains:
        metrics["bayesian"] = _posterior(vi.nuts(fit, for_chains), config)
    ranked = physics.impacts(target)
    metrics["impacts"] = [
        {"name": name, "pull": pull, "up": up, "down": down}
        for name, pull, up, down in zip(
            ranked.names, ranked.pulls, ranked.up, ranked.down, strict=True
        )
    ]
    figures = {
        "brazil_band": plot.brazil_band(
            *scan, level=config.level, name="signal strength μ"
        ),
        "pulls_and_impacts": plot.pulls_and_impacts(*ranked[:5]),
        "yields": _draw_yields(target),
    }
    return common.Result(metrics, figures)


def _frequentist(
    target: Target, config: Config, key: jax.Array
) -> tuple[dict[str, Any], tuple[Any, Any, Any]]:
    """Estimate, significance and limits by the profile likelihood; CLs over μ."""
    best = physics.maximum_likelihood(target)
    discovery = physics.discovery_test(target)
    limit = physics.upper_limit(target, level=config.level)
    mu = np.linspace(0, config.strongest, config.num_points)
    tested = physics.hypothesis_test(target, mu)
    found = {
        "estimate": best.values[example.STRENGTH],
        "error": best.errors[example.STRENGTH],
        "converged": best.converged,
        "significance": discovery.significance,
        "expected_significance": discovery.expected_significance,
        "limit": limit.observed,
        "expected_limits": limit.expected,
    }
    if config.num_toys:
        at = float(limit.observed)
        toys = physics.toy_test(key, target, at, num_toys=config.num_toys)
        found["toys"] = {"cls": toys.cls, "cls_se": toys.cls_se}
    return found, (mu, tested.cls, tested.expected_cls)


def _posterior(fit: vi.Fit, config: Config) -> dict[str, Any]:
    """Moments of the signal strength, its upper limit, and the verdict."""
    table = vi.summary(fit)
    row = table[example.STRENGTH]
    limit = physics.posterior_upper_limit(fit, mass=config.level)
    return {
        "mean": row["corrected_mean"],
        "mean_se": row["corrected_mean_se"],
        "sd": row["corrected_sd"],
        "q_mean": row["mean"],
        "q_sd": row["sd"],
        "limit": limit.limit,
        "limit_se": limit.standard_error,
        "trusted": limit.trusted,
        "advice": table.advice,
    }


def _draw_yields(target: Target) -> Any:
    panels = []
    for title, fit in (
        ("before the fit", None),
        ("after the fit", physics.maximum_likelihood(target)),
    ):
        channel = physics.template_yields(target, fit)[example.CHANNEL]
        order = ("background1", "background2", "signal")
        stacked = {name: channel.samples[name] for name in order}
        panels.append(plot.Yields(title, stacked, channel.error))
    return plot.stacked_yields(panels, example.OBSERVED)


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

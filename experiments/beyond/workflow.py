"""From a raw table to a decision: a regression and a hierarchy, each in full.

Fit, verdict, comparison, check, sensitivity, prediction of rows held out, decision. The
regression: 442 diabetes patients, ten measurements, progression of the disease a year
later (Efron, Hastie, Johnstone & Tibshirani 2004; scikit-learn's table). The
hierarchy: 18 batters, whose first 45 at bats of 1970 foretell the rest of the season
(Efron & Morris 1975).
"""

from dataclasses import dataclass

import jax

from experiments import common
from experiments.beyond import workflow_patients, workflow_players
from experiments.studies import diabetes
from experiments.studies.fit_numbers import Fitting
from vijax.validate import check


@dataclass(frozen=True)
class Config:
    """How much is held out, and what the decisions are about."""

    held_out: float = 0.25  # of the patients
    severe: float = 200.0  # progression that a patient is called in for
    miss_cost: float = 3.0  # of a severe case not called in, in needless calls
    good_average: float = 0.3  # batting average that a player is signed for
    regressions: tuple[str, ...] = tuple(diabetes.REGRESSIONS)
    family: str = "auto"  # of all fits
    num_samples: int = 4000  # draws of each prediction
    chains: bool = True  # draw NUTS beside the fits
    seed: int = 0


def run(config: Config) -> common.Result:
    """Go from both tables to both decisions."""
    check(0 < config.held_out < 1, "held_out", config.held_out, "give one in (0, 1)")
    common.check_at_least(1000, num_samples=config.num_samples)
    common.check_positive(miss_cost=config.miss_cost)
    given, known = set(config.regressions), set(diabetes.REGRESSIONS)
    check(
        {diabetes.SIMPLE} < given <= known,
        "regressions",
        config.regressions,
        f"give {diabetes.SIMPLE!r} and at least one other of {sorted(known)}",
    )
    order_key, regression_key, hierarchy_key = jax.random.split(
        jax.random.key(config.seed), 3
    )
    table = diabetes.load(config.held_out, order_key)
    fitting = Fitting(config.family, config.num_samples, config.chains)
    patients, figures = workflow_patients.study(
        table,
        regression_key,
        fitting,
        regressions=config.regressions,
        severe=config.severe,
        miss_cost=config.miss_cost,
    )
    players, more = workflow_players.study(
        hierarchy_key, fitting, good_average=config.good_average
    )
    metrics = {"patients": patients, "players": players}
    return common.Result(metrics, figures | more)


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

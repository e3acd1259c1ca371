"""A million priors at once: which conclusions of the lecture survive which prior?

The lecture takes two priors for its coin. Here `vijax.sweep` takes a grid of Beta
priors, from weak to strong and from centre 0 to 1, through posterior, 95 % interval
and Bayes factor at once, and the same for Gamma priors of a Poisson rate. The maps
show where the coin may be called fair (0.5 in the interval), where the prior's model
beats the uniform one (K > 1), and where it does so by more than a trifle (K > 3).
"""

from dataclasses import dataclass
from math import isqrt
from typing import Any, NamedTuple

import jax
import numpy as np
import numpyro.distributions as dist
from matplotlib.figure import Figure
from scipy import stats

from experiments import common
from experiments.lecture import poisson_sensors
from vijax.bayes import beta_binomial, evidence, gamma_poisson, intervals
from vijax.plot.bayes import prior_sweep as plot
from vijax.sweep import sweep
from vijax.validate import check

STRENGTHS = (0.1, 1000.0)  # in data that the prior is worth
CENTRES = (0.01, 0.99)  # of a Beta prior
MEANS = (0.3, 30.0)  # of a Gamma prior
MASS = 0.95
REFERENCE_MEAN = 3.0  # of the exponential prior that Gamma priors are held against
NULL = 0.5  # a fair coin
DRAWN = 400  # points of a map, each way; a finer sweep is thinned
LINES = {0.0: "K = 1", float(np.log(3)): "K = 3", -float(np.log(3)): "K = 1/3"}


@dataclass(frozen=True)
class Config:
    """The data and the number of priors."""

    num_priors: int = 1_000_000  # of each family; a square number
    trials: int = 14  # tosses of the coin
    successes: int = 10  # heads among them
    rate: float = 3.0  # true mean count of the sensor
    observations: int = 5  # counts of the sensor
    batch_size: int | None = None  # priors computed at once; None: what fits in memory
    seed: int = 0  # of the counts, those of the first sensor in poisson_sensors


def run(config: Config) -> common.Result:
    """Sweep both families of priors and map their conclusions."""
    _check(config)
    with jax.enable_x64(True):
        coin, coin_figure = _coin(config)
        sensor, sensor_figure = _sensor(config)
    metrics = {"num_priors": config.num_priors, "coin": coin, "sensor": sensor}
    return common.Result(
        metrics, {"coin_priors": coin_figure, "sensor_priors": sensor_figure}
    )


def _check(config: Config) -> None:
    side = isqrt(max(config.num_priors, 0))
    remedy = f"give a square number >= 25, for example {max(side, 5) ** 2}"
    square = config.num_priors >= 25 and side**2 == config.num_priors
    check(square, "num_priors", config.num_priors, remedy)
    check(config.trials >= 1, "trials", config.trials, "give at least one toss")
    possible = 0 <= config.successes <= config.trials
    remedy = f"give a count between 0 and trials = {config.trials}"
    check(possible, "successes", config.successes, remedy)
    inside = MEANS[0] < config.rate < MEANS[1]
    check(inside, "rate", config.rate, f"give a rate between {MEANS[0]} and {MEANS[1]}")
    valid = config.observations >= 1
    check(valid, "observations", config.observations, "give at least one count")


def _beta_row(row: dict[str, Any]) -> dict[str, jax.Array]:
    """Take one Beta prior through the coin's data."""
    centre, strength, data = row["centre"], row["strength"], row["data"]
    prior = dist.Beta(strength * centre, strength * (1 - centre))
    posterior = beta_binomial.posterior(prior, *data)
    uniform = beta_binomial.log_evidence(dist.Beta(1.0, 1.0), *data)
    return _answer(posterior, beta_binomial.log_evidence(prior, *data), uniform)


def _gamma_row(row: dict[str, Any]) -> dict[str, jax.Array]:
    """Take one Gamma prior through the sensor's counts."""
    centre, strength, data = row["centre"], row["strength"], row["data"]
    prior = dist.Gamma(strength, strength / centre)
    posterior = gamma_poisson.posterior(prior, *data)
    exponential = gamma_poisson.log_evidence(dist.Gamma(1.0, 1 / REFERENCE_MEAN), *data)
    return _answer(posterior, gamma_poisson.log_evidence(prior, *data), exponential)


def _answer(posterior: Any, log_evidence: Any, reference: Any) -> dict[str, jax.Array]:
    lower, upper = intervals.credible_interval(posterior, MASS)
    return {
        "mean": posterior.mean,
        "lower": lower,
        "upper": upper,
        "log_bayes_factor": evidence.log_bayes_factor(log_evidence, reference),
        "log_reference": reference,
    }


class Sweep(NamedTuple):
    """What every prior of a plane concludes; results are (strengths, centres)."""

    strength: np.ndarray
    centre: np.ndarray
    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    log_bayes_factor: np.ndarray  # over the family's reference prior
    log_reference: np.ndarray  # log evidence of the reference prior


def _sweep(
    config: Config, row: Any, strength: np.ndarray, centre: np.ndarray, data: Any
) -> Sweep:
    """Take every prior of the plane through the same data."""
    strengths, centres = np.meshgrid(strength, centre, indexing="ij")
    grid = {"strength": strengths.ravel(), "centre": centres.ravel(), "data": data}
    results = sweep(row, grid, batch_size=config.batch_size)
    return Sweep(
        strength,
        centre,
        **{key: value.reshape(strengths.shape) for key, value in results.items()},
    )


def _coin(config: Config) -> tuple[dict[str, Any], Figure]:
    side = isqrt(config.num_priors)
    k, n = float(config.successes), float(config.trials)
    strength, centre = np.geomspace(*STRENGTHS, side), np.linspace(*CENTRES, side)
    # To the plane add the lecture's strengths, 2 and 20, and its centre, 0.5.
    rows, column = np.union1d(strength, [2.0, 20.0]), np.union1d(centre, [NULL])
    more = _sweep(config, _beta_row, rows, column, (k, n))
    every = _select(more, np.isin(rows, strength), np.isin(column, centre))
    centred = _select(more, np.isin(rows, rows), column == NULL)
    factor = np.exp(centred.log_bayes_factor[:, 0])
    wins = rows[factor > 1 + 1e-9]
    # No prior explains the data better than the certainty that p = k / n.
    best = stats.binom.logpmf(k, n, k / n) - centred.log_reference[0, 0]
    metrics = _conclusions(every, NULL) | {
        "bayes_factor_bound": float(np.exp(best)),
        "centred": {
            "share_inside": float((_verdict(centred, NULL) == 0).mean()),
            "max_bayes_factor": float(factor.max()),
            "max_bayes_factor_strength": float(rows[np.argmax(factor)]),
            "k_above_1_strengths": [float(w) for w in (*wins[:1], *wins[-1:])],
            "peaked_bayes_factor": float(factor[rows == 20.0][0]),
            "uniform_bayes_factor": float(factor[rows == 2.0][0]),
        },
    }
    marks = {"uniform": (2.0, NULL), "peaked": (20.0, NULL)}
    labels = ("strength a + b (tosses that the prior is worth)", "centre a / (a + b)")
    names = [
        "0.5 in the interval:\nthe coin may be fair",
        "all above 0.5",
        "all below 0.5",
    ]
    figure = plot.prior_maps(
        plot.PriorPlane(_thin(every.strength), _thin(every.centre), *labels, marks),
        _maps(every, "posterior mean of p", "the uniform prior", "linear"),
        _regions(every, NULL, "Is the coin fair?", names),
    )
    return metrics, figure


def _select(every: Sweep, rows: np.ndarray, columns: np.ndarray) -> Sweep:
    """Keep some rows and columns of the plane."""
    results = (values[np.ix_(rows, columns)] for values in every[2:])
    return Sweep(every.strength[rows], every.centre[columns], *results)


def _sensor(config: Config) -> tuple[dict[str, Any], Figure]:
    side = isqrt(config.num_priors)
    rates = (config.rate, 1.0)  # the second sensor's counts are not used
    counts = poisson_sensors.simulate(config.seed, rates, config.observations)[:, 0]
    strength, centre = np.geomspace(*STRENGTHS, side), np.geomspace(*MEANS, side)
    every = _sweep(config, _gamma_row, strength, centre, (np.asarray(counts)[None],))
    metrics = _conclusions(every, config.rate) | {
        "counts": np.asarray(counts),
        "frequency": float(counts.mean()),
    }
    marks = {f"Exp, mean {mean:g}": (1.0, mean) for mean in (3.0, 10.0)}
    labels = ("strength (counts that the prior is worth)", "prior mean of λ₁")
    value = f"{config.rate:g}"
    names = [f"{value} in the interval", f"all above {value}", f"all below {value}"]
    figure = plot.prior_maps(
        plot.PriorPlane(
            _thin(every.strength), _thin(every.centre), *labels, marks, True
        ),
        _maps(every, "posterior mean of λ₁", "Exp, mean 3", "log"),
        _regions(every, config.rate, "Is the true rate kept?", names),
    )
    return metrics, figure


def _verdict(every: Sweep, value: float) -> np.ndarray:
    """Return 0 where the value is in the interval, 1 if all is above it, 2 if below."""
    return np.where(every.lower > value, 1, np.where(every.upper < value, 2, 0))


def _conclusions(every: Sweep, value: float) -> dict[str, Any]:
    """Count the priors that reach each conclusion, and find its boundaries."""
    verdict = _verdict(every, value)
    factor = np.exp(np.clip(every.log_bayes_factor, -700, 700))
    best = np.unravel_index(factor.argmax(), factor.shape)
    boundaries = []
    for strength in (2.0, 20.0, 200.0):
        row = int(np.argmin(np.abs(np.log(every.strength / strength))))
        kept = every.centre[verdict[row] == 0]
        ends = [float(kept.min()), float(kept.max())] if len(kept) else None
        boundaries.append({"strength": float(every.strength[row]), "centres": ends})
    return {
        "share_inside": float((verdict == 0).mean()),
        "share_above": float((verdict == 1).mean()),
        "share_below": float((verdict == 2).mean()),
        "share_k_above_1": float((factor > 1).mean()),
        "share_k_above_3": float((factor > 3).mean()),
        "share_k_below_third": float((factor < 1 / 3).mean()),
        "max_bayes_factor": float(factor.max()),
        "max_bayes_factor_strength": float(every.strength[best[0]]),
        "max_bayes_factor_centre": float(every.centre[best[1]]),
        "inside_boundaries": boundaries,
        "mean_range": [float(every.mean.min()), float(every.mean.max())],
    }


def _thin(values: np.ndarray) -> np.ndarray:
    """Keep at most DRAWN points of each axis for a figure."""
    return values[tuple(slice(None, None, -(-size // DRAWN)) for size in values.shape)]


def _maps(every: Sweep, mean: str, reference: str, scale: str) -> list[plot.PriorMap]:
    log_k = _thin(every.log_bayes_factor)
    return [
        plot.PriorMap(mean, _thin(every.mean), scale),
        plot.PriorMap(
            "width of the 95 % interval", _thin(every.upper - every.lower), scale
        ),
        plot.PriorMap(f"ln K over {reference}", log_k, "signed", 5.0),
    ]


def _regions(
    every: Sweep, value: float, title: str, names: list[str]
) -> plot.ConclusionRegions:
    log_k = _thin(every.log_bayes_factor)
    return plot.ConclusionRegions(
        title, _thin(_verdict(every, value)), names, log_k, LINES
    )


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

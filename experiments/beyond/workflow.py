"""From a raw table to a decision: a regression and a hierarchy, each in full.

Fit, verdict, comparison, check, sensitivity, prediction of rows held out, decision. The
regression: 442 diabetes patients, ten measurements, progression of the disease a year
later (Efron, Hastie, Johnstone & Tibshirani 2004; scikit-learn's table). The
hierarchy: 18 batters, whose first 45 at bats of 1970 foretell the rest of the season
(Efron & Morris 1975).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy import special, stats

from experiments import common
from experiments.studies import batting, diabetes, fit_numbers
from vijax import plot, vi
from vijax.validate import check

Fits = dict[str, vi.Fit]


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
    patients, figures = _patients(config, table, regression_key)
    players, more = _players(config, hierarchy_key)
    metrics = {"patients": patients, "players": players}
    return common.Result(metrics, figures | more)


# The regression.


def _patients(
    config: Config, table: diabetes.Patients, key: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    keys = iter(jax.random.split(key, 20))
    fits, rows, predicted = {}, {}, {}
    for name in config.regressions:
        model, columns, noise, _ = diabetes.REGRESSIONS[name]
        target = vi.from_numpyro(model, table.x[:, columns], table.y)
        fits[name] = vi.fit(target, next(keys), family=config.family)
        predicted[name] = vi.predict(
            fits[name],
            next(keys),
            table.new_x[:, columns],
            None,
            num_samples=config.num_samples,
        )
        rows[name] = fit_numbers.about(fits[name]) | _scores(
            predicted[name], table.new_y, noise
        )
    ranking, table_of_loo = fit_numbers.compared(fits, next(keys))
    best = ranking["best"]
    statistics = diabetes.statistics(table)
    checked = {
        name: vi.posterior_predictive_check(fits[name], next(keys), statistics)
        for name in dict.fromkeys((diabetes.SIMPLE, best))
    }
    for name, row in rows.items():
        row["loo_per_row"] = table_of_loo[name].elpd / len(table.y)
        row["loo_per_row_se"] = table_of_loo[name].elpd_se / len(table.y)
    correlation = np.abs(np.corrcoef(table.x.T)) - np.eye(len(table.names))
    alike = np.unravel_index(np.argmax(correlation), correlation.shape)
    metrics = {
        "lowest": float(np.min(table.y)),
        "highest": float(np.max(table.y)),
        "unit": diabetes.REGRESSIONS[best].unit,
        "most_alike": [table.names[n] for n in alike],
        "correlation": float(correlation[alike]),
        "training_rows": len(table.y),
        "held_out_rows": len(table.new_y),
        "models": rows,
        "comparison": ranking,
        "checks": {name: fit_numbers.checks(found) for name, found in checked.items()},
        "sensitivity": fit_numbers.sensitivity(
            fits[best], next(keys), names=table.names
        ),
        "weights": _weights(fits[best], next(keys), table.names, config),
        "decision": _call_in(predicted[best], table.new_y, config),
    }
    figures = _figures_of_patients(
        config, keys, fits[best], predicted[best], table, best
    )
    figures |= {
        "patients_checks_simple": plot.predictive_checks(checked[diabetes.SIMPLE])
    }
    if best != diabetes.SIMPLE:
        figures["patients_checks"] = plot.predictive_checks(checked[best])
    return metrics, figures


def _figures_of_patients(
    config: Config,
    keys: Any,
    fit: vi.Fit,
    predicted: Any,
    table: diabetes.Patients,
    best: str,
) -> dict[str, Any]:
    key_of_nuts, key_of_figure, key_of_tail = (next(keys) for _ in range(3))
    chained = vi.nuts(fit, key_of_nuts) if config.chains else None
    unit = diabetes.REGRESSIONS[best].unit
    sites = ["weights", "sd", *(["growth"] if "growth" in predicted else [])]
    return {
        "patients_marginals": plot.marginals(
            fit,
            key_of_figure,
            sites=sites,
            reference=chained,
            labels={
                "weights": [f"{name} / {unit}" for name in table.names],
                "sd": f"noise sd / {unit}",
            },
        ),
        "patients_convergence": plot.convergence(fit),
        "patients_weights": plot.weights_tail(fit, key_of_tail),
        "patients_predictions": plot.predictive_intervals(
            predicted,
            "y",
            table.new_y,
            label="progression after a year / score",
            x_label="held-out patient, by predicted median",
        ),
    }


def _weights(
    fit: vi.Fit, key: Any, names: tuple[str, ...], config: Config
) -> list[dict[str, Any]]:
    """Return each weight, and how sure its sign is."""
    draws = vi.predict(fit, key, num_samples=config.num_samples)["weights"]
    table = np.asarray(draws, float)
    return [
        {"name": name}
        | fit_numbers.moments(x)
        | {"sign_probability": float(max(np.mean(x > 0), np.mean(x < 0)))}
        for name, x in zip(names, table.T, strict=True)
    ]


def _scores(
    predicted: Any,
    observed: np.ndarray,
    noise: Callable[[Any, Any], dist.Distribution],
) -> dict[str, Any]:
    """Return how good predictions of rows were that no model had seen."""
    draws = np.asarray(predicted["y"], float)
    of_draws = noise(predicted["mean"], predicted["row_sd"])
    log_p = np.asarray(of_draws.log_prob(jnp.asarray(observed)), float)
    score = special.logsumexp(log_p, axis=0) - np.log(len(log_p))
    return fit_numbers.coverage(draws, observed) | {
        "rms_error": fit_numbers.rms(draws.mean(axis=0) - observed),
        "score_per_row": float(np.mean(score)),
        "score_per_row_se": float(np.std(score, ddof=1) / len(score) ** 0.5),
    }


def _call_in(predicted: Any, observed: np.ndarray, config: Config) -> dict[str, Any]:
    """Call in whom the expected cost tells to: P(severe) ≥ 1 / (1 + cost of a miss)."""
    severe = np.mean(np.asarray(predicted["y"]) > config.severe, axis=0)
    truly = observed > config.severe
    limit = 1 / (1 + config.miss_cost)
    called = severe >= limit
    by_mean = np.mean(np.asarray(predicted["y"]), axis=0) > config.severe

    def cost(calls: np.ndarray) -> float:
        return float(np.sum(calls & ~truly) + config.miss_cost * np.sum(~calls & truly))

    of_row = np.where(called, 1 - severe, config.miss_cost * severe)
    price = np.where(called, 1.0, config.miss_cost)
    spread = np.sqrt(np.sum(price**2 * severe * (1 - severe)))
    return {
        "limit": limit,
        "called": int(called.sum()),
        "severe": int(truly.sum()),
        "expected_severe": float(severe.sum()),
        "expected_severe_sd": float(np.sqrt(np.sum(severe * (1 - severe)))),
        "caught": int(np.sum(called & truly)),
        "cost": cost(called),
        "expected_cost": float(np.sum(of_row)),
        "expected_cost_sd": float(spread),
        "cost_of_all": cost(np.ones_like(called)),
        "cost_of_none": cost(np.zeros_like(called)),
        "cost_by_mean": cost(by_mean),
        "called_by_mean": int(by_mean.sum()),
    }


# The hierarchy.


def _players(config: Config, key: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    table = batting.load()
    keys = iter(jax.random.split(key, 20))
    later = table.later_hits / table.later_at_bats
    fits, rows, predicted = {}, {}, {}
    for name, model in batting.POOLINGS.items():
        target = vi.from_numpyro(model, table.at_bats, table.hits)
        fits[name] = vi.fit(target, next(keys), family=config.family)
        found = vi.predict(
            fits[name],
            next(keys),
            table.later_at_bats,
            None,
            num_samples=config.num_samples,
        )
        averages = np.asarray(found["hits"], float) / table.later_at_bats
        predicted[name] = found, averages
        rows[name] = fit_numbers.about(fits[name]) | fit_numbers.coverage(
            averages, later
        )
        rows[name]["rms_error"] = fit_numbers.rms(averages.mean(axis=0) - later)
        rows[name]["log_score"] = _binomial_score(found["average"], table)
    ranking, _ = fit_numbers.compared(fits, next(keys))
    checked = vi.posterior_predictive_check(fits[batting.POOLED], next(keys))
    metrics = {
        "number": len(table.names),
        "first_at_bats": batting.FIRST_AT_BATS,
        "models": rows,
        "comparison": ranking,
        "raw_rms_error": fit_numbers.rms(table.hits / table.at_bats - later),
        "checks": fit_numbers.checks(checked),
        "sensitivity": fit_numbers.sensitivity(
            fits[batting.POOLED], next(keys), prior=("mu", "tau")
        ),
        "decision": _sign(predicted, table, config),
    }
    figures = _figures_of_players(config, keys, fits, predicted, table, checked)
    return metrics, figures


def _figures_of_players(
    config: Config,
    keys: Any,
    fits: Fits,
    predicted: Mapping[str, Any],
    table: batting.Batting,
    checked: vi.PredictiveCheck,
) -> dict[str, Any]:
    fit, found = fits[batting.POOLED], predicted[batting.POOLED][0]
    key_of_nuts, chained = next(keys), None
    if config.chains:  # which "auto" may have come to already
        chained = fit if fit.chains is not None else vi.nuts(fit, key_of_nuts)
    later = table.later_hits / table.later_at_bats
    # The same draws, hits divided by at bats, with what they are worth.
    of_rest = jax.tree.map(lambda x: x, found)
    of_rest["average"] = predicted[batting.POOLED][1]
    return {
        "players_pairs": plot.pairs(
            fit, next(keys), sites=("mu", "tau"), reference=chained, draws="q"
        ),
        "players_forest": plot.forest(
            fit,
            next(keys),
            "average",
            names=table.names,
            label="batting average / hits per at bat",
            points={
                "first 45 at bats": table.hits / table.at_bats,
                "rest of the season": later,
            },
        ),
        "players_checks": plot.predictive_checks(checked),
        "players_predictions": plot.predictive_intervals(
            of_rest,
            "average",
            later,
            label="average / hits per at bat",
            x_label="player, by predicted median",
        ),
    }


def _binomial_score(averages: Any, table: batting.Batting) -> float:
    """Return Σ log p(hits of the rest of the season), in nats."""
    p = np.asarray(averages, float)
    log_p = stats.binom.logpmf(table.later_hits, table.later_at_bats, p)
    return float(np.sum(special.logsumexp(log_p, axis=0) - np.log(len(p))))


def _sign(
    predicted: Mapping[str, Any], table: batting.Batting, config: Config
) -> dict[str, Any]:
    """Sign whose average over the rest is the highest; and say how sure that is."""
    later = table.later_hits / table.later_at_bats
    found = {}
    for name, (_, averages) in predicted.items():
        best = np.bincount(np.argmax(averages, axis=1), minlength=len(later))
        chosen = int(np.argmax(averages.mean(axis=0)))
        good = np.mean(averages >= config.good_average, axis=0)
        low, high = np.quantile(averages[:, chosen], (0.025, 0.975))
        found[name] = {
            "player": table.names[chosen],
            "expected": float(averages[:, chosen].mean()),
            "interval": [float(low), float(high)],
            "probability_best": float(best[chosen] / len(averages)),
            "probability_good": float(good[chosen]),
            "seen": float(table.hits[chosen] / table.at_bats[chosen]),
            "observed": float(later[chosen]),
            "expected_good": float(good.sum()),
            "expected_good_sd": float(
                np.std(np.sum(averages >= config.good_average, axis=1))
            ),
        }
    return {
        "by_model": found,
        "best": table.names[int(np.argmax(later))],
        "good": int(np.sum(later >= config.good_average)),
    }


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

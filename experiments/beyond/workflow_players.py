"""The hierarchy of `workflow`: batters of 1970, and whom to sign."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from scipy import special, stats

from experiments.studies import batting, fit_numbers
from experiments.studies.fit_numbers import Fitting
from vijax import plot, vi


def study(
    key: Any, fitting: Fitting, *, good_average: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return metrics and figures.

    Args:
        key: random key.
        fitting: how fits and predictions are made.
        good_average: batting average that a player is signed for.
    """
    table = batting.load()
    keys = iter(jax.random.split(key, 20))
    later = table.later_hits / table.later_at_bats
    fits, rows, predicted = {}, {}, {}
    for name, model in batting.POOLINGS.items():
        target = vi.from_numpyro(model, table.at_bats, table.hits)
        fits[name] = vi.fit(target, next(keys), family=fitting.family)
        found = vi.predict(
            fits[name],
            next(keys),
            table.later_at_bats,
            None,
            num_samples=fitting.num_samples,
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
        "decision": _sign(predicted, table, good_average),
    }
    figures = _figures(fitting, keys, fits, predicted, table, checked)
    return metrics, figures


def _figures(
    fitting: Fitting,
    keys: Any,
    fits: dict[str, vi.Fit],
    predicted: Mapping[str, Any],
    table: batting.Batting,
    checked: vi.PredictiveCheck,
) -> dict[str, Any]:
    fit, found = fits[batting.POOLED], predicted[batting.POOLED][0]
    key_of_nuts, chained = next(keys), None
    if fitting.chains:  # which "auto" may have come to already
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
    predicted: Mapping[str, Any], table: batting.Batting, good_average: float
) -> dict[str, Any]:
    """Sign whose average over the rest is the highest; and say how sure that is."""
    later = table.later_hits / table.later_at_bats
    found = {}
    for name, (_, averages) in predicted.items():
        best = np.bincount(np.argmax(averages, axis=1), minlength=len(later))
        chosen = int(np.argmax(averages.mean(axis=0)))
        good = np.mean(averages >= good_average, axis=0)
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
            "expected_good_sd": float(np.std(np.sum(averages >= good_average, axis=1))),
        }
    return {
        "by_model": found,
        "best": table.names[int(np.argmax(later))],
        "good": int(np.sum(later >= good_average)),
    }

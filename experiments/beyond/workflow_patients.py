"""The regression of `workflow`: progression of diabetes, and whom to call in."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy import special

from experiments.studies import diabetes, fit_numbers
from experiments.studies.fit_numbers import Fitting
from vijax import plot, vi


def study(
    table: diabetes.Patients,
    key: Any,
    fitting: Fitting,
    *,
    regressions: tuple[str, ...],
    severe: float,
    miss_cost: float,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return metrics and figures.

    Args:
        table: patients, some held out.
        key: random key.
        fitting: how fits and predictions are made.
        regressions: names of `diabetes.REGRESSIONS`.
        severe: progression that a patient is called in for.
        miss_cost: of a severe case not called in, in needless calls.
    """
    keys = iter(jax.random.split(key, 20))
    fits, rows, predicted = {}, {}, {}
    for name in regressions:
        model, columns, noise, _ = diabetes.REGRESSIONS[name]
        target = vi.from_numpyro(model, table.x[:, columns], table.y)
        fits[name] = vi.fit(target, next(keys), family=fitting.family)
        predicted[name] = vi.predict(
            fits[name],
            next(keys),
            table.new_x[:, columns],
            None,
            num_samples=fitting.num_samples,
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
        "weights": _weights(fits[best], next(keys), table.names, fitting),
        "decision": _call_in(
            predicted[best], table.new_y, severe=severe, miss_cost=miss_cost
        ),
    }
    figures = _figures(fitting, keys, fits[best], predicted[best], table, best)
    figures |= {
        "patients_checks_simple": plot.predictive_checks(checked[diabetes.SIMPLE])
    }
    if best != diabetes.SIMPLE:
        figures["patients_checks"] = plot.predictive_checks(checked[best])
    return metrics, figures


def _figures(
    fitting: Fitting,
    keys: Any,
    fit: vi.Fit,
    predicted: Any,
    table: diabetes.Patients,
    best: str,
) -> dict[str, Any]:
    key_of_nuts, key_of_figure, key_of_tail = (next(keys) for _ in range(3))
    chained = vi.nuts(fit, key_of_nuts) if fitting.chains else None
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
    fit: vi.Fit, key: Any, names: tuple[str, ...], fitting: Fitting
) -> list[dict[str, Any]]:
    """Return each weight, and how sure its sign is."""
    draws = vi.predict(fit, key, num_samples=fitting.num_samples)["weights"]
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


def _call_in(
    predicted: Any, observed: np.ndarray, *, severe: float, miss_cost: float
) -> dict[str, Any]:
    """Call in whom the expected cost tells to: P(severe) ≥ 1 / (1 + cost of a miss)."""
    p_severe = np.mean(np.asarray(predicted["y"]) > severe, axis=0)
    truly = observed > severe
    limit = 1 / (1 + miss_cost)
    called = p_severe >= limit
    by_mean = np.mean(np.asarray(predicted["y"]), axis=0) > severe

    def cost(calls: np.ndarray) -> float:
        return float(np.sum(calls & ~truly) + miss_cost * np.sum(~calls & truly))

    of_row = np.where(called, 1 - p_severe, miss_cost * p_severe)
    price = np.where(called, 1.0, miss_cost)
    spread = np.sqrt(np.sum(price**2 * p_severe * (1 - p_severe)))
    return {
        "limit": limit,
        "called": int(called.sum()),
        "severe": int(truly.sum()),
        "expected_severe": float(p_severe.sum()),
        "expected_severe_sd": float(np.sqrt(np.sum(p_severe * (1 - p_severe)))),
        "caught": int(np.sum(called & truly)),
        "cost": cost(called),
        "expected_cost": float(np.sum(of_row)),
        "expected_cost_sd": float(spread),
        "cost_of_all": cost(np.ones_like(called)),
        "cost_of_none": cost(np.zeros_like(called)),
        "cost_by_mean": cost(by_mean),
        "called_by_mean": int(by_mean.sum()),
    }

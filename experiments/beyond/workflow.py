"""From a raw table to a decision: a regression and a hierarchy, each in full.

Fit, verdict, comparison, check, sensitivity, prediction of rows held out, decision. The
regression: 442 diabetes patients, ten measurements, progression of the disease a year
later (Efron, Hastie, Johnstone & Tibshirani 2004; scikit-learn's table). The
hierarchy: 18 batters, whose first 45 at bats of 1970 foretell the rest of the season
(Efron & Morris 1975).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import special, stats
from sklearn.datasets import load_diabetes

from experiments import common
from experiments.studies import batting
from vijax import plot, vi
from vijax.validate import check

BMI = 2  # column of the table
SCORE = (150.0, 75.0)  # centre and spread of progression, for priors
ROOT = (12.0, 3.0)  # and of its root
MASSES = (0.5, 0.95)
SIMPLE = "all ten"  # the model that a reader would begin with
Fits = dict[str, vi.Fit]


@dataclass(frozen=True)
class Config:
    """How much is held out, and what the decisions are about."""

    held_out: float = 0.25  # of the patients
    severe: float = 200.0  # progression that a patient is called in for
    miss_cost: float = 3.0  # of a severe case not called in, in needless calls
    good_average: float = 0.3  # batting average that a player is signed for
    family: str = "auto"  # of all fits
    num_samples: int = 4000  # draws of each prediction
    chains: bool = True  # draw NUTS beside the fits
    seed: int = 0


def run(config: Config) -> common.Result:
    """Go from both tables to both decisions."""
    check(0 < config.held_out < 1, "held_out", config.held_out, "give one in (0, 1)")
    common.check_at_least(1000, num_samples=config.num_samples)
    common.check_positive(miss_cost=config.miss_cost)
    regression_key, hierarchy_key = jax.random.split(jax.random.key(config.seed))
    patients, figures = _patients(config, regression_key)
    players, more = _players(config, hierarchy_key)
    metrics = {"patients": patients, "players": players}
    return common.Result(metrics, figures | more)


# The regression.


class Patients(NamedTuple):
    """Inputs in sds from their mean, both of the training rows."""

    names: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    new_x: np.ndarray
    new_y: np.ndarray


def line(x: Any, centre: float, spread: float) -> tuple[Any, Any]:
    """Return a + x b by row, and the sd of the noise around it."""
    intercept = numpyro.sample("intercept", dist.Normal(centre, spread))
    prior = dist.Normal(0.0, 0.4 * spread).expand([x.shape[1]]).to_event(1)
    weights = numpyro.sample("weights", prior)
    sd = numpyro.sample("sd", dist.HalfNormal(spread))
    return intercept + x @ weights, sd * jnp.ones(len(x))


def straight(x: Any, y: Any) -> None:
    """Draw y ~ N(a + x b, s)."""
    mean, sd = line(x, *SCORE)
    _row(mean, sd, y)


def growing(x: Any, y: Any) -> None:
    """Draw y ~ N(m, s exp(g (m − 150) / 75)), m = a + x b."""
    mean, sd = line(x, *SCORE)
    growth = numpyro.sample("growth", dist.Normal(0.0, 0.5))
    _row(mean, sd * jnp.exp(growth * (mean - SCORE[0]) / SCORE[1]), y)


def on_roots(x: Any, y: Any) -> None:
    """Draw √y ~ N(a + x b, s), cut at 0; the density is that of y."""
    mean, sd = line(x, *ROOT)
    _row(mean, sd, y, squared)


def squared(mean: Any, sd: Any) -> dist.Distribution:
    """Return the distribution of the square of a normal that is cut at 0."""
    root = dist.TruncatedNormal(mean, sd, low=0.0)
    return dist.TransformedDistribution(root, dist.transforms.PowerTransform(2.0))


def _row(
    mean: Any,
    sd: Any,
    y: Any,
    noise: Callable[[Any, Any], dist.Distribution] = dist.Normal,
) -> None:
    numpyro.deterministic("mean", mean)
    numpyro.deterministic("row_sd", sd)
    numpyro.sample("y", noise(mean, sd), obs=y)


class Regression(NamedTuple):
    """A model, the columns that it sees, and its noise as a function of mean and sd."""

    model: Callable[..., None]
    columns: slice
    noise: Callable[[Any, Any], dist.Distribution] = dist.Normal
    unit: str = "score"  # of its line


REGRESSIONS = {
    "BMI alone": Regression(straight, slice(BMI, BMI + 1)),
    SIMPLE: Regression(straight, slice(None)),
    "all ten, growing noise": Regression(growing, slice(None)),
    "all ten, on roots": Regression(on_roots, slice(None), squared, "√score"),
}


def _patients(config: Config, key: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    table = _held_out(config)
    keys = iter(jax.random.split(key, 20))
    fits, rows, predicted = {}, {}, {}
    for name, (model, columns, noise, _) in REGRESSIONS.items():
        target = vi.from_numpyro(model, table.x[:, columns], table.y)
        fits[name] = vi.fit(target, next(keys), family=config.family)
        predicted[name] = vi.predict(
            fits[name],
            next(keys),
            table.new_x[:, columns],
            None,
            num_samples=config.num_samples,
        )
        rows[name] = _about(fits[name]) | _scores(predicted[name], table.new_y, noise)
    ranking, table_of_loo = _compared(fits, next(keys))
    best = ranking["best"]
    statistics = _statistics(table)
    checked = {
        name: vi.posterior_predictive_check(fits[name], next(keys), statistics)
        for name in dict.fromkeys((SIMPLE, best))
    }
    for name, row in rows.items():
        row["loo_per_row"] = table_of_loo[name].elpd / len(table.y)
        row["loo_per_row_se"] = table_of_loo[name].elpd_se / len(table.y)
    correlation = np.abs(np.corrcoef(table.x.T)) - np.eye(len(table.names))
    alike = np.unravel_index(np.argmax(correlation), correlation.shape)
    metrics = {
        "lowest": float(np.min(table.y)),
        "highest": float(np.max(table.y)),
        "unit": REGRESSIONS[best].unit,
        "most_alike": [table.names[n] for n in alike],
        "correlation": float(correlation[alike]),
        "training_rows": len(table.y),
        "held_out_rows": len(table.new_y),
        "models": rows,
        "comparison": ranking,
        "checks": {name: _checks(found) for name, found in checked.items()},
        "sensitivity": _sensitivity(fits[best], next(keys), names=table.names),
        "weights": _weights(fits[best], next(keys), table.names, config),
        "decision": _call_in(predicted[best], table.new_y, config),
    }
    key_of_nuts, key_of_figure, key_of_tail = (next(keys) for _ in range(3))
    chained = vi.nuts(fits[best], key_of_nuts) if config.chains else None
    unit = REGRESSIONS[best].unit
    sites = ["weights", "sd", *(["growth"] if "growth" in predicted[best] else [])]
    figures = {
        "patients_marginals": plot.marginals(
            fits[best],
            key_of_figure,
            sites=sites,
            reference=chained,
            labels={
                "weights": [f"{name} / {unit}" for name in table.names],
                "sd": f"noise sd / {unit}",
            },
        ),
        "patients_convergence": plot.convergence(fits[best]),
        "patients_weights": plot.weights_tail(fits[best], key_of_tail),
        "patients_checks_simple": plot.predictive_checks(checked[SIMPLE]),
        "patients_predictions": plot.predictive_intervals(
            predicted[best],
            "y",
            table.new_y,
            label="progression after a year / score",
            x_label="held-out patient, by predicted median",
        ),
    }
    if best != SIMPLE:
        figures["patients_checks"] = plot.predictive_checks(checked[best])
    return metrics, figures


def _held_out(config: Config) -> Patients:
    bunch = load_diabetes(scaled=False)
    x, y = np.asarray(bunch.data, np.float32), np.asarray(bunch.target, np.float32)
    order = np.asarray(jax.random.permutation(jax.random.key(config.seed), len(y)))
    number = math.ceil(config.held_out * len(y))
    new, old = order[:number], order[number:]
    x = (x - x[old].mean(axis=0)) / x[old].std(axis=0)
    names = ("age", "sex", "BMI", "blood pressure", *bunch.feature_names[4:])
    return Patients(names, x[old], y[old], x[new], y[new])


def _statistics(table: Patients) -> dict[str, Callable[[Any], Any]]:
    """Return what the models are not fitted to: shape, and noise against the mean."""
    design = np.column_stack([np.ones(len(table.x)), table.x]).astype(float)
    projection = design @ np.linalg.pinv(design)

    def growth(y: np.ndarray) -> float:
        """Correlation of a least-squares line with the size of its residuals."""
        line = projection @ y
        return float(np.corrcoef(line, np.abs(y - line))[0, 1])

    return {
        "skewness": stats.skew,
        "min": np.min,
        "max": np.max,
        "growth of the noise": growth,
    }


def _weights(
    fit: vi.Fit, key: Any, names: tuple[str, ...], config: Config
) -> list[dict[str, Any]]:
    """Return each weight, and how sure its sign is."""
    draws = vi.predict(fit, key, num_samples=config.num_samples)["weights"]
    table = np.asarray(draws, float)
    return [
        {"name": name}
        | _moments(x)
        | {"sign_probability": float(max(np.mean(x > 0), np.mean(x < 0)))}
        for name, x in zip(names, table.T, strict=True)
    ]


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


def one_average(at_bats: Any, hits: Any) -> None:
    """All players are alike."""
    mu = numpyro.sample("mu", dist.Normal(-1.0, 0.5))
    average = jax.nn.sigmoid(mu) * jnp.ones(len(at_bats))
    _seen(at_bats, average, hits)


def own_averages(at_bats: Any, hits: Any) -> None:
    """No player says anything of another."""
    with numpyro.plate("players", len(at_bats)):
        logit = numpyro.sample("logit", dist.Normal(-1.0, 1.0))
    _seen(at_bats, jax.nn.sigmoid(logit), hits)


def partly_pooled(at_bats: Any, hits: Any) -> None:
    """Players differ by a spread that is itself unknown; non-centred."""
    mu = numpyro.sample("mu", dist.Normal(-1.0, 0.5))
    tau = numpyro.sample("tau", dist.HalfNormal(0.5))
    with numpyro.plate("players", len(at_bats)):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    _seen(at_bats, jax.nn.sigmoid(mu + tau * z), hits)


def _seen(at_bats: Any, average: Any, hits: Any) -> None:
    numpyro.deterministic("average", average)
    numpyro.sample("hits", dist.Binomial(at_bats, average), obs=hits)


POOLED = "partly pooled"
POOLINGS = {
    "all alike": one_average,
    "each for himself": own_averages,
    POOLED: partly_pooled,
}


def _players(config: Config, key: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    table = batting.load()
    keys = iter(jax.random.split(key, 20))
    later = table.later_hits / table.later_at_bats
    fits, rows, predicted = {}, {}, {}
    for name, model in POOLINGS.items():
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
        rows[name] = _about(fits[name]) | _coverage(averages, later)
        rows[name]["rms_error"] = _rms(averages.mean(axis=0) - later)
        rows[name]["log_score"] = _binomial_score(found["average"], table)
    ranking, _ = _compared(fits, next(keys))
    checked = vi.posterior_predictive_check(fits[POOLED], next(keys))
    metrics = {
        "number": len(table.names),
        "first_at_bats": batting.FIRST_AT_BATS,
        "models": rows,
        "comparison": ranking,
        "raw_rms_error": _rms(table.hits / table.at_bats - later),
        "checks": _checks(checked),
        "sensitivity": _sensitivity(fits[POOLED], next(keys), prior=("mu", "tau")),
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
    fit, found = fits[POOLED], predicted[POOLED][0]
    key_of_nuts, chained = next(keys), None
    if config.chains:  # which "auto" may have come to already
        chained = fit if fit.chains is not None else vi.nuts(fit, key_of_nuts)
    later = table.later_hits / table.later_at_bats
    # The same draws, hits divided by at bats, with what they are worth.
    of_rest = jax.tree.map(lambda x: x, found)
    of_rest["average"] = predicted[POOLED][1]
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
            label="rest of the season / hits per at bat",
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


# Both.


def _about(fit: vi.Fit) -> dict[str, Any]:
    """Return the verdict, and what it is made of."""
    # The evidence is by q's weights, whatever the chains say.
    known = fit._replace(chains=None).correctable
    evidence = {"log_evidence": float(fit.log_evidence)} if known else {}
    return {
        "q": "NUTS" if fit.chains is not None else type(fit.q).__name__,
        "unknowns": fit.target.dim,
        "elbo": float(fit.elbo),
        "elbo_se": float(fit.elbo_se),
        "khat": float(fit.khat),
        "trusted": bool(fit.trusted),
        "usable": bool(fit.trusted or fit.correctable),
        "advice": fit.advice,
    } | evidence


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
    return _coverage(draws, observed) | {
        "rms_error": _rms(draws.mean(axis=0) - observed),
        "score_per_row": float(np.mean(score)),
        "score_per_row_se": float(np.std(score, ddof=1) / len(score) ** 0.5),
    }


def _coverage(draws: np.ndarray, observed: np.ndarray) -> dict[str, Any]:
    """Return shares of rows inside their intervals, with binomial errors."""
    found = {}
    for mass in MASSES:
        low, high = np.quantile(draws, ((1 - mass) / 2, (1 + mass) / 2), axis=0)
        inside = np.mean((observed >= low) & (observed <= high))
        found[f"coverage_{round(100 * mass)}"] = float(inside)
        found[f"coverage_{round(100 * mass)}_se"] = float(
            (mass * (1 - mass) / len(observed)) ** 0.5
        )
        found[f"width_{round(100 * mass)}"] = float(np.mean(high - low))
    return found


def _compared(fits: Fits, key: Any) -> tuple[dict[str, Any], dict[str, vi.Loo]]:
    of_each = {
        name: vi.loo(fit, jax.random.fold_in(key, number))
        for number, (name, fit) in enumerate(fits.items())
    }
    table = vi.compare(of_each)
    rows = {
        name: row._asdict()
        | {
            "worst_khat": float(np.max(of_each[name].khat)),
            "unreliable": len(of_each[name].unreliable),
        }
        for name, row in table.items()
    }
    best = next(iter(table))
    found = {"rows": rows, "statement": table.statement, "best": best}
    trusted = {name: one for name, one in of_each.items() if one.trusted}
    if 2 <= len(trusted) < len(of_each):
        found["statement_of_trusted"] = vi.compare(trusted).statement
    return found, of_each


def _checks(found: vi.PredictiveCheck) -> dict[str, Any]:
    rows = {
        name: {
            "observed": one.observed,
            "low": float(np.quantile(one.replicated, 0.05)),
            "high": float(np.quantile(one.replicated, 0.95)),
            "p": one.p_value,
            "p_se": one.p_value_se,
        }
        for name, one in found.items()
    }
    return {"rows": rows, "advice": found.advice}


def _sensitivity(
    fit: vi.Fit,
    key: Any,
    *,
    prior: tuple[str, ...] | None = None,
    names: tuple[str, ...] = (),
) -> dict[str, Any]:
    found = vi.power_scaling(fit, key, prior=prior)
    advice = found.advice
    for number, name in enumerate(names):
        advice = advice.replace(f"weights[{number}]", f"weight of {name}")
    rows = {
        name: {
            "prior": float(np.max(columns["prior"])),
            "likelihood": float(np.max(columns["likelihood"])),
        }
        for name, columns in found.items()
    }
    return {"rows": rows, "advice": advice, "scaled": list(found.scaled)}


def _moments(x: np.ndarray) -> dict[str, float]:
    return {"mean": float(x.mean()), "sd": float(x.std())}


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

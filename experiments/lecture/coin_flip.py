"""A coin shows 10 heads in 14 tosses: the frequentist and the Bayesian answer.

Rows L4-L9. The frequentist side estimates p with its standard error and tests p = 0.5
by the exact binomial p-value. The Bayesian side turns two priors, a uniform and a
peaked one, into posteriors with 95 % intervals, and compares the two models by their
Bayes factor. NUTS on the same NumPyro model agrees within its Monte Carlo error.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.typing import ArrayLike
from matplotlib.figure import Figure
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS

from experiments import common
from vijax.bayes import beta_binomial, evidence, frequentist, intervals
from vijax.plot.bayes import coin_flip as plot
from vijax.plot.bayes.interval_coverage import coverage_maps
from vijax.plot.style import BLUE, ORANGE, RED
from vijax.validate import check

NAMES = ("uniform", "peaked")  # the two priors, in every array in this order
NULL = 0.5  # a fair coin
MAX_TRIALS = 10**12  # counts and their evidences are exact up to here
MAX_COUNTS = 1001  # numbers of heads drawn in a figure
COVERED_TRIALS = 60  # the coverage of intervals is computed for n up to here
COVERED_PROBS = (0.005, 0.995, 199)  # … and for these true p: first, last, number
METHODS = {
    "wald": "Wald, p̂ ± 1.96 σ",
    "wilson": "Wilson",
    "clopper_pearson": "Clopper–Pearson",
    "jeffreys": "Jeffreys, Beta(½, ½)",
}


@dataclass(frozen=True)
class Config:
    """The data, the peaked prior and the sampler's effort."""

    trials: int = 14  # tosses
    successes: int = 10  # heads among them
    concentration: float = 10.0  # the peaked prior is Beta(a, a) with this a
    num_chains: int = 4  # of NUTS
    num_warmup: int = 500  # steps of each chain that only adapt it
    num_samples: int = 1000  # draws kept of each chain
    seed: int = 0


def run(config: Config) -> common.Result:
    """Compute both approaches' answers, sample the posteriors, draw the figures."""
    _check(config)
    k, n, a = config.successes, config.trials, config.concentration
    near_null = _counts(config, n * NULL - 3 * n**0.5, n * NULL + 3 * n**0.5)
    every = _counts(config, 0, n)
    with jax.enable_x64(True):
        exact = jax.tree.map(
            np.asarray, _exact(float(k), float(n), float(a), near_null, every)
        )
        draws = _nuts(config)
        coverage, coverage_figure = _coverage(config)
    lower, upper = exact["interval"]
    metrics: dict[str, Any] = {
        "estimate": float(exact["estimate"]),
        "standard_error": float(exact["standard_error"]),
        "p_value": float(exact["p_value"]),
        "significance": float(exact["significance"]),
        "wald_interval": [float(end) for end in exact["wald"]],
        "wilson_interval": [float(end) for end in exact["wilson"]],
        "uniform_prior_interval": [float(lower[0]), float(upper[0])],
        "peaked_prior_interval": [float(lower[1]), float(upper[1])],
        "uniform_prior_mean": float(exact["mean"][0]),
        "peaked_prior_mean": float(exact["mean"][1]),
        "bayes_factor": float(np.exp(exact["log_bayes_factor"])),
        "log_bayes_factor": float(exact["log_bayes_factor"]),
        "bayes_factor_wording": evidence.kass_raftery(float(exact["log_bayes_factor"])),
        "smallest_possible_bayes_factor": float(
            np.exp(exact["log_bayes_factors"].min())
        ),
        "largest_possible_bayes_factor": float(
            np.exp(exact["log_bayes_factors"].max())
        ),
    }
    uniform, peaked = (
        _nuts_summary(draws[..., i], float(exact["mean"][i])) for i in range(2)
    )
    metrics |= {f"nuts_{key}": value for key, value in uniform.items()}
    metrics["peaked_prior_nuts"] = peaked
    metrics["coverage"] = coverage
    figures = _figures(config, metrics, exact, draws, near_null, every)
    figures["coverage"] = coverage_figure
    return common.Result(metrics, figures)


def _check(config: Config) -> None:
    in_range = 1 <= config.trials <= MAX_TRIALS
    check(in_range, "trials", config.trials, f"give 1 to {MAX_TRIALS} tosses")
    possible = 0 <= config.successes <= config.trials
    remedy = f"give a count between 0 and trials = {config.trials}"
    check(possible, "successes", config.successes, remedy)
    proper = 0 < config.concentration < np.inf
    check(proper, "concentration", config.concentration, "give a number > 0")
    check(config.num_chains >= 1, "num_chains", config.num_chains, "give at least 1")
    check(config.num_warmup >= 1, "num_warmup", config.num_warmup, "give at least 1")
    check(config.num_samples >= 4, "num_samples", config.num_samples, "give at least 4")


def _priors(concentration: ArrayLike) -> dist.Beta:
    both = jnp.stack([jnp.ones(()), jnp.asarray(concentration, float)])
    return dist.Beta(both, both)


@jax.jit
def _exact(k: float, n: float, a: float, near_null: Any, every: Any) -> dict[str, Any]:
    """Return both approaches' exact answers, and the curves of the figures."""
    estimate, standard_error = frequentist.binomial_estimate(k, n)
    p_value = frequentist.binomial_p_value(k, n, null=NULL)

    priors = _priors(a)
    posteriors = beta_binomial.posterior(priors, k, n)

    def log_evidences(k: jax.Array) -> jax.Array:
        return beta_binomial.log_evidence(priors, k, n)

    # The grid of p is dense where a posterior is narrow.
    reach = jnp.linspace(-8, 8, 400)[:, None] * jnp.sqrt(posteriors.variance)
    narrow = jnp.clip(posteriors.mean + reach, 0, 1).ravel()
    p = jnp.sort(jnp.concatenate([jnp.linspace(0, 1, 401), narrow]))[:, None]
    # As a density of p the likelihood is the posterior of the uniform prior.
    posterior = jnp.exp(posteriors.log_prob(p))
    log_evidence = jax.vmap(log_evidences)(jnp.concatenate([jnp.array([k]), every]))
    uniform, peaked = log_evidence.T
    log_bayes_factors = evidence.log_bayes_factor(peaked, uniform)
    return {
        "estimate": estimate,
        "standard_error": standard_error,
        "p_value": p_value,
        "significance": frequentist.significance(p_value),
        "wald": frequentist.binomial_interval(k, n, method="wald"),
        "wilson": frequentist.binomial_interval(k, n, method="wilson"),
        "mean": posteriors.mean,
        "interval": intervals.credible_interval(posteriors, 0.95),
        "log_bayes_factor": log_bayes_factors[0],
        "log_bayes_factors": log_bayes_factors[1:],
        "p": p[:, 0],
        "prior": jnp.exp(priors.log_prob(p)),
        "posterior": posterior,
        "likelihood": posterior[:, 0],
        "null": jnp.exp(dist.Binomial(n, NULL).log_prob(near_null)),
        "log_evidences": log_evidence[1:],
    }


def _coverage(config: Config) -> tuple[dict[str, Any], Figure]:
    """Compute how often each method's 95 % interval holds the truth, over n and p."""
    trials, probs = np.arange(1, COVERED_TRIALS + 1), np.linspace(*COVERED_PROBS)
    maps = {
        method: np.asarray(frequentist.binomial_coverage(probs, trials, method=method))
        for method in METHODS
    }
    metrics = {
        method: {
            "least": float(values.min()),
            "mean": float(values.mean()),
            "share_enough": float((values >= 0.95 - 1e-11).mean()),
        }
        for method, values in maps.items()
    }
    on_map = config.trials <= COVERED_TRIALS
    at = (float(config.trials), config.successes / config.trials) if on_map else None
    named = {name: maps[method] for method, name in METHODS.items()}
    return metrics, coverage_maps(trials, probs, named, experiment=at)


def _nuts(config: Config) -> np.ndarray:
    """Sample both posteriors of p in one run of NUTS: (chains, samples, priors)."""

    @jax.jit
    def draw(key: jax.Array, priors: dist.Beta, k: float, n: float) -> jax.Array:
        mcmc = MCMC(
            NUTS(beta_binomial.model),
            num_warmup=config.num_warmup,
            num_samples=config.num_samples,
            num_chains=config.num_chains,
            chain_method="vectorized",
            progress_bar=False,
        )
        mcmc.run(key, priors, k, n)
        return mcmc.get_samples(group_by_chain=True)["probs"]

    data = float(config.successes), float(config.trials)
    key, priors = jax.random.key(config.seed), _priors(config.concentration)
    return np.asarray(draw(key, priors, *data))


def _nuts_summary(draws: np.ndarray, exact_mean: float) -> dict[str, float]:
    """Hold the draws' mean against the exact one, in Monte Carlo standard errors."""
    effective = float(effective_sample_size(draws))
    mean = float(draws.mean())
    error = float(draws.std(ddof=1)) / effective**0.5
    return {
        "mean": mean,
        "mean_standard_error": error,
        "mean_exact": exact_mean,
        "z_score": (mean - exact_mean) / error,
        "effective_sample_size": effective,
        "r_hat": float(split_gelman_rubin(draws)),
    }


def _counts(config: Config, low: float, high: float) -> np.ndarray:
    """Return the numbers of heads to draw between two, the observed one among them."""
    first = min(max(0, int(low)), config.successes)
    last = max(min(config.trials, int(high) + 1), config.successes)
    number = min(last - first + 1, MAX_COUNTS)
    spaced = np.round(np.linspace(first, last, number))
    return np.union1d(spaced, config.successes)


def _figures(
    config: Config,
    metrics: dict[str, Any],
    exact: dict[str, Any],
    draws: np.ndarray,
    near_null: np.ndarray,
    every: np.ndarray,
) -> dict[str, Figure]:
    a = config.concentration
    titles = ("uniform prior, Beta(1, 1)", f"peaked prior, Beta({a:g}, {a:g})")
    beliefs = [
        plot.Belief(
            title,
            exact["prior"][:, i],
            exact["posterior"][:, i],
            tuple(metrics[f"{name}_prior_interval"]),
            draws[..., i],
        )
        for i, (name, title) in enumerate(zip(NAMES, titles, strict=True))
    ]
    answers = [
        plot.Answer(name, metrics["estimate"], tuple(metrics[f"{key}_interval"]), RED)
        for name, key in (
            ("frequentist, ± 1.96 σ", "wald"),
            ("frequentist, Wilson", "wilson"),
        )
    ]
    for name, belief, colour in zip(NAMES, beliefs, (BLUE, ORANGE), strict=True):
        mean = metrics[f"{name}_prior_mean"]
        answers.append(plot.Answer(f"{name} prior", mean, belief.interval, colour))
    return {
        "two_approaches": plot.frequentist_and_bayesian(
            near_null,
            exact["null"],
            exact["p"],
            beliefs,
            answers,
            successes=config.successes,
            null=NULL,
            p_value=metrics["p_value"],
            significance=metrics["significance"],
        ),
        "posteriors": plot.prior_to_posterior(exact["p"], exact["likelihood"], beliefs),
        "bayes_factor": plot.bayes_factors(
            every,
            {
                "peaked prior": np.exp(exact["log_evidences"][:, 1]),
                "uniform prior": np.exp(exact["log_evidences"][:, 0]),
            },
            np.exp(np.clip(exact["log_bayes_factors"], -700, 700)),
            successes=config.successes,
        ),
    }


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

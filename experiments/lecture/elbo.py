"""The evidence lower bound: what it is, how far below the evidence, and ADVI.

Rows L13-L16, in four parts. The KL divergence in both directions is computed by closed
form, quadrature and Monte Carlo. The identity log p(data) = ELBO + KL(q ‖ posterior) is
checked on the coin and on the Poisson sensor, for many q. ADVI is run on both, beside
the exact posterior, and on the three Gamma densities of the ADVI paper's Table 2.
Finally the ELBO stands in for the evidence in the coin's Bayes factor: its bias is
measured, and so is what importance weights correct of it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array
from scipy import special, stats

from experiments import common
from experiments.lecture import elbo_fits
from vijax.bayes import beta_binomial, gamma_poisson
from vijax.plot.vi import variational_fits as plot
from vijax.validate import check
from vijax.vi import divergences

MEAN_RATE = 3.0  # of the sensor's exponential prior
# q's parameters as multiples of the posterior's and of the prior's
SHAPES = {
    "q = prior": (0.0, 1.0),
    "q from half the data": (0.5, 0.5),
    "q twice as sure": (2.0, 0.0),
    "q drawn to the prior": (1.0, 4.0),
    "q = posterior": (1.0, 0.0),
}


@dataclass(frozen=True)
class Config:
    """The data of the two models, and the effort."""

    trials: int = 14  # tosses of the coin
    successes: int = 10  # heads among them
    concentration: float = 10.0  # the peaked prior is Beta(a, a) with this a
    rate: float = 3.0  # true rate of the Poisson sensor
    num_counts: int = 5  # counts that the sensor records
    num_samples: int = 20_000  # draws of each Monte Carlo estimate
    seed: int = 0


def run(config: Config) -> common.Result:
    """Compute everything in x64 and draw it."""
    _check(config)
    rng = np.random.default_rng(config.seed)
    counts = rng.poisson(config.rate, config.num_counts).astype(float)
    with jax.enable_x64(True):
        key = jax.random.key(config.seed)
        directions = _divergences(config, jax.random.fold_in(key, 0))
        bars, problems = _exact(config, counts)
        fits = elbo_fits.advi(problems, jax.random.fold_in(key, 1))
        table, curves = elbo_fits.gamma_table(jax.random.fold_in(key, 2))
        uniform, peaked, _ = fits.values()
        factor, weighted = elbo_fits.bayes_factor(
            uniform, peaked, rng, 20 * config.num_samples
        )
    gaps = [abs(bar["log_evidence"] - bar["elbo"] - bar["kl"]) for bar in bars]
    metrics: dict[str, Any] = {
        "identity_error": max(gaps),
        "identity_cases": len(bars),
        "kl": directions,
        "kl_quadrature_error": max(
            abs(d["quadrature"] - d["closed"]) for d in directions.values()
        ),
        "kl_monte_carlo_sigmas": max(
            abs(d["monte_carlo"] - d["closed"]) / d["monte_carlo_standard_error"]
            for d in directions.values()
        ),
        "advi": {name: _advi_metrics(case) for name, case in fits.items()},
        "table_2": table,
        **factor,
        "counts": counts.tolist(),
    }
    figures = {
        "kl_directions": plot.kl_directions(_mixture(), directions),
        "elbo_identity": plot.elbo_identity(bars),
        "advi": plot.advi_fits(fits),
        "gamma_table": plot.gamma_fits(curves),
        "bayes_factor": plot.evidence_bounds(weighted, factor),
    }
    return common.Result(metrics, figures)


def _check(config: Config) -> None:
    check(config.trials >= 1, "trials", config.trials, "give at least one toss")
    possible = 0 <= config.successes <= config.trials
    remedy = f"give a count between 0 and trials = {config.trials}"
    check(possible, "successes", config.successes, remedy)
    for name in ("concentration", "rate"):
        value = getattr(config, name)
        check(0 < value < np.inf, name, value, "give a number > 0")
    check(config.num_counts >= 1, "num_counts", config.num_counts, "give at least 1")
    remedy = "give at least 1000"
    check(config.num_samples >= 1000, "num_samples", config.num_samples, remedy)


def _advi_metrics(case: dict[str, Any]) -> dict[str, Any]:
    fit = case["fit"]
    return {
        "elbo": float(fit.elbo),
        "elbo_standard_error": float(fit.elbo_se),
        "log_evidence": case["log_evidence"],
        "kl": case["kl"],
        "importance_log_evidence": float(fit.log_evidence),
        "importance_log_evidence_standard_error": float(fit.log_evidence_se),
        "khat": float(fit.khat),
        "khat_standard_error": float(fit.khat_se),
        "verdict": fit.verdict,
        "num_steps": int(fit.num_steps),
    }


# ---- L13: the divergence, both ways, three ways ----


def _divergences(config: Config, key: Array) -> dict[str, dict[str, float]]:
    a, k, n = config.concentration, config.successes, config.trials
    flat, peaked = (k + 1.0, n - k + 1.0), (a + k, a + n - k)
    cases: dict[str, tuple[Any, ...]] = {
        "N(0, 1) and N(1, 2²)": (
            dist.Normal(0.0, 1.0),
            dist.Normal(1.0, 2.0),
            np.linspace(-16, 18, 4001),
        ),
        "Beta({:g}, {:g}) and Beta({:g}, {:g})".format(*flat, *peaked): (
            dist.Beta(*flat),
            dist.Beta(*peaked),
            np.linspace(0, 1, 4003)[1:-1],
        ),
    }
    fields = ("closed", "quadrature", "monte_carlo", "monte_carlo_standard_error")
    results: dict[str, dict[str, float]] = {}
    for name, (first, second, grid) in cases.items():
        left, right = name.split(" and ")
        for label, q, p in (
            (f"{left} ‖ {right}", first, second),
            (f"{right} ‖ {left}", second, first),
        ):
            key = jax.random.fold_in(key, len(results))
            values = _three_ways(q, p, grid, key, config.num_samples)
            results[label] = dict(zip(fields, map(float, values), strict=True))
    return results


@partial(jax.jit, static_argnums=4)
def _three_ways(
    q: Any, p: Any, grid: Array, key: Array, num_samples: int
) -> tuple[Array, ...]:
    """KL[q ‖ p] in closed form, by quadrature, by sampling with its standard error."""
    if isinstance(q, dist.Normal):
        log_scales = jnp.log(q.scale), jnp.log(p.scale)
        closed = divergences.kl_normal(q.loc, log_scales[0], p.loc, log_scales[1])
    else:
        closed = divergences.kl_beta(
            q.concentration1, q.concentration0, p.concentration1, p.concentration0
        )
    by_grid = divergences.kl_quadrature(q.log_prob, p.log_prob, grid)
    sampled = divergences.kl_monte_carlo(key, q, p, num_samples=num_samples)
    return closed, by_grid, *sampled


def _mixture() -> dict[str, np.ndarray]:
    """Map KL[q ‖ p] over normal q, p a mixture of two; and match p's moments."""
    weight, mean, sd = (
        np.array([0.65, 0.35]),
        np.array([-2.0, 2.2]),
        np.array([0.6, 0.8]),
    )
    loc, scale = np.linspace(-3, 3.5, 66), np.linspace(0.3, 3, 55)

    def log_p(z: np.ndarray) -> np.ndarray:
        parts = stats.norm.logpdf(z[..., None], mean, sd) + np.log(weight)
        return special.logsumexp(parts, axis=-1)

    # E_q by Gauss-Hermite quadrature; −E_q[log q] is the entropy of a normal.
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    z = loc[:, None] + scale[:, None, None] * nodes
    cross_entropy = -(log_p(z) @ weights) / weights.sum()
    entropy = np.log(scale) + 0.5 * np.log(2 * np.pi * np.e)
    line = np.linspace(-8, 9, 1201)
    centre = weight @ mean
    variance = weight @ (sd**2 + (mean - centre) ** 2)
    return {
        "z": line,
        "p": np.exp(log_p(line)),
        "loc": loc,
        "scale": scale,
        "kl": cross_entropy - entropy[:, None],
        "matched": np.array([centre, variance**0.5]),
    }


# ---- L14: the identity ----


def _exact(
    config: Config, counts: np.ndarray
) -> tuple[list[dict[str, Any]], list[elbo_fits.Problem]]:
    """Return the identity's terms for several q of both models, and the problems."""
    k, n, a = float(config.successes), float(config.trials), config.concentration
    coin_elbo, coin_kl, coin_evidence = _coin(np.array([1.0, a]), k, n)
    sensor_elbo, sensor_kl, sensor_evidence = _sensor(counts)
    rows = (
        ("coin", coin_elbo, coin_kl, coin_evidence[0]),
        ("Poisson sensor", sensor_elbo, sensor_kl, sensor_evidence),
    )
    bars = [
        {
            "model": model,
            "q": name,
            "elbo": float(elbo),
            "kl": float(kl),
            "log_evidence": float(evidence),
        }
        for model, elbos, kls, evidence in rows
        for name, elbo, kl in zip(SHAPES, elbos, kls, strict=True)
    ]
    problems = [
        elbo_fits.Problem(
            f"coin, Beta({b:g}, {b:g}) prior",
            "p(heads)",
            beta_binomial.model,
            (dist.Beta(b, b), k, n),
            elbo_fits.LOGIT,
            stats.beta(b, b),
            stats.beta(b + k, b + n - k),
            float(evidence),
        )
        for b, evidence in zip((1.0, a), coin_evidence, strict=True)
    ]
    sensor = elbo_fits.Problem(
        "Poisson sensor",
        "rate λ / counts per interval",
        gamma_poisson.model,
        (dist.Gamma(1.0, 1.0 / MEAN_RATE), counts),
        elbo_fits.LOG,
        stats.expon(scale=MEAN_RATE),
        stats.gamma(1 + counts.sum(), scale=1 / (len(counts) + 1 / MEAN_RATE)),
        float(sensor_evidence),
    )
    return bars, [*problems, sensor]


def _around(prior: tuple[Any, Any], posterior: tuple[Any, Any]) -> tuple[Array, ...]:
    """Return both parameters of each q in SHAPES."""
    scale, share = jnp.asarray(list(SHAPES.values())).T
    return tuple(
        scale * after + share * before
        for before, after in zip(prior, posterior, strict=True)
    )


@jax.jit
def _coin(concentration: Array, k: float, n: float) -> tuple[Array, Array, Array]:
    """ELBO and KL for each q under the uniform prior; evidence for each prior."""
    priors = dist.Beta(concentration, concentration)
    after = beta_binomial.posterior(dist.Beta(1.0, 1.0), k, n)
    exact = after.concentration1, after.concentration0
    a, b = _around((1.0, 1.0), exact)
    # E log p = ψ(a) − ψ(a + b) under Beta(a, b), and E log(1 − p) likewise.
    heads, tails = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
    log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    log_likelihood = log_choose + k * heads + (n - k) * tails
    return (
        log_likelihood - divergences.kl_beta(a, b, 1.0, 1.0),
        divergences.kl_beta(a, b, *exact),
        beta_binomial.log_evidence(priors, k, n),
    )


@jax.jit
def _sensor(counts: Array) -> tuple[Array, Array, Array]:
    """ELBO and KL for each q, and the evidence, under an exponential prior."""
    prior = dist.Gamma(1.0, 1.0 / MEAN_RATE)
    after = gamma_poisson.posterior(prior, counts)
    exact = after.concentration, after.rate
    a, b = _around((1.0, 1.0 / MEAN_RATE), exact)
    # E log λ = ψ(a) − log b and E λ = a / b under Gamma(a, b).
    log_rate, rate = (digamma(a) - jnp.log(b))[:, None], (a / b)[:, None]
    log_likelihood = jnp.sum(counts * log_rate - rate - gammaln(counts + 1), axis=1)
    return (
        log_likelihood - divergences.kl_gamma(a, b, 1.0, 1.0 / MEAN_RATE),
        divergences.kl_gamma(a, b, *exact),
        gamma_poisson.log_evidence(prior, counts),
    )


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

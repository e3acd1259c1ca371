"""How often the stop rule stops too early: five models whose posterior is known.

Each is fitted by stochastic gradients from the target's start, not from Newton's
answer, for many seeds in one `vmap`. A false stop is a fit that says `converged` with a
mean off by more than 0.1 sd or an sd by more than 10 %, against the exact posterior.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy import special

from vijax import vi
from vijax.bayes.frequentist import binomial_interval

MEAN_OFF, SD_OFF = 0.1, 0.1


class Oracle(NamedTuple):
    """A model with the exact moments of its unconstrained unknowns."""

    model: Callable[..., None]
    arguments: tuple[Any, ...]
    family: str
    mean: np.ndarray
    sd: np.ndarray


def mean_of_normal(y: Any) -> None:
    """μ ~ N(0, 1), y ~ N(μ, 1)."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def rate(counts: Any) -> None:
    """λ ~ Gamma(2, 1), counts ~ Poisson(λ)."""
    lam = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
    numpyro.sample("counts", dist.Poisson(lam), obs=counts)


def coin(successes: Any, trials: Any) -> None:
    """Coin: p ~ Beta(5, 5), successes ~ Binomial(trials, p)."""
    p = numpyro.sample("p", dist.Beta(5.0, 5.0))
    numpyro.sample("successes", dist.Binomial(trials, p), obs=successes)


def regression(x: Any, y: Any) -> None:
    """β ~ N(0, 1), y ~ N(X β, 1)."""
    prior = dist.Normal(0.0, 1.0).expand([x.shape[1]]).to_event(1)
    beta = numpyro.sample("beta", prior)
    numpyro.sample("y", dist.Normal(x @ beta, 1.0), obs=y)


def noise(y: Any) -> None:
    """σ² ~ inverse-Gamma(3, 2), y ~ N(0, σ²)."""
    variance = numpyro.sample("variance", dist.InverseGamma(3.0, 2.0))
    numpyro.sample("y", dist.Normal(0.0, jnp.sqrt(variance)), obs=y)


def normal_oracle(rng: np.random.Generator) -> Oracle:
    """μ | y ~ N(Σ y / 11, 1 / 11), of 10 data."""
    y = rng.normal(1.0, 1.0, 10)
    return Oracle(mean_of_normal, (y,), "mean_field", *one(y.sum() / 11, 1 / 11))


def rate_oracle(rng: np.random.Generator) -> Oracle:
    """Of log λ under Gamma(a, b): mean ψ(a) − log b, variance ψ′(a)."""
    counts = rng.poisson(5.0, 8).astype(float)
    a, b = 2.0 + counts.sum(), 1.0 + len(counts)
    moments = one(special.digamma(a) - np.log(b), special.polygamma(1, a))
    return Oracle(rate, (counts,), "mean_field", *moments)


def coin_oracle(rng: np.random.Generator) -> Oracle:
    """Of logit p under Beta(a, b): mean ψ(a) − ψ(b), variance ψ′(a) + ψ′(b)."""
    a, b = 5.0 + 30, 5.0 + 14
    variance = special.polygamma(1, a) + special.polygamma(1, b)
    moments = one(special.digamma(a) - special.digamma(b), variance)
    return Oracle(coin, (30.0, 44), "mean_field", *moments)


def regression_oracle(rng: np.random.Generator) -> Oracle:
    """β | y ~ N(C Xᵀ y, C), C = (XᵀX + I)⁻¹, columns correlated by ½."""
    x = rng.normal(size=(40, 5)) @ np.linalg.cholesky(0.5 * np.eye(5) + 0.5).T
    y = x @ rng.normal(size=5) + rng.normal(size=40)
    covariance = np.linalg.inv(x.T @ x + np.eye(5))
    mean, sd = covariance @ x.T @ y, np.sqrt(np.diag(covariance))
    return Oracle(regression, (x, y), "full_rank", mean, sd)


def noise_oracle(rng: np.random.Generator) -> Oracle:
    """Of log σ² under inverse-Gamma(a, b): mean log b − ψ(a), variance ψ′(a)."""
    y = rng.normal(size=10)
    a, b = 3.0 + len(y) / 2, 2.0 + np.sum(y**2) / 2
    moments = one(np.log(b) - special.digamma(a), special.polygamma(1, a))
    return Oracle(noise, (y,), "mean_field", *moments)


def one(mean: float, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and sd of one unknown."""
    return np.array([mean]), np.array([variance**0.5])


ORACLES: dict[str, Callable[[np.random.Generator], Oracle]] = {
    "mean of a normal": normal_oracle,
    "Poisson rate": rate_oracle,
    "coin": coin_oracle,
    "regression, 5 coefficients": regression_oracle,
    "noise of a normal": noise_oracle,
}
NAMES = tuple(ORACLES)


def false_stops(
    names: tuple[str, ...], num_seeds: int, seed: int
) -> list[dict[str, Any]]:
    """Fit each oracle with `num_seeds` keys and count."""
    rows = []
    for number, name in enumerate(names):
        if name not in ORACLES:
            raise ValueError(f"oracles = {name!r} is not one of {NAMES}")
        oracle = ORACLES[name](np.random.default_rng(0))
        keys = jax.random.split(jax.random.key(seed + number), num_seeds)
        rows.append({"name": name} | _count(oracle, keys))
    return rows


def _count(oracle: Oracle, keys: jax.Array) -> dict[str, Any]:
    target = vi.from_numpyro(oracle.model, *oracle.arguments)

    @jax.jit
    @jax.vmap
    def fit(key: jax.Array) -> tuple[jax.Array, ...]:
        found = vi.fit(
            target,
            key,
            family=oracle.family,
            method=vi.Stochastic(start="init"),
            num_checks=25,
        )
        return found.status, found.q.mean(), found.q.scale(), found.num_steps

    status, mean, sd, steps = map(np.asarray, fit(keys))
    mean_error = np.max(np.abs(mean - oracle.mean) / oracle.sd, axis=1)
    sd_error = np.max(np.abs(sd / oracle.sd - 1), axis=1)
    converged = status == 0
    wrong = converged & ((mean_error > MEAN_OFF) | (sd_error > SD_OFF))
    # Exact: a Gaussian error of none in 200 would be zero.
    interval = binomial_interval(wrong.sum(), len(keys), 0.95)
    return {
        "seeds": len(keys),
        "converged": int(converged.sum()),
        "false_stops": int(wrong.sum()),
        "false_stop_rate": float(wrong.mean()),
        "false_stop_rate_interval": [float(end) for end in interval],  # 95 %
        "worst_mean_error": float(mean_error[converged].max(initial=0.0)),
        "worst_sd_error": float(sd_error[converged].max(initial=0.0)),
        "median_steps": float(np.median(steps)),
    }

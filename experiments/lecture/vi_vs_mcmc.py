"""Sampling against optimising: NUTS and a variational fit as data and dimension grow.

Row L12. One Bayesian linear regression, y ~ N(X β, σ²) with unknown σ², whose posterior
is known exactly. NUTS draws from it, a full-rank normal q is fitted to it; for growing
number of data N at fixed dimension, and for growing dimension at fixed N, both are
timed (the first call with compilation, and the second) and held against the exact
posterior means and standard deviations.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import NUTS
from scipy import special

from experiments import common
from vijax import vi
from vijax.bayes import linear_regression
from vijax.bayes.conjugate.normal_inverse_gamma import NormalInverseGamma
from vijax.plot.vi import variational_fits as plot
from vijax.validate import check

CONCENTRATION, RATE, PRIOR_SCALE = 2.0, 1.0, 3.0  # of the prior


@dataclass(frozen=True)
class Config:
    """The sizes to grow through, and NUTS's effort."""

    num_data: tuple[int, ...] = (100, 1000, 10_000)  # N, at the smallest dimension
    dims: tuple[int, ...] = (5, 50)  # coefficients, at the middle N
    correlation: float = 0.6  # between neighbouring columns of X
    num_warmup: int = 300  # steps of NUTS that only adapt it
    num_samples: int = 700  # draws of NUTS kept
    seed: int = 0


def run(config: Config) -> common.Result:
    """Run both methods at every size and draw time and error."""
    _check(config)
    middle = sorted(config.num_data)[len(config.num_data) // 2]
    smallest = min(config.dims)
    sizes = {(n, smallest): None for n in config.num_data}
    sizes |= {(middle, dim): None for dim in config.dims}
    rows = [_compare(n, dim, config) for n, dim in sizes]
    growing_data = sorted(
        (row for row in rows if row["dim"] == smallest), key=lambda row: row["num_data"]
    )
    growing_dim = sorted(
        (row for row in rows if row["num_data"] == middle), key=lambda row: row["dim"]
    )
    slowest = max(rows, key=lambda row: row["nuts"]["seconds_warm"])
    worst = {
        f"{method}_{error}_error": max(row[method][f"{error}_error"] for row in rows)
        for method in ("nuts", "vi")
        for error in ("mean", "sd")
    }
    ratios = [row["nuts"]["gradients"] / row["vi"]["gradients"] for row in rows]
    metrics: dict[str, Any] = {
        "rows": rows,
        **worst,
        "largest_speedup_warm": slowest["nuts"]["seconds_warm"]
        / slowest["vi"]["seconds_warm"],
        "gradient_ratio_smallest": min(ratios),
        "gradient_ratio_largest": max(ratios),
    }
    figures = {"scaling": plot.nuts_and_vi_scaling(growing_data, growing_dim)}
    return common.Result(metrics, figures)


def _check(config: Config) -> None:
    for name, least in (("num_data", 10), ("dims", 1)):
        values = np.asarray(getattr(config, name))
        check(values.size >= 1, name, values, "give at least one size")
        check(values >= least, name, values, f"give sizes of at least {least}")
    check(
        abs(config.correlation) < 1,
        "correlation",
        config.correlation,
        "give a number between -1 and 1",
    )
    for name, least in (("num_warmup", 1), ("num_samples", 100)):
        value = getattr(config, name)
        check(value >= least, name, value, f"give at least {least}")


def model(features: Any, targets: Any) -> None:
    """Declare the regression; its posterior is Normal-inverse-gamma."""
    variance = numpyro.sample("variance", dist.InverseGamma(CONCENTRATION, RATE))
    scale = jnp.sqrt(variance)
    prior = dist.Normal(0.0, PRIOR_SCALE * scale).expand([features.shape[1]])
    coefficients = numpyro.sample("coefficients", prior.to_event(1))
    noise = dist.Normal(features @ coefficients, scale)
    numpyro.sample("targets", noise, obs=targets)


def _compare(num_data: int, dim: int, config: Config) -> dict[str, Any]:
    features, targets = _data(num_data, dim, config)
    mean, sd = _exact(features, targets)
    features, targets = features.astype("float32"), targets.astype("float32")

    def by_vi(key: Array) -> vi.Fit:
        target = vi.from_numpyro(model, features, targets)
        return vi.fit(target, key, family="full_rank")

    def by_nuts(key: Array) -> tuple[Array, Array]:
        return _nuts(features, targets, key, config.num_warmup, config.num_samples)

    fit, *vi_seconds = _timed(by_vi, config.seed)
    (draws, gradients), *nuts_seconds = _timed(by_nuts, config.seed)
    draws = np.asarray(draws, float)
    effective = effective_sample_size(draws[None])
    q_mean, q_sd = np.asarray(fit.q.loc, float), np.asarray(fit.q.scale(), float)
    # Of the unknown that mixes worst: its errors are the largest.
    smallest = float(np.min(effective))
    return {
        "num_data": num_data,
        "dim": dim,
        "vi": {
            **_errors(q_mean, q_sd, mean, sd),
            "mean_error_standard_error": float(np.max(fit.loc_error)),
            "sd_error_standard_error": float(np.max(fit.scale_error)),
            "seconds_cold": vi_seconds[0],
            "seconds_warm": vi_seconds[1],
            "gradients": int(fit.num_gradients),
            "khat": float(fit.khat),
            "khat_standard_error": float(fit.khat_se),
            "verdict": fit.verdict,
        },
        "nuts": {
            **_errors(draws.mean(0), draws.std(0, ddof=1), mean, sd),
            "mean_error_standard_error": smallest**-0.5,
            "sd_error_standard_error": (2 * smallest) ** -0.5,
            "seconds_cold": nuts_seconds[0],
            "seconds_warm": nuts_seconds[1],
            "gradients": int(gradients),
            "smallest_effective_sample_size": smallest,
        },
    }


def _data(num_data: int, dim: int, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features, coefficients from N(0, 1), noise of unit variance."""
    rng = np.random.default_rng([config.seed, num_data, dim])
    lags = np.abs(np.subtract.outer(np.arange(dim), np.arange(dim)))
    factor = np.linalg.cholesky(float(config.correlation) ** lags)
    features = rng.normal(size=(num_data, dim)) @ factor.T
    coefficients = rng.normal(size=dim)
    return features, features @ coefficients + rng.normal(size=num_data)


def _exact(features: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact means and sds of log σ² and of the coefficients, in this order."""
    with jax.enable_x64(True):
        # X and y enter through the triangular factor of [X y] alone.
        rows = np.column_stack([features, targets])
        factor = np.linalg.qr(rows, mode="r")
        a, b, marginals = _posterior(float(len(targets)), factor)
        mean = np.append(np.log(b) - special.digamma(a), np.asarray(marginals.mean))
        variance = np.append(special.polygamma(1, a), np.asarray(marginals.variance))
        return mean, np.sqrt(variance)


@jax.jit
def _posterior(num_data: float, factor: Array) -> tuple[Array, Array, Any]:
    dim = factor.shape[0] - 1
    precision = jnp.eye(dim) / PRIOR_SCALE**2
    prior = NormalInverseGamma(jnp.zeros(dim), precision, CONCENTRATION, RATE)
    data = linear_regression.Statistics(jnp.asarray(num_data), factor)
    after = linear_regression.update(prior, data)
    marginals = linear_regression.coefficient_marginals(after)
    return after.concentration, after.rate, marginals


@partial(jax.jit, static_argnums=(3, 4))
def _nuts(
    features: Array, targets: Array, key: Array, num_warmup: int, num_samples: int
) -> tuple[Array, Array]:
    """Draws of log σ² and the coefficients, and the gradients spent on them."""
    kernel = NUTS(model)
    state = kernel.init(key, num_warmup, None, (features, targets), {})

    # One loop for warm-up and sampling, so that both are compiled once.
    def step(state: Any, _: None) -> tuple[Any, tuple[Any, Array]]:
        state = kernel.sample(state, (features, targets), {})
        return state, (state.z, state.num_steps)

    _, (z, steps) = jax.lax.scan(step, state, length=num_warmup + num_samples)
    # NumPyro maps a positive unknown by exp: its unconstrained value is the log.
    values = [z["variance"][:, None], z["coefficients"]]
    return jnp.concatenate(values, axis=1)[num_warmup:], jnp.sum(steps)


def _timed(function: Callable[[Array], Any], seed: int) -> tuple[Any, float, float]:
    """Return the second call's result and the seconds of both."""
    seconds = []
    for number in range(2):
        key = jax.random.key(seed + number)
        start = time.perf_counter()
        result = jax.block_until_ready(function(key))
        seconds.append(time.perf_counter() - start)
    return result, *seconds


def _errors(
    mean: np.ndarray, sd: np.ndarray, exact_mean: np.ndarray, exact_sd: np.ndarray
) -> dict[str, float]:
    """Largest error of a mean in exact sds, and of an sd as a fraction."""
    return {
        "mean_error": float(np.max(np.abs(mean - exact_mean) / exact_sd)),
        "sd_error": float(np.max(np.abs(sd / exact_sd - 1))),
    }


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()

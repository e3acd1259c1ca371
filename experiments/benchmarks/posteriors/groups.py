"""Group means of known errors, centred, under priors that leave the spread to the data.

Given the spread tau, mu and the means are normal: the truth is an integral over tau.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints

from experiments.benchmarks.posteriors.quadrature import (
    logarithmic,
    normal_given_scale,
)
from experiments.benchmarks.posteriors.registry import Problem, register

MU_SD = 5.0  # of the prior of mu


def _truth(log_prior: Callable[[float], float]) -> Callable[..., dict[str, Any]]:
    def truth(y: Any, error: Any) -> dict[str, Any]:
        """Return the exact moments: mu and theta are normal at each tau of a grid."""
        count, pull = len(y), y / error**2

        def at(tau: float) -> tuple[float, np.ndarray, np.ndarray]:
            # Precision of (mu, theta): the prior's, and what the data add to it.
            each = 1 / tau**2
            precision = np.diag(np.r_[1 / MU_SD**2 + count * each, each + 1 / error**2])
            precision[0, 1:] = precision[1:, 0] = -each
            covariance = np.linalg.inv(precision)
            mean = covariance @ np.r_[0.0, pull]
            log_mass = 0.5 * (np.linalg.slogdet(covariance)[1] + mean[1:] @ pull)
            return log_mass - count * np.log(tau) + log_prior(tau), mean, covariance

        grid = logarithmic(1e-5, 1e5, 12_001)
        tau, tau_sd, mean, sd = normal_given_scale(grid, at)
        return {
            "mu": (mean[0], sd[0]),
            "tau": (tau, tau_sd),
            "theta": (mean[1:], sd[1:]),
        }

    return truth


def _groups(prior: dist.Distribution, count: int, seed: int) -> Problem:
    def model(y: Any, error: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, MU_SD))
        tau = numpyro.sample("tau", prior)
        with numpyro.plate("groups", count):
            theta = numpyro.sample("theta", dist.Normal(mu, tau))
            numpyro.sample("y", dist.Normal(theta, error), obs=y)

    rng = np.random.default_rng(seed)
    error = rng.uniform(0.8, 1.5, count)
    theta = rng.normal(1.0, 0.7, count)
    return model, (theta + error * rng.normal(size=count), error)


def _half_normal(tau: float) -> float:
    return -(tau**2) / 2


@register("hierarchical", exact=_truth(_half_normal), history="new")
def thirty_groups() -> Problem:
    """Thirty centred means that hardly differ: the funnel's neck is narrow."""
    return _groups(dist.HalfNormal(1.0), 30, seed=5)


def _flat(_: float) -> float:
    return 0.0


@register("hierarchical", exact=_truth(_flat), history="new")
def six_groups_flat() -> Problem:
    """Six centred means under a flat prior of tau, whose posterior falls as τ⁻⁶."""
    return _groups(dist.ImproperUniform(constraints.positive, (), ()), 6, seed=6)


def _inverse_gamma(tau: float) -> float:
    return -2 * np.log(tau) - 0.3 / tau


@register("hierarchical", exact=_truth(_inverse_gamma), history="new")
def ten_groups_by_inverse_gamma() -> Problem:
    """Ten centred means under an inverse gamma prior, which bars the funnel's neck."""
    return _groups(dist.InverseGamma(1.0, 0.3), 10, seed=7)
